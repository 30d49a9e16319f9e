/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Slots: who should own them (wishes), who owns them (records), who serves them (the published
 * map).
 *
 * Wishes are advice: a roomd that is wished for takes over by compare-and-swap on the record,
 * whatever the registry thinks of it meanwhile. The map lists a slot under an owner while its
 * record is OPEN and the owner's incarnation is alive.
 */

#include <errno.h>
#include <stdlib.h>
#include "registry/assignment.h"
#include "registry/registry.h"
#include "services/clock.h"

#define WISH_NOBODY 0xffff
#define RECORDS_BYTES_MAX PROTO_PAGE_BYTES_MAX

static struct registry_key slot_key(unsigned int slot)
{
	uint8_t number[2] = {(uint8_t)(slot >> 8), (uint8_t)slot};

	return registry_key("slot/", number, sizeof(number));
}

/* --- wishes: kept --- */

static void on_wishes_kept(void *context, int result)
{
	(void)context;
	if (result != 0) {
		log_error("assignment.not_kept",
			  LOG_TEXT("code", proto_error_info((enum proto_code)result)->code));
	}
}

/* Count of names, each with its length in front, then two bytes for each slot. */
static void wishes_keep(struct registry *registry)
{
	const struct wishes *wishes = &registry->wishes;
	size_t size = 2 + wishes->name_count * (PROTO_NAME_BYTES_MAX + 1) + (size_t)PROTO_SLOTS * 2;
	struct registry_key key = registry_key("meta/wishes", NULL, 0);
	struct store_txn *txn = store_txn_new();
	uint8_t *bytes = malloc(size);
	uint8_t *at = bytes;

	if (!txn || !bytes) {
		store_txn_free(txn);
		free(bytes);
		return; /* a restart will balance anew */
	}
	*at++ = (uint8_t)(wishes->name_count >> 8);
	*at++ = (uint8_t)wishes->name_count;
	for (size_t i = 0; i < wishes->name_count; i++) {
		size_t length = strlen(wishes->names[i]);

		*at++ = (uint8_t)length;
		memcpy(at, wishes->names[i], length);
		at += length;
	}
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		size_t wish = wishes->slots[slot] == ASSIGNMENT_NOBODY ? WISH_NOBODY
								       : wishes->slots[slot];

		*at++ = (uint8_t)(wish >> 8);
		*at++ = (uint8_t)wish;
	}
	store_txn_put(txn, key.bytes, key.size, bytes, (size_t)(at - bytes));
	free(bytes);
	store_commit(registry->store, txn, on_wishes_kept, registry);
}

static bool wishes_parse(struct wishes *wishes, const uint8_t *bytes, size_t size)
{
	size_t count = size >= 2 ? (size_t)bytes[0] << 8 | bytes[1] : 0;
	size_t at = 2;

	if (count == 0 || count > PROTO_NODES_MAX) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		size_t length = at < size ? bytes[at] : SIZE_MAX;

		if (length > PROTO_NAME_BYTES_MAX || at + 1 + length > size) {
			return false;
		}
		memcpy(wishes->names[i], bytes + at + 1, length);
		wishes->names[i][length] = '\0';
		at += 1 + length;
	}
	if (size - at != (size_t)PROTO_SLOTS * 2) {
		return false;
	}
	wishes->name_count = count;
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++, at += 2) {
		size_t wish = (size_t)bytes[at] << 8 | bytes[at + 1];

		wishes->slots[slot] = wish < count ? wish : ASSIGNMENT_NOBODY;
	}
	return true;
}

static void on_wishes_row(void *context, const struct store_row *row)
{
	(void)wishes_parse(context, row->value, row->value_size);
}

/* --- wishes: made --- */

/*
 * Whether a node of this name may have slots now: it is alive, or may still come back after our own
 * restart.
 */
static bool may_own(const struct registry *registry, const char *name, uint64_t now_ms)
{
	const struct node *node = node_find(&registry->nodes, proto_span(name));

	if (!node) {
		return now_ms < registry->wishes.trust_until_ms;
	}
	return node->service == PROTO_SERVICE_ROOMD && node_is_alive(node);
}

static void wishes_add_name(struct wishes *wishes, const char *name)
{
	for (size_t i = 0; i < wishes->name_count; i++) {
		if (strcmp(wishes->names[i], name) == 0) {
			return;
		}
	}
	if (wishes->name_count < PROTO_NODES_MAX) {
		strcpy(wishes->names[wishes->name_count++], name);
	}
}

/* Names that may own stay, in their order, and new roomds are added; wishes follow the names. */
static void wishes_rename(struct registry *registry, uint64_t now_ms)
{
	struct wishes *wishes = &registry->wishes;
	size_t moved[PROTO_NODES_MAX];
	size_t kept = 0;
	const struct node *node;

	for (size_t i = 0; i < wishes->name_count; i++) {
		bool stays = may_own(registry, wishes->names[i], now_ms);

		moved[i] = stays ? kept : ASSIGNMENT_NOBODY;
		if (stays) {
			memmove(wishes->names[kept++], wishes->names[i], sizeof(wishes->names[0]));
		}
	}
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		if (wishes->slots[slot] != ASSIGNMENT_NOBODY) {
			wishes->slots[slot] = moved[wishes->slots[slot]];
		}
	}
	wishes->name_count = kept;
	for (node = registry->nodes.nodes; node; node = node->hh.next) {
		if (node->service == PROTO_SERVICE_ROOMD && node_is_alive(node)) {
			wishes_add_name(wishes, node->name);
		}
	}
}

static void balance(struct registry *registry, uint64_t now_ms)
{
	struct wishes *wishes = &registry->wishes;
	struct proto_assignment_changed change;
	size_t changed;

	wishes_rename(registry, now_ms);
	changed = assignment_balance(wishes->slots, wishes->name_count);
	if (changed == 0) {
		return;
	}
	change.version = ++wishes->version;
	log_info("slots.assigned", LOG_NUMBER("changed", changed),
		 LOG_NUMBER("nodes", wishes->name_count), LOG_NUMBER("version", wishes->version));
	wishes_keep(registry);
	bus_publish(registry->publisher, NULL, PROTO_ASSIGNMENT_CHANGED, &change);
}

/* --- the map that is published --- */

struct node *slots_owner(const struct registry *registry, unsigned int slot)
{
	const struct proto_slot_record *record = slot_table_get(registry->slots, slot);
	struct node *node;

	if (record->state != PROTO_SLOT_STATE_OPEN) {
		return NULL;
	}
	node = node_find(&registry->nodes, record->owner);
	return node && node_is_alive(node) &&
			       proto_id_equal(&node->incarnation, &record->incarnation)
		       ? node
		       : NULL;
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

/*
 * After a start of the registry nodes are known again only when they have said hello. Until the
 * owners of all open slots have, or had time to, there is no map: better an old one than one with
 * holes.
 */
static bool map_is_known(const struct registry *registry)
{
	if (registry->wishes.trust_until_ms == 0) {
		return true;
	}
	for (unsigned int slot = 0; slot < PROTO_SLOTS; slot++) {
		const struct proto_slot_record *record = slot_table_get(registry->slots, slot);

		if (record->state == PROTO_SLOT_STATE_OPEN &&
		    !node_find(&registry->nodes, record->owner)) {
			return false;
		}
	}
	return true;
}

static void publish_map(struct registry *registry)
{
	static struct map map; /* large; used within this call alone */
	struct served *served = &registry->served;
	struct proto_slots_changed change;

	map.node_count = 0;
	map.run_count = 0;
	for (unsigned int slot = 0; slot < PROTO_SLOTS; slot++) {
		const struct node *owner = slots_owner(registry, slot);
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
		const struct node *owner = slots_owner(registry, slot);

		if (owner) {
			map_add(&map, slot, owner);
		}
	}
	answer = (struct proto_slot_map){
		.version = registry->served.version,
		.nodes = {map.nodes, map.node_count},
		.runs = {map.runs, map.run_count},
	};
	bus_reply(request, PROTO_SLOT_MAP, &answer);
}

/* --- placing rooms --- */

static bool may_get_rooms(const struct node *node)
{
	return node->service == PROTO_SERVICE_ROOMD && node->state == PROTO_NODE_STATE_ONLINE &&
	       node->slots > 0;
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
	bool found = false;

	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		unsigned int slot = (start + i) % PROTO_SLOTS;
		const struct node *owner = slots_owner(registry, slot);

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

static struct node *place_next(const struct registry *registry, struct node *const *chosen,
			       size_t count)
{
	struct node *best = NULL;
	struct node *node;

	for (node = registry->nodes.nodes; node; node = node->hh.next) {
		bool taken = node->service != PROTO_SERVICE_STORAGED ||
			     node->state != PROTO_NODE_STATE_ONLINE;

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
		struct node *node = place_next(registry, chosen, count);

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
};

struct swap_part {
	struct swap *swap;
	struct proto_buffer row;
};

static void swap_finish(struct swap *swap)
{
	static struct proto_slot_record records[256];
	const struct proto_slot_swap *asked = PROTO_BODY(bus_request_message(swap->request),
							 slot_swap);
	struct proto_store_place places[PROTO_MEMBERS_MAX];
	struct proto_slot_swapped answer = {.records = {records, asked->records.count},
					    .members.items = places};

	for (size_t i = 0; i < asked->records.count; i++) {
		records[i] = *slot_table_get(swap->registry->slots,
					     (unsigned int)asked->records.items[i].slot);
	}
	if (asked->place) {
		answer.members.count = place(swap->registry, places);
	}
	if (swap->failed) {
		bus_refuse(swap->request, PROTO_E_STORAGE_FAILED, NULL);
	} else {
		bus_reply(swap->request, PROTO_SLOT_SWAPPED, &answer);
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
		if (slot_table_check(registry->slots, &asked->records.items[i]) == 0) {
			swap_one(swap, &asked->records.items[i]);
		}
	}
	if (--swap->waiting == 0) {
		swap_finish(swap);
	}
}

/* --- slots_assigned --- */

static void on_slots_assigned(void *context, struct bus_request *request,
			      const struct proto_message *message)
{
	static struct proto_slot_range ranges[PROTO_SLOTS];
	const struct proto_slots_assigned *asked = PROTO_BODY(message, slots_assigned);
	const struct registry *registry = context;
	const struct wishes *wishes = &registry->wishes;
	struct proto_slot_ranges answer = {.version = wishes->version, .ranges.items = ranges};
	size_t *count = &answer.ranges.count;

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		size_t wish = wishes->slots[slot];

		if (wish == ASSIGNMENT_NOBODY ||
		    !proto_span_equal(proto_span(wishes->names[wish]), asked->node)) {
			continue;
		}
		if (*count > 0 && ranges[*count - 1].last + 1 == slot) {
			ranges[*count - 1].last = slot;
		} else {
			ranges[(*count)++] = (struct proto_slot_range){slot, slot};
		}
	}
	bus_reply(request, PROTO_SLOT_RANGES, &answer);
}

/* --- nodes and time --- */

void slots_node_changed(struct registry *registry, const struct node *node)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (node->service != PROTO_SERVICE_ROOMD) {
		return;
	}
	registry->served.dirty = true;
	if (node->state == PROTO_NODE_STATE_DEAD) {
		balance(registry, now_ms);
	} else if (registry->wishes.settle_at_ms == 0) {
		registry->wishes.settle_at_ms = now_ms + registry->settings->settle_ms;
	}
}

void slots_tick(struct registry *registry, uint64_t now_ms)
{
	struct wishes *wishes = &registry->wishes;

	if (wishes->settle_at_ms != 0 && now_ms >= wishes->settle_at_ms) {
		wishes->settle_at_ms = 0;
		balance(registry, now_ms);
	}
	if (wishes->trust_until_ms != 0 && now_ms >= wishes->trust_until_ms) {
		wishes->trust_until_ms = 0;
		balance(registry, now_ms);
	}
	if (registry->served.dirty && map_is_known(registry)) {
		publish_map(registry);
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
	struct registry_key key = registry_key("meta/wishes", NULL, 0);
	struct wishes *wishes = &registry->wishes;
	int r = slot_table_new(&registry->slots);

	wishes->names = calloc(PROTO_NODES_MAX, sizeof(wishes->names[0]));
	if (r != 0 || !wishes->names) {
		return -ENOMEM;
	}
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		wishes->slots[slot] = ASSIGNMENT_NOBODY;
	}
	/* Versions never go back, whatever the registry forgot. */
	wishes->version = clock_wall_ms();
	registry->served.version = clock_wall_ms();
	wishes->trust_until_ms = clock_monotonic_ms() + registry->settings->dead_ms;
	(void)store_get(registry->store, key.bytes, key.size, on_wishes_row, wishes);
	store_scan(registry->store, "slot/", sizeof("slot/") - 1, NULL, 0, on_slot_row, registry);
	return registry->failed ? -EILSEQ : 0;
}

void slots_stop(struct registry *registry)
{
	slot_table_free(registry->slots);
	free(registry->wishes.names);
}

const struct bus_route slots_routes[] = {
	{PROTO_SLOTS_GET, on_slots_get},
	{PROTO_SLOTS_READ, on_slots_read},
	{PROTO_SLOT_SWAP, on_slot_swap},
	{PROTO_SLOTS_ASSIGNED, on_slots_assigned},
};
const size_t slots_route_count = sizeof(slots_routes) / sizeof(slots_routes[0]);
