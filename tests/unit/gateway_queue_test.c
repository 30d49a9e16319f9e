/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What stands between an event and a socket: frames, the queue, cursors, the meter, the lane. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/cursor.h"
#include "gateway/frame.h"
#include "gateway/lane.h"
#include "gateway/meter.h"
#include "gateway/outbox.h"

/* --- frames --- */

Test(frame, has_the_shortest_length)
{
	static const struct {
		size_t payload;
		size_t header;
		unsigned char second;
	} rows[] = {
		{0, 2, 0},     {1, 2, 1},	{125, 2, 125},
		{126, 4, 126}, {65535, 4, 126}, {65536, 10, 127},
	};
	char *payload = calloc(1, 65536);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame *frame;

		cr_assert_eq(frame_new(FRAME_TEXT, payload, rows[i].payload, &frame), 0);
		cr_assert_eq(frame->size, rows[i].header + rows[i].payload);
		cr_assert_eq(frame->data[0], 0x81);
		cr_assert_eq(frame->data[1], rows[i].second, "payload %zu", rows[i].payload);
		frame_unref(frame);
	}
	free(payload);
}

Test(frame, length_is_big_endian)
{
	char payload[258] = {0};
	struct frame *frame;

	cr_assert_eq(frame_new(FRAME_BINARY, payload, sizeof(payload), &frame), 0);
	cr_assert_eq(frame->data[0], 0x82);
	cr_assert_eq(frame->data[2], 1);
	cr_assert_eq(frame->data[3], 2);
	frame_unref(frame);
	frame_unref(NULL);
}

/* --- the queue --- */

static uint64_t shed_seqs[16];
static size_t shed_count;

static void note_shed(void *tag, uint64_t seq)
{
	cr_assert_not_null(tag);
	shed_seqs[shed_count++] = seq;
}

static struct frame *sized_frame(size_t size)
{
	char payload[4096] = {0};
	struct frame *frame;

	cr_assert_eq(frame_new(FRAME_TEXT, payload, size - (size <= 127 ? 2 : 4), &frame), 0);
	cr_assert_eq(frame->size, size);
	return frame;
}

Test(outbox, is_bounded_in_bytes_but_takes_one_frame)
{
	struct outbox outbox;
	struct frame *large = sized_frame(500);
	struct frame *small = sized_frame(10);

	outbox_init(&outbox, 100);
	cr_assert_eq(outbox_push(&outbox, large, NULL, 0), 0);
	cr_assert_eq(outbox_push(&outbox, small, NULL, 0), OUTBOX_E_FULL);
	cr_assert_eq(outbox_push_anyway(&outbox, small), 0);
	cr_assert_eq(outbox.bytes, 510);
	frame_unref(large);
	frame_unref(small);
	outbox_deinit(&outbox);
}

Test(outbox, joins_whole_frames_in_order)
{
	struct outbox outbox;
	unsigned char space[64];
	unsigned char *bytes;

	outbox_init(&outbox, 100000);
	for (size_t i = 0; i < 20; i++) {
		struct frame *frame = sized_frame(20);

		frame->data[2] = (unsigned char)i;
		cr_assert_eq(outbox_push(&outbox, frame, NULL, 0), 0);
		frame_unref(frame);
	}
	for (size_t i = 0; i < 18; i += 3) {
		cr_assert_eq(outbox_next(&outbox, space, sizeof(space), &bytes), 60);
		cr_assert_eq(bytes[2], i);
		cr_assert_eq(bytes[42], i + 2);
	}
	cr_assert_eq(outbox_next(&outbox, space, sizeof(space), &bytes), 40);
	cr_assert_eq(outbox_next(&outbox, space, sizeof(space), &bytes), 0);
	cr_assert_eq(outbox.bytes, 0);
	outbox_deinit(&outbox);
}

Test(outbox, lends_what_is_larger_than_the_space)
{
	struct outbox outbox;
	struct frame *large = sized_frame(500);
	struct frame *small = sized_frame(10);
	unsigned char space[64];
	unsigned char *bytes;

	outbox_init(&outbox, 100000);
	cr_assert_eq(outbox_push(&outbox, large, NULL, 0), 0);
	cr_assert_eq(outbox_push(&outbox, small, NULL, 0), 0);
	cr_assert_eq(outbox_next(&outbox, space, sizeof(space), &bytes), 500);
	cr_assert_eq(bytes, large->data);
	cr_assert_eq(outbox_next(&outbox, space, sizeof(space), &bytes), 10);
	cr_assert_eq(large->refs, 1);
	frame_unref(large);
	frame_unref(small);
	outbox_deinit(&outbox);
}

Test(outbox, sheds_events_and_keeps_answers)
{
	struct outbox outbox;
	struct frame *frame = sized_frame(10);
	int reader;
	int other;

	outbox_init(&outbox, 100000);
	for (uint64_t seq = 1; seq <= 9; seq++) {
		cr_assert_eq(
			outbox_push(&outbox, frame, seq % 3 == 0 ? NULL : (void *)&reader, seq), 0);
	}
	outbox_shed(&outbox, note_shed);
	cr_assert_eq(shed_count, 6);
	cr_assert_eq(shed_seqs[0], 1);
	cr_assert_eq(shed_seqs[5], 8);
	cr_assert_eq(outbox.count, 3);
	cr_assert_eq(outbox.bytes, 30);
	cr_assert_eq(outbox_push(&outbox, frame, &other, 1), 0);
	cr_assert_eq(outbox_push(&outbox, frame, &reader, 2), 0);
	outbox_untag(&outbox, &other);
	outbox_forget(&outbox, &reader);
	cr_assert_eq(outbox.count, 4);
	shed_count = 0;
	outbox_shed(&outbox, note_shed);
	cr_assert_eq(shed_count, 0);
	outbox_deinit(&outbox);
	cr_assert_eq(frame->refs, 1);
	frame_unref(frame);
}

/* --- cursors --- */

Test(cursor, judges_events)
{
	static const struct {
		uint64_t epoch;
		uint64_t seq;
		enum cursor_verdict published;
		enum cursor_verdict logged;
	} rows[] = {
		{5, 10, CURSOR_OLD, CURSOR_OLD},  {5, 11, CURSOR_NEXT, CURSOR_NEXT},
		{5, 12, CURSOR_GAP, CURSOR_GAP},  {6, 11, CURSOR_NEXT, CURSOR_NEXT},
		{4, 11, CURSOR_OLD, CURSOR_NEXT}, {4, 12, CURSOR_OLD, CURSOR_GAP},
		{6, 1, CURSOR_OLD, CURSOR_OLD},
	};
	const struct cursor cursor = {.known = true, .epoch = 5, .last = 10};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(cursor_offer(&cursor, rows[i].epoch, rows[i].seq), rows[i].published,
			     "row %zu", i);
		cr_assert_eq(cursor_offer_logged(&cursor, rows[i].seq), rows[i].logged, "row %zu",
			     i);
	}
}

Test(cursor, advances_and_keeps_the_latest_epoch)
{
	struct cursor cursor = {0};

	cr_assert_eq(cursor_offer(&cursor, 1, 1), CURSOR_GAP);
	cr_assert_not(cursor_is_behind(&cursor, 1, 9));
	cursor_advance(&cursor, 7, 1);
	cursor_advance(&cursor, 3, 2);
	cr_assert_eq(cursor.epoch, 7);
	cr_assert_eq(cursor.last, 2);
	cr_assert(cursor_is_behind(&cursor, 7, 3));
	cr_assert_not(cursor_is_behind(&cursor, 7, 2));
	cr_assert_not(cursor_is_behind(&cursor, 6, 3));
}

Test(cursor, says_how_a_reader_resumes)
{
	static const struct {
		uint64_t after;
		uint64_t seq;
		enum cursor_resume resume;
	} rows[] = {
		{7, 7, CURSOR_RESUME_LIVE},
		{6, 7, CURSOR_RESUME_REPLAY},
		{1, 1 + CURSOR_MISSED_MAX, CURSOR_RESUME_REPLAY},
		{1, 2 + CURSOR_MISSED_MAX, CURSOR_RESUME_RESET},
		{8, 7, CURSOR_RESUME_RESET},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(cursor_resume(rows[i].after, rows[i].seq), rows[i].resume, "row %zu",
			     i);
	}
}

/* --- the meter --- */

Test(meter, gives_a_burst_and_then_the_rate)
{
	struct meter meter = {0};
	uint64_t now_ms = 5000;

	for (int i = 0; i < 20; i++) {
		cr_assert_eq(meter_take(&meter, 10, now_ms), 0);
	}
	cr_assert_eq(meter_take(&meter, 10, now_ms), 100);
	cr_assert_eq(meter_take(&meter, 10, now_ms + 99), 1);
	cr_assert_eq(meter_take(&meter, 10, now_ms + 100), 0);
	cr_assert_gt(meter_take(&meter, 10, now_ms + 101), 0);
	cr_assert_eq(meter_take(&meter, 10, now_ms + 1000000), 0);
}

/* --- the lane --- */

static struct lane_item item_of(uint8_t client, uint64_t number)
{
	struct lane_item item = {.number = number};

	item.client.bytes[0] = client;
	return item;
}

Test(lane, names_the_write_before_it)
{
	struct lane lane = {0};
	struct lane_item items[] = {item_of(1, 10), item_of(2, 5), item_of(1, 11)};
	static const uint64_t prev[] = {0, 0, 10};

	for (size_t i = 0; i < 3; i++) {
		lane_append(&lane, &items[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(lane_next(&lane), &items[i]);
		cr_assert_eq(lane_take_off(&lane, &items[i]), prev[i]);
		cr_assert_eq(items[i].behind, prev[i] != 0);
	}
	cr_assert_null(lane_next(&lane));
	lane_end(&lane, &items[0]);
	lane_end(&lane, &items[2]);
	lane_end(&lane, &items[1]);
	cr_assert_null(lane.items);
	cr_assert_eq(lane.flying, 0);
}

Test(lane, goes_back_and_keeps_the_order)
{
	struct lane lane = {0};
	struct lane_item items[] = {item_of(1, 1), item_of(1, 2), item_of(1, 3)};

	for (size_t i = 0; i < 3; i++) {
		lane_append(&lane, &items[i]);
		(void)lane_take_off(&lane, &items[i]);
	}
	lane_return(&lane, &items[0]);
	cr_assert_null(lane_next(&lane), "held while others fly");
	cr_assert_not(lane_release(&lane));
	lane_return(&lane, &items[2]);
	lane_return(&lane, &items[1]);
	cr_assert(lane_release(&lane));
	cr_assert_eq(lane_next(&lane), &items[0]);
	cr_assert_eq(lane_take_off(&lane, &items[0]), 0);
	cr_assert_eq(lane_next(&lane), &items[1]);
	cr_assert_eq(lane_take_off(&lane, &items[1]), 1);
	lane_end(&lane, &items[0]);
	cr_assert_eq(lane_take_off(&lane, &items[2]), 2);
}

Test(lane, bounds_what_flies)
{
	struct lane lane = {0};
	struct lane_item items[LANE_FLYING_MAX + 1];

	for (size_t i = 0; i <= LANE_FLYING_MAX; i++) {
		items[i] = item_of(1, i + 1);
		lane_append(&lane, &items[i]);
	}
	for (size_t i = 0; i < LANE_FLYING_MAX; i++) {
		cr_assert_eq(lane_next(&lane), &items[i]);
		(void)lane_take_off(&lane, &items[i]);
	}
	cr_assert_null(lane_next(&lane));
	lane_end(&lane, &items[0]);
	cr_assert_eq(lane_next(&lane), &items[LANE_FLYING_MAX]);
}
