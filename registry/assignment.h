/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Which roomd should own which slot. Pure.
 *
 * Every slot has a wish, the name of a node, which outlives restarts: a roomd that comes back under
 * its name finds its slots again. A move costs the people in the slot's rooms a moment, so wishes
 * change only when they must: slots of nodes that are gone go to whoever serves them, else to those
 * with the fewest; and only a node that has less than three quarters of its even share is filled up
 * to it, only one that has more than five quarters gives away what is over. Between these, load
 * decides (assignment_shift), slot by slot.
 */

#include "proto/proto.h"

#define ASSIGNMENT_NOBODY SIZE_MAX

/*
 * `wishes` has PROTO_SLOTS positions in the list of `nodes` nodes that may have slots, or
 * ASSIGNMENT_NOBODY for a slot whose node is none of them; `owners` likewise has who serves each
 * slot now. Afterwards each slot has a node (unless there are none). Returns the number of wishes
 * that changed.
 */
size_t assignment_balance(size_t *wishes, const size_t *owners, size_t nodes);

/*
 * Give up to `count` slots of `from` to `to`, from slot `start` on, without taking either out of
 * the bounds above. Returns how many.
 */
size_t assignment_shift(size_t *wishes, size_t nodes, size_t from, size_t to, size_t count,
			size_t start);
