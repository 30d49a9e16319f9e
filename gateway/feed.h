/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A room that this gateway follows for its connections.
 *
 * Events come from the roomd that owns the room's slot, over one feed per roomd. That path may
 * drop; the log at the owner is the truth (cursor.h decides which is asked for). The room's cursor
 * moves with the feed and fetches what the feed dropped; each connection has its own place behind
 * it (follow.h). A room lives as long as it has follows.
 */

#include <uthash.h>
#include "gateway/cursor.h"
#include "gateway/envelope.h"
#include "gateway/gateway.h"

#define FEED_PENDING_MAX 512 /* events kept while what is before them is fetched */
#define FEED_PRESENCE_MS 30000

struct follow;

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

/* The room, made and subscribed to if need be. NULL: no memory. */
struct feed_room *feed_room_get(struct gateway *gateway, const struct proto_id *id);
/* Its last follow has gone. */
void feed_room_free(struct feed_room *room);
/*
 * The owner says that the room stands at `seq`: applies what waited for that, fetches what is
 * missing. Follows may be closed by it.
 */
void feed_room_settle(struct feed_room *room, uint64_t seq);

void feeds_slots_changed(struct gateway *gateway);
void feeds_tick(struct gateway *gateway);
void feeds_free(struct gateway *gateway);
/* The address of an upstream's publisher has changed. */
void feed_renew(struct upstream *upstream);
