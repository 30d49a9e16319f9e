/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See listener.h. What libwebsockets 4.1 lets pass and must be refused here: h2c upgrades, any
 * Origin, a missing subprotocol, any path for a WebSocket, bodies without an end, connections
 * without number.
 *
 * It runs on the service's libuv loop (a foreign loop: signals stay ours). Frames are made by
 * frame.c and written raw, several in one send; that is sound because there are no extensions, no
 * HTTP/2, and nothing is written while libwebsockets holds the rest of an earlier write.
 */

#include "gateway/listener.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>
#include <uthash.h>
#include "gateway/connection.h"
#include "gateway/cookie.h"
#include "gateway/http.h"

#define KEEP_ALIVE_S 60
#define SEND_TIMEOUT_S 30
#define HEADER_POOL 1024 /* requests whose headers are held at once */
#define RX_BUFFER_BYTES 512
#define CLOSE_TURNS_MAX 1000 /* of the loop, for sockets to close at the end */
#define CLOSE_TURNS_LAST 10 /* for the library's own handles */

/* An address that connections come from. */
struct place {
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	size_t count;
	UT_hash_handle hh;
};

/* What belongs to one socket, for as long as it lives. */
struct peer {
	struct listener *listener;
	struct place *place;
	struct connection *connection;
	struct exchange *exchange;
	uint8_t secret[PROTO_SECRET_BYTES];
	bool has_secret;
};

struct listener {
	struct gateway *gateway;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct place *places;
	size_t sockets;
	char host[LISTENER_HOST_BYTES_MAX];
	bool closing;
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len);

enum {
	PROTOCOL_HTTP,
	PROTOCOL_JSON,
	PROTOCOL_MSGPACK,
};

static const struct lws_protocols protocols[] = {
	{"http", on_event, 0, RX_BUFFER_BYTES, PROTOCOL_HTTP, NULL, LISTENER_SEND_BYTES},
	{"districhat.v1.json", on_event, 0, RX_BUFFER_BYTES, PROTOCOL_JSON, NULL,
	 LISTENER_SEND_BYTES},
	{"districhat.v1.msgpack", on_event, 0, RX_BUFFER_BYTES, PROTOCOL_MSGPACK, NULL,
	 LISTENER_SEND_BYTES},
	{0},
};

static struct listener *listener_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

/* --- sockets --- */

static struct place *get_place(struct listener *listener, const char *address)
{
	struct place *place;

	HASH_FIND_STR(listener->places, address, place);
	if (!place) {
		place = calloc(1, sizeof(*place));
		if (place) {
			(void)snprintf(place->address, sizeof(place->address), "%s", address);
			HASH_ADD_STR(listener->places, address, place);
		}
	}
	return place;
}

static void leave_place(struct listener *listener, struct place *place)
{
	if (place && --place->count == 0) {
		HASH_DEL(listener->places, place);
		free(place);
	}
}

/* Nonzero refuses the connection before anything is made for it. */
static int filter_socket(struct lws *wsi, lws_sockfd_type fd)
{
	struct listener *listener = listener_of(wsi);
	const struct gateway_settings *settings = listener->gateway->settings;
	char address[PROTO_ADDRESS_BYTES_MAX + 1] = "";
	struct place *place;

	if (listener->gateway->draining || listener->sockets >= settings->connections_max) {
		return 1;
	}
	(void)lws_get_peer_simple_fd(fd, address, sizeof(address));
	HASH_FIND_STR(listener->places, address, place);
	return place && place->count >= settings->connections_per_address;
}

static int peer_new(struct lws *wsi)
{
	struct listener *listener = listener_of(wsi);
	char address[PROTO_ADDRESS_BYTES_MAX + 1] = "";
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer) {
		return -1;
	}
	(void)lws_get_peer_simple(wsi, address, sizeof(address));
	peer->listener = listener;
	peer->place = get_place(listener, address);
	if (!peer->place) {
		free(peer);
		return -1;
	}
	peer->place->count++;
	listener->sockets++;
	lws_set_opaque_user_data(wsi, peer);
	return 0;
}

static void drop_connection(struct peer *peer)
{
	if (peer->connection) {
		connection_free(peer->connection);
		peer->connection = NULL;
	}
}

static void drop_exchange(struct peer *peer)
{
	exchange_free(peer->exchange);
	peer->exchange = NULL;
}

static void peer_free(struct lws *wsi, struct peer *peer)
{
	lws_set_opaque_user_data(wsi, NULL);
	drop_connection(peer);
	drop_exchange(peer);
	leave_place(peer->listener, peer->place);
	peer->listener->sockets--;
	explicit_bzero(peer->secret, sizeof(peer->secret));
	free(peer);
}

/* --- headers --- */

/* False: absent, too long, or with a zero byte in it (`%00`): then it is not what it seems. */
static bool copy_header(struct lws *wsi, enum lws_token_indexes token, char *to, size_t size)
{
	int n = lws_hdr_copy(wsi, to, (int)size, token);

	if (n <= 0 || memchr(to, '\0', (size_t)n)) {
		to[0] = 0;
		return false;
	}
	return true;
}

static void copy_cookie(struct lws *wsi, uint8_t *secret, bool *has_secret)
{
	char text[4096];
	int n = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_COOKIE);

	*has_secret = n > 0 && cookie_parse((struct proto_span){text, (size_t)n}, secret);
	explicit_bzero(text, sizeof(text));
}

/*
 * The last address that the proxy in front of us has added; nobody else can have written that one.
 */
static void copy_address(struct lws *wsi, const struct peer *peer, char *to, size_t size)
{
	char list[HTTP_HEADER_BYTES_MAX];
	const char *last;

	(void)snprintf(to, size, "%s", peer->place->address);
	if (peer->listener->gateway->settings->trust_proxy &&
	    copy_header(wsi, WSI_TOKEN_X_FORWARDED_FOR, list, sizeof(list))) {
		last = strrchr(list, ',');
		last = last ? last + 1 + strspn(last + 1, " ") : list;
		(void)snprintf(to, size, "%.*s", (int)strspn(last, "0123456789abcdefABCDEF:."),
			       last);
	}
}

/* --- WebSocket --- */

static bool offers_protocol(struct lws *wsi)
{
	char list[HTTP_HEADER_BYTES_MAX];
	char *rest = NULL;

	if (!copy_header(wsi, WSI_TOKEN_PROTOCOL, list, sizeof(list))) {
		return false;
	}
	for (char *name = strtok_r(list, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
		if (strcmp(name, protocols[PROTOCOL_JSON].name) == 0 ||
		    strcmp(name, protocols[PROTOCOL_MSGPACK].name) == 0) {
			return true;
		}
	}
	return false;
}

static unsigned int judge_upgrade(struct lws *wsi, const struct gateway *gateway)
{
	char text[ORIGIN_BYTES_MAX];

	if (!copy_header(wsi, WSI_TOKEN_UPGRADE, text, sizeof(text)) ||
	    strcasecmp(text, "websocket") != 0) {
		return 400;
	}
	if (!copy_header(wsi, WSI_TOKEN_GET_URI, text, sizeof(text)) || strcmp(text, "/ws") != 0) {
		return 404;
	}
	if (!copy_header(wsi, WSI_TOKEN_ORIGIN, text, sizeof(text)) ||
	    !origins_allow(&gateway->origins, proto_span(text))) {
		return 403;
	}
	return offers_protocol(wsi) ? 0 : 400;
}

/* Negative hangs up. */
static int confirm_upgrade(struct lws *wsi, const struct peer *peer)
{
	unsigned int status = judge_upgrade(wsi, peer->listener->gateway);
	char text[128];

	if (status == 0) {
		return 0;
	}
	(void)snprintf(text, sizeof(text),
		       "HTTP/1.1 %u Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		       status);
	(void)lws_write(wsi, (unsigned char *)text, strlen(text), LWS_WRITE_HTTP);
	return -1;
}

static int filter_protocol(struct lws *wsi, struct peer *peer)
{
	copy_cookie(wsi, peer->secret, &peer->has_secret);
	return lws_get_protocol(wsi)->id == PROTOCOL_HTTP;
}

static int establish(struct lws *wsi, struct peer *peer)
{
	bool json = lws_get_protocol(wsi)->id == PROTOCOL_JSON;
	int r = connection_new(peer->listener->gateway, wsi,
			       json ? ENVELOPE_JSON : ENVELOPE_MSGPACK,
			       peer->has_secret ? peer->secret : NULL, &peer->connection);

	explicit_bzero(peer->secret, sizeof(peer->secret));
	return r;
}

static int receive(struct lws *wsi, struct peer *peer, const char *data, size_t size)
{
	if (!peer->connection) {
		return -1;
	}
	connection_receive(peer->connection, data, size, lws_remaining_packet_payload(wsi),
			   lws_frame_is_binary(wsi), lws_is_final_fragment(wsi));
	return 0;
}

static int writable(struct peer *peer)
{
	return peer->connection && connection_writable(peer->connection) ? 0 : -1;
}

/* An answer to our close frame ends it; one that comes first is answered by the library. */
static int peer_closes(const struct peer *peer)
{
	return peer->connection && peer->connection->closing_ms > 0 ? -1 : 0;
}

/* --- HTTP --- */

static const char *const methods[] = {
	[LWSHUMETH_GET] = "GET",	 [LWSHUMETH_POST] = "POST",
	[LWSHUMETH_OPTIONS] = "OPTIONS", [LWSHUMETH_PUT] = "PUT",
	[LWSHUMETH_PATCH] = "PATCH",	 [LWSHUMETH_DELETE] = "DELETE",
	[LWSHUMETH_CONNECT] = "CONNECT", [LWSHUMETH_HEAD] = "HEAD",
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

/* `name=value`; what does not fit is cut short and will not match anything. */
static void copy_query(struct lws *wsi, struct exchange *exchange)
{
	char text[HTTP_HEADER_BYTES_MAX];
	int n;

	for (int i = 0; i < HTTP_QUERY_MAX; i++) {
		struct http_parameter *parameter = &exchange->query[exchange->query_count];
		const char *equals;

		n = lws_hdr_copy_fragment(wsi, text, sizeof(text), WSI_TOKEN_HTTP_URI_ARGS, i);
		if (n < 0) {
			return;
		}
		text[n] = 0;
		equals = strchr(text, '=');
		(void)snprintf(parameter->name, sizeof(parameter->name), "%.*s",
			       equals ? (int)(equals - text) : n, text);
		(void)snprintf(parameter->value, sizeof(parameter->value), "%s",
			       equals ? equals + 1 : "");
		exchange->query_count++;
	}
}

static struct exchange *exchange_of(struct lws *wsi, struct peer *peer)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	char *path;
	int size;
	int method = lws_http_get_uri_and_method(wsi, &path, &size);

	if (!exchange || method < 0 || (size_t)method >= METHOD_COUNT ||
	    size >= HTTP_PATH_BYTES_MAX) {
		free(exchange);
		return NULL;
	}
	exchange->gateway = peer->listener->gateway;
	exchange->socket = wsi;
	exchange->method = methods[method];
	exchange->path_size = (size_t)size;
	memcpy(exchange->path, path, (size_t)size);
	copy_query(wsi, exchange);
	exchange->has_origin = lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0;
	copy_header(wsi, WSI_TOKEN_ORIGIN, exchange->origin, sizeof(exchange->origin));
	copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, exchange->content_type,
		    sizeof(exchange->content_type));
	copy_header(wsi, WSI_TOKEN_HTTP_USER_AGENT, exchange->agent, sizeof(exchange->agent));
	copy_header(wsi, WSI_TOKEN_HTTP_ACCEPT_ENCODING, exchange->accept_encoding,
		    sizeof(exchange->accept_encoding));
	copy_header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, exchange->if_none_match,
		    sizeof(exchange->if_none_match));
	copy_address(wsi, peer, exchange->address, sizeof(exchange->address));
	copy_cookie(wsi, exchange->secret, &exchange->has_secret);
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
	if (!copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof(text)) ||
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

	drop_exchange(peer);
	peer->exchange = exchange_of(wsi, peer);
	if (!peer->exchange) {
		return -1;
	}
	if (read_length(wsi, peer->exchange, &size) && http_begin(peer->exchange, size) &&
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
	drop_exchange(peer);
	return close || lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* --- events --- */

static int on_http(struct lws *wsi, struct peer *peer, enum lws_callback_reasons reason, void *in,
		   size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return confirm_upgrade(wsi, peer);
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
		drop_exchange(peer);
		return 0;
	default:
		return 0;
	}
}

static int on_websocket(struct lws *wsi, struct peer *peer, enum lws_callback_reasons reason,
			void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return filter_protocol(wsi, peer);
	case LWS_CALLBACK_ESTABLISHED:
		return establish(wsi, peer);
	case LWS_CALLBACK_RECEIVE:
		return receive(wsi, peer, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
		if (peer->connection) {
			connection_heard(peer->connection);
		}
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return writable(peer);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return peer_closes(peer);
	case LWS_CALLBACK_CLOSED:
		drop_connection(peer);
		return 0;
	default:
		return 0;
	}
}

static bool is_websocket(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION ||
	       reason == LWS_CALLBACK_ESTABLISHED || reason == LWS_CALLBACK_RECEIVE ||
	       reason == LWS_CALLBACK_RECEIVE_PONG || reason == LWS_CALLBACK_SERVER_WRITEABLE ||
	       reason == LWS_CALLBACK_WS_PEER_INITIATED_CLOSE || reason == LWS_CALLBACK_CLOSED;
}

static bool is_http(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_HTTP || reason == LWS_CALLBACK_HTTP_BODY ||
	       reason == LWS_CALLBACK_HTTP_BODY_COMPLETION ||
	       reason == LWS_CALLBACK_HTTP_WRITEABLE ||
	       reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE || reason == LWS_CALLBACK_CLOSED_HTTP;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	struct peer *peer;

	(void)user;
	switch (reason) {
	case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
		return filter_socket(wsi, (lws_sockfd_type)(intptr_t)in);
	case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
		return peer_new(wsi);
	case LWS_CALLBACK_WSI_DESTROY:
		peer = lws_get_opaque_user_data(wsi);
		if (peer) {
			peer_free(wsi, peer);
		}
		return 0;
	default:
		break;
	}
	if (!is_websocket(reason) && !is_http(reason)) {
		return 0;
	}
	peer = lws_get_opaque_user_data(wsi);
	if (!peer) {
		return -1;
	}
	return is_http(reason) ? on_http(wsi, peer, reason, in, len)
			       : on_websocket(wsi, peer, reason, in, len);
}

/* --- for connections --- */

bool listener_is_choked(struct lws *socket)
{
	return lws_partial_buffered(socket) != 0;
}

bool listener_write(struct lws *socket, unsigned char *bytes, size_t size)
{
	return lws_write(socket, bytes, size, LWS_WRITE_RAW) >= 0;
}

void listener_want_write(struct lws *socket)
{
	lws_callback_on_writable(socket);
}

void listener_kill(struct lws *socket)
{
	lws_set_timeout(socket, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

/* --- life --- */

int listener_parse_address(const char *address, char ret_host[static LISTENER_HOST_BYTES_MAX],
			   unsigned int *ret_port)
{
	const char *colon = strrchr(address, ':');
	const char *host = address;
	size_t size = colon ? (size_t)(colon - address) : 0;
	char *end;
	unsigned long port;

	if (!colon || size == 0 || size >= LISTENER_HOST_BYTES_MAX) {
		return -EINVAL;
	}
	port = strtoul(colon + 1, &end, 10);
	if (colon[1] == 0 || *end != 0 || port > UINT16_MAX) {
		return -EINVAL;
	}
	if (host[0] == '[' && colon[-1] == ']') {
		host++;
		size -= 2;
	}
	memcpy(ret_host, host, size);
	ret_host[size] = 0;
	*ret_port = (unsigned int)port;
	return 0;
}

static void on_log(int level, const char *line)
{
	char text[PROTO_DETAIL_BYTES_MAX];

	(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
	if (level == LLL_ERR) {
		log_warn("listener.library_error", LOG_TEXT("text", text));
	} else {
		log_debug("listener.library_warning", LOG_TEXT("text", text));
	}
}

/* Every browser is a file descriptor: take as many as the system lets us. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static const char *interface_of(const char *host)
{
	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
		return NULL;
	}
	return strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
}

static struct lws_context *context_new(struct listener *listener, unsigned int port)
{
	/* No validity timers of the library's own: each would be put into a list by walking it. */
	static const lws_retry_bo_t no_timers = {.secs_since_valid_ping = 0,
						 .secs_since_valid_hangup = 0};
	const struct gateway_settings *settings = listener->gateway->settings;
	void *loops[] = {listener->gateway->service->loop};
	struct lws_context_creation_info info = {
		.protocols = protocols,
		.port = (int)port,
		.iface = interface_of(listener->host),
		.gid = -1,
		.uid = -1,
		.user = listener,
		.foreign_loops = loops,
		.retry_and_idle_policy = &no_timers,
		.keepalive_timeout = KEEP_ALIVE_S,
		.timeout_secs = (unsigned int)(settings->header_ms / 1000),
		.timeout_secs_ah_idle = (unsigned int)(settings->header_ms / 1000),
		.max_http_header_data2 = (unsigned int)settings->header_bytes,
		.max_http_header_pool2 = HEADER_POOL,
		.alpn = "http/1.1",
		.server_string = "districhat",
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_VALIDATE_UTF8 |
			   LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
	};
	struct lws_context *context;

	if (!strchr(listener->host, ':')) {
		info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	}
	context = lws_create_context(&info);
	if (context) {
		listener->vhost = lws_create_vhost(context, &info);
	}
	if (context && !listener->vhost) {
		lws_context_destroy(context);
		context = NULL;
	}
	return context;
}

int listener_new(struct gateway *gateway, struct listener **ret_listener)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	unsigned int port;

	if (!listener) {
		return -ENOMEM;
	}
	listener->gateway = gateway;
	if (listener_parse_address(gateway->settings->listen, listener->host, &port) != 0) {
		log_error("listener.bad_address", LOG_TEXT("listen", gateway->settings->listen));
		free(listener);
		return -EINVAL;
	}
	raise_files();
	lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
	listener->context = context_new(listener, port);
	if (!listener->context) {
		log_error("listener.not_bound", LOG_TEXT("listen", gateway->settings->listen));
		free(listener);
		return -EADDRINUSE;
	}
	*ret_listener = listener;
	return 0;
}

unsigned int listener_port(const struct listener *listener)
{
	return (unsigned int)lws_get_vhost_listen_port(listener->vhost);
}

void listener_close(struct listener *listener)
{
	if (!listener->closing) {
		listener->closing = true;
		lws_context_destroy(listener->context);
	}
}

bool listener_is_closed(const struct listener *listener)
{
	return listener->closing && listener->sockets == 0;
}

/*
 * On a foreign loop the library wants to be destroyed twice: the first call closes its handles, the
 * second one frees what they used and unloads their code, so that they must be closed by then.
 */
void listener_free(struct listener *listener)
{
	if (!listener) {
		return;
	}
	listener_close(listener);
	for (unsigned int i = 0; i < CLOSE_TURNS_MAX && listener->sockets > 0; i++) {
		(void)uv_run(listener->gateway->service->loop, UV_RUN_NOWAIT);
	}
	for (unsigned int i = 0; i < CLOSE_TURNS_LAST; i++) {
		(void)uv_run(listener->gateway->service->loop, UV_RUN_NOWAIT);
	}
	lws_context_destroy(listener->context);
	free(listener);
}
