/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See histogram.h. */

#include "cli/histogram.h"

#include <math.h>

#define HALF (HISTOGRAM_LINEAR / 2)

/* Shifted right by this, a value has as many bits as the last one of the linear part. */
static unsigned int octave_of(uint64_t value)
{
	return value < HISTOGRAM_LINEAR ? 0
					: 64 - (unsigned int)__builtin_clzll(value) -
						  (unsigned int)__builtin_ctz(HISTOGRAM_LINEAR);
}

static uint64_t class_of(uint64_t value)
{
	unsigned int octave = octave_of(value);

	return (uint64_t)octave * HALF + (value >> octave);
}

static uint64_t class_end(uint64_t class)
{
	uint64_t octave = class < HISTOGRAM_LINEAR ? 0 : class / HALF - 1;

	return ((class - octave * HALF + 1) << octave) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	value = value > HISTOGRAM_MAX ? HISTOGRAM_MAX : value;
	histogram->count++;
	histogram->max = value > histogram->max ? value : histogram->max;
	histogram->classes[class_of(value)]++;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count);
	uint64_t seen = 0;

	wanted = wanted == 0 ? 1 : wanted;
	for (uint64_t i = 0; i < HISTOGRAM_CLASSES; i++) {
		seen += histogram->classes[i];
		if (seen >= wanted) {
			uint64_t end = class_end(i);

			return end < histogram->max ? end : histogram->max;
		}
	}
	return histogram->max;
}
