/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A transaction works on copies of all tables; copies cost nothing (tree.h). `seen` is what
 * transactions begin with, `kept` what outlives a crash: the two differ on a lazy disk alone.
 */

#include "tests/simulation/kv_memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct change {
	enum kv_table table;
	size_t key_size;
	uint8_t key[KV_KEY_BYTES_MAX];
};

struct changes {
	struct change *items;
	size_t count;
	size_t capacity;
};

struct disk {
	struct disk_events events;
	struct tree seen[KV_TABLES];
	struct tree kept[KV_TABLES];
	struct changes behind; /* in `seen`, not yet in `kept` */
	bool lazy;
};

struct memory {
	struct kv kv;
	struct disk *disk;
	bool owns_disk;
	bool writing;
	size_t open; /* transactions */
};

struct memory_txn {
	struct kv_txn txn;
	struct memory *memory;
	bool write;
	struct tree tables[KV_TABLES];
	struct changes changes;
};

/* Stands on a key, which may be deleted meanwhile, or past the end. */
struct memory_cursor {
	struct kv_cursor cursor;
	const struct tree *table;
	bool past_end;
	size_t key_size;
	uint8_t key[KV_KEY_BYTES_MAX];
};

static void *take(void *memory)
{
	if (!memory) {
		abort();
	}
	return memory;
}

static void tables_clear(struct tree *tables)
{
	for (size_t i = 0; i < KV_TABLES; i++) {
		tree_clear(&tables[i]);
	}
}

static void tables_copy(struct tree *to, const struct tree *from)
{
	for (size_t i = 0; i < KV_TABLES; i++) {
		tree_copy(&to[i], &from[i]);
	}
}

static void changes_add(struct changes *changes, enum kv_table table, const void *key,
			size_t key_size)
{
	struct change *change;

	assert(key_size <= KV_KEY_BYTES_MAX);
	if (changes->count == changes->capacity) {
		changes->capacity = changes->capacity ? changes->capacity * 2 : 16;
		changes->items = take(
			realloc(changes->items, changes->capacity * sizeof(*changes->items)));
	}
	change = &changes->items[changes->count++];
	change->table = table;
	change->key_size = key_size;
	memcpy(change->key, key, key_size);
}

static void changes_clear(struct changes *changes)
{
	free(changes->items);
	*changes = (struct changes){0};
}

/* --- disks --- */

struct disk *disk_new(const struct disk_events *events)
{
	struct disk *disk = take(calloc(1, sizeof(*disk)));

	if (events) {
		disk->events = *events;
	}
	return disk;
}

void disk_free(struct disk *disk)
{
	if (disk) {
		tables_clear(disk->seen);
		tables_clear(disk->kept);
		changes_clear(&disk->behind);
		free(disk);
	}
}

void disk_crash(struct disk *disk)
{
	tables_copy(disk->seen, disk->kept);
	changes_clear(&disk->behind);
}

/* Each row that was changed is told once, as it stands now. */
void disk_sync(struct disk *disk)
{
	struct changes changes = disk->behind;

	disk->behind = (struct changes){0};
	tables_copy(disk->kept, disk->seen);
	for (size_t i = 0; disk->events.changed && i < changes.count; i++) {
		const struct change *change = &changes.items[i];
		struct tree_row row = tree_get(&disk->kept[change->table], change->key,
					       change->key_size);

		row.key = change->key;
		row.key_size = change->key_size;
		disk->events.changed(disk->events.context, change->table, &row);
	}
	changes_clear(&changes);
}

void disk_set_lazy(struct disk *disk, bool lazy)
{
	disk->lazy = lazy;
}

struct tree *disk_table(struct disk *disk, enum kv_table table)
{
	return &disk->kept[table];
}

const struct tree *disk_view(const struct disk *disk, enum kv_table table)
{
	return &disk->seen[table];
}

/* What the transaction says is on disk now, or soon. */
static void disk_take(struct disk *disk, struct memory_txn *txn)
{
	tables_copy(disk->seen, txn->tables);
	for (size_t i = 0; i < txn->changes.count; i++) {
		const struct change *change = &txn->changes.items[i];

		changes_add(&disk->behind, change->table, change->key, change->key_size);
	}
	if (!disk->lazy) {
		disk_sync(disk);
	}
}

/* --- transactions --- */

static int memory_begin(struct kv *kv, bool write, struct kv_txn **ret_txn)
{
	struct memory *memory = (struct memory *)kv;
	struct memory_txn *txn = take(calloc(1, sizeof(*txn)));

	assert(!write || !memory->writing);
	txn->txn.ops = kv->ops;
	txn->memory = memory;
	txn->write = write;
	tables_copy(txn->tables, memory->disk->seen);
	memory->writing = memory->writing || write;
	memory->open++;
	*ret_txn = &txn->txn;
	return 0;
}

static void txn_end(struct memory_txn *txn)
{
	txn->memory->writing = txn->memory->writing && !txn->write;
	txn->memory->open--;
	tables_clear(txn->tables);
	changes_clear(&txn->changes);
	free(txn);
}

static int memory_commit(struct kv_txn *base)
{
	struct memory_txn *txn = (struct memory_txn *)base;
	struct disk *disk = txn->memory->disk;
	bool written = true;
	int r = 0;

	if (txn->changes.count > 0) {
		if (disk->events.commit) {
			r = disk->events.commit(disk->events.context, &written);
		}
		if (r == 0 || written) {
			disk_take(disk, txn);
		}
	}
	txn_end(txn);
	return r;
}

static void memory_abort(struct kv_txn *base)
{
	txn_end((struct memory_txn *)base);
}

/* --- keys --- */

static struct kv_bytes value_of(const struct tree_row *row)
{
	return row->key ? (struct kv_bytes){row->value, row->value_size} : (struct kv_bytes){0};
}

static int memory_get(struct kv_txn *base, enum kv_table table, struct kv_bytes key,
		      struct kv_bytes *ret_value)
{
	struct memory_txn *txn = (struct memory_txn *)base;
	struct tree_row row = tree_get(&txn->tables[table], key.data, key.size);

	*ret_value = value_of(&row);
	return 0;
}

static int memory_put(struct kv_txn *base, enum kv_table table, struct kv_bytes key,
		      const struct kv_bytes parts[], size_t part_count)
{
	struct memory_txn *txn = (struct memory_txn *)base;
	const struct disk_events *events = &txn->memory->disk->events;
	size_t size = 0;
	char *to;
	int r;

	assert(txn->write);
	for (size_t i = 0; i < part_count; i++) {
		size += parts[i].size;
	}
	r = events->put ? events->put(events->context, key.size + size) : 0;
	if (r != 0) {
		return r;
	}
	to = tree_put(&txn->tables[table], key.data, key.size, size);
	for (size_t i = 0; i < part_count; i++) {
		if (parts[i].size > 0) {
			memcpy(to, parts[i].data, parts[i].size);
			to += parts[i].size;
		}
	}
	changes_add(&txn->changes, table, key.data, key.size);
	return 0;
}

static int memory_del(struct kv_txn *base, enum kv_table table, struct kv_bytes key)
{
	struct memory_txn *txn = (struct memory_txn *)base;

	assert(txn->write);
	if (tree_delete(&txn->tables[table], key.data, key.size)) {
		changes_add(&txn->changes, table, key.data, key.size);
	}
	return 0;
}

static int memory_clear(struct kv_txn *base, enum kv_table table)
{
	struct memory_txn *txn = (struct memory_txn *)base;
	struct tree_row row = tree_from(&txn->tables[table], NULL, 0);

	assert(txn->write);
	while (row.key) {
		changes_add(&txn->changes, table, row.key, row.key_size);
		row = tree_after(&txn->tables[table], row.key, row.key_size);
	}
	tree_clear(&txn->tables[table]);
	return 0;
}

/* --- cursors --- */

static int memory_open(struct kv_txn *base, enum kv_table table, struct kv_cursor **ret_cursor)
{
	struct memory_cursor *cursor = take(calloc(1, sizeof(*cursor)));

	cursor->cursor.ops = base->ops;
	cursor->table = &((struct memory_txn *)base)->tables[table];
	cursor->past_end = true;
	*ret_cursor = &cursor->cursor;
	return 0;
}

static void memory_close(struct kv_cursor *base)
{
	free(base);
}

static void tell(const struct tree_row *row, struct kv_bytes *ret_key, struct kv_bytes *ret_value)
{
	*ret_key = row->key ? (struct kv_bytes){row->key, row->key_size} : (struct kv_bytes){0};
	*ret_value = value_of(row);
}

static void stand(struct memory_cursor *cursor, const struct tree_row *row)
{
	cursor->past_end = !row->key;
	if (row->key) {
		memcpy(cursor->key, row->key, row->key_size);
		cursor->key_size = row->key_size;
	}
}

static int memory_seek(struct kv_cursor *base, struct kv_bytes key, struct kv_bytes *ret_key,
		       struct kv_bytes *ret_value)
{
	struct memory_cursor *cursor = (struct memory_cursor *)base;
	struct tree_row row = tree_from(cursor->table, key.data, key.size);

	stand(cursor, &row);
	tell(&row, ret_key, ret_value);
	return 0;
}

static int memory_next(struct kv_cursor *base, struct kv_bytes *ret_key, struct kv_bytes *ret_value)
{
	struct memory_cursor *cursor = (struct memory_cursor *)base;
	struct tree_row row = {0};

	if (!cursor->past_end) {
		row = tree_after(cursor->table, cursor->key, cursor->key_size);
		stand(cursor, &row);
	}
	tell(&row, ret_key, ret_value);
	return 0;
}

/* Before the first there is nothing to stand on: the cursor stays. */
static int memory_prev(struct kv_cursor *base, struct kv_bytes *ret_key, struct kv_bytes *ret_value)
{
	struct memory_cursor *cursor = (struct memory_cursor *)base;
	struct tree_row row = cursor->past_end
				      ? tree_last(cursor->table)
				      : tree_before(cursor->table, cursor->key, cursor->key_size);

	if (row.key) {
		stand(cursor, &row);
	}
	tell(&row, ret_key, ret_value);
	return 0;
}

static const struct kv_ops memory_ops = {
	.begin = memory_begin,
	.commit = memory_commit,
	.abort = memory_abort,
	.get = memory_get,
	.put = memory_put,
	.del = memory_del,
	.clear = memory_clear,
	.open = memory_open,
	.close = memory_close,
	.seek = memory_seek,
	.next = memory_next,
	.prev = memory_prev,
};

/* --- life --- */

struct kv *kv_memory_new(struct disk *disk)
{
	struct memory *memory = take(calloc(1, sizeof(*memory)));

	memory->kv.ops = &memory_ops;
	memory->owns_disk = disk == NULL;
	memory->disk = disk ? disk : disk_new(NULL);
	return &memory->kv;
}

void kv_memory_free(struct kv *kv)
{
	struct memory *memory = (struct memory *)kv;

	if (!memory) {
		return;
	}
	assert(memory->open == 0);
	if (memory->owns_disk) {
		disk_free(memory->disk);
	}
	free(memory);
}
