/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Feeds: an XSUB. Topics are 16 bytes, always, because ZeroMQ matches by prefix.
 *
 * Not a SUB: libzmq 4.3.4 takes the cancelling of a topic whose first byte is 1 (one room of 256)
 * for a subscription: it tells the publisher at once, however many subscriptions are left, and
 * forgets nothing itself. The frames that an XSUB sends have no such ambiguity. So subscriptions
 * are counted here, and what comes without one (on its way when it was cancelled) is left out here.
 * libzmq keeps them as well, and sends them again on every new connection.
 */

#include "services/bus_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "services/log.h"

#define SUBSCRIBE 1 /* first byte of a subscription frame */
#define CANCEL 0

struct topic {
	struct proto_id id;
	size_t count;
	UT_hash_handle hh;
};

struct bus_feed {
	struct bus *bus;
	struct topic *topics;
	size_t all_count; /* subscriptions to everything */
	struct bus_socket socket;
	struct bus_socket monitor;
	struct bus_dial dial;
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

static struct topic *topic_find(struct bus_feed *feed, const struct proto_id *id)
{
	struct topic *topic;

	HASH_FIND(hh, feed->topics, id->bytes, sizeof(id->bytes), topic);
	return topic;
}

static void feed_take(struct bus_feed *feed, zmq_msg_t *topic, zmq_msg_t *frame)
{
	_cleanup_(proto_message_cleanup) struct proto_message message = PROTO_MESSAGE_INIT;
	struct bus *bus = feed->bus;
	struct proto_id id;

	if (feed->dial.is_revoked) {
		return; /* it was on its way */
	}
	if (zmq_msg_size(topic) != sizeof(id.bytes)) {
		bus_numbers_drop(&bus->numbers, BUS_DROP_MALFORMED);
		return;
	}
	memcpy(id.bytes, zmq_msg_data(topic), sizeof(id.bytes));
	if (feed->all_count == 0 && !topic_find(feed, &id)) {
		return;
	}
	if (proto_decode(zmq_msg_data(frame), zmq_msg_size(frame), &message, NULL) != 0) {
		bus_numbers_drop(&bus->numbers, BUS_DROP_MALFORMED);
		return;
	}
	bus_numbers_count(bus->numbers.received);
	log_debug("bus.publication", LOG_TEXT("type", message.info->record->name),
		  LOG_ID("topic", &id));
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
	(void)bus_socket_events(
		&feed->socket); /* XSUB sends its subscriptions when it sees the connection */
	bus_touch(&feed->socket);
	if (feed->on_up) {
		feed->on_up(feed->on_up_context);
	}
}

static bool feed_turn(struct bus_socket *socket)
{
	struct bus_feed *feed = (struct bus_feed *)((char *)socket -
						    offsetof(struct bus_feed, socket));

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

void bus_feeds_check(struct bus *bus)
{
	struct bus_feed *feed;

	DL_FOREACH(bus->feeds, feed)
	{
		if (feed->dial.place.key_count > 0) {
			(void)bus_dial_check(&feed->dial);
		}
	}
}

static bool monitor_turn(struct bus_socket *socket)
{
	struct bus_feed *feed = (struct bus_feed *)((char *)socket -
						    offsetof(struct bus_feed, monitor));
	unsigned int event;
	int value;

	while (bus_monitor_read(&feed->monitor, &event, &value)) {
		if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
			bus_dial_succeeded(&feed->dial);
			feed_went_up(feed);
		} else if ((event & BUS_EVENTS_HANDSHAKE_FAILED) != 0) {
			bus_dial_failed(&feed->dial, event);
		}
	}
	return false;
}

/* Tell the publisher. `id` NULL: everything. */
static int send_subscription(struct bus_feed *feed, uint8_t what, const struct proto_id *id)
{
	uint8_t frame[1 + PROTO_ID_BYTES] = {what};
	size_t size = 1;

	if (id) {
		memcpy(frame + 1, id->bytes, sizeof(id->bytes));
		size = sizeof(frame);
	}
	bus_touch(&feed->socket);
	return zmq_send(feed->socket.zmq, frame, size, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

static void topic_free(struct bus_feed *feed, struct topic *topic)
{
	HASH_DELETE(hh, feed->topics, topic);
	free(topic);
}

static int topic_new(struct bus_feed *feed, const struct proto_id *id)
{
	struct topic *topic;
	int r;

	if (HASH_COUNT(feed->topics) >= BUS_TOPICS_MAX) {
		return -ENOBUFS;
	}
	topic = calloc(1, sizeof(*topic));
	if (!topic) {
		return -ENOMEM;
	}
	topic->id = *id;
	topic->count = 1;
	HASH_ADD(hh, feed->topics, id, sizeof(topic->id), topic);
	if (!topic->hh.tbl) {
		free(topic);
		return -ENOMEM;
	}
	r = send_subscription(feed, SUBSCRIBE, id);
	if (r < 0) {
		topic_free(feed, topic);
	}
	return r;
}

static int subscribe_all(struct bus_feed *feed)
{
	int r = feed->all_count == 0 ? send_subscription(feed, SUBSCRIBE, NULL) : 0;

	feed->all_count += r == 0;
	return r;
}

int bus_feed_subscribe(struct bus_feed *feed, const struct proto_id *id)
{
	struct topic *topic = id ? topic_find(feed, id) : NULL;

	if (!id) {
		return subscribe_all(feed);
	}
	if (topic) {
		topic->count++;
		return 0;
	}
	return topic_new(feed, id);
}

void bus_feed_unsubscribe(struct bus_feed *feed, const struct proto_id *id)
{
	struct topic *topic = id ? topic_find(feed, id) : NULL;

	if (topic && --topic->count == 0) {
		(void)send_subscription(feed, CANCEL, &topic->id);
		topic_free(feed, topic);
	} else if (!id && feed->all_count > 0 && --feed->all_count == 0) {
		(void)send_subscription(feed, CANCEL, NULL);
	}
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

int bus_feed_new(struct bus *bus, const char *address, bus_feed_fn on_message, void *context,
		 struct bus_feed **ret_feed)
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
	bus_dial_init(&feed->dial, &feed->socket);
	r = bus_socket_open(&feed->socket, &feed->monitor, bus, ZMQ_XSUB, address,
			    &feed->dial.place);
	feed->refs = 1 + bus_socket_is_adopted(&feed->socket) +
		     bus_socket_is_adopted(&feed->monitor);
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
	struct topic *topic;
	struct topic *next;

	if (!feed) {
		return;
	}
	HASH_ITER(hh, feed->topics, topic, next)
	{
		topic_free(feed, topic);
	}
	bus_dial_deinit(&feed->dial);
	DL_DELETE(feed->bus->feeds, feed);
	bus_socket_close(&feed->socket, &feed->monitor);
	feed_unref(feed);
}
