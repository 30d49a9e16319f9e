/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Choosing among assets; loading them is in asset_load.c. See asset.h. */

#include "gateway/asset.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *suffix;
	const char *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".mjs", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".json", "application/json"},
	{".webmanifest", "application/manifest+json"},
	{".map", "application/json"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".jpg", "image/jpeg"},
	{".webp", "image/webp"},
	{".ico", "image/x-icon"},
	{".woff2", "font/woff2"},
	{".wasm", "application/wasm"},
	{".txt", "text/plain; charset=utf-8"},
};

static const struct {
	const char *path;
	bool prefix;
} pages[] = {
	{"/", false},	  {"/register/", false},      {"/login/", false},
	{"/chat/", true}, {"/users/profile/", false}, {"/nodes/dashboard/", false},
};

static const char *const coding_names[ASSET_CODINGS] = {
	[ASSET_GZIP] = "gzip",
	[ASSET_BROTLI] = "br",
};

const char *asset_coding_name(enum asset_coding coding)
{
	return coding_names[coding];
}

static bool ends_with(struct proto_span text, const char *suffix)
{
	size_t size = strlen(suffix);

	return text.size >= size && memcmp(text.data + text.size - size, suffix, size) == 0;
}

const char *asset_type(struct proto_span path)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (ends_with(path, types[i].suffix)) {
			return types[i].type;
		}
	}
	return "application/octet-stream";
}

/* With or without the slash at the end. */
bool asset_is_page(struct proto_span path)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		size_t size = strlen(pages[i].path);

		if ((path.size == size || (pages[i].prefix && path.size > size)) &&
		    memcmp(path.data, pages[i].path, size) == 0) {
			return true;
		}
		if (path.size + 1 == size && memcmp(path.data, pages[i].path, path.size) == 0) {
			return path.size > 0;
		}
	}
	return false;
}

/* The quality that a list gives to a name, in thousandths; -1: not named. */
static int quality(struct proto_span list, const char *name)
{
	const char *at = list.data;
	const char *end = list.data + list.size;
	size_t size = strlen(name);

	while (at < end) {
		const char *stop = memchr(at, ',', (size_t)(end - at));
		const char *token;

		stop = stop ? stop : end;
		while (at < stop && (*at == ' ' || *at == '\t')) {
			at++;
		}
		for (token = at; token < stop && *token != ';' && *token != ' ';) {
			token++;
		}
		if ((size_t)(token - at) == size && strncasecmp(at, name, size) == 0) {
			const char *q = memmem(token, (size_t)(stop - token), "q=0", 3);

			if (!q) {
				return 1000;
			}
			for (q += 3; q < stop && (*q == '.' || *q == '0');) {
				q++;
			}
			return q < stop && *q >= '1' && *q <= '9' ? 500 : 0;
		}
		at = stop + 1;
	}
	return -1;
}

enum asset_coding asset_negotiate(const struct asset *asset, struct proto_span accept_encoding)
{
	static const enum asset_coding preferred[] = {ASSET_BROTLI, ASSET_GZIP};

	for (size_t i = 0; i < sizeof(preferred) / sizeof(preferred[0]); i++) {
		if (asset->bodies[preferred[i]].data && accept_encoding.size > 0 &&
		    quality(accept_encoding, coding_names[preferred[i]]) > 0) {
			return preferred[i];
		}
	}
	return ASSET_PLAIN;
}

bool asset_matches(const struct asset_body *body, struct proto_span if_none_match)
{
	if (if_none_match.size == 0) {
		return false;
	}
	if (proto_span_equal(if_none_match, PROTO_SPAN("*"))) {
		return true;
	}
	return memmem(if_none_match.data, if_none_match.size, body->etag, strlen(body->etag)) !=
	       NULL;
}
