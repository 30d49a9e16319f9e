/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See response.h. The Content-Security-Policy allows nothing inline and nothing from elsewhere;
 * connect-src names the WebSocket origins too, since not every browser counts them to 'self'.
 */

#include "gateway/response.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include "gateway/ask.h"
#include "gateway/cookie.h"
#include "gateway/listener.h"

#define HEAD_BYTES_MAX 4096

static const struct {
	unsigned int status;
	const char *text;
} reasons[] = {
	{200, "OK"},
	{201, "Created"},
	{204, "No Content"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{500, "Internal Server Error"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

static const char fixed_headers[] =
	"X-Content-Type-Options: nosniff\r\n"
	"Referrer-Policy: same-origin\r\n"
	"Permissions-Policy: camera=(), microphone=(), geolocation=(), payment=()\r\n"
	"Cross-Origin-Opener-Policy: same-origin\r\n"
	"Cross-Origin-Resource-Policy: same-origin\r\n"
	"X-Frame-Options: DENY\r\n";

static const char *reason(unsigned int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status) {
			return reasons[i].text;
		}
	}
	return "Error";
}

struct head {
	char text[HEAD_BYTES_MAX];
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void put(struct head *head, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(head->text + head->size, sizeof(head->text) - head->size, format, arguments);
	va_end(arguments);
	if (n > 0 && (size_t)n < sizeof(head->text) - head->size) {
		head->size += (size_t)n;
	}
}

static void put_policy(struct head *head, const struct origins *origins)
{
	put(head,
	    "Content-Security-Policy: default-src 'self'; img-src 'self' data:; object-src 'none'; "
	    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; connect-src 'self'");
	for (size_t i = 0; i < origins->count && head->size < HEAD_BYTES_MAX / 2; i++) {
		put(head, " ws%s", origins->texts[i] + strlen("http"));
	}
	put(head, "\r\n");
}

static void put_headers(struct head *head, const struct exchange *exchange,
			const struct response *response)
{
	put(head, "HTTP/1.1 %u %s\r\n", response->status, reason(response->status));
	put(head, "%s", fixed_headers);
	put_policy(head, &exchange->gateway->origins);
	put(head, "Cache-Control: %s\r\n", response->cache ? response->cache : "no-store");
	if (response->type) {
		put(head, "Content-Type: %s\r\n", response->type);
	}
	if (response->etag) {
		put(head, "ETag: %s\r\n", response->etag);
	}
	if (response->encoding) {
		put(head, "Content-Encoding: %s\r\n", response->encoding);
	}
	if (response->vary) {
		put(head, "Vary: Accept-Encoding\r\n");
	}
	if (response->allow) {
		put(head, "Allow: %s\r\n", response->allow);
	}
	if (response->cookie) {
		put(head, "Set-Cookie: %s\r\n", response->cookie);
	}
	if (response->retry_ms > 0) {
		put(head, "Retry-After: %" PRIu64 "\r\n", (response->retry_ms + 999) / 1000);
	}
	if (response->status != 204 && response->status != 304) {
		put(head, "Content-Length: %zu\r\n", response->size);
	}
	put(head, "%s\r\n", exchange->close ? "Connection: close\r\n" : "");
}

static void count(const struct exchange *exchange, unsigned int status)
{
	const struct route *route = exchange->match.route;
	char labels[192];
	struct metric *metric;

	(void)snprintf(labels, sizeof(labels), "route=\"%s%s\",method=\"%s\",status=\"%u\"",
		       route ? ROUTE_PREFIX : "", route ? route->path : "other", exchange->method,
		       status);
	if (metrics_counter(exchange->gateway->service->metrics,
			    "districhat_gateway_http_requests_total", "HTTP requests answered",
			    labels, &metric) == 0) {
		metric_add(metric, 1);
	}
}

void respond(struct exchange *exchange, const struct response *response)
{
	struct head head = {.size = 0};

	if (exchange->ready) {
		free(response->owned_body);
		return;
	}
	put_headers(&head, exchange, response);
	exchange->head = malloc(head.size);
	if (!exchange->head) {
		free(response->owned_body);
		listener_kill(exchange->socket);
		return;
	}
	memcpy(exchange->head, head.text, head.size);
	exchange->head_size = head.size;
	exchange->status = response->status;
	exchange->out_owned = response->owned_body;
	exchange->out = response->owned_body ? response->owned_body : response->body;
	exchange->out_size = strcmp(exchange->method, "HEAD") == 0 ? 0 : response->size;
	exchange->ready = true;
	count(exchange, response->status);
	listener_want_write(exchange->socket);
}

void respond_record(struct exchange *exchange, unsigned int status,
		    const struct proto_record *record, const void *body, const char *cookie)
{
	struct proto_buffer out = PROTO_BUFFER_INIT;
	struct response response = {.status = status, .cookie = cookie};

	if (status != 204) {
		int r = proto_encode_record_json(&out, record, body);

		if (r != 0) {
			proto_buffer_deinit(&out);
			log_warn("http.body_not_made", LOG_TEXT("record", record->name),
				 LOG_ERRNO(r));
			respond_error(exchange, PROTO_E_INTERNAL, NULL, NULL);
			return;
		}
		response.type = "application/json";
		response.owned_body = proto_buffer_take(&out, &response.size);
	}
	respond(exchange, &response);
}

void respond_error(struct exchange *exchange, int error, const char *detail,
		   const struct proto_error *cause)
{
	struct proto_error body = ask_error(error, detail, cause);
	const struct proto_record *record = proto_type_info(PROTO_ERROR)->record;
	struct proto_buffer out = PROTO_BUFFER_INIT;
	struct response response = {
		.status = proto_error_info(ask_code(error))->status,
		.type = "application/json",
		.retry_ms = body.retry_ms,
	};

	if (proto_encode_record_json(&out, record, &body) != 0) {
		proto_buffer_reset(&out);
	}
	response.owned_body = proto_buffer_take(&out, &response.size);
	response.cookie = response.status == 401 && exchange->has_secret ? COOKIE_CLEAR : NULL;
	respond(exchange, &response);
}
