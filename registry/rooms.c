/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The room directory.
 *
 *   reserve ──▶ reserved ── room_claim by the slot's owner ──▶ claimed ── room_index ──▶ … kept up
 *   to date
 *                  └── 60 s without a claim: the name is free again
 *
 *   room/<room>          room_info; last_seq 0 until it is claimed
 *   pair/<room>          direct: id of the other person
 *   label/<folded>       room id; every name, taken
 *   public/<folded>      room id; what rooms_find shows
 *   direct/<low><high>   room id
 */

#include "registry/registry.h"

#include <sodium.h>
#include <stdlib.h>
#include "registry/name.h"
#include "services/clock.h"

#define ROOMS_FIND_DEFAULT 50
#define ROOM_RESERVED 0 /* last_seq of a room that nobody has claimed */

/* --- rows --- */

struct room {
	struct proto_message message; /* its texts point into `bytes` */
	struct proto_room_info info;
	uint64_t version;
	size_t size;
	char bytes[2048];
};

static void on_room_row(void *context, const struct store_row *row)
{
	struct room *room = context;

	if (row->value_size > sizeof(room->bytes)) {
		return;
	}
	memcpy(room->bytes, row->value, row->value_size);
	room->version = row->version;
	if (proto_decode_record(PROTO_RECORD(room_info), room->bytes, row->value_size,
				&room->message, NULL) == 0) {
		room->info = *PROTO_BODY(&room->message, room_info);
		room->size = row->value_size;
	}
}

static void room_deinit(struct room *room)
{
	proto_message_deinit(&room->message);
}

/* On true the caller ends with room_deinit(). */
static bool room_get(struct registry *registry, const struct proto_id *id, struct room *ret_room)
{
	struct registry_key key = registry_key_id("room/", id);

	ret_room->message = PROTO_MESSAGE_INIT;
	ret_room->size = 0;
	(void)store_get(registry->store, key.bytes, key.size, on_room_row, ret_room);
	return ret_room->size > 0;
}

static void put_room(struct store_txn *txn, const struct proto_room_info *info, uint64_t version)
{
	struct registry_key key = registry_key_id("room/", &info->room);
	struct proto_buffer row = PROTO_BUFFER_INIT;

	(void)proto_encode_record(&row, PROTO_RECORD(room_info), info);
	store_txn_compare(txn, key.bytes, key.size, version);
	store_txn_put(txn, key.bytes, key.size, row.data, row.size);
	proto_buffer_deinit(&row);
}

static struct registry_key label_key(const char *table, struct proto_span label)
{
	struct name_folded folded;

	name_fold(label, &folded);
	return registry_key(table, folded.text, folded.size);
}

static struct registry_key direct_key(const struct proto_id *a, const struct proto_id *b)
{
	bool ordered = memcmp(a, b, sizeof(*a)) < 0;
	struct proto_id pair[2] = {ordered ? *a : *b, ordered ? *b : *a};

	return registry_key("direct/", pair, sizeof(pair));
}

static bool is_forgotten(const struct room *room)
{
	return room->info.last_seq == ROOM_RESERVED &&
	       clock_wall_ms() >= room->info.created + REGISTRY_RESERVATION_MS;
}

/* --- room_reserve --- */

struct reserving {
	struct registry *registry;
	struct bus_request *request;
	struct proto_room_reserved answer;
};

static void on_reserved(void *context, int result)
{
	struct reserving *reserving = context;

	if (result == 0) {
		bus_reply(reserving->request, PROTO_ROOM_RESERVED, &reserving->answer);
	} else if (result == PROTO_E_VERSION_CONFLICT) {
		bus_refuse(reserving->request, PROTO_E_NAME_TAKEN, NULL); /* somebody was faster */
	} else {
		bus_refuse(reserving->request, (enum proto_code)result, NULL);
	}
	free(reserving);
}

static bool room_id_new(struct registry *registry, struct proto_id *ret_id)
{
	unsigned int slot;

	if (!slots_place_room(registry, &slot)) {
		return false;
	}
	randombytes_buf(ret_id->bytes, sizeof(ret_id->bytes));
	ret_id->bytes[0] = (uint8_t)(slot >> 4);
	ret_id->bytes[1] = (uint8_t)((slot & 15) << 4 | (ret_id->bytes[1] & 15));
	return true;
}

static enum proto_code reserve_check(struct registry *registry,
				     const struct proto_room_reserve *reserve,
				     const struct session *session, const char **ret_detail)
{
	struct registry_key key = registry_key_id("account/", &reserve->with);
	char row[1024];

	*ret_detail = NULL;
	if (reserve->access == PROTO_ROOM_KIND_PERSONAL) {
		*ret_detail = "access: public, private or direct";
		return PROTO_E_BAD_VALUE;
	}
	if (reserve->access != PROTO_ROOM_KIND_DIRECT) {
		*ret_detail = "label: 1 to 64 bytes, not blank, no control characters";
		return name_is_label(name_trim(reserve->label)) ? 0 : PROTO_E_BAD_VALUE;
	}
	if (reserve->label.size > 0 || proto_id_is_none(&reserve->with) ||
	    proto_id_equal(&reserve->with, &session->user)) {
		*ret_detail = "a direct room has no label, and another person in `with`";
		return PROTO_E_BAD_VALUE;
	}
	*ret_detail = "with: there is no such account";
	return registry_get_text(registry, &key, row, sizeof(row)) ? 0 : PROTO_E_NOT_FOUND;
}

static void commit_reservation(struct reserving *reserving,
			       const struct proto_room_reserve *reserve,
			       const struct session *session, const struct registry_key *name,
			       const struct room *old)
{
	struct store_txn *txn = store_txn_new();
	struct proto_room_info info = {
		.room = reserving->answer.room,
		.label = name_trim(reserve->label),
		.access = reserve->access,
		.topic = reserve->topic,
		.owner = session->user,
		.capacity = reserve->capacity,
		.created = clock_wall_ms(),
	};
	struct registry_key key;

	if (!txn) {
		registry_refuse_busy(reserving->request);
		free(reserving);
		return;
	}
	if (old) { /* a reservation that was forgotten */
		key = registry_key_id("room/", &old->info.room);
		store_txn_compare(txn, key.bytes, key.size, old->version);
		store_txn_delete(txn, key.bytes, key.size);
	} else {
		store_txn_compare(txn, name->bytes, name->size, 0);
	}
	store_txn_put(txn, name->bytes, name->size, &info.room, sizeof(info.room));
	if (reserve->access == PROTO_ROOM_KIND_DIRECT) {
		key = registry_key_id("pair/", &info.room);
		store_txn_put(txn, key.bytes, key.size, &reserve->with, sizeof(reserve->with));
	}
	put_room(txn, &info, 0);
	store_commit(reserving->registry->store, txn, on_reserved, reserving);
}

static void reserve_new(struct registry *registry, struct bus_request *request,
			const struct session *session, const struct registry_key *name,
			const struct room *old)
{
	const struct proto_room_reserve *reserve = PROTO_BODY(bus_request_message(request),
							      room_reserve);
	struct reserving *reserving = calloc(1, sizeof(*reserving));

	if (!reserving) {
		registry_refuse_busy(request);
		return;
	}
	reserving->registry = registry;
	reserving->request = request;
	if (!room_id_new(registry, &reserving->answer.room)) {
		bus_refuse(request, PROTO_E_UNAVAILABLE, "no room service is ready");
		free(reserving);
		return;
	}
	commit_reservation(reserving, reserve, session, name, old);
}

/* The name is known already: to whom? */
static void reserve_again(struct registry *registry, struct bus_request *request,
			  const struct session *session, const struct registry_key *name,
			  const struct proto_id *id)
{
	const struct proto_room_reserve *reserve = PROTO_BODY(bus_request_message(request),
							      room_reserve);
	struct proto_room_reserved answer = {.room = *id};
	struct room room;

	if (!room_get(registry, id, &room)) {
		bus_refuse(request, PROTO_E_NAME_TAKEN, NULL);
		return;
	}
	answer.exists = room.info.last_seq != ROOM_RESERVED;
	if (reserve->access == PROTO_ROOM_KIND_DIRECT ||
	    (!answer.exists && proto_id_equal(&room.info.owner, &session->user))) {
		bus_reply(request, PROTO_ROOM_RESERVED, &answer);
	} else if (is_forgotten(&room)) {
		reserve_new(registry, request, session, name, &room);
	} else {
		bus_refuse(request, PROTO_E_NAME_TAKEN, NULL);
	}
	room_deinit(&room);
}

static void on_room_reserve(void *context, struct bus_request *request,
			    const struct proto_message *message)
{
	const struct proto_room_reserve *reserve = PROTO_BODY(message, room_reserve);
	struct registry *registry = context;
	const struct session *session = registry_session(registry, request, &reserve->session);
	struct registry_key name;
	struct proto_id id;
	const char *detail;
	enum proto_code error;

	if (!session) {
		return;
	}
	error = reserve_check(registry, reserve, session, &detail);
	if (error) {
		bus_refuse(request, error, detail);
		return;
	}
	name = reserve->access == PROTO_ROOM_KIND_DIRECT
		       ? direct_key(&session->user, &reserve->with)
		       : label_key("label/", reserve->label);
	if (registry_get_id(registry, &name, &id)) {
		reserve_again(registry, request, session, &name, &id);
	} else {
		reserve_new(registry, request, session, &name, NULL);
	}
}

/* --- room_claim --- */

struct claiming {
	struct registry *registry;
	struct bus_request *request;
};

static void answer_claim(struct registry *registry, struct bus_request *request,
			 const struct room *room)
{
	struct registry_key key = registry_key_id("pair/", &room->info.room);
	struct proto_room_claimed answer = {
		.room = room->info.room,
		.label = room->info.label,
		.access = room->info.access,
		.topic = room->info.topic,
		.capacity = room->info.capacity,
	};
	struct proto_account_info infos[2];
	struct account people[2];
	struct proto_id users[2] = {room->info.owner};
	size_t count = 1 + registry_get_id(registry, &key, &users[1]);

	for (size_t i = 0; i < count; i++) {
		if (account_get(registry, &users[i], &people[i])) {
			infos[answer.people.count++] = account_info(&people[i]);
		}
	}
	answer.people.items = infos;
	bus_reply(request, PROTO_ROOM_CLAIMED, &answer);
}

static void on_claimed(void *context, int result)
{
	struct claiming *claiming = context;
	const struct proto_room_claim *claim = PROTO_BODY(bus_request_message(claiming->request),
							  room_claim);
	struct room room;

	if (result == 0 && room_get(claiming->registry, &claim->room, &room)) {
		answer_claim(claiming->registry, claiming->request, &room);
		room_deinit(&room);
	} else {
		bus_refuse(claiming->request, result ? (enum proto_code)result : PROTO_E_NOT_FOUND,
			   NULL);
	}
	free(claiming);
}

static void keep_claim(struct registry *registry, struct bus_request *request,
		       const struct room *room)
{
	struct claiming *claiming = calloc(1, sizeof(*claiming));
	struct store_txn *txn = store_txn_new();
	struct proto_room_info info = room->info;
	struct registry_key key;

	if (!claiming || !txn) {
		free(claiming);
		store_txn_free(txn);
		registry_refuse_busy(request);
		return;
	}
	*claiming = (struct claiming){registry, request};
	info.last_seq = 1;
	put_room(txn, &info, room->version);
	if (info.access == PROTO_ROOM_KIND_PUBLIC) {
		key = label_key("public/", info.label);
		store_txn_put(txn, key.bytes, key.size, &info.room, sizeof(info.room));
	}
	store_commit(registry->store, txn, on_claimed, claiming);
}

static void on_room_claim(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	const struct proto_room_claim *claim = PROTO_BODY(message, room_claim);
	struct registry *registry = context;
	struct registry_key pair = registry_key_id("pair/", &claim->room);
	struct proto_id other = {0};
	struct room room;

	if (!room_get(registry, &claim->room, &room)) {
		bus_refuse(request, PROTO_E_NOT_FOUND, "nothing is reserved under this id");
		return;
	}
	(void)registry_get_id(registry, &pair, &other);
	if (!proto_id_equal(&room.info.owner, &claim->user) &&
	    !proto_id_equal(&other, &claim->user)) {
		bus_refuse(request, PROTO_E_FORBIDDEN, "another account reserved it");
	} else if (room.info.last_seq == ROOM_RESERVED) {
		keep_claim(registry, request, &room);
	} else {
		answer_claim(registry, request, &room);
	}
	room_deinit(&room);
}

/* --- room_index --- */

static void on_indexed(void *context, int result)
{
	struct bus_request *request = context;

	if (result == 0) {
		bus_ok(request);
	} else {
		/*
		 * The name was taken meanwhile, or the row has changed: asked again, it will be
		 * told which.
		 */
		bus_refuse(request, (enum proto_code)result, NULL);
	}
}

/* Moves the names from what the room was to what it is. False if the new name is another room's. */
static bool rename_room(struct registry *registry, struct store_txn *txn, const struct room *old,
			const struct proto_room_index *index)
{
	struct registry_key before = label_key("label/", old->info.label);
	struct registry_key after = label_key("label/", index->label);
	struct registry_key listed = label_key("public/", old->info.label);
	bool same = before.size == after.size &&
		    memcmp(before.bytes, after.bytes, before.size) == 0;
	struct proto_id taken;

	if (!same) {
		if (registry_get_id(registry, &after, &taken) &&
		    !proto_id_equal(&taken, &index->room)) {
			return false;
		}
		store_txn_delete(txn, before.bytes, before.size);
		store_txn_compare(txn, after.bytes, after.size, 0);
		store_txn_put(txn, after.bytes, after.size, &index->room, sizeof(index->room));
	}
	store_txn_delete(txn, listed.bytes, listed.size);
	if (index->access == PROTO_ROOM_KIND_PUBLIC) {
		listed = label_key("public/", index->label);
		store_txn_put(txn, listed.bytes, listed.size, &index->room, sizeof(index->room));
	}
	return true;
}

static void index_room(struct registry *registry, struct bus_request *request,
		       const struct room *old)
{
	const struct proto_room_index *index = PROTO_BODY(bus_request_message(request), room_index);
	struct store_txn *txn = store_txn_new();
	struct proto_room_info info = old->info;

	if (!txn) {
		registry_refuse_busy(request);
		return;
	}
	if (info.access != PROTO_ROOM_KIND_DIRECT && !rename_room(registry, txn, old, index)) {
		store_txn_free(txn);
		bus_refuse(request, PROTO_E_NAME_TAKEN, NULL);
		return;
	}
	info.label = name_trim(index->label);
	info.access = index->access;
	info.topic = index->topic;
	info.capacity = index->capacity;
	info.members = index->members;
	info.last_time = index->last_time;
	info.last_seq = index->seq;
	put_room(txn, &info, old->version);
	store_commit(registry->store, txn, on_indexed, request);
}

static void on_room_index(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	const struct proto_room_index *index = PROTO_BODY(message, room_index);
	struct registry *registry = context;
	struct room room;

	if (!room_get(registry, &index->room, &room)) {
		bus_refuse(request, PROTO_E_NOT_FOUND, NULL);
		return;
	}
	if (index->access == PROTO_ROOM_KIND_PERSONAL ||
	    (room.info.access != PROTO_ROOM_KIND_DIRECT &&
	     !name_is_label(name_trim(index->label)))) {
		bus_refuse(request, PROTO_E_BAD_VALUE, NULL);
	} else if (index->seq < room.info.last_seq) {
		bus_ok(request); /* overtaken by a later one */
	} else {
		index_room(registry, request, &room);
	}
	room_deinit(&room);
}

/* --- rooms_find --- */

struct search {
	struct proto_id ids[PROTO_PAGE_MAX];
	size_t count;
	size_t limit;
	bool more;
};

static bool on_public_row(void *context, const struct store_row *row)
{
	struct search *search = context;

	if (search->count == search->limit) {
		search->more = true;
		return false;
	}
	if (row->value_size == sizeof(struct proto_id)) {
		memcpy(&search->ids[search->count++], row->value, sizeof(struct proto_id));
	}
	return true;
}

static void answer_search(struct registry *registry, struct bus_request *request,
			  const struct search *search)
{
	static struct room rooms[PROTO_PAGE_MAX]; /* large; used within this call alone */
	static struct proto_room_info infos[PROTO_PAGE_MAX];
	struct proto_rooms answer = {.rooms.items = infos, .more = search->more};

	for (size_t i = 0; i < search->count; i++) {
		if (room_get(registry, &search->ids[i], &rooms[answer.rooms.count])) {
			infos[answer.rooms.count] = rooms[answer.rooms.count].info;
			answer.rooms.count++;
		}
	}
	bus_reply(request, PROTO_ROOMS, &answer);
	for (size_t i = 0; i < answer.rooms.count; i++) {
		room_deinit(&rooms[i]);
	}
}

static void on_rooms_find(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	const struct proto_rooms_find *find = PROTO_BODY(message, rooms_find);
	struct registry *registry = context;
	struct registry_key prefix = label_key("public/", find->prefix);
	struct registry_key after = label_key("public/", find->after);
	struct search search = {.limit = find->limit ? (size_t)find->limit : ROOMS_FIND_DEFAULT};

	if (!registry_session(registry, request, &find->session)) {
		return;
	}
	store_scan(registry->store, prefix.bytes, prefix.size,
		   find->after.size > 0 ? after.bytes : NULL, after.size, on_public_row, &search);
	answer_search(registry, request, &search);
}

/* --- room_lookup --- */

static void answer_lookup(struct registry *registry, struct bus_request *request,
			  const struct room *room)
{
	const struct node *owner = slots_owner(registry, proto_id_slot(&room->info.room));
	struct proto_room_found found = {
		.room = room->info.room,
		.label = room->info.label,
		.access = room->info.access,
	};

	if (owner) {
		found.address = proto_span(owner->address);
		found.feed = proto_span(owner->feed);
	}
	bus_reply(request, PROTO_ROOM_FOUND, &found);
}

static void on_room_lookup(void *context, struct bus_request *request,
			   const struct proto_message *message)
{
	const struct proto_room_lookup *lookup = PROTO_BODY(message, room_lookup);
	struct registry *registry = context;
	const struct session *session = registry_session(registry, request, &lookup->session);
	struct registry_key key;
	struct proto_id id;
	struct room room;

	if (!session) {
		return; /* refused: the message is gone */
	}
	key = label_key("label/", lookup->label);
	id = lookup->room;
	if ((lookup->label.size > 0 && !registry_get_id(registry, &key, &id)) ||
	    !room_get(registry, &id, &room)) {
		bus_refuse(request, PROTO_E_NOT_FOUND, NULL);
		return;
	}
	/*
	 * Who knows the id of a private room may ask where it is; its owner alone decides who gets
	 * in. A name that is only reserved is no room yet.
	 */
	if ((room.info.access == PROTO_ROOM_KIND_PUBLIC && room.info.last_seq != ROOM_RESERVED) ||
	    proto_id_equal(&room.info.owner, &session->user) || lookup->label.size == 0) {
		answer_lookup(registry, request, &room);
	} else {
		bus_refuse(request, PROTO_E_NOT_FOUND, NULL);
	}
	room_deinit(&room);
}

const struct bus_route rooms_routes[] = {
	{PROTO_ROOM_RESERVE, on_room_reserve}, {PROTO_ROOM_CLAIM, on_room_claim},
	{PROTO_ROOM_INDEX, on_room_index},     {PROTO_ROOMS_FIND, on_rooms_find},
	{PROTO_ROOM_LOOKUP, on_room_lookup},
};
const size_t rooms_route_count = sizeof(rooms_routes) / sizeof(rooms_routes[0]);
