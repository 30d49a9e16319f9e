/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See presence.h. Nothing here is answered: what gets lost is said again, or fades at the owner. */

#include "gateway/presence.h"

#include <stdlib.h>
#include "gateway/errand.h"
#include "gateway/session.h"

static void say(struct feed_room *room, struct session *session, bool here)
{
	struct proto_room_presence body = {.session = session->id, .room = room->id, .here = here};
	struct errand_order order = {
		.type = PROTO_ROOM_PRESENCE, .body = &body, .session = session};

	(void)errand_send(room->gateway, &order, errand_ignore, NULL, NULL);
}

static bool has_person(const struct feed_room *room, const struct proto_id *user)
{
	const struct presence *presence;

	for (presence = room->presences; presence; presence = presence->hh.next) {
		if (proto_id_equal(&presence->session->user, user)) {
			return true;
		}
	}
	return false;
}

static struct presence *arrive(struct feed_room *room, struct session *session)
{
	struct presence *presence = calloc(1, sizeof(*presence));

	if (presence) {
		presence->id = session->id;
		presence->session = session_ref(session);
		presence->sent_ms = gateway_now_ms(room->gateway);
		HASH_ADD(hh, room->presences, id, sizeof(presence->id), presence);
		say(room, session, true);
	}
	return presence;
}

static void leave(struct feed_room *room, struct presence *presence)
{
	struct session *session = presence->session;

	HASH_DEL(room->presences, presence);
	free(presence);
	if (!session->ended && !has_person(room, &session->user)) {
		say(room, session, false);
	}
	session_unref(session);
}

void presence_change(struct feed_room *room, struct session *session, bool here)
{
	struct presence *presence;

	HASH_FIND(hh, room->presences, &session->id, sizeof(session->id), presence);
	if (here) {
		presence = presence ? presence : arrive(room, session);
		if (presence) {
			presence->count++;
		}
	} else if (presence && --presence->count == 0) {
		leave(room, presence);
	}
}

void presences_tick(struct feed_room *room)
{
	uint64_t now_ms = gateway_now_ms(room->gateway);
	struct presence *presence;

	for (presence = room->presences; presence; presence = presence->hh.next) {
		if (now_ms - presence->sent_ms >= FEED_PRESENCE_MS) {
			presence->sent_ms = now_ms;
			say(room, presence->session, true);
		}
	}
}

void presences_repeat(struct feed_room *room)
{
	struct presence *presence = room->presences;

	for (size_t i = 0; presence && i < PRESENCE_REPEAT_MAX; i++) {
		presence->sent_ms = gateway_now_ms(room->gateway);
		say(room, presence->session, true);
		presence = presence->hh.next;
	}
}

void presences_free(struct feed_room *room)
{
	struct presence *presence;
	struct presence *next;

	HASH_ITER(hh, room->presences, presence, next)
	{
		HASH_DEL(room->presences, presence);
		session_unref(presence->session);
		free(presence);
	}
}
