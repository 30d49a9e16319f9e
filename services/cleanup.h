/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Clean-up on the line of the declaration: `_cleanup_(proto_buffer_cleanup) struct proto_buffer out
 * = PROTO_BUFFER_INIT;`
 */

#include <stdlib.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
