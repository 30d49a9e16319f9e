/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See assignment.h. Counts are balanced first, and then as few slots are moved as that takes. */

#include "registry/assignment.h"

struct counts {
	size_t of[PROTO_NODES_MAX];
	size_t nodes;
};

static size_t share_of(size_t nodes)
{
	return PROTO_SLOTS / nodes;
}

/* Less than this is too few. */
static size_t lower_bound(size_t nodes)
{
	return share_of(nodes) - share_of(nodes) / 4;
}

/* More than this is too many. */
static size_t upper_bound(size_t nodes)
{
	return share_of(nodes) + share_of(nodes) / 4 + 1;
}

static void count(const size_t *wishes, size_t nodes, struct counts *ret_counts)
{
	*ret_counts = (struct counts){.nodes = nodes};
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		if (wishes[slot] != ASSIGNMENT_NOBODY) {
			ret_counts->of[wishes[slot]]++;
		}
	}
}

static size_t poorest(const struct counts *counts)
{
	size_t found = 0;

	for (size_t node = 1; node < counts->nodes; node++) {
		found = counts->of[node] < counts->of[found] ? node : found;
	}
	return found;
}

static size_t richest(const struct counts *counts)
{
	size_t found = 0;

	for (size_t node = 1; node < counts->nodes; node++) {
		found = counts->of[node] > counts->of[found] ? node : found;
	}
	return found;
}

/* Slots without a wish. Returns how many there were. */
static size_t adopt(size_t *wishes, const size_t *owners, struct counts *counts)
{
	size_t most = share_of(counts->nodes) + 1;
	size_t adopted = 0;

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		if (wishes[slot] == ASSIGNMENT_NOBODY && owners[slot] != ASSIGNMENT_NOBODY &&
		    counts->of[owners[slot]] < most) {
			wishes[slot] = owners[slot];
			counts->of[wishes[slot]]++;
			adopted++;
		}
	}
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		if (wishes[slot] == ASSIGNMENT_NOBODY) {
			wishes[slot] = poorest(counts);
			counts->of[wishes[slot]]++;
			adopted++;
		}
	}
	return adopted;
}

/* How many slots each node should have. */
static void aim(const struct counts *counts, struct counts *ret_targets)
{
	size_t share = share_of(counts->nodes);

	*ret_targets = *counts;
	for (size_t node = 0; node < counts->nodes; node++) {
		while (counts->of[node] < lower_bound(counts->nodes) &&
		       ret_targets->of[node] < share) {
			ret_targets->of[richest(ret_targets)]--;
			ret_targets->of[node]++;
		}
	}
	for (size_t node = 0; node < counts->nodes; node++) {
		while (counts->of[node] > upper_bound(counts->nodes) &&
		       ret_targets->of[node] > share + 1) {
			ret_targets->of[node]--;
			ret_targets->of[poorest(ret_targets)]++;
		}
	}
}

/* Moves as many as it takes to get from the counts to the targets. Returns how many. */
static size_t settle(size_t *wishes, struct counts *counts, const struct counts *targets)
{
	size_t moved = 0;
	size_t to = 0;

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		size_t from = wishes[slot];

		if (counts->of[from] <= targets->of[from]) {
			continue;
		}
		while (counts->of[to] >= targets->of[to]) {
			to++; /* as many are missing there as are over here */
		}
		counts->of[from]--;
		counts->of[to]++;
		wishes[slot] = to;
		moved++;
	}
	return moved;
}

size_t assignment_balance(size_t *wishes, const size_t *owners, size_t nodes)
{
	struct counts counts;
	struct counts targets;
	size_t changed;

	if (nodes == 0 || nodes > PROTO_NODES_MAX) {
		return 0;
	}
	count(wishes, nodes, &counts);
	changed = adopt(wishes, owners, &counts);
	aim(&counts, &targets);
	return changed + settle(wishes, &counts, &targets);
}

size_t assignment_shift(size_t *wishes, size_t nodes, size_t from, size_t to, size_t most,
			size_t start)
{
	struct counts counts;
	size_t moved = 0;

	count(wishes, nodes, &counts);
	for (size_t i = 0; i < PROTO_SLOTS && moved < most; i++) {
		size_t slot = (start + i) % PROTO_SLOTS;

		if (counts.of[from] <= lower_bound(nodes) || counts.of[to] >= upper_bound(nodes)) {
			break;
		}
		if (wishes[slot] == from) {
			wishes[slot] = to;
			counts.of[from]--;
			counts.of[to]++;
			moved++;
		}
	}
	return moved;
}
