/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A service that requests of people are passed to: the registry, or one roomd. Before a session's
 * first request on a connection the session must be opened there; the pass says whether it is.
 *
 *            first errand            answered
 *   SHUT ─────────────────▶ OPENING ─────────▶ OPEN
 *    ▲                         │ refused          │ session_unknown, a new connection, or the pass
 *    └─────────────────────────┴──────────────────┘ ends
 *
 * Errands that come while it is opening are parked, in order.
 */

#include <uthash.h>
#include "gateway/gateway.h"

enum pass_state {
	PASS_SHUT,
	PASS_OPENING,
	PASS_OPEN,
};

struct pass {
	struct upstream *upstream;
	struct session *session;
	struct proto_id id; /* of the session */
	enum pass_state state;
	uint64_t term; /* grows whenever it opens */
	uint64_t expires_ms; /* wall clock */
	struct bus_call *call;
	struct errand *parked;
	UT_hash_handle hh;
};

struct upstream {
	struct gateway *gateway;
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	struct bus_link *link;
	struct bus_feed *feed; /* of a roomd, made by feed.c when the first room needs it */
	char feed_address[PROTO_ADDRESS_BYTES_MAX + 1];
	size_t rooms; /* followed there */
	size_t errands; /* on their way there */
	bool is_registry;
	bool was_up;
	uint64_t idle_ms; /* loop time since when nothing uses it */
	struct pass *passes;
	UT_hash_handle hh;
};

int upstream_registry_new(struct gateway *gateway);
/* The owner of a slot; NULL if there is none now, or memory is short. */
struct upstream *upstream_of_slot(struct gateway *gateway, unsigned int slot,
				  struct proto_id *ret_incarnation);
/* The pass of a session; made if need be; NULL: out of memory. */
struct pass *upstream_pass(struct upstream *upstream, struct session *session);
/* The session has just been resumed on the registry's link. */
void upstream_admit(struct upstream *registry, struct session *session);
/*
 * Whether a request may be sent now. If not, the pass is being opened, and errand_unpark() will
 * follow.
 */
bool pass_is_open(struct pass *pass);
/* A request of this term was answered with session_unknown. */
void pass_lost(struct pass *pass, uint64_t term);

void upstreams_shut_registry(struct gateway *gateway);
void upstreams_forget_session(struct gateway *gateway, const struct session *session);
void upstreams_tick(struct gateway *gateway);
void upstreams_free(struct gateway *gateway);
