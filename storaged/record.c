/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See record.h. */

#include "storaged/record.h"

#include <assert.h>
#include "storaged/bytes.h"
#include "storaged/crc32c.h"

/* --- keys --- */

static void add(struct record_key *key, const void *data, size_t size)
{
	assert(size <= sizeof(key->bytes) - key->size);
	if (size > 0) {
		memcpy(key->bytes + key->size, data, size);
		key->size += size;
	}
}

struct record_key record_key_slot(unsigned int slot)
{
	struct record_key key = {.size = 2};

	bytes_put_u16(key.bytes, slot);
	return key;
}

struct record_key record_key_room(const struct proto_id *room)
{
	struct record_key key = {.size = 0};

	add(&key, room->bytes, PROTO_ID_BYTES);
	return key;
}

void record_key_add_u8(struct record_key *key, unsigned int value)
{
	uint8_t byte = (uint8_t)value;

	add(key, &byte, 1);
}

void record_key_add_u64(struct record_key *key, uint64_t value)
{
	uint8_t bytes[8];

	bytes_put_u64(bytes, value);
	add(key, bytes, sizeof(bytes));
}

void record_key_add_id(struct record_key *key, const struct proto_id *id)
{
	add(key, id->bytes, PROTO_ID_BYTES);
}

void record_key_add_span(struct record_key *key, struct proto_span span)
{
	add(key, span.data, span.size);
}

bool record_key_begins(struct kv_bytes key, const struct record_key *prefix)
{
	return key.size >= prefix->size && memcmp(key.data, prefix->bytes, prefix->size) == 0;
}

/* --- values --- */

static uint32_t checksum(enum kv_table table, struct kv_bytes key, struct kv_bytes head,
			 struct kv_bytes tail)
{
	uint8_t lead[2] = {(uint8_t)table, (uint8_t)key.size};
	uint32_t crc = crc32c(0, lead, sizeof(lead));

	crc = crc32c(crc, key.data, key.size);
	crc = crc32c(crc, head.data, head.size);
	return crc32c(crc, tail.data, tail.size);
}

int record_check(enum kv_table table, struct kv_bytes key, struct kv_bytes stored,
		 struct kv_bytes *ret_value)
{
	struct kv_bytes value;

	if (stored.size < RECORD_CRC_BYTES) {
		return PROTO_E_DAMAGED;
	}
	value = (struct kv_bytes){(const uint8_t *)stored.data + RECORD_CRC_BYTES,
				  stored.size - RECORD_CRC_BYTES};
	if (bytes_get_u32(stored.data) != checksum(table, key, value, (struct kv_bytes){0})) {
		return PROTO_E_DAMAGED;
	}
	*ret_value = value;
	return 0;
}

int record_get(struct kv_txn *txn, enum kv_table table, const struct record_key *key,
	       struct kv_bytes *ret_value)
{
	struct kv_bytes stored;
	int r = kv_get(txn, table, record_key_bytes(key), &stored);

	if (r < 0) {
		return r;
	}
	if (!stored.data) {
		*ret_value = stored;
		return 0;
	}
	return record_check(table, record_key_bytes(key), stored, ret_value);
}

int record_put_pair(struct kv_txn *txn, enum kv_table table, const struct record_key *key,
		    struct kv_bytes head, struct kv_bytes tail)
{
	uint8_t crc[RECORD_CRC_BYTES];

	bytes_put_u32(crc, checksum(table, record_key_bytes(key), head, tail));
	return kv_put(txn, table, record_key_bytes(key),
		      (const struct kv_bytes[]){{crc, sizeof(crc)}, head, tail}, 3);
}

int record_put(struct kv_txn *txn, enum kv_table table, const struct record_key *key,
	       const void *data, size_t size)
{
	return record_put_pair(txn, table, key, (struct kv_bytes){data, size},
			       (struct kv_bytes){0});
}

int record_del(struct kv_txn *txn, enum kv_table table, const struct record_key *key)
{
	return kv_del(txn, table, record_key_bytes(key));
}
