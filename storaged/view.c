/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Entries go into the views in the order of epoch and lsn, each once: `progress` moves in the same
 * transaction. A segment that is not sealed holds the later ones back, since they rest on where it
 * ends. So does one that is missing: views are made of the log from its first entry on or not at
 * all, which is why `progress` tells what they are good for.
 *
 * What an event does is one row of `effects`. Rights were checked by roomd; what makes no sense
 * here (an edit of what is no message, a reaction to a removed one) changes nothing but the room's
 * seq. All that an event needs is read before its first write, so that damage found there leaves
 * nothing half done.
 */

#include "storaged/view.h"

#include <errno.h>
#include "services/cleanup.h"
#include "storaged/bytes.h"
#include "storaged/reaction.h"
#include "storaged/record.h"
#include "storaged/segment.h"

#define PROGRESS_BYTES 16
#define ROOM_BYTES 24

/* An event on its way into the views. */
struct applying {
	struct kv_txn *txn;
	const struct proto_event *event;
	struct proto_span body;
	struct view_room room;
	struct proto_message old; /* the item of `target`, if there is one */
	struct proto_item item; /* to write, at its seq */
	bool has_item;
	struct reaction_room reactions;
	struct proto_buffer out;
};

/* --- records --- */

int view_progress_load(struct kv_txn *txn, unsigned int slot, struct view_progress *ret_progress)
{
	struct record_key key = record_key_slot(slot);
	struct kv_bytes value;
	int r = record_get(txn, KV_PROGRESS, &key, &value);

	if (r != 0) {
		return r;
	}
	*ret_progress = (struct view_progress){0};
	if (value.data) {
		if (value.size != PROGRESS_BYTES) {
			return PROTO_E_DAMAGED;
		}
		ret_progress->epoch = bytes_get_u64(value.data);
		ret_progress->lsn = bytes_get_u64((const uint8_t *)value.data + 8);
	}
	return 0;
}

static int progress_store(struct kv_txn *txn, unsigned int slot,
			  const struct view_progress *progress)
{
	struct record_key key = record_key_slot(slot);
	uint8_t value[PROGRESS_BYTES];

	bytes_put_u64(value, progress->epoch);
	bytes_put_u64(value + 8, progress->lsn);
	return record_put(txn, KV_PROGRESS, &key, value, sizeof(value));
}

int view_reflects(struct kv_txn *txn, unsigned int slot, uint64_t lac)
{
	struct view_progress progress;
	int r = view_progress_load(txn, slot, &progress);

	return r == 0 && progress.lsn < lac ? PROTO_E_GAP : r;
}

int view_room_load(struct kv_txn *txn, const struct proto_id *room, struct view_room *ret_room)
{
	struct record_key key = record_key_room(room);
	struct kv_bytes value;
	int r = record_get(txn, KV_ROOMS, &key, &value);

	if (r != 0) {
		return r;
	}
	*ret_room = (struct view_room){0};
	if (value.data) {
		if (value.size != ROOM_BYTES) {
			return PROTO_E_DAMAGED;
		}
		ret_room->seq = bytes_get_u64(value.data);
		ret_room->time = bytes_get_u64((const uint8_t *)value.data + 8);
		ret_room->items = bytes_get_u64((const uint8_t *)value.data + 16);
	}
	return 0;
}

static int room_store(const struct applying *applying, bool new_item)
{
	const struct proto_event *event = applying->event;
	struct record_key key = record_key_room(&event->room);
	uint8_t value[ROOM_BYTES];

	bytes_put_u64(value, event->seq);
	bytes_put_u64(value + 8, event->time);
	bytes_put_u64(value + 16, applying->room.items + new_item);
	return record_put(applying->txn, KV_ROOMS, &key, value, sizeof(value));
}

static int place_store(const struct applying *applying)
{
	const struct proto_event *event = applying->event;
	struct record_key key = record_key_room(&event->room);
	uint8_t value[16];

	record_key_add_u64(&key, event->seq);
	bytes_put_u64(value, event->epoch);
	bytes_put_u64(value + 8, event->lsn);
	return record_put(applying->txn, KV_EVENTS, &key, value, sizeof(value));
}

static int state_store(const struct applying *applying)
{
	const struct proto_event *event = applying->event;
	struct record_key key = record_key_room(&event->room);

	record_key_add_u8(&key, event->kind);
	record_key_add_id(&key, &event->subject);
	return record_put(applying->txn, KV_STATE, &key, applying->body.data, applying->body.size);
}

/* roomd takes the numbers of a client in growing order: the last one written is the highest. */
static int client_store(const struct applying *applying)
{
	const struct proto_event *event = applying->event;
	struct record_key key = record_key_room(&event->room);
	uint8_t value[24];
	int r;

	if (proto_id_is_none(&event->client)) {
		return 0;
	}
	bytes_put_u64(value, event->number);
	bytes_put_u64(value + 8, event->seq);
	bytes_put_u64(value + 16, event->time);
	record_key_add_id(&key, &event->client);
	r = record_put(applying->txn, KV_CLIENTS, &key, value, sizeof(value));
	if (r == 0) {
		record_key_add_u64(&key, event->number);
		r = record_put(applying->txn, KV_CMIDS, &key, value + 8, 8);
	}
	return r;
}

static int item_store(struct applying *applying)
{
	struct record_key key = record_key_room(&applying->event->room);
	int r = proto_encode_record(&applying->out, PROTO_RECORD(item), &applying->item);

	if (r < 0) {
		return r;
	}
	record_key_add_u64(&key, applying->item.seq);
	return record_put(applying->txn, KV_TIMELINE, &key, applying->out.data, applying->out.size);
}

/* --- effects --- */

static int make_item(struct applying *applying)
{
	const struct proto_event *event = applying->event;

	applying->has_item = event->access != PROTO_ROOM_KIND_PERSONAL;
	applying->item = (struct proto_item){
		.seq = event->seq,
		.time = event->time,
		.kind = event->kind,
		.user = event->user,
		.name = event->name,
		.bot = event->bot,
		.client = event->client,
		.number = event->number,
		.text = event->text,
		.target = event->target,
		.subject = event->subject,
		.label = event->label,
		.role = event->role,
		.topic = event->topic,
		.access = event->access,
	};
	return 0;
}

/* The message that the event is about, as it stands; none: `item.seq` is 0. */
static int load_target(struct applying *applying)
{
	struct record_key key = record_key_room(&applying->event->room);
	struct kv_bytes value;
	int r;

	record_key_add_u64(&key, applying->event->target);
	r = record_get(applying->txn, KV_TIMELINE, &key, &value);
	if (r != 0 || !value.data) {
		return r;
	}
	r = proto_decode_record(PROTO_RECORD(item), value.data, value.size, &applying->old, NULL);
	if (r != 0) {
		return r < 0 ? r : PROTO_E_DAMAGED;
	}
	applying->item = *(const struct proto_item *)applying->old.body;
	return 0;
}

static bool target_is_open(const struct applying *applying)
{
	return applying->item.kind == PROTO_EVENT_KIND_MESSAGE && applying->item.redacted == 0;
}

static int edit_item(struct applying *applying)
{
	int r = load_target(applying);

	if (r == 0 && target_is_open(applying)) {
		applying->has_item = true;
		applying->item.text = applying->event->text;
		applying->item.edited = applying->event->seq;
		applying->item.edited_time = applying->event->time;
	}
	return r;
}

static int redact_item(struct applying *applying)
{
	int r = load_target(applying);

	if (r == 0 && target_is_open(applying)) {
		applying->has_item = true;
		applying->item.text = (struct proto_span){0};
		applying->item.reactions = (struct proto_list_reaction){0};
		applying->item.redacted = applying->event->seq;
	}
	return r;
}

static struct record_key reaction_key(const struct proto_event *event)
{
	struct record_key key = record_key_room(&event->room);

	record_key_add_u64(&key, event->target);
	record_key_add_id(&key, &event->user);
	record_key_add_span(&key, event->emoji);
	return key;
}

static int react_to_item(struct applying *applying)
{
	const struct proto_event *event = applying->event;
	struct record_key key = reaction_key(event);
	struct kv_bytes given;
	int r = load_target(applying);

	if (r != 0 || !target_is_open(applying) || event->emoji.size == 0) {
		return r;
	}
	r = record_get(applying->txn, KV_REACTIONS, &key, &given);
	if (r != 0 || (given.data != NULL) != event->remove) {
		return r; /* done before: the same again changes nothing */
	}
	applying->has_item = event->remove ? reaction_remove(&applying->item, event->emoji,
							     &event->user, &applying->reactions)
					   : reaction_add(&applying->item, event->emoji,
							  &event->user, &applying->reactions);
	return 0;
}

static int reaction_store(const struct applying *applying)
{
	const struct proto_event *event = applying->event;
	struct record_key key = reaction_key(event);
	uint8_t value[8];

	bytes_put_u64(value, event->seq);
	return event->remove ? record_del(applying->txn, KV_REACTIONS, &key)
			     : record_put(applying->txn, KV_REACTIONS, &key, value, sizeof(value));
}

static const struct effect {
	int (*prepare)(struct applying *applying); /* reads alone */
	bool state;
	bool adds;
} effects[] = {
	[PROTO_EVENT_KIND_MESSAGE] = {.prepare = make_item, .adds = true},
	[PROTO_EVENT_KIND_EDIT] = {.prepare = edit_item},
	[PROTO_EVENT_KIND_REDACTION] = {.prepare = redact_item},
	[PROTO_EVENT_KIND_REACTION] = {.prepare = react_to_item},
	[PROTO_EVENT_KIND_MEMBER] = {.prepare = make_item, .state = true, .adds = true},
	[PROTO_EVENT_KIND_SETTING] = {.prepare = make_item, .state = true, .adds = true},
	[PROTO_EVENT_KIND_JOINED] = {.state = true},
	[PROTO_EVENT_KIND_READ] = {.state = true},
};

/* --- one event --- */

static int write_views(struct applying *applying, const struct effect *effect)
{
	int r = place_store(applying);

	if (r == 0 && applying->has_item) {
		r = item_store(applying);
	}
	if (r == 0 && applying->has_item && applying->event->kind == PROTO_EVENT_KIND_REACTION) {
		r = reaction_store(applying);
	}
	if (r == 0 && effect->state) {
		r = state_store(applying);
	}
	if (r == 0) {
		r = client_store(applying);
	}
	return r == 0 ? room_store(applying, effect->adds && applying->has_item) : r;
}

static int apply_event(struct applying *applying)
{
	static const struct effect none;
	const struct proto_event *event = applying->event;
	size_t known = sizeof(effects) / sizeof(effects[0]);
	const struct effect *effect = event->kind < known ? &effects[event->kind] : &none;
	int r = view_room_load(applying->txn, &event->room, &applying->room);

	if (r != 0 || event->seq <= applying->room.seq) {
		return r;
	}
	if (effect->prepare) {
		r = effect->prepare(applying);
	}
	return r == 0 ? write_views(applying, effect) : r;
}

/* The body is copied: writes may move what the transaction handed out. */
static int apply_entry(struct kv_txn *txn, const struct segment *segment, uint64_t lsn)
{
	char body[PROTO_EVENT_BYTES_MAX];
	struct segment_entry entry;
	struct proto_message message = PROTO_MESSAGE_INIT;
	struct applying *applying;
	int r = segment_entry_load(txn, segment->slot, segment->epoch, lsn, &entry);

	if (r != 0) {
		return r;
	}
	if (entry.body.size > sizeof(body)) {
		return PROTO_E_DAMAGED;
	}
	memcpy(body, entry.body.data, entry.body.size);
	r = proto_decode_record(PROTO_RECORD(event), body, entry.body.size, &message, NULL);
	if (r != 0) {
		return r < 0 ? r : PROTO_E_DAMAGED;
	}
	applying = calloc(1, sizeof(*applying));
	if (!applying) {
		proto_message_deinit(&message);
		return -ENOMEM;
	}
	applying->txn = txn;
	applying->event = message.body;
	applying->body = (struct proto_span){body, entry.body.size};
	r = apply_event(applying);
	proto_buffer_deinit(&applying->out);
	proto_message_deinit(&applying->old);
	free(applying);
	proto_message_deinit(&message);
	return r;
}

/* --- the log --- */

/*
 * Whether `segment` goes on where the views stand: at the slot's first entry, or at the one behind
 * `before`, chained to it. Else older entries are missing here.
 */
static bool goes_on(const struct segment *segment, const struct segment *before,
		    const struct view_progress *progress)
{
	return segment->first == progress->lsn + 1 &&
	       proto_span_equal(segment_hash_span(&segment->prev_hash),
				segment_hash_span(&before->last_hash));
}

/* The segment that holds what comes next; epoch 0: it is not here. */
static int next_segment(struct kv_txn *txn, unsigned int slot, const struct view_progress *progress,
			struct segment *ret_segment)
{
	struct segment before = {.slot = slot};
	struct segment segment;
	int r = 0;

	if (progress->epoch != 0) {
		r = segment_load(txn, slot, progress->epoch, &before);
	}
	if (r != 0 || (progress->epoch != 0 && (!before.sealed || progress->lsn < before.end))) {
		*ret_segment = before;
		return r;
	}
	r = segment_load_from(txn, slot, progress->epoch + 1, &segment);
	if (r == 0) {
		*ret_segment = goes_on(&segment, &before, progress)
				       ? segment
				       : (struct segment){.slot = slot};
	}
	return r;
}

/* What is committed of one segment; `applied` counts. */
static int apply_segment(struct kv_txn *txn, const struct segment *segment,
			 struct view_progress *progress, uint64_t limit, uint64_t *applied)
{
	uint64_t committed = segment_committed(segment);

	if (progress->epoch != segment->epoch) {
		*progress = (struct view_progress){segment->epoch, segment->first - 1};
	}
	while (progress->lsn < committed && *applied < limit) {
		int r = apply_entry(txn, segment, progress->lsn + 1);

		if (r != 0) {
			return r;
		}
		progress->lsn++;
		(*applied)++;
	}
	return 0;
}

int view_advance(struct kv_txn *txn, unsigned int slot, uint64_t limit, uint64_t *ret_applied)
{
	struct view_progress before;
	struct view_progress progress;
	uint64_t applied = 0;
	int r = view_progress_load(txn, slot, &progress);
	int stored = 0;

	before = progress;
	while (r == 0 && applied < limit) {
		struct view_progress here = progress;
		struct segment segment;

		r = next_segment(txn, slot, &progress, &segment);
		if (r != 0 || segment.epoch == 0) {
			break;
		}
		r = apply_segment(txn, &segment, &progress, limit, &applied);
		if (progress.epoch == here.epoch && progress.lsn == here.lsn) {
			break;
		}
	}
	if (r >= 0 && (progress.epoch != before.epoch || progress.lsn != before.lsn)) {
		stored = progress_store(txn, slot, &progress);
	}
	*ret_applied = applied;
	return stored < 0 ? stored : r;
}
