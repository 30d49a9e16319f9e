/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The store on one machine: LMDB, one table, values behind their version (8 bytes, big-endian).
 *
 * Transactions queue up; one LMDB transaction at a time runs on a helper thread and carries all
 * that have queued up while the last one was on its way, so that a thousand changes cost one disk
 * sync. Each one's compares are checked inside, after the changes of those before it. Reads run on
 * the loop's thread in read-only transactions (MDB_NOTLS).
 */

#include "registry/store.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>
#include "proto/proto.h"
#include "services/cleanup.h"
#include "services/service.h"

#define MAP_BYTES (16ULL << 30) /* sparse */
#define VERSION_BYTES 8

enum step_kind {
	STEP_COMPARE,
	STEP_PUT,
	STEP_DELETE,
};

struct step {
	struct step *next;
	enum step_kind kind;
	uint64_t version;
	size_t key_size;
	size_t value_size;
	char bytes[]; /* key, value */
};

struct store_txn {
	struct store_txn *next;
	struct step *steps;
	struct step *last;
	bool broken; /* memory was out, or a key or a value too long */
	store_done_fn on_done;
	void *context;
	int result;
};

struct store {
	uv_loop_t *loop;
	MDB_env *env;
	MDB_dbi table;
	MDB_txn *reader;
	int lock;
	struct store_txn *waiting;
	struct store_txn *last;
	struct store_txn *running;
	size_t pending;
	int failed; /* LMDB's error */
	void (*on_failed)(void *context, int error);
	void *context;
};

/* --- building --- */

struct store_txn *store_txn_new(void)
{
	return calloc(1, sizeof(struct store_txn));
}

void store_txn_free(struct store_txn *txn)
{
	struct step *step;
	struct step *next;

	if (!txn) {
		return;
	}
	LL_FOREACH_SAFE(txn->steps, step, next)
	{
		free(step);
	}
	free(txn);
}

static void add_step(struct store_txn *txn, enum step_kind kind, const void *key, size_t key_size,
		     const void *value, size_t value_size, uint64_t version)
{
	struct step *step = NULL;

	bool sound = key_size > 0 && key_size <= STORE_KEY_BYTES_MAX &&
		     value_size <= STORE_VALUE_BYTES_MAX && (kind != STEP_PUT || value_size > 0);

	if (sound) {
		step = malloc(sizeof(*step) + key_size + value_size);
	}
	if (!step) {
		txn->broken = true;
		return;
	}
	*step = (struct step){
		.kind = kind, .version = version, .key_size = key_size, .value_size = value_size};
	memcpy(step->bytes, key, key_size);
	if (value_size > 0) {
		memcpy(step->bytes + key_size, value, value_size);
	}
	if (txn->last) {
		txn->last->next = step;
	} else {
		txn->steps = step;
	}
	txn->last = step;
}

void store_txn_compare(struct store_txn *txn, const void *key, size_t key_size, uint64_t version)
{
	add_step(txn, STEP_COMPARE, key, key_size, NULL, 0, version);
}

void store_txn_put(struct store_txn *txn, const void *key, size_t key_size, const void *value,
		   size_t value_size)
{
	add_step(txn, STEP_PUT, key, key_size, value, value_size, 0);
}

void store_txn_delete(struct store_txn *txn, const void *key, size_t key_size)
{
	add_step(txn, STEP_DELETE, key, key_size, NULL, 0, 0);
}

/* --- reading --- */

/* LMDB does not align values. */
static void put_be64(void *bytes, uint64_t value)
{
	uint64_t number = htobe64(value);

	memcpy(bytes, &number, sizeof(number));
}

static uint64_t get_be64(const void *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return be64toh(number);
}

static bool row_read(const MDB_val *key, const MDB_val *data, struct store_row *ret_row)
{
	if (data->mv_size < VERSION_BYTES) {
		return false;
	}
	*ret_row = (struct store_row){
		.key = key->mv_data,
		.key_size = key->mv_size,
		.value = (const char *)data->mv_data + VERSION_BYTES,
		.value_size = data->mv_size - VERSION_BYTES,
		.version = get_be64(data->mv_data),
	};
	return true;
}

/* The one reader is renewed for each read and reset after it, so that it pins no old pages. */
static bool begin_read(struct store *store)
{
	return mdb_txn_renew(store->reader) == 0;
}

bool store_get(struct store *store, const void *key, size_t key_size,
	       void (*visit)(void *context, const struct store_row *row), void *context)
{
	MDB_val name = {key_size, (void *)key};
	MDB_val data;
	struct store_row row;
	bool found = false;

	if (key_size == 0 || key_size > STORE_KEY_BYTES_MAX || !begin_read(store)) {
		return false;
	}
	if (mdb_get(store->reader, store->table, &name, &data) == 0 &&
	    row_read(&name, &data, &row)) {
		found = true;
		visit(context, &row);
	}
	mdb_txn_reset(store->reader);
	return found;
}

static bool has_prefix(const MDB_val *key, const void *prefix, size_t size)
{
	return key->mv_size >= size && memcmp(key->mv_data, prefix, size) == 0;
}

static void scan(MDB_cursor *cursor, const void *prefix, size_t prefix_size, const void *after,
		 size_t after_size, bool (*visit)(void *context, const struct store_row *row),
		 void *context)
{
	MDB_val first = {prefix_size, (void *)prefix};
	MDB_val key = after ? (MDB_val){after_size, (void *)after} : first;
	MDB_val data;
	struct store_row row;
	int r;

	if (mdb_cmp(mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor), &key, &first) < 0) {
		key = first;
		after = NULL;
	}
	r = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);

	if (r == 0 && after && key.mv_size == after_size &&
	    memcmp(key.mv_data, after, after_size) == 0) {
		r = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
	while (r == 0 && has_prefix(&key, prefix, prefix_size)) {
		if (row_read(&key, &data, &row) && !visit(context, &row)) {
			return;
		}
		r = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
	}
}

void store_scan(struct store *store, const void *prefix, size_t prefix_size, const void *after,
		size_t after_size, bool (*visit)(void *context, const struct store_row *row),
		void *context)
{
	MDB_cursor *cursor = NULL;

	if (prefix_size == 0 || !begin_read(store)) {
		return;
	}
	if (mdb_cursor_open(store->reader, store->table, &cursor) == 0) {
		scan(cursor, prefix, prefix_size, after, after_size, visit, context);
		mdb_cursor_close(cursor);
	}
	mdb_txn_reset(store->reader);
}

/* --- changing, on a helper thread --- */

static uint64_t version_of(struct store *store, MDB_txn *writer, MDB_val *key)
{
	MDB_val data;

	if (mdb_get(writer, store->table, key, &data) != 0 || data.mv_size < VERSION_BYTES) {
		return 0;
	}
	return get_be64(data.mv_data);
}

static bool compares_hold(struct store *store, MDB_txn *writer, struct store_txn *txn)
{
	struct step *step;

	LL_FOREACH(txn->steps, step)
	{
		MDB_val key = {step->key_size, step->bytes};

		if (step->kind == STEP_COMPARE &&
		    version_of(store, writer, &key) != step->version) {
			return false;
		}
	}
	return true;
}

static int make_step(struct store *store, MDB_txn *writer, struct step *step)
{
	MDB_val key = {step->key_size, step->bytes};
	MDB_val data = {VERSION_BYTES + step->value_size, NULL};
	uint64_t version;
	int r;

	if (step->kind == STEP_DELETE) {
		r = mdb_del(writer, store->table, &key, NULL);
		return r == MDB_NOTFOUND ? 0 : r;
	}
	if (step->kind == STEP_COMPARE) {
		return 0;
	}
	version = version_of(store, writer, &key) + 1;
	r = mdb_put(writer, store->table, &key, &data, MDB_RESERVE);
	if (r == 0) {
		put_be64(data.mv_data, version);
		memcpy((char *)data.mv_data + VERSION_BYTES, step->bytes + step->key_size,
		       step->value_size);
	}
	return r;
}

static int make_txn(struct store *store, MDB_txn *writer, struct store_txn *txn)
{
	struct step *step;

	if (!compares_hold(store, writer, txn)) {
		txn->result = PROTO_E_VERSION_CONFLICT;
		return 0;
	}
	LL_FOREACH(txn->steps, step)
	{
		int r = make_step(store, writer, step);

		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static int make_batch(struct store *store)
{
	struct store_txn *txn;
	MDB_txn *writer = NULL;
	int r = mdb_txn_begin(store->env, NULL, 0, &writer);

	if (r != 0) {
		return r;
	}
	LL_FOREACH(store->running, txn)
	{
		r = make_txn(store, writer, txn);
		if (r != 0) {
			mdb_txn_abort(writer);
			return r;
		}
	}
	return mdb_txn_commit(writer);
}

static void on_work(void *context)
{
	struct store *store = context;

	store->failed = make_batch(store);
}

/* --- the queue, on the loop --- */

static void finish(struct store *store, struct store_txn *txn, int result)
{
	store->pending--;
	txn->on_done(txn->context, result);
	store_txn_free(txn);
}

static void finish_all(struct store *store, struct store_txn *txns)
{
	struct store_txn *txn;
	struct store_txn *next;

	LL_FOREACH_SAFE(txns, txn, next)
	{
		finish(store, txn, store->failed ? PROTO_E_STORAGE_FAILED : txn->result);
	}
}

static void start_batch(struct store *store);

static void on_worked(void *context)
{
	struct store *store = context;
	struct store_txn *done = store->running;

	store->running = NULL;
	if (store->failed) {
		store->on_failed(store->context, store->failed > 0 ? -store->failed : -EIO);
	}
	finish_all(store, done);
	start_batch(store);
}

static void start_batch(struct store *store)
{
	if (store->running || !store->waiting) {
		return;
	}
	store->running = store->waiting;
	store->waiting = NULL;
	store->last = NULL;
	if (store->failed || service_offload(store->loop, on_work, on_worked, store) != 0) {
		struct store_txn *done = store->running;

		store->running = NULL;
		if (!store->failed) {
			store->failed = ENOMEM;
			store->on_failed(store->context, -ENOMEM);
		}
		finish_all(store, done);
	}
}

void store_commit(struct store *store, struct store_txn *txn, store_done_fn on_done, void *context)
{
	txn->on_done = on_done;
	txn->context = context;
	store->pending++;
	if (txn->broken || store->pending > STORE_QUEUE_MAX) {
		txn->result = PROTO_E_BUSY; /* told from the loop, in its turn */
	}
	if (store->last) {
		store->last->next = txn;
	} else {
		store->waiting = txn;
	}
	store->last = txn;
	start_batch(store);
}

size_t store_pending(const struct store *store)
{
	return store->pending;
}

/* --- life --- */

/* LMDB must not be opened twice; its own lock does not refuse that. */
static int lock_directory(struct store *store, const char *directory)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/lock", directory);

	if (n < 0 || (size_t)n >= sizeof(path)) {
		return -ENAMETOOLONG;
	}
	store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock < 0) {
		return -errno;
	}
	return flock(store->lock, LOCK_EX | LOCK_NB) == 0 ? 0 : -EBUSY;
}

static int open_table(struct store *store)
{
	MDB_txn *txn = NULL;
	int r = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (r != 0) {
		return r;
	}
	r = mdb_dbi_open(txn, NULL, 0, &store->table);
	if (r != 0) {
		mdb_txn_abort(txn);
		return r;
	}
	r = mdb_txn_commit(txn);
	if (r == 0) {
		r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader);
	}
	if (r == 0) {
		mdb_txn_reset(store->reader);
	}
	return r;
}

static int open_env(struct store *store, const char *directory)
{
	int dead = 0;
	int r = mdb_env_create(&store->env);

	r = r ? r : mdb_env_set_mapsize(store->env, MAP_BYTES);
	r = r ? r : mdb_env_open(store->env, directory, MDB_NOTLS, 0600);
	r = r ? r : mdb_reader_check(store->env, &dead);
	r = r ? r : open_table(store);
	return r > 0 ? -r : r < 0 ? -EIO : 0;
}

int store_open_lmdb(uv_loop_t *loop, const char *directory,
		    void (*on_failed)(void *context, int error), void *context,
		    struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	int r;

	if (!store) {
		return -ENOMEM;
	}
	*store = (struct store){
		.loop = loop, .lock = -1, .on_failed = on_failed, .context = context};
	r = mkdir(directory, 0700) == 0 || errno == EEXIST ? 0 : -errno;
	if (r == 0) {
		r = lock_directory(store, directory);
	}
	if (r == 0) {
		r = open_env(store, directory);
	}
	if (r != 0) {
		store_free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void store_free(struct store *store)
{
	if (!store) {
		return;
	}
	assert(!store->running && !store->waiting);
	if (store->reader) {
		mdb_txn_abort(store->reader);
	}
	if (store->env) {
		mdb_env_close(store->env);
	}
	if (store->lock >= 0) {
		(void)close(store->lock);
	}
	free(store);
}
