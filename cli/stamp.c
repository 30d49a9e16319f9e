/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See stamp.h. Reading is once a delivery, and done eight digits at a time. */

#include "cli/stamp.h"

#include <endian.h>
#include <string.h>

#define AT_SENDER 4
#define AT_NUMBER 13
#define AT_TIME 22

static const char mark[AT_SENDER] = {'d', 'c', 'l', ':'};

static void put_hex(char *to, uint32_t value)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 7; i >= 0; i--) {
		to[i] = digits[value & 0xf];
		value >>= 4;
	}
}

static uint32_t get_hex(const char *from)
{
	uint64_t digits;

	memcpy(&digits, from, sizeof(digits));
	digits = be64toh(digits);
	digits = (digits & 0x0f0f0f0f0f0f0f0fULL) + 9 * ((digits >> 6) & 0x0101010101010101ULL);
	digits = (digits | digits >> 4) & 0x00ff00ff00ff00ffULL;
	digits = (digits | digits >> 8) & 0x0000ffff0000ffffULL;
	return (uint32_t)(digits | digits >> 16);
}

void stamp_write(char *text, size_t size, const struct stamp *stamp)
{
	memset(text, 'x', size);
	memcpy(text, mark, sizeof(mark));
	put_hex(text + AT_SENDER, stamp->sender);
	text[AT_NUMBER - 1] = ':';
	text[AT_TIME - 1] = ':';
	text[STAMP_BYTES - 1] = ' ';
	stamp_renew(text, stamp->number, stamp->time_ns);
}

void stamp_renew(char *text, uint32_t number, uint64_t time_ns)
{
	put_hex(text + AT_NUMBER, number);
	put_hex(text + AT_TIME, (uint32_t)(time_ns >> 32));
	put_hex(text + AT_TIME + 8, (uint32_t)time_ns);
}

bool stamp_read(const char *text, size_t size, struct stamp *ret_stamp)
{
	if (size < STAMP_TEXT_BYTES_MIN || memcmp(text, mark, sizeof(mark)) != 0) {
		return false;
	}
	ret_stamp->sender = get_hex(text + AT_SENDER);
	ret_stamp->number = get_hex(text + AT_NUMBER);
	ret_stamp->time_ns = (uint64_t)get_hex(text + AT_TIME) << 32 | get_hex(text + AT_TIME + 8);
	return true;
}
