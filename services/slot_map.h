/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A node's copy of the slot map: which roomd serves which slot. Pure; fed with what the registry
 * answers and publishes. Runs that make no sense (an owner that is not listed) leave their slots
 * without an owner.
 */

#include "proto/proto.h"

struct slot_map;

/*
 * An owner: one incarnation of a node. Valid until the map is freed, also when `slots` is 0 and no
 * slot is its any more; it may get slots again.
 */
struct slot_owner {
	char node[PROTO_NAME_BYTES_MAX + 1];
	struct proto_id incarnation;
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	char feed[PROTO_ADDRESS_BYTES_MAX + 1];
	size_t slots; /* that it owns */
	void *user; /* for the holder of the map: links and such */
};

int slot_map_new(struct slot_map **ret_map);
void slot_map_free(struct slot_map *map);

uint64_t slot_map_version(const struct slot_map *map); /* 0: nothing yet */
/* NULL: nobody serves it now, or there is no such slot. */
struct slot_owner *slot_map_owner(const struct slot_map *map, unsigned int slot);
/* Calls `visit` for every owner that has slots or has had some. */
void slot_map_each_owner(const struct slot_map *map,
			 void (*visit)(void *context, struct slot_owner *owner), void *context);

/* Replace the whole map, by an older one too. Returns 0, or -ENOMEM and the map is as before. */
int slot_map_replace(struct slot_map *map, const struct proto_slot_map *whole);
/*
 * Apply a change; one that the map already contains is none. Returns 0, PROTO_E_VERSION_CONFLICT if
 * one before it is missing (ask for the whole), or -ENOMEM; the map is as before unless it returns
 * 0.
 */
int slot_map_apply(struct slot_map *map, const struct proto_slots_changed *change);
