/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See ask.h. Which service answers a message stands in the protocol's table; the few that the
 * gateway answers itself, or must not pass on, stand in `own` below.
 */

#include "gateway/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "gateway/errand.h"
#include "gateway/follow.h"
#include "gateway/mine.h"
#include "gateway/session.h"
#include "services/cleanup.h"

#define MOVING_RETRY_MS 500

/* One request on its way. */
struct ask {
	struct connection *connection;
	uint64_t request;
	uint64_t started_ms;
	enum proto_type type;
	struct errand *errand;
	struct mine *mine;
	struct ask *prev;
	struct ask *next;
};

/* --- errors --- */

enum proto_code ask_code(int error)
{
	switch (error) {
	case PROTO_E_NOT_OWNER:
	case PROTO_E_SESSION_UNKNOWN:
		return PROTO_E_BUSY; /* the room moves, and was still moving at the deadline */
	case -ENOMEM:
		return PROTO_E_BUSY;
	default:
		return error > 0 ? (enum proto_code)error : PROTO_E_INTERNAL;
	}
}

struct proto_error ask_error(int error, const char *detail, const struct proto_error *cause)
{
	const struct proto_error_info *info = proto_error_info(ask_code(error));
	struct proto_error body = {.code = proto_span(info->code), .unknown = !info->sure};

	body.detail = detail ? proto_span(detail) : cause ? cause->detail : proto_span(info->text);
	body.retry_ms = cause ? cause->retry_ms : 0;
	if (info->number == PROTO_E_BUSY && body.retry_ms == 0) {
		body.retry_ms = MOVING_RETRY_MS;
	}
	return body;
}

/* --- answers --- */

static void ask_free(struct ask *ask)
{
	DL_DELETE(ask->connection->asks, ask);
	ask->connection->ask_count--;
	free(ask);
}

/* Addresses on the bus are nobody's business in a browser. */
static const void *without_addresses(const struct proto_message *answer,
				     struct proto_room_found *found)
{
	if (answer->header.type != PROTO_ROOM_FOUND) {
		return answer->body;
	}
	*found = *PROTO_BODY(answer, room_found);
	found->address = (struct proto_span){0};
	found->feed = (struct proto_span){0};
	return found;
}

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct ask *ask = context;
	struct connection *connection = ask->connection;
	struct gateway *gateway = connection->gateway;

	if (ask->type == PROTO_ROOM_SEND) {
		metric_observe(gateway->numbers.sends,
			       (double)(gateway_now_ms(gateway) - ask->started_ms) / 1000);
	}
	if (result == 0) {
		struct proto_room_found found;

		connection_tell(connection, answer->header.type, ask->request,
				without_addresses(answer, &found));
	} else {
		connection_refuse(connection, ask->request, result, NULL,
				  answer ? PROTO_BODY(answer, error) : NULL);
	}
	ask_free(ask);
}

static void on_mine(void *context, int result, const struct proto_rooms *rooms)
{
	struct ask *ask = context;

	if (result == 0) {
		connection_tell(ask->connection, PROTO_ROOMS, ask->request, rooms);
	} else {
		connection_refuse(ask->connection, ask->request, result, NULL, NULL);
	}
	ask_free(ask);
}

void asks_drop(struct connection *connection)
{
	while (connection->asks) {
		struct ask *ask = connection->asks;

		errand_abandon(ask->errand);
		mine_cancel(ask->mine);
		ask_free(ask);
	}
}

static struct ask *ask_new(struct connection *connection, const struct proto_header *header)
{
	struct ask *ask = connection->ask_count < CONNECTION_ASKS_MAX ? calloc(1, sizeof(*ask))
								      : NULL;

	if (!ask) {
		connection_refuse(connection, header->request, PROTO_E_BUSY,
				  "too many requests on their way", NULL);
		return NULL;
	}
	ask->connection = connection;
	ask->request = header->request;
	ask->type = header->type;
	ask->started_ms = gateway_now_ms(connection->gateway);
	DL_APPEND(connection->asks, ask);
	connection->ask_count++;
	return ask;
}

/* --- what the gateway does itself --- */

static void answer_ping(struct connection *connection, const struct proto_message *message)
{
	connection_tell(connection, PROTO_OK, message->header.request, NULL);
}

static void open_room(struct connection *connection, const struct proto_message *message)
{
	follow_open(connection, message->header.request, PROTO_BODY(message, room_open));
}

static void close_room(struct connection *connection, const struct proto_message *message)
{
	struct follow *follow = follow_find(connection, &PROTO_BODY(message, room_close)->room);

	if (follow) {
		follow_close(follow);
	}
	connection_tell(connection, PROTO_OK, message->header.request, NULL);
}

static void set_presence(struct connection *connection, const struct proto_message *message)
{
	const struct proto_room_presence *presence = PROTO_BODY(message, room_presence);
	struct follow *follow = follow_find(connection, &presence->room);

	if (!follow) {
		connection_refuse(connection, message->header.request, PROTO_E_BAD_VALUE,
				  "open the room first", NULL);
		return;
	}
	follow_set_here(follow, presence->here);
	connection_tell(connection, PROTO_OK, message->header.request, NULL);
}

static void list_mine(struct connection *connection, const struct proto_message *message)
{
	struct ask *ask = ask_new(connection, &message->header);
	int r;

	if (!ask) {
		return;
	}
	r = mine_ask(connection->gateway, connection->session,
		     &PROTO_BODY(message, rooms_mine)->after, on_mine, ask, &ask->mine);
	if (r != 0) {
		connection_refuse(connection, ask->request, r, NULL, NULL);
		ask_free(ask);
	}
}

static void refuse_here(struct connection *connection, const struct proto_message *message)
{
	connection_refuse(connection, message->header.request, PROTO_E_NOT_HERE, NULL, NULL);
}

static const struct {
	enum proto_type type;
	void (*handle)(struct connection *connection, const struct proto_message *message);
} own[] = {
	{PROTO_PING, answer_ping},
	{PROTO_ROOM_OPEN, open_room},
	{PROTO_ROOM_CLOSE, close_room},
	{PROTO_ROOM_PRESENCE, set_presence},
	{PROTO_ROOMS_MINE, list_mine},
	{PROTO_SESSION_CLOSE, refuse_here}, /* the gateway's own business with the roomds */
};

#define OWN_COUNT (sizeof(own) / sizeof(own[0]))

/* Messages without a session are for signing in, which is done over HTTP, or for the bus. */
bool ask_is_relayed(const struct proto_type_info *info)
{
	return info->caller == PROTO_CALLER_USER &&
	       envelope_has_field(info, "session", PROTO_KIND_ID) &&
	       (info->at == PROTO_AT_REGISTRY || info->at == PROTO_AT_ROOM ||
		info->at == PROTO_AT_PERSONAL);
}

static void relay(struct connection *connection, struct envelope *envelope)
{
	struct errand_order order = {
		.envelope = envelope,
		.session = connection->session,
		.connection = connection->serial,
	};
	struct ask *ask = ask_new(connection, &envelope->message.header);
	int r;

	if (!ask) {
		return;
	}
	r = errand_send(connection->gateway, &order, on_answer, ask, &ask->errand);
	if (r != 0) {
		connection_refuse(connection, ask->request, r, NULL, NULL);
		ask_free(ask);
	}
}

static void dispatch(struct connection *connection, struct envelope *envelope)
{
	const struct proto_message *message = &envelope->message;

	for (size_t i = 0; i < OWN_COUNT; i++) {
		if (own[i].type == message->header.type) {
			own[i].handle(connection, message);
			return;
		}
	}
	if (ask_is_relayed(message->info)) {
		relay(connection, envelope);
	} else {
		refuse_here(connection, message);
	}
}

/* --- frames --- */

static void refuse_frame(struct connection *connection, uint64_t request, int error,
			 const char *detail)
{
	connection_refuse(connection, request, error, detail, NULL);
	if (++connection->bad_frames >= CONNECTION_BAD_MAX) {
		connection_close(connection, "bad_frames", false, 0, CLOSE_POLICY);
	}
}

static bool is_too_fast(struct connection *connection, uint64_t request)
{
	const struct gateway *gateway = connection->gateway;
	uint64_t retry_ms = meter_take(&connection->meter, gateway->settings->messages_per_second,
				       gateway_now_ms(gateway));
	struct proto_error cause = {.detail = PROTO_SPAN("too many messages a second"),
				    .retry_ms = retry_ms};

	if (retry_ms > 0) {
		connection_refuse(connection, request, PROTO_E_BUSY, NULL, &cause);
	}
	return retry_ms > 0;
}

void ask_handle(struct connection *connection, const char *data, size_t size, bool binary)
{
	_cleanup_(envelope_cleanup) struct envelope envelope = ENVELOPE_INIT;
	struct proto_fault fault = {0};
	int r;

	if (binary != (connection->form == ENVELOPE_MSGPACK)) {
		refuse_frame(connection, 0, PROTO_E_MALFORMED,
			     binary ? "this subprotocol has text frames"
				    : "this subprotocol has binary frames");
		return;
	}
	r = envelope_open(connection->form, data, size, &connection->session->id, &envelope,
			  &fault);
	if (is_too_fast(connection, envelope.message.header.request)) {
		return;
	}
	if (r != 0) {
		refuse_frame(connection, envelope.message.header.request, r,
			     r > 0 ? fault.detail : NULL);
		return;
	}
	connection->bad_frames = 0;
	dispatch(connection, &envelope);
}
