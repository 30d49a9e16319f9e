/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Ids, and spans of bytes that somebody else owns.
 *
 * UTF-8 is checked here and nowhere else; the codecs rely on it in both directions.
 */

#include "proto/proto.h"

/* Eight bytes of ASCII have no top bit. */
#define TOP_BITS 0x8080808080808080ULL

struct proto_span proto_span(const char *text)
{
	return (struct proto_span){text, text ? strlen(text) : 0};
}

bool proto_span_equal(struct proto_span a, struct proto_span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Length of the sequence at `at` (RFC 3629, section 4), or 0 if it is none. */
static size_t sequence_size(const unsigned char *at, size_t left)
{
	unsigned char lead = at[0];
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t size;

	if (lead < 0x80) {
		return 1;
	}
	if (lead < 0xc2 || lead > 0xf4) {
		return 0;
	}
	size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (size > left) {
		return 0;
	}
	switch (lead) {
	case 0xe0:
		low = 0xa0;
		break; /* overlong */
	case 0xed:
		high = 0x9f;
		break; /* surrogates */
	case 0xf0:
		low = 0x90;
		break; /* overlong */
	case 0xf4:
		high = 0x8f;
		break; /* past U+10FFFF */
	default:
		break;
	}
	if (at[1] < low || at[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	return size;
}

bool proto_span_is_utf8(struct proto_span text)
{
	const unsigned char *at = (const unsigned char *)text.data;
	size_t left = text.size;

	while (left > 0) {
		size_t size;
		uint64_t word;

		if (left >= sizeof(word)) {
			memcpy(&word, at, sizeof(word));
			if ((word & TOP_BITS) == 0) {
				at += sizeof(word);
				left -= sizeof(word);
				continue;
			}
		}
		size = sequence_size(at, left);
		if (size == 0) {
			return false;
		}
		at += size;
		left -= size;
	}
	return true;
}

bool proto_id_is_none(const struct proto_id *id)
{
	static const struct proto_id none;

	return memcmp(id->bytes, none.bytes, PROTO_ID_BYTES) == 0;
}

bool proto_id_equal(const struct proto_id *a, const struct proto_id *b)
{
	return memcmp(a->bytes, b->bytes, PROTO_ID_BYTES) == 0;
}

unsigned int proto_id_slot(const struct proto_id *id)
{
	return ((unsigned int)id->bytes[0] << 4 | (unsigned int)id->bytes[1] >> 4) % PROTO_SLOTS;
}

void proto_id_format(const struct proto_id *id, char ret_text[static PROTO_ID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < PROTO_ID_BYTES; i++) {
		ret_text[2 * i] = digits[id->bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[id->bytes[i] & 0xf];
	}
	ret_text[2 * PROTO_ID_BYTES] = '\0';
}

/* Value of a hex digit; 16 for anything else. */
static unsigned int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9') {
		return (unsigned int)(digit - '0');
	}
	if (digit >= 'a' && digit <= 'f') {
		return (unsigned int)(digit - 'a') + 10;
	}
	if (digit >= 'A' && digit <= 'F') {
		return (unsigned int)(digit - 'A') + 10;
	}
	return 16;
}

bool proto_id_parse(struct proto_span text, struct proto_id *ret_id)
{
	struct proto_id id;

	if (text.size != (size_t)2 * PROTO_ID_BYTES) {
		return false;
	}
	for (size_t i = 0; i < PROTO_ID_BYTES; i++) {
		unsigned int high = digit_value(text.data[2 * i]);
		unsigned int low = digit_value(text.data[2 * i + 1]);

		if (high > 15 || low > 15) {
			return false;
		}
		id.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_id = id;
	return true;
}
