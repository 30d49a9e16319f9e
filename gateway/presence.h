/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Who has a room open through this gateway. The owner of the room is told of the first connection
 * of a session, again every FEED_PRESENCE_MS, and when the last one of the person goes.
 */

#include "gateway/feed.h"

#define PRESENCE_REPEAT_MAX 32

void presence_change(struct feed_room *room, struct session *session, bool here);
void presences_tick(struct feed_room *room);
/*
 * The room has another owner, which knows nobody yet: it is told of PRESENCE_REPEAT_MAX sessions at
 * once, of the others when they are due. (It tells all readers of each; hundreds are not urgent.)
 */
void presences_repeat(struct feed_room *room);
void presences_free(struct feed_room *room);
