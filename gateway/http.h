/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One HTTP request and its answer: the interface below /api/v1 (route.h), the browser application
 * (asset.h), and /healthz. Knows nothing of sockets but that the listener sends what is ready.
 *
 *   headers ─▶ http_begin() ─▶ body, if one comes ─▶ http_end() ─▶ … ─▶ ready ─▶ sent ─▶ freed
 */

#include "gateway/gateway.h"
#include "gateway/route.h"

#define HTTP_PATH_BYTES_MAX 1024
#define HTTP_HEADER_BYTES_MAX 512 /* of one header that we look at */
#define HTTP_QUERY_MAX 8

struct lws;
struct json_t;

struct http_parameter {
	char name[32];
	char value[HTTP_HEADER_BYTES_MAX];
};

struct exchange {
	struct gateway *gateway;
	struct lws *socket;

	/* the request, filled in by the listener */
	const char *method;
	char path[HTTP_PATH_BYTES_MAX];
	size_t path_size;
	struct http_parameter query[HTTP_QUERY_MAX];
	size_t query_count;
	char origin[HTTP_HEADER_BYTES_MAX];
	char content_type[HTTP_HEADER_BYTES_MAX];
	char agent[PROTO_AGENT_BYTES_MAX + 1];
	char accept_encoding[HTTP_HEADER_BYTES_MAX];
	char if_none_match[HTTP_HEADER_BYTES_MAX];
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	uint8_t secret[PROTO_SECRET_BYTES];
	bool has_secret;
	bool has_origin;
	char *body;
	size_t body_size;

	/* on the way */
	struct route_match match;
	struct json_t *object;
	struct session *session;
	struct session_lookup *lookup;
	struct errand *errand;
	struct mine *mine;
	uint64_t max_age_s;
	bool remember;

	/* the answer */
	bool ready;
	bool close; /* the connection ends with it */
	unsigned int status;
	char *head;
	size_t head_size;
	const char *out;
	char *out_owned;
	size_t out_size;
	size_t sent; /* of head and body together */
};

/* The headers are complete. `body_bytes`: as announced. Returns whether the body is wanted. */
bool http_begin(struct exchange *exchange, size_t body_bytes);
void http_body(struct exchange *exchange, const void *data, size_t size);
/* The body is complete, or there is none. */
void http_end(struct exchange *exchange);
/* Answer with an error of the interface and close the connection: the request itself was wrong. */
void http_reject(struct exchange *exchange, unsigned int status, enum proto_code error,
		 const char *detail);
/* Also while it is on its way: the client has gone. */
void exchange_free(struct exchange *exchange);
