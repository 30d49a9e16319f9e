/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The bus over real sockets, server and client on one loop. Where a test needs a peer that breaks
 * the rules, or one that does not read, it takes a raw ZeroMQ socket of another context.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <utlist.h>
#include <zmq.h>
#include "services/clock.h"
#include "tests/unit/bus_fixture.h"

#define FLOOD 100000

/* --- a server --- */

struct store {
	struct bus_request *kept[64];
	size_t kept_count;
	size_t received;
	uint64_t peers[64];
	struct bus_server *server; /* freed by on_gone() */
	size_t gone;
	uint64_t gone_peer;
};

/* Answers at once. */
static void on_beat(void *context, struct bus_request *request, const struct proto_message *message)
{
	struct store *store = context;
	struct proto_node_beaten body = {.slots_version = PROTO_BODY(message, node_beat)->rooms};

	store->peers[store->received % 64] = bus_request_peer(request);
	store->received++;
	bus_reply(request, PROTO_NODE_BEATEN, &body);
}

/* Keeps the request. */
static void on_slots_get(void *context, struct bus_request *request,
			 const struct proto_message *message)
{
	struct store *store = context;

	(void)message;
	store->received++;
	if (store->kept_count < 64) {
		store->kept[store->kept_count++] = request;
	} else {
		bus_refuse(request, PROTO_E_BUSY, NULL);
	}
}

/* Refuses. */
static void on_account_read(void *context, struct bus_request *request,
			    const struct proto_message *message)
{
	struct store *store = context;

	(void)message;
	store->received++;
	bus_refuse(request, PROTO_E_NOT_FOUND, "nobody of that name");
}

static const struct bus_route routes[] = {
	{PROTO_NODE_BEAT, on_beat},
	{PROTO_SLOTS_GET, on_slots_get},
	{PROTO_ACCOUNT_READ, on_account_read},
};

#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static struct bus_server *serve(struct fixture *fixture, struct store *store)
{
	struct bus_server *server = NULL;

	cr_assert_eq(bus_server_new(fixture->bus, fixture->address, routes, ROUTES, store, &server),
		     0);
	return server;
}

static struct bus_link *connect_link(struct fixture *fixture)
{
	struct bus_link *link = NULL;

	cr_assert_eq(bus_link_new(fixture->bus, fixture->address, &link), 0);
	return link;
}

/* --- calls --- */

struct outcome {
	size_t done;
	int result;
	uint64_t number;
	char detail[64];
	size_t failed;
	bool within; /* bus_call() has not returned */
};

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct outcome *outcome = context;

	cr_assert_not(outcome->within, "called back inside the call");
	outcome->done++;
	outcome->result = result;
	outcome->failed += result != 0;
	if (answer && answer->header.type == PROTO_NODE_BEATEN) {
		outcome->number = PROTO_BODY(answer, node_beaten)->slots_version;
	}
	if (answer && answer->header.type == PROTO_ERROR) {
		struct proto_span detail = PROTO_BODY(answer, error)->detail;

		(void)snprintf(outcome->detail, sizeof(outcome->detail), "%.*s", (int)detail.size,
			       detail.size ? detail.data : "");
	}
}

static void call(struct bus_link *link, enum proto_type type, const void *body,
		 struct bus_call_options options, struct outcome *outcome)
{
	outcome->within = true;
	bus_call(link, type, body, &options, on_answer, outcome, NULL);
	outcome->within = false;
}

static void call_beat(struct bus_link *link, uint64_t number, struct bus_call_options options,
		      struct outcome *outcome)
{
	struct proto_node_beat beat = {
		.node = PROTO_SPAN("n"),
		.incarnation = {{1}},
		.rooms = number,
	};

	call(link, PROTO_NODE_BEAT, &beat, options, outcome);
}

static void call_slots(struct bus_link *link, struct bus_call_options options,
		       struct outcome *outcome)
{
	call(link, PROTO_SLOTS_GET, NULL, options, outcome);
}

/* The value of a series; 0 if it is not there. */
static double series(struct fixture *fixture, const char *name)
{
	char *text = NULL;
	size_t size = 0;
	const char *row;
	double value = 0;

	cr_assert_eq(metrics_write(fixture->metrics, &text, &size), 0);
	for (row = strstr(text, name); row; row = strstr(row + 1, name)) {
		if ((row == text || row[-1] == '\n') && row[strlen(name)] == ' ') {
			value = strtod(row + strlen(name), NULL);
		}
	}
	free(text);
	return value;
}

static void wait_no_peers(struct fixture *fixture)
{
	while (series(fixture, "districhat_bus_peers") > 0) {
		(void)uv_run(&fixture->loop, UV_RUN_ONCE);
	}
}

#define DEFAULTS ((struct bus_call_options){0})

Test(bus, request_and_reply)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcome = {0};
	struct bus_link *link;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	link = connect_link(&fixture);
	call_beat(link, 42, DEFAULTS, &outcome);
	fixture_wait(&fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, 0);
	cr_assert_eq(outcome.number, 42);
	cr_assert(bus_link_is_up(link));
	cr_assert_eq(
		series(&fixture, "districhat_bus_requests_total{type=\"node_beat\",code=\"ok\"}"),
		1);
	cr_assert_eq(series(&fixture, "districhat_bus_calls_total{type=\"node_beat\",code=\"ok\"}"),
		     1);
	cr_assert_eq(series(&fixture, "districhat_bus_calls_open"), 0);
	cr_assert_eq(series(&fixture, "districhat_bus_requests_open"), 0);
	fixture_deinit(&fixture);
}

Test(bus, works_over_tcp_and_inproc)
{
	static const char *const addresses[] = {"tcp://127.0.0.1:*", "tcp://[::1]:*",
						"inproc://here", "ipc://*"};
	struct fixture fixture;

	fixture_init(&fixture);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct store store = {0};
		struct outcome outcome = {0};
		struct bus_server *server = NULL;
		struct bus_link *link = NULL;
		int r = bus_server_new(fixture.bus, addresses[i], routes, ROUTES, &store, &server);

		if (i == 1 && r < 0) {
			continue; /* a machine without IPv6 */
		}
		cr_assert_eq(r, 0);
		cr_assert_eq(bus_link_new(fixture.bus, bus_server_address(server), &link), 0);
		call_beat(link, 1, DEFAULTS, &outcome);
		fixture_wait(&fixture, &outcome.done, 1);
		cr_assert_eq(outcome.result, 0, "%s", addresses[i]);
		bus_link_free(link);
		bus_server_free(server);
	}
	fixture_deinit(&fixture);
}

Test(bus, answers_may_come_later_and_in_any_order)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcomes[3] = {0};
	struct proto_slot_map map = {.version = 7};
	struct bus_link *link;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	link = connect_link(&fixture);
	for (size_t i = 0; i < 3; i++) {
		call_slots(link, DEFAULTS, &outcomes[i]);
	}
	fixture_wait(&fixture, &store.kept_count, 3);
	cr_assert_eq(bus_request_peer(store.kept[0]), bus_request_peer(store.kept[2]));
	cr_assert_gt(bus_request_time_left_ms(store.kept[0]), 0);
	bus_ok(store.kept[2]); /* not the type that the table gives */
	bus_reply(store.kept[1], PROTO_SLOT_MAP, &map);
	bus_refuse_with(store.kept[0], PROTO_E_BUSY, &(struct proto_error){.retry_ms = 5});
	for (size_t i = 0; i < 3; i++) {
		fixture_wait(&fixture, &outcomes[i].done, 1);
	}
	cr_assert_eq(outcomes[0].result, PROTO_E_BUSY);
	cr_assert_eq(outcomes[1].result, 0);
	cr_assert_eq(outcomes[2].result, PROTO_E_INTERNAL);
	fixture_deinit(&fixture);
}

Test(bus, errors_arrive_with_their_code)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome refused = {0};
	struct outcome nowhere = {0};
	struct outcome pinged = {0};
	struct outcome wrong = {0};
	struct proto_account_read read = {.user = {{1}}};
	struct proto_node_beat too_long = {
		.node = {(char[PROTO_NAME_BYTES_MAX + 1]){0}, PROTO_NAME_BYTES_MAX + 1}};
	struct bus_link *link;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	link = connect_link(&fixture);
	call(link, PROTO_ACCOUNT_READ, &read, DEFAULTS, &refused);
	call(link, PROTO_NODES_LIST, NULL, DEFAULTS, &nowhere);
	call(link, PROTO_PING, NULL, DEFAULTS, &pinged);
	call(link, PROTO_NODE_BEAT, &too_long, DEFAULTS, &wrong);
	fixture_wait(&fixture, &refused.done, 1);
	fixture_wait(&fixture, &nowhere.done, 1);
	fixture_wait(&fixture, &pinged.done, 1);
	fixture_wait(&fixture, &wrong.done, 1);
	cr_assert_eq(refused.result, PROTO_E_NOT_FOUND);
	cr_assert_str_eq(refused.detail, "nobody of that name");
	cr_assert_eq(nowhere.result, PROTO_E_NOT_HERE);
	cr_assert_eq(pinged.result, 0);
	cr_assert_eq(wrong.result, PROTO_E_INTERNAL);
	cr_assert_eq(
		series(&fixture,
		       "districhat_bus_requests_total{type=\"account_read\",code=\"not_found\"}"),
		1);
	fixture_deinit(&fixture);
}

Test(bus, unanswered_calls_time_out)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcome = {0};
	uint64_t started_ms;
	struct bus_link *link;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	link = connect_link(&fixture);
	started_ms = clock_monotonic_ms();
	call_slots(link, (struct bus_call_options){.timeout_ms = 300}, &outcome);
	fixture_wait(&fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, PROTO_E_TIMEOUT);
	cr_assert_geq(clock_monotonic_ms() - started_ms, 300);
	cr_assert_eq(store.kept_count, 1);
	cr_assert_lt(bus_request_time_left_ms(store.kept[0]), 300);
	bus_ok(store.kept[0]); /* too late: dropped by the link */
	call_beat(link, 1, DEFAULTS, &outcome);
	fixture_wait(&fixture, &outcome.done, 2);
	cr_assert_eq(outcome.result, 0);
	cr_assert_eq(series(&fixture, "districhat_bus_dropped_total{reason=\"unknown_answer\"}"),
		     1);
	fixture_deinit(&fixture);
}

Test(bus, a_link_to_nobody_ends_calls_as_unavailable)
{
	struct fixture fixture;
	struct outcome outcome = {0};
	struct bus_link *link;

	fixture_init(&fixture);
	link = connect_link(&fixture);
	call_beat(link, 1, (struct bus_call_options){.timeout_ms = 100}, &outcome);
	fixture_wait(&fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, PROTO_E_UNAVAILABLE);
	cr_assert_not(bus_link_is_up(link));
	fixture_deinit(&fixture);
}

static void count_up(void *context)
{
	(*(size_t *)context)++;
}

Test(bus, calls_wait_for_the_server_in_order)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcome = {0};
	size_t ups = 0;
	struct bus_link *link;

	fixture_init(&fixture);
	link = connect_link(&fixture);
	bus_link_on_up(link, count_up, &ups);
	for (uint64_t i = 1; i <= 10; i++) {
		call_beat(link, i, DEFAULTS, &outcome);
	}
	(void)serve(&fixture, &store);
	fixture_wait(&fixture, &outcome.done, 10);
	cr_assert_eq(outcome.failed, 0);
	cr_assert_eq(outcome.number, 10);
	cr_assert_eq(ups, 1);
	fixture_deinit(&fixture);
}

Test(bus, retries_reach_a_server_that_restarts)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome retried = {0};
	struct outcome once = {0};
	struct proto_slot_map map = {.version = 7};
	struct bus_server *server;
	struct bus_link *link;
	uint64_t peer;

	fixture_init(&fixture);
	server = serve(&fixture, &store);
	link = connect_link(&fixture);
	call_slots(link, (struct bus_call_options){.timeout_ms = 30000, .retry_ms = 20000},
		   &retried);
	call_slots(link, (struct bus_call_options){.timeout_ms = 30000}, &once);
	fixture_wait(&fixture, &store.kept_count, 2);
	peer = bus_request_peer(store.kept[0]);
	bus_server_free(server);
	fixture_wait(&fixture, &once.done, 1); /* at once, not at its deadline */
	cr_assert_eq(once.result, PROTO_E_UNAVAILABLE);
	bus_ok(store.kept[0]); /* the server is gone: dropped */
	bus_ok(store.kept[1]);
	(void)serve(&fixture, &store);
	fixture_wait(&fixture, &store.kept_count,
		     3); /* again by itself, as soon as the link is up */
	cr_assert_neq(bus_request_peer(store.kept[2]), peer);
	bus_reply(store.kept[2], PROTO_SLOT_MAP, &map);
	fixture_wait(&fixture, &retried.done, 1);
	cr_assert_eq(retried.result, 0);
	fixture_deinit(&fixture);
}

Test(bus, retries_go_out_while_no_answer_comes)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcome = {0};
	struct proto_slot_map map = {.version = 7};
	struct bus_link *link;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	link = connect_link(&fixture);
	call_slots(link, (struct bus_call_options){.timeout_ms = 10000, .retry_ms = 20}, &outcome);
	fixture_wait(&fixture, &store.kept_count, 3);
	cr_assert_leq(bus_request_time_left_ms(store.kept[2]),
		      bus_request_time_left_ms(store.kept[0]) + 1);
	for (size_t i = 0; i < store.kept_count; i++) {
		bus_reply(store.kept[i], PROTO_SLOT_MAP, &map);
	}
	fixture_wait(&fixture, &outcome.done, 1);
	cr_assert_eq(outcome.done, 1);
	cr_assert_geq(series(&fixture, "districhat_bus_retries_total"), 2);
	fixture_deinit(&fixture);
}

Test(bus, a_cancelled_call_is_not_told)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome cancelled = {0};
	struct outcome other = {0};
	struct bus_call *handle = NULL;
	struct bus_link *link;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	link = connect_link(&fixture);
	bus_call(link, PROTO_SLOTS_GET, NULL, NULL, on_answer, &cancelled, &handle);
	fixture_wait(&fixture, &store.kept_count, 1);
	bus_call_cancel(handle);
	bus_ok(store.kept[0]);
	bus_call(link, PROTO_PING, NULL, NULL, on_answer, &cancelled, &handle);
	bus_call_cancel(handle); /* before it was sent */
	call_beat(link, 1, DEFAULTS, &other);
	fixture_wait(&fixture, &other.done, 1);
	cr_assert_eq(cancelled.done, 0);
	cr_assert_eq(series(&fixture, "districhat_bus_calls_open"), 0);
	fixture_deinit(&fixture);
}

Test(bus, a_full_link_is_busy)
{
	struct fixture fixture;
	struct outcome outcome = {0};
	struct outcome refused = {0};
	struct bus_link *link;

	fixture_init(&fixture);
	link = connect_link(&fixture); /* to nobody */
	for (size_t i = 0; i < BUS_CALLS_MAX; i++) {
		call_beat(link, i, (struct bus_call_options){.timeout_ms = 100 + i % 400},
			  &outcome);
	}
	call_beat(link, 1, DEFAULTS, &refused);
	fixture_wait(&fixture, &refused.done, 1);
	cr_assert_eq(refused.result, PROTO_E_BUSY);
	fixture_wait(&fixture, &outcome.done, BUS_CALLS_MAX);
	cr_assert_eq(outcome.failed, BUS_CALLS_MAX);
	fixture_deinit(&fixture);
}

/* --- freeing --- */

Test(bus, free_tells_calls_that_wait)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcomes[3] = {0};
	struct bus_link *links[2];

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	links[0] = connect_link(&fixture);
	links[1] = connect_link(&fixture);
	for (size_t i = 0; i < 3; i++) {
		call_slots(links[i % 2], DEFAULTS, &outcomes[i]);
	}
	fixture_wait(&fixture, &store.kept_count, 3);
	bus_link_free(links[0]);
	cr_assert_eq(outcomes[0].done, 0);
	fixture_wait(&fixture, &outcomes[0].done, 1);
	cr_assert_eq(outcomes[0].result, PROTO_E_UNAVAILABLE);
	cr_assert_eq(outcomes[1].done, 0);
	bus_close(fixture.bus);
	cr_assert_eq(outcomes[1].done, 1);
	cr_assert_eq(outcomes[1].result, PROTO_E_UNAVAILABLE);
	fixture_deinit(&fixture);
	for (size_t i = 0; i < 3; i++) {
		bus_ok(store.kept[i]); /* requests outlive everything */
	}
}

struct suicide {
	struct bus_link *link;
	struct bus_server *server;
	struct bus_feed *feed;
	struct outcome last;
	size_t done;
};

static void free_link(void *context, int result, const struct proto_message *answer)
{
	struct suicide *suicide = context;

	(void)result;
	(void)answer;
	if (suicide->link) {
		bus_link_free(suicide->link);
		suicide->link = NULL;
	}
	suicide->done++;
}

static void free_server(void *context, struct bus_request *request,
			const struct proto_message *message)
{
	struct suicide *suicide = context;

	(void)message;
	bus_server_free(suicide->server);
	bus_ok(request);
	suicide->done++;
}

static void free_feed(void *context, const struct proto_id *topic,
		      const struct proto_message *message)
{
	struct suicide *suicide = context;

	(void)topic;
	(void)message;
	bus_feed_free(suicide->feed);
	suicide->done++;
}

Test(bus, callbacks_may_free_what_called_them)
{
	static const struct bus_route deadly[] = {{PROTO_SLOTS_GET, free_server}};
	struct fixture fixture;
	struct suicide by_link = {0};
	struct suicide by_server = {0};
	struct suicide by_feed = {0};
	struct proto_assignment_changed body = {.version = 1};
	struct bus_publisher *publisher = NULL;
	struct store store = {0};
	struct bus_server *server;

	fixture_init(&fixture);
	server = serve(&fixture, &store);
	cr_assert_eq(bus_link_new(fixture.bus, fixture.address, &by_link.link), 0);
	for (size_t i = 0; i < 5; i++) {
		bus_call(by_link.link, PROTO_PING, NULL, NULL, free_link, &by_link, NULL);
	}
	fixture_wait(&fixture, &by_link.done, 5);
	bus_server_free(server);

	cr_assert_eq(bus_server_new(fixture.bus, "tcp://127.0.0.1:*", deadly, 1, &by_server,
				    &by_server.server),
		     0);
	cr_assert_eq(
		bus_link_new(fixture.bus, bus_server_address(by_server.server), &by_server.link),
		0);
	call_slots(by_server.link, DEFAULTS, &by_server.last);
	fixture_wait(&fixture, &by_server.done, 1);
	fixture_wait(&fixture, &by_server.last.done, 1);
	cr_assert_eq(by_server.last.result, PROTO_E_UNAVAILABLE);

	cr_assert_eq(bus_publisher_new(fixture.bus, fixture.feed, &publisher), 0);
	cr_assert_eq(bus_feed_new(fixture.bus, fixture.feed, free_feed, &by_feed, &by_feed.feed),
		     0);
	cr_assert_eq(bus_feed_subscribe(by_feed.feed, NULL), 0);
	while (by_feed.done == 0) {
		bus_publish(publisher, NULL, PROTO_ASSIGNMENT_CHANGED, &body);
		bus_publish(publisher, NULL, PROTO_ASSIGNMENT_CHANGED, &body);
		(void)uv_run(&fixture.loop, UV_RUN_NOWAIT);
	}
	fixture_deinit(&fixture);
}

/* --- publishing --- */

struct reader {
	size_t count;
	uint64_t last;
	size_t disorder;
	struct proto_id topic;
	size_t ups;
};

static void on_message(void *context, const struct proto_id *topic,
		       const struct proto_message *message)
{
	struct reader *reader = context;
	uint64_t version = PROTO_BODY(message, assignment_changed)->version;

	cr_assert_eq(message->header.type, PROTO_ASSIGNMENT_CHANGED);
	reader->disorder += version != 0 && version != reader->last + 1;
	reader->last = version;
	reader->topic = *topic;
	reader->count += version != 0;
}

static void on_feed_up(void *context)
{
	((struct reader *)context)->ups++;
}

static void publish(struct bus_publisher *publisher, const struct proto_id *topic, uint64_t version)
{
	struct proto_assignment_changed body = {.version = version};

	bus_publish(publisher, topic, PROTO_ASSIGNMENT_CHANGED, &body);
}

/* Version 0 is published until the subscription has arrived. */
static void settle(struct fixture *fixture, struct bus_publisher *publisher, struct reader *reader,
		   const struct proto_id *topic)
{
	reader->topic = (struct proto_id){{0xff}};
	while (!proto_id_equal(&reader->topic, topic)) {
		publish(publisher, topic, 0);
		(void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
	}
	reader->last = 0;
}

static void check_subscriptions(uint8_t first_byte)
{
	struct fixture fixture;
	struct reader reader = {0};
	struct proto_id a = {{first_byte, 5}};
	struct proto_id b = {{2}};
	struct proto_id c = {{3}};
	struct bus_publisher *publisher = NULL;
	struct bus_feed *feed = NULL;

	fixture_init(&fixture);
	cr_assert_eq(bus_publisher_new(fixture.bus, fixture.feed, &publisher), 0);
	cr_assert_str_eq(bus_publisher_address(publisher), fixture.feed);
	cr_assert_eq(bus_feed_new(fixture.bus, fixture.feed, on_message, &reader, &feed), 0);
	bus_feed_on_up(feed, on_feed_up, &reader);
	cr_assert_eq(bus_feed_subscribe(feed, &a), 0);
	cr_assert_eq(bus_feed_subscribe(feed, &a), 0);
	settle(&fixture, publisher, &reader, &a);
	cr_assert_eq(reader.ups, 1);
	publish(publisher, &b, 77);
	publish(publisher, &a, 1);
	fixture_wait(&fixture, &reader.count, 1);
	cr_assert_eq(reader.last, 1);
	cr_assert(proto_id_equal(&reader.topic, &a));

	bus_feed_unsubscribe(feed, &a); /* one of two */
	cr_assert_eq(bus_feed_subscribe(feed, &c), 0);
	settle(&fixture, publisher, &reader,
	       &c); /* whatever the first told the publisher has arrived */
	publish(publisher, &a, 1);
	fixture_wait(&fixture, &reader.count, 2);
	bus_feed_unsubscribe(feed, &a);
	cr_assert_eq(bus_feed_subscribe(feed, &b), 0);
	settle(&fixture, publisher, &reader, &b); /* the unsubscription was sent before that */
	publish(publisher, &a, 5);
	publish(publisher, &b, 1);
	fixture_wait(&fixture, &reader.count, 3);
	cr_assert_eq(reader.last, 1);
	fixture_deinit(&fixture);
}

Test(bus, feeds_get_what_they_subscribed_to)
{
	static const uint8_t rows[] = {0, 1, 7,
				       0xff}; /* 0 and 1 are what subscription frames begin with */

	for (size_t i = 0; i < sizeof(rows); i++) {
		check_subscriptions(rows[i]);
	}
}

Test(bus, feeds_subscribe_again_after_a_reconnect)
{
	struct fixture fixture;
	struct reader reader = {0};
	struct proto_id topic = {{9}};
	struct bus_publisher *publisher = NULL;
	struct bus_feed *feed = NULL;

	fixture_init(&fixture);
	cr_assert_eq(bus_publisher_new(fixture.bus, fixture.feed, &publisher), 0);
	cr_assert_eq(bus_feed_new(fixture.bus, fixture.feed, on_message, &reader, &feed), 0);
	bus_feed_on_up(feed, on_feed_up, &reader);
	cr_assert_eq(bus_feed_subscribe(feed, &topic), 0);
	settle(&fixture, publisher, &reader, &topic);
	bus_publisher_free(publisher);
	while (bus_publisher_new(fixture.bus, fixture.feed, &publisher) == -EADDRINUSE) {
		(void)uv_run(&fixture.loop, UV_RUN_NOWAIT); /* libzmq's own thread closes it */
	}
	fixture_wait(&fixture, &reader.ups, 2);
	settle(&fixture, publisher, &reader, &topic);
	fixture_deinit(&fixture);
}

/* --- floods --- */

struct flood {
	struct bus_link *link;
	size_t made;
	size_t done;
	size_t failed;
	uint64_t next; /* answers come in the order of calls */
	size_t disorder;
};

static void flood_call(struct flood *flood);

static void on_flood_answer(void *context, int result, const struct proto_message *answer)
{
	struct flood *flood = context;

	flood->done++;
	flood->failed += result != 0;
	if (result == 0) {
		flood->disorder += PROTO_BODY(answer, node_beaten)->slots_version != flood->next;
		flood->next++;
	}
	if (flood->made < FLOOD) {
		flood_call(flood);
	}
}

static void flood_call(struct flood *flood)
{
	static const struct bus_call_options options = {.timeout_ms = 50000};
	struct proto_node_beat beat = {
		.node = PROTO_SPAN("n"), .incarnation = {{1}}, .rooms = flood->made};

	flood->made++;
	bus_call(flood->link, PROTO_NODE_BEAT, &beat, &options, on_flood_answer, flood, NULL);
}

Test(bus, a_flood_of_calls_loses_none)
{
	struct fixture fixture;
	struct store store = {0};
	struct flood floods[2] = {0};

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	for (size_t i = 0; i < 2; i++) {
		floods[i].link = connect_link(&fixture);
		while (floods[i].made < 50000) { /* far past every high-water mark */
			flood_call(&floods[i]);
		}
	}
	fixture_wait(&fixture, &floods[0].done, FLOOD);
	fixture_wait(&fixture, &floods[1].done, FLOOD);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(floods[i].failed, 0);
		cr_assert_eq(floods[i].disorder, 0);
	}
	cr_assert_eq(store.received, 2 * FLOOD);
	cr_assert_eq(series(&fixture, "districhat_bus_answers_held"), 0);
	fixture_deinit(&fixture);
}

Test(bus, a_paced_flood_of_publications_loses_none)
{
	struct fixture fixture;
	struct reader reader = {0};
	struct proto_id topic = {{9}};
	struct bus_publisher *publisher = NULL;
	struct bus_feed *feed = NULL;

	fixture_init(&fixture);
	cr_assert_eq(bus_publisher_new(fixture.bus, fixture.feed, &publisher), 0);
	cr_assert_eq(bus_feed_new(fixture.bus, fixture.feed, on_message, &reader, &feed), 0);
	cr_assert_eq(bus_feed_subscribe(feed, NULL), 0);
	settle(&fixture, publisher, &reader, &topic);
	for (uint64_t i = 1; i <= FLOOD; i++) {
		publish(publisher, &topic, i);
		if (i % 4000 == 0) { /* libzmq is sure of half a high-water mark only */
			fixture_wait(&fixture, &reader.count, i);
		}
	}
	cr_assert_eq(reader.count, FLOOD);
	cr_assert_eq(reader.disorder, 0);
	fixture_deinit(&fixture);
}

/* --- peers that break the rules --- */

struct raw {
	void *context;
	void *socket;
};

static void raw_init(struct raw *raw, int type, const char *address)
{
	int linger = 0;

	raw->context = zmq_ctx_new();
	raw->socket = zmq_socket(raw->context, type);
	cr_assert_not_null(raw->socket);
	(void)zmq_setsockopt(raw->socket, ZMQ_LINGER, &linger, sizeof(linger));
	cr_assert_eq(zmq_connect(raw->socket, address), 0);
}

static void raw_deinit(struct raw *raw)
{
	(void)zmq_close(raw->socket);
	(void)zmq_ctx_term(raw->context);
}

/* Receives and decodes one answer while the loop turns. */
static enum proto_code raw_answer(struct fixture *fixture, struct raw *raw,
				  struct proto_header *ret_header)
{
	struct proto_message message = PROTO_MESSAGE_INIT;
	char bytes[2048];
	enum proto_code code = 0;
	int size;

	while ((size = zmq_recv(raw->socket, bytes, sizeof(bytes), ZMQ_DONTWAIT)) < 0) {
		(void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
	}
	cr_assert_eq(proto_decode(bytes, (size_t)size, &message, NULL), 0);
	*ret_header = message.header;
	if (message.header.type == PROTO_ERROR) {
		code = proto_error_find(PROTO_BODY(&message, error)->code)->number;
	}
	proto_message_deinit(&message);
	return code;
}

static void raw_send(struct raw *raw, const struct proto_header *header, const void *body)
{
	struct proto_buffer bytes = PROTO_BUFFER_INIT;

	cr_assert_eq(proto_encode(&bytes, header, body), 0);
	cr_assert_geq(zmq_send(raw->socket, bytes.data, bytes.size, 0), 0);
	proto_buffer_deinit(&bytes);
}

Test(bus, garbage_is_answered)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum proto_code code;
		uint64_t request;
	} rows[] = {
		{"", 0, PROTO_E_MALFORMED, 0},
		{"\xc1", 1, PROTO_E_MALFORMED, 0},
		{"\x81\xa1t\x03\x00", 5, PROTO_E_MALFORMED, 0},
		{"\x82\xa1t\xcd\x0f\xff\xa1i\x07", 9, PROTO_E_UNKNOWN_TYPE, 7},
		{"\x82\xa1t\x2a\xa1i\x08", 7, PROTO_E_MISSING_FIELD, 8},
	};
	struct fixture fixture;
	struct store store = {0};
	struct raw raw;
	struct proto_header header;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	raw_init(&raw, ZMQ_DEALER, fixture.address);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_geq(zmq_send(raw.socket, rows[i].bytes, rows[i].size, 0), 0);
		cr_assert_eq(raw_answer(&fixture, &raw, &header), rows[i].code, "row %zu", i);
		cr_assert_eq(header.request, rows[i].request, "row %zu", i);
	}
	for (size_t parts = 2; parts <= 5; parts++) {
		for (size_t i = 0; i < parts; i++) {
			cr_assert_geq(zmq_send(raw.socket, "x", 1, i + 1 < parts ? ZMQ_SNDMORE : 0),
				      0);
		}
		cr_assert_eq(raw_answer(&fixture, &raw, &header), PROTO_E_MALFORMED);
	}
	cr_assert_eq(series(&fixture, "districhat_bus_dropped_total{reason=\"malformed\"}"), 5);
	cr_assert_eq(series(&fixture, "districhat_bus_dropped_total{reason=\"parts\"}"), 4);
	cr_assert_eq(series(&fixture, "districhat_bus_requests_open"), 0);
	raw_deinit(&raw);
	fixture_deinit(&fixture);
}

Test(bus, honest_calls_go_on_in_a_storm_of_garbage)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcome = {0};
	struct raw raw;
	struct bus_link *link;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	link = connect_link(&fixture);
	raw_init(&raw, ZMQ_DEALER, fixture.address);
	srand(1);
	for (size_t round = 0; round < 300; round++) {
		for (size_t i = 0; i < 50; i++) {
			uint8_t bytes[64];
			size_t size = (size_t)rand() % sizeof(bytes);

			for (size_t k = 0; k < size; k++) {
				bytes[k] = (uint8_t)rand();
			}
			(void)zmq_send(raw.socket, bytes, size,
				       ZMQ_DONTWAIT | (rand() % 3 == 0 ? ZMQ_SNDMORE : 0));
		}
		call_beat(link, round, DEFAULTS, &outcome); /* the storm never reads its answers */
		fixture_wait(&fixture, &outcome.done, round + 1);
	}
	cr_assert_eq(outcome.failed, 0);
	raw_deinit(&raw);
	fixture_deinit(&fixture);
}

static void block_50_ms(void *context, struct bus_request *request,
			const struct proto_message *message)
{
	struct store *store = context;
	uint64_t end_ms = clock_monotonic_ms() + 50;

	(void)message;
	while (clock_monotonic_ms() < end_ms) {}
	store->received++;
	bus_ok(request);
}

Test(bus, requests_past_their_deadline_are_not_handled)
{
	static const struct bus_route slow[] = {{PROTO_SLOTS_GET, block_50_ms}};
	struct fixture fixture;
	struct store store = {0};
	struct bus_server *server = NULL;
	struct proto_header header = {.type = PROTO_SLOTS_GET, .deadline_ms = 20};
	struct raw raw;
	size_t expired = 0;

	fixture_init(&fixture);
	raw_init(&raw, ZMQ_DEALER, fixture.address);
	for (header.request = 1; header.request <= 3; header.request++) {
		raw_send(&raw, &header,
			 NULL); /* wait for the connection, so that they arrive together */
	}
	cr_assert_eq(bus_server_new(fixture.bus, fixture.address, slow, 1, &store, &server), 0);
	for (size_t i = 0; i < 3; i++) {
		expired += raw_answer(&fixture, &raw, &header) == PROTO_E_EXPIRED;
	}
	cr_assert_eq(expired + store.received, 3);
	cr_assert_geq(store.received, 1);
	cr_assert_geq(expired, 1);
	raw_deinit(&raw);
	fixture_deinit(&fixture);
}

Test(bus, peers_have_numbers_of_their_own)
{
	struct fixture fixture;
	struct store store = {0};
	struct proto_node_beat beat = {.node = PROTO_SPAN("n"), .incarnation = {{1}}};
	struct proto_header header = {.type = PROTO_NODE_BEAT, .request = 1};

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	for (size_t i = 0; i < 3; i++) { /* each comes back under the same routing id */
		struct raw raw;
		struct proto_header answer;

		raw.context = zmq_ctx_new();
		raw.socket = zmq_socket(raw.context, ZMQ_DEALER);
		cr_assert_eq(zmq_setsockopt(raw.socket, ZMQ_ROUTING_ID, "same", 4), 0);
		cr_assert_eq(zmq_connect(raw.socket, fixture.address), 0);
		raw_send(&raw, &header, &beat);
		raw_send(&raw, &header, &beat);
		cr_assert_eq(raw_answer(&fixture, &raw, &answer), 0);
		cr_assert_eq(raw_answer(&fixture, &raw, &answer), 0);
		raw_deinit(&raw);
		wait_no_peers(&fixture);
	}
	cr_assert_eq(store.peers[0], store.peers[1]);
	cr_assert_neq(store.peers[1], store.peers[2]);
	cr_assert_eq(store.peers[2], store.peers[3]);
	cr_assert_neq(store.peers[3], store.peers[4]);
	fixture_deinit(&fixture);
}

static void on_gone(void *context, uint64_t peer)
{
	struct store *store = context;

	store->gone++;
	store->gone_peer = peer;
	bus_server_free(store->server);
	store->server = NULL;
}

Test(bus, the_end_of_a_connection_is_told_once)
{
	struct proto_node_beat beat = {.node = PROTO_SPAN("n"), .incarnation = {{1}}};
	struct proto_header header = {.type = PROTO_NODE_BEAT, .request = 1};

	for (size_t i = 0; i < 2; i++) { /* the second time the server is freed by it */
		struct fixture fixture;
		struct store store = {0};
		struct bus_server *server;
		struct proto_header answer;
		struct raw first;
		struct raw second;

		fixture_init(&fixture);
		server = serve(&fixture, &store);
		store.server = i == 0 ? NULL : server;
		bus_server_on_gone(server, on_gone);
		raw_init(&first, ZMQ_DEALER, fixture.address);
		raw_send(&first, &header, &beat);
		cr_assert_eq(raw_answer(&fixture, &first, &answer), 0);
		raw_init(&second, ZMQ_DEALER, fixture.address);
		raw_send(&second, &header, &beat);
		cr_assert_eq(raw_answer(&fixture, &second, &answer), 0);
		cr_assert_neq(store.peers[0], store.peers[1]);
		raw_deinit(&first);
		fixture_wait(&fixture, &store.gone, 1);
		cr_assert_eq(store.gone_peer, store.peers[0]);
		raw_deinit(&second);
		if (i == 0) {
			fixture_wait(&fixture, &store.gone, 2);
			cr_assert_eq(store.gone_peer, store.peers[1]);
		}
		fixture_deinit(&fixture);
		cr_assert_eq(store.gone, i == 0 ? 2 : 1);
	}
}

Test(bus, a_peer_that_is_gone_gets_no_answer)
{
	struct fixture fixture;
	struct store store = {0};
	struct proto_header header = {.type = PROTO_SLOTS_GET, .request = 1};
	struct raw raw;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	raw_init(&raw, ZMQ_DEALER, fixture.address);
	raw_send(&raw, &header, NULL);
	fixture_wait(&fixture, &store.kept_count, 1);
	raw_deinit(&raw);
	wait_no_peers(&fixture);
	bus_ok(store.kept[0]);
	cr_assert_eq(series(&fixture, "districhat_bus_dropped_total{reason=\"peer_gone\"}"), 1);
	fixture_deinit(&fixture);
}

Test(bus, a_peer_that_does_not_read_is_bounded)
{
	struct fixture fixture;
	struct store store = {0};
	struct outcome outcome = {0};
	struct proto_node_beat beat = {.node = PROTO_SPAN("n"), .incarnation = {{1}}};
	struct proto_header header = {.type = PROTO_NODE_BEAT, .request = 1};
	struct bus_link *link;
	struct raw raw;

	fixture_init(&fixture);
	(void)serve(&fixture, &store);
	raw_init(&raw, ZMQ_DEALER, fixture.address);
	while (series(&fixture, "districhat_bus_answers_held") == 0) {
		for (size_t i = 0; i < 1000; i++) {
			raw_send(&raw, &header, &beat);
			(void)uv_run(&fixture.loop, UV_RUN_NOWAIT);
		}
	}
	link = connect_link(&fixture);
	call_beat(link, 1, DEFAULTS, &outcome);
	fixture_wait(&fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, 0); /* others are served */
	raw_deinit(&raw);
	while (series(&fixture, "districhat_bus_answers_held") >
	       0) { /* forgotten with the connection */
		(void)uv_run(&fixture.loop, UV_RUN_ONCE);
	}
	fixture_deinit(&fixture);
}

/* --- addresses --- */

Test(bus, addresses_that_need_keys_are_refused)
{
	static const struct {
		const char *address;
		int result;
	} rows[] = {
		{"tcp://*:0", -EPERM},
		{"tcp://0.0.0.0:5555", -EPERM},
		{"tcp://10.0.0.1:5555", -EPERM},
		{"tcp://localhost:5555", -EPERM},
		{"tcp://eth0:5555", -EPERM},
		{"tcp://[::]:5555", -EPERM},
		{"tcp://[::1].example:5555", -EPERM},
		{"tcp://127.0.0.1.example.org:5555", -EPERM},
		{"tcp://10.0.0.1:1;127.0.0.1:5555", -EPERM},
		{"tcp://127.0.0.1", -EPERM},
		{"tcp://", -EPERM},
		{"ipc://@abstract", -EPERM},
		{"udp://127.0.0.1:5555", -EPERM},
		{"", -EINVAL},
		{"127.0.0.1:5555", -EPERM},
	};
	struct fixture fixture;

	fixture_init(&fixture);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bus_server *server = NULL;
		struct bus_link *link = NULL;
		struct bus_publisher *publisher = NULL;
		struct bus_feed *feed = NULL;

		cr_assert_eq(bus_server_new(fixture.bus, rows[i].address, NULL, 0, NULL, &server),
			     rows[i].result, "%s", rows[i].address);
		cr_assert_eq(bus_link_new(fixture.bus, rows[i].address, &link), rows[i].result);
		cr_assert_eq(bus_publisher_new(fixture.bus, rows[i].address, &publisher),
			     rows[i].result);
		cr_assert_eq(bus_feed_new(fixture.bus, rows[i].address, on_message, NULL, &feed),
			     rows[i].result);
	}
	fixture_deinit(&fixture);
}

Test(bus, ipc_files_are_private_and_never_taken_from_others)
{
	struct fixture fixture;
	struct store store = {0};
	struct bus_server *server;
	struct bus_server *second = NULL;
	struct stat status;
	char long_path[256] = "ipc://";
	const char *path;
	int fd;

	fixture_init(&fixture);
	path = fixture.address + strlen("ipc://");
	server = serve(&fixture, &store);
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
	cr_assert_eq(bus_server_new(fixture.bus, fixture.address, routes, ROUTES, &store, &second),
		     -EADDRINUSE);
	bus_server_free(server);
	while (bus_server_new(fixture.bus, fixture.address, routes, ROUTES, &store, &second) ==
	       -EADDRINUSE) {
		(void)uv_run(&fixture.loop, UV_RUN_NOWAIT); /* libzmq's own thread closes it */
	}
	cr_assert_eq(stat(path, &status), 0); /* the stale file did not matter */
	cr_assert_eq(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert_geq(fd, 0);
	(void)close(fd);
	cr_assert_eq(bus_server_new(fixture.bus, fixture.address, routes, ROUTES, &store, &second),
		     -EEXIST);
	cr_assert_eq(unlink(path), 0);
	memset(long_path + strlen("ipc://"), 'x', 200);
	cr_assert_eq(bus_server_new(fixture.bus, long_path, routes, ROUTES, &store, &second),
		     -ENAMETOOLONG);
	fixture_deinit(&fixture);
}
