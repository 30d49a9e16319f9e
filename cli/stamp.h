/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The text of a message of the load generator: who sent it, its number, when it was to be sent,
 * then filling. All of fixed width, so that a reader finds it without a search:
 *
 *   dcl:SSSSSSSS:NNNNNNNN:TTTTTTTTTTTTTTTT xxxx…      hexadecimal, lower case
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_BYTES 39U
#define STAMP_TEXT_BYTES_MIN 40U

struct stamp {
	uint32_t sender;
	uint32_t number; /* from 1 */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
};

/* Fill a whole text; later ones for the same sender need only stamp_renew(). */
void stamp_write(char *text, size_t size, const struct stamp *stamp);
/* Write number and time anew. */
void stamp_renew(char *text, uint32_t number, uint64_t time_ns);
/* False when it is no such text. */
bool stamp_read(const char *text, size_t size, struct stamp *ret_stamp);
