/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The open segment of a slot: where its owner appends.
 *
 * Every entry gets its lsn and hash when it is added; no position is ever skipped. Each member has
 * one append on its way at a time; whatever has queued up meanwhile is its next one. An entry is
 * committed when `ack_quorum` members hold it and all before it. A member that does not answer
 * gets the same again (the store tells by lsn and hash) until it answers or somebody fences the
 * segment.
 */

#include "roomd/chain.h"
#include "roomd/env.h"

#define SEGMENT_PENDING_MAX 4096 /* entries not committed */
#define SEGMENT_PENDING_BYTES_MAX (8 * 1024 * 1024)
#define SEGMENT_BATCH_BYTES_MAX (512 * 1024) /* bodies of one append */
#define SEGMENT_KEEP_MAX 4096 /* committed entries kept for a member that lags */
#define SEGMENT_RETRY_MS_MIN 50
#define SEGMENT_RETRY_MS_MAX 1000
#define SEGMENT_STALL_MS 10000 /* no quorum for so long: roll to other members */
#define SEGMENT_RELEASE_MS 1000 /* idle time after which stores are told the last commit */

struct segment;

struct segment_spec {
	unsigned int slot;
	uint64_t epoch;
	struct proto_id nonce; /* the owner's incarnation */
	uint64_t first; /* lsn of its first entry */
	struct chain_hash prev_hash; /* of the entry before that */
	struct proto_id members[PROTO_MEMBERS_MAX];
	size_t member_count;
	size_t ack_quorum;
};

struct segment_events {
	/* In the order of lsn, each once. `owner` is what segment_add() got. */
	void (*committed)(void *context, void *owner);
	/*
	 * The segment takes nothing more: PROTO_E_FENCED (`fence` is the epoch that took over, or
	 * 0), PROTO_E_CONFLICT (a store holds another entry: a defect, never go on), or
	 * PROTO_E_TIMEOUT (no quorum). Entries not committed have an unknown outcome. Called once
	 * at most.
	 */
	void (*failed)(void *context, int error, uint64_t fence);
};

int segment_new(const struct env *env, const struct segment_spec *spec,
		const struct segment_events *events, void *context, struct segment **ret_segment);
/* Calls nothing any more. Answers that are still to come are ignored. NULL is fine. */
void segment_free(struct segment *segment);

/* Whether `count` more entries of `bytes` together are taken now. If not: busy. */
bool segment_has_space(const struct segment *segment, size_t count, size_t bytes);
uint64_t segment_epoch(const struct segment *segment);
uint64_t segment_next(const struct segment *segment); /* lsn of the next entry */
uint64_t segment_lac(const struct segment *segment); /* last committed lsn */
size_t segment_pending(const struct segment *segment); /* entries not committed */
const struct segment_spec *segment_spec(const struct segment *segment);
/* Whether the member has all that is committed: reads go to such a one. */
bool segment_member_is_current(const struct segment *segment, size_t member);

/*
 * Add the entry segment_next(). `body` is copied. With `more` set it goes out together with the
 * next one added, in one append. Returns 0 or -ENOMEM.
 */
int segment_add(struct segment *segment, const void *body, size_t size, bool more, void *owner);
/* Repeats, releases and gives up what is due. */
void segment_tick(struct segment *segment);
/* Tell the stores the last commit now; for an orderly stop. */
void segment_release(struct segment *segment);
/* Whether all that can be told know it. */
bool segment_is_released(const struct segment *segment);
