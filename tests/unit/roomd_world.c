/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See roomd_world.h. */

#include "tests/unit/roomd_world.h"

#include <stdio.h>
#include <stdlib.h>
#include "roomd/record.h"

#define ENTRIES_MAX 4096 /* of one slot */
#define SEGMENTS_MAX 512
#define PACKETS_MAX 65536
#define TIMEOUT_MS 400

struct entry {
	uint64_t lsn;
	uint64_t epoch;
	struct chain_hash hash;
	uint64_t content;
};

struct log {
	uint64_t epoch;
	uint64_t first;
	struct entry *entries;
	size_t count;
	bool sealed; /* released: all of it is shown to readers */
};

struct replica {
	uint64_t fence_epoch;
	struct proto_id fence_nonce;
	struct log logs[SEGMENTS_MAX];
	size_t log_count;
};

struct store {
	struct proto_id id;
	bool stopped;
	struct replica replicas[WORLD_SLOTS];
};

struct call {
	bool active;
	uint64_t
		serial; /* a place is used again: answers to an earlier call are not for this one */
	size_t owner;
	uint64_t deadline_ms;
	env_answer_fn on_answer;
	void *context;
};

struct packet {
	uint64_t due_ms;
	uint64_t order;
	bool answer;
	int result; /* of an answer */
	size_t to; /* store; WORLD_STORES: the registry */
	size_t call;
	uint64_t serial;
	char *bytes;
	size_t size;
};

struct owner {
	struct world *world;
	size_t index;
	uint64_t generation;
	bool silent; /* cut off from the registry, and dead there */
	char name[8];
	struct env env;
	struct takeover *takeover;
};

struct world {
	struct world_options options;
	uint64_t now_ms;
	uint64_t state; /* of the generator */
	uint64_t order;
	uint64_t serial;
	uint64_t serving; /* serial of the request that is served */
	struct added **added;
	size_t added_count;
	struct store stores[WORLD_STORES];
	struct record records[WORLD_SLOTS];
	size_t assigned[WORLD_SLOTS];
	struct owner owners[WORLD_OWNERS];
	struct call calls[PACKETS_MAX];
	size_t call_count;
	struct packet packets[PACKETS_MAX];
	size_t packet_count;
	uint64_t next_content;
	uint64_t committed[WORLD_SLOTS][ENTRIES_MAX]; /* content by lsn; 0: none */
	uint64_t committed_count[WORLD_SLOTS];
	uint64_t dropped;
	bool conflict;
	bool alone;
	char wrong[256];
};

uint32_t world_random(struct world *world, uint32_t below)
{
	/* xorshift64* (Vigna 2016) */
	world->state ^= world->state >> 12;
	world->state ^= world->state << 25;
	world->state ^= world->state >> 27;
	return below ? (uint32_t)((world->state * 2685821657736338717ULL) >> 33) % below : 0;
}

static void wrong(struct world *world, const char *what, unsigned int slot, uint64_t lsn)
{
	if (!world->wrong[0]) {
		snprintf(world->wrong, sizeof(world->wrong),
			 "%s: slot %u lsn %llu at %llu ms, seed %llu", what, slot,
			 (unsigned long long)lsn, (unsigned long long)world->now_ms,
			 (unsigned long long)world->options.seed);
	}
}

static struct proto_id id_of(uint64_t kind, uint64_t number)
{
	struct proto_id id = {{0}};

	memcpy(id.bytes, &kind, sizeof(kind));
	memcpy(id.bytes + 8, &number, sizeof(number));
	return id;
}

/* --- packets --- */

static void post(struct world *world, const struct packet *packet)
{
	if (world->packet_count == PACKETS_MAX) {
		abort();
	}
	world->packets[world->packet_count] = *packet;
	world->packets[world->packet_count++].order = world->order++;
}

static uint64_t delay(struct world *world)
{
	uint64_t most = world->options.delay_ms;

	if (most > 2 && world_random(world, 100) < 2) {
		most *= 10;
	}
	return 1 + world_random(world, (uint32_t)most);
}

static bool is_lost(struct world *world)
{
	return world_random(world, 1000) < world->options.lost_permille;
}

static char *encode(enum proto_type type, const void *body, size_t *ret_size)
{
	struct proto_buffer buffer = PROTO_BUFFER_INIT;
	struct proto_header header = {.type = type};

	if (proto_encode(&buffer, &header, body) != 0) {
		abort();
	}
	return proto_buffer_take(&buffer, ret_size);
}

static void answer(struct world *world, size_t call, int result, enum proto_type type,
		   const void *body)
{
	struct packet packet = {.due_ms = world->now_ms + delay(world),
				.answer = true,
				.result = result,
				.call = call,
				.serial = world->serving};

	if (is_lost(world)) {
		return;
	}
	packet.bytes = encode(type, body, &packet.size);
	post(world, &packet);
}

static void refuse(struct world *world, size_t call, enum proto_code code, uint64_t next)
{
	struct proto_error error = {.code = proto_span(proto_error_info(code)->code), .next = next};

	answer(world, call, (int)code, PROTO_ERROR, &error);
}

static void ask(struct owner *owner, size_t to, enum proto_type type, const void *body,
		env_answer_fn on_answer, void *context)
{
	struct world *world = owner->world;
	unsigned int copies = world_random(world, 1000) < world->options.doubled_permille ? 2 : 1;
	size_t call = 0;

	while (call < world->call_count && world->calls[call].active) {
		call++;
	}
	world->call_count = call < world->call_count ? world->call_count : call + 1;
	if (world->call_count > PACKETS_MAX) {
		abort();
	}
	world->calls[call] = (struct call){true,	 ++world->serial,
					   owner->index, world->now_ms + TIMEOUT_MS,
					   on_answer,	 context};
	if (to == WORLD_STORES && owner->silent) {
		return;
	}
	while (copies-- > 0) {
		struct packet packet = {.due_ms = world->now_ms + delay(world),
					.to = to,
					.call = call,
					.serial = world->serial};

		if (!is_lost(world)) {
			packet.bytes = encode(type, body, &packet.size);
			post(world, &packet);
		}
	}
}

/* --- stores --- */

static struct log *log_find(struct replica *replica, uint64_t epoch)
{
	for (size_t i = 0; i < replica->log_count; i++) {
		if (replica->logs[i].epoch == epoch) {
			return &replica->logs[i];
		}
	}
	return NULL;
}

static struct log *log_get(struct replica *replica, uint64_t epoch, uint64_t first)
{
	struct log *log = log_find(replica, epoch);

	if (!log) {
		if (replica->log_count == SEGMENTS_MAX) {
			abort();
		}
		log = &replica->logs[replica->log_count++];
		*log = (struct log){.epoch = epoch, .first = first};
	}
	return log;
}

/* Returns whether the epoch may write, and remembers it. */
static bool fence(struct replica *replica, uint64_t epoch, const struct proto_id *nonce)
{
	if (epoch < replica->fence_epoch ||
	    (epoch == replica->fence_epoch && !proto_id_equal(nonce, &replica->fence_nonce))) {
		return false;
	}
	replica->fence_epoch = epoch;
	replica->fence_nonce = *nonce;
	return true;
}

static uint64_t content_of(const struct proto_entry *entry)
{
	uint64_t content;

	memcpy(&content, entry->body.data, sizeof(content));
	return content;
}

/* 0, PROTO_E_GAP or PROTO_E_CONFLICT. */
static int log_write(struct log *log, uint64_t epoch, const struct proto_list_entry *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct proto_entry *from = &entries->items[i];
		uint64_t next = log->first + log->count;
		struct chain_hash hash;

		chain_read(from->hash, &hash);
		if (from->lsn > next) {
			return PROTO_E_GAP;
		}
		if (from->lsn < next) {
			if (from->lsn < log->first ||
			    !chain_equal(&log->entries[from->lsn - log->first].hash, &hash)) {
				return PROTO_E_CONFLICT;
			}
			continue;
		}
		log->entries = realloc(log->entries, (log->count + 1) * sizeof(*log->entries));
		log->entries[log->count++] = (struct entry){from->lsn, epoch, hash,
							    content_of(from)};
	}
	return 0;
}

static void store_write(struct world *world, struct replica *replica, size_t call,
			const struct proto_message *message)
{
	bool copies = message->header.type == PROTO_COPY;
	const struct proto_append *append = message->body;
	const struct proto_copy *copy = message->body;
	uint64_t epoch = copies ? copy->epoch : append->epoch;
	uint64_t segment = copies ? copy->segment : append->epoch;
	struct proto_appended appended = {0};
	struct log *log;
	int r;

	if (!fence(replica, epoch, copies ? &copy->nonce : &append->nonce)) {
		refuse(world, call, PROTO_E_FENCED, replica->fence_epoch);
		return;
	}
	log = log_get(replica, segment, copies ? copy->first : append->first);
	r = log_write(log, segment, copies ? &copy->entries : &append->entries);
	appended.lsn = log->first + log->count - 1;
	if (r != 0) {
		refuse(world, call, (enum proto_code)r, log->first + log->count);
	} else {
		answer(world, call, 0, PROTO_APPENDED, &appended);
	}
}

static void store_seal(struct world *world, struct replica *replica, size_t call,
		       const struct proto_seal *seal)
{
	struct proto_sealed sealed = {0};
	struct log *log = log_find(replica, seal->segment);

	if (!fence(replica, seal->epoch, &seal->nonce)) {
		refuse(world, call, PROTO_E_FENCED, replica->fence_epoch);
		return;
	}
	if (log && log->count > 0) {
		sealed.last = log->first + log->count - 1;
		sealed.last_hash = chain_span(&log->entries[log->count - 1].hash);
	}
	answer(world, call, 0, PROTO_SEALED, &sealed);
}

static void store_read(struct world *world, struct replica *replica, size_t call,
		       const struct proto_entries_read *read)
{
	struct log *log = log_find(replica, read->segment);
	struct proto_entry *entries = calloc(PROTO_BATCH_MAX, sizeof(*entries));
	struct proto_entries body = {.entries = {entries, 0}};

	for (uint64_t lsn = read->from;
	     log && lsn < log->first + log->count && body.entries.count < read->limit; lsn++) {
		const struct entry *entry = &log->entries[lsn - log->first];

		entries[body.entries.count++] = (struct proto_entry){
			.lsn = lsn,
			.epoch = entry->epoch,
			.hash = chain_span(&entry->hash),
			.body = {(const char *)&entry->content, sizeof(entry->content)},
		};
	}
	answer(world, call, 0, PROTO_ENTRIES, &body);
	free(entries);
}

static void store_release(struct world *world, struct replica *replica, size_t call,
			  const struct proto_release *release)
{
	struct log *log = log_find(replica, release->segment);

	if (!fence(replica, release->epoch, &release->nonce)) {
		refuse(world, call, PROTO_E_FENCED, replica->fence_epoch);
		return;
	}
	if (log && release->sealed) {
		log->sealed = true;
		if (log->first + log->count - 1 > release->lac) {
			log->count = (size_t)(release->lac + 1 - log->first);
		}
	}
	answer(world, call, 0, PROTO_OK, NULL);
}

static void store_serve(struct world *world, struct store *store, size_t call,
			const struct proto_message *message)
{
	uint64_t slot = *(const uint64_t *)message->body; /* the first field of all these */
	struct replica *replica = &store->replicas[slot];

	switch (message->header.type) {
	case PROTO_APPEND:
	case PROTO_COPY:
		store_write(world, replica, call, message);
		break;
	case PROTO_SEAL:
		store_seal(world, replica, call, message->body);
		break;
	case PROTO_ENTRIES_READ:
		store_read(world, replica, call, message->body);
		break;
	case PROTO_RELEASE:
		store_release(world, replica, call, message->body);
		break;
	default:
		abort();
	}
}

/* --- registry --- */

static bool is_owner(const struct record *record, const struct owner *owner)
{
	const struct proto_id incarnation = id_of(owner->index + 1, owner->generation);

	return proto_id_equal(&record->incarnation, &incarnation);
}

/* A living owner has the slot open, and may answer from memory. */
static bool is_held(const struct world *world, const struct record *record)
{
	for (size_t i = 0; i < WORLD_OWNERS; i++) {
		if (world->options.orderly && record->state == PROTO_SLOT_STATE_OPEN &&
		    is_owner(record, &world->owners[i]) && !world->owners[i].silent) {
			return true;
		}
	}
	return false;
}

static void registry_assigned(struct world *world, size_t call)
{
	const struct owner *asker = &world->owners[world->calls[call].owner];
	struct proto_slot_range ranges[WORLD_SLOTS];
	struct proto_slot_range leave[WORLD_SLOTS];
	struct proto_slot_ranges body = {
		.version = 1, .ranges = {ranges, 0}, .leave = {leave, 0}, .alone = world->alone};

	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		const struct record *record = &world->records[i];
		bool wished = world->assigned[i] == asker->index;

		if (wished && (is_owner(record, asker) || !is_held(world, record))) {
			ranges[body.ranges.count++] = (struct proto_slot_range){i, i};
		} else if (!wished && !world->alone && world->options.orderly &&
			   is_owner(record, asker) && record->state == PROTO_SLOT_STATE_OPEN) {
			leave[body.leave.count++] = (struct proto_slot_range){i, i};
		}
	}
	answer(world, call, 0, PROTO_SLOT_RANGES, &body);
}

static void registry_read(struct world *world, size_t call, const struct proto_slots_read *read)
{
	struct record_wire wires[WORLD_SLOTS];
	struct proto_slot_record records[WORLD_SLOTS];
	struct proto_slot_records body = {.records = {records, 0}};

	for (uint64_t i = read->first; i <= read->last && i < WORLD_SLOTS; i++) {
		record_write(&world->records[i], &wires[body.records.count]);
		records[body.records.count] = wires[body.records.count].record;
		body.records.count++;
	}
	answer(world, call, 0, PROTO_SLOT_RECORDS, &body);
	while (body.records.count > 0) {
		record_wire_deinit(&wires[--body.records.count]);
	}
}

static size_t registry_place(struct world *world, struct proto_store_place *places)
{
	size_t start = world_random(world, (uint32_t)world->options.stores);
	size_t count = 0;

	for (size_t i = 0; i < world->options.stores && count < world->options.write_quorum; i++) {
		const struct store *store = &world->stores[(start + i) % world->options.stores];

		if (!store->stopped) {
			places[count++] = (struct proto_store_place){store->id,
								     PROTO_SPAN("ipc://store")};
		}
	}
	return count;
}

/* All roomds are told that there is something to ask for. */
static void tell_assignment(struct world *world)
{
	for (size_t i = 0; i < WORLD_OWNERS; i++) {
		if (!world->owners[i].silent) {
			takeover_assignment(world->owners[i].takeover);
		}
	}
}

static void registry_swap(struct world *world, size_t call, const struct proto_slot_swap *swap)
{
	struct record_wire wires[WORLD_SLOTS];
	struct proto_slot_record records[WORLD_SLOTS];
	struct proto_store_place places[WORLD_STORES];
	struct proto_slot_swapped body = {.records = {records, swap->records.count},
					  .members = {places, 0}};
	bool closed = false;

	for (size_t i = 0; i < swap->records.count; i++) {
		const struct proto_slot_record *from = &swap->records.items[i];
		struct record *record = &world->records[from->slot];

		if (world->conflict) {
			record->version++;
			world->conflict = false;
		}
		if (from->version == record->version &&
		    (from->state != PROTO_SLOT_STATE_SEALING || !is_held(world, record) ||
		     proto_id_equal(&from->incarnation, &record->incarnation))) {
			record_read(record, from);
			record->version++;
			closed = closed || from->state == PROTO_SLOT_STATE_CLOSED;
		}
		record_write(record, &wires[i]);
		records[i] = wires[i].record;
	}
	body.members.count = registry_place(world, places);
	answer(world, call, 0, PROTO_SLOT_SWAPPED, &body);
	for (size_t i = 0; i < swap->records.count; i++) {
		record_wire_deinit(&wires[i]);
	}
	if (closed) {
		tell_assignment(world);
	}
}

static void registry_serve(struct world *world, size_t call, const struct proto_message *message)
{
	switch (message->header.type) {
	case PROTO_SLOTS_ASSIGNED:
		registry_assigned(world, call);
		break;
	case PROTO_SLOTS_READ:
		registry_read(world, call, message->body);
		break;
	case PROTO_SLOT_SWAP:
		registry_swap(world, call, message->body);
		break;
	default:
		abort();
	}
}

/* --- owners --- */

static uint64_t env_now(void *context)
{
	return ((struct owner *)context)->world->now_ms;
}

static uint32_t env_random(void *context)
{
	return world_random(((struct owner *)context)->world, 1U << 30);
}

static void env_store(void *context, const struct proto_id *id, enum proto_type type,
		      const void *body, env_answer_fn on_answer, void *answer_context)
{
	struct owner *owner = context;
	size_t to = 0;

	while (!proto_id_equal(&owner->world->stores[to].id, id)) {
		to++;
	}
	ask(owner, to, type, body, on_answer, answer_context);
}

static void env_registry(void *context, enum proto_type type, const void *body,
			 env_answer_fn on_answer, void *answer_context)
{
	ask(context, WORLD_STORES, type, body, on_answer, answer_context);
}

/* What an owner adds: its lsn and content, to be compared when it is committed. */
struct added {
	uint64_t lsn;
	uint64_t content;
};

/* Another than the one who commits must not think that it owns the slot, and has a lease. */
static void check_others(struct owner *owner, unsigned int number)
{
	struct world *world = owner->world;

	for (size_t i = 0; i < WORLD_OWNERS && world->options.orderly; i++) {
		struct owner *other = &world->owners[i];
		const struct slot *slot = takeover_slot(other->takeover, number);

		if (other != owner && !other->silent && slot->phase == SLOT_OPEN &&
		    !slot->suspended && !slot->closing) {
			wrong(world, "another may answer from memory", number, 0);
		}
	}
}

static void on_committed(void *context, struct slot *slot, void *what)
{
	struct world *world = ((struct owner *)context)->world;
	struct added *added = what;
	uint64_t *place = &world->committed[slot->number][added->lsn];

	if (*place != 0 && *place != added->content) {
		wrong(world, "another entry was committed there", slot->number, added->lsn);
	}
	if (*place == 0) {
		world->committed_count[slot->number]++;
	}
	*place = added->content;
	check_others(context, slot->number);
}

static void on_dropped(void *context, struct slot *slot, int error)
{
	(void)slot;
	(void)error;
	((struct owner *)context)->world->dropped++;
}

/* Whether readers of some store see all that lies before the new segment. */
static bool is_shown(const struct world *world, const struct slot *slot)
{
	const struct record_segment *before = record_last(&slot->record) - 1;

	if (slot->record.segment_count < 2) {
		return true;
	}
	for (size_t i = 0; i < WORLD_STORES; i++) {
		const struct replica *replica = &world->stores[i].replicas[slot->number];

		for (size_t k = 0; k < replica->log_count; k++) {
			const struct log *log = &replica->logs[k];

			if (log->epoch == before->epoch && log->sealed &&
			    log->first + log->count - 1 == before->last) {
				return true;
			}
		}
	}
	return false;
}

static void on_opened(void *context, struct slot *slot)
{
	struct world *world = ((struct owner *)context)->world;

	if (!is_shown(world, slot)) {
		wrong(world, "opened before a store shows what was committed", slot->number,
		      segment_next(slot->segment) - 1);
	}
	for (uint64_t lsn = segment_next(slot->segment); lsn < ENTRIES_MAX; lsn++) {
		if (world->committed[slot->number][lsn] != 0) {
			wrong(world, "a committed entry was cut off", slot->number, lsn);
			return;
		}
	}
}

static void on_stores(void *context, const struct proto_list_store_place *places)
{
	(void)context;
	(void)places;
}

/* The slot map: whether another has the slot open by its record. */
static bool on_is_served(void *context, unsigned int slot)
{
	const struct owner *owner = context;
	const struct record *record = &owner->world->records[slot];

	return record->state == PROTO_SLOT_STATE_OPEN && strcmp(record->owner, owner->name) != 0;
}

static void owner_start(struct owner *owner)
{
	static const struct slot_events events = {on_opened, on_dropped, on_committed};
	struct takeover_options options = {
		.self =
			{
				.node = owner->name,
				.incarnation = id_of(owner->index + 1, ++owner->generation),
				.write_quorum = owner->world->options.write_quorum,
				.ack_quorum = owner->world->options.ack_quorum,
			},
		.events = &events,
		.stores = on_stores,
		.is_served = on_is_served,
		.context = owner,
	};

	if (takeover_new(&owner->env, &options, &owner->takeover) != 0) {
		abort();
	}
	takeover_assignment(owner->takeover);
}

static void owner_stop(struct owner *owner)
{
	struct world *world = owner->world;

	for (size_t i = 0; i < world->call_count; i++) {
		struct call *call = &world->calls[i];

		if (call->active && call->owner == owner->index) {
			call->active = false;
			call->on_answer(call->context, PROTO_E_UNAVAILABLE, NULL);
			i = (size_t)-1; /* it may have made another call: look from the start */
		}
	}
	takeover_free(owner->takeover);
	owner->takeover = NULL;
	owner->silent = false;
}

/* --- time --- */

static void deliver(struct world *world, struct packet *packet)
{
	struct call *call = &world->calls[packet->call];
	struct proto_message message = PROTO_MESSAGE_INIT;

	if (packet->answer && (!call->active || call->serial != packet->serial)) {
		return;
	}
	if (!packet->answer && packet->to < WORLD_STORES && world->stores[packet->to].stopped) {
		return;
	}
	if (proto_decode(packet->bytes, packet->size, &message, NULL) != 0) {
		abort();
	}
	world->serving = packet->serial;
	if (packet->answer) {
		call->active = false;
		call->on_answer(call->context, packet->result, &message);
	} else if (packet->to == WORLD_STORES) {
		registry_serve(world, packet->call, &message);
	} else {
		store_serve(world, &world->stores[packet->to], packet->call, &message);
	}
	proto_message_deinit(&message);
}

static bool deliver_next(struct world *world)
{
	struct packet packet;
	size_t best = PACKETS_MAX;

	for (size_t i = 0; i < world->packet_count; i++) {
		if (world->packets[i].due_ms <= world->now_ms &&
		    (best == PACKETS_MAX || world->packets[i].order < world->packets[best].order)) {
			best = i;
		}
	}
	if (best == PACKETS_MAX) {
		return false;
	}
	packet = world->packets[best];
	world->packets[best] = world->packets[--world->packet_count];
	deliver(world, &packet);
	free(packet.bytes);
	return true;
}

static void expire_calls(struct world *world)
{
	for (size_t i = 0; i < world->call_count; i++) {
		struct call *call = &world->calls[i];

		if (call->active && call->deadline_ms <= world->now_ms) {
			call->active = false;
			call->on_answer(call->context, PROTO_E_TIMEOUT, NULL);
		}
	}
}

void world_run(struct world *world, uint64_t ms)
{
	uint64_t until = world->now_ms + ms;

	while (world->now_ms < until) {
		world->now_ms++;
		while (deliver_next(world)) {}
		if (world->now_ms % 25 != 0) {
			continue;
		}
		expire_calls(world);
		for (size_t i = 0; i < WORLD_OWNERS; i++) {
			takeover_tick(world->owners[i].takeover);
		}
	}
}

bool world_run_until_open(struct world *world, size_t owner, uint64_t ms)
{
	for (uint64_t spent = 0; spent < ms; spent += 25) {
		size_t open = 0;

		world_run(world, 25);
		for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
			open += world_slot(world, owner, i)->phase == SLOT_OPEN;
		}
		if (open == WORLD_SLOTS) {
			return true;
		}
	}
	return false;
}

/* --- life, and what tests do --- */

struct world *world_new(const struct world_options *options)
{
	struct world *world = calloc(1, sizeof(*world));

	world->options = *options;
	world->state = options->seed * 2654435769ULL + 1;
	for (size_t i = 0; i < WORLD_STORES; i++) {
		world->stores[i].id = id_of(100, i + 1);
	}
	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		world->records[i].slot = i;
	}
	for (size_t i = 0; i < WORLD_OWNERS; i++) {
		struct owner *owner = &world->owners[i];

		owner->world = world;
		owner->index = i;
		snprintf(owner->name, sizeof(owner->name), "r%zu", i);
		owner->env = (struct env){owner,      env_now,	 env_now,
					  env_random, env_store, env_registry};
		owner_start(owner);
	}
	return world;
}

void world_free(struct world *world)
{
	for (size_t i = 0; i < WORLD_OWNERS; i++) {
		owner_stop(&world->owners[i]);
	}
	for (size_t i = 0; i < world->packet_count; i++) {
		free(world->packets[i].bytes);
	}
	for (size_t i = 0; i < WORLD_STORES; i++) {
		for (unsigned int j = 0; j < WORLD_SLOTS; j++) {
			for (size_t k = 0; k < world->stores[i].replicas[j].log_count; k++) {
				free(world->stores[i].replicas[j].logs[k].entries);
			}
		}
	}
	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		record_deinit(&world->records[i]);
	}
	for (size_t i = 0; i < world->added_count; i++) {
		free(world->added[i]);
	}
	free(world->added);
	free(world);
}

void world_assign_slot(struct world *world, unsigned int slot, size_t owner)
{
	world->assigned[slot] = owner;
	tell_assignment(world);
}

void world_assign(struct world *world, size_t owner)
{
	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		world_assign_slot(world, i, owner);
	}
}

void world_alone(struct world *world)
{
	world->alone = true;
	tell_assignment(world);
}

bool world_append(struct world *world, size_t owner, unsigned int number)
{
	struct slot *slot = world_slot(world, owner, number);
	struct added *added;

	if (slot->phase != SLOT_OPEN || slot->closing ||
	    !segment_has_space(slot->segment, 1, sizeof(uint64_t)) ||
	    segment_next(slot->segment) >= ENTRIES_MAX - 1) {
		return false;
	}
	added = malloc(sizeof(*added));
	*added = (struct added){segment_next(slot->segment), ++world->next_content};
	world->added = realloc(world->added, (world->added_count + 1) * sizeof(*world->added));
	world->added[world->added_count++] = added;
	return segment_add(slot->segment, &added->content, sizeof(added->content), false, added) ==
	       0;
}

void world_crash(struct world *world, size_t owner)
{
	owner_stop(&world->owners[owner]);
	owner_start(&world->owners[owner]);
}

void world_store_stop(struct world *world, size_t store)
{
	world->stores[store].stopped = true;
}

void world_store_start(struct world *world, size_t store)
{
	world->stores[store].stopped = false;
}

void world_heal(struct world *world)
{
	world->options.lost_permille = 0;
	world->options.doubled_permille = 0;
	world->options.delay_ms = 2;
	for (size_t i = 0; i < WORLD_STORES; i++) {
		world->stores[i].stopped = false;
	}
	for (size_t i = 0; i < WORLD_OWNERS; i++) {
		world_hello(world, i);
	}
}

void world_fence(struct world *world, unsigned int slot, uint64_t epoch)
{
	const struct proto_id nobody = id_of(99, 1);

	for (size_t i = 0; i < WORLD_STORES; i++) {
		fence(&world->stores[i].replicas[slot], epoch, &nobody);
	}
}

void world_suspend(struct world *world, size_t owner)
{
	takeover_suspend(world->owners[owner].takeover);
}

void world_silence(struct world *world, size_t owner)
{
	world->owners[owner].silent = true;
	takeover_suspend(world->owners[owner].takeover);
	tell_assignment(world);
}

void world_hello(struct world *world, size_t owner)
{
	if (world->owners[owner].silent) {
		world->owners[owner].silent = false;
		takeover_suspend(world->owners[owner].takeover);
		tell_assignment(world);
	}
}

struct takeover *world_takeover(struct world *world, size_t owner)
{
	return world->owners[owner].takeover;
}

void world_conflict(struct world *world)
{
	world->conflict = true;
}

struct slot *world_slot(struct world *world, size_t owner, unsigned int slot)
{
	return takeover_slot(world->owners[owner].takeover, slot);
}

uint64_t world_committed(const struct world *world, unsigned int slot)
{
	return world->committed_count[slot];
}

uint64_t world_dropped(const struct world *world)
{
	return world->dropped;
}

uint64_t world_stored(const struct world *world, size_t store, unsigned int slot)
{
	const struct replica *replica = &world->stores[store].replicas[slot];
	uint64_t count = 0;

	for (size_t i = 0; i < replica->log_count; i++) {
		count += replica->logs[i].count;
	}
	return count;
}

/*
 * An entry of a segment of the record, from any member. A merged segment has several epochs, and a
 * member that missed a seal may still hold what an early one never committed: the latest epoch
 * tells.
 */
static const struct entry *entry_find(const struct world *world,
				      const struct record_segment *segment, unsigned int slot,
				      uint64_t lsn)
{
	const struct entry *best = NULL;

	for (size_t i = 0; i < WORLD_STORES * segment->member_count; i++) {
		const struct store *store = &world->stores[i / segment->member_count];
		const struct replica *replica = &store->replicas[slot];

		if (!proto_id_equal(&store->id, &segment->members[i % segment->member_count])) {
			continue;
		}
		for (size_t k = 0; k < replica->log_count; k++) {
			const struct log *log = &replica->logs[k];

			if (log->epoch >= segment->since_epoch && log->epoch <= segment->epoch &&
			    lsn >= log->first && lsn < log->first + log->count &&
			    (!best || best->epoch < log->epoch)) {
				best = &log->entries[lsn - log->first];
			}
		}
	}
	return best;
}

static void check_slot(struct world *world, unsigned int slot)
{
	const struct record *record = &world->records[slot];
	struct chain_hash chain = {.set = false};
	uint64_t lsn = 1;

	for (size_t i = 0; i < record->segment_count; i++) {
		const struct record_segment *segment = &record->segments[i];
		const struct entry *entry;

		while ((!segment->sealed || lsn <= segment->last) &&
		       (entry = entry_find(world, segment, slot, lsn)) != NULL) {
			chain_next(&chain, entry->epoch, lsn, &entry->content,
				   sizeof(entry->content), &chain);
			if (!chain_equal(&chain, &entry->hash)) {
				wrong(world, "the chain is broken", slot, lsn);
			}
			if (world->committed[slot][lsn] != 0 &&
			    world->committed[slot][lsn] != entry->content) {
				wrong(world, "another entry stands there", slot, lsn);
			}
			lsn++;
		}
		if (segment->sealed && lsn != segment->last + 1) {
			wrong(world, "an entry of a sealed segment is missing", slot, lsn);
			return;
		}
	}
	for (; lsn < ENTRIES_MAX; lsn++) {
		if (world->committed[slot][lsn] != 0) {
			wrong(world, "a committed entry is lost", slot, lsn);
			return;
		}
	}
}

const char *world_check(struct world *world)
{
	for (unsigned int i = 0; i < WORLD_SLOTS; i++) {
		check_slot(world, i);
	}
	return world->wrong[0] ? world->wrong : NULL;
}
