/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Growing output of the encoders. Capacity doubles, so that appending costs constant time a byte;
 * a buffer that is kept and reset allocates nothing once it has reached its usual size.
 */

#include "proto/buffer.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 512

int proto_buffer_grow(struct proto_buffer *buffer, size_t size)
{
	size_t capacity = buffer->capacity ? buffer->capacity : CAPACITY_MIN;
	char *data;

	if (size > SIZE_MAX / 4 - buffer->size) {
		return -ENOMEM;
	}
	while (capacity - buffer->size < size) {
		capacity *= 2;
	}
	data = realloc(buffer->data, capacity);
	if (!data) {
		return -ENOMEM;
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

void proto_buffer_reset(struct proto_buffer *buffer)
{
	buffer->size = 0;
}

void proto_buffer_deinit(struct proto_buffer *buffer)
{
	free(buffer->data);
	*buffer = PROTO_BUFFER_INIT;
}

char *proto_buffer_take(struct proto_buffer *buffer, size_t *ret_size)
{
	char *data = buffer->data;

	*ret_size = buffer->size;
	*buffer = PROTO_BUFFER_INIT;
	return data;
}
