/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See session.h. */

#include "registry/session.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

static void drop(struct session_table *table, struct binding *binding)
{
	HASH_DEL(table->bindings, binding);
	free(binding);
}

void session_table_deinit(struct session_table *table)
{
	struct binding *binding;
	struct binding *next;

	HASH_ITER(hh, table->bindings, binding, next)
	{
		drop(table, binding);
	}
}

static struct binding *find(const struct session_table *table, uint64_t peer,
			    const struct proto_id *session)
{
	struct binding wanted = {0};
	struct binding *binding = NULL;

	wanted.key.peer = peer;
	wanted.key.session = *session;
	HASH_FIND(hh, table->bindings, &wanted.key, sizeof(wanted.key), binding);
	return binding;
}

int session_bind(struct session_table *table, uint64_t peer, const struct session *session,
		 uint64_t now_ms)
{
	struct binding *binding = find(table, peer, &session->session);

	if (!binding) {
		if (HASH_COUNT(table->bindings) >= SESSION_BINDINGS_MAX) {
			return PROTO_E_BUSY;
		}
		binding = calloc(1, sizeof(*binding));
		if (!binding) {
			return -ENOMEM;
		}
		binding->key.peer = peer;
		binding->key.session = session->session;
		HASH_ADD(hh, table->bindings, key, sizeof(binding->key), binding);
	}
	binding->session = *session;
	binding->used_ms = now_ms;
	return 0;
}

const struct session *session_find(struct session_table *table, uint64_t peer,
				   const struct proto_id *session, uint64_t now_ms,
				   uint64_t wall_ms)
{
	struct binding *binding = find(table, peer, session);

	if (!binding || wall_ms >= binding->session.expires) {
		return NULL;
	}
	binding->used_ms = now_ms;
	return &binding->session;
}

void session_unbind(struct session_table *table, const struct proto_id *session)
{
	struct binding *binding;
	struct binding *next;

	HASH_ITER(hh, table->bindings, binding, next)
	{
		if (proto_id_equal(&binding->key.session, session)) {
			drop(table, binding);
		}
	}
}

void session_tick(struct session_table *table, uint64_t now_ms, uint64_t wall_ms)
{
	struct binding *binding;
	struct binding *next;

	HASH_ITER(hh, table->bindings, binding, next)
	{
		if (wall_ms >= binding->session.expires ||
		    now_ms - binding->used_ms >= SESSION_IDLE_MS) {
			drop(table, binding);
		}
	}
}

void session_row_write(const struct session_row *row, char ret_bytes[static SESSION_ROW_BYTES])
{
	uint64_t created = htobe64(row->created);
	uint64_t expires = htobe64(row->expires);
	char *at = ret_bytes;

	*at++ = SESSION_ROW_VERSION;
	at = mempcpy(at, &row->user, sizeof(row->user));
	at = mempcpy(at, &created, sizeof(created));
	at = mempcpy(at, &expires, sizeof(expires));
	memcpy(at, row->secret_hash, sizeof(row->secret_hash));
}

bool session_row_read(const void *bytes, size_t size, struct session_row *ret_row)
{
	const char *at = bytes;

	if (size < SESSION_ROW_BYTES || *at++ != SESSION_ROW_VERSION) {
		return false;
	}
	memcpy(&ret_row->user, at, sizeof(ret_row->user));
	at += sizeof(ret_row->user);
	memcpy(&ret_row->created, at, 8);
	memcpy(&ret_row->expires, at + 8, 8);
	memcpy(ret_row->secret_hash, at + 16, sizeof(ret_row->secret_hash));
	ret_row->created = be64toh(ret_row->created);
	ret_row->expires = be64toh(ret_row->expires);
	return true;
}
