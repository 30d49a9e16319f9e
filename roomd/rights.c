/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The rights tables. A room that the asker may not know of gives the same answer as none:
 * `not_found`. A banned person was told so, and gets `banned` everywhere. Nobody writes into a
 * personal log but roomd.
 */

#include "roomd/rights.h"

enum group {
	STRANGER,
	OWNER,
	ADMIN,
	MEMBER,
	BANNED,
	GROUPS
};

#define YES 0
#define NO PROTO_E_FORBIDDEN
#define HIDE PROTO_E_NOT_FOUND
#define BAN PROTO_E_BANNED

/* clang-format off */
static const int rights[][RIGHTS_ACTIONS][GROUPS] = {
	[PROTO_ROOM_KIND_PUBLIC] = {
		/*                   stranger owner admin member banned */
		[RIGHTS_READ] =     {YES,     YES,  YES,  YES,   BAN},
		[RIGHTS_WRITE] =    {NO,      YES,  YES,  YES,   BAN},
		[RIGHTS_MODERATE] = {NO,      YES,  YES,  NO,    BAN},
		[RIGHTS_SET] =      {NO,      YES,  YES,  NO,    BAN},
		[RIGHTS_JOIN] =     {YES,     YES,  YES,  YES,   BAN},
		[RIGHTS_LEAVE] =    {YES,     YES,  YES,  YES,   BAN},
	},
	[PROTO_ROOM_KIND_PRIVATE] = {
		[RIGHTS_READ] =     {HIDE,    YES,  YES,  YES,   BAN},
		[RIGHTS_WRITE] =    {HIDE,    YES,  YES,  YES,   BAN},
		[RIGHTS_MODERATE] = {HIDE,    YES,  YES,  NO,    BAN},
		[RIGHTS_SET] =      {HIDE,    YES,  YES,  NO,    BAN},
		[RIGHTS_JOIN] =     {HIDE,    YES,  YES,  YES,   BAN},
		[RIGHTS_LEAVE] =    {HIDE,    YES,  YES,  YES,   BAN},
	},
	[PROTO_ROOM_KIND_DIRECT] = {
		[RIGHTS_READ] =     {HIDE,    YES,  YES,  YES,   BAN},
		[RIGHTS_WRITE] =    {HIDE,    YES,  YES,  YES,   BAN},
		[RIGHTS_MODERATE] = {HIDE,    NO,   NO,   NO,    BAN},
		[RIGHTS_SET] =      {HIDE,    NO,   NO,   NO,    BAN},
		[RIGHTS_JOIN] =     {HIDE,    YES,  YES,  YES,   BAN},
		[RIGHTS_LEAVE] =    {HIDE,    NO,   NO,   NO,    BAN},
	},
	[PROTO_ROOM_KIND_PERSONAL] = {
		[RIGHTS_READ] =     {HIDE,    YES,  HIDE, HIDE,  HIDE},
		[RIGHTS_WRITE] =    {HIDE,    NO,   HIDE, HIDE,  HIDE},
		[RIGHTS_MODERATE] = {HIDE,    NO,   HIDE, HIDE,  HIDE},
		[RIGHTS_SET] =      {HIDE,    NO,   HIDE, HIDE,  HIDE},
		[RIGHTS_JOIN] =     {HIDE,    NO,   HIDE, HIDE,  HIDE},
		[RIGHTS_LEAVE] =    {HIDE,    NO,   HIDE, HIDE,  HIDE},
	},
};
/* clang-format on */

static enum group group_of(const struct room *room, const struct proto_id *user)
{
	if (room->kind == PROTO_ROOM_KIND_PERSONAL) {
		return proto_id_equal(&room->id, user) ? OWNER : STRANGER;
	}
	switch (room_role(room, user)) {
	case PROTO_ROLE_OWNER:
		return OWNER;
	case PROTO_ROLE_ADMIN:
		return ADMIN;
	case PROTO_ROLE_MEMBER:
		return MEMBER;
	case PROTO_ROLE_BANNED:
		return BANNED;
	default:
		return STRANGER;
	}
}

int rights_check(const struct room *room, enum rights_action action, const struct proto_id *user)
{
	if (room->kind == PROTO_room_kind_absent) {
		return PROTO_E_NOT_FOUND;
	}
	return rights[room->kind][action][group_of(room, user)];
}

/* What the owner alone may do: make and unmake owners and administrators. */
static bool needs_owner(enum group subject, enum proto_role role)
{
	return subject == OWNER || subject == ADMIN || role == PROTO_ROLE_OWNER ||
	       role == PROTO_ROLE_ADMIN;
}

static int check_stranger(const struct room *room, enum group subject, enum proto_role role)
{
	if (role == PROTO_ROLE_BANNED) {
		return 0;
	}
	if (role == PROTO_ROLE_NONE) {
		return subject == BANNED ? 0 : PROTO_E_NOT_FOUND; /* none lifts a ban */
	}
	if (subject == BANNED || room->kind != PROTO_ROOM_KIND_PRIVATE ||
	    role != PROTO_ROLE_MEMBER) {
		return PROTO_E_FORBIDDEN; /* to public rooms people come by themselves */
	}
	return room_is_full(room) ? PROTO_E_ROOM_FULL : 0;
}

int rights_check_role(const struct room *room, const struct proto_id *user,
		      const struct proto_id *subject, enum proto_role role)
{
	enum group theirs = group_of(room, subject);
	int r = rights_check(room, RIGHTS_SET, user);

	if (r != 0) {
		return r;
	}
	if (needs_owner(theirs, role) && group_of(room, user) != OWNER) {
		return PROTO_E_FORBIDDEN;
	}
	if (theirs == OWNER && role != PROTO_ROLE_OWNER && room_owners(room) == 1) {
		return PROTO_E_FORBIDDEN;
	}
	if (theirs == STRANGER || theirs == BANNED) {
		return check_stranger(room, theirs, role);
	}
	return 0;
}
