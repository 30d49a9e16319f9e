/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The rooms in memory: found, loaded from storage page by page on first use, evicted when idle and
 * too many, forgotten with their slot. A room that was idle has nothing in memory that storage has
 * not.
 */

#include "roomd/hosted.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>
#include "roomd/daemon.h"

#define EVICT_TRIES 64 /* rooms looked at when memory is full */

struct load {
	struct hosted *hosted; /* NULL: the room went meanwhile */
	struct proto_state_read asked;
	char cursor[256];
};

uint64_t hosted_lac(const struct hosted *hosted)
{
	return segment_lac(hosted->slot->segment);
}

struct hosted *hosted_find(struct roomd *roomd, const struct proto_id *id)
{
	struct hosted *hosted;

	HASH_FIND(hh, roomd->rooms, id, sizeof(*id), hosted);
	return hosted;
}

/* Nothing may wait for it any more. */
static void hosted_free(struct hosted *hosted)
{
	struct roomd *roomd = hosted->roomd;
	struct hosted *slot_rooms = hosted->slot->user;

	DL_DELETE2(slot_rooms, hosted, slot_prev, slot_next);
	hosted->slot->user = slot_rooms;
	DL_DELETE2(roomd->use, hosted, use_prev, use_next);
	HASH_DEL(roomd->rooms, hosted);
	roomd->room_count--;
	if (hosted->load) {
		hosted->load->hosted = NULL;
	}
	room_deinit(&hosted->room, &roomd->tail);
	free(hosted);
}

static void refuse_waiting(struct hosted *hosted, int error, const char *detail)
{
	while (hosted->waiting) {
		struct job *job = hosted->waiting;

		DL_DELETE(hosted->waiting, job);
		job_refuse(job, error, detail);
	}
	hosted->waiting_count = 0;
}

/* --- loading --- */

static void load_send(struct load *load);

static int load_page(struct hosted *hosted, const struct proto_state *state)
{
	struct room *room = &hosted->room;
	int r = 0;

	room->committed = state->seq;
	room->assigned = state->seq;
	room->last_time = state->time;
	for (size_t i = 0; r == 0 && i < state->events.count; i++) {
		r = room_apply(room, &state->events.items[i]);
	}
	for (size_t i = 0; r == 0 && i < state->clients.count; i++) {
		r = dedupe_mark(&room->dedupe, &state->clients.items[i].client,
				state->clients.items[i].number);
	}
	return r;
}

/*
 * Whether as many clients are known as are kept: those that follow are asked for when they write.
 * They come last in the state.
 */
static bool has_clients(struct hosted *hosted)
{
	bool full = dedupe_is_full(&hosted->room.dedupe);

	if (full) {
		dedupe_set_partial(&hosted->room.dedupe);
	}
	return full;
}

static void load_end(struct load *load, int result)
{
	struct hosted *hosted = load->hosted;

	hosted->load = NULL;
	free(load);
	if (result == 0) {
		/* The owner before may have committed what it never published. */
		hosted->active_ms = hosted->room.committed > 0 ? roomd_now_ms(hosted->roomd) : 0;
		members_repeat_notes(hosted);
		hosted_drain(hosted);
		return;
	}
	log_warn("room_load_failed", LOG_ID("room", &hosted->room.id),
		 LOG_NUMBER("result", result));
	refuse_waiting(hosted, PROTO_E_BUSY, "storage does not answer");
	hosted_free(hosted);
}

static void on_state(void *context, int result, const struct proto_message *answer)
{
	struct load *load = context;
	struct hosted *hosted = load->hosted;
	const struct proto_state *state = result == 0 ? PROTO_BODY(answer, state) : NULL;

	if (!hosted) {
		free(load);
		return;
	}
	if (state) {
		result = load_page(hosted, state);
	}
	if (result == 0 && state->more && state->cursor.size > 0 && !has_clients(hosted)) {
		memcpy(load->cursor, state->cursor.data, state->cursor.size);
		load->asked.cursor = (struct proto_span){load->cursor, state->cursor.size};
		load_send(load);
		return;
	}
	load_end(load, result);
}

static void load_send(struct load *load)
{
	readers_ask(load->hosted->roomd->readers, load->hosted->slot, PROTO_STATE_READ,
		    &load->asked, on_state, load);
}

static void load_begin(struct hosted *hosted)
{
	struct load *load = calloc(1, sizeof(*load));

	if (!load) {
		abort();
	}
	load->hosted = hosted;
	load->asked = (struct proto_state_read){.room = hosted->room.id, .lac = hosted_lac(hosted)};
	hosted->load = load;
	load_send(load);
}

/* --- the table --- */

static bool is_idle(const struct hosted *hosted)
{
	return !hosted->load && !hosted->question && !hosted->waiting && !hosted->writes &&
	       presence_count(&hosted->room.presence) == 0 && hosted->index_seq == 0 &&
	       !hosted->indexing;
}

static bool evict_one(struct roomd *roomd)
{
	struct hosted *hosted = roomd->use;

	for (unsigned int i = 0; hosted && i < EVICT_TRIES; i++) {
		if (is_idle(hosted)) {
			hosted_free(hosted);
			return true;
		}
		hosted = hosted->use_next;
	}
	return false;
}

struct hosted *hosted_get(struct roomd *roomd, struct slot *slot, const struct proto_id *id)
{
	struct hosted *hosted = hosted_find(roomd, id);
	struct hosted *slot_rooms;

	if (hosted) {
		DL_DELETE2(roomd->use, hosted, use_prev, use_next);
		DL_APPEND2(roomd->use, hosted, use_prev, use_next);
		return hosted;
	}
	if (roomd->room_count >= roomd->settings->rooms_max && !evict_one(roomd)) {
		return NULL;
	}
	slot_rooms = slot->user;
	hosted = calloc(1, sizeof(*hosted));
	if (!hosted) {
		return NULL;
	}
	hosted->roomd = roomd;
	hosted->slot = slot;
	room_init(&hosted->room, id);
	HASH_ADD(hh, roomd->rooms, room.id, sizeof(hosted->room.id), hosted);
	DL_APPEND2(slot_rooms, hosted, slot_prev, slot_next);
	slot->user = slot_rooms;
	DL_APPEND2(roomd->use, hosted, use_prev, use_next);
	roomd->room_count++;
	load_begin(hosted);
	return hosted;
}

/* --- waiting --- */

bool hosted_is_held(const struct hosted *hosted)
{
	return hosted->barriers > 0 || hosted->question;
}

void hosted_wait(struct hosted *hosted, struct job *job)
{
	if (hosted->waiting_count >= hosted->roomd->settings->room_waiting_max) {
		job_refuse(job, PROTO_E_BUSY, "too many requests wait for the room");
		return;
	}
	DL_APPEND(hosted->waiting, job);
	hosted->waiting_count++;
}

void hosted_drain(struct hosted *hosted)
{
	struct job *jobs = hosted->waiting;

	/* Those that have to wait again queue up anew, in the same order. */
	hosted->waiting = NULL;
	hosted->waiting_count = 0;
	while (jobs) {
		struct job *job = jobs;

		DL_DELETE(jobs, job);
		job_run(job);
	}
}

/* --- questions --- */

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct question *question = context;
	struct hosted *hosted = question->hosted;
	struct job *job = question->job;
	int r;

	if (!hosted) {
		free(question);
		return;
	}
	hosted->question = NULL;
	r = question->take(job, result, answer);
	free(question);
	if (r != 0) {
		job_refuse(job, r, NULL);
	} else {
		DL_PREPEND(hosted->waiting, job);
		hosted->waiting_count++;
	}
	hosted_drain(hosted);
}

static struct question *question_new(struct hosted *hosted, struct job *job,
				     int (*take)(struct job *, int, const struct proto_message *))
{
	struct question *question = calloc(1, sizeof(*question));

	if (!question) {
		abort();
	}
	*question = (struct question){.hosted = hosted, .job = job, .take = take};
	hosted->question = question;
	return question;
}

static void ask_store(struct question *question, enum proto_type type)
{
	const struct hosted *hosted = question->hosted;

	readers_ask(hosted->roomd->readers, hosted->slot, type, &question->asked, on_answer,
		    question);
}

void hosted_ask_cmid(struct hosted *hosted, struct job *job, const struct proto_cmid_read *body,
		     int (*take)(struct job *, int, const struct proto_message *))
{
	struct question *question = question_new(hosted, job, take);

	question->asked.cmid = *body;
	ask_store(question, PROTO_CMID_READ);
}

void hosted_ask_timeline(struct hosted *hosted, struct job *job,
			 const struct proto_timeline_read *body,
			 int (*take)(struct job *, int, const struct proto_message *))
{
	struct question *question = question_new(hosted, job, take);

	question->asked.timeline = *body;
	ask_store(question, PROTO_TIMELINE_READ);
}

void hosted_ask_registry(struct hosted *hosted, struct job *job, enum proto_type type,
			 const void *body,
			 int (*take)(struct job *, int, const struct proto_message *))
{
	const struct env *env = &hosted->roomd->env;

	if (!membership_has_lease(hosted->roomd->membership)) {
		/* A question holds the room: nobody shall wait for a registry that is away. */
		job_refuse(job, PROTO_E_BUSY, "the registry does not answer");
		return;
	}
	env->registry(env->context, type, body, on_answer, question_new(hosted, job, take));
}

/* --- losing a slot --- */

static void job_lost(struct job *job, int error)
{
	job->pending--;
	job_refuse(job, error, "the slot is being taken over; send the same again");
}

/*
 * A room that had writes in flight when its slot was dropped. They may be committed by now, and
 * nobody who follows the room here was told: if the slot comes back to us, no reader sees its owner
 * change. So the room is loaded then, and its beacon tells them.
 */
struct doubt {
	struct proto_id room;
	struct doubt *prev;
	struct doubt *next;
};

static void doubt_free(struct roomd *roomd, struct doubt *doubt)
{
	DL_DELETE(roomd->doubts, doubt);
	roomd->doubt_count--;
	free(doubt);
}

static void doubt_add(struct roomd *roomd, const struct proto_id *room)
{
	struct doubt *doubt = malloc(sizeof(*doubt));

	if (!doubt) {
		return; /* the next event of the room tells */
	}
	if (roomd->doubt_count >= HOSTED_DOUBTS_MAX) {
		doubt_free(roomd, roomd->doubts);
	}
	doubt->room = *room;
	DL_APPEND(roomd->doubts, doubt);
	roomd->doubt_count++;
}

void hosted_open_slot(struct roomd *roomd, struct slot *slot)
{
	struct doubt *doubt;
	struct doubt *next;

	DL_FOREACH_SAFE(roomd->doubts, doubt, next)
	{
		if (proto_id_slot(&doubt->room) == slot->number) {
			(void)hosted_get(roomd, slot, &doubt->room);
			doubt_free(roomd, doubt);
		}
	}
}

void hosted_forget_doubts(struct roomd *roomd)
{
	while (roomd->doubts) {
		doubt_free(roomd, roomd->doubts);
	}
}

static void drop_writes(struct hosted *hosted, int error)
{
	while (hosted->writes) {
		struct write *write = hosted->writes;

		DL_DELETE(hosted->writes, write);
		while (write->followers) {
			struct job *job = write->followers;

			DL_DELETE(write->followers, job);
			job_refuse(job, error, NULL);
		}
		if (write->job) {
			job_lost(write->job, error);
		}
		free(write->event);
		free(write);
	}
}

void hosted_drop_slot(struct slot *slot, int error)
{
	/*
	 * What has a seq may have been written; a conflict or a planned move tells a writer no
	 * more than that.
	 */
	int unknown = error == PROTO_E_FENCED ? PROTO_E_FENCED : PROTO_E_TIMEOUT;

	while (slot->user) {
		struct hosted *hosted = slot->user;

		if (hosted->writes) {
			doubt_add(hosted->roomd, &hosted->room.id);
		}
		drop_writes(hosted, unknown);
		if (hosted->question) {
			hosted->question->hosted = NULL;
			job_refuse(hosted->question->job, PROTO_E_NOT_OWNER, NULL);
			hosted->question = NULL;
		}
		refuse_waiting(hosted, PROTO_E_NOT_OWNER, NULL);
		hosted_free(hosted);
	}
}
