/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A list; each row stands between the bus and who asked. */

#include "roomd/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

struct row {
	struct calls *calls;
	struct bus_call *call; /* NULL: refused at the next tick */
	env_answer_fn on_answer;
	void *context;
	struct row *prev;
	struct row *next;
};

struct calls {
	struct row *flying;
	struct row *refused;
};

int calls_new(struct calls **ret_calls)
{
	struct calls *calls = calloc(1, sizeof(*calls));

	if (!calls) {
		return -ENOMEM;
	}
	*ret_calls = calls;
	return 0;
}

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct row *row = context;
	env_answer_fn tell = row->on_answer;
	void *whom = row->context;

	DL_DELETE(row->calls->flying, row);
	free(row);
	tell(whom, result, answer);
}

void calls_make(struct calls *calls, struct bus_link *link, enum proto_type type, const void *body,
		const struct bus_call_options *options, env_answer_fn tell, void *whom)
{
	struct row *row = calloc(1, sizeof(*row));

	if (!row) {
		abort(); /* as czmq and uthash do: who asked cannot be told */
	}
	*row = (struct row){.calls = calls, .on_answer = tell, .context = whom};
	if (!link) {
		DL_APPEND(calls->refused, row);
		return;
	}
	DL_APPEND(calls->flying, row);
	bus_call(link, type, body, options, on_answer, row, &row->call);
}

void calls_tick(struct calls *calls)
{
	struct row *refused = calls->refused;
	struct row *row;
	struct row *next;

	calls->refused = NULL;
	DL_FOREACH_SAFE(refused, row, next)
	{
		row->on_answer(row->context, PROTO_E_UNAVAILABLE, NULL);
		free(row);
	}
}

void calls_free(struct calls *calls)
{
	if (!calls) {
		return;
	}
	while (calls->flying || calls->refused) {
		struct row *row = calls->flying;

		calls_tick(calls);
		if (row) {
			bus_call_cancel(row->call);
			on_answer(row, PROTO_E_UNAVAILABLE, NULL);
		}
	}
	free(calls);
}
