/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Structs to JSON text.
 *
 * Written straight into the buffer: a gateway does this for every event that browsers see, and a
 * tree of values would cost more than the text. As canonical as the msgpack: no white space, keys
 * in the order of the table, only those escapes that RFC 8259 demands.
 *
 * Every key is written with a comma before it; the first comma then becomes the opening brace.
 */

#include "proto/buffer.h"
#include "proto/value.h"

#include <errno.h>
#include <sodium.h>

#define KEY_EXTRA 4 /* , " " : */
#define NUMBER_DIGITS_MAX 20
#define ESCAPE_SIZE 6 /* \u001f */
#define BASE64 sodium_base64_VARIANT_ORIGINAL

static int write_fields(struct proto_buffer *out, const struct proto_record *record,
			const void *body);

static int write_key(struct proto_buffer *out, const char *name, size_t size)
{
	int r = proto_buffer_reserve(out, size + KEY_EXTRA);

	if (r < 0) {
		return r;
	}
	proto_buffer_put(out, ",\"", 2);
	proto_buffer_put(out, name, size);
	proto_buffer_put(out, "\":", 2);
	return 0;
}

static int write_number(struct proto_buffer *out, uint64_t number)
{
	char digits[NUMBER_DIGITS_MAX];
	size_t start = sizeof(digits);
	int r = proto_buffer_reserve(out, sizeof(digits));

	if (r < 0) {
		return r;
	}
	do {
		digits[--start] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	proto_buffer_put(out, digits + start, sizeof(digits) - start);
	return 0;
}

/* What must be escaped: the letter of the short form, or u. */
static const char escapes[256] = {
	[0x00] = 'u', [0x01] = 'u', [0x02] = 'u', [0x03] = 'u',	 [0x04] = 'u', [0x05] = 'u',
	[0x06] = 'u', [0x07] = 'u', ['\b'] = 'b', ['\t'] = 't',	 ['\n'] = 'n', [0x0b] = 'u',
	['\f'] = 'f', ['\r'] = 'r', [0x0e] = 'u', [0x0f] = 'u',	 [0x10] = 'u', [0x11] = 'u',
	[0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u',	 [0x16] = 'u', [0x17] = 'u',
	[0x18] = 'u', [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u',	 [0x1c] = 'u', [0x1d] = 'u',
	[0x1e] = 'u', [0x1f] = 'u', ['"'] = '"',  ['\\'] = '\\',
};

static void put_escape(struct proto_buffer *out, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	proto_buffer_put_char(out, '\\');
	proto_buffer_put_char(out, escapes[c]);
	if (escapes[c] == 'u') {
		proto_buffer_put(out, "00", 2);
		proto_buffer_put_char(out, digits[c >> 4]);
		proto_buffer_put_char(out, digits[c & 0xf]);
	}
}

/* Room for all that is left and the closing quote is kept, so that only escapes ask for more. */
static int write_text(struct proto_buffer *out, struct proto_span text)
{
	const char *run = text.size > 0 ? text.data : ""; /* the empty span may have none */
	const char *end = run + text.size;
	int r = proto_buffer_reserve(out, text.size + 2);

	if (r < 0) {
		return r;
	}
	proto_buffer_put_char(out, '"');
	for (const char *at = run; at < end; at++) {
		if (escapes[(unsigned char)*at] == 0) {
			continue;
		}
		proto_buffer_put(out, run, (size_t)(at - run));
		run = at + 1;
		r = proto_buffer_reserve(out, ESCAPE_SIZE + (size_t)(end - run) + 1);
		if (r < 0) {
			return r;
		}
		put_escape(out, (unsigned char)*at);
	}
	proto_buffer_put(out, run, (size_t)(end - run));
	proto_buffer_put_char(out, '"');
	return 0;
}

static int write_id(struct proto_buffer *out, const struct proto_id *id)
{
	char text[PROTO_ID_TEXT_BYTES];
	int r = proto_buffer_reserve(out, sizeof(text) + 1);

	if (r < 0) {
		return r;
	}
	proto_id_format(id, text);
	proto_buffer_put_char(out, '"');
	proto_buffer_put(out, text, sizeof(text) - 1);
	proto_buffer_put_char(out, '"');
	return 0;
}

static int write_bytes(struct proto_buffer *out, const struct proto_span *bytes)
{
	size_t size = sodium_base64_encoded_len(bytes->size, BASE64); /* with the zero */
	int r = proto_buffer_reserve(out, size + 2);

	if (r < 0) {
		return r;
	}
	proto_buffer_put_char(out, '"');
	(void)sodium_bin2base64(out->data + out->size, size, (const unsigned char *)bytes->data,
				bytes->size, BASE64);
	out->size += size - 1;
	proto_buffer_put_char(out, '"');
	return 0;
}

static int write_list(struct proto_buffer *out, const struct proto_record *record,
		      const struct proto_list *list)
{
	size_t start = out->size;
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		r = proto_buffer_reserve(out, 1);
		if (r == 0) {
			proto_buffer_put_char(out, ',');
			r = write_fields(out, record, (const char *)list->items + i * record->size);
		}
	}
	if (r == 0) {
		r = proto_buffer_reserve(out, 2);
	}
	if (r < 0) {
		return r;
	}
	if (list->count == 0) {
		proto_buffer_put_char(out, '[');
	}
	out->data[start] = '[';
	proto_buffer_put_char(out, ']');
	return 0;
}

static int write_literal(struct proto_buffer *out, struct proto_span literal)
{
	int r = proto_buffer_reserve(out, literal.size);

	if (r == 0) {
		proto_buffer_put(out, literal.data, literal.size);
	}
	return r;
}

static int write_value(struct proto_buffer *out, const struct proto_field *field, const void *value)
{
	const struct proto_enum_value *name;

	switch (field->kind) {
	case PROTO_KIND_BOOL:
		return write_literal(out, *(const bool *)value ? PROTO_SPAN("true")
							       : PROTO_SPAN("false"));
	case PROTO_KIND_U64:
		return write_number(out, *(const uint64_t *)value);
	case PROTO_KIND_ID:
		return write_id(out, value);
	case PROTO_KIND_TEXT:
		return write_text(out, *(const struct proto_span *)value);
	case PROTO_KIND_BYTES:
		return write_bytes(out, value);
	case PROTO_KIND_ENUM:
		name = proto_enum_value_of(field->values, proto_field_enum(value));
		return write_text(out, (struct proto_span){name->name, name->name_size});
	case PROTO_KIND_LIST:
		return write_list(out, field->record, value);
	}
	return -EINVAL;
}

/* Each field with a comma before it. */
static int write_entries(struct proto_buffer *out, const struct proto_record *record,
			 const void *body)
{
	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];
		const void *value = proto_field_of(field, body);
		int r;

		if (!field->must && !proto_field_is_set(field, value)) {
			continue;
		}
		r = proto_field_check(field, value);
		if (r == 0) {
			r = write_key(out, field->name, field->name_size);
		}
		if (r == 0) {
			r = write_value(out, field, value);
		}
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* Makes an object of the entries that stand from `start` on. */
static int close_object(struct proto_buffer *out, size_t start)
{
	int r = proto_buffer_reserve(out, 2);

	if (r < 0) {
		return r;
	}
	if (out->size == start) {
		proto_buffer_put_char(out, '{');
	}
	out->data[start] = '{';
	proto_buffer_put_char(out, '}');
	return 0;
}

static int write_fields(struct proto_buffer *out, const struct proto_record *record,
			const void *body)
{
	size_t start = out->size;
	int r = write_entries(out, record, body);

	return r < 0 ? r : close_object(out, start);
}

static int write_header_number(struct proto_buffer *out, const char *key, uint64_t number)
{
	int r;

	if (number == 0) {
		return 0;
	}
	if (number > PROTO_NUMBER_MAX) {
		return -EMSGSIZE;
	}
	r = write_key(out, key, 1);
	return r < 0 ? r : write_number(out, number);
}

static int write_header(struct proto_buffer *out, const struct proto_header *header,
			const struct proto_record *record)
{
	int r = write_key(out, "t", 1);

	if (r == 0) {
		r = write_text(out, (struct proto_span){record->name, record->name_size});
	}
	if (r == 0) {
		r = write_header_number(out, "i", header->request);
	}
	if (r == 0) {
		r = write_header_number(out, "d", header->deadline_ms);
	}
	if (r == 0 && !proto_id_is_none(&header->trace)) {
		r = write_key(out, "x", 1);
		if (r == 0) {
			r = write_id(out, &header->trace);
		}
	}
	return r;
}

static int finish(struct proto_buffer *out, size_t size_before, int r)
{
	if (r == 0 && out->size - size_before > PROTO_FRAME_BYTES_MAX) {
		r = -EMSGSIZE;
	}
	if (r < 0) {
		out->size = size_before;
	}
	return r;
}

int proto_encode_json(struct proto_buffer *out, const struct proto_header *header, const void *body)
{
	const struct proto_type_info *info = proto_type_info(header->type);
	size_t start = out->size;
	int r;

	if (!info) {
		return -EINVAL;
	}
	r = write_header(out, header, info->record);
	if (r == 0) {
		r = write_entries(out, info->record, body ? body : proto_body_absent());
	}
	if (r == 0) {
		r = close_object(out, start);
	}
	return finish(out, start, r);
}

int proto_encode_record_json(struct proto_buffer *out, const struct proto_record *record,
			     const void *body)
{
	size_t start = out->size;

	return finish(out, start, write_fields(out, record, body ? body : proto_body_absent()));
}
