/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Durations in nanoseconds, counted in classes of constant relative width (an HDR histogram as
 * described by Gil Tene): up to HISTOGRAM_LINEAR one class a value, above that HISTOGRAM_LINEAR / 2
 * classes for each power of two. A percentile is at most 1 / 128 too high, never too low. No value
 * is ever dropped: what is past HISTOGRAM_MAX counts as HISTOGRAM_MAX.
 */

#include <stdint.h>

#define HISTOGRAM_LINEAR 256U
#define HISTOGRAM_OCTAVES 36U /* above the linear part */
#define HISTOGRAM_MAX ((1ULL << 44) - 1) /* about five hours */
#define HISTOGRAM_CLASSES (HISTOGRAM_LINEAR + HISTOGRAM_OCTAVES * HISTOGRAM_LINEAR / 2)

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t classes[HISTOGRAM_CLASSES];
};

void histogram_add(struct histogram *histogram, uint64_t value);
/*
 * The least value that `share` (0 to 1) of all values do not exceed, rounded up to its class and
 * not past the largest value; 0 when there are none.
 */
uint64_t histogram_at(const struct histogram *histogram, double share);
