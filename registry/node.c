/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See node.h. Load is smoothed over LOAD_SMOOTH_MS, because one interval says little. */

#include "registry/node.h"

#include <errno.h>
#include <stdlib.h>

#define LOAD_SMOOTH_MS 5000

void node_table_deinit(struct node_table *table)
{
	struct node *node;
	struct node *next;

	HASH_ITER(hh, table->nodes, node, next)
	{
		HASH_DEL(table->nodes, node);
		free(node);
	}
}

struct node *node_find(const struct node_table *table, struct proto_span name)
{
	struct node *node = NULL;

	HASH_FIND(hh, table->nodes, name.data, name.size, node);
	return node;
}

struct node *node_find_store(const struct node_table *table, const struct proto_id *store)
{
	struct node *node;

	for (node = table->nodes; node; node = node->hh.next) {
		if (node->service == PROTO_SERVICE_STORAGED &&
		    proto_id_equal(&node->store, store)) {
			return node;
		}
	}
	return NULL;
}

/* Limits of the wire keep every text within its array. */
static void copy_text(char *to, struct proto_span text)
{
	if (text.size > 0) {
		memcpy(to, text.data, text.size);
	}
	to[text.size] = '\0';
}

/* What others must reach needs an address; roomd publishes; storaged has a store. */
static bool is_complete(const struct proto_node_hello *hello)
{
	switch (hello->service) {
	case PROTO_SERVICE_ROOMD:
		return hello->address.size > 0 && hello->feed.size > 0;
	case PROTO_SERVICE_STORAGED:
		return hello->address.size > 0 && !proto_id_is_none(&hello->store);
	default:
		return true;
	}
}

static struct node *node_add(struct node_table *table, struct proto_span name)
{
	struct node *node = calloc(1, sizeof(*node));

	if (node) {
		copy_text(node->name, name);
		HASH_ADD_KEYPTR(hh, table->nodes, node->name, name.size, node);
	}
	return node;
}

/* --- time --- */

/* The table's clock, moved on to `now_ms`. */
static uint64_t look_at_clock(struct node_table *table, uint64_t now_ms)
{
	uint64_t step_ms = table->seen_ms > 0 && now_ms > table->seen_ms ? now_ms - table->seen_ms
									 : 0;

	table->seen_ms = now_ms;
	table->clock_ms += step_ms < NODE_STEP_MS ? step_ms : NODE_STEP_MS;
	if (step_ms >= NODE_PAUSE_MS) {
		table->excused_until_ms = table->clock_ms + table->return_ms;
	}
	return table->clock_ms;
}

static void hear(struct node_table *table, struct node *node, uint64_t peer, uint64_t now_ms)
{
	node->heard_ms = look_at_clock(table, now_ms);
	node->peer = peer;
	node->is_gone = false;
}

/* --- hello and beat --- */

static void node_fill(struct node *node, const struct proto_node_hello *hello)
{
	node->service = hello->service;
	node->incarnation = hello->incarnation;
	node->store = hello->store;
	node->slots = 0;
	node->rooms = 0;
	node->connections = 0;
	node->load_permille = 0;
	node->load_at_ms = 0;
	node->stopping = false;
	copy_text(node->address, hello->address);
	copy_text(node->feed, hello->feed);
	copy_text(node->host, hello->host);
	copy_text(node->zone, hello->zone);
	copy_text(node->version, hello->version);
}

/* Makes room for one more by forgetting the node that has been dead for longest. */
static bool node_forget(struct node_table *table)
{
	struct node *oldest = NULL;
	struct node *node;

	for (node = table->nodes; node; node = node->hh.next) {
		if (node->state == PROTO_NODE_STATE_DEAD &&
		    (!oldest || node->heard_ms < oldest->heard_ms)) {
			oldest = node;
		}
	}
	if (oldest) {
		HASH_DEL(table->nodes, oldest);
		free(oldest);
	}
	return oldest != NULL;
}

int node_hello(struct node_table *table, const struct proto_node_hello *hello, uint64_t peer,
	       uint64_t now_ms, uint64_t wall_ms, struct node **ret_node)
{
	struct node *node = node_find(table, hello->node);

	if (hello->node.size == 0 || proto_id_is_none(&hello->incarnation) || !is_complete(hello)) {
		return PROTO_E_BAD_VALUE;
	}
	if (!node) {
		if (HASH_COUNT(table->nodes) >= PROTO_NODES_MAX && !node_forget(table)) {
			return PROTO_E_LIMIT;
		}
		node = node_add(table, hello->node);
		if (!node) {
			return -ENOMEM;
		}
	}
	if (!proto_id_equal(&node->incarnation, &hello->incarnation)) {
		node->started = wall_ms;
		node->drain = false; /* it was another process that was to go */
	}
	node_fill(node, hello);
	node->state = PROTO_NODE_STATE_ONLINE;
	node->is_near = table->host && strcmp(node->host, table->host) == 0;
	hear(table, node, peer, now_ms);
	*ret_node = node;
	return 0;
}

/* An exponential mean whose weights follow from the time between two values. */
static void take_load(struct node *node, uint64_t load_permille, uint64_t clock_ms)
{
	uint64_t since_ms = clock_ms - node->load_at_ms;
	uint64_t weight_ms = since_ms < LOAD_SMOOTH_MS ? since_ms : LOAD_SMOOTH_MS;

	if (node->load_at_ms == 0) {
		weight_ms = LOAD_SMOOTH_MS;
	}
	node->load_permille = (node->load_permille * (LOAD_SMOOTH_MS - weight_ms) +
			       load_permille * weight_ms) /
			      LOAD_SMOOTH_MS;
	node->load_at_ms = clock_ms;
}

int node_beat(struct node_table *table, const struct proto_node_beat *beat, uint64_t peer,
	      uint64_t now_ms, struct node **ret_node, bool *ret_changed)
{
	struct node *node = node_find(table, beat->node);
	enum proto_node_state before;

	if (!node || node->state == PROTO_NODE_STATE_DEAD ||
	    !proto_id_equal(&node->incarnation, &beat->incarnation)) {
		return PROTO_E_UNKNOWN_NODE;
	}
	before = node_shown_state(node);
	node->state = beat->leaving ? PROTO_NODE_STATE_DEAD : PROTO_NODE_STATE_ONLINE;
	node->stopping = node->stopping || beat->draining;
	hear(table, node, peer, now_ms);
	node->slots = beat->slots;
	node->rooms = beat->rooms;
	node->connections = beat->connections;
	take_load(node, beat->load_permille, table->clock_ms);
	*ret_node = node;
	*ret_changed = node_shown_state(node) != before;
	return 0;
}

struct node *node_gone(struct node_table *table, uint64_t peer, uint64_t now_ms)
{
	uint64_t clock_ms = look_at_clock(table, now_ms);
	struct node *node = table->nodes;

	while (node && (node->peer != peer || node->is_gone)) {
		node = node->hh.next;
	}
	if (!node || !node_is_alive(node)) {
		return NULL;
	}
	node->is_gone = true;
	node->gone_at_ms = clock_ms;
	if (node->state == PROTO_NODE_STATE_SUSPECT) {
		return NULL;
	}
	node->state = PROTO_NODE_STATE_SUSPECT;
	return node;
}

static bool is_gone_for_good(const struct node_table *table, const struct node *node)
{
	uint64_t silent_ms = table->clock_ms - node->heard_ms;

	return node->is_gone && table->clock_ms - node->gone_at_ms >= table->gone_ms &&
	       (node->is_near || silent_ms >= table->lease_ms);
}

static enum proto_node_state state_after(const struct node_table *table, const struct node *node)
{
	uint64_t silent_ms = table->clock_ms - node->heard_ms;

	if (table->clock_ms < table->excused_until_ms) {
		return node->state;
	}
	if (silent_ms >= table->dead_ms || is_gone_for_good(table, node)) {
		return PROTO_NODE_STATE_DEAD;
	}
	return silent_ms >= table->suspect_ms ? PROTO_NODE_STATE_SUSPECT : PROTO_NODE_STATE_ONLINE;
}

void node_tick(struct node_table *table, uint64_t now_ms,
	       void (*changed)(void *context, struct node *node), void *context)
{
	struct node *node;

	(void)look_at_clock(table, now_ms);
	for (node = table->nodes; node; node = node->hh.next) {
		enum proto_node_state state = state_after(table, node);

		if (node->state != PROTO_NODE_STATE_DEAD && state > node->state) {
			node->state = state;
			changed(context, node);
		}
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct node *const *)a)->name, (*(struct node *const *)b)->name);
}

struct node **node_sorted(const struct node_table *table, size_t *ret_count)
{
	size_t count = HASH_COUNT(table->nodes);
	struct node **sorted = count > 0 ? calloc(count, sizeof(struct node *)) : NULL;
	struct node *node;

	*ret_count = 0;
	for (node = sorted ? table->nodes : NULL; node; node = node->hh.next) {
		sorted[(*ret_count)++] = node;
	}
	if (sorted) {
		qsort(sorted, count, sizeof(struct node *), by_name);
	}
	return sorted;
}

struct proto_node_info node_info(const struct node_table *table, const struct node *node)
{
	return (struct proto_node_info){
		.node = proto_span(node->name),
		.service = node->service,
		.incarnation = node->incarnation,
		.state = node_shown_state(node),
		.address = proto_span(node->address),
		.feed = proto_span(node->feed),
		.store = node->store,
		.host = proto_span(node->host),
		.zone = proto_span(node->zone),
		.version = proto_span(node->version),
		.started = node->started,
		.silent_ms = table->clock_ms - node->heard_ms,
		.slots = node->slots,
		.rooms = node->rooms,
		.connections = node->connections,
		.load_permille = node->load_permille,
	};
}
