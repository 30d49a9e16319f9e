/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The hash chain over a slot's log: BLAKE2b-256 (RFC 7693) of the hash before it, epoch, lsn and
 * body.
 */

#include <stdbool.h>
#include <stdint.h>
#include "proto/proto.h"

struct chain_hash {
	uint8_t bytes[PROTO_HASH_BYTES];
	bool set; /* false: before a slot's first entry */
};

void chain_next(const struct chain_hash *prev, uint64_t epoch, uint64_t lsn, const void *body,
		size_t size, struct chain_hash *ret_hash);
bool chain_equal(const struct chain_hash *a, const struct chain_hash *b);
/* As it travels; empty if not set. Points into `hash`. */
struct proto_span chain_span(const struct chain_hash *hash);
/* Returns 0, or PROTO_E_BAD_VALUE for anything but nothing and 32 bytes. */
int chain_read(struct proto_span span, struct chain_hash *ret_hash);
