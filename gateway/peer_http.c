/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See peer.h: a socket that speaks HTTP. Makes an exchange of each request (http.h) and sends its
 * answer. libwebsockets 4.1 lets pass, and this refuses: bodies without an end.
 */

#include "gateway/peer.h"

#include <stdlib.h>
#include "gateway/http.h"

#define SEND_TIMEOUT_S 30

static const char *const methods[] = {
	[LWSHUMETH_GET] = "GET",	 [LWSHUMETH_POST] = "POST",
	[LWSHUMETH_OPTIONS] = "OPTIONS", [LWSHUMETH_PUT] = "PUT",
	[LWSHUMETH_PATCH] = "PATCH",	 [LWSHUMETH_DELETE] = "DELETE",
	[LWSHUMETH_CONNECT] = "CONNECT", [LWSHUMETH_HEAD] = "HEAD",
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

/* One `name=value`. */
static void add_parameter(struct exchange *exchange, const char *text, size_t size)
{
	struct http_parameter *parameter = &exchange->query[exchange->query_count++];
	const char *equals = memchr(text, '=', size);
	size_t name_size = equals ? (size_t)(equals - text) : size;

	/* a name that is cut short matches none of ours */
	(void)snprintf(parameter->name, sizeof(parameter->name), "%.*s", (int)name_size, text);
	(void)snprintf(parameter->value, sizeof(parameter->value), "%s", equals ? equals + 1 : "");
}

/* False: there are more, or longer ones, than we look at. */
static bool copy_query(struct lws *wsi, struct exchange *exchange)
{
	char text[HTTP_HEADER_BYTES_MAX];

	for (int i = 0; lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i) > 0; i++) {
		int n = lws_hdr_copy_fragment(wsi, text, sizeof(text), WSI_TOKEN_HTTP_URI_ARGS, i);

		if (n < 0 || i == HTTP_QUERY_MAX) {
			return false;
		}
		text[n] = 0;
		add_parameter(exchange, text, (size_t)n);
	}
	return true;
}

/* False: the address is longer than any of ours. */
static bool copy_address(struct lws *wsi, struct exchange *exchange, const char *path, int size)
{
	if (size < 0 || size >= HTTP_PATH_BYTES_MAX) {
		return false;
	}
	exchange->path_size = (size_t)size;
	memcpy(exchange->path, path, (size_t)size);
	return copy_query(wsi, exchange);
}

static struct exchange *exchange_of(struct lws *wsi, struct peer *peer, bool *ret_fits)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	char *path;
	int size;
	int method = lws_http_get_uri_and_method(wsi, &path, &size);

	if (!exchange || method < 0 || (size_t)method >= METHOD_COUNT) {
		free(exchange);
		return NULL;
	}
	exchange->gateway = peer->listener->gateway;
	exchange->socket = wsi;
	exchange->method = methods[method];
	*ret_fits = copy_address(wsi, exchange, path, size);
	exchange->has_origin = lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0;
	peer_copy_header(wsi, WSI_TOKEN_ORIGIN, exchange->origin, sizeof(exchange->origin));
	peer_copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, exchange->content_type,
			 sizeof(exchange->content_type));
	peer_copy_header(wsi, WSI_TOKEN_HTTP_USER_AGENT, exchange->agent, sizeof(exchange->agent));
	peer_copy_header(wsi, WSI_TOKEN_HTTP_ACCEPT_ENCODING, exchange->accept_encoding,
			 sizeof(exchange->accept_encoding));
	peer_copy_header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, exchange->if_none_match,
			 sizeof(exchange->if_none_match));
	peer_copy_address(wsi, peer, exchange->address, sizeof(exchange->address));
	peer_copy_cookie(wsi, exchange->secret, &exchange->has_secret);
	return exchange;
}

/* How long the body is. False after having rejected the request: its end cannot be known. */
static bool read_length(struct lws *wsi, struct exchange *exchange, size_t *ret_size)
{
	bool has_length = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
	char text[16];

	*ret_size = 0;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
		http_reject(exchange, 411, PROTO_E_MALFORMED, "send a Content-Length");
		return false;
	}
	if (!has_length) {
		/* libwebsockets would wait for 100 MB */
		if (exchange->method[0] == 'P') {
			http_reject(exchange, 411, PROTO_E_MALFORMED, "send a Content-Length");
			return false;
		}
		return true;
	}
	if (!peer_copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof(text)) ||
	    strspn(text, "0123456789") != strlen(text)) {
		http_reject(exchange, 400, PROTO_E_MALFORMED, "Content-Length is not a number");
		return false;
	}
	*ret_size = strtoul(text, NULL, 10);
	return true;
}

static int begin(struct lws *wsi, struct peer *peer)
{
	size_t size;
	bool fits;

	peer_drop_exchange(peer);
	peer->exchange = exchange_of(wsi, peer, &fits);
	if (!peer->exchange) {
		return -1;
	}
	if (!fits) {
		http_reject(peer->exchange, 414, PROTO_E_LIMIT, "the address is too long");
	} else if (read_length(wsi, peer->exchange, &size) && http_begin(peer->exchange, size) &&
		   size == 0) {
		http_end(peer->exchange);
	}
	return 0;
}

/* As much of the answer as one send takes. Returns false when the connection is lost. */
static bool write_answer(struct lws *wsi, struct exchange *exchange)
{
	unsigned char space[LISTENER_SEND_BYTES];
	size_t head = exchange->sent < exchange->head_size ? exchange->head_size - exchange->sent
							   : 0;
	size_t at = exchange->sent > exchange->head_size ? exchange->sent - exchange->head_size : 0;
	size_t body = exchange->out_size - at;

	body = body > sizeof(space) - head ? sizeof(space) - head : body;
	if (head > 0) {
		memcpy(space, exchange->head + exchange->sent, head);
	}
	if (body > 0) {
		memcpy(space + head, exchange->out + at, body);
	}
	exchange->sent += head + body;
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, SEND_TIMEOUT_S);
	return head + body == 0 || lws_write(wsi, space, head + body, LWS_WRITE_HTTP) >= 0;
}

static int continue_answer(struct lws *wsi, struct peer *peer)
{
	struct exchange *exchange = peer->exchange;
	bool close;

	if (!exchange || !exchange->ready || lws_partial_buffered(wsi)) {
		return 0;
	}
	if (!write_answer(wsi, exchange)) {
		return -1;
	}
	if (exchange->sent < exchange->head_size + exchange->out_size ||
	    (exchange->close && lws_partial_buffered(wsi))) {
		lws_callback_on_writable(wsi);
		return 0;
	}
	close = exchange->close;
	peer_drop_exchange(peer);
	return close || lws_http_transaction_completed(wsi) ? -1 : 0;
}

int peer_on_http(struct lws *wsi, struct peer *peer, enum lws_callback_reasons reason, void *in,
		 size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return begin(wsi, peer);
	case LWS_CALLBACK_HTTP_BODY:
		if (peer->exchange) {
			http_body(peer->exchange, in, len);
		}
		return 0;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		if (peer->exchange && peer->exchange->body) {
			http_end(peer->exchange);
		}
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return continue_answer(wsi, peer);
	case LWS_CALLBACK_CLOSED_HTTP:
		peer_drop_exchange(peer);
		return 0;
	default:
		return 0;
	}
}
