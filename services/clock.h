/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Two clocks, never mixed: one for durations and deadlines, one for what people see. */

#include <stdint.h>

/* Milliseconds on CLOCK_MONOTONIC. */
uint64_t clock_monotonic_ms(void);
/* The same, but it goes on while the machine sleeps: for what others count on meanwhile. */
uint64_t clock_boot_ms(void);
/* Milliseconds since 1970-01-01 UTC. May jump. */
uint64_t clock_wall_ms(void);
