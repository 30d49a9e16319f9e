/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Reading: where a room stands, its pages, its events, its members. Nothing here shows what is not
 * committed.
 */

#include <stdlib.h>
#include "roomd/daemon.h"
#include "roomd/rights.h"

#define EVENTS_DEFAULT PROTO_PAGE_MAX
#define HISTORY_DEFAULT 50

/* Refuses the job and returns false unless the user may read the room. */
static bool may_read(struct hosted *hosted, struct job *job, const struct session *session)
{
	int r = rights_check(&hosted->room, RIGHTS_READ, &session->user);

	if (r != 0) {
		job_refuse(job, r, NULL);
	}
	return r == 0;
}

/* --- open --- */

void reads_answer_opened(struct hosted *hosted, struct job *job)
{
	const struct room *room = &hosted->room;
	enum proto_role role = room_role(room, &job->user);
	struct proto_room_opened opened = {
		.room = room->id,
		.epoch = segment_epoch(hosted->slot->segment),
		.seq = room->committed,
		.label = proto_span(room_label_for(room, &job->user)),
		.access = room->kind,
		.topic = proto_span(room->topic),
		.capacity = room->capacity,
		.role = role == PROTO_ROLE_NONE ? PROTO_role_absent : role,
		.members = room->member_count,
		.here = presence_count(&room->presence),
	};

	if (room->kind == PROTO_ROOM_KIND_PERSONAL) {
		opened.role = PROTO_ROLE_OWNER;
		opened.members = 1;
	}
	job_reply(job, PROTO_ROOM_OPENED, &opened);
}

void reads_open(struct hosted *hosted, struct job *job, const struct session *session)
{
	if (may_read(hosted, job, session)) {
		reads_answer_opened(hosted, job);
	}
}

/* --- pages of storage --- */

/* A question to the stores whose answer goes to the asker as it is. */
struct relay {
	struct job *job;
	union {
		struct proto_timeline_read timeline;
		struct proto_events_read events;
	} body;
};

static void on_page(void *context, int result, const struct proto_message *answer)
{
	struct relay *relay = context;

	job_relay(relay->job, result, answer);
	free(relay);
}

static void relay_send(struct hosted *hosted, struct relay *relay, enum proto_type type)
{
	readers_ask(hosted->roomd->readers, hosted->slot, type, &relay->body, on_page, relay);
}

static struct relay *relay_new(struct job *job)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay) {
		job_refuse(job, PROTO_E_BUSY, NULL);
		return NULL;
	}
	relay->job = job;
	return relay;
}

void reads_history(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_room_history *body = PROTO_BODY(job->message, room_history);
	struct proto_room_page empty = {.room = hosted->room.id};
	struct relay *relay;

	if (!may_read(hosted, job, session)) {
		return;
	}
	if (body->before > 0 && body->after > 0) {
		job_refuse(job, PROTO_E_BAD_VALUE, "before, or after");
		return;
	}
	if (hosted->room.committed == 0) {
		job_reply(job, PROTO_ROOM_PAGE, &empty);
		return;
	}
	relay = relay_new(job);
	if (relay) {
		relay->body.timeline = (struct proto_timeline_read){
			.room = hosted->room.id,
			.before = body->before,
			.after = body->after,
			.limit = body->limit > 0 ? body->limit : HISTORY_DEFAULT,
			.lac = hosted_lac(hosted),
		};
		relay_send(hosted, relay, PROTO_TIMELINE_READ);
	}
}

/* --- events --- */

static void events_from_tail(const struct hosted *hosted, struct job *job, uint64_t after,
			     uint64_t limit)
{
	struct proto_event events[PROTO_PAGE_MAX];
	struct proto_room_range range = {
		.room = hosted->room.id, .seq = hosted->room.committed, .events = {events, 0}};
	size_t bytes = 0;

	for (uint64_t seq = after + 1; seq <= hosted->room.committed && range.events.count < limit;
	     seq++) {
		const struct proto_event *event = tail_get(&hosted->room.tail, &hosted->roomd->tail,
							   seq);

		bytes += event_bytes(event);
		if (range.events.count > 0 && bytes > PROTO_PAGE_BYTES_MAX) {
			break;
		}
		events[range.events.count++] = *event;
	}
	range.more = after + range.events.count < hosted->room.committed;
	job_reply(job, PROTO_ROOM_RANGE, &range);
}

void reads_events(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_room_events *body = PROTO_BODY(job->message, room_events);
	uint64_t limit = body->limit > 0 ? body->limit : EVENTS_DEFAULT;
	struct relay *relay;

	if (!may_read(hosted, job, session)) {
		return;
	}
	if (body->after >= hosted->room.committed ||
	    tail_get(&hosted->room.tail, &hosted->roomd->tail, body->after + 1)) {
		events_from_tail(hosted, job, body->after, limit);
		return;
	}
	relay = relay_new(job);
	if (relay) {
		relay->body.events = (struct proto_events_read){.room = hosted->room.id,
								.after = body->after,
								.limit = limit,
								.lac = hosted_lac(hosted)};
		relay_send(hosted, relay, PROTO_EVENTS_READ);
	}
}

/* --- members --- */

static int by_name(const void *a, const void *b)
{
	const struct proto_member *left = a;
	const struct proto_member *right = b;
	size_t size = left->name.size < right->name.size ? left->name.size : right->name.size;
	int order = size > 0 ? memcmp(left->name.data, right->name.data, size) : 0;

	return order != 0 ? order
			  : (left->name.size > right->name.size) -
				    (left->name.size < right->name.size);
}

static size_t collect_members(const struct room *room, struct proto_member *rows)
{
	const struct room_member *member;
	size_t count = 0;

	for (member = room->members; member; member = member->hh.next) {
		if (member->role == PROTO_ROLE_NONE) {
			continue;
		}
		rows[count++] = (struct proto_member){
			.user = member->user,
			.name = proto_span(member->name),
			.role = member->role,
			.here = presence_find(&room->presence, &member->user) != NULL,
			.bot = member->bot,
			.since = member->since,
		};
	}
	qsort(rows, count, sizeof(*rows), by_name);
	return count;
}

/* Readers that are no members, behind the last page. */
static size_t collect_visitors(const struct room *room, struct proto_member *rows, size_t max)
{
	const struct presence_person *person;
	size_t count = 0;

	for (person = room->presence.persons; person && count < max; person = person->hh.next) {
		if (!room_has_member(room, &person->user)) {
			rows[count++] = (struct proto_member){
				.user = person->user,
				.name = proto_span(person->name),
				.role = PROTO_ROLE_NONE,
				.here = true,
			};
		}
	}
	return count;
}

void reads_members(struct hosted *hosted, struct job *job, const struct session *session)
{
	const struct proto_room_members *body = PROTO_BODY(job->message, room_members);
	const struct room *room = &hosted->room;
	uint64_t limit = body->limit > 0 ? body->limit : PROTO_PAGE_MAX;
	struct proto_member after = {.name = body->after};
	struct proto_members answer = {.room = room->id};
	struct proto_member *rows;
	size_t count;
	size_t first = 0;

	if (!may_read(hosted, job, session)) {
		return;
	}
	rows = calloc(HASH_COUNT(room->members) + PROTO_PAGE_MAX, sizeof(*rows));
	if (!rows) {
		job_refuse(job, PROTO_E_BUSY, NULL);
		return;
	}
	count = collect_members(room, rows);
	while (body->after.size > 0 && first < count && by_name(&rows[first], &after) <= 0) {
		first++;
	}
	answer.more = count - first > limit;
	if (!answer.more) {
		count += collect_visitors(room, rows + count, limit - (count - first));
	}
	answer.members.items = rows + first;
	answer.members.count = answer.more ? limit : count - first;
	job_reply(job, PROTO_MEMBERS, &answer);
	free(rows);
}
