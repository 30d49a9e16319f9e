/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A room that this gateway follows for its connections, and each connection's place in it.
 *
 * Events come from the roomd that owns the room's slot, over one feed per roomd. That path may
 * drop; the log at the owner is the truth (cursor.h decides which is asked for). The room has a
 * cursor, which moves with the feed; each follow has one of its own and is either
 *
 *   OPENING    room_open is on its way to the owner; nothing is delivered
 *   LIVE       at the room's cursor: gets each event as it comes
 *   BEHIND     resumed, or too slow for its queue: is fed from the log, page by page as its socket
 *              drains, until it is where the room is
 *
 * so that no connection ever sees a gap or an event twice, whatever the feed does.
 */

#include <uthash.h>
#include "gateway/connection.h"
#include "gateway/cursor.h"
#include "gateway/envelope.h"
#include "gateway/gateway.h"

#define FEED_PENDING_MAX 512 /* events kept while what is before them is fetched */
#define FEED_PRESENCE_MS 30000

enum follow_state {
	FOLLOW_OPENING,
	FOLLOW_LIVE,
	FOLLOW_BEHIND,
};

/* One session that has the room open, on any of its connections. */
struct presence {
	struct proto_id id; /* of the session */
	struct session *session;
	size_t count; /* connections */
	uint64_t sent_ms;
	UT_hash_handle hh;
};

struct feed_room {
	struct proto_id id;
	struct gateway *gateway;
	struct upstream *upstream; /* where it is followed; NULL: nobody owns its slot */
	struct proto_id incarnation;
	struct cursor cursor;
	uint64_t target; /* the room is known to stand at least there */
	enum proto_room_kind access;
	struct errand *fetch;
	bool stalled; /* a fetch failed; the tick tries again */
	struct envelope *pending; /* FEED_PENDING_MAX; NULL while there are none */
	size_t pending_count;
	struct follow *follows;
	struct presence *presences;
	UT_hash_handle hh;
};

struct follow {
	struct feed_room *room;
	struct connection *connection;
	enum follow_state state;
	uint64_t last; /* seq up to which the connection was given everything */
	uint64_t request; /* OPENING: the browser's request */
	uint64_t after; /* OPENING: what it has */
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
void feed_open(struct connection *connection, uint64_t request, const struct proto_room_open *open);
/* The connection no longer follows. */
void feed_close(struct follow *follow);
struct follow *feed_find(const struct connection *connection, const struct proto_id *room);
void feed_set_here(struct follow *follow, bool here);
/* Frames of this follow were dropped from a queue, the oldest being `seq`. For outbox_shed(). */
void feed_shed(void *follow, uint64_t seq);
/* The connection's queue is empty: whoever is behind may go on. */
void feed_drained(struct connection *connection);

void feeds_slots_changed(struct gateway *gateway);
void feeds_tick(struct gateway *gateway);
void feeds_free(struct gateway *gateway);
/* The address of an upstream's publisher has changed. */
void feed_renew(struct upstream *upstream);
