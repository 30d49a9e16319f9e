/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The public port. It and the sockets that it accepts (peer.h) are all that knows libwebsockets:
 * they check who may connect, and hand requests on to http.c, messages to connection.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include "gateway/gateway.h"

#define LISTENER_SEND_BYTES (64 * 1024) /* of one send */

struct lws;

/*
 * Listen on the address in the settings, on the service's loop. Returns 0 or -errno, having logged
 * why.
 */
int listener_new(struct gateway *gateway, struct listener **ret_listener);
/* Splits `HOST:PORT` or `[HOST]:PORT`. Returns 0 or -EINVAL. */
#define LISTENER_HOST_BYTES_MAX 128
int listener_parse_address(const char *address, char ret_host[static LISTENER_HOST_BYTES_MAX],
			   unsigned int *ret_port);
unsigned int listener_port(const struct listener *listener);
/* Begins to close all sockets; it takes some turns of the loop. */
void listener_close(struct listener *listener);
bool listener_is_closed(const struct listener *listener);
/* Closes first if need be, turning the loop. NULL is fine. */
void listener_free(struct listener *listener);

/* Whether what was written last is still waiting inside: nothing may be written then. */
bool listener_is_choked(struct lws *socket);
/* Ready-made frames, at once. False: the connection is lost; it will be closed. */
bool listener_write(struct lws *socket, unsigned char *bytes, size_t size);
/* Have connection_writable() or the HTTP answer called when there is room again. */
void listener_want_write(struct lws *socket);
/* Close without a word, soon; connection_free() follows. */
void listener_kill(struct lws *socket);
