/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A ring of entries, indexed by lsn, that each member reads at its own pace: that makes group
 * commit, repetition and a lagging replica one mechanism. Entries leave the ring when all members
 * hold them, or when a member lags too far; that one then counts as lost until the slot rolls.
 *
 *   base ──── acked (slowest) ──── committed ──── acked (fastest) ──── next
 *
 * Calls on their way hold a reference, so that an answer may come after segment_free().
 */

#include "roomd/segment.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define RING_MIN 16

struct slot_entry {
	struct chain_hash hash;
	char *body;
	size_t size;
	uint64_t added_ms;
	void *owner;
	bool more; /* goes out with the next one */
};

struct member {
	uint64_t acked; /* holds all up to this lsn */
	uint64_t told; /* last committed lsn that it was told */
	uint64_t retry_ms; /* not before */
	unsigned int failures;
	bool busy; /* an append is on its way */
	bool releasing;
	bool lost;
};

struct segment {
	const struct env *env;
	struct segment_spec spec;
	struct segment_events events;
	void *context;
	unsigned int references;
	bool closed;
	bool failed;
	struct slot_entry *ring;
	size_t capacity; /* a power of two */
	uint64_t base; /* oldest lsn in the ring */
	uint64_t next;
	uint64_t lac;
	uint64_t last_add_ms;
	size_t pending_bytes;
	struct chain_hash hash; /* of next - 1 */
	struct chain_hash base_hash; /* of base - 1 */
	struct member members[PROTO_MEMBERS_MAX];
};

struct call {
	struct segment *segment;
	size_t member;
	uint64_t last; /* lsn sent */
	uint64_t lac; /* told with it */
};

static struct slot_entry *entry_at(const struct segment *segment, uint64_t lsn)
{
	return &segment->ring[lsn & (segment->capacity - 1)];
}

static void unref(struct segment *segment)
{
	if (--segment->references > 0) {
		return;
	}
	for (uint64_t lsn = segment->base; lsn < segment->next; lsn++) {
		free(entry_at(segment, lsn)->body);
	}
	free(segment->ring);
	free(segment);
}

int segment_new(const struct env *env, const struct segment_spec *spec,
		const struct segment_events *events, void *context, struct segment **ret_segment)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	if (!segment) {
		return -ENOMEM;
	}
	assert(spec->first > 0 && spec->ack_quorum > 0 && spec->ack_quorum <= spec->member_count);
	*segment = (struct segment){
		.env = env,
		.spec = *spec,
		.events = *events,
		.context = context,
		.references = 1,
		.base = spec->first,
		.next = spec->first,
		.lac = spec->first - 1,
		.hash = spec->prev_hash,
		.base_hash = spec->prev_hash,
	};
	for (size_t i = 0; i < spec->member_count; i++) {
		segment->members[i].acked = spec->first - 1;
		segment->members[i].told = spec->first - 1;
	}
	*ret_segment = segment;
	return 0;
}

void segment_free(struct segment *segment)
{
	if (segment) {
		segment->closed = true;
		unref(segment);
	}
}

uint64_t segment_epoch(const struct segment *segment)
{
	return segment->spec.epoch;
}

uint64_t segment_next(const struct segment *segment)
{
	return segment->next;
}

uint64_t segment_lac(const struct segment *segment)
{
	return segment->lac;
}

size_t segment_pending(const struct segment *segment)
{
	return (size_t)(segment->next - 1 - segment->lac);
}

const struct segment_spec *segment_spec(const struct segment *segment)
{
	return &segment->spec;
}

bool segment_member_is_current(const struct segment *segment, size_t member)
{
	return !segment->members[member].lost && segment->members[member].acked >= segment->lac;
}

bool segment_has_space(const struct segment *segment, size_t count, size_t bytes)
{
	return !segment->failed && segment_pending(segment) + count <= SEGMENT_PENDING_MAX &&
	       segment->pending_bytes + bytes <= SEGMENT_PENDING_BYTES_MAX;
}

static void fail(struct segment *segment, int error, uint64_t fence)
{
	if (!segment->failed && !segment->closed) {
		segment->failed = true;
		segment->events.failed(segment->context, error, fence);
	}
}

static int ring_grow(struct segment *segment)
{
	size_t capacity = segment->capacity ? segment->capacity * 2 : RING_MIN;
	struct slot_entry *ring;

	if (segment->next - segment->base < segment->capacity) {
		return 0;
	}
	ring = calloc(capacity, sizeof(*ring));
	if (!ring) {
		return -ENOMEM;
	}
	for (uint64_t lsn = segment->base; lsn < segment->next; lsn++) {
		ring[lsn & (capacity - 1)] = *entry_at(segment, lsn);
	}
	free(segment->ring);
	segment->ring = ring;
	segment->capacity = capacity;
	return 0;
}

/* --- commit --- */

/* The largest lsn that `ack_quorum` members hold. */
static uint64_t quorum_lsn(const struct segment *segment)
{
	uint64_t best = segment->lac;

	for (size_t i = 0; i < segment->spec.member_count; i++) {
		uint64_t lsn = segment->members[i].acked;
		size_t holders = 0;

		for (size_t j = 0; j < segment->spec.member_count; j++) {
			holders += segment->members[j].acked >= lsn;
		}
		if (holders >= segment->spec.ack_quorum && lsn > best) {
			best = lsn;
		}
	}
	return best;
}

static void drop_base(struct segment *segment)
{
	struct slot_entry *entry = entry_at(segment, segment->base);

	segment->base_hash = entry->hash;
	free(entry->body);
	entry->body = NULL;
	segment->base++;
}

static void trim(struct segment *segment)
{
	uint64_t slowest = segment->lac;

	for (size_t i = 0; i < segment->spec.member_count; i++) {
		struct member *member = &segment->members[i];

		if (!member->lost && segment->lac > member->acked + SEGMENT_KEEP_MAX) {
			member->lost = true;
		}
		if (!member->lost && member->acked < slowest) {
			slowest = member->acked;
		}
	}
	while (segment->base <= slowest) {
		drop_base(segment);
	}
}

static void commit(struct segment *segment)
{
	uint64_t until = quorum_lsn(segment);

	while (segment->lac < until && !segment->closed) {
		struct slot_entry *entry = entry_at(segment, segment->lac + 1);

		segment->pending_bytes -= entry->size;
		segment->lac++;
		segment->events.committed(segment->context, entry->owner);
	}
	trim(segment);
}

/* --- append --- */

static void on_appended(void *context, int result, const struct proto_message *answer);

static size_t batch_build(const struct segment *segment, const struct member *member,
			  struct proto_entry *entries)
{
	size_t bytes = 0;
	size_t whole = 0; /* up to the end of a group */

	for (uint64_t lsn = member->acked + 1; lsn < segment->next; lsn++) {
		size_t i = (size_t)(lsn - member->acked - 1);
		const struct slot_entry *entry = entry_at(segment, lsn);

		bytes += entry->size;
		if (i == PROTO_BATCH_MAX || (whole > 0 && bytes > SEGMENT_BATCH_BYTES_MAX)) {
			break;
		}
		entries[i] = (struct proto_entry){
			.lsn = lsn,
			.hash = chain_span(&entry->hash),
			.body = {entry->body, entry->size},
		};
		if (!entry->more) {
			whole = i + 1;
		}
	}
	return whole;
}

static void send_batch(struct segment *segment, size_t index, const struct proto_list_entry *batch)
{
	struct member *member = &segment->members[index];
	const struct chain_hash *prev = member->acked < segment->base
						? &segment->base_hash
						: &entry_at(segment, member->acked)->hash;
	struct proto_append append = {
		.slot = segment->spec.slot,
		.epoch = segment->spec.epoch,
		.nonce = segment->spec.nonce,
		.first = segment->spec.first,
		.lac = segment->lac,
		.prev_hash = chain_span(prev),
		.entries = *batch,
	};
	struct call *call = malloc(sizeof(*call));

	if (!call) {
		member->retry_ms = segment->env->now_ms(segment->env->context) +
				   SEGMENT_RETRY_MS_MAX;
		return;
	}
	*call = (struct call){segment, index, member->acked + batch->count, segment->lac};
	segment->references++;
	member->busy = true;
	segment->env->store(segment->env->context, &segment->spec.members[index], PROTO_APPEND,
			    &append, on_appended, call);
}

static void pump(struct segment *segment, size_t index)
{
	static struct proto_entry
		entries[PROTO_BATCH_MAX]; /* one thread; read before env->store() returns */
	struct member *member = &segment->members[index];
	struct proto_list_entry batch = {entries, 0};

	if (segment->failed || segment->closed || member->busy || member->lost ||
	    member->acked + 1 >= segment->next ||
	    member->retry_ms > segment->env->now_ms(segment->env->context)) {
		return;
	}
	batch.count = batch_build(segment, member, entries);
	if (batch.count > 0) {
		send_batch(segment, index, &batch);
	}
}

static void back_off(struct segment *segment, struct member *member)
{
	uint64_t wait = SEGMENT_RETRY_MS_MIN;

	for (unsigned int i = 0; i < member->failures && wait < SEGMENT_RETRY_MS_MAX; i++) {
		wait *= 2;
	}
	wait = wait < SEGMENT_RETRY_MS_MAX ? wait : SEGMENT_RETRY_MS_MAX;
	member->failures++;
	member->retry_ms = segment->env->now_ms(segment->env->context) + wait;
}

static void accepted(struct segment *segment, const struct call *call, uint64_t lsn)
{
	struct member *member = &segment->members[call->member];

	/* A store cannot hold more than it was sent. */
	lsn = lsn < call->last ? lsn : call->last;
	member->acked = lsn > member->acked ? lsn : member->acked;
	member->told = call->lac > member->told ? call->lac : member->told;
	member->failures = 0;
	commit(segment);
}

static uint64_t error_next(const struct proto_message *answer)
{
	return answer ? PROTO_BODY(answer, error)->next : 0;
}

static void refused(struct segment *segment, const struct call *call, int error,
		    const struct proto_message *answer)
{
	struct member *member = &segment->members[call->member];

	switch (error) {
	case PROTO_E_FENCED:
	case PROTO_E_CONFLICT:
		fail(segment, error, error == PROTO_E_FENCED ? error_next(answer) : 0);
		return;
	case PROTO_E_GAP:
		/* It lost what it had acknowledged: it counts no more. */
		member->lost = error_next(answer) <= member->acked;
		break;
	default:
		break;
	}
	back_off(segment, member);
}

static void on_appended(void *context, int result, const struct proto_message *answer)
{
	struct call *call = context;
	struct segment *segment = call->segment;

	segment->members[call->member].busy = false;
	if (!segment->closed && result == 0) {
		accepted(segment, call, PROTO_BODY(answer, appended)->lsn);
	} else if (!segment->closed) {
		refused(segment, call, result, answer);
	}
	pump(segment, call->member);
	unref(segment);
	free(call);
}

int segment_add(struct segment *segment, const void *body, size_t size, bool more, void *owner)
{
	struct slot_entry *entry;
	char *copy;

	if (ring_grow(segment) != 0) {
		return -ENOMEM;
	}
	copy = malloc(size);
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, body, size);
	segment->last_add_ms = segment->env->now_ms(segment->env->context);
	entry = entry_at(segment, segment->next);
	*entry = (struct slot_entry){.body = copy,
				     .size = size,
				     .added_ms = segment->last_add_ms,
				     .owner = owner,
				     .more = more};
	chain_next(&segment->hash, segment->spec.epoch, segment->next, copy, size, &entry->hash);
	segment->hash = entry->hash;
	segment->pending_bytes += size;
	segment->next++;
	if (!more) {
		for (size_t i = 0; i < segment->spec.member_count; i++) {
			pump(segment, i);
		}
	}
	return 0;
}

/* --- release and time --- */

static void on_released(void *context, int result, const struct proto_message *answer)
{
	struct call *call = context;
	struct segment *segment = call->segment;
	struct member *member = &segment->members[call->member];

	(void)answer;
	member->releasing = false;
	if (result == 0) {
		member->told = call->lac > member->told ? call->lac : member->told;
	} else if (result == PROTO_E_FENCED) {
		fail(segment, result, error_next(answer));
	}
	unref(segment);
	free(call);
}

static void release_member(struct segment *segment, size_t index)
{
	struct member *member = &segment->members[index];
	struct proto_release release = {
		.slot = segment->spec.slot,
		.epoch = segment->spec.epoch,
		.nonce = segment->spec.nonce,
		.segment = segment->spec.epoch,
		.lac = segment->lac,
	};
	struct call *call;

	if (member->releasing || member->lost || member->told >= segment->lac ||
	    member->acked < segment->lac) {
		return;
	}
	call = malloc(sizeof(*call));
	if (!call) {
		return;
	}
	*call = (struct call){segment, index, segment->lac, segment->lac};
	segment->references++;
	member->releasing = true;
	segment->env->store(segment->env->context, &segment->spec.members[index], PROTO_RELEASE,
			    &release, on_released, call);
}

void segment_release(struct segment *segment)
{
	for (size_t i = 0; !segment->failed && i < segment->spec.member_count; i++) {
		release_member(segment, i);
	}
}

bool segment_is_released(const struct segment *segment)
{
	for (size_t i = 0; i < segment->spec.member_count; i++) {
		const struct member *member = &segment->members[i];

		if (!member->lost && member->acked >= segment->lac && member->told < segment->lac) {
			return false;
		}
	}
	return true;
}

void segment_tick(struct segment *segment)
{
	uint64_t now = segment->env->now_ms(segment->env->context);

	if (segment->failed) {
		return;
	}
	if (segment_pending(segment) > 0) {
		if (now - entry_at(segment, segment->lac + 1)->added_ms > SEGMENT_STALL_MS) {
			fail(segment, PROTO_E_TIMEOUT, 0);
			return;
		}
	} else if (now - segment->last_add_ms >= SEGMENT_RELEASE_MS) {
		segment_release(segment);
	}
	for (size_t i = 0; i < segment->spec.member_count; i++) {
		pump(segment, i);
	}
}
