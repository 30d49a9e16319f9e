/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A small world for the ownership code of roomd: owners that run the real takeover.c, slot.c and
 * segment.c on virtual time, a registry with compare-and-swap, and stores that keep what they have
 * answered. Messages go through the real codec and are delayed, lost, doubled and reordered;
 * stores stop and come back, owners crash and come back as new incarnations. Everything follows
 * from the seed.
 *
 * Checked at every commit and every opening: an lsn has one content for ever, nothing that was
 * committed is missing below the end of a sealed log, some store shows readers all of that, and
 * hashes chain. world_check() reads all logs at the end.
 *
 * In an orderly world the registry moves slots as the real one does (slots_assigned with `leave`,
 * no claim of what a living owner holds), owners have leases, and it is checked that nobody commits
 * while another may answer from memory.
 */

#include <stdbool.h>
#include <stdint.h>
#include "roomd/takeover.h"

#define WORLD_SLOTS 4 /* of the 4096 */
#define WORLD_OWNERS 2
#define WORLD_STORES 4

struct world;

struct world_options {
	uint64_t seed;
	size_t stores;
	size_t write_quorum;
	size_t ack_quorum;
	unsigned int lost_permille; /* of messages */
	unsigned int doubled_permille; /* of requests */
	uint64_t delay_ms; /* at most */
	bool orderly;
};

struct world *world_new(const struct world_options *options);
void world_free(struct world *world);
/* Let so much time pass. */
void world_run(struct world *world, uint64_t ms);
/* Run until owner `owner` has all slots open, or `ms` have passed. Returns whether it has. */
bool world_run_until_open(struct world *world, size_t owner, uint64_t ms);

/* The registry assigns all slots to one owner, or one slot. */
void world_assign(struct world *world, size_t owner);
void world_assign_slot(struct world *world, unsigned int slot, size_t owner);
/* From now on every owner hears that nobody else could have its slots. */
void world_alone(struct world *world);
/* Add an entry if the owner has the slot open and takes it. Returns whether it did. */
bool world_append(struct world *world, size_t owner, unsigned int slot);
void world_crash(struct world *world, size_t owner);
void world_store_stop(struct world *world, size_t store);
void world_store_start(struct world *world, size_t store);
/* From now on no message is lost, doubled or late, and all stores run. */
void world_heal(struct world *world);
/* The owner's lease ran out. */
void world_suspend(struct world *world, size_t owner);
/*
 * Orderly worlds. The owner is cut off from the registry for longer than its lease: it is dead
 * there; until it says hello again.
 */
void world_silence(struct world *world, size_t owner);
void world_hello(struct world *world, size_t owner);
struct takeover *world_takeover(struct world *world, size_t owner);
/* Another node sealed the slot's last segment on a store under this epoch. */
void world_fence(struct world *world, unsigned int slot, uint64_t epoch);
/* The next swap of the registry finds another version. */
void world_conflict(struct world *world);

struct slot *world_slot(struct world *world, size_t owner, unsigned int slot);
uint64_t world_committed(const struct world *world, unsigned int slot); /* entries ever committed */
uint64_t world_dropped(const struct world *world); /* slots that owners lost */
uint64_t world_stored(const struct world *world, size_t store,
		      unsigned int slot); /* entries there */
uint32_t world_random(struct world *world, uint32_t below);
/*
 * NULL, or what is wrong. Every committed entry must be found by the registry's record, once, in
 * its place.
 */
const char *world_check(struct world *world);
