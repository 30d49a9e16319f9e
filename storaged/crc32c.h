/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli; RFC 3720, B.4). Go on with what it gave for the bytes before; 0 at the
 * start.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
