/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One slot as this node sees it: the take-over (DESIGN section 5, T1 to T6) as a state machine.
 *
 *   FREE ─▶ READ ─▶ CLAIM ─T1─▶ SEAL ─T2,T3─▶ COPY ─T4─▶ INSTALL ─T5─▶ RELEASE ─T6─▶ OPEN
 *    ▲       ▲        │           │             │           │             │            │
 *    │       │        └───────────┴─────────────┴───────────┘             │            │
 *    │       │           conflict, fence, no stores, time out             │ fenced     │ fenced,
 *    │       │                    ▼                                       │            │ stalled
 *    │       └────── due ─────── WAIT ◀───────────────────────────────────┴────────────┘
 *    └────── not assigned ────────┘
 *
 *   A planned move ends the term in order: OPEN, closing (nothing new is taken) ── all committed
 *   ──▶ CLOSE ── the registry has the closed record ──▶ FREE. If no answer comes the slot is OPEN
 *   again, but suspended: the record may be closed, and another owner about to take over. It stays
 *   so until the registry answers, and then is closed for sure.
 *
 *   HALTED: replicas hold different entries at one lsn. Never left; an operator must look.
 *
 * Whoever holds the slots (takeover.h) asks for what they want, in batches, and hands the answers
 * in.
 */

#include "roomd/env.h"
#include "roomd/record.h"
#include "roomd/segment.h"

#define SLOT_WAIT_MS_MIN 100
#define SLOT_WAIT_MS_MAX 3000
#define SLOT_STEP_MS 15000 /* a take-over that gets no further for so long starts again */
#define SLOT_RELEASE_RETRY_MS 500

enum slot_phase {
	SLOT_FREE,
	SLOT_WAIT,
	SLOT_READ,
	SLOT_CLAIM,
	SLOT_SEAL,
	SLOT_COPY,
	SLOT_INSTALL,
	SLOT_RELEASE,
	SLOT_OPEN,
	SLOT_CLOSE,
	SLOT_HALTED,
	SLOT_PHASES,
};
const char *slot_phase_name(enum slot_phase phase);

/* This node, as all its slots know it. Borrowed. */
struct slot_self {
	const char *node;
	struct proto_id incarnation;
	size_t write_quorum;
	size_t ack_quorum;
};

struct slot;

struct slot_events {
	void (*opened)(void *context, struct slot *slot);
	/*
	 * An open slot is ours no more: refuse what waits; what has a seq is unknown. `error` is
	 * PROTO_E_FENCED, PROTO_E_TIMEOUT, PROTO_E_CONFLICT or PROTO_E_NOT_OWNER. The segment is
	 * freed when this returns.
	 */
	void (*dropped)(void *context, struct slot *slot, int error);
	void (*committed)(void *context, struct slot *slot, void *owner);
};

/* What a member of the last segment answered. */
struct slot_replica {
	bool asked; /* an answer is to come */
	bool answered;
	bool failed;
	bool released;
	uint64_t last;
	struct chain_hash hash;
};

struct slot {
	const struct env *env;
	const struct slot_self *self;
	const struct slot_events *events;
	void *context;
	void *user; /* for the holder: the slot's rooms */
	unsigned int number;
	enum slot_phase phase;
	bool assigned;
	bool asked; /* READ, CLAIM, INSTALL, CLOSE: an answer of the registry is to come */
	bool closing; /* OPEN: nothing new is taken; it closes when all is committed */
	bool close_doubt; /* OPEN: the registry may have the closed record, or get it late */
	bool suspended; /* OPEN: no lease counts until the registry's record is seen to be ours */
	uint64_t attempt; /* answers to an earlier one are ignored */
	uint64_t term; /* grows whenever the slot opens: what was asked in an earlier one is void */
	uint64_t due_ms; /* of WAIT, and of the retry in RELEASE; else when the step ends */
	uint64_t opened_ms;
	unsigned int failures;
	uint64_t fence_seen;
	struct record record;
	struct record_segment old; /* that is sealed, then released; member_count 0: none */
	size_t releases;
	size_t releases_needed;
	struct slot_replica replicas[PROTO_MEMBERS_MAX]; /* of `old` */
	uint64_t last; /* T3 */
	struct chain_hash last_hash;
	struct proto_id places[PROTO_MEMBERS_MAX]; /* for the new segment */
	size_t place_count;
	struct segment *segment; /* RELEASE, OPEN */
};

void slot_init(struct slot *slot, unsigned int number, const struct env *env,
	       const struct slot_self *self, const struct slot_events *events, void *context);
void slot_deinit(struct slot *slot);

/*
 * The registry's wish. A slot that is not wanted any more is served until another owner takes it.
 */
void slot_assign(struct slot *slot, bool assigned);
/* Another node waits for it: end the term in order, or, while it is still open, do not. */
void slot_close(struct slot *slot, bool close);
/*
 * The step that asks the registry next: READ, CLAIM, INSTALL or CLOSE; FREE if there is nothing to
 * ask.
 */
enum slot_phase slot_wants(const struct slot *slot);
/* T5 is on its way or done: it will be open in a moment, unless something fails. */
bool slot_is_opening(const struct slot *slot);
/* It was asked. Returns the attempt, for the answer. CLAIM and CLOSE change the record first. */
uint64_t slot_asked(struct slot *slot);

/* Answers; `record` NULL: none came. Those to an earlier attempt are ignored. */
void slot_on_read(struct slot *slot, uint64_t attempt, const struct proto_slot_record *record);
void slot_on_swapped(struct slot *slot, uint64_t attempt, const struct proto_slot_record *record,
		     const struct proto_list_store_place *places);
/*
 * The registry's record of a slot: of an open one, to see whether it is still ours; of one that is
 * free and not wanted, because the registry may hold it for ours, and others can't take it.
 */
void slot_verify(struct slot *slot, const struct proto_slot_record *record);

/* Give the slot up (error as in dropped); taken over again if it is assigned. */
void slot_drop(struct slot *slot, int error);
void slot_tick(struct slot *slot);
