/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the registry keeps: keys with values and versions, changed by compare-and-swap alone.
 *
 * The interface is as small as etcd's transaction, so that several registries can share an etcd
 * later; store_lmdb.c keeps it on one machine. A key's version is 1 when it is created and grows by
 * one at every change; 0 stands for a key that is not there. Reads give what is committed. A
 * transaction is a list of compares and a list of changes: all compares hold and all changes are
 * made, or none is. Its outcome is told once it is on disk.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define STORE_KEY_BYTES_MAX 480
#define STORE_VALUE_BYTES_MAX (256 * 1024)
#define STORE_QUEUE_MAX 65536 /* transactions that wait */

struct store;
struct store_txn;

struct store_row {
	const void *key;
	size_t key_size;
	const void *value;
	size_t value_size;
	uint64_t version;
};

/* --- reading; rows are valid until `visit` returns --- */

/* Calls `visit` with the row, if there is one. Returns whether there was. */
bool store_get(struct store *store, const void *key, size_t key_size,
	       void (*visit)(void *context, const struct store_row *row), void *context);
/*
 * Calls `visit` for the rows whose keys begin with `prefix`, in the order of their keys, from the
 * first behind `after` (NULL: from the first), until it returns false.
 */
void store_scan(struct store *store, const void *prefix, size_t prefix_size, const void *after,
		size_t after_size, bool (*visit)(void *context, const struct store_row *row),
		void *context);

/* --- changing --- */

/* Returns NULL when memory is out. Keys and values are copied. A value is never empty. */
struct store_txn *store_txn_new(void);
void store_txn_free(struct store_txn *txn);
/* The key's version must be `version` when the transaction is made. */
void store_txn_compare(struct store_txn *txn, const void *key, size_t key_size, uint64_t version);
void store_txn_put(struct store_txn *txn, const void *key, size_t key_size, const void *value,
		   size_t value_size);
void store_txn_delete(struct store_txn *txn, const void *key, size_t key_size);

/*
 * `result`: 0, PROTO_E_VERSION_CONFLICT, PROTO_E_BUSY, or PROTO_E_STORAGE_FAILED (unknown). From
 * the loop, once.
 */
typedef void (*store_done_fn)(void *context, int result);

/* Takes the transaction. They are made in the order committed; many share one disk sync. */
void store_commit(struct store *store, struct store_txn *txn, store_done_fn on_done, void *context);
/* Transactions that wait or are on their way. */
size_t store_pending(const struct store *store);

/* --- one machine --- */

/*
 * Open or create `directory`. Returns 0 or -errno; -EBUSY when another process holds it.
 * `on_failed` is told when a commit failed: nothing is accepted from then on.
 */
int store_open_lmdb(uv_loop_t *loop, const char *directory,
		    void (*on_failed)(void *context, int error), void *context,
		    struct store **ret_store);
/* All transactions must have ended. */
void store_free(struct store *store);
