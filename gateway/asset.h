/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The files of the browser application, all in memory: read once at start, with the compressed
 * versions that were made when the application was built (`app.js.br`, `app.js.gz`).
 *
 * Files below /assets/ carry a hash of their content in their name and never change; everything
 * else is asked for again each time, by ETag.
 */

#include <stdbool.h>
#include <stddef.h>
#include "proto/proto.h"

#define ASSET_FILES_MAX 4096
#define ASSET_FILE_BYTES_MAX (16 * 1024 * 1024)
#define ASSET_BYTES_MAX (128 * 1024 * 1024) /* all together */
#define ASSET_PATH_BYTES_MAX 512
#define ASSET_DEPTH_MAX 8

enum asset_coding {
	ASSET_PLAIN,
	ASSET_GZIP,
	ASSET_BROTLI,
	ASSET_CODINGS,
};

struct asset_body {
	char *data; /* NULL: there is no such version */
	size_t size;
	char etag[40]; /* with the quotes */
};

struct asset {
	char *path; /* from the root, "/assets/app-1a2b.js" */
	const char *type;
	bool immutable;
	struct asset_body bodies[ASSET_CODINGS];
};

struct assets;

/* An empty `directory` gives no assets at all. Returns 0 or -errno, having logged why. */
int assets_load(const char *directory, struct assets **ret_assets);
void assets_free(struct assets *assets);
size_t assets_count(const struct assets *assets);

/* The file under this path, index.html for the addresses of the application, or NULL. */
const struct asset *assets_find(const struct assets *assets, struct proto_span path);
/* Whether the browser application shows a page of its own under this path. */
bool asset_is_page(struct proto_span path);
/* The best version that the Accept-Encoding header allows (RFC 9110, section 12.5.3). */
enum asset_coding asset_negotiate(const struct asset *asset, struct proto_span accept_encoding);
/* "gzip", "br"; NULL for the plain one. */
const char *asset_coding_name(enum asset_coding coding);
/* If-None-Match names this version (RFC 9110, section 13.1.2). */
bool asset_matches(const struct asset_body *body, struct proto_span if_none_match);
/* By the last suffix; "application/octet-stream" for what is not known. */
const char *asset_type(struct proto_span path);
