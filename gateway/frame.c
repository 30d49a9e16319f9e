/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Ready-made WebSocket frames; see frame.h. One thread, so that the count needs no atomics. */

#include "gateway/frame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIN 0x80
#define LENGTH_16 126
#define LENGTH_64 127

static size_t put_length(unsigned char *to, size_t size)
{
	size_t bytes;

	if (size < LENGTH_16) {
		to[0] = (unsigned char)size;
		return 1;
	}
	bytes = size <= UINT16_MAX ? 2 : 8;
	to[0] = bytes == 2 ? LENGTH_16 : LENGTH_64;
	for (size_t i = 0; i < bytes; i++) {
		to[1 + i] = (unsigned char)((uint64_t)size >> (8 * (bytes - 1 - i)));
	}
	return 1 + bytes;
}

int frame_new(enum frame_opcode opcode, const void *payload, size_t size, struct frame **ret_frame)
{
	struct frame *frame = malloc(sizeof(*frame) + FRAME_HEADER_BYTES_MAX + size);
	size_t header;

	if (!frame) {
		return -ENOMEM;
	}
	frame->refs = 1;
	frame->data[0] = (unsigned char)(FIN | opcode);
	header = 1 + put_length(frame->data + 1, size);
	if (size > 0) {
		memcpy(frame->data + header, payload, size);
	}
	frame->size = header + size;
	*ret_frame = frame;
	return 0;
}

struct frame *frame_ref(struct frame *frame)
{
	frame->refs++;
	return frame;
}

void frame_unref(struct frame *frame)
{
	if (!frame) {
		return;
	}
	assert(frame->refs > 0);
	if (--frame->refs == 0) {
		free(frame);
	}
}
