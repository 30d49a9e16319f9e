/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What makes a retry harmless: the numbers that each client used in a room.
 *
 * A client's numbers grow. The last one is known for every client that this table holds, the recent
 * ones with seq and content; for older ones storage is asked. A table that had to forget clients
 * knows that, and asks for those it does not know.
 */

#include "roomd/event.h"

#define DEDUPE_RING_MIN 32 /* recent numbers kept for each client */
#define DEDUPE_RING_MAX 512 /* of them in flight; more are refused as busy */
#define DEDUPE_CLIENTS_MAX 2048

enum dedupe_verdict {
	DEDUPE_NEW,
	DEDUPE_COMMITTED, /* the same was written: answer its seq */
	DEDUPE_IN_FLIGHT, /* the same is being written: answer when it is committed */
	DEDUPE_REUSED, /* the number carried other content */
	DEDUPE_STALE, /* a later number was accepted before this one */
	DEDUPE_OUT_OF_ORDER, /* the one before it never came */
	DEDUPE_BUSY,
	DEDUPE_ASK, /* only storage knows: cmid_read, then dedupe_judge() */
};

struct dedupe_client;

struct dedupe {
	struct dedupe_client *clients;
	size_t count;
	bool partial; /* clients were forgotten */
};

struct dedupe_write {
	struct proto_id client;
	uint64_t number;
	uint64_t prev;
	struct event_content content;
};

struct dedupe_found {
	uint64_t seq;
	uint64_t time;
};

/* What storage knows of a client and one of its numbers. */
struct dedupe_stored {
	const struct proto_event *event; /* written under the number; NULL: none, or not any more */
	uint64_t last; /* the client's last number; 0: it never wrote here */
};

void dedupe_deinit(struct dedupe *dedupe);
/* From the room's state: a number that was used. Returns 0 or -ENOMEM. */
int dedupe_mark(struct dedupe *dedupe, const struct proto_id *client, uint64_t number);
/* Whether one more client would make it forget another. */
bool dedupe_is_full(const struct dedupe *dedupe);
/* There are clients that it was not told of. */
void dedupe_set_partial(struct dedupe *dedupe);
/* `ret_found` is written for COMMITTED and IN_FLIGHT. */
enum dedupe_verdict dedupe_check(const struct dedupe *dedupe, const struct dedupe_write *write,
				 struct dedupe_found *ret_found);
/* The verdict after storage was asked. Never ASK. */
enum dedupe_verdict dedupe_judge(const struct dedupe *dedupe, const struct dedupe_write *write,
				 const struct dedupe_stored *stored,
				 struct dedupe_found *ret_found);
/* A new write got its seq. Returns 0 or -ENOMEM. */
int dedupe_begin(struct dedupe *dedupe, const struct dedupe_write *write,
		 struct dedupe_found found);
void dedupe_commit(struct dedupe *dedupe, const struct proto_id *client, uint64_t number);
