/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See upstream.h. Links are kept for UPSTREAM_IDLE_MS after their last use: nodes come back. */

#include "gateway/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include "gateway/errand.h"
#include "gateway/feed.h"
#include "gateway/session.h"
#include "services/clock.h"

#define UPSTREAM_IDLE_MS 60000
#define PASS_MARGIN_MS 10000 /* opened again so long before its end */
#define PASS_OPEN_MS 2000

static void pass_free(struct pass *pass)
{
	HASH_DEL(pass->upstream->passes, pass);
	if (pass->call) {
		bus_call_cancel(pass->call);
	}
	free(pass);
}

static void shut_all(struct upstream *upstream)
{
	struct pass *pass;

	for (pass = upstream->passes; pass; pass = pass->hh.next) {
		pass->state = pass->state == PASS_OPEN ? PASS_SHUT : pass->state;
	}
}

/* The peer knows nothing of this connection, and what was on its way may be lost. */
static void on_up(void *context)
{
	struct upstream *upstream = context;

	shut_all(upstream);
	if (upstream->was_up) {
		errands_repeat(upstream);
	}
	upstream->was_up = true;
}

int upstream_registry_new(struct gateway *gateway)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));

	if (!upstream) {
		return -ENOMEM;
	}
	upstream->gateway = gateway;
	upstream->is_registry = true;
	upstream->link = membership_registry(gateway->membership);
	gateway->registry = upstream;
	return 0;
}

static struct upstream *upstream_new(struct gateway *gateway, const struct slot_owner *owner)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));

	if (!upstream) {
		return NULL;
	}
	upstream->gateway = gateway;
	strcpy(upstream->address, owner->address);
	strcpy(upstream->feed_address, owner->feed);
	upstream->idle_ms = gateway_now_ms(gateway);
	if (bus_link_new(gateway->service->bus, owner->address, &upstream->link) != 0) {
		log_warn("upstream.not_linked", LOG_TEXT("address", owner->address));
		free(upstream);
		return NULL;
	}
	bus_link_on_up(upstream->link, on_up, upstream);
	HASH_ADD_STR(gateway->upstreams, address, upstream);
	return upstream;
}

struct upstream *upstream_of_slot(struct gateway *gateway, unsigned int slot,
				  struct proto_id *ret_incarnation)
{
	const struct slot_owner *owner = slot_map_owner(membership_slots(gateway->membership),
							slot);
	struct upstream *upstream;

	if (!owner) {
		return NULL;
	}
	*ret_incarnation = owner->incarnation;
	HASH_FIND_STR(gateway->upstreams, owner->address, upstream);
	if (!upstream) {
		upstream = upstream_new(gateway, owner);
	}
	if (upstream && strcmp(upstream->feed_address, owner->feed) != 0) {
		strcpy(upstream->feed_address, owner->feed);
		feed_renew(upstream);
	}
	return upstream;
}

struct pass *upstream_pass(struct upstream *upstream, struct session *session)
{
	struct pass *pass;

	HASH_FIND(hh, upstream->passes, &session->id, sizeof(session->id), pass);
	if (pass) {
		return pass;
	}
	pass = calloc(1, sizeof(*pass));
	if (!pass) {
		return NULL;
	}
	pass->upstream = upstream;
	pass->session = session;
	pass->id = session->id;
	HASH_ADD(hh, upstream->passes, id, sizeof(pass->id), pass);
	return pass;
}

static void set_open(struct pass *pass, uint64_t expires_ms)
{
	pass->state = PASS_OPEN;
	pass->term++;
	pass->expires_ms = expires_ms;
}

void upstream_admit(struct upstream *registry, struct session *session)
{
	struct pass *pass = upstream_pass(registry, session);

	if (pass && pass->state != PASS_OPENING) {
		set_open(pass, session->expires_ms);
	}
}

static void on_opened(void *context, int result, const struct proto_message *answer)
{
	struct pass *pass = context;

	pass->call = NULL;
	pass->state = PASS_SHUT;
	if (result == 0 && pass->upstream->is_registry) {
		(void)session_admit(pass->upstream->gateway, PROTO_BODY(answer, session_granted),
				    pass->session->secret);
		set_open(pass, pass->session->expires_ms);
	} else if (result == 0) {
		set_open(pass, PROTO_BODY(answer, session_opened)->expires);
	} else if (result == PROTO_E_BAD_TOKEN && !pass->upstream->is_registry) {
		session_renew(pass->session);
		result = PROTO_E_UNAVAILABLE; /* worth another try, with a new token */
	} else if (pass->upstream->is_registry &&
		   proto_error_info((enum proto_code)result)->status == 401) {
		session_revoke(pass->upstream->gateway, &pass->session->id);
	}
	errands_unpark(pass, result);
}

static void open_pass(struct pass *pass)
{
	const struct bus_call_options options = {.timeout_ms = PASS_OPEN_MS};
	struct session *session = pass->session;

	if (pass->upstream->is_registry) {
		struct proto_session_resume resume = {
			.secret = {(const char *)session->secret, PROTO_SECRET_BYTES}};

		pass->state = PASS_OPENING;
		bus_call(pass->upstream->link, PROTO_SESSION_RESUME, &resume, &options, on_opened,
			 pass, &pass->call);
		return;
	}
	if (session_has_token(session)) {
		struct proto_session_open open = {.token = proto_span(session->token)};

		pass->state = PASS_OPENING;
		bus_call(pass->upstream->link, PROTO_SESSION_OPEN, &open, &options, on_opened, pass,
			 &pass->call);
	}
}

bool pass_is_open(struct pass *pass)
{
	if (pass->state == PASS_OPEN && pass->expires_ms < clock_wall_ms() + PASS_MARGIN_MS &&
	    !pass->upstream->is_registry && pass->session->token_expires_ms > pass->expires_ms) {
		pass->state = PASS_SHUT;
	}
	if (pass->state == PASS_SHUT) {
		open_pass(pass);
	}
	return pass->state == PASS_OPEN;
}

void pass_lost(struct pass *pass, uint64_t term)
{
	if (pass->state == PASS_OPEN && pass->term == term) {
		pass->state = PASS_SHUT;
	}
}

void upstreams_shut_registry(struct gateway *gateway)
{
	shut_all(gateway->registry);
}

static void forget_at(struct upstream *upstream, const struct session *session)
{
	struct proto_session_close close = {.session = session->id};
	struct pass *pass;

	HASH_FIND(hh, upstream->passes, &session->id, sizeof(session->id), pass);
	if (!pass) {
		return;
	}
	if (pass->state == PASS_OPEN && !upstream->is_registry) {
		bus_call(upstream->link, PROTO_SESSION_CLOSE, &close, NULL, errand_ignore, NULL,
			 NULL);
	}
	pass_free(pass);
}

void upstreams_forget_session(struct gateway *gateway, const struct session *session)
{
	struct upstream *upstream;

	for (upstream = gateway->upstreams; upstream; upstream = upstream->hh.next) {
		forget_at(upstream, session);
	}
	if (gateway->registry) {
		forget_at(gateway->registry, session);
	}
}

static void upstream_free(struct upstream *upstream)
{
	struct pass *pass;
	struct pass *next;

	HASH_ITER(hh, upstream->passes, pass, next)
	{
		pass_free(pass);
	}
	bus_feed_free(upstream->feed);
	if (!upstream->is_registry) {
		bus_link_free(upstream->link);
		HASH_DEL(upstream->gateway->upstreams, upstream);
	}
	free(upstream);
}

struct ownership {
	const char *address;
	bool found;
};

static void see_owner(void *context, struct slot_owner *owner)
{
	struct ownership *ownership = context;

	if (owner->slots > 0 && strcmp(owner->address, ownership->address) == 0) {
		ownership->found = true;
	}
}

static bool owns_slots(const struct upstream *upstream)
{
	struct ownership ownership = {.address = upstream->address};

	slot_map_each_owner(membership_slots(upstream->gateway->membership), see_owner, &ownership);
	return ownership.found;
}

void upstreams_tick(struct gateway *gateway)
{
	uint64_t now_ms = gateway_now_ms(gateway);
	struct upstream *upstream;
	struct upstream *next;

	HASH_ITER(hh, gateway->upstreams, upstream, next)
	{
		if (upstream->rooms > 0 || upstream->errands > 0 || owns_slots(upstream)) {
			upstream->idle_ms = now_ms;
		} else if (now_ms - upstream->idle_ms > UPSTREAM_IDLE_MS) {
			upstream_free(upstream);
		}
	}
}

void upstreams_free(struct gateway *gateway)
{
	struct upstream *upstream;
	struct upstream *next;

	HASH_ITER(hh, gateway->upstreams, upstream, next)
	{
		upstream_free(upstream);
	}
	if (gateway->registry) {
		upstream_free(gateway->registry);
		gateway->registry = NULL;
	}
}
