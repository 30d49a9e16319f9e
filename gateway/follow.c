/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See follow.h. Order of every opening: subscribe, then ask the owner, then drop the overlap. */

#include "gateway/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "gateway/errand.h"
#include "gateway/presence.h"
#include "gateway/session.h"

static void advance(struct follow *follow);

/* --- life --- */

struct follow *follow_find(const struct connection *connection, const struct proto_id *room)
{
	struct follow *follow;

	DL_FOREACH2(connection->follows, follow, next_in)
	{
		if (proto_id_equal(&follow->room->id, room)) {
			return follow;
		}
	}
	return NULL;
}

void follow_close(struct follow *follow)
{
	struct feed_room *room = follow->room;
	struct connection *connection = follow->connection;

	follow_set_here(follow, false);
	errand_abandon(follow->errand);
	outbox_untag(&connection->outbox, follow);
	DL_DELETE2(connection->follows, follow, prev_in, next_in);
	connection->follow_count--;
	DL_DELETE(room->follows, follow);
	free(follow);
	if (!room->follows) {
		feed_room_free(room);
	}
}

static struct follow *follow_new(struct connection *connection, const struct proto_id *id)
{
	struct feed_room *room = feed_room_get(connection->gateway, id);
	struct follow *follow = calloc(1, sizeof(*follow));

	if (!room || !follow) {
		free(follow);
		if (room && !room->follows) {
			feed_room_free(room);
		}
		return NULL;
	}
	follow->room = room;
	follow->connection = connection;
	DL_APPEND(room->follows, follow);
	DL_APPEND2(connection->follows, follow, prev_in, next_in);
	connection->follow_count++;
	return follow;
}

void follow_set_here(struct follow *follow, bool here)
{
	if (follow->here != here) {
		follow->here = here;
		presence_change(follow->room, follow->connection->session, here);
	}
}

/* --- what it is given --- */

void follow_deliver(struct follow *follow, struct sheet *sheet, uint64_t seq)
{
	struct frame *frame = sheet_frame(sheet, follow->connection->form);

	if (!frame) {
		follow->state = FOLLOW_BEHIND;
		follow->failed = true;
		return;
	}
	follow->last = seq;
	connection_send(follow->connection, frame, follow, seq);
	metric_add(follow->room->gateway->numbers.deliveries, 1);
}

static void reset(struct follow *follow, uint64_t seq)
{
	struct proto_reset body = {.room = follow->room->id, .seq = seq};

	follow->last = seq;
	connection_tell(follow->connection, PROTO_RESET, 0, &body);
}

/*
 * The mark is tagged as an event without a number is: it must not stand in the queue when events
 * before it are dropped.
 */
static void send_mark(struct follow *follow)
{
	struct proto_caught_up body = {.room = follow->room->id, .seq = follow->last};
	struct sheet sheet = {.type = PROTO_CAUGHT_UP, .body = &body};
	struct frame *frame = sheet_frame(&sheet, follow->connection->form);

	follow->owes_mark = !frame;
	if (frame) {
		connection_send(follow->connection, frame, follow, 0);
	}
	sheet_deinit(&sheet);
}

static void become_live(struct follow *follow)
{
	follow->state = FOLLOW_LIVE;
	if (follow->owes_mark) {
		send_mark(follow);
	}
}

static bool is_final(int result)
{
	unsigned int status = proto_error_info((enum proto_code)result)->status;

	return status == 403 || status == 404;
}

/*
 * As many events of a page as the queue takes; the rest is asked for again. Returns whether any was
 * due.
 */
static bool deliver_page(struct follow *follow, const struct proto_room_range *range)
{
	bool due = false;

	for (size_t i = 0; i < range->events.count; i++) {
		struct sheet sheet = {.type = PROTO_EVENT, .body = &range->events.items[i]};
		uint64_t seq = range->events.items[i].seq;
		struct frame *frame;

		if (seq != follow->last + 1) {
			continue;
		}
		due = true;
		frame = sheet_frame(&sheet, follow->connection->form);
		if (!frame || !outbox_fits(&follow->connection->outbox, frame)) {
			sheet_deinit(&sheet);
			break;
		}
		follow_deliver(follow, &sheet, seq);
		sheet_deinit(&sheet);
	}
	return due;
}

/*
 * Where it must be to be live: at the room's cursor, and where the owner said that the room stands,
 * which the feed may not have brought yet.
 */
static uint64_t goal(const struct follow *follow)
{
	uint64_t last = follow->room->cursor.last;

	return last > follow->until ? last : follow->until;
}

static void on_page(void *context, int result, const struct proto_message *answer)
{
	struct follow *follow = context;

	follow->errand = NULL;
	if (result != 0 && is_final(result)) {
		follow_close(follow);
		return;
	}
	follow->failed = result != 0 || (!deliver_page(follow, PROTO_BODY(answer, room_range)) &&
					 follow->last < goal(follow));
	if (!follow->failed) {
		advance(follow);
	}
}

/* Brings a follow that is behind one step further. */
static void advance(struct follow *follow)
{
	struct feed_room *room = follow->room;
	struct proto_room_events body = {.room = room->id, .after = follow->last};
	struct errand_order order = {.type = PROTO_ROOM_EVENTS, .body = &body};

	if (follow->state != FOLLOW_BEHIND || follow->errand) {
		return;
	}
	if (follow->last >= goal(follow)) {
		become_live(follow);
		return;
	}
	if (!connection_has_room(follow->connection)) {
		return; /* follows_drained() goes on */
	}
	if (goal(follow) - follow->last > CURSOR_MISSED_MAX) {
		follow->owes_mark = false;
		reset(follow, goal(follow));
		become_live(follow);
		return;
	}
	body.session = follow->connection->session->id;
	order.session = follow->connection->session;
	follow->failed = errand_send(room->gateway, &order, on_page, follow, &follow->errand) != 0;
}

void follow_shed(void *tag, uint64_t seq)
{
	struct follow *follow = tag;

	if (seq == 0) {
		follow->owes_mark = true;
	} else if (seq - 1 < follow->last) {
		follow->last = seq - 1;
	}
	follow->state = follow->state == FOLLOW_LIVE ? FOLLOW_BEHIND : follow->state;
}

void follows_drained(struct connection *connection)
{
	struct follow *follow;
	struct follow *next;

	DL_FOREACH_SAFE2(connection->follows, follow, next, next_in)
	{
		if (follow->state == FOLLOW_BEHIND && !follow->failed) {
			advance(follow);
		}
	}
}

/* --- opening --- */

static void start(struct follow *follow, const struct proto_room_opened *opened)
{
	struct feed_room *room = follow->room;

	follow->role = opened->role;
	follow->last = opened->seq;
	follow->until = opened->seq;
	follow->state = FOLLOW_BEHIND;
	if (!room->cursor.known || opened->seq >= room->cursor.last) {
		room->access = opened->access; /* else a later event has said it */
	}
	connection_tell(follow->connection, PROTO_ROOM_OPENED, follow->request, opened);
	if (!room->cursor.known) {
		cursor_advance(&room->cursor, opened->epoch, opened->seq);
	}
	if (follow->after == 0) {
		return;
	}
	switch (cursor_resume(follow->after, opened->seq)) {
	case CURSOR_RESUME_RESET:
		reset(follow, opened->seq);
		break;
	case CURSOR_RESUME_LIVE:
		follow->owes_mark = true;
		break;
	case CURSOR_RESUME_REPLAY:
		follow->owes_mark = true;
		follow->last = follow->after;
		break;
	}
}

static void on_opened(void *context, int result, const struct proto_message *answer)
{
	struct follow *follow = context;
	struct feed_room *room = follow->room;

	follow->errand = NULL;
	if (result != 0) {
		connection_refuse(follow->connection, follow->request, result, NULL,
				  answer ? PROTO_BODY(answer, error) : NULL);
		follow_close(follow);
		return;
	}
	start(follow, PROTO_BODY(answer, room_opened));
	advance(follow);
	feed_room_settle(room, PROTO_BODY(answer, room_opened)->seq);
}

static bool may_follow(struct connection *connection, const struct follow *follow, uint64_t request)
{
	if (follow && follow->state == FOLLOW_OPENING) {
		connection_refuse(connection, request, PROTO_E_BUSY, "the room is being opened",
				  NULL);
		return false;
	}
	if (!follow &&
	    connection->follow_count >= connection->gateway->settings->rooms_per_connection) {
		connection_refuse(connection, request, PROTO_E_LIMIT,
				  "too many rooms on this connection", NULL);
		return false;
	}
	return true;
}

void follow_open(struct connection *connection, uint64_t request,
		 const struct proto_room_open *open)
{
	struct follow *follow = follow_find(connection, &open->room);
	struct errand_order order = {
		.type = PROTO_ROOM_OPEN, .body = open, .session = connection->session};
	int r = -ENOMEM;

	if (!may_follow(connection, follow, request)) {
		return;
	}
	follow = follow ? follow : follow_new(connection, &open->room);
	if (follow) {
		errand_abandon(follow->errand);
		follow->errand = NULL;
		outbox_forget(&connection->outbox, follow);
		follow->state = FOLLOW_OPENING;
		follow->owes_mark = false;
		follow->failed = false;
		follow->request = request;
		follow->after = open->after;
		r = errand_send(connection->gateway, &order, on_opened, follow, &follow->errand);
	}
	if (r != 0) {
		connection_refuse(connection, request, r, NULL, NULL);
		if (follow) {
			follow_close(follow);
		}
	}
}

/* --- time --- */

void follows_retry(struct feed_room *room)
{
	struct follow *follow;
	struct follow *next;

	DL_FOREACH_SAFE(room->follows, follow, next)
	{
		if (follow->failed) {
			follow->failed = false;
			advance(follow);
		}
	}
}
