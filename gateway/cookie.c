/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See cookie.h. */

#include "gateway/cookie.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BASE64URL sodium_base64_VARIANT_URLSAFE_NO_PADDING

static bool parse_secret(struct proto_span text, uint8_t ret_secret[static PROTO_SECRET_BYTES])
{
	uint8_t secret[PROTO_SECRET_BYTES];
	size_t size;

	if (sodium_base642bin(secret, sizeof(secret), text.data, text.size, NULL, &size, NULL,
			      BASE64URL) != 0 ||
	    size != sizeof(secret)) {
		return false;
	}
	memcpy(ret_secret, secret, sizeof(secret));
	sodium_memzero(secret, sizeof(secret));
	return true;
}

bool cookie_parse(struct proto_span header, uint8_t ret_secret[static PROTO_SECRET_BYTES])
{
	static const char name[] = COOKIE_NAME "=";
	const char *at = header.data;
	const char *end = header.data + header.size;

	while (at < end) {
		const char *stop = memchr(at, ';', (size_t)(end - at));

		stop = stop ? stop : end;
		while (at < stop && *at == ' ') {
			at++;
		}
		if ((size_t)(stop - at) >= sizeof(name) - 1 &&
		    memcmp(at, name, sizeof(name) - 1) == 0) {
			at += sizeof(name) - 1;
			return parse_secret((struct proto_span){at, (size_t)(stop - at)},
					    ret_secret);
		}
		at = stop + 1;
	}
	return false;
}

void cookie_format(const uint8_t secret[static PROTO_SECRET_BYTES], uint64_t max_age_s,
		   char ret_text[static COOKIE_BYTES_MAX])
{
	char text[sodium_base64_ENCODED_LEN(PROTO_SECRET_BYTES, BASE64URL)];
	int n;

	sodium_bin2base64(text, sizeof(text), secret, PROTO_SECRET_BYTES, BASE64URL);
	n = snprintf(ret_text, COOKIE_BYTES_MAX,
		     COOKIE_NAME "=%s; Path=/; Secure; HttpOnly; SameSite=Lax", text);
	if (max_age_s > 0) {
		(void)snprintf(ret_text + n, COOKIE_BYTES_MAX - (size_t)n, "; Max-Age=%" PRIu64,
			       max_age_s);
	}
	sodium_memzero(text, sizeof(text));
}
