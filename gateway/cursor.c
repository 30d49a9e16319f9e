/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See cursor.h. */

#include "gateway/cursor.h"

enum cursor_verdict cursor_offer_logged(const struct cursor *cursor, uint64_t seq)
{
	if (!cursor->known) {
		return CURSOR_GAP;
	}
	if (seq <= cursor->last) {
		return CURSOR_OLD;
	}
	return seq == cursor->last + 1 ? CURSOR_NEXT : CURSOR_GAP;
}

enum cursor_verdict cursor_offer(const struct cursor *cursor, uint64_t epoch, uint64_t seq)
{
	if (cursor->known && epoch < cursor->epoch) {
		return CURSOR_OLD;
	}
	return cursor_offer_logged(cursor, seq);
}

void cursor_advance(struct cursor *cursor, uint64_t epoch, uint64_t seq)
{
	cursor->known = true;
	cursor->last = seq;
	if (epoch > cursor->epoch) {
		cursor->epoch = epoch;
	}
}

bool cursor_is_behind(const struct cursor *cursor, uint64_t epoch, uint64_t seq)
{
	return cursor->known && epoch >= cursor->epoch && seq > cursor->last;
}

enum cursor_resume cursor_resume(uint64_t after, uint64_t seq)
{
	if (after == seq) {
		return CURSOR_RESUME_LIVE;
	}
	if (after > seq || seq - after > CURSOR_MISSED_MAX) {
		return CURSOR_RESUME_RESET;
	}
	return CURSOR_RESUME_REPLAY;
}
