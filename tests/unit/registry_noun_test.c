/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The registry's pure nouns: names, passwords, sessions, nodes, assignment, slot records. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "registry/assignment.h"
#include "registry/load.h"
#include "registry/name.h"
#include "registry/node.h"
#include "registry/password.h"
#include "registry/session.h"
#include "registry/slot_table.h"

/* --- names --- */

Test(name, user_names)
{
	static const struct {
		const char *name;
		bool right;
	} rows[] = {
		{"anna", true},	  {"a.b_c-d", true}, {"42", true},
		{"a", false},	  {"", false},	     {".anna", false},
		{"an na", false}, {"änna", false},   {"anna@x", false},
		{"-a", false},	  {"a\n", false},    {"abcdefghijklmnopqrstuvwxyz012345", true},
		{"<b>", false},	  {"_a", false},     {"abcdefghijklmnopqrstuvwxyz0123456", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(name_is_user(proto_span(rows[i].name)), rows[i].right, "%s",
			     rows[i].name);
	}
}

Test(name, labels)
{
	char longest[PROTO_NAME_BYTES_MAX + 2];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	cr_assert_not(name_is_label(proto_span(longest)));
	longest[sizeof(longest) - 2] = '\0';
	cr_assert(name_is_label(proto_span(longest)));
	cr_assert(name_is_label(proto_span("Über uns: <3")));
	cr_assert_not(name_is_label(proto_span("")));
	cr_assert_not(name_is_label(proto_span("a\tb")));
	cr_assert_not(name_is_label(proto_span("a\x7f")));
	cr_assert_not(name_is_label(proto_span("a\xc2\x85"))); /* a control character of Latin-1 */
}

Test(name, emails)
{
	static const struct {
		const char *email;
		bool right;
	} rows[] = {
		{"a@b", true},	   {"anna@example.org", true},
		{"a+b@c.d", true}, {"anna", false},
		{"@b", false},	   {"a@", false},
		{"a@b@c", false},  {"a b@c", false},
		{"a@.b", false},   {"a@b.", false},
		{"a@b..c", false}, {"a\n@b", false},
		{"a@b c", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(name_is_email(proto_span(rows[i].email)), rows[i].right, "%s",
			     rows[i].email);
	}
}

Test(name, folding)
{
	static const char *const rows[][2] = {
		{"Anna", "anna"}, {"  A b ", "a b"},	    {"MÜLLER", "müller"},
		{"ΑΒΓ", "αβγ"},	  {"ПРИВЕТ 🎉", "привет 🎉"}, {"", ""},
	};
	struct name_folded folded;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		name_fold(proto_span(rows[i][0]), &folded);
		cr_assert_str_eq(folded.text, rows[i][1]);
		cr_assert_eq(folded.size, strlen(rows[i][1]));
	}
}

/* --- passwords --- */

Test(password, strength)
{
	cr_assert(password_is_strong(proto_span("correct horse"), proto_span("anna")));
	cr_assert_not(password_is_strong(proto_span("1234567"), proto_span("anna")));
	cr_assert_not(password_is_strong(proto_span("Password"), proto_span("anna")));
	cr_assert_not(password_is_strong(proto_span("annabelle"), proto_span("AnnaBelle")));
}

struct outcome {
	size_t count;
	int last;
	char hash[PASSWORD_HASH_BYTES];
};

static void on_done(void *context, int result, const char *hash)
{
	struct outcome *outcome = context;

	outcome->count++;
	outcome->last = result;
	memcpy(outcome->hash, hash, sizeof(outcome->hash));
}

static const struct password_cost cheap = {1, 8192};

Test(password, pool)
{
	struct outcome made = {0};
	struct outcome outcome = {0};
	struct password_pool *pool = NULL;
	uv_loop_t loop;

	cr_assert_eq(uv_loop_init(&loop), 0);
	cr_assert_eq(password_pool_new(&loop, &cheap, &pool), 0);
	cr_assert_eq(password_hash(pool, proto_span("secret one"), UINT64_MAX, on_done, &made), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(made.last, 0);
	cr_assert_eq(password_check(pool, proto_span("secret one"), made.hash, UINT64_MAX, on_done,
				    &outcome),
		     0);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(outcome.last, 0);
	cr_assert_eq(password_check(pool, proto_span("secret two"), made.hash, UINT64_MAX, on_done,
				    &outcome),
		     0);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(outcome.last, PROTO_E_BAD_CREDENTIALS);
	/* No such account: the same answer, after the same work. */
	cr_assert_eq(password_check(pool, proto_span("x"), NULL, UINT64_MAX, on_done, &outcome), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(outcome.last, PROTO_E_BAD_CREDENTIALS);
	/* Nobody waits for it any more. */
	cr_assert_eq(
		password_check(pool, proto_span("secret one"), made.hash, 0, on_done, &outcome), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(outcome.last, PROTO_E_EXPIRED);
	cr_assert_eq(outcome.count, 4);
	password_pool_free(pool);
	uv_loop_close(&loop);
}

Test(password, a_full_queue_is_busy)
{
	struct outcome outcome = {0};
	struct password_pool *pool = NULL;
	uv_loop_t loop;
	size_t taken = 0;

	cr_assert_eq(uv_loop_init(&loop), 0);
	cr_assert_eq(password_pool_new(&loop, &cheap, &pool), 0);
	while (password_hash(pool, proto_span("secret"), UINT64_MAX, on_done, &outcome) == 0) {
		taken++;
	}
	cr_assert_eq(taken, PASSWORD_QUEUE_MAX + PASSWORD_RUNNING_MAX);
	cr_assert_eq(password_hash(pool, proto_span("secret"), UINT64_MAX, on_done, &outcome),
		     PROTO_E_BUSY);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(outcome.count, taken);
	cr_assert_eq(password_pool_pending(pool), 0);
	password_pool_free(pool);
	uv_loop_close(&loop);
}

/* --- sessions --- */

Test(session, bound_to_one_connection)
{
	struct session_table table = {0};
	struct session session = {.session.bytes = {1}, .user.bytes = {2}, .expires = 5000};
	struct proto_id other = {{9}};

	cr_assert_eq(session_bind(&table, 7, &session, 0), 0);
	cr_assert_not_null(session_find(&table, 7, &session.session, 10, 100));
	cr_assert_null(session_find(&table, 8, &session.session, 10, 100));
	cr_assert_null(session_find(&table, 7, &other, 10, 100));
	cr_assert_null(session_find(&table, 7, &session.session, 10, 5000));
	cr_assert_eq(session_bind(&table, 8, &session, 0), 0);
	session_unbind(&table, &session.session);
	cr_assert_null(session_find(&table, 7, &session.session, 10, 100));
	cr_assert_null(session_find(&table, 8, &session.session, 10, 100));
	session_table_deinit(&table);
}

Test(session, forgotten_when_idle_or_expired)
{
	struct session_table table = {0};
	struct session session = {.session.bytes = {1}, .expires = UINT64_MAX};

	cr_assert_eq(session_bind(&table, 7, &session, 0), 0);
	session_tick(&table, SESSION_IDLE_MS - 1, 0);
	cr_assert_not_null(session_find(&table, 7, &session.session, SESSION_IDLE_MS - 1, 0));
	session_tick(&table, 2 * SESSION_IDLE_MS - 2, 0);
	cr_assert_not_null(table.bindings);
	session_tick(&table, 2 * SESSION_IDLE_MS - 1, 0);
	cr_assert_null(table.bindings);
	session.expires = 50;
	cr_assert_eq(session_bind(&table, 7, &session, 0), 0);
	session_tick(&table, 0, 50);
	cr_assert_null(table.bindings);
}

Test(session, rows)
{
	struct session_row row = {.user.bytes = {3}, .created = 1, .expires = 0x0102030405060708};
	struct session_row read;
	char bytes[SESSION_ROW_BYTES];

	row.secret_hash[31] = 5;
	session_row_write(&row, bytes);
	cr_assert_eq(bytes[0], SESSION_ROW_VERSION);
	cr_assert_eq(bytes[1 + PROTO_ID_BYTES + 8], 1); /* big-endian */
	cr_assert(session_row_read(bytes, sizeof(bytes), &read));
	cr_assert_eq(read.expires, row.expires);
	cr_assert_eq(read.created, 1);
	cr_assert_eq(read.secret_hash[31], 5);
	cr_assert_not(session_row_read(bytes, sizeof(bytes) - 1, &read));
	bytes[0]++;
	cr_assert_not(session_row_read(bytes, sizeof(bytes), &read));
}

/* --- nodes --- */

static struct proto_node_hello hello(const char *name, uint8_t incarnation)
{
	return (struct proto_node_hello){
		.node = proto_span(name),
		.service = PROTO_SERVICE_ROOMD,
		.incarnation.bytes = {incarnation},
		.address = proto_span("ipc:///a"),
		.feed = proto_span("ipc:///b"),
	};
}

#define ROOM_TABLE                                                                               \
	{                                                                                        \
		.host = "h", .suspect_ms = 300, .dead_ms = 500, .lease_ms = 375, .gone_ms = 100, \
		.return_ms = 2000, .seen_ms = 1                                                  \
	}

static void count_change(void *context, struct node *node)
{
	(void)node;
	(*(size_t *)context)++;
}

/* The registry runs until then, and looks at its nodes as often as it should. */
static void run_until(struct node_table *table, uint64_t now_ms, size_t *changes)
{
	while (table->seen_ms < now_ms) {
		uint64_t step_ms = now_ms - table->seen_ms;

		node_tick(table, table->seen_ms + (step_ms < 20 ? step_ms : 20), count_change,
			  changes);
	}
}

Test(node, suspect_dead_and_back)
{
	struct node_table table = ROOM_TABLE;
	struct proto_node_hello first = hello("r", 1);
	struct proto_node_hello second = hello("r", 2);
	struct proto_node_beat beat = {.node = proto_span("r"), .incarnation.bytes = {1}};
	struct node *node = NULL;
	bool changed = false;
	size_t changes = 0;

	cr_assert_eq(node_hello(&table, &first, 7, 1, 0, &node), 0);
	run_until(&table, 300, &changes);
	cr_assert_eq(changes, 0);
	run_until(&table, 301, &changes);
	cr_assert_eq(node->state, PROTO_NODE_STATE_SUSPECT);
	cr_assert_eq(node_beat(&table, &beat, 7, 310, &node, &changed), 0);
	cr_assert(changed);
	cr_assert_eq(node->state, PROTO_NODE_STATE_ONLINE);
	run_until(&table, 809, &changes);
	cr_assert_eq(node->state, PROTO_NODE_STATE_SUSPECT);
	run_until(&table, 810, &changes);
	cr_assert_eq(node->state, PROTO_NODE_STATE_DEAD);
	cr_assert_eq(changes, 3);
	/* A dead one must say hello, and another incarnation takes the name over. */
	cr_assert_eq(node_beat(&table, &beat, 7, 820, &node, &changed), PROTO_E_UNKNOWN_NODE);
	cr_assert_eq(node_hello(&table, &second, 8, 830, 0, &node), 0);
	cr_assert_eq(node_beat(&table, &beat, 7, 840, &node, &changed), PROTO_E_UNKNOWN_NODE);
	beat.incarnation.bytes[0] = 2;
	beat.leaving = true;
	cr_assert_eq(node_beat(&table, &beat, 8, 850, &node, &changed), 0);
	cr_assert(changed);
	cr_assert_eq(node->state, PROTO_NODE_STATE_DEAD);
	node_table_deinit(&table);
}

/* On our own host a connection that ends is a process that died; elsewhere its lease runs on. */
Test(node, a_connection_that_ends)
{
	static const struct {
		const char *host;
		uint64_t dead_at_ms;
	} rows[] = {{"h", 301}, {"elsewhere", 376}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct node_table table = ROOM_TABLE;
		struct proto_node_hello one = hello("r", 1);
		struct node *node = NULL;
		size_t changes = 0;

		one.host = proto_span(rows[i].host);
		cr_assert_eq(node_hello(&table, &one, 7, 1, 0, &node), 0);
		run_until(&table, 201, &changes);
		cr_assert_null(node_gone(&table, 8, 201));
		cr_assert_eq(node_gone(&table, 7, 201), node);
		cr_assert_eq(node->state, PROTO_NODE_STATE_SUSPECT);
		cr_assert_null(node_gone(&table, 7, 201), "told once");
		run_until(&table, rows[i].dead_at_ms - 1, &changes);
		cr_assert_eq(node->state, PROTO_NODE_STATE_SUSPECT);
		run_until(&table, rows[i].dead_at_ms, &changes);
		cr_assert_eq(node->state, PROTO_NODE_STATE_DEAD, "%s", rows[i].host);
		cr_assert_eq(changes, 1);
		node_table_deinit(&table);
	}
}

Test(node, a_connection_that_is_made_again)
{
	struct node_table table = ROOM_TABLE;
	struct proto_node_hello one = hello("r", 1);
	struct proto_node_beat beat = {.node = proto_span("r"), .incarnation.bytes = {1}};
	struct node *node = NULL;
	bool changed = false;
	size_t changes = 0;

	one.host = proto_span("h");
	cr_assert_eq(node_hello(&table, &one, 7, 1, 0, &node), 0);
	cr_assert_eq(node_gone(&table, 7, 50), node);
	run_until(&table, 140, &changes);
	cr_assert_eq(node_beat(&table, &beat, 9, 140, &node, &changed), 0);
	cr_assert(changed);
	cr_assert_null(node_gone(&table, 7, 141), "it is heard on another one now");
	run_until(&table, 400, &changes);
	cr_assert_eq(node->state, PROTO_NODE_STATE_ONLINE);
	node_table_deinit(&table);
}

/* The registry itself did not run: nobody is blamed for what it did not hear. */
Test(node, a_pause_of_the_registry)
{
	struct node_table table = ROOM_TABLE;
	struct proto_node_hello one = hello("r", 1);
	struct node *node = NULL;
	size_t changes = 0;

	one.host = proto_span("h");
	cr_assert_eq(node_hello(&table, &one, 7, 1, 0, &node), 0);
	run_until(&table, 101, &changes);
	node_tick(&table, 60101, count_change, &changes);
	cr_assert_eq(changes, 0);
	(void)node_gone(&table, 7, 60101); /* connections were closed meanwhile */
	run_until(&table, 62100, &changes);
	cr_assert_neq(node->state, PROTO_NODE_STATE_DEAD);
	run_until(&table, 62500, &changes);
	cr_assert_eq(node->state, PROTO_NODE_STATE_DEAD);
	node_table_deinit(&table);
}

Test(node, draining)
{
	struct node_table table = ROOM_TABLE;
	struct proto_node_hello first = hello("r", 1);
	struct proto_node_hello second = hello("r", 2);
	struct proto_node_beat beat = {
		.node = proto_span("r"), .incarnation.bytes = {1}, .draining = true};
	struct node *node = NULL;
	bool changed = false;
	size_t changes = 0;

	cr_assert_eq(node_hello(&table, &first, 7, 1, 0, &node), 0);
	node->drain = true;
	cr_assert_eq(node_shown_state(node), PROTO_NODE_STATE_DRAINING);
	cr_assert_not(node_takes_new(node));
	run_until(&table, 350, &changes);
	cr_assert_eq(node_shown_state(node), PROTO_NODE_STATE_SUSPECT);
	cr_assert_eq(node_hello(&table, &first, 7, 360, 0, &node), 0);
	cr_assert_eq(node_shown_state(node), PROTO_NODE_STATE_DRAINING, "the process is the same");
	node->drain = false;
	cr_assert_eq(node_beat(&table, &beat, 7, 370, &node, &changed), 0);
	cr_assert(changed);
	cr_assert_eq(node_shown_state(node), PROTO_NODE_STATE_DRAINING, "it stops by itself");
	node->drain = true;
	cr_assert_eq(node_hello(&table, &second, 8, 380, 0, &node), 0);
	cr_assert_eq(node_shown_state(node), PROTO_NODE_STATE_ONLINE, "another process");
	node_table_deinit(&table);
}

Test(node, load_is_smoothed)
{
	struct node_table table = ROOM_TABLE;
	struct proto_node_hello one = hello("r", 1);
	struct proto_node_beat beat = {
		.node = proto_span("r"), .incarnation.bytes = {1}, .load_permille = 800};
	struct node *node = NULL;
	bool changed = false;
	uint64_t now_ms = 1;

	cr_assert_eq(node_hello(&table, &one, 7, now_ms, 0, &node), 0);
	cr_assert_eq(node_beat(&table, &beat, 7, now_ms += 100, &node, &changed), 0);
	cr_assert_eq(node->load_permille, 800, "all that is known");
	beat.load_permille = 0;
	cr_assert_eq(node_beat(&table, &beat, 7, now_ms += 100, &node, &changed), 0);
	cr_assert_gt(node->load_permille, 700);
	for (size_t i = 0; i < 200; i++) {
		cr_assert_eq(node_beat(&table, &beat, 7, now_ms += 100, &node, &changed), 0);
	}
	cr_assert_lt(node->load_permille, 50);
	node_table_deinit(&table);
}

Test(node, what_a_hello_must_have)
{
	struct node_table table = ROOM_TABLE;
	struct proto_node_hello wrong = hello("r", 0);
	struct node *node = NULL;

	cr_assert_eq(node_hello(&table, &wrong, 7, 1, 0, &node), PROTO_E_BAD_VALUE);
	wrong = hello("", 1);
	cr_assert_eq(node_hello(&table, &wrong, 7, 1, 0, &node), PROTO_E_BAD_VALUE);
	wrong = hello("r", 1);
	wrong.feed.size = 0;
	cr_assert_eq(node_hello(&table, &wrong, 7, 1, 0, &node), PROTO_E_BAD_VALUE);
	wrong = hello("s", 1);
	wrong.service = PROTO_SERVICE_STORAGED;
	cr_assert_eq(node_hello(&table, &wrong, 7, 1, 0, &node), PROTO_E_BAD_VALUE);
	node_table_deinit(&table);
}

Test(node, a_full_table_forgets_the_dead_alone)
{
	struct node_table table = ROOM_TABLE;
	struct node *node = NULL;
	char name[16];
	size_t changes = 0;

	for (int i = 0; i < PROTO_NODES_MAX; i++) {
		struct proto_node_hello one;

		(void)snprintf(name, sizeof(name), "r%d", i);
		one = hello(name, 1);
		if (i == 4) {
			run_until(&table, 400, &changes); /* the first ones are silent */
		}
		cr_assert_eq(node_hello(&table, &one, 7, i < 4 ? 1 : 400, 0, &node), 0);
	}
	cr_assert_eq(node_hello(&table, &(struct proto_node_hello){0}, 7, 400, 0, &node),
		     PROTO_E_BAD_VALUE);
	struct proto_node_hello more = hello("more", 1);

	cr_assert_eq(node_hello(&table, &more, 7, 400, 0, &node), PROTO_E_LIMIT);
	run_until(&table, 520, &changes);
	cr_assert_eq(changes, 8); /* suspect, then dead */
	cr_assert_eq(node_hello(&table, &more, 7, 520, 0, &node), 0);
	cr_assert_null(node_find(&table, proto_span("r0")));
	cr_assert_not_null(node_find(&table, proto_span("r1")));
	node_table_deinit(&table);
}

/* --- assignment --- */

static size_t count_of(const size_t *wishes, size_t node)
{
	size_t count = 0;

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		count += wishes[slot] == node;
	}
	return count;
}

/* Every slot has a node, and each node about its share. */
static void check_bounds(const size_t *wishes, size_t nodes)
{
	size_t share = PROTO_SLOTS / nodes;

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		cr_assert_lt(wishes[slot], nodes);
	}
	for (size_t node = 0; node < nodes; node++) {
		cr_assert_geq(count_of(wishes, node), share - share / 4);
		cr_assert_leq(count_of(wishes, node), share + share / 4 + 1);
	}
}

static const size_t *nobody(void)
{
	static size_t owners[PROTO_SLOTS];

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		owners[slot] = ASSIGNMENT_NOBODY;
	}
	return owners;
}

Test(assignment, fair_and_sticky)
{
	static size_t wishes[PROTO_SLOTS];
	static size_t before[PROTO_SLOTS];
	unsigned int seed = (unsigned int)time(NULL);

	cr_log_info("seed %u", seed);
	for (size_t run = 0; run < 200; run++) {
		size_t nodes = 1 + (size_t)rand_r(&seed) % (run % 8 == 0 ? PROTO_NODES_MAX : 40);
		size_t used = 1 + (size_t)rand_r(&seed) % nodes; /* the others are new */

		for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
			wishes[slot] = (size_t)rand_r(&seed) % (used + 1);
			if (wishes[slot] == used) {
				wishes[slot] = ASSIGNMENT_NOBODY;
			}
		}
		(void)assignment_balance(wishes, nobody(), nodes);
		check_bounds(wishes, nodes);
		memcpy(before, wishes, sizeof(wishes));
		cr_assert_eq(assignment_balance(wishes, nobody(), nodes), 0); /* not twice */
		cr_assert_arr_eq(before, wishes, sizeof(wishes));
	}
}

/* One comes and gets its share, one goes and leaves its slots: no others move. */
Test(assignment, moves_no_more_than_needed)
{
	static size_t wishes[PROTO_SLOTS];
	static size_t before[PROTO_SLOTS];
	size_t lost;
	size_t moved = 0;

	for (size_t nodes = 2; nodes <= 64; nodes++) {
		for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
			wishes[slot] = ASSIGNMENT_NOBODY;
		}
		cr_assert_eq(assignment_balance(wishes, nobody(), nodes - 1), PROTO_SLOTS);
		memcpy(before, wishes, sizeof(wishes));
		cr_assert_eq(assignment_balance(wishes, nobody(), nodes), PROTO_SLOTS / nodes);
		for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
			cr_assert(wishes[slot] == before[slot] || wishes[slot] == nodes - 1);
		}
		check_bounds(wishes, nodes);
		lost = count_of(wishes, nodes - 1);
		memcpy(before, wishes, sizeof(wishes));
		for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
			if (wishes[slot] == nodes - 1) {
				wishes[slot] = ASSIGNMENT_NOBODY;
			}
		}
		moved = assignment_balance(wishes, nobody(), nodes - 1);
		cr_assert_eq(moved, lost);
		check_bounds(wishes, nodes - 1);
	}
}

/* A node that was thought dead, and whose slots nobody has taken yet, keeps them. */
Test(assignment, orphans_stay_where_they_are_served)
{
	static size_t wishes[PROTO_SLOTS];
	static size_t owners[PROTO_SLOTS];

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		owners[slot] = slot % 3;
		wishes[slot] = ASSIGNMENT_NOBODY;
	}
	cr_assert_eq(assignment_balance(wishes, owners, 3), PROTO_SLOTS);
	cr_assert_arr_eq(wishes, owners, sizeof(wishes));
}

Test(assignment, load_shifts_a_few_within_bounds)
{
	static size_t wishes[PROTO_SLOTS];
	size_t moved;
	size_t all = 0;

	for (size_t slot = 0; slot < PROTO_SLOTS; slot++) {
		wishes[slot] = slot % 2;
	}
	cr_assert_eq(assignment_shift(wishes, 2, 0, 1, 64, 4000), 64);
	cr_assert_eq(count_of(wishes, 0), PROTO_SLOTS / 2 - 64);
	while ((moved = assignment_shift(wishes, 2, 0, 1, 64, 7)) > 0) {
		all += moved;
	}
	cr_assert_eq(all + 64, PROTO_SLOTS / 2 / 4);
	cr_assert_eq(assignment_balance(wishes, nobody(), 2), 0, "and that is not undone");
}

Test(assignment, nobody_to_give_to)
{
	static size_t wishes[PROTO_SLOTS];

	memset(wishes, 0xff, sizeof(wishes));
	cr_assert_eq(assignment_balance(wishes, nobody(), 0), 0);
	cr_assert_eq(wishes[0], ASSIGNMENT_NOBODY);
}

/* --- load --- */

Test(load, only_a_lasting_and_large_gap_moves_slots)
{
	static const struct {
		const char *what;
		uint64_t loads[3];
		bool moves; /* when it lasts */
	} rows[] = {
		{"all idle", {100, 0, 50}, false},
		{"busy, but not by far", {900, 650, 800}, false},
		{"by far, but not busy", {650, 0, 10}, false},
		{"busy by far",
		 {LOAD_HOT_PERMILLE, LOAD_HOT_PERMILLE - LOAD_GAP_PERMILLE, 500},
		 true},
		{"one is not known", {900, LOAD_UNKNOWN, 100}, true},
		{"nobody else is known", {900, LOAD_UNKNOWN, LOAD_UNKNOWN}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct load_watch watch = {0};
		size_t from = 9;
		size_t to = 9;

		for (size_t look = 1; look <= 2 * LOAD_STREAK; look++) {
			bool due = rows[i].moves && look % LOAD_STREAK == 0;

			cr_assert_eq(load_look(&watch, rows[i].loads, 3, &from, &to), due, "%s",
				     rows[i].what);
		}
		cr_assert_eq(from, rows[i].moves ? 0 : 9, "%s", rows[i].what);
		cr_assert_eq(to, rows[i].moves ? (rows[i].loads[1] < rows[i].loads[2] ? 1 : 2) : 9);
	}
}

Test(load, a_pause_or_another_node_begins_anew)
{
	static const uint64_t first[] = {900, 100};
	static const uint64_t second[] = {100, 900};
	static const uint64_t calm[] = {100, 100};
	const uint64_t *looks[] = {first, first, calm, first, first, second, second, second};
	struct load_watch watch = {0};
	size_t from = 9;
	size_t to = 9;

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		cr_assert_eq(load_look(&watch, looks[i], 2, &from, &to), i == 7, "look %zu", i);
	}
	cr_assert_eq(from, 1);
	cr_assert_eq(to, 0);
	cr_assert_not(load_look(&watch, NULL, 0, &from, &to));
}

/* --- slot records --- */

static void put(struct slot_table *table, const struct proto_slot_record *record)
{
	struct proto_buffer out = PROTO_BUFFER_INIT;

	cr_assert_eq(slot_table_encode(record, &out), 0);
	cr_assert_eq(slot_table_put(table, out.data, out.size), 0);
	proto_buffer_deinit(&out);
}

Test(slot_table, the_life_of_a_record)
{
	struct proto_store_ref store = {{{5}}};
	struct proto_segment segments[2] = {
		{.since_epoch = 1, .epoch = 1, .first = 1, .members = {&store, 1}},
		{.since_epoch = 2, .epoch = 2, .first = 8, .members = {&store, 1}},
	};
	struct proto_slot_record next = {
		.slot = 17,
		.epoch = 1,
		.owner = proto_span("r"),
		.incarnation.bytes = {1},
		.state = PROTO_SLOT_STATE_SEALING,
	};
	struct slot_table *table = NULL;

	cr_assert_eq(slot_table_new(&table), 0);
	cr_assert_eq(slot_table_get(table, 17)->version, 0);
	/* T1 of the first term. */
	next.version = 1;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_VERSION_CONFLICT);
	next.version = 0;
	cr_assert_eq(slot_table_check(table, &next), 0);
	put(table, &next);
	cr_assert_eq(slot_table_get(table, 17)->version, 1);
	/* T5. */
	next.version = 1;
	next.state = PROTO_SLOT_STATE_OPEN;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* no segment */
	next.segments = (struct proto_list_segment){segments, 1};
	cr_assert_eq(slot_table_check(table, &next), 0);
	next.incarnation.bytes[0] = 2;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* another's term */
	next.incarnation.bytes[0] = 1;
	put(table, &next);
	/* The owner may close it, and nothing else with that; nobody opens it again. */
	next.version = 2;
	next.state = PROTO_SLOT_STATE_CLOSED;
	cr_assert_eq(slot_table_check(table, &next), 0);
	next.incarnation.bytes[0] = 2;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* not its own */
	next.incarnation.bytes[0] = 1;
	next.epoch = 2;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* another term */
	next.epoch = 1;
	segments[0].first = 2;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* another log */
	segments[0].first = 1;
	put(table, &next);
	next.version = 3;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* twice */
	next.state = PROTO_SLOT_STATE_OPEN;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE);
	/* T1 of the second term: a higher epoch, the log as it was. */
	next.state = PROTO_SLOT_STATE_SEALING;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* the same epoch */
	next.epoch = 2;
	cr_assert_eq(slot_table_check(table, &next), 0);
	segments[0].first = 2;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* another log */
	segments[0].first = 1;
	store.store.bytes[0] = 6;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* on other stores */
	store.store.bytes[0] = 5;
	put(table, &next);
	/* T5: sealed at 7, the next begins at 8. */
	next.version = 4;
	next.state = PROTO_SLOT_STATE_OPEN;
	segments[0].sealed = true;
	segments[0].last = 7;
	next.segments.count = 2;
	cr_assert_eq(slot_table_check(table, &next), 0);
	segments[1].first = 9;
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE); /* a hole */
	segments[1].first = 8;
	put(table, &next);
	/* The third term may not forget what was sealed. */
	next.version = 5;
	next.epoch = 3;
	next.state = PROTO_SLOT_STATE_SEALING;
	cr_assert_eq(slot_table_check(table, &next), 0);
	put(table, &next);
	next.version = 6;
	next.state = PROTO_SLOT_STATE_OPEN;
	next.segments.count = 1;
	segments[0] = (struct proto_segment){
		.since_epoch = 3, .epoch = 3, .first = 8, .members = {&store, 1}};
	cr_assert_eq(slot_table_check(table, &next), PROTO_E_BAD_VALUE);
	slot_table_free(table);
}

Test(slot_table, bytes_that_are_no_record)
{
	struct slot_table *table = NULL;

	cr_assert_eq(slot_table_new(&table), 0);
	cr_assert_eq(slot_table_put(table, "\xc1", 1), PROTO_E_MALFORMED);
	cr_assert_eq(slot_table_put(table, "", 0), PROTO_E_MALFORMED);
	slot_table_free(table);
}
