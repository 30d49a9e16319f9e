/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A WebSocket frame as the server sends it (RFC 6455, section 5.2): complete, final, unmasked.
 * Because it has no mask it is the same for every reader, so it is made once and shared by counting
 * references.
 */

#include <stddef.h>
#include <stdint.h>

enum frame_opcode {
	FRAME_TEXT = 0x1,
	FRAME_BINARY = 0x2,
	FRAME_CLOSE = 0x8,
	FRAME_PING = 0x9,
};

#define FRAME_HEADER_BYTES_MAX 10

struct frame {
	unsigned int refs;
	size_t size; /* header and payload */
	unsigned char data[];
};

/* Copies the payload. Returns 0 with one reference, or -ENOMEM. */
int frame_new(enum frame_opcode opcode, const void *payload, size_t size, struct frame **ret_frame);
struct frame *frame_ref(struct frame *frame);
void frame_unref(struct frame *frame); /* NULL is fine */
