/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Frames that wait for one socket, in order, bounded in bytes.
 *
 * A frame with a tag carries an event that the log can give again: when the box overflows, all of
 * these are thrown out and their reader's cursor goes back (outbox_shed()). Frames without a tag
 * are answers, which nobody can give again; they stay.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gateway/frame.h"

struct outbox_entry {
	struct frame *frame;
	void *tag;
	uint64_t seq;
};

struct outbox {
	struct outbox_entry *entries; /* a ring */
	size_t capacity;
	size_t head;
	size_t count;
	size_t bytes;
	size_t bytes_max;
	struct frame *held; /* lent out by outbox_next() */
};

enum {
	OUTBOX_E_FULL = 1, /* the frame does not fit any more; nothing was added */
};

void outbox_init(struct outbox *outbox, size_t bytes_max);
void outbox_deinit(struct outbox *outbox);

bool outbox_fits(const struct outbox *outbox, const struct frame *frame);
/*
 * Takes its own reference. A frame always fits into an empty box. Returns 0, OUTBOX_E_FULL or
 * -ENOMEM.
 */
int outbox_push(struct outbox *outbox, struct frame *frame, void *tag, uint64_t seq);
/* The same, past the bound: for the last words to a peer. */
int outbox_push_anyway(struct outbox *outbox, struct frame *frame);

/*
 * Take the next bytes to send: as many whole frames as fit into `space`, or the first one alone if
 * it is larger. The bytes are valid until the next call. Returns their number; 0: the box is empty.
 */
size_t outbox_next(struct outbox *outbox, unsigned char *space, size_t space_bytes,
		   unsigned char **ret_bytes);

/* Drop all frames with a tag; `shed` learns of each, the oldest first. */
void outbox_shed(struct outbox *outbox, void (*shed)(void *tag, uint64_t seq));
/* Drop the frames with this tag. */
void outbox_forget(struct outbox *outbox, const void *tag);
/* Keep the frames with this tag, as if they had none: its owner goes. */
void outbox_untag(struct outbox *outbox, const void *tag);
