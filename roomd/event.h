/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Events that are kept: copies in one piece, and what makes two writes the same. */

#include "proto/proto.h"

#define EVENT_CONTENT_BYTES 16

struct event_content {
	uint8_t bytes[EVENT_CONTENT_BYTES];
};

/* A copy with its texts behind it, for free(); NULL when out of memory. */
struct proto_event *event_copy(const struct proto_event *event);
/* Memory that a copy takes. */
size_t event_bytes(const struct proto_event *event);
/* A hash of what the sender meant; not of seq, time, or what the owner of the slot filled in. */
struct event_content event_content(const struct proto_event *event);
bool event_content_equal(const struct event_content *a, const struct event_content *b);
/* Whether the event changes the state of its room: who may do what, or what is shown of it. */
bool event_is_state(enum proto_event_kind kind);
/* Unicode text with something to see in it; white space and control characters alone are blank. */
bool event_text_is_blank(struct proto_span text);
