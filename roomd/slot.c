/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The take-over of one slot. The chart is in slot.h. Two rules carry everything:
 *
 * - Whatever goes wrong before T5 succeeded throws all away and starts from slots_read with a new
 *   epoch.
 *   No state of one attempt is used in another: answers carry the attempt that they belong to.
 * - Only SEAL answers of the segment's own members count, and only the CAS on T1's version makes
 *   the new
 *   segment exist. So two owners may race through all steps, and one alone gets to append.
 */

#include "roomd/slot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct call {
	struct slot *slot;
	uint64_t attempt;
	size_t target; /* replica that it is about */
	size_t source; /* of a copy */
};

static const char *const phase_names[SLOT_PHASES] = {
	"free",	   "wait",    "read", "claim", "seal",	 "copy",
	"install", "release", "open", "close", "halted",
};

const char *slot_phase_name(enum slot_phase phase)
{
	return phase_names[phase];
}

static uint64_t now_ms(const struct slot *slot)
{
	return slot->env->now_ms(slot->env->context);
}

static void enter(struct slot *slot, enum slot_phase phase)
{
	slot->phase = phase;
	slot->asked = false;
	slot->due_ms = now_ms(slot) + SLOT_STEP_MS;
}

void slot_init(struct slot *slot, unsigned int number, const struct env *env,
	       const struct slot_self *self, const struct slot_events *events, void *context)
{
	*slot = (struct slot){
		.env = env, .self = self, .events = events, .context = context, .number = number};
}

void slot_deinit(struct slot *slot)
{
	segment_free(slot->segment);
	slot->segment = NULL;
	record_deinit(&slot->record);
}

/* Throws the attempt away. */
static void restart(struct slot *slot, bool soon)
{
	uint64_t wait = SLOT_WAIT_MS_MIN;

	slot->closing = false;
	segment_free(slot->segment);
	slot->segment = NULL;
	slot->attempt++;
	slot->asked = false;
	if (!slot->assigned) {
		slot->phase = SLOT_FREE;
		return;
	}
	for (unsigned int i = 0; i < slot->failures && wait < SLOT_WAIT_MS_MAX; i++) {
		wait *= 2;
	}
	wait = wait < SLOT_WAIT_MS_MAX ? wait : SLOT_WAIT_MS_MAX;
	slot->failures++;
	slot->phase = SLOT_WAIT;
	slot->due_ms = now_ms(slot) +
		       (soon ? 0 : wait / 2 + slot->env->random(slot->env->context) % wait);
}

static void halt(struct slot *slot)
{
	slot->attempt++;
	slot->phase = SLOT_HALTED;
	segment_free(slot->segment);
	slot->segment = NULL;
}

void slot_assign(struct slot *slot, bool assigned)
{
	slot->assigned = assigned;
	if (assigned && slot->phase == SLOT_FREE) {
		slot->failures = 0;
		enter(slot, SLOT_READ);
	} else if (!assigned && (slot->phase == SLOT_WAIT || slot->phase == SLOT_READ)) {
		slot->attempt++;
		slot->phase = SLOT_FREE;
	}
}

/* Nothing is in flight any more: what is answered from here on must be another's. */
static void close_step(struct slot *slot)
{
	if (slot->closing && segment_pending(slot->segment) == 0) {
		enter(slot, SLOT_CLOSE);
	}
}

void slot_close(struct slot *slot, bool close)
{
	if (slot->phase == SLOT_OPEN) {
		slot->closing = close;
		close_step(slot);
	}
}

bool slot_is_opening(const struct slot *slot)
{
	return slot->phase == SLOT_INSTALL || slot->phase == SLOT_RELEASE;
}

enum slot_phase slot_wants(const struct slot *slot)
{
	bool asks = slot->phase == SLOT_READ || slot->phase == SLOT_CLAIM ||
		    slot->phase == SLOT_INSTALL || slot->phase == SLOT_CLOSE;

	return asks && !slot->asked ? slot->phase : SLOT_FREE;
}

uint64_t slot_asked(struct slot *slot)
{
	if (slot->phase == SLOT_CLAIM) {
		uint64_t seen = slot->record.epoch > slot->fence_seen ? slot->record.epoch
								      : slot->fence_seen;

		record_claim(&slot->record, seen + 1, slot->self->node, &slot->self->incarnation);
	} else if (slot->phase == SLOT_CLOSE) {
		slot->record.state = PROTO_SLOT_STATE_CLOSED;
	}
	slot->asked = true;
	return slot->attempt;
}

/* --- stores --- */

static void store_call(struct slot *slot, size_t replica, size_t source,
		       const struct proto_id *store, enum proto_type type, const void *body,
		       env_answer_fn on_answer)
{
	struct call *call = malloc(sizeof(*call));

	if (!call) {
		return; /* the step's time runs out */
	}
	*call = (struct call){slot, slot->attempt, replica, source};
	slot->env->store(slot->env->context, store, type, body, on_answer, call);
}

/* Takes the call. Returns its slot if the answer still matters. */
static struct slot *call_end(struct call *call, struct call *ret_call)
{
	*ret_call = *call;
	free(call);
	return ret_call->attempt == ret_call->slot->attempt ? ret_call->slot : NULL;
}

static void see_fence(struct slot *slot, const struct proto_message *answer)
{
	uint64_t fence = answer ? PROTO_BODY(answer, error)->next : 0;

	slot->fence_seen = fence > slot->fence_seen ? fence : slot->fence_seen;
}

/* --- T6: release, serve --- */

static void open_slot(struct slot *slot)
{
	enter(slot, SLOT_OPEN);
	slot->closing = false;
	slot->close_doubt = false;
	slot->term++;
	slot->suspended = false;
	slot->failures = 0;
	slot->opened_ms = now_ms(slot);
	slot->events->opened(slot->context, slot);
}

static void on_released(void *context, int result, const struct proto_message *answer)
{
	struct call call;
	struct slot *slot = call_end(context, &call);

	(void)answer;
	if (!slot || slot->phase != SLOT_RELEASE) {
		return;
	}
	slot->replicas[call.target].asked = false;
	if (result == PROTO_E_FENCED) {
		see_fence(slot, answer);
		restart(slot, false);
	} else if (result == 0) {
		slot->replicas[call.target].released = true;
		if (++slot->releases >= slot->releases_needed) {
			open_slot(slot);
		}
	}
}

static void release(struct slot *slot)
{
	struct proto_release body = {
		.slot = slot->number,
		.epoch = segment_epoch(slot->segment),
		.nonce = slot->self->incarnation,
		.segment = slot->old.epoch,
		.lac = slot->last,
		.sealed = true,
	};

	slot->due_ms = now_ms(slot) + SLOT_RELEASE_RETRY_MS;
	for (size_t i = 0; i < slot->old.member_count; i++) {
		struct slot_replica *replica = &slot->replicas[i];

		if (replica->answered && !replica->asked && !replica->released &&
		    replica->last >= slot->last) {
			replica->asked = true;
			store_call(slot, i, 0, &slot->old.members[i], PROTO_RELEASE, &body,
				   on_released);
		}
	}
}

static void on_committed(void *context, void *owner)
{
	struct slot *slot = context;

	slot->events->committed(slot->context, slot, owner);
}

static void on_failed(void *context, int error, uint64_t fence)
{
	struct slot *slot = context;

	slot->fence_seen = fence > slot->fence_seen ? fence : slot->fence_seen;
	slot_drop(slot, error);
}

/* SQ of `old`: any so many of its members have one that holds all that was committed. */
static size_t seal_quorum(const struct slot *slot)
{
	size_t acks = slot->self->ack_quorum;

	return slot->old.member_count >= acks ? slot->old.member_count - acks + 1
					      : slot->old.member_count;
}

/*
 * The stores of the segment before ours learn where it ends; until then they do not show its tail.
 * If the last segment was empty, that is one which an owner before us sealed, and maybe died
 * before it told any of them: who holds all of it is not known then, but one of a seal quorum does.
 */
static void begin_release(struct slot *slot)
{
	bool sealed_by_us = slot->old.member_count > 0 && slot->last >= slot->old.first;

	if (slot->record.segment_count < 2) {
		open_slot(slot);
		return;
	}
	slot->releases = 0;
	slot->releases_needed = 1;
	if (!sealed_by_us) {
		slot->old = *(record_last(&slot->record) - 1);
		slot->releases_needed = seal_quorum(slot);
	}
	for (size_t i = 0; i < slot->old.member_count; i++) {
		struct slot_replica *replica = &slot->replicas[i];

		if (!sealed_by_us) {
			*replica = (struct slot_replica){.answered = true, .last = slot->last};
		}
		replica->asked = false;
	}
	enter(slot, SLOT_RELEASE);
	release(slot);
}

/* T5 succeeded: the record's last segment is ours. */
static void begin_segment(struct slot *slot)
{
	static const struct segment_events events = {on_committed, on_failed};
	const struct record_segment *open = record_last(&slot->record);
	struct segment_spec spec = {
		.slot = slot->number,
		.epoch = open->epoch,
		.nonce = slot->self->incarnation,
		.first = open->first,
		.prev_hash = slot->last_hash,
		.member_count = open->member_count,
		.ack_quorum = slot->self->ack_quorum,
	};

	memcpy(spec.members, open->members, sizeof(spec.members));
	if (spec.ack_quorum == 0 || spec.ack_quorum > spec.member_count) {
		restart(slot, false); /* the registry's quorums changed meanwhile */
		return;
	}
	if (segment_new(slot->env, &spec, &events, slot, &slot->segment) != 0) {
		restart(slot, false);
		return;
	}
	begin_release(slot);
}

/* --- T5: install --- */

static size_t add_member(struct proto_id *members, size_t count, const struct proto_id *store)
{
	for (size_t i = 0; i < count; i++) {
		if (proto_id_equal(&members[i], store)) {
			return count;
		}
	}
	if (count < PROTO_MEMBERS_MAX) {
		members[count++] = *store;
	}
	return count;
}

/*
 * Members of the last segment that are there stay, because readers of the new one need what was
 * written before; the registry's places fill up what is missing.
 */
static size_t choose_members(const struct slot *slot, struct proto_id *members)
{
	size_t count = 0;

	for (size_t i = 0; slot->last > 0 && i < slot->old.member_count; i++) {
		if (slot->replicas[i].answered && !slot->replicas[i].failed) {
			count = add_member(members, count, &slot->old.members[i]);
		}
	}
	for (size_t i = 0; i < slot->place_count; i++) {
		count = add_member(members, count, &slot->places[i]);
	}
	return count;
}

static void install(struct slot *slot)
{
	struct proto_id members[PROTO_MEMBERS_MAX];
	size_t wanted = slot->self->write_quorum;

	if (choose_members(slot, members) < wanted || slot->self->ack_quorum == 0 ||
	    slot->self->ack_quorum > wanted ||
	    record_install(&slot->record, slot->last, &slot->last_hash, members, wanted) != 0) {
		restart(slot, false);
		return;
	}
	enter(slot, SLOT_INSTALL);
}

/* --- T4: copy --- */

static void copy_step(struct slot *slot);

static bool holds_all(const struct slot *slot, const struct slot_replica *replica)
{
	return replica->answered && !replica->failed && replica->last >= slot->last;
}

static void on_copied(void *context, int result, const struct proto_message *answer)
{
	struct call call;
	struct slot *slot = call_end(context, &call);
	struct slot_replica *replica;

	if (!slot || slot->phase != SLOT_COPY) {
		return;
	}
	replica = &slot->replicas[call.target];
	replica->asked = false;
	if (result == 0 && PROTO_BODY(answer, appended)->lsn > replica->last) {
		replica->last = PROTO_BODY(answer, appended)->lsn;
	} else if (result == PROTO_E_CONFLICT) {
		halt(slot);
		return;
	} else if (result == PROTO_E_FENCED) {
		see_fence(slot, answer);
		restart(slot, false);
		return;
	} else {
		replica->failed = true;
	}
	copy_step(slot);
}

static void on_read(void *context, int result, const struct proto_message *answer)
{
	struct call call;
	struct slot *slot = call_end(context, &call);
	const struct proto_entries *entries;
	struct proto_copy copy;

	if (!slot || slot->phase != SLOT_COPY) {
		return;
	}
	entries = result == 0 ? PROTO_BODY(answer, entries) : NULL;
	if (!entries || entries->entries.count == 0 ||
	    entries->entries.items[0].lsn != slot->replicas[call.target].last + 1) {
		slot->replicas[call.target].asked = false;
		slot->replicas[call.source].failed = true;
		copy_step(slot);
		return;
	}
	copy = (struct proto_copy){
		.slot = slot->number,
		.epoch = slot->record.epoch,
		.nonce = slot->self->incarnation,
		.segment = slot->old.epoch,
		.first = slot->old.first,
		.prev_hash = entries->prev_hash,
		.entries = entries->entries,
	};
	store_call(slot, call.target, call.source, &slot->old.members[call.target], PROTO_COPY,
		   &copy, on_copied);
}

static void copy_to(struct slot *slot, size_t target, size_t source)
{
	uint64_t from = slot->replicas[target].last + 1;
	uint64_t count = slot->last + 1 - from;
	struct proto_entries_read read = {
		.slot = slot->number,
		.segment = slot->old.epoch,
		.from = from,
		.limit = count < PROTO_BATCH_MAX ? count : PROTO_BATCH_MAX,
		.recovery = true,
	};

	slot->replicas[target].asked = true;
	store_call(slot, target, source, &slot->old.members[source], PROTO_ENTRIES_READ, &read,
		   on_read);
}

/*
 * Copies to one more replica, or goes on once AQ of them hold all; a replica that may still answer
 * is waited for.
 */
static void copy_step(struct slot *slot)
{
	size_t holders = 0;
	size_t source = PROTO_MEMBERS_MAX;
	size_t target = PROTO_MEMBERS_MAX;
	bool waiting = false;

	for (size_t i = 0; i < slot->old.member_count; i++) {
		const struct slot_replica *replica = &slot->replicas[i];

		if (holds_all(slot, replica)) {
			holders++;
			source = i;
		} else if (replica->asked) {
			waiting = true;
		} else if (replica->answered && !replica->failed) {
			target = i;
		}
	}
	if (holders >= slot->self->ack_quorum) {
		install(slot);
	} else if (source < PROTO_MEMBERS_MAX && target < PROTO_MEMBERS_MAX) {
		copy_to(slot, target, source);
	} else if (!waiting) {
		restart(slot, false);
	}
}

/* --- T2, T3: seal --- */

static void seal_count(struct slot *slot, size_t *ret_answers, size_t *ret_failures)
{
	*ret_answers = 0;
	*ret_failures = 0;
	for (size_t i = 0; i < slot->old.member_count; i++) {
		*ret_answers += slot->replicas[i].answered;
		*ret_failures += slot->replicas[i].failed;
	}
}

/*
 * T3: the longest log; replicas of that length must have the same hash. Returns whether they have.
 */
static bool choose_last(struct slot *slot)
{
	slot->last = slot->old.first - 1;
	for (size_t i = 0; i < slot->old.member_count; i++) {
		const struct slot_replica *replica = &slot->replicas[i];

		if (replica->answered && replica->last > slot->last) {
			slot->last = replica->last;
			slot->last_hash = replica->hash;
		}
	}
	for (size_t i = 0; i < slot->old.member_count; i++) {
		const struct slot_replica *replica = &slot->replicas[i];

		if (replica->answered && slot->last >= slot->old.first &&
		    replica->last == slot->last && !chain_equal(&replica->hash, &slot->last_hash)) {
			return false;
		}
	}
	return true;
}

static void seal_step(struct slot *slot)
{
	size_t answers;
	size_t failures;

	seal_count(slot, &answers, &failures);
	if (answers >= seal_quorum(slot)) {
		if (!choose_last(slot)) {
			halt(slot);
			return;
		}
		enter(slot, SLOT_COPY);
		copy_step(slot);
	} else if (slot->old.member_count - failures < seal_quorum(slot)) {
		restart(slot, false);
	}
}

static int replica_read(struct slot_replica *replica, const struct slot *slot,
			const struct proto_sealed *sealed)
{
	replica->last = sealed->last;
	if (replica->last < slot->old.first) {
		replica->last = slot->old.first - 1; /* nothing of this segment */
		return 0;
	}
	return chain_read(sealed->last_hash, &replica->hash);
}

static void on_sealed(void *context, int result, const struct proto_message *answer)
{
	struct call call;
	struct slot *slot = call_end(context, &call);
	struct slot_replica *replica;

	if (!slot || (slot->phase != SLOT_SEAL && slot->phase != SLOT_COPY)) {
		return;
	}
	replica = &slot->replicas[call.target];
	replica->asked = false;
	if (result == PROTO_E_FENCED) {
		see_fence(slot, answer);
		restart(slot, false);
		return;
	}
	replica->failed = result != 0 ||
			  replica_read(replica, slot, PROTO_BODY(answer, sealed)) != 0;
	replica->answered = !replica->failed;
	if (slot->phase == SLOT_SEAL) {
		seal_step(slot);
	} else {
		copy_step(slot);
	}
}

static void seal(struct slot *slot)
{
	struct proto_seal body = {
		.slot = slot->number,
		.epoch = slot->record.epoch,
		.nonce = slot->self->incarnation,
		.segment = slot->old.epoch,
	};

	enter(slot, SLOT_SEAL);
	memset(slot->replicas, 0, sizeof(slot->replicas));
	for (size_t i = 0; i < slot->old.member_count; i++) {
		slot->replicas[i].asked = true;
		store_call(slot, i, 0, &slot->old.members[i], PROTO_SEAL, &body, on_sealed);
	}
}

/* T1 succeeded. */
static void begin_seal(struct slot *slot)
{
	const struct record_segment *last = record_last(&slot->record);

	slot->old = (struct record_segment){0};
	slot->last = last ? last->last : 0;
	slot->last_hash = last ? last->last_hash : (struct chain_hash){0};
	if (!last || last->sealed) {
		install(slot);
		return;
	}
	slot->old = *last;
	if (slot->record.segment_count > 1) {
		slot->last_hash = (last - 1)
					  /* if this one is empty, the chain goes on from there */
					  ->last_hash;
	} else {
		slot->last_hash = (struct chain_hash){0};
	}
	seal(slot);
}

/* --- the registry's answers --- */

void slot_on_read(struct slot *slot, uint64_t attempt, const struct proto_slot_record *record)
{
	if (attempt != slot->attempt || slot->phase != SLOT_READ) {
		return;
	}
	if (!record || record_read(&slot->record, record) != 0) {
		restart(slot, false);
		return;
	}
	enter(slot, SLOT_CLAIM);
}

static bool is_ours(const struct slot *slot, const struct proto_slot_record *record)
{
	return record->version == slot->record.version + 1 && record->epoch == slot->record.epoch &&
	       record->state == slot->record.state &&
	       proto_id_equal(&record->incarnation, &slot->self->incarnation);
}

/* The answer to CLOSE. */
static void on_closed(struct slot *slot, const struct proto_slot_record *record)
{
	if (record && is_ours(slot, record)) {
		slot_drop(slot, PROTO_E_NOT_OWNER);
	} else if (record) {
		slot_drop(slot, PROTO_E_FENCED);
	} else if (slot->segment) {
		enter(slot, SLOT_OPEN);
		slot->record.state = PROTO_SLOT_STATE_OPEN;
		slot->closing = false;
		slot->close_doubt = true;
		slot->suspended = true;
	} else {
		slot->phase = SLOT_FREE; /* it will be found again */
	}
}

void slot_on_swapped(struct slot *slot, uint64_t attempt, const struct proto_slot_record *record,
		     const struct proto_list_store_place *places)
{
	if (attempt == slot->attempt && slot->phase == SLOT_CLOSE) {
		on_closed(slot, record);
		return;
	}
	if (attempt != slot->attempt ||
	    (slot->phase != SLOT_CLAIM && slot->phase != SLOT_INSTALL)) {
		return;
	}
	if (!record || !is_ours(slot, record)) {
		restart(slot, record != NULL && slot->failures == 0);
		return;
	}
	slot->record.version = record->version;
	if (slot->phase == SLOT_INSTALL) {
		begin_segment(slot);
		return;
	}
	slot->place_count = places->count < PROTO_MEMBERS_MAX ? places->count : PROTO_MEMBERS_MAX;
	for (size_t i = 0; i < slot->place_count; i++) {
		slot->places[i] = places->items[i].store;
	}
	begin_seal(slot);
}

void slot_verify(struct slot *slot, const struct proto_slot_record *record)
{
	if (slot->phase == SLOT_FREE && !slot->assigned && record->state == PROTO_SLOT_STATE_OPEN &&
	    proto_id_equal(&record->incarnation, &slot->self->incarnation) &&
	    record_read(&slot->record, record) == 0) {
		enter(slot, SLOT_CLOSE);
		return;
	}
	if (slot->phase != SLOT_OPEN) {
		return;
	}
	if (record->version <= slot->record.version) {
		slot->suspended = slot->close_doubt;
		slot->closing = slot->closing || slot->close_doubt;
		close_step(slot);
		return;
	}
	slot->fence_seen = record->epoch > slot->fence_seen ? record->epoch : slot->fence_seen;
	slot_drop(slot, PROTO_E_FENCED);
}

/* --- giving up, time --- */

void slot_drop(struct slot *slot, int error)
{
	bool open = slot->phase == SLOT_OPEN || (slot->phase == SLOT_CLOSE && slot->segment);

	if (slot->phase == SLOT_FREE || slot->phase == SLOT_HALTED) {
		return;
	}
	slot->phase = SLOT_WAIT;
	if (open) {
		slot->events->dropped(slot->context, slot, error);
	}
	if (error == PROTO_E_CONFLICT) {
		halt(slot);
	} else {
		restart(slot, false);
	}
}

void slot_tick(struct slot *slot)
{
	if (slot->phase == SLOT_OPEN) {
		segment_tick(slot->segment);
		if (slot->phase == SLOT_OPEN) { /* the tick may have given it up */
			close_step(slot);
		}
		return;
	}
	if (slot->phase == SLOT_FREE || slot->phase == SLOT_HALTED || now_ms(slot) < slot->due_ms) {
		return;
	}
	if (slot->phase == SLOT_WAIT) {
		if (slot->assigned) {
			enter(slot, SLOT_READ);
		} else {
			slot->phase = SLOT_FREE;
		}
	} else if (slot->phase == SLOT_RELEASE) {
		release(slot);
	} else if (slot->phase == SLOT_CLOSE) {
		slot->attempt++;
		on_closed(slot, NULL);
	} else {
		restart(slot, false);
	}
}
