/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Who speaks on a connection. A session is opened once by its token and bound to the connection it
 * came on; requests name it until it expires, is closed, or is revoked. A revoked one cannot be
 * opened again by a token that is still valid.
 */

#include "proto/proto.h"

#define SESSIONS_MAX 200000
#define SESSIONS_REVOKED_MAX 16384
#define SESSIONS_REVOKED_MS (60 * 60 * 1000) /* longer than any token lives */

struct session {
	struct proto_id id;
	struct proto_id user;
	char name[PROTO_NAME_BYTES_MAX + 1];
	bool bot;
	uint64_t expires_ms; /* since 1970 */
};

struct sessions;

int sessions_new(struct sessions **ret_sessions);
void sessions_free(struct sessions *sessions);
size_t sessions_count(const struct sessions *sessions);

/*
 * Returns 0, PROTO_E_BAD_TOKEN for a revoked one, PROTO_E_BUSY when there are too many, or
 * -ENOMEM.
 */
int sessions_open(struct sessions *sessions, uint64_t peer, const struct session *session);
/*
 * NULL: not open on this connection, or expired. Valid until the next call that changes sessions.
 */
const struct session *sessions_find(const struct sessions *sessions, uint64_t peer,
				    const struct proto_id *id, uint64_t wall_ms);
void sessions_close(struct sessions *sessions, uint64_t peer, const struct proto_id *id);
/* On all connections, and for later. */
void sessions_revoke(struct sessions *sessions, const struct proto_id *id, uint64_t wall_ms);
/* Forget what has expired. */
void sessions_tick(struct sessions *sessions, uint64_t wall_ms);
