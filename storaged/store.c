/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See store.h. */

#include "storaged/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storaged/bytes.h"
#include "storaged/kv_lmdb.h"
#include "storaged/record.h"

#define IDENTITY_BYTES (4 + PROTO_ID_BYTES)

struct store {
	char path[PATH_MAX];
	int lock;
	struct kv *kv;
	struct proto_id id;
};

static int path_of(const struct store *store, const char *name, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s/%s", store->path, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int take_lock(struct store *store)
{
	char path[PATH_MAX];
	int r = path_of(store, "storaged.lock", path);

	if (r < 0) {
		return r;
	}
	store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock < 0) {
		return -errno;
	}
	if (flock(store->lock, LOCK_EX | LOCK_NB) != 0) {
		return errno == EWOULDBLOCK ? STORE_E_HELD : -errno;
	}
	return 0;
}

/* --- identity --- */

static struct record_key identity_key(void)
{
	struct record_key key = {.size = 0};

	record_key_add_span(&key, PROTO_SPAN("store"));
	return key;
}

static int make_identity(struct store *store, struct kv_txn *txn)
{
	struct record_key key = identity_key();
	uint8_t value[IDENTITY_BYTES];

	randombytes_buf(store->id.bytes, PROTO_ID_BYTES);
	bytes_put_u32(value, STORE_FORMAT);
	memcpy(value + 4, store->id.bytes, PROTO_ID_BYTES);
	return record_put(txn, KV_META, &key, value, sizeof(value));
}

static int read_identity(struct store *store, struct kv_bytes value)
{
	if (value.size != IDENTITY_BYTES) {
		return STORE_E_DAMAGED;
	}
	if (bytes_get_u32(value.data) != STORE_FORMAT) {
		return STORE_E_FORMAT;
	}
	memcpy(store->id.bytes, (const uint8_t *)value.data + 4, PROTO_ID_BYTES);
	return 0;
}

static int load_identity(struct store *store)
{
	struct record_key key = identity_key();
	struct kv_bytes value;
	struct kv_txn *txn;
	int r = kv_begin(store->kv, true, &txn);

	if (r < 0) {
		return r;
	}
	r = record_get(txn, KV_META, &key, &value);
	if (r == 0 && !value.data) {
		r = make_identity(store, txn);
		if (r == 0) {
			return kv_commit(txn);
		}
	} else if (r == 0) {
		r = read_identity(store, value);
	} else if (r > 0) {
		r = STORE_E_DAMAGED;
	}
	kv_abort(txn);
	return r;
}

/* --- life --- */

int store_open(const char *path, uint64_t map_bytes, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	int r;

	if (!store) {
		return -ENOMEM;
	}
	store->lock = -1;
	r = snprintf(store->path, sizeof(store->path), "%s", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
	if (r == 0 && mkdir(path, 0700) != 0 && errno != EEXIST) {
		r = -errno;
	}
	if (r == 0) {
		r = take_lock(store);
	}
	if (r == 0) {
		r = kv_lmdb_new(path, map_bytes, &store->kv);
	}
	if (r == 0) {
		r = load_identity(store);
	}
	if (r != 0) {
		store_close(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store) {
		return;
	}
	kv_lmdb_free(store->kv);
	if (store->lock >= 0) {
		(void)close(store->lock);
	}
	free(store);
}

struct kv *store_kv(struct store *store)
{
	return store->kv;
}

const struct proto_id *store_id(const struct store *store)
{
	return &store->id;
}

const char *store_path(const struct store *store)
{
	return store->path;
}

void store_set_doubtful(struct store *store, bool doubtful)
{
	char path[PATH_MAX];
	int file;

	if (path_of(store, "doubtful", path) < 0) {
		return;
	}
	if (!doubtful) {
		(void)unlink(path);
		return;
	}
	file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (file >= 0) {
		(void)fsync(file);
		(void)close(file);
	}
}

bool store_is_doubtful(const struct store *store)
{
	char path[PATH_MAX];

	return path_of(store, "doubtful", path) == 0 && access(path, F_OK) == 0;
}
