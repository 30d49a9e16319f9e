/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A store: a folder with one LMDB environment, its identity, and the lock that lets one process in.
 *
 *   data.mdb, lock.mdb   LMDB
 *   storaged.lock        held (flock) by the storaged, or the verification, that uses the store
 *   doubtful             left behind by a failed commit: the next start scrubs first
 *
 * The id is random, made with the store. A store that was wiped is another one and gets another id;
 * one that was put back from a backup must be given a new one, too (delete it and let it be filled
 * again).
 */

#include "proto/proto.h"
#include "storaged/kv.h"

#define STORE_FORMAT 1

enum store_error {
	STORE_E_HELD = 1, /* another process uses it */
	STORE_E_FORMAT, /* written by a version that we do not understand */
	STORE_E_DAMAGED, /* its identity fails its checksum */
};

struct store;

/* Open, or make. Returns 0, STORE_E_…, or -errno. */
int store_open(const char *path, uint64_t map_bytes, struct store **ret_store);
/* NULL is fine. */
void store_close(struct store *store);
struct kv *store_kv(struct store *store);
const struct proto_id *store_id(const struct store *store);
const char *store_path(const struct store *store);

/* Best effort: a full disk has room for an empty file more often than not. */
void store_set_doubtful(struct store *store, bool doubtful);
bool store_is_doubtful(const struct store *store);
