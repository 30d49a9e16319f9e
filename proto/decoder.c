/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Msgpack to structs.
 *
 * The same walk runs twice (value.h). The first run checks everything and counts memory: types,
 * limits, nesting, UTF-8, doubled keys, missing fields; it allocates nothing and its stack is
 * bounded by PROTO_DEPTH_MAX. The second fills the structs and cannot fail. msgpack-c's unpacker
 * is not used: it allocates from counts that it has not checked, and builds a tree that we would
 * walk anyway (docs/adr/0001).
 *
 * Unknown keys are skipped, whatever their value, within the limits. A doubled key is refused in
 * every map that the tables know: two readers must not see two different messages in the same
 * bytes.
 */

#include "proto/cursor.h"
#include "proto/value.h"

#include <errno.h>
#include <stdlib.h>

struct decoder {
	struct cursor cursor;
	struct proto_memory memory;
	struct proto_header *header;
	struct proto_fault *fault;
};

static inline bool is_filling(const struct decoder *decoder)
{
	return decoder->memory.base != NULL;
}

static int fail(struct decoder *decoder, enum proto_code error, const char *name, const char *what)
{
	return proto_fault_set(decoder->fault, error, proto_span(name), what);
}

static int fail_malformed(struct decoder *decoder, const char *what)
{
	return fail(decoder, PROTO_E_MALFORMED, NULL, what);
}

/* Steps over the entries of a value that was read; `depth` is that of the map around it. */
static int skip_entries(struct decoder *decoder, const struct value *value, unsigned int depth)
{
	uint64_t left = value->kind == VALUE_MAP ? 2 * value->number : value->number;

	if (value->kind == VALUE_STR && !is_filling(decoder) &&
	    !proto_span_is_utf8(value_span(value))) {
		return fail_malformed(decoder, "not UTF-8");
	}
	if (value->kind != VALUE_MAP && value->kind != VALUE_ARRAY) {
		return 0;
	}
	if (depth >= PROTO_DEPTH_MAX) {
		return fail(decoder, PROTO_E_LIMIT, NULL, "nested too deeply");
	}
	if (value->kind == VALUE_MAP && value->number > PROTO_MAP_KEYS_MAX) {
		return fail(decoder, PROTO_E_LIMIT, NULL, "too many keys");
	}
	for (; left > 0; left--) {
		struct value entry;
		int r;

		if (!cursor_read(&decoder->cursor, &entry)) {
			return fail_malformed(decoder, "not msgpack, or cut off");
		}
		r = skip_entries(decoder, &entry, depth + 1);
		if (r != 0) {
			return r;
		}
	}
	return 0;
}

/* --- fields --- */

static int read_record(struct decoder *decoder, const struct proto_record *record, void *body,
		       unsigned int depth);

static int read_list(struct decoder *decoder, const struct proto_field *field,
		     const struct value *value, struct proto_list *list, unsigned int depth)
{
	size_t count = (size_t)value->number;
	char *items;

	if (count > field->max) {
		return fail(decoder, PROTO_E_LIMIT, field->name, "too many entries");
	}
	if (depth + 1 > PROTO_DEPTH_MAX) {
		return fail(decoder, PROTO_E_LIMIT, field->name, "nested too deeply");
	}
	items = proto_memory_take(&decoder->memory, count * field->record->size);
	if (items) {
		*list = (struct proto_list){count > 0 ? items : NULL, count};
	}
	for (size_t i = 0; i < count; i++) {
		int r = read_record(decoder, field->record,
				    items ? items + i * field->record->size : NULL, depth + 2);

		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static const enum value_kind kinds[] = {
	[PROTO_KIND_BOOL] = VALUE_BOOL,	 [PROTO_KIND_U64] = VALUE_UINT,
	[PROTO_KIND_ID] = VALUE_BIN,	 [PROTO_KIND_TEXT] = VALUE_STR,
	[PROTO_KIND_BYTES] = VALUE_BIN,	 [PROTO_KIND_ENUM] = VALUE_STR,
	[PROTO_KIND_LIST] = VALUE_ARRAY,
};

/* Types and limits of all but lists. */
static int check_field(struct decoder *decoder, const struct proto_field *field,
		       const struct value *value)
{
	if (value->kind != kinds[field->kind]) {
		return fail(decoder, PROTO_E_WRONG_TYPE, field->name, "has another type");
	}
	switch (field->kind) {
	case PROTO_KIND_ID:
		if (value->number != PROTO_ID_BYTES) {
			return fail(decoder, PROTO_E_BAD_VALUE, field->name, "an id has 16 bytes");
		}
		return 0;
	case PROTO_KIND_U64:
	case PROTO_KIND_BYTES:
	case PROTO_KIND_TEXT:
		if (value->number > field->max) {
			return fail(decoder, PROTO_E_LIMIT, field->name, "past its limit");
		}
		if (field->kind == PROTO_KIND_TEXT && !proto_span_is_utf8(value_span(value))) {
			return fail(decoder, PROTO_E_MALFORMED, field->name, "not UTF-8");
		}
		return 0;
	case PROTO_KIND_ENUM:
		if (!proto_enum_value_find(field->values, value_span(value))) {
			return fail(decoder, PROTO_E_BAD_VALUE, field->name,
				    "not among its values");
		}
		return 0;
	default:
		return 0;
	}
}

static void fill_field(const struct proto_field *field, const struct value *value, void *to)
{
	switch (field->kind) {
	case PROTO_KIND_BOOL:
		*(bool *)to = value->number != 0;
		break;
	case PROTO_KIND_U64:
		*(uint64_t *)to = value->number;
		break;
	case PROTO_KIND_ID:
		memcpy(to, value->data, PROTO_ID_BYTES);
		break;
	case PROTO_KIND_TEXT:
	case PROTO_KIND_BYTES:
		*(struct proto_span *)to = value_span(value);
		break;
	case PROTO_KIND_ENUM:
		memcpy(to, &proto_enum_value_find(field->values, value_span(value))->number,
		       sizeof(unsigned int));
		break;
	case PROTO_KIND_LIST:
		break;
	}
}

static int read_field(struct decoder *decoder, const struct proto_field *field, void *body,
		      unsigned int depth)
{
	void *to = body ? (char *)body + field->offset : NULL;
	struct value value;
	int r;

	if (!cursor_read(&decoder->cursor, &value)) {
		return fail(decoder, PROTO_E_MALFORMED, field->name, "not msgpack, or cut off");
	}
	if (to && field->kind != PROTO_KIND_LIST) {
		fill_field(field, &value, to);
		return 0;
	}
	r = check_field(decoder, field, &value);
	if (r != 0 || field->kind != PROTO_KIND_LIST) {
		return r;
	}
	return read_list(decoder, field, &value, to, depth);
}

/* --- the header --- */

static int read_header_number(struct decoder *decoder, const char *key, const struct value *value,
			      uint64_t *ret_number)
{
	if (value->kind != VALUE_UINT) {
		return fail(decoder, PROTO_E_WRONG_TYPE, key, "has another type");
	}
	if (value->number > PROTO_NUMBER_MAX) {
		return fail(decoder, PROTO_E_LIMIT, key, "past its limit");
	}
	*ret_number = value->number;
	return 0;
}

/* Reads the value of a key of the header; any other is skipped. */
static int read_header_key(struct decoder *decoder, const struct value *key)
{
	struct proto_header *header = decoder->header;
	struct value value;
	uint64_t type = 0;
	int r;

	if (!cursor_read(&decoder->cursor, &value)) {
		return fail_malformed(decoder, "not msgpack, or cut off");
	}
	switch (key->kind == VALUE_STR && key->number == 1 ? key->data[0] : 0) {
	case 't':
		r = read_header_number(decoder, "t", &value, &type);
		if (r == 0 && !proto_type_info(type)) {
			return fail(decoder, PROTO_E_UNKNOWN_TYPE, "t", "no message has this type");
		}
		if (r == 0) {
			header->type = (enum proto_type)type;
		}
		return r;
	case 'i':
		return read_header_number(decoder, "i", &value, &header->request);
	case 'd':
		return read_header_number(decoder, "d", &value, &header->deadline_ms);
	case 'x':
		if (value.kind != VALUE_BIN) {
			return fail(decoder, PROTO_E_WRONG_TYPE, "x", "has another type");
		}
		if (value.number != PROTO_ID_BYTES) {
			return fail(decoder, PROTO_E_BAD_VALUE, "x", "an id has 16 bytes");
		}
		memcpy(header->trace.bytes, value.data, PROTO_ID_BYTES);
		return 0;
	default:
		return skip_entries(decoder, &value, 1);
	}
}

/*
 * Reads the header keys of the outermost map, wherever they stand. With `all` false it stops at
 * "t", which our own encoder writes first. Returns the first error, but reads on as long as it
 * can.
 */
static int read_header(struct decoder *decoder, const struct value *map, bool all)
{
	const uint8_t *start = decoder->cursor.at;
	int error = 0;

	for (uint64_t i = 0; i < map->number && (all || decoder->header->type == 0); i++) {
		struct value key;
		int r;

		if (!cursor_read(&decoder->cursor, &key)) {
			error = error ? error : fail_malformed(decoder, "not msgpack, or cut off");
			break;
		}
		r = read_header_key(decoder, &key);
		error = error ? error : r;
		if (r == PROTO_E_MALFORMED || r == PROTO_E_LIMIT || (r != 0 && !all)) {
			break;
		}
	}
	decoder->cursor.at = start;
	return error;
}

/* --- maps --- */

/* What a map has shown so far, to refuse doubled keys and find missing ones. */
struct seen {
	uint64_t fields;
	size_t next;
	size_t other_count; /* keys that are no field */
	struct proto_span others[PROTO_MAP_KEYS_MAX];
};

static bool see_other(struct seen *seen, struct proto_span key)
{
	for (size_t i = 0; i < seen->other_count; i++) {
		if (proto_span_equal(seen->others[i], key)) {
			return false;
		}
	}
	seen->others[seen->other_count++] = key;
	return true;
}

/* Reads a key. Sets `ret_field`, NULL for an unknown one. */
static int read_key(struct decoder *decoder, const struct proto_record *record, struct seen *seen,
		    struct value *ret_key, const struct proto_field **ret_field)
{
	size_t index;

	if (!cursor_read(&decoder->cursor, ret_key)) {
		return fail_malformed(decoder, "not msgpack, or cut off");
	}
	if (ret_key->kind != VALUE_STR) {
		return fail_malformed(decoder, "a key is not a string");
	}
	index = proto_key_find(record, (const char *)ret_key->data, (size_t)ret_key->number,
			       &seen->next);
	*ret_field = NULL;
	if (index != PROTO_NOT_A_FIELD) {
		*ret_field = &record->fields[index];
		if ((seen->fields & 1ULL << index) != 0) {
			return fail(decoder, PROTO_E_MALFORMED, (*ret_field)->name,
				    "stands there twice");
		}
		seen->fields |= 1ULL << index;
		return 0;
	}
	if (is_filling(decoder)) {
		return 0;
	}
	if (!proto_span_is_utf8(value_span(ret_key))) {
		return fail_malformed(decoder, "not UTF-8");
	}
	return see_other(seen, value_span(ret_key))
		       ? 0
		       : fail_malformed(decoder, "a key stands there twice");
}

/* The entries of a map whose head was read. */
static int read_entries(struct decoder *decoder, const struct proto_record *record, uint64_t count,
			void *body, unsigned int depth)
{
	const struct proto_field *field = NULL;
	struct seen seen;
	int r;

	if (count > PROTO_MAP_KEYS_MAX) {
		return fail(decoder, PROTO_E_LIMIT, NULL, "too many keys");
	}
	seen.fields = 0;
	seen.next = 0;
	seen.other_count = 0;
	for (uint64_t i = 0; i < count; i++) {
		struct value value;

		r = read_key(decoder, record, &seen, &value, &field);
		if (r != 0) {
			return r;
		}
		if (field) {
			r = read_field(decoder, field, body, depth);
		} else if (depth == 1 && decoder->header) {
			r = read_header_key(decoder, &value);
		} else if (!cursor_read(&decoder->cursor, &value)) {
			r = fail_malformed(decoder, "not msgpack, or cut off");
		} else {
			r = skip_entries(decoder, &value, depth);
		}
		if (r != 0) {
			return r;
		}
	}
	field = body ? NULL : proto_record_missing(record, seen.fields);
	return field ? fail(decoder, PROTO_E_MISSING_FIELD, field->name, "is missing") : 0;
}

static int read_record(struct decoder *decoder, const struct proto_record *record, void *body,
		       unsigned int depth)
{
	struct value map;

	if (!cursor_read(&decoder->cursor, &map)) {
		return fail_malformed(decoder, "not msgpack, or cut off");
	}
	if (map.kind != VALUE_MAP) {
		return fail(decoder, depth == 1 ? PROTO_E_MALFORMED : PROTO_E_WRONG_TYPE,
			    record->name, "not a map");
	}
	if (depth > PROTO_DEPTH_MAX) {
		return fail(decoder, PROTO_E_LIMIT, record->name, "nested too deeply");
	}
	return read_entries(decoder, record, map.number, body, depth);
}

/* --- whole frames --- */

/* Both runs over the frame, which starts at the cursor. */
static int read_frame(struct decoder *decoder, const struct proto_record *record, void **ret_body)
{
	const uint8_t *start = decoder->cursor.at;
	void *body;
	int r;

	(void)proto_memory_take(&decoder->memory, record->size);
	r = read_record(decoder, record, NULL, 1);
	if (r != 0) {
		return r;
	}
	if (decoder->cursor.at != decoder->cursor.end) {
		return fail_malformed(decoder, "bytes after its end");
	}
	decoder->memory.base = calloc(1, decoder->memory.used);
	if (!decoder->memory.base) {
		return -ENOMEM;
	}
	decoder->memory.used = 0;
	decoder->cursor.at = start;
	body = proto_memory_take(&decoder->memory, record->size);
	(void)read_record(decoder, record, body, 1);
	*ret_body = body;
	return 0;
}

static struct decoder decoder_of(const void *data, size_t size, struct proto_fault *fault)
{
	const uint8_t *start = size > 0 ? data
					: (const void *)""; /* NULL is no start of anything */

	return (struct decoder){.cursor = {start, start + size}, .fault = fault};
}

/* Finds "t". On any other error than bad bytes the header is read as far as that goes. */
static int find_type(struct decoder *decoder)
{
	const uint8_t *start = decoder->cursor.at;
	struct value map;
	int r;

	if (!cursor_read(&decoder->cursor, &map) || map.kind != VALUE_MAP) {
		return fail_malformed(decoder, "not a map");
	}
	if (map.number > PROTO_MAP_KEYS_MAX) {
		return fail(decoder, PROTO_E_LIMIT, NULL, "too many keys");
	}
	r = read_header(decoder, &map, false);
	if (r == 0 && decoder->header->type == 0) {
		r = fail(decoder, PROTO_E_MISSING_FIELD, "t", "is missing");
	}
	decoder->cursor.at = start;
	return r;
}

/* For an answer to what was refused: whatever the header holds. */
static void salvage_header(const void *data, size_t size, struct proto_header *header)
{
	struct decoder decoder = decoder_of(data, size, NULL);
	struct value map;

	decoder.header = header;
	if (size <= PROTO_FRAME_BYTES_MAX && cursor_read(&decoder.cursor, &map) &&
	    map.kind == VALUE_MAP && map.number <= PROTO_MAP_KEYS_MAX) {
		(void)read_header(&decoder, &map, true);
	}
}

int proto_decode(const void *data, size_t size, struct proto_message *ret_message,
		 struct proto_fault *ret_fault)
{
	struct decoder decoder = decoder_of(data, size, ret_fault);
	struct proto_message message = PROTO_MESSAGE_INIT;
	int r;

	decoder.header = &message.header;
	if (size > PROTO_FRAME_BYTES_MAX) {
		r = fail(&decoder, PROTO_E_LIMIT, NULL, "the frame is too large");
	} else {
		r = find_type(&decoder);
	}
	if (r == 0) {
		message.info = proto_type_info(message.header.type);
		r = read_frame(&decoder, message.info->record, &message.body);
	}
	if (r != 0) {
		salvage_header(data, size, &message.header);
	}
	message.memory = decoder.memory.base;
	*ret_message = message;
	return r;
}

int proto_decode_record(const struct proto_record *record, const void *data, size_t size,
			struct proto_message *ret_message, struct proto_fault *ret_fault)
{
	struct decoder decoder = decoder_of(data, size, ret_fault);
	struct proto_message message = PROTO_MESSAGE_INIT;
	int r;

	if (size > PROTO_FRAME_BYTES_MAX) {
		r = fail(&decoder, PROTO_E_LIMIT, NULL, "the frame is too large");
	} else {
		r = read_frame(&decoder, record, &message.body);
	}
	message.memory = decoder.memory.base;
	*ret_message = message;
	return r;
}

void proto_message_deinit(struct proto_message *message)
{
	free(message->memory);
	*message = PROTO_MESSAGE_INIT;
}
