/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What goes wrong under storaged: flipped bits, killed processes, commits that fail. */

#include "storaged_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <uv.h>
#include "storaged/commit.h"
#include "storaged/crc32c.h"
#include "storaged/record.h"
#include "storaged/store.h"

/* --- checksums --- */

Test(storaged_damage, crc32c_vectors)
{
	unsigned char bytes[32] = {0}; /* RFC 3720, B.4 */

	cr_assert_eq(crc32c(0, bytes, 32), 0x8a9136aau);
	memset(bytes, 0xff, 32);
	cr_assert_eq(crc32c(0, bytes, 32), 0x62a8ab43u);
	for (unsigned int i = 0; i < 32; i++) {
		bytes[i] = (unsigned char)i;
	}
	cr_assert_eq(crc32c(0, bytes, 32), 0x46dd794eu);
	cr_assert_eq(crc32c(crc32c(0, bytes, 13), bytes + 13, 19), 0x46dd794eu);
}

static struct fixture *filled(void)
{
	struct fixture *fixture = fixture_new();
	struct proto_event event;

	for (int i = 0; i < 20; i++) {
		fixture_send(fixture, "a message");
	}
	event = fixture_event(fixture, PROTO_EVENT_KIND_REACTION);
	event.target = 3;
	event.emoji = PROTO_SPAN("+1");
	fixture_append(fixture, event);
	event = fixture_event(fixture, PROTO_EVENT_KIND_MEMBER);
	event.subject = fixture_id(3);
	fixture_append(fixture, event);
	fixture_settle(fixture);
	return fixture;
}

/* Flips one bit of the `nth` row of a table, past its checksums. */
static void flip(struct fixture *fixture, enum kv_table table, unsigned int nth)
{
	struct kv_txn *txn = fixture_begin(fixture, true);
	struct kv_cursor *cursor;
	struct kv_bytes key;
	struct kv_bytes stored;
	char *copy;

	cr_assert_eq(kv_open(txn, table, &cursor), 0);
	cr_assert_eq(kv_seek(cursor, (struct kv_bytes){0}, &key, &stored), 0);
	while (nth-- > 0) {
		cr_assert_eq(kv_next(cursor, &key, &stored), 0);
	}
	cr_assert_not_null(key.data);
	copy = malloc(stored.size);
	memcpy(copy, stored.data, stored.size);
	copy[stored.size - 1] ^= 4;
	kv_close(cursor);
	cr_assert_eq(kv_put(txn, table, key, &(struct kv_bytes){copy, stored.size}, 1), 0);
	cr_assert_eq(kv_commit(txn), 0);
	free(copy);
}

static const struct {
	enum kv_table table;
	unsigned int nth;
	bool log;
	const char *line; /* begins so */
} flips[] = {
	{KV_FENCES, 0, true, "damaged log slot=291"},
	{KV_SEGMENTS, 0, true, "damaged log slot=291 epoch=1"},
	{KV_ENTRIES, 4, true, "damaged log slot=291 epoch=1 lsn=5"},
	{KV_PROGRESS, 0, false, "damaged view progress slot=291"},
	{KV_ROOMS, 0, false, "damaged view rooms slot=291 room=1230000001070000"},
	{KV_EVENTS, 1, false,
	 "damaged view events slot=291 room=12300000010700000000000000000000 seq=2"},
	{KV_TIMELINE, 2, false,
	 "damaged view timeline slot=291 room=12300000010700000000000000000000 seq=3"},
	{KV_REACTIONS, 0, false, "damaged view reactions"},
	{KV_STATE, 0, false, "damaged view state"},
	{KV_CMIDS, 0, false, "damaged view cmids"},
	{KV_CLIENTS, 0, false, "damaged view clients"},
};

Test(storaged_damage, verify_finds_every_flipped_bit)
{
	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		struct fixture *fixture = filled();
		char line[512] = "";
		struct scrub_result result = fixture_verify(fixture, line);

		cr_assert_eq(result.log_damages + result.view_damages, 0, "%s", line);
		flip(fixture, flips[i].table, flips[i].nth);
		result = fixture_verify(fixture, line);
		cr_assert_eq(flips[i].log ? result.log_damages > 0 : result.view_damages > 0, 1,
			     "row %zu", i);
		if (!flips[i].log) {
			cr_assert_eq(result.log_damages, 0);
			cr_assert_eq(result.view_damages, 1, "row %zu: %s", i, line);
		}
		if (flips[i].table !=
		    KV_SEGMENTS) { /* its entries, orphans then, are told after it */
			cr_assert_eq(strncmp(line, flips[i].line, strlen(flips[i].line)), 0, "%s",
				     line);
		}
		fixture_free(fixture);
	}
}

Test(storaged_damage, views_are_made_anew)
{
	struct fixture *fixture = filled();
	char line[512] = "";
	uint64_t entries = 0;
	struct scrub_result result;

	flip(fixture, KV_TIMELINE, 2);
	flip(fixture, KV_PROGRESS, 0);
	cr_assert_eq(scrub_rebuild(fixture->kv, &entries), 0);
	cr_assert_eq(entries, 22);
	result = fixture_verify(fixture, line);
	cr_assert_eq(result.log_damages + result.view_damages, 0, "%s", line);
	fixture_free(fixture);
}

/* A view that says other things than the log, with right checksums. */
Test(storaged_damage, verify_holds_views_against_the_log)
{
	struct fixture *fixture = filled();
	struct record_key key = record_key_room(&fixture->room);
	struct kv_txn *txn = fixture_begin(fixture, true);
	char line[512] = "";
	struct scrub_result result;

	record_key_add_u64(&key, 7);
	cr_assert_eq(record_put(txn, KV_TIMELINE, &key, "x", 1), 0);
	cr_assert_eq(kv_commit(txn), 0);
	result = fixture_verify(fixture, line);
	cr_assert_eq(result.view_damages, 1);
	cr_assert_not_null(strstr(line, "seq=7: differs from the log"));
	txn = fixture_begin(fixture, true);
	cr_assert_eq(record_del(txn, KV_TIMELINE, &key), 0);
	cr_assert_eq(kv_commit(txn), 0);
	result = fixture_verify(fixture, line);
	cr_assert_eq(result.view_damages, 1);
	cr_assert_not_null(strstr(line, "seq=7: is missing"));
	fixture_free(fixture);
}

Test(storaged_damage, requests_answer_damaged)
{
	struct fixture *fixture = filled();
	struct proto_entry items[PROTO_BATCH_MAX];
	struct proto_entries entries;
	struct proto_room_page page;
	struct segment_hash prev;
	struct kv_txn *txn;

	flip(fixture, KV_ENTRIES, 21);
	flip(fixture, KV_TIMELINE, 2);
	txn = fixture_begin(fixture, true);
	cr_assert_eq(segment_read(txn,
				  &(struct proto_entries_read){
					  .slot = FIXTURE_SLOT, .segment = 1, .from = 1},
				  items, &entries, &prev),
		     PROTO_E_DAMAGED);
	cr_assert_eq(segment_seal(txn,
				  &(struct proto_seal){.slot = FIXTURE_SLOT,
						       .epoch = 2,
						       .segment = 1,
						       .nonce = fixture_id(1)},
				  &fixture->answer),
		     PROTO_E_DAMAGED);
	cr_assert_eq(page_timeline(&fixture->page, txn,
				   &(struct proto_timeline_read){.room = fixture->room}, &page),
		     PROTO_E_DAMAGED);
	kv_abort(txn);
	fixture_free(fixture);
}

/* The same in the file: a bit of an entry's text, behind LMDB's back. */
Test(storaged_damage, a_bit_flipped_in_the_file)
{
	struct fixture *fixture = filled();
	char path[128];
	char line[512] = "";
	struct scrub_result result;
	struct stat status;
	char *bytes;
	int file;

	fixture_send(fixture, "the text to look for");
	fixture_settle(fixture);
	kv_lmdb_free(fixture->kv);
	snprintf(path, sizeof(path), "%s/data.mdb", fixture->path);
	file = open(path, O_RDWR);
	cr_assert_eq(fstat(file, &status), 0);
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	cr_assert_neq(bytes, MAP_FAILED);
	for (off_t i = 0; i + 20 < status.st_size; i++) {
		if (memcmp(bytes + i, "the text to look for", 20) == 0) {
			bytes[i] ^= 1;
		}
	}
	munmap(bytes, (size_t)status.st_size);
	close(file);
	cr_assert_eq(kv_lmdb_new(fixture->path, FIXTURE_MAP_BYTES, &fixture->kv), 0);
	result = fixture_verify(fixture, line);
	cr_assert_eq(result.log_damages >= 1, 1);
	cr_assert_geq(result.view_damages, 1);
	fixture_free(fixture);
}

/* --- a store has one user --- */

Test(storaged_damage, a_store_is_held_by_one)
{
	char path[64];
	struct store *store;
	struct store *other = NULL;
	struct proto_id id;

	fixture_make_folder(path);
	cr_assert_eq(store_open(path, FIXTURE_MAP_BYTES, &store), 0);
	id = *store_id(store);
	cr_assert_eq(store_open(path, FIXTURE_MAP_BYTES, &other), STORE_E_HELD);
	cr_assert_not(store_is_doubtful(store));
	store_set_doubtful(store, true);
	store_close(store);
	cr_assert_eq(store_open(path, FIXTURE_MAP_BYTES, &store), 0);
	cr_assert(proto_id_equal(&id, store_id(store)));
	cr_assert(store_is_doubtful(store));
	store_set_doubtful(store, false);
	cr_assert_not(store_is_doubtful(store));
	store_close(store);
	fixture_remove_folder(path);
}

static void put_identity(const char *path, const char *value, size_t size)
{
	struct record_key key = {.size = 0};
	struct kv *kv;
	struct kv_txn *txn;

	record_key_add_span(&key, PROTO_SPAN("store"));
	cr_assert_eq(kv_lmdb_new(path, FIXTURE_MAP_BYTES, &kv), 0);
	cr_assert_eq(kv_begin(kv, true, &txn), 0);
	cr_assert_eq(record_put(txn, KV_META, &key, value, size), 0);
	cr_assert_eq(kv_commit(txn), 0);
	kv_lmdb_free(kv);
}

Test(storaged_damage, other_formats_are_refused)
{
	char path[64];
	struct store *store = NULL;

	fixture_make_folder(path);
	put_identity(path, "\0\0\0\2................", 20);
	cr_assert_eq(store_open(path, FIXTURE_MAP_BYTES, &store), STORE_E_FORMAT);
	put_identity(path, "short", 5);
	cr_assert_eq(store_open(path, FIXTURE_MAP_BYTES, &store), STORE_E_DAMAGED);
	fixture_remove_folder(path);
}

/* --- SIGKILL --- */

#define CRASH_ROUNDS 5
#define CRASH_ENTRIES 150 /* told before it is killed */

/* Writes for ever; tells the lsn of each commit once it has returned. */
static _Noreturn void write_for_ever(struct fixture *fixture, int out)
{
	for (;;) {
		struct kv_txn *txn = fixture_begin(fixture, true);
		int count = 1 + (int)(fixture->owner.lsn % 7);

		for (int i = 0; i < count; i++) {
			struct proto_event event = fixture_event(fixture, PROTO_EVENT_KIND_MESSAGE);

			event.text = PROTO_SPAN("a message");
			fixture->owner.lac = fixture->owner.lsn;
			if (fixture_append_in(txn, fixture, event) != 0) {
				_exit(1);
			}
		}
		if (kv_commit(txn) != 0 ||
		    write(out, &fixture->owner.lsn, sizeof(fixture->owner.lsn)) !=
			    sizeof(fixture->owner.lsn)) {
			_exit(1);
		}
	}
}

static uint64_t run_and_kill(struct fixture *fixture)
{
	uint64_t lsn = fixture->owner.lsn;
	uint64_t until = lsn + CRASH_ENTRIES;
	uint64_t told = lsn;
	int pipes[2];
	int status;
	pid_t child;

	cr_assert_eq(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		close(pipes[0]);
		if (kv_lmdb_new(fixture->path, FIXTURE_MAP_BYTES, &fixture->kv) != 0) {
			_exit(1);
		}
		write_for_ever(fixture, pipes[1]);
	}
	close(pipes[1]);
	while (told < until && read(pipes[0], &told, sizeof(told)) == sizeof(told)) {}
	cr_assert_eq(kill(child, SIGKILL), 0);
	while (read(pipes[0], &told, sizeof(told)) == sizeof(told)) {}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status));
	close(pipes[0]);
	return told;
}

Test(storaged_damage, sigkill_loses_nothing_that_was_answered, .timeout = 60)
{
	struct fixture *fixture = fixture_new();

	for (int i = 0; i < CRASH_ROUNDS; i++) {
		char line[512] = "";
		struct segment segment;
		struct scrub_result result;
		struct kv_txn *txn;
		uint64_t told;

		kv_lmdb_free(fixture->kv);
		fixture->kv = NULL;
		told = run_and_kill(fixture);
		cr_assert_eq(kv_lmdb_new(fixture->path, FIXTURE_MAP_BYTES, &fixture->kv), 0);
		txn = fixture_begin(fixture, false);
		cr_assert_eq(segment_load(txn, FIXTURE_SLOT, 1, &segment), 0);
		kv_abort(txn);
		cr_assert_geq(segment.last, told);
		result = fixture_verify(fixture, line);
		cr_assert_eq(result.log_damages + result.view_damages, 0, "%s", line);
		cr_assert_eq(result.entries, segment.last);
		fixture->owner.lsn = segment.last;
		fixture->owner.hash = segment.last_hash;
		fixture->seq = segment.last;
	}
	fixture_free(fixture);
}

/* --- group commit --- */

struct counting_job {
	struct commit_job job;
	int wanted; /* of run() */
	int got;
	int ended;
};

static int run_counting(struct commit_job *job, struct kv_txn *txn)
{
	struct counting_job *counting = (struct counting_job *)job;
	struct record_key key = record_key_slot(1);

	if (counting->wanted != 0) {
		return counting->wanted;
	}
	return record_put(txn, KV_META, &key, "x", 1);
}

static void end_counting(struct commit_job *job, int result)
{
	struct counting_job *counting = (struct counting_job *)job;

	counting->got = result;
	counting->ended++;
}

static void count_failure(void *context, int error)
{
	cr_assert_lt(error, 0);
	++*(int *)context;
}

static void count_drained(void *context)
{
	++*(int *)context;
}

#define COMMIT_TEST_JOBS 20

struct commit_test {
	struct fixture *fixture;
	struct metrics *metrics;
	struct commit *commit;
	uv_loop_t loop;
	int failures;
	struct counting_job jobs[COMMIT_TEST_JOBS];
};

static struct commit_test *commit_test_new(uint64_t jobs_max)
{
	struct commit_test *test = calloc(1, sizeof(*test));
	struct commit_options options = {
		.jobs_max = jobs_max, .bytes_max = 1 << 20, .failed = count_failure};

	options.context = &test->failures;
	test->fixture = fixture_new();
	cr_assert_eq(uv_loop_init(&test->loop), 0);
	cr_assert_eq(metrics_new(&test->metrics), 0);
	cr_assert_eq(
		commit_new(&test->loop, test->fixture->kv, test->metrics, &options, &test->commit),
		0);
	for (size_t i = 0; i < COMMIT_TEST_JOBS; i++) {
		test->jobs[i].job = (struct commit_job){
			.run = run_counting, .done = end_counting, .bytes = 100};
	}
	return test;
}

static void commit_test_free(struct commit_test *test)
{
	commit_free(test->commit);
	metrics_free(test->metrics);
	cr_assert_eq(uv_run(&test->loop, UV_RUN_DEFAULT), 0);
	cr_assert_eq(uv_loop_close(&test->loop), 0);
	fixture_free(test->fixture);
	free(test);
}

Test(storaged_commit, all_are_answered_after_the_commit)
{
	struct commit_test *test = commit_test_new(100);
	int drained = 0;

	test->jobs[3].wanted = PROTO_E_GAP;
	for (size_t i = 0; i < COMMIT_TEST_JOBS; i++) {
		cr_assert_eq(commit_submit(test->commit, &test->jobs[i].job), 0);
		cr_assert_eq(test->jobs[i].ended, 0);
	}
	commit_drain(test->commit, count_drained, &drained);
	uv_run(&test->loop, UV_RUN_DEFAULT);
	cr_assert_eq(drained, 1);
	for (size_t i = 0; i < COMMIT_TEST_JOBS; i++) {
		cr_assert_eq(test->jobs[i].ended, 1);
		cr_assert_eq(test->jobs[i].got, i == 3 ? PROTO_E_GAP : 0);
	}
	cr_assert_eq(test->failures, 0);
	commit_test_free(test);
}

Test(storaged_commit, a_full_queue_is_busy)
{
	struct commit_test *test = commit_test_new(3);

	for (size_t i = 0; i < 4; i++) { /* one under way, three waiting */
		cr_assert_eq(commit_submit(test->commit, &test->jobs[i].job), 0);
	}
	cr_assert_eq(commit_submit(test->commit, &test->jobs[4].job), PROTO_E_BUSY);
	uv_run(&test->loop, UV_RUN_DEFAULT);
	test->jobs[4].job.bytes = 2 << 20; /* alone it may go, however large */
	cr_assert_eq(commit_submit(test->commit, &test->jobs[4].job), 0);
	uv_run(&test->loop, UV_RUN_DEFAULT);
	cr_assert_eq(test->jobs[4].got, 0);
	commit_test_free(test);
}

Test(storaged_commit, a_failure_is_no_answer_and_for_ever)
{
	struct commit_test *test = commit_test_new(100);
	struct record_key key = record_key_slot(1);
	struct kv_bytes value;
	struct kv_txn *txn;

	test->jobs[2].wanted = -EIO;
	for (size_t i = 0; i < COMMIT_TEST_JOBS; i++) {
		cr_assert_eq(commit_submit(test->commit, &test->jobs[i].job), 0);
		if (i == 0) {
			uv_run(&test->loop, UV_RUN_DEFAULT);
		}
	}
	uv_run(&test->loop, UV_RUN_DEFAULT);
	for (size_t i = 0; i < COMMIT_TEST_JOBS; i++) {
		cr_assert_eq(test->jobs[i].ended, 1);
		cr_assert_eq(test->jobs[i].got, i <= 1 ? 0 : PROTO_E_STORAGE_FAILED, "job %zu: %d",
			     i, test->jobs[i].got);
	}
	cr_assert_eq(test->failures, 1);
	cr_assert(commit_has_failed(test->commit));
	test->jobs[0].wanted = 0;
	cr_assert_eq(commit_submit(test->commit, &test->jobs[0].job), PROTO_E_STORAGE_FAILED);
	txn = fixture_begin(test->fixture, false);
	cr_assert_eq(record_get(txn, KV_META, &key, &value), 0);
	cr_assert_not_null(value.data);
	kv_abort(txn);
	commit_test_free(test);
}

Test(storaged_commit, a_full_map_fails)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct kv_txn *txn;
	int r = 0;

	fixture_make_folder(fixture->path);
	cr_assert_eq(kv_lmdb_new(fixture->path, 1 << 20, &fixture->kv), 0);
	txn = fixture_begin(fixture, true);
	for (unsigned int i = 0; r == 0 && i < 4096; i++) {
		struct record_key key = record_key_slot(i);
		char value[1000] = {0};

		r = record_put(txn, KV_META, &key, value, sizeof(value));
	}
	cr_assert_eq(r, -ENOSPC);
	kv_abort(txn);
	fixture_free(fixture);
}
