/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Links: a DEALER each, and the calls that are on their way.
 *
 *            connection stands              answer, deadline, connection lost without retry
 *   WAITING ──────────────────▶ SENT ──────────────────────────────────────────────────────▶ told
 *      ▲                          │  retry_ms over: sent again
 *      └── connection lost ───────┘  (only calls with retry_ms)
 *
 * With ZMQ_IMMEDIATE a DEALER that has no connection takes nothing, so that requests wait here,
 * where they can be cancelled, counted and given the time that they really have left, and not in a
 * pipe to nowhere. An answer can only come on the connection that the request went out on (a new
 * connection is a new peer to the server); so when a connection is lost, its calls end at once as
 * `unavailable` (outcome unknown), or are sent again if their caller said that they may come twice.
 *
 * A call that never was sent ends as `unavailable` at its deadline; one that was, as `timeout`.
 */

#include "services/bus_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include "services/clock.h"
#include "services/log.h"

#define STALE_MS 5 /* a frame older than this gets its time left anew when it is sent */

enum call_state {
	CALL_WAITING,
	CALL_SENT,
	CALL_ENDED, /* on the bus' list, no link any more */
};

struct bus_call {
	struct bus *bus;
	struct bus_link *link;
	enum call_state state;
	bool was_sent;
	enum proto_type type;
	uint64_t id;
	uint64_t started_ns;
	uint64_t encoded_ms;
	uint64_t deadline_ms;
	uint64_t retry_ms;
	struct proto_id trace;
	zmq_msg_t frame; /* empty once it is sent for good */
	struct deadline due; /* the next retry or the deadline, whichever is first */
	int result; /* ENDED */
	bus_answer_fn on_answer;
	void *context;
	UT_hash_handle hh; /* in link->calls, by id */
	struct bus_call *prev; /* in link->waiting or bus->ended */
	struct bus_call *next;
};

struct bus_link {
	struct bus *bus;
	struct bus_socket socket;
	struct bus_socket monitor;
	struct bus_dial dial;
	unsigned int refs;
	char *address;
	bool is_up;
	bool is_inproc; /* no monitor events: counts as up */
	struct bus_call *calls;
	struct bus_call *waiting; /* in the order made */
	void (*on_up)(void *context);
	void *on_up_context;
	struct bus_link *prev;
	struct bus_link *next;
};

/* --- the end of a call --- */

/* Take it out of whatever it is in. */
static void call_detach(struct bus_call *call)
{
	bus_remove_deadline(call->bus, &call->due);
	if (call->link) {
		HASH_DELETE(hh, call->link->calls, call);
		if (call->state == CALL_WAITING) {
			DL_DELETE(call->link->waiting, call);
		}
		call->link = NULL;
	} else if (call->state == CALL_ENDED) {
		DL_DELETE(call->bus->ended, call);
	}
}

static void call_free(struct bus_call *call)
{
	bus_numbers_move(call->bus->numbers.calls_open, &call->bus->numbers.calls_open_count, -1);
	(void)zmq_msg_close(&call->frame);
	free(call);
}

static void call_log_end(const struct bus_call *call, int result)
{
	const struct proto_type_info *info = proto_type_info(call->type);

	log_debug("bus.answer", LOG_TEXT("type", info ? info->record->name : "unknown"),
		  LOG_TEXT("code",
			   result == 0 ? "ok" : proto_error_info((enum proto_code)result)->code),
		  LOG_ID("trace", &call->trace),
		  LOG_NUMBER("us", (bus_now_ns() - call->started_ns) / 1000));
}

/* The last that is heard of the call. The callback may do anything, also free the link. */
static void call_tell(struct bus_call *call, int result, const struct proto_message *answer)
{
	bus_answer_fn on_answer = call->on_answer;
	void *context = call->context;

	call_detach(call);
	call_log_end(call, result);
	bus_numbers_call(&call->bus->numbers, call->type, result, call->started_ns);
	call_free(call);
	on_answer(context, result, answer);
}

/* End it from the loop: not inside the call that is the reason. */
static void call_end_later(struct bus_call *call, int result)
{
	call_detach(call);
	call->state = CALL_ENDED;
	call->result = result;
	DL_APPEND(call->bus->ended, call);
}

void bus_calls_tell_ended(struct bus *bus)
{
	struct bus_call *call;
	size_t count = 0;

	DL_COUNT(bus->ended, call, count);
	while (count-- > 0 && bus->ended) {
		call_tell(bus->ended, bus->ended->result, NULL);
	}
}

void bus_calls_drop_ended(struct bus *bus)
{
	while (bus->ended) {
		struct bus_call *call = bus->ended;

		call_detach(call);
		call_free(call);
	}
}

static void link_end_calls(struct bus_link *link)
{
	struct bus_call *call;
	struct bus_call *next;

	HASH_ITER(hh, link->calls, call, next)
	{
		call_end_later(call, PROTO_E_UNAVAILABLE);
	}
}

void bus_links_end_calls(struct bus *bus)
{
	struct bus_link *link;

	DL_FOREACH(bus->links, link)
	{
		link_end_calls(link);
	}
}

void bus_call_cancel(struct bus_call *call)
{
	call_detach(call);
	call_free(call);
}

/* --- sending --- */

static void call_set_due(struct bus_call *call)
{
	uint64_t due_ms = call->deadline_ms;

	if (call->retry_ms > 0 && call->state == CALL_SENT) {
		uint64_t retry_at_ms = clock_monotonic_ms() + call->retry_ms;

		due_ms = retry_at_ms < due_ms ? retry_at_ms : due_ms;
	}
	bus_set_deadline(call->bus, &call->due, due_ms);
}

/* Write the time that is left now into the frame: it has waited, or is sent again. */
static void call_refresh(struct bus_call *call)
{
	uint64_t now_ms = clock_monotonic_ms();
	_cleanup_(proto_message_cleanup) struct proto_message message = PROTO_MESSAGE_INIT;
	zmq_msg_t fresh;

	if (now_ms - call->encoded_ms < STALE_MS || now_ms >= call->deadline_ms ||
	    proto_decode(zmq_msg_data(&call->frame), zmq_msg_size(&call->frame), &message, NULL) !=
		    0) {
		return;
	}
	message.header.deadline_ms = call->deadline_ms - now_ms;
	if (bus_frame_encode(call->bus, &fresh, &message.header, message.body) == 0) {
		(void)zmq_msg_move(&call->frame, &fresh);
		(void)zmq_msg_close(&fresh);
		call->encoded_ms = now_ms;
	}
}

/* Returns 0 or -errno; -EAGAIN: no connection, or it is full. */
static int call_send_frame(struct bus_call *call)
{
	void *zmq = call->link->socket.zmq;
	zmq_msg_t copy;
	int r = 0;

	if (call->link->dial.is_revoked) {
		return -EAGAIN; /* libzmq takes a while to let go of it */
	}
	if (call->retry_ms == 0) {
		return zmq_msg_send(&call->frame, zmq, ZMQ_DONTWAIT) < 0 ? -errno : 0;
	}
	(void)zmq_msg_init(&copy);
	(void)zmq_msg_copy(&copy, &call->frame); /* shares the bytes */
	if (zmq_msg_send(&copy, zmq, ZMQ_DONTWAIT) < 0) {
		r = -errno;
		(void)zmq_msg_close(&copy);
	}
	return r;
}

/* Returns whether it was taken. */
static bool call_send(struct bus_call *call)
{
	call_refresh(call);
	if (call_send_frame(call) < 0) {
		return false;
	}
	if (call->state == CALL_WAITING) {
		DL_DELETE(call->link->waiting, call);
	}
	call->state = CALL_SENT;
	call->was_sent = true;
	if (call->retry_ms > 0) {
		call_set_due(call);
	}
	return true;
}

static void link_flush(struct bus_link *link)
{
	while (link->waiting && link->socket.zmq) {
		if (!call_send(link->waiting)) {
			break;
		}
	}
}

static void call_wait(struct bus_call *call)
{
	call->state = CALL_WAITING;
	DL_APPEND(call->link->waiting, call);
}

/* Retries that find the connection full or gone wait with the others. */
static void call_expire(struct deadline *deadline)
{
	struct bus_call *call = (struct bus_call *)((char *)deadline -
						    offsetof(struct bus_call, due));
	struct bus_link *link = call->link;

	if (clock_monotonic_ms() >= call->deadline_ms) {
		call_tell(call, call->was_sent ? PROTO_E_TIMEOUT : PROTO_E_UNAVAILABLE, NULL);
		return;
	}
	bus_numbers_count(call->bus->numbers.retries);
	if (!call_send(call)) {
		call_wait(call);
		call_set_due(call);
	}
	bus_touch(&link->socket);
}

/* --- calling --- */

static struct bus_call *call_new(struct bus *bus, enum proto_type type,
				 const struct bus_call_options *options)
{
	struct bus_call *call = calloc(1, sizeof(*call));

	if (!call) {
		bus_no_memory();
	}
	call->bus = bus;
	call->type = type;
	call->id = ++bus->last_call;
	call->started_ns = bus_now_ns();
	call->encoded_ms = clock_monotonic_ms();
	call->deadline_ms = call->encoded_ms +
			    (options->timeout_ms ? options->timeout_ms : BUS_TIMEOUT_MS);
	call->retry_ms = options->retry_ms;
	call->due.expire = call_expire;
	if (options->trace) {
		call->trace = *options->trace;
	} else {
		randombytes_buf(call->trace.bytes, sizeof(call->trace.bytes));
	}
	(void)zmq_msg_init(&call->frame);
	bus_numbers_move(bus->numbers.calls_open, &bus->numbers.calls_open_count, 1);
	return call;
}

static int call_encode(struct bus_call *call, const void *body)
{
	struct proto_header header = {
		.type = call->type,
		.request = call->id,
		.deadline_ms = call->deadline_ms - call->encoded_ms,
		.trace = call->trace,
	};
	const struct proto_type_info *info = proto_type_info(call->type);
	int r = bus_frame_encode(call->bus, &call->frame, &header, body);

	if (r < 0) {
		(void)zmq_msg_init(&call->frame);
		log_error("bus.bad_call", LOG_TEXT("type", info ? info->record->name : "unknown"),
			  LOG_ERRNO(r), LOG_ID("trace", &call->trace));
	} else {
		log_debug("bus.call", LOG_TEXT("type", info->record->name),
			  LOG_NUMBER("id", call->id), LOG_ID("trace", &call->trace),
			  LOG_TEXT("to", call->link->address));
	}
	return r;
}

static void call_start(struct bus_call *call, struct bus_link *link)
{
	call->link = link;
	HASH_ADD(hh, link->calls, id, sizeof(call->id), call);
	if (!call->hh.tbl) {
		bus_no_memory();
	}
	call_wait(call);
	call_set_due(call);
	if (link->waiting == call) { /* the order is kept: not past those that wait */
		(void)call_send(call);
	}
	bus_touch(&link->socket);
}

void bus_call(struct bus_link *link, enum proto_type type, const void *body,
	      const struct bus_call_options *options, bus_answer_fn on_answer, void *context,
	      struct bus_call **ret_call)
{
	static const struct bus_call_options defaults = {0};
	struct bus *bus = link->bus;
	struct bus_call *call = call_new(bus, type, options ? options : &defaults);

	call->on_answer = on_answer;
	call->context = context;
	call->link = link;
	if (ret_call) {
		*ret_call = call;
	}
	if (bus->is_closed || HASH_COUNT(link->calls) >= BUS_CALLS_MAX) {
		call->link = NULL;
		call->state = CALL_ENDED;
		call->result = bus->is_closed ? PROTO_E_UNAVAILABLE : PROTO_E_BUSY;
		DL_APPEND(bus->ended, call);
	} else if (call_encode(call, body) < 0) {
		call->link = NULL;
		call->state = CALL_ENDED;
		call->result = PROTO_E_INTERNAL;
		DL_APPEND(bus->ended, call);
	} else {
		call_start(call, link);
	}
}

/* --- answers --- */

/*
 * What an answer means: 0 or PROTO_E_…; `ret_told` is cleared where its bytes are not for the
 * caller.
 */
static int read_result(const struct bus_call *call, int decoded, const struct proto_message *answer,
		       bool *ret_told)
{
	const struct proto_type_info *info = proto_type_info(call->type);
	const struct proto_error_info *error;

	*ret_told = true;
	if (decoded == 0 && answer->header.type == PROTO_ERROR) {
		error = proto_error_find(PROTO_BODY(answer, error)->code);
		return error ? (int)error->number : PROTO_E_INTERNAL;
	}
	if (decoded == 0 && answer->header.type == info->reply) {
		return 0;
	}
	*ret_told = false;
	log_warn("bus.bad_answer", LOG_TEXT("type", info->record->name),
		 LOG_ID("trace", &call->trace));
	return PROTO_E_INTERNAL;
}

static void link_take(struct bus_link *link, zmq_msg_t *frame)
{
	struct bus *bus = link->bus;
	_cleanup_(proto_message_cleanup) struct proto_message answer = PROTO_MESSAGE_INIT;
	struct bus_call *call = NULL;
	bool told;
	int result;
	int r;

	if (zmq_msg_more(frame)) {
		bus_frames_skip(&link->socket);
		bus_numbers_drop(&bus->numbers, BUS_DROP_PARTS);
		return;
	}
	r = proto_decode(zmq_msg_data(frame), zmq_msg_size(frame), &answer, NULL);
	HASH_FIND(hh, link->calls, &answer.header.request, sizeof(answer.header.request), call);
	if (!call) {
		bus_numbers_drop(&bus->numbers,
				 r == 0 ? BUS_DROP_UNKNOWN_ANSWER : BUS_DROP_MALFORMED);
		return;
	}
	result = read_result(call, r, &answer, &told);
	call_tell(call, result, told ? &answer : NULL);
}

/* Returns true if the batch ended before the messages did. */
static bool link_receive(struct bus_link *link, size_t count_max)
{
	zmq_msg_t frame;

	for (size_t i = 0; i < count_max; i++) {
		if (!link->socket.zmq || bus_frame_receive(&link->socket, &frame) < 0) {
			return false;
		}
		link_take(link, &frame);
		(void)zmq_msg_close(&frame);
	}
	return true;
}

/* --- the connection --- */

static void link_went_up(struct bus_link *link)
{
	link->is_up = true;
	log_debug("bus.link_up", LOG_TEXT("address", link->address));
	(void)bus_socket_events(&link->socket); /* let the DEALER see its new connection */
	link_flush(link);
	bus_touch(&link->socket);
	if (link->on_up) {
		link->on_up(link->on_up_context);
	}
}

static void link_went_down(struct bus_link *link)
{
	struct bus_call *call;
	struct bus_call *next;

	link->is_up = false;
	log_debug("bus.link_down", LOG_TEXT("address", link->address));
	(void)link_receive(link, SIZE_MAX); /* answers that made it */
	if (!link->socket.zmq) {
		return;
	}
	HASH_ITER(hh, link->calls, call, next)
	{
		if (call->state != CALL_SENT) {
			continue;
		}
		if (call->retry_ms == 0) {
			call_end_later(call, PROTO_E_UNAVAILABLE);
		} else {
			call_wait(call);
			call_set_due(call);
		}
	}
}

/* Calls to a server whose key was revoked end; what they did there is not known. */
void bus_links_check(struct bus *bus)
{
	struct bus_link *link;

	DL_FOREACH(bus->links, link)
	{
		if (link->dial.place.key_count > 0 && !bus_dial_check(&link->dial)) {
			link->is_up = false;
			link_end_calls(link);
		}
	}
}

static bool monitor_turn(struct bus_socket *socket)
{
	struct bus_link *link = (struct bus_link *)((char *)socket -
						    offsetof(struct bus_link, monitor));
	unsigned int event;
	int value;

	while (bus_monitor_read(&link->monitor, &event, &value)) {
		if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
			bus_dial_succeeded(&link->dial);
			link_went_up(link);
		} else if ((event & BUS_EVENTS_HANDSHAKE_FAILED) != 0) {
			bus_dial_failed(&link->dial, event);
		} else if (link->is_up) {
			link_went_down(link);
		}
	}
	return false;
}

static bool link_turn(struct bus_socket *socket)
{
	struct bus_link *link = (struct bus_link *)((char *)socket -
						    offsetof(struct bus_link, socket));
	bool more;

	if (link->is_inproc && !link->is_up) {
		link_went_up(link);
	}
	if (link->socket.zmq && link->waiting) {
		(void)bus_socket_events(&link->socket);
		link_flush(link);
	}
	more = link_receive(link, BUS_BATCH_MAX);
	if (!more && link->socket.zmq && link->waiting) {
		more = (bus_socket_events(&link->socket) & (ZMQ_POLLOUT | ZMQ_POLLIN)) != 0;
	}
	return more;
}

/* --- life --- */

static void link_unref(struct bus_link *link)
{
	if (--link->refs == 0) {
		free(link->address);
		free(link);
	}
}

static void on_socket_closed(struct bus_socket *socket)
{
	link_unref((struct bus_link *)((char *)socket - offsetof(struct bus_link, socket)));
}

static void on_monitor_closed(struct bus_socket *socket)
{
	link_unref((struct bus_link *)((char *)socket - offsetof(struct bus_link, monitor)));
}

int bus_link_new(struct bus *bus, const char *address, struct bus_link **ret_link)
{
	struct bus_link *link = calloc(1, sizeof(*link));
	int r;

	if (!link || !(link->address = strdup(address))) {
		free(link);
		return -ENOMEM;
	}
	link->bus = bus;
	link->is_inproc = strncmp(address, "inproc://", strlen("inproc://")) == 0;
	link->socket.turn = link_turn;
	link->socket.closed = on_socket_closed;
	link->monitor.turn = monitor_turn;
	link->monitor.closed = on_monitor_closed;
	bus_dial_init(&link->dial, &link->socket);
	r = bus_socket_open(&link->socket, &link->monitor, bus, ZMQ_DEALER, address,
			    &link->dial.place);
	link->refs = 1 + bus_socket_is_adopted(&link->socket) +
		     bus_socket_is_adopted(&link->monitor);
	if (r < 0) {
		link_unref(link);
		return r;
	}
	DL_APPEND(bus->links, link);
	*ret_link = link;
	return 0;
}

void bus_link_free(struct bus_link *link)
{
	if (!link) {
		return;
	}
	link_end_calls(link);
	bus_dial_deinit(&link->dial);
	DL_DELETE(link->bus->links, link);
	bus_socket_close(&link->socket, &link->monitor);
	link_unref(link);
}

const char *bus_link_address(const struct bus_link *link)
{
	return link->address;
}

bool bus_link_is_up(const struct bus_link *link)
{
	return link->is_up;
}

void bus_link_on_up(struct bus_link *link, void (*on_up)(void *context), void *context)
{
	link->on_up = on_up;
	link->on_up_context = context;
}
