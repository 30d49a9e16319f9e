/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "storaged/kv.h"

#define KV_LMDB_READERS_MAX 64

/*
 * Open, or make, the LMDB environment in the folder `path`, with one map of `map_bytes` (address
 * space, sparse on disk). Every commit is synced. A process may open an environment once; the
 * caller holds a lock of its own. Transactions may be used by one thread at a time, not bound to
 * it. Returns 0 or -errno.
 */
int kv_lmdb_new(const char *path, uint64_t map_bytes, struct kv **ret_kv);
/* All transactions have ended. NULL is fine. */
void kv_lmdb_free(struct kv *kv);
/* Frees the places of readers that died. Returns how many, or -errno. */
int kv_lmdb_check_readers(struct kv *kv);
/* Bytes of the map in use. */
uint64_t kv_lmdb_used_bytes(struct kv *kv);
