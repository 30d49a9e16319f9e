/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The ownership of slots: records, take-over, appends, and all of it in a world where everything
 * fails. DISTRICHAT_SEED repeats one run of the simulation, DISTRICHAT_RUNS sets how many are
 * made.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "roomd/record.h"
#include "tests/unit/roomd_world.h"

static const struct world_options one = {
	.seed = 1, .stores = 1, .write_quorum = 1, .ack_quorum = 1, .delay_ms = 2};
static const struct world_options three = {
	.seed = 1, .stores = 4, .write_quorum = 3, .ack_quorum = 2, .delay_ms = 2};

static void append_some(struct world *world, size_t owner, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		cr_assert(world_append(world, owner, i % WORLD_SLOTS));
	}
	world_run(world, 100);
}

/* --- records --- */

static struct record claimed(uint64_t epoch)
{
	const struct proto_id me = {{7}};
	struct record record = RECORD_INIT;

	record_claim(&record, epoch, "r1", &me);
	return record;
}

Test(roomd_record, first_segment_begins_at_one)
{
	const struct proto_id members[] = {{{1}}};
	const struct chain_hash none = {.set = false};
	struct record record = claimed(1);

	cr_assert_eq(record.state, PROTO_SLOT_STATE_SEALING);
	cr_assert_eq(record_install(&record, 0, &none, members, 1), 0);
	cr_assert_eq(record.state, PROTO_SLOT_STATE_OPEN);
	cr_assert_eq(record.segment_count, 1);
	cr_assert_eq(record.segments[0].first, 1);
	cr_assert_not(record.segments[0].sealed);
	record_deinit(&record);
}

Test(roomd_record, empty_segment_is_dropped)
{
	const struct proto_id members[] = {{{1}}};
	const struct chain_hash none = {.set = false};
	struct record record = claimed(1);

	record_install(&record, 0, &none, members, 1);
	record_claim(&record, 2, "r2", &members[0]);
	cr_assert_eq(record_install(&record, 0, &none, members, 1), 0);
	cr_assert_eq(record.segment_count, 1);
	cr_assert_eq(record.segments[0].epoch, 2);
	cr_assert_eq(record.segments[0].since_epoch, 2);
	record_deinit(&record);
}

Test(roomd_record, neighbours_on_the_same_stores_merge)
{
	const struct proto_id members[] = {{{1}}};
	const struct proto_id others[] = {{{2}}};
	const struct chain_hash hash = {.bytes = {9}, .set = true};
	struct record record = claimed(1);

	record_install(&record, 0, &hash, members, 1);
	for (uint64_t epoch = 2; epoch < 5; epoch++) {
		record_claim(&record, epoch, "r1", &members[0]);
		cr_assert_eq(record_install(&record, epoch * 10, &hash, members, 1), 0);
	}
	cr_assert_eq(record.segment_count, 2);
	cr_assert_eq(record.segments[0].since_epoch, 1);
	cr_assert_eq(record.segments[0].epoch, 3);
	cr_assert_eq(record.segments[0].first, 1);
	cr_assert_eq(record.segments[0].last, 40);
	cr_assert_eq(record.segments[1].first, 41);
	record_claim(&record, 5, "r1", &members[0]);
	record_install(&record, 50, &hash, others, 1);
	record_claim(&record, 6, "r1", &members[0]);
	record_install(&record, 60, &hash, others, 1);
	cr_assert_eq(record.segment_count, 3); /* 1…50, 51…60 on the others, 61… */
	record_deinit(&record);
}

Test(roomd_record, travels_and_refuses_holes)
{
	const struct proto_id members[] = {{{1}}, {{2}}};
	const struct chain_hash hash = {.bytes = {9}, .set = true};
	struct record record = claimed(1);
	struct record copy = RECORD_INIT;
	struct record_wire wire;

	record_install(&record, 0, &hash, members, 2);
	record_claim(&record, 2, "r1", &members[0]);
	record_install(&record, 8, &hash, members + 1, 1);
	cr_assert_eq(record_write(&record, &wire), 0);
	cr_assert_eq(record_read(&copy, &wire.record), 0);
	cr_assert_eq(copy.segment_count, 2);
	cr_assert_eq(copy.segments[0].last, 8);
	cr_assert(chain_equal(&copy.segments[0].last_hash, &hash));
	cr_assert_eq(copy.segments[0].member_count, 2);
	wire.record.segments.items[1].first = 10;
	cr_assert_eq(record_read(&copy, &wire.record), PROTO_E_BAD_VALUE);
	cr_assert_eq(copy.segments[1].first, 9); /* as before */
	record_wire_deinit(&wire);
	record_deinit(&copy);
	record_deinit(&record);
}

/* --- take-over --- */

Test(roomd_slot, fresh_slots_open_and_commit)
{
	struct world *world = world_new(&one);

	cr_assert(world_run_until_open(world, 0, 2000));
	cr_assert_eq(world_slot(world, 0, 0)->record.epoch, 1);
	append_some(world, 0, 40);
	cr_assert_eq(world_committed(world, 0), 10);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, restarted_owner_takes_a_new_epoch)
{
	struct world *world = world_new(&one);

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 40);
	world_crash(world, 0);
	cr_assert(world_run_until_open(world, 0, 3000));
	cr_assert_gt(world_slot(world, 0, 0)->record.epoch, 1);
	cr_assert_eq(segment_next(world_slot(world, 0, 0)->segment), 11);
	append_some(world, 0, 4);
	cr_assert_eq(world_committed(world, 0), 11);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, planned_move_fences_the_old_owner)
{
	struct world *world = world_new(&one);

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 8);
	world_assign(world, 1);
	cr_assert(world_run_until_open(world, 1, 3000));
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_OPEN); /* it was not told */
	cr_assert(world_append(world, 0, 0));
	world_run(world, 200);
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_FREE);
	cr_assert_eq(world_committed(world, 0), 2); /* what it tried is not written */
	append_some(world, 1, 4);
	cr_assert_eq(world_committed(world, 0), 3);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, suspended_slots_are_looked_up)
{
	struct world *world = world_new(&one);

	cr_assert(world_run_until_open(world, 0, 2000));
	world_suspend(world, 0);
	cr_assert(world_slot(world, 0, 0)->suspended);
	world_run(world, 200);
	cr_assert_not(world_slot(world, 0, 0)->suspended);
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_OPEN);
	world_assign(world, 1);
	cr_assert(world_run_until_open(world, 1, 3000));
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_OPEN);
	world_suspend(world, 0);
	world_run(world, 500);
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_FREE);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, failed_swaps_start_again)
{
	struct world *world = world_new(&one);

	for (unsigned int i = 0; i < 3; i++) {
		world_conflict(world);
		world_run(world, 7);
	}
	cr_assert(world_run_until_open(world, 0, 5000));
	append_some(world, 0, 4);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, epoch_goes_beyond_a_fence_that_was_seen)
{
	struct world *world = world_new(&one);

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 4);
	world_fence(world, 0, 100);
	cr_assert(world_append(world, 0, 0));
	world_run(world, 100);
	cr_assert(world_run_until_open(world, 0, 5000));
	cr_assert_eq(world_dropped(world), 1);
	cr_assert_gt(world_slot(world, 0, 0)->record.epoch, 100);
	cr_assert_null(world_check(world));
	world_free(world);
}

/*
 * The owner dies after T5 and before T6: its successor finds an empty segment, and behind it one
 * whose stores were never told where it ends.
 */
static void die_before_release(const struct world_options *options)
{
	struct world *world = world_new(options);
	const char *wrong;

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 40);
	world_crash(world, 0);
	for (unsigned int i = 0; world_slot(world, 0, 0)->phase != SLOT_RELEASE; i++) {
		cr_assert_lt(i, 5000);
		world_run(world, 1);
	}
	for (size_t i = 0; i < options->stores; i++) {
		world_store_stop(world, i); /* what was on its way to them is lost */
	}
	world_crash(world, 0);
	world_run(world, 50);
	world_heal(world);
	cr_assert(world_run_until_open(world, 0, 8000));
	wrong = world_check(world);
	cr_assert_null(wrong, "%s", wrong);
	append_some(world, 0, 4);
	cr_assert_eq(world_committed(world, 0), 11);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, what_the_owner_before_did_not_release_is_released)
{
	die_before_release(&one);
	die_before_release(&three);
}

/* Reads go to the members of the open segment: those must have what was written before. */
Test(roomd_slot, a_new_segment_stays_on_the_stores_of_the_last)
{
	struct world_options options = one;
	struct world *world;

	options.stores = WORLD_STORES;
	world = world_new(&options);
	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 8);
	for (unsigned int i = 0; i < 8; i++) {
		world_crash(world, 0);
		cr_assert(world_run_until_open(world, 0, 8000));
		if (i == 4) {
			append_some(world, 0, 8);
		}
		for (unsigned int j = 0; j < WORLD_SLOTS; j++) {
			const struct record *record = &world_slot(world, 0, j)->record;

			cr_assert_eq(record->segment_count, 2);
			cr_assert(proto_id_equal(&record->segments[0].members[0],
						 &record->segments[1].members[0]));
		}
	}
	world_free(world);
}

/* A store that is away is replaced; those that answer stay. */
Test(roomd_slot, a_store_that_is_away_is_replaced)
{
	struct world *world = world_new(&three);
	const struct record *record;
	struct proto_id before[3];
	size_t kept = 0;

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 40);
	memcpy(before, record_last(&world_slot(world, 0, 0)->record)->members, sizeof(before));
	world_store_stop(world, 1);
	world_crash(world, 0);
	cr_assert(world_run_until_open(world, 0, 8000));
	record = &world_slot(world, 0, 0)->record;
	cr_assert_eq(record_last(record)->member_count, 3);
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < 3; j++) {
			kept += proto_id_equal(&record_last(record)->members[i], &before[j]);
		}
	}
	cr_assert_geq(kept, 2);
	cr_assert_null(world_check(world));
	world_free(world);
}

/* Quorums that cannot be are the registry's mistake, and no reason to end. */
Test(roomd_slot, impossible_quorums_open_nothing)
{
	static const size_t acks[] = {0, 2};

	for (size_t i = 0; i < sizeof(acks) / sizeof(acks[0]); i++) {
		struct world_options options = one;
		struct world *world;

		options.ack_quorum = acks[i];
		world = world_new(&options);
		cr_assert_not(world_run_until_open(world, 0, 1000));
		world_free(world);
	}
}

Test(roomd_slot, waits_for_stores)
{
	struct world *world = world_new(&one);

	world_store_stop(world, 0);
	cr_assert_not(world_run_until_open(world, 0, 3000));
	world_store_start(world, 0);
	cr_assert(world_run_until_open(world, 0, 8000));
	world_free(world);
}

Test(roomd_slot, append_is_repeated_until_the_store_is_back)
{
	struct world *world = world_new(&one);

	cr_assert(world_run_until_open(world, 0, 2000));
	world_store_stop(world, 0);
	append_some(world, 0, 8);
	world_run(world, 2000);
	cr_assert_eq(world_committed(world, 0), 0);
	world_store_start(world, 0);
	world_run(world, 2000);
	cr_assert_eq(world_committed(world, 0), 2);
	cr_assert_eq(world_dropped(world), 0);
	world_free(world);
}

Test(roomd_slot, stall_rolls_to_a_new_epoch)
{
	struct world *world = world_new(&one);

	cr_assert(world_run_until_open(world, 0, 2000));
	world_store_stop(world, 0);
	append_some(world, 0, 4);
	world_run(world, SEGMENT_STALL_MS + 1000);
	cr_assert_eq(world_dropped(world), WORLD_SLOTS);
	world_store_start(world, 0);
	cr_assert(world_run_until_open(world, 0, 8000));
	cr_assert_null(world_check(world));
	world_free(world);
}

/* --- planned moves --- */

static struct world *orderly_new(void)
{
	struct world_options options = one;

	options.orderly = true;
	return world_new(&options);
}

Test(roomd_move, what_is_in_flight_is_committed_by_the_old_owner)
{
	struct world *world = orderly_new();

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 8);
	for (unsigned int i = 0; i < 40; i++) {
		cr_assert(world_append(world, 0, i % WORLD_SLOTS));
	}
	world_assign(world, 1);
	cr_assert(world_run_until_open(world, 1, 3000));
	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		cr_assert_eq(world_slot(world, 0, i)->phase, SLOT_FREE);
		cr_assert_eq(world_slot(world, 0, i)->fence_seen, 0, "it was not fenced");
		cr_assert_eq(world_committed(world, i), 12);
	}
	append_some(world, 1, 4);
	cr_assert_eq(world_committed(world, 0), 13);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_move, nothing_new_is_taken_while_it_closes)
{
	struct world *world = orderly_new();

	cr_assert(world_run_until_open(world, 0, 2000));
	world_store_stop(world, 0);
	cr_assert(world_append(world, 0, 0));
	world_assign(world, 1);
	world_run(world, 100);
	cr_assert(world_slot(world, 0, 0)->closing);
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_OPEN);
	cr_assert_not(world_append(world, 0, 0));
	world_assign(world, 0); /* and back */
	world_run(world, 100);
	cr_assert_not(world_slot(world, 0, 0)->closing);
	cr_assert(world_append(world, 0, 0));
	world_store_start(world, 0);
	cr_assert(world_run_until_open(world, 0, 3000));
	cr_assert_eq(world_committed(world, 0), 2);
	cr_assert_null(world_check(world));
	world_free(world);
}

/* The registry may have the closed record or not: until it tells, no lease counts. */
Test(roomd_move, a_close_without_an_answer)
{
	struct world *world = orderly_new();
	struct slot *slot = world_slot(world, 0, 0);

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 4);
	world_store_stop(world, 0);
	cr_assert(world_append(world, 0, 0));
	world_assign_slot(world, 0, WORLD_OWNERS); /* somebody who is not there yet */
	world_run(world, 100);
	cr_assert(slot->closing);
	world_silence(world, 0); /* before it can close: what it asks from now on is lost */
	world_store_start(world, 0);
	world_run(world, 3000);
	cr_assert_eq(slot->phase, SLOT_OPEN);
	cr_assert(slot->suspended);
	cr_assert(slot->close_doubt);
	world_hello(world, 0);
	world_run(world, 3000);
	cr_assert_eq(slot->phase, SLOT_FREE, "what was in doubt is closed for sure");
	world_assign_slot(world, 0, 1);
	world_run(world, 1000);
	cr_assert_eq(world_slot(world, 1, 0)->phase, SLOT_OPEN);
	cr_assert_eq(world_committed(world, 0), 2);
	cr_assert_null(world_check(world));
	world_free(world);
}

/* An owner that does not know of a slot that the registry holds for its own gives it free. */
Test(roomd_move, a_slot_that_was_forgotten_is_closed)
{
	struct world *world = orderly_new();

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 4);
	world_store_stop(world, 0);
	cr_assert(world_append(world, 0, 0));
	world_assign_slot(world, 0, 1);
	world_run(world, SEGMENT_STALL_MS + 1000); /* given up, and nobody wants it back */
	cr_assert_neq(world_slot(world, 0, 0)->phase, SLOT_OPEN);
	world_store_start(world, 0);
	world_run(world, 8000);
	cr_assert_eq(world_slot(world, 1, 0)->phase, SLOT_OPEN);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_move, one_that_stops_hands_over_and_takes_nothing)
{
	struct world *world = orderly_new();

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 4);
	takeover_stop(world_takeover(world, 0));
	cr_assert_not(takeover_is_left(world_takeover(world, 0)), "the assignment is asked for");
	world_run(world, 50);
	cr_assert(takeover_is_left(world_takeover(world, 0)), "nobody waits for its slots");
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_OPEN);
	world_assign(world, 1);
	world_run(world, 10);
	cr_assert_not(takeover_is_left(world_takeover(world, 0)));
	cr_assert(world_run_until_open(world, 1, 3000));
	world_run(world, 50);
	cr_assert(takeover_is_left(world_takeover(world, 0)));
	world_assign(world, 0);
	world_run(world, 500);
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_FREE);
	world_free(world);
}

/* The one that was to have its slots begins to stop as well, with some of them closed already. */
Test(roomd_move, one_that_stops_waits_for_nobody_who_stops_too)
{
	struct world *world = orderly_new();

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 4);
	takeover_stop(world_takeover(world, 1));
	takeover_stop(world_takeover(world, 0));
	world_assign_slot(world, 0, 1);
	world_run(world, 50);
	cr_assert_eq(world_slot(world, 0, 0)->phase, SLOT_FREE, "closed");
	cr_assert_not(takeover_is_left(world_takeover(world, 0)), "it waits for the other");
	world_assign_slot(world, 1, 1);
	world_alone(world);
	world_run(world, 50);
	cr_assert(takeover_is_left(world_takeover(world, 0)));
	cr_assert_eq(world_slot(world, 0, 2)->phase, SLOT_OPEN);
	cr_assert(takeover_is_left(world_takeover(world, 1)));
	cr_assert_null(world_check(world));
	world_free(world);
}

/* --- three stores, two of which must have an entry --- */

Test(roomd_slot, quorum_commits_with_one_store_away)
{
	struct world *world = world_new(&three);

	cr_assert(world_run_until_open(world, 0, 2000));
	world_store_stop(world, 2);
	append_some(world, 0, 400);
	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		cr_assert_eq(world_committed(world, i), 100);
	}
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, tail_is_copied_to_a_quorum)
{
	struct world *world = world_new(&three);
	unsigned int holders = 0;

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 40);
	/* Whatever stores hold slot 0: at most one of them keeps the last entries to itself. */
	world_store_stop(world, 1);
	world_store_stop(world, 2);
	for (unsigned int i = 0; i < 4; i++) {
		world_append(world, 0, i);
	}
	world_run(world, 100);
	world_crash(world, 0);
	world_store_start(world, 1);
	world_store_start(world, 2);
	cr_assert(world_run_until_open(world, 0, 8000));
	for (size_t i = 0; i < WORLD_STORES; i++) {
		holders += world_stored(world, i, 0) >=
			   segment_next(world_slot(world, 0, 0)->segment) - 1;
	}
	cr_assert_geq(holders, 2);
	cr_assert_null(world_check(world));
	world_free(world);
}

Test(roomd_slot, no_take_over_without_a_seal_quorum)
{
	struct world *world = world_new(&three);

	cr_assert(world_run_until_open(world, 0, 2000));
	append_some(world, 0, 40);
	world_store_stop(world, 0);
	world_store_stop(world, 1);
	world_store_stop(world, 2);
	world_crash(world, 0);
	cr_assert_not(world_run_until_open(world, 0, 5000));
	world_heal(world);
	cr_assert(world_run_until_open(world, 0, 8000));
	cr_assert_null(world_check(world));
	world_free(world);
}

/* --- everything fails --- */

static void disturb(struct world *world, const struct world_options *options)
{
	uint32_t chance = world_random(world, 1000);

	if (chance < 8) {
		world_crash(world, world_random(world, WORLD_OWNERS));
	} else if (chance < 20) {
		world_assign_slot(world, world_random(world, WORLD_SLOTS),
				  world_random(world, WORLD_OWNERS));
	} else if (chance < 40) {
		world_store_stop(world, world_random(world, (uint32_t)options->stores));
	} else if (chance < 90) {
		world_store_start(world, world_random(world, (uint32_t)options->stores));
	} else if (chance < 94) {
		world_conflict(world);
	} else if (chance < 100 && options->orderly) {
		world_silence(world, world_random(world, WORLD_OWNERS));
	} else if (chance < 130) {
		world_hello(world, world_random(world, WORLD_OWNERS));
	}
}

/* Returns the number of entries that were committed. */
static uint64_t simulate(const struct world_options *options)
{
	struct world *world = world_new(options);
	uint64_t committed = 0;
	const char *wrong;

	for (unsigned int step = 0; step < 1500; step++) {
		world_run(world, 5 + world_random(world, 30));
		for (unsigned int i = world_random(world, 6); i > 0; i--) {
			world_append(world, world_random(world, WORLD_OWNERS),
				     world_random(world, WORLD_SLOTS));
		}
		disturb(world, options);
	}
	world_heal(world);
	world_assign(world, 0);
	cr_assert(world_run_until_open(world, 0, 60000), "seed %llu: slots do not open again",
		  (unsigned long long)options->seed);
	wrong = world_check(world);
	cr_assert_null(wrong, "%s", wrong);
	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		committed += world_committed(world, i);
	}
	world_free(world);
	return committed;
}

static void simulate_many(struct world_options options)
{
	const char *seed = getenv("DISTRICHAT_SEED");
	const char *runs = getenv("DISTRICHAT_RUNS");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	uint64_t count = seed ? 1 : runs ? strtoull(runs, NULL, 10) : 12;
	uint64_t committed = 0;

	for (uint64_t i = 0; i < count; i++) {
		options.seed = first + i;
		committed += simulate(&options);
	}
	printf("simulation %zu/%zu: seeds %llu and on, %llu runs, %llu entries committed\n",
	       options.write_quorum, options.ack_quorum, (unsigned long long)first,
	       (unsigned long long)count, (unsigned long long)committed);
	cr_assert_gt(committed, count * 100);
}

Test(roomd_simulation, one_store, .timeout = 100)
{
	struct world_options options = one;

	options.lost_permille = 20;
	options.doubled_permille = 30;
	options.delay_ms = 15;
	simulate_many(options);
}

/* Slots move in order, owners are cut off: nobody answers from memory beside another. */
Test(roomd_simulation, moves_in_order, .timeout = 100)
{
	struct world_options options = three;

	options.lost_permille = 20;
	options.doubled_permille = 30;
	options.delay_ms = 15;
	options.orderly = true;
	simulate_many(options);
}

Test(roomd_simulation, three_stores_two_acks, .timeout = 100)
{
	struct world_options options = three;

	options.lost_permille = 20;
	options.doubled_permille = 30;
	options.delay_ms = 15;
	simulate_many(options);
}
