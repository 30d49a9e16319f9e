/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Nodes: hello, heartbeats, the list. */

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
		.state = node->state,
		.address = proto_span(node->address),
		.feed = proto_span(node->feed),
		.store = node->store,
	};

	log_info("node.changed", LOG_TEXT("name", node->name),
		 LOG_TEXT("is", proto_service_name(node->service)),
		 LOG_TEXT("state", proto_node_state_name(node->state)));
	bus_publish(registry->publisher, NULL, PROTO_NODE_CHANGED, &change);
	slots_node_changed(registry, node);
}

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
	int r = node_hello(&registry->nodes, PROTO_BODY(message, node_hello), clock_monotonic_ms(),
			   clock_wall_ms(), &node);

	if (r != 0) {
		bus_refuse(request, r > 0 ? (enum proto_code)r : PROTO_E_BUSY, NULL);
		return;
	}
	bus_reply(request, PROTO_NODE_WELCOME, &welcome);
	nodes_changed(registry, node);
}

static void on_node_beat(void *context, struct bus_request *request,
			 const struct proto_message *message)
{
	struct registry *registry = context;
	struct proto_node_beaten beaten = {
		.slots_version = registry->served.version,
		.assignment_version = registry->wishes.version,
	};
	struct node *node = NULL;
	bool changed = false;
	int r = node_beat(&registry->nodes, PROTO_BODY(message, node_beat), clock_monotonic_ms(),
			  &node, &changed);

	if (r != 0) {
		bus_refuse(request, (enum proto_code)r, NULL);
		return;
	}
	bus_reply(request, PROTO_NODE_BEATEN, &beaten);
	if (changed) {
		nodes_changed(registry, node);
	}
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

	if (!proto_id_is_none(&list->session)) {
		const struct session *session = registry_session(registry, request, &list->session);

		if (!session) {
			return;
		}
		if (session->role != PROTO_ACCOUNT_ROLE_ADMINISTRATOR) {
			bus_refuse(request, PROTO_E_FORBIDDEN, "for administrators");
			return;
		}
	}
	sorted = node_sorted(&registry->nodes, &answer.nodes.count);
	for (size_t i = 0; i < answer.nodes.count; i++) {
		infos[i] = node_info(sorted[i], clock_monotonic_ms());
	}
	bus_reply(request, PROTO_NODES, &answer);
	free(sorted);
}

const struct bus_route nodes_routes[] = {
	{PROTO_NODE_HELLO, on_node_hello},
	{PROTO_NODE_BEAT, on_node_beat},
	{PROTO_NODES_LIST, on_nodes_list},
};
const size_t nodes_route_count = sizeof(nodes_routes) / sizeof(nodes_routes[0]);
