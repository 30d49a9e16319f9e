/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Membership: a hello that is repeated until it is answered, then heartbeats.
 *
 *            hello answered                       beat answered `unknown_node`
 *   GREETING ─────────────▶ MEMBER ──────────────────────────────────────────▶ GREETING
 *      │                      │ membership_leave()
 *      └──────────────────────┴─────────────────▶ LEAVING
 *
 * Heartbeats. One is on its way at a time, and nothing is gained by a second one behind it: they
 * travel in order on one connection. When that is lost the call ends, and the next one asks anew.
 *
 * Lease. An answer proves that the registry heard us at some moment after we asked. So the lease
 * counts from the moment of asking, on a clock that goes on while the machine sleeps.
 *
 * Ended sessions are counted: one that is published and does not follow the last one, and a
 * heartbeat's answer that names another one, make it ask for those between.
 *
 * Slot map. The feed and the answers come on two connections, in any order against each other.
 * Changes are applied when they fit; the whole map is asked for when they do not, when a connection
 * was made anew, and when a heartbeat's answer names a later version. A whole map older than ours
 * is an answer that was overtaken, and is left alone, unless the registry itself went back
 * (restored from a backup): that shows as a welcome, or as two heartbeats in a row with an older
 * version.
 */

#include "services/membership.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "services/clock.h"
#include "services/log.h"

#define HELLO_TIMEOUT_MS 2000
#define HELLO_AGAIN_MS 500 /* after a hello that failed */
#define SLOTS_TIMEOUT_MS 5000
#define SLOTS_RETRY_MS 1000
#define LEAVE_TIMEOUT_MS 1000
#define BEAT_MIN_MS 50 /* whatever the registry asks for */
#define BACKWARDS_MAX 2 /* heartbeats with an older slot map before it is believed */
#define TIMERS 3

enum phase {
	MEMBERSHIP_GREETING,
	MEMBERSHIP_MEMBER,
	MEMBERSHIP_LEAVING,
};

struct membership {
	struct bus *bus;
	struct bus_link *registry;
	struct bus_feed *feed;
	char feed_address[PROTO_ADDRESS_BYTES_MAX + 1];
	struct slot_map *slots;
	struct membership_events events;
	void *context;
	struct proto_node_hello hello; /* its texts are owned */
	enum phase phase;
	struct proto_node_welcome welcome; /* its texts are owned */
	bool was_welcomed;
	uv_timer_t beat_timer; /* GREETING: the next hello; MEMBER: the next beat */
	uv_timer_t lease_timer;
	uv_timer_t drain_timer;
	unsigned int refs; /* its owner, its timers */
	struct bus_call *call; /* hello, beat or leave: one at a time */
	uint64_t asked_ms; /* when that was sent; both of these on clock_boot_ms() */
	uint64_t lease_end_ms; /* 0: none */
	bool draining;
	void (*on_drain_told)(void *context, bool known);
	void *on_drain_told_context;
	struct bus_call *slots_call;
	bool ask_slots_again;
	bool believe_older;
	unsigned int backwards;
	uint64_t assignment_version;
	struct bus_call *revocations_call;
	uint64_t revocations_version; /* told up to this one */
	uint64_t cpu_us;
	uint64_t cpu_at_ms;
	void (*on_left)(void *context);
	void *on_left_context;
};

static void greet(struct membership *membership);
static void on_beat_timer(uv_timer_t *timer);

/* --- owned texts --- */

static int own(struct proto_span *span)
{
	char *copy;

	if (span->size == 0) {
		span->data = NULL;
		return 0;
	}
	copy = malloc(span->size);
	if (!copy) {
		*span = (struct proto_span){0};
		return -ENOMEM;
	}
	memcpy(copy, span->data, span->size);
	span->data = copy;
	return 0;
}

static void disown(struct proto_span *span)
{
	free((char *)span->data);
	*span = (struct proto_span){0};
}

/* Every text of a hello. */
static const size_t hello_texts[] = {
	offsetof(struct proto_node_hello, node), offsetof(struct proto_node_hello, address),
	offsetof(struct proto_node_hello, feed), offsetof(struct proto_node_hello, host),
	offsetof(struct proto_node_hello, zone), offsetof(struct proto_node_hello, version),
};

#define HELLO_TEXTS (sizeof(hello_texts) / sizeof(hello_texts[0]))

static struct proto_span *hello_text(struct proto_node_hello *hello, size_t i)
{
	return (struct proto_span *)((char *)hello + hello_texts[i]);
}

static int own_hello(struct proto_node_hello *hello)
{
	int r = 0;

	for (size_t i = 0; i < HELLO_TEXTS; i++) {
		int failed = own(hello_text(hello, i)); /* all: each is either owned or empty */

		r = failed < 0 ? failed : r;
	}
	return r;
}

/* --- the slot map --- */

static void ask_slots(struct membership *membership);

static void tell_slots(struct membership *membership)
{
	if (membership->events.slots_changed) {
		membership->events.slots_changed(membership->context);
	}
}

static void take_slots(struct membership *membership, const struct proto_slot_map *whole)
{
	uint64_t version = slot_map_version(membership->slots);

	if (whole->version < version && !membership->believe_older) {
		return;
	}
	membership->believe_older = false;
	if (slot_map_replace(membership->slots, whole) < 0) {
		membership->ask_slots_again = true;
		return;
	}
	log_debug("membership.slots", LOG_NUMBER("version", whole->version));
	tell_slots(membership);
}

static void on_slots(void *context, int result, const struct proto_message *answer)
{
	struct membership *membership = context;
	bool again;

	membership->slots_call = NULL;
	again = membership->ask_slots_again;
	membership->ask_slots_again = false;
	if (result == 0) {
		take_slots(membership, PROTO_BODY(answer, slot_map));
	} else {
		log_warn("membership.slots_unknown",
			 LOG_TEXT("error", proto_error_info((enum proto_code)result)->code));
	}
	if (result == 0 && (again || membership->ask_slots_again)) {
		ask_slots(membership);
	} /* after an error: the next heartbeat's answer, or the next connection, asks */
}

static void ask_slots(struct membership *membership)
{
	static const struct bus_call_options options = {.timeout_ms = SLOTS_TIMEOUT_MS,
							.retry_ms = SLOTS_RETRY_MS};

	if (membership->slots_call) {
		membership->ask_slots_again = true;
		return;
	}
	bus_call(membership->registry, PROTO_SLOTS_GET, NULL, &options, on_slots, membership,
		 &membership->slots_call);
}

static void on_slots_changed(struct membership *membership,
			     const struct proto_slots_changed *change)
{
	uint64_t version = slot_map_version(membership->slots);

	if (slot_map_apply(membership->slots, change) != 0) {
		ask_slots(membership);
	} else if (slot_map_version(membership->slots) != version) {
		tell_slots(membership);
	}
}

static void check_slots_version(struct membership *membership, uint64_t version)
{
	uint64_t ours = slot_map_version(membership->slots);

	if (version < ours) {
		membership->backwards++;
		membership->believe_older = membership->backwards >= BACKWARDS_MAX;
	} else {
		membership->backwards = 0;
	}
	if ((version > ours || membership->believe_older) && !membership->slots_call) {
		ask_slots(membership);
	}
}

/* --- ended sessions --- */

static void ask_revocations(struct membership *membership);

static void on_revocations(void *context, int result, const struct proto_message *answer)
{
	struct membership *membership = context;
	const struct proto_revocations *body;

	membership->revocations_call = NULL;
	if (result != 0) {
		return; /* the next heartbeat's answer asks */
	}
	body = PROTO_BODY(answer, revocations);
	for (size_t i = 0; i < body->sessions.count; i++) {
		struct proto_session_revoked revoked = {.session = body->sessions.items[i].session};

		membership->events.session_revoked(membership->context, &revoked);
	}
	if (body->version > membership->revocations_version) {
		membership->revocations_version = body->version;
	}
	if (body->more) {
		ask_revocations(membership);
	}
}

static void ask_revocations(struct membership *membership)
{
	struct proto_revocations_read body = {.after = membership->revocations_version};

	if (!membership->revocations_call && membership->events.session_revoked) {
		bus_call(membership->registry, PROTO_REVOCATIONS_READ, &body, NULL, on_revocations,
			 membership, &membership->revocations_call);
	}
}

static void on_session_revoked(struct membership *membership,
			       const struct proto_session_revoked *revoked)
{
	if (!membership->events.session_revoked) {
		return;
	}
	membership->events.session_revoked(membership->context, revoked);
	if (revoked->version == membership->revocations_version + 1) {
		membership->revocations_version++;
	} else if (revoked->version > membership->revocations_version) {
		ask_revocations(membership);
	}
}

static void check_revocations_version(struct membership *membership, uint64_t version)
{
	if (version < membership->revocations_version) {
		membership->revocations_version = 0; /* the registry went back */
	}
	if (version != membership->revocations_version) {
		ask_revocations(membership);
	}
}

/* --- the feed --- */

static void tell_assignment(struct membership *membership, uint64_t version)
{
	membership->assignment_version = version;
	if (membership->events.assignment_changed) {
		membership->events.assignment_changed(membership->context);
	}
}

static void on_feed(void *context, const struct proto_id *topic,
		    const struct proto_message *message)
{
	struct membership *membership = context;
	const struct membership_events *events = &membership->events;

	(void)topic;
	switch (message->header.type) {
	case PROTO_SLOTS_CHANGED:
		on_slots_changed(membership, PROTO_BODY(message, slots_changed));
		break;
	case PROTO_ASSIGNMENT_CHANGED:
		if (PROTO_BODY(message, assignment_changed)->version !=
		    membership->assignment_version) {
			tell_assignment(membership,
					PROTO_BODY(message, assignment_changed)->version);
		}
		break;
	case PROTO_NODE_CHANGED:
		if (events->node_changed) {
			events->node_changed(membership->context,
					     PROTO_BODY(message, node_changed));
		}
		break;
	case PROTO_SESSION_REVOKED:
		on_session_revoked(membership, PROTO_BODY(message, session_revoked));
		break;
	default:
		break; /* of a later version */
	}
}

static void on_feed_up(void *context)
{
	ask_slots(context);
}

/* Follow the registry's publisher, wherever it is now. */
static void follow(struct membership *membership, struct proto_span address)
{
	int r;

	if (membership->feed && proto_span_equal(proto_span(membership->feed_address), address)) {
		return;
	}
	bus_feed_free(membership->feed);
	membership->feed = NULL;
	memcpy(membership->feed_address, address.data, address.size);
	membership->feed_address[address.size] = '\0';
	r = bus_feed_new(membership->bus, membership->feed_address, on_feed, membership,
			 &membership->feed);
	if (r == 0) {
		bus_feed_on_up(membership->feed, on_feed_up, membership);
		r = bus_feed_subscribe(membership->feed, NULL);
	}
	if (r < 0) {
		log_error("membership.feed_failed", LOG_TEXT("address", membership->feed_address),
			  LOG_ERRNO(r));
	}
}

/* --- the lease --- */

static void on_lease_timer(uv_timer_t *timer)
{
	struct membership *membership = timer->data;

	if (membership_has_lease(membership)) { /* the loop's clock ran ahead of ours */
		(void)uv_timer_start(timer, on_lease_timer, 1, 0);
		return;
	}
	membership->lease_end_ms = 0;
	log_warn("membership.lease_lost",
		 LOG_TEXT("registry", bus_link_address(membership->registry)));
	if (membership->events.lease_lost) {
		membership->events.lease_lost(membership->context);
	}
}

static void renew_lease(struct membership *membership)
{
	uint64_t now_ms = clock_boot_ms();

	membership->lease_end_ms = membership->asked_ms +
				   MEMBERSHIP_LEASE_MS(membership->welcome.dead_ms);
	(void)uv_timer_start(
		&membership->lease_timer, on_lease_timer,
		membership->lease_end_ms > now_ms ? membership->lease_end_ms - now_ms : 0, 0);
}

bool membership_has_lease(const struct membership *membership)
{
	return membership->lease_end_ms > clock_boot_ms();
}

/* --- heartbeats --- */

static void tell_drained(struct membership *membership, bool known)
{
	void (*told)(void *context, bool known) = membership->on_drain_told;

	(void)uv_timer_stop(&membership->drain_timer);
	membership->on_drain_told = NULL;
	if (told) {
		told(membership->on_drain_told_context, known);
	}
}

/* The share of a core that the process used since it was asked last. */
static uint64_t load_permille(struct membership *membership)
{
	struct rusage usage;
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t cpu_us;
	uint64_t permille = 0;

	(void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for SELF */
	cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	if (now_ms > membership->cpu_at_ms) {
		permille = (cpu_us - membership->cpu_us) / (now_ms - membership->cpu_at_ms);
	}
	membership->cpu_us = cpu_us;
	membership->cpu_at_ms = now_ms;
	return permille;
}

static void fill_beat(struct membership *membership, struct proto_node_beat *beat)
{
	if (membership->events.beat) {
		membership->events.beat(membership->context, beat);
	}
	beat->node = membership->hello.node;
	beat->incarnation = membership->hello.incarnation;
	beat->load_permille = load_permille(membership);
	beat->leaving = membership->phase == MEMBERSHIP_LEAVING;
	beat->draining = membership->draining;
}

static void wait_ms(struct membership *membership, uint64_t ms)
{
	(void)uv_timer_start(&membership->beat_timer, on_beat_timer, ms, 0);
}

static uint64_t beat_ms(const struct membership *membership)
{
	uint64_t ms = membership->welcome.beat_ms;

	return ms > BEAT_MIN_MS ? ms : BEAT_MIN_MS;
}

static void on_beaten(void *context, int result, const struct proto_message *answer)
{
	struct membership *membership = context;
	const struct proto_node_beaten *beaten;

	membership->call = NULL;
	if (result == PROTO_E_UNKNOWN_NODE) {
		log_info("membership.unknown",
			 LOG_TEXT("registry", bus_link_address(membership->registry)));
		membership->phase = MEMBERSHIP_GREETING;
		greet(membership);
		return;
	}
	if (result != 0) {
		log_warn("membership.beat_failed",
			 LOG_TEXT("error", proto_error_info((enum proto_code)result)->code));
		return;
	}
	beaten = PROTO_BODY(answer, node_beaten);
	renew_lease(membership);
	if (membership->draining) {
		tell_drained(membership, true);
	}
	check_slots_version(membership, beaten->slots_version);
	check_revocations_version(membership, beaten->revocations_version);
	if (beaten->assignment_version != membership->assignment_version) {
		tell_assignment(membership, beaten->assignment_version);
	}
}

static void send_beat(struct membership *membership, uint64_t timeout_ms, bus_answer_fn on_answer)
{
	struct bus_call_options options = {.timeout_ms = timeout_ms};
	struct proto_node_beat beat = {0};

	fill_beat(membership, &beat);
	membership->asked_ms = clock_boot_ms();
	bus_call(membership->registry, PROTO_NODE_BEAT, &beat, &options, on_answer, membership,
		 &membership->call);
}

static void beat(struct membership *membership)
{
	if (!membership->call) {
		send_beat(membership, membership->welcome.dead_ms, on_beaten);
	}
	wait_ms(membership, beat_ms(membership));
}

/* What is on its way may be lost, or does not tell what there is to tell. */
static void beat_anew(struct membership *membership)
{
	if (membership->call) {
		bus_call_cancel(membership->call);
		membership->call = NULL;
	}
	beat(membership);
}

/* --- hello --- */

static int keep_welcome(struct membership *membership, const struct proto_node_welcome *welcome)
{
	struct proto_node_welcome copy = *welcome;
	int r = own(&copy.token_key);

	if (r == 0) {
		r = own(&copy.feed);
	}
	if (r < 0) {
		disown(&copy.token_key);
		return r;
	}
	disown(&membership->welcome.token_key);
	disown(&membership->welcome.feed);
	membership->welcome = copy;
	membership->was_welcomed = true;
	return 0;
}

static void on_welcome(void *context, int result, const struct proto_message *answer)
{
	struct membership *membership = context;

	membership->call = NULL;
	if (result == 0 && keep_welcome(membership, PROTO_BODY(answer, node_welcome)) < 0) {
		result = PROTO_E_INTERNAL;
	}
	if (result != 0) {
		log_warn("membership.hello_failed",
			 LOG_TEXT("error", proto_error_info((enum proto_code)result)->code));
		wait_ms(membership, HELLO_AGAIN_MS);
		return;
	}
	log_info("membership.welcome",
		 LOG_TEXT("registry", bus_link_address(membership->registry)));
	membership->phase = MEMBERSHIP_MEMBER;
	membership->believe_older = true;
	renew_lease(membership);
	follow(membership, membership->welcome.feed);
	ask_slots(membership);
	ask_revocations(membership);
	wait_ms(membership, beat_ms(membership));
	if (membership->events.welcomed) {
		membership->events.welcomed(membership->context, &membership->welcome);
	}
	if (membership->events.assignment_changed) {
		membership->events.assignment_changed(membership->context);
	}
}

static void greet(struct membership *membership)
{
	static const struct bus_call_options options = {.timeout_ms = HELLO_TIMEOUT_MS};

	membership->asked_ms = clock_boot_ms();
	bus_call(membership->registry, PROTO_NODE_HELLO, &membership->hello, &options, on_welcome,
		 membership, &membership->call);
}

static void on_beat_timer(uv_timer_t *timer)
{
	struct membership *membership = timer->data;

	if (membership->phase == MEMBERSHIP_MEMBER) {
		beat(membership);
	} else if (membership->phase == MEMBERSHIP_GREETING && !membership->call) {
		greet(membership);
	}
}

/* The registry is there again, perhaps another process: it tells in its answer what it knows. */
static void on_registry_up(void *context)
{
	struct membership *membership = context;

	if (membership->phase == MEMBERSHIP_MEMBER) {
		beat_anew(membership);
		ask_slots(membership);
	}
}

/* --- draining --- */

static void on_drain_timer(uv_timer_t *timer)
{
	tell_drained(timer->data, false);
}

void membership_drain(struct membership *membership, void (*told)(void *context, bool known),
		      void *context)
{
	membership->draining = true;
	membership->on_drain_told = told;
	membership->on_drain_told_context = context;
	(void)uv_timer_start(&membership->drain_timer, on_drain_timer, LEAVE_TIMEOUT_MS, 0);
	if (membership->phase == MEMBERSHIP_MEMBER) {
		beat_anew(membership);
	}
}

/* --- leaving --- */

static void on_left(void *context, int result, const struct proto_message *answer)
{
	struct membership *membership = context;

	(void)answer;
	membership->call = NULL;
	log_info("membership.left",
		 LOG_TEXT("code",
			  result == 0 ? "ok" : proto_error_info((enum proto_code)result)->code));
	if (membership->on_left) {
		membership->on_left(membership->on_left_context);
	}
}

static void stop_asking(struct membership *membership)
{
	(void)uv_timer_stop(&membership->beat_timer);
	(void)uv_timer_stop(&membership->lease_timer);
	(void)uv_timer_stop(&membership->drain_timer);
	if (membership->call) {
		bus_call_cancel(membership->call);
		membership->call = NULL;
	}
	if (membership->slots_call) {
		bus_call_cancel(membership->slots_call);
		membership->slots_call = NULL;
	}
	if (membership->revocations_call) {
		bus_call_cancel(membership->revocations_call);
		membership->revocations_call = NULL;
	}
}

void membership_leave(struct membership *membership, void (*left)(void *context), void *context)
{
	stop_asking(membership);
	membership->phase = MEMBERSHIP_LEAVING;
	membership->on_left = left;
	membership->on_left_context = context;
	send_beat(membership, LEAVE_TIMEOUT_MS, on_left);
}

/* --- life --- */

static void membership_unref(struct membership *membership)
{
	if (--membership->refs == 0) {
		free(membership);
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	membership_unref(handle->data);
}

static void init_timers(struct membership *membership, uv_loop_t *loop)
{
	uv_timer_t *const timers[TIMERS] = {&membership->beat_timer, &membership->lease_timer,
					    &membership->drain_timer};

	for (size_t i = 0; i < TIMERS; i++) {
		(void)uv_timer_init(loop, timers[i]);
		timers[i]->data = membership;
	}
	membership->refs = 1 + TIMERS;
}

int membership_new(struct bus *bus, uv_loop_t *loop, const struct membership_options *options,
		   const struct membership_events *events, void *context,
		   struct membership **ret_membership)
{
	struct membership *membership = calloc(1, sizeof(*membership));
	int r;

	if (!membership) {
		return -ENOMEM;
	}
	init_timers(membership, loop);
	membership->bus = bus;
	membership->events = *events;
	membership->context = context;
	membership->hello = options->hello;
	r = own_hello(&membership->hello);
	if (r == 0) {
		r = slot_map_new(&membership->slots);
	}
	if (r == 0) {
		r = bus_link_new(bus, options->registry, &membership->registry);
	}
	if (r < 0) {
		membership_free(membership);
		return r;
	}
	bus_link_on_up(membership->registry, on_registry_up, membership);
	(void)load_permille(membership);
	greet(membership);
	*ret_membership = membership;
	return 0;
}

void membership_free(struct membership *membership)
{
	if (!membership) {
		return;
	}
	stop_asking(membership);
	bus_feed_free(membership->feed);
	bus_link_free(membership->registry);
	slot_map_free(membership->slots);
	for (size_t i = 0; i < HELLO_TEXTS; i++) {
		disown(hello_text(&membership->hello, i));
	}
	disown(&membership->welcome.token_key);
	disown(&membership->welcome.feed);
	uv_close((uv_handle_t *)&membership->beat_timer, on_timer_closed);
	uv_close((uv_handle_t *)&membership->lease_timer, on_timer_closed);
	uv_close((uv_handle_t *)&membership->drain_timer, on_timer_closed);
	membership_unref(membership);
}

struct bus_link *membership_registry(struct membership *membership)
{
	return membership->registry;
}

struct slot_map *membership_slots(struct membership *membership)
{
	return membership->slots;
}

const struct proto_node_welcome *membership_welcome(const struct membership *membership)
{
	return membership->was_welcomed ? &membership->welcome : NULL;
}
