/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The registry's record of a slot, as its owner holds it: who owns it, and where each part of its
 * log lies. Changed here by the two steps of a take-over alone, and written by compare-and-swap.
 */

#include "proto/proto.h"
#include "roomd/chain.h"

struct record_segment {
	uint64_t since_epoch; /* first epoch in it, after merging */
	uint64_t epoch; /* last epoch in it */
	uint64_t first; /* lsn */
	uint64_t last; /* sealed: lsn; first - 1 if it is empty */
	bool sealed;
	struct chain_hash last_hash;
	struct proto_id members[PROTO_MEMBERS_MAX];
	size_t member_count;
};

struct record {
	unsigned int slot;
	uint64_t version; /* 0: never written */
	uint64_t epoch;
	char owner[PROTO_NAME_BYTES_MAX + 1];
	struct proto_id incarnation;
	enum proto_slot_state state;
	struct record_segment *segments;
	size_t segment_count;
};
#define RECORD_INIT ((struct record){0})

/* Replaces `record`. Returns 0, PROTO_E_BAD_VALUE (then it is as before), or -ENOMEM. */
int record_read(struct record *record, const struct proto_slot_record *from);
void record_deinit(struct record *record);
/* The last segment, or NULL. */
struct record_segment *record_last(const struct record *record);

/* T1: the record that claims the slot. The version stays that which it replaces. */
void record_claim(struct record *record, uint64_t epoch, const char *node,
		  const struct proto_id *incarnation);
/*
 * T5: seal the last segment at `last` and add the one that begins behind it, on `members`. An
 * empty one is dropped; adjacent ones on the same stores become one. Returns 0, -ENOMEM, or
 * PROTO_E_LIMIT when the slot has too many segments.
 */
int record_install(struct record *record, uint64_t last, const struct chain_hash *last_hash,
		   const struct proto_id *members, size_t member_count);

/* A record as it travels. Texts and hashes point into the record, lists into `memory`. */
struct record_wire {
	struct proto_slot_record record;
	void *memory;
};
int record_write(const struct record *record, struct record_wire *ret_wire);
void record_wire_deinit(struct record_wire *wire);
