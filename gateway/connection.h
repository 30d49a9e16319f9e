/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One browser on a WebSocket: who it is, what it asked for, which rooms it follows, what waits to
 * be sent. Knows nothing of sockets but the few calls of listener.h.
 *
 *   new ─▶ session looked up (frames wait, bounded) ─▶ open ─▶ closing: goodbye, close frame
 *                       └─ there is none: goodbye session_ended, 4401
 */

#include "gateway/envelope.h"
#include "gateway/gateway.h"
#include "gateway/meter.h"
#include "gateway/outbox.h"

#define CONNECTION_EARLY_MAX 64 /* frames before the session is known */
#define CONNECTION_ASKS_MAX 256 /* requests on their way */
#define CONNECTION_BAD_MAX 10 /* frames in a row that could not be read */
#define CONNECTION_CLOSING_MS 5000

enum {
	CLOSE_NORMAL = 1000,
	CLOSE_GOING_AWAY = 1001,
	CLOSE_POLICY = 1008,
	CLOSE_TOO_BIG = 1009,
	CLOSE_INTERNAL = 1011,
	CLOSE_SESSION_ENDED = 4401,
	CLOSE_SILENT = 4408,
	CLOSE_TOO_SLOW = 4429,
};

struct lws;
struct follow;
struct ask;
struct early;
struct session_lookup;

struct connection {
	struct gateway *gateway;
	struct lws *socket;
	uint64_t serial; /* never reused */
	enum envelope_form form;
	struct session *session; /* NULL: being looked up */
	struct session_lookup *lookup;
	struct outbox outbox;
	struct meter meter;
	struct follow *follows;
	size_t follow_count;
	struct ask *asks;
	size_t ask_count;
	struct early *early;
	size_t early_count;
	char *partial; /* fragments of a message */
	size_t partial_size;
	uint64_t heard_ms;
	uint64_t moved_ms; /* when the socket last took something, or had nothing to take */
	uint64_t closing_ms; /* 0: not closing */
	unsigned int bad_frames;
	unsigned int wheel;
	bool binary; /* the message under way came in binary frames */
	bool is_dirty;
	bool pinged; /* since it was last heard */
	struct connection *prev;
	struct connection *next;
	struct connection *dirty_prev;
	struct connection *dirty_next;
	struct connection *wheel_prev;
	struct connection *wheel_next;
	struct connection *closing_prev;
	struct connection *closing_next;
	struct connection *session_prev;
	struct connection *session_next;
};

/* --- for the listener --- */

/* `secret`: from the cookie; NULL: there was none. Returns 0 or -ENOMEM. */
int connection_new(struct gateway *gateway, struct lws *socket, enum envelope_form form,
		   const uint8_t *secret, struct connection **ret_connection);
void connection_free(struct connection *connection);
/* A part of a message. `left`: bytes of its frame still to come. */
void connection_receive(struct connection *connection, const char *data, size_t size, size_t left,
			bool binary, bool final);
void connection_heard(struct connection *connection);
/* The socket can be written. False: it is lost. */
bool connection_writable(struct connection *connection);

/* --- for everybody --- */

/*
 * Queue a frame; it leaves at the end of the loop's turn. `follow` and `seq`: the event in it, or
 * NULL, 0.
 */
void connection_send(struct connection *connection, struct frame *frame, struct follow *follow,
		     uint64_t seq);
/* Encode and queue. `request` 0: it answers nothing. */
void connection_tell(struct connection *connection, enum proto_type type, uint64_t request,
		     const void *body);
void connection_refuse(struct connection *connection, uint64_t request, int error,
		       const char *detail, const struct proto_error *cause);
/* Close for a breach of the WebSocket protocol or its limits. */
void connection_fail(struct connection *connection, unsigned int code);
/*
 * Say goodbye and close. The peer answers with a close frame, or is cut off after
 * CONNECTION_CLOSING_MS.
 */
void connection_close(struct connection *connection, const char *why, bool final, uint64_t retry_ms,
		      unsigned int code);
/* Whether more may be queued than what must be. */
bool connection_has_room(const struct connection *connection);

void connections_flush(struct gateway *gateway);
void connections_tick(struct gateway *gateway);
void connections_end_session(struct session *session);
void connections_drain(struct gateway *gateway);
