/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A room's committed state: what it is, who is in it, where it stands. Built from the latest state
 * events and changed by each event as it is committed; nothing in flight shows here but
 * `assigned`.
 */

#include <uthash.h>
#include "roomd/dedupe.h"
#include "roomd/marks.h"
#include "roomd/presence.h"
#include "roomd/tail.h"

struct room_member {
	struct proto_id user;
	enum proto_role role; /* also none and banned */
	uint64_t since; /* ms since 1970 */
	uint64_t since_seq;
	uint64_t typed_ms; /* monotonic: last time that typing was published */
	bool bot;
	char name[PROTO_NAME_BYTES_MAX + 1];
	UT_hash_handle hh;
};

struct room {
	struct proto_id id;
	enum proto_room_kind kind; /* absent: there is no such room (yet) */
	char label[PROTO_NAME_BYTES_MAX + 1];
	char topic[PROTO_TOPIC_BYTES_MAX + 1];
	uint64_t capacity; /* 0: as many as come */
	uint64_t assigned; /* last seq given */
	uint64_t committed; /* last seq committed */
	uint64_t last_time; /* ms since 1970, of the last event that got a seq */
	struct room_member *members; /* everyone who ever had a role */
	size_t member_count; /* owners, admins, members */
	struct marks marks; /* of a personal log */
	struct dedupe dedupe;
	struct tail tail;
	struct presence presence;
};

void room_init(struct room *room, const struct proto_id *id);
void room_deinit(struct room *room, const struct tail_limits *limits);

/*
 * Change the state by a committed event, or by a latest one of storage. A member's event that is
 * older than what is known changes nothing. Returns 0 or -ENOMEM.
 */
int room_apply(struct room *room, const struct proto_event *event);

/* NULL: never had a role. */
struct room_member *room_member(const struct room *room, const struct proto_id *user);
/* Absent for strangers. */
enum proto_role room_role(const struct room *room, const struct proto_id *user);
bool room_has_member(const struct room *room, const struct proto_id *user);
bool room_is_full(const struct room *room);
size_t room_owners(const struct room *room);
/*
 * Who becomes the owner when `user`, the last one, leaves: the oldest admin, else the oldest
 * member; or NULL.
 */
const struct room_member *room_heir(const struct room *room, const struct proto_id *user);
/* The name that `user` sees: that of the other person in a direct room. */
const char *room_label_for(const struct room *room, const struct proto_id *user);
/* The time of the next event: never earlier than that of the one before. */
uint64_t room_next_time(const struct room *room, uint64_t wall_ms);
