/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Rooms in this node's memory, and the requests on them.
 *
 *   job     a request, from its arrival to its answer. It may run several times: when its room was
 *           loaded, when a question about it was answered, when a state event before it was
 *           committed.
 *   write   an event with its seq, from then to its commit.
 *   hosted  a room: its state, the jobs that wait for it, the writes in flight.
 *
 * A room is held while a state event is in flight (a barrier: rights are checked against committed
 * state) and while a question about one write is asked of storage or the registry. Later writes
 * wait in order; reads go on.
 */

#include <uthash.h>
#include "roomd/room.h"
#include "roomd/slot.h"

struct bus_request;
struct roomd;
struct hosted;
struct session;

#define HOSTED_DOUBTS_MAX 16384 /* rooms to look at when their slot comes back; the oldest go */
#define JOB_CREATED_MAX 3 /* setting, and one or two members */

/* What was found out about a job so far. */
struct job_found {
	bool cmid; /* storage was asked for the cmid */
	struct proto_event *cmid_event; /* owned; NULL: nothing there */
	uint64_t cmid_last; /* the client's last number, as storage knows it */
	bool target;
	int target_error;
	struct proto_id target_user;
	bool account;
	char account_name[PROTO_NAME_BYTES_MAX + 1];
	bool renamed; /* the directory has the new name */
	struct proto_event *created[JOB_CREATED_MAX]; /* owned: the first events of a new room */
	size_t created_count; /* 0: the registry was not asked */
};

struct job {
	struct roomd *roomd;
	struct bus_request *request; /* NULL: answered */
	const struct proto_message *message;
	const struct action *action;
	uint64_t peer;
	bool current; /* the slot was seen to be ours after the request had come */
	struct proto_id user; /* of the session, when it last ran */
	struct proto_id room;
	unsigned int pending; /* writes and notes that it waits for; it lives as long */
	uint64_t seq; /* of its write */
	uint64_t time;
	struct job_found found;
	struct job *prev;
	struct job *next;
};

struct write {
	struct hosted *hosted;
	struct proto_event *event; /* owned, until the tail takes it */
	struct job *job; /* NULL: answered, or nobody asked */
	struct job *followers; /* retries of the same */
	bool barrier;
	uint64_t began_ns;
	struct write *prev;
	struct write *next;
};

/*
 * A question that holds the room. `take` moves the answer into job->found; it returns 0 or how to
 * refuse.
 */
struct question {
	struct hosted *hosted; /* NULL: the room went meanwhile */
	struct job *job;
	int (*take)(struct job *job, int result, const struct proto_message *answer);
	union {
		struct proto_cmid_read cmid;
		struct proto_timeline_read timeline;
	} asked; /* of storage */
};

struct hosted {
	struct room room;
	struct roomd *roomd;
	struct slot *slot;
	struct load *load; /* being loaded */
	struct question *question;
	unsigned int barriers;
	struct job *waiting;
	size_t waiting_count;
	struct write *writes; /* in the order of seq */
	size_t write_count;
	uint64_t active_ms; /* monotonic: last commit, or when it was loaded; 0: being loaded */
	uint64_t index_seq; /* the directory shall reflect this; 0: it does */
	bool indexing;
	uint64_t index_due_ms;
	struct hosted *slot_prev;
	struct hosted *slot_next;
	struct hosted *use_prev;
	struct hosted *use_next;
	UT_hash_handle hh;
};

/* What serves a message type. */
struct action {
	enum proto_type type;
	size_t session; /* offset of the field */
	size_t room; /* offset; ACTION_PERSONAL: the session's user */
	bool writes; /* waits while the room is held */
	bool node; /* no session */
	void (*run)(struct hosted *hosted, struct job *job, const struct session *session);
};
#define ACTION_PERSONAL SIZE_MAX

/* --- jobs --- */

struct job *job_new(struct roomd *roomd, struct bus_request *request, const struct action *action);
/* Answer, once. The job is freed as soon as nothing is pending; do not use it after. */
void job_reply(struct job *job, enum proto_type type, const void *body);
void job_refuse(struct job *job, int error, const char *detail);
void job_relay(struct job *job, int result, const struct proto_message *answer);
/*
 * One thing that the job waited for is done: answers by the type of its request when it was the
 * last.
 */
void job_done(struct job *job);
/* Run from the beginning. */
void job_run(struct job *job);

/* --- rooms --- */

/* The room, loaded or loading; NULL when there are too many. */
struct hosted *hosted_get(struct roomd *roomd, struct slot *slot, const struct proto_id *id);
/* NULL if it is not in memory. */
struct hosted *hosted_find(struct roomd *roomd, const struct proto_id *id);
bool hosted_is_held(const struct hosted *hosted);
/* Queue a job behind what holds the room. Takes it. */
void hosted_wait(struct hosted *hosted, struct job *job);
/* Run what waits, as far as the room is not held. The room may be gone after it. */
void hosted_drain(struct hosted *hosted);
/* Ask and hold. Takes the job. `body` has no spans. */
void hosted_ask_cmid(struct hosted *hosted, struct job *job, const struct proto_cmid_read *body,
		     int (*take)(struct job *, int, const struct proto_message *));
void hosted_ask_timeline(struct hosted *hosted, struct job *job,
			 const struct proto_timeline_read *body,
			 int (*take)(struct job *, int, const struct proto_message *));
void hosted_ask_registry(struct hosted *hosted, struct job *job, enum proto_type type,
			 const void *body,
			 int (*take)(struct job *, int, const struct proto_message *));
/* The slot is ours no more: answer everything, forget its rooms. */
void hosted_drop_slot(struct slot *slot, int error);
/* It is ours (again): load the rooms whose writes were in flight when it was dropped. */
void hosted_open_slot(struct roomd *roomd, struct slot *slot);
/* Forget which those are. */
void hosted_forget_doubts(struct roomd *roomd);
/* Last committed lsn of the room's slot. */
uint64_t hosted_lac(const struct hosted *hosted);

/* --- writing --- */

/*
 * Give the events their seqs and append them, all or none. Kind, and what belongs to it, are set;
 * the rest is filled in. The job (may be NULL) waits for all of them. Refuses the job when there
 * is no space.
 */
void write_submit(struct hosted *hosted, struct job *job, const struct session *session,
		  struct proto_event *events, size_t count, const struct dedupe_write *dedupe);
void write_committed(struct roomd *roomd, struct write *write);
