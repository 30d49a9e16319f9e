/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the parts of the bus share: the sockets' life on the loop (bus.c), their options and the way
 * of a frame (bus_socket.c), their numbers (bus_numbers.c). Nobody else includes this.
 *
 *   server, link, publisher, feed ──own──▶ bus_socket, bus_monitor ──▶ bus (ready list, deadlines)
 *
 * Life: a callback may free the very object that called it. So an object is closed at once (nothing
 * more is received or called), and its memory goes when the loop has closed its last handle, which
 * is never on the stack of a callback.
 */

#define HASH_NONFATAL_OOM 1 /* uthash then leaves hh.tbl NULL instead of ending the process */

#include <uthash.h>
#include <utlist.h>
#include <uv.h>
#include <zmq.h>
#include "services/bus.h"
#include "services/cleanup.h"
#include "services/deadlines.h"
#include "services/keyring.h"
#include "services/metrics.h"

#define BUS_SEND_HWM 1024 /* messages to one peer waiting for the network, in libzmq */
#define BUS_RECEIVE_HWM 1024 /* messages from one peer waiting for the loop */
#define BUS_PUBLISH_HWM 16384 /* messages to one subscriber; more are dropped for that one */
#define BUS_SUBSCRIPTION_BYTES_MAX 1024 /* a frame from a subscriber; handshakes count too */
#define BUS_LINGER_MS 500 /* how long closing waits for what is still to be sent */
#define BUS_HANDSHAKE_MS 3000
#define BUS_HEARTBEAT_MS 1000
#define BUS_HEARTBEAT_TIMEOUT_MS 5000 /* silent for so long, a connection is closed */
#define BUS_RECONNECT_MS 100
#define BUS_RECONNECT_MAX_MS 2000
#define BUS_HAND_OVER_BYTES (64 * 1024) /* frames from here on are sent without a copy */
#define BUS_REDIAL_MS 200 /* after a handshake that failed for good, as libzmq sees it */
#define BUS_ENDPOINT_BYTES 256 /* an endpoint as libzmq tells it */
#define BUS_ADDRESS_BYTES (BUS_ENDPOINT_BYTES + KEY_TEXT_BYTES) /* with `#` and the key */
#define BUS_BINDS_MAX 4 /* endpoints of one server or publisher */
#define BUS_SERVER_KEYS_MAX 2 /* of one server, while it changes its key */
#define BUS_ZAP_FRAME_BYTES_MAX 4096
#define BUS_ZAP_DOMAIN_BYTES 24
#define BUS_USER_PROPERTY "User-Id" /* metadata of a message: what ZAP answered, the key as text */
#define BUS_EVENTS_HANDSHAKE_FAILED                                                   \
	(ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
	 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define BUS_TYPES 256 /* above every message id */
#define BUS_CODES 64 /* above every error */

/* --- numbers --- */

enum bus_drop {
	BUS_DROP_MALFORMED, /* a frame that is no message */
	BUS_DROP_PARTS, /* not as many frames as a message has */
	BUS_DROP_UNKNOWN_ANSWER, /* its call has ended, or never was */
	BUS_DROP_PEER_GONE, /* an answer to a closed connection */
	BUS_DROP_PEER_SLOW, /* an answer to a connection that does not read */
	BUS_DROPS,
};

/* Handles of series, made when first used. All may stay NULL: a bus without metrics. */
struct bus_numbers {
	struct metrics *metrics;
	struct metric *requests[BUS_TYPES][BUS_CODES];
	struct metric *request_seconds[BUS_TYPES];
	struct metric *calls[BUS_TYPES][BUS_CODES];
	struct metric *call_seconds[BUS_TYPES];
	struct metric *drops[BUS_DROPS];
	struct metric *published;
	struct metric *received;
	struct metric *retries;
	struct metric *handshakes_refused;
	struct metric *requests_open;
	struct metric *calls_open;
	struct metric *answers_held;
	struct metric *peers;
	uint64_t requests_open_count;
	uint64_t calls_open_count;
	uint64_t answers_held_count;
	uint64_t peers_count;
};

int bus_numbers_init(struct bus_numbers *numbers, struct metrics *metrics);
void bus_numbers_request(struct bus_numbers *numbers, enum proto_type type, int code,
			 uint64_t started_ns);
void bus_numbers_call(struct bus_numbers *numbers, enum proto_type type, int code,
		      uint64_t started_ns);
void bus_numbers_drop(struct bus_numbers *numbers, enum bus_drop why);
void bus_numbers_count(struct metric *counter);
void bus_numbers_move(struct metric *gauge, uint64_t *count, int by);
uint64_t bus_now_ns(void);

/* --- the bus --- */

/* Where a socket is bound, or connected to. */
struct bus_place {
	char endpoints[BUS_BINDS_MAX][BUS_ENDPOINT_BYTES]; /* once bound: with the real ports */
	size_t count; /* connected: 1 */
	char shared[BUS_ADDRESS_BYTES]; /* bound: what others are told, with our key */
	char local[BUS_ENDPOINT_BYTES]; /* bound: the first one without keys; empty: none */
	struct key keys[BUS_SERVER_KEYS_MAX]; /* connected: of the server */
	size_t key_count;
	size_t turn; /* the key that is tried */
};

/* The address without keys, if there is one beside the other; else NULL. */
static inline const char *bus_place_local(const struct bus_place *place)
{
	return place->local[0] != '\0' && strcmp(place->local, place->shared) != 0 ? place->local
										   : NULL;
}

struct bus_socket {
	struct bus *bus;
	uint64_t zap_number; /* its ZAP domain; 0: no CURVE here */
	void *zmq; /* NULL: closed */
	uv_poll_t poll;
	bool is_ready; /* on the bus' list */
	bool has_turn;
	struct bus_socket *prev;
	struct bus_socket *next;
	/*
	 * Take up to BUS_BATCH_MAX messages. Returns false only if nothing was left to do at a
	 * moment after the last call on the socket that could take in commands; see bus.c.
	 */
	bool (*turn)(struct bus_socket *socket);
	/* The loop has let go of it. */
	void (*closed)(struct bus_socket *socket);
};

struct bus {
	uv_loop_t *loop;
	void *context;
	unsigned int refs; /* its owner, its handles, its sockets */
	bool is_closed;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;
	uv_timer_t timer;
	struct bus_socket *ready;
	size_t ready_count;
	struct bus_call *ended; /* calls whose end must still be told */
	struct deadlines deadlines;
	uint64_t armed_ms; /* when the timer fires; UINT64_MAX: not set */
	struct proto_buffer scratch; /* frames are encoded here */
	struct bus_numbers numbers;
	uint64_t last_call;
	uint64_t last_peer;
	uint64_t last_monitor;
	uint64_t last_zap;
	struct key_pair *pair; /* NULL: no keys */
	struct keyring keyring;
	struct bus_zap *zap;
	struct bus_server *servers;
	struct bus_link *links;
	struct bus_publisher *publishers;
	struct bus_feed *feeds;
};

/* Something was done on the socket: look at it again before the loop sleeps. */
void bus_touch(struct bus_socket *socket);
void bus_untouch(struct bus_socket *socket);
/* Set a deadline. Out of memory ends the process; see bus_no_memory(). */
void bus_set_deadline(struct bus *bus, struct deadline *deadline, uint64_t due_ms);
void bus_remove_deadline(struct bus *bus, struct deadline *deadline);
void bus_unref(struct bus *bus);
/*
 * Where a promise must be kept (a call must end, a request must be answered) and the few bytes for
 * it cannot be had, the process ends and is started again.
 */
_Noreturn void bus_no_memory(void);

/* --- sockets --- */

/*
 * What an address says: "ipc://a,tcp://10.0.0.1:7000" to bind, "tcp://10.0.0.1:7000#KEY,KEY" to
 * connect. Returns 0, -EINVAL, -ENAMETOOLONG, or -EPERM: it is not safe; the log says why.
 */
int bus_place_parse(const struct bus *bus, const char *address, bool binds,
		    struct bus_place *ret_place);
/*
 * Open a socket of `type` with the options of its kind, bind or connect it, and put it on the loop.
 * `place` is filled in. `monitor` becomes the socket on which its events come: a monitor's turn
 * calls bus_monitor_read(). Returns 0 or -errno; only after 0 does either need closing. `closed`
 * follows, now or later, for each that has its `bus` set: count them with bus_socket_is_adopted(),
 * whatever was returned.
 */
int bus_socket_open(struct bus_socket *socket, struct bus_socket *monitor, struct bus *bus,
		    int type, const char *address, struct bus_place *place);
/* Leave the server and connect to it anew, with the keys as they are now. 0 or -errno. */
int bus_socket_dial_again(struct bus_socket *socket, const struct bus_place *place);
static inline unsigned int bus_socket_is_adopted(const struct bus_socket *socket)
{
	return socket->bus ? 1 : 0;
}
/*
 * With its monitor, which may be NULL. `closed` follows for both, from the loop. Also of closed
 * ones.
 */
void bus_socket_close(struct bus_socket *socket, struct bus_socket *monitor);
/* ZMQ_EVENTS, and so a proof as good as a receive's EAGAIN. */
int bus_socket_events(struct bus_socket *socket);

/* The next event of a socket: ZMQ_EVENT_… and its value. Returns false when there is none left. */
bool bus_monitor_read(struct bus_socket *monitor, unsigned int *ret_event, int *ret_value);

/* Receive a frame without waiting. Returns 0, -EAGAIN or -errno. */
int bus_frame_receive(struct bus_socket *socket, zmq_msg_t *ret_frame);
/* Encode into a new frame. Returns 0 or what proto_encode() returns. */
int bus_frame_encode(struct bus *bus, zmq_msg_t *ret_frame, const struct proto_header *header,
		     const void *body);
/* Receive and forget the frames up to the end of the message. */
void bus_frames_skip(struct bus_socket *socket);

/* --- connecting --- */

/* See bus_dial.c. */
struct bus_dial {
	struct bus_socket *socket;
	struct bus_place place;
	struct deadline again;
	bool is_failing; /* since the last success; told once */
	bool is_listed; /* the server's key was seen among the approved ones */
	bool is_revoked; /* and is there no more: never dialled again */
};

void bus_dial_init(struct bus_dial *dial, struct bus_socket *socket);
void bus_dial_deinit(struct bus_dial *dial);
void bus_dial_succeeded(struct bus_dial *dial);
/* `event` is one of BUS_EVENTS_HANDSHAKE_FAILED. */
void bus_dial_failed(struct bus_dial *dial, unsigned int event);
void bus_dial_now(struct bus_dial *dial);
/* The approved keys are others now. Returns false if the server was left because its key is not. */
bool bus_dial_check(struct bus_dial *dial);

/* --- keys --- */

int bus_zap_new(struct bus *bus, struct bus_zap **ret_zap);
void bus_zap_free(struct bus_zap *zap);
/* How long the server of this ZAP domain lets strangers stay; 0: it admits none. */
uint64_t bus_stranger_life_ms(const struct bus *bus, uint64_t zap_number);
/* Whether it stays on this machine, and was let through by a file's permissions. */
bool bus_connection_is_unix(int fd);
/* Close a connection, from the outside: libzmq sees its end, as if the peer had gone. */
void bus_connection_cut(int fd);
/* The approved keys are others now: close what has lost its right. */
void bus_servers_check(struct bus *bus);
void bus_links_check(struct bus *bus);
void bus_publishers_check(struct bus *bus);
void bus_feeds_check(struct bus *bus);

/* --- calls, for bus.c --- */

/* Tell the end of up to as many calls as wait for it now. */
void bus_calls_tell_ended(struct bus *bus);
/* Forget those that are left, without telling. */
void bus_calls_drop_ended(struct bus *bus);
/* End all calls of all links with PROTO_E_UNAVAILABLE, from the loop. */
void bus_links_end_calls(struct bus *bus);
