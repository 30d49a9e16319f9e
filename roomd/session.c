/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A hash by (connection, session), and one of the sessions revoked lately. */

#include "roomd/session.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

struct bound_key {
	uint64_t peer;
	struct proto_id session;
};

struct bound {
	struct bound_key key;
	struct session session;
	UT_hash_handle hh;
};

struct revoked {
	struct proto_id id;
	uint64_t until_ms;
	UT_hash_handle hh;
};

struct sessions {
	struct bound *bound;
	struct revoked *revoked; /* the oldest first */
};

int sessions_new(struct sessions **ret_sessions)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));

	if (!sessions) {
		return -ENOMEM;
	}
	*ret_sessions = sessions;
	return 0;
}

static void bound_drop(struct sessions *sessions, struct bound *bound)
{
	HASH_DEL(sessions->bound, bound);
	free(bound);
}

static void revoked_drop(struct sessions *sessions, struct revoked *revoked)
{
	HASH_DEL(sessions->revoked, revoked);
	free(revoked);
}

void sessions_free(struct sessions *sessions)
{
	if (!sessions) {
		return;
	}
	while (sessions->bound) {
		bound_drop(sessions, sessions->bound);
	}
	while (sessions->revoked) {
		revoked_drop(sessions, sessions->revoked);
	}
	free(sessions);
}

size_t sessions_count(const struct sessions *sessions)
{
	return HASH_COUNT(sessions->bound);
}

static struct bound *bound_find(const struct sessions *sessions, uint64_t peer,
				const struct proto_id *id)
{
	struct bound_key key = {peer, *id};
	struct bound *bound;

	HASH_FIND(hh, sessions->bound, &key, sizeof(key), bound);
	return bound;
}

static struct revoked *revoked_find(const struct sessions *sessions, const struct proto_id *id)
{
	struct revoked *revoked;

	HASH_FIND(hh, sessions->revoked, id, sizeof(*id), revoked);
	return revoked;
}

int sessions_open(struct sessions *sessions, uint64_t peer, const struct session *session)
{
	struct bound *bound = bound_find(sessions, peer, &session->id);

	if (revoked_find(sessions, &session->id)) {
		return PROTO_E_BAD_TOKEN;
	}
	if (!bound) {
		if (HASH_COUNT(sessions->bound) >= SESSIONS_MAX) {
			return PROTO_E_BUSY;
		}
		bound = calloc(1, sizeof(*bound));
		if (!bound) {
			return -ENOMEM;
		}
		bound->key = (struct bound_key){peer, session->id};
		HASH_ADD(hh, sessions->bound, key, sizeof(bound->key), bound);
	}
	bound->session = *session;
	return 0;
}

const struct session *sessions_find(const struct sessions *sessions, uint64_t peer,
				    const struct proto_id *id, uint64_t wall_ms)
{
	const struct bound *bound = bound_find(sessions, peer, id);

	return bound && bound->session.expires_ms > wall_ms ? &bound->session : NULL;
}

void sessions_close(struct sessions *sessions, uint64_t peer, const struct proto_id *id)
{
	struct bound *bound = bound_find(sessions, peer, id);

	if (bound) {
		bound_drop(sessions, bound);
	}
}

void sessions_revoke(struct sessions *sessions, const struct proto_id *id, uint64_t wall_ms)
{
	struct revoked *revoked = revoked_find(sessions, id);
	struct bound *bound;
	struct bound *next;

	HASH_ITER(hh, sessions->bound, bound, next)
	{
		if (proto_id_equal(&bound->session.id, id)) {
			bound_drop(sessions, bound);
		}
	}
	if (revoked) {
		revoked_drop(sessions, revoked);
	} else if (HASH_COUNT(sessions->revoked) >= SESSIONS_REVOKED_MAX) {
		revoked_drop(sessions, sessions->revoked);
	}
	revoked = calloc(1, sizeof(*revoked));
	if (revoked) {
		revoked->id = *id;
		revoked->until_ms = wall_ms + SESSIONS_REVOKED_MS;
		HASH_ADD(hh, sessions->revoked, id, sizeof(revoked->id), revoked);
	}
}

void sessions_tick(struct sessions *sessions, uint64_t wall_ms)
{
	struct bound *bound;
	struct bound *next;

	HASH_ITER(hh, sessions->bound, bound, next)
	{
		if (bound->session.expires_ms <= wall_ms) {
			bound_drop(sessions, bound);
		}
	}
	while (sessions->revoked && sessions->revoked->until_ms <= wall_ms) {
		revoked_drop(sessions, sessions->revoked);
	}
}
