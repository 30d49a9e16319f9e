/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See errand.h; the order of writes is lane.c's. */

#include "gateway/errand.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "gateway/session.h"
#include "gateway/upstream.h"

#define RETRY_TIMER_MS 20
#define REST_FIRST_MS 40
#define REST_MAX_MS 640
#define EXPIRED_PER_TURN 256

enum errand_state {
	ERRAND_QUEUED,
	ERRAND_PARKED,
	ERRAND_FLYING,
	ERRAND_RESTING,
};

struct lane_key {
	uint64_t connection;
	struct proto_id room;
};

struct write_lane {
	struct lane lane;
	struct lane_key key;
	uint64_t release_ms;
	UT_hash_handle hh;
};

struct errand {
	struct gateway *gateway;
	enum errand_state state;
	enum proto_type type;
	const struct proto_type_info *info;
	struct envelope envelope;
	void *body;
	bool owns_body;
	struct session *session;
	unsigned int slot;
	struct lane_item item;
	struct write_lane *lane;
	uint64_t *prev; /* the field of that name, where the sender left it open */
	errand_done_fn done;
	void *context;
	uint64_t deadline_ms;
	uint64_t rest_until_ms;
	uint64_t rest_ms;
	bool flown;
	bool doubtful; /* a flight ended unknown: it may have been carried out */
	bool reopened;
	struct upstream *upstream; /* while PARKED or FLYING */
	struct proto_id incarnation;
	struct pass *pass;
	uint64_t term;
	struct bus_call *call;
	struct errand *all_prev;
	struct errand *all_next;
	struct errand *prev_in; /* in the pass's parked list */
	struct errand *next_in;
};

static void launch(struct errand *errand);
static void on_answer(void *context, int result, const struct proto_message *answer);

void errand_ignore(void *context, int result, const struct proto_message *answer)
{
	(void)context;
	(void)result;
	(void)answer;
}

static void start_timer(struct gateway *gateway)
{
	if (!uv_is_active((uv_handle_t *)&gateway->retry)) {
		(void)uv_timer_start(&gateway->retry, errands_on_retry, RETRY_TIMER_MS,
				     RETRY_TIMER_MS);
	}
}

/* --- lanes --- */

static struct write_lane *get_lane(struct gateway *gateway, uint64_t connection,
				   const struct proto_id *room)
{
	struct lane_key key;
	struct write_lane *lane;

	memset(&key, 0, sizeof(key));
	key.connection = connection;
	key.room = *room;
	HASH_FIND(hh, gateway->lanes, &key, sizeof(key), lane);
	if (lane) {
		return lane;
	}
	lane = calloc(1, sizeof(*lane));
	if (lane) {
		lane->key = key;
		HASH_ADD(hh, gateway->lanes, key, sizeof(lane->key), lane);
	}
	return lane;
}

/* Lets off what may fly; frees the lane when it is empty. */
static void pump(struct gateway *gateway, struct write_lane *lane)
{
	struct lane_item *item;

	if (lane->lane.held && gateway_now_ms(gateway) >= lane->release_ms) {
		(void)lane_release(&lane->lane);
	}
	while ((item = lane_next(&lane->lane)) != NULL) {
		struct errand *errand = (struct errand *)((char *)item -
							  offsetof(struct errand, item));
		uint64_t behind = lane_take_off(&lane->lane, item);

		if (errand->prev) {
			*errand->prev = behind;
		}
		launch(errand);
	}
	if (lane->lane.held) {
		start_timer(gateway);
	}
	if (!lane->lane.items) {
		HASH_DEL(gateway->lanes, lane);
		free(lane);
	}
}

/* --- life --- */

static void leave_upstream(struct errand *errand)
{
	if (errand->state == ERRAND_PARKED) {
		DL_DELETE2(errand->pass->parked, errand, prev_in, next_in);
	}
	if (errand->call) {
		bus_call_cancel(errand->call);
		errand->call = NULL;
		errand->doubtful = true;
	}
	if (errand->upstream) {
		errand->upstream->errands--;
		errand->upstream = NULL;
	}
	errand->pass = NULL;
}

static void errand_free(struct errand *errand)
{
	leave_upstream(errand);
	DL_DELETE2(errand->gateway->errands, errand, all_prev, all_next);
	errand->gateway->errand_count--;
	session_unref(errand->session);
	if (errand->owns_body) {
		free(errand->body);
	}
	envelope_deinit(&errand->envelope);
	free(errand);
}

static void end(struct errand *errand, int result, const struct proto_message *answer)
{
	struct gateway *gateway = errand->gateway;
	struct write_lane *lane = errand->lane;

	if (lane) {
		lane_end(&lane->lane, &errand->item);
	}
	if (errand->done) {
		errand->done(errand->context, result, answer);
	}
	errand_free(errand);
	if (lane) {
		pump(gateway, lane);
	}
}

static uint64_t time_left_ms(const struct errand *errand)
{
	uint64_t now_ms = gateway_now_ms(errand->gateway);

	return errand->deadline_ms > now_ms ? errand->deadline_ms - now_ms : 0;
}

/* Back to its lane, or to rest by itself. */
static void rest(struct errand *errand, uint64_t for_ms)
{
	uint64_t until_ms = gateway_now_ms(errand->gateway) + for_ms;

	leave_upstream(errand);
	if (errand->lane) {
		errand->state = ERRAND_QUEUED;
		lane_return(&errand->lane->lane, &errand->item);
		errand->lane->release_ms = errand->lane->release_ms > until_ms
						   ? errand->lane->release_ms
						   : until_ms;
	} else {
		errand->state = ERRAND_RESTING;
		errand->rest_until_ms = until_ms;
	}
	start_timer(errand->gateway);
}

static void back_off(struct errand *errand)
{
	errand->rest_ms = errand->rest_ms == 0 ? REST_FIRST_MS : 2 * errand->rest_ms;
	errand->rest_ms = errand->rest_ms > REST_MAX_MS ? REST_MAX_MS : errand->rest_ms;
	rest(errand, errand->rest_ms);
}

static struct upstream *find_upstream(struct errand *errand)
{
	if (errand->info->at == PROTO_AT_REGISTRY) {
		return errand->gateway->registry;
	}
	return upstream_of_slot(errand->gateway, errand->slot, &errand->incarnation);
}

static void fly(struct errand *errand)
{
	struct bus_call_options options = {.timeout_ms = time_left_ms(errand)};

	options.timeout_ms += options.timeout_ms == 0;
	errand->state = ERRAND_FLYING;
	errand->flown = true;
	errand->term = errand->pass ? errand->pass->term : 0;
	bus_call(errand->upstream->link, errand->type, errand->body, &options, on_answer, errand,
		 &errand->call);
}

static void launch(struct errand *errand)
{
	errand->upstream = find_upstream(errand);
	if (!errand->upstream) {
		back_off(errand);
		return;
	}
	errand->upstream->errands++;
	if (!errand->session) {
		fly(errand);
		return;
	}
	errand->pass = upstream_pass(errand->upstream, errand->session);
	if (!errand->pass) {
		back_off(errand);
	} else if (pass_is_open(errand->pass) && !errand->pass->parked) {
		fly(errand);
	} else if (errand->pass->state == PASS_SHUT) {
		back_off(errand); /* the token is being renewed */
	} else {
		errand->state = ERRAND_PARKED;
		DL_APPEND2(errand->pass->parked, errand, prev_in, next_in);
	}
}

/* --- answers --- */

static bool may_help(const struct errand *errand, int result)
{
	if (errand->type == PROTO_ACCOUNT_CREATE || errand->session == NULL) {
		return false;
	}
	return result == PROTO_E_NOT_OWNER || result == PROTO_E_UNAVAILABLE ||
	       result == PROTO_E_FENCED;
}

/*
 * A refusal speaks for its own flight. Whether an earlier one wrote something, which only the log
 * can tell, is known to those about the cmid alone; all others leave the outcome unknown.
 */
static bool leaves_doubt(const struct errand *errand, int result)
{
	return errand->lane && errand->doubtful && result != PROTO_E_CMID_STALE &&
	       result != PROTO_E_CMID_REUSED && proto_error_info((enum proto_code)result)->sure;
}

static void settle(struct errand *errand, int result, const struct proto_message *answer)
{
	struct write_lane *lane = errand->lane;
	struct gateway *gateway = errand->gateway;

	errand->doubtful = errand->doubtful ||
			   (result != 0 && !proto_error_info((enum proto_code)result)->sure);
	if (result == PROTO_E_OUT_OF_ORDER && lane && errand->item.behind &&
	    time_left_ms(errand) > 0) {
		rest(errand, 0);
		pump(gateway, lane);
	} else if (may_help(errand, result) && time_left_ms(errand) > REST_FIRST_MS) {
		back_off(errand);
		if (lane) {
			pump(gateway, lane);
		}
	} else if (result != 0 && leaves_doubt(errand, result)) {
		end(errand, PROTO_E_TIMEOUT, NULL);
	} else {
		end(errand, result, answer);
	}
}

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct errand *errand = context;

	errand->call = NULL;
	if (result == PROTO_E_SESSION_UNKNOWN && errand->pass && !errand->reopened) {
		errand->reopened = true;
		pass_lost(errand->pass, errand->term);
		leave_upstream(errand);
		launch(errand);
		return;
	}
	settle(errand, result, answer);
}

void errands_unpark(struct pass *pass, int result)
{
	struct errand *errand;

	while ((errand = pass->parked) != NULL) {
		DL_DELETE2(pass->parked, errand, prev_in, next_in);
		errand->state = ERRAND_QUEUED;
		if (result == 0) {
			fly(errand);
		} else {
			settle(errand, result == PROTO_E_TIMEOUT ? PROTO_E_UNAVAILABLE : result,
			       NULL);
		}
	}
}

static void set_out_again(struct errand *errand)
{
	if (errand->lane) {
		rest(errand, 0);
	} else {
		leave_upstream(errand);
		launch(errand);
	}
}

static void pump_all(struct gateway *gateway)
{
	struct write_lane *lane;
	struct write_lane *next;

	HASH_ITER(hh, gateway->lanes, lane, next)
	{
		pump(gateway, lane);
	}
}

void errands_repeat(struct upstream *upstream)
{
	struct errand *errand;
	struct errand *next;

	DL_FOREACH_SAFE2(upstream->gateway->errands, errand, next, all_next)
	{
		if (errand->upstream == upstream && errand->state == ERRAND_FLYING) {
			set_out_again(errand);
		}
	}
	pump_all(upstream->gateway);
}

void errands_redirect(struct gateway *gateway)
{
	struct slot_map *slots = membership_slots(gateway->membership);
	struct errand *errand;
	struct errand *next;

	DL_FOREACH_SAFE2(gateway->errands, errand, next, all_next)
	{
		const struct slot_owner *owner;

		if (errand->info->at == PROTO_AT_REGISTRY) {
			continue;
		}
		owner = slot_map_owner(slots, errand->slot);
		if (owner && !proto_id_equal(&owner->incarnation, &errand->incarnation)) {
			errand->rest_ms = 0; /* it was another one that refused it */
		}
		if (owner && errand->state == ERRAND_RESTING) {
			launch(errand);
		} else if (owner && errand->upstream &&
			   !proto_id_equal(&owner->incarnation, &errand->incarnation)) {
			set_out_again(errand);
		}
		if (errand->lane) {
			errand->lane->release_ms = 0;
		}
	}
	pump_all(gateway);
}

/*
 * Ends one errand that is past its deadline. `done` may free others, so the search starts anew each
 * time.
 */
static bool expire_one(struct gateway *gateway)
{
	struct errand *errand;

	DL_FOREACH2(gateway->errands, errand, all_next)
	{
		bool idle = errand->state == ERRAND_RESTING || errand->state == ERRAND_QUEUED;

		if (idle && time_left_ms(errand) == 0) {
			end(errand, errand->flown ? PROTO_E_TIMEOUT : PROTO_E_BUSY, NULL);
			return true;
		}
	}
	return false;
}

void errands_on_retry(uv_timer_t *timer)
{
	struct gateway *gateway = timer->data;
	uint64_t now_ms = gateway_now_ms(gateway);
	bool waiting = false;
	struct errand *errand;
	struct errand *next;

	for (unsigned int i = 0; i < EXPIRED_PER_TURN && expire_one(gateway); i++) {}
	DL_FOREACH_SAFE2(gateway->errands, errand, next, all_next)
	{
		if (errand->state == ERRAND_RESTING && now_ms >= errand->rest_until_ms) {
			launch(errand);
		}
		waiting = waiting || errand->state == ERRAND_RESTING ||
			  errand->state == ERRAND_QUEUED;
	}
	pump_all(gateway);
	if (!waiting) {
		(void)uv_timer_stop(timer);
	}
}

/* --- making --- */

static int choose_slot(struct errand *errand)
{
	const struct proto_id *room = NULL;
	struct proto_message message = {.info = errand->info, .body = errand->body};

	switch (errand->info->at) {
	case PROTO_AT_REGISTRY:
		return 0;
	case PROTO_AT_PERSONAL:
		room = errand->session ? &errand->session->user : NULL;
		break;
	case PROTO_AT_ROOM:
		room = envelope_field(&message, "room", PROTO_KIND_ID);
		break;
	default:
		break;
	}
	if (!room) {
		return PROTO_E_NOT_HERE;
	}
	errand->slot = proto_id_slot(room);
	return 0;
}

static int enter_lane(struct errand *errand, uint64_t connection)
{
	struct proto_message message = {.info = errand->info, .body = errand->body};
	const struct proto_id *client = envelope_field(&message, "client", PROTO_KIND_ID);
	const uint64_t *number = envelope_field(&message, "number", PROTO_KIND_U64);
	const struct proto_id *room = envelope_field(&message, "room", PROTO_KIND_ID);
	uint64_t *prev = envelope_field(&message, "prev", PROTO_KIND_U64);

	if (connection == 0 || !client || !number || !room ||
	    errand->info->caller != PROTO_CALLER_USER) {
		return 0;
	}
	errand->lane = get_lane(errand->gateway, connection, room);
	if (!errand->lane) {
		return -ENOMEM;
	}
	errand->item.client = *client;
	errand->item.number = *number;
	errand->prev = prev && *prev == 0 ? prev : NULL;
	return 0;
}

static int take_body(struct errand *errand, const struct errand_order *order)
{
	if (order->envelope) {
		errand->envelope = *order->envelope;
		*order->envelope = ENVELOPE_INIT;
		errand->type = errand->envelope.message.header.type;
		errand->info = errand->envelope.message.info;
		errand->body = errand->envelope.message.body;
		return 0;
	}
	errand->type = order->type;
	errand->info = proto_type_info(order->type);
	errand->body = malloc(errand->info->record->size);
	errand->owns_body = true;
	if (!errand->body) {
		return -ENOMEM;
	}
	memcpy(errand->body, order->body, errand->info->record->size);
	return 0;
}

static int prepare(struct errand *errand, const struct errand_order *order)
{
	int r = take_body(errand, order);

	r = r ? r : choose_slot(errand);
	return r ? r : enter_lane(errand, order->connection);
}

int errand_send(struct gateway *gateway, const struct errand_order *order, errand_done_fn done,
		void *context, struct errand **ret_errand)
{
	struct errand *errand;
	int r;

	if (gateway->errand_count >= ERRANDS_MAX) {
		return PROTO_E_BUSY;
	}
	errand = calloc(1, sizeof(*errand));
	if (!errand) {
		return -ENOMEM;
	}
	gateway->errand_count++;
	errand->gateway = gateway;
	errand->done = done;
	errand->context = context;
	errand->deadline_ms = gateway_now_ms(gateway) +
			      (order->timeout_ms > 0 ? order->timeout_ms : ERRAND_TIMEOUT_MS);
	errand->session = order->session ? session_ref(order->session) : NULL;
	DL_APPEND2(gateway->errands, errand, all_prev, all_next);
	r = prepare(errand, order);
	if (r != 0) {
		errand_free(errand);
		return r;
	}
	if (ret_errand) {
		*ret_errand = errand;
	}
	if (errand->lane) {
		lane_append(&errand->lane->lane, &errand->item);
		pump(gateway, errand->lane);
	} else {
		launch(errand);
	}
	return 0;
}

void errand_abandon(struct errand *errand)
{
	if (!errand) {
		return;
	}
	errand->done = NULL;
	if (!errand->lane && !envelope_has_field(errand->info, "number", PROTO_KIND_U64)) {
		errand_free(errand);
	}
}

void errands_free(struct gateway *gateway)
{
	struct write_lane *lane;
	struct write_lane *next_lane;
	struct errand *errand;
	struct errand *next;

	DL_FOREACH_SAFE2(gateway->errands, errand, next, all_next)
	{
		errand_free(errand);
	}
	HASH_ITER(hh, gateway->lanes, lane, next_lane)
	{
		HASH_DEL(gateway->lanes, lane);
		free(lane);
	}
}
