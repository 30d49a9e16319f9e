/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A hash by room. Pages are selected from it: a person is in some dozens of rooms, rarely in
 * thousands.
 */

#include "roomd/marks.h"

#include <errno.h>
#include <stdlib.h>

void marks_deinit(struct marks *marks)
{
	struct mark *mark;
	struct mark *next;

	HASH_ITER(hh, marks->rows, mark, next)
	{
		HASH_DEL(marks->rows, mark);
		free(mark);
	}
}

struct mark *marks_find(const struct marks *marks, const struct proto_id *subject)
{
	struct mark *mark;

	HASH_FIND(hh, marks->rows, subject, sizeof(*subject), mark);
	return mark;
}

static struct mark *mark_get(struct marks *marks, const struct proto_id *subject)
{
	struct mark *mark = marks_find(marks, subject);

	if (!mark) {
		mark = calloc(1, sizeof(*mark));
		if (!mark) {
			return NULL;
		}
		mark->subject = *subject;
		HASH_ADD(hh, marks->rows, subject, sizeof(mark->subject), mark);
	}
	return mark;
}

static void apply_joined(struct mark *mark, const struct proto_event *event)
{
	if (event->number < mark->noted) {
		return;
	}
	if (!mark_is_joined(mark)) {
		mark->joined = event->time;
	}
	mark->noted = event->number;
	mark->role = event->role;
	mark->access = event->access;
	memset(mark->label, 0, sizeof(mark->label));
	if (event->label.size > 0) {
		memcpy(mark->label, event->label.data, event->label.size);
	}
}

int marks_apply(struct marks *marks, const struct proto_event *event)
{
	struct mark *mark = mark_get(marks, &event->subject);

	if (!mark) {
		return -ENOMEM;
	}
	if (event->kind == PROTO_EVENT_KIND_JOINED) {
		apply_joined(mark, event);
	} else if (event->target > mark->read) {
		mark->read = event->target;
	}
	return 0;
}

bool mark_is_joined(const struct mark *mark)
{
	return mark->role == PROTO_ROLE_OWNER || mark->role == PROTO_ROLE_ADMIN ||
	       mark->role == PROTO_ROLE_MEMBER;
}

static int by_subject(const void *a, const void *b)
{
	const struct mark *const *left = a;
	const struct mark *const *right = b;

	return memcmp(&(*left)->subject, &(*right)->subject, sizeof((*left)->subject));
}

size_t marks_page(const struct marks *marks, const struct proto_id *after,
		  const struct mark **ret_rows, size_t max, bool *ret_more)
{
	const struct mark **rows = calloc(HASH_COUNT(marks->rows) + 1, sizeof(struct mark *));
	const struct mark *mark;
	size_t count = 0;

	*ret_more = false;
	if (!rows) {
		return 0;
	}
	for (mark = marks->rows; mark; mark = mark->hh.next) {
		if (mark_is_joined(mark) && memcmp(&mark->subject, after, sizeof(*after)) > 0) {
			rows[count++] = mark;
		}
	}
	qsort(rows, count, sizeof(struct mark *), by_subject);
	*ret_more = count > max;
	count = count < max ? count : max;
	memcpy(ret_rows, rows, count * sizeof(struct mark *));
	free(rows);
	return count;
}
