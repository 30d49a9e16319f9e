/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Notes to personal logs: a room tells its members' logs what changed for them. Each goes to the
 * owner of the slot of the user's id, itself included, and is repeated until that one has it on
 * disk.
 */

#include "roomd/hosted.h"

#define NOTES_FLYING_MAX 64 /* on their way: a rename of a large room is paced by this */
#define NOTES_MAX 100000 /* waiting; more are dropped, and counted: the next change repeats them */
#define NOTES_TIMEOUT_MS 2000
#define NOTES_RETRY_MS_MIN 50
#define NOTES_RETRY_MS_MAX 2000
#define NOTES_GIVE_UP_MS 120000

struct notes;

struct note {
	struct proto_id user;
	struct proto_id room;
	uint64_t seq;
	enum proto_room_kind access;
	enum proto_role role;
	char label[PROTO_NAME_BYTES_MAX + 1];
};

int notes_new(struct roomd *roomd, struct notes **ret_notes);
void notes_free(struct notes *notes);
/* `job` (may be NULL) waits for it: job_done() follows, also when the note is given up. */
void notes_add(struct notes *notes, const struct note *note, struct job *job);
void notes_tick(struct notes *notes);
