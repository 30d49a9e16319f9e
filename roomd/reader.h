/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Questions about what a slot's stores have written, put to one member after the other until one
 * can answer. A store that lacks something of what is asked for says `gap`, one whose record is bad
 * says `damaged`; one that says nothing for a moment is not waited for. What comes back is whole,
 * or nothing.
 */

#include "roomd/slot.h"

#define READER_HEDGE_MS 300 /* without an answer the next member is asked as well */
#define READER_ROUND_MS 100 /* between asking all members once and asking them again */
#define READER_MS 3000 /* then the question ends as unavailable */

struct readers;

int readers_new(const struct env *env, struct readers **ret_readers);
/* Questions still open end with PROTO_E_UNAVAILABLE, now. NULL is fine. */
void readers_free(struct readers *readers);

/*
 * Ask the members of the open slot. `body` stays until the answer, which comes once and not from
 * within. `result` is 0; PROTO_E_NOT_OWNER: the slot is ours no more; PROTO_E_DAMAGED or
 * PROTO_E_UNAVAILABLE: no store could answer; or a refusal that other stores would repeat.
 */
void readers_ask(struct readers *readers, const struct slot *slot, enum proto_type type,
		 const void *body, env_answer_fn on_answer, void *context);
void readers_tick(struct readers *readers);
