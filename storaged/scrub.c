/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * In this order, each on one snapshot of the store:
 *   1. fences, headers, entries: checksums; entries first … last, chained, hashed, in their place
 *   2. the views, made anew into a scratch kv from the logs that are sound
 *   3. both views side by side, row by row
 * Views of a slot whose log is damaged are checked for their checksums alone: there is nothing to
 * hold them against.
 */

#include "storaged/scrub.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "proto/proto.h"
#include "services/cleanup.h"
#include "storaged/bytes.h"
#include "storaged/kv_join.h"
#include "storaged/record.h"
#include "storaged/segment.h"
#include "storaged/view.h"

struct scrub {
	struct kv_txn *txn;
	struct kv_txn *scratch;
	void (*tell)(void *context, const char *line);
	void *context;
	struct scrub_result result;
	bool slot_damaged[PROTO_SLOTS];
};

__attribute__((format(printf, 3, 4))) static void damaged(struct scrub *scrub, uint64_t *counter,
							  const char *format, ...)
{
	char line[512];
	va_list arguments;

	(*counter)++;
	if (scrub->result.log_damages + scrub->result.view_damages > SCRUB_LINES_MAX) {
		return;
	}
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	scrub->tell(scrub->context, line);
}

/* Walk a table: `visit` gets each row; a positive result is damage that it has told. */
static int each_row(struct scrub *scrub, enum kv_table table,
		    int (*visit)(struct scrub *scrub, enum kv_table table, struct kv_bytes key,
				 struct kv_bytes stored))
{
	_cleanup_(kv_cursor_cleanup) struct kv_cursor *cursor = NULL;
	struct kv_bytes key;
	struct kv_bytes stored;
	int r = kv_open(scrub->txn, table, &cursor);

	if (r == 0) {
		r = kv_seek(cursor, (struct kv_bytes){0}, &key, &stored);
	}
	while (r == 0 && key.data) {
		r = visit(scrub, table, key, stored);
		if (r == 0) {
			r = kv_next(cursor, &key, &stored);
		}
	}
	return r;
}

/* --- the log --- */

static void log_damaged(struct scrub *scrub, struct kv_bytes key, const char *what)
{
	const uint8_t *bytes = key.data;
	unsigned int slot = key.size >= 2 ? bytes_get_u16(bytes) : 0;
	uint64_t epoch = key.size >= 10 ? bytes_get_u64(bytes + 2) : 0;
	uint64_t lsn = key.size >= 18 ? bytes_get_u64(bytes + 10) : 0;

	if (slot < PROTO_SLOTS) {
		scrub->slot_damaged[slot] = true;
	}
	damaged(scrub, &scrub->result.log_damages, "damaged log slot=%u epoch=%llu lsn=%llu: %s",
		slot, (unsigned long long)epoch, (unsigned long long)lsn, what);
}

static int check_fence(struct scrub *scrub, enum kv_table table, struct kv_bytes key,
		       struct kv_bytes stored)
{
	struct segment_fence fence;
	struct kv_bytes value;

	if (key.size != 2 || record_check(table, key, stored, &value) != 0 ||
	    segment_fence_load(scrub->txn, bytes_get_u16(key.data), &fence) != 0) {
		log_damaged(scrub, key, "the fence fails its checksum");
	}
	return 0;
}

static const char *check_body(const struct segment *segment, uint64_t lsn, struct proto_span body,
			      struct proto_id *ret_room, uint64_t *ret_seq)
{
	_cleanup_(proto_message_cleanup) struct proto_message message = PROTO_MESSAGE_INIT;
	const struct proto_event *event;

	if (proto_decode_record(PROTO_RECORD(event), body.data, body.size, &message, NULL) != 0) {
		return "not an event";
	}
	event = message.body;
	*ret_room = event->room;
	*ret_seq = event->seq;
	return event->lsn != lsn || event->epoch != segment->epoch ||
			       proto_id_slot(&event->room) != segment->slot
		       ? "an event of another place"
		       : NULL;
}

static const char *check_entry(struct scrub *scrub, const struct segment *segment, uint64_t lsn,
			       struct segment_hash *hash)
{
	struct segment_entry entry;
	struct segment_hash computed;
	struct proto_id room;
	uint64_t seq;

	if (segment_entry_load(scrub->txn, segment->slot, segment->epoch, lsn, &entry) != 0) {
		return "the entry is missing, or fails its checksum";
	}
	if (!proto_span_equal(segment_hash_span(hash), segment_hash_span(&entry.prev_hash))) {
		return "the entry is not chained to the one before";
	}
	segment_chain(hash, segment->epoch, lsn, entry.body, &computed);
	if (memcmp(computed.bytes, entry.hash, PROTO_HASH_BYTES) != 0) {
		return "the entry has another hash";
	}
	*hash = computed;
	return check_body(segment, lsn, entry.body, &room, &seq);
}

static int check_entries(struct scrub *scrub, const struct segment *segment, struct kv_bytes key)
{
	struct segment_hash hash = segment->prev_hash;

	for (uint64_t lsn = segment->first; lsn <= segment->last; lsn++) {
		const char *what = check_entry(scrub, segment, lsn, &hash);
		struct record_key place = {.size = 0};

		if (what) {
			struct segment_entry entry;

			memcpy(place.bytes, key.data, key.size);
			place.size = key.size;
			record_key_add_u64(&place, lsn);
			log_damaged(scrub, record_key_bytes(&place), what);
			if (lsn < segment->last &&
			    segment_entry_load(scrub->txn, segment->slot, segment->epoch, lsn + 1,
					       &entry) == 0) {
				hash = entry.prev_hash; /* one damage, one line */
			}
		}
		scrub->result.entries++;
	}
	if (!proto_span_equal(segment_hash_span(&hash), segment_hash_span(&segment->last_hash))) {
		log_damaged(scrub, key, "the segment ends with another hash");
	}
	return 0;
}

static int check_segment(struct scrub *scrub, enum kv_table table, struct kv_bytes key,
			 struct kv_bytes stored)
{
	struct segment segment;
	struct segment_fence fence;
	struct kv_bytes value;

	if (record_check(table, key, stored, &value) != 0 ||
	    segment_parse(key, value, &segment) != 0) {
		log_damaged(scrub, key, "the segment's header fails its checksum");
		return 0;
	}
	if (segment.first == 0 || segment.last + 1 < segment.first || segment.slot >= PROTO_SLOTS ||
	    (segment.sealed && segment.last > segment.end)) {
		log_damaged(scrub, key, "the segment's header makes no sense");
		return 0;
	}
	if (segment_fence_load(scrub->txn, segment.slot, &fence) != 0 ||
	    fence.epoch < segment.epoch) {
		log_damaged(scrub, key, "the segment is newer than the fence");
	}
	return check_entries(scrub, &segment, key);
}

/* Entries that no header knows. */
static int check_orphan(struct scrub *scrub, enum kv_table table, struct kv_bytes key,
			struct kv_bytes stored)
{
	const uint8_t *bytes = key.data;
	struct segment segment;
	uint64_t lsn;

	(void)table;
	(void)stored;
	if (key.size != 18 || bytes_get_u16(bytes) >= PROTO_SLOTS) {
		log_damaged(scrub, key, "the entry has no key of an entry");
		return 0;
	}
	lsn = bytes_get_u64(bytes + 10);
	if (segment_load(scrub->txn, bytes_get_u16(bytes), bytes_get_u64(bytes + 2), &segment) ==
		    0 &&
	    (segment.epoch == 0 || lsn < segment.first || lsn > segment.last)) {
		log_damaged(scrub, key, "the entry belongs to no segment");
	}
	return 0;
}

static int check_log(struct scrub *scrub)
{
	int r = each_row(scrub, KV_FENCES, check_fence);

	if (r == 0) {
		r = each_row(scrub, KV_SEGMENTS, check_segment);
	}
	return r == 0 ? each_row(scrub, KV_ENTRIES, check_orphan) : r;
}

/* --- the views --- */

static const char *const view_names[KV_TABLES] = {
	[KV_PROGRESS] = "progress", [KV_ROOMS] = "rooms",	  [KV_EVENTS] = "events",
	[KV_TIMELINE] = "timeline", [KV_REACTIONS] = "reactions", [KV_STATE] = "state",
	[KV_CMIDS] = "cmids",	    [KV_CLIENTS] = "clients",
};

static bool has_seq(enum kv_table table)
{
	return table == KV_EVENTS || table == KV_TIMELINE || table == KV_REACTIONS;
}

static void view_damaged(struct scrub *scrub, enum kv_table table, struct kv_bytes key,
			 const char *what)
{
	const uint8_t *bytes = key.data;
	char room_text[PROTO_ID_TEXT_BYTES] = "-";
	unsigned int slot = key.size >= 2 ? bytes_get_u16(bytes) : 0;
	unsigned long long seq = 0;

	if (key.size >= PROTO_ID_BYTES) {
		struct proto_id room;

		memcpy(room.bytes, bytes, PROTO_ID_BYTES);
		proto_id_format(&room, room_text);
		slot = proto_id_slot(&room);
		seq = has_seq(table) && key.size >= PROTO_ID_BYTES + 8
			      ? bytes_get_u64(bytes + PROTO_ID_BYTES)
			      : 0;
	}
	damaged(scrub, &scrub->result.view_damages, "damaged view %s slot=%u room=%s seq=%llu: %s",
		view_names[table], slot, room_text, seq, what);
}

static bool is_comparable(const struct scrub *scrub, struct kv_bytes key)
{
	struct proto_id room = {0};
	unsigned int slot;

	if (key.size < PROTO_ID_BYTES) {
		slot = key.size >= 2 ? bytes_get_u16(key.data) : 0;
	} else {
		memcpy(room.bytes, key.data, PROTO_ID_BYTES);
		slot = proto_id_slot(&room);
	}
	return slot < PROTO_SLOTS && !scrub->slot_damaged[slot];
}

static int compare_keys(struct kv_bytes a, struct kv_bytes b)
{
	size_t size = a.size < b.size ? a.size : b.size;
	int order;

	if (!a.data || !b.data) {
		return (a.data == NULL) - (b.data == NULL);
	}
	order = memcmp(a.data, b.data, size);
	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

struct row {
	struct kv_cursor *cursor;
	struct kv_bytes key;
	struct kv_bytes stored;
};

static int row_next(struct row *row)
{
	return kv_next(row->cursor, &row->key, &row->stored);
}

static int row_first(struct row *row, struct kv_txn *txn, enum kv_table table)
{
	int r = kv_open(txn, table, &row->cursor);

	return r == 0 ? kv_seek(row->cursor, (struct kv_bytes){0}, &row->key, &row->stored) : r;
}

static void row_end(struct row *row)
{
	kv_close(row->cursor);
}

/* The row here and the row that there should be, whichever comes first. */
static int compare_row(struct scrub *scrub, enum kv_table table, struct row *here,
		       struct row *wanted)
{
	int order = compare_keys(here->key, wanted->key);
	struct kv_bytes value;
	const char *what = NULL;
	struct kv_bytes key = order <= 0 ? here->key : wanted->key;

	if (order <= 0 && record_check(table, here->key, here->stored, &value) != 0) {
		what = "fails its checksum";
	} else if (order < 0) {
		what = is_comparable(scrub, key) ? "is not in the log" : NULL;
	} else if (order > 0) {
		what = is_comparable(scrub, key) ? "is missing" : NULL;
	} else if (here->stored.size != wanted->stored.size ||
		   memcmp(here->stored.data, wanted->stored.data, here->stored.size) != 0) {
		what = is_comparable(scrub, key) ? "differs from the log" : NULL;
	}
	if (what) {
		view_damaged(scrub, table, key, what);
	}
	if (table == KV_ROOMS && order <= 0) {
		scrub->result.rooms++;
	}
	if (order <= 0) {
		int r = row_next(here);

		if (r < 0) {
			return r;
		}
	}
	return order >= 0 ? row_next(wanted) : 0;
}

static int compare_table(struct scrub *scrub, enum kv_table table)
{
	_cleanup_(row_end) struct row here = {0};
	_cleanup_(row_end) struct row wanted = {0};
	int r = row_first(&here, scrub->txn, table);

	if (r == 0) {
		r = row_first(&wanted, scrub->scratch, table);
	}
	while (r == 0 && (here.key.data || wanted.key.data)) {
		r = compare_row(scrub, table, &here, &wanted);
	}
	return r;
}

static int compare_views(struct scrub *scrub)
{
	int r = 0;

	for (enum kv_table table = KV_LOG_TABLES; r == 0 && table < KV_TABLES; table++) {
		r = compare_table(scrub, table);
	}
	return r;
}

/* --- making views --- */

static int next_slot(struct kv_txn *txn, unsigned int from, unsigned int *ret_slot)
{
	_cleanup_(kv_cursor_cleanup) struct kv_cursor *cursor = NULL;
	struct record_key start = record_key_slot(from);
	struct kv_bytes key;
	struct kv_bytes stored;
	int r = kv_open(txn, KV_SEGMENTS, &cursor);

	if (r == 0) {
		r = kv_seek(cursor, record_key_bytes(&start), &key, &stored);
	}
	if (r == 0) {
		*ret_slot = key.data && key.size >= 2 ? bytes_get_u16(key.data) : PROTO_SLOTS;
	}
	return r;
}

/* Up to SCRUB_BATCH entries more; `slot` is where it stands, PROTO_SLOTS at the end. */
static int make_some(struct kv_txn *txn, unsigned int *slot, const bool skip[], uint64_t *entries)
{
	uint64_t left = SCRUB_BATCH;
	int r = 0;
	int damage = 0;

	while (r == 0 && left > 0) {
		uint64_t applied = 0;

		r = next_slot(txn, *slot, slot);
		if (r != 0 || *slot >= PROTO_SLOTS) {
			break;
		}
		if (!skip || !skip[*slot]) {
			r = view_advance(txn, *slot, left, &applied);
		}
		if (r > 0) {
			damage = r;
			r = 0;
			left = applied < left ? left : 0;
		}
		left -= applied < left ? applied : left;
		*entries += applied;
		*slot += left > 0;
	}
	return r < 0 ? r : damage;
}

static int make_scratch(struct scrub *scrub, struct kv *scratch)
{
	unsigned int slot = 0;
	uint64_t entries = 0;
	int r = 0;

	while (r >= 0 && slot < PROTO_SLOTS) {
		struct kv_join join;
		struct kv_txn *txn;

		r = kv_begin(scratch, true, &txn);
		if (r < 0) {
			return r;
		}
		kv_join_init(&join, scrub->txn, txn);
		r = make_some(&join.txn, &slot, scrub->slot_damaged, &entries);
		if (r < 0) {
			kv_abort(txn);
			return r;
		}
		r = kv_commit(txn);
	}
	return r;
}

static int verify(struct scrub *scrub, struct kv *scratch)
{
	int r = check_log(scrub);

	if (r == 0) {
		r = make_scratch(scrub, scratch);
	}
	if (r == 0) {
		r = kv_begin(scratch, false, &scrub->scratch);
	}
	if (r == 0) {
		r = compare_views(scrub);
		kv_abort(scrub->scratch);
	}
	return r;
}

int scrub_verify(struct kv *kv, struct kv *scratch, void (*tell)(void *context, const char *line),
		 void *context, struct scrub_result *ret_result)
{
	struct scrub scrub = {.tell = tell, .context = context};
	int r = kv_begin(kv, false, &scrub.txn);

	if (r < 0) {
		return r;
	}
	r = verify(&scrub, scratch);
	kv_abort(scrub.txn);
	if (r == 0) {
		*ret_result = scrub.result;
	}
	return r;
}

static int clear_views(struct kv *kv)
{
	struct kv_txn *txn;
	int r = kv_begin(kv, true, &txn);

	if (r < 0) {
		return r;
	}
	for (enum kv_table table = KV_LOG_TABLES; r == 0 && table < KV_TABLES; table++) {
		r = kv_clear(txn, table);
	}
	if (r < 0) {
		kv_abort(txn);
		return r;
	}
	return kv_commit(txn);
}

int scrub_rebuild(struct kv *kv, uint64_t *ret_entries)
{
	unsigned int slot = 0;
	uint64_t entries = 0;
	int damage = 0;
	int r = clear_views(kv);

	while (r == 0 && slot < PROTO_SLOTS) {
		struct kv_txn *txn;

		r = kv_begin(kv, true, &txn);
		if (r < 0) {
			return r;
		}
		r = make_some(txn, &slot, NULL, &entries);
		if (r < 0) {
			kv_abort(txn);
			return r;
		}
		damage = r > 0 ? r : damage;
		r = kv_commit(txn);
	}
	*ret_entries = entries;
	return r < 0 ? r : damage;
}
