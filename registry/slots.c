/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Slots: who owns them (records), who serves them (the published map). Who should: wishes.c.
 *
 * A roomd takes a slot over by compare-and-swap on its record. One check stands before that: the
 * claim of an open slot is refused while its owner is alive and has not closed it, because that one
 * may answer from memory as long as it has its lease. (Writes need no such check: fences at the
 * stores see to them.) The map lists a slot under an owner while its record is OPEN and the owner's
 * incarnation is alive.
 */

#include <errno.h>
#include <stdlib.h>
#include "registry/registry.h"
#include "services/clock.h"

#define RECORDS_BYTES_MAX PROTO_PAGE_BYTES_MAX

static struct registry_key slot_key(unsigned int slot)
{
	uint8_t number[2] = {(uint8_t)(slot >> 8), (uint8_t)slot};

	return registry_key("slot/", number, sizeof(number));
}

/* --- the map that is published --- */

struct node *slots_owner_memo(const struct registry *registry, unsigned int slot,
			      struct owner_memo *memo)
{
	const struct proto_slot_record *record = slot_table_get(registry->slots, slot);
	struct node *node;

	if (record->state != PROTO_SLOT_STATE_OPEN) {
		return NULL;
	}
	if (!proto_id_equal(&record->incarnation, &memo->incarnation)) {
		node = node_find(&registry->nodes, record->owner);
		memo->incarnation = record->incarnation;
		memo->node = node && node_is_alive(node) &&
					     proto_id_equal(&node->incarnation,
							    &record->incarnation)
				     ? node
				     : NULL;
	}
	return memo->node;
}

struct node *slots_owner(const struct registry *registry, unsigned int slot)
{
	struct owner_memo memo = {0};

	return slots_owner_memo(registry, slot, &memo);
}

bool slots_is_held(const struct registry *registry, const struct proto_slot_record *record)
{
	const struct node *node;

	if (record->state != PROTO_SLOT_STATE_OPEN) {
		return false;
	}
	node = node_find(&registry->nodes, record->owner);
	if (!node) {
		return wishes_trust_unknown(registry);
	}
	return node_is_alive(node) && proto_id_equal(&node->incarnation, &record->incarnation);
}

/* Builds `nodes` and `runs` of a map; `only` (may be NULL) says which slots count. */
struct map {
	struct proto_slot_node nodes[PROTO_NODES_MAX];
	size_t node_count;
	struct proto_slot_run runs[PROTO_SLOTS];
	size_t run_count;
};

static size_t map_node(struct map *map, const struct node *node)
{
	if (!node) {
		return 0;
	}
	for (size_t i = map->node_count; i > 0; i--) {
		if (proto_id_equal(&map->nodes[i - 1].incarnation, &node->incarnation)) {
			return i;
		}
	}
	map->nodes[map->node_count++] = (struct proto_slot_node){
		.node = proto_span(node->name),
		.incarnation = node->incarnation,
		.address = proto_span(node->address),
		.feed = proto_span(node->feed),
	};
	return map->node_count;
}

static void map_add(struct map *map, unsigned int slot, const struct node *node)
{
	struct proto_slot_run *last = map->run_count > 0 ? &map->runs[map->run_count - 1] : NULL;
	size_t owner = map_node(map, node);

	if (last && last->last + 1 == slot && last->owner == owner) {
		last->last = slot;
		return;
	}
	map->runs[map->run_count++] = (struct proto_slot_run){
		.first = slot, .last = slot, .owner = owner};
}

bool slots_owners_are_known(const struct registry *registry)
{
	struct proto_id known = {0};

	for (unsigned int slot = 0; slot < PROTO_SLOTS; slot++) {
		const struct proto_slot_record *record = slot_table_get(registry->slots, slot);

		if (record->state != PROTO_SLOT_STATE_OPEN ||
		    proto_id_equal(&record->incarnation, &known)) {
			continue;
		}
		if (!node_find(&registry->nodes, record->owner)) {
			return false;
		}
		known = record->incarnation;
	}
	return true;
}

/*
 * After a start of the registry nodes are known again only when they have said hello. Until the
 * owners of all open slots have, or had time to, there is no map: better an old one than one with
 * holes.
 */
static bool map_is_known(const struct registry *registry)
{
	return !wishes_trust_unknown(registry) || slots_owners_are_known(registry);
}

static void publish_map(struct registry *registry)
{
	static struct map map; /* large; used within this call alone */
	struct served *served = &registry->served;
	struct proto_slots_changed change;
	struct owner_memo memo = {0};

	map.node_count = 0;
	map.run_count = 0;
	for (unsigned int slot = 0; slot < PROTO_SLOTS; slot++) {
		const struct node *owner = slots_owner_memo(registry, slot, &memo);
		struct proto_id incarnation = owner ? owner->incarnation : (struct proto_id){0};

		if (!proto_id_equal(&incarnation, &served->owners[slot])) {
			served->owners[slot] = incarnation;
			map_add(&map, slot, owner);
		}
	}
	served->dirty = false;
	if (map.run_count == 0) {
		return;
	}
	change = (struct proto_slots_changed){
		.version = ++served->version,
		.nodes = {map.nodes, map.node_count},
		.runs = {map.runs, map.run_count},
	};
	bus_publish(registry->publisher, NULL, PROTO_SLOTS_CHANGED, &change);
}

static void on_slots_get(void *context, struct bus_request *request,
			 const struct proto_message *message)
{
	static struct map map;
	struct registry *registry = context;
	struct proto_slot_map answer;
	struct owner_memo memo = {0};

	(void)message;
	if (!map_is_known(registry)) {
		registry_refuse_busy(
			request); /* nodes keep the map that they have, and ask again */
		return;
	}
	if (registry->served.dirty) {
		publish_map(registry); /* what is answered has the version that was published */
	}
	map.node_count = 0;
	map.run_count = 0;
	for (unsigned int slot = 0; slot < PROTO_SLOTS; slot++) {
		const struct node *owner = slots_owner_memo(registry, slot, &memo);

		if (owner) {
			map_add(&map, slot, owner);
		}
	}
	answer = (struct proto_slot_map){
		.version = registry->served.version,
		.nodes = {map.nodes, map.node_count},
		.runs = {map.runs, map.run_count},
		.feed = proto_span(bus_publisher_address(registry->publisher)),
	};
	bus_reply(request, PROTO_SLOT_MAP, &answer);
}

/* --- placing rooms --- */

static bool may_get_rooms(const struct node *node)
{
	return node->service == PROTO_SERVICE_ROOMD && node_takes_new(node) && node->slots > 0;
}

/*
 * The least loaded roomd that serves slots; of several the first behind the last that got a room,
 * in the order of the table, else the first.
 */
static const struct node *least_loaded(const struct registry *registry)
{
	const struct node *best = NULL;
	const struct node *node;
	bool best_is_behind = false;
	bool is_behind = false;

	for (node = registry->nodes.nodes; node; node = node->hh.next) {
		uint64_t load = node->load_permille / 100;
		uint64_t least = best ? best->load_permille / 100 : UINT64_MAX;

		if (may_get_rooms(node) &&
		    (load < least || (load == least && is_behind && !best_is_behind))) {
			best = node;
			best_is_behind = is_behind;
		}
		is_behind = is_behind || proto_id_equal(&node->incarnation, &registry->round_robin);
	}
	return best;
}

bool slots_place_room(struct registry *registry, unsigned int *ret_slot)
{
	const struct node *best = least_loaded(registry);
	unsigned int start = (unsigned int)(uv_hrtime() / 1000 % PROTO_SLOTS);
	struct owner_memo memo = {0};
	bool found = false;

	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		unsigned int slot = (start + i) % PROTO_SLOTS;
		const struct node *owner = slots_owner_memo(registry, slot, &memo);

		if (owner && (!best || owner == best)) {
			registry->round_robin = owner->incarnation;
			*ret_slot = slot;
			return true;
		}
		if (owner && !found) {
			*ret_slot = slot; /* any, if the best one has none open */
			found = true;
		}
	}
	return found;
}

/* --- stores of a new segment --- */

static bool shares(const struct node *a, const struct node *b, bool by_zone)
{
	return by_zone ? a->zone[0] != '\0' && strcmp(a->zone, b->zone) == 0
		       : a->host[0] != '\0' && strcmp(a->host, b->host) == 0;
}

/*
 * How bad it is to put a replica there, beside those chosen: same zone, same host, then how full it
 * is.
 */
static uint64_t place_cost(const struct node *node, struct node *const *chosen, size_t count)
{
	uint64_t cost = node->rooms < (1ULL << 40) ? node->rooms : 1ULL << 40;

	for (size_t i = 0; i < count; i++) {
		cost += (shares(node, chosen[i], true) ? 1ULL << 50 : 0) +
			(shares(node, chosen[i], false) ? 1ULL << 45 : 0);
	}
	return cost;
}

/* The best that is not chosen yet, among those that drain, or among the others. */
static struct node *place_next(const struct registry *registry, struct node *const *chosen,
			       size_t count, bool draining)
{
	struct node *best = NULL;
	struct node *node;

	for (node = registry->nodes.nodes; node; node = node->hh.next) {
		bool taken = node->service != PROTO_SERVICE_STORAGED ||
			     node->state != PROTO_NODE_STATE_ONLINE ||
			     node_is_draining(node) != draining;

		for (size_t i = 0; i < count; i++) {
			taken = taken || chosen[i] == node;
		}
		if (!taken &&
		    (!best || place_cost(node, chosen, count) < place_cost(best, chosen, count))) {
			best = node;
		}
	}
	return best;
}

static size_t place(const struct registry *registry, struct proto_store_place *ret_places)
{
	struct node *chosen[PROTO_MEMBERS_MAX];
	size_t count = 0;

	while (count < registry->settings->write_quorum) {
		struct node *node = place_next(registry, chosen, count, false);

		if (!node) { /* a segment too few is worse than one on a store that drains */
			node = place_next(registry, chosen, count, true);
		}
		if (!node) {
			break; /* fewer than wanted: the roomd will ask again */
		}
		chosen[count] = node;
		ret_places[count++] = (struct proto_store_place){node->store,
								 proto_span(node->address)};
	}
	return count;
}

/* --- slots_read --- */

struct stores {
	struct proto_store_place places[PROTO_NODES_MAX];
	size_t count;
};

static void stores_all(const struct registry *registry, struct stores *stores)
{
	const struct node *node;

	stores->count = 0;
	for (node = registry->nodes.nodes; node; node = node->hh.next) {
		if (node->service == PROTO_SERVICE_STORAGED) {
			stores->places[stores->count++] = (struct proto_store_place){
				node->store, proto_span(node->address)};
		}
	}
}

static void on_slots_read(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	static struct proto_slot_record records[PROTO_SLOTS];
	static struct stores stores;
	const struct proto_slots_read *read = PROTO_BODY(message, slots_read);
	const struct registry *registry = context;
	struct proto_slot_records answer = {.records.items = records};
	size_t bytes = 0;

	if (read->last < read->first) {
		bus_refuse(request, PROTO_E_BAD_VALUE, "last: before first");
		return;
	}
	for (unsigned int slot = (unsigned int)read->first; slot <= read->last; slot++) {
		bytes += slot_table_bytes(registry->slots, slot) + 16;
		if (answer.records.count > 0 && bytes > RECORDS_BYTES_MAX) {
			break;
		}
		records[answer.records.count++] = *slot_table_get(registry->slots, slot);
	}
	stores_all(registry, &stores);
	answer.stores.items = stores.places;
	answer.stores.count = stores.count;
	bus_reply(request, PROTO_SLOT_RECORDS, &answer);
}

/* --- slot_swap --- */

struct swap {
	struct registry *registry;
	struct bus_request *request;
	size_t waiting;
	bool failed;
	bool opened; /* some slot has an owner that serves it */
	bool closed; /* some slot may be taken */
};

struct swap_part {
	struct swap *swap;
	enum proto_slot_state state;
	struct proto_buffer row;
};

static void swap_finish(struct swap *swap)
{
	static struct proto_slot_record records[256];
	struct registry *registry = swap->registry;
	const struct proto_slot_swap *asked = PROTO_BODY(bus_request_message(swap->request),
							 slot_swap);
	struct proto_store_place places[PROTO_MEMBERS_MAX];
	struct proto_slot_swapped answer = {.records.items = records, .members.items = places};
	size_t bytes = 0;

	for (size_t i = 0; i < asked->records.count; i++) {
		unsigned int slot = (unsigned int)asked->records.items[i].slot;

		bytes += slot_table_bytes(registry->slots, slot) + 16;
		if (answer.records.count > 0 && bytes > RECORDS_BYTES_MAX) {
			break;
		}
		records[answer.records.count++] = *slot_table_get(registry->slots, slot);
	}
	if (asked->place) {
		answer.members.count = place(registry, places);
	}
	if (swap->failed) {
		bus_refuse(swap->request, PROTO_E_STORAGE_FAILED, NULL);
	} else {
		bus_reply(swap->request, PROTO_SLOT_SWAPPED, &answer);
	}
	if (swap->opened && map_is_known(registry)) {
		publish_map(registry); /* not with the next tick: people wait for it */
	}
	if (swap->closed) {
		wishes_tell(registry);
	}
	free(swap);
}

static void on_swapped(void *context, int result)
{
	struct swap_part *part = context;
	struct swap *swap = part->swap;

	if (result == 0) {
		swap->registry->served.dirty = true;
		if (slot_table_put(swap->registry->slots, part->row.data, part->row.size) != 0) {
			/* The store has what we have not: begin anew from it. */
			service_fail(swap->registry->service, "slot.not_taken", ENOMEM);
		}
		swap->opened = swap->opened || part->state == PROTO_SLOT_STATE_OPEN;
		swap->closed = swap->closed || part->state == PROTO_SLOT_STATE_CLOSED;
	} else if (result != PROTO_E_VERSION_CONFLICT) {
		swap->failed = true;
	}
	proto_buffer_deinit(&part->row);
	free(part);
	if (--swap->waiting == 0) {
		swap_finish(swap);
	}
}

static bool owner_is_known(const struct registry *registry, const struct proto_slot_record *record)
{
	const struct node *node = node_find(&registry->nodes, record->owner);

	return node && node->service == PROTO_SERVICE_ROOMD && node_is_alive(node) &&
	       proto_id_equal(&node->incarnation, &record->incarnation);
}

static void swap_one(struct swap *swap, const struct proto_slot_record *next)
{
	struct registry_key key = slot_key((unsigned int)next->slot);
	struct swap_part *part = calloc(1, sizeof(*part));
	struct store_txn *txn = store_txn_new();

	if (!part || !txn || slot_table_encode(next, &part->row) != 0) {
		if (part) {
			proto_buffer_deinit(&part->row);
		}
		free(part);
		store_txn_free(txn);
		swap->failed = true;
		return;
	}
	part->swap = swap;
	part->state = next->state;
	swap->waiting++;
	store_txn_compare(txn, key.bytes, key.size, next->version);
	store_txn_put(txn, key.bytes, key.size, part->row.data, part->row.size);
	store_commit(swap->registry->store, txn, on_swapped, part);
}

/* A record that can never be written is a mistake of the caller: nothing of the message is. */
static enum proto_code swap_check(const struct registry *registry,
				  const struct proto_slot_swap *asked)
{
	for (size_t i = 0; i < asked->records.count; i++) {
		const struct proto_slot_record *next = &asked->records.items[i];

		if (!owner_is_known(registry, next)) {
			return PROTO_E_UNKNOWN_NODE;
		}
		if (slot_table_check(registry->slots, next) == PROTO_E_BAD_VALUE) {
			return PROTO_E_BAD_VALUE;
		}
	}
	return 0;
}

/*
 * Whether it may be written as things are. A claim by another than the owner waits until that one
 * is dead or has closed the record.
 */
static bool is_timely(const struct registry *registry, const struct proto_slot_record *next)
{
	const struct proto_slot_record *now = slot_table_get(registry->slots,
							     (unsigned int)next->slot);

	return slot_table_check(registry->slots, next) == 0 &&
	       (next->state != PROTO_SLOT_STATE_SEALING ||
		proto_id_equal(&now->incarnation, &next->incarnation) ||
		!slots_is_held(registry, now));
}

static void on_slot_swap(void *context, struct bus_request *request,
			 const struct proto_message *message)
{
	const struct proto_slot_swap *asked = PROTO_BODY(message, slot_swap);
	struct registry *registry = context;
	enum proto_code error = swap_check(registry, asked);
	struct swap *swap;

	if (error) {
		bus_refuse(request, error, NULL);
		return;
	}
	swap = calloc(1, sizeof(*swap));
	if (!swap) {
		registry_refuse_busy(request);
		return;
	}
	*swap = (struct swap){.registry = registry, .request = request, .waiting = 1};
	for (size_t i = 0; i < asked->records.count; i++) {
		if (is_timely(registry, &asked->records.items[i])) {
			swap_one(swap, &asked->records.items[i]);
		}
	}
	if (--swap->waiting == 0) {
		swap_finish(swap);
	}
}

/* --- start --- */

static bool on_slot_row(void *context, const struct store_row *row)
{
	struct registry *registry = context;
	int r = slot_table_put(registry->slots, row->value, row->value_size);

	if (r != 0) {
		log_error("slot.unreadable", LOG_NUMBER("error", r));
		registry->failed = true;
	}
	return r == 0;
}

int slots_start(struct registry *registry)
{
	int r = slot_table_new(&registry->slots);

	if (r != 0) {
		return r;
	}
	/* Versions never go back, whatever the registry forgot. */
	registry->served.version = clock_wall_ms();
	store_scan(registry->store, "slot/", sizeof("slot/") - 1, NULL, 0, on_slot_row, registry);
	return registry->failed ? -EILSEQ : 0;
}

void slots_stop(struct registry *registry)
{
	slot_table_free(registry->slots);
}

void slots_tick(struct registry *registry)
{
	if (registry->served.dirty && map_is_known(registry)) {
		publish_map(registry);
	}
}

const struct bus_route slots_routes[] = {
	{PROTO_SLOTS_GET, on_slots_get},
	{PROTO_SLOTS_READ, on_slots_read},
	{PROTO_SLOT_SWAP, on_slot_swap},
};
const size_t slots_route_count = sizeof(slots_routes) / sizeof(slots_routes[0]);
