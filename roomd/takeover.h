/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * All slots of this node, and their talk with the registry: what is assigned, records read in
 * ranges, and swapped in batches of up to 256. At most two swaps are on their way; slots that get
 * ready meanwhile travel in the next, so 4096 slots need some dozens of messages.
 */

#include "roomd/slot.h"

#define TAKEOVER_SWAPS_MAX 2 /* on their way */
#define TAKEOVER_BATCH 256 /* records of one swap */
#define TAKEOVER_BATCH_SEGMENTS 2048 /* segments of one swap: keeps the frame below its limit */
#define TAKEOVER_GAP 64 /* slots that nobody asked for, read for the sake of one range */
#define TAKEOVER_HANDED_MAX 128 /* slots between two owners at a time, in planned moves */
#define TAKEOVER_HANDED_MS 1000 /* a slot that nobody serves for so long is waited for no more */
#define TAKEOVER_ASSIGNMENT_MS 5000 /* the assignment is asked for again this often */
#define TAKEOVER_VERIFY_MS 1000

struct takeover;

struct takeover_options {
	struct slot_self self; /* copied; `node` is borrowed */
	const struct slot_events *events;
	/* Addresses of stores were named by the registry. */
	void (*stores)(void *context, const struct proto_list_store_place *places);
	/* Whether the slot map shows an owner for a slot that we have closed. */
	bool (*is_served)(void *context, unsigned int slot);
	void *context;
};

int takeover_new(const struct env *env, const struct takeover_options *options,
		 struct takeover **ret_takeover);
void takeover_free(struct takeover *takeover);

void takeover_set_quorums(struct takeover *takeover, size_t write_quorum, size_t ack_quorum);
/* Ask for the assignment (again). */
void takeover_assignment(struct takeover *takeover);
/* The slot map names another owner for an open slot: read its record. */
void takeover_doubt(struct takeover *takeover, unsigned int slot);
/*
 * The lease ran out: others may own our slots by now. Open slots are suspended until their records,
 * read from now on, show that they are still ours.
 */
void takeover_suspend(struct takeover *takeover);
/*
 * Take nothing more over; what others wait for is closed, the rest stays open. The assignment is
 * asked for once more.
 */
void takeover_stop(struct takeover *takeover);
/*
 * Whether, after a stop, the assignment is known and nobody waits for a slot of ours any more, nor
 * is there anybody who could.
 */
bool takeover_is_left(const struct takeover *takeover);
void takeover_tick(struct takeover *takeover);

struct slot *takeover_slot(struct takeover *takeover, unsigned int slot);
size_t takeover_count(const struct takeover *takeover, enum slot_phase phase);
/* Whether the assignment is known and every slot of it is open. */
bool takeover_is_complete(const struct takeover *takeover);
