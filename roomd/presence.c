/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Two hashes: places by (peer, user), kept in the order of their last repetition, and persons. */

#include "roomd/presence.h"

#include <stdlib.h>

struct place_key {
	uint64_t peer;
	struct proto_id user;
};

struct presence_place {
	struct place_key key;
	uint64_t seen_ms;
	UT_hash_handle hh;
};

void presence_deinit(struct presence *presence)
{
	struct presence_place *place;
	struct presence_place *next_place;
	struct presence_person *person;
	struct presence_person *next_person;

	HASH_ITER(hh, presence->places, place, next_place)
	{
		HASH_DEL(presence->places, place);
		free(place);
	}
	HASH_ITER(hh, presence->persons, person, next_person)
	{
		HASH_DEL(presence->persons, person);
		free(person);
	}
}

size_t presence_count(const struct presence *presence)
{
	return HASH_COUNT(presence->persons);
}

const struct presence_person *presence_find(const struct presence *presence,
					    const struct proto_id *user)
{
	struct presence_person *person;

	HASH_FIND(hh, presence->persons, user, sizeof(*user), person);
	return person;
}

static struct presence_place *place_find(const struct presence *presence, uint64_t peer,
					 const struct proto_id *user)
{
	struct place_key key = {peer, *user};
	struct presence_place *place;

	HASH_FIND(hh, presence->places, &key, sizeof(key), place);
	return place;
}

static struct presence_person *person_get(struct presence *presence, const struct proto_id *user,
					  const char *name)
{
	struct presence_person *person;

	HASH_FIND(hh, presence->persons, user, sizeof(*user), person);
	if (!person) {
		person = calloc(1, sizeof(*person));
		if (!person) {
			return NULL;
		}
		person->user = *user;
		memcpy(person->name, name, strnlen(name, PROTO_NAME_BYTES_MAX));
		HASH_ADD(hh, presence->persons, user, sizeof(person->user), person);
	}
	return person;
}

enum presence_change presence_enter(struct presence *presence, uint64_t peer,
				    const struct proto_id *user, const char *name, uint64_t now_ms)
{
	struct presence_place *place = place_find(presence, peer, user);
	struct presence_person *person;

	if (place) {
		HASH_DEL(presence->places, place);
		place->seen_ms = now_ms;
		HASH_ADD(hh, presence->places, key, sizeof(place->key), place);
		return PRESENCE_SAME;
	}
	if (HASH_COUNT(presence->places) >= PRESENCE_PLACES_MAX) {
		return PRESENCE_FULL;
	}
	place = calloc(1, sizeof(*place));
	person = place ? person_get(presence, user, name) : NULL;
	if (!person) {
		free(place);
		return PRESENCE_FULL;
	}
	place->key = (struct place_key){peer, *user};
	place->seen_ms = now_ms;
	HASH_ADD(hh, presence->places, key, sizeof(place->key), place);
	return person->places++ == 0 ? PRESENCE_CAME : PRESENCE_SAME;
}

static bool place_drop(struct presence *presence, struct presence_place *place,
		       struct presence_person *ret_person)
{
	struct presence_person *person;
	bool went;

	HASH_FIND(hh, presence->persons, &place->key.user, sizeof(place->key.user), person);
	HASH_DEL(presence->places, place);
	free(place);
	went = --person->places == 0;
	*ret_person = *person;
	if (went) {
		HASH_DEL(presence->persons, person);
		free(person);
	}
	return went;
}

enum presence_change presence_leave(struct presence *presence, uint64_t peer,
				    const struct proto_id *user)
{
	struct presence_place *place = place_find(presence, peer, user);
	struct presence_person person;

	if (!place) {
		return PRESENCE_SAME;
	}
	return place_drop(presence, place, &person) ? PRESENCE_WENT : PRESENCE_SAME;
}

bool presence_expire(struct presence *presence, uint64_t now_ms, struct presence_person *ret_person,
		     bool *ret_went)
{
	struct presence_place *oldest = presence->places;

	if (!oldest || now_ms < oldest->seen_ms + PRESENCE_FORGET_MS) {
		return false;
	}
	*ret_went = place_drop(presence, oldest, ret_person);
	return true;
}
