/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * roomd: owner of slots.
 *
 * Purpose. It decides who may do what in the rooms of its slots, gives every event its seq, has it
 * written by storaged, and publishes it once it is committed. It keeps nothing on disk: all that
 * it knows comes from the registry (which slots) and from storaged (what is in them).
 *
 * Requests. All messages with AT = ROOM or PERSONAL in proto/messages.h; see the table `actions`.
 * A person first opens a session on the connection, by its token; services need none for
 * personal_note.
 *
 * Files. takeover.c, slot.c, gate.c, record.c, segment.c, chain.c: the slots and their log.
 * hosted.c, job.c, write.c: rooms in memory, requests, commits. writes.c, members.c, reads.c,
 * here.c, personal.c: what each request does. room.c, rights.c, dedupe.c, tail.c, marks.c,
 * presence.c, session.c, event.c: nouns. notes.c, directory.c: telling others. calls.c, stores.c:
 * links. reader.c: questions to whichever store of a slot can answer.
 *
 * Limits. Rooms in memory, writes in flight and requests waiting for a room: settings; entries and
 * bytes in flight of a slot: segment.h; sessions: session.h. Past a limit the answer is `busy`,
 * before a seq is given.
 *
 * Security. Requests name a session that was opened on their connection by a token of the
 * registry; rights are checked here whatever a gateway checked. The bus refuses other than local
 * addresses while there are no keys.
 *
 * When things fail. Storage away: appends are repeated; after SEGMENT_STALL_MS the slot is taken
 * over anew, and what was in flight has an unknown outcome: clients send it again under its cmid.
 * Registry away: open slots are served on; once the lease has run out each answer waits for the
 * stores to confirm that nobody else has the slot (gate.h). Stopped and woken: the same. Killed:
 * the next owner seals the segments and reads state back; nothing that was answered is lost.
 * SIGTERM: slots are handed over while they are served, as long as there is somebody to have them.
 */

#include "roomd/roomd.h"

#include <errno.h>
#include <stdlib.h>
#include "roomd/daemon.h"
#include "services/clock.h"
#include "services/token.h"

#define TICK_MS 25
#define SECOND_MS 1000
#define REGISTRY_TIMEOUT_MS 5000
#define REGISTRY_RETRY_MS 1000 /* all that roomd asks of it may come twice */
#define DOUBT_MS 2000 /* an open slot may be missing in the slot map for so long */
#define READY_MS 3000 /* without any slot the node counts as ready after this */
#define STOP_MARGIN_MS 1500 /* of the stop time, kept for leaving */

/* --- requests --- */

#define ACTION(NAME, name, writes, run)                                         \
	{                                                                       \
		PROTO_##NAME, offsetof(struct proto_##name, session),           \
			offsetof(struct proto_##name, room), writes, false, run \
	}

static const struct action actions[] = {
	ACTION(ROOM_CREATE, room_create, true, members_create),
	ACTION(ROOM_OPEN, room_open, false, reads_open),
	ACTION(ROOM_JOIN, room_join, true, members_join),
	ACTION(ROOM_LEAVE, room_leave, true, members_leave),
	ACTION(ROOM_SEND, room_send, true, writes_run),
	ACTION(ROOM_EDIT, room_edit, true, writes_run),
	ACTION(ROOM_REDACT, room_redact, true, writes_run),
	ACTION(ROOM_REACT, room_react, true, writes_run),
	ACTION(ROOM_SET, room_set, true, writes_run),
	ACTION(ROOM_MEMBER_SET, room_member_set, true, writes_run),
	ACTION(ROOM_HISTORY, room_history, false, reads_history),
	ACTION(ROOM_EVENTS, room_events, false, reads_events),
	ACTION(ROOM_MEMBERS, room_members, false, reads_members),
	ACTION(ROOM_TYPING, room_typing, false, here_typing),
	ACTION(ROOM_PRESENCE, room_presence, false, here_presence),
	{PROTO_ROOM_READ, offsetof(struct proto_room_read, session), ACTION_PERSONAL, false, false,
	 personal_read},
	{PROTO_ROOMS_MINE, offsetof(struct proto_rooms_mine, session), ACTION_PERSONAL, false,
	 false, personal_mine},
	{PROTO_PERSONAL_NOTE, 0, offsetof(struct proto_personal_note, room), true, true,
	 personal_note},
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void on_request(void *context, struct bus_request *request,
		       const struct proto_message *message)
{
	struct roomd *roomd = context;
	struct job *job;

	for (size_t i = 0; i < ACTIONS; i++) {
		if (actions[i].type != message->header.type) {
			continue;
		}
		job = job_new(roomd, request, &actions[i]);
		if (job) {
			job_run(job);
		} else {
			bus_refuse(request, PROTO_E_BUSY, NULL);
		}
		return;
	}
	bus_refuse(request, PROTO_E_NOT_HERE, NULL);
}

static int verify(struct roomd *roomd, struct proto_span token, struct session *ret_session)
{
	const struct proto_node_welcome *welcome = membership_welcome(roomd->membership);
	struct token_claims claims;
	char key[PROTO_PEM_BYTES_MAX + 1] = "";
	int r;

	if (!welcome) {
		return PROTO_E_BUSY;
	}
	memcpy(key, welcome->token_key.data, welcome->token_key.size);
	r = token_verify(key, token, roomd_wall_ms(roomd), &claims);
	if (r != 0) {
		return r > 0 ? r : PROTO_E_BUSY;
	}
	*ret_session = (struct session){
		.id = claims.session,
		.user = claims.user,
		.bot = claims.role == PROTO_ACCOUNT_ROLE_BOT,
		.expires_ms = claims.expires_ms,
	};
	memcpy(ret_session->name, claims.name, sizeof(ret_session->name));
	return 0;
}

static void on_session_open(void *context, struct bus_request *request,
			    const struct proto_message *message)
{
	struct roomd *roomd = context;
	struct session session;
	struct proto_session_opened opened;
	int r = verify(roomd, PROTO_BODY(message, session_open)->token, &session);

	if (r == 0) {
		r = sessions_open(roomd->sessions, bus_request_peer(request), &session);
	}
	if (r != 0) {
		bus_refuse(request, r > 0 ? (enum proto_code)r : PROTO_E_BUSY, NULL);
		return;
	}
	opened = (struct proto_session_opened){
		.session = session.id, .user = session.user, .expires = session.expires_ms};
	bus_reply(request, PROTO_SESSION_OPENED, &opened);
}

static void on_session_close(void *context, struct bus_request *request,
			     const struct proto_message *message)
{
	struct roomd *roomd = context;

	sessions_close(roomd->sessions, bus_request_peer(request),
		       &PROTO_BODY(message, session_close)->session);
	bus_ok(request);
}

bool roomd_has_lease(const struct roomd *roomd, const struct slot *slot)
{
	return !slot->suspended && membership_has_lease(roomd->membership);
}

/* --- slots --- */

static void on_opened(void *context, struct slot *slot)
{
	struct roomd *roomd = context;

	log_debug("slot_open", LOG_NUMBER("slot", slot->number),
		  LOG_NUMBER("epoch", segment_epoch(slot->segment)),
		  LOG_NUMBER("lsn", segment_next(slot->segment)));
	hosted_open_slot(roomd, slot);
	gate_opened(roomd->gates, slot);
}

static void on_dropped(void *context, struct slot *slot, int error)
{
	struct roomd *roomd = context;

	hosted_drop_slot(slot, error);
	gate_dropped(roomd->gates, slot);
	if (error == PROTO_E_NOT_OWNER) {
		log_debug("slot_closed", LOG_NUMBER("slot", slot->number));
		return;
	}
	log_warn("slot_dropped", LOG_NUMBER("slot", slot->number),
		 LOG_TEXT("why", proto_error_info((enum proto_code)error)->code));
	takeover_assignment(roomd->takeover);
}

static bool on_is_served(void *context, unsigned int slot)
{
	const struct roomd *roomd = context;
	const struct slot_owner *owner = slot_map_owner(membership_slots(roomd->membership), slot);

	return owner && !proto_id_equal(&owner->incarnation, &roomd->service->incarnation);
}

static void on_committed(void *context, struct slot *slot, void *owner)
{
	(void)slot;
	write_committed(context, owner);
}

static void on_stores(void *context, const struct proto_list_store_place *places)
{
	struct roomd *roomd = context;

	for (size_t i = 0; i < places->count; i++) {
		stores_learn(roomd->stores, &places->items[i].store, places->items[i].address);
	}
}

static void on_places(void *context, int result, const struct proto_message *answer)
{
	struct roomd *roomd = context;

	roomd->asking_stores = false;
	if (result == 0) {
		on_stores(roomd, &PROTO_BODY(answer, slot_records)->stores);
	}
}

/* That a store has moved is published, which may get lost: one that is missing is asked for. */
static void look_for_stores(struct roomd *roomd)
{
	static const struct proto_slots_read any = {0};

	if (!roomd->asking_stores && stores_miss_one(roomd->stores)) {
		roomd->asking_stores = true;
		roomd->env.registry(roomd->env.context, PROTO_SLOTS_READ, &any, on_places, roomd);
	}
}

/* The slot map may lag behind us; if it goes on naming somebody else, the record is read. */
static void look_for_other_owners(struct roomd *roomd)
{
	const struct slot_map *map = membership_slots(roomd->membership);
	uint64_t now = roomd_now_ms(roomd);

	if (!map || slot_map_version(map) == 0) {
		return;
	}
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		const struct slot *slot = takeover_slot(roomd->takeover, i);
		const struct slot_owner *owner;

		if (slot->phase != SLOT_OPEN || now - slot->opened_ms < DOUBT_MS) {
			continue;
		}
		owner = slot_map_owner(map, i);
		if (!owner || !proto_id_equal(&owner->incarnation, &roomd->service->incarnation)) {
			takeover_doubt(roomd->takeover, i);
		}
	}
}

/* --- the registry --- */

static void on_welcomed(void *context, const struct proto_node_welcome *welcome)
{
	struct roomd *roomd = context;

	if (roomd->welcomed) {
		takeover_suspend(roomd->takeover); /* it had forgotten us */
	}
	roomd->welcomed = true;
	roomd->welcomed_ms = roomd_now_ms(roomd);
	takeover_set_quorums(roomd->takeover, welcome->write_quorum, welcome->ack_quorum);
	takeover_assignment(roomd->takeover);
}

static void on_assignment_changed(void *context)
{
	struct roomd *roomd = context;

	takeover_assignment(roomd->takeover);
}

static void on_node_changed(void *context, const struct proto_node_changed *change)
{
	struct roomd *roomd = context;

	if (change->service == PROTO_SERVICE_STORAGED && change->state != PROTO_NODE_STATE_DEAD) {
		stores_learn(roomd->stores, &change->store, change->address);
	}
}

static void on_session_revoked(void *context, const struct proto_session_revoked *revoked)
{
	struct roomd *roomd = context;

	sessions_revoke(roomd->sessions, &revoked->session, roomd_wall_ms(roomd));
}

static void on_lease_lost(void *context)
{
	struct roomd *roomd = context;

	log_warn("lease_lost");
	takeover_suspend(roomd->takeover);
}

static void on_beat(void *context, struct proto_node_beat *beat)
{
	struct roomd *roomd = context;

	beat->slots = takeover_count(roomd->takeover, SLOT_OPEN);
	beat->rooms = roomd->room_count;
}

/* --- time --- */

static uint64_t env_now_ms(void *context)
{
	return uv_now(((struct roomd *)context)->service->loop);
}

static uint64_t env_wall_ms(void *context)
{
	(void)context;
	return clock_wall_ms();
}

static uint32_t env_random(void *context)
{
	(void)context;
	return (uint32_t)random();
}

static void env_store(void *context, const struct proto_id *store, enum proto_type type,
		      const void *body, env_answer_fn on_answer, void *answer_context)
{
	struct roomd *roomd = context;

	stores_call(roomd->stores, store, type, body, on_answer, answer_context);
}

static void env_registry(void *context, enum proto_type type, const void *body,
			 env_answer_fn on_answer, void *answer_context)
{
	const struct bus_call_options options = {.timeout_ms = REGISTRY_TIMEOUT_MS,
						 .retry_ms = REGISTRY_RETRY_MS};
	struct roomd *roomd = context;

	calls_make(roomd->calls, membership_registry(roomd->membership), type, body, &options,
		   on_answer, answer_context);
}

static void look_ready(struct roomd *roomd)
{
	bool some = takeover_count(roomd->takeover, SLOT_OPEN) > 0 ||
		    roomd_now_ms(roomd) - roomd->welcomed_ms > READY_MS;

	if (!roomd->ready && roomd->welcomed && some && takeover_is_complete(roomd->takeover) &&
	    membership_has_lease(roomd->membership)) {
		roomd->ready = true;
		log_info("slots_open",
			 LOG_NUMBER("slots", takeover_count(roomd->takeover, SLOT_OPEN)),
			 LOG_NUMBER("ms", roomd_now_ms(roomd) - roomd->welcomed_ms));
		service_ready(roomd->service);
	}
}

static void on_left(void *context)
{
	service_stopped(((struct roomd *)context)->service);
}

/*
 * Others get the slots first, while they are served on. What nobody is there to have is served no
 * more: in flight first, then the stores learn the last commits, then the registry learns that we
 * go. Without a lease the registry is away, perhaps for good, and nothing can be handed to anybody.
 */
static void stop_step(struct roomd *roomd)
{
	bool late = roomd_now_ms(roomd) >= roomd->stop_ms;
	bool done = true;

	roomd->refusing = roomd->refusing || late ||
			  (roomd->handing && (takeover_is_left(roomd->takeover) ||
					      !membership_has_lease(roomd->membership)));
	if (!roomd->refusing) {
		return;
	}
	for (unsigned int i = 0; i < PROTO_SLOTS; i++) {
		struct slot *slot = takeover_slot(roomd->takeover, i);

		if (slot->phase == SLOT_OPEN) {
			segment_release(slot->segment);
			done = done && segment_pending(slot->segment) == 0 &&
			       segment_is_released(slot->segment);
		}
	}
	if ((done || late) && !roomd->leaving) {
		roomd->leaving = true;
		membership_leave(roomd->membership, on_left, roomd);
	}
}

static void on_second(struct roomd *roomd)
{
	here_beacon(roomd);
	here_expire(roomd);
	sessions_tick(roomd->sessions, roomd_wall_ms(roomd));
	look_for_other_owners(roomd);
	look_for_stores(roomd);
}

static void on_tick(uv_timer_t *timer)
{
	struct roomd *roomd = timer->data;

	calls_tick(roomd->calls);
	takeover_tick(roomd->takeover);
	gates_tick(roomd->gates);
	readers_tick(roomd->readers);
	notes_tick(roomd->notes);
	directory_tick(roomd);
	look_ready(roomd);
	if (roomd_now_ms(roomd) >= roomd->second_ms) {
		roomd->second_ms = roomd_now_ms(roomd) + SECOND_MS;
		on_second(roomd);
	}
	if (roomd->stopping) {
		stop_step(roomd);
	}
}

/* --- life --- */

static int start_nouns(struct roomd *roomd)
{
	static const struct slot_events events = {on_opened, on_dropped, on_committed};
	const struct takeover_options options = {
		.self = {.node = roomd->settings->service.name,
			 .incarnation = roomd->service->incarnation},
		.events = &events,
		.stores = on_stores,
		.is_served = on_is_served,
		.context = roomd,
	};
	int r = calls_new(&roomd->calls);

	roomd->env = (struct env){roomd,      env_now_ms, env_wall_ms,
				  env_random, env_store,  env_registry};
	roomd->tail = (struct tail_limits){roomd->settings->tail_events,
					   roomd->settings->tail_bytes};
	if (r == 0) {
		r = stores_new(roomd->service->bus, roomd->calls, &roomd->stores);
	}
	if (r == 0) {
		r = readers_new(&roomd->env, &roomd->readers);
	}
	if (r == 0) {
		r = takeover_new(&roomd->env, &options, &roomd->takeover);
	}
	if (r == 0) {
		r = gates_new(roomd, &roomd->gates);
	}
	if (r == 0) {
		r = sessions_new(&roomd->sessions);
	}
	if (r == 0) {
		r = notes_new(roomd, &roomd->notes);
	}
	return r;
}

static int start_server(struct roomd *roomd)
{
	static struct bus_route routes[ACTIONS + 2];
	size_t count = 0;
	int r;

	for (size_t i = 0; i < ACTIONS; i++) {
		routes[count++] = (struct bus_route){actions[i].type, on_request};
	}
	routes[count++] = (struct bus_route){PROTO_SESSION_OPEN, on_session_open};
	routes[count++] = (struct bus_route){PROTO_SESSION_CLOSE, on_session_close};
	r = bus_publisher_new(roomd->service->bus, roomd->settings->feed, &roomd->publisher);
	if (r != 0) {
		log_error("bind_failed", LOG_TEXT("address", roomd->settings->feed), LOG_ERRNO(r));
		return r;
	}
	r = bus_server_new(roomd->service->bus, roomd->settings->bind, routes, count, roomd,
			   &roomd->server);
	if (r != 0) {
		log_error("bind_failed", LOG_TEXT("address", roomd->settings->bind), LOG_ERRNO(r));
	}
	return r;
}

static int start_membership(struct roomd *roomd)
{
	static const struct membership_events events = {
		.welcomed = on_welcomed,
		.assignment_changed = on_assignment_changed,
		.node_changed = on_node_changed,
		.session_revoked = on_session_revoked,
		.lease_lost = on_lease_lost,
		.beat = on_beat,
	};
	const struct service_settings *settings = &roomd->settings->service;
	struct membership_options options = {
		.registry = roomd->settings->registry,
		.hello =
			{
				.node = proto_span(settings->name),
				.service = PROTO_SERVICE_ROOMD,
				.incarnation = roomd->service->incarnation,
				.address = proto_span(bus_server_address(roomd->server)),
				.feed = proto_span(bus_publisher_address(roomd->publisher)),
				.host = proto_span(settings->host),
				.zone = proto_span(settings->zone),
				.version = proto_span(DISTRICHAT_VERSION),
			},
	};

	return membership_new(roomd->service->bus, roomd->service->loop, &options, &events, roomd,
			      &roomd->membership);
}

static int roomd_start(struct service *service, const void *settings, void **ret_daemon)
{
	struct roomd *roomd = calloc(1, sizeof(*roomd));
	int r;

	if (!roomd) {
		return -ENOMEM;
	}
	*ret_daemon = roomd;
	roomd->service = service;
	roomd->settings = settings;
	uv_timer_init(service->loop, &roomd->tick);
	roomd->tick.data = roomd;
	r = meters_start(roomd);
	if (r == 0) {
		r = start_nouns(roomd);
	}
	if (r == 0) {
		r = start_server(roomd);
	}
	if (r == 0) {
		r = start_membership(roomd);
	}
	if (r == 0) {
		r = uv_timer_start(&roomd->tick, on_tick, TICK_MS, TICK_MS);
	}
	return r;
}

/* The registry knows that we stop, and has wished our slots to others if there are any. */
static void on_drain_told(void *context, bool known)
{
	struct roomd *roomd = context;

	takeover_stop(roomd->takeover);
	roomd->handing = known;
	roomd->refusing = !known;
}

static void roomd_stop(void *daemon)
{
	struct roomd *roomd = daemon;
	uint64_t time = roomd->settings->service.stop_ms;

	roomd->stopping = true;
	roomd->stop_ms = roomd_now_ms(roomd) + (time > STOP_MARGIN_MS ? time - STOP_MARGIN_MS : 0);
	membership_drain(roomd->membership, on_drain_told, roomd);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void roomd_free(void *daemon)
{
	struct roomd *roomd = daemon;

	for (unsigned int i = 0; roomd->takeover && i < PROTO_SLOTS; i++) {
		hosted_drop_slot(takeover_slot(roomd->takeover, i), PROTO_E_TIMEOUT);
	}
	hosted_forget_doubts(roomd);
	readers_free(roomd->readers);
	calls_free(roomd->calls);
	gates_free(roomd->gates);
	notes_free(roomd->notes);
	takeover_free(roomd->takeover);
	membership_free(roomd->membership);
	bus_server_free(roomd->server);
	bus_publisher_free(roomd->publisher);
	stores_free(roomd->stores);
	sessions_free(roomd->sessions);
	proto_buffer_deinit(&roomd->scratch);
	meters_stop(roomd);
	uv_close((uv_handle_t *)&roomd->tick, on_closed);
}

static const struct config_field fields[] = {
	SERVICE_FIELDS(struct roomd_settings),
	{"bind", CONFIG_TEXT, offsetof(struct roomd_settings, bind), "tcp://127.0.0.1:*", 1,
	 PROTO_ADDRESS_BYTES_MAX, "ENDPOINT", "where requests are taken"},
	{"feed", CONFIG_TEXT, offsetof(struct roomd_settings, feed), "tcp://127.0.0.1:*", 1,
	 PROTO_ADDRESS_BYTES_MAX, "ENDPOINT", "where events are published"},
	{"registry", CONFIG_TEXT, offsetof(struct roomd_settings, registry), NULL, 1,
	 PROTO_ADDRESS_BYTES_MAX, "ENDPOINT", "address of the registry"},
	{"rooms-max", CONFIG_NUMBER, offsetof(struct roomd_settings, rooms_max), "20000", 16,
	 10000000, "COUNT", "rooms in memory; idle ones make place for others"},
	{"room-writes-max", CONFIG_NUMBER, offsetof(struct roomd_settings, room_writes_max), "1024",
	 4, 4096, "COUNT", "writes of one room on their way to storage; more are refused as busy"},
	{"room-waiting-max", CONFIG_NUMBER, offsetof(struct roomd_settings, room_waiting_max),
	 "4096", 16, 1000000, "COUNT", "requests that wait for one room; more are refused as busy"},
	{"tail-events", CONFIG_NUMBER, offsetof(struct roomd_settings, tail_events), "256", 1,
	 65536, "COUNT", "recent events of a room kept in memory"},
	{"tail-bytes", CONFIG_BYTES, offsetof(struct roomd_settings, tail_bytes), "256k", 1024,
	 1ULL << 30, "BYTES", "memory for the recent events of a room"},
};

const struct service_spec roomd_spec = {
	.config =
		{
			.program = "roomd",
			.summary = "owner of slots: rights, order and publication of events",
			.fields = fields,
			.field_count = sizeof(fields) / sizeof(fields[0]),
		},
	.settings_size = sizeof(struct roomd_settings),
	.start = roomd_start,
	.stop = roomd_stop,
	.free = roomd_free,
};
