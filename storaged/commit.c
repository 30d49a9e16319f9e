/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 *   IDLE ──submit──▶ RUNNING (helper thread: begin, run each job, commit)
 *                       │ on disk: answer all, then RUNNING with what waits, or IDLE
 *                       │ error
 *                       ▼
 *                     FAILED: for ever; what waits and what comes is refused
 *
 * After a failed commit nobody can say what the disk holds: going on could confirm what is lost.
 * Only a restart, which scrubs, leads out.
 */

#include "storaged/commit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "proto/proto.h"
#include "services/service.h"

struct commit_list {
	struct commit_job *first;
	struct commit_job **end;
	size_t count;
	size_t bytes;
};

struct commit {
	uv_loop_t *loop;
	struct kv *kv;
	struct commit_options options;
	struct commit_list waiting;
	struct commit_list running;
	bool is_running;
	bool failed;
	int error; /* of the transaction that ran */
	uint64_t began_ns;
	void (*drained)(void *context);
	void *drained_context;
	struct metric *seconds;
	struct metric *commits;
	struct metric *jobs;
	struct metric *queue;
};

static void list_init(struct commit_list *list)
{
	*list = (struct commit_list){.end = &list->first};
}

static void list_push(struct commit_list *list, struct commit_job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
	list->count++;
	list->bytes += job->bytes;
}

static struct commit_job *list_pop(struct commit_list *list)
{
	struct commit_job *job = list->first;

	list->first = job->next;
	list->count--;
	list->bytes -= job->bytes;
	if (!list->first) {
		list->end = &list->first;
	}
	return job;
}

/* --- on the helper thread --- */

static void run_transaction(void *context)
{
	struct commit *commit = context;
	struct kv_txn *txn = NULL;
	int r = kv_begin(commit->kv, true, &txn);

	for (struct commit_job *job = commit->running.first; r == 0 && job; job = job->next) {
		job->result = job->run(job, txn);
		r = job->result < 0 ? job->result : 0;
	}
	if (r == 0) {
		r = kv_commit(txn);
	} else {
		kv_abort(txn);
	}
	commit->error = r;
}

/* --- on the loop --- */

static void fail(struct commit *commit, int error)
{
	if (!commit->failed) {
		commit->failed = true;
		commit->options.failed(commit->options.context, error);
	}
}

static void end_all(struct commit *commit, struct commit_list *list)
{
	struct commit_list ended = *list;

	list_init(list);
	while (ended.first) {
		struct commit_job *job = list_pop(&ended);

		job->done(job, commit->failed ? PROTO_E_STORAGE_FAILED : job->result);
	}
}

static void start(struct commit *commit);

static void on_transaction(void *context)
{
	struct commit *commit = context;

	metric_observe(commit->seconds, (double)(uv_hrtime() - commit->began_ns) / 1e9);
	metric_add(commit->commits, 1);
	metric_add(commit->jobs, commit->running.count);
	if (commit->error < 0) {
		fail(commit, commit->error);
	}
	end_all(commit, &commit->running);
	commit->is_running = false;
	start(commit);
}

static void take_batch(struct commit *commit)
{
	while (commit->waiting.first && commit->running.count < COMMIT_JOBS_MAX &&
	       (commit->running.count == 0 ||
		commit->running.bytes + commit->waiting.first->bytes <= COMMIT_BYTES_MAX)) {
		list_push(&commit->running, list_pop(&commit->waiting));
	}
	metric_set(commit->queue, commit->waiting.count);
}

/* Who is told may free the commit. */
static void tell_drained(struct commit *commit)
{
	void (*drained)(void *context) = commit->drained;

	if (drained) {
		commit->drained = NULL;
		drained(commit->drained_context);
	}
}

static void start(struct commit *commit)
{
	int r;

	if (commit->is_running) {
		return;
	}
	if (commit->failed) {
		end_all(commit, &commit->waiting);
	}
	if (!commit->waiting.first) {
		tell_drained(commit);
		return;
	}
	take_batch(commit);
	commit->is_running = true;
	commit->began_ns = uv_hrtime();
	r = service_offload(commit->loop, run_transaction, on_transaction, commit);
	if (r < 0) {
		commit->error = r;
		on_transaction(commit);
	}
}

int commit_submit(struct commit *commit, struct commit_job *job)
{
	if (commit->failed) {
		return PROTO_E_STORAGE_FAILED;
	}
	if (commit->waiting.count >= commit->options.jobs_max ||
	    (commit->waiting.count > 0 &&
	     commit->waiting.bytes + job->bytes > commit->options.bytes_max)) {
		return PROTO_E_BUSY;
	}
	list_push(&commit->waiting, job);
	metric_set(commit->queue, commit->waiting.count);
	start(commit);
	return 0;
}

void commit_drain(struct commit *commit, void (*drained)(void *context), void *context)
{
	commit->drained = drained;
	commit->drained_context = context;
	start(commit);
}

bool commit_has_failed(const struct commit *commit)
{
	return commit->failed;
}

static int add_metrics(struct commit *commit, struct metrics *metrics)
{
	int r = metrics_histogram(metrics, "districhat_storaged_commit_seconds",
				  "Time of a transaction, from its start until it was on disk.",
				  NULL, &commit->seconds);

	if (r == 0) {
		r = metrics_counter(metrics, "districhat_storaged_commits_total", "Transactions.",
				    NULL, &commit->commits);
	}
	if (r == 0) {
		r = metrics_counter(metrics, "districhat_storaged_commit_jobs_total",
				    "Requests in transactions; by commits_total: the batch size.",
				    NULL, &commit->jobs);
	}
	if (r == 0) {
		r = metrics_gauge(metrics, "districhat_storaged_queue_length",
				  "Requests that wait to be written.", NULL, &commit->queue);
	}
	return r;
}

int commit_new(uv_loop_t *loop, struct kv *kv, struct metrics *metrics,
	       const struct commit_options *options, struct commit **ret_commit)
{
	struct commit *commit = calloc(1, sizeof(*commit));
	int r;

	if (!commit) {
		return -ENOMEM;
	}
	commit->loop = loop;
	commit->kv = kv;
	commit->options = *options;
	list_init(&commit->waiting);
	list_init(&commit->running);
	r = add_metrics(commit, metrics);
	if (r < 0) {
		free(commit);
		return r;
	}
	*ret_commit = commit;
	return 0;
}

void commit_free(struct commit *commit)
{
	if (!commit) {
		return;
	}
	commit->failed = true;
	while (commit->is_running) {
		(void)uv_run(commit->loop, UV_RUN_ONCE);
	}
	end_all(commit, &commit->waiting);
	free(commit);
}
