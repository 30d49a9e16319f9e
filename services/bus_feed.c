/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Feeds: a SUB. Topics are 16 bytes, always, because ZeroMQ matches by prefix. libzmq counts equal
 * subscriptions, keeps them, and sends them again on every new connection.
 */

#include "services/bus_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "services/log.h"

struct bus_feed {
	struct bus *bus;
	struct bus_socket socket;
	struct bus_socket monitor;
	unsigned int refs;
	char *address;
	bool is_inproc; /* no monitor events: counts as up */
	bool was_up;
	bus_feed_fn on_message;
	void *context;
	void (*on_up)(void *context);
	void *on_up_context;
	struct bus_feed *prev;
	struct bus_feed *next;
};

static void feed_take(struct bus_feed *feed, zmq_msg_t *topic, zmq_msg_t *frame)
{
	_cleanup_(proto_message_cleanup) struct proto_message message = PROTO_MESSAGE_INIT;
	struct bus *bus = feed->bus;
	struct proto_id id;

	if (zmq_msg_size(topic) != sizeof(id.bytes) ||
	    proto_decode(zmq_msg_data(frame), zmq_msg_size(frame), &message, NULL) != 0) {
		bus_numbers_drop(&bus->numbers, BUS_DROP_MALFORMED);
		return;
	}
	memcpy(id.bytes, zmq_msg_data(topic), sizeof(id.bytes));
	bus_numbers_count(bus->numbers.received);
	log_debug("bus.publication", LOG_TEXT("type", message.info->record->name), LOG_ID("topic", &id));
	feed->on_message(feed->context, &id, &message);
}

/* One message. Returns false if there was none. */
static bool feed_receive(struct bus_feed *feed)
{
	zmq_msg_t topic;
	zmq_msg_t frame;

	if (!feed->socket.zmq || bus_frame_receive(&feed->socket, &topic) < 0) {
		return false;
	}
	if (!zmq_msg_more(&topic) || bus_frame_receive(&feed->socket, &frame) < 0) {
		bus_numbers_drop(&feed->bus->numbers, BUS_DROP_PARTS);
	} else {
		if (zmq_msg_more(&frame)) {
			bus_frames_skip(&feed->socket);
			bus_numbers_drop(&feed->bus->numbers, BUS_DROP_PARTS);
		} else {
			feed_take(feed, &topic, &frame);
		}
		(void)zmq_msg_close(&frame);
	}
	(void)zmq_msg_close(&topic);
	return true;
}

static void feed_went_up(struct bus_feed *feed)
{
	feed->was_up = true;
	log_debug("bus.feed_up", LOG_TEXT("address", feed->address));
	(void)bus_socket_events(&feed->socket); /* SUB sends its subscriptions when it sees the connection */
	bus_touch(&feed->socket);
	if (feed->on_up) {
		feed->on_up(feed->on_up_context);
	}
}

static bool feed_turn(struct bus_socket *socket)
{
	struct bus_feed *feed = (struct bus_feed *)((char *)socket - offsetof(struct bus_feed, socket));

	if (feed->is_inproc && !feed->was_up) {
		feed_went_up(feed);
	}
	for (size_t i = 0; i < BUS_BATCH_MAX; i++) {
		if (!feed_receive(feed)) {
			return false;
		}
	}
	return true;
}

static bool monitor_turn(struct bus_socket *socket)
{
	struct bus_feed *feed = (struct bus_feed *)((char *)socket - offsetof(struct bus_feed, monitor));
	unsigned int event;
	int value;

	while (bus_monitor_read(&feed->monitor, &event, &value)) {
		if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
			feed_went_up(feed);
		}
	}
	return false;
}

static int set_subscription(struct bus_feed *feed, int option, const struct proto_id *topic)
{
	int r = zmq_setsockopt(feed->socket.zmq, option, topic ? topic->bytes : NULL, topic ? sizeof(topic->bytes) : 0);

	r = r < 0 ? -errno : 0;
	bus_touch(&feed->socket);
	return r;
}

int bus_feed_subscribe(struct bus_feed *feed, const struct proto_id *topic)
{
	return set_subscription(feed, ZMQ_SUBSCRIBE, topic);
}

void bus_feed_unsubscribe(struct bus_feed *feed, const struct proto_id *topic)
{
	(void)set_subscription(feed, ZMQ_UNSUBSCRIBE, topic);
}

void bus_feed_on_up(struct bus_feed *feed, void (*on_up)(void *context), void *context)
{
	feed->on_up = on_up;
	feed->on_up_context = context;
}

/* --- life --- */

static void feed_unref(struct bus_feed *feed)
{
	if (--feed->refs == 0) {
		free(feed->address);
		free(feed);
	}
}

static void on_socket_closed(struct bus_socket *socket)
{
	feed_unref((struct bus_feed *)((char *)socket - offsetof(struct bus_feed, socket)));
}

static void on_monitor_closed(struct bus_socket *socket)
{
	feed_unref((struct bus_feed *)((char *)socket - offsetof(struct bus_feed, monitor)));
}

int bus_feed_new(struct bus *bus, const char *address, bus_feed_fn on_message, void *context, struct bus_feed **ret_feed)
{
	struct bus_feed *feed = calloc(1, sizeof(*feed));
	int r;

	if (!feed || !(feed->address = strdup(address))) {
		free(feed);
		return -ENOMEM;
	}
	feed->bus = bus;
	feed->on_message = on_message;
	feed->context = context;
	feed->is_inproc = strncmp(address, "inproc://", strlen("inproc://")) == 0;
	feed->socket.turn = feed_turn;
	feed->socket.closed = on_socket_closed;
	feed->monitor.turn = monitor_turn;
	feed->monitor.closed = on_monitor_closed;
	r = bus_socket_open(&feed->socket, &feed->monitor, bus, ZMQ_SUB, address);
	feed->refs = 1 + bus_socket_is_adopted(&feed->socket) + bus_socket_is_adopted(&feed->monitor);
	if (r < 0) {
		feed_unref(feed);
		return r;
	}
	DL_APPEND(bus->feeds, feed);
	*ret_feed = feed;
	return 0;
}

void bus_feed_free(struct bus_feed *feed)
{
	if (!feed) {
		return;
	}
	DL_DELETE(feed->bus->feeds, feed);
	bus_socket_close(&feed->socket, &feed->monitor);
	feed_unref(feed);
}
