/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See mine.h. The errands of one list share its array of rooms, which nobody else changes. */

#include "gateway/mine.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "gateway/errand.h"
#include "gateway/session.h"

struct mine_asking {
	struct mine *mine;
	struct errand *errand;
	struct proto_room_info *room;
};

struct mine {
	struct gateway *gateway;
	struct session *session;
	mine_done_fn done;
	void *context;
	struct errand *list;
	struct envelope answer;
	struct proto_rooms *rooms;
	size_t next_room;
	size_t asked;
	struct mine_asking asking[MINE_ASKED_AT_ONCE];
	struct mine *prev;
	struct mine *next;
};

void mine_cancel(struct mine *mine)
{
	if (!mine) {
		return;
	}
	errand_abandon(mine->list);
	for (size_t i = 0; i < MINE_ASKED_AT_ONCE; i++) {
		errand_abandon(mine->asking[i].errand);
	}
	envelope_deinit(&mine->answer);
	session_unref(mine->session);
	DL_DELETE(mine->gateway->mines, mine);
	free(mine);
}

static void finish(struct mine *mine, int result)
{
	mine->done(mine->context, result, result == 0 ? mine->rooms : NULL);
	mine_cancel(mine);
}

static void ask_more(struct mine *mine);

static void on_room(void *context, int result, const struct proto_message *answer)
{
	struct mine_asking *asking = context;

	asking->errand = NULL;
	asking->mine->asked--;
	if (result == 0) {
		const struct proto_room_opened *opened = PROTO_BODY(answer, room_opened);

		asking->room->last_seq = opened->seq;
		asking->room->members = opened->members;
	}
	ask_more(asking->mine);
}

static bool ask_room(struct mine *mine, struct mine_asking *asking, struct proto_room_info *room)
{
	struct proto_room_open body = {.session = mine->session->id, .room = room->room};
	struct errand_order order = {
		.type = PROTO_ROOM_OPEN,
		.body = &body,
		.session = mine->session,
		.timeout_ms = MINE_ROOM_TIMEOUT_MS,
	};

	*asking = (struct mine_asking){.mine = mine, .room = room};
	return errand_send(mine->gateway, &order, on_room, asking, &asking->errand) == 0;
}

static void ask_more(struct mine *mine)
{
	for (size_t i = 0; i < MINE_ASKED_AT_ONCE && mine->next_room < mine->rooms->rooms.count;
	     i++) {
		if (!mine->asking[i].errand &&
		    ask_room(mine, &mine->asking[i],
			     &mine->rooms->rooms.items[mine->next_room++])) {
			mine->asked++;
		}
	}
	if (mine->asked == 0) {
		finish(mine, 0);
	}
}

static void on_list(void *context, int result, const struct proto_message *answer)
{
	struct mine *mine = context;

	mine->list = NULL;
	if (result == 0) {
		result = envelope_copy(answer, &mine->answer);
	}
	if (result != 0) {
		finish(mine, result);
		return;
	}
	mine->rooms = mine->answer.message.body;
	ask_more(mine);
}

int mine_ask(struct gateway *gateway, struct session *session, const struct proto_id *after,
	     mine_done_fn done, void *context, struct mine **ret_mine)
{
	struct proto_rooms_mine body = {.session = session->id, .after = *after};
	struct errand_order order = {.type = PROTO_ROOMS_MINE, .body = &body, .session = session};
	struct mine *mine = calloc(1, sizeof(*mine));
	int r;

	if (!mine) {
		return -ENOMEM;
	}
	mine->gateway = gateway;
	mine->session = session_ref(session);
	mine->done = done;
	mine->context = context;
	DL_APPEND(gateway->mines, mine);
	r = errand_send(gateway, &order, on_list, mine, &mine->list);
	if (r != 0) {
		mine_cancel(mine);
		return r;
	}
	*ret_mine = mine;
	return 0;
}

void mines_free(struct gateway *gateway)
{
	while (gateway->mines) {
		mine_cancel(gateway->mines);
	}
}
