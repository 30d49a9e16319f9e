/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The registry's actor, for its parts: accounts.c, rooms.c, nodes.c, slots.c, wishes.c. Manual:
 * registry.c.
 */

#include "registry/load.h"
#include "registry/node.h"
#include "registry/password.h"
#include "registry/session.h"
#include "registry/slot_table.h"
#include "registry/store.h"
#include "services/bus.h"
#include "services/service.h"

#define REGISTRY_FORMAT "1" /* of what the store keeps */
#define REGISTRY_ROUTES_MAX 32
#define REGISTRY_TICK_MS 25
#define REGISTRY_PURGE_MS 600000 /* how often expired sessions are looked for */
#define REGISTRY_RESERVATION_MS 60000
#define REGISTRY_RETRY_MS 500 /* what a busy answer says */

struct registry_settings {
	struct service_settings service;
	const char *data;
	const char *bind;
	const char *feed;
	uint64_t beat_ms;
	uint64_t suspect_ms;
	uint64_t dead_ms;
	uint64_t gone_ms;
	uint64_t return_ms;
	uint64_t settle_ms;
	uint64_t token_ms;
	uint64_t session_ms;
	uint64_t remember_ms;
	uint64_t argon_passes;
	uint64_t argon_bytes;
	uint64_t write_quorum;
	uint64_t ack_quorum;
};

/* Who should own what; wishes.c. Times are by the clock of the node table. */
struct wishes {
	char (*names)[PROTO_NAME_BYTES_MAX + 1];
	size_t name_count;
	size_t slots[PROTO_SLOTS]; /* position in `names`, or ASSIGNMENT_NOBODY */
	uint64_t version; /* of what roomds are told: grows also when more may be taken */
	uint64_t settle_at_ms; /* 0: nothing to settle */
	uint64_t trust_until_ms; /* nodes that were not heard yet count until then; 0: no more */
	uint64_t load_at_ms; /* when load is compared again */
	struct load_watch load;
};

/* Sessions that ended; revocations.c. */
struct revocations {
	uint64_t written; /* version of the last one that was given to the store */
	uint64_t version; /* and of the last one that is in it */
};

/* Who serves what, as last published; slots.c. */
struct served {
	struct proto_id owners[PROTO_SLOTS]; /* incarnation; none: nobody */
	uint64_t version;
	bool dirty;
};

struct registry {
	struct service *service;
	const struct registry_settings *settings;
	struct store *store;
	struct bus_server *server;
	struct bus_publisher *publisher;
	struct bus_route routes[REGISTRY_ROUTES_MAX];
	size_t route_count;
	struct password_pool *passwords;
	struct session_table sessions;
	struct node_table nodes;
	struct slot_table *slots;
	struct wishes wishes;
	struct served served;
	struct revocations revocations;
	char *token_private;
	char *token_public;
	struct proto_id round_robin; /* room ids: who got the last one */
	uint64_t purge_at_ms;
	bool stopping;
	bool failed;
	uv_timer_t timer;
};

/* A node is not what it was: tell everybody. For node_tick(). */
void nodes_changed(void *context, struct node *node);
/* A connection has ended. For bus_server_on_gone(). */
void nodes_gone(void *context, uint64_t peer);

/* Routes and start-up of the parts. 0 or -errno. */
extern const struct bus_route accounts_routes[];
extern const size_t accounts_route_count;
int accounts_start(struct registry *registry);
/* Who somebody is. */
struct account {
	struct proto_id user;
	char name[PROTO_NAME_BYTES_MAX + 1];
	enum proto_account_role role;
	uint64_t created;
};
bool account_get(struct registry *registry, const struct proto_id *user,
		 struct account *ret_account);
/* As others may see it; texts point into the account. */
struct proto_account_info account_info(const struct account *account);
void accounts_tick(struct registry *registry, uint64_t now_ms);

extern const struct bus_route revocations_routes[];
extern const size_t revocations_route_count;
void revocations_start(struct registry *registry);
/* Note, in `txn`, that the session ends. Returns the version of that. */
uint64_t revocations_add(struct registry *registry, struct store_txn *txn,
			 const struct proto_id *session);
/* Forget those whose tokens have expired. */
void revocations_purge(struct registry *registry);

extern const struct bus_route rooms_routes[];
extern const size_t rooms_route_count;

extern const struct bus_route nodes_routes[];
extern const size_t nodes_route_count;

extern const struct bus_route slots_routes[];
extern const size_t slots_route_count;
int slots_start(struct registry *registry);
void slots_stop(struct registry *registry);
void slots_tick(struct registry *registry);
/* A slot of the least loaded roomd that serves any; false if none does. */
bool slots_place_room(struct registry *registry, unsigned int *ret_slot);
/* Who serves the slot; NULL: nobody. */
struct node *slots_owner(const struct registry *registry, unsigned int slot);
/* The same for many slots in a row, which mostly have one owner. Begin with a zeroed memo. */
struct owner_memo {
	struct proto_id incarnation;
	struct node *node;
};
struct node *slots_owner_memo(const struct registry *registry, unsigned int slot,
			      struct owner_memo *memo);
/* Whether the record's owner may still answer from memory: nobody else may take the slot. */
bool slots_is_held(const struct registry *registry, const struct proto_slot_record *record);
/* Whether the owners of all open slots have said hello since the registry started. */
bool slots_owners_are_known(const struct registry *registry);

extern const struct bus_route wishes_routes[];
extern const size_t wishes_route_count;
int wishes_start(struct registry *registry);
void wishes_stop(struct registry *registry);
void wishes_tick(struct registry *registry);
/* A roomd came, went, or drains. */
void wishes_node_changed(struct registry *registry, const struct node *node);
/* What may be taken is more than before: every roomd asks. */
void wishes_tell(struct registry *registry);
/* Whether nodes that were not heard since our start may still be alive. */
bool wishes_trust_unknown(const struct registry *registry);

/*
 * The session that a request names, if it is bound to the request's connection and lives; NULL
 * after the request was refused.
 */
const struct session *registry_session(struct registry *registry, struct bus_request *request,
				       const struct proto_id *session);
/* Refuse as busy, with the time to wait. */
void registry_refuse_busy(struct bus_request *request);

extern const struct service_spec registry_spec;

/* A key of the store: "table/" and bytes. */
struct registry_key {
	size_t size;
	char bytes[STORE_KEY_BYTES_MAX];
};
struct registry_key registry_key(const char *table, const void *rest, size_t size);
struct registry_key registry_key_id(const char *table, const struct proto_id *id);
/* Reads an id that is kept as a value. */
bool registry_get_id(struct registry *registry, const struct registry_key *key,
		     struct proto_id *ret_id);
/* Reads a text that is kept as a value, of at most size - 1 bytes, and terminates it. */
bool registry_get_text(struct registry *registry, const struct registry_key *key, char *ret_text,
		       size_t size);
