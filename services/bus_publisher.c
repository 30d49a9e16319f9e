/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Publishers: an XPUB. What subscribers send is their subscriptions, which libzmq keeps in its
 * tree; they are taken off the socket and counted, because XPUB keeps them for us without a limit
 * otherwise. A subscriber that does not keep up loses messages, silently: readers find gaps by
 * their numbers.
 */

#include "services/bus_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "services/log.h"

struct bus_publisher {
	struct bus *bus;
	struct bus_socket socket;
	unsigned int refs;
	char address[BUS_ENDPOINT_BYTES];
	struct bus_publisher *prev;
	struct bus_publisher *next;
};

static bool publisher_turn(struct bus_socket *socket)
{
	zmq_msg_t frame;

	for (size_t i = 0; i < BUS_BATCH_MAX; i++) {
		if (bus_frame_receive(socket, &frame) < 0) {
			return false;
		}
		(void)zmq_msg_close(&frame);
	}
	return true;
}

void bus_publish(struct bus_publisher *publisher, const struct proto_id *topic,
		 enum proto_type type, const void *body)
{
	static const struct proto_id none = {{0}};
	struct proto_header header = {.type = type};
	const struct proto_id *key = topic ? topic : &none;
	struct bus *bus = publisher->bus;
	zmq_msg_t frame;
	int r = bus_frame_encode(bus, &frame, &header, body);

	if (r < 0) {
		log_error("bus.bad_publication", LOG_NUMBER("type", type), LOG_ERRNO(r));
		return;
	}
	if (zmq_send(publisher->socket.zmq, key->bytes, sizeof(key->bytes),
		     ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
	    zmq_msg_send(&frame, publisher->socket.zmq, ZMQ_DONTWAIT) < 0) {
		log_error("bus.not_published", LOG_NUMBER("type", type), LOG_ERRNO(errno));
		(void)zmq_msg_close(&frame);
	} else {
		bus_numbers_count(bus->numbers.published);
		log_debug("bus.publish", LOG_NUMBER("type", type), LOG_ID("topic", key));
	}
	bus_touch(&publisher->socket);
}

static void publisher_unref(struct bus_publisher *publisher)
{
	if (--publisher->refs == 0) {
		free(publisher);
	}
}

static void on_closed(struct bus_socket *socket)
{
	publisher_unref(
		(struct bus_publisher *)((char *)socket - offsetof(struct bus_publisher, socket)));
}

int bus_publisher_new(struct bus *bus, const char *address, struct bus_publisher **ret_publisher)
{
	struct bus_publisher *publisher = calloc(1, sizeof(*publisher));
	int r;

	if (!publisher) {
		return -ENOMEM;
	}
	publisher->bus = bus;
	publisher->socket.turn = publisher_turn;
	publisher->socket.closed = on_closed;
	r = bus_socket_open(&publisher->socket, NULL, bus, ZMQ_XPUB, address);
	publisher->refs = 1 + bus_socket_is_adopted(&publisher->socket);
	if (r == 0) {
		r = bus_socket_address(&publisher->socket, publisher->address);
	}
	if (r < 0) {
		bus_socket_close(&publisher->socket, NULL);
		publisher_unref(publisher);
		return r;
	}
	DL_APPEND(bus->publishers, publisher);
	*ret_publisher = publisher;
	return 0;
}

void bus_publisher_free(struct bus_publisher *publisher)
{
	if (!publisher) {
		return;
	}
	DL_DELETE(publisher->bus->publishers, publisher);
	bus_socket_close(&publisher->socket, NULL);
	publisher_unref(publisher);
}

const char *bus_publisher_address(const struct bus_publisher *publisher)
{
	return publisher->address;
}
