/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Nodes: hello, heartbeats, the list, and taking one out of service.
 *
 * That a node drains is kept under its name with its incarnation, so that it outlives restarts of
 * the registry and silences of the node, and ends with the node's process: one that is started
 * anew is in service.
 */

#include <stdlib.h>
#include "registry/registry.h"
#include "services/clock.h"

void nodes_changed(void *context, struct node *node)
{
	struct registry *registry = context;
	struct proto_node_changed change = {
		.node = proto_span(node->name),
		.service = node->service,
		.incarnation = node->incarnation,
		.state = node_shown_state(node),
		.address = proto_span(node->address),
		.feed = proto_span(node->feed),
		.store = node->store,
	};

	log_info("node.changed", LOG_TEXT("name", node->name),
		 LOG_TEXT("is", proto_service_name(node->service)),
		 LOG_TEXT("state", proto_node_state_name(change.state)));
	bus_publish(registry->publisher, NULL, PROTO_NODE_CHANGED, &change);
	if (node->service == PROTO_SERVICE_ROOMD) {
		registry->served.dirty = true;
		wishes_node_changed(registry, node);
	}
}

/* --- draining: kept --- */

static struct registry_key drain_key(const struct node *node)
{
	return registry_key("drain/", node->name, strlen(node->name));
}

static void on_drain_forgotten(void *context, int result)
{
	(void)context;
	(void)result; /* a row left behind names an incarnation that is gone */
}

static void drain_forget(struct registry *registry, const struct node *node)
{
	struct registry_key key = drain_key(node);
	struct store_txn *txn = store_txn_new();

	if (txn) {
		store_txn_delete(txn, key.bytes, key.size);
		store_commit(registry->store, txn, on_drain_forgotten, registry);
	}
}

/* A node has said hello: it drains if this very process was to. */
static void drain_recall(struct registry *registry, struct node *node)
{
	struct registry_key key = drain_key(node);
	struct proto_id incarnation;

	if (!registry_get_id(registry, &key, &incarnation)) {
		return;
	}
	node->drain = proto_id_equal(&incarnation, &node->incarnation);
	if (!node->drain) {
		drain_forget(registry, node);
	}
}

/* --- hello and beat --- */

static void on_node_hello(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	struct registry *registry = context;
	const struct registry_settings *settings = registry->settings;
	struct node *node = NULL;
	struct proto_node_welcome welcome = {
		.token_key = proto_span(registry->token_public),
		.feed = proto_span(bus_publisher_address(registry->publisher)),
		.beat_ms = settings->beat_ms,
		.dead_ms = settings->dead_ms,
		.write_quorum = settings->write_quorum,
		.ack_quorum = settings->ack_quorum,
	};
	int r = node_hello(&registry->nodes, PROTO_BODY(message, node_hello),
			   bus_request_peer(request), clock_monotonic_ms(), clock_wall_ms(), &node);

	if (r != 0) {
		bus_refuse(request, r > 0 ? (enum proto_code)r : PROTO_E_BUSY, NULL);
		return;
	}
	bus_reply(request, PROTO_NODE_WELCOME, &welcome);
	drain_recall(registry, node);
	nodes_changed(registry, node);
}

static void on_node_beat(void *context, struct bus_request *request,
			 const struct proto_message *message)
{
	struct registry *registry = context;
	struct proto_node_beaten beaten = {
		.slots_version = registry->served.version,
		.assignment_version = registry->wishes.version,
		.revocations_version = registry->revocations.version,
	};
	bool leaving = PROTO_BODY(message, node_beat)->leaving;
	struct node *node = NULL;
	bool changed = false;
	int r = node_beat(&registry->nodes, PROTO_BODY(message, node_beat),
			  bus_request_peer(request), clock_monotonic_ms(), &node, &changed);

	if (r != 0) {
		bus_refuse(request, (enum proto_code)r, NULL);
		return;
	}
	if (changed) {
		nodes_changed(registry, node);
		beaten.assignment_version = registry->wishes.version;
	}
	bus_reply(request, PROTO_NODE_BEATEN, &beaten);
	if (leaving) {
		drain_forget(registry, node);
	}
}

void nodes_gone(void *context, uint64_t peer)
{
	struct registry *registry = context;
	struct node *node = node_gone(&registry->nodes, peer, clock_monotonic_ms());

	if (node) {
		nodes_changed(registry, node);
	}
}

/* --- the list --- */

/* Whether the session is bound here and an administrator's; refuses the request if not. */
static bool is_administrator(struct registry *registry, struct bus_request *request,
			     const struct proto_id *id)
{
	const struct session *session = registry_session(registry, request, id);

	if (session && session->role != PROTO_ACCOUNT_ROLE_ADMINISTRATOR) {
		bus_refuse(request, PROTO_E_FORBIDDEN, "for administrators");
		return false;
	}
	return session != NULL;
}

static void on_nodes_list(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	static struct proto_node_info
		infos[PROTO_NODES_MAX]; /* large; used within this call alone */
	const struct proto_nodes_list *list = PROTO_BODY(message, nodes_list);
	struct registry *registry = context;
	struct proto_nodes answer = {.nodes.items = infos};
	struct node **sorted;

	if (!proto_id_is_none(&list->session) &&
	    !is_administrator(registry, request, &list->session)) {
		return;
	}
	sorted = node_sorted(&registry->nodes, &answer.nodes.count);
	for (size_t i = 0; i < answer.nodes.count; i++) {
		infos[i] = node_info(&registry->nodes, sorted[i]);
	}
	bus_reply(request, PROTO_NODES, &answer);
	free(sorted);
}

/* --- draining: asked for --- */

struct drain {
	struct registry *registry;
	struct bus_request *request;
	struct proto_id incarnation;
};

static void on_drain_kept(void *context, int result)
{
	struct drain *drain = context;
	struct registry *registry = drain->registry;
	const struct proto_node_drain *body = PROTO_BODY(bus_request_message(drain->request),
							 node_drain);
	struct node *node = node_find(&registry->nodes, body->node);

	if (result != 0) {
		bus_refuse(drain->request, (enum proto_code)result, NULL);
	} else if (!node || !proto_id_equal(&node->incarnation, &drain->incarnation)) {
		bus_refuse(drain->request, PROTO_E_NOT_FOUND, "the node has gone meanwhile");
	} else {
		bool changes = node->drain != body->drain;

		node->drain = body->drain;
		log_info("node.drain", LOG_TEXT("name", node->name),
			 LOG_TEXT("drain", node->drain ? "yes" : "no"));
		bus_ok(drain->request);
		if (changes) {
			nodes_changed(registry, node);
		}
	}
	free(drain);
}

static void on_node_drain(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	const struct proto_node_drain *body = PROTO_BODY(message, node_drain);
	struct registry *registry = context;
	struct node *node = node_find(&registry->nodes, body->node);
	struct store_txn *txn;
	struct drain *drain;
	struct registry_key key;

	if (!is_administrator(registry, request, &body->session)) {
		return;
	}
	if (!node || !node_is_alive(node)) {
		bus_refuse(request, PROTO_E_NOT_FOUND, "no node of that name is alive");
		return;
	}
	txn = store_txn_new();
	drain = calloc(1, sizeof(*drain));
	if (!txn || !drain) {
		store_txn_free(txn);
		free(drain);
		registry_refuse_busy(request);
		return;
	}
	*drain = (struct drain){registry, request, node->incarnation};
	key = drain_key(node);
	if (body->drain) {
		store_txn_put(txn, key.bytes, key.size, node->incarnation.bytes,
			      sizeof(node->incarnation.bytes));
	} else {
		store_txn_delete(txn, key.bytes, key.size);
	}
	store_commit(registry->store, txn, on_drain_kept, drain);
}

const struct bus_route nodes_routes[] = {
	{PROTO_NODE_HELLO, on_node_hello},
	{PROTO_NODE_BEAT, on_node_beat},
	{PROTO_NODES_LIST, on_nodes_list},
	{PROTO_NODE_DRAIN, on_node_drain},
};
const size_t nodes_route_count = sizeof(nodes_routes) / sizeof(nodes_routes[0]);
