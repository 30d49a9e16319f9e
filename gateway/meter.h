/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A token bucket: `rate` a second on average, a burst of two seconds' worth. Time comes from the
 * caller.
 */

#include <stdint.h>

struct meter {
	uint64_t milli; /* thousandths of a token */
	uint64_t filled_ms; /* when it was last filled; 0: never */
};

/* Take one token. Returns 0, or after how many milliseconds there will be one. */
uint64_t meter_take(struct meter *meter, uint64_t rate, uint64_t now_ms);
