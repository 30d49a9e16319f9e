/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is written where, all as records (record.h):
 *
 *   fences    slot                   epoch, nonce
 *   segments  slot | epoch           first, last, lac, end, sealed, hash before, hash of the last
 *   entries   slot | epoch | lsn     hash before it, hash, event
 *
 * Invariants: the entries of a segment are first … last without gaps, each chained to the one
 * before; no segment is newer than its slot's fence; a sealed segment has nothing past `end`.
 *
 * A segment learns that it is sealed by `release`, or by the first entries of the next one: these
 * name the hash before them, and if that is the hash of our entry there, then nobody can have
 * committed anything of the old segment behind it.
 */

#include "storaged/segment.h"

#include <errno.h>
#include <sodium.h>
#include "services/cleanup.h"
#include "storaged/bytes.h"
#include "storaged/record.h"

#define HASH_STORED_BYTES (1 + PROTO_HASH_BYTES)
#define FENCE_BYTES (8 + PROTO_ID_BYTES)
#define SEGMENT_BYTES (4 * 8 + 1 + 2 * HASH_STORED_BYTES)
#define ENTRY_HEAD_BYTES (HASH_STORED_BYTES + PROTO_HASH_BYTES)

/* --- hashes --- */

struct proto_span segment_hash_span(const struct segment_hash *hash)
{
	return (struct proto_span){(const char *)hash->bytes, hash->size};
}

static bool hash_equal(const struct segment_hash *hash, struct proto_span span)
{
	return proto_span_equal(segment_hash_span(hash), span);
}

static struct segment_hash hash_of(struct proto_span span)
{
	struct segment_hash hash = {.size = span.size};

	if (span.size > 0) {
		memcpy(hash.bytes, span.data, span.size);
	}
	return hash;
}

static void hash_write(uint8_t *to, const struct segment_hash *hash)
{
	to[0] = (uint8_t)hash->size;
	memcpy(to + 1, hash->bytes, PROTO_HASH_BYTES);
}

static int hash_read(const uint8_t *from, struct segment_hash *ret_hash)
{
	if (from[0] != 0 && from[0] != PROTO_HASH_BYTES) {
		return PROTO_E_DAMAGED;
	}
	ret_hash->size = from[0];
	memcpy(ret_hash->bytes, from + 1, PROTO_HASH_BYTES);
	return 0;
}

void segment_chain(const struct segment_hash *prev, uint64_t epoch, uint64_t lsn,
		   struct proto_span body, struct segment_hash *ret_hash)
{
	crypto_generichash_state state;
	uint8_t numbers[16];

	bytes_put_u64(numbers, epoch);
	bytes_put_u64(numbers + 8, lsn);
	crypto_generichash_init(&state, NULL, 0, PROTO_HASH_BYTES);
	crypto_generichash_update(&state, prev->bytes, prev->size);
	crypto_generichash_update(&state, numbers, sizeof(numbers));
	crypto_generichash_update(&state, (const unsigned char *)body.data, body.size);
	crypto_generichash_final(&state, ret_hash->bytes, PROTO_HASH_BYTES);
	ret_hash->size = PROTO_HASH_BYTES;
}

/* --- records --- */

static struct record_key segment_key(unsigned int slot, uint64_t epoch)
{
	struct record_key key = record_key_slot(slot);

	record_key_add_u64(&key, epoch);
	return key;
}

static struct record_key entry_key(unsigned int slot, uint64_t epoch, uint64_t lsn)
{
	struct record_key key = segment_key(slot, epoch);

	record_key_add_u64(&key, lsn);
	return key;
}

int segment_fence_load(struct kv_txn *txn, unsigned int slot, struct segment_fence *ret_fence)
{
	struct record_key key = record_key_slot(slot);
	struct segment_fence fence = {0};
	struct kv_bytes value;
	int r = record_get(txn, KV_FENCES, &key, &value);

	if (r != 0) {
		return r;
	}
	if (value.data) {
		if (value.size != FENCE_BYTES) {
			return PROTO_E_DAMAGED;
		}
		fence.epoch = bytes_get_u64(value.data);
		memcpy(fence.nonce.bytes, (const uint8_t *)value.data + 8, PROTO_ID_BYTES);
	}
	*ret_fence = fence;
	return 0;
}

static int fence_store(struct kv_txn *txn, unsigned int slot, const struct segment_fence *fence)
{
	struct record_key key = record_key_slot(slot);
	uint8_t value[FENCE_BYTES];

	bytes_put_u64(value, fence->epoch);
	memcpy(value + 8, fence->nonce.bytes, PROTO_ID_BYTES);
	return record_put(txn, KV_FENCES, &key, value, sizeof(value));
}

int segment_parse(struct kv_bytes key, struct kv_bytes value, struct segment *ret_segment)
{
	const uint8_t *from = value.data;
	struct segment segment = {0};
	int r;

	if (key.size != 10 || value.size != SEGMENT_BYTES) {
		return PROTO_E_DAMAGED;
	}
	segment.slot = bytes_get_u16(key.data);
	segment.epoch = bytes_get_u64((const uint8_t *)key.data + 2);
	segment.first = bytes_get_u64(from);
	segment.last = bytes_get_u64(from + 8);
	segment.lac = bytes_get_u64(from + 16);
	segment.end = bytes_get_u64(from + 24);
	segment.sealed = from[32] != 0;
	r = hash_read(from + 33, &segment.prev_hash);
	if (r == 0) {
		r = hash_read(from + 33 + HASH_STORED_BYTES, &segment.last_hash);
	}
	if (r == 0) {
		*ret_segment = segment;
	}
	return r;
}

static int segment_store(struct kv_txn *txn, const struct segment *segment)
{
	struct record_key key = segment_key(segment->slot, segment->epoch);
	uint8_t value[SEGMENT_BYTES];

	bytes_put_u64(value, segment->first);
	bytes_put_u64(value + 8, segment->last);
	bytes_put_u64(value + 16, segment->lac);
	bytes_put_u64(value + 24, segment->end);
	value[32] = segment->sealed;
	hash_write(value + 33, &segment->prev_hash);
	hash_write(value + 33 + HASH_STORED_BYTES, &segment->last_hash);
	return record_put(txn, KV_SEGMENTS, &key, value, sizeof(value));
}

int segment_load(struct kv_txn *txn, unsigned int slot, uint64_t epoch, struct segment *ret_segment)
{
	struct record_key key = segment_key(slot, epoch);
	struct kv_bytes value;
	int r = record_get(txn, KV_SEGMENTS, &key, &value);

	if (r != 0) {
		return r;
	}
	if (!value.data) {
		*ret_segment = (struct segment){.slot = slot};
		return 0;
	}
	return segment_parse(record_key_bytes(&key), value, ret_segment);
}

/* The segment that a cursor stands on, if it is one of the slot. */
static int load_found(unsigned int slot, struct kv_bytes key, struct kv_bytes stored,
		      struct segment *ret_segment)
{
	struct record_key prefix = record_key_slot(slot);
	struct kv_bytes value;
	int r;

	if (!key.data || !record_key_begins(key, &prefix)) {
		*ret_segment = (struct segment){.slot = slot};
		return 0;
	}
	r = record_check(KV_SEGMENTS, key, stored, &value);
	return r == 0 ? segment_parse(key, value, ret_segment) : r;
}

int segment_load_from(struct kv_txn *txn, unsigned int slot, uint64_t epoch,
		      struct segment *ret_segment)
{
	_cleanup_(kv_cursor_cleanup) struct kv_cursor *cursor = NULL;
	struct record_key from = segment_key(slot, epoch);
	struct kv_bytes key;
	struct kv_bytes value;
	int r = kv_open(txn, KV_SEGMENTS, &cursor);

	if (r == 0) {
		r = kv_seek(cursor, record_key_bytes(&from), &key, &value);
	}
	return r == 0 ? load_found(slot, key, value, ret_segment) : r;
}

int segment_load_until(struct kv_txn *txn, unsigned int slot, uint64_t epoch,
		       struct segment *ret_segment)
{
	_cleanup_(kv_cursor_cleanup) struct kv_cursor *cursor = NULL;
	struct record_key after = segment_key(slot, epoch + 1);
	struct kv_bytes key;
	struct kv_bytes value;
	int r = kv_open(txn, KV_SEGMENTS, &cursor);

	if (r == 0) {
		r = kv_seek(cursor, record_key_bytes(&after), &key, &value);
	}
	if (r == 0) {
		r = kv_prev(cursor, &key, &value);
	}
	return r == 0 ? load_found(slot, key, value, ret_segment) : r;
}

int segment_entry_parse(struct kv_bytes value, struct segment_entry *ret_entry)
{
	const uint8_t *from = value.data;
	int r;

	if (value.size <= ENTRY_HEAD_BYTES) {
		return PROTO_E_DAMAGED;
	}
	r = hash_read(from, &ret_entry->prev_hash);
	memcpy(ret_entry->hash, from + HASH_STORED_BYTES, PROTO_HASH_BYTES);
	ret_entry->body = (struct proto_span){(const char *)from + ENTRY_HEAD_BYTES,
					      value.size - ENTRY_HEAD_BYTES};
	return r;
}

int segment_entry_load(struct kv_txn *txn, unsigned int slot, uint64_t epoch, uint64_t lsn,
		       struct segment_entry *ret_entry)
{
	struct record_key key = entry_key(slot, epoch, lsn);
	struct kv_bytes value;
	int r = record_get(txn, KV_ENTRIES, &key, &value);

	if (r != 0) {
		return r;
	}
	return value.data ? segment_entry_parse(value, ret_entry) : PROTO_E_DAMAGED;
}

static int entry_store(struct kv_txn *txn, const struct segment *segment,
		       const struct segment_hash *hash, struct proto_span body)
{
	struct record_key key = entry_key(segment->slot, segment->epoch, segment->last + 1);
	uint8_t head[ENTRY_HEAD_BYTES];

	hash_write(head, &segment->last_hash);
	memcpy(head + HASH_STORED_BYTES, hash->bytes, PROTO_HASH_BYTES);
	return record_put_pair(txn, KV_ENTRIES, &key, (struct kv_bytes){head, sizeof(head)},
			       (struct kv_bytes){body.data, body.size});
}

/* The hash after `lsn`, which lies in first - 1 … last. */
static int hash_at(struct kv_txn *txn, const struct segment *segment, uint64_t lsn,
		   struct segment_hash *ret_hash)
{
	struct segment_entry entry;
	int r;

	if (lsn < segment->first || lsn == segment->last) {
		*ret_hash = lsn < segment->first ? segment->prev_hash : segment->last_hash;
		return 0;
	}
	r = segment_entry_load(txn, segment->slot, segment->epoch, lsn, &entry);
	if (r == 0) {
		ret_hash->size = PROTO_HASH_BYTES;
		memcpy(ret_hash->bytes, entry.hash, PROTO_HASH_BYTES);
	}
	return r;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t segment_committed(const struct segment *segment)
{
	uint64_t known = segment->sealed ? segment->end : segment->lac;

	return most(least(known, segment->last), segment->first - 1);
}

static int refuse(struct segment_answer *answer, enum proto_code error, const char *detail)
{
	answer->detail = detail;
	return (int)error;
}

/* --- who may write --- */

/* `ret_fence` is the fence as it will stand. */
static int check_fence(struct kv_txn *txn, unsigned int slot, uint64_t epoch,
		       const struct proto_id *nonce, struct segment_fence *ret_fence,
		       bool *ret_raised, struct segment_answer *answer)
{
	struct segment_fence fence;
	int r;

	if (epoch == 0) {
		return refuse(answer, PROTO_E_BAD_VALUE, "epochs begin with 1");
	}
	r = segment_fence_load(txn, slot, &fence);
	if (r != 0) {
		return r;
	}
	if (epoch < fence.epoch || (epoch == fence.epoch && !proto_id_equal(nonce, &fence.nonce))) {
		answer->next = fence.epoch;
		return refuse(answer, PROTO_E_FENCED, NULL);
	}
	*ret_raised = epoch > fence.epoch;
	*ret_fence = (struct segment_fence){epoch, *nonce};
	return 0;
}

/* --- append and copy --- */

/* Both are this: entries for a segment, by an owner. */
struct write {
	unsigned int slot;
	uint64_t epoch;
	struct proto_id nonce;
	uint64_t segment_epoch;
	uint64_t first;
	uint64_t lac;
	struct proto_span prev_hash;
	struct proto_list_entry entries;
	/* found by the checks */
	struct segment_fence fence;
	bool fence_raised;
	bool made; /* the segment is new */
	struct segment segment;
	size_t known; /* of `entries` that are here already */
	struct segment before; /* which this proves sealed at first - 1; epoch 0: none */
	struct segment_hash before_hash;
};

static int check_shape(const struct write *write, struct segment_answer *answer)
{
	if (write->segment_epoch == 0 || write->first == 0) {
		return refuse(answer, PROTO_E_BAD_VALUE, "epochs and lsns begin with 1");
	}
	if (write->prev_hash.size != 0 && write->prev_hash.size != PROTO_HASH_BYTES) {
		return refuse(answer, PROTO_E_BAD_VALUE, "prev_hash: 32 bytes, or empty");
	}
	for (size_t i = 0; i < write->entries.count; i++) {
		const struct proto_entry *entry = &write->entries.items[i];

		if (entry->lsn != write->entries.items[0].lsn + i || entry->lsn < write->first) {
			return refuse(answer, PROTO_E_BAD_VALUE,
				      "entries: consecutive, from `first` on");
		}
		if (entry->hash.size != PROTO_HASH_BYTES) {
			return refuse(answer, PROTO_E_BAD_VALUE, "hash: 32 bytes");
		}
		if (entry->epoch != 0 && entry->epoch != write->segment_epoch) {
			return refuse(answer, PROTO_E_BAD_VALUE, "entries: of the segment's epoch");
		}
	}
	if (write->entries.count > 0 && write->entries.items[0].lsn == write->first &&
	    (write->first == 1) != (write->prev_hash.size == 0)) {
		return refuse(answer, PROTO_E_BAD_VALUE, "prev_hash: empty before lsn 1 alone");
	}
	return 0;
}

static int load_target(struct kv_txn *txn, struct write *write, struct segment_answer *answer)
{
	struct segment *segment = &write->segment;
	int r = segment_load(txn, write->slot, write->segment_epoch, segment);

	if (r != 0) {
		return r;
	}
	if (segment->epoch != 0) {
		return segment->first == write->first ? 0
						      : refuse(answer, PROTO_E_BAD_VALUE,
							       "first: another one than before");
	}
	write->made = true;
	*segment = (struct segment){
		.slot = write->slot,
		.epoch = write->segment_epoch,
		.first = write->first,
		.last = write->first - 1,
		.prev_hash = hash_of(write->prev_hash),
		.last_hash = hash_of(write->prev_hash),
	};
	return 0;
}

/* Entries that are here must be the same; the rest must follow without a gap. */
static int check_place(struct kv_txn *txn, struct write *write, struct segment_answer *answer)
{
	const struct segment *segment = &write->segment;
	const struct proto_entry *entries = write->entries.items;

	if (entries[0].lsn > segment->last + 1) {
		answer->next = segment->last + 1;
		return refuse(answer, PROTO_E_GAP, NULL);
	}
	if (segment->sealed && entries[write->entries.count - 1].lsn > segment->end) {
		return refuse(answer, PROTO_E_CONFLICT, "the segment is sealed before this entry");
	}
	for (; write->known < write->entries.count && entries[write->known].lsn <= segment->last;
	     write->known++) {
		struct segment_entry stored;
		int r = segment_entry_load(txn, segment->slot, segment->epoch,
					   entries[write->known].lsn, &stored);

		if (r != 0) {
			return r;
		}
		if (memcmp(stored.hash, entries[write->known].hash.data, PROTO_HASH_BYTES) != 0) {
			return refuse(answer, PROTO_E_CONFLICT, "another entry stands at this lsn");
		}
	}
	if (write->known == 0 && !hash_equal(&segment->last_hash, write->prev_hash)) {
		return refuse(answer, PROTO_E_CONFLICT,
			      "prev_hash: another entry stands before these");
	}
	return 0;
}

/* An event that says of itself what its place says: the views need not ask again. */
static int check_body(const struct write *write, const struct proto_entry *entry,
		      struct segment_answer *answer)
{
	_cleanup_(proto_message_cleanup) struct proto_message message = PROTO_MESSAGE_INIT;
	const struct proto_event *event;
	int r = proto_decode_record(PROTO_RECORD(event), entry->body.data, entry->body.size,
				    &message, NULL);

	if (r != 0) {
		return r < 0 ? r : refuse(answer, PROTO_E_BAD_VALUE, "body: not an event");
	}
	event = message.body;
	if (event->epoch != write->segment_epoch || event->lsn != entry->lsn || event->seq == 0 ||
	    proto_id_slot(&event->room) != write->slot) {
		return refuse(answer, PROTO_E_BAD_VALUE, "body: an event of another place");
	}
	return 0;
}

static int check_new(const struct write *write, struct segment_answer *answer)
{
	struct segment_hash hash = write->segment.last_hash;

	for (size_t i = write->known; i < write->entries.count; i++) {
		const struct proto_entry *entry = &write->entries.items[i];
		struct segment_hash next;
		int r;

		segment_chain(&hash, write->segment_epoch, entry->lsn, entry->body, &next);
		if (!hash_equal(&next, entry->hash)) {
			return refuse(answer, PROTO_E_BAD_VALUE, "hash: not that of the entry");
		}
		r = check_body(write, entry, answer);
		if (r != 0) {
			return r;
		}
		hash = next;
	}
	return 0;
}

/*
 * What the segment before must be for a new one to begin at `first`. See the head of this file; a
 * hash that can't be read proves nothing, and leaves it to `release`.
 */
static int check_before(struct kv_txn *txn, struct write *write, struct segment_answer *answer)
{
	struct segment before;
	struct segment_hash hash;
	uint64_t end = write->first - 1;
	int r = segment_load_until(txn, write->slot, write->segment_epoch - 1, &before);

	if (r != 0 || before.epoch == 0) {
		return r;
	}
	if (end < (before.sealed ? before.end : before.lac)) {
		return refuse(answer, PROTO_E_CONFLICT, "first: before what is committed");
	}
	if (before.sealed || end + 1 < before.first || end > before.last) {
		return 0;
	}
	r = hash_at(txn, &before, end, &hash);
	if (r == 0 && hash_equal(&hash, write->prev_hash)) {
		write->before = before;
		write->before_hash = hash;
	}
	return r < 0 ? r : 0;
}

/* `hash` is that of `end`, which is not before what is committed. */
static int seal_at(struct kv_txn *txn, struct segment *segment, uint64_t end,
		   const struct segment_hash *hash)
{
	while (segment->last > end) {
		struct record_key key = entry_key(segment->slot, segment->epoch, segment->last);
		int r = record_del(txn, KV_ENTRIES, &key);

		if (r < 0) {
			return r;
		}
		segment->last--;
		segment->last_hash = *hash;
	}
	segment->sealed = true;
	segment->end = end;
	segment->lac = end;
	return segment_store(txn, segment);
}

static int write_entries(struct kv_txn *txn, struct write *write)
{
	struct segment *segment = &write->segment;

	if (write->before.epoch != 0) {
		int r = seal_at(txn, &write->before, write->first - 1, &write->before_hash);

		if (r < 0) {
			return r;
		}
	}
	for (size_t i = write->known; i < write->entries.count; i++) {
		const struct proto_entry *entry = &write->entries.items[i];
		struct segment_hash hash = hash_of(entry->hash);
		int r = entry_store(txn, segment, &hash, entry->body);

		if (r < 0) {
			return r;
		}
		segment->last++;
		segment->last_hash = hash;
	}
	return segment_store(txn, segment);
}

static int check_write(struct kv_txn *txn, struct write *write, struct segment_answer *answer)
{
	int r = check_fence(txn, write->slot, write->epoch, &write->nonce, &write->fence,
			    &write->fence_raised, answer);

	if (r == 0) {
		r = check_shape(write, answer);
	}
	if (r == 0) {
		r = load_target(txn, write, answer);
	}
	if (r != 0 || write->entries.count == 0) {
		return r;
	}
	r = check_place(txn, write, answer);
	if (r == 0) {
		r = check_new(write, answer);
	}
	if (r == 0 && write->made) {
		r = check_before(txn, write, answer);
	}
	return r;
}

static void answer_segment(const struct segment *segment, struct segment_answer *answer)
{
	answer->last = segment->last >= segment->first ? segment->last : 0;
	answer->last_hash = segment->last_hash;
	answer->lac = segment->lac;
}

static int run_write(struct kv_txn *txn, struct write *write, struct segment_answer *answer)
{
	struct segment *segment = &write->segment;
	bool learned;
	int r = check_write(txn, write, answer);

	if (r != 0) {
		return r;
	}
	if (write->fence_raised) {
		r = fence_store(txn, write->slot, &write->fence);
	}
	learned = !segment->sealed && write->lac > segment->lac && write->lac >= segment->first;
	if (learned) {
		segment->lac = write->lac;
	}
	if (r == 0 && (write->known < write->entries.count || (learned && !write->made))) {
		r = write_entries(txn, write);
	}
	answer_segment(segment, answer);
	return r;
}

int segment_append(struct kv_txn *txn, const struct proto_append *append,
		   struct segment_answer *ret_answer)
{
	struct write write = {
		.slot = (unsigned int)append->slot,
		.epoch = append->epoch,
		.nonce = append->nonce,
		.segment_epoch = append->epoch,
		.first = append->first,
		.lac = append->lac,
		.prev_hash = append->prev_hash,
		.entries = append->entries,
	};

	*ret_answer = (struct segment_answer){0};
	return run_write(txn, &write, ret_answer);
}

int segment_copy(struct kv_txn *txn, const struct proto_copy *copy,
		 struct segment_answer *ret_answer)
{
	struct write write = {
		.slot = (unsigned int)copy->slot,
		.epoch = copy->epoch,
		.nonce = copy->nonce,
		.segment_epoch = copy->segment,
		.first = copy->first,
		.prev_hash = copy->prev_hash,
		.entries = copy->entries,
	};

	*ret_answer = (struct segment_answer){0};
	if (copy->segment >= copy->epoch) {
		return refuse(ret_answer, PROTO_E_BAD_VALUE, "segment: of an earlier epoch");
	}
	return run_write(txn, &write, ret_answer);
}

/* --- seal --- */

/* The entries that a new owner will decide about, and the last one. */
static int check_tail(struct kv_txn *txn, const struct segment *segment)
{
	uint64_t lsn = least(most(segment->lac, segment->first), segment->last);

	for (; lsn >= segment->first && lsn <= segment->last; lsn++) {
		struct segment_entry entry;
		int r = segment_entry_load(txn, segment->slot, segment->epoch, lsn, &entry);

		if (r != 0) {
			return r;
		}
		if (lsn == segment->last &&
		    memcmp(entry.hash, segment->last_hash.bytes, PROTO_HASH_BYTES) != 0) {
			return PROTO_E_DAMAGED;
		}
	}
	return 0;
}

int segment_seal(struct kv_txn *txn, const struct proto_seal *seal,
		 struct segment_answer *ret_answer)
{
	struct segment segment = {0};
	struct segment_fence fence;
	bool raised;
	int r;

	*ret_answer = (struct segment_answer){0};
	if (seal->segment >= seal->epoch) {
		return refuse(ret_answer, PROTO_E_BAD_VALUE, "segment: of an earlier epoch");
	}
	r = check_fence(txn, (unsigned int)seal->slot, seal->epoch, &seal->nonce, &fence, &raised,
			ret_answer);
	if (r == 0 && seal->segment > 0) {
		r = segment_load(txn, (unsigned int)seal->slot, seal->segment, &segment);
	}
	if (r == 0 && segment.epoch != 0) {
		r = check_tail(txn, &segment);
		answer_segment(&segment, ret_answer);
	}
	if (r == 0 && raised) {
		r = fence_store(txn, (unsigned int)seal->slot, &fence);
	}
	return r;
}

/* --- release --- */

static int check_end(const struct segment *segment, uint64_t end, struct segment_answer *answer)
{
	if (end + 1 < segment->first) {
		return refuse(answer, PROTO_E_BAD_VALUE, "lac: before the segment");
	}
	if (segment->sealed && segment->end != end) {
		return refuse(answer, PROTO_E_CONFLICT, "the segment is sealed at another lsn");
	}
	if (!segment->sealed && end < segment->lac) {
		return refuse(answer, PROTO_E_CONFLICT, "lac: before what is committed");
	}
	return 0;
}

static int release_sealed(struct kv_txn *txn, struct segment *segment, uint64_t end,
			  struct segment_answer *answer)
{
	struct segment_hash hash = segment->last_hash;
	int r = check_end(segment, end, answer);

	if (r != 0 || segment->sealed) {
		return r;
	}
	if (end < segment->last) {
		r = hash_at(txn, segment, end, &hash);
	}
	return r == 0 ? seal_at(txn, segment, end, &hash) : r;
}

static int release_open(struct kv_txn *txn, struct segment *segment, uint64_t lac)
{
	if (segment->sealed || lac <= segment->lac || lac < segment->first) {
		return 0;
	}
	segment->lac = lac;
	return segment_store(txn, segment);
}

int segment_release(struct kv_txn *txn, const struct proto_release *release,
		    struct segment_answer *ret_answer)
{
	struct segment segment;
	struct segment_fence fence;
	bool raised;
	int r;

	*ret_answer = (struct segment_answer){0};
	if (release->segment > release->epoch) {
		return refuse(ret_answer, PROTO_E_BAD_VALUE, "segment: of a later epoch");
	}
	r = check_fence(txn, (unsigned int)release->slot, release->epoch, &release->nonce, &fence,
			&raised, ret_answer);
	if (r == 0) {
		r = segment_load(txn, (unsigned int)release->slot, release->segment, &segment);
	}
	if (r == 0 && segment.epoch != 0) {
		r = release->sealed ? release_sealed(txn, &segment, release->lac, ret_answer)
				    : release_open(txn, &segment, release->lac);
	}
	if (r == 0 && raised) {
		r = fence_store(txn, (unsigned int)release->slot, &fence);
	}
	return r;
}

/* --- what readers know --- */

int segment_learn(struct kv_txn *txn, unsigned int slot, uint64_t lac)
{
	struct segment segment;
	struct segment_fence fence;
	int r = segment_load_until(txn, slot, PROTO_NUMBER_MAX, &segment);

	if (r == 0) {
		r = segment_fence_load(txn, slot, &fence);
	}
	if (r != 0 || segment.epoch == 0 || segment.sealed || segment.epoch != fence.epoch ||
	    segment.lac >= segment.last || lac <= segment.lac || lac < segment.first) {
		return r;
	}
	segment.lac = lac;
	return segment_store(txn, &segment);
}

/* --- reading --- */

/* The segment, or the one before it that has `from`. */
static int find_readable(struct kv_txn *txn, const struct proto_entries_read *read,
			 struct segment *ret_segment)
{
	int r = segment_load_until(txn, (unsigned int)read->slot, read->segment, ret_segment);

	while (r == 0 && ret_segment->epoch != 0 && read->from < ret_segment->first) {
		r = segment_load_until(txn, (unsigned int)read->slot, ret_segment->epoch - 1,
				       ret_segment);
	}
	return r;
}

static int read_items(struct kv_txn *txn, const struct segment *segment, uint64_t from,
		      size_t limit, struct proto_entry items[], size_t *ret_count)
{
	size_t bytes = 0;
	size_t n = 0;

	for (; n < limit && bytes < PROTO_PAGE_BYTES_MAX; n++) {
		struct segment_entry entry;
		int r = segment_entry_load(txn, segment->slot, segment->epoch, from + n, &entry);

		if (r != 0) {
			return r;
		}
		items[n] = (struct proto_entry){
			.lsn = from + n,
			.hash = {entry.body.data - PROTO_HASH_BYTES, PROTO_HASH_BYTES},
			.body = entry.body,
			.epoch = segment->epoch,
		};
		bytes += entry.body.size;
	}
	*ret_count = n;
	return 0;
}

int segment_read(struct kv_txn *txn, const struct proto_entries_read *read,
		 struct proto_entry items[], struct proto_entries *ret_entries,
		 struct segment_hash *ret_prev)
{
	struct segment segment;
	size_t count = 0;
	uint64_t last;
	uint64_t limit = read->limit > 0 ? read->limit : PROTO_BATCH_MAX;
	int r = find_readable(txn, read, &segment);

	if (r != 0) {
		return r;
	}
	*ret_entries = (struct proto_entries){.entries = {items, 0}};
	*ret_prev = (struct segment_hash){0};
	if (segment.epoch == 0) {
		return 0;
	}
	last = read->recovery && segment.epoch == read->segment ? segment.last
								: segment_committed(&segment);
	if (read->from > last) {
		return 0;
	}
	r = hash_at(txn, &segment, read->from - 1, ret_prev);
	if (r == 0) {
		r = read_items(txn, &segment, read->from,
			       (size_t)least(limit, last - read->from + 1), items, &count);
	}
	ret_entries->entries.count = count;
	ret_entries->prev_hash = segment_hash_span(ret_prev);
	ret_entries->more = read->from + count <= last || segment.epoch < read->segment;
	return r;
}
