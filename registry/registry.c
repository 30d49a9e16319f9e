/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * registry: accounts, sessions, nodes, slots, and the room directory.
 *
 * Purpose. It answers who somebody is, who serves what, and which rooms there are. No message
 * passes through it; while it is away chat goes on, and sign-in and new rooms wait.
 *
 * Requests. Those of docs/protocol.md that are answered by the registry, on one ROUTER socket:
 *   accounts.c  account_create, session_create, session_resume, session_end, accounts_find,
 *   account_read
 *   rooms.c     room_reserve, room_claim, room_index, rooms_find, room_lookup
 *   nodes.c     node_hello, node_beat, nodes_list, node_drain
 *   revocations.c  revocations_read
 *   slots.c     slots_get, slots_read, slot_swap
 *   wishes.c    slots_assigned
 * It publishes session_revoked, node_changed, slots_changed and assignment_changed under the
 * all-zero topic.
 *
 * Keeping. All that must last is in the store (store.h), written before it is answered.
 * Nodes and bindings of sessions live in memory: nodes say hello again, gateways resume again.
 * After a start nodes have --return-wait to do so before slots are taken from them.
 *
 * Limits. PASSWORD_QUEUE_MAX sign-ins wait, SESSION_BINDINGS_MAX sessions are bound,
 * PROTO_NODES_MAX nodes.
 *
 * Security. Requests of people name a session that is bound to their connection. Requests of nodes
 * are trusted: the sockets are ipc:// or loopback as long as the bus has no keys.
 *
 * Failure. A commit that fails ends the service: what was promised after it could not be kept. It
 * checks the store at the next start.
 */

#include "registry/registry.h"

#include <errno.h>
#include <stdlib.h>
#include "registry/folder.h"
#include "services/clock.h"
#include "services/membership.h"

struct registry_key registry_key(const char *table, const void *rest, size_t size)
{
	struct registry_key key = {.size = strlen(table)};

	memcpy(key.bytes, table, key.size);
	if (size > sizeof(key.bytes) - key.size) {
		size = sizeof(key.bytes) - key.size;
	}
	if (size > 0) {
		memcpy(key.bytes + key.size, rest, size);
	}
	key.size += size;
	return key;
}

struct registry_key registry_key_id(const char *table, const struct proto_id *id)
{
	return registry_key(table, id->bytes, sizeof(id->bytes));
}

struct copy {
	void *to;
	size_t size;
	size_t copied;
};

static void on_copy_row(void *context, const struct store_row *row)
{
	struct copy *copy = context;

	if (row->value_size <= copy->size) {
		memcpy(copy->to, row->value, row->value_size);
		copy->copied = row->value_size;
	}
}

bool registry_get_id(struct registry *registry, const struct registry_key *key,
		     struct proto_id *ret_id)
{
	struct proto_id id;
	struct copy copy = {&id, sizeof(id), 0};

	if (!store_get(registry->store, key->bytes, key->size, on_copy_row, &copy) ||
	    copy.copied != sizeof(id)) {
		return false;
	}
	*ret_id = id;
	return true;
}

bool registry_get_text(struct registry *registry, const struct registry_key *key, char *ret_text,
		       size_t size)
{
	struct copy copy = {ret_text, size - 1, 0};

	if (!store_get(registry->store, key->bytes, key->size, on_copy_row, &copy) ||
	    copy.copied == 0) {
		return false;
	}
	ret_text[copy.copied] = '\0';
	return true;
}

void registry_refuse_busy(struct bus_request *request)
{
	struct proto_error error = {.retry_ms = REGISTRY_RETRY_MS};

	bus_refuse_with(request, PROTO_E_BUSY, &error);
}

const struct session *registry_session(struct registry *registry, struct bus_request *request,
				       const struct proto_id *session)
{
	const struct session *found = session_find(&registry->sessions, bus_request_peer(request),
						   session, clock_monotonic_ms(), clock_wall_ms());

	if (!found) {
		bus_refuse(request, PROTO_E_SESSION_UNKNOWN, NULL);
	}
	return found;
}

/* --- life --- */

static void finish_stop(struct registry *registry)
{
	if (registry->stopping && store_pending(registry->store) == 0 &&
	    password_pool_pending(registry->passwords) == 0) {
		registry->stopping = false;
		service_stopped(registry->service);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct registry *registry = timer->data;
	uint64_t now_ms = clock_monotonic_ms();

	node_tick(&registry->nodes, now_ms, nodes_changed, registry);
	wishes_tick(registry);
	slots_tick(registry);
	accounts_tick(registry, now_ms);
	finish_stop(registry);
}

static void on_store_failed(void *context, int error)
{
	struct registry *registry = context;

	service_fail(registry->service, "store.failed", error);
}

static void add_routes(struct registry *registry, const struct bus_route *routes, size_t count)
{
	memcpy(registry->routes + registry->route_count, routes, count * sizeof(*routes));
	registry->route_count += count;
}

static int open_sockets(struct registry *registry)
{
	const struct registry_settings *settings = registry->settings;
	int r = bus_publisher_new(registry->service->bus, settings->feed, &registry->publisher);

	if (r != 0) {
		log_error("feed.not_bound", LOG_TEXT("address", settings->feed), LOG_ERRNO(r));
		return r;
	}
	add_routes(registry, accounts_routes, accounts_route_count);
	add_routes(registry, revocations_routes, revocations_route_count);
	add_routes(registry, rooms_routes, rooms_route_count);
	add_routes(registry, nodes_routes, nodes_route_count);
	add_routes(registry, slots_routes, slots_route_count);
	add_routes(registry, wishes_routes, wishes_route_count);
	r = bus_server_new(registry->service->bus, settings->bind, registry->routes,
			   registry->route_count, registry, &registry->server);
	if (r != 0) {
		log_error("server.not_bound", LOG_TEXT("address", settings->bind), LOG_ERRNO(r));
		return r;
	}
	bus_server_on_gone(registry->server, nodes_gone);
	return 0;
}

static int open_store(struct registry *registry)
{
	char path[4096];
	const char *data = registry->settings->data;
	int r;

	r = folder_make(data);
	if (r != 0) {
		log_error("data.not_made", LOG_TEXT("path", data), LOG_ERRNO(r));
		return r;
	}
	(void)snprintf(path, sizeof(path), "%s/store", data);
	r = store_open_lmdb(registry->service->loop, path, on_store_failed, registry,
			    &registry->store);
	if (r != 0) {
		log_error("store.not_opened", LOG_TEXT("path", path), LOG_ERRNO(r));
	}
	return r;
}

static void on_format_kept(void *context, int result)
{
	(void)context;
	(void)result; /* a failed commit ends the service by itself */
}

/* What is kept says in which format; one that this program does not know is left alone. */
static int check_format(struct registry *registry)
{
	struct registry_key key = registry_key("meta/format", NULL, 0);
	struct store_txn *txn;
	char format[16];

	if (registry_get_text(registry, &key, format, sizeof(format))) {
		if (strcmp(format, REGISTRY_FORMAT) == 0) {
			return 0;
		}
		log_error("store.unknown_format", LOG_TEXT("format", format),
			  LOG_TEXT("known", REGISTRY_FORMAT));
		return -EPROTO;
	}
	txn = store_txn_new();
	if (!txn) {
		return -ENOMEM;
	}
	store_txn_put(txn, key.bytes, key.size, REGISTRY_FORMAT, strlen(REGISTRY_FORMAT));
	store_commit(registry->store, txn, on_format_kept, registry);
	return 0;
}

static int registry_start(struct service *service, const void *settings, void **ret_daemon)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	int r;

	if (!registry) {
		return -ENOMEM;
	}
	*ret_daemon = registry;
	registry->service = service;
	registry->settings = settings;
	registry->nodes = (struct node_table){
		.host = registry->settings->service.host,
		.suspect_ms = registry->settings->suspect_ms,
		.dead_ms = registry->settings->dead_ms,
		.lease_ms = MEMBERSHIP_LEASE_MS(registry->settings->dead_ms),
		.gone_ms = registry->settings->gone_ms,
		.return_ms = registry->settings->return_ms,
		.clock_ms = 1, /* 0 stands for never */
	};
	(void)uv_timer_init(service->loop, &registry->timer);
	registry->timer.data = registry;
	r = open_store(registry);
	r = r ? r : check_format(registry);
	r = r ? r : slots_start(registry);
	r = r ? r : wishes_start(registry);
	revocations_start(registry);
	r = r ? r : accounts_start(registry);
	r = r ? r : open_sockets(registry);
	if (r == 0) {
		(void)uv_timer_start(&registry->timer, on_tick, REGISTRY_TICK_MS, REGISTRY_TICK_MS);
		service_ready(service);
	}
	return r;
}

static void registry_stop(void *daemon)
{
	struct registry *registry = daemon;

	bus_server_free(registry->server);
	registry->server = NULL;
	registry->stopping = true;
	finish_stop(registry);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void registry_free(void *daemon)
{
	struct registry *registry = daemon;

	bus_server_free(registry->server);
	bus_publisher_free(registry->publisher);
	if (registry->store && store_pending(registry->store) == 0) {
		store_free(registry->store);
	}
	if (registry->passwords && password_pool_pending(registry->passwords) == 0) {
		password_pool_free(registry->passwords);
	}
	session_table_deinit(&registry->sessions);
	node_table_deinit(&registry->nodes);
	slots_stop(registry);
	wishes_stop(registry);
	free(registry->token_private);
	free(registry->token_public);
	uv_close((uv_handle_t *)&registry->timer, on_timer_closed);
}

#define FIELD(member) offsetof(struct registry_settings, member)
static const struct config_field fields[] = {
	SERVICE_FIELDS(struct registry_settings),
	{"data", CONFIG_TEXT, FIELD(data), NULL, 1, 1024, "DIR",
	 "where the store, the token key and the invitation are kept"},
	{"bind", CONFIG_TEXT, FIELD(bind), NULL, 1, PROTO_ADDRESS_BYTES_MAX, "ENDPOINT",
	 "where requests are answered"},
	{"feed", CONFIG_TEXT, FIELD(feed), NULL, 1, PROTO_ADDRESS_BYTES_MAX, "ENDPOINT",
	 "where changes are published"},
	{"beat-interval", CONFIG_MS, FIELD(beat_ms), "250ms", 50, 60000, "TIME",
	 "how often nodes send a heartbeat"},
	{"suspect-after", CONFIG_MS, FIELD(suspect_ms), "1s", 100, 600000, "TIME",
	 "silence after which a node gets nothing new"},
	{"dead-after", CONFIG_MS, FIELD(dead_ms), "2s", 200, 600000, "TIME",
	 "silence after which a node loses its slots"},
	{"gone-after", CONFIG_MS, FIELD(gone_ms), "500ms", 0, 600000, "TIME",
	 "time for a node whose connection ended to connect again; then it is dead"},
	{"return-wait", CONFIG_MS, FIELD(return_ms), "5s", 0, 600000, "TIME",
	 "time for nodes to be heard again after the registry itself was away"},
	{"settle", CONFIG_MS, FIELD(settle_ms), "500ms", 0, 60000, "TIME",
	 "wait for more roomds before slots are assigned"},
	{"token-life", CONFIG_MS, FIELD(token_ms), "10m", 10000, 86400000, "TIME",
	 "life of a token; gateways renew it"},
	{"session-life", CONFIG_MS, FIELD(session_ms), "24h", 1000, 31536000000, "TIME",
	 "life of a session"},
	{"remember-life", CONFIG_MS, FIELD(remember_ms), "30d", 1000, 31536000000, "TIME",
	 "life of a session that is to be remembered"},
	{"argon-passes", CONFIG_NUMBER, FIELD(argon_passes), "2", 1, 100, "N",
	 "passes of argon2id over its memory"},
	{"argon-memory", CONFIG_BYTES, FIELD(argon_bytes), "64M", 8192, 4294967296, "SIZE",
	 "memory of one argon2id hash"},
	{"write-quorum", CONFIG_NUMBER, FIELD(write_quorum), "1", 1, PROTO_MEMBERS_MAX, "N",
	 "stores that a segment is written to"},
	{"ack-quorum", CONFIG_NUMBER, FIELD(ack_quorum), "1", 1, PROTO_MEMBERS_MAX, "N",
	 "stores that must have a message before it is seen"},
};

const struct service_spec registry_spec = {
	.config = {"registry", "accounts, sessions, nodes, slots and the room directory", fields,
		   sizeof(fields) / sizeof(fields[0])},
	.settings_size = sizeof(struct registry_settings),
	.start = registry_start,
	.stop = registry_stop,
	.free = registry_free,
};
