/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See kv_join.h. The code that makes views runs on it, to make them anew beside those that are
 * there.
 */

#include "storaged/kv_join.h"

static struct kv_txn *side(struct kv_txn *txn, enum kv_table table)
{
	struct kv_join *join = (struct kv_join *)txn;

	return table < KV_LOG_TABLES ? join->log : join->views;
}

static int join_get(struct kv_txn *txn, enum kv_table table, struct kv_bytes key,
		    struct kv_bytes *ret_value)
{
	return kv_get(side(txn, table), table, key, ret_value);
}

static int join_put(struct kv_txn *txn, enum kv_table table, struct kv_bytes key,
		    const struct kv_bytes parts[], size_t part_count)
{
	return kv_put(side(txn, table), table, key, parts, part_count);
}

static int join_del(struct kv_txn *txn, enum kv_table table, struct kv_bytes key)
{
	return kv_del(side(txn, table), table, key);
}

static int join_clear(struct kv_txn *txn, enum kv_table table)
{
	return kv_clear(side(txn, table), table);
}

/* Cursors are those of the side, and bring their own functions. */
static int join_open(struct kv_txn *txn, enum kv_table table, struct kv_cursor **ret_cursor)
{
	return kv_open(side(txn, table), table, ret_cursor);
}

static const struct kv_ops join_ops = {
	.get = join_get,
	.put = join_put,
	.del = join_del,
	.clear = join_clear,
	.open = join_open,
};

void kv_join_init(struct kv_join *join, struct kv_txn *log, struct kv_txn *views)
{
	*join = (struct kv_join){.txn.ops = &join_ops, .log = log, .views = views};
}
