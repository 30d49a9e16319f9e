/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One request of a person, carried to the service that answers it, and tried again while that may
 * help.
 *
 *   QUEUED ──▶ PARKED ──▶ FLYING ──▶ done
 *     ▲  in its lane  │ until the session is open there
 *     └── RESTING ◀───┴─ not_owner, unavailable, fenced: again in a while, until the deadline
 *
 * Everything that is tried again is harmless when it arrives twice: reads, and writes with a cmid.
 * When the slot map changes, or a connection is made anew, errands for what moved set out at once.
 */

#include "gateway/envelope.h"
#include "gateway/gateway.h"
#include "gateway/lane.h"

#define ERRAND_TIMEOUT_MS 5000
#define ERRANDS_MAX 65536

struct pass;

struct errand_order {
	enum proto_type type;
	const void *body; /* struct of the type; copied; its spans must outlast the errand */
	struct envelope *envelope; /* instead of `type` and `body`: taken over */
	struct session *session; /* NULL: none is needed */
	uint64_t connection; /* serial: its writes to one room keep their order; 0: alone */
	uint64_t timeout_ms; /* 0: ERRAND_TIMEOUT_MS */
};

/* As for bus_call(): once, from the loop, never inside errand_send(). */
typedef bus_answer_fn errand_done_fn;

/*
 * Returns 0, PROTO_E_BUSY (too many are on their way), PROTO_E_NOT_HERE, or -ENOMEM. `ret_errand`
 * may be NULL.
 */
int errand_send(struct gateway *gateway, const struct errand_order *order, errand_done_fn done,
		void *context, struct errand **ret_errand);
/* `done` will not be called. A read ends here; a write is carried on all the same. */
void errand_abandon(struct errand *errand);

/* A pass has opened (result 0), or could not be. */
void errands_unpark(struct pass *pass, int result);
/* The connection was made anew: send again what was on its way. */
void errands_repeat(struct upstream *upstream);
/* Slots have other owners: redirect what is on its way to the old ones. */
void errands_redirect(struct gateway *gateway);
void errands_on_retry(uv_timer_t *timer); /* data: the gateway */
void errands_free(struct gateway *gateway);
/* An answer that nobody needs. */
void errand_ignore(void *context, int result, const struct proto_message *answer);
