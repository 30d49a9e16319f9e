/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The calls of the daemon that are on their way. The bus answers each of them, but at the end of
 * the process the nouns that wait for answers go before the bus does: calls_free() answers what is
 * left.
 */

#include "roomd/env.h"
#include "services/bus.h"

struct calls;

int calls_new(struct calls **ret_calls);
/* Ends all with PROTO_E_UNAVAILABLE, now. NULL is fine. */
void calls_free(struct calls *calls);
/* `link` NULL: ends as unavailable at the next tick. */
void calls_make(struct calls *calls, struct bus_link *link, enum proto_type type, const void *body,
		const struct bus_call_options *options, env_answer_fn on_answer, void *context);
void calls_tick(struct calls *calls);
