/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Things that fall due: a binary heap whose nodes live inside what they belong to. Setting, moving
 * and removing cost O(log n), so that 65536 outstanding calls with any mix of timeouts stay cheap.
 * Pure: the caller brings the clock.
 */

#include <stddef.h>
#include <stdint.h>

struct deadline {
	uint64_t due_ms;
	size_t place; /* in the heap, from 1; 0: not set */
	void (*expire)(struct deadline *deadline); /* it is not set any more when this is called */
};

struct deadlines {
	struct deadline **heap; /* from 1 */
	size_t count;
	size_t capacity;
};

void deadlines_deinit(struct deadlines *deadlines);
/* Set it, or move it. Returns 0 or -ENOMEM; moving cannot fail. */
int deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t due_ms);
/* Also of what is not set. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);
/* The one that falls due first; NULL: none. */
struct deadline *deadlines_first(const struct deadlines *deadlines);
