/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The bus with keys, over real TCP sockets on the loopback. Every node has a bus, a context and a
 * key of its own, all on one loop; where somebody breaks the rules, it is a raw ZeroMQ socket.
 */

#include <errno.h>
#include <sodium.h>
#include <zmq.h>
#include "services/clock.h"
#include "tests/unit/bus_fixture.h"

#define ALLOWED_MAX 64
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- nodes --- */

struct node {
	struct bus *bus;
	struct key key;
	char text[KEY_TEXT_BYTES];
};

static void node_start(struct fixture *fixture, struct node *node)
{
	struct key_pair *pair;

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(bus_new(&fixture->loop, NULL, &node->bus), 0);
	cr_assert_eq(key_pair_new(&pair), 0);
	node->key = *key_pair_public(pair);
	key_format(&node->key, node->text);
	cr_assert_eq(bus_secure(node->bus, pair), 0);
}

/* Who may connect to `node` from now on. */
struct allowed {
	struct proto_key_ref refs[ALLOWED_MAX];
	size_t count;
};

static void allow(struct allowed *allowed, const struct node *node, enum proto_service service)
{
	allowed->refs[allowed->count++] = (struct proto_key_ref){
		proto_span(node->text), proto_span(proto_service_name(service)), service};
}

static void approve(struct node *node, struct allowed *allowed)
{
	static uint64_t version;

	cr_assert_eq(bus_approve(node->bus, ++version,
				 &(struct proto_list_key_ref){allowed->refs, allowed->count}),
		     0);
}

static void turn(struct fixture *fixture)
{
	(void)uv_run(&fixture->loop, UV_RUN_ONCE);
}

/* --- a server that counts, and answers with the name of the caller --- */

struct served {
	size_t count;
	size_t local; /* of them without a key */
	struct bus_caller last;
	uint64_t peer;
};

static void on_any(void *context, struct bus_request *request, const struct proto_message *message)
{
	const struct bus_caller *caller = bus_request_caller(request);
	struct served *served = context;

	(void)message;
	served->count++;
	served->local += caller == NULL;
	served->peer = bus_request_peer(request);
	if (caller) {
		served->last = *caller;
	}
	bus_ok(request);
}

/* Routes for every message that is a request. */
static const struct bus_route *all_routes(size_t *ret_count)
{
	static struct bus_route routes[256];
	const struct proto_type_info *info;
	size_t count = 0;

	for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
		if (info->caller != PROTO_CALLER_REPLY && info->caller != PROTO_CALLER_FEED) {
			routes[count++] = (struct bus_route){info->type, on_any};
		}
	}
	*ret_count = count;
	return routes;
}

static struct bus_server *serve(struct node *node, const char *address, struct served *served)
{
	struct bus_server *server = NULL;
	size_t count;
	const struct bus_route *routes = all_routes(&count);

	cr_assert_eq(bus_server_new(node->bus, address, routes, count, served, &server), 0);
	return server;
}

static struct bus_link *connect_to(struct node *node, const char *address)
{
	struct bus_link *link = NULL;

	cr_assert_eq(bus_link_new(node->bus, address, &link), 0, "%s", address);
	return link;
}

/* --- calls --- */

struct outcome {
	size_t done;
	int result;
};

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct outcome *outcome = context;

	(void)answer;
	outcome->done++;
	outcome->result = result;
}

/* Any request that answers with `ok` will do. */
static void begin(struct bus_link *link, struct outcome *outcome, uint64_t timeout_ms)
{
	const struct bus_call_options options = {.timeout_ms = timeout_ms};
	struct proto_release release = {.slot = 1, .epoch = 1, .segment = 1, .lac = 1};

	*outcome = (struct outcome){0};
	bus_call(link, PROTO_RELEASE, &release, &options, on_answer, outcome, NULL);
}

static int ask(struct fixture *fixture, struct bus_link *link)
{
	struct outcome outcome;

	begin(link, &outcome, 20000);
	fixture_wait(fixture, &outcome.done, 1);
	return outcome.result;
}

static void wait_up(struct fixture *fixture, struct bus_link *link, bool up)
{
	while (bus_link_is_up(link) != up) {
		turn(fixture);
	}
}

/* --- a server with one client --- */

struct pair {
	struct fixture fixture;
	struct node server_node;
	struct node client_node;
	struct allowed allowed;
	struct served served;
	struct bus_server *server;
	const char *address;
};

static void pair_init(struct pair *pair)
{
	fixture_init(&pair->fixture);
	node_start(&pair->fixture, &pair->server_node);
	node_start(&pair->fixture, &pair->client_node);
	pair->server = serve(&pair->server_node, "tcp://127.0.0.1:*", &pair->served);
	pair->address = bus_server_address(pair->server);
	allow(&pair->allowed, &pair->client_node, PROTO_SERVICE_ROOMD);
}

static void pair_deinit(struct pair *pair)
{
	bus_free(pair->client_node.bus);
	bus_free(pair->server_node.bus);
	fixture_deinit(&pair->fixture);
}

Test(bus_key, an_approved_key_calls)
{
	struct pair pair = {0};
	struct bus_link *link;

	pair_init(&pair);
	approve(&pair.server_node, &pair.allowed);
	cr_assert(strncmp(pair.address, "tcp://127.0.0.1:", 16) == 0, "%s", pair.address);
	cr_assert_str_eq(strchr(pair.address, '#') + 1, pair.server_node.text);
	cr_assert_null(bus_server_local_address(pair.server));
	link = connect_to(&pair.client_node, pair.address);
	cr_assert_eq(ask(&pair.fixture, link), 0);
	cr_assert(key_equal(&pair.served.last.key, &pair.client_node.key));
	cr_assert_eq(pair.served.last.service, PROTO_SERVICE_ROOMD);
	cr_assert_str_eq(pair.served.last.node, "roomd");
	cr_assert_eq(pair.served.local, 0);
	pair_deinit(&pair);
}

/* The link dials again by itself until the key is approved. */
Test(bus_key, an_unapproved_key_waits_outside)
{
	struct pair pair = {0};
	struct bus_link *link;
	struct outcome outcome;

	pair_init(&pair);
	link = connect_to(&pair.client_node, pair.address);
	begin(link, &outcome, 600);
	fixture_wait(&pair.fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, PROTO_E_UNAVAILABLE);
	cr_assert_not(bus_link_is_up(link));
	cr_assert_eq(pair.served.count, 0);
	approve(&pair.server_node, &pair.allowed);
	cr_assert_eq(ask(&pair.fixture, link), 0);
	pair_deinit(&pair);
}

/*
 * What is on its way when the key is revoked does not reach a handler, and the connection ends.
 */
Test(bus_key, a_revoked_key_is_refused_at_once)
{
	struct pair pair = {0};
	struct allowed nobody = {0};
	struct bus_link *link;
	struct outcome outcomes[50];

	pair_init(&pair);
	approve(&pair.server_node, &pair.allowed);
	link = connect_to(&pair.client_node, pair.address);
	cr_assert_eq(ask(&pair.fixture, link), 0);
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		begin(link, &outcomes[i], 20000);
	}
	approve(&pair.server_node, &nobody);
	wait_up(&pair.fixture, link, false);
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		fixture_wait(&pair.fixture, &outcomes[i].done, 1);
		cr_assert(outcomes[i].result == PROTO_E_FORBIDDEN ||
			  outcomes[i].result == PROTO_E_UNAVAILABLE);
	}
	cr_assert_eq(pair.served.count, 1);
	begin(link, &outcomes[0], 500);
	fixture_wait(&pair.fixture, &outcomes[0].done, 1);
	cr_assert_neq(outcomes[0].result, 0);
	cr_assert_eq(pair.served.count, 1);
	approve(&pair.server_node, &pair.allowed); /* and back again */
	cr_assert_eq(ask(&pair.fixture, link), 0);
	pair_deinit(&pair);
}

/* A key that is given to another service keeps its connection, not its rights. */
Test(bus_key, a_key_of_another_service_has_other_rights)
{
	struct pair pair = {0};
	struct allowed gateway = {0};
	struct bus_link *link;

	pair_init(&pair);
	approve(&pair.server_node, &pair.allowed);
	link = connect_to(&pair.client_node, pair.address);
	cr_assert_eq(ask(&pair.fixture, link), 0);
	allow(&gateway, &pair.client_node, PROTO_SERVICE_GATEWAY);
	approve(&pair.server_node, &gateway);
	cr_assert_eq(ask(&pair.fixture, link), PROTO_E_FORBIDDEN);
	approve(&pair.server_node, &pair.allowed);
	cr_assert_eq(ask(&pair.fixture, link), 0);
	cr_assert_eq(pair.served.count, 2);
	pair_deinit(&pair);
}

Test(bus_key, another_server_key_is_no_server)
{
	struct pair pair = {0};
	struct bus_link *link;
	struct outcome outcome;
	char endpoint[128];
	char address[256];

	pair_init(&pair);
	approve(&pair.server_node, &pair.allowed);
	(void)snprintf(endpoint, sizeof(endpoint), "%.*s",
		       (int)(strchr(pair.address, '#') - pair.address), pair.address);
	(void)snprintf(address, sizeof(address), "%s#%s", endpoint, pair.client_node.text);
	link = connect_to(&pair.client_node, address);
	begin(link, &outcome, 500);
	fixture_wait(&pair.fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, PROTO_E_UNAVAILABLE);
	cr_assert_eq(pair.served.count, 0);
	bus_link_free(link);
	/* While a server changes its key, both may be named. */
	(void)snprintf(address, sizeof(address), "%s#%s,%s", endpoint, pair.client_node.text,
		       pair.server_node.text);
	link = connect_to(&pair.client_node, address);
	cr_assert_eq(ask(&pair.fixture, link), 0);
	pair_deinit(&pair);
}

/* --- without CURVE on one side --- */

/* A raw socket; NULL for no key, and for a routing id that ZeroMQ chooses. */
static void *raw_connect(void *context, int type, const char *address, const struct key_pair *pair,
			 const char *routing_id)
{
	void *zmq = zmq_socket(context, type);
	char endpoint[128];
	struct key key;

	cr_assert_eq(zmq_setsockopt(zmq, ZMQ_LINGER, &(int){0}, sizeof(int)), 0);
	(void)snprintf(endpoint, sizeof(endpoint), "%.*s", (int)strcspn(address, "#"), address);
	if (pair) {
		cr_assert(key_parse(proto_span(strchr(address, '#') + 1), &key));
		cr_assert_eq(zmq_setsockopt(zmq, ZMQ_CURVE_SERVERKEY, key.bytes, 32), 0);
		cr_assert_eq(zmq_setsockopt(zmq, ZMQ_CURVE_PUBLICKEY, key_pair_public(pair), 32),
			     0);
		cr_assert_eq(zmq_setsockopt(zmq, ZMQ_CURVE_SECRETKEY, key_pair_open(pair), 32), 0);
		key_pair_close(pair);
	}
	if (routing_id) {
		cr_assert_eq(zmq_setsockopt(zmq, ZMQ_ROUTING_ID, routing_id, strlen(routing_id)),
			     0);
	}
	cr_assert_eq(zmq_connect(zmq, endpoint), 0);
	return zmq;
}

static const char slots_get[] = "\x82\xa1t\x32\xa1i\x07";

/* Sends slots_get, and turns the loop until an answer comes or the time is over. */
static bool raw_is_answered(struct fixture *fixture, void *zmq, uint64_t wait_ms)
{
	uint64_t end_ms = clock_monotonic_ms() + wait_ms;
	char answer[64];

	(void)zmq_send(zmq, slots_get, sizeof(slots_get) - 1, ZMQ_DONTWAIT);
	while (clock_monotonic_ms() < end_ms) {
		(void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
		if (zmq_recv(zmq, answer, sizeof(answer), ZMQ_DONTWAIT) > 0) {
			return true;
		}
	}
	return false;
}

Test(bus_key, both_sides_must_speak_curve)
{
	struct pair pair = {0};
	struct bus *plain;
	struct bus_server *plain_server = NULL;
	struct bus_link *link;
	struct outcome outcome;
	struct served served = {0};
	size_t count;
	const struct bus_route *routes = all_routes(&count);
	void *context = zmq_ctx_new();
	void *zmq;
	char address[256];

	pair_init(&pair);
	approve(&pair.server_node, &pair.allowed);
	zmq = raw_connect(context, ZMQ_DEALER, pair.address, NULL, NULL);
	cr_assert_not(raw_is_answered(&pair.fixture, zmq, 500));
	(void)zmq_close(zmq);
	/* PLAIN is another mechanism */
	zmq = zmq_socket(context, ZMQ_DEALER);
	cr_assert_eq(zmq_setsockopt(zmq, ZMQ_LINGER, &(int){0}, sizeof(int)), 0);
	cr_assert_eq(zmq_setsockopt(zmq, ZMQ_PLAIN_USERNAME, "roomd", 5), 0);
	cr_assert_eq(zmq_setsockopt(zmq, ZMQ_PLAIN_PASSWORD, "roomd", 5), 0);
	(void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(pair.address, "#"),
		       pair.address);
	cr_assert_eq(zmq_connect(zmq, address), 0);
	cr_assert_not(raw_is_answered(&pair.fixture, zmq, 500));
	(void)zmq_close(zmq);
	(void)zmq_ctx_term(context);
	cr_assert_eq(pair.served.count, 0);

	cr_assert_eq(bus_new(&pair.fixture.loop, NULL, &plain), 0);
	cr_assert_eq(
		bus_server_new(plain, "tcp://127.0.0.1:*", routes, count, &served, &plain_server),
		0);
	(void)snprintf(address, sizeof(address), "%s#%s", bus_server_address(plain_server),
		       pair.server_node.text);
	link = connect_to(&pair.client_node, address);
	begin(link, &outcome, 500);
	fixture_wait(&pair.fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, PROTO_E_UNAVAILABLE);
	cr_assert_eq(served.count, 0);
	bus_free(plain);
	pair_deinit(&pair);
}

Test(bus_key, addresses)
{
	static const char key[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
	static const struct {
		const char *address;
		bool with_key; /* appended */
		int connects; /* of a node with keys */
		int connects_without; /* of one that has none */
	} rows[] = {
		{"tcp://10.0.0.1:5555", false, -EPERM, -EPERM},
		{"tcp://10.0.0.1:5555#", true, 0, -EPERM},
		{"tcp://chat.example.org:5555#", true, 0, -EPERM},
		{"tcp://127.0.0.1:5555", false, 0, 0},
		{"tcp://127.0.0.1:5555#", true, 0, -EPERM},
		{"tcp://127.0.0.1:5555#", false, -EINVAL, -EINVAL},
		{"tcp://127.0.0.1:5555#A", true, -EINVAL, -EINVAL},
		{"tcp://127.0.0.1:5555#,", true, -EINVAL, -EINVAL},
		{"ipc:///tmp/x#", true, -EPERM, -EPERM},
		{"ipc://@abstract", false, -EPERM, -EPERM},
	};
	static const struct {
		const char *address;
		int result; /* of a node with keys */
	} binds[] = {
		{"tcp://0.0.0.0:0", -EPERM},
		{"tcp://*:0", -EPERM},
		{"tcp://[::]:0", -EPERM},
		{"tcp://127.0.0.1:*#AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", -EINVAL},
		{"tcp://127.0.0.1:*,", -EINVAL},
		{"tcp://127.0.0.1:*,tcp://127.0.0.2:*", 0},
		{"tcp://127.0.0.1:*,tcp://127.0.0.1:*,tcp://127.0.0.1:*,tcp://127.0.0.1:*", 0},
		{"tcp://127.0.0.1:*,tcp://127.0.0.1:*,tcp://127.0.0.1:*,tcp://127.0.0.1:*,"
		 "tcp://127.0.0.1:*",
		 -EINVAL},
	};
	struct fixture fixture;
	struct node node;
	char address[512];

	fixture_init(&fixture);
	node_start(&fixture, &node);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bus_link *link = NULL;
		struct bus_feed *feed = NULL;

		(void)snprintf(address, sizeof(address), "%s%s", rows[i].address,
			       rows[i].with_key ? key : "");
		cr_assert_eq(bus_link_new(node.bus, address, &link), rows[i].connects, "%s",
			     address);
		cr_assert_eq(bus_feed_new(node.bus, address, NULL, NULL, &feed), rows[i].connects);
		cr_assert_eq(bus_link_new(fixture.bus, address, &link), rows[i].connects_without,
			     "%s", address);
	}
	(void)snprintf(address, sizeof(address), "tcp://10.0.0.1:5555#%s,%s,%s", key, key, key);
	cr_assert_eq(bus_link_new(node.bus, address, &(struct bus_link *){NULL}), -EINVAL);
	for (size_t i = 0; i < COUNT(binds); i++) {
		struct bus_server *server = NULL;

		cr_assert_eq(bus_server_new(node.bus, binds[i].address, NULL, 0, NULL, &server),
			     binds[i].result, "%s", binds[i].address);
		bus_server_free(server);
	}
	bus_free(node.bus);
	fixture_deinit(&fixture);
}

/* One server, for the machine and for the network. */
Test(bus_key, ipc_beside_tcp_needs_no_key)
{
	struct pair pair = {0};
	struct bus_link *local = NULL;
	struct bus_server *both;
	struct served served = {0};
	char address[256];

	pair_init(&pair);
	approve(&pair.server_node, &pair.allowed);
	(void)snprintf(address, sizeof(address), "tcp://127.0.0.1:*,%s", pair.fixture.address);
	both = serve(&pair.server_node, address, &served);
	cr_assert_str_eq(bus_server_local_address(both), pair.fixture.address);
	cr_assert_not_null(strchr(bus_server_address(both), '#'));
	cr_assert_eq(bus_link_new(pair.fixture.bus, bus_server_local_address(both), &local), 0);
	cr_assert_eq(ask(&pair.fixture, local), 0);
	cr_assert_eq(served.local, 1);
	cr_assert_eq(ask(&pair.fixture, connect_to(&pair.client_node, bus_server_address(both))),
		     0);
	cr_assert_eq(served.count, 2);
	cr_assert_eq(served.local, 1);
	pair_deinit(&pair);
}

/* --- routing ids --- */

/* A second connection that claims the routing id of a first gets nothing of it, nor after it. */
Test(bus_key, a_routing_id_cannot_be_stolen)
{
	struct fixture fixture;
	struct node node;
	struct served served = {0};
	struct allowed allowed = {0};
	struct bus_server *server;
	struct key_pair *pairs[2];
	struct node names[2];
	void *context = zmq_ctx_new();
	void *victim;
	void *thief;
	uint64_t peer;

	fixture_init(&fixture);
	node_start(&fixture, &node);
	server = serve(&node, "tcp://127.0.0.1:*", &served);
	for (size_t i = 0; i < COUNT(pairs); i++) {
		cr_assert_eq(key_pair_new(&pairs[i]), 0);
		key_format(key_pair_public(pairs[i]), names[i].text);
	}
	allow(&allowed, &names[0], PROTO_SERVICE_ROOMD);
	allow(&allowed, &names[1], PROTO_SERVICE_GATEWAY);
	approve(&node, &allowed);
	victim = raw_connect(context, ZMQ_DEALER, bus_server_address(server), pairs[0], "me");
	cr_assert(raw_is_answered(&fixture, victim, 20000));
	peer = served.peer;
	thief = raw_connect(context, ZMQ_DEALER, bus_server_address(server), pairs[1], "me");
	cr_assert_not(raw_is_answered(&fixture, thief, 700));
	cr_assert_eq(served.count, 1);
	cr_assert(raw_is_answered(&fixture, victim, 20000));
	cr_assert_eq(served.peer, peer);
	(void)zmq_close(victim);
	(void)zmq_close(thief);
	thief = raw_connect(context, ZMQ_DEALER, bus_server_address(server), pairs[1], "me");
	while (!raw_is_answered(&fixture, thief, 500)) { /* until the victim's end was noticed */
		(void)zmq_close(thief);
		thief = raw_connect(context, ZMQ_DEALER, bus_server_address(server), pairs[1],
				    "me");
	}
	cr_assert_neq(served.peer, peer);
	cr_assert_eq(served.last.service, PROTO_SERVICE_GATEWAY);
	(void)zmq_close(thief);
	(void)zmq_ctx_term(context);
	key_pair_free(pairs[0]);
	key_pair_free(pairs[1]);
	bus_free(node.bus);
	fixture_deinit(&fixture);
}

/* --- roles --- */

static const enum proto_service roles[] = {PROTO_SERVICE_GATEWAY, PROTO_SERVICE_ROOMD,
					   PROTO_SERVICE_STORAGED, PROTO_SERVICE_REGISTRY,
					   PROTO_service_absent};

/* Who may send what but the gateway for people; the rest of the rows follow from the table. */
static const char *const roomd_alone[] = {
	"account_read", "room_claim",	  "room_index",	   "slots_read",
	"slot_swap",	"slots_assigned", "personal_note", "append",
	"seal",		"copy",		  "entries_read",  "release",
	"state_read",	"timeline_read",  "events_read",   "cmid_read",
};
static const char *const any_node[] = {
	"ping",	      "node_hello", "node_beat",  "slots_get",
	"node_rekey", "keys_get",   "node_enrol", "revocations_read",
};
static const char *const stranger_too[] = {"node_enrol"};

static bool is_in(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_expected(const struct proto_type_info *info, enum proto_service role)
{
	const char *name = info->record->name;
	bool of_roomd = is_in(roomd_alone, COUNT(roomd_alone), name);
	bool of_node = is_in(any_node, COUNT(any_node), name);

	switch (role) {
	case PROTO_SERVICE_GATEWAY:
		return !of_roomd;
	case PROTO_SERVICE_ROOMD:
		return of_roomd || of_node;
	case PROTO_SERVICE_STORAGED:
		return of_node;
	case PROTO_SERVICE_REGISTRY:
		return false;
	default:
		return is_in(stranger_too, COUNT(stranger_too), name);
	}
}

/* The least that is a message of the type. */
static void *least_body(const struct proto_type_info *info)
{
	char *body = calloc(1, info->record->size);

	cr_assert_not_null(body);
	for (size_t i = 0; i < info->record->field_count; i++) {
		const struct proto_field *field = &info->record->fields[i];

		if (field->must && field->kind == PROTO_KIND_ENUM) {
			unsigned int first = field->values->values[0].number;

			memcpy(body + field->offset, &first, sizeof(first));
		}
	}
	return body;
}

/* Every request of the protocol's table from a key of every service, and of none. */
Test(bus_key, every_role_and_every_message)
{
	struct fixture fixture;
	struct node server_node;
	struct node nodes[COUNT(roles)];
	struct served served = {0};
	struct allowed allowed = {0};
	struct bus_server *server;
	const struct proto_type_info *info;
	size_t checked = 0;

	fixture_init(&fixture);
	node_start(&fixture, &server_node);
	server = serve(&server_node, "tcp://127.0.0.1:*", &served);
	bus_server_admit_strangers(server, 60000);
	for (size_t i = 0; i < COUNT(roles); i++) {
		node_start(&fixture, &nodes[i]);
		if (roles[i] != PROTO_service_absent) {
			allow(&allowed, &nodes[i], roles[i]);
		}
	}
	approve(&server_node, &allowed);
	for (size_t role = 0; role < COUNT(roles); role++) {
		struct bus_link *link = connect_to(&nodes[role], bus_server_address(server));

		for (size_t i = 0; (info = proto_type_at(i)) != NULL; i++) {
			bool expected = is_expected(info, roles[role]);
			struct outcome outcome = {0};
			size_t before = served.count;
			void *body = least_body(info);

			if (info->caller == PROTO_CALLER_REPLY ||
			    info->caller == PROTO_CALLER_FEED) {
				cr_assert_not(proto_may_call(info, roles[role]));
				free(body);
				continue;
			}
			bus_call(link, info->type, body, NULL, on_answer, &outcome, NULL);
			fixture_wait(&fixture, &outcome.done, 1);
			cr_assert_eq(outcome.result == PROTO_E_FORBIDDEN, !expected,
				     "%s may %ssend %s",
				     roles[role] ? proto_service_name(roles[role]) : "a stranger",
				     expected ? "" : "not ", info->record->name);
			cr_assert_eq(served.count > before, expected && info->type != PROTO_PING);
			cr_assert(expected || served.count == before);
			cr_assert_eq(proto_may_call(info, roles[role]), expected);
			cr_assert(info->at != PROTO_AT_STORE ||
				  expected == (roles[role] == PROTO_SERVICE_ROOMD));
			checked++;
			free(body);
		}
	}
	cr_assert_gt(checked, 5 * 50);
	for (size_t i = 0; i < COUNT(roles); i++) {
		bus_free(nodes[i].bus);
	}
	bus_free(server_node.bus);
	fixture_deinit(&fixture);
}

/* --- strangers --- */

static void enrol(struct bus_link *link, struct outcome *outcome, uint64_t timeout_ms)
{
	const struct bus_call_options options = {.timeout_ms = timeout_ms};
	struct proto_node_enrol body = {.node = PROTO_SPAN("new"),
					.service = PROTO_SERVICE_GATEWAY};

	*outcome = (struct outcome){0};
	bus_call(link, PROTO_NODE_ENROL, &body, &options, on_answer, outcome, NULL);
}

/* Their connections are closed after a while, and so are those on which nothing was said. */
Test(bus_key, strangers_do_not_stay)
{
	struct pair pair = {0};
	void *context = zmq_ctx_new();
	struct outcome outcome;
	struct bus_link *link;
	char endpoint[128];
	void *silent;
	void *monitor;
	zmq_msg_t event;

	pair_init(&pair);
	bus_server_admit_strangers(pair.server, 300);
	link = connect_to(&pair.client_node, pair.address);
	enrol(link, &outcome, 20000);
	fixture_wait(&pair.fixture, &outcome.done, 1);
	cr_assert_eq(pair.served.count, 1);
	cr_assert_eq(pair.served.last.service, PROTO_service_absent);
	cr_assert_str_eq(pair.served.last.node, "");
	cr_assert(key_equal(&pair.served.last.key, &pair.client_node.key));
	wait_up(&pair.fixture, link, false);
	wait_up(&pair.fixture, link, true); /* it may come again */
	bus_link_free(link);

	(void)snprintf(endpoint, sizeof(endpoint), "%.*s", (int)strcspn(pair.address, "#"),
		       pair.address);
	silent = zmq_socket(context, ZMQ_STREAM);
	cr_assert_eq(zmq_setsockopt(silent, ZMQ_LINGER, &(int){0}, sizeof(int)), 0);
	cr_assert_eq(zmq_socket_monitor(silent, "inproc://silent", ZMQ_EVENT_DISCONNECTED), 0);
	monitor = zmq_socket(context, ZMQ_PAIR);
	cr_assert_eq(zmq_connect(monitor, "inproc://silent"), 0);
	cr_assert_eq(zmq_connect(silent, endpoint), 0);
	(void)zmq_msg_init(&event);
	while (zmq_msg_recv(&event, monitor, ZMQ_DONTWAIT) < 0) {
		(void)uv_run(&pair.fixture.loop, UV_RUN_NOWAIT);
	}
	(void)zmq_msg_close(&event);
	(void)zmq_socket_monitor(silent, NULL, 0);
	(void)zmq_close(silent);
	(void)zmq_close(monitor);
	(void)zmq_ctx_term(context);
	pair_deinit(&pair);
}

/* One more than may come at a time waits outside; approved keys do not count. */
Test(bus_key, strangers_have_a_limit)
{
	struct pair pair = {0};
	struct node *strangers = calloc(BUS_STRANGERS_MAX + 1, sizeof(*strangers));
	struct outcome *outcomes = calloc(BUS_STRANGERS_MAX + 1, sizeof(*outcomes));
	size_t refused = 0;

	pair_init(&pair);
	bus_server_admit_strangers(pair.server, 120000);
	approve(&pair.server_node, &pair.allowed);
	for (size_t i = 0; i < BUS_STRANGERS_MAX + 1; i++) {
		node_start(&pair.fixture, &strangers[i]);
		enrol(connect_to(&strangers[i], pair.address), &outcomes[i],
		      i < BUS_STRANGERS_MAX ? 30000 : 500);
		fixture_wait(&pair.fixture, &outcomes[i].done, 1);
		refused += outcomes[i].result == PROTO_E_UNAVAILABLE;
		cr_assert_eq(refused, i < BUS_STRANGERS_MAX ? 0 : 1);
	}
	cr_assert_eq(pair.served.count, BUS_STRANGERS_MAX);
	cr_assert_eq(ask(&pair.fixture, connect_to(&pair.client_node, pair.address)), 0);
	for (size_t i = 0; i < BUS_STRANGERS_MAX + 1; i++) {
		bus_free(strangers[i].bus);
	}
	free(strangers);
	free(outcomes);
	pair_deinit(&pair);
}

/* --- publishing --- */

static void on_message(void *context, const struct proto_id *topic,
		       const struct proto_message *message)
{
	(void)topic;
	(void)message;
	(*(size_t *)context)++;
}

static void publish(struct bus_publisher *publisher)
{
	bus_publish(publisher, NULL, PROTO_ASSIGNMENT_CHANGED,
		    &(struct proto_assignment_changed){.version = 1});
}

static void on_up(void *context)
{
	(*(size_t *)context)++;
}

/* Publishes until the feed has seen one more. */
static void publish_until_seen(struct fixture *fixture, struct bus_publisher *publisher,
			       const size_t *seen)
{
	size_t before = *seen;

	while (*(const volatile size_t *)seen == before) {
		publish(publisher);
		(void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
	}
}

/* Two follow the same topic; one of them loses its key: it hears nothing more, the other does. */
Test(bus_key, a_revoked_key_hears_no_more)
{
	struct pair pair = {0};
	struct node other;
	struct bus_publisher *publisher = NULL;
	struct bus_feed *feeds[2] = {NULL, NULL};
	struct allowed left = {0};
	size_t seen[2] = {0};
	size_t ups[2] = {0};
	uint64_t end_ms;
	size_t before;

	pair_init(&pair);
	node_start(&pair.fixture, &other);
	allow(&left, &other, PROTO_SERVICE_GATEWAY);
	cr_assert_eq(bus_publisher_new(pair.server_node.bus, "tcp://127.0.0.1:*", &publisher), 0);
	cr_assert_eq(bus_feed_new(pair.client_node.bus, bus_publisher_address(publisher),
				  on_message, &seen[0], &feeds[0]),
		     0);
	cr_assert_eq(bus_feed_new(other.bus, bus_publisher_address(publisher), on_message, &seen[1],
				  &feeds[1]),
		     0);
	for (size_t i = 0; i < 2; i++) {
		bus_feed_on_up(feeds[i], on_up, &ups[i]);
		cr_assert_eq(bus_feed_subscribe(feeds[i], NULL), 0);
	}
	end_ms = clock_monotonic_ms() + 500; /* nobody is approved yet */
	while (clock_monotonic_ms() < end_ms) {
		publish(publisher);
		(void)uv_run(&pair.fixture.loop, UV_RUN_NOWAIT);
	}
	cr_assert_eq(seen[0] + seen[1], 0);
	allow(&pair.allowed, &other, PROTO_SERVICE_GATEWAY);
	approve(&pair.server_node, &pair.allowed);
	publish_until_seen(&pair.fixture, publisher, &seen[0]);
	publish_until_seen(&pair.fixture, publisher, &seen[1]);
	approve(&pair.server_node, &left);
	for (size_t i = 0; i < 3; i++) { /* what was on its way comes before what follows */
		publish_until_seen(&pair.fixture, publisher, &seen[1]);
	}
	end_ms = clock_monotonic_ms() + 300;
	while (clock_monotonic_ms() < end_ms) {
		(void)uv_run(&pair.fixture.loop, UV_RUN_NOWAIT);
	}
	before = seen[0];
	for (size_t i = 0; i < 50; i++) {
		publish_until_seen(&pair.fixture, publisher, &seen[1]);
	}
	cr_assert_eq(seen[0], before);
	cr_assert_eq(ups[1], 1, "the other one was not disturbed");
	bus_free(other.bus);
	pair_deinit(&pair);
}

/* A node leaves servers and publishers whose key is revoked; calls there end. */
Test(bus_key, a_revoked_server_is_left)
{
	struct pair pair = {0};
	struct allowed servers = {0};
	struct allowed nobody = {0};
	struct bus_publisher *publisher = NULL;
	struct bus_feed *feed = NULL;
	struct bus_link *link;
	struct outcome outcome;
	size_t seen = 0;
	size_t before;

	pair_init(&pair);
	approve(&pair.server_node, &pair.allowed);
	allow(&servers, &pair.server_node, PROTO_SERVICE_STORAGED);
	approve(&pair.client_node, &servers);
	cr_assert_eq(bus_publisher_new(pair.server_node.bus, "tcp://127.0.0.1:*", &publisher), 0);
	cr_assert_eq(bus_feed_new(pair.client_node.bus, bus_publisher_address(publisher),
				  on_message, &seen, &feed),
		     0);
	cr_assert_eq(bus_feed_subscribe(feed, NULL), 0);
	link = connect_to(&pair.client_node, pair.address);
	cr_assert_eq(ask(&pair.fixture, link), 0);
	publish_until_seen(&pair.fixture, publisher, &seen);
	approve(&pair.client_node, &nobody);
	cr_assert_not(bus_link_is_up(link));
	begin(link, &outcome, 700);
	fixture_wait(&pair.fixture, &outcome.done, 1);
	cr_assert_eq(outcome.result, PROTO_E_UNAVAILABLE);
	cr_assert_eq(pair.served.count, 1);
	before = seen;
	for (size_t i = 0; i < 100; i++) {
		publish(publisher);
		(void)uv_run(&pair.fixture.loop, UV_RUN_NOWAIT);
	}
	cr_assert_eq(seen, before);
	pair_deinit(&pair);
}
