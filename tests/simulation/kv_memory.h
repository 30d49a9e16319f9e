/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The tables of storaged/kv.h in memory, on a disk that can fail. Behaves as kv_lmdb.c does:
 * tests/unit/storaged_kv_test.c holds both to one test.
 *
 * A disk outlives the processes that use it. What was committed is on it, all or nothing; what was
 * not is gone with the process. A commit that fails may have been written all the same, as with a
 * real disk: whoever decides that is asked through `struct disk_events`.
 */

#include "storaged/kv.h"
#include "tests/simulation/tree.h"

struct disk;

struct disk_events {
	/* Before a row is written. Returns 0, or -errno (-ENOSPC): it is not written. */
	int (*put)(void *context, size_t bytes);
	/*
	 * A commit. Returns 0, or -errno; then `*ret_written` tells whether it is on disk all the
	 * same.
	 */
	int (*commit)(void *context, bool *ret_written);
	/* A row was put, or deleted (`row->value` NULL), and that is on disk now. */
	void (*changed)(void *context, enum kv_table table, const struct tree_row *row);
	void *context;
};

/* `events` may be NULL, and so may each of them. Copied. */
struct disk *disk_new(const struct disk_events *events);
void disk_free(struct disk *disk);
/* The process is gone: so is what was not committed. Its kv must have been freed. */
void disk_crash(struct disk *disk);
/* From now on commits are not on disk before disk_sync(): a disk that lies. */
void disk_set_lazy(struct disk *disk, bool lazy);
void disk_sync(struct disk *disk);
/* What is on disk; to look at, and to damage. */
struct tree *disk_table(struct disk *disk, enum kv_table table);
/* A table as a reader that begins now sees it. */
const struct tree *disk_view(const struct disk *disk, enum kv_table table);

/* `disk` NULL: one of its own, which goes with it. */
struct kv *kv_memory_new(struct disk *disk);
/* All transactions have ended. NULL is fine. */
void kv_memory_free(struct kv *kv);
