/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The bus: the only place of a daemon that sends and receives on ZeroMQ.
 *
 *   server      ROUTER   takes requests, answers each exactly once
 *   link        DEALER   sends requests to one address, matches answers, keeps deadlines
 *   publisher   XPUB     publishes under 16-byte topics
 *   feed        XSUB     follows one publisher
 *
 * A message is one frame (see proto.h); a published one has its topic in front. Frames that cannot
 * be decoded, unknown types, and requests past their deadline are answered here with an error, or
 * dropped where no answer is possible, and counted; handlers see valid messages alone. Everything
 * runs on the loop's thread. Callbacks never run inside the call that asked for them.
 *
 * Sockets get explicit limits before they bind or connect: high-water marks, frame size,
 * heartbeats, handshake time, reconnect back-off. Addresses must be ipc:// or loopback tcp:// as
 * long as no keys are set; anything else is refused with -EPERM (see keys). inproc:// serves tests.
 *
 * Callbacks may free the server, link, publisher or feed that calls them, but not the bus.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "proto/proto.h"
#include "services/keyring.h"

struct bus;
struct bus_server;
struct bus_request;
struct bus_link;
struct bus_call;
struct bus_publisher;
struct bus_feed;
struct metrics;

#define BUS_CALLS_MAX 65536 /* requests on their way on one link; more are refused as busy */
#define BUS_REQUESTS_MAX 65536 /* requests being answered by one server; more are refused as busy */
#define BUS_TOPICS_MAX (1024 * 1024) /* topics that one feed follows */
#define BUS_TIMEOUT_MS 5000 /* default deadline of a request */
#define BUS_BATCH_MAX 256 /* messages taken from one socket before others get their turn */

int bus_new(uv_loop_t *loop, struct metrics *metrics, struct bus **ret_bus);
/*
 * Nothing is received or called any more, but this: calls that still wait end with
 * PROTO_E_UNAVAILABLE before it returns. For the end of a process, while those who made the calls
 * are still there. NULL is fine, and so is a second time.
 */
void bus_close(struct bus *bus);
/*
 * Closes, and frees all that is left. Its last memory goes when the loop has run once more; metrics
 * are not touched any more. Not from a callback of the bus. NULL is fine.
 */
void bus_free(struct bus *bus);

#define BUS_STRANGERS_MAX 64 /* connections with unapproved keys, to servers that admit such */

/* --- keys --- */

/*
 * From now on TCP sockets take and show CURVE keys: servers and publishers let approved keys in
 * alone, and their addresses end in `#` and our public key; links and feeds show ours to the server
 * whose key their address ends in. Before any socket is opened. Takes the pair if it returns 0;
 * else -errno.
 */
int bus_secure(struct bus *bus, struct key_pair *pair);
/* Our public key; NULL: none. */
const struct key *bus_key(const struct bus *bus);

/*
 * These keys are approved, and no others. Connections of keys that were and are not any more are
 * closed, on either side; what such a key still sends is refused at once. Returns 0 or -ENOMEM:
 * nothing has changed.
 */
int bus_approve(struct bus *bus, uint64_t version, const struct proto_list_key_ref *keys);
const struct keyring *bus_keyring(const struct bus *bus);

/* Who asks. */
struct bus_caller {
	struct key key;
	enum proto_service service; /* absent: a stranger, whose key nobody approved */
	char node[PROTO_NAME_BYTES_MAX + 1]; /* whose key it is; empty: a stranger's */
};

/* --- serving --- */

/*
 * Handle a request. It belongs to the handler until bus_reply(), bus_answer() or bus_refuse() takes
 * it, now or later; the message stays valid until then.
 */
typedef void (*bus_handler_fn)(void *context, struct bus_request *request,
			       const struct proto_message *message);

struct bus_route {
	enum proto_type type;
	bus_handler_fn handle;
};

/*
 * Bind a ROUTER, to one address or several with commas between them. Types without a route are
 * answered with `not_here`, and what the caller's key may not ask, by the protocol's table, with
 * `forbidden`; ping is answered here. Routes are borrowed. Returns 0 or -errno (-EADDRINUSE,
 * -ENAMETOOLONG for a long ipc path, -EPERM for an address that is not safe).
 */
int bus_server_new(struct bus *bus, const char *address, const struct bus_route *routes,
		   size_t route_count, void *context, struct bus_server **ret_server);
/* Unbinds. Requests not answered yet stay valid; their answers are dropped. */
void bus_server_free(struct bus_server *server);
/*
 * The address that others are told, with the real port and our key; of several the last with keys,
 * else the first.
 */
const char *bus_server_address(const struct bus_server *server);
/*
 * Told, from the loop, when a connection that a request came on has ended: its process died, it
 * let go, or the network did. May be NULL.
 */
void bus_server_on_gone(struct bus_server *server, void (*on_gone)(void *context, uint64_t peer));
/* The first without keys, for the same machine, if the other one has keys; else NULL. */
const char *bus_server_local_address(const struct bus_server *server);
/*
 * Let unapproved keys in too, for what the table leaves to strangers: BUS_STRANGERS_MAX within
 * `life_ms`, after which their connections are closed, and those on which nothing ever came. Only
 * the registry does it.
 */
void bus_server_admit_strangers(struct bus_server *server, uint64_t life_ms);

/*
 * Whose key the request came with. NULL: there are no keys on that connection (ipc, or loopback of
 * a node without keys), and whoever can open it may ask everything. Valid as long as the request.
 */
const struct bus_caller *bus_request_caller(const struct bus_request *request);

/* The connection that it came on: never reused within a process, not even after a reconnect. */
uint64_t bus_request_peer(const struct bus_request *request);
const struct proto_message *bus_request_message(const struct bus_request *request);
const struct proto_id *bus_request_trace(const struct bus_request *request);
/* Milliseconds until its deadline; 0 if that has passed. */
uint64_t bus_request_time_left_ms(const struct bus_request *request);

/* Answer, and free the request. `body` is the struct of `type`. An unknown peer is not an error. */
void bus_reply(struct bus_request *request, enum proto_type type, const void *body);
void bus_ok(struct bus_request *request);
/* Answer with an error; `detail` is for people and may be NULL. */
void bus_refuse(struct bus_request *request, enum proto_code error, const char *detail);
/*
 * The same with retry_ms, next and so on given by the caller; code and unknown are filled in here.
 */
void bus_refuse_with(struct bus_request *request, enum proto_code error,
		     const struct proto_error *body);
/* Hand on the answer to a call made for this request: its body as it came, or its error. */
void bus_relay(struct bus_request *request, int result, const struct proto_message *answer);

/* --- asking --- */

/*
 * The end of a call, exactly once. `result` is 0: `answer` is of the type that the table gives as
 * the reply; or PROTO_E_…: `answer` is the error message, or NULL where none came (timeout,
 * unavailable, busy). `answer` is valid during the callback.
 */
typedef void (*bus_answer_fn)(void *context, int result, const struct proto_message *answer);

struct bus_call_options {
	uint64_t timeout_ms; /* 0: BUS_TIMEOUT_MS */
	uint64_t retry_ms; /* send again until answered; 0: never. Only for what may come twice */
	const struct proto_id *trace; /* NULL: a new one */
};

/*
 * Connects lazily and for ever, with back-off. The address of a server with a key ends in `#` and
 * the key, or two with a comma between them while the server changes it. Returns 0 or -errno.
 */
int bus_link_new(struct bus *bus, const char *address, struct bus_link **ret_link);
/* Calls still waiting end with PROTO_E_UNAVAILABLE, from the loop. */
void bus_link_free(struct bus_link *link);
const char *bus_link_address(const struct bus_link *link);
/* Whether the connection stands now (by ZeroMQ's socket monitor); calls may be made at any time. */
bool bus_link_is_up(const struct bus_link *link);
/*
 * Told whenever a connection was made (again): the peer then knows nothing of this link. May be
 * NULL.
 */
void bus_link_on_up(struct bus_link *link, void (*on_up)(void *context), void *context);

/*
 * Send a request. `options` and `ret_call` may be NULL. Calls on one link are sent in the order
 * made.
 * Never fails at once: whatever goes wrong reaches `on_answer`, from the loop.
 */
void bus_call(struct bus_link *link, enum proto_type type, const void *body,
	      const struct bus_call_options *options, bus_answer_fn on_answer, void *context,
	      struct bus_call **ret_call);
/* Forget a call: `on_answer` is not called. The request may be carried out all the same. */
void bus_call_cancel(struct bus_call *call);

/* --- publishing --- */

int bus_publisher_new(struct bus *bus, const char *address, struct bus_publisher **ret_publisher);
void bus_publisher_free(struct bus_publisher *publisher);
const char *bus_publisher_address(const struct bus_publisher *publisher);
const char *bus_publisher_local_address(const struct bus_publisher *publisher);
/* `topic` is a room's id; NULL: the all-zero topic. */
void bus_publish(struct bus_publisher *publisher, const struct proto_id *topic,
		 enum proto_type type, const void *body);

typedef void (*bus_feed_fn)(void *context, const struct proto_id *topic,
			    const struct proto_message *message);

/* Follow one publisher. Nothing comes before a subscription. */
int bus_feed_new(struct bus *bus, const char *address, bus_feed_fn on_message, void *context,
		 struct bus_feed **ret_feed);
void bus_feed_free(struct bus_feed *feed);
/*
 * NULL: everything. Subscriptions survive reconnects, and are counted: each needs one
 * bus_feed_unsubscribe(), after the last nothing more of the topic is told. Returns 0, -ENOBUFS
 * past BUS_TOPICS_MAX, or -ENOMEM.
 */
int bus_feed_subscribe(struct bus_feed *feed, const struct proto_id *topic);
void bus_feed_unsubscribe(struct bus_feed *feed, const struct proto_id *topic);
/*
 * Told whenever a connection was made (again): what was published before may be lost. May be NULL.
 */
void bus_feed_on_up(struct bus_feed *feed, void (*on_up)(void *context), void *context);
