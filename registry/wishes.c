/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Wishes: which roomd should own which slot, kept by name through restarts, and what each roomd is
 * told to do about it.
 *
 * Wishes are advice about who begins a take-over; what is safe does not hang on them. A slot moves
 * from a node that is well in three steps, so that nobody ever answers from memory beside a new
 * owner: the old one hears that it shall leave the slot (slots_assigned, `leave`), finishes what is
 * in flight and closes the record; only then the new one hears that it may take it (`ranges`), and
 * slots.c lets it write its claim. A node that is dead is not asked.
 *
 *   wish(B) ── A: leave ──▶ A closes the record ── B: take ──▶ B claims, seals, opens
 *
 * A node that drains, or stops in order, keeps its wishes only while nobody else could have them.
 * When all stop at once, wishes stay with whoever was the last: nobody is asked to leave anything
 * for a node that is going itself, and each hears that it is alone.
 */

#include <errno.h>
#include <stdlib.h>
#include "registry/assignment.h"
#include "registry/registry.h"
#include "services/clock.h"

#define WISH_NOBODY 0xffff

/* --- kept --- */

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

/* --- who may have slots --- */

bool wishes_trust_unknown(const struct registry *registry)
{
	return registry->nodes.clock_ms < registry->wishes.trust_until_ms;
}

/* Whether a node of this name may have slots: it is well, or may still say so after our start. */
static bool may_have(const struct registry *registry, const char *name)
{
	const struct node *node = node_find(&registry->nodes, proto_span(name));

	if (!node) {
		return wishes_trust_unknown(registry);
	}
	return node->service == PROTO_SERVICE_ROOMD && node_is_alive(node) &&
	       !node_is_draining(node);
}

/* Whether any node may have slots, other than the one of this name (may be empty). */
static bool anyone_may_have(const struct registry *registry, struct proto_span but)
{
	const struct node *node;

	for (node = registry->nodes.nodes; node; node = node->hh.next) {
		if (!proto_span_equal(proto_span(node->name), but) &&
		    may_have(registry, node->name)) {
			return true;
		}
	}
	return false;
}

static size_t name_find(const struct wishes *wishes, struct proto_span name)
{
	size_t i = 0;

	while (i < wishes->name_count && !proto_span_equal(proto_span(wishes->names[i]), name)) {
		i++;
	}
	return i < wishes->name_count ? i : ASSIGNMENT_NOBODY;
}

/* Names that may have slots stay, in their order, new ones are added, and wishes follow. */
static void rename_all(struct registry *registry)
{
	struct wishes *wishes = &registry->wishes;
	size_t moved[PROTO_NODES_MAX];
	size_t kept = 0;
	const struct node *node;

	for (size_t i = 0; i < wishes->name_count; i++) {
		bool stays = may_have(registry, wishes->names[i]);

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
		if (node->service == PROTO_SERVICE_ROOMD && may_have(registry, node->name) &&
		    name_find(wishes, proto_span(node->name)) == ASSIGNMENT_NOBODY &&
		    wishes->name_count < PROTO_NODES_MAX) {
			strcpy(wishes->names[wishes->name_count++], node->name);
		}
	}
}

/* --- made --- */

/* Positions of the names that serve the slots now. */
static void find_owners(const struct registry *registry, size_t *ret_owners)
{
	struct owner_memo memo = {0};
	const struct node *last = NULL;
	size_t position = ASSIGNMENT_NOBODY;

	for (unsigned int slot = 0; slot < PROTO_SLOTS; slot++) {
		const struct node *owner = slots_owner_memo(registry, slot, &memo);

		if (owner != last) {
			last = owner;
			position = owner ? name_find(&registry->wishes, proto_span(owner->name))
					 : ASSIGNMENT_NOBODY;
		}
		ret_owners[slot] = position;
	}
}

void wishes_tell(struct registry *registry)
{
	struct proto_assignment_changed change = {.version = ++registry->wishes.version};

	bus_publish(registry->publisher, NULL, PROTO_ASSIGNMENT_CHANGED, &change);
}

/* Whoever is gone, came or drains: as few slots as possible get another wish. */
static void balance(struct registry *registry)
{
	static size_t owners[PROTO_SLOTS]; /* used within this call alone */
	struct wishes *wishes = &registry->wishes;
	size_t changed;

	if (!anyone_may_have(registry, (struct proto_span){0})) {
		wishes_tell(registry); /* whoever waits for others waits in vain */
		return; /* better wishes for nodes that may come back than none */
	}
	rename_all(registry);
	find_owners(registry, owners);
	changed = assignment_balance(wishes->slots, owners, wishes->name_count);
	if (changed > 0) {
		log_info("slots.assigned", LOG_NUMBER("changed", changed),
			 LOG_NUMBER("nodes", wishes->name_count));
		wishes_keep(registry);
	}
	wishes_tell(registry); /* if not what is wished, then what may be taken has changed */
}

/* --- load --- */

static struct node *node_at(const struct registry *registry, size_t position)
{
	return node_find(&registry->nodes, proto_span(registry->wishes.names[position]));
}

/* Whether all slots are where they should be: one move after the other. */
static bool is_settled(const struct registry *registry)
{
	static size_t owners[PROTO_SLOTS]; /* used within this call alone */

	find_owners(registry, owners);
	return memcmp(owners, registry->wishes.slots, sizeof(owners)) == 0;
}

static void look_at_load(struct registry *registry)
{
	struct wishes *wishes = &registry->wishes;
	uint64_t loads[PROTO_NODES_MAX];
	size_t from = 0;
	size_t to = 0;
	size_t moved;

	for (size_t i = 0; i < wishes->name_count; i++) {
		const struct node *node = node_at(registry, i);

		loads[i] = node && node->load_at_ms > 0 && node_takes_new(node)
				   ? node->load_permille
				   : LOAD_UNKNOWN;
	}
	if (!is_settled(registry) ||
	    !load_look(&wishes->load, loads, wishes->name_count, &from, &to)) {
		return;
	}
	moved = assignment_shift(wishes->slots, wishes->name_count, from, to,
				 PROTO_SLOTS / wishes->name_count / LOAD_PART + 1,
				 (size_t)(uv_hrtime() / 1000 % PROTO_SLOTS));
	if (moved > 0) {
		log_info("slots.shifted", LOG_NUMBER("changed", moved),
			 LOG_TEXT("from", wishes->names[from]), LOG_TEXT("to", wishes->names[to]));
		wishes_keep(registry);
		wishes_tell(registry);
	}
}

/* --- slots_assigned --- */

struct ranges {
	struct proto_slot_range items[PROTO_SLOTS];
	size_t count;
};

static void ranges_add(struct ranges *ranges, size_t slot)
{
	if (ranges->count > 0 && ranges->items[ranges->count - 1].last + 1 == slot) {
		ranges->items[ranges->count - 1].last = slot;
	} else {
		ranges->items[ranges->count++] = (struct proto_slot_range){slot, slot};
	}
}

/* Whether nobody else is there for the slots of the one who asks, or may still come back. */
static bool is_alone(const struct registry *registry, const bool *heirs, struct proto_span asker)
{
	size_t position = name_find(&registry->wishes, asker);

	for (size_t i = 0; i < registry->wishes.name_count; i++) {
		if (i != position && heirs[i]) {
			return false;
		}
	}
	return !anyone_may_have(registry, asker);
}

static void on_slots_assigned(void *context, struct bus_request *request,
			      const struct proto_message *message)
{
	static struct ranges take; /* large; used within this call alone */
	static struct ranges leave;
	const struct proto_slots_assigned *asked = PROTO_BODY(message, slots_assigned);
	const struct registry *registry = context;
	const struct wishes *wishes = &registry->wishes;
	size_t asker = name_find(wishes, asked->node);
	struct proto_slot_ranges answer;
	bool heirs[PROTO_NODES_MAX];

	for (size_t i = 0; i < wishes->name_count; i++) {
		heirs[i] = may_have(registry, wishes->names[i]);
	}
	take.count = 0;
	leave.count = 0;
	for (unsigned int slot = 0; slot < PROTO_SLOTS; slot++) {
		const struct proto_slot_record *record = slot_table_get(registry->slots, slot);
		bool is_owner = proto_id_equal(&record->incarnation, &asked->incarnation);
		size_t wish = wishes->slots[slot];

		if (wish == ASSIGNMENT_NOBODY) {
			continue;
		}
		if (wish == asker && (is_owner || !slots_is_held(registry, record))) {
			ranges_add(&take, slot);
		} else if (wish != asker && heirs[wish] && is_owner &&
			   record->state == PROTO_SLOT_STATE_OPEN) {
			ranges_add(&leave, slot);
		}
	}
	answer = (struct proto_slot_ranges){
		.version = wishes->version,
		.ranges = {take.items, take.count},
		.leave = {leave.items, leave.count},
		.alone = is_alone(registry, heirs, asked->node),
	};
	bus_reply(request, PROTO_SLOT_RANGES, &answer);
}

/* --- nodes and time --- */

void wishes_node_changed(struct registry *registry, const struct node *node)
{
	if (!node_is_alive(node) || node_is_draining(node)) {
		balance(registry);
	} else if (registry->wishes.settle_at_ms == 0) {
		registry->wishes.settle_at_ms = registry->nodes.clock_ms +
						registry->settings->settle_ms;
	}
}

/* Whether every node of the wishes, and every owner of a slot, has said hello since our start. */
static bool all_are_back(const struct registry *registry)
{
	for (size_t i = 0; i < registry->wishes.name_count; i++) {
		if (!node_at(registry, i)) {
			return false;
		}
	}
	return slots_owners_are_known(registry);
}

void wishes_tick(struct registry *registry)
{
	struct wishes *wishes = &registry->wishes;
	uint64_t clock_ms = registry->nodes.clock_ms;

	if (wishes->trust_until_ms != 0 &&
	    (clock_ms >= wishes->trust_until_ms || all_are_back(registry))) {
		wishes->trust_until_ms = 0;
		balance(registry);
	}
	if (wishes->settle_at_ms != 0 && clock_ms >= wishes->settle_at_ms) {
		wishes->settle_at_ms = 0;
		balance(registry);
	}
	if (clock_ms >= wishes->load_at_ms) {
		wishes->load_at_ms = clock_ms + LOAD_CHECK_MS;
		look_at_load(registry);
	}
}

/* --- start --- */

int wishes_start(struct registry *registry)
{
	const struct registry_settings *settings = registry->settings;
	struct registry_key key = registry_key("meta/wishes", NULL, 0);
	struct wishes *wishes = &registry->wishes;

	wishes->names = calloc(PROTO_NODES_MAX, sizeof(wishes->names[0]));
	if (!wishes->names) {
		return -ENOMEM;
	}
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		wishes->slots[slot] = ASSIGNMENT_NOBODY;
	}
	/* Versions never go back, whatever the registry forgot. */
	wishes->version = clock_wall_ms();
	wishes->trust_until_ms = settings->dead_ms > settings->return_ms ? settings->dead_ms
									 : settings->return_ms;
	(void)store_get(registry->store, key.bytes, key.size, on_wishes_row, wishes);
	return 0;
}

void wishes_stop(struct registry *registry)
{
	free(registry->wishes.names);
}

const struct bus_route wishes_routes[] = {
	{PROTO_SLOTS_ASSIGNED, on_slots_assigned},
};
const size_t wishes_route_count = sizeof(wishes_routes) / sizeof(wishes_routes[0]);
