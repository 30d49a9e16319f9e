/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * From a checked event to its commit: seq, lsn and time are given here, and the state changes
 * here, in the order of seq, when storage has it. Before that nobody is told.
 */

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "roomd/daemon.h"

/* State events, and removals: what comes after them is judged by what they leave. */
static bool is_barrier(enum proto_event_kind kind)
{
	return event_is_state(kind) || kind == PROTO_EVENT_KIND_REDACTION;
}

static void complete(struct hosted *hosted, const struct session *session,
		     const struct dedupe_write *dedupe, struct proto_event *event)
{
	struct room *room = &hosted->room;

	event->room = room->id;
	event->epoch = segment_epoch(hosted->slot->segment);
	event->lsn = segment_next(hosted->slot->segment);
	event->seq = ++room->assigned;
	room->last_time = room_next_time(room, roomd_wall_ms(hosted->roomd));
	event->time = room->last_time;
	if (session) {
		event->user = session->user;
		event->name = proto_span(session->name);
		event->bot = session->bot;
	}
	if (dedupe) {
		event->client = dedupe->client;
		event->number = dedupe->number;
	}
}

/*
 * Memory that is missing in the middle of this cannot be refused any more: the process ends in
 * order.
 */
static void append(struct hosted *hosted, struct job *job, const struct proto_event *event,
		   bool more)
{
	struct roomd *roomd = hosted->roomd;
	struct write *write = calloc(1, sizeof(*write));
	int r;

	proto_buffer_reset(&roomd->scratch);
	r = proto_encode_record(&roomd->scratch, PROTO_RECORD(event), event);
	if (write) {
		write->event = event_copy(event);
	}
	if (r != 0 || !write || !write->event) {
		log_error("append_failed", LOG_ID("room", &event->room), LOG_NUMBER("result", r));
		abort();
	}
	write->hosted = hosted;
	write->job = job;
	write->barrier = is_barrier(event->kind);
	write->began_ns = uv_hrtime();
	hosted->barriers += write->barrier;
	DL_APPEND(hosted->writes, write);
	hosted->write_count++;
	if (job) {
		job->pending++;
		job->seq = event->seq;
		job->time = event->time;
	}
	metric_add(roomd->appends, 1);
	if (segment_add(hosted->slot->segment, roomd->scratch.data, roomd->scratch.size, more,
			write) != 0) {
		abort();
	}
}

static size_t bytes_of(const struct proto_event *events, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		bytes += event_bytes(&events[i]);
	}
	return bytes;
}

void write_submit(struct hosted *hosted, struct job *job, const struct session *session,
		  struct proto_event *events, size_t count, const struct dedupe_write *dedupe)
{
	if (hosted->write_count + count > hosted->roomd->settings->room_writes_max ||
	    !segment_has_space(hosted->slot->segment, count, bytes_of(events, count))) {
		if (job) {
			job_refuse(job, PROTO_E_BUSY, "too many writes in flight");
		}
		return;
	}
	for (size_t i = 0; i < count; i++) {
		complete(hosted, session, dedupe, &events[i]);
		if (dedupe &&
		    dedupe_begin(&hosted->room.dedupe, dedupe,
				 (struct dedupe_found){events[i].seq, events[i].time}) != 0) {
			abort();
		}
		append(hosted, job, &events[i], i + 1 < count);
	}
}

static void answer_followers(struct write *write)
{
	struct proto_room_sent sent = {
		.room = write->event->room,
		.seq = write->event->seq,
		.time = write->event->time,
		.duplicate = true,
	};

	while (write->followers) {
		struct job *job = write->followers;

		DL_DELETE(write->followers, job);
		job_reply(job, PROTO_ROOM_SENT, &sent);
	}
}

/* Whether the members' own lists show the room differently from now on. */
static bool is_renamed(const struct room *room, const struct proto_event *event)
{
	return event->kind == PROTO_EVENT_KIND_SETTING &&
	       (event->access != room->kind ||
		!proto_span_equal(event->label, proto_span(room->label)));
}

/* The event becomes visible: state, memory, feed. Takes it. */
static void show(struct hosted *hosted, struct job *job, struct proto_event *event)
{
	struct roomd *roomd = hosted->roomd;
	struct room *room = &hosted->room;
	bool noted = event->kind == PROTO_EVENT_KIND_MEMBER || is_renamed(room, event);

	room->committed = event->seq;
	hosted->active_ms = roomd_now_ms(roomd);
	if (event_is_state(event->kind) && room_apply(room, event) != 0) {
		abort();
	}
	if (event->kind == PROTO_EVENT_KIND_REDACTION) {
		tail_redact(&room->tail, &roomd->tail, event->target);
	}
	bus_publish(roomd->publisher, &room->id, PROTO_EVENT, event);
	metric_add(roomd->published, 1);
	if (event->kind == PROTO_EVENT_KIND_MEMBER || event->kind == PROTO_EVENT_KIND_SETTING) {
		directory_changed(hosted, event->seq);
	}
	if (noted) {
		members_note(hosted, event, job);
	}
	tail_add(&room->tail, &roomd->tail, event);
}

void write_committed(struct roomd *roomd, struct write *write)
{
	struct hosted *hosted = write->hosted;
	struct job *job = write->job;

	DL_DELETE(hosted->writes, write);
	hosted->write_count--;
	hosted->barriers -= write->barrier;
	metric_observe(roomd->commit_seconds, (double)(uv_hrtime() - write->began_ns) / 1e9);
	if (write->event->number > 0 && !proto_id_is_none(&write->event->client)) {
		dedupe_commit(&hosted->room.dedupe, &write->event->client, write->event->number);
	}
	answer_followers(write);
	show(hosted, job, write->event);
	free(write);
	if (job) {
		job_done(job);
	}
	if (!hosted_is_held(hosted) && hosted->waiting) {
		hosted_drain(hosted);
	}
}
