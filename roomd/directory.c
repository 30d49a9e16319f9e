/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The registry's directory of rooms is brought up to date after settings and memberships changed:
 * at most one call a room on its way, changes meanwhile become one, and it is repeated until the
 * registry has it.
 */

#include <stdlib.h>
#include "roomd/daemon.h"

#define INDEX_RETRY_MS 1000

struct index_call {
	struct roomd *roomd;
	struct proto_id room;
	uint64_t seq;
};

struct proto_room_index directory_body(const struct hosted *hosted,
				       const struct proto_event *setting, uint64_t seq)
{
	const struct room *room = &hosted->room;
	struct proto_room_index body = {
		.room = room->id,
		.label = proto_span(room->label),
		.access = room->kind,
		.topic = proto_span(room->topic),
		.capacity = room->capacity,
		.members = room->member_count,
		.last_time = room->last_time,
		.seq = seq,
	};

	if (setting) {
		body.label = setting->label;
		body.access = setting->access;
		body.topic = setting->topic;
		body.capacity = setting->capacity;
	}
	return body;
}

static bool is_definite(int result)
{
	return result == PROTO_E_NOT_FOUND || result == PROTO_E_BAD_VALUE ||
	       result == PROTO_E_NAME_TAKEN || result == PROTO_E_FORBIDDEN;
}

static void on_indexed(void *context, int result, const struct proto_message *answer)
{
	struct index_call *call = context;
	struct hosted *hosted = hosted_find(call->roomd, &call->room);

	(void)answer;
	if (hosted) {
		hosted->indexing = false;
		if (result == 0 || is_definite(result)) {
			hosted->index_seq = hosted->index_seq > call->seq ? hosted->index_seq : 0;
		}
		hosted->index_due_ms = roomd_now_ms(call->roomd) +
				       (result == 0 ? 0 : INDEX_RETRY_MS);
	}
	if (is_definite(result)) {
		log_warn("room_index_refused", LOG_ID("room", &call->room),
			 LOG_NUMBER("result", result));
	}
	free(call);
}

static void send_index(struct hosted *hosted)
{
	struct roomd *roomd = hosted->roomd;
	struct proto_room_index body = directory_body(hosted, NULL, hosted->index_seq);
	struct index_call *call = calloc(1, sizeof(*call));

	if (!call) {
		return;
	}
	*call = (struct index_call){roomd, hosted->room.id, hosted->index_seq};
	hosted->indexing = true;
	roomd->env.registry(roomd->env.context, PROTO_ROOM_INDEX, &body, on_indexed, call);
}

void directory_changed(struct hosted *hosted, uint64_t seq)
{
	hosted->index_seq = seq;
	hosted->roomd->index_wanted = true;
}

void directory_tick(struct roomd *roomd)
{
	uint64_t now = roomd_now_ms(roomd);
	struct hosted *hosted;

	if (!roomd->index_wanted) {
		return;
	}
	roomd->index_wanted = false;
	for (hosted = roomd->rooms; hosted; hosted = hosted->hh.next) {
		roomd->index_wanted = roomd->index_wanted || hosted->index_seq > 0;
		if (hosted->index_seq > 0 && !hosted->indexing && !hosted->question &&
		    now >= hosted->index_due_ms) {
			send_index(hosted);
		}
	}
}
