/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See origin.h. */

#include "gateway/origin.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int add(struct origins *origins, const char *text, size_t size)
{
	char *to;

	if (origins->count == ORIGINS_MAX || size >= ORIGIN_BYTES_MAX) {
		return -EINVAL;
	}
	to = origins->texts[origins->count++];
	for (size_t i = 0; i < size; i++) {
		to[i] = (char)tolower((unsigned char)text[i]);
	}
	to[size] = 0;
	return 0;
}

/* Cuts the path off; browsers leave the default port out, and so must the list. */
static int add_url(struct origins *origins, const char *url, size_t size)
{
	static const char *const schemes[] = {"https://", "http://"};
	static const char *const ports[] = {":443", ":80"};

	for (size_t i = 0; i < 2; i++) {
		size_t scheme = strlen(schemes[i]);
		size_t port = strlen(ports[i]);
		const char *slash;

		if (size <= scheme || strncasecmp(url, schemes[i], scheme) != 0) {
			continue;
		}
		slash = memchr(url + scheme, '/', size - scheme);
		size = slash ? (size_t)(slash - url) : size;
		if (size > scheme + port && memcmp(url + size - port, ports[i], port) == 0) {
			size -= port;
		}
		return size > scheme ? add(origins, url, size) : -EINVAL;
	}
	return -EINVAL;
}

static int add_host(struct origins *origins, const char *host, unsigned int port)
{
	char url[ORIGIN_BYTES_MAX];
	int n = snprintf(url, sizeof(url), strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u",
			 host, port);

	return n < (int)sizeof(url) ? add_url(origins, url, (size_t)n) : -EINVAL;
}

static int add_own(struct origins *origins, const char *host, unsigned int port)
{
	static const char *const local[] = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"};
	int r = add_host(origins, host, port);

	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]) && r == 0; i++) {
		if (strcmp(host, local[i]) == 0) {
			r = add_host(origins, "localhost", port);
			r = r ? r : add_host(origins, "127.0.0.1", port);
		}
	}
	return r;
}

int origins_parse(struct origins *origins, const char *public_urls, const char *host,
		  unsigned int port)
{
	const char *at = public_urls;

	origins->count = 0;
	if (*at == 0) {
		return add_own(origins, host, port);
	}
	while (*at != 0) {
		size_t size = strcspn(at, ", ");
		int r = size > 0 ? add_url(origins, at, size) : 0;

		if (r != 0) {
			return r;
		}
		at += size;
		at += strspn(at, ", ");
	}
	return 0;
}

bool origins_allow(const struct origins *origins, struct proto_span origin)
{
	for (size_t i = 0; i < origins->count; i++) {
		if (proto_span_equal(proto_span(origins->texts[i]), origin)) {
			return true;
		}
	}
	return false;
}
