/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Where a reader of a room stands: the seq up to which it has every event, and the epoch of the
 * latest one. Decides what an event that arrives means for it.
 *
 *   offered seq   <= last     = last + 1     > last + 1       of an epoch before ours
 *   verdict       OLD         NEXT           GAP              OLD
 */

#include <stdbool.h>
#include <stdint.h>

struct cursor {
	bool known; /* before that nothing can be said, and every event is a gap */
	uint64_t epoch;
	uint64_t last;
};

enum cursor_verdict {
	CURSOR_OLD, /* drop it */
	CURSOR_NEXT, /* deliver it, then cursor_advance() */
	CURSOR_GAP, /* ask the log for what is between */
};

#define CURSOR_MISSED_MAX 1000 /* more than this is not sent again: the reader starts afresh */

/* A published event: those of an old epoch come from an owner that lost the slot. */
enum cursor_verdict cursor_offer(const struct cursor *cursor, uint64_t epoch, uint64_t seq);
/* An event out of the log, which is true whatever its epoch. */
enum cursor_verdict cursor_offer_logged(const struct cursor *cursor, uint64_t seq);
void cursor_advance(struct cursor *cursor, uint64_t epoch, uint64_t seq);
/* Whether the room is known to stand further than the reader, by a beacon or an answer. */
bool cursor_is_behind(const struct cursor *cursor, uint64_t epoch, uint64_t seq);

/* What a reader that has all up to `after` gets when the room stands at `seq`. */
enum cursor_resume {
	CURSOR_RESUME_LIVE, /* nothing is missing */
	CURSOR_RESUME_REPLAY, /* after + 1 … seq */
	CURSOR_RESUME_RESET, /* too much, or `after` is ahead of the room */
};
enum cursor_resume cursor_resume(uint64_t after, uint64_t seq);
