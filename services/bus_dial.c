/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Connecting sockets: what libzmq does not do by itself.
 *
 *   - When a server refuses a handshake (ZAP, or another mechanism), libzmq gives the connection up
 *     for ever. Keys are approved and servers change, so we dial again after BUS_REDIAL_MS.
 *   - A server may have two keys while its operator changes them: after each failed handshake the
 *     other one is tried.
 *   - A server whose key is revoked is left: `is_listed` remembers that it was approved once, since
 *     the registry's own key is in no list.
 */

#include <stddef.h>
#include "services/bus_internal.h"
#include "services/clock.h"
#include "services/log.h"

static const char *event_name(unsigned int event)
{
	switch (event) {
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		return "the server does not know our key, or not yet";
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		return "the server does not speak CURVE, or we do not";
	default:
		return "the server has another key, or gave up";
	}
}

static void on_again(struct deadline *deadline)
{
	struct bus_dial *dial = (struct bus_dial *)((char *)deadline -
						    offsetof(struct bus_dial, again));

	if (dial->place.key_count > 1) {
		dial->place.turn = (dial->place.turn + 1) % dial->place.key_count;
	}
	bus_dial_now(dial);
}

void bus_dial_init(struct bus_dial *dial, struct bus_socket *socket)
{
	dial->socket = socket;
	dial->again.expire = on_again;
}

void bus_dial_deinit(struct bus_dial *dial)
{
	if (dial->socket->bus) {
		bus_remove_deadline(dial->socket->bus, &dial->again);
	}
}

void bus_dial_succeeded(struct bus_dial *dial)
{
	dial->is_failing = false;
	bus_remove_deadline(dial->socket->bus, &dial->again);
	bus_dial_check(dial);
}

void bus_dial_failed(struct bus_dial *dial, unsigned int event)
{
	struct bus_place *place = &dial->place;

	if (!dial->is_failing) {
		log_warn("bus.handshake_failed", LOG_TEXT("address", place->endpoints[0]),
			 LOG_TEXT("why", event_name(event)));
		dial->is_failing = true;
	}
	if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && place->key_count < 2) {
		return; /* libzmq tries again */
	}
	if (dial->again.place == 0) {
		bus_set_deadline(dial->socket->bus, &dial->again,
				 clock_monotonic_ms() + BUS_REDIAL_MS);
	}
}

void bus_dial_now(struct bus_dial *dial)
{
	int r;

	if (!dial->socket->zmq || dial->is_revoked) {
		return;
	}
	r = bus_socket_dial_again(dial->socket, &dial->place);
	if (r < 0) {
		log_error("bus.not_dialled", LOG_TEXT("address", dial->place.endpoints[0]),
			  LOG_ERRNO(r));
	}
}

bool bus_dial_check(struct bus_dial *dial)
{
	const struct keyring *keyring = &dial->socket->bus->keyring;
	const struct bus_place *place = &dial->place;
	bool listed = place->key_count == 1 && keyring_find(keyring, &place->keys[0]);

	if (dial->is_listed && !listed && !dial->is_revoked) {
		log_warn("bus.server_revoked", LOG_TEXT("address", place->endpoints[0]));
		(void)zmq_disconnect(dial->socket->zmq, place->endpoints[0]);
		bus_touch(dial->socket);
		dial->is_revoked = true;
		return false;
	}
	dial->is_listed = dial->is_listed || listed;
	return true;
}
