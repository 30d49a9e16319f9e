/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Reading and writing a slot's record. Segments stand in the order of their lsns and touch each
 * other; only the last may be unsealed. What the registry sends is checked for that, because a
 * take-over from a record that has holes would lose entries.
 */

#include "roomd/record.h"

#include <errno.h>
#include <stdlib.h>

static int segment_read(const struct proto_segment *from, struct record_segment *ret_segment)
{
	struct record_segment segment = {
		.since_epoch = from->since_epoch,
		.epoch = from->epoch,
		.first = from->first,
		.sealed = from->sealed,
		.last = from->last,
		.member_count = from->members.count,
	};

	if (from->members.count == 0 || from->members.count > PROTO_MEMBERS_MAX ||
	    from->first == 0 || (from->sealed && from->last + 1 < from->first)) {
		return PROTO_E_BAD_VALUE;
	}
	if (chain_read(from->last_hash, &segment.last_hash) != 0) {
		return PROTO_E_BAD_VALUE;
	}
	for (size_t i = 0; i < from->members.count; i++) {
		segment.members[i] = from->members.items[i].store;
	}
	*ret_segment = segment;
	return 0;
}

static int segments_read(const struct proto_list_segment *from, struct record_segment *segments)
{
	for (size_t i = 0; i < from->count; i++) {
		int r = segment_read(&from->items[i], &segments[i]);

		if (r != 0) {
			return r;
		}
		if (i > 0 &&
		    (!segments[i - 1].sealed || segments[i].first != segments[i - 1].last + 1)) {
			return PROTO_E_BAD_VALUE;
		}
	}
	return 0;
}

int record_read(struct record *record, const struct proto_slot_record *from)
{
	struct record_segment *segments = NULL;
	int r;

	if (from->slot >= PROTO_SLOTS || from->owner.size > PROTO_NAME_BYTES_MAX) {
		return PROTO_E_BAD_VALUE;
	}
	if (from->segments.count > 0) {
		segments = calloc(from->segments.count, sizeof(*segments));
		if (!segments) {
			return -ENOMEM;
		}
		r = segments_read(&from->segments, segments);
		if (r != 0) {
			free(segments);
			return r;
		}
	}
	free(record->segments);
	*record = (struct record){
		.slot = (unsigned int)from->slot,
		.version = from->version,
		.epoch = from->epoch,
		.incarnation = from->incarnation,
		.state = from->state,
		.segments = segments,
		.segment_count = from->segments.count,
	};
	if (from->owner.size > 0) {
		memcpy(record->owner, from->owner.data, from->owner.size);
	}
	return 0;
}

void record_deinit(struct record *record)
{
	free(record->segments);
	*record = RECORD_INIT;
}

struct record_segment *record_last(const struct record *record)
{
	return record->segment_count > 0 ? &record->segments[record->segment_count - 1] : NULL;
}

void record_claim(struct record *record, uint64_t epoch, const char *node,
		  const struct proto_id *incarnation)
{
	record->epoch = epoch;
	record->incarnation = *incarnation;
	record->state = PROTO_SLOT_STATE_SEALING;
	memset(record->owner, 0, sizeof(record->owner));
	memcpy(record->owner, node, strnlen(node, PROTO_NAME_BYTES_MAX));
}

static bool same_members(const struct record_segment *a, const struct record_segment *b)
{
	return a->member_count == b->member_count &&
	       memcmp(a->members, b->members, a->member_count * sizeof(a->members[0])) == 0;
}

static void merge_last(struct record *record)
{
	struct record_segment *last = record_last(record);
	struct record_segment *before = last - 1;

	if (record->segment_count < 2 || !before->sealed || !last->sealed ||
	    !same_members(before, last)) {
		return;
	}
	before->epoch = last->epoch;
	before->last = last->last;
	before->last_hash = last->last_hash;
	record->segment_count--;
}

static void seal_last(struct record *record, uint64_t last, const struct chain_hash *last_hash)
{
	struct record_segment *segment = record_last(record);

	if (!segment || segment->sealed) {
		return;
	}
	if (last < segment->first) {
		record->segment_count--;
		return;
	}
	segment->sealed = true;
	segment->last = last;
	segment->last_hash = *last_hash;
	merge_last(record);
}

int record_install(struct record *record, uint64_t last, const struct chain_hash *last_hash,
		   const struct proto_id *members, size_t member_count)
{
	struct record_segment *segments;

	seal_last(record, last, last_hash);
	if (record->segment_count >= PROTO_SEGMENTS_MAX) {
		return PROTO_E_LIMIT;
	}
	segments = realloc(record->segments, (record->segment_count + 1) * sizeof(*segments));
	if (!segments) {
		return -ENOMEM;
	}
	record->segments = segments;
	segments[record->segment_count] = (struct record_segment){
		.since_epoch = record->epoch,
		.epoch = record->epoch,
		.first = last + 1,
		.member_count = member_count,
	};
	memcpy(segments[record->segment_count].members, members, member_count * sizeof(*members));
	record->segment_count++;
	record->state = PROTO_SLOT_STATE_OPEN;
	return 0;
}

static void segment_write(const struct record_segment *segment, struct proto_store_ref *refs,
			  struct proto_segment *ret_segment)
{
	for (size_t i = 0; i < segment->member_count; i++) {
		refs[i].store = segment->members[i];
	}
	*ret_segment = (struct proto_segment){
		.since_epoch = segment->since_epoch,
		.epoch = segment->epoch,
		.first = segment->first,
		.sealed = segment->sealed,
		.last = segment->sealed ? segment->last : 0,
		.last_hash = segment->sealed ? chain_span(&segment->last_hash)
					     : (struct proto_span){0},
		.members = {refs, segment->member_count},
	};
}

int record_write(const struct record *record, struct record_wire *ret_wire)
{
	size_t count = record->segment_count;
	struct proto_segment *segments = NULL;
	struct proto_store_ref *refs;

	if (count > 0) {
		segments = calloc(count, sizeof(*segments) + PROTO_MEMBERS_MAX * sizeof(*refs));
		if (!segments) {
			return -ENOMEM;
		}
		refs = (struct proto_store_ref *)(segments + count);
		for (size_t i = 0; i < count; i++) {
			segment_write(&record->segments[i], refs + i * PROTO_MEMBERS_MAX,
				      &segments[i]);
		}
	}
	*ret_wire = (struct record_wire){
		.record =
			{
				.slot = record->slot,
				.version = record->version,
				.epoch = record->epoch,
				.owner = proto_span(record->owner),
				.incarnation = record->incarnation,
				.state = record->state,
				.segments = {segments, count},
			},
		.memory = segments,
	};
	return 0;
}

void record_wire_deinit(struct record_wire *wire)
{
	free(wire->memory);
	wire->memory = NULL;
}
