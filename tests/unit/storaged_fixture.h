/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A store in a folder of its own, and an owner that writes to one slot of it. For storaged's tests.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storaged/kv_lmdb.h"
#include "storaged/page.h"
#include "storaged/scrub.h"
#include "storaged/segment.h"
#include "storaged/view.h"

#define FIXTURE_SLOT 0x123
#define FIXTURE_MAP_BYTES (1ULL << 30)

struct owner {
	uint64_t epoch;
	struct proto_id nonce;
	uint64_t first;
	uint64_t lsn; /* last written */
	uint64_t lac;
	struct segment_hash hash;
};

struct fixture {
	char path[64];
	struct kv *kv;
	struct owner owner;
	struct proto_id room;
	uint64_t seq;
	struct page page;
	struct segment_answer answer;
};

static inline struct proto_id fixture_id(unsigned int n)
{
	struct proto_id id = {{0x12, 0x30, 0, (uint8_t)(n >> 8), (uint8_t)n, 7}};

	return id;
}

static inline void fixture_make_folder(char path[static 64])
{
	snprintf(path, 64, "/tmp/storaged-test-XXXXXX");
	cr_assert_not_null(mkdtemp(path));
}

static inline struct fixture *fixture_new(void)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	cr_assert_not_null(fixture);
	fixture_make_folder(fixture->path);
	cr_assert_eq(kv_lmdb_new(fixture->path, FIXTURE_MAP_BYTES, &fixture->kv), 0);
	fixture->owner = (struct owner){.epoch = 1, .nonce = fixture_id(900), .first = 1};
	fixture->room = fixture_id(1);
	return fixture;
}

static inline void fixture_remove_folder(const char *path)
{
	static const char *const names[] = {"data.mdb", "lock.mdb", "storaged.lock", "doubtful"};
	char file[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(file, sizeof(file), "%s/%s", path, names[i]);
		(void)unlink(file);
	}
	(void)rmdir(path);
}

static inline void fixture_free(struct fixture *fixture)
{
	page_reset(&fixture->page);
	kv_lmdb_free(fixture->kv);
	fixture_remove_folder(fixture->path);
	free(fixture);
}

static inline struct kv_txn *fixture_begin(struct fixture *fixture, bool write)
{
	struct kv_txn *txn;

	cr_assert_eq(kv_begin(fixture->kv, write, &txn), 0);
	return txn;
}

/* An event of the room with its own number everywhere; `body` is filled. */
static inline struct proto_event fixture_event(const struct fixture *fixture,
					       enum proto_event_kind kind)
{
	return (struct proto_event){
		.room = fixture->room,
		.seq = fixture->seq + 1,
		.time = 1000 + fixture->seq,
		.kind = kind,
		.user = fixture_id(500),
		.name = PROTO_SPAN("ann"),
		.client = fixture_id(700),
		.number = fixture->seq + 1,
	};
}

/* Encodes an event at a place and chains it. `buffer` keeps its bytes. */
static inline struct proto_entry fixture_entry(struct proto_event event, uint64_t epoch,
					       uint64_t lsn, struct segment_hash *hash,
					       struct proto_buffer *buffer)
{
	struct proto_entry entry = {.lsn = lsn};

	event.epoch = epoch;
	event.lsn = lsn;
	cr_assert_eq(proto_encode_record(buffer, PROTO_RECORD(event), &event), 0);
	entry.body = (struct proto_span){buffer->data, buffer->size};
	segment_chain(hash, epoch, lsn, entry.body, hash);
	entry.hash = segment_hash_span(hash);
	return entry;
}

static inline int fixture_append_in(struct kv_txn *txn, struct fixture *fixture,
				    struct proto_event event)
{
	struct owner *owner = &fixture->owner;
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct segment_hash prev = owner->hash;
	struct proto_entry entry = fixture_entry(event, owner->epoch, owner->lsn + 1, &owner->hash,
						 &buffer);
	struct proto_append append = {
		.slot = FIXTURE_SLOT,
		.epoch = owner->epoch,
		.nonce = owner->nonce,
		.first = owner->first,
		.lac = owner->lac,
		.prev_hash = segment_hash_span(&prev),
		.entries = {&entry, 1},
	};
	uint64_t applied;
	int r = segment_append(txn, &append, &fixture->answer);

	if (r == 0) {
		r = view_advance(txn, FIXTURE_SLOT, UINT64_MAX, &applied);
		owner->lsn++;
		fixture->seq++;
	}
	proto_buffer_deinit(&buffer);
	return r;
}

/* Appends and commits one event; all before it is known as committed. */
static inline void fixture_append(struct fixture *fixture, struct proto_event event)
{
	struct kv_txn *txn = fixture_begin(fixture, true);

	fixture->owner.lac = fixture->owner.lsn;
	cr_assert_eq(fixture_append_in(txn, fixture, event), 0);
	cr_assert_eq(kv_commit(txn), 0);
}

static inline int fixture_release(struct fixture *fixture, uint64_t epoch, uint64_t segment,
				  uint64_t lac, bool sealed)
{
	struct proto_release release = {
		.slot = FIXTURE_SLOT,
		.epoch = epoch,
		.nonce = fixture->owner.nonce,
		.segment = segment,
		.lac = lac,
		.sealed = sealed,
	};
	struct kv_txn *txn = fixture_begin(fixture, true);
	uint64_t applied;
	int r = segment_release(txn, &release, &fixture->answer);

	if (r == 0) {
		cr_assert_eq(view_advance(txn, FIXTURE_SLOT, UINT64_MAX, &applied), 0);
	}
	cr_assert_eq(kv_commit(txn), 0);
	return r;
}

/* All that was written is committed, and shown. */
static inline void fixture_settle(struct fixture *fixture)
{
	cr_assert_eq(fixture_release(fixture, fixture->owner.epoch, fixture->owner.epoch,
				     fixture->owner.lsn, false),
		     0);
}

static inline void fixture_send(struct fixture *fixture, const char *text)
{
	struct proto_event event = fixture_event(fixture, PROTO_EVENT_KIND_MESSAGE);

	event.text = proto_span(text);
	fixture_append(fixture, event);
}

static inline void fixture_tell(void *context, const char *line)
{
	snprintf(context, 512, "%s", line);
}

/* Scrubs; the last line of damage goes to `line` (512 bytes). */
static inline struct scrub_result fixture_verify(struct fixture *fixture, char *line)
{
	struct scrub_result result;
	struct kv *scratch;
	char path[64];

	fixture_make_folder(path);
	cr_assert_eq(kv_lmdb_new(path, FIXTURE_MAP_BYTES, &scratch), 0);
	cr_assert_eq(scrub_verify(fixture->kv, scratch, fixture_tell, line, &result), 0);
	kv_lmdb_free(scratch);
	fixture_remove_folder(path);
	return result;
}
