/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The registry's store on LMDB: compare-and-swap, order, and what lasts. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proto/proto.h"
#include "registry/store.h"

struct world {
	uv_loop_t loop;
	char directory[32];
	struct store *store;
	int results[8];
	size_t count;
	int failed;
};

static struct world world;

static void on_failed(void *context, int error)
{
	((struct world *)context)->failed = error;
}

static void open_store(void)
{
	cr_assert_eq(store_open_lmdb(&world.loop, world.directory, on_failed, &world, &world.store),
		     0);
}

static void setup(void)
{
	strcpy(world.directory, "/tmp/store-test-XXXXXX");
	cr_assert_not_null(mkdtemp(world.directory));
	cr_assert_eq(uv_loop_init(&world.loop), 0);
	open_store();
}

static void teardown(void)
{
	char path[64];

	store_free(world.store);
	uv_loop_close(&world.loop);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", world.directory,
			       (const char *[]){"data.mdb", "lock.mdb", "lock"}[i]);
		unlink(path);
	}
	rmdir(world.directory);
}

TestSuite(store, .init = setup, .fini = teardown);

static void on_done(void *context, int result)
{
	(void)context;
	world.results[world.count++ % 8] = result;
}

#define ANY UINT64_MAX

/* Puts `value` under `key` if the key's version is `version`. */
static void put(const char *key, uint64_t version, const char *value)
{
	struct store_txn *txn = store_txn_new();

	if (version != ANY) {
		store_txn_compare(txn, key, strlen(key), version);
	}
	store_txn_put(txn, key, strlen(key), value, strlen(value));
	store_commit(world.store, txn, on_done, NULL);
}

static void run(void)
{
	uv_run(&world.loop, UV_RUN_DEFAULT);
}

static void take(void *context, const struct store_row *row)
{
	(void)snprintf(context, 64, "%.*s@%d", (int)row->value_size, (const char *)row->value,
		       (int)row->version);
}

static const char *get(const char *key)
{
	static char text[64];

	return store_get(world.store, key, strlen(key), take, text) ? text : "nothing";
}

Test(store, compare_and_swap)
{
	put("a", 0, "one");
	put("a", 0, "two"); /* both wait for one disk sync; the second sees the first */
	put("a", 1, "three");
	cr_assert_eq(world.count, 0); /* nothing is told before the loop turns */
	run();
	cr_assert_eq(world.count, 3);
	cr_assert_eq(world.results[0], 0);
	cr_assert_eq(world.results[1], PROTO_E_VERSION_CONFLICT);
	cr_assert_eq(world.results[2], 0);
	cr_assert_str_eq(get("a"), "three@2");
	cr_assert_str_eq(get("b"), "nothing");
}

Test(store, all_or_nothing)
{
	struct store_txn *txn = store_txn_new();

	store_txn_put(txn, "a", 1, "x", 1);
	store_txn_compare(txn, "b", 1, 7);
	store_commit(world.store, txn, on_done, NULL);
	run();
	cr_assert_eq(world.results[0], PROTO_E_VERSION_CONFLICT);
	cr_assert_str_eq(get("a"), "nothing");
}

Test(store, deleted_keys_begin_anew)
{
	struct store_txn *txn = store_txn_new();

	put("a", 0, "one");
	run();
	store_txn_delete(txn, "a", 1);
	store_txn_delete(txn, "never there", 11);
	store_commit(world.store, txn, on_done, NULL);
	run();
	cr_assert_str_eq(get("a"), "nothing");
	put("a", 0, "two");
	run();
	cr_assert_str_eq(get("a"), "two@1");
}

Test(store, what_no_row_may_be_is_refused)
{
	static char huge[STORE_VALUE_BYTES_MAX + 1];
	static char key[STORE_KEY_BYTES_MAX + 1];
	struct store_txn *txns[3] = {store_txn_new(), store_txn_new(), store_txn_new()};

	store_txn_put(txns[0], "a", 1, huge, sizeof(huge));
	store_txn_put(txns[1], key, sizeof(key), "x", 1);
	store_txn_put(txns[2], "a", 1, "", 0);
	for (size_t i = 0; i < 3; i++) {
		store_commit(world.store, txns[i], on_done, NULL);
	}
	cr_assert_eq(world.count, 0);
	run();
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(world.results[i], PROTO_E_BUSY);
	}
	cr_assert_str_eq(get("a"), "nothing");
	cr_assert_eq(world.failed, 0);
}

struct seen {
	char keys[64];
	size_t limit;
};

static bool see(void *context, const struct store_row *row)
{
	struct seen *seen = context;

	strncat(seen->keys, row->key, row->key_size);
	strcat(seen->keys, " ");
	return --seen->limit > 0;
}

static const char *scan(const char *prefix, const char *after, size_t limit)
{
	static struct seen seen;

	seen = (struct seen){.limit = limit};
	store_scan(world.store, prefix, strlen(prefix), after, after ? strlen(after) : 0, see,
		   &seen);
	return seen.keys;
}

Test(store, scans)
{
	static const char *const keys[] = {"n/b", "n/a", "m/z", "n/c", "o/a", "n"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		put(keys[i], 0, "x");
	}
	run();
	cr_assert_str_eq(scan("n/", NULL, 9), "n/a n/b n/c ");
	cr_assert_str_eq(scan("n/", NULL, 2), "n/a n/b ");
	cr_assert_str_eq(scan("n/", "n/a", 9), "n/b n/c ");
	cr_assert_str_eq(scan("n/", "n/aa", 9), "n/b n/c ");
	cr_assert_str_eq(scan("n/", "n/c", 9), "");
	cr_assert_str_eq(scan("n/", "m/z", 9), "n/a n/b n/c "); /* begins before the prefix */
	cr_assert_str_eq(scan("n/", "o/a", 9), "");
	cr_assert_str_eq(scan("p", NULL, 9), "");
}

Test(store, opened_again)
{
	put("a", ANY, "one");
	put("a", ANY, "two");
	run();
	store_free(world.store);
	world.store = NULL;
	open_store();
	cr_assert_str_eq(get("a"), "two@2");
}

Test(store, never_opened_twice)
{
	struct store *second = NULL;

	cr_assert_eq(store_open_lmdb(&world.loop, world.directory, on_failed, &world, &second),
		     -EBUSY);
}

Test(store, many_at_once_keep_their_order)
{
	char value[16];

	for (int i = 1; i <= 5000; i++) {
		(void)snprintf(value, sizeof(value), "%d", i);
		put("counter", (uint64_t)i - 1, value);
	}
	run();
	cr_assert_eq(world.count, 5000);
	cr_assert_str_eq(get("counter"), "5000@5000");
	cr_assert_eq(store_pending(world.store), 0);
}
