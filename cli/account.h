/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What one reader has of one sender, whose messages carry the numbers 1, 2, 3, … Exact: every
 * number up to `seen` has come, or lies in a gap.
 *
 *   number    = seen + 1   > seen + 1          <= seen, in a gap    <= seen, else
 *   verdict   NEXT         AHEAD: a new gap    LATE: reordered      AGAIN: doubled
 */

#include <stdint.h>

/*
 * Gaps of one reader and sender. Numbers of a gap past that are `forsaken`: missing, whether they
 * still come or not.
 */
#define ACCOUNT_GAPS_MAX 4096

struct account_gap {
	uint32_t first;
	uint32_t last;
};

struct account {
	uint32_t seen; /* the highest number that has come */
	uint32_t gap_count;
	uint32_t gap_capacity;
	uint32_t forsaken;
	struct account_gap *gaps; /* in order */
};

enum account_verdict {
	ACCOUNT_NEXT,
	ACCOUNT_AHEAD,
	ACCOUNT_LATE,
	ACCOUNT_AGAIN,
};

void account_deinit(struct account *account);

/* For everything but the next number. */
enum account_verdict account_take_other(struct account *account, uint32_t number);

static inline enum account_verdict account_take(struct account *account, uint32_t number)
{
	if (__builtin_expect(number == account->seen + 1, 1)) {
		account->seen = number;
		return ACCOUNT_NEXT;
	}
	return account_take_other(account, number);
}

/* How many of the numbers 1 to `sent` have not come. */
uint64_t account_missing(const struct account *account, uint32_t sent);
