/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Fields of structs, keys of maps, and faults: the parts of a codec that do not know the format.
 */

#include "proto/value.h"

#include <errno.h>
#include <stdio.h>

/* proto_field_enum() reads every enum as an unsigned int. */
#define ENUM_ASSERT(x) _Static_assert(sizeof(enum proto_##x) == sizeof(unsigned int), "enum " #x);
PROTO_ENUMS(ENUM_ASSERT)
/* struct proto_list stands for every list. */
#define LIST_ASSERT(x, text)                                                            \
	_Static_assert(sizeof(struct proto_list_##x) == sizeof(struct proto_list), #x); \
	_Static_assert(                                                                 \
		offsetof(struct proto_list_##x, count) == offsetof(struct proto_list, count), #x);
PROTO_RECORDS(LIST_ASSERT)

const void *proto_body_absent(void)
{
	static const uint64_t zeros[PROTO_BODY_BYTES_MAX / sizeof(uint64_t)];

	return zeros;
}

bool proto_field_is_set(const struct proto_field *field, const void *value)
{
	switch (field->kind) {
	case PROTO_KIND_BOOL:
		return *(const bool *)value;
	case PROTO_KIND_U64:
		return *(const uint64_t *)value != 0;
	case PROTO_KIND_ID:
		return !proto_id_is_none(value);
	case PROTO_KIND_TEXT:
	case PROTO_KIND_BYTES:
		return ((const struct proto_span *)value)->size > 0;
	case PROTO_KIND_ENUM:
		return proto_field_enum(value) != 0;
	case PROTO_KIND_LIST:
		return ((const struct proto_list *)value)->count > 0;
	}
	return false;
}

int proto_field_check(const struct proto_field *field, const void *value)
{
	const struct proto_span *span = value;

	switch (field->kind) {
	case PROTO_KIND_BOOL:
	case PROTO_KIND_ID:
		return 0;
	case PROTO_KIND_U64:
		return *(const uint64_t *)value <= field->max ? 0 : -EMSGSIZE;
	case PROTO_KIND_TEXT:
		if (span->size > field->max) {
			return -EMSGSIZE;
		}
		return proto_span_is_utf8(*span) ? 0 : -EINVAL;
	case PROTO_KIND_BYTES:
		return span->size <= field->max ? 0 : -EMSGSIZE;
	case PROTO_KIND_ENUM:
		return proto_enum_value_of(field->values, proto_field_enum(value)) ? 0 : -EINVAL;
	case PROTO_KIND_LIST:
		return ((const struct proto_list *)value)->count <= field->max ? 0 : -EMSGSIZE;
	}
	return -EINVAL;
}

const struct proto_enum_value *proto_enum_value_of(const struct proto_enum_info *info,
						   unsigned int number)
{
	for (size_t i = 0; i < info->value_count; i++) {
		if (info->values[i].number == number) {
			return &info->values[i];
		}
	}
	return NULL;
}

const struct proto_enum_value *proto_enum_value_find(const struct proto_enum_info *info,
						     struct proto_span name)
{
	for (size_t i = 0; i < info->value_count; i++) {
		const struct proto_enum_value *value = &info->values[i];

		if (value->name_size == name.size &&
		    memcmp(value->name, name.data, name.size) == 0) {
			return value;
		}
	}
	return NULL;
}

size_t proto_key_find(const struct proto_record *record, const char *key, size_t size, size_t *next)
{
	size_t at = *next;

	for (size_t tried = 0; tried < record->field_count; tried++, at++) {
		const struct proto_field *field;

		if (at >= record->field_count) {
			at = 0;
		}
		field = &record->fields[at];
		if (field->name_size == size && memcmp(field->name, key, size) == 0) {
			*next = at + 1;
			return at;
		}
	}
	return PROTO_NOT_A_FIELD;
}

const struct proto_field *proto_record_missing(const struct proto_record *record, uint64_t seen)
{
	for (size_t i = 0; i < record->field_count; i++) {
		if (record->fields[i].must && (seen & 1ULL << i) == 0) {
			return &record->fields[i];
		}
	}
	return NULL;
}

int proto_fault_set(struct proto_fault *fault, enum proto_code error, struct proto_span name,
		    const char *what)
{
	if (fault) {
		fault->error = error;
		(void)snprintf(fault->detail, sizeof(fault->detail), "%.*s%s%s", (int)name.size,
			       name.data ? name.data : "", name.size > 0 ? ": " : "", what);
	}
	return (int)error;
}
