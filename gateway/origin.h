/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Web origins (RFC 6454) that may use this gateway, compared exactly: scheme, host and port.
 * Cross-site WebSockets carry cookies, so that this list is what keeps other sites out.
 */

#include <stdbool.h>
#include <stddef.h>
#include "proto/proto.h"

#define ORIGINS_MAX 32
#define ORIGIN_BYTES_MAX 300

struct origins {
	char texts[ORIGINS_MAX][ORIGIN_BYTES_MAX];
	size_t count;
};

/*
 * `public_urls`: comma separated, `https://chat.example.org`; a path after it is cut off. Empty:
 * the plain address, and where that is a loopback or any-address also localhost and 127.0.0.1, on
 * `port`. Returns 0 or -EINVAL.
 */
int origins_parse(struct origins *origins, const char *public_urls, const char *host,
		  unsigned int port);
bool origins_allow(const struct origins *origins, struct proto_span origin);
