/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Passwords: argon2id by libsodium, on helper threads, a few at a time.
 *
 * One hash takes some 50 ms of a core and 64 MiB, on purpose; PASSWORD_RUNNING_MAX bounds what
 * guessing can cost us, PASSWORD_QUEUE_MAX how long an honest sign-in can wait.
 */

#include <uv.h>
#include "proto/proto.h"

#define PASSWORD_BYTES_MIN 8
#define PASSWORD_RUNNING_MAX 2
#define PASSWORD_QUEUE_MAX 32
#define PASSWORD_HASH_BYTES 128 /* crypto_pwhash_STRBYTES: text with its zero */

struct password_pool;

struct password_cost {
	uint64_t passes; /* argon2id's t */
	uint64_t memory_bytes; /* argon2id's m */
};

int password_pool_new(uv_loop_t *loop, const struct password_cost *cost,
		      struct password_pool **ret_pool);
void password_pool_free(struct password_pool *pool);
/* Hashes that run or wait. */
size_t password_pool_pending(const struct password_pool *pool);

/*
 * From the loop, once. `result` 0: `hash` is the new text (password_hash), or the password is right
 * (password_check).
 */
typedef void (*password_done_fn)(void *context, int result, const char *hash);

/*
 * The password is copied, and wiped afterwards. One whose turn comes after `until_ms` (monotonic)
 * ends with PROTO_E_EXPIRED. Returns 0, PROTO_E_BUSY, or -ENOMEM.
 */
int password_hash(struct password_pool *pool, struct proto_span password, uint64_t until_ms,
		  password_done_fn on_done, void *context);
/*
 * `hash` NULL: there is no such account; takes the same time and ends with PROTO_E_BAD_CREDENTIALS,
 * as a wrong password does.
 */
int password_check(struct password_pool *pool, struct proto_span password, const char *hash,
		   uint64_t until_ms, password_done_fn on_done, void *context);

/* Long enough, not the name itself, not one of the most common. */
bool password_is_strong(struct proto_span password, struct proto_span name);
