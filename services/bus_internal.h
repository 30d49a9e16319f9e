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
#define BUS_ENDPOINT_BYTES 256 /* an address as libzmq tells it */
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

struct bus_socket {
	struct bus *bus;
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
 * Open a socket of `type` with the options of its kind, bind or connect it, and put it on the loop.
 * `monitor` becomes the socket on which its events come: a monitor's turn calls bus_monitor_read().
 * Returns 0 or -errno; only after 0 does either need closing. `closed` follows, now or later, for
 * each that has its `bus` set: count them with bus_socket_is_adopted(), whatever was returned.
 */
int bus_socket_open(struct bus_socket *socket, struct bus_socket *monitor, struct bus *bus,
		    int type, const char *address);
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
/* The address as bound. Returns 0 or -errno. */
int bus_socket_address(struct bus_socket *socket, char ret_address[static BUS_ENDPOINT_BYTES]);

/* The next event of a socket: ZMQ_EVENT_… and its value. Returns false when there is none left. */
bool bus_monitor_read(struct bus_socket *monitor, unsigned int *ret_event, int *ret_value);

/* Receive a frame without waiting. Returns 0, -EAGAIN or -errno. */
int bus_frame_receive(struct bus_socket *socket, zmq_msg_t *ret_frame);
/* Encode into a new frame. Returns 0 or what proto_encode() returns. */
int bus_frame_encode(struct bus *bus, zmq_msg_t *ret_frame, const struct proto_header *header,
		     const void *body);
/* Receive and forget the frames up to the end of the message. */
void bus_frames_skip(struct bus_socket *socket);

/* --- calls, for bus.c --- */

/* Tell the end of up to as many calls as wait for it now. */
void bus_calls_tell_ended(struct bus *bus);
/* Forget those that are left, without telling. */
void bus_calls_drop_ended(struct bus *bus);
/* End all calls of all links with PROTO_E_UNAVAILABLE, from the loop. */
void bus_links_end_calls(struct bus *bus);
