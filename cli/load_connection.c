/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The sockets of a load. All reads go to one space, so that it stays in the cache; what is left
 * over of them, less than a message, waits with its connection. Writes are gathered for a turn of
 * the loop.
 */

#include "cli/load_engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "cli/websocket.h"

#define OUT_BYTES_MAX (64U * 1024U * 1024U)

static void lose(struct load *load, struct load_connection *connection, const char *why)
{
	if (connection->state == LOAD_CLOSED) {
		return;
	}
	load_say(load, why, strlen(why));
	load->failed = true;
	connection->state = LOAD_CLOSED;
	(void)close(connection->fd);
	connection->fd = -1;
}

/* --- output --- */

char *load_connection_reserve(struct load *load, struct load_connection *connection, size_t size)
{
	size_t wanted = connection->out_size + size;
	char *at;

	if (wanted > connection->out_capacity) {
		size_t capacity = connection->out_capacity ? connection->out_capacity : 1024;
		char *out;

		while (capacity < wanted) {
			capacity *= 2;
		}
		out = capacity <= OUT_BYTES_MAX ? realloc(connection->out, capacity) : NULL;
		if (!out) {
			lose(load, connection, "too much waits to be sent");
			return NULL;
		}
		connection->out = out;
		connection->out_capacity = capacity;
	}
	at = connection->out + connection->out_size;
	connection->out_size = wanted;
	if (!connection->is_dirty) {
		connection->is_dirty = true;
		load->dirty[load->dirty_count++] = connection;
	}
	return at;
}

static void watch(struct load *load, struct load_connection *connection, bool write)
{
	struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0),
				    .data.ptr = connection};

	if (connection->wants_write != write) {
		connection->wants_write = write;
		(void)epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &event);
	}
}

static void flush(struct load *load, struct load_connection *connection)
{
	ssize_t n;

	if (connection->state == LOAD_CLOSED || connection->state == LOAD_CONNECTING) {
		return;
	}
	n = send(connection->fd, connection->out, connection->out_size, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		lose(load, connection, "a connection cannot be written to");
		return;
	}
	if (n > 0) {
		connection->out_size -= (size_t)n;
		memmove(connection->out, connection->out + n, connection->out_size);
	}
	if (connection->out_size == 0 && !connection->sender) {
		free(connection->out);
		connection->out = NULL;
		connection->out_capacity = 0;
	}
	watch(load, connection, connection->out_size > 0);
}

void load_connections_flush(struct load *load)
{
	for (uint32_t i = 0; i < load->dirty_count; i++) {
		load->dirty[i]->is_dirty = false;
		flush(load, load->dirty[i]);
	}
	load->dirty_count = 0;
}

/* Bytes of the dialect, in a frame where there are frames. */
static void say(struct load *load, struct load_connection *connection, const char *data,
		size_t size, enum websocket_opcode opcode)
{
	char header[WEBSOCKET_HEADER_BYTES_MAX];
	size_t header_size = load->plan->dialect->websocket ? websocket_header(header, opcode, size)
							    : 0;
	char *at = load_connection_reserve(load, connection, header_size + size);

	if (at) {
		memcpy(at, header, header_size);
		memcpy(at + header_size, data, size);
	}
}

static enum websocket_opcode opcode_of(const struct load_dialect *dialect)
{
	return dialect->binary ? WEBSOCKET_BINARY : WEBSOCKET_TEXT;
}

/* --- connecting --- */

static void greet(struct load *load, struct load_connection *connection)
{
	static char words[LOAD_FRAME_BYTES_MAX];
	const struct load_dialect *dialect = load->plan->dialect;
	struct load_seat seat = {
		.room = load->plan->rooms[connection->room],
		.reads = !connection->sender,
		.serial = connection->serial,
	};

	connection->state = LOAD_GREETING;
	say(load, connection, words, dialect->greet(&seat, words), opcode_of(dialect));
}

static void ask_upgrade(struct load *load, struct load_connection *connection)
{
	const struct load_plan *plan = load->plan;
	const char *credential = "";
	char request[1024];
	int size;
	char *at;

	if (plan->credential_count > 0) {
		credential = plan->credentials[connection->sender ? 0
								  : connection->serial %
									    plan->credential_count];
	}
	size = snprintf(request, sizeof(request),
			"GET %s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nUpgrade: websocket\r\n"
			"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Key: ZGlzdHJpY2hhdCBiZW5jaA==\r\n%s%s%s%s%s%s\r\n",
			plan->dialect->path, plan->host, plan->host,
			plan->dialect->protocol ? "Sec-WebSocket-Protocol: " : "",
			plan->dialect->protocol ? plan->dialect->protocol : "",
			plan->dialect->protocol ? "\r\n" : "", credential[0] ? "Cookie: " : "",
			credential, credential[0] ? "\r\n" : "");
	connection->state = LOAD_UPGRADING;
	at = load_connection_reserve(load, connection, (size_t)size);
	if (at) {
		memcpy(at, request, (size_t)size);
	}
}

bool load_connection_start(struct load *load, struct load_connection *connection)
{
	const int one = 1;
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection->fd < 0) {
		load_say(load, strerror(errno), strlen(strerror(errno)));
		return false;
	}
	connection->state = LOAD_CONNECTING;
	connection->wants_write = true;
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0 ||
	    (connect(connection->fd, (const struct sockaddr *)&load->plan->server,
		     sizeof(load->plan->server)) != 0 &&
	     errno != EINPROGRESS)) {
		lose(load, connection, strerror(errno));
		return false;
	}
	return true;
}

static void connected(struct load *load, struct load_connection *connection)
{
	int error = 0;
	socklen_t size = sizeof(error);

	(void)getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) {
		lose(load, connection, strerror(error));
	} else if (load->plan->dialect->websocket) {
		ask_upgrade(load, connection);
	} else {
		greet(load, connection);
	}
}

/* --- input: each takes what it can of `data` and returns how much that was --- */

static void handle(struct load *load, struct load_connection *connection,
		   const struct load_incoming *incoming)
{
	const struct load_dialect *dialect = load->plan->dialect;

	switch (incoming->kind) {
	case LOAD_PING:
		say(load, connection, dialect->pong, strlen(dialect->pong), opcode_of(dialect));
		break;
	case LOAD_FAILED:
		load_say(load, incoming->text, incoming->size);
		lose(load, connection, "a connection failed");
		break;
	case LOAD_READY:
		if (connection->state == LOAD_GREETING) {
			connection->state = LOAD_OPEN;
			load->connecting--;
			load->open++;
		}
		break;
	default:
		load_take(load, connection, incoming);
	}
}

static size_t take_plain(struct load *load, struct load_connection *connection, const char *data,
			 size_t size)
{
	const struct load_dialect *dialect = load->plan->dialect;
	struct load_incoming incoming;
	size_t used = 0;
	size_t n;

	while (used < size && (n = dialect->parse(data + used, size - used, &incoming)) > 0) {
		used += n;
		handle(load, connection, &incoming);
	}
	return used;
}

/* A whole control frame. */
static void take_control(struct load *load, struct load_connection *connection,
			 const struct websocket_frame *frame, const char *payload)
{
	char why[64];

	if (frame->opcode == WEBSOCKET_PING) {
		say(load, connection, payload, frame->size, WEBSOCKET_PONG);
	} else if (frame->opcode == WEBSOCKET_CLOSE) {
		(void)snprintf(why, sizeof(why), "closed by the server with code %u",
			       frame->size >= 2 ? (unsigned int)(unsigned char)payload[0] << 8 |
							  (unsigned char)payload[1]
						: 0);
		lose(load, connection, why);
	}
}

static bool is_control(const struct websocket_frame *frame)
{
	return frame->opcode >= WEBSOCKET_CLOSE;
}

static size_t take_frames(struct load *load, struct load_connection *connection, const char *data,
			  size_t size)
{
	struct load_incoming incoming;
	struct websocket_frame frame;
	size_t used = 0;

	while (websocket_parse(data + used, size - used, &frame) &&
	       size - used - frame.header_size >= frame.size) {
		const char *payload = data + used + frame.header_size;

		used += frame.header_size + frame.size;
		if (is_control(&frame)) {
			take_control(load, connection, &frame, payload);
		} else if (!frame.final || frame.opcode == WEBSOCKET_MORE) {
			lose(load, connection, "a message in several frames");
		} else if (load->plan->dialect->parse(payload, frame.size, &incoming) > 0) {
			handle(load, connection, &incoming);
		}
	}
	return used;
}

/*
 * A stream in frames: plain bytes lie before what is raw. A frame's header is cut out by moving the
 * plain bytes before it, which are less than a message, over it.
 */
static size_t take_stream(struct load *load, struct load_connection *connection, char *data,
			  size_t size)
{
	char *start = data;
	char *raw = data + connection->plain;
	char *end = data + size;

	while (raw < end) {
		struct websocket_frame frame;
		size_t chunk;

		if (connection->frame_left == 0) {
			size_t plain = (size_t)(raw - start);

			if (!websocket_parse(raw, (size_t)(end - raw), &frame)) {
				break;
			}
			if (is_control(&frame) &&
			    (size_t)(end - raw) < frame.header_size + frame.size) {
				break;
			}
			if (is_control(&frame)) {
				take_control(load, connection, &frame, raw + frame.header_size);
				frame.header_size += frame.size;
				frame.size = 0;
			}
			memmove(start + frame.header_size, start, plain);
			start += frame.header_size;
			raw += frame.header_size;
			connection->frame_left = frame.size;
		}
		chunk = (size_t)(end - raw) < connection->frame_left ? (size_t)(end - raw)
								     : connection->frame_left;
		raw += chunk;
		connection->frame_left -= chunk;
		start += take_plain(load, connection, start, (size_t)(raw - start));
	}
	connection->plain = (size_t)(raw - start);
	return (size_t)(start - data);
}

static size_t take_upgrade(struct load *load, struct load_connection *connection, const char *data,
			   size_t size)
{
	static const char switched[] = "HTTP/1.1 101 ";
	const char *end = memmem(data, size, "\r\n\r\n", 4);
	const char *line;

	if (!end) {
		return 0;
	}
	if (size < sizeof(switched) - 1 || memcmp(data, switched, sizeof(switched) - 1) != 0) {
		line = memchr(data, '\r', size);
		load_say(load, data, (size_t)(line - data));
		lose(load, connection, "no WebSocket");
		return size;
	}
	greet(load, connection);
	return (size_t)(end - data) + 4;
}

static size_t take_open(struct load *load, struct load_connection *connection, char *data,
			size_t size)
{
	const struct load_dialect *dialect = load->plan->dialect;

	if (!dialect->websocket) {
		return take_plain(load, connection, data, size);
	}
	return dialect->stream ? take_stream(load, connection, data, size)
			       : take_frames(load, connection, data, size);
}

static size_t take(struct load *load, struct load_connection *connection, char *data, size_t size)
{
	size_t used = 0;

	if (connection->state == LOAD_UPGRADING) {
		used = take_upgrade(load, connection, data, size);
		if (used == 0 || connection->state == LOAD_CLOSED) {
			return used;
		}
	}
	return used + take_open(load, connection, data + used, size - used);
}

static void keep(struct load *load, struct load_connection *connection, const char *data,
		 size_t size)
{
	if (size > connection->kept_capacity) {
		char *kept = size <= LOAD_INCOMING_BYTES_MAX ? realloc(connection->kept, size)
							     : NULL;

		if (!kept) {
			lose(load, connection, "too large a message came");
			return;
		}
		connection->kept = kept;
		connection->kept_capacity = size;
	}
	if (size > 0) {
		memcpy(connection->kept, data, size);
	}
	connection->kept_size = size;
}

static bool make_space(struct load *load, size_t size)
{
	char *space;

	if (size <= load->space_size) {
		return true;
	}
	space = realloc(load->space, size);
	if (!space) {
		return false;
	}
	load->space = space;
	load->space_size = size;
	return true;
}

static void receive(struct load *load, struct load_connection *connection)
{
	size_t size = connection->kept_size;
	size_t used;
	ssize_t n;

	if (!make_space(load, size + LOAD_READ_BYTES)) {
		lose(load, connection, strerror(ENOMEM));
		return;
	}
	n = recv(connection->fd, load->space + size, LOAD_READ_BYTES, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			lose(load, connection, n == 0 ? "closed by the server" : strerror(errno));
		}
		return;
	}
	load->now_ns = load_now_ns();
	if (size > 0) {
		memcpy(load->space, connection->kept, size);
	}
	size += (size_t)n;
	used = take(load, connection, load->space, size);
	keep(load, connection, load->space + used, size - used);
}

void load_connection_ready(struct load *load, struct load_connection *connection, uint32_t events)
{
	if (connection->state == LOAD_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		connected(load, connection);
	} else if ((events & EPOLLOUT) && connection->state != LOAD_CLOSED) {
		flush(load, connection);
	}
	if ((events & ~(uint32_t)EPOLLOUT) && connection->state != LOAD_CLOSED) {
		receive(load, connection);
	}
}

void load_connection_free(struct load_connection *connection)
{
	if (connection->fd >= 0) {
		(void)close(connection->fd);
	}
	free(connection->kept);
	free(connection->out);
}
