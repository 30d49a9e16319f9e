/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A connection's place in a room that it follows. It is either
 *
 *   OPENING    room_open is on its way to the owner; nothing is delivered
 *   LIVE       at the room's cursor: gets each event as it comes
 *   BEHIND     resumed, or too slow for its queue: is fed from the log, page by page as its socket
 *              drains, until it is where the room is
 *
 * so that no connection ever sees a gap or an event twice, whatever the feed does.
 */

#include "gateway/connection.h"
#include "gateway/feed.h"
#include "gateway/sheet.h"

enum follow_state {
	FOLLOW_OPENING,
	FOLLOW_LIVE,
	FOLLOW_BEHIND,
};

struct follow {
	struct feed_room *room;
	struct connection *connection;
	enum follow_state state;
	uint64_t last; /* seq up to which the connection was given everything */
	uint64_t request; /* OPENING: the browser's request */
	uint64_t after; /* OPENING: what it has */
	uint64_t until; /* where the room stood when it was opened: is LIVE from there on */
	bool owes_mark; /* caught_up is due once it is live */
	bool here;
	bool failed; /* the tick tries again */
	enum proto_role role;
	struct errand *errand;
	struct follow *prev; /* in the room */
	struct follow *next;
	struct follow *prev_in; /* in the connection */
	struct follow *next_in;
};

/* A browser opens a room. Answers it in any case. */
void follow_open(struct connection *connection, uint64_t request,
		 const struct proto_room_open *open);
/* The connection no longer follows; the room goes with its last follow. */
void follow_close(struct follow *follow);
struct follow *follow_find(const struct connection *connection, const struct proto_id *room);
void follow_set_here(struct follow *follow, bool here);
/* Queue the event after `last`. */
void follow_deliver(struct follow *follow, struct sheet *sheet, uint64_t seq);
/* A frame of it was dropped from a queue: event `seq`, or the mark (0). For outbox_shed(). */
void follow_shed(void *follow, uint64_t seq);
/* The connection's queue is empty: whoever is behind may go on. */
void follows_drained(struct connection *connection);
/* The tick: those of the room whose last step failed try again. */
void follows_retry(struct feed_room *room);
