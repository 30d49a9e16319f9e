/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Answers from the views, a bounded page at a time: at most PROTO_PAGE_MAX entries, ending early
 * once they have PROTO_PAGE_BYTES_MAX bytes. Pure. Results: 0; PROTO_E_BAD_VALUE; PROTO_E_GAP: the
 * views here do not reflect all up to the `lac` of the question, ask another store;
 * PROTO_E_DAMAGED; -errno. Answers point into the transaction and into the page.
 */

#include "proto/proto.h"
#include "storaged/kv.h"

#define PAGE_CURSOR_BYTES_MAX 256

struct page {
	struct proto_message messages[PROTO_PAGE_MAX];
	size_t message_count;
	union {
		struct proto_item items[PROTO_PAGE_MAX];
		struct proto_event events[PROTO_PAGE_MAX];
	};
	struct proto_client_mark clients[PROTO_BATCH_MAX];
	uint8_t cursor[PAGE_CURSOR_BYTES_MAX];
	size_t bytes;
};

/* Empty, for the next answer; what the answer before points to goes. A zeroed page is empty. */
void page_reset(struct page *page);

int page_state(struct page *page, struct kv_txn *txn, const struct proto_state_read *read,
	       struct proto_state *ret_state);
int page_timeline(struct page *page, struct kv_txn *txn, const struct proto_timeline_read *read,
		  struct proto_room_page *ret_page);
int page_events(struct page *page, struct kv_txn *txn, const struct proto_events_read *read,
		struct proto_room_range *ret_range);
/*
 * The event as written, also if it was removed since: dedupe compares its text; none if there is
 * none. And the client's last number.
 */
int page_cmid(struct page *page, struct kv_txn *txn, const struct proto_cmid_read *read,
	      struct proto_cmid *ret_cmid);
