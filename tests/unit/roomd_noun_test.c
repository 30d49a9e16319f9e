/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The nouns of a room: rights, dedupe, recent events, marks, presence, sessions. Tables where they
 * fit.
 */

#include <criterion/criterion.h>
#include <stdlib.h>
#include "roomd/rights.h"
#include "roomd/room.h"
#include "roomd/session.h"

static const struct tail_limits limits = {.count = 4, .bytes = 4096};

static struct proto_id id(uint8_t number)
{
	return (struct proto_id){{number}};
}

static void apply_member(struct room *room, uint8_t user, enum proto_role role, const char *name)
{
	struct proto_event event = {
		.kind = PROTO_EVENT_KIND_MEMBER,
		.seq = ++room->committed,
		.time = 1000 + room->committed,
		.subject = id(user),
		.role = role,
		.label = proto_span(name),
	};

	cr_assert_eq(room_apply(room, &event), 0);
}

enum {
	OWNER = 1,
	ADMIN,
	MEMBER,
	BANNED,
	LEFT,
	STRANGER
};

static struct room room_of(enum proto_room_kind kind)
{
	struct proto_event setting = {.kind = PROTO_EVENT_KIND_SETTING,
				      .seq = 1,
				      .label = PROTO_SPAN("tea"),
				      .access = kind};
	struct proto_id room_id = id(200);
	struct room room;

	room_init(&room, &room_id);
	room.committed = 1;
	cr_assert_eq(room_apply(&room, &setting), 0);
	apply_member(&room, OWNER, PROTO_ROLE_OWNER, "olga");
	apply_member(&room, ADMIN, PROTO_ROLE_ADMIN, "adam");
	apply_member(&room, MEMBER, PROTO_ROLE_MEMBER, "mona");
	apply_member(&room, BANNED, PROTO_ROLE_BANNED, "bill");
	apply_member(&room, LEFT, PROTO_ROLE_NONE, "lena");
	return room;
}

/* --- rights --- */

#define OK 0
#define NO PROTO_E_FORBIDDEN
#define HIDE PROTO_E_NOT_FOUND
#define BAN PROTO_E_BANNED
#define FULL PROTO_E_ROOM_FULL

Test(roomd_rights, what_each_may_do)
{
	static const struct {
		enum proto_room_kind kind;
		enum rights_action action;
		int owner, admin, member, banned, left, stranger;
	} rows[] = {
		{PROTO_ROOM_KIND_PUBLIC, RIGHTS_READ, OK, OK, OK, BAN, OK, OK},
		{PROTO_ROOM_KIND_PUBLIC, RIGHTS_WRITE, OK, OK, OK, BAN, NO, NO},
		{PROTO_ROOM_KIND_PUBLIC, RIGHTS_MODERATE, OK, OK, NO, BAN, NO, NO},
		{PROTO_ROOM_KIND_PUBLIC, RIGHTS_SET, OK, OK, NO, BAN, NO, NO},
		{PROTO_ROOM_KIND_PUBLIC, RIGHTS_JOIN, OK, OK, OK, BAN, OK, OK},
		{PROTO_ROOM_KIND_PUBLIC, RIGHTS_LEAVE, OK, OK, OK, BAN, OK, OK},
		{PROTO_ROOM_KIND_PRIVATE, RIGHTS_READ, OK, OK, OK, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_PRIVATE, RIGHTS_WRITE, OK, OK, OK, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_PRIVATE, RIGHTS_MODERATE, OK, OK, NO, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_PRIVATE, RIGHTS_SET, OK, OK, NO, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_PRIVATE, RIGHTS_JOIN, OK, OK, OK, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_PRIVATE, RIGHTS_LEAVE, OK, OK, OK, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_DIRECT, RIGHTS_READ, OK, OK, OK, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_DIRECT, RIGHTS_WRITE, OK, OK, OK, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_DIRECT, RIGHTS_SET, NO, NO, NO, BAN, HIDE, HIDE},
		{PROTO_ROOM_KIND_DIRECT, RIGHTS_LEAVE, NO, NO, NO, BAN, HIDE, HIDE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct room room = room_of(rows[i].kind);
		const int want[] = {rows[i].owner,  rows[i].admin, rows[i].member,
				    rows[i].banned, rows[i].left,  rows[i].stranger};

		for (uint8_t who = OWNER; who <= STRANGER; who++) {
			struct proto_id user = id(who);

			cr_assert_eq(rights_check(&room, rows[i].action, &user), want[who - OWNER],
				     "row %zu, who %u", i, who);
		}
		room_deinit(&room, &limits);
	}
}

Test(roomd_rights, roles_that_may_be_given)
{
	static const struct {
		enum proto_room_kind kind;
		uint8_t user, subject;
		enum proto_role role;
		int want;
	} rows[] = {
		{PROTO_ROOM_KIND_PRIVATE, OWNER, STRANGER, PROTO_ROLE_MEMBER, OK},
		{PROTO_ROOM_KIND_PRIVATE, ADMIN, STRANGER, PROTO_ROLE_MEMBER, OK},
		{PROTO_ROOM_KIND_PRIVATE, MEMBER, STRANGER, PROTO_ROLE_MEMBER, NO},
		{PROTO_ROOM_KIND_PRIVATE, STRANGER, MEMBER, PROTO_ROLE_NONE, HIDE},
		{PROTO_ROOM_KIND_PRIVATE, BANNED, MEMBER, PROTO_ROLE_NONE, BAN},
		{PROTO_ROOM_KIND_PRIVATE, OWNER, BANNED, PROTO_ROLE_MEMBER, NO},
		{PROTO_ROOM_KIND_PRIVATE, OWNER, STRANGER, PROTO_ROLE_ADMIN, NO},
		{PROTO_ROOM_KIND_PUBLIC, OWNER, STRANGER, PROTO_ROLE_MEMBER, NO},
		{PROTO_ROOM_KIND_PUBLIC, OWNER, MEMBER, PROTO_ROLE_OWNER, OK},
		{PROTO_ROOM_KIND_PUBLIC, OWNER, MEMBER, PROTO_ROLE_ADMIN, OK},
		{PROTO_ROOM_KIND_PUBLIC, OWNER, ADMIN, PROTO_ROLE_MEMBER, OK},
		{PROTO_ROOM_KIND_PUBLIC, OWNER, OWNER, PROTO_ROLE_MEMBER, NO}, /* the last one */
		{PROTO_ROOM_KIND_PUBLIC, OWNER, OWNER, PROTO_ROLE_NONE, NO},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, MEMBER, PROTO_ROLE_ADMIN, NO},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, ADMIN, PROTO_ROLE_MEMBER, NO},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, OWNER, PROTO_ROLE_BANNED, NO},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, MEMBER, PROTO_ROLE_NONE, OK},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, MEMBER, PROTO_ROLE_BANNED, OK},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, STRANGER, PROTO_ROLE_BANNED, OK},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, BANNED, PROTO_ROLE_NONE, OK},
		{PROTO_ROOM_KIND_PUBLIC, ADMIN, STRANGER, PROTO_ROLE_NONE, HIDE},
		{PROTO_ROOM_KIND_PUBLIC, MEMBER, ADMIN, PROTO_ROLE_NONE, NO},
		{PROTO_ROOM_KIND_DIRECT, OWNER, STRANGER, PROTO_ROLE_MEMBER, NO},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct room room = room_of(rows[i].kind);
		struct proto_id user = id(rows[i].user);
		struct proto_id subject = id(rows[i].subject);

		cr_assert_eq(rights_check_role(&room, &user, &subject, rows[i].role), rows[i].want,
			     "row %zu", i);
		room_deinit(&room, &limits);
	}
}

Test(roomd_rights, full_rooms_and_personal_logs)
{
	struct room room = room_of(PROTO_ROOM_KIND_PRIVATE);
	struct room log;
	struct proto_id owner = id(OWNER);
	struct proto_id stranger = id(STRANGER);

	room.capacity = 3;
	cr_assert_eq(rights_check_role(&room, &owner, &stranger, PROTO_ROLE_MEMBER), FULL);
	room_deinit(&room, &limits);
	room_init(&log, &owner);
	cr_assert_eq(rights_check(&log, RIGHTS_READ, &owner), HIDE); /* nothing there */
	log.kind = PROTO_ROOM_KIND_PERSONAL;
	cr_assert_eq(rights_check(&log, RIGHTS_READ, &owner), OK);
	cr_assert_eq(rights_check(&log, RIGHTS_WRITE, &owner), NO);
	cr_assert_eq(rights_check(&log, RIGHTS_READ, &stranger), HIDE);
	room_deinit(&log, &limits);
}

/* --- room --- */

Test(roomd_room, heir_is_the_oldest_admin_then_member)
{
	struct room room = room_of(PROTO_ROOM_KIND_PUBLIC);
	struct proto_id owner = id(OWNER);
	struct proto_id admin = id(ADMIN);
	struct proto_id member = id(MEMBER);

	cr_assert_eq(room.member_count, 3);
	cr_assert(proto_id_equal(&room_heir(&room, &owner)->user, &admin));
	apply_member(&room, ADMIN, PROTO_ROLE_NONE, "");
	apply_member(&room, STRANGER, PROTO_ROLE_MEMBER, "stan");
	cr_assert(proto_id_equal(&room_heir(&room, &owner)->user, &member));
	apply_member(&room, MEMBER, PROTO_ROLE_NONE, "");
	apply_member(&room, STRANGER, PROTO_ROLE_NONE, "");
	cr_assert_null(room_heir(&room, &owner));
	cr_assert_eq(room.member_count, 1);
	room_deinit(&room, &limits);
}

Test(roomd_room, older_member_events_change_nothing)
{
	struct room room = room_of(PROTO_ROOM_KIND_PUBLIC);
	struct proto_id member = id(MEMBER);
	struct proto_event old = {.kind = PROTO_EVENT_KIND_MEMBER,
				  .seq = 2,
				  .subject = member,
				  .role = PROTO_ROLE_OWNER};

	cr_assert_eq(room_apply(&room, &old), 0);
	cr_assert_eq(room_role(&room, &member), PROTO_ROLE_MEMBER);
	room_deinit(&room, &limits);
}

Test(roomd_room, time_never_falls)
{
	struct room room = {.last_time = 500};

	cr_assert_eq(room_next_time(&room, 400), 500);
	cr_assert_eq(room_next_time(&room, 600), 600);
}

/* --- dedupe --- */

static struct dedupe_write write_of(uint8_t client, uint64_t number, uint64_t prev,
				    const char *text)
{
	const struct proto_event event = {.kind = PROTO_EVENT_KIND_MESSAGE,
					  .text = proto_span(text)};

	return (struct dedupe_write){id(client), number, prev, event_content(&event)};
}

Test(roomd_dedupe, verdicts)
{
	struct dedupe dedupe = {0};
	struct dedupe_found found = {0};
	struct dedupe_write write = write_of(1, 5, 0, "a");
	struct proto_id client = id(1);
	struct proto_event stored = {
		.kind = PROTO_EVENT_KIND_MESSAGE, .seq = 3, .text = PROTO_SPAN("old")};
	const struct dedupe_stored nothing = {0};
	const struct dedupe_stored old = {.event = &stored};

	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_NEW);
	write.prev = 4;
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_OUT_OF_ORDER);
	write.prev = 0;
	cr_assert_eq(dedupe_begin(&dedupe, &write, (struct dedupe_found){7, 70}), 0);
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_IN_FLIGHT);
	cr_assert_eq(found.seq, 7);
	dedupe_commit(&dedupe, &client, 5);
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_COMMITTED);
	cr_assert_eq(found.time, 70);
	write = write_of(1, 5, 0, "b");
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_REUSED);
	write = write_of(1, 6, 5, "b");
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_NEW);
	write = write_of(1, 8, 6, "b");
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_OUT_OF_ORDER);
	write = write_of(1, 2, 0, "old");
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_ASK);
	cr_assert_eq(dedupe_judge(&dedupe, &write, &nothing, &found), DEDUPE_STALE);
	cr_assert_eq(dedupe_judge(&dedupe, &write, &old, &found), DEDUPE_COMMITTED);
	cr_assert_eq(found.seq, 3);
	stored.text = PROTO_SPAN("other");
	cr_assert_eq(dedupe_judge(&dedupe, &write, &old, &found), DEDUPE_REUSED);
	stored.text = (struct proto_span){0}; /* removed since */
	cr_assert_eq(dedupe_judge(&dedupe, &write, &old, &found), DEDUPE_COMMITTED);
	dedupe_deinit(&dedupe);
}

Test(roomd_dedupe, marks_after_a_take_over)
{
	struct dedupe dedupe = {0};
	struct dedupe_found found;
	struct proto_id client = id(1);
	struct dedupe_write write = write_of(1, 9, 0, "a");

	dedupe_mark(&dedupe, &client, 9);
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_ASK);
	write.number = 10;
	write.prev = 9;
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_NEW);
	dedupe_deinit(&dedupe);
}

Test(roomd_dedupe, ring_grows_for_what_is_in_flight_and_then_is_busy)
{
	struct dedupe dedupe = {0};
	struct dedupe_found found;
	struct proto_id client = id(1);

	for (uint64_t number = 1; number <= DEDUPE_RING_MAX; number++) {
		struct dedupe_write write = write_of(1, number, 0, "a");

		cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_NEW);
		cr_assert_eq(dedupe_begin(&dedupe, &write, (struct dedupe_found){number, 1}), 0);
	}
	for (uint64_t number = 1; number <= DEDUPE_RING_MAX; number++) {
		struct dedupe_write write = write_of(1, number, 0, "a");

		cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_IN_FLIGHT);
		cr_assert_eq(found.seq, number);
	}
	cr_assert_eq(dedupe_check(&dedupe, &(struct dedupe_write){client, 9999, 0, {{0}}}, &found),
		     DEDUPE_BUSY);
	dedupe_commit(&dedupe, &client, 1);
	cr_assert_eq(dedupe_check(&dedupe, &(struct dedupe_write){client, 9999, 0, {{0}}}, &found),
		     DEDUPE_NEW);
	dedupe_deinit(&dedupe);
}

Test(roomd_dedupe, forgotten_clients_are_asked_for)
{
	struct dedupe dedupe = {0};
	struct dedupe_found found;
	struct dedupe_write write = write_of(0, 1, 0, "a");

	for (uint32_t i = 0; i <= DEDUPE_CLIENTS_MAX; i++) {
		memcpy(write.client.bytes + 4, &i, sizeof(i));
		cr_assert_eq(dedupe_begin(&dedupe, &write, (struct dedupe_found){i + 1, 1}), 0);
		dedupe_commit(&dedupe, &write.client, 1);
	}
	cr_assert_eq(dedupe.count, DEDUPE_CLIENTS_MAX);
	memset(&write.client, 0, sizeof(write.client)); /* the first */
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_ASK);
	dedupe_deinit(&dedupe);
}

/* What storage says of a client that was forgotten, and what that makes of a write. */
Test(roomd_dedupe, forgotten_clients_are_judged_by_what_storage_knows)
{
	static const struct {
		const char *what;
		uint64_t number;
		uint64_t prev;
		uint64_t last;
		bool written;
		enum dedupe_verdict verdict;
	} rows[] = {
		{"a client that never wrote", 1, 0, 0, false, DEDUPE_NEW},
		{"whose first was lost", 2, 1, 0, false, DEDUPE_OUT_OF_ORDER},
		{"the next number", 8, 7, 7, false, DEDUPE_NEW},
		{"the one after one that was lost", 9, 8, 7, false, DEDUPE_OUT_OF_ORDER},
		{"an older number that was never used", 6, 0, 7, false, DEDUPE_STALE},
		{"the last number again", 7, 6, 7, true, DEDUPE_COMMITTED},
		{"an older one again", 3, 2, 7, true, DEDUPE_COMMITTED},
	};
	const struct proto_event written = {
		.kind = PROTO_EVENT_KIND_MESSAGE, .seq = 4, .text = PROTO_SPAN("a")};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dedupe dedupe = {.partial = true};
		struct dedupe_write write = write_of(1, rows[i].number, rows[i].prev, "a");
		struct dedupe_stored stored = {rows[i].written ? &written : NULL, rows[i].last};
		struct dedupe_found found;

		cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_ASK, "%s", rows[i].what);
		cr_assert_eq(dedupe_judge(&dedupe, &write, &stored, &found), rows[i].verdict, "%s",
			     rows[i].what);
	}
}

/*
 * Number 7 was written and its answer lost; then comes an unused older number, which makes the room
 * know the client again; then 7 once more.
 */
Test(roomd_dedupe, an_older_number_does_not_make_a_later_one_new)
{
	struct dedupe dedupe = {.partial = true};
	struct dedupe_stored stored = {.last = 7};
	struct dedupe_write older = write_of(1, 6, 0, "b");
	struct dedupe_write later = write_of(1, 7, 0, "a");
	const struct proto_event written = {
		.kind = PROTO_EVENT_KIND_MESSAGE, .seq = 4, .text = PROTO_SPAN("a")};
	struct dedupe_found found;

	cr_assert_eq(dedupe_judge(&dedupe, &older, &stored, &found), DEDUPE_STALE);
	cr_assert_eq(dedupe_check(&dedupe, &later, &found), DEDUPE_ASK);
	stored.event = &written;
	cr_assert_eq(dedupe_judge(&dedupe, &later, &stored, &found), DEDUPE_COMMITTED);
	cr_assert_eq(found.seq, 4);
	dedupe_deinit(&dedupe);
}

Test(roomd_dedupe, a_full_table_knows_that_there_are_others)
{
	struct dedupe dedupe = {0};
	struct dedupe_found found;
	struct dedupe_write write = write_of(9, 3, 0, "a");
	struct proto_id client = {{0}};

	for (uint32_t i = 0; i < DEDUPE_CLIENTS_MAX; i++) {
		cr_assert_not(dedupe_is_full(&dedupe));
		memcpy(client.bytes + 4, &i, sizeof(i));
		cr_assert_eq(dedupe_mark(&dedupe, &client, 1), 0);
	}
	cr_assert(dedupe_is_full(&dedupe));
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_NEW);
	dedupe_set_partial(&dedupe);
	cr_assert_eq(dedupe_check(&dedupe, &write, &found), DEDUPE_ASK);
	dedupe_deinit(&dedupe);
}

/* --- event, tail --- */

Test(roomd_event, blank_texts)
{
	static const struct {
		const char *text;
		bool blank;
	} rows[] = {
		{"", true},
		{" \t\r\n", true},
		{"a", false},
		{" a ", false},
		{"\xc2\xa0", true},
		{"\xe2\x80\x8b", true},
		{"\xe3\x80\x80", true},
		{"\xef\xbb\xbf ", true},
		{"\xf0\x9f\x98\x80", false},
		{"\xc3\xa4", false},
		{"\xe2\x80\x94", false}, /* a dash */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(event_text_is_blank(proto_span(rows[i].text)), rows[i].blank,
			     "row %zu", i);
	}
}

static void tail_put(struct tail *tail, uint64_t seq, enum proto_event_kind kind, uint64_t target,
		     const char *text)
{
	const struct proto_event event = {
		.seq = seq, .kind = kind, .target = target, .text = proto_span(text)};

	cr_assert_eq(tail_add(tail, &limits, event_copy(&event)), 0);
}

Test(roomd_tail, keeps_the_last_without_gaps_and_wipes_what_is_removed)
{
	struct tail tail = {0};

	for (uint64_t seq = 3; seq <= 8; seq++) {
		tail_put(&tail, seq, seq == 8 ? PROTO_EVENT_KIND_EDIT : PROTO_EVENT_KIND_MESSAGE,
			 seq == 8 ? 6 : 0, "text");
	}
	cr_assert_null(tail_get(&tail, &limits, 4));
	cr_assert_eq(tail_get(&tail, &limits, 5)->seq, 5);
	cr_assert_null(tail_get(&tail, &limits, 9));
	tail_redact(&tail, &limits, 6);
	cr_assert_eq(tail_get(&tail, &limits, 6)->text.size, 0);
	cr_assert_eq(tail_get(&tail, &limits, 8)->text.size, 0);
	cr_assert_eq(tail_get(&tail, &limits, 7)->text.size, 4);
	tail_put(&tail, 20, PROTO_EVENT_KIND_MESSAGE, 0, "x"); /* a jump empties it */
	cr_assert_null(tail_get(&tail, &limits, 8));
	cr_assert_eq(tail.first, 20);
	tail_deinit(&tail, &limits);
}

Test(roomd_tail, is_bounded_in_bytes)
{
	static char text[3000];
	struct tail tail = {0};

	memset(text, 'x', sizeof(text) - 1);
	tail_put(&tail, 1, PROTO_EVENT_KIND_MESSAGE, 0, text);
	tail_put(&tail, 2, PROTO_EVENT_KIND_MESSAGE, 0, text);
	cr_assert_null(tail_get(&tail, &limits, 1));
	cr_assert_not_null(tail_get(&tail, &limits, 2));
	tail_deinit(&tail, &limits);
}

/* --- marks --- */

Test(roomd_marks, forward_only_and_paged)
{
	struct marks marks = {0};
	const struct mark *rows[2];
	struct proto_id none = {{0}};
	bool more;

	for (uint8_t i = 1; i <= 3; i++) {
		struct proto_event joined = {.kind = PROTO_EVENT_KIND_JOINED,
					     .subject = id(i),
					     .number = 5,
					     .role = PROTO_ROLE_MEMBER,
					     .label = PROTO_SPAN("room")};
		struct proto_event read = {
			.kind = PROTO_EVENT_KIND_READ, .subject = id(i), .target = 9};

		cr_assert_eq(marks_apply(&marks, &joined), 0);
		cr_assert_eq(marks_apply(&marks, &read), 0);
		read.target = 4;
		marks_apply(&marks, &read);
		joined.number = 4;
		joined.role = PROTO_ROLE_NONE;
		marks_apply(&marks, &joined); /* an older note */
		cr_assert_eq(marks_find(&marks, &joined.subject)->read, 9);
		cr_assert(mark_is_joined(marks_find(&marks, &joined.subject)));
	}
	cr_assert_eq(marks_page(&marks, &none, rows, 2, &more), 2);
	cr_assert(more);
	cr_assert_eq(rows[0]->subject.bytes[0], 1);
	cr_assert_eq(marks_page(&marks, &rows[1]->subject, rows, 2, &more), 1);
	cr_assert_not(more);
	cr_assert_eq(rows[0]->subject.bytes[0], 3);
	marks_deinit(&marks);
}

/* --- presence --- */

Test(roomd_presence, a_person_is_here_as_long_as_one_place_is)
{
	struct presence presence = {0};
	struct presence_person person;
	struct proto_id anna = id(1);
	bool went = false;

	cr_assert_eq(presence_enter(&presence, 1, &anna, "anna", 0), PRESENCE_CAME);
	cr_assert_eq(presence_enter(&presence, 2, &anna, "anna", 10), PRESENCE_SAME);
	cr_assert_eq(presence_leave(&presence, 1, &anna), PRESENCE_SAME);
	cr_assert_eq(presence_count(&presence), 1);
	cr_assert_eq(presence_leave(&presence, 1, &anna), PRESENCE_SAME);
	cr_assert_not(presence_expire(&presence, PRESENCE_FORGET_MS, &person, &went));
	presence_enter(&presence, 2, &anna, "anna", 1000);
	cr_assert_not(presence_expire(&presence, PRESENCE_FORGET_MS + 10, &person, &went));
	cr_assert(presence_expire(&presence, PRESENCE_FORGET_MS + 1000, &person, &went));
	cr_assert(went);
	cr_assert_str_eq(person.name, "anna");
	cr_assert_eq(presence_count(&presence), 0);
	presence_deinit(&presence);
}

/* --- sessions --- */

Test(roomd_session, is_bound_to_its_connection)
{
	struct sessions *sessions;
	struct session session = {.id = id(1), .user = id(2), .expires_ms = 1000};

	cr_assert_eq(sessions_new(&sessions), 0);
	cr_assert_eq(sessions_open(sessions, 7, &session), 0);
	cr_assert_not_null(sessions_find(sessions, 7, &session.id, 999));
	cr_assert_null(sessions_find(sessions, 8, &session.id, 999));
	cr_assert_null(sessions_find(sessions, 7, &session.id, 1000));
	sessions_tick(sessions, 1000);
	cr_assert_eq(sessions_count(sessions), 0);
	sessions_free(sessions);
}

Test(roomd_session, revoked_ones_do_not_come_back)
{
	struct sessions *sessions;
	struct session session = {.id = id(1), .user = id(2), .expires_ms = 100000};

	sessions_new(&sessions);
	sessions_open(sessions, 7, &session);
	sessions_open(sessions, 8, &session);
	sessions_revoke(sessions, &session.id, 10);
	cr_assert_eq(sessions_count(sessions), 0);
	cr_assert_eq(sessions_open(sessions, 7, &session), PROTO_E_BAD_TOKEN);
	sessions_tick(sessions, 10 + SESSIONS_REVOKED_MS);
	cr_assert_eq(sessions_open(sessions, 7, &session), 0);
	sessions_free(sessions);
}
