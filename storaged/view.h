/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The views: what readers ask for, made from the log alone, and from nothing that is not committed.
 * Pure. Results: 0, PROTO_E_DAMAGED (a record could not be trusted: the views stand still before
 * it), -errno.
 */

#include "proto/proto.h"
#include "storaged/kv.h"

#define VIEW_BATCH 2048 /* entries that one request brings into the views; the rest follows */

/* How far the log of a slot is in the views: from its first entry up to `lsn`, without a hole. */
struct view_progress {
	uint64_t epoch; /* 0: nothing yet */
	uint64_t lsn;
};

/* Where a room stands in the views. */
struct view_room {
	uint64_t seq; /* 0: there is no such room */
	uint64_t time;
	uint64_t items;
};

/* Bring the views up to all that is committed here, at most `limit` entries. */
int view_advance(struct kv_txn *txn, unsigned int slot, uint64_t limit, uint64_t *ret_applied);

/* 0, or PROTO_E_GAP: what is committed up to `lac` is not all in the views. */
int view_reflects(struct kv_txn *txn, unsigned int slot, uint64_t lac);
int view_progress_load(struct kv_txn *txn, unsigned int slot, struct view_progress *ret_progress);
int view_room_load(struct kv_txn *txn, const struct proto_id *room, struct view_room *ret_room);
