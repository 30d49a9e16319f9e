/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The tables of kv.h in LMDB 0.9.24, one named database each.
 *
 * Never MDB_WRITEMAP (a full disk is SIGBUS), MDB_NOSYNC or MDB_NOMETASYNC (a commit must last),
 * and no MDB_DUPSORT (deletion bugs fixed later). MDB_NOTLS, so that a transaction may begin on the
 * loop's thread and end there while another thread writes. LMDB has no checksums: record.c adds
 * them.
 */

#include "storaged/kv_lmdb.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

static const char *const table_names[KV_TABLES] = {
	[KV_META] = "meta",	  [KV_FENCES] = "fences",     [KV_SEGMENTS] = "segments",
	[KV_ENTRIES] = "entries", [KV_PROGRESS] = "progress", [KV_ROOMS] = "rooms",
	[KV_EVENTS] = "events",	  [KV_TIMELINE] = "timeline", [KV_REACTIONS] = "reactions",
	[KV_STATE] = "state",	  [KV_CMIDS] = "cmids",	      [KV_CLIENTS] = "clients",
};

struct lmdb {
	struct kv kv;
	MDB_env *env;
	MDB_dbi tables[KV_TABLES];
};

struct lmdb_txn {
	struct kv_txn txn;
	struct lmdb *lmdb;
	MDB_txn *mdb;
};

struct lmdb_cursor {
	struct kv_cursor cursor;
	MDB_cursor *mdb;
	bool past_end;
};

static int error_of(int r)
{
	switch (r) {
	case MDB_SUCCESS:
		return 0;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	default:
		return r > 0 ? -r : -EIO; /* MDB_PANIC, MDB_CORRUPTED, … */
	}
}

static MDB_val to_mdb(struct kv_bytes bytes)
{
	return (MDB_val){bytes.size, (void *)(uintptr_t)bytes.data};
}

static struct kv_bytes from_mdb(MDB_val value)
{
	return (struct kv_bytes){value.mv_data, value.mv_size};
}

/* --- transactions --- */

static int lmdb_begin(struct kv *kv, bool write, struct kv_txn **ret_txn)
{
	struct lmdb *lmdb = (struct lmdb *)kv;
	struct lmdb_txn *txn = calloc(1, sizeof(*txn));
	int r;

	if (!txn) {
		return -ENOMEM;
	}
	txn->txn.ops = kv->ops;
	txn->lmdb = lmdb;
	r = mdb_txn_begin(lmdb->env, NULL, write ? 0 : MDB_RDONLY, &txn->mdb);
	if (r != MDB_SUCCESS) {
		free(txn);
		return error_of(r);
	}
	*ret_txn = &txn->txn;
	return 0;
}

static int lmdb_commit(struct kv_txn *base)
{
	struct lmdb_txn *txn = (struct lmdb_txn *)base;
	int r = mdb_txn_commit(txn->mdb);

	free(txn);
	return error_of(r);
}

static void lmdb_abort(struct kv_txn *base)
{
	struct lmdb_txn *txn = (struct lmdb_txn *)base;

	mdb_txn_abort(txn->mdb);
	free(txn);
}

/* --- keys --- */

static int lmdb_get(struct kv_txn *base, enum kv_table table, struct kv_bytes key,
		    struct kv_bytes *ret_value)
{
	struct lmdb_txn *txn = (struct lmdb_txn *)base;
	MDB_val k = to_mdb(key);
	MDB_val value = {0};
	int r = mdb_get(txn->mdb, txn->lmdb->tables[table], &k, &value);

	if (r != MDB_SUCCESS && r != MDB_NOTFOUND) {
		return error_of(r);
	}
	*ret_value = r == MDB_SUCCESS ? from_mdb(value) : (struct kv_bytes){0};
	return 0;
}

static int lmdb_put(struct kv_txn *base, enum kv_table table, struct kv_bytes key,
		    const struct kv_bytes parts[], size_t part_count)
{
	struct lmdb_txn *txn = (struct lmdb_txn *)base;
	MDB_val k = to_mdb(key);
	MDB_val value = {0};
	char *to;
	int r;

	for (size_t i = 0; i < part_count; i++) {
		value.mv_size += parts[i].size;
	}
	r = mdb_put(txn->mdb, txn->lmdb->tables[table], &k, &value, MDB_RESERVE);
	if (r != MDB_SUCCESS) {
		return error_of(r);
	}
	to = value.mv_data;
	for (size_t i = 0; i < part_count; i++) {
		if (parts[i].size > 0) {
			memcpy(to, parts[i].data, parts[i].size);
			to += parts[i].size;
		}
	}
	return 0;
}

static int lmdb_del(struct kv_txn *base, enum kv_table table, struct kv_bytes key)
{
	struct lmdb_txn *txn = (struct lmdb_txn *)base;
	MDB_val k = to_mdb(key);
	int r = mdb_del(txn->mdb, txn->lmdb->tables[table], &k, NULL);

	return r == MDB_NOTFOUND ? 0 : error_of(r);
}

static int lmdb_clear(struct kv_txn *base, enum kv_table table)
{
	struct lmdb_txn *txn = (struct lmdb_txn *)base;

	return error_of(mdb_drop(txn->mdb, txn->lmdb->tables[table], 0));
}

/* --- cursors --- */

static int lmdb_open(struct kv_txn *base, enum kv_table table, struct kv_cursor **ret_cursor)
{
	struct lmdb_txn *txn = (struct lmdb_txn *)base;
	struct lmdb_cursor *cursor = calloc(1, sizeof(*cursor));
	int r;

	if (!cursor) {
		return -ENOMEM;
	}
	cursor->cursor.ops = base->ops;
	cursor->past_end = true;
	r = mdb_cursor_open(txn->mdb, txn->lmdb->tables[table], &cursor->mdb);
	if (r != MDB_SUCCESS) {
		free(cursor);
		return error_of(r);
	}
	*ret_cursor = &cursor->cursor;
	return 0;
}

static void lmdb_close(struct kv_cursor *base)
{
	struct lmdb_cursor *cursor = (struct lmdb_cursor *)base;

	mdb_cursor_close(cursor->mdb);
	free(cursor);
}

static int move(struct lmdb_cursor *cursor, MDB_val key, MDB_cursor_op op, struct kv_bytes *ret_key,
		struct kv_bytes *ret_value)
{
	MDB_val value = {0};
	int r = mdb_cursor_get(cursor->mdb, &key, &value, op);

	if (r != MDB_SUCCESS && r != MDB_NOTFOUND) {
		return error_of(r);
	}
	*ret_key = r == MDB_SUCCESS ? from_mdb(key) : (struct kv_bytes){0};
	*ret_value = r == MDB_SUCCESS ? from_mdb(value) : (struct kv_bytes){0};
	cursor->past_end = r == MDB_NOTFOUND && op != MDB_PREV && op != MDB_LAST;
	return 0;
}

static int lmdb_seek(struct kv_cursor *base, struct kv_bytes key, struct kv_bytes *ret_key,
		     struct kv_bytes *ret_value)
{
	return move((struct lmdb_cursor *)base, to_mdb(key),
		    key.size > 0 ? MDB_SET_RANGE : MDB_FIRST, ret_key, ret_value);
}

static int lmdb_next(struct kv_cursor *base, struct kv_bytes *ret_key, struct kv_bytes *ret_value)
{
	return move((struct lmdb_cursor *)base, (MDB_val){0}, MDB_NEXT, ret_key, ret_value);
}

static int lmdb_prev(struct kv_cursor *base, struct kv_bytes *ret_key, struct kv_bytes *ret_value)
{
	struct lmdb_cursor *cursor = (struct lmdb_cursor *)base;

	return move(cursor, (MDB_val){0}, cursor->past_end ? MDB_LAST : MDB_PREV, ret_key,
		    ret_value);
}

static const struct kv_ops lmdb_ops = {
	.begin = lmdb_begin,
	.commit = lmdb_commit,
	.abort = lmdb_abort,
	.get = lmdb_get,
	.put = lmdb_put,
	.del = lmdb_del,
	.clear = lmdb_clear,
	.open = lmdb_open,
	.close = lmdb_close,
	.seek = lmdb_seek,
	.next = lmdb_next,
	.prev = lmdb_prev,
};

/* --- life --- */

static int open_tables(struct lmdb *lmdb)
{
	MDB_txn *txn;
	int r = mdb_txn_begin(lmdb->env, NULL, 0, &txn);

	if (r != MDB_SUCCESS) {
		return error_of(r);
	}
	for (size_t i = 0; i < KV_TABLES; i++) {
		r = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &lmdb->tables[i]);
		if (r != MDB_SUCCESS) {
			mdb_txn_abort(txn);
			return error_of(r);
		}
	}
	return error_of(mdb_txn_commit(txn));
}

int kv_lmdb_new(const char *path, uint64_t map_bytes, struct kv **ret_kv)
{
	struct lmdb *lmdb = calloc(1, sizeof(*lmdb));
	int r;

	if (!lmdb) {
		return -ENOMEM;
	}
	lmdb->kv.ops = &lmdb_ops;
	r = mdb_env_create(&lmdb->env);
	if (r == MDB_SUCCESS) {
		r = mdb_env_set_maxdbs(lmdb->env, KV_TABLES);
	}
	if (r == MDB_SUCCESS) {
		r = mdb_env_set_maxreaders(lmdb->env, KV_LMDB_READERS_MAX);
	}
	if (r == MDB_SUCCESS) {
		r = mdb_env_set_mapsize(lmdb->env, (size_t)map_bytes);
	}
	if (r == MDB_SUCCESS) {
		r = mdb_env_open(lmdb->env, path, MDB_NOTLS, 0600);
	}
	r = r == MDB_SUCCESS ? open_tables(lmdb) : error_of(r);
	if (r < 0) {
		kv_lmdb_free(&lmdb->kv);
		return r;
	}
	(void)kv_lmdb_check_readers(&lmdb->kv);
	*ret_kv = &lmdb->kv;
	return 0;
}

void kv_lmdb_free(struct kv *kv)
{
	struct lmdb *lmdb = (struct lmdb *)kv;

	if (lmdb) {
		if (lmdb->env) {
			mdb_env_close(lmdb->env);
		}
		free(lmdb);
	}
}

int kv_lmdb_check_readers(struct kv *kv)
{
	int dead = 0;
	int r = mdb_reader_check(((struct lmdb *)kv)->env, &dead);

	return r == MDB_SUCCESS ? dead : error_of(r);
}

uint64_t kv_lmdb_used_bytes(struct kv *kv)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(((struct lmdb *)kv)->env, &info) != MDB_SUCCESS ||
	    mdb_env_stat(((struct lmdb *)kv)->env, &stat) != MDB_SUCCESS) {
		return 0;
	}
	return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}
