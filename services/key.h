/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * CURVE keys: the public ones, which name nodes, and this node's own pair.
 *
 * As text a key is base64url without padding (RFC 4648, section 5), 43 characters: it can stand in
 * an address, a path, a setting and a shell command as it is. (ZeroMQ's own Z85 can't: it uses `#`,
 * `&`, `$` and more.)
 *
 * A secret lies in memory of libsodium's own kind: between guard pages, not swapped, not in core
 * files, and not even readable but while it is used. What libzmq copies of it into its sockets is
 * libzmq's to guard.
 */

#include <stdbool.h>
#include "proto/proto.h"

struct key {
	uint8_t bytes[PROTO_KEY_BYTES];
};

#define KEY_TEXT_BYTES (PROTO_KEY_TEXT_BYTES + 1) /* with the zero */

void key_format(const struct key *key, char ret_text[static KEY_TEXT_BYTES]);
/* Exactly the 43 characters. Returns false, and leaves `ret_key`, for anything else. */
bool key_parse(struct proto_span text, struct key *ret_key);
bool key_equal(const struct key *a, const struct key *b);

struct key_pair;

/* A new pair, in memory alone. Returns 0 or -ENOMEM. */
int key_pair_new(struct key_pair **ret_pair);
/*
 * Read the pair from its file, or make it and its file if there is none. Returns 0 or -errno; the
 * log says why: the file can be read by others (-EPERM), or is no key (-EBADMSG).
 */
int key_pair_load(const char *path, struct key_pair **ret_pair);
/* Write it, in place of what is there. Returns 0 or -errno. */
int key_pair_save(const struct key_pair *pair, const char *path);
/* Wipes it. NULL is fine. */
void key_pair_free(struct key_pair *pair);

const struct key *key_pair_public(const struct key_pair *pair);
/* The secret half; readable until key_pair_close(), which follows at once. */
const struct key *key_pair_open(const struct key_pair *pair);
void key_pair_close(const struct key_pair *pair);
