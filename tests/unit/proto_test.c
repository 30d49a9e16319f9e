/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The wire protocol: tables, ids, both codecs against proto/vectors.json, every limit exceeded by
 * one, and allocations that fail.
 */

#include "proto/proto.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h> /* msgpack needs it */
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

/* --- allocations that fail --- */

static unsigned int allocations_left = UINT32_MAX;

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool may_allocate(void)
{
	if (allocations_left == 0) {
		return false;
	}
	allocations_left--;
	return true;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return may_allocate() ? __real_realloc(old, size) : NULL;
}

/* --- tables --- */

Test(table, numbers_and_names_are_unique)
{
	const struct proto_type_info *info;

	for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
		cr_assert_eq(proto_type_info(info->type), info);
		cr_assert_eq(proto_type_find(proto_span(info->record->name)), info);
		cr_assert_not_null(proto_type_info(info->reply), "%s", info->record->name);
	}
	cr_assert_null(proto_type_info(0));
	cr_assert_null(proto_type_info(UINT64_MAX));
	cr_assert_null(proto_type_find(PROTO_SPAN("pin")));
	cr_assert_null(proto_type_find(proto_span(NULL)));
}

Test(table, answers_are_replies)
{
	const struct proto_type_info *info;

	for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
		if (info->caller != PROTO_CALLER_FEED && info->caller != PROTO_CALLER_REPLY) {
			cr_assert_eq(proto_type_info(info->reply)->caller, PROTO_CALLER_REPLY, "%s",
				     info->record->name);
			cr_assert_neq(info->at, PROTO_AT_NONE, "%s", info->record->name);
		}
	}
}

static size_t record_index(const struct proto_record *record)
{
	size_t i = 0;

	while (proto_record_at(i) && proto_record_at(i) != record) {
		i++;
	}
	return i;
}

static void check_fields(const struct proto_record *record)
{
	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];

		cr_assert_eq(proto_record_field(record, proto_span(field->name)), field);
		cr_assert_geq(field->name_size, 2);
		cr_assert_eq(field->name_size, strlen(field->name));
		cr_assert_eq(field->kind == PROTO_KIND_LIST, field->record != NULL);
		cr_assert_eq(field->kind == PROTO_KIND_ENUM, field->values != NULL);
		if (field->kind == PROTO_KIND_U64) {
			cr_assert_leq(field->max, PROTO_NUMBER_MAX);
		}
		if (field->kind == PROTO_KIND_LIST || field->kind == PROTO_KIND_TEXT ||
		    field->kind == PROTO_KIND_BYTES) {
			cr_assert_gt(field->max, 0);
		}
	}
	cr_assert_null(proto_record_field(record, PROTO_SPAN("t")));
}

Test(table, records_stand_after_those_that_they_use)
{
	const struct proto_record *record;

	for (size_t i = 0; (record = proto_record_at(i)) != NULL; i++) {
		check_fields(record);
		for (size_t k = 0; k < record->field_count; k++) {
			if (record->fields[k].record) {
				cr_assert_lt(record_index(record->fields[k].record), i, "%s",
					     record->name);
			}
		}
	}
	for (size_t i = 0; proto_type_at(i) != NULL; i++) {
		check_fields(proto_type_at(i)->record);
	}
}

/* The outermost map is 1; a list and its maps add two. */
static unsigned int nesting(const struct proto_record *record)
{
	unsigned int deepest = 1;

	for (size_t i = 0; i < record->field_count; i++) {
		if (record->fields[i].record) {
			unsigned int depth = nesting(record->fields[i].record) + 2;

			deepest = depth > deepest ? depth : deepest;
		}
	}
	return deepest;
}

Test(table, no_message_is_nested_past_the_limit)
{
	for (size_t i = 0; proto_type_at(i) != NULL; i++) {
		cr_assert_leq(nesting(proto_type_at(i)->record), PROTO_DEPTH_MAX);
	}
}

Test(table, errors)
{
	const struct proto_error_info *info;

	for (size_t i = 0; (info = proto_error_at(i)) != NULL; i++) {
		cr_assert_eq(proto_error_info(info->number), info);
		cr_assert_eq(proto_error_find(proto_span(info->code)), info);
		cr_assert(info->status >= 400 && info->status < 600);
	}
	cr_assert_eq(proto_error_info((enum proto_code)9999)->number, PROTO_E_INTERNAL);
	cr_assert_eq(proto_error_find(PROTO_SPAN("nonsense"))->number, PROTO_E_INTERNAL);
	cr_assert_not(proto_error_info(PROTO_E_TIMEOUT)->sure);
	cr_assert(proto_error_info(PROTO_E_BUSY)->sure);
}

Test(table, enums)
{
	cr_assert_str_eq(proto_room_kind_name(PROTO_ROOM_KIND_PUBLIC), "public");
	cr_assert_null(proto_room_kind_name(PROTO_room_kind_absent));
	cr_assert_null(proto_role_name((enum proto_role)99));
	for (size_t i = 0; proto_enum_at(i) != NULL; i++) {
		cr_assert_gt(proto_enum_at(i)->value_count, 0);
		for (size_t k = 0; k < proto_enum_at(i)->value_count; k++) {
			cr_assert_neq(proto_enum_at(i)->values[k].number, 0);
		}
	}
}

/* --- ids and spans --- */

Test(id, format_and_parse)
{
	struct proto_id id = {{0x01, 0xab, 0xff}};
	struct proto_id other = {{0}};
	char text[PROTO_ID_TEXT_BYTES];

	proto_id_format(&id, text);
	cr_assert_str_eq(text, "01abff00000000000000000000000000");
	cr_assert(proto_id_parse(proto_span(text), &other));
	cr_assert(proto_id_equal(&id, &other));
	cr_assert(proto_id_parse(PROTO_SPAN("01ABFF00000000000000000000000000"), &other));
	cr_assert(proto_id_equal(&id, &other));
	cr_assert_eq(proto_id_slot(&id), 0x01a);
	cr_assert_not(proto_id_is_none(&id));
}

Test(id, bad_text_changes_nothing)
{
	static const char *const rows[] = {
		"",
		"01",
		"01abff0000000000000000000000000g",
		"01abff000000000000000000000000000",
		"01abff0000000000000000000000000 ",
	};
	struct proto_id id = {{0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_not(proto_id_parse(proto_span(rows[i]), &id), "%s", rows[i]);
		cr_assert(proto_id_is_none(&id));
	}
}

Test(span, utf8)
{
	static const struct {
		struct proto_span text;
		bool valid;
	} rows[] = {
		{PROTO_SPAN(""), true},
		{PROTO_SPAN("plain text, longer than one word"), true},
		{PROTO_SPAN("\0"), true},
		{PROTO_SPAN("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80"), true},
		{PROTO_SPAN("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"), true},
		{PROTO_SPAN("\x80"), false},
		{PROTO_SPAN("\xc0\x80"), false},
		{PROTO_SPAN("\xc1\xbf"), false},
		{PROTO_SPAN("\xc2"), false},
		{PROTO_SPAN("\xe0\x9f\xbf"), false},
		{PROTO_SPAN("\xe2\x82"), false},
		{PROTO_SPAN("\xe2\x82\x28"), false},
		{PROTO_SPAN("\xed\xa0\x80"), false},
		{PROTO_SPAN("\xf0\x8f\xbf\xbf"), false},
		{PROTO_SPAN("\xf4\x90\x80\x80"), false},
		{PROTO_SPAN("\xf5\x80\x80\x80"), false},
		{PROTO_SPAN("sixteen letters \xff"), false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(proto_span_is_utf8(rows[i].text), rows[i].valid, "row %zu", i);
	}
}

Test(span, equal)
{
	cr_assert(proto_span_equal(PROTO_SPAN("a"), proto_span("a")));
	cr_assert(proto_span_equal(PROTO_SPAN(""), proto_span(NULL)));
	cr_assert_not(proto_span_equal(PROTO_SPAN("a"), PROTO_SPAN("b")));
	cr_assert_not(proto_span_equal(PROTO_SPAN("a"), PROTO_SPAN("ab")));
}

Test(buffer, take_leaves_it_empty)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct proto_header header = {.type = PROTO_PING};
	size_t size;
	char *data;

	cr_assert_eq(proto_encode(&buffer, &header, NULL), 0);
	data = proto_buffer_take(&buffer, &size);
	cr_assert_eq(size, 4);
	cr_assert_arr_eq(data, "\x81\xa1t\x03", 4);
	cr_assert_null(buffer.data);
	cr_assert_eq(buffer.size, 0);
	free(data);
	proto_buffer_deinit(&buffer);
}

/* --- vectors --- */

static json_t *load_vectors(void)
{
	const char *root = getenv("SOURCE_ROOT");
	char path[4096];
	json_t *vectors;

	cr_assert_not_null(root, "SOURCE_ROOT is not set");
	(void)snprintf(path, sizeof(path), "%s/proto/vectors.json", root);
	vectors = json_load_file(path, JSON_ALLOW_NUL, NULL);
	cr_assert_not_null(vectors, "%s", path);
	return vectors;
}

static const char *row_text(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

/* The bytes of a hex string, in memory of exactly that size, so that ASan sees a read past it. */
static char *row_bytes(const json_t *row, size_t *ret_size)
{
	const char *hex = row_text(row, "msgpack");
	size_t size = strlen(hex) / 2;
	char *bytes = malloc(size > 0 ? size : 1);

	for (size_t i = 0; i < size; i++) {
		unsigned int byte;

		cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
		bytes[i] = (char)byte;
	}
	*ret_size = size;
	return bytes;
}

static char *copy_text(const char *text, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);

	memcpy(copy, text, size);
	return copy;
}

static void assert_encodes_to(const struct proto_message *message, struct proto_span packed,
			      struct proto_span text, const char *name)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;

	cr_assert_eq(proto_encode(&buffer, &message->header, message->body), 0, "%s", name);
	cr_assert_eq(buffer.size, packed.size, "%s", name);
	cr_assert_arr_eq(buffer.data, packed.data, packed.size, "%s", name);
	proto_buffer_reset(&buffer);
	cr_assert_eq(proto_encode_json(&buffer, &message->header, message->body), 0, "%s", name);
	cr_assert_eq(buffer.size, text.size, "%s: %.*s", name, (int)buffer.size, buffer.data);
	cr_assert_arr_eq(buffer.data, text.data, text.size, "%s", name);
	proto_buffer_deinit(&buffer);
}

Test(vectors, messages_in_both_forms)
{
	json_t *vectors = load_vectors();
	json_t *rows = json_object_get(vectors, "messages");
	json_t *row;
	size_t i;

	cr_assert_gt(json_array_size(rows), 100);
	json_array_foreach(rows, i, row)
	{
		struct proto_span text = proto_span(row_text(row, "json"));
		struct proto_message message = PROTO_MESSAGE_INIT;
		struct proto_fault fault = {0};
		size_t size;
		char *bytes = row_bytes(row, &size);
		const char *name = row_text(row, "name");

		cr_assert_eq(proto_decode(bytes, size, &message, &fault), 0, "%s: %s", name,
			     fault.detail);
		cr_assert_str_eq(message.info->record->name, name);
		assert_encodes_to(&message, (struct proto_span){bytes, size}, text, name);
		proto_message_deinit(&message);
		cr_assert_eq(proto_decode_json(text.data, text.size, &message, &fault), 0, "%s: %s",
			     name, fault.detail);
		assert_encodes_to(&message, (struct proto_span){bytes, size}, text, name);
		proto_message_deinit(&message);
		free(bytes);
	}
	json_decref(vectors);
}

Test(vectors, accepted)
{
	json_t *vectors = load_vectors();
	json_t *rows = json_object_get(vectors, "accepted");
	json_t *row;
	size_t i;

	cr_assert_gt(json_array_size(rows), 0);
	json_array_foreach(rows, i, row)
	{
		struct proto_message message = PROTO_MESSAGE_INIT;
		struct proto_buffer buffer = PROTO_BUFFER_INIT;
		struct proto_fault fault = {0};
		const char *text = row_text(row, "json");
		size_t size;
		char *bytes = row_bytes(row, &size);

		cr_assert_eq(proto_decode(bytes, size, &message, &fault), 0, "%s: %s",
			     row_text(row, "name"), fault.detail);
		cr_assert_eq(proto_encode_json(&buffer, &message.header, message.body), 0);
		cr_assert_eq(buffer.size, strlen(text), "%s", row_text(row, "name"));
		cr_assert_arr_eq(buffer.data, text, buffer.size, "%s", row_text(row, "name"));
		proto_buffer_deinit(&buffer);
		proto_message_deinit(&message);
		free(bytes);
	}
	json_decref(vectors);
}

static int decode_row(const json_t *row, struct proto_message *ret_message,
		      struct proto_fault *ret_fault)
{
	const char *text = row_text(row, "json");
	size_t size;
	char *bytes;
	int r;

	if (text) {
		size = strlen(text);
		bytes = copy_text(text, size);
		r = proto_decode_json(bytes, size, ret_message, ret_fault);
	} else {
		bytes = row_bytes(row, &size);
		r = proto_decode(bytes, size, ret_message, ret_fault);
	}
	free(bytes);
	return r;
}

Test(vectors, refused)
{
	json_t *vectors = load_vectors();
	json_t *rows = json_object_get(vectors, "refused");
	json_t *row;
	size_t i;

	cr_assert_gt(json_array_size(rows), 50);
	json_array_foreach(rows, i, row)
	{
		struct proto_message message = PROTO_MESSAGE_INIT;
		struct proto_fault fault = {0};
		const char *name = row_text(row, "name");
		int r = decode_row(row, &message, &fault);

		cr_assert_gt(r, 0, "row %zu, %s", i, name);
		cr_assert_str_eq(proto_error_info((enum proto_code)r)->code, row_text(row, "error"),
				 "row %zu, %s: %s", i, name, fault.detail);
		cr_assert_eq((int)fault.error, r);
		cr_assert_gt(strlen(fault.detail), 0);
		cr_assert_null(message.memory);
		cr_assert_null(message.body);
		proto_message_deinit(&message);
	}
	json_decref(vectors);
}

/* Every prefix of a valid frame is refused, and nothing past it is read. */
Test(vectors, cut_off_anywhere)
{
	json_t *vectors = load_vectors();
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "messages"), i, row)
	{
		size_t size;
		char *bytes = row_bytes(row, &size);

		for (size_t cut = 0; cut < size; cut++) {
			struct proto_message message;
			char *part = copy_text(bytes, cut);

			cr_assert_eq(proto_decode(part, cut, &message, NULL), PROTO_E_MALFORMED);
			cr_assert_null(message.memory);
			free(part);
		}
		free(bytes);
	}
	json_decref(vectors);
}

/* --- failures keep the header --- */

Test(decode, header_survives_a_fault)
{
	static const char late[] = "\x84\xa1t\x01\xa4"
				   "code\x05\xa1i\x07\xa1"
				   "d\x09";
	static const char *const text = "{\"t\":\"error\",\"code\":5,\"i\":7,\"d\":9}";
	struct proto_message message;
	struct proto_fault fault;

	cr_assert_eq(proto_decode(late, sizeof(late) - 1, &message, &fault), PROTO_E_WRONG_TYPE);
	cr_assert_eq(message.header.type, PROTO_ERROR);
	cr_assert_eq(message.header.request, 7);
	cr_assert_eq(message.header.deadline_ms, 9);
	cr_assert_str_eq(fault.detail, "code: has another type");
	cr_assert_eq(proto_decode_json(text, strlen(text), &message, &fault), PROTO_E_WRONG_TYPE);
	cr_assert_eq(message.header.request, 7);
	cr_assert_eq(message.header.deadline_ms, 9);
}

Test(decode, unknown_type_keeps_the_request)
{
	struct proto_message message;

	cr_assert_eq(proto_decode("\x82\xa1t\xcc\xff\xa1i\x07", 8, &message, NULL),
		     PROTO_E_UNKNOWN_TYPE);
	cr_assert_eq(message.header.request, 7);
}

Test(decode, nothing_at_no_address)
{
	struct proto_message message;

	cr_assert_eq(proto_decode(NULL, 0, &message, NULL), PROTO_E_MALFORMED);
	cr_assert_eq(proto_decode_record(PROTO_RECORD(event), NULL, 0, &message, NULL),
		     PROTO_E_MALFORMED);
	cr_assert_eq(proto_decode_json(NULL, 0, &message, NULL), PROTO_E_MALFORMED);
}

/* --- limits, exceeded by one --- */

static struct proto_buffer bytes_of(const char *head, size_t head_size, char filler, size_t count)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;

	buffer.data = malloc(head_size + count);
	buffer.size = head_size + count;
	memcpy(buffer.data, head, head_size);
	memset(buffer.data + head_size, filler, count);
	return buffer;
}

Test(limit, frame)
{
	/* {"t": 3, "zz": bin of the rest} */
	static const char head[] = "\x82\xa1t\x03\xa2zz\xc6\x00\x0f\xff\xf4";
	struct proto_buffer frame = bytes_of(head, sizeof(head) - 1, 'a',
					     PROTO_FRAME_BYTES_MAX - (sizeof(head) - 1) + 1);
	struct proto_message message;

	cr_assert_eq(proto_decode(frame.data, frame.size, &message, NULL), PROTO_E_LIMIT);
	cr_assert_eq(proto_decode(frame.data, frame.size - 1, &message, NULL), 0);
	proto_message_deinit(&message);
	cr_assert_eq(
		proto_decode_record(PROTO_RECORD(user_ref), frame.data, frame.size, &message, NULL),
		PROTO_E_LIMIT);
	cr_assert_eq(proto_decode_json(frame.data, frame.size, &message, NULL), PROTO_E_LIMIT);
	proto_buffer_deinit(&frame);
}

/* {"t": 3} and `count` other keys, as msgpack or as JSON. */
static struct proto_buffer keys_of(size_t count, bool json)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	FILE *out = open_memstream(&buffer.data, &buffer.size);

	fprintf(out, json ? "{\"t\":\"ping\"" : "%c%c%c\xa1t\x03", 0xde, 0, (int)count + 1);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, json ? ",\"k%02zu\":0" : "\xa3k%02zu%c", i, 0x00);
	}
	if (json) {
		fputc('}', out);
	}
	(void)fclose(out);
	return buffer;
}

Test(limit, keys)
{
	for (int json = 0; json < 2; json++) {
		for (size_t extra = 0; extra < 2; extra++) {
			struct proto_buffer frame = keys_of(PROTO_MAP_KEYS_MAX - 1 + extra,
							    json != 0);
			struct proto_message message;
			int r = json ? proto_decode_json(frame.data, frame.size, &message, NULL)
				     : proto_decode(frame.data, frame.size, &message, NULL);

			cr_assert_eq(r, extra ? PROTO_E_LIMIT : 0, "json %d, extra %zu", json,
				     extra);
			proto_message_deinit(&message);
			free(frame.data);
		}
	}
}

Test(limit, unknown_maps_have_limits_too)
{
	struct proto_message message;
	struct proto_buffer frame = bytes_of("\x82\xa1t\x03\xa2zz\xde\x00\x41", 10, '\x00', 130);

	cr_assert_eq(proto_decode(frame.data, frame.size, &message, NULL), PROTO_E_LIMIT);
	proto_buffer_deinit(&frame);
}

Test(limit, depth)
{
	static const char deepest[] = "\x82\xa1t\x03\xa2zz\x91\x91\x91\x91\x91\x91\x91\xc0";
	static const char *const text =
		"{\"t\":\"ping\",\"zz\":[[[[[[[0]]]]]]],\"yy\":\"\\\"[[[[[[[[[\"}";
	struct proto_message message;

	cr_assert_eq(proto_decode(deepest, sizeof(deepest) - 1, &message, NULL), 0);
	proto_message_deinit(&message);
	cr_assert_eq(proto_decode_json(text, strlen(text), &message, NULL), 0);
	proto_message_deinit(&message);
}

/* A record of one field alone. NIL: the value is nil; else as large as `size` says. */
static msgpack_sbuffer field_alone(const struct proto_field *field, bool nil, uint64_t size)
{
	static char filler[PROTO_FRAME_BYTES_MAX];
	msgpack_sbuffer out;
	msgpack_packer packer;

	memset(filler, 'a', sizeof(filler));
	msgpack_sbuffer_init(&out);
	msgpack_packer_init(&packer, &out, msgpack_sbuffer_write);
	(void)msgpack_pack_map(&packer, 1);
	(void)msgpack_pack_str_with_body(&packer, field->name, field->name_size);
	if (nil) {
		(void)msgpack_pack_nil(&packer);
	} else if (field->kind == PROTO_KIND_U64) {
		(void)msgpack_pack_uint64(&packer, size);
	} else if (field->kind == PROTO_KIND_TEXT) {
		(void)msgpack_pack_str_with_body(&packer, filler, size);
	} else if (field->kind == PROTO_KIND_BYTES) {
		(void)msgpack_pack_bin_with_body(&packer, filler, size);
	} else {
		(void)msgpack_pack_array(&packer, size);
		for (uint64_t i = 0; i < size; i++) {
			(void)msgpack_pack_map(&packer, 0);
		}
	}
	return out;
}

static int decode_alone(const struct proto_record *record, const struct proto_field *field,
			bool nil, uint64_t size)
{
	msgpack_sbuffer bytes = field_alone(field, nil, size);
	struct proto_message message;
	int r = proto_decode_record(record, bytes.data, bytes.size, &message, NULL);

	proto_message_deinit(&message);
	msgpack_sbuffer_destroy(&bytes);
	return r;
}

static void check_limits(const struct proto_record *record)
{
	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];

		cr_assert_eq(decode_alone(record, field, true, 0), PROTO_E_WRONG_TYPE, "%s.%s",
			     record->name, field->name);
		if (field->kind == PROTO_KIND_BOOL || field->kind == PROTO_KIND_ID ||
		    field->kind == PROTO_KIND_ENUM) {
			continue;
		}
		cr_assert_eq(decode_alone(record, field, false, field->max + 1), PROTO_E_LIMIT,
			     "%s.%s", record->name, field->name);
		cr_assert_neq(decode_alone(record, field, false, field->max), PROTO_E_LIMIT,
			      "%s.%s", record->name, field->name);
	}
}

Test(limit, every_field_of_every_message)
{
	for (size_t i = 0; proto_record_at(i) != NULL; i++) {
		check_limits(proto_record_at(i));
	}
	for (size_t i = 0; proto_type_at(i) != NULL; i++) {
		check_limits(proto_type_at(i)->record);
	}
}

/* --- encoding --- */

static int encode_both(enum proto_type type, const void *body)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct proto_header header = {.type = type};
	int r;

	/* What stands there already must stay. */
	cr_assert_eq(proto_encode(&buffer, &(struct proto_header){.type = PROTO_PING}, NULL), 0);
	r = proto_encode(&buffer, &header, body);
	cr_assert_eq(r == 0, buffer.size > 4);
	buffer.size = 4;
	cr_assert_eq(proto_encode_json(&buffer, &header, body), r);
	cr_assert_eq(r == 0, buffer.size > 4);
	cr_assert_arr_eq(buffer.data, "\x81\xa1t\x03", 4);
	proto_buffer_deinit(&buffer);
	return r;
}

Test(encode, values_past_their_limits)
{
	static char long_text[PROTO_FRAME_BYTES_MAX];
	struct proto_error error = {.code = {long_text, PROTO_NAME_BYTES_MAX}};
	struct proto_session_resume resume = {.secret = {long_text, PROTO_SECRET_BYTES + 1}};
	struct proto_event event = {.kind = PROTO_EVENT_KIND_MESSAGE};
	struct proto_cmid cmid = {.events = {&event, 1}};
	struct proto_cmid two = {.events = {&event, 2}};

	memset(long_text, 'a', sizeof(long_text));
	cr_assert_eq(encode_both(PROTO_ERROR, &error), 0);
	error.code.size++;
	cr_assert_eq(encode_both(PROTO_ERROR, &error), -EMSGSIZE);
	error = (struct proto_error){.code = PROTO_SPAN("a"), .retry_ms = PROTO_NUMBER_MAX + 1};
	cr_assert_eq(encode_both(PROTO_ERROR, &error), -EMSGSIZE);
	cr_assert_eq(encode_both(PROTO_SESSION_RESUME, &resume), -EMSGSIZE);
	cr_assert_eq(encode_both(PROTO_CMID, &cmid), 0);
	cr_assert_eq(encode_both(PROTO_CMID, &two), -EMSGSIZE);
	event.text = (struct proto_span){long_text, PROTO_TEXT_BYTES_MAX + 1};
	cr_assert_eq(encode_both(PROTO_CMID, &cmid), -EMSGSIZE);
}

Test(encode, frames_past_the_limit)
{
	static char text[PROTO_TEXT_BYTES_MAX];
	static struct proto_event events[PROTO_PAGE_MAX];
	struct proto_room_range range = {.events = {events, PROTO_PAGE_MAX}};

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < PROTO_PAGE_MAX; i++) {
		events[i] = (struct proto_event){.kind = PROTO_EVENT_KIND_MESSAGE,
						 .text = {text, sizeof(text)}};
	}
	cr_assert_eq(encode_both(PROTO_ROOM_RANGE, &range), -EMSGSIZE);
	range.events.count = 50;
	cr_assert_eq(encode_both(PROTO_ROOM_RANGE, &range), 0);
}

Test(encode, values_that_are_not_allowed)
{
	struct proto_error error = {.code = PROTO_SPAN("\xff")};
	struct proto_event event = {.kind = (enum proto_event_kind)99};

	cr_assert_eq(encode_both(PROTO_ERROR, &error), -EINVAL);
	cr_assert_eq(encode_both(PROTO_EVENT, &event), -EINVAL);
	cr_assert_eq(encode_both(PROTO_EVENT, NULL), -EINVAL, "a required enum is absent");
	cr_assert_eq(encode_both((enum proto_type)9999, NULL), -EINVAL);
	cr_assert_eq(encode_both(PROTO_OK, NULL), 0);
}

Test(encode, header_numbers_past_their_limit)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct proto_header header = {.type = PROTO_PING, .request = PROTO_NUMBER_MAX + 1};

	cr_assert_eq(proto_encode(&buffer, &header, NULL), -EMSGSIZE);
	cr_assert_eq(proto_encode_json(&buffer, &header, NULL), -EMSGSIZE);
	header = (struct proto_header){.type = PROTO_PING, .deadline_ms = PROTO_NUMBER_MAX + 1};
	cr_assert_eq(proto_encode(&buffer, &header, NULL), -EMSGSIZE);
	cr_assert_eq(proto_encode_json(&buffer, &header, NULL), -EMSGSIZE);
	cr_assert_eq(buffer.size, 0);
	proto_buffer_deinit(&buffer);
}

/* --- records, HTTP bodies --- */

Test(record, round_trip)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct proto_message message;
	struct proto_member member = {
		.user = {{1}}, .name = PROTO_SPAN("ann"), .role = PROTO_ROLE_OWNER};
	const struct proto_member *decoded;

	cr_assert_eq(proto_encode_record(&buffer, PROTO_RECORD(member), &member), 0);
	cr_assert_eq(
		proto_decode_record(PROTO_RECORD(member), buffer.data, buffer.size, &message, NULL),
		0);
	decoded = PROTO_BODY(&message, member);
	cr_assert_null(message.info);
	cr_assert_eq(decoded->role, PROTO_ROLE_OWNER);
	cr_assert(proto_span_equal(decoded->name, member.name));
	proto_message_deinit(&message);
	proto_buffer_reset(&buffer);
	cr_assert_eq(proto_encode_record_json(&buffer, PROTO_RECORD(member), &member), 0);
	cr_assert(proto_span_equal(
		(struct proto_span){buffer.data, buffer.size},
		PROTO_SPAN("{\"user\":\"01000000000000000000000000000000\",\"name\":\"ann\","
			   "\"role\":\"owner\"}")));
	proto_buffer_deinit(&buffer);
	cr_assert_eq(proto_decode_record(PROTO_RECORD(member), "\x80\xc0", 2, &message, NULL),
		     PROTO_E_MISSING_FIELD);
	cr_assert_eq(proto_decode_record(PROTO_RECORD(member), "\xc0", 1, &message, NULL),
		     PROTO_E_MALFORMED);
}

Test(record, http_body)
{
	const struct proto_type_info *info = proto_type_info(PROTO_SESSION_CREATE);
	json_t *object = json_pack("{s:s, s:s, s:i}", "login", "ann", "password", "secret12", "t",
				   99);
	json_t *array = json_array();
	struct proto_message message;
	struct proto_fault fault;

	cr_assert_eq(proto_decode_json_body(info, object, &message, &fault), 0);
	json_decref(object);
	cr_assert_eq(message.header.type, PROTO_SESSION_CREATE);
	cr_assert(proto_span_equal(PROTO_BODY(&message, session_create)->login, PROTO_SPAN("ann")));
	proto_message_deinit(&message);
	cr_assert_eq(proto_decode_json_body(info, array, &message, &fault), PROTO_E_WRONG_TYPE);
	cr_assert_eq(proto_decode_json_body(info, NULL, &message, &fault), PROTO_E_WRONG_TYPE);
	json_decref(array);
}

/* --- memory --- */

Test(memory, decoding_fails_without_it)
{
	static const char *const text = "{\"t\":\"error\",\"code\":\"busy\"}";
	struct proto_message message;

	allocations_left = 0;
	cr_assert_eq(proto_decode("\x81\xa1t\x03", 4, &message, NULL), -ENOMEM);
	cr_assert_null(message.memory);
	cr_assert_eq(proto_decode_json(text, strlen(text), &message, NULL), -ENOMEM);
	cr_assert_null(message.memory);
	allocations_left = UINT32_MAX;
}

Test(memory, encoding_fails_without_it)
{
	static char text[PROTO_TEXT_BYTES_MAX];
	struct proto_header header = {.type = PROTO_EVENT, .request = 1};
	struct proto_event event = {.kind = PROTO_EVENT_KIND_MESSAGE, .text = {text, sizeof(text)}};

	memset(text, '\n', sizeof(text));
	for (unsigned int left = 0; left < 2; left++) {
		struct proto_buffer buffer = PROTO_BUFFER_INIT;

		allocations_left = left;
		cr_assert_eq(proto_encode(&buffer, &header, &event), -ENOMEM);
		cr_assert_eq(buffer.size, 0);
		allocations_left = left;
		cr_assert_eq(proto_encode_json(&buffer, &header, &event), -ENOMEM);
		cr_assert_eq(buffer.size, 0);
		allocations_left = UINT32_MAX;
		proto_buffer_deinit(&buffer);
	}
}

/* A page of the most entries is one allocation. */
Test(memory, a_message_is_one_allocation)
{
	static struct proto_event events[PROTO_PAGE_MAX];
	struct proto_room_range range = {.events = {events, PROTO_PAGE_MAX}};
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct proto_message message;

	for (size_t i = 0; i < PROTO_PAGE_MAX; i++) {
		events[i] = (struct proto_event){.kind = PROTO_EVENT_KIND_MESSAGE, .seq = i + 1};
	}
	cr_assert_eq(
		proto_encode(&buffer, &(struct proto_header){.type = PROTO_ROOM_RANGE}, &range), 0);
	allocations_left = 1;
	cr_assert_eq(proto_decode(buffer.data, buffer.size, &message, NULL), 0);
	allocations_left = UINT32_MAX;
	cr_assert_eq(PROTO_BODY(&message, room_range)->events.count, PROTO_PAGE_MAX);
	cr_assert_eq(PROTO_BODY(&message, room_range)->events.items[PROTO_PAGE_MAX - 1].seq,
		     PROTO_PAGE_MAX);
	proto_message_deinit(&message);
	proto_buffer_deinit(&buffer);
}
