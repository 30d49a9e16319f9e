/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The nodes that the registry knows, and how long ago each was heard. Pure: time is given.
 *
 *   hello ─▶ ONLINE ──suspect_ms silent, or its connection ended──▶ SUSPECT ──dead_ms silent, or
 *              ▲                                                      │        gone_ms without
 *              └─────────────────────── beat ─────────────────────────┘        connection──▶ DEAD
 *
 * A dead node must say hello to be ONLINE again. A hello with the name of a known node replaces it.
 * A node that leaves in order is dead at once.
 *
 * A connection that ends soon proves a death only where the kernel closes it: on our own host. A
 * node elsewhere may be alive behind a broken network, and may answer from memory as long as its
 * lease runs (services/membership.c), so it is dead no sooner than that has run out.
 *
 * The table's clock stands still while the registry does not run (stopped, starved, or its machine
 * slept): nobody is blamed for silence that nobody listened to. After a pause that was long enough
 * for connections to be closed at the other end, nodes have return_ms to come back.
 */

#include <uthash.h>
#include "proto/proto.h"

#define NODE_STEP_MS 250 /* the clock goes on by this at most between two looks at it */
#define NODE_PAUSE_MS 1000 /* from here on a step was a pause */

struct node {
	char name[PROTO_NAME_BYTES_MAX + 1];
	enum proto_service service;
	struct proto_id incarnation;
	enum proto_node_state state;
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	char feed[PROTO_ADDRESS_BYTES_MAX + 1];
	struct proto_id store;
	char host[PROTO_NAME_BYTES_MAX + 1];
	char zone[PROTO_NAME_BYTES_MAX + 1];
	char version[PROTO_NAME_BYTES_MAX + 1];
	uint64_t started; /* ms since 1970 */
	uint64_t heard_ms; /* these two by the table's clock */
	uint64_t gone_at_ms;
	uint64_t peer; /* the connection that it was last heard on */
	bool is_gone; /* that has ended */
	bool is_near; /* on our own host */
	bool drain; /* asked for by an administrator */
	bool stopping; /* asked for by itself */
	uint64_t slots;
	uint64_t rooms;
	uint64_t connections;
	uint64_t load_permille; /* smoothed */
	uint64_t load_at_ms; /* when it was last told; 0: never */
	UT_hash_handle hh;
};

struct node_table {
	struct node *nodes; /* by name */
	const char *host; /* our own; borrowed; NULL: no node is near */
	uint64_t suspect_ms;
	uint64_t dead_ms;
	uint64_t lease_ms; /* a node that is not heard answers from memory no longer than this */
	uint64_t gone_ms;
	uint64_t return_ms;
	uint64_t
		seen_ms; /* monotonic time at the last look at the clock; 0: it was not looked at */
	uint64_t clock_ms;
	uint64_t excused_until_ms; /* by the table's clock */
};

void node_table_deinit(struct node_table *table);
struct node *node_find(const struct node_table *table, struct proto_span name);
struct node *node_find_store(const struct node_table *table, const struct proto_id *store);

/*
 * `now_ms` is monotonic everywhere; `peer` is the connection. Returns 0, PROTO_E_BAD_VALUE (a field
 * that the service needs is missing), PROTO_E_LIMIT (too many nodes), or -ENOMEM.
 */
int node_hello(struct node_table *table, const struct proto_node_hello *hello, uint64_t peer,
	       uint64_t now_ms, uint64_t wall_ms, struct node **ret_node);
/*
 * Returns 0 with the node, or PROTO_E_UNKNOWN_NODE. `ret_changed`: it was suspect, leaves, or
 * begins to drain.
 */
int node_beat(struct node_table *table, const struct proto_node_beat *beat, uint64_t peer,
	      uint64_t now_ms, struct node **ret_node, bool *ret_changed);
/* A connection has ended. The node that was heard on it is suspect; NULL: none, or it was. */
struct node *node_gone(struct node_table *table, uint64_t peer, uint64_t now_ms);
/* Calls `changed` for every node whose state is another one now. */
void node_tick(struct node_table *table, uint64_t now_ms,
	       void (*changed)(void *context, struct node *node), void *context);

static inline bool node_is_alive(const struct node *node)
{
	return node->state == PROTO_NODE_STATE_ONLINE || node->state == PROTO_NODE_STATE_SUSPECT;
}

static inline bool node_is_draining(const struct node *node)
{
	return node->drain || node->stopping;
}

/* What others see: a node that drains is `draining` while it is well. */
static inline enum proto_node_state node_shown_state(const struct node *node)
{
	return node->state == PROTO_NODE_STATE_ONLINE && node_is_draining(node)
		       ? PROTO_NODE_STATE_DRAINING
		       : node->state;
}

/* May get something new: a room, a segment. */
static inline bool node_takes_new(const struct node *node)
{
	return node_shown_state(node) == PROTO_NODE_STATE_ONLINE;
}

/*
 * By name, for lists; malloc'ed array of borrowed nodes, NULL if there are none or memory is out.
 */
struct node **node_sorted(const struct node_table *table, size_t *ret_count);
/* Texts point into the node. */
struct proto_node_info node_info(const struct node_table *table, const struct node *node);
