/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The skeleton that every daemon stands on: settings, log, loop, bus, metrics, the operations port,
 * signals and orderly shutdown. A daemon is a `struct service_spec` and `return service_main(&spec,
 * argc, argv);`.
 *
 *   settings ─▶ log ─▶ loop, bus, metrics, operations port ─▶ start() ─▶ loop
 *                                        … SIGTERM or SIGINT ─▶ stop() ─▶ free()
 *
 * The operations port (libmicrohttpd on our loop, GET and HEAD alone) serves /healthz (200 as long
 * as the loop turns), /readyz (200 once service_ready() was called and until stop) and /metrics.
 *
 * Exit status: 0 stopped in order; 1 start or run failed (the log says why); 2 wrong settings.
 */

#include <uv.h>
#include "proto/proto.h"
#include "services/bus.h"
#include "services/config.h"
#include "services/log.h"
#include "services/metrics.h"

#define SERVICE_STOP_MS 10000 /* default time for an orderly stop */

/* Settings of all daemons: their structs begin with it, their tables with SERVICE_FIELDS. */
struct service_settings {
	const char *name;
	const char *ops;
	const char *log_level;
	const char *host;
	const char *zone;
	uint64_t stop_ms;
};

/* clang-format off */
#define SERVICE_FIELDS(type) \
	{"name", CONFIG_TEXT, offsetof(type, service.name), "", 0, PROTO_NAME_BYTES_MAX, "NAME", \
	 "name of this node, unique among all; empty: the service and the host"}, \
	{"ops", CONFIG_TEXT, offsetof(type, service.ops), "127.0.0.1:0", 1, 128, "HOST:PORT", \
	 "where /healthz, /readyz and /metrics are served; port 0: any free one, see the log"}, \
	{"log-level", CONFIG_TEXT, offsetof(type, service.log_level), "info", 1, 8, "LEVEL", \
	 "least level that is logged: debug, info, warn, error"}, \
	{"host", CONFIG_TEXT, offsetof(type, service.host), "", 0, PROTO_NAME_BYTES_MAX, "NAME", \
	 "machine that the node runs on; empty: ask the system"}, \
	{"zone", CONFIG_TEXT, offsetof(type, service.zone), "", 0, PROTO_NAME_BYTES_MAX, "NAME", \
	 "failure zone that the node is in"}, \
	{"stop-timeout", CONFIG_MS, offsetof(type, service.stop_ms), "10s", 100, 600000, "TIME", \
	 "time for an orderly stop before the process ends anyway"}
/* clang-format on */

struct service {
	uv_loop_t *loop;
	struct bus *bus;
	struct metrics *metrics;
	const struct service_settings *settings;
	struct proto_id incarnation; /* random, new at every start */
};

struct service_spec {
	struct config_table config;
	size_t settings_size;
	/*
	 * Build the daemon. `settings` is the struct that the table filled. Returns 0 or -errno;
	 * logs why.
	 */
	int (*start)(struct service *service, const void *settings, void **ret_daemon);
	/* Begin an orderly stop; call service_stopped() when done. */
	void (*stop)(void *daemon);
	/*
	 * Free what is left; also after a failed start if `ret_daemon` was set. Handles on the loop
	 * are closed here.
	 */
	void (*free)(void *daemon);
};

int service_main(const struct service_spec *spec, int argc, char **argv);

/* The daemon can serve: /readyz turns to 200, `event=ready` is logged. May be called again. */
void service_ready(struct service *service);
/* It can't for now: /readyz turns to 503. `why` is shown there. */
void service_unready(struct service *service, const char *why);
/* The orderly stop is done. */
void service_stopped(struct service *service);
/* Something that must not go on happened: log, stop in order, exit with 1. */
void service_fail(struct service *service, const char *event, int error);

/*
 * Run `work` on libuv's thread pool, then `done` on the loop. For password hashing and LMDB commits
 * alone. Returns 0 or -errno.
 */
int service_offload(uv_loop_t *loop, void (*work)(void *context), void (*done)(void *context),
		    void *context);
