/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the load generator's figures rest on: accounts, histogram, stamps, frames, dialects. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli/account.h"
#include "cli/dialect_json.h"
#include "cli/histogram.h"
#include "cli/load.h"
#include "cli/process.h"
#include "cli/stamp.h"
#include "cli/websocket.h"

/* --- accounts --- */

struct arrival {
	uint32_t number;
	enum account_verdict verdict;
	uint64_t missing; /* afterwards, of ten */
};

Test(account, every_order)
{
	static const struct arrival arrivals[] = {
		{1, ACCOUNT_NEXT, 9},  {2, ACCOUNT_NEXT, 8},   {2, ACCOUNT_AGAIN, 8},
		{7, ACCOUNT_AHEAD, 7}, {5, ACCOUNT_LATE, 6},   {5, ACCOUNT_AGAIN, 6},
		{3, ACCOUNT_LATE, 5},  {6, ACCOUNT_LATE, 4},   {4, ACCOUNT_LATE, 3},
		{4, ACCOUNT_AGAIN, 3}, {8, ACCOUNT_NEXT, 2},   {10, ACCOUNT_AHEAD, 1},
		{9, ACCOUNT_LATE, 0},  {10, ACCOUNT_AGAIN, 0}, {1, ACCOUNT_AGAIN, 0},
	};
	struct account account = {0};

	cr_assert_eq(account_missing(&account, 10), 10);
	for (size_t i = 0; i < sizeof(arrivals) / sizeof(arrivals[0]); i++) {
		cr_assert_eq(account_take(&account, arrivals[i].number), arrivals[i].verdict,
			     "row %zu", i);
		cr_assert_eq(account_missing(&account, 10), arrivals[i].missing, "row %zu", i);
	}
	cr_assert_eq(account.gap_count, 0);
	account_deinit(&account);
}

/* A random order of random losses and doubles, against a plain table of what came. */
Test(account, agrees_with_a_table)
{
	enum {
		NUMBERS = 500
	};

	for (unsigned int seed = 1; seed <= 50; seed++) {
		struct account account = {0};
		unsigned char came[NUMBERS + 1] = {0};
		uint64_t missing = NUMBERS;
		uint32_t highest = 0;

		srand(seed);
		for (unsigned int i = 0; i < 2 * NUMBERS; i++) {
			uint32_t number = 1 + (uint32_t)rand() % NUMBERS;
			enum account_verdict verdict = account_take(&account, number);
			enum account_verdict expected = came[number]		? ACCOUNT_AGAIN
							: number == highest + 1 ? ACCOUNT_NEXT
							: number > highest	? ACCOUNT_AHEAD
										: ACCOUNT_LATE;

			cr_assert_eq(verdict, expected, "seed %u number %u", seed, number);
			missing -= !came[number];
			came[number] = 1;
			highest = number > highest ? number : highest;
			cr_assert_eq(account_missing(&account, NUMBERS), missing, "seed %u", seed);
		}
		account_deinit(&account);
	}
}

/* Past the limit of gaps the count of what is missing stays exact. */
Test(account, too_many_gaps)
{
	struct account account = {0};
	uint32_t numbers = 2 * (ACCOUNT_GAPS_MAX + 10);

	for (uint32_t number = 2; number <= numbers; number += 2) {
		cr_assert_eq(account_take(&account, number), ACCOUNT_AHEAD);
	}
	cr_assert_eq(account.gap_count, ACCOUNT_GAPS_MAX);
	cr_assert_eq(account.forsaken, 10);
	cr_assert_eq(account_missing(&account, numbers), numbers / 2);
	cr_assert_eq(account_take(&account, numbers - 1), ACCOUNT_AGAIN);
	cr_assert_eq(account_take(&account, 1), ACCOUNT_LATE);
	cr_assert_eq(account_missing(&account, numbers), numbers / 2 - 1);
	account_deinit(&account);
}

/* --- histogram --- */

Test(histogram, percentiles_are_close_and_never_low)
{
	struct histogram histogram = {0};

	cr_assert_eq(histogram_at(&histogram, 0.5), 0);
	for (uint64_t value = 1; value <= 1000000; value++) {
		histogram_add(&histogram, value);
	}
	for (unsigned int permille = 1; permille <= 1000; permille++) {
		uint64_t exact = permille * 1000ULL;
		uint64_t found = histogram_at(&histogram, permille / 1000.0);

		cr_assert_geq(found, exact);
		cr_assert_leq(found, exact + exact / 128 + 1);
	}
	cr_assert_eq(histogram_at(&histogram, 1), 1000000);
	cr_assert_eq(histogram_at(&histogram, 0), 1);
}

Test(histogram, every_power_of_two_and_beyond)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		for (int off = -1; off <= 1; off++) {
			struct histogram histogram = {0};
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)off;
			uint64_t expected = value > HISTOGRAM_MAX ? HISTOGRAM_MAX : value;

			histogram_add(&histogram, value);
			cr_assert_eq(histogram_at(&histogram, 0.5), expected, "2^%u%+d", bit, off);
			cr_assert_eq(histogram.max, expected);
		}
	}
}

Test(histogram, one_slow_among_many)
{
	struct histogram histogram = {0};

	for (int i = 0; i < 99; i++) {
		histogram_add(&histogram, 10);
	}
	histogram_add(&histogram, 5000);
	cr_assert_eq(histogram_at(&histogram, 0.99), 10);
	cr_assert_eq(histogram_at(&histogram, 0.991), 5000);
}

/* --- stamps --- */

Test(stamp, comes_back)
{
	char text[200];
	struct stamp stamp = {.sender = 0xdeadbeef, .number = 1, .time_ns = 0x0123456789abcdef};
	struct stamp read;

	stamp_write(text, sizeof(text), &stamp);
	cr_assert(stamp_read(text, sizeof(text), &read));
	cr_assert_eq(read.sender, stamp.sender);
	cr_assert_eq(read.number, 1);
	cr_assert_eq(read.time_ns, stamp.time_ns);
	stamp_renew(text, UINT32_MAX, UINT64_MAX);
	cr_assert(stamp_read(text, STAMP_TEXT_BYTES_MIN, &read));
	cr_assert_eq(read.number, UINT32_MAX);
	cr_assert_eq(read.time_ns, UINT64_MAX);
	cr_assert_eq(read.sender, stamp.sender);
	cr_assert_not(stamp_read(text, STAMP_TEXT_BYTES_MIN - 1, &read));
	text[0] = 'D';
	cr_assert_not(stamp_read(text, sizeof(text), &read));
}

/* --- frames --- */

Test(websocket, lengths)
{
	static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 1 << 20};
	static const size_t headers[] = {6, 6, 6, 8, 8, 14, 14};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char header[WEBSOCKET_HEADER_BYTES_MAX];
		size_t size = websocket_header(header, WEBSOCKET_TEXT, sizes[i]);
		struct websocket_frame frame;

		cr_assert_eq(size, headers[i]);
		cr_assert_eq((unsigned char)header[1] & 0x80, 0x80, "clients mask");
		header[1] &= 0x7f;
		cr_assert_not(websocket_parse(header, size - 5, &frame));
		cr_assert(websocket_parse(header, size - 4, &frame));
		cr_assert_eq(frame.header_size, size - 4);
		cr_assert_eq(frame.size, sizes[i]);
		cr_assert_eq(frame.opcode, WEBSOCKET_TEXT);
		cr_assert(frame.final);
	}
}

/* --- the browsers' dialect --- */

static struct load_incoming parse(const char *message)
{
	struct load_incoming incoming;

	cr_assert_eq(dialect_json.parse(message, strlen(message), &incoming), strlen(message));
	return incoming;
}

Test(dialect_json, messages)
{
	struct load_incoming incoming;

	incoming = parse("{\"t\":\"event\",\"room\":\"00\",\"number\":7,\"text\":\"hello\"}");
	cr_assert_eq(incoming.kind, LOAD_TEXT);
	cr_assert_eq(incoming.size, 5);
	cr_assert_eq(memcmp(incoming.text, "hello", 5), 0);
	incoming = parse("{\"t\":\"event\",\"room\":\"00\",\"number\":77,\"text\":\"longer\"}");
	cr_assert_eq(incoming.kind, LOAD_TEXT);
	cr_assert_eq(memcmp(incoming.text, "longer", 6), 0);
	cr_assert_eq(parse("{\"t\":\"event\",\"kind\":\"member\"}").kind, LOAD_IGNORED);
	incoming = parse("{\"t\":\"room_sent\",\"i\":1000000012,\"room\":\"00\",\"seq\":3}");
	cr_assert_eq(incoming.kind, LOAD_SENT);
	cr_assert_eq(incoming.number, 12);
	incoming = parse("{\"t\":\"error\",\"i\":1000000013,\"code\":\"busy\"}");
	cr_assert_eq(incoming.kind, LOAD_REFUSED);
	cr_assert_eq(incoming.number, 13);
	cr_assert_eq(parse("{\"t\":\"error\",\"i\":1,\"code\":\"forbidden\"}").kind, LOAD_FAILED);
	cr_assert_eq(parse("{\"t\":\"goodbye\",\"code\":\"draining\"}").kind, LOAD_FAILED);
	cr_assert_eq(parse("{\"t\":\"room_opened\",\"i\":1}").kind, LOAD_READY);
	cr_assert_eq(parse("{\"t\":\"presence\"}").kind, LOAD_IGNORED);
}

Test(dialect_json, numbers_in_place)
{
	static char message[LOAD_FRAME_BYTES_MAX];
	static char text[STAMP_TEXT_BYTES_MIN];
	struct load_seat seat = {.room = "0123456789abcdef0123456789abcdef"};
	struct websocket_frame frame;
	size_t text_at = 0;
	size_t size;

	memset(text, 'y', sizeof(text));
	size = dialect_json.compose(&seat, text, sizeof(text), message, &text_at);
	cr_assert_eq(memcmp(message + text_at, text, sizeof(text)), 0);
	cr_assert(websocket_parse(message, size, &frame));
	cr_assert_eq(frame.header_size + 4 + frame.size, size);
	dialect_json.renumber(message, text_at, 1234567);
	message[size - 1] = '\0';
	cr_assert_not_null(strstr(message + 8, "{\"t\":\"room_send\",\"i\":1001234567,\"room\":"));
	cr_assert_not_null(strstr(message + 8, "\"number\":1001234567,\"text\":\"yyy"));
}

/* --- processes --- */

Test(process, lists)
{
	struct process_list list;

	cr_assert_eq(process_list_parse("", &list), 0);
	cr_assert_eq(list.count, 0);
	cr_assert_eq(process_list_parse("1,22", &list), 0);
	cr_assert_eq(list.count, 2);
	cr_assert_eq(list.pids[1], 22);
	cr_assert_eq(process_list_parse("1;2", &list), -EINVAL);
	cr_assert_eq(process_list_parse("0", &list), -EINVAL);
	cr_assert_eq(process_list_parse("x", &list), -EINVAL);
}
