/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The ZAP handler: a REP socket that libzmq asks about every CURVE handshake. Not czmq's zauth,
 * which ignores domains and lets NULL in.
 *
 * Every socket that takes CURVE has a domain of its own, a number. A key of the keyring may connect
 * anywhere. Any other key may connect to a server that admits strangers for a time, and only so
 * many of them may in that time, after which servers close them: so there are never more than
 * BUS_STRANGERS_MAX. The answer's User-Id is the key as text; it is what servers read on every
 * message, because libzmq asks only once for each connection.
 */

#include "services/bus_zap.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "services/bus_internal.h"
#include "services/clock.h"
#include "services/log.h"

#define ADDRESS "inproc://zeromq.zap.01" /* RFC 27 */
#define CURVE "CURVE"

enum zap_frame {
	FRAME_VERSION,
	FRAME_REQUEST,
	FRAME_DOMAIN,
	FRAME_ADDRESS,
	FRAME_IDENTITY,
	FRAME_MECHANISM,
	FRAME_CREDENTIALS,
	FRAMES,
};

struct bus_zap {
	struct bus_socket socket;
	struct bus_place place;
	uint64_t strangers_ms[BUS_STRANGERS_MAX]; /* when the last ones were let in */
	size_t next; /* the oldest of them */
	unsigned int refs;
};

enum zap_status zap_decide(const struct keyring *keyring, bool stranger_allowed,
			   const struct zap_request *request, struct key *ret_key,
			   bool *ret_is_stranger)
{
	*ret_is_stranger = false;
	if (!proto_span_equal(request->version, PROTO_SPAN(ZAP_VERSION))) {
		return ZAP_FAULTY;
	}
	if (!proto_span_equal(request->mechanism, PROTO_SPAN(CURVE))) {
		return ZAP_REFUSED;
	}
	if (request->credentials.size != sizeof(ret_key->bytes)) {
		return ZAP_FAULTY;
	}
	memcpy(ret_key->bytes, request->credentials.data, sizeof(ret_key->bytes));
	if (keyring_find(keyring, ret_key)) {
		return ZAP_ALLOWED;
	}
	*ret_is_stranger = stranger_allowed;
	return stranger_allowed ? ZAP_ALLOWED : ZAP_REFUSED;
}

/* --- strangers --- */

static bool has_room(const struct bus_zap *zap, uint64_t life_ms, uint64_t now_ms)
{
	uint64_t oldest_ms = zap->strangers_ms[zap->next];

	return oldest_ms == 0 || now_ms - oldest_ms > life_ms;
}

static void count_stranger(struct bus_zap *zap, uint64_t now_ms)
{
	zap->strangers_ms[zap->next] = now_ms;
	zap->next = (zap->next + 1) % BUS_STRANGERS_MAX;
}

static uint64_t stranger_life_ms(const struct bus *bus, struct proto_span domain)
{
	char text[BUS_ZAP_DOMAIN_BYTES];

	if (domain.size == 0 || domain.size >= sizeof(text)) {
		return 0;
	}
	memcpy(text, domain.data, domain.size);
	text[domain.size] = '\0';
	return bus_stranger_life_ms(bus, strtoull(text, NULL, 10));
}

/* --- asking and answering --- */

static struct proto_span span_of(zmq_msg_t *frame)
{
	return (struct proto_span){zmq_msg_data(frame), zmq_msg_size(frame)};
}

static bool send_frame(struct bus_zap *zap, struct proto_span frame, bool more)
{
	return zmq_send(zap->socket.zmq, frame.data, frame.size,
			ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0;
}

static void answer(struct bus_zap *zap, struct proto_span request, enum zap_status status,
		   const char *user)
{
	const struct proto_span frames[] = {
		PROTO_SPAN(ZAP_VERSION),
		request,
		status == ZAP_ALLOWED	? PROTO_SPAN("200")
		: status == ZAP_REFUSED ? PROTO_SPAN("400")
					: PROTO_SPAN("500"),
		{"", 0},
		proto_span(user),
		{"", 0}, /* no more metadata */
	};
	const size_t count = sizeof(frames) / sizeof(frames[0]);

	for (size_t i = 0; i < count; i++) {
		if (!send_frame(zap, frames[i], i + 1 < count)) {
			log_warn("bus.zap_unanswered", LOG_ERRNO(errno));
			return;
		}
	}
}

static void decide(struct bus_zap *zap, zmq_msg_t frames[static FRAMES])
{
	const struct zap_request request = {
		.version = span_of(&frames[FRAME_VERSION]),
		.mechanism = span_of(&frames[FRAME_MECHANISM]),
		.credentials = span_of(&frames[FRAME_CREDENTIALS]),
	};
	struct bus *bus = zap->socket.bus;
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t life_ms = stranger_life_ms(bus, span_of(&frames[FRAME_DOMAIN]));
	bool admits = life_ms > 0 && has_room(zap, life_ms, now_ms);
	char user[KEY_TEXT_BYTES] = "";
	struct key key = {{0}};
	bool is_stranger;
	enum zap_status status = zap_decide(&bus->keyring, admits, &request, &key, &is_stranger);

	key_format(&key, user);
	if (is_stranger) {
		count_stranger(zap, now_ms);
	}
	if (status != ZAP_ALLOWED) {
		bus_numbers_count(bus->numbers.handshakes_refused);
		log_debug("bus.handshake_refused", LOG_TEXT("key", user),
			  LOG_SPAN("address", span_of(&frames[FRAME_ADDRESS])),
			  LOG_SPAN("mechanism", request.mechanism),
			  LOG_TEXT("why", life_ms > 0 ? "too many strangers" : "not approved"));
	}
	answer(zap, span_of(&frames[FRAME_REQUEST]), status, status == ZAP_ALLOWED ? user : NULL);
}

/*
 * One request. Returns false if there was none. Only libzmq can reach an inproc address, so a
 * request is always whole; one of another shape is answered as faulty.
 */
static bool zap_receive(struct bus_zap *zap)
{
	zmq_msg_t frames[FRAMES];
	size_t count = 0;
	bool more = true;

	while (more && count < FRAMES && bus_frame_receive(&zap->socket, &frames[count]) == 0) {
		more = zmq_msg_more(&frames[count++]);
	}
	if (count == 0) {
		return false;
	}
	if (more) {
		bus_frames_skip(&zap->socket);
	}
	if (count == FRAMES) {
		decide(zap, frames);
	} else {
		answer(zap,
		       count > FRAME_REQUEST ? span_of(&frames[FRAME_REQUEST]) : PROTO_SPAN(""),
		       ZAP_FAULTY, NULL);
	}
	while (count > 0) {
		(void)zmq_msg_close(&frames[--count]);
	}
	return true;
}

static bool zap_turn(struct bus_socket *socket)
{
	struct bus_zap *zap = (struct bus_zap *)((char *)socket - offsetof(struct bus_zap, socket));

	for (size_t i = 0; i < BUS_BATCH_MAX; i++) {
		if (!zap_receive(zap)) {
			return false;
		}
	}
	return true;
}

/* --- life --- */

static void zap_unref(struct bus_zap *zap)
{
	if (--zap->refs == 0) {
		free(zap);
	}
}

static void on_closed(struct bus_socket *socket)
{
	zap_unref((struct bus_zap *)((char *)socket - offsetof(struct bus_zap, socket)));
}

int bus_zap_new(struct bus *bus, struct bus_zap **ret_zap)
{
	struct bus_zap *zap = calloc(1, sizeof(*zap));
	int r;

	if (!zap) {
		return -ENOMEM;
	}
	zap->socket.turn = zap_turn;
	zap->socket.closed = on_closed;
	r = bus_socket_open(&zap->socket, NULL, bus, ZMQ_REP, ADDRESS, &zap->place);
	zap->refs = 1 + bus_socket_is_adopted(&zap->socket);
	if (r < 0) {
		zap_unref(zap);
		return r;
	}
	*ret_zap = zap;
	return 0;
}

void bus_zap_free(struct bus_zap *zap)
{
	if (zap) {
		bus_socket_close(&zap->socket, NULL);
		zap_unref(zap);
	}
}
