/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Servers: a ROUTER, the connections that it has heard of, and the requests being answered.
 *
 * Who asks. On a TCP socket of a bus with keys every message carries the key that ZAP let in. It is
 * read on each one, and looked up anew whenever the approved keys have changed: so a revoked key is
 * refused with the very next message, though libzmq would let its connection live. (On a body
 * frame: libzmq 4.3.4 forgets the property on the first frame after a poll.) What a key may ask is
 * in the protocol's table. A connection without a key is believed to be a local one only if its
 * descriptor is a Unix socket, or if the server has no socket with keys at all.
 *
 * Strangers. A server may admit keys that nobody has approved, for the messages that the table
 * leaves to them. ZAP counts them; here their connections, and TCP connections that never said
 * anything, are closed after a time.
 *
 * Connections. ROUTER names a connection by a routing id; we give each its own number, for handlers
 * to tie sessions to. libzmq counts routing ids up and so does not reuse them, but a peer may
 * choose its own, and come back with it: so a connection is forgotten when the socket monitor says
 * that its descriptor was closed, or when an answer finds it gone, and gets a new number if it is
 * heard of again.
 *
 * Requests. A frame kept in a zmq_msg_t pins the receive buffer that it came in (8 KiB and more,
 * for each of up to BUS_REQUESTS_MAX). Most requests are a tenth of that, so that a copy, into the
 * same allocation as the request, is both the smaller and the faster way: no second allocation, and
 * libzmq gets its buffer back. Frames from COPY_BYTES_MAX on are kept as they are: there the copy
 * would cost more than the pinned rest, and frames past 8 KiB have memory of their own anyway.
 *
 * Answers to a connection that does not read are held back here, in order, up to HELD_BYTES_MAX for
 * each, and tried again every HELD_RETRY_MS (ROUTER does not say whose pipe got room). Past that
 * they are dropped: the caller's deadline ends its call.
 */

#include "services/bus_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "services/clock.h"
#include "services/log.h"

#define COPY_BYTES_MAX 4096
#define HELD_BYTES_MAX (8 * 1024 * 1024)
#define HELD_RETRY_MS 10
#define BUSY_RETRY_MS 200 /* told to those that are refused as busy */
#define ROUTING_BYTES_MAX 255
#define NO_DESCRIPTOR (-1)
#define SWEEPS_PER_LIFE 8

struct held {
	zmq_msg_t frame;
	struct held *next;
	struct held *prev;
};

enum peer_kind {
	PEER_LOCAL, /* no keys here: may ask everything */
	PEER_KEYED,
	PEER_ODD, /* no key where there must be one: may ask nothing */
};

struct bus_peer {
	struct bus_server *server;
	unsigned int refs; /* the server's, and one a request */
	bool is_gone;
	enum peer_kind kind;
	char user[KEY_TEXT_BYTES]; /* KEYED: the key as text */
	struct bus_caller caller; /* KEYED: as of `changes` */
	uint64_t changes; /* of the keyring */
	uint64_t since_ms;
	uint64_t number;
	int fd;
	struct held *held;
	size_t held_bytes;
	struct bus_peer *held_prev; /* in server->holding */
	struct bus_peer *held_next;
	struct bus_peer *gone_next; /* in server->gone */
	UT_hash_handle hh;
	size_t routing_size;
	uint8_t routing[];
};

/* A TCP connection that has not said anything yet. */
struct silent {
	int fd;
	uint64_t since_ms;
	UT_hash_handle hh;
};

struct bus_server {
	struct bus *bus;
	struct bus_socket socket;
	struct bus_socket monitor;
	struct bus_place place;
	unsigned int refs; /* its owner, its sockets, its peers */
	bool is_closed;
	uint64_t stranger_life_ms; /* 0: admits none */
	struct silent *silent; /* by descriptor; of a server that admits strangers */
	struct deadline sweep;
	bus_handler_fn handlers[BUS_TYPES];
	void *context;
	struct bus_peer *peers; /* by routing id */
	struct bus_peer *holding; /* peers with answers held back */
	struct bus_peer *gone; /* peers whose end must still be told */
	void (*on_gone)(void *context, uint64_t peer);
	struct deadline retry;
	size_t open; /* requests being answered */
	struct bus_server *prev;
	struct bus_server *next;
};

struct bus_request {
	struct bus_peer *peer;
	struct proto_message message;
	struct proto_header header; /* also of frames that could not be decoded */
	uint64_t started_ns;
	uint64_t deadline_ms;
	zmq_msg_t frame; /* empty if the bytes are a copy */
	uint8_t bytes[];
};

static void server_unref(struct bus_server *server)
{
	if (--server->refs == 0) {
		free(server);
	}
}

/* --- peers --- */

static void peer_unref(struct bus_peer *peer)
{
	if (--peer->refs == 0) {
		server_unref(peer->server);
		free(peer);
	}
}

static void peer_drop_held(struct bus_peer *peer, enum bus_drop why)
{
	struct bus *bus = peer->server->bus;
	struct held *held;
	struct held *next;

	if (!peer->held) {
		return;
	}
	DL_DELETE2(peer->server->holding, peer, held_prev, held_next);
	DL_FOREACH_SAFE(peer->held, held, next)
	{
		bus_numbers_drop(&bus->numbers, why);
		bus_numbers_move(bus->numbers.answers_held, &bus->numbers.answers_held_count, -1);
		(void)zmq_msg_close(&held->frame);
		free(held);
	}
	peer->held = NULL;
	peer->held_bytes = 0;
}

/* The connection is closed. Requests that came on it keep the struct. */
static void peer_forget(struct bus_peer *peer)
{
	struct bus *bus = peer->server->bus;

	if (peer->is_gone) {
		return;
	}
	peer->is_gone = true;
	bus_numbers_move(bus->numbers.peers, &bus->numbers.peers_count, -1);
	peer_drop_held(peer, BUS_DROP_PEER_GONE);
	HASH_DELETE(hh, peer->server->peers, peer);
	if (peer->server->on_gone) { /* not from here: an answer may be on the stack */
		LL_APPEND2(peer->server->gone, peer, gone_next);
		bus_touch(&peer->server->monitor);
		return;
	}
	peer_unref(peer);
}

/* A peer's end is told once; nothing is told of a server that was freed. */
static void peers_tell_gone(struct bus_server *server)
{
	struct bus_peer *peer;

	while ((peer = server->gone) != NULL) {
		LL_DELETE2(server->gone, peer, gone_next);
		if (server->on_gone && !server->is_closed) {
			server->on_gone(server->context, peer->number);
		}
		peer_unref(peer);
	}
}

bool bus_connection_is_unix(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

static void peer_look_up(struct bus_peer *peer)
{
	const struct keyring *keyring = &peer->server->bus->keyring;
	const struct keyring_entry *entry = keyring_find(keyring, &peer->caller.key);

	peer->changes = keyring->changes;
	peer->caller.service = entry ? entry->service : PROTO_service_absent;
	peer->caller.node[0] = '\0';
	if (entry) {
		strcpy(peer->caller.node, entry->node);
	}
}

static void peer_name(struct bus_peer *peer, const char *user)
{
	peer->kind = PEER_LOCAL;
	if (user) {
		bool good = strlen(user) < sizeof(peer->user) &&
			    key_parse(proto_span(user), &peer->caller.key);

		peer->kind = good ? PEER_KEYED : PEER_ODD;
		(void)snprintf(peer->user, sizeof(peer->user), "%s", user);
	} else if (peer->server->socket.zap_number > 0 && !bus_connection_is_unix(peer->fd)) {
		peer->kind = PEER_ODD;
	}
	if (peer->kind == PEER_KEYED) {
		peer_look_up(peer);
	}
}

static void silent_forget(struct bus_server *server, int fd)
{
	struct silent *silent;

	HASH_FIND_INT(server->silent, &fd, silent);
	if (silent) {
		HASH_DEL(server->silent, silent);
		free(silent);
	}
}

static struct bus_peer *peer_new(struct bus_server *server, zmq_msg_t *routing, zmq_msg_t *frame,
				 const char *user)
{
	size_t size = zmq_msg_size(routing);
	struct bus_peer *peer = calloc(1, sizeof(*peer) + size);

	if (!peer) {
		return NULL;
	}
	peer->server = server;
	peer->refs = 1;
	peer->number = ++server->bus->last_peer;
	peer->fd = zmq_msg_get(frame, ZMQ_SRCFD);
	peer->since_ms = clock_monotonic_ms();
	peer->routing_size = size;
	memcpy(peer->routing, zmq_msg_data(routing), size);
	HASH_ADD_KEYPTR(hh, server->peers, peer->routing, peer->routing_size, peer);
	if (!peer->hh.tbl) {
		free(peer);
		return NULL;
	}
	peer_name(peer, user);
	silent_forget(server, peer->fd);
	server->refs++;
	bus_numbers_move(server->bus->numbers.peers, &server->bus->numbers.peers_count, 1);
	return peer;
}

/* A routing id that comes with another key is another connection. */
static struct bus_peer *peer_find(struct bus_server *server, zmq_msg_t *routing, zmq_msg_t *frame)
{
	const char *user = server->socket.zap_number > 0 ? zmq_msg_gets(frame, BUS_USER_PROPERTY)
							 : NULL;
	struct bus_peer *peer;

	HASH_FIND(hh, server->peers, zmq_msg_data(routing), zmq_msg_size(routing), peer);
	if (peer && strcmp(peer->user, user ? user : "") != 0) {
		peer_forget(peer);
		peer = NULL;
	}
	return peer ? peer : peer_new(server, routing, frame, user);
}

/* Whether its key may ask for this, by the protocol's table. */
static bool peer_may(struct bus_peer *peer, const struct proto_type_info *info)
{
	if (peer->kind != PEER_KEYED) {
		return peer->kind == PEER_LOCAL;
	}
	if (peer->changes != peer->server->bus->keyring.changes) {
		peer_look_up(peer);
	}
	if (peer->caller.service == PROTO_service_absent && peer->server->stranger_life_ms == 0) {
		return false;
	}
	return proto_may_call(info, peer->caller.service);
}

/* --- strangers --- */

uint64_t bus_stranger_life_ms(const struct bus *bus, uint64_t zap_number)
{
	const struct bus_server *server;

	DL_FOREACH(bus->servers, server)
	{
		if (zap_number > 0 && server->socket.zap_number == zap_number) {
			return server->stranger_life_ms;
		}
	}
	return 0;
}

static void sweep_again(struct bus_server *server)
{
	uint64_t after_ms = server->stranger_life_ms / SWEEPS_PER_LIFE + 1;

	bus_set_deadline(server->bus, &server->sweep, clock_monotonic_ms() + after_ms);
}

void bus_server_admit_strangers(struct bus_server *server, uint64_t life_ms)
{
	if (server->socket.zap_number > 0) {
		server->stranger_life_ms = life_ms;
		sweep_again(server);
	}
}

/* Without memory for it, it is not watched: one of the few that may stay. */
static void silent_add(struct bus_server *server, int fd)
{
	struct silent *silent = calloc(1, sizeof(*silent));

	silent_forget(server, fd);
	if (!silent || bus_connection_is_unix(fd)) {
		free(silent);
		return;
	}
	silent->fd = fd;
	silent->since_ms = clock_monotonic_ms();
	HASH_ADD_INT(server->silent, fd, silent);
	if (!silent->hh.tbl) {
		free(silent);
	}
}

static void on_sweep(struct deadline *deadline)
{
	struct bus_server *server = (struct bus_server *)((char *)deadline -
							  offsetof(struct bus_server, sweep));
	uint64_t now_ms = clock_monotonic_ms();
	struct silent *silent;
	struct bus_peer *peer;

	for (silent = server->silent; silent; silent = silent->hh.next) {
		if (now_ms - silent->since_ms > server->stranger_life_ms) {
			bus_connection_cut(silent->fd);
		}
	}
	for (peer = server->peers; peer; peer = peer->hh.next) {
		if (peer->kind == PEER_KEYED && peer->caller.service == PROTO_service_absent &&
		    now_ms - peer->since_ms > server->stranger_life_ms) {
			bus_connection_cut(peer->fd);
		}
	}
	sweep_again(server);
}

/* --- keys --- */

/*
 * libzmq has no call that closes one connection of a socket. Its descriptor is not ours to close,
 * but shutting it down is harmless: its owner reads an end of file, and closes it. (Should the
 * connection have ended, and its number have gone to another, in this very moment, that one has to
 * connect again.)
 */
void bus_connection_cut(int fd)
{
	if (fd >= 0) {
		(void)shutdown(fd, SHUT_RDWR);
	}
}

void bus_servers_check(struct bus *bus)
{
	struct bus_server *server;
	struct bus_peer *peer;

	DL_FOREACH(bus->servers, server)
	{
		for (peer = server->peers; peer; peer = peer->hh.next) {
			bool was_approved = peer->caller.service != PROTO_service_absent;

			if (peer->kind != PEER_KEYED || peer->changes == bus->keyring.changes) {
				continue;
			}
			peer_look_up(peer);
			if (was_approved && peer->caller.service == PROTO_service_absent) {
				log_info("bus.peer_cut", LOG_TEXT("key", peer->user));
				bus_connection_cut(peer->fd);
			}
		}
	}
}

/* --- answers --- */

/* Takes the frame if it returns 0. Returns 0, -EAGAIN, -EHOSTUNREACH or another -errno. */
static int peer_try(struct bus_peer *peer, zmq_msg_t *frame)
{
	void *zmq = peer->server->socket.zmq;

	if (zmq_send(zmq, peer->routing, peer->routing_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
		return -errno;
	}
	return zmq_msg_send(frame, zmq, ZMQ_DONTWAIT) < 0 ? -errno : 0;
}

/* Takes the frame. */
static void peer_hold(struct bus_peer *peer, zmq_msg_t *frame)
{
	struct bus_server *server = peer->server;
	struct bus *bus = server->bus;
	size_t size = zmq_msg_size(frame);
	struct held *held = NULL;

	if (peer->held_bytes + size <= HELD_BYTES_MAX) {
		held = malloc(sizeof(*held));
	}
	if (!held) {
		bus_numbers_drop(&bus->numbers, BUS_DROP_PEER_SLOW);
		(void)zmq_msg_close(frame);
		return;
	}
	(void)zmq_msg_init(&held->frame);
	(void)zmq_msg_move(&held->frame, frame);
	(void)zmq_msg_close(frame);
	if (!peer->held) {
		DL_APPEND2(server->holding, peer, held_prev, held_next);
	}
	DL_APPEND(peer->held, held);
	peer->held_bytes += size + sizeof(*held);
	bus_numbers_move(bus->numbers.answers_held, &bus->numbers.answers_held_count, 1);
	if (server->retry.place == 0) {
		bus_set_deadline(bus, &server->retry, clock_monotonic_ms() + HELD_RETRY_MS);
	}
}

/* Takes the frame. */
static void peer_send(struct bus_peer *peer, zmq_msg_t *frame)
{
	int r = peer->is_gone ? -EHOSTUNREACH : peer->held ? -EAGAIN : peer_try(peer, frame);

	if (r == 0) {
		bus_touch(&peer->server->socket);
	} else if (r == -EAGAIN) {
		peer_hold(peer, frame);
	} else {
		bus_numbers_drop(&peer->server->bus->numbers, BUS_DROP_PEER_GONE);
		(void)zmq_msg_close(frame);
		peer_forget(peer);
	}
}

static void peer_retry(struct bus_peer *peer)
{
	struct bus *bus = peer->server->bus;
	int r = 0;

	while (peer->held && r == 0) {
		struct held *held = peer->held;
		size_t size = zmq_msg_size(&held->frame) + sizeof(*held);

		r = peer_try(peer, &held->frame);
		if (r == 0) {
			DL_DELETE(peer->held, held);
			peer->held_bytes -= size;
			bus_numbers_move(bus->numbers.answers_held,
					 &bus->numbers.answers_held_count, -1);
			free(held);
		}
	}
	if (r == 0) {
		DL_DELETE2(peer->server->holding, peer, held_prev, held_next);
	} else if (r != -EAGAIN) {
		peer_forget(peer);
	}
}

static void on_retry(struct deadline *deadline)
{
	struct bus_server *server = (struct bus_server *)((char *)deadline -
							  offsetof(struct bus_server, retry));
	struct bus_peer *peer;
	struct bus_peer *next;

	DL_FOREACH_SAFE2(server->holding, peer, next, held_next)
	{
		peer_retry(peer);
	}
	if (server->holding) {
		bus_set_deadline(server->bus, &server->retry, clock_monotonic_ms() + HELD_RETRY_MS);
	}
	bus_touch(&server->socket);
}

/* --- requests --- */

static void request_free(struct bus_request *request)
{
	struct bus_peer *peer = request->peer;
	struct bus_server *server = peer->server;

	server->open--;
	if (!server->is_closed) {
		bus_numbers_move(server->bus->numbers.requests_open,
				 &server->bus->numbers.requests_open_count, -1);
	}
	proto_message_deinit(&request->message);
	(void)zmq_msg_close(&request->frame);
	free(request);
	peer_unref(peer);
}

static int encode_answer(struct bus_request *request, zmq_msg_t *ret_frame, enum proto_type type,
			 const void *body)
{
	struct proto_header header = {
		.type = type,
		.request = request->header.request,
		.trace = request->header.trace,
	};

	return bus_frame_encode(request->peer->server->bus, ret_frame, &header, body);
}

static void request_log(const struct bus_request *request, const char *event, const char *code)
{
	const struct proto_type_info *info = proto_type_info(request->header.type);

	log_debug(event, LOG_TEXT("type", info ? info->record->name : "unknown"),
		  LOG_TEXT("code", code), LOG_NUMBER("peer", request->peer->number),
		  LOG_NUMBER("id", request->header.request),
		  LOG_ID("trace", &request->header.trace),
		  LOG_NUMBER("us", (bus_now_ns() - request->started_ns) / 1000));
}

/* Answers, counts and frees. */
static void request_answer(struct bus_request *request, int code, enum proto_type type,
			   const void *body)
{
	static const struct proto_error defect = {.code = {"internal", sizeof("internal") - 1},
						  .unknown = true};
	struct bus_server *server = request->peer->server;
	zmq_msg_t frame;
	int r;

	if (server->is_closed) {
		request_free(request);
		return;
	}
	r = encode_answer(request, &frame, type, body);
	if (r < 0) {
		log_error("bus.bad_reply", LOG_NUMBER("type", type), LOG_ERRNO(r),
			  LOG_ID("trace", &request->header.trace));
		code = PROTO_E_INTERNAL;
		r = encode_answer(request, &frame, PROTO_ERROR, &defect);
	}
	if (r == 0) {
		peer_send(request->peer, &frame);
	}
	request_log(request, "bus.reply",
		    code == 0 ? "ok" : proto_error_info((enum proto_code)code)->code);
	bus_numbers_request(&server->bus->numbers, request->header.type, code, request->started_ns);
	request_free(request);
}

void bus_reply(struct bus_request *request, enum proto_type type, const void *body)
{
	request_answer(request, 0, type, body);
}

void bus_ok(struct bus_request *request)
{
	request_answer(request, 0, PROTO_OK, NULL);
}

void bus_refuse_with(struct bus_request *request, enum proto_code error,
		     const struct proto_error *body)
{
	const struct proto_error_info *info = proto_error_info(error);
	struct proto_error filled = *body;

	filled.code = proto_span(info->code);
	filled.unknown = !info->sure;
	request_answer(request, (int)info->number, PROTO_ERROR, &filled);
}

void bus_refuse(struct bus_request *request, enum proto_code error, const char *detail)
{
	bus_refuse_with(request, error, &(struct proto_error){.detail = proto_span(detail)});
}

void bus_relay(struct bus_request *request, int result, const struct proto_message *answer)
{
	if (answer) {
		request_answer(request, result, answer->header.type, answer->body);
	} else {
		bus_refuse(request, (enum proto_code)result, NULL);
	}
}

const struct bus_caller *bus_request_caller(const struct bus_request *request)
{
	return request->peer->kind == PEER_KEYED ? &request->peer->caller : NULL;
}

uint64_t bus_request_peer(const struct bus_request *request)
{
	return request->peer->number;
}

const struct proto_message *bus_request_message(const struct bus_request *request)
{
	return &request->message;
}

const struct proto_id *bus_request_trace(const struct bus_request *request)
{
	return &request->header.trace;
}

uint64_t bus_request_time_left_ms(const struct bus_request *request)
{
	uint64_t now_ms = clock_monotonic_ms();

	return request->deadline_ms > now_ms ? request->deadline_ms - now_ms : 0;
}

/* --- receiving --- */

/*
 * Returns NULL if there is no memory: the request is dropped, its caller's deadline ends the call.
 */
static struct bus_request *request_new(struct bus_server *server, struct bus_peer *peer,
				       zmq_msg_t *frame)
{
	size_t size = zmq_msg_size(frame);
	bool copies = size <= COPY_BYTES_MAX;
	struct bus_request *request = malloc(sizeof(*request) + (copies ? size : 0));

	if (!request) {
		return NULL;
	}
	request->peer = peer;
	peer->refs++;
	request->message = PROTO_MESSAGE_INIT;
	request->started_ns = bus_now_ns();
	(void)zmq_msg_init(&request->frame);
	if (copies) {
		memcpy(request->bytes, zmq_msg_data(frame), size);
	} else {
		(void)zmq_msg_move(&request->frame, frame);
	}
	server->open++;
	bus_numbers_move(server->bus->numbers.requests_open,
			 &server->bus->numbers.requests_open_count, 1);
	return request;
}

static int request_decode(struct bus_request *request, size_t size, uint64_t turn_ms,
			  struct proto_fault *ret_fault)
{
	const void *bytes = size <= COPY_BYTES_MAX ? request->bytes : zmq_msg_data(&request->frame);
	int r = proto_decode(bytes, size, &request->message, ret_fault);
	uint64_t left_ms;

	request->header = request->message.header;
	left_ms = request->header.deadline_ms ? request->header.deadline_ms : BUS_TIMEOUT_MS;
	request->deadline_ms = turn_ms + left_ms;
	return r;
}

static void request_dispatch(struct bus_server *server, struct bus_request *request)
{
	enum proto_type type = request->header.type;
	bus_handler_fn handle = (unsigned int)type < BUS_TYPES ? server->handlers[type] : NULL;

	request_log(request, "bus.request", "-");
	if (bus_request_time_left_ms(request) == 0) {
		bus_refuse(request, PROTO_E_EXPIRED, NULL);
	} else if (type != PROTO_PING && !handle) {
		bus_refuse(request, PROTO_E_NOT_HERE, NULL);
	} else if (!peer_may(request->peer, request->message.info)) {
		bus_refuse(request, PROTO_E_FORBIDDEN, "the key of this connection may not ask it");
	} else if (type == PROTO_PING) {
		bus_ok(request);
	} else if (server->open > BUS_REQUESTS_MAX) {
		bus_refuse_with(request, PROTO_E_BUSY,
				&(struct proto_error){.retry_ms = BUSY_RETRY_MS});
	} else {
		handle(server->context, request, &request->message);
	}
}

static void server_refuse_frame(struct bus_server *server, struct bus_request *request, int r,
				const struct proto_fault *fault)
{
	bus_numbers_drop(&server->bus->numbers, BUS_DROP_MALFORMED);
	bus_refuse(request, r > 0 ? (enum proto_code)r : PROTO_E_INTERNAL,
		   r > 0 ? fault->detail : NULL);
}

static void server_take(struct bus_server *server, zmq_msg_t *routing, zmq_msg_t *frame,
			uint64_t turn_ms)
{
	struct proto_fault fault = {0};
	struct bus_peer *peer = peer_find(server, routing, frame);
	struct bus_request *request;
	size_t size = zmq_msg_size(frame);
	int r;

	if (!peer || !(request = request_new(server, peer, frame))) {
		log_error("bus.request_dropped", LOG_ERRNO(ENOMEM));
		return;
	}
	r = request_decode(request, size, turn_ms, &fault);
	if (r == 0) {
		request_dispatch(server, request);
	} else {
		server_refuse_frame(server, request, r, &fault);
	}
}

/*
 * More frames than a message has: answered like garbage, so that whoever writes a client learns of
 * it.
 */
static void server_take_parts(struct bus_server *server, zmq_msg_t *routing, zmq_msg_t *frame)
{
	static const struct proto_fault fault = {PROTO_E_MALFORMED, "a message is one frame"};
	struct bus_peer *peer = peer_find(server, routing, frame);
	struct bus_request *request = peer ? request_new(server, peer, frame) : NULL;

	bus_frames_skip(&server->socket);
	bus_numbers_drop(&server->bus->numbers, BUS_DROP_PARTS);
	if (request) {
		request->header = (struct proto_header){0};
		request->deadline_ms = 0;
		bus_refuse(request, PROTO_E_MALFORMED, fault.detail);
	}
}

/* One message. Returns false if there was none. */
static bool server_receive(struct bus_server *server, uint64_t turn_ms)
{
	zmq_msg_t routing;
	zmq_msg_t frame;

	if (!server->socket.zmq || bus_frame_receive(&server->socket, &routing) < 0) {
		return false;
	}
	if (zmq_msg_more(&routing) && bus_frame_receive(&server->socket, &frame) == 0) {
		if (zmq_msg_more(&frame)) {
			server_take_parts(server, &routing, &frame);
		} else {
			server_take(server, &routing, &frame, turn_ms);
		}
		(void)zmq_msg_close(&frame);
	} else {
		bus_numbers_drop(&server->bus->numbers, BUS_DROP_PARTS);
	}
	(void)zmq_msg_close(&routing);
	return true;
}

/*
 * The time of the turn stands for the arrival of its messages: those that wait while the handlers
 * before them work use up their time.
 */
static bool server_turn(struct bus_socket *socket)
{
	struct bus_server *server = (struct bus_server *)((char *)socket -
							  offsetof(struct bus_server, socket));
	uint64_t turn_ms = clock_monotonic_ms();

	for (size_t i = 0; i < BUS_BATCH_MAX; i++) {
		if (!server_receive(server, turn_ms)) {
			return false;
		}
	}
	return true;
}

static void forget_descriptor(struct bus_server *server, int fd)
{
	struct bus_peer *peer;
	struct bus_peer *next;

	HASH_ITER(hh, server->peers, peer, next)
	{
		if (peer->fd == fd) {
			peer_forget(peer);
		}
	}
}

static bool monitor_turn(struct bus_socket *socket)
{
	struct bus_server *server = (struct bus_server *)((char *)socket -
							  offsetof(struct bus_server, monitor));
	unsigned int event;
	int fd;

	while (bus_monitor_read(&server->monitor, &event, &fd)) {
		if (event == ZMQ_EVENT_ACCEPTED && server->stranger_life_ms > 0) {
			silent_add(server, fd);
		} else if (event == ZMQ_EVENT_DISCONNECTED && fd != NO_DESCRIPTOR) {
			silent_forget(server, fd);
			forget_descriptor(server, fd);
		}
	}
	server->refs++; /* whoever is told may free it */
	peers_tell_gone(server);
	server_unref(server);
	return false;
}

/* --- life --- */

static void on_socket_closed(struct bus_socket *socket)
{
	server_unref((struct bus_server *)((char *)socket - offsetof(struct bus_server, socket)));
}

static void on_monitor_closed(struct bus_socket *socket)
{
	server_unref((struct bus_server *)((char *)socket - offsetof(struct bus_server, monitor)));
}

int bus_server_new(struct bus *bus, const char *address, const struct bus_route *routes,
		   size_t route_count, void *context, struct bus_server **ret_server)
{
	struct bus_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server) {
		return -ENOMEM;
	}
	server->bus = bus;
	server->context = context;
	server->retry.expire = on_retry;
	server->sweep.expire = on_sweep;
	for (size_t i = 0; i < route_count; i++) {
		server->handlers[routes[i].type] = routes[i].handle;
	}
	server->socket.turn = server_turn;
	server->socket.closed = on_socket_closed;
	server->monitor.turn = monitor_turn;
	server->monitor.closed = on_monitor_closed;
	r = bus_socket_open(&server->socket, &server->monitor, bus, ZMQ_ROUTER, address,
			    &server->place);
	server->refs = 1 + bus_socket_is_adopted(&server->socket) +
		       bus_socket_is_adopted(&server->monitor);
	if (r < 0) {
		server_unref(server);
		return r;
	}
	DL_APPEND(bus->servers, server);
	*ret_server = server;
	return 0;
}

void bus_server_free(struct bus_server *server)
{
	struct silent *silent;
	struct silent *next_silent;
	struct bus_peer *peer;
	struct bus_peer *next;

	if (!server) {
		return;
	}
	server->is_closed = true;
	server->on_gone = NULL;
	peers_tell_gone(server);
	HASH_ITER(hh, server->peers, peer, next)
	{
		peer_forget(peer);
	}
	HASH_ITER(hh, server->silent, silent, next_silent)
	{
		HASH_DEL(server->silent, silent);
		free(silent);
	}
	bus_remove_deadline(server->bus, &server->retry);
	bus_remove_deadline(server->bus, &server->sweep);
	DL_DELETE(server->bus->servers, server);
	bus_socket_close(&server->socket, &server->monitor);
	server_unref(server);
}

const char *bus_server_address(const struct bus_server *server)
{
	return server->place.shared;
}

const char *bus_server_local_address(const struct bus_server *server)
{
	return bus_place_local(&server->place);
}

void bus_server_on_gone(struct bus_server *server, void (*on_gone)(void *context, uint64_t peer))
{
	server->on_gone = on_gone;
}
