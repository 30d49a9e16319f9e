/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See assignment.h. */

#include "registry/assignment.h"

static void count(const size_t *wishes, size_t nodes, size_t *ret_counts)
{
	for (size_t node = 0; node < nodes; node++) {
		ret_counts[node] = 0;
	}
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		if (wishes[slot] != ASSIGNMENT_NOBODY) {
			ret_counts[wishes[slot]]++;
		}
	}
}

/* The node with the fewest slots. */
static size_t poorest(const size_t *counts, size_t nodes)
{
	size_t found = 0;

	for (size_t node = 1; node < nodes; node++) {
		if (counts[node] < counts[found]) {
			found = node;
		}
	}
	return found;
}

/*
 * How many a node may keep: the even share, and one more for as many nodes as there are slots left
 * over; those who have more than the share already keep that one.
 */
static void allow(const size_t *counts, size_t nodes, size_t *ret_allowed)
{
	size_t share = PROTO_SLOTS / nodes;
	size_t over = PROTO_SLOTS % nodes;

	for (size_t node = 0; node < nodes; node++) {
		bool one_more = over > 0 && counts[node] > share;

		ret_allowed[node] = share + one_more;
		over -= one_more;
	}
	for (size_t node = 0; node < nodes && over > 0; node++) {
		if (ret_allowed[node] == share) {
			ret_allowed[node]++;
			over--;
		}
	}
}

size_t assignment_balance(size_t *wishes, size_t nodes)
{
	size_t counts[PROTO_NODES_MAX];
	size_t allowed[PROTO_NODES_MAX];
	size_t changed = 0;

	if (nodes == 0 || nodes > PROTO_NODES_MAX) {
		return 0;
	}
	count(wishes, nodes, counts);
	allow(counts, nodes, allowed);
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		size_t node = wishes[slot];

		if (node != ASSIGNMENT_NOBODY && counts[node] <= allowed[node]) {
			continue;
		}
		if (node != ASSIGNMENT_NOBODY) {
			counts[node]--;
		}
		wishes[slot] = poorest(counts, nodes);
		counts[wishes[slot]]++;
		changed += wishes[slot] != node;
	}
	return changed;
}
