/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Questions to the stores of a slot: who is asked, when the next one is, and how it ends. */

#include <criterion/criterion.h>
#include "roomd/reader.h"

#define MEMBERS 3
#define ASKED_MAX 256

struct asked {
	struct proto_id store;
	env_answer_fn on_answer;
	void *context;
};

struct stage {
	uint64_t now;
	struct env env;
	struct slot slot;
	struct readers *readers;
	struct proto_timeline_read body;
	struct asked asked[ASKED_MAX];
	size_t asked_count;
	size_t answered; /* of `asked` */
	bool done;
	int result;
};

static uint64_t stage_now(void *context)
{
	return ((struct stage *)context)->now;
}

static void stage_store(void *context, const struct proto_id *store, enum proto_type type,
			const void *body, env_answer_fn on_answer, void *answer_context)
{
	struct stage *stage = context;

	cr_assert_eq(type, PROTO_TIMELINE_READ);
	cr_assert_eq(body, &stage->body);
	cr_assert_lt(stage->asked_count, ASKED_MAX);
	stage->asked[stage->asked_count++] = (struct asked){*store, on_answer, answer_context};
}

static void on_committed(void *context, void *owner)
{
	(void)context;
	(void)owner;
}

static void on_failed(void *context, int error, uint64_t fence)
{
	(void)context;
	(void)error;
	(void)fence;
}

static void on_done(void *context, int result, const struct proto_message *answer)
{
	struct stage *stage = context;

	(void)answer;
	cr_assert_not(stage->done, "answered twice");
	stage->done = true;
	stage->result = result;
}

static void stage_init(struct stage *stage)
{
	static const struct segment_events events = {on_committed, on_failed};
	struct segment_spec spec = {
		.epoch = 1, .first = 1, .member_count = MEMBERS, .ack_quorum = 2};

	*stage = (struct stage){.now = 1000};
	stage->env = (struct env){.context = stage, .now_ms = stage_now, .store = stage_store};
	for (size_t i = 0; i < MEMBERS; i++) {
		spec.members[i].bytes[0] = (uint8_t)(i + 1);
	}
	stage->slot.phase = SLOT_OPEN;
	stage->slot.term = 1;
	cr_assert_eq(segment_new(&stage->env, &spec, &events, stage, &stage->slot.segment), 0);
	cr_assert_eq(readers_new(&stage->env, &stage->readers), 0);
}

static void answer(struct stage *stage, int result)
{
	struct asked *asked = &stage->asked[stage->answered++];

	asked->on_answer(asked->context, result, NULL);
}

static void stage_deinit(struct stage *stage)
{
	readers_free(stage->readers);
	while (stage->answered < stage->asked_count) {
		answer(stage, PROTO_E_UNAVAILABLE);
	}
	segment_free(stage->slot.segment);
}

static void ask(struct stage *stage)
{
	readers_ask(stage->readers, &stage->slot, PROTO_TIMELINE_READ, &stage->body, on_done,
		    stage);
}

static void pass(struct stage *stage, uint64_t ms)
{
	for (uint64_t end = stage->now + ms; stage->now < end; stage->now += 25) {
		readers_tick(stage->readers);
	}
}

/* How the first member's answer is taken. */
Test(roomd_reader, answers_of_one_member)
{
	static const struct {
		int result;
		bool ends;
	} rows[] = {
		{0, true},
		{PROTO_E_BAD_VALUE, true},
		{PROTO_E_LIMIT, true},
		{PROTO_E_GAP, false},
		{PROTO_E_DAMAGED, false},
		{PROTO_E_BUSY, false},
		{PROTO_E_TIMEOUT, false},
		{PROTO_E_EXPIRED, false},
		{PROTO_E_UNAVAILABLE, false},
		{PROTO_E_STORAGE_FAILED, false},
		{PROTO_E_INTERNAL, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stage stage;

		stage_init(&stage);
		ask(&stage);
		cr_assert_not(stage.done);
		cr_assert_eq(stage.asked_count, 1);
		answer(&stage, rows[i].result);
		cr_assert_eq(stage.done, rows[i].ends, "row %zu", i);
		if (rows[i].ends) {
			cr_assert_eq(stage.result, rows[i].result);
			cr_assert_eq(stage.asked_count, 1);
		} else {
			cr_assert_eq(stage.asked_count, 2);
			cr_assert_not(proto_id_equal(&stage.asked[0].store, &stage.asked[1].store));
			answer(&stage, 0);
			cr_assert(stage.done);
			cr_assert_eq(stage.result, 0);
		}
		stage_deinit(&stage);
	}
}

Test(roomd_reader, asks_the_next_while_one_is_silent)
{
	struct stage stage;

	stage_init(&stage);
	ask(&stage);
	pass(&stage, READER_HEDGE_MS);
	cr_assert_eq(stage.asked_count, 1);
	pass(&stage, 50);
	cr_assert_eq(stage.asked_count, 2);
	stage.answered = 1; /* the first one stays silent */
	answer(&stage, 0);
	cr_assert(stage.done);
	stage.answered = 0;
	answer(&stage, 0); /* too late: told once */
	stage.answered = 2;
	stage_deinit(&stage);
}

Test(roomd_reader, asks_all_again_until_time_is_up)
{
	static const struct {
		int first;
		int result;
	} rows[] = {
		{PROTO_E_GAP, PROTO_E_UNAVAILABLE},
		{PROTO_E_DAMAGED, PROTO_E_DAMAGED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stage stage;
		uint64_t began;

		stage_init(&stage);
		began = stage.now;
		ask(&stage);
		answer(&stage, rows[i].first);
		while (!stage.done) {
			while (stage.answered < stage.asked_count) {
				answer(&stage, PROTO_E_GAP);
			}
			cr_assert_leq(stage.asked_count,
				      MEMBERS * (1 + (stage.now - began) / READER_ROUND_MS));
			pass(&stage, 25);
		}
		cr_assert_eq(stage.result, rows[i].result);
		cr_assert_geq(stage.now - began, READER_MS);
		cr_assert_leq(stage.now - began, READER_MS + 100);
		cr_assert_gt(stage.asked_count, MEMBERS);
		stage_deinit(&stage);
	}
}

Test(roomd_reader, a_slot_that_is_lost_ends_it)
{
	for (int i = 0; i < 3; i++) {
		struct stage stage;

		stage_init(&stage);
		ask(&stage);
		stage.slot.phase = i == 0 ? SLOT_WAIT : SLOT_OPEN;
		stage.slot.term += i > 0; /* ours again, with rooms loaded anew */
		if (i == 2) {
			answer(&stage, 0);
		} else {
			pass(&stage, 25);
		}
		cr_assert(stage.done);
		cr_assert_eq(stage.result, PROTO_E_NOT_OWNER);
		stage_deinit(&stage);
	}
}

Test(roomd_reader, the_end_answers_what_is_open)
{
	struct stage stage;

	stage_init(&stage);
	ask(&stage);
	readers_free(stage.readers);
	stage.readers = NULL;
	cr_assert(stage.done);
	cr_assert_eq(stage.result, PROTO_E_UNAVAILABLE);
	stage_deinit(&stage);
}
