/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See api.h. The cookie is carried by hand: it is `Secure`, and libcurl would not send it over
 * plain HTTP to loopback, as browsers do.
 */

#include "cli/api.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "services/cleanup.h"

#define PREFIX "/api/v1/"
#define TIMEOUT_S 30L
#define ANSWER_BYTES_MAX (4U * 1024U * 1024U)

struct api {
	CURL *curl;
	char *url;
	char *answer;
	size_t answer_size;
	char cookie[API_COOKIE_BYTES_MAX];
	char error[1024 + CURL_ERROR_SIZE];
};

static size_t take(char *data, size_t one, size_t size, void *context)
{
	struct api *api = context;
	char *answer;

	if (api->answer_size + size > ANSWER_BYTES_MAX) {
		return 0;
	}
	answer = realloc(api->answer, api->answer_size + size + one);
	if (!answer) {
		return 0;
	}
	memcpy(answer + api->answer_size, data, size);
	api->answer = answer;
	api->answer_size += size;
	return size;
}

int api_new(const char *url, struct api **ret_api)
{
	struct api *api = calloc(1, sizeof(*api));

	if (!api) {
		return -ENOMEM;
	}
	api->url = strdup(url);
	api->curl = curl_easy_init();
	if (!api->url || !api->curl) {
		api_free(api);
		return -ENOMEM;
	}
	*ret_api = api;
	return 0;
}

void api_free(struct api *api)
{
	if (!api) {
		return;
	}
	curl_easy_cleanup(api->curl);
	free(api->url);
	free(api->answer);
	free(api);
}

const char *api_error(const struct api *api)
{
	return api->error;
}

const char *api_cookie(const struct api *api)
{
	return api->cookie;
}

static void keep_cookie(struct api *api)
{
	struct curl_header *header = NULL;
	size_t size;

	if (curl_easy_header(api->curl, "Set-Cookie", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
		return;
	}
	size = strcspn(header->value, ";");
	if (size < sizeof(api->cookie)) {
		memcpy(api->cookie, header->value, size);
		api->cookie[size] = '\0';
	}
}

static void free_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static int perform(struct api *api, const char *method, const char *path, const char *body)
{
	_cleanup_(free_list) struct curl_slist *headers = NULL;
	char url[1024];
	char origin[512];
	CURLcode code;

	(void)snprintf(url, sizeof(url), "%s" PREFIX "%s", api->url, path);
	(void)snprintf(origin, sizeof(origin), "Origin: %s", api->url);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, origin);
	curl_easy_reset(api->curl);
	curl_easy_setopt(api->curl, CURLOPT_URL, url);
	curl_easy_setopt(api->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(api->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(api->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(api->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(api->curl, CURLOPT_WRITEDATA, api);
	curl_easy_setopt(api->curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(api->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(api->curl, CURLOPT_NOPROXY, "*");
	if (api->cookie[0] != '\0') {
		curl_easy_setopt(api->curl, CURLOPT_COOKIE, api->cookie);
	}
	api->answer_size = 0;
	code = curl_easy_perform(api->curl);
	if (code != CURLE_OK) {
		(void)snprintf(api->error, sizeof(api->error), "%s: %s", url,
			       curl_easy_strerror(code));
		return -ECONNREFUSED;
	}
	keep_cookie(api);
	return 0;
}

int api_ask(struct api *api, const char *method, const char *path, const json_t *body,
	    json_t **ret_answer)
{
	_cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_t *answer;
	long status = 0;
	int r = perform(api, method, path, text);

	if (r != 0) {
		return r;
	}
	(void)curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
	answer = json_loadb(api->answer ? api->answer : "", api->answer_size, 0, NULL);
	if (status >= 400 || (api->answer_size > 0 && !answer)) {
		(void)snprintf(api->error, sizeof(api->error), "%s %s: %ld %.*s", method, path,
			       status, (int)(api->answer_size < 160 ? api->answer_size : 160),
			       api->answer ? api->answer : "");
		json_decref(answer);
		return -EPROTO;
	}
	if (ret_answer) {
		*ret_answer = answer;
	} else {
		json_decref(answer);
	}
	return 0;
}
