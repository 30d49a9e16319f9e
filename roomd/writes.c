/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The writes that carry a cmid: rights, dedupe, what the kind asks for, then the log. One row a
 * type.
 *
 *   draft    the event as the request means it; static checks
 *   rights   against committed state
 *   dedupe   a known cmid gets its old answer
 *   check    what needs the room, storage or the registry; may ask and run again (-EINPROGRESS)
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "roomd/daemon.h"
#include "roomd/rights.h"

/* What all these requests begin with (PROTO_FIELDS_WRITE). */
struct head {
	struct proto_id session;
	struct proto_id room;
	struct proto_id client;
	uint64_t number;
	uint64_t prev;
};
_Static_assert(offsetof(struct head, prev) == offsetof(struct proto_room_send, prev),
	       "head of a write");
_Static_assert(offsetof(struct head, prev) == offsetof(struct proto_room_member_set, prev),
	       "head of a write");

struct kind {
	enum proto_type type;
	enum rights_action right;
	int (*draft)(const struct hosted *hosted, const void *body, struct proto_event *event);
	int (*check)(struct hosted *hosted, struct job *job, const struct session *session,
		     struct proto_event *event);
};

/* --- drafts --- */

static int draft_text(enum proto_event_kind kind, struct proto_span text, uint64_t target,
		      struct proto_event *event)
{
	event->kind = kind;
	event->text = text;
	event->target = target;
	return proto_span_is_utf8(text) && !event_text_is_blank(text) ? 0 : PROTO_E_BAD_VALUE;
}

static int draft_send(const struct hosted *hosted, const void *message, struct proto_event *event)
{
	const struct proto_room_send *body = message;

	(void)hosted;
	return draft_text(PROTO_EVENT_KIND_MESSAGE, body->text, body->target, event);
}

static int draft_edit(const struct hosted *hosted, const void *message, struct proto_event *event)
{
	const struct proto_room_edit *body = message;

	(void)hosted;
	return draft_text(PROTO_EVENT_KIND_EDIT, body->text, body->target, event);
}

static int draft_redact(const struct hosted *hosted, const void *message, struct proto_event *event)
{
	const struct proto_room_redact *body = message;

	(void)hosted;
	event->kind = PROTO_EVENT_KIND_REDACTION;
	event->target = body->target;
	return 0;
}

static int draft_react(const struct hosted *hosted, const void *message, struct proto_event *event)
{
	const struct proto_room_react *body = message;

	(void)hosted;
	event->kind = PROTO_EVENT_KIND_REACTION;
	event->target = body->target;
	event->emoji = body->emoji;
	event->remove = body->remove;
	return event_text_is_blank(body->emoji) ? PROTO_E_BAD_VALUE : 0;
}

static int draft_set(const struct hosted *hosted, const void *message, struct proto_event *event)
{
	const struct proto_room_set *body = message;
	const struct room *room = &hosted->room;

	event->kind = PROTO_EVENT_KIND_SETTING;
	event->label = body->label.size > 0 ? body->label : proto_span(room->label);
	event->topic = body->topic.size > 0 ? body->topic : proto_span(room->topic);
	event->access = body->access != PROTO_room_kind_absent ? body->access : room->kind;
	event->capacity = body->capacity > 0 ? body->capacity : room->capacity;
	if (body->clear_topic) {
		event->topic = (struct proto_span){0};
	}
	if (body->clear_capacity) {
		event->capacity = 0;
	}
	if (body->label.size > 0 && event_text_is_blank(body->label)) {
		return PROTO_E_BAD_VALUE;
	}
	return body->access == PROTO_ROOM_KIND_DIRECT || body->access == PROTO_ROOM_KIND_PERSONAL
		       ? PROTO_E_BAD_VALUE
		       : 0;
}

static int draft_member(const struct hosted *hosted, const void *message, struct proto_event *event)
{
	const struct proto_room_member_set *body = message;

	(void)hosted;
	event->kind = PROTO_EVENT_KIND_MEMBER;
	event->subject = body->user;
	event->role = body->role;
	return 0;
}

/* --- targets --- */

static int take_target(struct job *job, int result, const struct proto_message *answer)
{
	const struct proto_room_page *page = result == 0 ? PROTO_BODY(answer, room_page) : NULL;
	const struct proto_room_redact *asked =
		job->message->body; /* edit, redact and react have `target` there */
	const struct proto_item *item = page && page->items.count > 0 ? &page->items.items[0]
								      : NULL;

	if (!page && result != PROTO_E_NOT_FOUND) {
		return PROTO_E_BUSY;
	}
	job->found.target = true;
	if (!item || item->seq != asked->target || item->kind != PROTO_EVENT_KIND_MESSAGE) {
		job->found.target_error = PROTO_E_NOT_FOUND;
	} else if (item->redacted > 0) {
		job->found.target_error = PROTO_E_GONE;
	} else {
		job->found.target_user = item->user;
	}
	return 0;
}
_Static_assert(offsetof(struct proto_room_redact, target) ==
		       offsetof(struct proto_room_edit, target),
	       "target");
_Static_assert(offsetof(struct proto_room_redact, target) ==
		       offsetof(struct proto_room_react, target),
	       "target");

/* Whether the message stands; its author. From memory if it is recent, else from storage. */
static int target_find(struct hosted *hosted, struct job *job, uint64_t target,
		       struct proto_id *ret_author)
{
	const struct tail_limits *limits = &hosted->roomd->tail;
	const struct proto_event *event = tail_get(&hosted->room.tail, limits, target);
	const struct proto_timeline_read read = {
		.room = hosted->room.id,
		.after = target - 1,
		.limit = 1,
		.lac = hosted_lac(hosted),
	};

	if (target <= 1 || target > hosted->room.committed) { /* 1 is the room's setting */
		return PROTO_E_NOT_FOUND;
	}
	if (event) {
		*ret_author = event->user;
		if (event->kind != PROTO_EVENT_KIND_MESSAGE) {
			return PROTO_E_NOT_FOUND;
		}
		return event->text.size == 0 ? PROTO_E_GONE : 0; /* a redaction wipes it */
	}
	if (!job->found.target) {
		hosted_ask_timeline(hosted, job, &read, take_target);
		return -EINPROGRESS;
	}
	*ret_author = job->found.target_user;
	return job->found.target_error;
}

static int check_send(struct hosted *hosted, struct job *job, const struct session *session,
		      struct proto_event *event)
{
	(void)job;
	(void)session;
	return event->target <= hosted->room.committed ? 0 : PROTO_E_NOT_FOUND;
}

static int check_edit(struct hosted *hosted, struct job *job, const struct session *session,
		      struct proto_event *event)
{
	struct proto_id author;
	int r = target_find(hosted, job, event->target, &author);

	if (r != 0) {
		return r;
	}
	return proto_id_equal(&author, &session->user) ? 0 : PROTO_E_FORBIDDEN;
}

static int check_redact(struct hosted *hosted, struct job *job, const struct session *session,
			struct proto_event *event)
{
	struct proto_id author;
	int r = target_find(hosted, job, event->target, &author);

	if (r != 0 || proto_id_equal(&author, &session->user)) {
		return r;
	}
	return rights_check(&hosted->room, RIGHTS_MODERATE, &session->user);
}

static int check_react(struct hosted *hosted, struct job *job, const struct session *session,
		       struct proto_event *event)
{
	struct proto_id author;

	(void)session;
	return target_find(hosted, job, event->target, &author);
}

/* --- settings and roles --- */

static int take_renamed(struct job *job, int result, const struct proto_message *answer)
{
	(void)answer;
	job->found.renamed = result == 0;
	if (result == PROTO_E_VERSION_CONFLICT) {
		return 0; /* it met another change of the same row: ask again */
	}
	if (result == 0 || result == PROTO_E_NAME_TAKEN || result == PROTO_E_BAD_VALUE) {
		return result;
	}
	return PROTO_E_BUSY;
}

/* A new name is taken in the directory first: two rooms must not commit the same one. */
static int check_set(struct hosted *hosted, struct job *job, const struct session *session,
		     struct proto_event *event)
{
	struct proto_room_index body = directory_body(hosted, event, hosted->room.assigned + 1);

	(void)session;
	if (proto_span_equal(event->label, proto_span(hosted->room.label)) || job->found.renamed) {
		return 0;
	}
	hosted_ask_registry(hosted, job, PROTO_ROOM_INDEX, &body, take_renamed);
	return -EINPROGRESS;
}

static int check_member(struct hosted *hosted, struct job *job, const struct session *session,
			struct proto_event *event)
{
	int r = rights_check_role(&hosted->room, &session->user, &event->subject, event->role);

	return r != 0 ? r : members_name(hosted, job, &event->subject, &event->label);
}

/* --- the way of a write --- */

static const struct kind kinds[] = {
	{PROTO_ROOM_SEND, RIGHTS_WRITE, draft_send, check_send},
	{PROTO_ROOM_EDIT, RIGHTS_WRITE, draft_edit, check_edit},
	{PROTO_ROOM_REDACT, RIGHTS_WRITE, draft_redact, check_redact},
	{PROTO_ROOM_REACT, RIGHTS_WRITE, draft_react, check_react},
	{PROTO_ROOM_SET, RIGHTS_SET, draft_set, check_set},
	{PROTO_ROOM_MEMBER_SET, RIGHTS_SET, draft_member, check_member},
};

static const struct kind *kind_of(enum proto_type type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].type == type) {
			return &kinds[i];
		}
	}
	abort(); /* the handler table sends nothing else here */
}

static int take_cmid(struct job *job, int result, const struct proto_message *answer)
{
	const struct proto_cmid *cmid = result == 0 ? PROTO_BODY(answer, cmid) : NULL;

	if (!cmid) {
		return PROTO_E_BUSY;
	}
	if (cmid->events.count > 0) {
		job->found.cmid_event = event_copy(&cmid->events.items[0]);
		if (!job->found.cmid_event) {
			return PROTO_E_BUSY;
		}
	}
	job->found.cmid = true;
	job->found.cmid_last = cmid->last;
	return 0;
}

static void ask_cmid(struct hosted *hosted, struct job *job, const struct dedupe_write *write)
{
	struct proto_cmid_read read = {
		.room = hosted->room.id,
		.client = write->client,
		.number = write->number,
		.lac = hosted_lac(hosted),
	};

	hosted_ask_cmid(hosted, job, &read, take_cmid);
}

static void follow(struct hosted *hosted, struct job *job, uint64_t seq)
{
	struct write *write;

	DL_FOREACH(hosted->writes, write)
	{
		if (write->event->seq == seq) {
			DL_APPEND(write->followers, job);
			return;
		}
	}
	job_refuse(job, PROTO_E_INTERNAL, "a write in flight is missing");
}

/* Returns whether the write is new; else the job is taken care of. */
static bool is_new(struct hosted *hosted, struct job *job, const struct dedupe_write *write)
{
	static const int errors[] = {
		[DEDUPE_REUSED] = PROTO_E_CMID_REUSED,
		[DEDUPE_STALE] = PROTO_E_CMID_STALE,
		[DEDUPE_OUT_OF_ORDER] = PROTO_E_OUT_OF_ORDER,
		[DEDUPE_BUSY] = PROTO_E_BUSY,
	};
	struct dedupe_found found;
	struct proto_room_sent sent = {.room = hosted->room.id, .duplicate = true};
	enum dedupe_verdict verdict = dedupe_check(&hosted->room.dedupe, write, &found);

	if (verdict == DEDUPE_ASK && job->found.cmid) {
		verdict = dedupe_judge(
			&hosted->room.dedupe, write,
			&(struct dedupe_stored){job->found.cmid_event, job->found.cmid_last},
			&found);
	}
	switch (verdict) {
	case DEDUPE_NEW:
		return true;
	case DEDUPE_ASK:
		ask_cmid(hosted, job, write);
		return false;
	case DEDUPE_COMMITTED:
		metric_add(hosted->roomd->duplicates, 1);
		sent.seq = found.seq;
		sent.time = found.time;
		job_reply(job, PROTO_ROOM_SENT, &sent);
		return false;
	case DEDUPE_IN_FLIGHT:
		metric_add(hosted->roomd->duplicates, 1);
		follow(hosted, job, found.seq);
		return false;
	default:
		job_refuse(job, errors[verdict], NULL);
		return false;
	}
}

void writes_run(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct kind *kind = kind_of(job->action->type);
	struct proto_event event = {0};
	struct dedupe_write write;
	struct head head;
	int r;

	memcpy(&head, job->message->body, sizeof(head));
	r = rights_check(&hosted->room, kind->right, &session->user);
	if (r == 0) {
		r = kind->draft(hosted, job->message->body, &event);
	}
	if (r == 0 && (proto_id_is_none(&head.client) || head.number == 0)) {
		r = PROTO_E_BAD_VALUE;
	}
	if (r != 0) {
		job_refuse(job, r, NULL);
		return;
	}
	write = (struct dedupe_write){head.client, head.number, head.prev, event_content(&event)};
	if (!is_new(hosted, job, &write)) {
		return;
	}
	r = kind->check(hosted, job, session, &event);
	if (r == 0) {
		write_submit(hosted, job, session, &event, 1, &write);
	} else if (r != -EINPROGRESS) {
		job_refuse(job, r, NULL);
	}
}
