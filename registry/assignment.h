/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Which roomd should own which slot. Pure.
 *
 * Every slot has a wish, the name of a node, which outlives restarts: a roomd that comes back under
 * its name finds its slots again. Wishes change only when they must, and as few as possible: slots
 * of nodes that are gone go to those with the fewest, and a node with fewer than its even share
 * gets some from those with more.
 */

#include "proto/proto.h"

#define ASSIGNMENT_NOBODY SIZE_MAX

/*
 * `wishes` has PROTO_SLOTS positions in the list of `nodes` healthy nodes, or ASSIGNMENT_NOBODY for
 * a slot whose node is none of them. Afterwards each slot has a node (unless there are none), and
 * two nodes' counts differ by one at the most. Returns the number of wishes that changed.
 */
size_t assignment_balance(size_t *wishes, size_t nodes);
