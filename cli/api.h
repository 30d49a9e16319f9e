/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The gateway's HTTP API (docs/openapi.json), one request after another. */

#include <jansson.h>
#include <stddef.h>

#define API_COOKIE_BYTES_MAX 256U

struct api;

/* `url` as people type it: http://127.0.0.1:8080. 0, or -errno. */
int api_new(const char *url, struct api **ret_api);
void api_free(struct api *api);
/*
 * Ask with a JSON body, which may be NULL. 0: `ret_answer`, if wanted, is the caller's, and NULL
 * for an empty one. -EPROTO: refused, or not understood; -ECONNREFUSED: not reached.
 * api_error() tells more.
 */
int api_ask(struct api *api, const char *method, const char *path, const json_t *body,
	    json_t **ret_answer);
const char *api_error(const struct api *api);
/* "name=value" that the latest answer set, and that is sent from then on; "" for none. */
const char *api_cookie(const struct api *api);
