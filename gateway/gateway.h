/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The gateway daemon: see the manual on top of gateway.c. This header is for its own files alone.
 */

#include <uv.h>
#include "gateway/asset.h"
#include "gateway/origin.h"
#include "services/membership.h"
#include "services/service.h"

struct connection;
struct errand;
struct write_lane;
struct feed_room;
struct listener;
struct mine;
struct session;
struct upstream;

#define GATEWAY_TICK_MS 1000
#define GATEWAY_WHEEL_MAX 15

struct gateway_settings {
	struct service_settings service;
	const char *listen;
	const char *ui;
	const char *registry;
	const char *public_url;
	uint64_t connections_max;
	uint64_t connections_per_address;
	uint64_t frame_bytes;
	uint64_t messages_per_second;
	uint64_t rooms_per_connection;
	uint64_t body_bytes;
	uint64_t header_bytes;
	uint64_t header_ms;
	uint64_t queue_bytes;
	uint64_t stuck_ms;
	uint64_t ping_ms;
	uint64_t silence_ms;
	bool trust_proxy;
};

struct gateway_numbers {
	struct metric *connections;
	struct metric *rooms;
	struct metric *messages_in;
	struct metric *messages_out;
	struct metric *bytes_out;
	struct metric *deliveries;
	struct metric *gaps;
	struct metric *slow;
	struct metric *refused;
	struct metric *sends;
};

struct gateway {
	struct service *service;
	const struct gateway_settings *settings;
	struct membership *membership;
	struct listener *listener;
	struct assets *assets;
	struct origins origins;
	struct gateway_numbers numbers;

	struct session *sessions; /* by id */
	struct session *sessions_by_secret;
	struct upstream *upstreams; /* by address */
	struct upstream *registry;
	struct errand *errands;
	size_t errand_count;
	struct write_lane *lanes;
	struct feed_room *rooms;
	struct connection *connections;
	struct connection *dirty; /* connections with frames to send at the end of this turn */
	struct connection *closing; /* the one that has been for longest first */
	struct mine *mines;
	struct connection *wheel[GATEWAY_WHEEL_MAX]; /* each is looked at once in a turn */
	unsigned int wheel_slots; /* a turn takes so many ticks */
	unsigned int wheel_at;
	size_t connection_count;
	uint64_t connection_serial;

	uv_timer_t tick;
	uv_timer_t retry;
	uv_prepare_t flush;
	uv_timer_t drain;
	size_t open_handles;
	bool draining;
	bool leaving;
	bool left;
	uint64_t drain_until_ms;
};

static inline uint64_t gateway_now_ms(const struct gateway *gateway)
{
	return uv_now(gateway->service->loop);
}

extern const struct service_spec gateway_spec;
