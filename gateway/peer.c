/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See peer.h: addresses, sockets, and what their headers say. */

#include "gateway/peer.h"

#include <stdlib.h>
#include <uthash.h>
#include "gateway/connection.h"
#include "gateway/cookie.h"
#include "gateway/http.h"

/* An address that connections come from. */
struct place {
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	size_t count;
	UT_hash_handle hh;
};

static struct listener *peer_listener(struct lws *wsi)
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

int peer_filter_socket(struct lws *wsi, lws_sockfd_type fd)
{
	struct listener *listener = peer_listener(wsi);
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

int peer_new(struct lws *wsi)
{
	struct listener *listener = peer_listener(wsi);
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

void peer_drop_connection(struct peer *peer)
{
	if (peer->connection) {
		connection_free(peer->connection);
		peer->connection = NULL;
	}
}

void peer_drop_exchange(struct peer *peer)
{
	exchange_free(peer->exchange);
	peer->exchange = NULL;
}

void peer_free(struct lws *wsi, struct peer *peer)
{
	lws_set_opaque_user_data(wsi, NULL);
	peer_drop_connection(peer);
	peer_drop_exchange(peer);
	leave_place(peer->listener, peer->place);
	peer->listener->sockets--;
	explicit_bzero(peer->secret, sizeof(peer->secret));
	free(peer);
}

/* --- headers --- */

bool peer_copy_header(struct lws *wsi, enum lws_token_indexes token, char *to, size_t size)
{
	int n = lws_hdr_copy(wsi, to, (int)size, token);

	if (n <= 0 || memchr(to, '\0', (size_t)n)) {
		to[0] = 0;
		return false;
	}
	return true;
}

void peer_copy_cookie(struct lws *wsi, uint8_t *secret, bool *has_secret)
{
	char text[4096];
	int n = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_COOKIE);

	*has_secret = n > 0 && cookie_parse((struct proto_span){text, (size_t)n}, secret);
	explicit_bzero(text, sizeof(text));
}

/*
 * The last address that the proxy in front of us has added; nobody else can have written that one.
 */
void peer_copy_address(struct lws *wsi, const struct peer *peer, char *to, size_t size)
{
	char list[HTTP_HEADER_BYTES_MAX];
	const char *last;

	(void)snprintf(to, size, "%s", peer->place->address);
	if (peer->listener->gateway->settings->trust_proxy &&
	    peer_copy_header(wsi, WSI_TOKEN_X_FORWARDED_FOR, list, sizeof(list))) {
		last = strrchr(list, ',');
		last = last ? last + 1 + strspn(last + 1, " ") : list;
		(void)snprintf(to, size, "%.*s", (int)strspn(last, "0123456789abcdefABCDEF:."),
			       last);
	}
}
