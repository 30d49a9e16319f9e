/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Reactions under a message. Pure. Who gave what is known to the caller; here is what the item
 * shows.
 */

#include "proto/proto.h"

/* Room for the lists of a changed item; must live as long as it. */
struct reaction_room {
	struct proto_reaction reactions[PROTO_REACTIONS_MAX];
	struct proto_user_ref users[PROTO_REACTION_USERS_MAX];
};

/*
 * `user`, who has not given `emoji` yet, gives it, or takes it back. Changes `item`, whose lists
 * may then lie in `room`. Returns whether it did: a message has at most PROTO_REACTIONS_MAX emojis.
 */
bool reaction_add(struct proto_item *item, struct proto_span emoji, const struct proto_id *user,
		  struct reaction_room *room);
bool reaction_remove(struct proto_item *item, struct proto_span emoji, const struct proto_id *user,
		     struct reaction_room *room);
