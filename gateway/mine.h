/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The rooms that a person has joined, with what only their owners know: the personal log names the
 * rooms, and each one's owner is asked where it stands. An owner that does not answer leaves its
 * rooms without numbers; the list is given all the same.
 */

#include "gateway/gateway.h"

#define MINE_ASKED_AT_ONCE 16
#define MINE_ROOM_TIMEOUT_MS 2000

/* `rooms` is NULL when `result` is not 0; valid during the call. */
typedef void (*mine_done_fn)(void *context, int result, const struct proto_rooms *rooms);

/* Returns 0, PROTO_E_…, or -ENOMEM. */
int mine_ask(struct gateway *gateway, struct session *session, const struct proto_id *after,
	     mine_done_fn done, void *context, struct mine **ret_mine);
/* `done` will not be called. */
void mine_cancel(struct mine *mine);
void mines_free(struct gateway *gateway);
