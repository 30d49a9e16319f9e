/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * gateway: browsers on one side, the bus on the other.
 *
 * PURPOSE
 *   Serves the browser application, the HTTP interface below /api/v1 (docs/openapi.json), and
 *   WebSockets under /ws with the subprotocols districhat.v1.json and districhat.v1.msgpack. Keeps
 *   nothing on disk: any gateway serves any person.
 *
 * REQUESTS
 *   Signing in and out is done over HTTP; the session lives in a cookie. Everything else is a
 *   message of the protocol's table that a person may send (caller USER). Those for the registry go
 *   there; those for a room go to the roomd that owns the room's slot, which checks all rights
 *   itself. The gateway answers ping, room_close and room_presence, fills up rooms_mine, and turns
 *   room_open into a place in the room (follow.h).
 *
 * SECURITY
 *   Exact Origin list, required subprotocol, `__Host-` cookie, no cross-site writes, no HTTP/2, no
 *   compression of secrets. The session in a message is always that of the connection. A revoked
 *   session's sockets close at once. TLS ends at a proxy in front.
 *
 * LIMITS
 *   All are settings, see the table below: connections in all and per address, bytes of a frame, a
 *   body, the headers and a queue, messages a second, rooms a connection.
 *
 * WHEN THINGS FAIL
 *   A roomd goes: requests are tried again until their deadline, in order; rooms are followed at
 *   the next owner, and what was missed is fetched. The registry goes: people who are signed in go
 *   on; signing in fails as `unavailable`. A browser reads too slowly: its queue is dropped, its
 *   place in the room is not, and it is fed from the log. SIGTERM: browsers are told to come back,
 *   spread over five seconds.
 */

#include "gateway/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include "gateway/connection.h"
#include "gateway/errand.h"
#include "gateway/feed.h"
#include "gateway/listener.h"
#include "gateway/mine.h"
#include "gateway/route.h"
#include "gateway/session.h"
#include "gateway/upstream.h"

#define DRAIN_MS 2000
#define DRAIN_TICK_MS 20

#define FIELD(member) offsetof(struct gateway_settings, member)

static const struct config_field fields[] = {
	SERVICE_FIELDS(struct gateway_settings),
	{"listen", CONFIG_TEXT, FIELD(listen), "127.0.0.1:8080", 3, 128, "HOST:PORT",
	 "where browsers connect; port 0: any free one, named in the log"},
	{"registry", CONFIG_TEXT, FIELD(registry), NULL, 1, PROTO_ADDRESS_BYTES_MAX, "ENDPOINT",
	 "address of the registry"},
	{"ui", CONFIG_TEXT, FIELD(ui), "", 0, ASSET_PATH_BYTES_MAX, "DIR",
	 "files of the browser application; empty: none are served"},
	{"public-url", CONFIG_TEXT, FIELD(public_url), "", 0, 4096, "URLS",
	 "addresses that people type, comma separated: Origins that may connect; empty: `listen`"},
	{"connections-max", CONFIG_NUMBER, FIELD(connections_max), "50000", 1, 10000000, "N",
	 "sockets at once; more are refused"},
	{"connections-per-address", CONFIG_NUMBER, FIELD(connections_per_address), "1000", 1,
	 10000000, "N", "sockets at once from one address; raise it behind a proxy"},
	{"frame-bytes", CONFIG_BYTES, FIELD(frame_bytes), "64k", 1024, PROTO_FRAME_BYTES_MAX,
	 "SIZE", "largest message on a WebSocket"},
	{"messages-per-second", CONFIG_NUMBER, FIELD(messages_per_second), "50", 1, 1000000, "N",
	 "messages that one connection may send on average; twice as many in a burst"},
	{"rooms-per-connection", CONFIG_NUMBER, FIELD(rooms_per_connection), "200", 1, 100000, "N",
	 "rooms that one connection may follow"},
	{"body-bytes", CONFIG_BYTES, FIELD(body_bytes), "64k", 1024, PROTO_FRAME_BYTES_MAX, "SIZE",
	 "largest body of an HTTP request"},
	{"header-bytes", CONFIG_BYTES, FIELD(header_bytes), "8k", 1024, 65535, "SIZE",
	 "headers of an HTTP request"},
	{"header-timeout", CONFIG_MS, FIELD(header_ms), "10s", 1000, 300000, "TIME",
	 "time for a request to arrive"},
	{"queue-bytes", CONFIG_BYTES, FIELD(queue_bytes), "256k", 4096, 64 * 1024 * 1024, "SIZE",
	 "what may wait for one connection; beyond, events are read again from the log"},
	{"stuck-timeout", CONFIG_MS, FIELD(stuck_ms), "30s", 1000, 3600000, "TIME",
	 "a connection that takes nothing for so long is closed"},
	{"ping-interval", CONFIG_MS, FIELD(ping_ms), "30s", 1000, 3600000, "TIME",
	 "a connection that was silent for so long is pinged"},
	{"silence-timeout", CONFIG_MS, FIELD(silence_ms), "75s", 1000, 3600000, "TIME",
	 "a connection that was silent for so long is closed"},
	{"trust-proxy", CONFIG_BOOL, FIELD(trust_proxy), "false", 0, 0, NULL,
	 "take a client's address from the last entry of X-Forwarded-For"},
};

/* --- events from the registry --- */

static void on_welcomed(void *context, const struct proto_node_welcome *welcome)
{
	struct gateway *gateway = context;

	(void)welcome;
	upstreams_shut_registry(gateway);
	service_ready(gateway->service);
}

static void on_slots_changed(void *context)
{
	errands_redirect(context);
	feeds_slots_changed(context);
}

static void on_session_revoked(void *context, const struct proto_session_revoked *revoked)
{
	session_revoke(context, &revoked->session);
}

static void on_beat(void *context, struct proto_node_beat *beat)
{
	const struct gateway *gateway = context;

	beat->connections = gateway->connection_count;
	beat->rooms = HASH_COUNT(gateway->rooms);
}

static const struct membership_events events = {
	.welcomed = on_welcomed,
	.slots_changed = on_slots_changed,
	.session_revoked = on_session_revoked,
	.beat = on_beat,
};

/* --- time --- */

static void on_tick(uv_timer_t *timer)
{
	struct gateway *gateway = timer->data;

	connections_tick(gateway);
	sessions_tick(gateway);
	feeds_tick(gateway);
	upstreams_tick(gateway);
	metric_set(gateway->numbers.connections, gateway->connection_count);
	metric_set(gateway->numbers.rooms, HASH_COUNT(gateway->rooms));
}

static void on_flush(uv_prepare_t *prepare)
{
	connections_flush(prepare->data);
}

/* --- life --- */

static int make_numbers(struct gateway *gateway)
{
	struct metrics *metrics = gateway->service->metrics;
	struct gateway_numbers *numbers = &gateway->numbers;
	const struct {
		const char *name;
		const char *help;
		int (*make)(struct metrics *, const char *, const char *, const char *,
			    struct metric **);
		struct metric **at;
	} rows[] = {
		{"connections", "browsers connected", metrics_gauge, &numbers->connections},
		{"rooms", "rooms followed", metrics_gauge, &numbers->rooms},
		{"messages_in_total", "messages from browsers", metrics_counter,
		 &numbers->messages_in},
		{"messages_out_total", "frames sent to browsers", metrics_counter,
		 &numbers->messages_out},
		{"bytes_out_total", "bytes sent to browsers", metrics_counter, &numbers->bytes_out},
		{"deliveries_total", "events queued for browsers", metrics_counter,
		 &numbers->deliveries},
		{"gaps_total", "fetches of events that a feed dropped", metrics_counter,
		 &numbers->gaps},
		{"slow_readers_total", "queues that overflowed", metrics_counter, &numbers->slow},
		{"refused_total", "requests of browsers refused", metrics_counter,
		 &numbers->refused},
		{"send_seconds", "from a message's arrival to its acknowledgement",
		 metrics_histogram, &numbers->sends},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[64];
		int r;

		(void)snprintf(name, sizeof(name), "districhat_gateway_%s", rows[i].name);
		r = rows[i].make(metrics, name, rows[i].help, NULL, rows[i].at);
		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static int join(struct gateway *gateway)
{
	const struct gateway_settings *settings = gateway->settings;
	const struct membership_options options = {
		.registry = settings->registry,
		.hello =
			{
				.node = proto_span(settings->service.name),
				.service = PROTO_SERVICE_GATEWAY,
				.incarnation = gateway->service->incarnation,
				.host = proto_span(settings->service.host),
				.zone = proto_span(settings->service.zone),
				.version = PROTO_SPAN(DISTRICHAT_VERSION),
			},
	};
	int r = membership_new(gateway->service->bus, gateway->service->loop, &options, &events,
			       gateway, &gateway->membership);

	return r ? r : upstream_registry_new(gateway);
}

/* Connections are looked at twice in a ping interval, so that pings are not late by much. */
static unsigned int wheel_slots(uint64_t ping_ms)
{
	uint64_t slots = ping_ms / (2 * (uint64_t)GATEWAY_TICK_MS);

	slots = slots > 0 ? slots : 1;
	return slots < GATEWAY_WHEEL_MAX ? (unsigned int)slots : GATEWAY_WHEEL_MAX;
}

static void start_timers(struct gateway *gateway)
{
	uv_loop_t *loop = gateway->service->loop;

	(void)uv_timer_init(loop, &gateway->tick);
	(void)uv_timer_init(loop, &gateway->retry);
	(void)uv_timer_init(loop, &gateway->drain);
	(void)uv_prepare_init(loop, &gateway->flush);
	gateway->tick.data = gateway;
	gateway->retry.data = gateway;
	gateway->drain.data = gateway;
	gateway->flush.data = gateway;
	(void)uv_timer_start(&gateway->tick, on_tick, GATEWAY_TICK_MS, GATEWAY_TICK_MS);
	(void)uv_prepare_start(&gateway->flush, on_flush);
}

static int listen_to_browsers(struct gateway *gateway)
{
	char host[LISTENER_HOST_BYTES_MAX];
	unsigned int port;
	int r = listener_new(gateway, &gateway->listener);

	if (r != 0) {
		return r;
	}
	(void)listener_parse_address(gateway->settings->listen, host, &port);
	port = listener_port(gateway->listener);
	r = origins_parse(&gateway->origins, gateway->settings->public_url, host, port);
	if (r != 0) {
		log_error("gateway.bad_public_url",
			  LOG_TEXT("public-url", gateway->settings->public_url));
		return r;
	}
	log_info("gateway.listening", LOG_TEXT("host", host), LOG_NUMBER("port", port),
		 LOG_NUMBER("assets", assets_count(gateway->assets)));
	return 0;
}

static int start(struct service *service, const void *settings, void **ret_daemon)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	int r;

	if (!gateway) {
		return -ENOMEM;
	}
	*ret_daemon = gateway;
	gateway->service = service;
	gateway->settings = settings;
	gateway->wheel_slots = wheel_slots(gateway->settings->ping_ms);
	start_timers(gateway);
	r = make_numbers(gateway);
	r = r ? r : assets_load(gateway->settings->ui, &gateway->assets);
	r = r ? r : join(gateway);
	return r ? r : listen_to_browsers(gateway);
}

/*
 * Browsers first, so that they can still be told; then the registry, while the sockets close.
 */
static void on_left(void *context)
{
	((struct gateway *)context)->left = true;
}

static void on_drain(uv_timer_t *timer)
{
	struct gateway *gateway = timer->data;

	if (gateway->connection_count > 0 && gateway_now_ms(gateway) < gateway->drain_until_ms) {
		return;
	}
	if (!gateway->leaving) {
		gateway->leaving = true;
		listener_close(gateway->listener);
		membership_leave(gateway->membership, on_left, gateway);
	} else if (gateway->left && listener_is_closed(gateway->listener)) {
		(void)uv_timer_stop(timer);
		service_stopped(gateway->service);
	}
}

static void stop(void *daemon)
{
	struct gateway *gateway = daemon;

	gateway->draining = true;
	gateway->drain_until_ms = gateway_now_ms(gateway) + DRAIN_MS;
	connections_drain(gateway);
	(void)uv_timer_start(&gateway->drain, on_drain, 0, DRAIN_TICK_MS);
}

static void on_closed(uv_handle_t *handle)
{
	struct gateway *gateway = handle->data;

	if (--gateway->open_handles == 0) {
		free(gateway);
	}
}

static void free_gateway(void *daemon)
{
	struct gateway *gateway = daemon;
	uv_handle_t *handles[] = {
		(uv_handle_t *)&gateway->tick,
		(uv_handle_t *)&gateway->retry,
		(uv_handle_t *)&gateway->drain,
		(uv_handle_t *)&gateway->flush,
	};

	listener_free(gateway->listener);
	mines_free(gateway);
	errands_free(gateway);
	feeds_free(gateway);
	upstreams_free(gateway);
	sessions_free(gateway);
	membership_free(gateway->membership);
	assets_free(gateway->assets);
	gateway->open_handles = sizeof(handles) / sizeof(handles[0]);
	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
		uv_close(handles[i], on_closed);
	}
}

const struct service_spec gateway_spec = {
	.config =
		{
			.program = "gateway",
			.summary = "serves browsers: the application, HTTP and WebSockets",
			.fields = fields,
			.field_count = sizeof(fields) / sizeof(fields[0]),
		},
	.settings_size = sizeof(struct gateway_settings),
	.start = start,
	.stop = stop,
	.free = free_gateway,
};
