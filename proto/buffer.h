/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Appending to a proto_buffer, for the encoders.
 *
 * An encoder asks for the most that its next value can need with proto_buffer_reserve(), then
 * writes with proto_buffer_put(), which checks nothing: one comparison a field instead of one a
 * byte.
 */

#include "proto/proto.h"

int proto_buffer_grow(struct proto_buffer *buffer, size_t size);

/* Makes room for `size` more bytes. Returns 0, or -ENOMEM with the buffer as before. */
static inline int proto_buffer_reserve(struct proto_buffer *buffer, size_t size)
{
	return buffer->capacity - buffer->size >= size ? 0 : proto_buffer_grow(buffer, size);
}

/* Appends what was reserved before. */
static inline void proto_buffer_put(struct proto_buffer *buffer, const void *data, size_t size)
{
	if (size > 0) {
		memcpy(buffer->data + buffer->size, data, size);
		buffer->size += size;
	}
}

static inline void proto_buffer_put_char(struct proto_buffer *buffer, char c)
{
	buffer->data[buffer->size++] = c;
}
