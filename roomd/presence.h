/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Who has a room open. A place is a user on a connection (a gateway says it once for all of a
 * user's sockets); a person is here as long as one place is. Never stored; a place is forgotten
 * unless repeated.
 */

#include <stdbool.h>
#include <uthash.h>
#include "proto/proto.h"

#define PRESENCE_FORGET_MS 90000
#define PRESENCE_PLACES_MAX 100000 /* in one room */

struct presence_person {
	struct proto_id user;
	char name[PROTO_NAME_BYTES_MAX + 1];
	size_t places;
	UT_hash_handle hh;
};

struct presence_place;

struct presence {
	struct presence_person *persons;
	struct presence_place *places; /* the one longest not repeated first */
};

enum presence_change {
	PRESENCE_SAME,
	PRESENCE_CAME, /* the person's first place */
	PRESENCE_WENT, /* the last one */
	PRESENCE_FULL, /* not taken */
};

void presence_deinit(struct presence *presence);
size_t presence_count(const struct presence *presence); /* persons */
const struct presence_person *presence_find(const struct presence *presence,
					    const struct proto_id *user);
enum presence_change presence_enter(struct presence *presence, uint64_t peer,
				    const struct proto_id *user, const char *name, uint64_t now_ms);
enum presence_change presence_leave(struct presence *presence, uint64_t peer,
				    const struct proto_id *user);
/*
 * Forget one place that was not repeated. Returns whether there was one; `ret_went` tells whether
 * the person, copied to `ret_person`, went with it. Call until it returns false.
 */
bool presence_expire(struct presence *presence, uint64_t now_ms, struct presence_person *ret_person,
		     bool *ret_went);
