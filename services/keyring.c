/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A hash by key, replaced as a whole: some dozens of entries that change once in a while. */

#define HASH_NONFATAL_OOM 1 /* uthash then leaves hh.tbl NULL instead of ending the process */

#include "services/keyring.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

struct keyring_row {
	struct keyring_entry entry;
	UT_hash_handle hh; /* by entry.key */
};

static void rows_free(struct keyring_row **rows)
{
	struct keyring_row *row;
	struct keyring_row *next;

	HASH_ITER(hh, *rows, row, next)
	{
		HASH_DELETE(hh, *rows, row);
		free(row);
	}
}

void keyring_deinit(struct keyring *keyring)
{
	rows_free(&keyring->rows);
}

static int row_add(struct keyring_row **rows, const struct proto_key_ref *ref)
{
	struct keyring_row *row;
	struct keyring_row *same;
	struct key key;

	if (!key_parse(ref->key, &key) || ref->node.size == 0 ||
	    ref->node.size > PROTO_NAME_BYTES_MAX) {
		return 0;
	}
	HASH_FIND(hh, *rows, &key, sizeof(key), same);
	if (same) {
		return 0;
	}
	row = calloc(1, sizeof(*row));
	if (!row) {
		return -ENOMEM;
	}
	row->entry.key = key;
	row->entry.service = ref->service;
	memcpy(row->entry.node, ref->node.data, ref->node.size);
	HASH_ADD(hh, *rows, entry.key, sizeof(row->entry.key), row);
	if (!row->hh.tbl) {
		free(row);
		return -ENOMEM;
	}
	return 0;
}

int keyring_replace(struct keyring *keyring, uint64_t version,
		    const struct proto_list_key_ref *keys)
{
	struct keyring_row *rows = NULL;

	for (size_t i = 0; i < keys->count; i++) {
		if (row_add(&rows, &keys->items[i]) != 0) {
			rows_free(&rows);
			return -ENOMEM;
		}
	}
	rows_free(&keyring->rows);
	keyring->rows = rows;
	keyring->version = version;
	keyring->changes++;
	return 0;
}

const struct keyring_entry *keyring_find(const struct keyring *keyring, const struct key *key)
{
	struct keyring_row *row;

	HASH_FIND(hh, keyring->rows, key, sizeof(*key), row);
	return row ? &row->entry : NULL;
}
