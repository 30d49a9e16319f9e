/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The slots live in one array for the life of the process, so that answers can point at them.
 * Nothing is decided here: slot.c says what each slot wants, this file packs it into few messages.
 *
 * Planned moves are paced: a slot between two owners is served by nobody, for as long as the new
 * owner's take-over takes, and that of few slots is short. So the next are closed as others appear
 * in the slot map.
 */

#include "roomd/takeover.h"

#include <errno.h>
#include <stdlib.h>

struct takeover {
	const struct env *env;
	struct takeover_options options;
	struct slot slots[PROTO_SLOTS];
	bool doubted[PROTO_SLOTS];
	bool leave[PROTO_SLOTS]; /* others wait for it */
	uint64_t handed_ms
		[PROTO_SLOTS]; /* when it was closed for somebody; 0: not, or it is served */
	bool stopped;
	bool left_known; /* an assignment that was asked for after the stop */
	bool alone; /* as of the last assignment, nobody else could have slots */
	bool known; /* the assignment */
	bool assigning; /* it is asked for */
	bool assigning_stopped; /* and that was after the stop */
	bool reading;
	unsigned int swaps;
	uint64_t suspensions; /* records read before the latest say nothing about open slots */
	uint64_t assignment_ms; /* when to ask again */
	uint64_t verify_ms;
};

struct swap {
	struct takeover *takeover;
	size_t count;
	struct {
		unsigned int slot;
		uint64_t attempt;
		bool closes;
	} rows[TAKEOVER_BATCH];
};

struct read {
	struct takeover *takeover;
	uint64_t suspensions; /* when it was sent */
	unsigned int first;
	unsigned int last;
	uint64_t attempts[PROTO_SLOTS]; /* of the slots in the range that asked; 0: it did not */
};

static void pump(struct takeover *takeover);

int takeover_new(const struct env *env, const struct takeover_options *options,
		 struct takeover **ret_takeover)
{
	struct takeover *takeover = calloc(1, sizeof(*takeover));

	if (!takeover) {
		return -ENOMEM;
	}
	takeover->env = env;
	takeover->options = *options;
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		slot_init(&takeover->slots[i], i, env, &takeover->options.self, options->events,
			  options->context);
		takeover->slots[i].attempt = 1;
	}
	*ret_takeover = takeover;
	return 0;
}

void takeover_free(struct takeover *takeover)
{
	if (!takeover) {
		return;
	}
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		slot_deinit(&takeover->slots[i]);
	}
	free(takeover);
}

struct slot *takeover_slot(struct takeover *takeover, unsigned int slot)
{
	return &takeover->slots[slot];
}

size_t takeover_count(const struct takeover *takeover, enum slot_phase phase)
{
	size_t count = 0;

	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		count += takeover->slots[i].phase == phase;
	}
	return count;
}

bool takeover_is_complete(const struct takeover *takeover)
{
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		const struct slot *slot = &takeover->slots[i];

		if (slot->assigned && (slot->phase != SLOT_OPEN || slot->suspended)) {
			return false;
		}
	}
	return takeover->known;
}

void takeover_set_quorums(struct takeover *takeover, size_t write_quorum, size_t ack_quorum)
{
	takeover->options.self.write_quorum = write_quorum;
	takeover->options.self.ack_quorum = ack_quorum;
}

void takeover_stop(struct takeover *takeover)
{
	takeover->stopped = true;
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		slot_assign(&takeover->slots[i], false);
	}
	takeover_assignment(takeover);
}

bool takeover_is_left(const struct takeover *takeover)
{
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		if (takeover->leave[i] || takeover->slots[i].phase == SLOT_CLOSE ||
		    (takeover->handed_ms[i] != 0 && !takeover->alone)) {
			return false;
		}
	}
	return takeover->left_known;
}

void takeover_doubt(struct takeover *takeover, unsigned int slot)
{
	takeover->doubted[slot] = true;
}

void takeover_suspend(struct takeover *takeover)
{
	takeover->suspensions++;
	takeover->verify_ms = 0;
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		if (takeover->slots[i].phase == SLOT_OPEN) {
			takeover->slots[i].suspended = true;
			takeover->doubted[i] = true;
		}
	}
}

/* --- planned moves --- */

static uint64_t now_ms(const struct takeover *takeover)
{
	return takeover->env->now_ms(takeover->env->context);
}

/* Slots that are between two owners. */
static size_t count_handed(struct takeover *takeover)
{
	size_t count = 0;

	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		const struct slot *slot = &takeover->slots[i];

		if (takeover->handed_ms[i] != 0 &&
		    (takeover->options.is_served(takeover->options.context, i) ||
		     now_ms(takeover) - takeover->handed_ms[i] >= TAKEOVER_HANDED_MS)) {
			takeover->handed_ms[i] = 0;
		}
		count += takeover->handed_ms[i] != 0 || slot->phase == SLOT_CLOSE ||
			 (slot->phase == SLOT_OPEN && slot->closing);
	}
	return count;
}

/* Whether it is ours, or about to be. */
static bool is_held(const struct slot *slot)
{
	return slot_is_opening(slot) || slot->phase == SLOT_OPEN || slot->phase == SLOT_CLOSE;
}

static void pump_leaves(struct takeover *takeover)
{
	size_t handed = count_handed(takeover);

	for (unsigned int i = 0; i < PROTO_SLOTS && handed < TAKEOVER_HANDED_MAX; i++) {
		struct slot *slot = &takeover->slots[i];

		takeover->leave[i] = takeover->leave[i] && is_held(slot);
		if (takeover->leave[i] && slot->phase == SLOT_OPEN && !slot->closing &&
		    !slot->suspended) {
			slot_close(slot, true);
			handed++;
		}
	}
}

static void take_leaves(struct takeover *takeover, const struct proto_list_slot_range *ranges)
{
	memset(takeover->leave, 0, sizeof(takeover->leave));
	for (size_t i = 0; i < ranges->count; i++) {
		for (uint64_t slot = ranges->items[i].first; slot <= ranges->items[i].last;
		     slot++) {
			takeover->leave[slot] = is_held(&takeover->slots[slot]);
			takeover->doubted[slot] = takeover->doubted[slot] ||
						  takeover->slots[slot].phase == SLOT_FREE;
		}
	}
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		if (!takeover->leave[i] && takeover->slots[i].closing) {
			slot_close(&takeover->slots[i], false);
		}
	}
}

/* What became of a slot that the registry was asked to close. */
static void see_closed(struct takeover *takeover, unsigned int number)
{
	const struct slot *slot = &takeover->slots[number];

	if (slot->phase == SLOT_OPEN) { /* no answer: its record is in doubt */
		takeover->suspensions++;
		takeover->doubted[number] = true;
	} else if (slot->phase != SLOT_CLOSE) {
		takeover->leave[number] = false;
		takeover->handed_ms[number] = now_ms(takeover);
	}
}

/* --- assignment --- */

static void on_assigned(void *context, int result, const struct proto_message *answer)
{
	struct takeover *takeover = context;
	const struct proto_slot_ranges *body;
	bool *wanted;

	takeover->assigning = false;
	takeover->known = takeover->known || result == 0;
	if (result != 0) {
		return; /* asked again in a while */
	}
	takeover->alone = PROTO_BODY(answer, slot_ranges)->alone;
	take_leaves(takeover, &PROTO_BODY(answer, slot_ranges)->leave);
	takeover->left_known = takeover->left_known || takeover->assigning_stopped;
	if (takeover->stopped) {
		pump(takeover);
		return;
	}
	wanted = calloc(PROTO_SLOTS, sizeof(*wanted));
	if (!wanted) {
		return;
	}
	body = PROTO_BODY(answer, slot_ranges);
	for (size_t i = 0; i < body->ranges.count; i++) {
		for (uint64_t slot = body->ranges.items[i].first;
		     slot <= body->ranges.items[i].last; slot++) {
			wanted[slot] = true;
		}
	}
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		slot_assign(&takeover->slots[i], wanted[i]);
	}
	free(wanted);
	pump(takeover);
}

void takeover_assignment(struct takeover *takeover)
{
	struct proto_slots_assigned body = {
		.node = proto_span(takeover->options.self.node),
		.incarnation = takeover->options.self.incarnation,
	};

	if (takeover->assigning || takeover->options.self.write_quorum == 0) {
		takeover->assignment_ms = 0;
		return;
	}
	takeover->assigning = true;
	takeover->assigning_stopped = takeover->stopped;
	takeover->assignment_ms = now_ms(takeover) + TAKEOVER_ASSIGNMENT_MS;
	takeover->env->registry(takeover->env->context, PROTO_SLOTS_ASSIGNED, &body, on_assigned,
				takeover);
}

/* --- reading --- */

static void on_records(void *context, int result, const struct proto_message *answer)
{
	struct read *read = context;
	struct takeover *takeover = read->takeover;
	const struct proto_slot_records *body = result == 0 ? PROTO_BODY(answer, slot_records)
							    : NULL;
	size_t seen = 0;

	takeover->reading = false;
	if (body) {
		takeover->options.stores(takeover->options.context, &body->stores);
	}
	for (size_t i = 0; body && i < body->records.count; i++) {
		const struct proto_slot_record *record = &body->records.items[i];
		struct slot *slot = &takeover->slots[record->slot];

		if (record->slot < read->first || record->slot > read->last) {
			continue;
		}
		seen++;
		if (read->suspensions == takeover->suspensions) {
			takeover->doubted[record->slot] = false;
			slot_verify(slot, record);
		}
		slot_on_read(slot, read->attempts[record->slot], record);
		read->attempts[record->slot] = 0;
	}
	for (unsigned int i = read->first; i <= read->last; i++) {
		if (read->attempts[i] == 0) {
			continue;
		}
		if (seen == 0) {
			slot_on_read(&takeover->slots[i], read->attempts[i], NULL);
		} else if (read->attempts[i] == takeover->slots[i].attempt) {
			takeover->slots[i].asked = false; /* the answer ended early: ask again */
		}
	}
	free(read);
	pump(takeover);
}

static bool wants_read(const struct takeover *takeover, unsigned int slot, bool doubts)
{
	return slot_wants(&takeover->slots[slot]) == SLOT_READ ||
	       (doubts && takeover->doubted[slot]);
}

static void pump_reads(struct takeover *takeover)
{
	bool doubts = takeover->env->now_ms(takeover->env->context) >= takeover->verify_ms;
	struct proto_slots_read body;
	unsigned int first = 0;
	unsigned int last;
	struct read *read;

	while (first < PROTO_SLOTS && !wants_read(takeover, first, doubts)) {
		first++;
	}
	if (takeover->reading || takeover->stopped || first == PROTO_SLOTS) {
		return;
	}
	read = calloc(1, sizeof(*read));
	if (!read) {
		return;
	}
	last = first;
	for (unsigned int i = first; i < PROTO_SLOTS && i <= last + TAKEOVER_GAP; i++) {
		if (wants_read(takeover, i, doubts)) {
			last = i;
		}
		if (slot_wants(&takeover->slots[i]) == SLOT_READ) {
			read->attempts[i] = slot_asked(&takeover->slots[i]);
		}
	}
	read->takeover = takeover;
	read->suspensions = takeover->suspensions;
	read->first = first;
	read->last = last;
	takeover->reading = true;
	if (doubts) {
		takeover->verify_ms = takeover->env->now_ms(takeover->env->context) +
				      TAKEOVER_VERIFY_MS;
	}
	body = (struct proto_slots_read){.first = first, .last = last};
	takeover->env->registry(takeover->env->context, PROTO_SLOTS_READ, &body, on_records, read);
}

/* --- swapping --- */

static void on_swapped(void *context, int result, const struct proto_message *answer)
{
	struct swap *swap = context;
	struct takeover *takeover = swap->takeover;
	const struct proto_slot_swapped *body = result == 0 ? PROTO_BODY(answer, slot_swapped)
							    : NULL;

	takeover->swaps--;
	if (body) {
		takeover->options.stores(takeover->options.context, &body->members);
	}
	for (size_t i = 0; i < swap->count; i++) {
		const struct proto_slot_record *record = NULL;

		if (body && i < body->records.count &&
		    body->records.items[i].slot == swap->rows[i].slot) {
			record = &body->records.items[i];
		}
		slot_on_swapped(&takeover->slots[swap->rows[i].slot], swap->rows[i].attempt, record,
				body ? &body->members : NULL);
		if (swap->rows[i].closes) {
			see_closed(takeover, swap->rows[i].slot);
		}
	}
	free(swap);
	pump(takeover);
}

/* Returns whether a swap of records was sent. */
static bool send_swap(struct takeover *takeover, struct swap *swap, struct record_wire *wires)
{
	struct proto_slot_record records[TAKEOVER_BATCH];
	struct proto_slot_swap body = {.records = {records, swap->count}, .place = true};

	for (size_t i = 0; i < swap->count; i++) {
		records[i] = wires[i].record;
	}
	takeover->swaps++;
	takeover->env->registry(takeover->env->context, PROTO_SLOT_SWAP, &body, on_swapped, swap);
	return true;
}

static bool pump_swap(struct takeover *takeover)
{
	struct record_wire wires[TAKEOVER_BATCH];
	struct swap *swap = calloc(1, sizeof(*swap));
	size_t segments = 0;
	bool sent = false;

	if (!swap) {
		return false;
	}
	swap->takeover = takeover;
	for (unsigned int i = 0; i < PROTO_SLOTS && swap->count < TAKEOVER_BATCH; i++) {
		struct slot *slot = &takeover->slots[i];
		enum slot_phase want = slot_wants(slot);

		if ((want != SLOT_CLAIM && want != SLOT_INSTALL && want != SLOT_CLOSE) ||
		    (takeover->stopped && want == SLOT_CLAIM)) {
			continue;
		}
		segments += slot->record.segment_count;
		if (swap->count > 0 && segments > TAKEOVER_BATCH_SEGMENTS) {
			break;
		}
		swap->rows[swap->count].slot = i;
		swap->rows[swap->count].attempt = slot_asked(slot);
		swap->rows[swap->count].closes = want == SLOT_CLOSE;
		if (record_write(&slot->record, &wires[swap->count]) != 0) {
			slot->asked = false;
			break;
		}
		swap->count++;
	}
	if (swap->count > 0) {
		size_t count = swap->count;

		sent = send_swap(takeover, swap, wires);
		while (count > 0) {
			record_wire_deinit(&wires[--count]);
		}
	} else {
		free(swap);
	}
	return sent;
}

static void pump(struct takeover *takeover)
{
	pump_leaves(takeover);
	while (takeover->swaps < TAKEOVER_SWAPS_MAX && pump_swap(takeover)) {}
	pump_reads(takeover);
}

void takeover_tick(struct takeover *takeover)
{
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		slot_tick(&takeover->slots[i]);
	}
	if (now_ms(takeover) >= takeover->assignment_ms) {
		takeover_assignment(takeover);
	}
	pump(takeover);
}
