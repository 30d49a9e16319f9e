/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Msgpack, one value at a time, bounded by the bytes that are there (the format is specified at
 * https://github.com/msgpack/msgpack/blob/master/spec.md).
 */

#include "proto/cursor.h"

/* Reads a big-endian number of 1, 2, 4 or 8 bytes. */
static bool read_number(struct cursor *cursor, size_t size, uint64_t *ret_number)
{
	uint64_t number = 0;

	if ((size_t)(cursor->end - cursor->at) < size) {
		return false;
	}
	for (size_t i = 0; i < size; i++) {
		number = number << 8 | cursor->at[i];
	}
	cursor->at += size;
	*ret_number = number;
	return true;
}

/* Formats 0xc0 to 0xdf: what they are, and the bytes of the number behind them. */
static const struct format {
	uint8_t valid;
	uint8_t kind;
	uint8_t size; /* of the number: a length, a count, or the value */
	uint8_t fixed; /* no number: the value, or of EXT the length */
} formats[32] = {
	[0x00] = {1, VALUE_NIL, 0, 0},	    [0x02] = {1, VALUE_BOOL, 0, 0},
	[0x03] = {1, VALUE_BOOL, 0, 1},	    [0x04] = {1, VALUE_BIN, 1, 0},
	[0x05] = {1, VALUE_BIN, 2, 0},	    [0x06] = {1, VALUE_BIN, 4, 0},
	[0x07] = {1, VALUE_EXT, 1, 0},	    [0x08] = {1, VALUE_EXT, 2, 0},
	[0x09] = {1, VALUE_EXT, 4, 0},	    [0x0a] = {1, VALUE_FLOAT, 4, 0},
	[0x0b] = {1, VALUE_FLOAT, 8, 0},    [0x0c] = {1, VALUE_UINT, 1, 0},
	[0x0d] = {1, VALUE_UINT, 2, 0},	    [0x0e] = {1, VALUE_UINT, 4, 0},
	[0x0f] = {1, VALUE_UINT, 8, 0},	    [0x10] = {1, VALUE_NEGATIVE, 1, 0},
	[0x11] = {1, VALUE_NEGATIVE, 2, 0}, [0x12] = {1, VALUE_NEGATIVE, 4, 0},
	[0x13] = {1, VALUE_NEGATIVE, 8, 0}, [0x14] = {1, VALUE_EXT, 0, 1},
	[0x15] = {1, VALUE_EXT, 0, 2},	    [0x16] = {1, VALUE_EXT, 0, 4},
	[0x17] = {1, VALUE_EXT, 0, 8},	    [0x18] = {1, VALUE_EXT, 0, 16},
	[0x19] = {1, VALUE_STR, 1, 0},	    [0x1a] = {1, VALUE_STR, 2, 0},
	[0x1b] = {1, VALUE_STR, 4, 0},	    [0x1c] = {1, VALUE_ARRAY, 2, 0},
	[0x1d] = {1, VALUE_ARRAY, 4, 0},    [0x1e] = {1, VALUE_MAP, 2, 0},
	[0x1f] = {1, VALUE_MAP, 4, 0},
};

/* Reads the first byte and the number behind it. */
static bool read_head(struct cursor *cursor, struct value *ret)
{
	const struct format *format;
	uint8_t byte;

	if (cursor->at == cursor->end) {
		return false;
	}
	byte = *cursor->at++;
	if (byte < 0x80) {
		*ret = (struct value){.kind = VALUE_UINT, .number = byte};
	} else if (byte < 0x90) {
		*ret = (struct value){.kind = VALUE_MAP, .number = byte & 0x0f};
	} else if (byte < 0xa0) {
		*ret = (struct value){.kind = VALUE_ARRAY, .number = byte & 0x0f};
	} else if (byte < 0xc0) {
		*ret = (struct value){.kind = VALUE_STR, .number = byte & 0x1f};
	} else if (byte >= 0xe0) {
		*ret = (struct value){.kind = VALUE_NEGATIVE};
	} else {
		format = &formats[byte & 0x1f];
		*ret = (struct value){.kind = format->kind, .number = format->fixed};
		return format->valid &&
		       (format->size == 0 || read_number(cursor, format->size, &ret->number));
	}
	return true;
}

/* A signed encoding of a number that is not negative counts as unsigned. `size` bytes were read. */
static void settle_sign(struct value *value, size_t size)
{
	if (value->kind == VALUE_NEGATIVE && size > 1 &&
	    (value->number >> (8 * (size - 1) - 1) & 1) == 0) {
		value->kind = VALUE_UINT;
	}
}

bool cursor_read(struct cursor *cursor, struct value *ret)
{
	const uint8_t *start = cursor->at;
	size_t left;

	if (!read_head(cursor, ret)) {
		return false;
	}
	left = (size_t)(cursor->end - cursor->at);
	switch (ret->kind) {
	case VALUE_NEGATIVE:
		settle_sign(ret, (size_t)(cursor->at - start));
		return true;
	case VALUE_EXT: /* a type byte comes first */
		if (ret->number + 1 > left) {
			return false;
		}
		cursor->at += ret->number + 1;
		return true;
	case VALUE_STR:
	case VALUE_BIN:
		if (ret->number > left) {
			return false;
		}
		ret->data = cursor->at;
		cursor->at += ret->number;
		return true;
	case VALUE_ARRAY:
		return ret->number <= left;
	case VALUE_MAP:
		return ret->number <= left / 2;
	default:
		return true;
	}
}
