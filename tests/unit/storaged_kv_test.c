/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The contract of storaged/kv.h, held against the tables on disk and against those in memory that
 * the simulation uses; then what the memory's disk can do beside that.
 */

#include <errno.h>
#include "tests/simulation/kv_memory.h"
#include "tests/unit/storaged_fixture.h"

#define MODEL_KEYS 300
#define MODEL_STEPS 4000

struct place {
	char path[64]; /* empty: in memory */
	struct kv *kv;
};

static struct place place_new(bool memory)
{
	struct place place = {""};

	if (memory) {
		place.kv = kv_memory_new(NULL);
	} else {
		fixture_make_folder(place.path);
		cr_assert_eq(kv_lmdb_new(place.path, FIXTURE_MAP_BYTES, &place.kv), 0);
	}
	return place;
}

static void place_free(struct place *place)
{
	if (place->path[0]) {
		kv_lmdb_free(place->kv);
		fixture_remove_folder(place->path);
	} else {
		kv_memory_free(place->kv);
	}
}

static struct kv_bytes text(const char *bytes)
{
	return (struct kv_bytes){bytes, strlen(bytes)};
}

static struct kv_txn *begin(struct kv *kv, bool write)
{
	struct kv_txn *txn;

	cr_assert_eq(kv_begin(kv, write, &txn), 0);
	return txn;
}

static void put(struct kv_txn *txn, const char *key, const char *value)
{
	struct kv_bytes parts[] = {text(value)};

	cr_assert_eq(kv_put(txn, KV_ENTRIES, text(key), parts, 1), 0);
}

static void put_alone(struct kv *kv, const char *key, const char *value)
{
	struct kv_txn *txn = begin(kv, true);

	put(txn, key, value);
	cr_assert_eq(kv_commit(txn), 0);
}

/* `value` NULL: absent. */
static void expect(struct kv_bytes got, const char *value)
{
	if (!value) {
		cr_assert_null(got.data);
		return;
	}
	cr_assert_not_null(got.data);
	cr_assert_eq(got.size, strlen(value));
	cr_assert_eq(memcmp(got.data, value, got.size), 0);
}

static void expect_at(struct kv_txn *txn, const char *key, const char *value)
{
	struct kv_bytes got;

	cr_assert_eq(kv_get(txn, KV_ENTRIES, text(key), &got), 0);
	expect(got, value);
}

static void expect_in(struct kv *kv, const char *key, const char *value)
{
	struct kv_txn *txn = begin(kv, false);

	expect_at(txn, key, value);
	kv_abort(txn);
}

/* --- the contract --- */

static void values(struct kv *kv)
{
	struct kv_bytes parts[] = {text("one, "), {NULL, 0}, text("two")};
	struct kv_txn *txn = begin(kv, true);
	struct kv_bytes got;

	expect_at(txn, "a", NULL);
	cr_assert_eq(kv_put(txn, KV_ENTRIES, text("a"), parts, 3), 0);
	expect_at(txn, "a", "one, two"); /* seen by itself */
	put(txn, "b", "");
	expect_at(txn, "b", "");
	put(txn, "a", "other");
	expect_at(txn, "a", "other");
	cr_assert_eq(kv_get(txn, KV_EVENTS, text("a"), &got), 0);
	expect(got, NULL); /* tables are apart */
	cr_assert_eq(kv_del(txn, KV_ENTRIES, text("b")), 0);
	cr_assert_eq(kv_del(txn, KV_ENTRIES, text("b")), 0);
	expect_at(txn, "b", NULL);
	cr_assert_eq(kv_commit(txn), 0);
	expect_in(kv, "a", "other");
	expect_in(kv, "b", NULL);
}

static void aborts(struct kv *kv)
{
	struct kv_txn *txn;

	put_alone(kv, "a", "kept");
	txn = begin(kv, true);
	put(txn, "a", "dropped");
	put(txn, "b", "dropped");
	kv_abort(txn);
	kv_abort(NULL);
	expect_in(kv, "a", "kept");
	expect_in(kv, "b", NULL);
}

static void snapshots(struct kv *kv)
{
	struct kv_txn *early;
	struct kv_txn *during;
	struct kv_txn *writer;

	put_alone(kv, "a", "1");
	early = begin(kv, false);
	writer = begin(kv, true);
	put(writer, "a", "2");
	put(writer, "b", "2");
	during = begin(kv, false);
	expect_at(during, "a", "1");
	expect_at(during, "b", NULL);
	cr_assert_eq(kv_commit(writer), 0);
	expect_at(early, "a", "1");
	expect_at(during, "b", NULL);
	kv_abort(early);
	kv_abort(during);
	expect_in(kv, "a", "2");
	expect_in(kv, "b", "2");
}

static void clears(struct kv *kv)
{
	struct kv_bytes part = text("x");
	struct kv_txn *txn;
	struct kv_bytes got;

	put_alone(kv, "a", "1");
	put_alone(kv, "b", "2");
	txn = begin(kv, true);
	cr_assert_eq(kv_put(txn, KV_EVENTS, text("a"), &part, 1), 0);
	cr_assert_eq(kv_clear(txn, KV_ENTRIES), 0);
	expect_at(txn, "a", NULL);
	put(txn, "c", "3");
	cr_assert_eq(kv_commit(txn), 0);
	expect_in(kv, "a", NULL);
	expect_in(kv, "b", NULL);
	expect_in(kv, "c", "3");
	txn = begin(kv, false);
	cr_assert_eq(kv_get(txn, KV_EVENTS, text("a"), &got), 0);
	expect(got, "x");
	kv_abort(txn);
}

enum step {
	SEEK,
	NEXT,
	PREV,
};

static void expect_step(struct kv_cursor *cursor, enum step step, const char *from, const char *key)
{
	struct kv_bytes got;
	struct kv_bytes value;

	switch (step) {
	case SEEK:
		cr_assert_eq(kv_seek(cursor, text(from), &got, &value), 0);
		break;
	case NEXT:
		cr_assert_eq(kv_next(cursor, &got, &value), 0);
		break;
	case PREV:
		cr_assert_eq(kv_prev(cursor, &got, &value), 0);
		break;
	}
	expect(got, key);
	expect(value, key); /* as it was put */
}

static void cursors(struct kv *kv)
{
	static const char *const keys[] = {"b", "bb", "c", "a\x01", "\xff"};
	struct kv_cursor *cursor;
	struct kv_txn *txn = begin(kv, true);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		put(txn, keys[i], keys[i]);
	}
	cr_assert_eq(kv_open(txn, KV_ENTRIES, &cursor), 0);
	expect_step(cursor, PREV, NULL, "\xff"); /* from nowhere: the last */
	expect_step(cursor, SEEK, "", "a\x01");
	expect_step(cursor, NEXT, NULL, "b");
	expect_step(cursor, NEXT, NULL, "bb"); /* a shorter key before what it begins */
	expect_step(cursor, PREV, NULL, "b");
	expect_step(cursor, SEEK, "bc", "c");
	expect_step(cursor, SEEK, "c", "c");
	expect_step(cursor, NEXT, NULL, "\xff");
	expect_step(cursor, NEXT, NULL, NULL);
	expect_step(cursor, PREV, NULL, "\xff"); /* from past the end */
	expect_step(cursor, SEEK, "\xff\x01", NULL);
	expect_step(cursor, PREV, NULL, "\xff");
	expect_step(cursor, PREV, NULL, "c");
	expect_step(cursor, SEEK, "a", "a\x01");
	expect_step(cursor, PREV, NULL, NULL);
	kv_close(cursor);
	kv_close(NULL);
	cr_assert_eq(kv_open(txn, KV_EVENTS, &cursor), 0);
	expect_step(cursor, SEEK, "", NULL); /* empty */
	expect_step(cursor, PREV, NULL, NULL);
	kv_close(cursor);
	cr_assert_eq(kv_commit(txn), 0);
}

/* Chance, against an array. Numbers are kept as their own 16 digits, keys in four. */
static uint64_t chance(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

static void compare_all(struct kv *kv, const uint64_t *model)
{
	struct kv_txn *txn = begin(kv, false);
	struct kv_cursor *cursor;
	struct kv_bytes key;
	struct kv_bytes value;
	char wanted[24];

	cr_assert_eq(kv_open(txn, KV_ENTRIES, &cursor), 0);
	cr_assert_eq(kv_seek(cursor, text(""), &key, &value), 0);
	for (size_t i = 0; i < MODEL_KEYS; i++) {
		if (model[i] == 0) {
			continue;
		}
		snprintf(wanted, sizeof(wanted), "%04zu", i);
		expect(key, wanted);
		snprintf(wanted, sizeof(wanted), "%016llx", (unsigned long long)model[i]);
		expect(value, wanted);
		cr_assert_eq(kv_next(cursor, &key, &value), 0);
	}
	expect(key, NULL);
	kv_close(cursor);
	kv_abort(txn);
}

static void model(struct kv *kv)
{
	uint64_t kept[MODEL_KEYS] = {0};
	uint64_t now[MODEL_KEYS] = {0};
	uint64_t state = 42;
	struct kv_txn *txn = begin(kv, true);
	char key[8];
	char value[24];

	for (unsigned int step = 0; step < MODEL_STEPS; step++) {
		size_t i = (size_t)(chance(&state) % MODEL_KEYS);
		uint64_t what = chance(&state) % 100;

		snprintf(key, sizeof(key), "%04zu", i);
		if (what < 60) {
			now[i] = chance(&state) + 1;
			snprintf(value, sizeof(value), "%016llx", (unsigned long long)now[i]);
			put(txn, key, value);
		} else if (what < 98) {
			now[i] = 0;
			cr_assert_eq(kv_del(txn, KV_ENTRIES, text(key)), 0);
		} else {
			bool keep = what == 98;

			if (keep) {
				cr_assert_eq(kv_commit(txn), 0);
			} else {
				kv_abort(txn);
			}
			memcpy(keep ? kept : now, keep ? now : kept, sizeof(now));
			compare_all(kv, kept);
			txn = begin(kv, true);
		}
	}
	kv_abort(txn);
}

static void hold(void (*contract)(struct kv *kv))
{
	for (unsigned int memory = 0; memory < 2; memory++) {
		struct place place = place_new(memory != 0);

		contract(place.kv);
		place_free(&place);
	}
}

Test(storaged_kv, values_are_put_replaced_and_deleted)
{
	hold(values);
}

Test(storaged_kv, an_aborted_transaction_never_was)
{
	hold(aborts);
}

Test(storaged_kv, readers_see_what_was_committed_when_they_began)
{
	hold(snapshots);
}

Test(storaged_kv, tables_are_cleared)
{
	hold(clears);
}

Test(storaged_kv, cursors_go_in_the_order_of_keys)
{
	hold(cursors);
}

Test(storaged_kv, agrees_with_an_array_under_chance)
{
	hold(model);
}

/* --- the disk in memory --- */

struct plan {
	int put;
	int commit;
	bool written;
	unsigned int changed;
	unsigned int deleted;
};

static int on_put(void *context, size_t bytes)
{
	cr_assert_gt(bytes, 0);
	return ((struct plan *)context)->put;
}

static int on_commit(void *context, bool *ret_written)
{
	struct plan *plan = context;

	*ret_written = plan->written;
	return plan->commit;
}

static void on_changed(void *context, enum kv_table table, const struct tree_row *row)
{
	struct plan *plan = context;

	cr_assert_eq(table, KV_ENTRIES);
	cr_assert_not_null(row->key);
	plan->changed += row->value != NULL;
	plan->deleted += row->value == NULL;
}

static struct disk *disk_with(struct plan *plan)
{
	const struct disk_events events = {on_put, on_commit, on_changed, plan};

	return disk_new(&events);
}

Test(storaged_kv, a_disk_keeps_what_was_committed)
{
	struct plan plan = {.written = true};
	struct disk *disk = disk_with(&plan);
	struct kv *kv = kv_memory_new(disk);
	struct kv_txn *txn;

	put_alone(kv, "a", "1");
	txn = begin(kv, true);
	put(txn, "b", "2");
	kv_abort(txn);
	kv_memory_free(kv);
	disk_crash(disk);
	kv = kv_memory_new(disk);
	expect_in(kv, "a", "1");
	expect_in(kv, "b", NULL);
	txn = begin(kv, true);
	cr_assert_eq(kv_del(txn, KV_ENTRIES, text("a")), 0);
	cr_assert_eq(kv_commit(txn), 0);
	cr_assert_eq(plan.changed, 1);
	cr_assert_eq(plan.deleted, 1);
	kv_memory_free(kv);
	disk_free(disk);
}

Test(storaged_kv, a_full_disk_refuses_a_row)
{
	struct plan plan = {.put = -ENOSPC, .written = true};
	struct disk *disk = disk_with(&plan);
	struct kv *kv = kv_memory_new(disk);
	struct kv_txn *txn = begin(kv, true);
	struct kv_bytes part = text("1");

	cr_assert_eq(kv_put(txn, KV_ENTRIES, text("a"), &part, 1), -ENOSPC);
	kv_abort(txn);
	expect_in(kv, "a", NULL);
	kv_memory_free(kv);
	disk_free(disk);
}

Test(storaged_kv, a_failed_commit_is_there_or_not)
{
	for (unsigned int written = 0; written < 2; written++) {
		struct plan plan = {.commit = -EIO, .written = written != 0};
		struct disk *disk = disk_with(&plan);
		struct kv *kv = kv_memory_new(disk);
		struct kv_txn *txn = begin(kv, true);

		put(txn, "a", "1");
		cr_assert_eq(kv_commit(txn), -EIO);
		expect_in(kv, "a", written ? "1" : NULL);
		cr_assert_eq(plan.changed, written);
		kv_memory_free(kv);
		disk_free(disk);
	}
}

Test(storaged_kv, a_lazy_disk_loses_what_was_not_synced)
{
	struct plan plan = {.written = true};
	struct disk *disk = disk_with(&plan);
	struct kv *kv = kv_memory_new(disk);

	disk_set_lazy(disk, true);
	put_alone(kv, "a", "1");
	cr_assert_eq(plan.changed, 0);
	disk_sync(disk);
	cr_assert_eq(plan.changed, 1);
	put_alone(kv, "b", "2");
	expect_in(kv, "b", "2");
	kv_memory_free(kv);
	disk_crash(disk);
	kv = kv_memory_new(disk);
	expect_in(kv, "a", "1");
	expect_in(kv, "b", NULL);
	kv_memory_free(kv);
	disk_free(disk);
}
