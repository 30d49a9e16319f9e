/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The log of a slot: fences, segments and their entries (DESIGN.md, section 5). Pure: tables in,
 * answers out. The caller owns the transaction.
 *
 * Every write is checked in full before its first byte is written, so that one refused request
 * leaves the others of its transaction alone. Results: 0; PROTO_E_… to answer, with nothing
 * written; -errno, after which the transaction must be aborted.
 */

#include "proto/proto.h"
#include "storaged/kv.h"

/* A chain hash; size 0: there is none, before the first entry of a slot. */
struct segment_hash {
	uint8_t bytes[PROTO_HASH_BYTES];
	size_t size;
};

/* Which owner may write: never deleted, never lowered. */
struct segment_fence {
	uint64_t epoch; /* 0: none yet */
	struct proto_id nonce;
};

struct segment {
	unsigned int slot;
	uint64_t epoch; /* 0: no segment */
	uint64_t first;
	uint64_t last; /* of those here; `first` - 1: none */
	uint64_t lac; /* last committed lsn known, maybe past `last` */
	uint64_t end; /* sealed: its last lsn, for ever; maybe past `last` */
	bool sealed;
	struct segment_hash prev_hash; /* before `first` */
	struct segment_hash last_hash; /* of `last`, or `prev_hash` */
};

/* An entry as stored; points into the transaction. */
struct segment_entry {
	struct segment_hash prev_hash;
	uint8_t hash[PROTO_HASH_BYTES];
	struct proto_span body;
};

/* What to tell the asker: on success the end of the segment, on refusal why. */
struct segment_answer {
	uint64_t last; /* 0: none */
	struct segment_hash last_hash;
	uint64_t lac;
	uint64_t next; /* GAP: lsn to send; FENCED: epoch of the fence */
	const char *detail; /* static text, or NULL */
};

struct proto_span segment_hash_span(const struct segment_hash *hash);
/* BLAKE2b-256 over the hash before, epoch and lsn as 8 bytes each, big-endian, and the body. */
void segment_chain(const struct segment_hash *prev, uint64_t epoch, uint64_t lsn,
		   struct proto_span body, struct segment_hash *ret_hash);

int segment_append(struct kv_txn *txn, const struct proto_append *append,
		   struct segment_answer *ret_answer);
int segment_copy(struct kv_txn *txn, const struct proto_copy *copy,
		 struct segment_answer *ret_answer);
int segment_seal(struct kv_txn *txn, const struct proto_seal *seal,
		 struct segment_answer *ret_answer);
int segment_release(struct kv_txn *txn, const struct proto_release *release,
		    struct segment_answer *ret_answer);

/*
 * A reader's word that all up to `lac` is committed. It moves the newest segment of the slot alone,
 * and only while its own owner holds the fence: a tail that another owner may have dropped stays
 * unseen.
 */
int segment_learn(struct kv_txn *txn, unsigned int slot, uint64_t lac);

/*
 * Entries for `read` into `items` (PROTO_BATCH_MAX of them), which point into the transaction. A
 * lsn before the segment is looked for in the sealed ones before it, as the registry may have
 * merged them; an answer never crosses segments. Beyond what is committed nothing is shown unless
 * `recovery` is set.
 */
int segment_read(struct kv_txn *txn, const struct proto_entries_read *read,
		 struct proto_entry items[], struct proto_entries *ret_entries,
		 struct segment_hash *ret_prev);

int segment_fence_load(struct kv_txn *txn, unsigned int slot, struct segment_fence *ret_fence);
/* `ret_segment->epoch` is 0 if there is none. */
int segment_load(struct kv_txn *txn, unsigned int slot, uint64_t epoch,
		 struct segment *ret_segment);
/* The first with an epoch of at least, or the last with one of at most `epoch`. */
int segment_load_from(struct kv_txn *txn, unsigned int slot, uint64_t epoch,
		      struct segment *ret_segment);
int segment_load_until(struct kv_txn *txn, unsigned int slot, uint64_t epoch,
		       struct segment *ret_segment);
/* PROTO_E_DAMAGED also if it is not there. */
int segment_entry_load(struct kv_txn *txn, unsigned int slot, uint64_t epoch, uint64_t lsn,
		       struct segment_entry *ret_entry);
int segment_entry_parse(struct kv_bytes value, struct segment_entry *ret_entry);
/* From a key and a checked value of KV_SEGMENTS. */
int segment_parse(struct kv_bytes key, struct kv_bytes value, struct segment *ret_segment);
/* The last entry here that is committed for sure; `first` - 1 if none is. */
uint64_t segment_committed(const struct segment *segment);
