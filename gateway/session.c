/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See session.h. Secrets are wiped from memory when a session is forgotten. Tokens are renewed when
 * half of their life is over: whoever is signed in can do without the registry for the other half.
 */

#include "gateway/session.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include "gateway/connection.h"
#include "gateway/upstream.h"
#include "services/clock.h"

#define RENEW_RETRY_MS 2000
#define RENEWALS_PER_TICK 200

struct session_lookup {
	struct gateway *gateway;
	uint8_t secret[PROTO_SECRET_BYTES];
	session_found_fn found;
	void *context;
	struct bus_call *call;
};

static void make_key(const uint8_t secret[static PROTO_SECRET_BYTES],
		     uint8_t ret_key[static SESSION_KEY_BYTES])
{
	(void)crypto_generichash(ret_key, SESSION_KEY_BYTES, secret, PROTO_SECRET_BYTES, NULL, 0);
}

struct session *session_ref(struct session *session)
{
	session->refs++;
	return session;
}

static void forget(struct session *session)
{
	struct gateway *gateway = session->gateway;

	HASH_DELETE(by_id, gateway->sessions, session);
	HASH_DELETE(by_secret, gateway->sessions_by_secret, session);
	upstreams_forget_session(gateway, session);
	if (session->renewal) {
		bus_call_cancel(session->renewal);
	}
	if (session->token) {
		sodium_memzero(session->token, strlen(session->token));
	}
	free(session->token);
	sodium_memzero(session, sizeof(*session));
	free(session);
}

/* Freed by the tick, so that a session may end in the middle of anything. */
void session_unref(struct session *session)
{
	if (session) {
		session->refs--;
	}
}

static int set_token(struct session *session, const struct proto_session_granted *granted)
{
	char *token = strndup(granted->token.data ? granted->token.data : "", granted->token.size);
	uint64_t wall_ms = clock_wall_ms();

	if (!token) {
		return -ENOMEM;
	}
	free(session->token);
	session->token = token;
	session->token_expires_ms = granted->token_expires;
	session->renew_at_ms = wall_ms + (granted->token_expires > wall_ms
						  ? (granted->token_expires - wall_ms) / 2
						  : 0);
	session->expires_ms = granted->expires;
	session->resumed_ms = gateway_now_ms(session->gateway);
	session->role = granted->role;
	return 0;
}

static struct session *make(struct gateway *gateway, const struct proto_session_granted *granted,
			    const uint8_t *secret)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		return NULL;
	}
	session->gateway = gateway;
	session->id = granted->session;
	session->user = granted->user;
	memcpy(session->name, granted->name.data, granted->name.size);
	memcpy(session->secret, secret, PROTO_SECRET_BYTES);
	make_key(secret, session->key);
	HASH_ADD(by_id, gateway->sessions, id, sizeof(session->id), session);
	HASH_ADD(by_secret, gateway->sessions_by_secret, key, sizeof(session->key), session);
	return session;
}

struct session *session_admit(struct gateway *gateway, const struct proto_session_granted *granted,
			      const uint8_t *secret)
{
	struct session *session;

	secret = secret ? secret : (const uint8_t *)granted->secret.data;
	HASH_FIND(by_id, gateway->sessions, &granted->session, sizeof(granted->session), session);
	if (!session && secret) {
		session = make(gateway, granted, secret);
	}
	if (!session || session->ended || set_token(session, granted) != 0) {
		return NULL;
	}
	upstream_admit(gateway->registry, session);
	return session;
}

/* --- look-ups --- */

static void on_looked_up(void *context, int result, const struct proto_message *answer)
{
	struct session_lookup *lookup = context;
	struct session *session = NULL;

	if (result == 0) {
		session = session_admit(lookup->gateway, PROTO_BODY(answer, session_granted),
					lookup->secret);
		result = session ? 0 : PROTO_E_UNAUTHENTICATED;
	}
	lookup->found(lookup->context, result, session);
	sodium_memzero(lookup, sizeof(*lookup));
	free(lookup);
}

static struct session *find_trusted(struct gateway *gateway,
				    const uint8_t secret[static PROTO_SECRET_BYTES])
{
	uint8_t key[SESSION_KEY_BYTES];
	struct session *session;

	make_key(secret, key);
	HASH_FIND(by_secret, gateway->sessions_by_secret, key, sizeof(key), session);
	if (!session || session->ended ||
	    gateway_now_ms(gateway) - session->resumed_ms > SESSION_TRUST_MS) {
		return NULL;
	}
	return session;
}

static void ask(struct gateway *gateway, const uint8_t *secret, bus_answer_fn on_answer,
		void *context, struct bus_call **ret_call)
{
	struct proto_session_resume resume = {.secret = {(const char *)secret, PROTO_SECRET_BYTES}};
	struct bus_call_options options = {.retry_ms = 1000};

	bus_call(membership_registry(gateway->membership), PROTO_SESSION_RESUME, &resume, &options,
		 on_answer, context, ret_call);
}

int session_find(struct gateway *gateway, const uint8_t secret[static PROTO_SECRET_BYTES],
		 session_found_fn found, void *context, struct session_lookup **ret_lookup)
{
	struct session *session = find_trusted(gateway, secret);
	struct session_lookup *lookup;

	*ret_lookup = NULL;
	if (session) {
		found(context, 0, session);
		return 0;
	}
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup) {
		return -ENOMEM;
	}
	*lookup = (struct session_lookup){.gateway = gateway, .found = found, .context = context};
	memcpy(lookup->secret, secret, PROTO_SECRET_BYTES);
	ask(gateway, lookup->secret, on_looked_up, lookup, &lookup->call);
	*ret_lookup = lookup;
	return 0;
}

void session_find_cancel(struct session_lookup *lookup)
{
	if (lookup) {
		bus_call_cancel(lookup->call);
		sodium_memzero(lookup, sizeof(*lookup));
		free(lookup);
	}
}

/* --- renewal and end --- */

static void end(struct session *session)
{
	session->ended = true;
	log_info("session.ended", LOG_ID("session", &session->id), LOG_ID("user", &session->user));
	connections_end_session(session);
}

static void on_renewed(void *context, int result, const struct proto_message *answer)
{
	struct session *session = context;

	session->renewal = NULL;
	session->renew_not_before_ms = gateway_now_ms(session->gateway) + RENEW_RETRY_MS;
	if (result == 0) {
		if (set_token(session, PROTO_BODY(answer, session_granted)) == 0) {
			upstream_admit(session->gateway->registry, session);
		}
		return;
	}
	if (proto_error_info((enum proto_code)result)->status == 401) {
		end(session);
	}
}

void session_renew(struct session *session)
{
	if (session->renewal || session->ended ||
	    gateway_now_ms(session->gateway) < session->renew_not_before_ms) {
		return;
	}
	ask(session->gateway, session->secret, on_renewed, session, &session->renewal);
}

bool session_has_token(struct session *session)
{
	if (session->token_expires_ms > clock_wall_ms()) {
		return true;
	}
	session_renew(session);
	return false;
}

void session_revoke(struct gateway *gateway, const struct proto_id *id)
{
	struct session *session;

	HASH_FIND(by_id, gateway->sessions, id, sizeof(*id), session);
	if (session && !session->ended) {
		end(session);
	}
}

static bool is_due(const struct session *session, uint64_t now_ms, uint64_t wall_ms)
{
	return session->refs > 0 && !session->ended && !session->renewal &&
	       now_ms >= session->renew_not_before_ms && wall_ms >= session->renew_at_ms;
}

void sessions_tick(struct gateway *gateway)
{
	uint64_t now_ms = gateway_now_ms(gateway);
	uint64_t wall_ms = clock_wall_ms();
	size_t renewals = 0;
	struct session *session;
	struct session *next;

	HASH_ITER(by_id, gateway->sessions, session, next)
	{
		if (session->refs == 0 &&
		    (session->ended || now_ms - session->resumed_ms > SESSION_TRUST_MS)) {
			forget(session);
		} else if (renewals < RENEWALS_PER_TICK && is_due(session, now_ms, wall_ms)) {
			session_renew(session);
			renewals++;
		}
	}
}

void sessions_free(struct gateway *gateway)
{
	struct session *session;
	struct session *next;

	HASH_ITER(by_id, gateway->sessions, session, next)
	{
		forget(session);
	}
}
