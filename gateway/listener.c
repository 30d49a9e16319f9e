/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See listener.h. libwebsockets runs on the service's libuv loop (a foreign loop: signals stay
 * ours). Frames are made by frame.c and written raw, several in one send; that is sound because
 * there are no extensions, no HTTP/2, and nothing is written while libwebsockets holds the rest of
 * an earlier write.
 */

#include "gateway/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "gateway/peer.h"

#define KEEP_ALIVE_S 60
#define HEADER_POOL 1024 /* requests whose headers are held at once */
#define RX_BUFFER_BYTES 512
#define CLOSE_TURNS_MAX 1000 /* of the loop, for sockets to close at the end */
#define CLOSE_TURNS_LAST 10 /* for the library's own handles */

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len);

static const struct lws_protocols protocols[] = {
	{"http", on_event, 0, RX_BUFFER_BYTES, PEER_HTTP, NULL, LISTENER_SEND_BYTES},
	{PEER_NAME_JSON, on_event, 0, RX_BUFFER_BYTES, PEER_JSON, NULL, LISTENER_SEND_BYTES},
	{PEER_NAME_MSGPACK, on_event, 0, RX_BUFFER_BYTES, PEER_MSGPACK, NULL, LISTENER_SEND_BYTES},
	{0},
};

/* --- events --- */

static bool is_websocket(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE ||
	       reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION ||
	       reason == LWS_CALLBACK_ESTABLISHED || reason == LWS_CALLBACK_RECEIVE ||
	       reason == LWS_CALLBACK_RECEIVE_PONG || reason == LWS_CALLBACK_SERVER_WRITEABLE ||
	       reason == LWS_CALLBACK_WS_PEER_INITIATED_CLOSE || reason == LWS_CALLBACK_CLOSED;
}

static bool is_http(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_HTTP || reason == LWS_CALLBACK_HTTP_BODY ||
	       reason == LWS_CALLBACK_HTTP_BODY_COMPLETION ||
	       reason == LWS_CALLBACK_HTTP_WRITEABLE || reason == LWS_CALLBACK_CLOSED_HTTP;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	struct peer *peer;

	(void)user;
	switch (reason) {
	case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
		return peer_filter_socket(wsi, (lws_sockfd_type)(intptr_t)in);
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
	return is_http(reason) ? peer_on_http(wsi, peer, reason, in, len)
			       : peer_on_websocket(wsi, peer, reason, in, len);
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

/* The library looks at its timers when it is woken by anything else: wake it. */
void listener_kill(struct lws *socket)
{
	lws_set_timeout(socket, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	lws_cancel_service(lws_get_context(socket));
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
