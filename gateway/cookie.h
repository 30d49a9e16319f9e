/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The session cookie. It holds the session's secret as base64url without padding. The prefix
 * `__Host-` makes browsers refuse it unless it is Secure, for one host alone, and for the path `/`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/proto.h"

#define COOKIE_NAME "__Host-session"
#define COOKIE_BYTES_MAX 256 /* of a Set-Cookie value */

/*
 * Finds the secret in a Cookie header (RFC 6265, section 5.4). False: there is none, or it is no
 * secret.
 */
bool cookie_parse(struct proto_span header, uint8_t ret_secret[static PROTO_SECRET_BYTES]);
/* Writes a Set-Cookie value. `max_age_s` 0: until the browser ends. */
void cookie_format(const uint8_t secret[static PROTO_SECRET_BYTES], uint64_t max_age_s,
		   char ret_text[static COOKIE_BYTES_MAX]);
/* The one that takes the cookie away. */
#define COOKIE_CLEAR COOKIE_NAME "=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
