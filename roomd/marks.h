/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a user's personal log says about rooms: those joined, and how far each was read. */

#include <uthash.h>
#include "proto/proto.h"

struct mark {
	struct proto_id subject; /* room */
	enum proto_role role; /* absent: nothing noted */
	enum proto_room_kind access;
	uint64_t noted; /* seq in that room of what was noted */
	uint64_t joined; /* ms since 1970 */
	uint64_t read; /* committed */
	uint64_t wanted; /* the furthest that was asked for: several marks become one event */
	char label[PROTO_NAME_BYTES_MAX + 1];
	UT_hash_handle hh;
};

struct marks {
	struct mark *rows;
};

void marks_deinit(struct marks *marks);
struct mark *marks_find(const struct marks *marks, const struct proto_id *subject);
/* A `joined` or `read` event. Older ones than known change nothing. Returns 0 or -ENOMEM. */
int marks_apply(struct marks *marks, const struct proto_event *event);
/* Whether the mark is of a room that the user is in. */
bool mark_is_joined(const struct mark *mark);
/*
 * Joined rooms behind `after` in the order of their ids, at most `max`; the rest is told by
 * `ret_more`.
 */
size_t marks_page(const struct marks *marks, const struct proto_id *after,
		  const struct mark **ret_rows, size_t max, bool *ret_more);
