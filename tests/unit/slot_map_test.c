/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The slot map: whole maps, changes in and out of order, and runs that make no sense. */

#include <criterion/criterion.h>
#include "services/slot_map.h"

static struct proto_slot_node node_items[] = {
	{PROTO_SPAN("roomd-1"), {{1}}, PROTO_SPAN("ipc:///a"), PROTO_SPAN("ipc:///a.feed")},
	{PROTO_SPAN("roomd-2"), {{2}}, PROTO_SPAN("ipc:///b"), PROTO_SPAN("ipc:///b.feed")},
};

static const struct proto_list_slot_node both = {node_items, 2};

static struct slot_map *half_and_half(void)
{
	struct proto_slot_run runs[] = {{0, 2047, 1}, {2048, 4095, 2}};
	struct proto_slot_map whole = {.version = 5, .nodes = both, .runs = {runs, 2}};
	struct slot_map *map = NULL;

	cr_assert_eq(slot_map_new(&map), 0);
	cr_assert_eq(slot_map_version(map), 0);
	cr_assert_null(slot_map_owner(map, 0));
	cr_assert_eq(slot_map_replace(map, &whole), 0);
	return map;
}

Test(slot_map, replace)
{
	struct slot_map *map = half_and_half();
	struct slot_owner *first = slot_map_owner(map, 2047);
	struct proto_slot_map empty = {.version = 6};

	cr_assert_eq(slot_map_version(map), 5);
	cr_assert_str_eq(first->node, "roomd-1");
	cr_assert_str_eq(first->address, "ipc:///a");
	cr_assert_str_eq(first->feed, "ipc:///a.feed");
	cr_assert_eq(first->slots, 2048);
	cr_assert_str_eq(slot_map_owner(map, 2048)->node, "roomd-2");
	cr_assert_null(slot_map_owner(map, PROTO_SLOTS));
	cr_assert_eq(slot_map_replace(map, &empty), 0);
	cr_assert_null(slot_map_owner(map, 0));
	cr_assert_eq(first->slots, 0, "an owner outlives its slots");
	slot_map_free(map);
	slot_map_free(NULL);
}

Test(slot_map, changes_come_in_order)
{
	struct slot_map *map = half_and_half();
	struct proto_slot_run run = {10, 19, 1};
	struct proto_slots_changed change = {
		.version = 6, .nodes = {&node_items[1], 1}, .runs = {&run, 1}};
	struct slot_owner *second = slot_map_owner(map, 4095);

	cr_assert_eq(slot_map_apply(map, &change), 0);
	cr_assert_eq(slot_map_owner(map, 10), second, "the same owner keeps its place");
	cr_assert_eq(second->slots, 2058);
	change.version = 8;
	cr_assert_eq(slot_map_apply(map, &change), PROTO_E_VERSION_CONFLICT);
	cr_assert_eq(slot_map_version(map), 6);
	change.version = 3;
	run = (struct proto_slot_run){0, 4095, 0};
	cr_assert_eq(slot_map_apply(map, &change), 0, "known already");
	cr_assert_eq(slot_map_owner(map, 10), second);
	change.version = 7;
	cr_assert_eq(slot_map_apply(map, &change), 0);
	cr_assert_null(slot_map_owner(map, 10));
	cr_assert_eq(second->slots, 0);
	slot_map_free(map);
}

static void count_owner(void *context, struct slot_owner *owner)
{
	*(size_t *)context += owner->slots > 0 ? 101 : 1;
}

Test(slot_map, a_new_incarnation_is_another_owner)
{
	struct slot_map *map = half_and_half();
	struct proto_slot_node again = node_items[0];
	struct proto_slot_run run = {0, 2047, 1};
	struct proto_slots_changed change = {.version = 6, .nodes = {&again, 1}, .runs = {&run, 1}};
	struct slot_owner *old = slot_map_owner(map, 0);
	size_t owners = 0;

	again.incarnation = (struct proto_id){{3}};
	cr_assert_eq(slot_map_apply(map, &change), 0);
	cr_assert_neq(slot_map_owner(map, 0), old);
	cr_assert_eq(old->slots, 0);
	slot_map_each_owner(map, count_owner, &owners);
	cr_assert_eq(owners, 203);
	slot_map_free(map);
}

Test(slot_map, senseless_runs_leave_slots_without_owner)
{
	static const struct proto_slot_run rows[] = {
		{0, 9, 3}, /* not listed */
		{0, 9, UINT64_MAX},
		{9, 0, 1}, /* backwards */
		{4090, UINT64_MAX, 0}, /* past the end */
		{UINT64_MAX, UINT64_MAX, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slot_map *map = half_and_half();
		struct proto_slot_run run = rows[i];
		struct proto_slots_changed change = {
			.version = 6, .nodes = both, .runs = {&run, 1}};

		cr_assert_eq(slot_map_apply(map, &change), 0);
		cr_assert_eq(slot_map_owner(map, 5) == NULL, i < 2, "row %zu", i);
		slot_map_free(map);
	}
}
