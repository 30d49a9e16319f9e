/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Big-endian numbers in keys and records: their bytes sort as the numbers do. */

#include <stdint.h>

static inline void bytes_put_u16(uint8_t *to, unsigned int value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static inline unsigned int bytes_get_u16(const uint8_t *from)
{
	return (unsigned int)from[0] << 8 | from[1];
}

static inline void bytes_put_u32(uint8_t *to, uint32_t value)
{
	bytes_put_u16(to, value >> 16);
	bytes_put_u16(to + 2, value & 0xffff);
}

static inline uint32_t bytes_get_u32(const uint8_t *from)
{
	return (uint32_t)bytes_get_u16(from) << 16 | bytes_get_u16(from + 2);
}

static inline void bytes_put_u64(uint8_t *to, uint64_t value)
{
	bytes_put_u32(to, (uint32_t)(value >> 32));
	bytes_put_u32(to + 4, (uint32_t)value);
}

static inline uint64_t bytes_get_u64(const uint8_t *from)
{
	return (uint64_t)bytes_get_u32(from) << 32 | bytes_get_u32(from + 4);
}
