/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Links to storage nodes, by store id. Addresses come from the registry; a store that is started
 * again elsewhere gets a new link, and calls on the old one end as unavailable.
 */

#include "roomd/calls.h"

#define STORES_MAX PROTO_NODES_MAX
#define STORES_TIMEOUT_MS 4000
#define STORES_RETRY_MS 700 /* all that roomd asks of stores may come twice */

struct stores;

int stores_new(struct bus *bus, struct calls *calls, struct stores **ret_stores);
void stores_free(struct stores *stores);
void stores_learn(struct stores *stores, const struct proto_id *store, struct proto_span address);
/* Whether one of them is not connected: it may have moved. */
bool stores_miss_one(const struct stores *stores);
/* As env.store. A store whose address is not known is unavailable. */
void stores_call(struct stores *stores, const struct proto_id *store, enum proto_type type,
		 const void *body, env_answer_fn on_answer, void *context);
