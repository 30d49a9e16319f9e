/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who may do what in a room, as tables. Checked against committed state. */

#include "roomd/room.h"

enum rights_action {
	RIGHTS_READ, /* open, history, events, members, presence */
	RIGHTS_WRITE, /* messages, edits of one's own, reactions, typing */
	RIGHTS_MODERATE, /* remove the messages of others */
	RIGHTS_SET, /* settings */
	RIGHTS_JOIN,
	RIGHTS_LEAVE,
	RIGHTS_ACTIONS,
};

/*
 * Returns 0, or PROTO_E_NOT_FOUND (also for what the user may not know of), PROTO_E_FORBIDDEN,
 * PROTO_E_BANNED.
 */
int rights_check(const struct room *room, enum rights_action action, const struct proto_id *user);
/* May `user` give `subject` the role? Returns 0, the above, or PROTO_E_ROOM_FULL. */
int rights_check_role(const struct room *room, const struct proto_id *user,
		      const struct proto_id *subject, enum proto_role role);
