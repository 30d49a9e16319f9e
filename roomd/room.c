/* SPDX-License-Identifier: GPL-3.0-or-later */

/* State by event kind; see room.h. */

#include "roomd/room.h"

#include <errno.h>
#include <stdlib.h>

void room_init(struct room *room, const struct proto_id *id)
{
	*room = (struct room){.id = *id};
}

void room_deinit(struct room *room, const struct tail_limits *limits)
{
	struct room_member *member;
	struct room_member *next;

	HASH_ITER(hh, room->members, member, next)
	{
		HASH_DEL(room->members, member);
		free(member);
	}
	marks_deinit(&room->marks);
	dedupe_deinit(&room->dedupe);
	tail_deinit(&room->tail, limits);
	presence_deinit(&room->presence);
}

struct room_member *room_member(const struct room *room, const struct proto_id *user)
{
	struct room_member *member;

	HASH_FIND(hh, room->members, user, sizeof(*user), member);
	return member;
}

enum proto_role room_role(const struct room *room, const struct proto_id *user)
{
	const struct room_member *member = room_member(room, user);

	return member ? member->role : PROTO_role_absent;
}

static bool is_inside(enum proto_role role)
{
	return role == PROTO_ROLE_OWNER || role == PROTO_ROLE_ADMIN || role == PROTO_ROLE_MEMBER;
}

bool room_has_member(const struct room *room, const struct proto_id *user)
{
	return is_inside(room_role(room, user));
}

bool room_is_full(const struct room *room)
{
	return room->capacity > 0 && room->member_count >= room->capacity;
}

size_t room_owners(const struct room *room)
{
	const struct room_member *member;
	size_t owners = 0;

	for (member = room->members; member; member = member->hh.next) {
		owners += member->role == PROTO_ROLE_OWNER;
	}
	return owners;
}

const struct room_member *room_heir(const struct room *room, const struct proto_id *user)
{
	const struct room_member *member;
	const struct room_member *heir = NULL;

	for (member = room->members; member; member = member->hh.next) {
		if (!is_inside(member->role) || proto_id_equal(&member->user, user)) {
			continue;
		}
		/* Roles are numbered from the highest. */
		if (!heir || member->role < heir->role ||
		    (member->role == heir->role && member->since_seq < heir->since_seq)) {
			heir = member;
		}
	}
	return heir;
}

const char *room_label_for(const struct room *room, const struct proto_id *user)
{
	const struct room_member *member;

	if (room->kind != PROTO_ROOM_KIND_DIRECT) {
		return room->label;
	}
	for (member = room->members; member; member = member->hh.next) {
		if (!proto_id_equal(&member->user, user)) {
			return member->name;
		}
	}
	return room->label;
}

uint64_t room_next_time(const struct room *room, uint64_t wall_ms)
{
	return wall_ms > room->last_time ? wall_ms : room->last_time;
}

static void copy_text(char *to, size_t capacity, struct proto_span from)
{
	size_t size = from.size < capacity - 1 ? from.size : capacity - 1;

	if (size > 0) {
		memcpy(to, from.data, size);
	}
	to[size] = '\0';
}

static int apply_member(struct room *room, const struct proto_event *event)
{
	struct room_member *member = room_member(room, &event->subject);

	if (!member) {
		member = calloc(1, sizeof(*member));
		if (!member) {
			return -ENOMEM;
		}
		member->user = event->subject;
		HASH_ADD(hh, room->members, user, sizeof(member->user), member);
	} else if (event->seq <= member->since_seq) {
		return 0;
	}
	room->member_count -= is_inside(member->role);
	room->member_count += is_inside(event->role);
	if (!is_inside(member->role) || !is_inside(event->role)) {
		member->since = event->time;
	}
	member->role = event->role;
	member->since_seq = event->seq;
	if (event->label.size > 0) {
		copy_text(member->name, sizeof(member->name), event->label);
	}
	if (proto_id_equal(&event->user, &event->subject)) {
		member->bot = event->bot;
	}
	return 0;
}

static int apply_setting(struct room *room, const struct proto_event *event)
{
	room->kind = event->access;
	room->capacity = event->capacity;
	copy_text(room->label, sizeof(room->label), event->label);
	copy_text(room->topic, sizeof(room->topic), event->topic);
	return 0;
}

static int apply_personal(struct room *room, const struct proto_event *event)
{
	room->kind = PROTO_ROOM_KIND_PERSONAL;
	return marks_apply(&room->marks, event);
}

int room_apply(struct room *room, const struct proto_event *event)
{
	switch (event->kind) {
	case PROTO_EVENT_KIND_MEMBER:
		return apply_member(room, event);
	case PROTO_EVENT_KIND_SETTING:
		return apply_setting(room, event);
	case PROTO_EVENT_KIND_JOINED:
	case PROTO_EVENT_KIND_READ:
		return apply_personal(room, event);
	default:
		return 0;
	}
}
