/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The whole registry, asked over the bus: the real actor, store and sockets, in a folder of its
 * own. The skeleton's calls are caught by the linker (--wrap), and the wall clock can be put
 * forward. For one test program each.
 */

#include <ftw.h>
#include <sodium.h>
#include <sys/stat.h>
#include "registry/registry.h"
#include "services/clock.h"
#include "services/token.h"
#include "tests/unit/bus_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HELD_MAX 32

struct held {
	bool is_done;
	int result;
	struct proto_buffer bytes;
	struct proto_message message;
};

struct world {
	struct fixture fixture;
	struct registry_settings settings;
	struct service service;
	void *daemon;
	struct bus_link *ann; /* two connections */
	struct bus_link *bob;
	struct bus_feed *feed;
	char data[96];
	char bind[128];
	char publish[128];
	unsigned int starts;
	size_t revoked;
	size_t nodes_changed;
	size_t assigned;
	struct proto_slots_changed slots; /* its lists are not kept */
	uint64_t first_owner; /* of the first run */
	size_t slots_changed;
	struct held held[HELD_MAX];
	size_t held_count;
};

static struct {
	uint64_t later_ms;
	size_t readies;
	size_t stops;
	int failed;
} skeleton;

/* --- what the skeleton and the clock do --- */

uint64_t __real_clock_wall_ms(void);
uint64_t __wrap_clock_wall_ms(void);
void __wrap_service_ready(struct service *service);
void __wrap_service_stopped(struct service *service);
void __wrap_service_fail(struct service *service, const char *event, int error);

uint64_t __wrap_clock_wall_ms(void)
{
	return __real_clock_wall_ms() + skeleton.later_ms;
}

void __wrap_service_ready(struct service *service)
{
	(void)service;
	skeleton.readies++;
}

void __wrap_service_stopped(struct service *service)
{
	(void)service;
	skeleton.stops++;
}

void __wrap_service_fail(struct service *service, const char *event, int error)
{
	(void)service;
	(void)event;
	skeleton.failed = error;
}

/* --- asking --- */

static inline void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct held *held = context;

	held->is_done = true;
	held->result = result;
	if (answer) { /* it is gone after this call */
		cr_assert_eq(proto_encode(&held->bytes, &answer->header, answer->body), 0);
		cr_assert_eq(proto_decode(held->bytes.data, held->bytes.size, &held->message, NULL),
			     0);
	}
}

/* Begin a request. What it is answered with stays until the world ends. */
static inline struct held *begin(struct world *world, struct bus_link *link, enum proto_type type,
				 const void *body)
{
	struct held *held = &world->held[world->held_count++ % HELD_MAX];

	proto_message_deinit(&held->message);
	proto_buffer_deinit(&held->bytes);
	*held = (struct held){0};
	bus_call(link, type, body, NULL, on_answer, held, NULL);
	return held;
}

static inline int end(struct world *world, struct held *held)
{
	while (!*(volatile bool *)&held->is_done) {
		(void)uv_run(&world->fixture.loop, UV_RUN_ONCE);
	}
	return held->result;
}

/* Returns the result; `ret_message` (may be NULL) is the answer. */
static inline int ask(struct world *world, struct bus_link *link, enum proto_type type,
		      const void *body, const struct proto_message **ret_message)
{
	struct held *held = begin(world, link, type, body);
	int result = end(world, held);

	if (ret_message) {
		*ret_message = &held->message;
	}
	return result;
}

static inline void on_published(void *context, const struct proto_id *topic,
				const struct proto_message *message)
{
	struct world *world = context;

	cr_assert(proto_id_is_none(topic));
	switch (message->header.type) {
	case PROTO_SESSION_REVOKED:
		world->revoked++;
		break;
	case PROTO_NODE_CHANGED:
		world->nodes_changed++;
		break;
	case PROTO_ASSIGNMENT_CHANGED:
		world->assigned++;
		break;
	case PROTO_SLOTS_CHANGED:
		world->slots = *PROTO_BODY(message, slots_changed);
		world->first_owner = world->slots.runs.items[0].owner;
		world->slots_changed++;
		break;
	default:
		cr_assert_fail("type %d is not for this feed", (int)message->header.type);
	}
}

/* --- the world --- */

static inline void registry_up(struct world *world)
{
	(void)snprintf(world->bind, sizeof(world->bind), "ipc://%s/r%u", world->data,
		       ++world->starts);
	(void)snprintf(world->publish, sizeof(world->publish), "ipc://%s/f%u", world->data,
		       world->starts);
	cr_assert_eq(registry_spec.start(&world->service, &world->settings, &world->daemon), 0);
	cr_assert_eq(skeleton.readies, world->starts);
	cr_assert_eq(bus_link_new(world->fixture.bus, world->bind, &world->ann), 0);
	cr_assert_eq(bus_link_new(world->fixture.bus, world->bind, &world->bob), 0);
}

static inline void registry_down(struct world *world)
{
	bus_link_free(world->ann);
	bus_link_free(world->bob);
	registry_spec.stop(world->daemon);
	fixture_wait(&world->fixture, &skeleton.stops, world->starts);
	registry_spec.free(world->daemon);
	(void)uv_run(&world->fixture.loop, UV_RUN_NOWAIT);
	cr_assert_eq(skeleton.failed, 0);
}

static inline struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));

	cr_assert_not_null(world);
	memset(&skeleton, 0, sizeof(skeleton));
	cr_assert_geq(sodium_init(), 0);
	fixture_init(&world->fixture);
	(void)snprintf(world->data, sizeof(world->data), "%s/data", world->fixture.directory);
	world->settings = (struct registry_settings){
		.data = world->data,
		.bind = world->bind,
		.feed = world->publish,
		.beat_ms = 50,
		.suspect_ms = 30000,
		.dead_ms = 60000,
		.gone_ms = 60000,
		.return_ms = 60000,
		.settle_ms = 0,
		.token_ms = 600000,
		.session_ms = 86400000,
		.remember_ms = 30 * 86400000ULL,
		.argon_passes = 1,
		.argon_bytes = 8192,
		.write_quorum = 2,
		.ack_quorum = 1,
	};
	world->service = (struct service){
		.loop = &world->fixture.loop,
		.bus = world->fixture.bus,
		.metrics = world->fixture.metrics,
		.settings = &world->settings.service,
	};
	registry_up(world);
	return world;
}

static inline int remove_entry(const char *path, const struct stat *status, int kind,
			       struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static inline void world_free(struct world *world)
{
	bus_feed_free(world->feed);
	registry_down(world);
	for (size_t i = 0; i < HELD_MAX; i++) {
		proto_message_deinit(&world->held[i].message);
		proto_buffer_deinit(&world->held[i].bytes);
	}
	cr_assert_eq(nftw(world->data, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
	fixture_deinit(&world->fixture);
	free(world);
}

/* --- people --- */

struct person {
	struct proto_id session;
	struct proto_id user;
	uint8_t secret[PROTO_SECRET_BYTES];
};

static inline struct proto_account_create account_of(const char *name, const char *email)
{
	return (struct proto_account_create){
		.name = proto_span(name),
		.email = proto_span(email),
		.password = PROTO_SPAN("correct horse"),
	};
}

static inline struct person person_of(const struct proto_message *message)
{
	const struct proto_session_granted *granted = PROTO_BODY(message, session_granted);
	struct person person = {.session = granted->session, .user = granted->user};

	cr_assert_eq(granted->secret.size, PROTO_SECRET_BYTES);
	memcpy(person.secret, granted->secret.data, PROTO_SECRET_BYTES);
	return person;
}

static inline struct person sign_up(struct world *world, struct bus_link *link, const char *name)
{
	struct proto_account_create create = account_of(name, NULL);
	const struct proto_message *answer;

	cr_assert_eq(ask(world, link, PROTO_ACCOUNT_CREATE, &create, &answer), 0, "%s", name);
	return person_of(answer);
}

static inline size_t read_invitation(const struct world *world,
				     uint8_t ret_secret[PROTO_SECRET_BYTES])
{
	char path[128];
	char text[64] = {0};
	struct stat status;
	size_t size = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/invitation", world->data);
	file = fopen(path, "r");
	if (!file) {
		return 0;
	}
	cr_assert_eq(fstat(fileno(file), &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
	(void)fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	cr_assert_eq(sodium_base642bin(ret_secret, PROTO_SECRET_BYTES, text, strlen(text), NULL,
				       &size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		     0);
	return size;
}

/* --- nodes --- */

static inline struct proto_id id_of(unsigned int n)
{
	return (struct proto_id){{(uint8_t)(n >> 8), (uint8_t)n, 7}};
}

static inline int hello(struct world *world, const char *name, enum proto_service service,
			unsigned int incarnation, const char *host,
			const struct proto_message **ret_answer)
{
	struct proto_node_hello body = {
		.node = proto_span(name),
		.service = service,
		.incarnation = id_of(incarnation),
		.address = proto_span(name),
		.feed = PROTO_SPAN("feed"),
		.host = proto_span(host),
	};

	if (service == PROTO_SERVICE_STORAGED) {
		body.store = id_of(incarnation + 500);
	}
	return ask(world, world->bob, PROTO_NODE_HELLO, &body, ret_answer);
}

static inline int beat(struct world *world, const char *name, unsigned int incarnation,
		       bool is_leaving)
{
	struct proto_node_beat body = {
		.node = proto_span(name),
		.incarnation = id_of(incarnation),
		.slots = 1,
		.leaving = is_leaving,
	};

	return ask(world, world->bob, PROTO_NODE_BEAT, &body, NULL);
}

/* As the node itself would ask, if it has said hello. */
static inline struct proto_id incarnation_of(struct world *world, const char *name)
{
	struct proto_nodes_list list = {0};
	const struct proto_message *answer;
	const struct proto_nodes *nodes;

	cr_assert_eq(ask(world, world->bob, PROTO_NODES_LIST, &list, &answer), 0);
	nodes = PROTO_BODY(answer, nodes);
	for (size_t i = 0; i < nodes->nodes.count; i++) {
		if (proto_span_equal(nodes->nodes.items[i].node, proto_span(name))) {
			return nodes->nodes.items[i].incarnation;
		}
	}
	return (struct proto_id){{0}};
}

static inline size_t assigned_to(struct world *world, const char *name)
{
	struct proto_slots_assigned body = {.node = proto_span(name),
					    .incarnation = incarnation_of(world, name)};
	const struct proto_slot_ranges *ranges;
	const struct proto_message *answer;
	size_t count = 0;

	cr_assert_eq(ask(world, world->bob, PROTO_SLOTS_ASSIGNED, &body, &answer), 0);
	ranges = PROTO_BODY(answer, slot_ranges);
	for (size_t i = 0; i < ranges->ranges.count; i++) {
		count += ranges->ranges.items[i].last - ranges->ranges.items[i].first + 1;
	}
	return count;
}

/* The loop turns, by requests, until the node has so many slots. */
static inline void await_slots(struct world *world, const char *name, size_t count)
{
	while (assigned_to(world, name) != count) {}
}

static inline struct proto_slot_record record_of(unsigned int slot, const char *owner,
						 unsigned int incarnation, uint64_t version,
						 uint64_t epoch, enum proto_slot_state state)
{
	return (struct proto_slot_record){
		.slot = slot,
		.version = version,
		.epoch = epoch,
		.owner = proto_span(owner),
		.incarnation = id_of(incarnation),
		.state = state,
	};
}

static inline int swap(struct world *world, struct proto_slot_record *records, size_t count,
		       bool place, const struct proto_slot_swapped **ret_swapped)
{
	struct proto_slot_swap body = {.records = {records, count}, .place = place};
	const struct proto_message *answer;
	int result = ask(world, world->bob, PROTO_SLOT_SWAP, &body, &answer);

	if (result == 0 && ret_swapped) {
		*ret_swapped = PROTO_BODY(answer, slot_swapped);
	}
	return result;
}

/* A fresh slot is taken and opened: T1, T5. */
static inline void open_slot(struct world *world, unsigned int slot, const char *owner,
			     unsigned int incarnation)
{
	struct proto_store_ref store = {id_of(900)};
	struct proto_segment segment = {
		.since_epoch = 1, .epoch = 1, .first = 1, .members = {&store, 1}};
	struct proto_slot_record record = record_of(slot, owner, incarnation, 0, 1,
						    PROTO_SLOT_STATE_SEALING);
	const struct proto_slot_swapped *swapped;

	cr_assert_eq(swap(world, &record, 1, false, &swapped), 0);
	cr_assert_eq(swapped->records.items[0].version, 1);
	record.version = 1;
	record.state = PROTO_SLOT_STATE_OPEN;
	record.segments = (struct proto_list_segment){&segment, 1};
	cr_assert_eq(swap(world, &record, 1, false, &swapped), 0);
	cr_assert_eq(swapped->records.items[0].version, 2);
}

/* One roomd that serves one slot: rooms can be made. */
static inline void roomd_up(struct world *world, const char *name, unsigned int incarnation,
			    unsigned int slot)
{
	cr_assert_eq(hello(world, name, PROTO_SERVICE_ROOMD, incarnation, "h", NULL), 0);
	cr_assert_eq(beat(world, name, incarnation, false), 0);
	open_slot(world, slot, name, incarnation);
}

/* A late subscriber misses what was published before: says hello until the feed tells of it. */
static inline void follow(struct world *world)
{
	cr_assert_eq(
		bus_feed_new(world->fixture.bus, world->publish, on_published, world, &world->feed),
		0);
	cr_assert_eq(bus_feed_subscribe(world->feed, NULL), 0);
	while (world->nodes_changed == 0) {
		cr_assert_eq(hello(world, "gateway-1", PROTO_SERVICE_GATEWAY, 1, "", NULL), 0);
	}
}
