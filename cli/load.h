/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A load generator: many connections from one thread. Rooms have readers and senders; every message
 * carries its sender, its number and its time (stamp.h), and every reader keeps an account of every
 * sender of its room (account.h), so that lost, doubled and reordered are exact.
 *
 * `rate` > 0 is an open loop: message k is due at start + k / rate, and its latency counts from
 * then, sent late or not. `rate` 0 is flat out: a closed loop in which each sender has at most
 * `window` messages that have not reached all readers of its room, so that the slowest reader sets
 * the pace and nothing has to be dropped.
 *
 * A run: connect all, follow the rooms, warm up, measure, let everything arrive, settle accounts.
 *
 * What it speaks is a dialect's: how to follow a room, how to send, and what came.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cli/histogram.h"
#include "cli/process.h"

#define LOAD_CONNECTIONS_MAX 1000000U
#define LOAD_FRAME_BYTES_MAX 32768U /* of one that is sent */
#define LOAD_ROOM_BYTES_MAX 64U /* of a room's name in the dialect */
#define LOAD_CREDENTIAL_BYTES_MAX 256U

enum load_kind {
	LOAD_IGNORED, /* nothing that concerns the load */
	LOAD_READY, /* what the connection asked for at its start is done */
	LOAD_TEXT, /* a message arrived: `text`, `size` */
	LOAD_SENT, /* message `number` was accepted */
	LOAD_REFUSED, /* message `number` was refused; `text` says why */
	LOAD_PING, /* answer with the dialect's `pong` */
	LOAD_FAILED, /* the connection is of no use any more; `text` says why */
};

struct load_incoming {
	enum load_kind kind;
	const char *text;
	size_t size;
	uint32_t number;
};

/* A connection, as a dialect sees it. */
struct load_seat {
	const char *room;
	bool reads; /* else it sends */
	uint32_t serial; /* of the connection */
};

struct load_dialect {
	const char *name;
	bool websocket; /* else plain TCP */
	const char *path; /* of the WebSocket */
	const char *protocol; /* its subprotocol; NULL: none */
	bool binary;
	bool stream; /* frames carry a stream, not a message each */
	bool confirms; /* senders hear LOAD_SENT for every message */
	/* First words of a connection; `to` has LOAD_FRAME_BYTES_MAX bytes. Returns the size. */
	size_t (*greet)(const struct load_seat *seat, char *to);
	/* A message around `text`, with number 1. Returns its size, and where the text begins. */
	size_t (*compose)(const struct load_seat *seat, const char *text, size_t size, char *to,
			  size_t *ret_text_at);
	/* Another number for a composed message; NULL where the text alone carries it. */
	void (*renumber)(char *message, size_t text_at, uint32_t number);
	/* One message; returns how many bytes it has, 0 when it is not complete. */
	size_t (*parse)(const char *data, size_t size, struct load_incoming *ret_incoming);
	const char *pong;
};

struct load_plan {
	const struct load_dialect *dialect;
	struct sockaddr_in server;
	const char *host; /* for the Host header */
	uint64_t room_count;
	uint64_t readers; /* in each room */
	uint64_t senders; /* in each room, on connections of their own */
	uint64_t rate; /* messages a second, all senders together; 0: flat out */
	uint64_t window; /* of each sender, flat out */
	uint64_t text_bytes;
	uint64_t warm_up_ms;
	uint64_t measure_ms;
	const char (*rooms)[LOAD_ROOM_BYTES_MAX];
	/* Cookie headers ("name=value") for the handshakes, used in turn; senders use the first. */
	const char (*credentials)[LOAD_CREDENTIAL_BYTES_MAX];
	uint64_t credential_count;
	struct process_list servers;
};

struct load_counts {
	uint64_t sent;
	uint64_t confirmed;
	uint64_t refused;
	uint64_t delivered;
	uint64_t lost;
	uint64_t doubled;
	uint64_t reordered;
	uint64_t foreign; /* of another room */
};

struct load_result {
	struct load_counts counts; /* of the whole run, warm-up included */
	uint64_t connections;
	uint64_t connect_ns; /* from the first connect until all rooms were followed */
	/* From the end of the warm-up until the last message had arrived. */
	uint64_t sent;
	uint64_t delivered;
	uint64_t measure_ns;
	uint64_t server_cpu_ns;
	uint64_t own_cpu_ns;
	uint64_t memory_bytes_before; /* of the servers, before the first connect */
	uint64_t memory_bytes; /* with all connections, before the first message */
	uint64_t held; /* open loop: turns in which nothing more could be sent */
	struct histogram delivery; /* due (or sent, flat out) → read */
	struct histogram confirmation; /* due → LOAD_SENT */
	struct histogram lateness; /* due → sent */
	char why[160]; /* of LOAD_FAILED, LOAD_REFUSED, a lost connection: the first */
};

/* 0 when the run went to its end, whatever it found. -errno: it did not; `why` tells more. */
int load_run(const struct load_plan *plan, struct load_result *ret_result);
/* Nothing lost, doubled, reordered, refused, foreign. */
bool load_is_clean(const struct load_result *result);
