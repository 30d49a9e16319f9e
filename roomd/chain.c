/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The chain lets a take-over compare two replicas by one hash, and lets a store refuse entries
 * that do not continue what it holds. Epoch and lsn are part of it, so that an entry cannot stand
 * anywhere else.
 */

#include "roomd/chain.h"

#include <endian.h>
#include <sodium.h>

void chain_next(const struct chain_hash *prev, uint64_t epoch, uint64_t lsn, const void *body,
		size_t size, struct chain_hash *ret_hash)
{
	const uint64_t numbers[2] = {htobe64(epoch), htobe64(lsn)};
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, PROTO_HASH_BYTES);
	if (prev->set) {
		crypto_generichash_update(&state, prev->bytes, sizeof(prev->bytes));
	}
	crypto_generichash_update(&state, (const uint8_t *)numbers, sizeof(numbers));
	crypto_generichash_update(&state, body, size);
	crypto_generichash_final(&state, ret_hash->bytes, sizeof(ret_hash->bytes));
	ret_hash->set = true;
}

bool chain_equal(const struct chain_hash *a, const struct chain_hash *b)
{
	if (!a->set || !b->set) {
		return a->set == b->set;
	}
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct proto_span chain_span(const struct chain_hash *hash)
{
	return (struct proto_span){(const char *)hash->bytes, hash->set ? sizeof(hash->bytes) : 0};
}

int chain_read(struct proto_span span, struct chain_hash *ret_hash)
{
	struct chain_hash hash = {.set = span.size > 0};

	if (span.size != 0 && span.size != sizeof(hash.bytes)) {
		return PROTO_E_BAD_VALUE;
	}
	if (hash.set) {
		memcpy(hash.bytes, span.data, sizeof(hash.bytes));
	}
	*ret_hash = hash;
	return 0;
}
