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
