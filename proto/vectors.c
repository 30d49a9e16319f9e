/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Test vectors: what every codec must agree on.
 *
 *   messages   a full and a minimal instance of each: both forms decode to the same, and encode to
 *   this
 *   accepted   unusual msgpack, with the usual form of the same message
 *   refused    bad input, with the error that it must give
 *
 * The instances are made from the tables: a full one has every field and one entry in every list; a
 * minimal one has the required fields alone, with the smallest values that there are.
 */

#include "proto/vectors.h"
#include "proto/value.h"

#include <errno.h>

/* --- instances --- */

#define ITEMS_BYTES 16384

struct maker {
	uint64_t items[ITEMS_BYTES / sizeof(uint64_t)]; /* memory of lists */
	size_t used; /* of `items` */
	unsigned int number; /* makes values differ */
};

static void make_id(struct maker *maker, struct proto_id *ret_id)
{
	for (size_t i = 0; i < PROTO_ID_BYTES; i++) {
		ret_id->bytes[i] = (uint8_t)(maker->number + 16 * i);
	}
}

static const char sample_text[] = "Caf\xc3\xa9 \"\xe2\x82\xac\" \\ \xf0\x9f\x91\x8d\n";

static struct proto_span make_span(const struct proto_field *field)
{
	static const char sample_bytes[] = "\x00\x01\x7f\x80\xff";
	bool is_text = field->kind == PROTO_KIND_TEXT;
	size_t size = is_text ? sizeof(sample_text) - 1 : sizeof(sample_bytes) - 1;

	return (struct proto_span){is_text ? sample_text : sample_bytes,
				   size <= field->max ? size : (size_t)field->max};
}

static void make_full(struct maker *maker, const struct proto_record *record, void *body);

static void make_list(struct maker *maker, const struct proto_field *field, struct proto_list *list)
{
	char *item = (char *)maker->items + maker->used;

	maker->used += (field->record->size + 7) & ~(size_t)7;
	*list = (struct proto_list){item, 1};
	make_full(maker, field->record, item);
}

static void make_field(struct maker *maker, const struct proto_field *field, void *to)
{
	switch (field->kind) {
	case PROTO_KIND_BOOL:
		*(bool *)to = true;
		break;
	case PROTO_KIND_U64:
		*(uint64_t *)to = field->max - maker->number % 3;
		break;
	case PROTO_KIND_ID:
		make_id(maker, to);
		break;
	case PROTO_KIND_TEXT:
	case PROTO_KIND_BYTES:
		*(struct proto_span *)to = make_span(field);
		break;
	case PROTO_KIND_ENUM:
		memcpy(to,
		       &field->values->values[maker->number % field->values->value_count].number,
		       sizeof(unsigned int));
		break;
	case PROTO_KIND_LIST:
		make_list(maker, field, to);
		break;
	}
}

static void make_full(struct maker *maker, const struct proto_record *record, void *body)
{
	memset(body, 0, record->size);
	for (size_t i = 0; i < record->field_count; i++) {
		maker->number++;
		make_field(maker, &record->fields[i], (char *)body + record->fields[i].offset);
	}
}

/* All zero, but for required enums, which have no such value. */
static void make_minimal(const struct proto_record *record, void *body)
{
	memset(body, 0, record->size);
	for (size_t i = 0; i < record->field_count; i++) {
		const struct proto_field *field = &record->fields[i];

		if (field->must && field->kind == PROTO_KIND_ENUM) {
			memcpy((char *)body + field->offset, &field->values->values[0].number,
			       sizeof(unsigned int));
		}
	}
}

/* --- printing --- */

static void print_hex(FILE *out, const char *key, const char *data, size_t size)
{
	fprintf(out, "\"%s\": \"", key);
	for (size_t i = 0; i < size; i++) {
		fprintf(out, "%02x", (unsigned char)data[i]);
	}
	fputc('"', out);
}

/* JSON text inside of a JSON string. */
static void print_text(FILE *out, const char *key, const char *data, size_t size)
{
	fprintf(out, "\"%s\": \"", key);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c == '"' || c == '\\') {
			fprintf(out, "\\%c", c);
		} else if (c < 0x20) {
			fprintf(out, "\\u%04x", c);
		} else {
			fputc(c, out);
		}
	}
	fputc('"', out);
}

static int print_instance(FILE *out, const struct proto_type_info *info, const char *name,
			  const struct proto_header *header, const void *body)
{
	struct proto_buffer packed = PROTO_BUFFER_INIT;
	struct proto_buffer text = PROTO_BUFFER_INIT;
	int r = proto_encode(&packed, header, body);

	if (r == 0) {
		r = proto_encode_json(&text, header, body);
	}
	if (r == 0) {
		fprintf(out, "{\"name\": \"%s\", \"case\": \"%s\",\n   ", info->record->name, name);
		print_hex(out, "msgpack", packed.data, packed.size);
		fprintf(out, ",\n   ");
		print_text(out, "json", text.data, text.size);
		fputc('}', out);
	}
	proto_buffer_deinit(&packed);
	proto_buffer_deinit(&text);
	return r;
}

static int print_message(FILE *out, const struct proto_type_info *info)
{
	static struct maker maker;
	uint64_t body[PROTO_BODY_BYTES_MAX / sizeof(uint64_t)];
	struct proto_header full = {.type = info->type, .request = 7, .deadline_ms = 5000};
	struct proto_header minimal = {.type = info->type};
	int r;

	maker = (struct maker){.number = (unsigned int)info->type};
	make_id(&maker, &full.trace);
	make_full(&maker, info->record, body);
	r = print_instance(out, info, "full", &full, body);
	if (r == 0) {
		fprintf(out, ",\n  ");
		make_minimal(info->record, body);
		r = print_instance(out, info, "minimal", &minimal, body);
	}
	return r;
}

/* --- unusual and bad input --- */

#define BYTES(literal) literal, sizeof(literal) - 1
#define ID_BYTES "\xc4\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
#define ID_TEXT "\"0102030405060708090a0b0c0d0e0f10\""

/* clang-format off */
static const struct accepted {
	const char *name;
	const char *data;
	size_t size;
	const char *json;
} accepted[] = {
	{"the type comes last", BYTES("\x82\xa1i\x07\xa1t\x03"), "{\"t\":\"ping\",\"i\":7}"},
	{"unknown keys, some with deep values",
	 BYTES("\x85\xa1t\x03\xa1q\xc0\xa2zz\xcb\x3f\xf0\0\0\0\0\0\0\xa2yy\x81\x01"
	       "\x91\xd4\x05\x00\xa2xx\xff"),
	 "{\"t\":\"ping\"}"},
	{"the longest forms of heads and numbers",
	 BYTES("\xdf\0\0\0\2\xdb\0\0\0\1t\xcf\0\0\0\0\0\0\0\3\xd9\1i\xce\0\0\0\7"),
	 "{\"t\":\"ping\",\"i\":7}"},
	{"signed forms",
	 BYTES("\x83\xa1t\xd0\x03\xa1i\xd1\x00\x07\xa1\x64\xd3\0\0\0\0\0\0\x13\x88"),
	 "{\"t\":\"ping\",\"i\":7,\"d\":5000}"},
	{"absent values written out",
	 BYTES("\x86\xa1t\x01\xa1i\x00\xa4"
	       "code\xa4"
	       "busy\xa6"
	       "detail\xa0\xa8retry_ms\x00\xa7unknown\xc2"),
	 "{\"t\":\"error\",\"code\":\"busy\"}"},
	{"fields in another order",
	 BYTES("\x83\xa8retry_ms\x05\xa1t\x01\xa4"
	       "code\xa4"
	       "busy"),
	 "{\"t\":\"error\",\"code\":\"busy\",\"retry_ms\":5}"},
	{"a zero byte in a text",
	 BYTES("\x82\xa1t\x01\xa4"
	       "code\xa3"
	       "a\0b"),
	 "{\"t\":\"error\",\"code\":\"a\\u0000b\"}"},
};

static const struct refused {
	const char *name;
	bool is_json;
	const char *data;
	size_t size;
	enum proto_code error;
} refused[] = {
	{"nothing", false, BYTES(""), PROTO_E_MALFORMED},
	{"nil", false, BYTES("\xc0"), PROTO_E_MALFORMED},
	{"an array", false, BYTES("\x91\x03"), PROTO_E_MALFORMED},
	{"the byte that msgpack reserves", false, BYTES("\x81\xa1t\xc1"), PROTO_E_MALFORMED},
	{"cut off in a key", false, BYTES("\x81\xa1"), PROTO_E_MALFORMED},
	{"cut off before a value", false, BYTES("\x81\xa1t"), PROTO_E_MALFORMED},
	{"cut off in a number", false, BYTES("\x81\xa1t\xcd\x00"), PROTO_E_MALFORMED},
	{"cut off in a text", false,
	 BYTES("\x82\xa1t\x01\xa4"
	       "code\xa4"
	       "bus"),
	 PROTO_E_MALFORMED},
	{"bytes after the end", false, BYTES("\x81\xa1t\x03\xc0"), PROTO_E_MALFORMED},
	{"a count past the bytes", false, BYTES("\xdf\xff\xff\xff\xff"), PROTO_E_MALFORMED},
	{"a length past the bytes", false, BYTES("\x82\xa1t\x03\xdb\xff\xff\xff\xff"),
	 PROTO_E_MALFORMED},
	{"a list longer than the bytes", false,
	 BYTES("\x82\xa1t\x71\xa6"
	       "events\xdd\xff\xff\xff\xff"),
	 PROTO_E_MALFORMED},
	{"a key that is no string", false, BYTES("\x82\xa1t\x03\x01\x02"), PROTO_E_MALFORMED},
	{"a header key twice", false, BYTES("\x82\xa1t\x03\xa1t\x03"), PROTO_E_MALFORMED},
	{"a field twice", false,
	 BYTES("\x83\xa1t\x01\xa4"
	       "code\xa1"
	       "a\xa4"
	       "code\xa1"
	       "b"),
	 PROTO_E_MALFORMED},
	{"an unknown key twice", false, BYTES("\x83\xa1t\x03\xa2zz\xc0\xa2zz\xc0"),
	 PROTO_E_MALFORMED},
	{"text that is not UTF-8", false,
	 BYTES("\x82\xa1t\x01\xa4"
	       "code\xa2\xc3\x28"),
	 PROTO_E_MALFORMED},
	{"overlong UTF-8", false,
	 BYTES("\x82\xa1t\x01\xa4"
	       "code\xa2\xc0\x80"),
	 PROTO_E_MALFORMED},
	{"a surrogate in UTF-8", false,
	 BYTES("\x82\xa1t\x01\xa4"
	       "code\xa3\xed\xa0\x80"),
	 PROTO_E_MALFORMED},
	{"unknown text that is not UTF-8", false, BYTES("\x82\xa1t\x03\xa2zz\xa1\xff"),
	 PROTO_E_MALFORMED},
	{"no type", false, BYTES("\x80"), PROTO_E_MISSING_FIELD},
	{"the name as type", false, BYTES("\x81\xa1t\xa4ping"), PROTO_E_WRONG_TYPE},
	{"a negative type", false, BYTES("\x81\xa1t\xff"), PROTO_E_WRONG_TYPE},
	{"an unknown type", false, BYTES("\x81\xa1t\xcd\xff\xff"), PROTO_E_UNKNOWN_TYPE},
	{"a request id past its limit", false, BYTES("\x82\xa1t\x03\xa1i\xcf\0\x20\0\0\0\0\0\0"),
	 PROTO_E_LIMIT},
	{"a request id that is a float", false, BYTES("\x82\xa1t\x03\xa1i\xca\0\0\0\0"),
	 PROTO_E_WRONG_TYPE},
	{"a short trace id", false,
	 BYTES("\x82\xa1t\x03\xa1x\xc4\x02"
	       "ab"),
	 PROTO_E_BAD_VALUE},
	{"a trace id that is a string", false,
	 BYTES("\x82\xa1t\x03\xa1x\xa2"
	       "ab"),
	 PROTO_E_WRONG_TYPE},
	{"a required field is absent", false, BYTES("\x81\xa1t\x01"), PROTO_E_MISSING_FIELD},
	{"bytes for a text", false,
	 BYTES("\x82\xa1t\x01\xa4"
	       "code\xc4\x01"
	       "a"),
	 PROTO_E_WRONG_TYPE},
	{"nil for a number", false,
	 BYTES("\x83\xa1t\x01\xa4"
	       "code\xa1"
	       "a\xa8retry_ms\xc0"),
	 PROTO_E_WRONG_TYPE},
	{"a negative number", false,
	 BYTES("\x83\xa1t\x01\xa4"
	       "code\xa1"
	       "a\xa8retry_ms\xd0\xff"),
	 PROTO_E_WRONG_TYPE},
	{"a number past its limit", false,
	 BYTES("\x83\xa1t\x01\xa4"
	       "code\xa1"
	       "a\xa8retry_ms\xcf\0\x20\0\0\0\0\0\0"),
	 PROTO_E_LIMIT},
	{"a number for a bool", false,
	 BYTES("\x83\xa1t\x01\xa4"
	       "code\xa1"
	       "a\xa7unknown\x01"),
	 PROTO_E_WRONG_TYPE},
	{"a text past its limit", false,
	 BYTES("\x82\xa1t\x01\xa4"
	       "code\xd9\x41"
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	 PROTO_E_LIMIT},
	{"a short id", false,
	 BYTES("\x82\xa1t\x5f\xa4room\xc4\x02"
	       "ab"),
	 PROTO_E_BAD_VALUE},
	{"no value of the enum", false,
	 BYTES("\x83\xa1t\x1e\xa7session" ID_BYTES "\xa6"
	       "access\xa4none"),
	 PROTO_E_BAD_VALUE},
	{"too many entries", false,
	 BYTES("\x82\xa1t\x71\xa6"
	       "events\x92\x80\x80"),
	 PROTO_E_LIMIT},
	{"an entry that is no map", false,
	 BYTES("\x82\xa1t\x71\xa6"
	       "events\x91\xc0"),
	 PROTO_E_WRONG_TYPE},
	{"an entry without its fields", false,
	 BYTES("\x82\xa1t\x71\xa6"
	       "events\x91\x80"),
	 PROTO_E_MISSING_FIELD},
	{"nested too deeply", false,
	 BYTES("\x82\xa1t\x03\xa2zz\x91\x91\x91\x91\x91\x91\x91\x91\xc0"), PROTO_E_LIMIT},
	{"nothing", true, BYTES(""), PROTO_E_MALFORMED},
	{"null", true, BYTES("null"), PROTO_E_MALFORMED},
	{"an array", true, BYTES("[\"ping\"]"), PROTO_E_MALFORMED},
	{"cut off", true, BYTES("{\"t\":\"ping\""), PROTO_E_MALFORMED},
	{"text after the end", true, BYTES("{\"t\":\"ping\"} 1"), PROTO_E_MALFORMED},
	{"a header key twice", true, BYTES("{\"t\":\"ping\",\"t\":\"ping\"}"), PROTO_E_MALFORMED},
	{"a comment", true, BYTES("{\"t\":\"ping\"/**/}"), PROTO_E_MALFORMED},
	{"an unpaired surrogate", true, BYTES("{\"t\":\"error\",\"code\":\"\\ud800\"}"),
	 PROTO_E_MALFORMED},
	{"no type", true, BYTES("{}"), PROTO_E_MISSING_FIELD},
	{"the number as type", true, BYTES("{\"t\":3}"), PROTO_E_WRONG_TYPE},
	{"an unknown type", true, BYTES("{\"t\":\"pong\"}"), PROTO_E_UNKNOWN_TYPE},
	{"a request id past its limit", true, BYTES("{\"t\":\"ping\",\"i\":9007199254740992}"),
	 PROTO_E_LIMIT},
	{"a number that no computer keeps", true,
	 BYTES("{\"t\":\"ping\",\"i\":99999999999999999999}"), PROTO_E_LIMIT},
	{"a negative number", true, BYTES("{\"t\":\"ping\",\"i\":-1}"), PROTO_E_WRONG_TYPE},
	{"a number with a fraction", true, BYTES("{\"t\":\"ping\",\"i\":1.0}"), PROTO_E_WRONG_TYPE},
	{"a short trace id", true, BYTES("{\"t\":\"ping\",\"x\":\"abcd\"}"), PROTO_E_BAD_VALUE},
	{"a required field is absent", true, BYTES("{\"t\":\"error\"}"), PROTO_E_MISSING_FIELD},
	{"null for a text", true, BYTES("{\"t\":\"error\",\"code\":null}"), PROTO_E_WRONG_TYPE},
	{"a number for a bool", true, BYTES("{\"t\":\"error\",\"code\":\"a\",\"unknown\":1}"),
	 PROTO_E_WRONG_TYPE},
	{"an id that is not hex", true,
	 BYTES("{\"t\":\"room_close\",\"room\":\"0102030405060708090a0b0c0d0e0fxx\"}"),
	 PROTO_E_BAD_VALUE},
	{"no value of the enum", true,
	 BYTES("{\"t\":\"room_reserve\",\"session\":" ID_TEXT ",\"access\":\"none\"}"),
	 PROTO_E_BAD_VALUE},
	{"not base64", true, BYTES("{\"t\":\"session_resume\",\"secret\":\"*\"}"),
	 PROTO_E_BAD_VALUE},
	{"base64 without padding", true, BYTES("{\"t\":\"session_resume\",\"secret\":\"YQ\"}"),
	 PROTO_E_BAD_VALUE},
	{"bytes past their limit", true,
	 BYTES("{\"t\":\"session_resume\",\"secret\":"
	       "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"),
	 PROTO_E_LIMIT},
	{"too many entries", true, BYTES("{\"t\":\"cmid\",\"events\":[{},{}]}"), PROTO_E_LIMIT},
	{"an entry that is no object", true, BYTES("{\"t\":\"cmid\",\"events\":[1]}"),
	 PROTO_E_WRONG_TYPE},
	{"nested too deeply", true, BYTES("{\"t\":\"ping\",\"zz\":[[[[[[[[0]]]]]]]]}"),
	 PROTO_E_LIMIT},
};

/* clang-format on */

static void print_accepted(FILE *out)
{
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		fprintf(out, "%s\n  {\"name\": \"%s\",\n   ", i > 0 ? "," : "", accepted[i].name);
		print_hex(out, "msgpack", accepted[i].data, accepted[i].size);
		fprintf(out, ",\n   ");
		print_text(out, "json", accepted[i].json, strlen(accepted[i].json));
		fputc('}', out);
	}
}

static void print_refused(FILE *out)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const struct refused *row = &refused[i];

		fprintf(out, "%s\n  {\"name\": \"%s\", \"error\": \"%s\",\n   ", i > 0 ? "," : "",
			row->name, proto_error_info(row->error)->code);
		if (row->is_json) {
			print_text(out, "json", row->data, row->size);
		} else {
			print_hex(out, "msgpack", row->data, row->size);
		}
		fputc('}', out);
	}
}

int vectors_print(FILE *out)
{
	const struct proto_type_info *info;

	fprintf(out, "{\"version\": %d,\n \"messages\": [", PROTO_VERSION);
	for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
		int r;

		fprintf(out, "%s\n  ", i > 0 ? "," : "");
		r = print_message(out, info);
		if (r < 0) {
			return r;
		}
	}
	fprintf(out, "\n ],\n \"accepted\": [");
	print_accepted(out);
	fprintf(out, "\n ],\n \"refused\": [");
	print_refused(out);
	fprintf(out, "\n ]}\n");
	return 0;
}
