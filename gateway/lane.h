/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The writes of one connection to one room, kept in order although several are on their way at once
 * and any of them may have to be sent again ("go back N").
 *
 *             lane_next()              answer
 *   WAITING ──────────────▶ FLYING ──────────────▶ lane_end()
 *      ▲                      │ refused for now
 *      └──────────────────────┘ lane_return(): the lane is held until nothing flies any more
 *
 * A write that takes off behind another one of its client, whose answer is still to come, names
 * that one as its `prev`. The owner of the room then refuses it with `out_of_order` if the other
 * one did not arrive, instead of letting it overtake; both return, and take off again in order.
 */

#include <stdbool.h>
#include <stddef.h>
#include "proto/proto.h"

#define LANE_FLYING_MAX 64

struct lane_item {
	struct lane_item *prev;
	struct lane_item *next;
	struct proto_id client;
	uint64_t number;
	bool flying;
	bool behind; /* took off behind an unanswered write of its client */
};

struct lane {
	struct lane_item *items;
	size_t flying;
	bool held;
};

void lane_append(struct lane *lane, struct lane_item *item);
/* The write that may take off now, or NULL. */
struct lane_item *lane_next(struct lane *lane);
/* Returns the number that it must name as its `prev`; 0: none. */
uint64_t lane_take_off(struct lane *lane, struct lane_item *item);
void lane_return(struct lane *lane, struct lane_item *item);
void lane_end(struct lane *lane, struct lane_item *item);
/* Ends the hold. Returns false, and holds on, while something flies. */
bool lane_release(struct lane *lane);
