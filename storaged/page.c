/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See page.h. */

#include "storaged/page.h"

#include "services/cleanup.h"
#include "storaged/bytes.h"
#include "storaged/record.h"
#include "storaged/segment.h"
#include "storaged/view.h"

#define PAGE_ITEMS_DEFAULT 50

void page_reset(struct page *page)
{
	for (size_t i = 0; i < page->message_count; i++) {
		proto_message_deinit(&page->messages[i]);
	}
	page->message_count = 0;
	page->bytes = 0;
}

/* Whether one more of `size` bytes would be too much; the first always fits. */
static bool is_full(const struct page *page, uint64_t limit, size_t size)
{
	return page->message_count >= limit ||
	       (page->message_count > 0 && page->bytes + size > PROTO_PAGE_BYTES_MAX);
}

static int add_record(struct page *page, const struct proto_record *record, struct proto_span bytes,
		      const void **ret_body)
{
	struct proto_message *message = &page->messages[page->message_count];
	int r = proto_decode_record(record, bytes.data, bytes.size, message, NULL);

	if (r != 0) {
		return r < 0 ? r : PROTO_E_DAMAGED;
	}
	page->message_count++;
	page->bytes += bytes.size;
	*ret_body = message->body;
	return 0;
}

static struct record_key room_key(const struct proto_id *room, uint64_t seq)
{
	struct record_key key = record_key_room(room);

	record_key_add_u64(&key, seq);
	return key;
}

static uint64_t seq_of(struct kv_bytes key)
{
	return bytes_get_u64((const uint8_t *)key.data + PROTO_ID_BYTES);
}

/* A walk over the rows of one room. */
struct walk {
	enum kv_table table;
	struct record_key prefix;
	struct kv_cursor *cursor;
	struct kv_bytes key; /* no data: the end */
	struct kv_bytes stored;
};

static void walk_end(struct walk *walk)
{
	kv_close(walk->cursor);
}

static int walk_arrive(struct walk *walk, int r)
{
	if (r == 0 && walk->key.data && !record_key_begins(walk->key, &walk->prefix)) {
		walk->key.data = NULL;
	}
	return r;
}

static int walk_begin(struct walk *walk, struct kv_txn *txn, enum kv_table table,
		      const struct proto_id *room, struct kv_bytes from)
{
	int r;

	walk->table = table;
	walk->prefix = record_key_room(room);
	r = kv_open(txn, table, &walk->cursor);
	return walk_arrive(walk,
			   r == 0 ? kv_seek(walk->cursor, from, &walk->key, &walk->stored) : r);
}

static int walk_next(struct walk *walk)
{
	return walk_arrive(walk, kv_next(walk->cursor, &walk->key, &walk->stored));
}

static int walk_prev(struct walk *walk)
{
	return walk_arrive(walk, kv_prev(walk->cursor, &walk->key, &walk->stored));
}

static int walk_value(const struct walk *walk, struct proto_span *ret_value)
{
	struct kv_bytes value;
	int r = record_check(walk->table, walk->key, walk->stored, &value);

	if (r == 0) {
		*ret_value = (struct proto_span){value.data, value.size};
	}
	return r;
}

/* --- timeline --- */

static int collect_items(struct page *page, struct walk *walk, int (*step)(struct walk *walk),
			 uint64_t limit, bool *ret_more)
{
	int r = 0;

	while (r == 0 && walk->key.data && !is_full(page, limit, walk->stored.size)) {
		const void *item;
		struct proto_span value;

		r = walk_value(walk, &value);
		if (r == 0) {
			r = add_record(page, PROTO_RECORD(item), value, &item);
		}
		if (r == 0) {
			page->items[page->message_count - 1] = *(const struct proto_item *)item;
			r = step(walk);
		}
	}
	*ret_more = r == 0 && walk->key.data;
	return r;
}

static void reverse_items(struct page *page)
{
	for (size_t i = 0, j = page->message_count; i + 1 < j; i++) {
		struct proto_item item = page->items[i];

		page->items[i] = page->items[--j];
		page->items[j] = item;
	}
}

int page_timeline(struct page *page, struct kv_txn *txn, const struct proto_timeline_read *read,
		  struct proto_room_page *ret_page)
{
	_cleanup_(walk_end) struct walk walk = {0};
	bool forward = read->after > 0;
	uint64_t limit = read->limit > 0 ? read->limit : PAGE_ITEMS_DEFAULT;
	struct record_key from = room_key(&read->room, forward ? read->after + 1 : read->before);
	struct view_room room;
	bool more;
	int r;

	if (forward && read->before > 0) {
		return PROTO_E_BAD_VALUE;
	}
	if (!forward && read->before == 0) {
		from = room_key(&read->room, UINT64_MAX);
	}
	r = view_reflects(txn, proto_id_slot(&read->room), read->lac);
	if (r == 0) {
		r = view_room_load(txn, &read->room, &room);
	}
	if (r == 0) {
		r = walk_begin(&walk, txn, KV_TIMELINE, &read->room, record_key_bytes(&from));
	}
	if (r == 0 && !forward) {
		r = walk_prev(&walk);
	}
	if (r == 0) {
		r = collect_items(page, &walk, forward ? walk_next : walk_prev, limit, &more);
	}
	if (r != 0) {
		return r;
	}
	if (!forward) {
		reverse_items(page);
	}
	*ret_page = (struct proto_room_page){
		.room = read->room,
		.seq = room.seq,
		.items = {page->items, page->message_count},
		.more = more,
	};
	return 0;
}

/* --- events --- */

static int load_event(struct page *page, struct kv_txn *txn, unsigned int slot,
		      struct proto_span place, uint64_t limit, bool *ret_full)
{
	struct segment_entry entry;
	const void *event;
	int r;

	if (place.size != 16) {
		return PROTO_E_DAMAGED;
	}
	r = segment_entry_load(txn, slot, bytes_get_u64((const uint8_t *)place.data),
			       bytes_get_u64((const uint8_t *)place.data + 8), &entry);
	*ret_full = r == 0 && is_full(page, limit, entry.body.size);
	if (r == 0 && !*ret_full) {
		r = add_record(page, PROTO_RECORD(event), entry.body, &event);
	}
	if (r == 0 && !*ret_full) {
		page->events[page->message_count - 1] = *(const struct proto_event *)event;
	}
	return r;
}

/* Whether the message at `seq` was removed. */
static int is_redacted(struct kv_txn *txn, const struct proto_id *room, uint64_t seq,
		       bool *ret_redacted)
{
	_cleanup_(proto_message_cleanup) struct proto_message message = PROTO_MESSAGE_INIT;
	struct record_key key = room_key(room, seq);
	struct kv_bytes value;
	int r = record_get(txn, KV_TIMELINE, &key, &value);

	*ret_redacted = false;
	if (r != 0 || !value.data) {
		return r;
	}
	r = proto_decode_record(PROTO_RECORD(item), value.data, value.size, &message, NULL);
	if (r == 0) {
		*ret_redacted = ((const struct proto_item *)message.body)->redacted != 0;
	}
	return r > 0 ? PROTO_E_DAMAGED : r;
}

static int blank_event(struct kv_txn *txn, struct proto_event *event)
{
	bool redacted;
	int r;

	if (event->text.size == 0) {
		return 0;
	}
	r = is_redacted(txn, &event->room,
			event->kind == PROTO_EVENT_KIND_EDIT ? event->target : event->seq,
			&redacted);
	if (r == 0 && redacted) {
		event->text = (struct proto_span){0};
	}
	return r;
}

static int collect_events(struct page *page, struct kv_txn *txn, struct walk *walk,
			  const struct proto_events_read *read, bool *ret_more)
{
	uint64_t limit = read->limit > 0 ? read->limit : PROTO_PAGE_MAX;
	bool full = false;
	int r = 0;

	while (r == 0 && walk->key.data) {
		struct proto_span place;

		if (seq_of(walk->key) != read->after + page->message_count + 1) {
			r = page->message_count == 0 ? PROTO_E_GAP : 0;
			break;
		}
		r = walk_value(walk, &place);
		if (r == 0) {
			r = load_event(page, txn, proto_id_slot(&read->room), place, limit, &full);
		}
		if (r != 0 || full) {
			break;
		}
		r = blank_event(txn, &page->events[page->message_count - 1]);
		if (r == 0) {
			r = walk_next(walk);
		}
	}
	*ret_more = walk->key.data != NULL;
	return r;
}

int page_events(struct page *page, struct kv_txn *txn, const struct proto_events_read *read,
		struct proto_room_range *ret_range)
{
	_cleanup_(walk_end) struct walk walk = {0};
	struct record_key from = room_key(&read->room, read->after + 1);
	struct view_room room;
	bool more = false;
	int r = view_reflects(txn, proto_id_slot(&read->room), read->lac);

	if (r == 0) {
		r = view_room_load(txn, &read->room, &room);
	}
	if (r == 0) {
		r = walk_begin(&walk, txn, KV_EVENTS, &read->room, record_key_bytes(&from));
	}
	if (r == 0) {
		r = collect_events(page, txn, &walk, read, &more);
	}
	if (r == 0) {
		*ret_range = (struct proto_room_range){
			.room = read->room,
			.seq = room.seq,
			.events = {page->events, page->message_count},
			.more = more,
		};
	}
	return r;
}

/* --- cmids --- */

static int load_client_last(struct kv_txn *txn, const struct record_key *key, uint64_t *ret_last)
{
	struct kv_bytes value;
	int r = record_get(txn, KV_CLIENTS, key, &value);

	*ret_last = 0;
	if (r != 0 || !value.data) {
		return r;
	}
	if (value.size != 24) {
		return PROTO_E_DAMAGED;
	}
	*ret_last = bytes_get_u64(value.data);
	return 0;
}

static int load_cmid_event(struct page *page, struct kv_txn *txn, const struct proto_id *room,
			   struct kv_bytes seq)
{
	struct record_key key;
	struct kv_bytes value;
	bool full;
	int r;

	if (seq.size != 8) {
		return PROTO_E_DAMAGED;
	}
	key = room_key(room, bytes_get_u64(seq.data));
	r = record_get(txn, KV_EVENTS, &key, &value);
	if (r != 0 || !value.data) {
		return r != 0 ? r : PROTO_E_DAMAGED;
	}
	return load_event(page, txn, proto_id_slot(room),
			  (struct proto_span){value.data, value.size}, 1, &full);
}

int page_cmid(struct page *page, struct kv_txn *txn, const struct proto_cmid_read *read,
	      struct proto_cmid *ret_cmid)
{
	struct record_key key = record_key_room(&read->room);
	struct proto_cmid cmid = {.events.items = page->events};
	struct kv_bytes value;
	int r = view_reflects(txn, proto_id_slot(&read->room), read->lac);

	record_key_add_id(&key, &read->client);
	if (r == 0) {
		r = load_client_last(txn, &key, &cmid.last);
	}
	if (r == 0) {
		record_key_add_u64(&key, read->number);
		r = record_get(txn, KV_CMIDS, &key, &value);
	}
	if (r == 0 && value.data) {
		r = load_cmid_event(page, txn, &read->room, value);
		cmid.events.count = 1;
	}
	if (r == 0) {
		*ret_cmid = cmid;
	}
	return r;
}

/* --- state --- */

/*
 * Two walks, one after the other: state events, then client marks. The cursor is which of them, and
 * the last key that was answered.
 */
enum part {
	PART_STATE,
	PART_CLIENTS,
	PARTS,
};

static const enum kv_table part_tables[PARTS] = {
	[PART_STATE] = KV_STATE,
	[PART_CLIENTS] = KV_CLIENTS,
};

static int collect_state(struct page *page, struct walk *walk, struct proto_state *state,
			 bool *ret_full)
{
	const void *event;
	struct proto_span value;
	int r = walk_value(walk, &value);

	*ret_full = r == 0 && is_full(page, PROTO_PAGE_MAX, value.size);
	if (r != 0 || *ret_full) {
		return r;
	}
	r = add_record(page, PROTO_RECORD(event), value, &event);
	if (r == 0) {
		page->events[state->events.count++] = *(const struct proto_event *)event;
	}
	return r;
}

static int collect_client(struct page *page, struct walk *walk, struct proto_state *state,
			  bool *ret_full)
{
	struct proto_client_mark *mark = &page->clients[state->clients.count];
	struct proto_span value;
	int r = walk_value(walk, &value);

	*ret_full = r == 0 && state->clients.count == PROTO_BATCH_MAX;
	if (r != 0 || *ret_full) {
		return r;
	}
	if (value.size != 24 || walk->key.size != 2 * PROTO_ID_BYTES) {
		return PROTO_E_DAMAGED;
	}
	memcpy(mark->client.bytes, (const uint8_t *)walk->key.data + PROTO_ID_BYTES,
	       PROTO_ID_BYTES);
	mark->number = bytes_get_u64((const uint8_t *)value.data);
	mark->seq = bytes_get_u64((const uint8_t *)value.data + 8);
	state->clients.count++;
	return 0;
}

/* Keys are at most KV_KEY_BYTES_MAX, which leaves room for the first byte. */
static void set_cursor(struct page *page, enum part part, struct kv_bytes key,
		       struct proto_state *state)
{
	page->cursor[0] = (uint8_t)part;
	memcpy(page->cursor + 1, key.data, key.size);
	state->cursor = (struct proto_span){(const char *)page->cursor, 1 + key.size};
}

/* Rows of one part after `after`, or all. */
static int collect_part(struct page *page, struct kv_txn *txn, enum part part,
			struct kv_bytes after, struct proto_state *state, bool *ret_full)
{
	_cleanup_(walk_end) struct walk walk = {0};
	struct record_key start = record_key_room(&state->room);
	bool all = after.size == 0;
	int r = walk_begin(&walk, txn, part_tables[part], &state->room,
			   all ? record_key_bytes(&start) : after);

	if (r == 0 && !all && walk.key.data && walk.key.size == after.size &&
	    memcmp(walk.key.data, after.data, after.size) == 0) {
		r = walk_next(&walk);
	}
	while (r == 0 && walk.key.data && !*ret_full) {
		r = (part == PART_STATE ? collect_state : collect_client)(page, &walk, state,
									  ret_full);
		if (r == 0 && !*ret_full) {
			set_cursor(page, part, walk.key, state);
			r = walk_next(&walk);
		}
	}
	return r;
}

static int read_cursor(const struct proto_state_read *read, enum part *ret_part,
		       struct kv_bytes *ret_after)
{
	struct record_key prefix = record_key_room(&read->room);
	struct kv_bytes after = {0};

	*ret_part = PART_STATE;
	if (read->cursor.size > 0) {
		*ret_part = (enum part)read->cursor.data[0];
		after = (struct kv_bytes){read->cursor.data + 1, read->cursor.size - 1};
		if (*ret_part >= PARTS || !record_key_begins(after, &prefix) ||
		    after.size > KV_KEY_BYTES_MAX) {
			return PROTO_E_BAD_VALUE;
		}
	}
	*ret_after = after;
	return 0;
}

int page_state(struct page *page, struct kv_txn *txn, const struct proto_state_read *read,
	       struct proto_state *ret_state)
{
	struct proto_state state = {
		.room = read->room, .events.items = page->events, .clients.items = page->clients};
	struct kv_bytes after;
	struct view_room room;
	enum part part;
	bool full = false;
	int r = read_cursor(read, &part, &after);

	if (r == 0) {
		r = view_reflects(txn, proto_id_slot(&read->room), read->lac);
	}
	if (r == 0) {
		r = view_room_load(txn, &read->room, &room);
	}
	for (; r == 0 && part < PARTS && !full; part++) {
		r = collect_part(page, txn, part, after, &state, &full);
		after = (struct kv_bytes){0};
	}
	if (r == 0) {
		state.seq = room.seq;
		state.time = room.time;
		state.more = full;
		*ret_state = state;
	}
	return r;
}
