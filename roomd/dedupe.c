/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A hash of clients, the least recently used first; each with a ring of its recent writes. The ring
 * grows while its oldest entry is still in flight, because forgetting that one would answer
 * `cmid_stale` ("nothing was written") for something that is about to be committed.
 */

#include "roomd/dedupe.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

struct recent {
	uint64_t number; /* 0: unused */
	struct dedupe_found found;
	struct event_content content;
	bool in_flight;
};

struct dedupe_client {
	struct proto_id id;
	uint64_t last;
	struct recent *ring; /* NULL until it writes */
	size_t size;
	size_t next; /* the oldest: where the next goes */
	size_t in_flight;
	UT_hash_handle hh;
};

static struct dedupe_client *find(const struct dedupe *dedupe, const struct proto_id *id)
{
	struct dedupe_client *client;

	HASH_FIND(hh, dedupe->clients, id, sizeof(*id), client);
	return client;
}

static void forget(struct dedupe *dedupe, struct dedupe_client *client)
{
	HASH_DEL(dedupe->clients, client);
	dedupe->count--;
	free(client->ring);
	free(client);
}

void dedupe_deinit(struct dedupe *dedupe)
{
	while (dedupe->clients) {
		forget(dedupe, dedupe->clients);
	}
}

static void forget_oldest(struct dedupe *dedupe)
{
	struct dedupe_client *client;
	struct dedupe_client *next;

	HASH_ITER(hh, dedupe->clients, client, next)
	{
		if (client->in_flight == 0) {
			forget(dedupe, client);
			dedupe->partial = true;
			return;
		}
	}
}

/* The client, moved to the end of the order of use, or a new one; NULL when out of memory. */
static struct dedupe_client *touch(struct dedupe *dedupe, const struct proto_id *id)
{
	struct dedupe_client *client = find(dedupe, id);

	if (client) {
		HASH_DEL(dedupe->clients, client);
	} else {
		client = calloc(1, sizeof(*client));
		if (!client) {
			return NULL;
		}
		client->id = *id;
		if (dedupe->count >= DEDUPE_CLIENTS_MAX) {
			forget_oldest(dedupe);
		}
		dedupe->count++;
	}
	HASH_ADD(hh, dedupe->clients, id, sizeof(client->id), client);
	return client;
}

int dedupe_mark(struct dedupe *dedupe, const struct proto_id *id, uint64_t number)
{
	struct dedupe_client *client = touch(dedupe, id);

	if (!client) {
		return -ENOMEM;
	}
	client->last = number > client->last ? number : client->last;
	return 0;
}

bool dedupe_is_full(const struct dedupe *dedupe)
{
	return dedupe->count >= DEDUPE_CLIENTS_MAX;
}

void dedupe_set_partial(struct dedupe *dedupe)
{
	dedupe->partial = true;
}

static struct recent *recent_find(const struct dedupe_client *client, uint64_t number)
{
	for (size_t i = 0; i < client->size; i++) {
		if (client->ring[i].number == number) {
			return &client->ring[i];
		}
	}
	return NULL;
}

static bool ring_is_full(const struct dedupe_client *client)
{
	return client->size == DEDUPE_RING_MAX && client->ring[client->next].in_flight;
}

enum dedupe_verdict dedupe_check(const struct dedupe *dedupe, const struct dedupe_write *write,
				 struct dedupe_found *ret_found)
{
	const struct dedupe_client *client = find(dedupe, &write->client);
	const struct recent *recent;

	if (!client) {
		if (dedupe->partial) {
			return DEDUPE_ASK;
		}
		return write->prev > 0 ? DEDUPE_OUT_OF_ORDER : DEDUPE_NEW;
	}
	if (write->number > client->last) {
		if (write->prev > client->last) {
			return DEDUPE_OUT_OF_ORDER;
		}
		return ring_is_full(client) ? DEDUPE_BUSY : DEDUPE_NEW;
	}
	recent = recent_find(client, write->number);
	if (!recent) {
		return DEDUPE_ASK;
	}
	if (!event_content_equal(&recent->content, &write->content)) {
		return DEDUPE_REUSED;
	}
	*ret_found = recent->found;
	return recent->in_flight ? DEDUPE_IN_FLIGHT : DEDUPE_COMMITTED;
}

/* A message that was removed since has no text any more to compare. */
static bool same_content(const struct dedupe_write *write, const struct proto_event *event)
{
	struct event_content content = event_content(event);
	bool text = event->kind == PROTO_EVENT_KIND_MESSAGE || event->kind == PROTO_EVENT_KIND_EDIT;

	return event_content_equal(&content, &write->content) || (text && event->text.size == 0);
}

/*
 * A forgotten client had nothing in flight, so storage knows its last number: without that, one
 * that uses a later number after an earlier one was lost could write the later one twice.
 */
enum dedupe_verdict dedupe_judge(const struct dedupe *dedupe, const struct dedupe_write *write,
				 const struct dedupe_stored *stored, struct dedupe_found *ret_found)
{
	const struct dedupe_client *client = find(dedupe, &write->client);
	uint64_t last = client && client->last > stored->last ? client->last : stored->last;

	if (stored->event) {
		*ret_found = (struct dedupe_found){stored->event->seq, stored->event->time};
		return same_content(write, stored->event) ? DEDUPE_COMMITTED : DEDUPE_REUSED;
	}
	if (write->number <= last) {
		return DEDUPE_STALE;
	}
	return write->prev > last ? DEDUPE_OUT_OF_ORDER : DEDUPE_NEW;
}

static int ring_grow(struct dedupe_client *client)
{
	size_t size = client->size ? client->size * 2 : DEDUPE_RING_MIN;
	struct recent *ring = calloc(size, sizeof(*ring));

	if (!ring) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < client->size; i++) {
		ring[i] = client->ring[(client->next + i) % client->size];
	}
	free(client->ring);
	client->ring = ring;
	client->next = client->size;
	client->size = size;
	return 0;
}

int dedupe_begin(struct dedupe *dedupe, const struct dedupe_write *write, struct dedupe_found found)
{
	struct dedupe_client *client = touch(dedupe, &write->client);

	if (!client) {
		return -ENOMEM;
	}
	if ((client->size == 0 || client->ring[client->next].in_flight) &&
	    client->size < DEDUPE_RING_MAX && ring_grow(client) != 0) {
		return -ENOMEM;
	}
	client->ring[client->next] = (struct recent){write->number, found, write->content, true};
	client->next = (client->next + 1) % client->size;
	client->in_flight++;
	client->last = write->number;
	return 0;
}

void dedupe_commit(struct dedupe *dedupe, const struct proto_id *id, uint64_t number)
{
	struct dedupe_client *client = find(dedupe, id);
	struct recent *recent = client ? recent_find(client, number) : NULL;

	if (recent && recent->in_flight) {
		recent->in_flight = false;
		client->in_flight--;
	}
}
