/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Reads msgpack value by value, and never past the end. Knows the format, not the messages. */

#include "proto/proto.h"

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

enum value_kind {
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_UINT,
	VALUE_NEGATIVE,
	VALUE_FLOAT,
	VALUE_STR,
	VALUE_BIN,
	VALUE_EXT,
	VALUE_ARRAY,
	VALUE_MAP,
};

struct value {
	enum value_kind kind;
	uint64_t number; /* BOOL, UINT; STR, BIN, EXT: bytes; ARRAY, MAP: entries */
	const uint8_t *data; /* STR, BIN, EXT */
};

static inline struct proto_span value_span(const struct value *value)
{
	return (struct proto_span){(const char *)value->data, (size_t)value->number};
}

/*
 * Reads one value; of arrays and maps only the head. Every count is checked against the bytes
 * that are left, of which each entry needs at least one. Returns false for what is not msgpack,
 * or cut off.
 */
bool cursor_read(struct cursor *cursor, struct value *ret);
