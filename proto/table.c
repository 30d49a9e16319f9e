/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The tables of messages.h, limits.h and errors.h as data: what codecs and documents walk over.
 *
 * Lookup by number is a switch: two entries with one number do not compile. Two with one name do
 * not compile either, because they would define one struct or enumerator twice.
 */

#include "proto/proto.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- enums --- */

#define ENUM_VALUE(PREFIX, NAME, value, number_, since_, text_) \
	{.name = #value,                                        \
	 .name_size = sizeof(#value) - 1,                       \
	 .number = number_,                                     \
	 .since = since_,                                       \
	 .text = text_},
#define ENUM_VALUES(x) \
	static const struct proto_enum_value values_##x[] = {PROTO_ENUM_##x(ENUM_VALUE)};
PROTO_ENUMS(ENUM_VALUES)

#define ENUM_INDEX(x) ENUM_##x,
enum {
	PROTO_ENUMS(ENUM_INDEX)
};

#define ENUM_INFO(x) {.name = #x, .values = values_##x, .value_count = COUNT(values_##x)},
static const struct proto_enum_info enums[] = {PROTO_ENUMS(ENUM_INFO)};

#define ENUM_CASE(PREFIX, NAME, value, number, since, text) \
	case number:                                        \
		return #value;
#define ENUM_NAME(x)                                                     \
	const char *proto_##x##_name(enum proto_##x value)               \
	{                                                                \
		switch ((unsigned int)value) {                           \
			PROTO_ENUM_##x(ENUM_CASE) default : return NULL; \
		}                                                        \
	}
PROTO_ENUMS(ENUM_NAME)

/* --- records --- */

#define NEED_MUST true
#define NEED_MAY false

#define RECORD_OF_BOOL(of) NULL
#define RECORD_OF_U64(of) NULL
#define RECORD_OF_ID(of) NULL
#define RECORD_OF_TEXT(of) NULL
#define RECORD_OF_BYTES(of) NULL
#define RECORD_OF_ENUM(of) NULL
#define RECORD_OF_LIST(of) &proto_record_##of

#define ENUM_OF_BOOL(of) NULL
#define ENUM_OF_U64(of) NULL
#define ENUM_OF_ID(of) NULL
#define ENUM_OF_TEXT(of) NULL
#define ENUM_OF_BYTES(of) NULL
#define ENUM_OF_ENUM(of) &enums[ENUM_##of]
#define ENUM_OF_LIST(of) NULL

/* Keys of one letter belong to the header. */
#define FIELD(x, KIND, field, need, of, max_, since_, text_) \
	{                                                    \
		.name = #field,                              \
		.name_size = sizeof(#field) - 1,             \
		.text = text_,                               \
		.record = RECORD_OF_##KIND(of),              \
		.values = ENUM_OF_##KIND(of),                \
		.offset = offsetof(struct proto_##x, field), \
		.max = max_,                                 \
		.kind = PROTO_KIND_##KIND,                   \
		.must = NEED_##need,                         \
		.since = since_,                             \
	},
#define FIELD_ASSERT(x, KIND, field, need, of, max, since, text)                          \
	_Static_assert(sizeof(#field) - 1 >= 2, "one letter is for the header: " #field); \
	_Static_assert((since) >= 1 && (since) <= PROTO_VERSION, "since: " #field);

/* The last element, without a name, is not counted: messages may have no fields. */
#define FIELDS(x)                                                                                \
	PROTO_FIELDS_##x(FIELD_ASSERT) static const struct proto_field fields_##x[] = {          \
		PROTO_FIELDS_##x(FIELD){0}};                                                     \
	_Static_assert(COUNT(fields_##x) - 1 <= PROTO_MAP_KEYS_MAX - PROTO_HEADER_KEYS, "keys"); \
	_Static_assert(sizeof(struct proto_##x) <= PROTO_BODY_BYTES_MAX, "size of " #x);

#define RECORD_INFO(x, text_)                                                                 \
	{                                                                                     \
		.name = #x, .name_size = sizeof(#x) - 1, .text = text_, .fields = fields_##x, \
		.field_count = COUNT(fields_##x) - 1, .size = sizeof(struct proto_##x),       \
	}

#define RECORD(x, text) \
	FIELDS(x)       \
	const struct proto_record proto_record_##x = RECORD_INFO(x, text);
PROTO_RECORDS(RECORD)

#define RECORD_ADDRESS(x, text) &proto_record_##x,
static const struct proto_record *const records[] = {PROTO_RECORDS(RECORD_ADDRESS)};

/* --- messages --- */

#define NOTHING(id, NAME, x, caller_, at_, reply_, since_, text_)

#define MESSAGE_RECORD(id, NAME, x, caller_, at_, reply_, since_, text_) \
	FIELDS(x)                                                        \
	static const struct proto_record message_##x = RECORD_INFO(x, text_);
PROTO_MESSAGES(MESSAGE_RECORD, NOTHING)

#define TYPE_ID(id, NAME, x, caller_, at_, reply_, since_, text_) TYPE_##x = id,
enum {
	PROTO_MESSAGES(TYPE_ID, TYPE_ID)
};

#define TYPE_INDEX(id, NAME, x, caller_, at_, reply_, since_, text_) INDEX_##x,
enum {
	PROTO_MESSAGES(TYPE_INDEX, TYPE_INDEX)
};

#define TYPE_INFO(NAME, record_, caller_, at_, reply_, since_, text_) \
	{                                                             \
		.type = PROTO_##NAME,                                 \
		.caller = PROTO_CALLER_##caller_,                     \
		.at = PROTO_AT_##at_,                                 \
		.reply = (enum proto_type)TYPE_##reply_,              \
		.since = since_,                                      \
		.text = text_,                                        \
		.record = record_,                                    \
	},
#define MESSAGE_INFO(id, NAME, x, caller_, at_, reply_, since_, text_) \
	TYPE_INFO(NAME, &message_##x, caller_, at_, reply_, since_, text_)
#define SHARED_INFO(id, NAME, x, caller_, at_, reply_, since_, text_) \
	TYPE_INFO(NAME, &proto_record_##x, caller_, at_, reply_, since_, text_)
static const struct proto_type_info types[] = {PROTO_MESSAGES(MESSAGE_INFO, SHARED_INFO)};

#define TYPE_CASE(id, NAME, x, caller_, at_, reply_, since_, text_) \
	case id:                                                    \
		return &types[INDEX_##x];
const struct proto_type_info *proto_type_info(uint64_t type)
{
	switch (type) {
		PROTO_MESSAGES(TYPE_CASE, TYPE_CASE)
	default:
		return NULL;
	}
}

/* --- callers --- */

#define CALLER_INFO(NAME, name_, gateway_, roomd_, storaged_, stranger_, text_) \
	[PROTO_CALLER_##NAME] = {                                               \
		.name = #name_,                                                 \
		.gateway = gateway_,                                            \
		.roomd = roomd_,                                                \
		.storaged = storaged_,                                          \
		.stranger = stranger_,                                          \
		.text = text_,                                                  \
	},
static const struct proto_caller_info callers[] = {PROTO_CALLERS(CALLER_INFO)};

const struct proto_caller_info *proto_caller_info(enum proto_caller caller)
{
	return (size_t)caller < COUNT(callers) ? &callers[caller] : NULL;
}

bool proto_may_call(const struct proto_type_info *info, enum proto_service service)
{
	const struct proto_caller_info *caller = &callers[info->caller];

	switch (service) {
	case PROTO_SERVICE_GATEWAY:
		return caller->gateway;
	case PROTO_SERVICE_ROOMD:
		return caller->roomd;
	case PROTO_SERVICE_STORAGED:
		return caller->storaged;
	case PROTO_SERVICE_REGISTRY:
		return false;
	case PROTO_service_absent:
		break;
	}
	return caller->stranger;
}

static bool name_is(struct proto_span name, const char *other, size_t other_size)
{
	return name.size == other_size && memcmp(name.data, other, other_size) == 0;
}

const struct proto_type_info *proto_type_find(struct proto_span name)
{
	for (size_t i = 0; i < COUNT(types); i++) {
		if (name_is(name, types[i].record->name, types[i].record->name_size)) {
			return &types[i];
		}
	}
	return NULL;
}

const struct proto_field *proto_record_field(const struct proto_record *record,
					     struct proto_span name)
{
	for (size_t i = 0; i < record->field_count; i++) {
		if (name_is(name, record->fields[i].name, record->fields[i].name_size)) {
			return &record->fields[i];
		}
	}
	return NULL;
}

const struct proto_type_info *proto_type_at(size_t index)
{
	return index < COUNT(types) ? &types[index] : NULL;
}

const struct proto_record *proto_record_at(size_t index)
{
	return index < COUNT(records) ? records[index] : NULL;
}

const struct proto_enum_info *proto_enum_at(size_t index)
{
	return index < COUNT(enums) ? &enums[index] : NULL;
}

/* --- errors --- */

#define ERROR_INDEX(number_, NAME, code_, status_, sure_, text_) ERROR_##NAME,
enum {
	PROTO_ERRORS(ERROR_INDEX)
};

#define SURE_YES true
#define SURE_NO false
#define ERROR_INFO(number_, NAME, code_, status_, sure_, text_) \
	{                                                       \
		.number = PROTO_E_##NAME,                       \
		.code = #code_,                                 \
		.status = status_,                              \
		.sure = SURE_##sure_,                           \
		.text = text_,                                  \
	},
static const struct proto_error_info errors[] = {PROTO_ERRORS(ERROR_INFO)};

#define ERROR_CASE(number, NAME, code, status, sure, text) \
	case number:                                       \
		return &errors[ERROR_##NAME];
const struct proto_error_info *proto_error_info(enum proto_code error)
{
	switch ((unsigned int)error) {
		PROTO_ERRORS(ERROR_CASE)
	default:
		return &errors[ERROR_INTERNAL];
	}
}

const struct proto_error_info *proto_error_find(struct proto_span code)
{
	for (size_t i = 0; i < COUNT(errors); i++) {
		if (name_is(code, errors[i].code, strlen(errors[i].code))) {
			return &errors[i];
		}
	}
	return &errors[ERROR_INTERNAL];
}

const struct proto_error_info *proto_error_at(size_t index)
{
	return index < COUNT(errors) ? &errors[index] : NULL;
}
