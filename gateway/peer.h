/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One socket, from accept to close, as libwebsockets sees it: who may connect, how many from one
 * address, and the callbacks of the library. As HTTP it has an exchange at a time (peer_http.c);
 * once upgraded it has a connection (peer_websocket.c). Private to listener.c and peer*.c, the only
 * files that know libwebsockets.
 */

#include <libwebsockets.h>
#include "gateway/listener.h"

struct connection;
struct exchange;

/* Ids of the library's protocols. */
enum {
	PEER_HTTP,
	PEER_JSON,
	PEER_MSGPACK,
};

#define PEER_NAME_JSON "districhat.v1.json"
#define PEER_NAME_MSGPACK "districhat.v1.msgpack"

struct place;

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

/* Nonzero refuses the connection before anything is made for it. */
int peer_filter_socket(struct lws *wsi, lws_sockfd_type fd);
/* Returns 0, or -1 to hang up. */
int peer_new(struct lws *wsi);
void peer_free(struct lws *wsi, struct peer *peer);
void peer_drop_connection(struct peer *peer);
void peer_drop_exchange(struct peer *peer);

/* False: absent, too long, or with a zero byte in it (`%00`): then it is not what it seems. */
bool peer_copy_header(struct lws *wsi, enum lws_token_indexes token, char *to, size_t size);
void peer_copy_cookie(struct lws *wsi, uint8_t *secret, bool *has_secret);
/* Where the client is: the socket's address, or what a trusted proxy says. */
void peer_copy_address(struct lws *wsi, const struct peer *peer, char *to, size_t size);

/* The library's callbacks; nonzero hangs up. Unknown reasons are fine. */
int peer_on_http(struct lws *wsi, struct peer *peer, enum lws_callback_reasons reason, void *in,
		 size_t len);
int peer_on_websocket(struct lws *wsi, struct peer *peer, enum lws_callback_reasons reason,
		      void *in, size_t len);
