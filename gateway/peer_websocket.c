/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See peer.h: a socket that is, or wants to be, a WebSocket. libwebsockets 4.1 lets pass, and this
 * refuses: h2c upgrades, any Origin, a missing subprotocol, any path.
 */

#include "gateway/peer.h"

#include <strings.h>
#include "gateway/connection.h"
#include "gateway/http.h"

static bool offers_protocol(struct lws *wsi)
{
	char list[HTTP_HEADER_BYTES_MAX];
	char *rest = NULL;

	if (!peer_copy_header(wsi, WSI_TOKEN_PROTOCOL, list, sizeof(list))) {
		return false;
	}
	for (char *name = strtok_r(list, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
		if (strcmp(name, PEER_NAME_JSON) == 0 || strcmp(name, PEER_NAME_MSGPACK) == 0) {
			return true;
		}
	}
	return false;
}

static unsigned int judge_upgrade(struct lws *wsi, const struct gateway *gateway)
{
	char text[ORIGIN_BYTES_MAX];

	if (!peer_copy_header(wsi, WSI_TOKEN_UPGRADE, text, sizeof(text)) ||
	    strcasecmp(text, "websocket") != 0) {
		return 400;
	}
	if (!peer_copy_header(wsi, WSI_TOKEN_GET_URI, text, sizeof(text)) ||
	    strcmp(text, "/ws") != 0) {
		return 404;
	}
	if (!peer_copy_header(wsi, WSI_TOKEN_ORIGIN, text, sizeof(text)) ||
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
	peer_copy_cookie(wsi, peer->secret, &peer->has_secret);
	return lws_get_protocol(wsi)->id == PEER_HTTP;
}

static int establish(struct lws *wsi, struct peer *peer)
{
	bool json = lws_get_protocol(wsi)->id == PEER_JSON;
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

int peer_on_websocket(struct lws *wsi, struct peer *peer, enum lws_callback_reasons reason,
		      void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return confirm_upgrade(wsi, peer);
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
		peer_drop_connection(peer);
		return 0;
	default:
		return 0;
	}
}
