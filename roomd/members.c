/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Making rooms, joining, leaving, and what personal logs are told of it. These need no cmid:
 * joining when one is in, leaving when one is out, and making what one owns change nothing, and
 * repeat the note.
 */

#include <errno.h>
#include <stdlib.h>
#include "roomd/daemon.h"
#include "roomd/rights.h"

#define PEOPLE_MAX 2 /* first members of a room */
#define REPEAT_MS (10 * 60 * 1000) /* changes so recent are told again when a room is loaded */

/* --- notes --- */

static void note_member(struct hosted *hosted, const struct proto_id *user, enum proto_role role,
			uint64_t seq, struct job *job)
{
	const struct room *room = &hosted->room;
	const char *label = room_label_for(room, user);
	struct note note = {
		.user = *user, .room = room->id, .seq = seq, .access = room->kind, .role = role};

	memcpy(note.label, label, strnlen(label, PROTO_NAME_BYTES_MAX));
	notes_add(hosted->roomd->notes, &note, job);
}

static bool is_inside(enum proto_role role)
{
	return role == PROTO_ROLE_OWNER || role == PROTO_ROLE_ADMIN || role == PROTO_ROLE_MEMBER;
}

static void note_all(struct hosted *hosted, uint64_t seq, struct job *job)
{
	const struct room_member *member;

	for (member = hosted->room.members; member; member = member->hh.next) {
		if (is_inside(member->role)) {
			note_member(hosted, &member->user, member->role, seq, job);
		}
	}
}

void members_note(struct hosted *hosted, const struct proto_event *event, struct job *job)
{
	if (event->kind == PROTO_EVENT_KIND_SETTING) {
		note_all(hosted, event->seq, NULL);
	} else if (hosted->room.kind != PROTO_ROOM_KIND_DIRECT) {
		note_member(hosted, &event->subject, event->role, event->seq, job);
	} else if (hosted->room.member_count == PEOPLE_MAX) {
		note_all(hosted, event->seq, job); /* each sees the other's name: both must be in */
	}
}

void members_repeat_notes(struct hosted *hosted)
{
	const struct room *room = &hosted->room;
	uint64_t now = roomd_wall_ms(hosted->roomd);
	const struct room_member *member;

	if (room->kind == PROTO_ROOM_KIND_DIRECT && room->member_count < PEOPLE_MAX) {
		return;
	}
	for (member = room->members; member; member = member->hh.next) {
		if (now < member->since + REPEAT_MS) {
			note_member(hosted, &member->user, member->role, member->since_seq, NULL);
			directory_changed(hosted, room->committed);
		}
	}
}

/* --- names --- */

static int take_account(struct job *job, int result, const struct proto_message *answer)
{
	const struct proto_accounts *accounts = result == 0 ? PROTO_BODY(answer, accounts) : NULL;
	const struct proto_account_info *account = accounts && accounts->accounts.count > 0
							   ? accounts->accounts.items
							   : NULL;

	if (result == PROTO_E_NOT_FOUND || (accounts && !account)) {
		return PROTO_E_NOT_FOUND;
	}
	if (!account) {
		return PROTO_E_BUSY;
	}
	job->found.account = true;
	memcpy(job->found.account_name, account->name.data, account->name.size);
	return 0;
}

int members_name(struct hosted *hosted, struct job *job, const struct proto_id *user,
		 struct proto_span *ret_name)
{
	const struct room_member *member = room_member(&hosted->room, user);
	struct proto_account_read read = {.user = *user};

	if (member && member->name[0]) {
		*ret_name = proto_span(member->name);
		return 0;
	}
	if (!job->found.account) {
		hosted_ask_registry(hosted, job, PROTO_ACCOUNT_READ, &read, take_account);
		return -EINPROGRESS;
	}
	*ret_name = proto_span(job->found.account_name);
	return 0;
}

/* --- create --- */

static int check_claimed(const struct job *job, const struct proto_room_claimed *claimed)
{
	bool found = false;

	if (claimed->people.count == 0 || claimed->access == PROTO_ROOM_KIND_PERSONAL) {
		return PROTO_E_NOT_FOUND;
	}
	for (size_t i = 0; i < claimed->people.count; i++) {
		found = found || proto_id_equal(&claimed->people.items[i].user, &job->user);
	}
	return found ? 0 : PROTO_E_FORBIDDEN;
}

/* Setting and members: the first events of the room, kept until the job runs again. */
static int draft_created(struct job *job, const struct proto_room_claimed *claimed)
{
	struct proto_event event = {
		.kind = PROTO_EVENT_KIND_SETTING,
		.label = claimed->label,
		.topic = claimed->topic,
		.access = claimed->access,
		.capacity = claimed->capacity,
	};
	enum proto_role role = claimed->access == PROTO_ROOM_KIND_DIRECT ? PROTO_ROLE_MEMBER
									 : PROTO_ROLE_OWNER;

	job->found.created[0] = event_copy(&event);
	for (size_t i = 0; i < claimed->people.count; i++) {
		event = (struct proto_event){
			.kind = PROTO_EVENT_KIND_MEMBER,
			.subject = claimed->people.items[i].user,
			.label = claimed->people.items[i].name,
			.role = role,
		};
		job->found.created[1 + i] = event_copy(&event);
	}
	for (size_t i = 0; i < 1 + claimed->people.count; i++) {
		if (!job->found.created[i]) {
			return PROTO_E_BUSY;
		}
	}
	job->found.created_count = 1 + claimed->people.count;
	return 0;
}

static int take_claimed(struct job *job, int result, const struct proto_message *answer)
{
	const struct proto_room_claimed *claimed = result == 0 ? PROTO_BODY(answer, room_claimed)
							       : NULL;

	if (result == PROTO_E_NOT_FOUND || result == PROTO_E_FORBIDDEN) {
		return result;
	}
	if (!claimed) {
		return PROTO_E_BUSY;
	}
	result = check_claimed(job, claimed);
	return result != 0 ? result : draft_created(job, claimed);
}

/* The caller's note once more, then the answer. */
static void repeat_note(struct hosted *hosted, struct job *job, const struct room_member *member)
{
	job->pending++;
	note_member(hosted, &member->user, member->role, member->since_seq, job);
	job_done(job);
}

void members_create(struct hosted *hosted, struct job *job, const struct session *session)
{
	struct proto_room_claim claim = {.room = hosted->room.id, .user = session->user};
	const struct room_member *member = room_member(&hosted->room, &session->user);
	struct proto_event events[JOB_CREATED_MAX];

	if (hosted->room.kind != PROTO_room_kind_absent) {
		if (member && is_inside(member->role)) {
			repeat_note(hosted, job, member);
		} else {
			job_refuse(job, PROTO_E_NOT_FOUND, NULL);
		}
		return;
	}
	if (job->found.created_count == 0) {
		hosted_ask_registry(hosted, job, PROTO_ROOM_CLAIM, &claim, take_claimed);
		return;
	}
	for (size_t i = 0; i < job->found.created_count; i++) {
		events[i] = *job->found.created[i];
	}
	write_submit(hosted, job, session, events, job->found.created_count, NULL);
}

/* --- join, leave --- */

void members_join(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct room_member *member = room_member(&hosted->room, &session->user);
	int r = rights_check(&hosted->room, RIGHTS_JOIN, &session->user);
	struct proto_event event = {
		.kind = PROTO_EVENT_KIND_MEMBER,
		.subject = session->user,
		.label = proto_span(session->name),
		.role = PROTO_ROLE_MEMBER,
	};

	if (r == 0 && member && is_inside(member->role)) {
		repeat_note(hosted, job, member);
	} else if (r != 0 || room_is_full(&hosted->room)) {
		job_refuse(job, r != 0 ? r : PROTO_E_ROOM_FULL, NULL);
	} else {
		write_submit(hosted, job, session, &event, 1, NULL);
	}
}

/*
 * The last owner leaves: an heir gets the room in the same append, so that it is never without an
 * owner.
 */
static size_t draft_leave(const struct room *room, const struct session *session,
			  struct proto_event *events)
{
	const struct room_member *heir = NULL;
	size_t count = 0;

	if (room_role(room, &session->user) == PROTO_ROLE_OWNER && room_owners(room) == 1) {
		heir = room_heir(room, &session->user);
	}
	if (heir) {
		events[count++] = (struct proto_event){
			.kind = PROTO_EVENT_KIND_MEMBER,
			.subject = heir->user,
			.label = proto_span(heir->name),
			.role = PROTO_ROLE_OWNER,
		};
	}
	events[count++] = (struct proto_event){
		.kind = PROTO_EVENT_KIND_MEMBER,
		.subject = session->user,
		.label = proto_span(session->name),
		.role = PROTO_ROLE_NONE,
	};
	return count;
}

void members_leave(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct room_member *member = room_member(&hosted->room, &session->user);
	int r = rights_check(&hosted->room, RIGHTS_LEAVE, &session->user);
	struct proto_event events[2];

	if (r != 0) {
		job_refuse(job, r, NULL);
	} else if (!member) {
		job_reply(job, PROTO_OK, NULL);
	} else if (!is_inside(member->role)) {
		repeat_note(hosted, job, member);
	} else {
		write_submit(hosted, job, session, events,
			     draft_leave(&hosted->room, session, events), NULL);
	}
}
