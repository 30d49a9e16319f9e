/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the nouns of roomd get from outside: time, chance, and the two kinds of peers. The actor
 * gives them libuv and the bus, a simulation gives them virtual time and stores that crash.
 */

#include <stdint.h>
#include "proto/proto.h"

/*
 * The end of a call, exactly once and never from inside the call. As bus_answer_fn: `result` is 0
 * or PROTO_E_…, `answer` is of the type that the table gives as the reply, an error, or NULL.
 */
typedef void (*env_answer_fn)(void *context, int result, const struct proto_message *answer);

struct env {
	void *context;
	uint64_t (*now_ms)(void *context); /* monotonic */
	uint64_t (*wall_ms)(void *context); /* since 1970; may jump */
	uint32_t (*random)(void *context); /* for back-off alone */
	/* `body` is read before the call returns. */
	void (*store)(void *context, const struct proto_id *store, enum proto_type type,
		      const void *body, env_answer_fn on_answer, void *answer_context);
	void (*registry)(void *context, enum proto_type type, const void *body,
			 env_answer_fn on_answer, void *answer_context);
};
