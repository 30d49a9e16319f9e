/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Life, input and output of a connection; what its messages ask for is done in ask.c. See
 * connection.h.
 *
 * Output: frames are queued and leave together at the end of the loop's turn, in one send while the
 * socket takes them. A full queue gives up its events, which the log can give again, and keeps
 * answers.
 */

#include "gateway/connection.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <utlist.h>
#include "gateway/ask.h"
#include "gateway/follow.h"
#include "gateway/listener.h"
#include "gateway/session.h"

#define SENDS_PER_TURN 8

struct early {
	struct early *next;
	bool binary;
	size_t size;
	char data[];
};

/* --- output --- */

static void mark_dirty(struct connection *connection)
{
	if (!connection->is_dirty) {
		connection->is_dirty = true;
		DL_APPEND2(connection->gateway->dirty, connection, dirty_prev, dirty_next);
	}
}

bool connection_has_room(const struct connection *connection)
{
	return connection->outbox.bytes * 4 < connection->outbox.bytes_max;
}

static void overflow(struct connection *connection, struct frame *frame, struct follow *follow,
		     uint64_t seq)
{
	outbox_shed(&connection->outbox, follow_shed);
	metric_add(connection->gateway->numbers.slow, 1);
	if (follow) {
		follow_shed(follow, seq);
	} else if (outbox_push(&connection->outbox, frame, NULL, 0) != 0) {
		connection_close(connection, "too_slow", false, 0, CLOSE_TOO_SLOW);
	}
}

void connection_send(struct connection *connection, struct frame *frame, struct follow *follow,
		     uint64_t seq)
{
	if (connection->closing_ms > 0) {
		return;
	}
	if (connection->outbox.count == 0 && !listener_is_choked(connection->socket)) {
		connection->moved_ms = gateway_now_ms(connection->gateway);
	}
	if (outbox_push(&connection->outbox, frame, follow, seq) != 0) {
		overflow(connection, frame, follow, seq);
	}
	mark_dirty(connection);
}

void connection_tell(struct connection *connection, enum proto_type type, uint64_t request,
		     const void *body)
{
	const struct proto_header header = {.type = type, .request = request};
	struct frame *frame;
	int r = envelope_seal(connection->form, &header, body, &frame);

	if (r != 0) {
		log_warn("connection.frame_not_made", LOG_NUMBER("type", type), LOG_ERRNO(r));
		return;
	}
	connection_send(connection, frame, NULL, 0);
	frame_unref(frame);
}

void connection_refuse(struct connection *connection, uint64_t request, int error,
		       const char *detail, const struct proto_error *cause)
{
	struct proto_error body = ask_error(error, detail, cause);

	metric_add(connection->gateway->numbers.refused, 1);
	connection_tell(connection, PROTO_ERROR, request, &body);
}

/* One pass over the queue. Returns false when the connection is lost. */
static bool send_some(struct connection *connection)
{
	static unsigned char space[LISTENER_SEND_BYTES];
	struct gateway *gateway = connection->gateway;

	for (unsigned int i = 0; i < SENDS_PER_TURN && !listener_is_choked(connection->socket);
	     i++) {
		size_t frames = connection->outbox.count;
		unsigned char *bytes;
		size_t size = outbox_next(&connection->outbox, space, sizeof(space), &bytes);

		if (size == 0) {
			return true;
		}
		if (!listener_write(connection->socket, bytes, size)) {
			return false;
		}
		connection->moved_ms = gateway_now_ms(gateway);
		metric_add(gateway->numbers.messages_out, frames - connection->outbox.count);
		metric_add(gateway->numbers.bytes_out, size);
	}
	return true;
}

static void flush(struct connection *connection)
{
	if (!send_some(connection)) {
		listener_kill(connection->socket);
		return;
	}
	if (connection->outbox.count > 0) {
		listener_want_write(connection->socket);
	} else if (connection->closing_ms == 0) {
		follows_drained(connection);
	}
}

void connections_flush(struct gateway *gateway)
{
	struct connection *connection;

	while ((connection = gateway->dirty) != NULL) {
		DL_DELETE2(gateway->dirty, connection, dirty_prev, dirty_next);
		connection->is_dirty = false;
		flush(connection);
	}
}

bool connection_writable(struct connection *connection)
{
	connection->moved_ms = gateway_now_ms(connection->gateway);
	if (!send_some(connection)) {
		return false;
	}
	if (connection->outbox.count > 0) {
		listener_want_write(connection->socket);
	} else if (connection->closing_ms == 0) {
		follows_drained(connection);
	}
	return true;
}

void connection_fail(struct connection *connection, unsigned int code)
{
	const unsigned char payload[] = {(unsigned char)(code >> 8), (unsigned char)code};
	struct frame *frame;

	if (connection->closing_ms > 0) {
		return;
	}
	connection->closing_ms = gateway_now_ms(connection->gateway);
	DL_APPEND2(connection->gateway->closing, connection, closing_prev, closing_next);
	if (frame_new(FRAME_CLOSE, payload, sizeof(payload), &frame) == 0) {
		(void)outbox_push_anyway(&connection->outbox, frame);
		frame_unref(frame);
	}
	mark_dirty(connection);
}

void connection_close(struct connection *connection, const char *why, bool final, uint64_t retry_ms,
		      unsigned int code)
{
	const struct proto_header header = {.type = PROTO_GOODBYE};
	struct proto_goodbye body = {.code = proto_span(why), .final = final, .retry_ms = retry_ms};
	struct frame *frame;

	if (connection->closing_ms == 0 &&
	    envelope_seal(connection->form, &header, &body, &frame) == 0) {
		(void)outbox_push_anyway(&connection->outbox, frame);
		frame_unref(frame);
	}
	connection_fail(connection, code);
}

/* --- life --- */

static void drop_early(struct connection *connection)
{
	while (connection->early) {
		struct early *early = connection->early;

		LL_DELETE(connection->early, early);
		free(early);
	}
}

static void on_session(void *context, int result, struct session *session)
{
	struct connection *connection = context;
	struct early *early;

	connection->lookup = NULL;
	if (result == PROTO_E_UNAVAILABLE || result == PROTO_E_TIMEOUT || result == PROTO_E_BUSY) {
		connection_close(connection, "unavailable", false, 1000 + randombytes_uniform(2000),
				 CLOSE_INTERNAL);
		return;
	}
	if (result != 0) {
		connection_close(connection, "session_ended", true, 0, CLOSE_SESSION_ENDED);
		return;
	}
	connection->session = session_ref(session);
	DL_APPEND2(session->connections, connection, session_prev, session_next);
	while ((early = connection->early) != NULL) {
		LL_DELETE(connection->early, early);
		ask_handle(connection, early->data, early->size, early->binary);
		free(early);
	}
}

static void link_in(struct connection *connection)
{
	struct gateway *gateway = connection->gateway;

	connection->wheel = (unsigned int)(connection->serial % gateway->wheel_slots);
	DL_APPEND(gateway->connections, connection);
	DL_APPEND2(gateway->wheel[connection->wheel], connection, wheel_prev, wheel_next);
	gateway->connection_count++;
}

int connection_new(struct gateway *gateway, struct lws *socket, enum envelope_form form,
		   const uint8_t *secret, struct connection **ret_connection)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		return -ENOMEM;
	}
	connection->gateway = gateway;
	connection->socket = socket;
	connection->form = form;
	connection->serial = ++gateway->connection_serial;
	connection->heard_ms = gateway_now_ms(gateway);
	connection->moved_ms = connection->heard_ms;
	outbox_init(&connection->outbox, gateway->settings->queue_bytes);
	link_in(connection);
	*ret_connection = connection;
	if (!secret) {
		connection_close(connection, "session_ended", true, 0, CLOSE_SESSION_ENDED);
	} else if (session_find(gateway, secret, on_session, connection, &connection->lookup) !=
		   0) {
		connection_close(connection, "unavailable", false, 1000, CLOSE_INTERNAL);
	}
	return 0;
}

void connection_free(struct connection *connection)
{
	struct gateway *gateway = connection->gateway;

	while (connection->follows) {
		follow_close(connection->follows);
	}
	asks_drop(connection);
	session_find_cancel(connection->lookup);
	if (connection->session) {
		DL_DELETE2(connection->session->connections, connection, session_prev,
			   session_next);
		session_unref(connection->session);
	}
	if (connection->is_dirty) {
		DL_DELETE2(gateway->dirty, connection, dirty_prev, dirty_next);
	}
	if (connection->closing_ms > 0) {
		DL_DELETE2(gateway->closing, connection, closing_prev, closing_next);
	}
	DL_DELETE(gateway->connections, connection);
	DL_DELETE2(gateway->wheel[connection->wheel], connection, wheel_prev, wheel_next);
	gateway->connection_count--;
	drop_early(connection);
	free(connection->partial);
	outbox_deinit(&connection->outbox);
	free(connection);
}

/* --- input --- */

void connection_heard(struct connection *connection)
{
	connection->heard_ms = gateway_now_ms(connection->gateway);
	connection->pinged = false;
}

static void keep_early(struct connection *connection, const char *data, size_t size)
{
	struct early *early;

	if (connection->early_count >= CONNECTION_EARLY_MAX) {
		connection_fail(connection, CLOSE_POLICY);
		return;
	}
	early = malloc(sizeof(*early) + size);
	if (!early) {
		connection_fail(connection, CLOSE_INTERNAL);
		return;
	}
	early->next = NULL;
	early->binary = connection->binary;
	early->size = size;
	memcpy(early->data, data, size);
	LL_APPEND(connection->early, early);
	connection->early_count++;
}

static void take_message(struct connection *connection, const char *data, size_t size)
{
	metric_add(connection->gateway->numbers.messages_in, 1);
	if (connection->session) {
		ask_handle(connection, data, size, connection->binary);
	} else {
		keep_early(connection, data, size);
	}
}

static bool join(struct connection *connection, const char *data, size_t size)
{
	char *joined = realloc(connection->partial, connection->partial_size + size + 1);

	if (!joined) {
		return false;
	}
	memcpy(joined + connection->partial_size, data, size);
	connection->partial = joined;
	connection->partial_size += size;
	return true;
}

/*
 * What comes after we have begun to close is read, so that the close frame arrives, and thrown
 * away.
 */
void connection_receive(struct connection *connection, const char *data, size_t size, size_t left,
			bool binary, bool final)
{
	uint64_t frame_bytes = connection->gateway->settings->frame_bytes;

	connection_heard(connection);
	if (connection->closing_ms > 0) {
		return;
	}
	connection->binary = binary;
	if (left > frame_bytes || connection->partial_size + size + left > frame_bytes) {
		connection_fail(connection, CLOSE_TOO_BIG);
	} else if (final && connection->partial_size == 0) {
		take_message(connection, data, size);
	} else if (!join(connection, data, size)) {
		connection_fail(connection, CLOSE_INTERNAL);
	} else if (final) {
		char *whole = connection->partial;
		size_t whole_size = connection->partial_size;

		connection->partial = NULL;
		connection->partial_size = 0;
		take_message(connection, whole, whole_size);
		free(whole);
	}
}

/* --- time --- */

static void ping(struct connection *connection)
{
	struct frame *frame;

	if (frame_new(FRAME_PING, NULL, 0, &frame) == 0) {
		connection_send(connection, frame, NULL, 0);
		frame_unref(frame);
	}
}

static void look_after(struct connection *connection)
{
	const struct gateway_settings *settings = connection->gateway->settings;
	uint64_t now_ms = gateway_now_ms(connection->gateway);
	uint64_t silent_ms = now_ms - connection->heard_ms;
	bool backlog = connection->outbox.count > 0 || listener_is_choked(connection->socket);

	if (connection->closing_ms > 0) {
		return; /* cut_off() looks after it */
	}
	if (backlog && now_ms - connection->moved_ms > settings->stuck_ms) {
		log_info("connection.too_slow", LOG_NUMBER("connection", connection->serial));
		connection_close(connection, "too_slow", false, 0, CLOSE_TOO_SLOW);
	} else if (backlog) {
		connection_heard(connection); /* a ping would wait behind what it still reads */
	} else if (silent_ms > settings->silence_ms && connection->pinged) {
		connection_close(connection, "silent", false, 0, CLOSE_SILENT);
	} else if (silent_ms > settings->ping_ms) {
		connection->pinged = true;
		ping(connection);
	}
}

/* Those who do not answer our close frame. */
static void cut_off(struct gateway *gateway)
{
	uint64_t now_ms = gateway_now_ms(gateway);
	struct connection *connection;

	DL_FOREACH2(gateway->closing, connection, closing_next)
	{
		if (now_ms - connection->closing_ms < CONNECTION_CLOSING_MS) {
			return;
		}
		listener_kill(connection->socket);
	}
}

void connections_tick(struct gateway *gateway)
{
	struct connection *connection;
	struct connection *next;

	cut_off(gateway);
	gateway->wheel_at = (gateway->wheel_at + 1) % gateway->wheel_slots;
	DL_FOREACH_SAFE2(gateway->wheel[gateway->wheel_at], connection, next, wheel_next)
	{
		look_after(connection);
	}
}

void connections_end_session(struct session *session)
{
	struct connection *connection;

	DL_FOREACH2(session->connections, connection, session_next)
	{
		connection_close(connection, "session_ended", true, 0, CLOSE_SESSION_ENDED);
	}
}

void connections_drain(struct gateway *gateway)
{
	struct connection *connection;

	DL_FOREACH(gateway->connections, connection)
	{
		connection_close(connection, "draining", false, randombytes_uniform(5000),
				 CLOSE_GOING_AWAY);
	}
}
