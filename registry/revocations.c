/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Which sessions ended, for as long as a token of theirs may be good: nodes check tokens by
 * themselves, and a node that was cut off, or has just started, asks for what it missed.
 *
 *   revoked/ version, 8 bytes big-endian      time of the end, ms since 1970; session
 *
 * Versions count the ends, in the order in which they were written. The latest stays when the
 * others are forgotten, so that versions go on from it.
 */

#include <endian.h>
#include "registry/registry.h"
#include "services/clock.h"

#define KEEP_MARGIN_MS 60000 /* beyond the life of a token: clocks differ */
#define PURGE_MAX 1024 /* at once */

static const char table[] = "revoked/";

struct row {
	uint64_t version;
	uint64_t time;
	struct proto_id session;
};

static struct registry_key row_key(uint64_t version)
{
	uint64_t number = htobe64(version);

	return registry_key(table, &number, sizeof(number));
}

static bool row_read(const struct store_row *from, struct row *ret_row)
{
	struct row row;
	uint64_t number;

	if (from->key_size != sizeof(table) - 1 + sizeof(number) ||
	    from->value_size != sizeof(number) + sizeof(row.session)) {
		return false;
	}
	memcpy(&number, (const char *)from->key + sizeof(table) - 1, sizeof(number));
	row.version = be64toh(number);
	memcpy(&number, from->value, sizeof(number));
	row.time = be64toh(number);
	memcpy(&row.session, (const char *)from->value + sizeof(number), sizeof(row.session));
	*ret_row = row;
	return true;
}

/* --- writing --- */

uint64_t revocations_add(struct registry *registry, struct store_txn *txn,
			 const struct proto_id *session)
{
	uint64_t version = ++registry->revocations.written;
	struct registry_key key = row_key(version);
	uint64_t time = htobe64(clock_wall_ms());
	char value[sizeof(time) + sizeof(session->bytes)];

	memcpy(value, &time, sizeof(time));
	memcpy(value + sizeof(time), session->bytes, sizeof(session->bytes));
	store_txn_put(txn, key.bytes, key.size, value, sizeof(value));
	return version;
}

struct purge {
	struct store_txn *txn;
	uint64_t before; /* ms since 1970 */
	uint64_t latest;
	size_t count;
};

static bool on_purge_row(void *context, const struct store_row *from)
{
	struct purge *purge = context;
	struct row row;

	if (row_read(from, &row)) {
		if (row.time >= purge->before || row.version >= purge->latest) {
			return false;
		}
		store_txn_delete(purge->txn, from->key, from->key_size);
	}
	return ++purge->count < PURGE_MAX;
}

static void on_purged(void *context, int result)
{
	(void)context;
	(void)result; /* the next one tries again */
}

void revocations_purge(struct registry *registry)
{
	struct purge purge = {
		.txn = store_txn_new(),
		.before = clock_wall_ms() - registry->settings->token_ms - KEEP_MARGIN_MS,
		.latest = registry->revocations.version,
	};

	if (!purge.txn) {
		return;
	}
	store_scan(registry->store, table, sizeof(table) - 1, NULL, 0, on_purge_row, &purge);
	if (purge.count > 0) {
		store_commit(registry->store, purge.txn, on_purged, registry);
	} else {
		store_txn_free(purge.txn);
	}
}

/* --- reading --- */

struct reading {
	struct proto_session_ref sessions[PROTO_BATCH_MAX];
	struct proto_revocations answer;
};

static bool on_read_row(void *context, const struct store_row *from)
{
	struct reading *reading = context;
	struct row row;

	if (!row_read(from, &row)) {
		return true;
	}
	if (reading->answer.sessions.count == PROTO_BATCH_MAX) {
		reading->answer.more = true;
		return false;
	}
	reading->sessions[reading->answer.sessions.count++].session = row.session;
	reading->answer.version = row.version;
	return true;
}

static void on_revocations_read(void *context, struct bus_request *request,
				const struct proto_message *message)
{
	static struct reading reading; /* large; used within this call alone */
	uint64_t after = PROTO_BODY(message, revocations_read)->after;
	struct registry *registry = context;
	struct registry_key key = row_key(after);

	reading.answer = (struct proto_revocations){.version = after,
						    .sessions.items = reading.sessions};
	store_scan(registry->store, table, sizeof(table) - 1, key.bytes, key.size, on_read_row,
		   &reading);
	bus_reply(request, PROTO_REVOCATIONS, &reading.answer);
}

/* --- start --- */

static bool on_start_row(void *context, const struct store_row *from)
{
	struct registry *registry = context;
	struct row row;

	if (row_read(from, &row)) {
		registry->revocations = (struct revocations){row.version, row.version};
	}
	return true;
}

void revocations_start(struct registry *registry)
{
	store_scan(registry->store, table, sizeof(table) - 1, NULL, 0, on_start_row, registry);
}

const struct bus_route revocations_routes[] = {
	{PROTO_REVOCATIONS_READ, on_revocations_read},
};
const size_t revocations_route_count = sizeof(revocations_routes) / sizeof(revocations_routes[0]);
