/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Ordered tables of bytes under transactions: all that storaged's logic knows of a disk.
 *
 * kv_lmdb.c keeps them in LMDB; a simulation may keep them in memory. One write transaction at a
 * time, any number of readers, each of which sees the tables as they were when it began.
 *
 * Results: 0 or -errno. Absence is no error: it is a span whose `data` is NULL. Bytes that are
 * handed out belong to the transaction and are valid until its next write or its end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a key may have: room, seq, user and emoji of a reaction fit. */
#define KV_KEY_BYTES_MAX 128

enum kv_table {
	KV_META,
	KV_FENCES, /* slot → fence */
	KV_SEGMENTS, /* slot | epoch → header */
	KV_ENTRIES, /* slot | epoch | lsn → hashes, event */
	KV_LOG_TABLES, /* those before are the truth, those after are made from it */
	KV_PROGRESS = KV_LOG_TABLES, /* slot → how far its log is in the views */
	KV_ROOMS, /* room → latest seq and time, number of items */
	KV_EVENTS, /* room | seq → epoch and lsn */
	KV_TIMELINE, /* room | seq → item */
	KV_REACTIONS, /* room | seq | user | emoji → seq of the reaction */
	KV_STATE, /* room | kind | subject → latest event */
	KV_CMIDS, /* room | client | number → seq */
	KV_CLIENTS, /* room | client → its last number, seq and time */
	KV_TABLES,
};

struct kv_bytes {
	const void *data;
	size_t size;
};

struct kv;
struct kv_txn;
struct kv_cursor;

struct kv_ops {
	int (*begin)(struct kv *kv, bool write, struct kv_txn **ret_txn);
	int (*commit)(struct kv_txn *txn);
	void (*abort)(struct kv_txn *txn);
	int (*get)(struct kv_txn *txn, enum kv_table table, struct kv_bytes key,
		   struct kv_bytes *ret_value);
	int (*put)(struct kv_txn *txn, enum kv_table table, struct kv_bytes key,
		   const struct kv_bytes parts[], size_t part_count);
	int (*del)(struct kv_txn *txn, enum kv_table table, struct kv_bytes key);
	int (*clear)(struct kv_txn *txn, enum kv_table table);
	int (*open)(struct kv_txn *txn, enum kv_table table, struct kv_cursor **ret_cursor);
	void (*close)(struct kv_cursor *cursor);
	int (*seek)(struct kv_cursor *cursor, struct kv_bytes key, struct kv_bytes *ret_key,
		    struct kv_bytes *ret_value);
	int (*next)(struct kv_cursor *cursor, struct kv_bytes *ret_key, struct kv_bytes *ret_value);
	int (*prev)(struct kv_cursor *cursor, struct kv_bytes *ret_key, struct kv_bytes *ret_value);
};

/* What implementations begin theirs with. */
struct kv {
	const struct kv_ops *ops;
};
struct kv_txn {
	const struct kv_ops *ops;
};
struct kv_cursor {
	const struct kv_ops *ops;
};

static inline int kv_begin(struct kv *kv, bool write, struct kv_txn **ret_txn)
{
	return kv->ops->begin(kv, write, ret_txn);
}

/* Ends the transaction in any case. 0: all of it is on disk; else it is unknown what is. */
static inline int kv_commit(struct kv_txn *txn)
{
	return txn->ops->commit(txn);
}

/* Nothing of it happened. NULL is fine. */
static inline void kv_abort(struct kv_txn *txn)
{
	if (txn) {
		txn->ops->abort(txn);
	}
}

static inline int kv_get(struct kv_txn *txn, enum kv_table table, struct kv_bytes key,
			 struct kv_bytes *ret_value)
{
	return txn->ops->get(txn, table, key, ret_value);
}

/* Writes the parts, one after the other, as one value over what stood there. */
static inline int kv_put(struct kv_txn *txn, enum kv_table table, struct kv_bytes key,
			 const struct kv_bytes parts[], size_t part_count)
{
	return txn->ops->put(txn, table, key, parts, part_count);
}

/* Deleting what is not there is fine. */
static inline int kv_del(struct kv_txn *txn, enum kv_table table, struct kv_bytes key)
{
	return txn->ops->del(txn, table, key);
}

static inline int kv_clear(struct kv_txn *txn, enum kv_table table)
{
	return txn->ops->clear(txn, table);
}

/* A cursor stands nowhere until its first seek. Close it before its transaction ends. */
static inline int kv_open(struct kv_txn *txn, enum kv_table table, struct kv_cursor **ret_cursor)
{
	return txn->ops->open(txn, table, ret_cursor);
}

static inline void kv_close(struct kv_cursor *cursor)
{
	if (cursor) {
		cursor->ops->close(cursor);
	}
}

static inline void kv_cursor_cleanup(struct kv_cursor **cursor)
{
	kv_close(*cursor);
}

/* To the first key that is not less than `key`, or past the end. */
static inline int kv_seek(struct kv_cursor *cursor, struct kv_bytes key, struct kv_bytes *ret_key,
			  struct kv_bytes *ret_value)
{
	return cursor->ops->seek(cursor, key, ret_key, ret_value);
}

static inline int kv_next(struct kv_cursor *cursor, struct kv_bytes *ret_key,
			  struct kv_bytes *ret_value)
{
	return cursor->ops->next(cursor, ret_key, ret_value);
}

/* From past the end: to the last. */
static inline int kv_prev(struct kv_cursor *cursor, struct kv_bytes *ret_key,
			  struct kv_bytes *ret_value)
{
	return cursor->ops->prev(cursor, ret_key, ret_value);
}
