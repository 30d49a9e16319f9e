/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See load.h. */

#include "registry/load.h"

/* Returns whether the gap between the two is one to do something about. */
static bool find_extremes(const uint64_t *loads, size_t nodes, size_t *ret_hot, size_t *ret_cool)
{
	size_t hot = nodes;
	size_t cool = nodes;

	for (size_t i = 0; i < nodes; i++) {
		if (loads[i] == LOAD_UNKNOWN) {
			continue;
		}
		hot = hot == nodes || loads[i] > loads[hot] ? i : hot;
		cool = cool == nodes || loads[i] < loads[cool] ? i : cool;
	}
	*ret_hot = hot;
	*ret_cool = cool;
	return hot != nodes && loads[hot] >= LOAD_HOT_PERMILLE &&
	       loads[hot] - loads[cool] >= LOAD_GAP_PERMILLE;
}

bool load_look(struct load_watch *watch, const uint64_t *loads, size_t nodes, size_t *ret_from,
	       size_t *ret_to)
{
	size_t hot;
	size_t cool;

	if (!find_extremes(loads, nodes, &hot, &cool)) {
		watch->streak = 0;
		return false;
	}
	if (watch->streak > 0 && watch->hot != hot) {
		watch->streak = 0;
	}
	watch->hot = hot;
	if (++watch->streak < LOAD_STREAK) {
		return false;
	}
	watch->streak = 0;
	*ret_from = hot;
	*ret_to = cool;
	return true;
}
