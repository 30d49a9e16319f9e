/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Publishers: an XPUB. What subscribers send is their subscriptions, which libzmq keeps in its
 * tree; they are taken off the socket, because XPUB keeps them for us without a limit otherwise. A
 * subscriber that does not keep up loses messages, silently: readers find gaps by their numbers.
 *
 * Keys. ZAP lets approved keys in. A subscription carries the key of its connection, and every one
 * is told to us (ZMQ_XPUB_VERBOSE): so we know which connections to close when a key is revoked.
 */

#include "services/bus_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "services/log.h"

/* A connection with a key that has subscribed. */
struct subscriber {
	int fd;
	struct key key;
	UT_hash_handle hh;
};

struct bus_publisher {
	struct bus *bus;
	struct bus_socket socket;
	struct bus_socket monitor;
	struct bus_place place;
	struct subscriber *subscribers; /* by descriptor */
	unsigned int refs;
	struct bus_publisher *prev;
	struct bus_publisher *next;
};

static struct subscriber *subscriber_get(struct bus_publisher *publisher, int fd)
{
	struct subscriber *subscriber;

	HASH_FIND_INT(publisher->subscribers, &fd, subscriber);
	if (subscriber) {
		return subscriber;
	}
	subscriber = calloc(1, sizeof(*subscriber));
	if (!subscriber) {
		return NULL;
	}
	subscriber->fd = fd;
	HASH_ADD_INT(publisher->subscribers, fd, subscriber);
	if (!subscriber->hh.tbl) {
		free(subscriber);
		return NULL;
	}
	return subscriber;
}

static void subscriber_forget(struct bus_publisher *publisher, struct subscriber *subscriber)
{
	HASH_DEL(publisher->subscribers, subscriber);
	free(subscriber);
}

/* A key may have been revoked between its handshake and its subscription. */
static void take_subscription(struct bus_publisher *publisher, zmq_msg_t *frame)
{
	const char *user = zmq_msg_gets(frame, BUS_USER_PROPERTY);
	int fd = zmq_msg_get(frame, ZMQ_SRCFD);
	struct subscriber *subscriber;
	struct key key;

	if (!user && bus_connection_is_unix(fd)) {
		return;
	}
	subscriber = user && fd >= 0 ? subscriber_get(publisher, fd) : NULL;
	if (!subscriber || !key_parse(proto_span(user), &key) ||
	    !keyring_find(&publisher->bus->keyring, &key)) {
		bus_connection_cut(fd);
		return;
	}
	subscriber->key = key;
}

static bool publisher_turn(struct bus_socket *socket)
{
	struct bus_publisher *publisher =
		(struct bus_publisher *)((char *)socket - offsetof(struct bus_publisher, socket));
	zmq_msg_t frame;

	for (size_t i = 0; i < BUS_BATCH_MAX; i++) {
		if (bus_frame_receive(socket, &frame) < 0) {
			return false;
		}
		if (socket->zap_number > 0) {
			take_subscription(publisher, &frame);
		}
		(void)zmq_msg_close(&frame);
	}
	return true;
}

static bool monitor_turn(struct bus_socket *socket)
{
	struct bus_publisher *publisher =
		(struct bus_publisher *)((char *)socket - offsetof(struct bus_publisher, monitor));
	struct subscriber *subscriber;
	unsigned int event;
	int fd;

	while (bus_monitor_read(&publisher->monitor, &event, &fd)) {
		HASH_FIND_INT(publisher->subscribers, &fd, subscriber);
		if (event == ZMQ_EVENT_DISCONNECTED && subscriber) {
			subscriber_forget(publisher, subscriber);
		}
	}
	return false;
}

void bus_publishers_check(struct bus *bus)
{
	struct bus_publisher *publisher;
	struct subscriber *subscriber;

	DL_FOREACH(bus->publishers, publisher)
	{
		for (subscriber = publisher->subscribers; subscriber;
		     subscriber = subscriber->hh.next) {
			if (!keyring_find(&bus->keyring, &subscriber->key)) {
				bus_connection_cut(subscriber->fd);
			}
		}
	}
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

static void on_socket_closed(struct bus_socket *socket)
{
	publisher_unref(
		(struct bus_publisher *)((char *)socket - offsetof(struct bus_publisher, socket)));
}

static void on_monitor_closed(struct bus_socket *socket)
{
	publisher_unref(
		(struct bus_publisher *)((char *)socket - offsetof(struct bus_publisher, monitor)));
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
	publisher->socket.closed = on_socket_closed;
	publisher->monitor.turn = monitor_turn;
	publisher->monitor.closed = on_monitor_closed;
	r = bus_socket_open(&publisher->socket, &publisher->monitor, bus, ZMQ_XPUB, address,
			    &publisher->place);
	publisher->refs = 1 + bus_socket_is_adopted(&publisher->socket) +
			  bus_socket_is_adopted(&publisher->monitor);
	if (r < 0) {
		publisher_unref(publisher);
		return r;
	}
	DL_APPEND(bus->publishers, publisher);
	*ret_publisher = publisher;
	return 0;
}

void bus_publisher_free(struct bus_publisher *publisher)
{
	struct subscriber *subscriber;
	struct subscriber *next;

	if (!publisher) {
		return;
	}
	HASH_ITER(hh, publisher->subscribers, subscriber, next)
	{
		subscriber_forget(publisher, subscriber);
	}
	DL_DELETE(publisher->bus->publishers, publisher);
	bus_socket_close(&publisher->socket, &publisher->monitor);
	publisher_unref(publisher);
}

const char *bus_publisher_address(const struct bus_publisher *publisher)
{
	return publisher->place.shared;
}

const char *bus_publisher_local_address(const struct bus_publisher *publisher)
{
	return bus_place_local(&publisher->place);
}
