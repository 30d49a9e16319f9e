/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Measures the store in process, without a bus: durable appends of messages of 200 bytes by the
 * size of the batch, and pages of 50 at random places of a room of 100,000. `storaged_bench DIR`;
 * DIR must not exist.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "proto/proto.h"
#include "storaged/page.h"
#include "storaged/segment.h"
#include "storaged/store.h"
#include "storaged/view.h"

#define BENCH_MAP_BYTES (8ULL << 30)
#define BENCH_TEXT_BYTES 200
#define BENCH_SECONDS 2
#define BENCH_MESSAGES 100000
#define BENCH_PAGES 20000
#define BENCH_ROOMS 1000

struct bench {
	struct store *store;
	struct proto_id nonce;
	struct segment_hash hash;
	uint64_t lsn;
	uint64_t seqs[BENCH_ROOMS + 1];
	struct proto_buffer buffers[PROTO_BATCH_MAX];
	struct proto_entry entries[PROTO_BATCH_MAX];
	uint8_t hashes[PROTO_BATCH_MAX][PROTO_HASH_BYTES];
	struct page page;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Random ids in slot 1; room 0 is the large one. */
static struct proto_id room_id(unsigned int n)
{
	struct proto_id id = {{0, 0x10}};

	srandom(n + 1);
	for (size_t i = 2; i < PROTO_ID_BYTES; i++) {
		id.bytes[i] = (uint8_t)random();
	}
	return id;
}

static void check(int r, const char *what)
{
	if (r != 0) {
		fprintf(stderr, "storaged_bench: %s: %d\n", what, r);
		exit(1);
	}
}

static void make_entry(struct bench *bench, size_t i, unsigned int room)
{
	static char text[BENCH_TEXT_BYTES];
	struct proto_event event = {
		.room = room_id(room),
		.epoch = 1,
		.lsn = ++bench->lsn,
		.seq = ++bench->seqs[room],
		.time = bench->lsn,
		.kind = PROTO_EVENT_KIND_MESSAGE,
		.user = room_id(7),
		.name = PROTO_SPAN("somebody"),
		.client = room_id(room + 10000),
		.number = bench->seqs[room],
	};

	memset(text, 'x', sizeof(text));
	event.text = (struct proto_span){text, sizeof(text)};
	proto_buffer_reset(&bench->buffers[i]);
	check(proto_encode_record(&bench->buffers[i], PROTO_RECORD(event), &event), "encode");
	bench->entries[i].lsn = event.lsn;
	bench->entries[i].body = (struct proto_span){bench->buffers[i].data,
						     bench->buffers[i].size};
	segment_chain(&bench->hash, 1, event.lsn, bench->entries[i].body, &bench->hash);
	memcpy(bench->hashes[i], bench->hash.bytes, PROTO_HASH_BYTES);
	bench->entries[i].hash = (struct proto_span){(const char *)bench->hashes[i],
						     PROTO_HASH_BYTES};
}

static void append(struct bench *bench, size_t count, bool many_rooms)
{
	struct segment_hash prev = bench->hash;
	struct segment_answer answer;
	uint64_t lac = bench->lsn;
	uint64_t applied;
	struct kv_txn *txn;

	for (size_t i = 0; i < count; i++) {
		make_entry(bench, i,
			   many_rooms ? 1 + (unsigned int)(bench->lsn * 7919 % BENCH_ROOMS) : 0);
	}
	check(kv_begin(store_kv(bench->store), true, &txn), "begin");
	check(segment_append(txn,
			     &(struct proto_append){
				     .slot = 1,
				     .epoch = 1,
				     .nonce = bench->nonce,
				     .first = 1,
				     .lac = lac,
				     .prev_hash = segment_hash_span(&prev),
				     .entries = {bench->entries, count},
			     },
			     &answer),
	      "append");
	check(view_advance(txn, 1, UINT64_MAX, &applied), "views");
	check(kv_commit(txn), "commit");
}

static void measure_appends(struct bench *bench, size_t batch)
{
	double began = now();
	uint64_t count = 0;

	while (now() - began < BENCH_SECONDS) {
		append(bench, batch, true);
		count += batch;
	}
	printf("appends, batch %4zu: %8.0f/s\n", batch, (double)count / (now() - began));
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure_pages(struct bench *bench)
{
	static double times[BENCH_PAGES];

	while (bench->seqs[0] < BENCH_MESSAGES) {
		append(bench, 1000, false);
	}
	append(bench, 1, false);
	for (size_t i = 0; i < BENCH_PAGES; i++) {
		struct proto_timeline_read read = {.room = room_id(0), .limit = 50};
		struct proto_room_page page;
		struct kv_txn *txn;
		double began;

		srandom((unsigned int)i);
		read.before = 51 + (uint64_t)random() % (BENCH_MESSAGES - 51);
		began = now();
		check(kv_begin(store_kv(bench->store), false, &txn), "begin");
		check(page_timeline(&bench->page, txn, &read, &page), "page");
		proto_buffer_reset(&bench->buffers[0]);
		check(proto_encode(&bench->buffers[0],
				   &(struct proto_header){.type = PROTO_ROOM_PAGE}, &page),
		      "encode");
		kv_abort(txn);
		page_reset(&bench->page);
		times[i] = now() - began;
	}
	qsort(times, BENCH_PAGES, sizeof(times[0]), compare);
	printf("page of 50 of %d, encoded: p50 %.0f us, p99 %.0f us\n", BENCH_MESSAGES,
	       times[BENCH_PAGES / 2] * 1e6, times[BENCH_PAGES * 99 / 100] * 1e6);
}

int main(int argc, char **argv)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	if (argc != 2 || !bench) {
		fprintf(stderr, "usage: storaged_bench DIR\n");
		return 2;
	}
	check(store_open(argv[1], BENCH_MAP_BYTES, &bench->store), "open");
	for (size_t batch = 1; batch <= 1000; batch *= 10) {
		measure_appends(bench, batch);
	}
	measure_pages(bench);
	store_close(bench->store);
	for (size_t i = 0; i < PROTO_BATCH_MAX; i++) {
		proto_buffer_deinit(&bench->buffers[i]);
	}
	free(bench);
	return 0;
}
