/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See slot_table.h. Records are kept encoded, and decoded beside that: one allocation each. */

#include "registry/slot_table.h"

#include <errno.h>
#include <stdlib.h>

struct slot {
	struct proto_slot_record none; /* until there is a record */
	char *bytes; /* what the message's spans point into */
	size_t size;
	struct proto_message message;
};

struct slot_table {
	struct slot slots[PROTO_SLOTS];
};

int slot_table_new(struct slot_table **ret_table)
{
	struct slot_table *table = calloc(1, sizeof(*table));

	if (!table) {
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		table->slots[i].none.slot = i;
	}
	*ret_table = table;
	return 0;
}

static void slot_clear(struct slot *slot)
{
	proto_message_deinit(&slot->message);
	free(slot->bytes);
	slot->message = PROTO_MESSAGE_INIT;
	slot->bytes = NULL;
	slot->size = 0;
}

void slot_table_free(struct slot_table *table)
{
	for (unsigned int i = 0; table && i < PROTO_SLOTS; i++) {
		slot_clear(&table->slots[i]);
	}
	free(table);
}

const struct proto_slot_record *slot_table_get(const struct slot_table *table, unsigned int slot)
{
	const struct slot *entry = &table->slots[slot];

	return entry->message.body ? PROTO_BODY(&entry->message, slot_record) : &entry->none;
}

size_t slot_table_bytes(const struct slot_table *table, unsigned int slot)
{
	return table->slots[slot].size;
}

/* --- checks --- */

static bool segments_are_sound(const struct proto_slot_record *record)
{
	const struct proto_list_segment *list = &record->segments;

	for (size_t i = 0; i < list->count; i++) {
		const struct proto_segment *segment = &list->items[i];
		const struct proto_segment *before = i > 0 ? &list->items[i - 1] : NULL;

		if (segment->members.count == 0 || segment->first == 0 ||
		    segment->since_epoch > segment->epoch || segment->epoch > record->epoch) {
			return false;
		}
		if (!segment->sealed && i + 1 < list->count) {
			return false;
		}
		if (segment->sealed && segment->last + 1 < segment->first) {
			return false;
		}
		if (before &&
		    (segment->since_epoch <= before->epoch || segment->first != before->last + 1)) {
			return false;
		}
	}
	return true;
}

static bool same_owner(const struct proto_slot_record *a, const struct proto_slot_record *b)
{
	return proto_span_equal(a->owner, b->owner) &&
	       proto_id_equal(&a->incarnation, &b->incarnation);
}

static bool same_members(const struct proto_list_store_ref *a, const struct proto_list_store_ref *b)
{
	if (a->count != b->count) {
		return false;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (!proto_id_equal(&a->items[i].store, &b->items[i].store)) {
			return false;
		}
	}
	return true;
}

static bool same_segment(const struct proto_segment *a, const struct proto_segment *b)
{
	return a->since_epoch == b->since_epoch && a->epoch == b->epoch && a->first == b->first &&
	       a->sealed == b->sealed && a->last == b->last &&
	       proto_span_equal(a->last_hash, b->last_hash) &&
	       same_members(&a->members, &b->members);
}

static bool same_log(const struct proto_slot_record *now, const struct proto_slot_record *next)
{
	bool same = next->segments.count == now->segments.count;

	for (size_t i = 0; same && i < now->segments.count; i++) {
		same = same_segment(&now->segments.items[i], &next->segments.items[i]);
	}
	return same;
}

/* T1: a new term; the log is as it was. */
static bool claims(const struct proto_slot_record *now, const struct proto_slot_record *next)
{
	return next->epoch > now->epoch && same_log(now, next);
}

/* What was sealed stays in the record: segments may be merged, or dropped when they are empty. */
static bool keeps_sealed(const struct proto_list_segment *now,
			 const struct proto_list_segment *next)
{
	size_t sealed = now->count;

	while (sealed > 0 && !now->items[sealed - 1].sealed) {
		sealed--;
	}
	if (sealed == 0 || now->items[sealed - 1].last < now->items[0].first) {
		return true;
	}
	return next->items[0].first == now->items[0].first && next->count > 1 &&
	       next->items[next->count - 2].last >= now->items[sealed - 1].last;
}

/* T5: the term's segment is opened, by the one who began it. */
static bool installs(const struct proto_slot_record *now, const struct proto_slot_record *next)
{
	const struct proto_segment *last = next->segments.count > 0
						   ? &next->segments.items[next->segments.count - 1]
						   : NULL;

	return now->state == PROTO_SLOT_STATE_SEALING && next->epoch == now->epoch &&
	       same_owner(now, next) && last && !last->sealed && last->epoch == next->epoch &&
	       keeps_sealed(&now->segments, &next->segments);
}

/* The owner lets go: all else is as it was. */
static bool closes(const struct proto_slot_record *now, const struct proto_slot_record *next)
{
	return now->state == PROTO_SLOT_STATE_OPEN && next->epoch == now->epoch &&
	       same_owner(now, next) && same_log(now, next);
}

static bool follows(const struct proto_slot_record *now, const struct proto_slot_record *next)
{
	switch (next->state) {
	case PROTO_SLOT_STATE_SEALING:
		return claims(now, next);
	case PROTO_SLOT_STATE_OPEN:
		return installs(now, next);
	case PROTO_SLOT_STATE_CLOSED:
		return closes(now, next);
	default:
		return false;
	}
}

int slot_table_check(const struct slot_table *table, const struct proto_slot_record *next)
{
	const struct proto_slot_record *now = slot_table_get(table, (unsigned int)next->slot);

	if (next->version != now->version) {
		return PROTO_E_VERSION_CONFLICT;
	}
	return next->owner.size > 0 && segments_are_sound(next) && follows(now, next)
		       ? 0
		       : PROTO_E_BAD_VALUE;
}

/* --- changes --- */

int slot_table_encode(const struct proto_slot_record *next, struct proto_buffer *out)
{
	struct proto_slot_record record = *next;

	record.version = next->version + 1;
	return proto_encode_record(out, PROTO_RECORD(slot_record), &record);
}

int slot_table_put(struct slot_table *table, const void *bytes, size_t size)
{
	struct proto_message message = PROTO_MESSAGE_INIT;
	char *copy = malloc(size ? size : 1);
	struct slot *slot;
	int r;

	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, bytes, size);
	r = proto_decode_record(PROTO_RECORD(slot_record), copy, size, &message, NULL);
	if (r != 0) {
		free(copy);
		return r;
	}
	slot = &table->slots[PROTO_BODY(&message, slot_record)->slot];
	slot_clear(slot);
	slot->bytes = copy;
	slot->size = size;
	slot->message = message;
	return 0;
}
