/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Sessions that are bound to connections, and how a session is kept. Pure.
 *
 * A session's id is no secret; what a request may do follows from the connection that it comes on:
 * only one that made the session, or showed its secret, may name it.
 */

#include <uthash.h>
#include "proto/proto.h"

#define SESSION_BINDINGS_MAX 1000000
#define SESSION_IDLE_MS \
	3600000 /* a binding not used for so long is forgotten; its secret makes it again */

/* Who acts. */
struct session {
	struct proto_id session;
	struct proto_id user;
	char name[PROTO_NAME_BYTES_MAX + 1];
	enum proto_account_role role;
	uint64_t expires; /* ms since 1970 */
};

struct binding {
	struct {
		uint64_t peer;
		struct proto_id session;
	} key;
	struct session session;
	uint64_t used_ms;
	UT_hash_handle hh;
};

struct session_table {
	struct binding *bindings;
};

void session_table_deinit(struct session_table *table);
/* Returns 0, PROTO_E_BUSY (too many), or -ENOMEM. */
int session_bind(struct session_table *table, uint64_t peer, const struct session *session,
		 uint64_t now_ms);
/* NULL if it is not bound there or has expired. */
const struct session *session_find(struct session_table *table, uint64_t peer,
				   const struct proto_id *session, uint64_t now_ms,
				   uint64_t wall_ms);
/* Forget a session on all connections. */
void session_unbind(struct session_table *table, const struct proto_id *session);
void session_tick(struct session_table *table, uint64_t now_ms, uint64_t wall_ms);

/* As it is kept: a version, these in order, numbers big-endian; the device's name follows. */
struct session_row {
	struct proto_id user;
	uint64_t created;
	uint64_t expires;
	uint8_t secret_hash[PROTO_HASH_BYTES];
};
#define SESSION_ROW_VERSION 1
#define SESSION_ROW_BYTES (1 + PROTO_ID_BYTES + 8 + 8 + PROTO_HASH_BYTES)
void session_row_write(const struct session_row *row, char ret_bytes[static SESSION_ROW_BYTES]);
/* False for bytes that are no row of a known version. */
bool session_row_read(const void *bytes, size_t size, struct session_row *ret_row);
