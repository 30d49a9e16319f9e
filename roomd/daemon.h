/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The actor's inside, for its own files. The manual is in roomd.c. */

#include "roomd/calls.h"
#include "roomd/env.h"
#include "roomd/gate.h"
#include "roomd/hosted.h"
#include "roomd/notes.h"
#include "roomd/reader.h"
#include "roomd/roomd.h"
#include "roomd/session.h"
#include "roomd/stores.h"
#include "roomd/takeover.h"
#include "services/log.h"
#include "services/membership.h"
#include "services/service.h"

struct roomd {
	struct service *service;
	const struct roomd_settings *settings;
	struct env env;
	struct bus_server *server;
	struct bus_publisher *publisher;
	struct membership *membership;
	struct calls *calls;
	struct stores *stores;
	struct readers *readers;
	struct takeover *takeover;
	struct gates *gates;
	struct sessions *sessions;
	struct notes *notes;
	struct hosted *rooms; /* hash by id */
	struct hosted *use; /* the same, least recently used first */
	size_t room_count;
	struct doubt *doubts; /* the oldest first */
	size_t doubt_count;
	struct tail_limits tail;
	struct proto_buffer scratch;
	uv_timer_t tick;
	uint64_t second_ms; /* when the slower work is due */
	bool asking_stores; /* where they are */
	bool index_wanted; /* the directory lags behind some room */
	bool welcomed;
	bool ready;
	bool stopping;
	bool handing; /* the registry knows, and others get the slots */
	bool refusing; /* serves nothing more */
	bool leaving;
	uint64_t welcomed_ms;
	struct roomd_probe *probes; /* one for each slot phase */
	uint64_t stop_ms;
	struct metric *appends;
	struct metric *commit_seconds;
	struct metric *published;
	struct metric *duplicates;
	struct metric *confirmations;
	struct metric *jobs;
};

static inline uint64_t roomd_now_ms(const struct roomd *roomd)
{
	return roomd->env.now_ms(roomd->env.context);
}

static inline uint64_t roomd_wall_ms(const struct roomd *roomd)
{
	return roomd->env.wall_ms(roomd->env.context);
}

/*
 * Whether what is known of an open slot may be told now without asking the stores. By the clock of
 * now: the process may have been stopped since anything else was looked at.
 */
bool roomd_has_lease(const struct roomd *roomd, const struct slot *slot);

/* meters.c: 0 or -errno. */
int meters_start(struct roomd *roomd);
void meters_stop(struct roomd *roomd);

/* writes.c: messages, edits, redactions, reactions, settings, roles */
void writes_run(struct hosted *hosted, struct job *job, const struct session *session);

/* members.c */
void members_create(struct hosted *hosted, struct job *job, const struct session *session);
void members_join(struct hosted *hosted, struct job *job, const struct session *session);
void members_leave(struct hosted *hosted, struct job *job, const struct session *session);
/* After a commit: tell the personal logs what changed. */
void members_note(struct hosted *hosted, const struct proto_event *event, struct job *job);
/*
 * The name of an account that is no member: asks the registry unless the job has it. 0,
 * -EINPROGRESS, PROTO_E_….
 */
int members_name(struct hosted *hosted, struct job *job, const struct proto_id *user,
		 struct proto_span *ret_name);

/* A room was loaded: the owner before may have died between a change and its notes. */
void members_repeat_notes(struct hosted *hosted);

/* reads.c */
void reads_open(struct hosted *hosted, struct job *job, const struct session *session);
void reads_history(struct hosted *hosted, struct job *job, const struct session *session);
void reads_events(struct hosted *hosted, struct job *job, const struct session *session);
void reads_members(struct hosted *hosted, struct job *job, const struct session *session);
void reads_answer_opened(struct hosted *hosted, struct job *job);

/* here.c: presence, typing, beacons */
void here_presence(struct hosted *hosted, struct job *job, const struct session *session);
void here_typing(struct hosted *hosted, struct job *job, const struct session *session);
void here_expire(struct roomd *roomd);
void here_beacon(struct roomd *roomd);

/* personal.c */
void personal_note(struct hosted *hosted, struct job *job, const struct session *session);
void personal_read(struct hosted *hosted, struct job *job, const struct session *session);
void personal_mine(struct hosted *hosted, struct job *job, const struct session *session);

/* directory.c */
void directory_changed(struct hosted *hosted, uint64_t seq);
void directory_tick(struct roomd *roomd);
/* The room as the directory shall know it, or will once `setting` (may be NULL) is committed. */
struct proto_room_index directory_body(const struct hosted *hosted,
				       const struct proto_event *setting, uint64_t seq);
