/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See feed.h. What comes over a feed is offered to the room's cursor: the next event goes to all
 * that are live, a gap is fetched, the old is dropped.
 */

#include "gateway/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "gateway/errand.h"
#include "gateway/follow.h"
#include "gateway/presence.h"
#include "gateway/session.h"
#include "gateway/sheet.h"
#include "gateway/upstream.h"

static const struct proto_id every_room; /* topic of beacons */

static void fetch(struct feed_room *room);

/* To all, at once or not at all: presence and typing are not stored. */
static void tell_all(struct feed_room *room, enum proto_type type, const void *body)
{
	struct sheet sheet = {.type = type, .body = body};
	struct follow *follow;

	DL_FOREACH(room->follows, follow)
	{
		struct frame *frame;

		if (follow->state != FOLLOW_LIVE || !connection_has_room(follow->connection)) {
			continue;
		}
		frame = sheet_frame(&sheet, follow->connection->form);
		if (frame) {
			connection_send(follow->connection, frame, NULL, 0);
		}
	}
	sheet_deinit(&sheet);
}

/* --- rights that end --- */

static bool is_closed_to_strangers(const struct feed_room *room)
{
	return room->access == PROTO_ROOM_KIND_PRIVATE || room->access == PROTO_ROOM_KIND_DIRECT;
}

static bool may_read(const struct feed_room *room, enum proto_role role)
{
	bool member = role == PROTO_ROLE_OWNER || role == PROTO_ROLE_ADMIN ||
		      role == PROTO_ROLE_MEMBER;

	return role != PROTO_ROLE_BANNED && (member || !is_closed_to_strangers(room));
}

/* Follows of people who may not read any more; opening ones are judged by the owner. */
static void expel(struct feed_room *room)
{
	struct follow *follow;
	struct follow *next;

	if (room->access == PROTO_ROOM_KIND_PERSONAL) {
		return;
	}
	DL_FOREACH_SAFE(room->follows, follow, next)
	{
		if (follow->state != FOLLOW_OPENING && !may_read(room, follow->role)) {
			bool last = room->follows->next == NULL;

			follow_close(follow);
			if (last) {
				return; /* the room is gone with it */
			}
		}
	}
}

static void apply_member(struct feed_room *room, const struct proto_event *event)
{
	struct follow *follow;

	DL_FOREACH(room->follows, follow)
	{
		if (follow->connection->session &&
		    proto_id_equal(&follow->connection->session->user, &event->subject)) {
			follow->role = event->role;
		}
	}
}

/* Whether somebody may have lost the right to read. */
static bool apply_state(struct feed_room *room, const struct proto_event *event)
{
	switch (event->kind) {
	case PROTO_EVENT_KIND_MEMBER:
		apply_member(room, event);
		return event->role == PROTO_ROLE_NONE || event->role == PROTO_ROLE_BANNED;
	case PROTO_EVENT_KIND_SETTING:
		room->access = event->access;
		return is_closed_to_strangers(room);
	default:
		return false;
	}
}

/* --- events --- */

/* The next event of the room. Returns whether expel() is due. */
static bool apply(struct feed_room *room, const struct proto_event *event)
{
	struct sheet sheet = {.type = PROTO_EVENT, .body = event};
	struct follow *follow;

	cursor_advance(&room->cursor, event->epoch, event->seq);
	DL_FOREACH(room->follows, follow)
	{
		if (follow->state == FOLLOW_LIVE && follow->last + 1 == event->seq) {
			follow_deliver(follow, &sheet, event->seq);
		}
	}
	sheet_deinit(&sheet);
	return apply_state(room, event);
}

static void drop_pending(struct feed_room *room)
{
	for (size_t i = 0; i < room->pending_count; i++) {
		envelope_deinit(&room->pending[i]);
	}
	free(room->pending);
	room->pending = NULL;
	room->pending_count = 0;
}

/* Applies what has become contiguous; drops what is old. Returns whether expel() is due. */
static bool apply_pending(struct feed_room *room)
{
	bool due = false;
	size_t kept = 0;

	for (size_t i = 0; i < room->pending_count; i++) {
		const struct proto_event *event = PROTO_BODY(&room->pending[i].message, event);
		enum cursor_verdict verdict = cursor_offer(&room->cursor, event->epoch, event->seq);

		if (verdict == CURSOR_GAP) {
			room->pending[kept++] = room->pending[i];
			continue;
		}
		if (verdict == CURSOR_NEXT) {
			due = apply(room, event) || due;
		}
		envelope_deinit(&room->pending[i]);
	}
	room->pending_count = kept;
	if (kept == 0) {
		drop_pending(room);
	}
	return due;
}

static void keep_pending(struct feed_room *room, const struct proto_message *message)
{
	if (!room->pending) {
		room->pending = calloc(FEED_PENDING_MAX, sizeof(*room->pending));
	}
	if (room->pending && room->pending_count < FEED_PENDING_MAX &&
	    envelope_copy(message, &room->pending[room->pending_count]) == 0) {
		room->pending_count++;
	}
}

static void aim(struct feed_room *room, uint64_t seq)
{
	room->target = seq > room->target ? seq : room->target;
	if (room->cursor.known && room->target > room->cursor.last) {
		fetch(room);
	}
}

static struct feed_room *find_room(struct gateway *gateway, const struct proto_id *id)
{
	struct feed_room *room;

	HASH_FIND(hh, gateway->rooms, id, sizeof(*id), room);
	return room;
}

static void on_event(struct gateway *gateway, const struct proto_message *message)
{
	const struct proto_event *event = PROTO_BODY(message, event);
	struct feed_room *room = find_room(gateway, &event->room);

	if (!room) {
		return;
	}
	switch (cursor_offer(&room->cursor, event->epoch, event->seq)) {
	case CURSOR_OLD:
		return;
	case CURSOR_NEXT:
		if (apply(room, event)) {
			expel(room);
		}
		return;
	case CURSOR_GAP:
		keep_pending(room, message);
		aim(room, event->seq);
		return;
	}
}

static void on_beacon(struct gateway *gateway, const struct proto_beacon *beacon)
{
	for (size_t i = 0; i < beacon->rooms.count; i++) {
		const struct proto_beacon_mark *mark = &beacon->rooms.items[i];
		struct feed_room *room = find_room(gateway, &mark->room);

		if (room && cursor_is_behind(&room->cursor, mark->epoch, mark->seq)) {
			aim(room, mark->seq);
		}
	}
}

static void on_message(void *context, const struct proto_id *topic,
		       const struct proto_message *message)
{
	struct upstream *upstream = context;
	struct gateway *gateway = upstream->gateway;
	struct feed_room *room;

	switch (message->header.type) {
	case PROTO_EVENT:
		on_event(gateway, message);
		break;
	case PROTO_BEACON:
		on_beacon(gateway, PROTO_BODY(message, beacon));
		break;
	case PROTO_PRESENCE:
	case PROTO_TYPING:
		room = find_room(gateway, topic);
		if (room) {
			tell_all(room, message->header.type, message->body);
		}
		break;
	default:
		break;
	}
}

/* --- fetching what the feed dropped --- */

static struct follow *any_reader(struct feed_room *room)
{
	struct follow *follow;

	DL_FOREACH(room->follows, follow)
	{
		if (follow->state != FOLLOW_OPENING) {
			return follow;
		}
	}
	return NULL;
}

/* The tick tries again, on behalf of somebody else: this one may not read any more. */
static void fetch_failed(struct feed_room *room)
{
	struct follow *first = room->follows;

	room->stalled = true;
	if (first && first->next) {
		DL_DELETE(room->follows, first);
		DL_APPEND(room->follows, first);
	}
}

static void on_fetched(void *context, int result, const struct proto_message *answer)
{
	struct feed_room *room = context;
	const struct proto_room_range *range;
	bool due = false;
	bool moved = false;

	room->fetch = NULL;
	if (result != 0) {
		fetch_failed(room);
		return;
	}
	range = PROTO_BODY(answer, room_range);
	for (size_t i = 0; i < range->events.count; i++) {
		const struct proto_event *event = &range->events.items[i];

		if (cursor_offer_logged(&room->cursor, event->seq) == CURSOR_NEXT) {
			due = apply(room, event) || due;
			moved = true;
		}
	}
	due = apply_pending(room) || due;
	room->target = range->seq > room->target ? range->seq : room->target;
	if (room->target > room->cursor.last && moved) {
		fetch(room);
	} else if (room->target > room->cursor.last) {
		fetch_failed(room);
	}
	if (due) {
		expel(room);
	}
}

static void fetch(struct feed_room *room)
{
	struct follow *reader = any_reader(room);
	struct proto_room_events body = {.room = room->id, .after = room->cursor.last};
	struct errand_order order = {.type = PROTO_ROOM_EVENTS, .body = &body};

	if (room->fetch || !room->cursor.known || !reader) {
		return;
	}
	body.session = reader->connection->session->id;
	order.session = reader->connection->session;
	room->stalled = false;
	if (errand_send(room->gateway, &order, on_fetched, room, &room->fetch) != 0) {
		room->stalled = true;
		return;
	}
	metric_add(room->gateway->numbers.gaps, 1);
}

/* --- subscriptions --- */

static void on_feed_up(void *context)
{
	struct upstream *upstream = context;
	struct feed_room *room;

	for (room = upstream->gateway->rooms; room; room = room->hh.next) {
		if (room->upstream == upstream) {
			fetch(room);
		}
	}
}

static int ensure_feed(struct upstream *upstream)
{
	int r;

	if (upstream->feed) {
		return 0;
	}
	r = bus_feed_new(upstream->gateway->service->bus, upstream->feed_address, on_message,
			 upstream, &upstream->feed);
	if (r != 0) {
		log_warn("feed.not_made", LOG_TEXT("address", upstream->feed_address),
			 LOG_ERRNO(r));
		return r;
	}
	bus_feed_on_up(upstream->feed, on_feed_up, upstream);
	return bus_feed_subscribe(upstream->feed, &every_room);
}

static void unsubscribe(struct feed_room *room)
{
	if (room->upstream) {
		if (room->upstream->feed) {
			bus_feed_unsubscribe(room->upstream->feed, &room->id);
		}
		room->upstream->rooms--;
		room->upstream = NULL;
	}
}

static void subscribe(struct feed_room *room)
{
	struct proto_id incarnation = {0};
	struct upstream *upstream = upstream_of_slot(room->gateway, proto_id_slot(&room->id),
						     &incarnation);

	if (!upstream ||
	    (upstream == room->upstream && proto_id_equal(&incarnation, &room->incarnation))) {
		return;
	}
	if (upstream != room->upstream) {
		unsubscribe(room);
		if (ensure_feed(upstream) != 0 ||
		    bus_feed_subscribe(upstream->feed, &room->id) != 0) {
			return;
		}
		room->upstream = upstream;
		upstream->rooms++;
	}
	room->incarnation = incarnation;
	fetch(room);
	presences_repeat(room); /* the new owner knows nobody yet */
}

void feed_renew(struct upstream *upstream)
{
	struct feed_room *room;

	if (!upstream->feed) {
		return;
	}
	bus_feed_free(upstream->feed);
	upstream->feed = NULL;
	if (ensure_feed(upstream) != 0) {
		return;
	}
	for (room = upstream->gateway->rooms; room; room = room->hh.next) {
		if (room->upstream == upstream) {
			(void)bus_feed_subscribe(upstream->feed, &room->id);
		}
	}
}

void feeds_slots_changed(struct gateway *gateway)
{
	struct feed_room *room;

	for (room = gateway->rooms; room; room = room->hh.next) {
		subscribe(room);
	}
}

struct feed_room *feed_room_get(struct gateway *gateway, const struct proto_id *id)
{
	struct feed_room *room = find_room(gateway, id);

	if (room) {
		return room;
	}
	room = calloc(1, sizeof(*room));
	if (!room) {
		return NULL;
	}
	room->id = *id;
	room->gateway = gateway;
	HASH_ADD(hh, gateway->rooms, id, sizeof(room->id), room);
	subscribe(room);
	return room;
}

void feed_room_free(struct feed_room *room)
{
	unsubscribe(room);
	errand_abandon(room->fetch);
	drop_pending(room);
	presences_free(room);
	HASH_DEL(room->gateway->rooms, room);
	free(room);
}

/* --- for follows --- */

void feed_room_settle(struct feed_room *room, uint64_t seq)
{
	if (apply_pending(room)) {
		expel(room);
	} else {
		aim(room, seq);
	}
}

/* --- time --- */

void feeds_tick(struct gateway *gateway)
{
	struct feed_room *room;
	struct feed_room *next;

	HASH_ITER(hh, gateway->rooms, room, next)
	{
		if (!room->upstream) {
			subscribe(room);
		}
		if (room->stalled) {
			fetch(room);
		}
		presences_tick(room);
		follows_retry(room);
	}
}

void feeds_free(struct gateway *gateway)
{
	struct feed_room *room;
	struct feed_room *next;

	HASH_ITER(hh, gateway->rooms, room, next)
	{
		feed_room_free(room);
	}
}
