/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Personal logs: rooms whose id is a user's. They exist without being made, hold `joined` and
 * `read` events alone, and are written by roomd on behalf of rooms (notes) and of the user (read
 * marks). Every event of one is state, so one is in flight at a time; read marks that come
 * meanwhile become one.
 */

#include "roomd/daemon.h"

static bool is_noted(const struct mark *mark, const struct proto_personal_note *body)
{
	return mark && (body->seq < mark->noted ||
			(mark->role == body->role && mark->access == body->access &&
			 proto_span_equal(body->label, proto_span(mark->label))));
}

void personal_note(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_personal_note *body = PROTO_BODY(job->message, personal_note);
	struct proto_event event = {
		.user = hosted->room.id,
		.kind = PROTO_EVENT_KIND_JOINED,
		.client = body->subject,
		.number = body->seq,
		.subject = body->subject,
		.label = body->label,
		.access = body->access,
		.role = body->role,
	};

	(void)session;
	if (hosted->room.kind != PROTO_ROOM_KIND_PERSONAL &&
	    hosted->room.kind != PROTO_room_kind_absent) {
		job_refuse(job, PROTO_E_NOT_FOUND, NULL);
	} else if (is_noted(marks_find(&hosted->room.marks, &body->subject), body)) {
		job_reply(job, PROTO_OK, NULL);
	} else {
		write_submit(hosted, job, NULL, &event, 1, NULL);
	}
}

void personal_read(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_room_read *body = PROTO_BODY(job->message, room_read);
	struct mark *mark = marks_find(&hosted->room.marks, &body->room);
	struct proto_event event = {.kind = PROTO_EVENT_KIND_READ, .subject = body->room};

	if (!mark || !mark_is_joined(mark)) {
		job_refuse(job, PROTO_E_NOT_FOUND, "not among the caller's rooms");
		return;
	}
	mark->wanted = body->seq > mark->wanted ? body->seq : mark->wanted;
	if (mark->read >= body->seq) {
		job_reply(job, PROTO_OK, NULL);
	} else if (hosted_is_held(hosted)) {
		hosted_wait(hosted, job);
	} else {
		event.target = mark->wanted;
		write_submit(hosted, job, session, &event, 1, NULL);
	}
}

static void fill_info(struct roomd *roomd, const struct mark *mark,
		      struct proto_room_info *ret_info)
{
	const struct hosted *hosted = hosted_find(roomd, &mark->subject);

	*ret_info = (struct proto_room_info){
		.room = mark->subject,
		.label = proto_span(mark->label),
		.access = mark->access,
		.role = mark->role,
		.read = mark->read,
	};
	if (hosted && !hosted->load) {
		ret_info->topic = proto_span(hosted->room.topic);
		ret_info->members = hosted->room.member_count;
		ret_info->capacity = hosted->room.capacity;
		ret_info->last_seq = hosted->room.committed;
	}
}

void personal_mine(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_rooms_mine *body = PROTO_BODY(job->message, rooms_mine);
	const struct mark *marks[PROTO_PAGE_MAX];
	struct proto_room_info infos[PROTO_PAGE_MAX];
	struct proto_rooms rooms = {.rooms = {infos, 0}};

	(void)session;
	rooms.rooms.count = marks_page(&hosted->room.marks, &body->after, marks, PROTO_PAGE_MAX,
				       &rooms.more);
	for (size_t i = 0; i < rooms.rooms.count; i++) {
		fill_info(hosted->roomd, marks[i], &infos[i]);
	}
	job_reply(job, PROTO_ROOMS, &rooms);
}
