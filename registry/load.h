/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * When load is a reason to move slots, and from whom to whom. Pure.
 *
 * Gentle on purpose: one node must be the busiest, and by far, LOAD_STREAK times in a row before it
 * gives anything away, and then it gives little (assignment.h). Nobody knows which of its slots
 * are the busy ones, and a single busy room cannot be split by moving it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_CHECK_MS 10000 /* how often it is looked at */
#define LOAD_HOT_PERMILLE 700 /* of one core: below it nothing moves */
#define LOAD_GAP_PERMILLE 300 /* between the busiest and the idlest */
#define LOAD_STREAK 3 /* looks in a row that must find so */
#define LOAD_PART 32 /* a move takes this part of an even share */
#define LOAD_UNKNOWN UINT64_MAX /* of a node that has not told, or may not get slots */

struct load_watch {
	size_t hot; /* who was the busiest at the last look */
	unsigned int streak; /* and for how many */
};

/*
 * One look at the loads of all nodes (permille of a core). Returns whether slots should move now;
 * the watch begins anew then.
 */
bool load_look(struct load_watch *watch, const uint64_t *loads, size_t nodes, size_t *ret_from,
	       size_t *ret_to);
