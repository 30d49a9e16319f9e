/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Membership against a registry of this file's own, which answers what a test tells it to. */

#include <errno.h>
#include "services/membership.h"
#include "tests/unit/bus_fixture.h"

#define BEAT_MS 60
#define DEAD_MS 400

struct registry {
	struct fixture fixture;
	struct bus_server *server;
	struct bus_publisher *publisher;
	size_t hellos;
	size_t beats;
	size_t leaves;
	size_t maps;
	bool is_deaf; /* answers no heartbeat */
	bool keeps; /* nor refuses it */
	struct bus_request *kept;
	bool knows_node;
	uint64_t version; /* of the slot map */
	uint64_t assignment;
	uint64_t revocations;
	size_t revocation_reads;
	struct proto_node_beat last_beat;
};

static void on_hello(void *context, struct bus_request *request,
		     const struct proto_message *message)
{
	struct registry *registry = context;
	struct proto_node_welcome welcome = {
		.token_key = PROTO_SPAN("key"),
		.feed = proto_span(registry->fixture.feed),
		.beat_ms = BEAT_MS,
		.dead_ms = DEAD_MS,
		.write_quorum = 1,
		.ack_quorum = 1,
	};

	cr_assert(proto_span_equal(PROTO_BODY(message, node_hello)->node, PROTO_SPAN("roomd-1")));
	registry->hellos++;
	registry->knows_node = true;
	bus_reply(request, PROTO_NODE_WELCOME, &welcome);
}

static void on_beat(void *context, struct bus_request *request, const struct proto_message *message)
{
	struct registry *registry = context;
	struct proto_node_beaten body = {.slots_version = registry->version,
					 .assignment_version = registry->assignment,
					 .revocations_version = registry->revocations};

	registry->beats++;
	registry->last_beat = *PROTO_BODY(message, node_beat);
	registry->leaves += registry->last_beat.leaving;
	if (registry->keeps) {
		cr_assert_null(registry->kept, "a second heartbeat behind the first");
		registry->kept = request;
	} else if (registry->is_deaf) {
		bus_refuse(request, PROTO_E_BUSY, NULL);
	} else if (!registry->knows_node) {
		bus_refuse(request, PROTO_E_UNKNOWN_NODE, NULL);
	} else {
		bus_reply(request, PROTO_NODE_BEATEN, &body);
	}
}

static void on_slots_get(void *context, struct bus_request *request,
			 const struct proto_message *message)
{
	struct registry *registry = context;
	struct proto_slot_map map = {.version = registry->version};

	(void)message;
	registry->maps++;
	bus_reply(request, PROTO_SLOT_MAP, &map);
}

/* As many sessions have ended as the version says; at most two are told at a time. */
static void on_revocations_read(void *context, struct bus_request *request,
				const struct proto_message *message)
{
	struct registry *registry = context;
	struct proto_session_ref sessions[2];
	struct proto_revocations body = {.version = PROTO_BODY(message, revocations_read)->after,
					 .sessions = {sessions, 0}};

	registry->revocation_reads++;
	while (body.version < registry->revocations && body.sessions.count < 2) {
		sessions[body.sessions.count++].session.bytes[0] = (uint8_t)++body.version;
	}
	body.more = body.version < registry->revocations;
	bus_reply(request, PROTO_REVOCATIONS, &body);
}

static const struct bus_route routes[] = {
	{PROTO_NODE_HELLO, on_hello},
	{PROTO_NODE_BEAT, on_beat},
	{PROTO_SLOTS_GET, on_slots_get},
	{PROTO_REVOCATIONS_READ, on_revocations_read},
};

static void registry_start(struct registry *registry)
{
	struct fixture *fixture = &registry->fixture;
	int r;

	while ((r = bus_server_new(fixture->bus, fixture->address, routes, 4, registry,
				   &registry->server)) == -EADDRINUSE) {
		(void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
	}
	cr_assert_eq(r, 0);
	while ((r = bus_publisher_new(fixture->bus, fixture->feed, &registry->publisher)) ==
	       -EADDRINUSE) {
		(void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
	}
	cr_assert_eq(r, 0);
}

static void registry_stop(struct registry *registry)
{
	bus_server_free(registry->server);
	bus_publisher_free(registry->publisher);
}

/* --- the node --- */

struct node {
	struct membership *membership;
	size_t welcomes;
	size_t slots;
	size_t assignments;
	size_t nodes;
	size_t revocations;
	size_t leases_lost;
	size_t left;
	size_t drains_told;
	bool drain_known;
};

static void on_welcomed(void *context, const struct proto_node_welcome *welcome)
{
	struct node *node = context;

	cr_assert_eq(welcome->beat_ms, BEAT_MS);
	node->welcomes++;
}

static void on_slots_changed(void *context)
{
	((struct node *)context)->slots++;
}

static void on_assignment(void *context)
{
	((struct node *)context)->assignments++;
}

static void on_node_changed(void *context, const struct proto_node_changed *change)
{
	(void)change;
	((struct node *)context)->nodes++;
}

static void on_revoked(void *context, const struct proto_session_revoked *revoked)
{
	(void)revoked;
	((struct node *)context)->revocations++;
}

static void on_lease_lost(void *context)
{
	struct node *node = context;

	cr_assert_not(membership_has_lease(node->membership));
	node->leases_lost++;
}

static void fill_beat(void *context, struct proto_node_beat *beat)
{
	(void)context;
	beat->rooms = 12;
}

static void on_drain_told(void *context, bool known)
{
	struct node *node = context;

	node->drains_told++;
	node->drain_known = known;
}

static void on_left(void *context)
{
	((struct node *)context)->left++;
}

static const struct membership_events events = {
	.welcomed = on_welcomed,
	.slots_changed = on_slots_changed,
	.assignment_changed = on_assignment,
	.node_changed = on_node_changed,
	.session_revoked = on_revoked,
	.lease_lost = on_lease_lost,
	.beat = fill_beat,
};

static void node_start(struct registry *registry, struct node *node)
{
	struct membership_options options = {
		.registry = registry->fixture.address,
		.hello = {.node = PROTO_SPAN("roomd-1"),
			  .service = PROTO_SERVICE_ROOMD,
			  .incarnation = {{7}}},
	};

	cr_assert_eq(membership_new(registry->fixture.bus, &registry->fixture.loop, &options,
				    &events, node, &node->membership),
		     0);
	cr_assert_null(membership_welcome(node->membership));
	cr_assert_not(membership_has_lease(node->membership));
}

static uint64_t version(const struct node *node)
{
	return slot_map_version(membership_slots(node->membership));
}

static void wait_version(struct registry *registry, struct node *node, uint64_t wanted)
{
	while (version(node) != wanted) {
		(void)uv_run(&registry->fixture.loop, UV_RUN_ONCE);
	}
}

static void set_up(struct registry *registry, struct node *node)
{
	*registry = (struct registry){.version = 3, .assignment = 2};
	*node = (struct node){0};
	fixture_init(&registry->fixture);
	registry_start(registry);
	node_start(registry, node);
	fixture_wait(&registry->fixture, &node->welcomes, 1);
	wait_version(registry, node, 3);
}

static void tear_down(struct registry *registry, struct node *node)
{
	membership_free(node->membership);
	fixture_deinit(&registry->fixture);
}

Test(membership, hello_then_beats)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	cr_assert(membership_has_lease(node.membership));
	cr_assert(proto_span_equal(membership_welcome(node.membership)->token_key,
				   PROTO_SPAN("key")));
	fixture_wait(&registry.fixture, &registry.beats, 12); /* longer than a lease */
	cr_assert_eq(registry.last_beat.rooms, 12);
	cr_assert_not(registry.last_beat.leaving);
	cr_assert_eq(node.leases_lost, 0);
	cr_assert_eq(registry.hellos, 1);
	cr_assert_eq(node.assignments,
		     2); /* after the welcome, and at the first answer with its version */
	tear_down(&registry, &node);
}

Test(membership, publications_reach_the_daemon)
{
	struct registry registry;
	struct node node;
	struct proto_slots_changed slots = {.version = 4};
	struct proto_assignment_changed assignment = {.version = 9};
	struct proto_node_changed changed = {.node = PROTO_SPAN("x"),
					     .service = PROTO_SERVICE_ROOMD,
					     .state = PROTO_NODE_STATE_DEAD};
	struct proto_session_revoked revoked = {.session = {{1}}, .user = {{2}}};

	set_up(&registry, &node);
	while (node.nodes == 0) { /* until the subscription has arrived */
		bus_publish(registry.publisher, NULL, PROTO_NODE_CHANGED, &changed);
		(void)uv_run(&registry.fixture.loop, UV_RUN_NOWAIT);
	}
	registry.version = 4;
	bus_publish(registry.publisher, NULL, PROTO_SLOTS_CHANGED, &slots);
	wait_version(&registry, &node, 4);
	registry.assignment = 9;
	bus_publish(registry.publisher, NULL, PROTO_ASSIGNMENT_CHANGED, &assignment);
	bus_publish(registry.publisher, NULL, PROTO_SESSION_REVOKED, &revoked);
	fixture_wait(&registry.fixture, &node.revocations, 1);
	cr_assert_geq(node.assignments, 2);
	slots.version = registry.version = 7; /* 5 and 6 were lost */
	bus_publish(registry.publisher, NULL, PROTO_SLOTS_CHANGED, &slots);
	wait_version(&registry, &node, 7);
	tear_down(&registry, &node);
}

Test(membership, a_beat_tells_of_lost_publications)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	fixture_wait(&registry.fixture, &node.assignments, 2);
	registry.version = 20;
	registry.assignment = 21;
	wait_version(&registry, &node, 20);
	fixture_wait(&registry.fixture, &node.assignments, 3);
	registry.version = 10; /* restored from a backup */
	wait_version(&registry, &node, 10);
	tear_down(&registry, &node);
}

/* Ended sessions: all are told, whether they were published, or the publication was lost. */
Test(membership, no_ended_session_is_missed)
{
	struct registry registry;
	struct node node;
	struct proto_node_changed changed = {.node = PROTO_SPAN("x"),
					     .service = PROTO_SERVICE_ROOMD,
					     .state = PROTO_NODE_STATE_DEAD};
	struct proto_session_revoked revoked = {.session = {{1}}, .user = {{2}}};
	size_t reads;

	set_up(&registry, &node);
	registry.revocations = 5; /* nothing of these was published */
	fixture_wait(&registry.fixture, &node.revocations, 5);
	reads = registry.revocation_reads;
	cr_assert_geq(reads, 4, "once after the welcome, and three pages");
	while (node.nodes == 0) { /* until the subscription has arrived */
		bus_publish(registry.publisher, NULL, PROTO_NODE_CHANGED, &changed);
		(void)uv_run(&registry.fixture.loop, UV_RUN_NOWAIT);
	}
	registry.revocations = revoked.version = 6;
	bus_publish(registry.publisher, NULL, PROTO_SESSION_REVOKED, &revoked);
	fixture_wait(&registry.fixture, &node.revocations, 6);
	fixture_wait(&registry.fixture, &registry.beats, registry.beats + 3);
	cr_assert_eq(registry.revocation_reads, reads, "it was told");
	registry.revocations = revoked.version = 9; /* 7 and 8 were lost */
	bus_publish(registry.publisher, NULL, PROTO_SESSION_REVOKED, &revoked);
	fixture_wait(&registry.fixture, &node.revocations, 10);
	registry.revocations = 1; /* restored from a backup */
	fixture_wait(&registry.fixture, &node.revocations, 11);
	tear_down(&registry, &node);
}

Test(membership, the_lease_ends_without_answers_and_comes_back)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	registry.is_deaf = true;
	fixture_wait(&registry.fixture, &node.leases_lost, 1);
	cr_assert_eq(version(&node), 3, "the copy stays in use");
	registry.is_deaf = false;
	while (!membership_has_lease(node.membership)) {
		(void)uv_run(&registry.fixture.loop, UV_RUN_ONCE);
	}
	cr_assert_eq(node.leases_lost, 1);
	tear_down(&registry, &node);
}

/* A registry that takes its time is not asked again and again; its late answer counts. */
Test(membership, one_heartbeat_is_on_its_way)
{
	struct registry registry;
	struct node node;
	struct proto_node_beaten body = {.slots_version = 3, .assignment_version = 2};

	set_up(&registry, &node);
	registry.keeps = true;
	fixture_wait(&registry.fixture, &node.leases_lost, 1);
	cr_assert_not_null(registry.kept);
	registry.keeps = false;
	bus_reply(registry.kept, PROTO_NODE_BEATEN, &body);
	fixture_wait(&registry.fixture, &registry.beats, registry.beats + 2);
	cr_assert(membership_has_lease(node.membership));
	cr_assert_eq(registry.hellos, 1);
	tear_down(&registry, &node);
}

Test(membership, draining_is_told)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	membership_drain(node.membership, on_drain_told, &node);
	cr_assert_eq(node.drains_told, 0);
	fixture_wait(&registry.fixture, &node.drains_told, 1);
	cr_assert(node.drain_known);
	cr_assert(registry.last_beat.draining);
	cr_assert_not(registry.last_beat.leaving);
	fixture_wait(&registry.fixture, &registry.beats, registry.beats + 3);
	cr_assert(registry.last_beat.draining);
	cr_assert_eq(node.drains_told, 1);
	tear_down(&registry, &node);
}

Test(membership, draining_without_a_registry)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	registry.is_deaf = true;
	membership_drain(node.membership, on_drain_told, &node);
	fixture_wait(&registry.fixture, &node.drains_told, 1);
	cr_assert_not(node.drain_known);
	tear_down(&registry, &node);
}

Test(membership, an_unknown_node_says_hello_again)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	registry.knows_node = false;
	fixture_wait(&registry.fixture, &node.welcomes, 2);
	cr_assert_eq(registry.hellos, 2);
	tear_down(&registry, &node);
}

Test(membership, a_registry_that_restarts_is_asked_anew)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	registry_stop(&registry);
	registry.knows_node = false;
	registry.version = 1;
	registry_start(&registry);
	fixture_wait(&registry.fixture, &node.welcomes, 2);
	wait_version(&registry, &node, 1);
	tear_down(&registry, &node);
}

Test(membership, hello_waits_for_the_registry)
{
	struct registry registry = {.version = 3};
	struct node node = {0};

	fixture_init(&registry.fixture);
	node_start(&registry, &node);
	for (size_t i = 0; i < 5; i++) {
		(void)uv_run(&registry.fixture.loop, UV_RUN_NOWAIT);
	}
	registry_start(&registry);
	fixture_wait(&registry.fixture, &node.welcomes, 1);
	tear_down(&registry, &node);
}

Test(membership, leaving_is_told)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	membership_leave(node.membership, on_left, &node);
	cr_assert_eq(node.left, 0);
	fixture_wait(&registry.fixture, &node.left, 1);
	cr_assert_eq(registry.leaves, 1);
	tear_down(&registry, &node);
}

Test(membership, leaving_ends_without_a_registry)
{
	struct registry registry;
	struct node node;

	set_up(&registry, &node);
	registry_stop(&registry);
	membership_leave(node.membership, on_left, &node);
	fixture_wait(&registry.fixture, &node.left, 1);
	tear_down(&registry, &node);
}
