/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The nodes that the registry knows, and how long ago each was heard. Pure: time is given.
 *
 *   hello ─▶ ONLINE ──suspect_ms silent──▶ SUSPECT ──dead_ms silent──▶ DEAD
 *              ▲            │                          │
 *              └── beat ────┘   beat of the same incarnation: unknown_node, it must say hello ──▶
 *              ONLINE
 *
 * A hello with the name of a known node replaces it. A node that leaves in order is dead at once.
 */

#include <uthash.h>
#include "proto/proto.h"

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
	uint64_t heard_ms; /* monotonic */
	uint64_t slots;
	uint64_t rooms;
	uint64_t connections;
	uint64_t load_permille;
	UT_hash_handle hh;
};

struct node_table {
	struct node *nodes; /* by name */
	uint64_t suspect_ms;
	uint64_t dead_ms;
};

void node_table_deinit(struct node_table *table);
struct node *node_find(const struct node_table *table, struct proto_span name);
struct node *node_find_store(const struct node_table *table, const struct proto_id *store);

/*
 * Returns 0, PROTO_E_BAD_VALUE (a field that the service needs is missing), PROTO_E_LIMIT (too many
 * nodes), or -ENOMEM.
 */
int node_hello(struct node_table *table, const struct proto_node_hello *hello, uint64_t now_ms,
	       uint64_t wall_ms, struct node **ret_node);
/* Returns 0 with the node, or PROTO_E_UNKNOWN_NODE. `ret_changed`: it was suspect, or leaves. */
int node_beat(struct node_table *table, const struct proto_node_beat *beat, uint64_t now_ms,
	      struct node **ret_node, bool *ret_changed);
/* Calls `changed` for every node whose state is another one now. */
void node_tick(struct node_table *table, uint64_t now_ms,
	       void (*changed)(void *context, struct node *node), void *context);

static inline bool node_is_alive(const struct node *node)
{
	return node->state == PROTO_NODE_STATE_ONLINE || node->state == PROTO_NODE_STATE_SUSPECT;
}

/*
 * By name, for lists; malloc'ed array of borrowed nodes, NULL if there are none or memory is out.
 */
struct node **node_sorted(const struct node_table *table, size_t *ret_count);
/* Texts point into the node. */
struct proto_node_info node_info(const struct node *node, uint64_t now_ms);
