/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The wire protocol for C: structs of all records and messages, and the codec.
 *
 *   bus      one msgpack map a frame: {"t": 68, "i": 7, "d": 5000, "x": <trace>, "room": …, …}
 *   browser  the same as JSON, with the message's name as "t", or the same msgpack
 *
 * Header keys have one letter, field keys more: "t" type, "i" request id (an answer repeats it),
 * "d" time left in ms, "x" trace id. Keys come in the order of the table when we write, in any
 * order when we read; unknown keys are skipped.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/messages.h"

struct json_t; /* jansson */

/* --- values --- */

struct proto_id {
	uint8_t bytes[PROTO_ID_BYTES];
};

/* Text or bytes that somebody else owns; not terminated by a zero. Absent: size 0. */
struct proto_span {
	const char *data;
	size_t size;
};

#define PROTO_SPAN(literal) ((struct proto_span){(literal), sizeof(literal) - 1})
/* Of a terminated string; NULL gives the empty span. */
struct proto_span proto_span(const char *text);
bool proto_span_equal(struct proto_span a, struct proto_span b);
/* RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. Zero bytes are allowed. */
bool proto_span_is_utf8(struct proto_span text);

bool proto_id_is_none(const struct proto_id *id);
bool proto_id_equal(const struct proto_id *a, const struct proto_id *b);
/* The slot of a room: the first 12 bits of its id. */
unsigned int proto_id_slot(const struct proto_id *id);
/* 32 lower-case hex digits and a zero. */
#define PROTO_ID_TEXT_BYTES (2 * PROTO_ID_BYTES + 1)
void proto_id_format(const struct proto_id *id, char ret_text[static PROTO_ID_TEXT_BYTES]);
/* Reads 32 hex digits of either case. Returns false, and leaves `ret_id`, for anything else. */
bool proto_id_parse(struct proto_span text, struct proto_id *ret_id);

/* --- enums, structs --- */

#define PROTO_ENUM_VALUE_(PREFIX, NAME, name, number, since, text) PROTO_##PREFIX##_##NAME = number,
#define PROTO_ENUM_DEFINE_(x) enum proto_##x{PROTO_##x##_absent, PROTO_ENUM_##x(PROTO_ENUM_VALUE_)};
PROTO_ENUMS(PROTO_ENUM_DEFINE_)

/* "public" for PROTO_ROOM_KIND_PUBLIC; NULL for numbers that are no value of it. */
#define PROTO_ENUM_DECLARE_(x) const char *proto_##x##_name(enum proto_##x value);
PROTO_ENUMS(PROTO_ENUM_DECLARE_)

#define PROTO_C_BOOL(of, name) bool name;
#define PROTO_C_U64(of, name) uint64_t name;
#define PROTO_C_ID(of, name) struct proto_id name;
#define PROTO_C_TEXT(of, name) struct proto_span name;
#define PROTO_C_BYTES(of, name) struct proto_span name;
#define PROTO_C_ENUM(of, name) enum proto_##of name;
#define PROTO_C_LIST(of, name) struct proto_list_##of name;
#define PROTO_C_FIELD_(record, KIND, name, need, of, max, since, text) PROTO_C_##KIND(of, name)

#define PROTO_RECORD_DEFINE_(x, text)            \
	struct proto_##x {                       \
		PROTO_FIELDS_##x(PROTO_C_FIELD_) \
	};                                       \
	struct proto_list_##x {                  \
		struct proto_##x *items;         \
		size_t count;                    \
	};
PROTO_RECORDS(PROTO_RECORD_DEFINE_)

#define PROTO_MESSAGE_DEFINE_(id, NAME, x, caller, at, reply, since, text)                 \
	struct proto_##x {                                                                 \
		PROTO_FIELDS_##x(PROTO_C_FIELD_) /* a struct needs a member: */ char end_; \
	};
#define PROTO_NOTHING_(id, NAME, x, caller, at, reply, since, text)
PROTO_MESSAGES(PROTO_MESSAGE_DEFINE_, PROTO_NOTHING_)

enum proto_type {
#define PROTO_TYPE_VALUE_(id, NAME, name, caller, at, reply, since, text) PROTO_##NAME = id,
	PROTO_MESSAGES(PROTO_TYPE_VALUE_, PROTO_TYPE_VALUE_)
#undef PROTO_TYPE_VALUE_
};

enum proto_code {
#define PROTO_ERROR_VALUE_(number, NAME, code, status, sure, text) PROTO_E_##NAME = number,
	PROTO_ERRORS(PROTO_ERROR_VALUE_)
#undef PROTO_ERROR_VALUE_
};

struct proto_error_info {
	enum proto_code number;
	const char *code;
	unsigned int status; /* HTTP */
	bool sure; /* nothing was written and nothing will be */
	const char *text;
};
/* Never NULL: what no table knows is PROTO_E_INTERNAL. */
const struct proto_error_info *proto_error_info(enum proto_code error);
const struct proto_error_info *proto_error_find(struct proto_span code);

/* --- tables --- */

enum proto_kind {
	PROTO_KIND_BOOL,
	PROTO_KIND_U64,
	PROTO_KIND_ID,
	PROTO_KIND_TEXT,
	PROTO_KIND_BYTES,
	PROTO_KIND_ENUM,
	PROTO_KIND_LIST,
};

struct proto_enum_value {
	const char *name;
	size_t name_size; /* without the zero */
	unsigned int number;
	unsigned int since;
	const char *text;
};

struct proto_enum_info {
	const char *name;
	const struct proto_enum_value *values;
	size_t value_count;
};

/* Static asserts hold every record and message to these. */
#define PROTO_HEADER_KEYS 4
#define PROTO_BODY_BYTES_MAX 1024

struct proto_record;

struct proto_field {
	const char *name;
	size_t name_size; /* without the zero */
	const char *text;
	const struct proto_record *record; /* LIST: of what */
	const struct proto_enum_info *values; /* ENUM: which */
	size_t offset; /* in the C struct */
	uint64_t max; /* as in messages.h */
	enum proto_kind kind;
	bool must;
	unsigned int since;
};

struct proto_record {
	const char *name;
	size_t name_size; /* without the zero */
	const char *text;
	const struct proto_field *fields;
	size_t field_count;
	size_t size; /* of the C struct */
};

enum proto_caller {
#define PROTO_CALLER_VALUE_(NAME, name, gateway, roomd, storaged, stranger, text) \
	PROTO_CALLER_##NAME,
	PROTO_CALLERS(PROTO_CALLER_VALUE_)
#undef PROTO_CALLER_VALUE_
};

struct proto_caller_info {
	const char *name;
	bool gateway;
	bool roomd;
	bool storaged;
	bool stranger;
	const char *text;
};
const struct proto_caller_info *proto_caller_info(enum proto_caller caller);

enum proto_at {
	PROTO_AT_NONE,
	PROTO_AT_ANY,
	PROTO_AT_REGISTRY,
	PROTO_AT_ROOM,
	PROTO_AT_PERSONAL,
	PROTO_AT_STORE,
};

struct proto_type_info {
	enum proto_type type;
	enum proto_caller caller;
	enum proto_at at;
	enum proto_type reply;
	unsigned int since;
	const char *text;
	const struct proto_record *record; /* its name is the message's */
};

/*
 * Whether a node of this service may send the request by its key; PROTO_service_absent: a stranger.
 */
bool proto_may_call(const struct proto_type_info *info, enum proto_service service);

/* NULL for what the tables do not have. */
const struct proto_type_info *proto_type_info(uint64_t type);
const struct proto_type_info *proto_type_find(struct proto_span name);
/* By index, in the order of the tables; NULL past the end. */
const struct proto_type_info *proto_type_at(size_t index);
const struct proto_record *proto_record_at(size_t index);
const struct proto_enum_info *proto_enum_at(size_t index);
const struct proto_error_info *proto_error_at(size_t index);
const struct proto_field *proto_record_field(const struct proto_record *record,
					     struct proto_span name);
/* Of a record: PROTO_RECORD(event). */
#define PROTO_RECORD_DECLARE_(x, text) extern const struct proto_record proto_record_##x;
PROTO_RECORDS(PROTO_RECORD_DECLARE_)
#define PROTO_RECORD(x) (&proto_record_##x)

/* --- codec --- */

struct proto_header {
	enum proto_type type;
	uint64_t request; /* 0: none */
	uint64_t deadline_ms; /* time left when it was sent; 0: none */
	struct proto_id trace;
};

/*
 * A decoded message. Spans point into the bytes that it was decoded from (JSON: into memory of its
 * own), lists into its own memory: keep both until proto_message_deinit().
 */
struct proto_message {
	struct proto_header header;
	const struct proto_type_info *info;
	void *body; /* struct proto_<name> */
	void *memory;
};
#define PROTO_MESSAGE_INIT ((struct proto_message){0})
void proto_message_deinit(struct proto_message *message); /* also of PROTO_MESSAGE_INIT */
static inline void proto_message_cleanup(struct proto_message *message)
{
	proto_message_deinit(message);
}
/*
 * PROTO_BODY(message, room_send) gives a const struct proto_room_send *. The caller knows the type.
 */
#define PROTO_BODY(message, name) ((const struct proto_##name *)(message)->body)

/*
 * Why decoding failed; `error` is what to answer. On failure the header is as far as it could be
 * read.
 */
struct proto_fault {
	enum proto_code error;
	/* Terminated; UTF-8: the field, and what is wrong with it. */
	char detail[PROTO_NAME_BYTES_MAX * 2];
};

/*
 * Growing output; `data` is malloc'ed, belongs to the buffer, and is used again after
 * proto_buffer_reset().
 */
struct proto_buffer {
	char *data;
	size_t size;
	size_t capacity;
};
#define PROTO_BUFFER_INIT ((struct proto_buffer){0})
void proto_buffer_reset(struct proto_buffer *buffer);
void proto_buffer_deinit(struct proto_buffer *buffer);
static inline void proto_buffer_cleanup(struct proto_buffer *buffer)
{
	proto_buffer_deinit(buffer);
}
/* Gives the malloc'ed bytes to the caller and leaves the buffer empty. */
char *proto_buffer_take(struct proto_buffer *buffer, size_t *ret_size);

/*
 * Append a message, or a bare record, to `out` as msgpack. `body` is the struct of the header's
 * type; NULL for an all-absent one. Returns 0, -ENOMEM, or, for a defect of the caller: -EMSGSIZE
 * if a value or the frame is past its limit, -EINVAL for an unknown type, a number that is no value
 * of its enum, a required enum that is absent, and text that is not UTF-8. `out` is as before
 * unless it returns 0.
 */
int proto_encode(struct proto_buffer *out, const struct proto_header *header, const void *body);
int proto_encode_record(struct proto_buffer *out, const struct proto_record *record,
			const void *body);

/*
 * Decode one message, or one bare record, that fills `size` bytes exactly. The bytes are walked
 * with all limits first; nothing is allocated for bytes that are refused. Returns 0, PROTO_E_… (see
 * `ret_fault`, which may be NULL), or -ENOMEM.
 */
int proto_decode(const void *data, size_t size, struct proto_message *ret_message,
		 struct proto_fault *ret_fault);
int proto_decode_record(const struct proto_record *record, const void *data, size_t size,
			struct proto_message *ret_message, struct proto_fault *ret_fault);

/* The same for JSON. Header keys as on the bus; "t" is the name; "x" and ids are hex. */
int proto_encode_json(struct proto_buffer *out, const struct proto_header *header,
		      const void *body);
int proto_encode_record_json(struct proto_buffer *out, const struct proto_record *record,
			     const void *body);
int proto_decode_json(const char *data, size_t size, struct proto_message *ret_message,
		      struct proto_fault *ret_fault);
/*
 * Decode the fields of a message of known type from an object (borrowed), with no header: an HTTP
 * body.
 */
int proto_decode_json_body(const struct proto_type_info *info, struct json_t *object,
			   struct proto_message *ret_message, struct proto_fault *ret_fault);
