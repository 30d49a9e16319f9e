/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Sockets on the loop.
 *
 * A ZeroMQ socket does not become readable itself; its ZMQ_FD does, when *commands* for the socket
 * wait (a pipe has got messages, a pipe has room again, a connection came or went). Nearly every
 * call on the socket takes waiting commands in and makes the descriptor quiet, whatever they said.
 * So the descriptor is edge-triggered in the worst way: a send may swallow the news that there is
 * something to receive.
 *
 * We deal with it as an edge-triggered dispatcher must: readiness is remembered by us, not asked
 * from the kernel. A socket is on the ready list from the moment at which something may have
 * happened (its descriptor woke us, or we called it) until its turn has seen that nothing is left.
 * Before the loop sleeps, the list is empty, or an idle handle keeps the loop from sleeping:
 *
 *   fd readable ──▶ on the list ──▶ turn, after poll (check)
 *   bus_call(), bus_reply()… ──▶      │
 *        ▲                            ├─ BUS_BATCH_MAX messages taken ──▶ on the list again, at its
 *        end
 *        │                            └─ receive gave EAGAIN ──▶ off the list
 *
 * EAGAIN from a receive is proof: libzmq takes in all commands before it gives up, so nothing is
 * unread, and whatever comes later makes the descriptor readable again. Reading ZMQ_EVENTS does the
 * same, and is what a turn does when it ends with a send. One proof a turn, and not one a message:
 * it costs a system call.
 *
 * The loop order makes this work: timers, idle, prepare, poll, check. All turns and callbacks run
 * in check.
 * Whatever the others touch is on the list when prepare decides whether poll may sleep, because
 * nothing of ours runs between prepare and poll. (Callbacks in prepare would work as well, but
 * leave somebody who turns the loop with UV_RUN_ONCE asleep in poll after what they wait for has
 * happened.)
 */

#include "services/bus_internal.h"

#include <errno.h>
#include <stdlib.h>
#include "services/clock.h"
#include "services/log.h"

#define BUS_HANDLES 4
#define BUS_CLOSE_ROUNDS 16 /* calls made by callbacks of calls that end with the bus */

_Noreturn void bus_no_memory(void)
{
	log_error("bus.no_memory");
	abort();
}

void bus_touch(struct bus_socket *socket)
{
	struct bus *bus = socket->bus;

	if (socket->zmq && !socket->is_ready && !socket->has_turn) {
		socket->is_ready = true;
		DL_APPEND(bus->ready, socket);
		bus->ready_count++;
	}
}

void bus_untouch(struct bus_socket *socket)
{
	struct bus *bus = socket->bus;

	if (socket->is_ready) {
		socket->is_ready = false;
		DL_DELETE(bus->ready, socket);
		bus->ready_count--;
	}
}

/* One turn for each socket that is on the list now; those that are touched meanwhile come later. */
static void run_ready(struct bus *bus)
{
	for (size_t n = bus->ready_count; n > 0 && bus->ready; n--) {
		struct bus_socket *socket = bus->ready;
		bool more;

		bus_untouch(socket);
		socket->has_turn = true;
		more = socket->turn(socket);
		socket->has_turn = false;
		if (more) {
			bus_touch(socket);
		}
	}
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle; /* its existence keeps poll from sleeping */
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct bus *bus = prepare->data;

	if (!bus->is_closed && (bus->ready || bus->ended)) {
		(void)uv_idle_start(&bus->idle, on_idle);
	} else {
		(void)uv_idle_stop(&bus->idle);
	}
}

static void on_check(uv_check_t *check)
{
	struct bus *bus = check->data;

	if (!bus->is_closed) {
		bus_calls_tell_ended(bus);
		run_ready(bus);
	}
}

/* --- deadlines --- */

static void on_timer(uv_timer_t *timer);

static void arm(struct bus *bus)
{
	const struct deadline *first = deadlines_first(&bus->deadlines);
	uint64_t now_ms;

	if (!first || bus->is_closed || first->due_ms >= bus->armed_ms) {
		return; /* a timer that fires early finds nothing, and is armed again */
	}
	now_ms = clock_monotonic_ms();
	bus->armed_ms = first->due_ms;
	uv_update_time(bus->loop);
	(void)uv_timer_start(&bus->timer, on_timer,
			     first->due_ms > now_ms ? first->due_ms - now_ms : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct bus *bus = timer->data;
	uint64_t now_ms = clock_monotonic_ms();
	struct deadline *first;

	bus->armed_ms = UINT64_MAX;
	while (!bus->is_closed && (first = deadlines_first(&bus->deadlines)) &&
	       first->due_ms <= now_ms) {
		deadlines_remove(&bus->deadlines, first);
		first->expire(first);
	}
	arm(bus);
}

void bus_set_deadline(struct bus *bus, struct deadline *deadline, uint64_t due_ms)
{
	if (deadlines_set(&bus->deadlines, deadline, due_ms) < 0) {
		bus_no_memory();
	}
	arm(bus);
}

void bus_remove_deadline(struct bus *bus, struct deadline *deadline)
{
	deadlines_remove(&bus->deadlines, deadline);
}

/* --- life --- */

void bus_unref(struct bus *bus)
{
	if (--bus->refs == 0) {
		deadlines_deinit(&bus->deadlines);
		proto_buffer_deinit(&bus->scratch);
		keyring_deinit(&bus->keyring);
		key_pair_free(bus->pair);
		free(bus);
	}
}

static void on_handle_closed(uv_handle_t *handle)
{
	bus_unref(handle->data);
}

static void init_handles(struct bus *bus)
{
	/* None of these can fail: they only fill in the structs. */
	(void)uv_prepare_init(bus->loop, &bus->prepare);
	(void)uv_check_init(bus->loop, &bus->check);
	(void)uv_idle_init(bus->loop, &bus->idle);
	(void)uv_timer_init(bus->loop, &bus->timer);
	bus->prepare.data = bus;
	bus->check.data = bus;
	bus->idle.data = bus;
	bus->timer.data = bus;
	bus->refs += BUS_HANDLES;
	(void)uv_prepare_start(&bus->prepare, on_prepare);
	(void)uv_check_start(&bus->check, on_check);
	uv_unref((uv_handle_t *)&bus->prepare);
	uv_unref((uv_handle_t *)&bus->check);
}

int bus_new(uv_loop_t *loop, struct metrics *metrics, struct bus **ret_bus)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus) {
		return -ENOMEM;
	}
	bus->loop = loop;
	bus->armed_ms = UINT64_MAX;
	r = bus_numbers_init(&bus->numbers, metrics);
	if (r < 0) {
		free(bus);
		return r;
	}
	bus->context = zmq_ctx_new();
	if (!bus->context) {
		r = -errno;
		free(bus);
		return r;
	}
	bus->refs = 1;
	init_handles(bus);
	*ret_bus = bus;
	return 0;
}

void bus_close(struct bus *bus)
{
	if (!bus || bus->is_closed) {
		return;
	}
	bus->is_closed = true;
	bus_links_end_calls(bus);
	for (int i = 0; i < BUS_CLOSE_ROUNDS && bus->ended; i++) {
		bus_calls_tell_ended(bus);
	}
	bus_calls_drop_ended(bus);
}

static void free_parts(struct bus *bus)
{
	while (bus->links) {
		bus_link_free(bus->links);
	}
	while (bus->feeds) {
		bus_feed_free(bus->feeds);
	}
	while (bus->servers) {
		bus_server_free(bus->servers);
	}
	while (bus->publishers) {
		bus_publisher_free(bus->publishers);
	}
	bus_zap_free(bus->zap);
	bus->zap = NULL;
}

/* --- keys --- */

int bus_secure(struct bus *bus, struct key_pair *pair)
{
	int r = bus_zap_new(bus, &bus->zap); /* before any socket that needs it */

	if (r == 0) {
		bus->pair = pair;
	}
	return r;
}

const struct key *bus_key(const struct bus *bus)
{
	return bus->pair ? key_pair_public(bus->pair) : NULL;
}

const struct keyring *bus_keyring(const struct bus *bus)
{
	return &bus->keyring;
}

int bus_approve(struct bus *bus, uint64_t version, const struct proto_list_key_ref *keys)
{
	int r = keyring_replace(&bus->keyring, version, keys);

	if (r == 0) {
		bus_servers_check(bus);
		bus_publishers_check(bus);
		bus_links_check(bus);
		bus_feeds_check(bus);
	}
	return r;
}

void bus_free(struct bus *bus)
{
	uv_handle_t *handles[BUS_HANDLES];

	if (!bus) {
		return;
	}
	bus_close(bus);
	free_parts(bus);
	handles[0] = (uv_handle_t *)&bus->prepare;
	handles[1] = (uv_handle_t *)&bus->check;
	handles[2] = (uv_handle_t *)&bus->idle;
	handles[3] = (uv_handle_t *)&bus->timer;
	for (size_t i = 0; i < BUS_HANDLES; i++) {
		uv_close(handles[i], on_handle_closed);
	}
	(void)zmq_ctx_term(bus->context); /* waits for BUS_LINGER_MS at the most */
	bus->context = NULL;
	bus_unref(bus);
}
