/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The rules of DESIGN.md, section 5, row by row; then a random run against a plain model. */

#include "storaged_fixture.h"

#include <time.h>

/* --- append --- */

/* How an append differs from the one that would be right: the fourth, after three, in epoch 5. */
struct append_row {
	const char *what;
	int result;
	uint64_t next;
	int64_t epoch;
	bool other_nonce;
	int64_t lsn;
	int64_t first;
	bool other_prev;
	size_t prev_size; /* 1: as it should be */
	bool other_hash;
	size_t hash_size; /* 0: 32 */
	bool other_text;
	int64_t body_lsn;
	bool other_slot;
	bool no_body;
	uint64_t entry_epoch;
	bool gap_inside;
};

static const struct append_row append_rows[] = {
	{"the next entry", 0, .prev_size = 1},
	{"an older epoch", PROTO_E_FENCED, .next = 5, .epoch = -1, .prev_size = 1},
	{"epoch 0", PROTO_E_BAD_VALUE, .epoch = -5, .prev_size = 1},
	{"another owner of the epoch", PROTO_E_FENCED, .next = 5, .other_nonce = true,
	 .prev_size = 1},
	{"one is missing before", PROTO_E_GAP, .next = 4, .lsn = 1, .prev_size = 1},
	{"the third again", 0, .lsn = -1, .prev_size = 1},
	{"another third", PROTO_E_CONFLICT, .lsn = -1, .other_text = true, .prev_size = 1},
	{"a new entry on another chain", PROTO_E_CONFLICT, .other_prev = true, .prev_size = 1},
	{"no hash before it", PROTO_E_CONFLICT, .prev_size = 0},
	{"a short hash before it", PROTO_E_BAD_VALUE, .prev_size = 8},
	{"a hash that is not its own", PROTO_E_BAD_VALUE, .other_hash = true, .prev_size = 1},
	{"a short hash", PROTO_E_BAD_VALUE, .hash_size = 31, .prev_size = 1},
	{"another first lsn", PROTO_E_BAD_VALUE, .first = 1, .prev_size = 1},
	{"before the first lsn", PROTO_E_BAD_VALUE, .first = 4, .prev_size = 1},
	{"an event of another lsn", PROTO_E_BAD_VALUE, .body_lsn = 1, .prev_size = 1},
	{"an event of another slot", PROTO_E_BAD_VALUE, .other_slot = true, .prev_size = 1},
	{"no event", PROTO_E_BAD_VALUE, .no_body = true, .prev_size = 1},
	{"an entry of another epoch", PROTO_E_BAD_VALUE, .entry_epoch = 4, .prev_size = 1},
	{"entries that do not follow each other", PROTO_E_BAD_VALUE, .gap_inside = true,
	 .prev_size = 1},
};

static const char *const texts[] = {"one", "two", "three", "four", "five", "six"};

static struct proto_event numbered_event(const struct fixture *fixture, uint64_t lsn)
{
	struct proto_event event = fixture_event(fixture, PROTO_EVENT_KIND_MESSAGE);

	event.seq = lsn;
	event.time = lsn;
	event.number = lsn;
	event.text = proto_span(texts[(lsn - 1) % 6]);
	return event;
}

static void write_three(struct fixture *fixture, struct segment_hash hashes[])
{
	fixture->owner.epoch = 5;
	hashes[0] = fixture->owner.hash;
	for (uint64_t i = 1; i <= 3; i++) {
		fixture_append(fixture, numbered_event(fixture, i));
		hashes[i] = fixture->owner.hash;
	}
}

static int run_append_row(struct fixture *fixture, const struct append_row *row,
			  const struct segment_hash hashes[])
{
	uint64_t lsn = (uint64_t)(4 + row->lsn);
	struct segment_hash prev = hashes[lsn - 1 < 3 ? lsn - 1 : 3];
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct proto_event event = numbered_event(fixture, lsn);
	struct segment_hash hash;
	struct proto_entry entries[2];
	struct kv_txn *txn = fixture_begin(fixture, true);
	int r;

	prev.bytes[0] ^= row->other_prev;
	hash = prev;
	event.room.bytes[0] ^= row->other_slot;
	event.text = row->other_text ? PROTO_SPAN("other") : event.text;
	entries[0] = fixture_entry(event, 5, lsn + (uint64_t)row->body_lsn, &hash, &buffer);
	entries[0].lsn = lsn;
	entries[0].epoch = row->entry_epoch;
	if (row->no_body) {
		entries[0].body = PROTO_SPAN("\x80");
	}
	if (row->body_lsn != 0 || row->no_body) {
		hash = prev;
		segment_chain(&hash, 5, lsn, entries[0].body, &hash);
	}
	hash.bytes[0] ^= row->other_hash;
	hash.size = row->hash_size > 0 ? row->hash_size : hash.size;
	entries[0].hash = segment_hash_span(&hash);
	entries[1] = entries[0];
	entries[1].lsn += 2;
	prev.size = row->prev_size == 1 ? prev.size : row->prev_size;
	r = segment_append(
		txn,
		&(struct proto_append){
			.slot = FIXTURE_SLOT,
			.epoch = (uint64_t)(5 + row->epoch),
			.nonce = row->other_nonce ? fixture_id(901) : fixture->owner.nonce,
			.first = (uint64_t)(1 + row->first),
			.prev_hash = segment_hash_span(&prev),
			.entries = {entries, row->gap_inside ? 2 : 1},
		},
		&fixture->answer);
	kv_abort(txn);
	proto_buffer_deinit(&buffer);
	return r;
}

Test(storaged_segment, append)
{
	struct fixture *fixture = fixture_new();
	struct segment_hash hashes[4];

	write_three(fixture, hashes);
	for (size_t i = 0; i < sizeof(append_rows) / sizeof(append_rows[0]); i++) {
		const struct append_row *row = &append_rows[i];
		int r = run_append_row(fixture, row, hashes);

		cr_assert_eq(r, row->result, "%s: %d", row->what, r);
		cr_assert_eq(fixture->answer.next, row->next, "%s", row->what);
	}
	fixture_free(fixture);
}

Test(storaged_segment, a_refused_write_leaves_nothing)
{
	struct fixture *fixture = fixture_new();
	struct segment_hash hashes[4];
	struct segment_fence fence;
	struct kv_txn *txn;

	write_three(fixture, hashes);
	txn = fixture_begin(fixture, true);
	cr_assert_eq(segment_append(txn,
				    &(struct proto_append){
					    .slot = FIXTURE_SLOT,
					    .epoch = 9,
					    .nonce = fixture_id(902),
					    .first = 4,
					    .entries = {(struct proto_entry[]){{.lsn = 4}}, 1},
				    },
				    &fixture->answer),
		     PROTO_E_BAD_VALUE);
	cr_assert_eq(kv_commit(txn), 0);
	txn = fixture_begin(fixture, false);
	cr_assert_eq(segment_fence_load(txn, FIXTURE_SLOT, &fence), 0);
	cr_assert_eq(fence.epoch, 5);
	kv_abort(txn);
	fixture_free(fixture);
}

/* --- seal, release, copy --- */

enum step_kind {
	STEP_SEAL,
	STEP_RELEASE,
	STEP_RELEASE_SEALED,
	STEP_COPY, /* entry `lsn` of the right log */
	STEP_COPY_OTHER, /* another one there */
};

struct step {
	const char *what;
	enum step_kind kind;
	uint64_t epoch;
	unsigned int nonce;
	uint64_t segment;
	uint64_t lsn;
	int result;
	uint64_t last; /* seal and copy: what is answered */
	uint64_t next;
};

/* In this order, after epoch 5 has written three entries of which two are known as committed. */
static const struct step steps[] = {
	{"a segment that is not before the epoch", STEP_SEAL, 6, 910, 6, 0, PROTO_E_BAD_VALUE, 0,
	 0},
	{"an older owner", STEP_SEAL, 4, 910, 3, 0, PROTO_E_FENCED, 0, 5},
	{"a new owner", STEP_SEAL, 6, 910, 5, 0, 0, 3, 0},
	{"the same again", STEP_SEAL, 6, 910, 5, 0, 0, 3, 0},
	{"another one of the epoch", STEP_SEAL, 6, 911, 5, 0, PROTO_E_FENCED, 0, 6},
	{"a segment that is not here", STEP_SEAL, 6, 910, 4, 0, 0, 0, 0},
	{"no segment", STEP_SEAL, 6, 910, 0, 0, 0, 0, 0},
	{"the old owner copies", STEP_COPY, 5, 900, 4, 4, PROTO_E_FENCED, 0, 6},
	{"copy to the own epoch", STEP_COPY, 6, 910, 6, 4, PROTO_E_BAD_VALUE, 0, 0},
	{"copy with a gap", STEP_COPY, 6, 910, 5, 5, PROTO_E_GAP, 0, 4},
	{"copy what is here", STEP_COPY, 6, 910, 5, 2, 0, 3, 0},
	{"copy another one", STEP_COPY_OTHER, 6, 910, 5, 2, PROTO_E_CONFLICT, 0, 0},
	{"copy the next", STEP_COPY, 6, 910, 5, 4, 0, 4, 0},
	{"release of a later epoch", STEP_RELEASE, 6, 910, 7, 3, PROTO_E_BAD_VALUE, 0, 0},
	{"release by the old owner", STEP_RELEASE, 5, 900, 5, 3, PROTO_E_FENCED, 0, 6},
	{"release", STEP_RELEASE, 6, 910, 5, 3, 0, 0, 0},
	{"release less is nothing", STEP_RELEASE, 6, 910, 5, 1, 0, 0, 0},
	{"release of what is not here", STEP_RELEASE, 6, 910, 4, 1, 0, 0, 0},
	{"the end before what is committed", STEP_RELEASE_SEALED, 6, 910, 5, 2, PROTO_E_CONFLICT, 0,
	 0},
	{"the end", STEP_RELEASE_SEALED, 6, 910, 5, 3, 0, 0, 0},
	{"the same end", STEP_RELEASE_SEALED, 6, 910, 5, 3, 0, 0, 0},
	{"another end", STEP_RELEASE_SEALED, 6, 910, 5, 4, PROTO_E_CONFLICT, 0, 0},
	{"copy behind the end", STEP_COPY, 6, 910, 5, 4, PROTO_E_CONFLICT, 0, 0},
	{"what was behind the end is gone", STEP_SEAL, 7, 912, 5, 0, 0, 3, 0},
};

static int run_copy_step(struct fixture *fixture, struct kv_txn *txn, const struct step *step)
{
	struct proto_buffer buffers[8] = {0};
	struct proto_event event;
	struct segment_hash hash = {0};
	struct segment_hash prev = hash;
	struct proto_entry entry;
	int r;

	for (uint64_t i = 1; i <= step->lsn; i++) {
		prev = hash;
		event = numbered_event(fixture, i);
		if (step->kind == STEP_COPY_OTHER && i == step->lsn) {
			event.text = PROTO_SPAN("other");
		}
		entry = fixture_entry(event, 5, i, &hash, &buffers[i]);
	}
	entry.epoch = step->segment;
	r = segment_copy(txn,
			 &(struct proto_copy){
				 .slot = FIXTURE_SLOT,
				 .epoch = step->epoch,
				 .nonce = fixture_id(step->nonce),
				 .segment = step->segment,
				 .first = 1,
				 .prev_hash = segment_hash_span(&prev),
				 .entries = {&entry, 1},
			 },
			 &fixture->answer);
	for (size_t i = 0; i < 8; i++) {
		proto_buffer_deinit(&buffers[i]);
	}
	return r;
}

static int run_step(struct fixture *fixture, struct kv_txn *txn, const struct step *step)
{
	switch (step->kind) {
	case STEP_SEAL:
		return segment_seal(txn,
				    &(struct proto_seal){.slot = FIXTURE_SLOT,
							 .epoch = step->epoch,
							 .nonce = fixture_id(step->nonce),
							 .segment = step->segment},
				    &fixture->answer);
	case STEP_RELEASE:
	case STEP_RELEASE_SEALED:
		return segment_release(
			txn,
			&(struct proto_release){.slot = FIXTURE_SLOT,
						.epoch = step->epoch,
						.nonce = fixture_id(step->nonce),
						.segment = step->segment,
						.lac = step->lsn,
						.sealed = step->kind == STEP_RELEASE_SEALED},
			&fixture->answer);
	default:
		return run_copy_step(fixture, txn, step);
	}
}

Test(storaged_segment, seal_release_copy)
{
	struct fixture *fixture = fixture_new();
	struct segment_hash hashes[4];

	write_three(fixture, hashes);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct step *step = &steps[i];
		struct kv_txn *txn = fixture_begin(fixture, true);
		int r = run_step(fixture, txn, step);

		cr_assert_eq(r, step->result, "%s: %d", step->what, r);
		cr_assert_eq(fixture->answer.next, step->next, "%s", step->what);
		if (r == 0 && step->kind != STEP_RELEASE && step->kind != STEP_RELEASE_SEALED) {
			cr_assert_eq(fixture->answer.last, step->last, "%s", step->what);
		}
		cr_assert_eq(kv_commit(txn), 0);
	}
	fixture_free(fixture);
}

Test(storaged_segment, fences_of_unknown_slots_last)
{
	struct fixture *fixture = fixture_new();
	struct proto_seal seal = {.slot = 4095, .epoch = 3, .nonce = fixture_id(1)};
	struct kv_txn *txn = fixture_begin(fixture, true);

	cr_assert_eq(segment_seal(txn, &seal, &fixture->answer), 0);
	cr_assert_eq(fixture->answer.last, 0);
	cr_assert_eq(kv_commit(txn), 0);
	seal.epoch = 2;
	txn = fixture_begin(fixture, true);
	cr_assert_eq(segment_seal(txn, &seal, &fixture->answer), PROTO_E_FENCED);
	cr_assert_eq(fixture->answer.next, 3);
	kv_abort(txn);
	fixture_free(fixture);
}

/* --- reading --- */

struct read_row {
	const char *what;
	uint64_t segment;
	uint64_t from;
	uint64_t limit;
	bool recovery;
	size_t count;
	bool more;
};

/* Epoch 5: 1 … 3, sealed; epoch 8: 4 … 6, of which 4 and 5 are known as committed. */
static const struct read_row read_rows[] = {
	{"all that is committed", 8, 4, 0, false, 2, false},
	{"the tail, for recovery", 8, 4, 0, true, 3, false},
	{"one of them", 8, 4, 1, true, 1, true},
	{"past the end", 8, 7, 0, true, 0, false},
	{"past what is committed", 8, 6, 0, false, 0, false},
	{"the sealed one", 5, 2, 0, false, 2, false},
	{"the sealed one by the segment that it was merged into", 8, 1, 0, false, 3, true},
	{"before any", 4, 1, 0, true, 0, false},
	{"lsn 0", 8, 0, 0, true, 0, false},
};

static void roll(struct fixture *fixture, uint64_t epoch)
{
	fixture->owner.first = fixture->owner.lsn + 1;
	fixture->owner.epoch = epoch;
}

Test(storaged_segment, read)
{
	struct fixture *fixture = fixture_new();
	struct segment_hash hashes[4];
	struct kv_txn *txn;

	write_three(fixture, hashes);
	roll(fixture, 8);
	for (uint64_t i = 4; i <= 6; i++) {
		fixture_append(fixture, numbered_event(fixture, i));
	}
	txn = fixture_begin(fixture, false);
	for (size_t i = 0; i < sizeof(read_rows) / sizeof(read_rows[0]); i++) {
		const struct read_row *row = &read_rows[i];
		struct proto_entry items[PROTO_BATCH_MAX];
		struct proto_entries entries;
		struct segment_hash prev;

		cr_assert_eq(segment_read(txn,
					  &(struct proto_entries_read){.slot = FIXTURE_SLOT,
								       .segment = row->segment,
								       .from = row->from,
								       .limit = row->limit,
								       .recovery = row->recovery},
					  items, &entries, &prev),
			     0);
		cr_assert_eq(entries.entries.count, row->count, "%s: %zu", row->what,
			     entries.entries.count);
		cr_assert_eq(entries.more, row->more, "%s", row->what);
	}
	kv_abort(txn);
	fixture_free(fixture);
}

Test(storaged_segment, the_next_segment_proves_where_the_last_one_ended)
{
	struct fixture *fixture = fixture_new();
	struct segment_hash hashes[4];
	struct segment segment;
	struct kv_txn *txn;

	write_three(fixture, hashes);
	fixture->owner.lsn = 2; /* the new owner never heard of the third */
	fixture->owner.hash = hashes[2];
	fixture->seq = 2;
	roll(fixture, 6);
	fixture_append(fixture, numbered_event(fixture, 3));
	txn = fixture_begin(fixture, false);
	cr_assert_eq(segment_load(txn, FIXTURE_SLOT, 5, &segment), 0);
	cr_assert(segment.sealed);
	cr_assert_eq(segment.end, 2);
	cr_assert_eq(segment.last, 2);
	kv_abort(txn);
	fixture_free(fixture);
}

/* An owner that knows nothing of what was committed here must not make us drop it. */
Test(storaged_segment, a_new_segment_begins_behind_what_is_committed)
{
	static const struct {
		uint64_t lsn; /* where the new owner believes the log to end */
		bool sealed;
		int result;
	} rows[] = {
		{0, false, PROTO_E_CONFLICT},
		{1, false, PROTO_E_CONFLICT},
		{2, false, 0},
		{3, false, 0},
		{2, true, PROTO_E_CONFLICT},
		{3, true, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture *fixture = fixture_new();
		struct segment_hash hashes[4];
		struct kv_txn *txn;

		write_three(fixture, hashes);
		if (rows[i].sealed) {
			cr_assert_eq(fixture_release(fixture, 5, 5, 3, true), 0);
		}
		fixture->owner.lsn = rows[i].lsn;
		fixture->owner.hash = hashes[rows[i].lsn];
		roll(fixture, 6);
		txn = fixture_begin(fixture, true);
		cr_assert_eq(
			fixture_append_in(txn, fixture, numbered_event(fixture, rows[i].lsn + 1)),
			rows[i].result, "row %zu", i);
		kv_abort(txn);
		fixture_free(fixture);
	}
}

static uint64_t lac_of(struct kv_txn *txn, uint64_t epoch)
{
	struct segment segment;

	cr_assert_eq(segment_load(txn, FIXTURE_SLOT, epoch, &segment), 0);
	return segment.lac;
}

Test(storaged_segment, a_reader_moves_only_its_owners_segment)
{
	struct fixture *fixture = fixture_new();
	struct segment_hash hashes[4];
	struct kv_txn *txn;

	write_three(fixture, hashes);
	txn = fixture_begin(fixture, true);
	cr_assert_eq(lac_of(txn, 5), 2);
	cr_assert_eq(segment_learn(txn, FIXTURE_SLOT, 3), 0);
	cr_assert_eq(lac_of(txn, 5), 3);
	kv_abort(txn);
	txn = fixture_begin(fixture, true);
	cr_assert_eq(segment_seal(txn,
				  &(struct proto_seal){.slot = FIXTURE_SLOT,
						       .epoch = 6,
						       .nonce = fixture_id(1),
						       .segment = 5},
				  &fixture->answer),
		     0);
	cr_assert_eq(segment_learn(txn, FIXTURE_SLOT, 3), 0);
	cr_assert_eq(lac_of(txn, 5), 2);
	kv_abort(txn);
	fixture_free(fixture);
}

/* --- a random run --- */

#define RANDOM_ROUNDS 3000
#define RANDOM_LOG_MAX 64

/* What one slot must be: fence, and the log of the epoch that writes. */
struct model {
	uint64_t fence;
	unsigned int fence_nonce;
	uint64_t count; /* of entries; text i of the right log */
	uint64_t first;
	uint64_t epoch; /* of the segment */
};

/* Appends at `lsn` of the right log by a random owner. */
static int random_append(struct fixture *fixture, struct segment_hash hashes[], uint64_t epoch,
			 unsigned int nonce, uint64_t first, uint64_t lsn)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct segment_hash hash = hashes[lsn - 1];
	struct proto_entry entry = fixture_entry(numbered_event(fixture, lsn), epoch, lsn, &hash,
						 &buffer);
	struct kv_txn *txn = fixture_begin(fixture, true);
	int r = segment_append(
		txn,
		&(struct proto_append){.slot = FIXTURE_SLOT,
				       .epoch = epoch,
				       .nonce = fixture_id(nonce),
				       .first = first,
				       .prev_hash = segment_hash_span(&hashes[lsn - 1]),
				       .entries = {&entry, 1}},
		&fixture->answer);

	if (r == 0) {
		hashes[lsn] = hash;
	}
	cr_assert_eq(kv_commit(txn), 0);
	proto_buffer_deinit(&buffer);
	return r;
}

/* Seals and releases all, so that the next segment begins at count + 1. */
static void random_take_over(struct fixture *fixture, struct model *model, uint64_t epoch,
			     unsigned int nonce)
{
	struct proto_seal seal = {.slot = FIXTURE_SLOT,
				  .epoch = epoch,
				  .nonce = fixture_id(nonce),
				  .segment = model->epoch};
	bool allowed = epoch > model->fence ||
		       (epoch == model->fence && nonce == model->fence_nonce);
	struct kv_txn *txn = fixture_begin(fixture, true);
	int r = segment_seal(txn, &seal, &fixture->answer);

	if (model->epoch >= epoch) {
		cr_assert_eq(r, PROTO_E_BAD_VALUE);
	} else if (!allowed) {
		cr_assert_eq(r, PROTO_E_FENCED);
		cr_assert_eq(fixture->answer.next, model->fence);
	} else {
		cr_assert_eq(r, 0);
		cr_assert_eq(fixture->answer.last, model->epoch ? model->count : 0);
		model->fence = epoch;
		model->fence_nonce = nonce;
	}
	cr_assert_eq(kv_commit(txn), 0);
}

static int model_append(const struct model *model, uint64_t epoch, unsigned int nonce, uint64_t lsn)
{
	if (epoch < model->fence || (epoch == model->fence && nonce != model->fence_nonce)) {
		return PROTO_E_FENCED;
	}
	if (epoch == model->epoch) {
		return lsn < model->first	? PROTO_E_BAD_VALUE
		       : lsn > model->count + 1 ? PROTO_E_GAP
						: 0;
	}
	return lsn == model->count + 1	? 0
	       : lsn > model->count + 1 ? PROTO_E_GAP
					: PROTO_E_BAD_VALUE;
}

Test(storaged_segment, random_against_a_model, .timeout = 60)
{
	struct fixture *fixture = fixture_new();
	struct segment_hash hashes[RANDOM_LOG_MAX + 4] = {0};
	struct model model = {.first = 1};
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED"))
					   : (unsigned int)time(NULL);

	fprintf(stderr, "SEED=%u\n", seed);
	srand(seed);
	for (int i = 0; i < RANDOM_ROUNDS && model.count < RANDOM_LOG_MAX; i++) {
		uint64_t epoch = model.fence + (uint64_t)(rand() % 16 == 0) + (rand() % 4 != 0) -
				 (model.fence > 0 && rand() % 3 == 0) -
				 (model.fence > 0 && rand() % 2 == 0);
		unsigned int nonce = 40 + (unsigned int)rand() % 2;
		uint64_t lsn = model.count + 1 + (uint64_t)(rand() % 8 == 0) -
			       (uint64_t)(model.count > 0 && rand() % 3 == 0);
		uint64_t first = epoch == model.epoch ? model.first : model.count + 1;
		int wanted;
		int r;

		if (epoch == 0 || epoch > PROTO_NUMBER_MAX) {
			continue;
		}
		if (rand() % 4 == 0) {
			random_take_over(fixture, &model, epoch, nonce);
			continue;
		}
		wanted = model_append(&model, epoch, nonce, lsn);
		r = random_append(fixture, hashes, epoch, nonce, first, lsn);
		cr_assert_eq(r, wanted, "round %d epoch %lu lsn %lu: %d, not %d", i, epoch, lsn, r,
			     wanted);
		if (r == 0) {
			model.first = epoch == model.epoch ? model.first : lsn;
			model.epoch = epoch;
			model.fence = epoch;
			model.fence_nonce = nonce;
			model.count = lsn > model.count ? lsn : model.count;
		}
	}
	cr_assert_gt(model.count, 0);
	fixture_free(fixture);
}
