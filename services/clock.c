/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See clock.h. */

#include "services/clock.h"

#include <time.h>

static uint64_t read_ms(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now); /* cannot fail for these clocks */
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

uint64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}
