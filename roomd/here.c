/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is published and never stored: who has a room open, who types, where active rooms stand. */

#include <stdlib.h>
#include "roomd/daemon.h"
#include "roomd/rights.h"

#define TYPING_MS \
	1000 /* at most one notice of a person in a room in that time; stopping is always told */
#define BEACON_ACTIVE_MS 60000

static void publish_presence(struct hosted *hosted, const struct proto_id *user, const char *name,
			     bool here)
{
	struct proto_presence body = {
		.room = hosted->room.id,
		.user = *user,
		.name = proto_span(name),
		.here = here,
		.count = presence_count(&hosted->room.presence),
	};

	bus_publish(hosted->roomd->publisher, &hosted->room.id, PROTO_PRESENCE, &body);
}

void here_presence(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_room_presence *body = PROTO_BODY(job->message, room_presence);
	struct presence *presence = &hosted->room.presence;
	enum presence_change change;
	int r = body->here ? rights_check(&hosted->room, RIGHTS_READ, &session->user) : 0;

	if (r != 0) {
		job_refuse(job, r, NULL);
		return;
	}
	if (body->here) {
		change = presence_enter(presence, job->peer, &session->user, session->name,
					roomd_now_ms(hosted->roomd));
	} else {
		change = presence_leave(presence, job->peer, &session->user);
	}
	if (change == PRESENCE_FULL) {
		job_refuse(job, PROTO_E_BUSY, NULL);
		return;
	}
	if (change != PRESENCE_SAME) {
		publish_presence(hosted, &session->user, session->name, change == PRESENCE_CAME);
	}
	job_reply(job, PROTO_OK, NULL);
}

void here_expire(struct roomd *roomd)
{
	uint64_t now = roomd_now_ms(roomd);
	struct presence_person person;
	struct hosted *hosted;
	bool went;

	for (hosted = roomd->rooms; hosted; hosted = hosted->hh.next) {
		while (presence_expire(&hosted->room.presence, now, &person, &went)) {
			if (went) {
				publish_presence(hosted, &person.user, person.name, false);
			}
		}
	}
}

void here_typing(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_room_typing *body = PROTO_BODY(job->message, room_typing);
	struct room_member *member = room_member(&hosted->room, &session->user);
	uint64_t now = roomd_now_ms(hosted->roomd);
	struct proto_typing typing = {
		.room = hosted->room.id,
		.user = session->user,
		.name = proto_span(session->name),
		.active = body->active,
	};
	int r = rights_check(&hosted->room, RIGHTS_WRITE, &session->user);

	if (r != 0 || !member) {
		job_refuse(job, r != 0 ? r : PROTO_E_FORBIDDEN, NULL);
		return;
	}
	if (body->active ? now >= member->typed_ms + TYPING_MS || member->typed_ms == 0
			 : member->typed_ms > 0) {
		member->typed_ms = body->active ? now : 0;
		bus_publish(hosted->roomd->publisher, &hosted->room.id, PROTO_TYPING, &typing);
	}
	job_reply(job, PROTO_OK, NULL);
}

void here_beacon(struct roomd *roomd)
{
	static struct proto_beacon_mark marks[PROTO_BATCH_MAX]; /* one thread */
	struct proto_beacon beacon = {.rooms = {marks, 0}};
	uint64_t now = roomd_now_ms(roomd);
	const struct hosted *hosted;

	for (hosted = roomd->rooms; hosted; hosted = hosted->hh.next) {
		if (hosted->active_ms == 0 || now - hosted->active_ms > BEACON_ACTIVE_MS) {
			continue;
		}
		marks[beacon.rooms.count++] = (struct proto_beacon_mark){
			.room = hosted->room.id,
			.epoch = segment_epoch(hosted->slot->segment),
			.seq = hosted->room.committed,
		};
		if (beacon.rooms.count == PROTO_BATCH_MAX) {
			bus_publish(roomd->publisher, NULL, PROTO_BEACON, &beacon);
			beacon.rooms.count = 0;
		}
	}
	if (beacon.rooms.count > 0) {
		bus_publish(roomd->publisher, NULL, PROTO_BEACON, &beacon);
	}
}
