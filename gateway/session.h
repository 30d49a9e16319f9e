/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Sessions of people that use this gateway now. A session is found by the secret in a cookie, which
 * the registry resolves; it is shared by all connections and requests of one browser.
 *
 *   lookup ─▶ session_resume at the registry ─▶ granted: known here, token for the roomds
 *                                             ─▶ refused: no session
 *   before the token ends: resumed again;  session_revoked, or refused then: ended, sockets closed
 *
 * A session that nobody uses is forgotten SESSION_TRUST_MS after the registry last spoke for it;
 * until then requests over HTTP need no look-up.
 */

#include <uthash.h>
#include "gateway/gateway.h"

#define SESSION_TRUST_MS 30000
#define SESSION_KEY_BYTES 32 /* hash of the secret: what tables are searched by */

struct session {
	struct gateway *gateway;
	struct proto_id id;
	struct proto_id user;
	char name[PROTO_NAME_BYTES_MAX + 1];
	enum proto_account_role role;
	uint8_t secret[PROTO_SECRET_BYTES];
	uint8_t key[SESSION_KEY_BYTES];
	char *token;
	uint64_t token_expires_ms; /* wall clock */
	uint64_t renew_at_ms; /* wall clock: half of the token's life is over */
	uint64_t expires_ms; /* wall clock */
	uint64_t resumed_ms; /* loop time */
	struct bus_call *renewal;
	uint64_t renew_not_before_ms; /* loop time: back-off of renewals */
	unsigned int refs;
	bool ended;
	struct connection *connections; /* linked by session_prev, session_next */
	UT_hash_handle by_id;
	UT_hash_handle by_secret;
};

typedef void (*session_found_fn)(void *context, int result, struct session *session);
struct session_lookup;

/*
 * Find the session of a secret. `found` gets 0 with a session (no reference is passed), or
 * PROTO_E_…; it may run before this returns, and `*ret_lookup` is then NULL. Returns 0 or -ENOMEM.
 */
int session_find(struct gateway *gateway, const uint8_t secret[static PROTO_SECRET_BYTES],
		 session_found_fn found, void *context, struct session_lookup **ret_lookup);
void session_find_cancel(struct session_lookup *lookup);
/*
 * Take in what the registry granted; `secret` is the one that was asked with, or NULL for a new
 * session.
 */
struct session *session_admit(struct gateway *gateway, const struct proto_session_granted *granted,
			      const uint8_t *secret);
struct session *session_ref(struct session *session);
void session_unref(struct session *session);
/* Whether the token can be shown to a roomd now; if not, a new one is on its way. */
bool session_has_token(struct session *session);
void session_renew(struct session *session);
/* The registry ended it: closes its connections. */
void session_revoke(struct gateway *gateway, const struct proto_id *id);
void sessions_tick(struct gateway *gateway);
void sessions_free(struct gateway *gateway);
