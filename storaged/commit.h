/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Group commit: jobs that write. Whatever has queued up while the last transaction was on its way
 * to the disk is the next transaction; there are no timers.
 */

#include <uv.h>
#include "services/metrics.h"
#include "storaged/kv.h"

#define COMMIT_JOBS_MAX 4096 /* of one transaction */
#define COMMIT_BYTES_MAX \
	(16 * 1024 * 1024) /* of one transaction; a job that is larger goes alone */

struct commit;

/* Embedded in what the caller keeps of a job; it must stay until `done`. */
struct commit_job {
	/*
	 * On a helper thread, within the transaction. Returns 0 or PROTO_E_… with nothing written,
	 * or -errno, which ends the whole transaction. Touches nothing that the loop's thread may
	 * touch.
	 */
	int (*run)(struct commit_job *job, struct kv_txn *txn);
	/*
	 * On the loop, once the transaction is on disk. `result` is what run() gave; or
	 * PROTO_E_STORAGE_FAILED: it is unknown whether anything was written.
	 */
	void (*done)(struct commit_job *job, int result);
	size_t bytes; /* about as much work */
	int result;
	struct commit_job *next;
};

struct commit_options {
	uint64_t jobs_max; /* waiting */
	uint64_t bytes_max;
	/*
	 * A transaction failed: nothing is accepted any more. Called once, before the jobs hear of
	 * it.
	 */
	void (*failed)(void *context, int error);
	void *context;
};

int commit_new(uv_loop_t *loop, struct kv *kv, struct metrics *metrics,
	       const struct commit_options *options, struct commit **ret_commit);
/*
 * Waits for the transaction that is under way, runs the loop for that, and refuses what waits; for
 * an orderly end use commit_drain() before. NULL is fine.
 */
void commit_free(struct commit *commit);
/*
 * Take a job; `done` follows later, from the loop. Returns 0; PROTO_E_BUSY if too much is waiting,
 * PROTO_E_STORAGE_FAILED after a failure, or -errno.
 */
int commit_submit(struct commit *commit, struct commit_job *job);
/* Call `drained` once nothing is waiting or under way, maybe at once. */
void commit_drain(struct commit *commit, void (*drained)(void *context), void *context);
bool commit_has_failed(const struct commit *commit);
