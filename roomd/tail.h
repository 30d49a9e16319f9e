/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The recent events of a room in memory: what readers that missed little ask for. Without gaps. */

#include "roomd/event.h"

struct tail_limits {
	size_t count; /* at least 1 */
	size_t bytes;
};

struct tail {
	struct proto_event **events; /* ring; index seq % limits.count */
	uint64_t first; /* oldest seq; 0: empty */
	uint64_t last;
	size_t bytes;
};

void tail_deinit(struct tail *tail, const struct tail_limits *limits);
/* Takes the event, also on failure. Returns 0 or -ENOMEM (then the tail is empty: never a gap). */
int tail_add(struct tail *tail, const struct tail_limits *limits, struct proto_event *event);
/* NULL: not here. */
const struct proto_event *tail_get(const struct tail *tail, const struct tail_limits *limits,
				   uint64_t seq);
/* A message was removed: wipe its text and that of its edits. */
void tail_redact(struct tail *tail, const struct tail_limits *limits, uint64_t target);
