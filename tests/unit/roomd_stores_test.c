/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Links to storage nodes: which of them are missed. */

#include "roomd/stores.h"
#include "tests/unit/bus_fixture.h"

static void on_state_read(void *context, struct bus_request *request,
			  const struct proto_message *message)
{
	(void)context;
	(void)message;
	bus_refuse(request, PROTO_E_NOT_FOUND, NULL);
}

static const struct bus_route routes[] = {{PROTO_STATE_READ, on_state_read}};

static void wait_until_none_is_missed(struct fixture *fixture, const struct stores *stores)
{
	while (stores_miss_one(stores)) {
		(void)uv_run(&fixture->loop, UV_RUN_ONCE);
	}
}

Test(roomd_stores, one_that_cannot_be_reached_is_missed_until_it_is_found)
{
	const struct proto_id one = {{1}};
	const struct proto_id two = {{2}};
	struct fixture fixture;
	struct bus_server *server = NULL;
	struct calls *calls = NULL;
	struct stores *stores = NULL;

	fixture_init(&fixture);
	cr_assert_eq(bus_server_new(fixture.bus, fixture.address, routes, 1, NULL, &server), 0);
	cr_assert_eq(calls_new(&calls), 0);
	cr_assert_eq(stores_new(fixture.bus, calls, &stores), 0);
	cr_assert(!stores_miss_one(stores));

	stores_learn(stores, &one, proto_span(fixture.address));
	wait_until_none_is_missed(&fixture, stores);

	stores_learn(stores, &two, proto_span(fixture.feed)); /* nobody listens there */
	cr_assert(stores_miss_one(stores));
	stores_learn(stores, &two, proto_span(fixture.address)); /* where it is now */
	wait_until_none_is_missed(&fixture, stores);

	stores_free(stores);
	calls_free(calls);
	bus_server_free(server);
	fixture_deinit(&fixture);
}
