/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Nodes, and slots with their map, over the bus. */

#include "tests/unit/registry_world.h"

Test(registry_nodes, are_listed_to_administrators_and_nodes)
{
	struct world *world = world_new();
	uint8_t secret[PROTO_SECRET_BYTES];
	struct proto_account_create create = account_of("root1", NULL);
	struct person ann = sign_up(world, world->ann, "ann");
	struct proto_nodes_list body = {ann.session};
	const struct proto_message *answer;
	struct person administrator;

	cr_assert_eq(hello(world, "gateway-1", PROTO_SERVICE_GATEWAY, 1, "", NULL), 0);
	cr_assert_eq(ask(world, world->ann, PROTO_NODES_LIST, &body, NULL), PROTO_E_FORBIDDEN);
	create.invitation = (struct proto_span){(const char *)secret,
						read_invitation(world, secret)};
	cr_assert_eq(ask(world, world->ann, PROTO_ACCOUNT_CREATE, &create, &answer), 0);
	administrator = person_of(answer);
	body.session = administrator.session;
	cr_assert_eq(ask(world, world->ann, PROTO_NODES_LIST, &body, &answer), 0);
	cr_assert_eq(PROTO_BODY(answer, nodes)->nodes.count, 1);
	body.session = (struct proto_id){{0}};
	cr_assert_eq(ask(world, world->bob, PROTO_NODES_LIST, &body, &answer), 0);
	cr_assert_eq(PROTO_BODY(answer, nodes)->nodes.count, 1);
	world_free(world);
}

/* Slots follow the names: a restart keeps them, who leaves gives them away. */
Test(registry_nodes, get_slots_by_name)
{
	struct world *world = world_new();

	follow(world);
	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	await_slots(world, "roomd-1", PROTO_SLOTS);
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	await_slots(world, "roomd-2", PROTO_SLOTS / 2);
	fixture_wait(&world->fixture, &world->assigned, 2);
	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 3, "h", NULL), 0);
	cr_assert_eq(beat(world, "roomd-1", 1, false), PROTO_E_UNKNOWN_NODE);
	cr_assert_eq(assigned_to(world, "roomd-1"), PROTO_SLOTS / 2);
	cr_assert_eq(beat(world, "roomd-2", 2, true), 0);
	await_slots(world, "roomd-1", PROTO_SLOTS);
	cr_assert_eq(assigned_to(world, "roomd-2"), 0);
	fixture_wait(&world->fixture, &world->assigned, 3);
	world_free(world);
}

Test(registry_slots, each_record_is_written_by_itself)
{
	struct world *world = world_new();
	struct proto_slot_record records[3];
	const struct proto_slot_swapped *swapped;

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	open_slot(world, 7, "roomd-1", 1);
	records[0] = record_of(6, "roomd-1", 1, 0, 1, PROTO_SLOT_STATE_SEALING);
	records[1] = record_of(7, "roomd-1", 1, 0, 2, PROTO_SLOT_STATE_SEALING); /* not new */
	records[2] = record_of(8, "roomd-1", 1, 0, 1, PROTO_SLOT_STATE_SEALING);
	cr_assert_eq(swap(world, records, 3, false, &swapped), 0);
	cr_assert_eq(swapped->records.count, 3);
	cr_assert_eq(swapped->records.items[0].version, 1);
	cr_assert_eq(swapped->records.items[1].version, 2);
	cr_assert_eq(swapped->records.items[1].state, PROTO_SLOT_STATE_OPEN);
	cr_assert_eq(swapped->records.items[2].version, 1);
	world_free(world);
}

Test(registry_slots, nothing_of_a_wrong_message_is_written)
{
	struct world *world = world_new();
	struct proto_slot_record records[2];
	struct proto_slots_read read = {6, 6};
	struct proto_slots_read backwards = {7, 6};
	const struct proto_message *answer;

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	cr_assert_eq(hello(world, "storaged-1", PROTO_SERVICE_STORAGED, 1, "h", NULL), 0);
	records[0] = record_of(6, "roomd-1", 1, 0, 1, PROTO_SLOT_STATE_SEALING);
	records[1] = record_of(7, "roomd-1", 1, 0, 0, PROTO_SLOT_STATE_SEALING); /* epoch 0 */
	cr_assert_eq(swap(world, records, 2, false, NULL), PROTO_E_BAD_VALUE);
	records[1] = record_of(7, "roomd-1", 9, 0, 1, PROTO_SLOT_STATE_SEALING);
	cr_assert_eq(swap(world, records, 2, false, NULL), PROTO_E_UNKNOWN_NODE);
	records[1] = record_of(7, "storaged-1", 1, 0, 1, PROTO_SLOT_STATE_SEALING);
	cr_assert_eq(swap(world, records, 2, false, NULL), PROTO_E_UNKNOWN_NODE);
	cr_assert_eq(ask(world, world->bob, PROTO_SLOTS_READ, &read, &answer), 0);
	cr_assert_eq(PROTO_BODY(answer, slot_records)->records.items[0].version, 0);
	cr_assert_eq(ask(world, world->bob, PROTO_SLOTS_READ, &backwards, NULL), PROTO_E_BAD_VALUE);
	world_free(world);
}

/* Two write the same version at the same time. */
Test(registry_slots, one_of_two_wins)
{
	struct world *world = world_new();
	struct proto_slot_record a;
	struct proto_slot_record b;
	struct proto_slot_swap bodies[2] = {{.records = {&a, 1}}, {.records = {&b, 1}}};
	const struct proto_slot_swapped *swapped[2];
	struct held *held[2];

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	a = record_of(6, "roomd-1", 1, 0, 1, PROTO_SLOT_STATE_SEALING);
	b = record_of(6, "roomd-2", 2, 0, 1, PROTO_SLOT_STATE_SEALING);
	held[0] = begin(world, world->ann, PROTO_SLOT_SWAP, &bodies[0]);
	held[1] = begin(world, world->bob, PROTO_SLOT_SWAP, &bodies[1]);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(end(world, held[i]), 0);
		swapped[i] = PROTO_BODY(&held[i]->message, slot_swapped);
		cr_assert_eq(swapped[i]->records.items[0].version, 1);
	}
	cr_assert(proto_id_equal(&swapped[0]->records.items[0].incarnation,
				 &swapped[1]->records.items[0].incarnation));
	world_free(world);
}

Test(registry_slots, places_are_on_different_hosts)
{
	struct world *world = world_new();
	struct proto_slot_record record;
	const struct proto_slot_swapped *swapped;
	struct proto_id alone = id_of(503);
	bool is_there = false;

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	record = record_of(6, "roomd-1", 1, 0, 1, PROTO_SLOT_STATE_SEALING);
	cr_assert_eq(swap(world, &record, 1, true, &swapped), 0);
	cr_assert_eq(swapped->members.count, 0); /* fewer than wanted: none is there */
	cr_assert_eq(hello(world, "storaged-1", PROTO_SERVICE_STORAGED, 1, "a", NULL), 0);
	cr_assert_eq(hello(world, "storaged-2", PROTO_SERVICE_STORAGED, 2, "a", NULL), 0);
	cr_assert_eq(hello(world, "storaged-3", PROTO_SERVICE_STORAGED, 3, "b", NULL), 0);
	record.slot = 7;
	cr_assert_eq(swap(world, &record, 1, true, &swapped), 0);
	cr_assert_eq(swapped->members.count, 2);
	for (size_t i = 0; i < 2; i++) {
		is_there = is_there || proto_id_equal(&swapped->members.items[i].store, &alone);
	}
	cr_assert(is_there);
	world_free(world);
}

/* OPEN is served, SEALING is not; every change is told, one version after the other. */
Test(registry_slots, map_tells_who_serves)
{
	struct world *world = world_new();
	struct proto_store_ref store = {id_of(900)};
	struct proto_segment segment = {
		.since_epoch = 1, .epoch = 1, .first = 1, .members = {&store, 1}};
	struct proto_slot_record record;
	const struct proto_message *answer;
	const struct proto_slot_map *map;
	uint64_t version;

	follow(world);
	roomd_up(world, "roomd-1", 1, 6);
	fixture_wait(&world->fixture, &world->slots_changed, 1);
	cr_assert_eq(world->first_owner, 1);
	version = world->slots.version;
	cr_assert_eq(ask(world, world->ann, PROTO_SLOTS_GET, NULL, &answer), 0);
	map = PROTO_BODY(answer, slot_map);
	cr_assert_eq(map->version, version);
	cr_assert_eq(map->runs.count, 1);
	cr_assert_eq(map->runs.items[0].first, 6);
	cr_assert_eq(map->runs.items[0].last, 6);
	record = record_of(6, "roomd-1", 1, 2, 2, PROTO_SLOT_STATE_SEALING);
	record.segments = (struct proto_list_segment){&segment, 1};
	cr_assert_eq(swap(world, &record, 1, false, NULL), 0);
	fixture_wait(&world->fixture, &world->slots_changed, 2);
	cr_assert_eq(world->first_owner, 0);
	cr_assert_eq(world->slots.version, version + 1);
	cr_assert_eq(ask(world, world->ann, PROTO_SLOTS_GET, NULL, &answer), 0);
	cr_assert_eq(PROTO_BODY(answer, slot_map)->runs.count, 0);
	world_free(world);
}

/* --- planned moves --- */

static struct proto_slot_ranges ranges_for(struct world *world, const char *name)
{
	struct proto_slots_assigned body = {.node = proto_span(name),
					    .incarnation = incarnation_of(world, name)};
	const struct proto_message *answer;

	cr_assert_eq(ask(world, world->bob, PROTO_SLOTS_ASSIGNED, &body, &answer), 0);
	return *PROTO_BODY(answer, slot_ranges);
}

static bool has_slot(const struct proto_list_slot_range *list, unsigned int slot)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].first <= slot && list->items[i].last >= slot) {
			return true;
		}
	}
	return false;
}

static void claim_by(struct world *world, const char *name, unsigned int incarnation,
		     const struct proto_slot_record *now, bool wins)
{
	struct proto_slot_record next = *now;
	const struct proto_slot_swapped *swapped;

	next.owner = proto_span(name);
	next.incarnation = id_of(incarnation);
	next.epoch = now->epoch + 1;
	next.state = PROTO_SLOT_STATE_SEALING;
	cr_assert_eq(swap(world, &next, 1, false, &swapped), 0);
	cr_assert_eq(swapped->records.items[0].version, now->version + wins);
	cr_assert_eq(swapped->records.items[0].state, wins ? PROTO_SLOT_STATE_SEALING : now->state);
}

/*
 * An owner that is alive may answer from memory: others can't take its open slots before it has
 * closed them, and only then hear that they may.
 */
Test(registry_moves, an_open_slot_is_closed_before_another_takes_it)
{
	struct world *world = world_new();
	struct proto_store_ref store = {id_of(900)};
	struct proto_segment segment = {
		.since_epoch = 1, .epoch = 1, .first = 1, .members = {&store, 1}};
	struct proto_slot_record record = record_of(5, "roomd-1", 1, 2, 1, PROTO_SLOT_STATE_OPEN);
	struct proto_slot_ranges one;
	struct proto_slot_ranges two;

	record.segments = (struct proto_list_segment){&segment, 1};
	follow(world);
	roomd_up(world, "roomd-1", 1, 5);
	await_slots(world, "roomd-1", PROTO_SLOTS);
	one = ranges_for(world, "roomd-1");
	cr_assert_eq(one.leave.count, 0);
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	await_slots(world, "roomd-2", PROTO_SLOTS / 2 - 1);
	two = ranges_for(world, "roomd-2");
	cr_assert_not(has_slot(&two.ranges, 5));
	cr_assert_eq(two.leave.count, 0);
	one = ranges_for(world, "roomd-1");
	cr_assert_eq(one.leave.count, 1);
	cr_assert(has_slot(&one.leave, 5));
	cr_assert_not(has_slot(&one.ranges, 5));
	claim_by(world, "roomd-2", 2, &record, false);
	record.state = PROTO_SLOT_STATE_CLOSED;
	world->assigned = 0;
	cr_assert_eq(swap(world, &record, 1, false, NULL), 0);
	fixture_wait(&world->fixture, &world->assigned, 1);
	two = ranges_for(world, "roomd-2");
	cr_assert(has_slot(&two.ranges, 5));
	one = ranges_for(world, "roomd-1");
	cr_assert_eq(one.leave.count, 0);
	record.version = 3;
	claim_by(world, "roomd-2", 2, &record, true);
	world_free(world);
}

/* A dead owner, and one that was replaced, hold nothing. */
Test(registry_moves, slots_of_the_dead_are_free)
{
	struct world *world = world_new();
	struct proto_store_ref store = {id_of(900)};
	struct proto_segment segment = {
		.since_epoch = 1, .epoch = 1, .first = 1, .members = {&store, 1}};
	struct proto_slot_record record = record_of(5, "roomd-1", 1, 2, 1, PROTO_SLOT_STATE_OPEN);

	record.segments = (struct proto_list_segment){&segment, 1};
	roomd_up(world, "roomd-1", 1, 5);
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	claim_by(world, "roomd-2", 2, &record, false);
	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 3, "h", NULL), 0);
	claim_by(world, "roomd-2", 2, &record, true);
	record.version = 3;
	record.epoch = 2;
	record.state = PROTO_SLOT_STATE_SEALING;
	record.owner = PROTO_SPAN("roomd-2");
	record.incarnation = id_of(2);
	cr_assert_eq(beat(world, "roomd-2", 2, true), 0); /* it leaves */
	claim_by(world, "roomd-1", 3, &record, true);
	world_free(world);
}

static struct person administrator(struct world *world)
{
	uint8_t secret[PROTO_SECRET_BYTES];
	struct proto_account_create create = account_of("root1", NULL);
	const struct proto_message *answer;

	create.invitation = (struct proto_span){(const char *)secret,
						read_invitation(world, secret)};
	cr_assert_eq(ask(world, world->ann, PROTO_ACCOUNT_CREATE, &create, &answer), 0);
	return person_of(answer);
}

static int drain(struct world *world, const struct person *person, const char *name, bool yes)
{
	struct proto_node_drain body = {
		.session = person->session, .node = proto_span(name), .drain = yes};

	return ask(world, world->ann, PROTO_NODE_DRAIN, &body, NULL);
}

static enum proto_node_state state_of(struct world *world, const char *name)
{
	struct proto_nodes_list list = {0};
	const struct proto_message *answer;
	const struct proto_nodes *nodes;

	cr_assert_eq(ask(world, world->bob, PROTO_NODES_LIST, &list, &answer), 0);
	nodes = PROTO_BODY(answer, nodes);
	for (size_t i = 0; i < nodes->nodes.count; i++) {
		if (proto_span_equal(nodes->nodes.items[i].node, proto_span(name))) {
			return nodes->nodes.items[i].state;
		}
	}
	return PROTO_node_state_absent;
}

Test(registry_drain, gives_slots_away_until_undone)
{
	struct world *world = world_new();
	struct person boss = administrator(world);
	struct person bob = sign_up(world, world->ann, "bob");

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	await_slots(world, "roomd-1", PROTO_SLOTS);
	cr_assert_eq(drain(world, &bob, "roomd-1", true), PROTO_E_FORBIDDEN);
	cr_assert_eq(drain(world, &boss, "roomd-9", true), PROTO_E_NOT_FOUND);
	cr_assert_eq(drain(world, &boss, "roomd-1", true), 0);
	cr_assert_eq(state_of(world, "roomd-1"), PROTO_NODE_STATE_DRAINING);
	cr_assert_eq(assigned_to(world, "roomd-1"), PROTO_SLOTS, "there is nobody else");
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	await_slots(world, "roomd-2", PROTO_SLOTS);
	cr_assert_eq(assigned_to(world, "roomd-1"), 0);
	cr_assert_eq(drain(world, &boss, "roomd-1", true), 0, "twice is once");
	cr_assert_eq(drain(world, &boss, "roomd-1", false), 0);
	cr_assert_eq(state_of(world, "roomd-1"), PROTO_NODE_STATE_ONLINE);
	await_slots(world, "roomd-1", PROTO_SLOTS / 2);
	world_free(world);
}

/* It belongs to the process: another one of that name is in service, whoever else restarts. */
Test(registry_drain, outlives_the_registry_and_not_the_process)
{
	struct world *world = world_new();
	struct person boss = administrator(world);
	struct proto_session_resume resume = {
		.secret = {(const char *)boss.secret, sizeof(boss.secret)}};

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	cr_assert_eq(drain(world, &boss, "roomd-1", true), 0);
	registry_down(world);
	registry_up(world);
	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	cr_assert_eq(state_of(world, "roomd-1"), PROTO_NODE_STATE_DRAINING);
	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	cr_assert_eq(state_of(world, "roomd-1"), PROTO_NODE_STATE_ONLINE);
	cr_assert_eq(ask(world, world->ann, PROTO_SESSION_RESUME, &resume, NULL), 0);
	cr_assert_eq(drain(world, &boss, "roomd-1", true), 0);
	cr_assert_eq(drain(world, &boss, "roomd-1", false), 0);
	registry_down(world);
	registry_up(world);
	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	cr_assert_eq(state_of(world, "roomd-1"), PROTO_NODE_STATE_ONLINE);
	world_free(world);
}

/* A node that stops in order drains by itself. */
Test(registry_drain, of_a_node_that_stops)
{
	struct world *world = world_new();
	struct proto_node_beat last = {
		.node = PROTO_SPAN("roomd-1"), .incarnation = id_of(1), .draining = true};

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	await_slots(world, "roomd-1", PROTO_SLOTS / 2);
	cr_assert_eq(ask(world, world->bob, PROTO_NODE_BEAT, &last, NULL), 0);
	cr_assert_eq(state_of(world, "roomd-1"), PROTO_NODE_STATE_DRAINING);
	cr_assert_eq(assigned_to(world, "roomd-2"), PROTO_SLOTS, "known when it was answered");
	world_free(world);
}

/* Nobody is asked to close what the other, who stops too, would not take; and all are told. */
Test(registry_drain, of_all_nodes_at_once)
{
	struct world *world = world_new();
	struct proto_node_beat last = {
		.node = PROTO_SPAN("roomd-1"), .incarnation = id_of(1), .draining = true};
	struct proto_slot_ranges one;

	follow(world);
	roomd_up(world, "roomd-1", 1, 5);
	await_slots(world, "roomd-1", PROTO_SLOTS);
	one = ranges_for(world, "roomd-1");
	cr_assert(one.alone);
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 2, "h", NULL), 0);
	cr_assert_eq(hello(world, "storaged-1", PROTO_SERVICE_STORAGED, 3, "h", NULL), 0);
	cr_assert_eq(ask(world, world->bob, PROTO_NODE_BEAT, &last, NULL), 0);
	one = ranges_for(world, "roomd-1");
	cr_assert(has_slot(&one.leave, 5));
	cr_assert_not(one.alone);
	world->assigned = 0;
	last.node = PROTO_SPAN("roomd-2");
	last.incarnation = id_of(2);
	cr_assert_eq(ask(world, world->bob, PROTO_NODE_BEAT, &last, NULL), 0);
	fixture_wait(&world->fixture, &world->assigned, 1);
	one = ranges_for(world, "roomd-1");
	cr_assert_eq(one.leave.count, 0);
	cr_assert(one.alone);
	cr_assert_eq(hello(world, "roomd-3", PROTO_SERVICE_ROOMD, 4, "h", NULL), 0);
	await_slots(world, "roomd-3", PROTO_SLOTS - 1);
	one = ranges_for(world, "roomd-1");
	cr_assert(has_slot(&one.leave, 5));
	cr_assert_not(one.alone);
	world_free(world);
}

Test(registry_drain, stores_get_no_segments)
{
	struct world *world = world_new();
	struct person boss = administrator(world);
	struct proto_slot_record record;
	const struct proto_slot_swapped *swapped = NULL;
	const struct proto_id drained = id_of(501);

	cr_assert_eq(hello(world, "roomd-1", PROTO_SERVICE_ROOMD, 1, "h", NULL), 0);
	cr_assert_eq(hello(world, "storaged-1", PROTO_SERVICE_STORAGED, 1, "a", NULL), 0);
	cr_assert_eq(hello(world, "storaged-2", PROTO_SERVICE_STORAGED, 2, "a", NULL), 0);
	cr_assert_eq(hello(world, "storaged-3", PROTO_SERVICE_STORAGED, 3, "a", NULL), 0);
	cr_assert_eq(drain(world, &boss, "storaged-1", true), 0);
	record = record_of(6, "roomd-1", 1, 0, 1, PROTO_SLOT_STATE_SEALING);
	cr_assert_eq(swap(world, &record, 1, true, &swapped), 0);
	cr_assert_eq(swapped->members.count, 2);
	cr_assert_not(proto_id_equal(&swapped->members.items[0].store, &drained));
	cr_assert_not(proto_id_equal(&swapped->members.items[1].store, &drained));
	cr_assert_eq(drain(world, &boss, "storaged-2", true), 0);
	record.slot = 7; /* too few others: rather there than nowhere */
	cr_assert_eq(swap(world, &record, 1, true, &swapped), 0);
	cr_assert_eq(swapped->members.count, 2);
	world_free(world);
}
