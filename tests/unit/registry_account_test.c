/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accounts, invitation and sessions, over the bus; and what is there after a restart. */

#include "tests/unit/registry_world.h"

static int sign_in(struct world *world, const char *login, const char *password,
		   const struct proto_message **ret_answer)
{
	struct proto_session_create create = {.login = proto_span(login),
					      .password = proto_span(password)};

	return ask(world, world->ann, PROTO_SESSION_CREATE, &create, ret_answer);
}

static int resume(struct world *world, struct bus_link *link, const struct person *person)
{
	struct proto_session_resume body = {
		.secret = {(const char *)person->secret, PROTO_SECRET_BYTES}};

	return ask(world, link, PROTO_SESSION_RESUME, &body, NULL);
}

/* A request that any living session may make. */
static int use(struct world *world, struct bus_link *link, const struct proto_id *session)
{
	struct proto_accounts_find find = {.session = *session};

	return ask(world, link, PROTO_ACCOUNTS_FIND, &find, NULL);
}

Test(registry_accounts, refusals)
{
	static const struct {
		const char *what;
		struct proto_account_create create;
		int result;
	} cases[] = {
		{"name",
		 {.name = PROTO_SPAN("a b"), .password = PROTO_SPAN("correct horse")},
		 PROTO_E_BAD_VALUE},
		{"e-mail",
		 {.name = PROTO_SPAN("carl"),
		  .email = PROTO_SPAN("carl@"),
		  .password = PROTO_SPAN("correct horse")},
		 PROTO_E_BAD_VALUE},
		{"short",
		 {.name = PROTO_SPAN("carl"), .password = PROTO_SPAN("short")},
		 PROTO_E_WEAK_PASSWORD},
		{"common",
		 {.name = PROTO_SPAN("carl"), .password = PROTO_SPAN("Password1")},
		 PROTO_E_WEAK_PASSWORD},
		{"own name",
		 {.name = PROTO_SPAN("carlcarl"), .password = PROTO_SPAN("CARLcarl")},
		 PROTO_E_WEAK_PASSWORD},
		{"taken",
		 {.name = PROTO_SPAN("ANN"), .password = PROTO_SPAN("correct horse")},
		 PROTO_E_NAME_TAKEN},
		{"e-mail taken",
		 {.name = PROTO_SPAN("carl"),
		  .email = PROTO_SPAN("Ann@Example.ORG"),
		  .password = PROTO_SPAN("correct horse")},
		 PROTO_E_EMAIL_TAKEN},
		{"invitation",
		 {.name = PROTO_SPAN("carl"),
		  .password = PROTO_SPAN("correct horse"),
		  .invitation = PROTO_SPAN("guessed")},
		 PROTO_E_FORBIDDEN},
	};
	struct world *world = world_new();
	struct proto_account_create ann = account_of("Ann", "ann@example.org");

	cr_assert_eq(ask(world, world->ann, PROTO_ACCOUNT_CREATE, &ann, NULL), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_assert_eq(ask(world, world->ann, PROTO_ACCOUNT_CREATE, &cases[i].create, NULL),
			     cases[i].result, "%s", cases[i].what);
	}
	world_free(world);
}

Test(registry_accounts, sign_in)
{
	static const struct {
		const char *login;
		const char *password;
		int result;
	} cases[] = {
		{"ann", "correct horse", 0},
		{"ANN", "correct horse", 0},
		{"Ann@Example.org", "correct horse", 0},
		{"ann", "Correct horse", PROTO_E_BAD_CREDENTIALS},
		{"ann", "", PROTO_E_BAD_CREDENTIALS},
		{"nobody", "correct horse", PROTO_E_BAD_CREDENTIALS},
		{"", "correct horse", PROTO_E_BAD_CREDENTIALS},
		{"@", "correct horse", PROTO_E_BAD_CREDENTIALS},
	};
	struct world *world = world_new();
	struct proto_account_create ann = account_of("Ann", "ann@example.org");

	cr_assert_eq(ask(world, world->ann, PROTO_ACCOUNT_CREATE, &ann, NULL), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_assert_eq(sign_in(world, cases[i].login, cases[i].password, NULL),
			     cases[i].result, "\"%s\" \"%s\"", cases[i].login, cases[i].password);
	}
	world_free(world);
}

/* While the first one's password is hashed, nobody has the name yet. */
Test(registry_accounts, one_of_two_gets_the_name)
{
	static const struct {
		struct proto_account_create second;
		int result;
	} cases[] = {
		{{.name = PROTO_SPAN("ANN"), .password = PROTO_SPAN("correct horse")},
		 PROTO_E_NAME_TAKEN},
		{{.name = PROTO_SPAN("ben"),
		  .email = PROTO_SPAN("A@x"),
		  .password = PROTO_SPAN("correct horse")},
		 PROTO_E_EMAIL_TAKEN},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world *world = world_new();
		struct proto_account_create first = account_of("ann", "a@x");
		struct held *a = begin(world, world->ann, PROTO_ACCOUNT_CREATE, &first);
		struct held *b = begin(world, world->bob, PROTO_ACCOUNT_CREATE, &cases[i].second);
		int results[2] = {end(world, a), end(world, b)};

		cr_assert_eq(results[0] == 0, results[1] != 0, "case %zu", i);
		cr_assert_eq(results[0] + results[1], cases[i].result, "case %zu", i);
		world_free(world);
	}
}

/* Two show the same invitation at the same time: one is administrator, the other nothing. */
Test(registry_accounts, invitation_works_once)
{
	struct world *world = world_new();
	uint8_t secret[PROTO_SECRET_BYTES];
	struct proto_account_create ann = account_of("ann", "ann@x");
	struct proto_account_create ben = account_of("ben", "ben@x");
	struct proto_session_create again = {PROTO_SPAN("ben"), PROTO_SPAN("correct horse")};
	const struct held *winner;
	struct held *a;
	struct held *b;
	char path[128];
	FILE *file;

	cr_assert_eq(read_invitation(world, secret), PROTO_SECRET_BYTES);
	ann.invitation = (struct proto_span){(const char *)secret, sizeof(secret)};
	ben.invitation = ann.invitation;
	a = begin(world, world->ann, PROTO_ACCOUNT_CREATE, &ann);
	b = begin(world, world->bob, PROTO_ACCOUNT_CREATE, &ben);
	(void)end(world, a);
	(void)end(world, b);
	cr_assert_eq(a->result + b->result, PROTO_E_FORBIDDEN, "%d and %d", a->result, b->result);
	winner = a->result == 0 ? a : b;
	cr_assert_eq(PROTO_BODY(&winner->message, session_granted)->role,
		     PROTO_ACCOUNT_ROLE_ADMINISTRATOR);
	cr_assert_eq(read_invitation(world, secret), 0);
	cr_assert_eq(ask(world, world->ann, PROTO_SESSION_CREATE, &again, NULL),
		     winner == b ? 0 : PROTO_E_BAD_CREDENTIALS);
	/* As if the registry had been killed between the account and the file. */
	registry_down(world);
	(void)snprintf(path, sizeof(path), "%s/invitation", world->data);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	(void)fclose(file);
	registry_up(world);
	cr_assert_neq(access(path, F_OK), 0);
	world_free(world);
}

Test(registry_sessions, belong_to_connections)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct proto_id other = id_of(1);

	cr_assert_eq(use(world, world->ann, &ann.session), 0);
	cr_assert_eq(use(world, world->ann, &other), PROTO_E_SESSION_UNKNOWN);
	cr_assert_eq(use(world, world->bob, &ann.session), PROTO_E_SESSION_UNKNOWN);
	cr_assert_eq(resume(world, world->bob, &ann), 0);
	cr_assert_eq(use(world, world->bob, &ann.session), 0);
	ann.secret[0] ^= 1;
	cr_assert_eq(resume(world, world->bob, &ann), PROTO_E_UNAUTHENTICATED);
	world_free(world);
}

/* No request of a person is answered without a session that is bound. */
Test(registry_sessions, are_asked_for_everywhere)
{
	static const struct {
		enum proto_type type;
		union {
			struct proto_session_end end;
			struct proto_accounts_find accounts;
			struct proto_room_reserve reserve;
			struct proto_rooms_find rooms;
			struct proto_room_lookup lookup;
			struct proto_nodes_list nodes;
		} body;
	} cases[] = {
		{PROTO_SESSION_END, {.end = {{{9}}}}},
		{PROTO_ACCOUNTS_FIND, {.accounts = {{{9}}}}},
		{PROTO_ROOM_RESERVE,
		 {.reserve = {{{9}}, PROTO_SPAN("room"), PROTO_ROOM_KIND_PUBLIC}}},
		{PROTO_ROOMS_FIND, {.rooms = {{{9}}}}},
		{PROTO_ROOM_LOOKUP, {.lookup = {{{9}}, PROTO_SPAN("room")}}},
		{PROTO_NODES_LIST, {.nodes = {{{9}}}}},
	};
	struct world *world = world_new();

	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_assert_eq(ask(world, world->ann, cases[i].type, &cases[i].body, NULL),
			     PROTO_E_SESSION_UNKNOWN, "case %zu", i);
	}
	world_free(world);
}

Test(registry_sessions, end_everywhere_and_are_revoked)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct proto_session_end body = {ann.session};

	follow(world);
	cr_assert_eq(resume(world, world->bob, &ann), 0);
	cr_assert_eq(ask(world, world->ann, PROTO_SESSION_END, &body, NULL), 0);
	fixture_wait(&world->fixture, &world->revoked, 1);
	cr_assert_eq(use(world, world->ann, &ann.session), PROTO_E_SESSION_UNKNOWN);
	cr_assert_eq(use(world, world->bob, &ann.session), PROTO_E_SESSION_UNKNOWN);
	cr_assert_eq(resume(world, world->bob, &ann), PROTO_E_UNAUTHENTICATED);
	world_free(world);
}

Test(registry_sessions, expire)
{
	static const struct {
		bool remember;
		uint64_t life_ms;
	} cases[] = {{false, 86400000}, {true, 30 * 86400000ULL}};
	struct world *world = world_new();

	(void)sign_up(world, world->ann, "ann");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct proto_session_create create = {
			PROTO_SPAN("ann"), PROTO_SPAN("correct horse"), cases[i].remember};
		const struct proto_message *answer;
		struct person person;

		skeleton.later_ms = 0;
		cr_assert_eq(ask(world, world->ann, PROTO_SESSION_CREATE, &create, &answer), 0);
		person = person_of(answer);
		skeleton.later_ms = cases[i].life_ms - 60000;
		cr_assert_eq(use(world, world->ann, &person.session), 0);
		cr_assert_eq(resume(world, world->ann, &person), 0);
		skeleton.later_ms = cases[i].life_ms;
		cr_assert_eq(use(world, world->ann, &person.session), PROTO_E_SESSION_UNKNOWN);
		cr_assert_eq(resume(world, world->ann, &person), PROTO_E_UNAUTHENTICATED);
	}
	world_free(world);
}

Test(registry_sessions, tokens_hold_for_the_key_of_the_welcome)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct proto_session_resume body = {{(const char *)ann.secret, PROTO_SECRET_BYTES}};
	const struct proto_message *granted;
	const struct proto_message *welcome;
	struct token_claims claims;
	char key[PROTO_PEM_BYTES_MAX + 1] = {0};

	cr_assert_eq(ask(world, world->bob, PROTO_SESSION_RESUME, &body, &granted), 0);
	cr_assert_eq(PROTO_BODY(granted, session_granted)->secret.size, 0); /* told once */
	cr_assert_eq(hello(world, "gateway-1", PROTO_SERVICE_GATEWAY, 1, "", &welcome), 0);
	memcpy(key, PROTO_BODY(welcome, node_welcome)->token_key.data,
	       PROTO_BODY(welcome, node_welcome)->token_key.size);
	cr_assert_null(strstr(key, "PRIVATE"));
	cr_assert_eq(token_verify(key, PROTO_BODY(granted, session_granted)->token, clock_wall_ms(),
				  &claims),
		     0);
	cr_assert(proto_id_equal(&claims.session, &ann.session));
	cr_assert(proto_id_equal(&claims.user, &ann.user));
	cr_assert_str_eq(claims.name, "ann");
	world_free(world);
}

/* What was answered is there after a restart; what was bound to connections is not. */
static struct proto_revocations revoked_after(struct world *world, uint64_t after)
{
	struct proto_revocations_read body = {.after = after};
	const struct proto_message *answer;

	cr_assert_eq(ask(world, world->bob, PROTO_REVOCATIONS_READ, &body, &answer), 0);
	return *PROTO_BODY(answer, revocations);
}

/* A node that was away learns which sessions ended, as long as their tokens may be good. */
Test(registry_sessions, ends_are_kept_for_those_who_missed_them)
{
	struct world *world = world_new();
	struct proto_revocations revoked;
	uint64_t first;

	follow(world);
	cr_assert_eq(revoked_after(world, 0).sessions.count, 0);
	for (size_t i = 0; i < 3; i++) {
		const char *names[] = {"ann", "ben", "cleo"};
		struct person person = sign_up(world, world->ann, names[i]);
		struct proto_session_end body = {person.session};

		cr_assert_eq(ask(world, world->ann, PROTO_SESSION_END, &body, NULL), 0);
		fixture_wait(&world->fixture, &world->revoked, i + 1);
		revoked = revoked_after(world, i);
		cr_assert_eq(revoked.version, i + 1);
		cr_assert_eq(revoked.sessions.count, 1);
		cr_assert(proto_id_equal(&revoked.sessions.items[0].session, &person.session));
	}
	bus_feed_free(world->feed);
	world->feed = NULL;
	registry_down(world);
	registry_up(world);
	revoked = revoked_after(world, 1);
	cr_assert_eq(revoked.version, 3);
	cr_assert_eq(revoked.sessions.count, 2);
	cr_assert_not(revoked.more);
	skeleton.later_ms = world->settings.token_ms + 60000 - 1000;
	accounts_tick(world->daemon, UINT64_MAX / 2);
	cr_assert_eq(revoked_after(world, 0).sessions.count, 3);
	/* Forgotten, but for the last one: versions go on from it. */
	skeleton.later_ms += 60000;
	((struct registry *)world->daemon)->purge_at_ms = 0;
	accounts_tick(world->daemon, UINT64_MAX / 2);
	for (first = 3; first != 1;) {
		first = revoked_after(world, 0).sessions.count;
	}
	skeleton.later_ms = 0;
	registry_down(world);
	registry_up(world);
	cr_assert_eq(revoked_after(world, 0).version, 3);
	world_free(world);
}

Test(registry_store, restart_keeps_all)
{
	struct world *world = world_new();
	struct person ann = sign_up(world, world->ann, "ann");
	struct proto_account_create same = account_of("Ann", NULL);
	struct proto_slots_read read = {5, 5};
	const struct proto_message *answer;

	roomd_up(world, "roomd-1", 1, 5);
	await_slots(world, "roomd-1", PROTO_SLOTS);
	registry_down(world);
	registry_up(world);
	cr_assert_eq(use(world, world->ann, &ann.session), PROTO_E_SESSION_UNKNOWN);
	cr_assert_eq(resume(world, world->ann, &ann), 0);
	cr_assert_eq(use(world, world->ann, &ann.session), 0);
	cr_assert_eq(sign_in(world, "ann", "correct horse", NULL), 0);
	cr_assert_eq(ask(world, world->ann, PROTO_ACCOUNT_CREATE, &same, NULL), PROTO_E_NAME_TAKEN);
	cr_assert_eq(ask(world, world->bob, PROTO_SLOTS_READ, &read, &answer), 0);
	cr_assert_eq(PROTO_BODY(answer, slot_records)->records.items[0].version, 2);
	/* Its slots wait for the roomd of that name; one that comes first does not get them all. */
	cr_assert_eq(assigned_to(world, "roomd-1"), PROTO_SLOTS - 1); /* 5 is open, by hearsay */
	cr_assert_eq(hello(world, "roomd-2", PROTO_SERVICE_ROOMD, 9, "h", NULL), 0);
	/* Slot 5 is meant for it, but roomd-1 may be alive and serve it. */
	await_slots(world, "roomd-2", PROTO_SLOTS / 2 - 1);
	cr_assert_eq(assigned_to(world, "roomd-1"), PROTO_SLOTS / 2);
	world_free(world);
}
