/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A request from its arrival to its answer. What needs several commits or notes counts them in
 * `pending`; the last one to be done gives the answer, unless the slot was lost or the time ran
 * out before.
 */

#include <stdlib.h>
#include "roomd/daemon.h"

struct job *job_new(struct roomd *roomd, struct bus_request *request, const struct action *action)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		return NULL;
	}
	job->roomd = roomd;
	job->request = request;
	job->message = bus_request_message(request);
	job->peer = bus_request_peer(request);
	job->action = action;
	metric_add(roomd->jobs, 1);
	return job;
}

/* The request is answered; its message is gone. */
static void answered(struct job *job)
{
	job->request = NULL;
	job->message = NULL;
	if (job->pending > 0) {
		return;
	}
	for (size_t i = 0; i < JOB_CREATED_MAX; i++) {
		free(job->found.created[i]);
	}
	free(job->found.cmid_event);
	free(job);
}

void job_reply(struct job *job, enum proto_type type, const void *body)
{
	if (job->request) {
		bus_reply(job->request, type, body);
	}
	answered(job);
}

void job_refuse(struct job *job, int error, const char *detail)
{
	if (job->request && error == PROTO_E_BUSY) {
		const struct proto_error body = {.detail = proto_span(detail), .retry_ms = 200};

		bus_refuse_with(job->request, PROTO_E_BUSY, &body);
	} else if (job->request) {
		bus_refuse(job->request, error > 0 ? (enum proto_code)error : PROTO_E_INTERNAL,
			   detail);
	}
	answered(job);
}

void job_relay(struct job *job, int result, const struct proto_message *answer)
{
	if (job->request) {
		bus_relay(job->request, result, answer);
	}
	answered(job);
}

/* All that the job wrote is committed and noted. */
static void finish(struct job *job)
{
	struct proto_room_sent sent = {.room = job->room, .seq = job->seq, .time = job->time};
	struct hosted *hosted;

	switch (job->action->type) {
	case PROTO_ROOM_CREATE:
	case PROTO_ROOM_JOIN:
		hosted = hosted_find(job->roomd, &job->room);
		if (hosted && !hosted->load) {
			reads_answer_opened(hosted, job);
		} else {
			job_refuse(job, PROTO_E_TIMEOUT, "the room moved to another node");
		}
		break;
	case PROTO_ROOM_LEAVE:
	case PROTO_ROOM_READ:
	case PROTO_PERSONAL_NOTE:
		job_reply(job, PROTO_OK, NULL);
		break;
	default:
		job_reply(job, PROTO_ROOM_SENT, &sent);
		break;
	}
}

void job_done(struct job *job)
{
	if (--job->pending > 0) {
		return;
	}
	if (job->request) {
		finish(job);
	} else {
		answered(job);
	}
}

static const struct session *find_session(const struct job *job)
{
	struct proto_id id;

	memcpy(&id, (const char *)job->message->body + job->action->session, sizeof(id));
	return sessions_find(job->roomd->sessions, job->peer, &id, roomd_wall_ms(job->roomd));
}

void job_run(struct job *job)
{
	struct roomd *roomd = job->roomd;
	const struct session *session = job->action->node ? NULL : find_session(job);
	struct hosted *hosted;
	struct slot *slot;

	if (!job->action->node && !session) {
		job_refuse(job, PROTO_E_SESSION_UNKNOWN, NULL);
		return;
	}
	if (bus_request_time_left_ms(job->request) == 0) {
		job_refuse(job, PROTO_E_EXPIRED, NULL);
		return;
	}
	if (session) {
		job->user = session->user;
	}
	if (job->action->room == ACTION_PERSONAL) {
		job->room = job->user;
	} else {
		memcpy(&job->room, (const char *)job->message->body + job->action->room,
		       sizeof(job->room));
	}
	slot = takeover_slot(roomd->takeover, proto_id_slot(&job->room));
	if (roomd->refusing || slot->closing ||
	    (slot->phase != SLOT_OPEN && !slot_is_opening(slot))) {
		job_refuse(job, PROTO_E_NOT_OWNER, NULL);
		return;
	}
	job->current = job->current || (slot->phase == SLOT_OPEN && roomd_has_lease(roomd, slot));
	if (slot->phase != SLOT_OPEN || !job->current) {
		gate_wait(roomd->gates, slot, job);
		return;
	}
	hosted = hosted_get(roomd, slot, &job->room);
	if (!hosted) {
		job_refuse(job, PROTO_E_BUSY, "too many rooms in memory");
		return;
	}
	if (hosted->load || (job->action->writes && hosted_is_held(hosted))) {
		hosted_wait(hosted, job);
		return;
	}
	if (hosted->room.kind == PROTO_room_kind_absent && session &&
	    proto_id_equal(&job->room, &session->user)) {
		hosted->room.kind =
			PROTO_ROOM_KIND_PERSONAL; /* it exists without having been made */
	}
	job->action->run(hosted, job, session);
}
