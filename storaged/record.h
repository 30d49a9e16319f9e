/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Records: values of kv.h with a CRC-32C over table, key and value in front. LMDB gives flipped
 * bits back as if nothing were wrong; a record that fails its checksum, or stands under another key
 * than it was written to, is PROTO_E_DAMAGED.
 *
 * Results: 0, PROTO_E_DAMAGED, or -errno. Absent: `data` is NULL.
 */

#include "proto/proto.h"
#include "storaged/kv.h"

#define RECORD_CRC_BYTES 4

struct record_key {
	uint8_t bytes[KV_KEY_BYTES_MAX];
	size_t size;
};

static inline struct kv_bytes record_key_bytes(const struct record_key *key)
{
	return (struct kv_bytes){key->bytes, key->size};
}

/* Keys are put together from these, in order. */
struct record_key record_key_slot(unsigned int slot);
struct record_key record_key_room(const struct proto_id *room);
void record_key_add_u8(struct record_key *key, unsigned int value);
void record_key_add_u64(struct record_key *key, uint64_t value);
void record_key_add_id(struct record_key *key, const struct proto_id *id);
void record_key_add_span(struct record_key *key, struct proto_span span);
bool record_key_begins(struct kv_bytes key, const struct record_key *prefix);

int record_get(struct kv_txn *txn, enum kv_table table, const struct record_key *key,
	       struct kv_bytes *ret_value);
int record_put(struct kv_txn *txn, enum kv_table table, const struct record_key *key,
	       const void *data, size_t size);
/* Two pieces as one value. */
int record_put_pair(struct kv_txn *txn, enum kv_table table, const struct record_key *key,
		    struct kv_bytes head, struct kv_bytes tail);
int record_del(struct kv_txn *txn, enum kv_table table, const struct record_key *key);
/* Check what a cursor gave, and take the checksum off. */
int record_check(enum kv_table table, struct kv_bytes key, struct kv_bytes stored,
		 struct kv_bytes *ret_value);
