/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A hash of links. Links that were replaced are freed at once; the bus ends their calls from the
 * loop.
 */

#include "roomd/stores.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

struct store {
	struct proto_id id;
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	struct bus_link *link;
	UT_hash_handle hh;
};

struct stores {
	struct bus *bus;
	struct calls *calls;
	struct store *rows;
};

int stores_new(struct bus *bus, struct calls *calls, struct stores **ret_stores)
{
	struct stores *stores = calloc(1, sizeof(*stores));

	if (!stores) {
		return -ENOMEM;
	}
	stores->bus = bus;
	stores->calls = calls;
	*ret_stores = stores;
	return 0;
}

void stores_free(struct stores *stores)
{
	struct store *store;
	struct store *next;

	if (!stores) {
		return;
	}
	HASH_ITER(hh, stores->rows, store, next)
	{
		HASH_DEL(stores->rows, store);
		bus_link_free(store->link);
		free(store);
	}
	free(stores);
}

static struct store *store_find(const struct stores *stores, const struct proto_id *id)
{
	struct store *store;

	HASH_FIND(hh, stores->rows, id, sizeof(*id), store);
	return store;
}

void stores_learn(struct stores *stores, const struct proto_id *id, struct proto_span address)
{
	struct store *store = store_find(stores, id);
	struct bus_link *link;
	char text[PROTO_ADDRESS_BYTES_MAX + 1] = "";

	if (address.size == 0 || address.size > PROTO_ADDRESS_BYTES_MAX ||
	    (!store && HASH_COUNT(stores->rows) >= STORES_MAX)) {
		return;
	}
	memcpy(text, address.data, address.size);
	if ((store && strcmp(store->address, text) == 0) ||
	    bus_link_new(stores->bus, text, &link) != 0) {
		return;
	}
	if (store) {
		bus_link_free(store->link);
	} else {
		store = calloc(1, sizeof(*store));
		if (!store) {
			bus_link_free(link);
			return;
		}
		store->id = *id;
		HASH_ADD(hh, stores->rows, id, sizeof(store->id), store);
	}
	store->link = link;
	memcpy(store->address, text, sizeof(text));
}

bool stores_miss_one(const struct stores *stores)
{
	const struct store *store;

	for (store = stores->rows; store; store = store->hh.next) {
		if (!bus_link_is_up(store->link)) {
			return true;
		}
	}
	return false;
}

/* The body, with the store that is meant. */
static void address_body(char *to, enum proto_type type, const void *body,
			 const struct proto_id *store)
{
	const struct proto_record *record = proto_type_info(type)->record;
	const struct proto_field *field = proto_record_field(record, PROTO_SPAN("store"));

	memcpy(to, body, record->size);
	memcpy(to + field->offset, store, sizeof(*store));
}

void stores_call(struct stores *stores, const struct proto_id *id, enum proto_type type,
		 const void *body, env_answer_fn on_answer, void *context)
{
	const struct bus_call_options options = {.timeout_ms = STORES_TIMEOUT_MS,
						 .retry_ms = STORES_RETRY_MS};
	struct store *store = store_find(stores, id);
	union {
		char bytes[PROTO_BODY_BYTES_MAX];
		uint64_t align;
	} meant;

	/* Its address may be another one's by now. */
	address_body(meant.bytes, type, body, id);
	calls_make(stores->calls, store ? store->link : NULL, type, meant.bytes, &options,
		   on_answer, context);
}
