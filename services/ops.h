/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The operations port: /healthz, /readyz and /metrics over HTTP/1.1, for probes and scrapers. GET
 * and HEAD alone; bodies are refused. libmicrohttpd in its external epoll mode on our loop.
 */

#include <uv.h>
#include "services/metrics.h"

#define OPS_CONNECTIONS_MAX 64
#define OPS_CONNECTIONS_PER_ADDRESS_MAX 16
#define OPS_IDLE_S 10
#define OPS_CONNECTION_BYTES_MAX (16 * 1024) /* request line and headers */

struct ops;

/* Listen on `address` (HOST:PORT, [HOST]:PORT). Returns 0 or -errno. */
int ops_new(uv_loop_t *loop, const char *address, const struct metrics *metrics,
	    struct ops **ret_ops);
/* Closes its handles on the loop; memory follows when the loop has run. NULL is fine. */
void ops_free(struct ops *ops);
/* The port really bound. */
unsigned int ops_port(const struct ops *ops);
/* What /readyz says: NULL for ready, or why not. Kept by reference. */
void ops_set_unready(struct ops *ops, const char *why);
