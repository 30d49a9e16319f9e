/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * JSON text to structs, by way of jansson.
 *
 * The nesting is counted before jansson sees the text. Then, as for msgpack, one walk checks and
 * counts memory and a second one fills (value.h). Base64 is decoded in the second, which can
 * therefore fail. Strings are copied: a message does not refer to jansson's tree.
 */

#include "proto/value.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#define BASE64 sodium_base64_VARIANT_ORIGINAL
#define PARSER_FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

struct decoder {
	struct proto_memory memory;
	struct proto_fault *fault;
};

static int fail(struct decoder *decoder, enum proto_code error, const char *name, const char *what)
{
	return proto_fault_set(decoder->fault, error, proto_span(name), what);
}

static struct proto_span string_span(const json_t *value)
{
	return (struct proto_span){json_string_value(value), json_string_length(value)};
}

/* --- fields --- */

static int read_object(struct decoder *decoder, const struct proto_record *record, json_t *object,
		       void *body);

static int read_number(struct decoder *decoder, const char *name, uint64_t max, const json_t *value,
		       uint64_t *ret_number)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0) {
		return fail(decoder, PROTO_E_WRONG_TYPE, name, "has another type");
	}
	if ((uint64_t)json_integer_value(value) > max) {
		return fail(decoder, PROTO_E_LIMIT, name, "past its limit");
	}
	*ret_number = (uint64_t)json_integer_value(value);
	return 0;
}

static int read_id(struct decoder *decoder, const char *name, const json_t *value,
		   struct proto_id *ret_id)
{
	if (!json_is_string(value)) {
		return fail(decoder, PROTO_E_WRONG_TYPE, name, "has another type");
	}
	if (!proto_id_parse(string_span(value), ret_id)) {
		return fail(decoder, PROTO_E_BAD_VALUE, name, "an id has 32 hex digits");
	}
	return 0;
}

static int read_text(struct decoder *decoder, const struct proto_field *field, const json_t *value,
		     struct proto_span *to)
{
	struct proto_span text = string_span(value);
	char *copy;

	if (text.size > field->max) {
		return fail(decoder, PROTO_E_LIMIT, field->name, "past its limit");
	}
	copy = proto_memory_take(&decoder->memory, text.size);
	if (to && text.size > 0) {
		memcpy(copy, text.data, text.size);
		*to = (struct proto_span){copy, text.size};
	}
	return 0;
}

/* Bytes that base64 of that many characters gives, padding not counted; too many if it is bad. */
static size_t decoded_size(struct proto_span text)
{
	size_t padding = 0;

	while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=') {
		padding++;
	}
	return (text.size - padding) * 3 / 4;
}

static int read_bytes(struct decoder *decoder, const struct proto_field *field, const json_t *value,
		      struct proto_span *to)
{
	struct proto_span text = string_span(value);
	size_t size = decoded_size(text);
	unsigned char *bytes;

	if (size > field->max) {
		return fail(decoder, PROTO_E_LIMIT, field->name, "past its limit");
	}
	bytes = proto_memory_take(&decoder->memory, size);
	if (!to) {
		return 0;
	}
	if (sodium_base642bin(bytes, size, text.data, text.size, NULL, &size, NULL, BASE64) != 0) {
		return fail(decoder, PROTO_E_BAD_VALUE, field->name, "not base64");
	}
	*to = (struct proto_span){size > 0 ? (const char *)bytes : NULL, size};
	return 0;
}

static int read_enum(struct decoder *decoder, const struct proto_field *field, const json_t *value,
		     void *to)
{
	const struct proto_enum_value *found = proto_enum_value_find(field->values,
								     string_span(value));

	if (!found) {
		return fail(decoder, PROTO_E_BAD_VALUE, field->name, "not among its values");
	}
	if (to) {
		memcpy(to, &found->number, sizeof(found->number));
	}
	return 0;
}

static int read_list(struct decoder *decoder, const struct proto_field *field, const json_t *value,
		     struct proto_list *to)
{
	const struct proto_record *record = field->record;
	size_t count = json_array_size(value);
	char *items;

	if (count > field->max) {
		return fail(decoder, PROTO_E_LIMIT, field->name, "too many entries");
	}
	items = proto_memory_take(&decoder->memory, count * record->size);
	if (to) {
		*to = (struct proto_list){count > 0 ? items : NULL, count};
	}
	for (size_t i = 0; i < count; i++) {
		int r = read_object(decoder, record, json_array_get(value, i),
				    to ? items + i * record->size : NULL);

		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static bool has_type(const struct proto_field *field, const json_t *value)
{
	switch (field->kind) {
	case PROTO_KIND_BOOL:
		return json_is_boolean(value);
	case PROTO_KIND_U64:
		return json_is_integer(value);
	case PROTO_KIND_LIST:
		return json_is_array(value);
	default:
		return json_is_string(value);
	}
}

static int read_field(struct decoder *decoder, const struct proto_field *field, const json_t *value,
		      void *to)
{
	union {
		uint64_t number;
		struct proto_id id;
	} unused;

	if (!has_type(field, value)) {
		return fail(decoder, PROTO_E_WRONG_TYPE, field->name, "has another type");
	}
	switch (field->kind) {
	case PROTO_KIND_BOOL:
		if (to) {
			*(bool *)to = json_is_true(value);
		}
		return 0;
	case PROTO_KIND_U64:
		return read_number(decoder, field->name, field->max, value,
				   to ? to : &unused.number);
	case PROTO_KIND_ID:
		return read_id(decoder, field->name, value, to ? to : &unused.id);
	case PROTO_KIND_TEXT:
		return read_text(decoder, field, value, to);
	case PROTO_KIND_BYTES:
		return read_bytes(decoder, field, value, to);
	case PROTO_KIND_ENUM:
		return read_enum(decoder, field, value, to);
	case PROTO_KIND_LIST:
		return read_list(decoder, field, value, to);
	}
	return -EINVAL;
}

static int read_object(struct decoder *decoder, const struct proto_record *record, json_t *object,
		       void *body)
{
	if (!json_is_object(object)) {
		return fail(decoder, PROTO_E_WRONG_TYPE, record->name, "not an object");
	}
	if (json_object_size(object) > PROTO_MAP_KEYS_MAX) {
		return fail(decoder, PROTO_E_LIMIT, record->name, "too many keys");
	}
	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];
		const json_t *value = json_object_get(object, field->name);
		int r = 0;

		if (value) {
			r = read_field(decoder, field, value,
				       body ? (char *)body + field->offset : NULL);
		} else if (field->must) {
			r = fail(decoder, PROTO_E_MISSING_FIELD, field->name, "is missing");
		}
		if (r != 0) {
			return r;
		}
	}
	return 0;
}

/* Both walks over the fields of an object. */
static int read_body(struct decoder *decoder, const struct proto_record *record, json_t *object,
		     void **ret_body)
{
	void *body;
	int r;

	(void)proto_memory_take(&decoder->memory, record->size);
	r = read_object(decoder, record, object, NULL);
	if (r != 0) {
		return r;
	}
	decoder->memory.base = calloc(1, decoder->memory.used);
	if (!decoder->memory.base) {
		return -ENOMEM;
	}
	decoder->memory.used = 0;
	body = proto_memory_take(&decoder->memory, record->size);
	r = read_object(decoder, record, object, body);
	if (r != 0) {
		free(decoder->memory.base);
		decoder->memory.base = NULL;
		return r;
	}
	*ret_body = body;
	return 0;
}

/* --- the header --- */

static int read_type(struct decoder *decoder, const json_t *value, struct proto_header *header)
{
	const struct proto_type_info *info;

	if (!value) {
		return fail(decoder, PROTO_E_MISSING_FIELD, "t", "is missing");
	}
	if (!json_is_string(value)) {
		return fail(decoder, PROTO_E_WRONG_TYPE, "t", "has another type");
	}
	info = proto_type_find(string_span(value));
	if (!info) {
		return fail(decoder, PROTO_E_UNKNOWN_TYPE, "t", "no message has this type");
	}
	header->type = info->type;
	return 0;
}

static int read_header_number(struct decoder *decoder, const json_t *object, const char *key,
			      uint64_t *ret_number)
{
	const json_t *value = json_object_get(object, key);

	return value ? read_number(decoder, key, PROTO_NUMBER_MAX, value, ret_number) : 0;
}

/* Reads all of it, and returns the last error: that of "t" if it has one. */
static int read_header(struct decoder *decoder, const json_t *object, struct proto_header *header)
{
	const json_t *trace = json_object_get(object, "x");
	int error = trace ? read_id(decoder, "x", trace, &header->trace) : 0;
	int r = read_header_number(decoder, object, "d", &header->deadline_ms);

	error = r ? r : error;
	r = read_header_number(decoder, object, "i", &header->request);
	error = r ? r : error;
	r = read_type(decoder, json_object_get(object, "t"), header);
	return r ? r : error;
}

/* --- whole texts --- */

/* Deepest nesting of brackets outside of strings; wrong text is left to the parser. */
static bool is_too_deep(const char *data, size_t size)
{
	bool in_string = false;
	unsigned int depth = 0;

	for (size_t i = 0; i < size; i++) {
		char c = data[i];

		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > PROTO_DEPTH_MAX) {
				return true;
			}
		} else if (c == '}' || c == ']') {
			depth -= depth > 0;
		}
	}
	return false;
}

static int parse(struct decoder *decoder, const char *data, size_t size, json_t **ret_object)
{
	json_error_t error;
	json_t *object;

	if (size > PROTO_FRAME_BYTES_MAX) {
		return fail(decoder, PROTO_E_LIMIT, NULL, "the frame is too large");
	}
	if (is_too_deep(data, size)) {
		return fail(decoder, PROTO_E_LIMIT, NULL, "nested too deeply");
	}
	object = json_loadb(data, size, PARSER_FLAGS, &error);
	if (json_is_object(object)) {
		*ret_object = object;
		return 0;
	}
	if (object) {
		json_decref(object);
		return fail(decoder, PROTO_E_MALFORMED, NULL, "not an object");
	}
	switch (json_error_code(&error)) {
	case json_error_out_of_memory:
		return -ENOMEM;
	case json_error_numeric_overflow:
		return fail(decoder, PROTO_E_LIMIT, NULL, "a number is past its limit");
	default:
		return fail(decoder, PROTO_E_MALFORMED, NULL, "not JSON");
	}
}

int proto_decode_json(const char *data, size_t size, struct proto_message *ret_message,
		      struct proto_fault *ret_fault)
{
	struct proto_message message = PROTO_MESSAGE_INIT;
	struct decoder decoder = {.fault = ret_fault};
	json_t *object = NULL;
	int r;

	r = parse(&decoder, data, size, &object);
	if (r == 0) {
		r = read_header(&decoder, object, &message.header);
		message.info = proto_type_info(message.header.type);
	}
	if (r == 0) {
		r = read_body(&decoder, message.info->record, object, &message.body);
	}
	json_decref(object);
	message.memory = decoder.memory.base;
	*ret_message = message;
	return r;
}

int proto_decode_json_body(const struct proto_type_info *info, json_t *object,
			   struct proto_message *ret_message, struct proto_fault *ret_fault)
{
	struct proto_message message = {.header = {.type = info->type}, .info = info};
	struct decoder decoder = {.fault = ret_fault};
	int r = read_body(&decoder, info->record, object, &message.body);

	message.memory = decoder.memory.base;
	*ret_message = message;
	return r;
}
