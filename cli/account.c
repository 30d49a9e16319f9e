/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See account.h. */

#include "cli/account.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GAPS_FIRST 8U

void account_deinit(struct account *account)
{
	free(account->gaps);
	*account = (struct account){0};
}

static bool grow(struct account *account)
{
	uint32_t capacity = account->gap_capacity ? 2 * account->gap_capacity : GAPS_FIRST;
	struct account_gap *gaps;

	if (account->gap_count < account->gap_capacity) {
		return true;
	}
	if (capacity > ACCOUNT_GAPS_MAX) {
		return false;
	}
	gaps = realloc(account->gaps, capacity * sizeof(*gaps));
	if (!gaps) {
		return false;
	}
	account->gaps = gaps;
	account->gap_capacity = capacity;
	return true;
}

static void insert(struct account *account, uint32_t at, struct account_gap gap)
{
	if (!grow(account)) {
		account->forsaken += gap.last - gap.first + 1;
		return;
	}
	memmove(account->gaps + at + 1, account->gaps + at,
		(account->gap_count - at) * sizeof(gap));
	account->gaps[at] = gap;
	account->gap_count++;
}

static void erase(struct account *account, uint32_t at)
{
	account->gap_count--;
	memmove(account->gaps + at, account->gaps + at + 1,
		(account->gap_count - at) * sizeof(*account->gaps));
}

static void fill(struct account *account, uint32_t at, uint32_t number)
{
	struct account_gap *gap = &account->gaps[at];
	struct account_gap rest = {number + 1, gap->last};

	if (gap->first == gap->last) {
		erase(account, at);
	} else if (number == gap->first) {
		gap->first++;
	} else if (number == gap->last) {
		gap->last--;
	} else {
		gap->last = number - 1;
		insert(account, at + 1, rest);
	}
}

enum account_verdict account_take_other(struct account *account, uint32_t number)
{
	if (number > account->seen) {
		struct account_gap gap = {account->seen + 1, number - 1};

		insert(account, account->gap_count, gap);
		account->seen = number;
		return ACCOUNT_AHEAD;
	}
	for (uint32_t i = 0; i < account->gap_count; i++) {
		if (number >= account->gaps[i].first && number <= account->gaps[i].last) {
			fill(account, i, number);
			return ACCOUNT_LATE;
		}
	}
	return ACCOUNT_AGAIN;
}

uint64_t account_missing(const struct account *account, uint32_t sent)
{
	uint64_t missing = account->forsaken;

	for (uint32_t i = 0; i < account->gap_count; i++) {
		missing += account->gaps[i].last - account->gaps[i].first + 1;
	}
	return sent > account->seen ? missing + (sent - account->seen) : missing;
}
