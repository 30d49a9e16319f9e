/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See lane.h. Items are the caller's; the lane only links them. */

#include "gateway/lane.h"

#include <utlist.h>

void lane_append(struct lane *lane, struct lane_item *item)
{
	item->flying = false;
	item->behind = false;
	DL_APPEND(lane->items, item);
}

struct lane_item *lane_next(struct lane *lane)
{
	struct lane_item *item;

	if (lane->held || lane->flying >= LANE_FLYING_MAX) {
		return NULL;
	}
	DL_FOREACH(lane->items, item)
	{
		if (!item->flying) {
			return item;
		}
	}
	return NULL;
}

uint64_t lane_take_off(struct lane *lane, struct lane_item *item)
{
	const struct lane_item *other = item;

	item->flying = true;
	item->behind = false;
	lane->flying++;
	while (other != lane->items) {
		other = other->prev;
		if (proto_id_equal(&other->client, &item->client)) {
			item->behind = true;
			return other->number;
		}
	}
	return 0;
}

void lane_return(struct lane *lane, struct lane_item *item)
{
	if (item->flying) {
		item->flying = false;
		lane->flying--;
	}
	lane->held = true;
}

void lane_end(struct lane *lane, struct lane_item *item)
{
	if (item->flying) {
		lane->flying--;
	}
	DL_DELETE(lane->items, item);
}

bool lane_release(struct lane *lane)
{
	if (lane->flying == 0) {
		lane->held = false;
	}
	return !lane->held;
}
