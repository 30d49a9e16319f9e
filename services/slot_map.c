/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The slot map: an array of 4096 pointers to owners. Owners are few, and never freed before the
 * map, so that links may be hung on them. A change first finds all its owners, which may fail, and
 * then writes, which cannot.
 */

#include "services/slot_map.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

struct known_owner {
	struct slot_owner owner;
	struct known_owner *next;
};

struct slot_map {
	uint64_t version;
	struct slot_owner *slots[PROTO_SLOTS];
	struct known_owner *owners;
};

int slot_map_new(struct slot_map **ret_map)
{
	struct slot_map *map = calloc(1, sizeof(*map));

	if (!map) {
		return -ENOMEM;
	}
	*ret_map = map;
	return 0;
}

void slot_map_free(struct slot_map *map)
{
	struct known_owner *known;
	struct known_owner *next;

	if (!map) {
		return;
	}
	LL_FOREACH_SAFE(map->owners, known, next)
	{
		free(known);
	}
	free(map);
}

uint64_t slot_map_version(const struct slot_map *map)
{
	return map->version;
}

struct slot_owner *slot_map_owner(const struct slot_map *map, unsigned int slot)
{
	return slot < PROTO_SLOTS ? map->slots[slot] : NULL;
}

void slot_map_each_owner(const struct slot_map *map,
			 void (*visit)(void *context, struct slot_owner *owner), void *context)
{
	struct known_owner *known;
	struct known_owner *next;

	LL_FOREACH_SAFE(map->owners, known, next)
	{
		visit(context, &known->owner);
	}
}

/* The codec holds spans to the limits that the arrays are made for. */
static void copy_text(char *text, size_t size, struct proto_span span)
{
	size_t used = span.size < size ? span.size : size - 1;

	if (used > 0) {
		memcpy(text, span.data, used);
	}
	text[used] = '\0';
}

static bool is_owner(const struct slot_owner *owner, const struct proto_slot_node *node)
{
	return proto_id_equal(&owner->incarnation, &node->incarnation) &&
	       proto_span_equal(proto_span(owner->node), node->node);
}

/* Find or add. Returns NULL if there is no memory. */
static struct slot_owner *owner_get(struct slot_map *map, const struct proto_slot_node *node)
{
	struct known_owner *known;

	LL_FOREACH(map->owners, known)
	{
		if (is_owner(&known->owner, node)) {
			break;
		}
	}
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known) {
			return NULL;
		}
		copy_text(known->owner.node, sizeof(known->owner.node), node->node);
		known->owner.incarnation = node->incarnation;
		LL_APPEND(map->owners, known);
	}
	copy_text(known->owner.address, sizeof(known->owner.address), node->address);
	copy_text(known->owner.feed, sizeof(known->owner.feed), node->feed);
	return &known->owner;
}

static int find_owners(struct slot_map *map, const struct proto_list_slot_node *nodes,
		       struct slot_owner *ret_owners[static PROTO_NODES_MAX])
{
	for (size_t i = 0; i < nodes->count && i < PROTO_NODES_MAX; i++) {
		ret_owners[i] = owner_get(map, &nodes->items[i]);
		if (!ret_owners[i]) {
			return -ENOMEM;
		}
	}
	return 0;
}

static void set_owner(struct slot_map *map, size_t slot, struct slot_owner *owner)
{
	if (map->slots[slot]) {
		map->slots[slot]->slots--;
	}
	map->slots[slot] = owner;
	if (owner) {
		owner->slots++;
	}
}

static void write_runs(struct slot_map *map, const struct proto_list_slot_run *runs,
		       struct slot_owner *const *owners, size_t owner_count)
{
	for (size_t i = 0; i < runs->count; i++) {
		const struct proto_slot_run *run = &runs->items[i];
		bool known = run->owner > 0 && run->owner <= owner_count;

		for (uint64_t slot = run->first; slot <= run->last && slot < PROTO_SLOTS; slot++) {
			set_owner(map, slot, known ? owners[run->owner - 1] : NULL);
		}
	}
}

int slot_map_replace(struct slot_map *map, const struct proto_slot_map *whole)
{
	struct slot_owner *owners[PROTO_NODES_MAX];
	int r = find_owners(map, &whole->nodes, owners);

	if (r < 0) {
		return r;
	}
	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		set_owner(map, slot, NULL);
	}
	write_runs(map, &whole->runs, owners, whole->nodes.count);
	map->version = whole->version;
	return 0;
}

int slot_map_apply(struct slot_map *map, const struct proto_slots_changed *change)
{
	struct slot_owner *owners[PROTO_NODES_MAX];
	int r;

	if (change->version <= map->version) {
		return 0;
	}
	if (change->version != map->version + 1) {
		return PROTO_E_VERSION_CONFLICT;
	}
	r = find_owners(map, &change->nodes, owners);
	if (r < 0) {
		return r;
	}
	write_runs(map, &change->runs, owners, change->nodes.count);
	map->version = change->version;
	return 0;
}
