/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Views: what edits, reactions and removals make of messages, pages in both directions, state,
 * cmids.
 */

#include "storaged_fixture.h"

static struct proto_event about(const struct fixture *fixture, enum proto_event_kind kind,
				uint64_t target)
{
	struct proto_event event = fixture_event(fixture, kind);

	event.target = target;
	return event;
}

static void edit(struct fixture *fixture, uint64_t target, const char *text)
{
	struct proto_event event = about(fixture, PROTO_EVENT_KIND_EDIT, target);

	event.text = proto_span(text);
	fixture_append(fixture, event);
}

static void redact(struct fixture *fixture, uint64_t target)
{
	fixture_append(fixture, about(fixture, PROTO_EVENT_KIND_REDACTION, target));
}

static void react(struct fixture *fixture, uint64_t target, unsigned int user, const char *emoji,
		  bool remove)
{
	struct proto_event event = about(fixture, PROTO_EVENT_KIND_REACTION, target);

	event.user = fixture_id(user);
	event.emoji = proto_span(emoji);
	event.remove = remove;
	fixture_append(fixture, event);
}

static struct proto_room_page timeline(struct fixture *fixture, struct kv_txn *txn, uint64_t before,
				       uint64_t after, uint64_t limit)
{
	struct proto_room_page page;

	page_reset(&fixture->page);
	cr_assert_eq(page_timeline(&fixture->page, txn,
				   &(struct proto_timeline_read){.room = fixture->room,
								 .before = before,
								 .after = after,
								 .limit = limit},
				   &page),
		     0);
	return page;
}

static void assert_text(struct proto_span text, const char *wanted)
{
	cr_assert(proto_span_equal(text, proto_span(wanted)), "%.*s, not %s", (int)text.size,
		  text.data, wanted);
}

Test(storaged_view, nothing_is_seen_before_it_is_committed)
{
	struct fixture *fixture = fixture_new();
	struct kv_txn *txn;

	fixture_send(fixture, "one");
	fixture_send(fixture, "two");
	txn = fixture_begin(fixture, false);
	cr_assert_eq(timeline(fixture, txn, 0, 0, 0).items.count, 1);
	cr_assert_eq(timeline(fixture, txn, 0, 0, 0).seq, 1);
	kv_abort(txn);
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	cr_assert_eq(timeline(fixture, txn, 0, 0, 0).items.count, 2);
	kv_abort(txn);
	fixture_free(fixture);
}

Test(storaged_view, edits)
{
	struct fixture *fixture = fixture_new();
	struct proto_room_page page;
	struct kv_txn *txn;

	fixture_send(fixture, "one");
	edit(fixture, 1, "uno");
	edit(fixture, 1, "eins");
	fixture_append(fixture, fixture_event(fixture, PROTO_EVENT_KIND_MEMBER));
	edit(fixture, 4, "not a message");
	edit(fixture, 99, "not there");
	redact(fixture, 1);
	edit(fixture, 1, "too late");
	redact(fixture, 1);
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	page = timeline(fixture, txn, 0, 0, 0);
	cr_assert_eq(page.items.count, 2);
	assert_text(page.items.items[0].text, "");
	cr_assert_eq(page.items.items[0].edited, 3);
	cr_assert_eq(page.items.items[0].redacted, 7);
	assert_text(page.items.items[1].text, "");
	cr_assert_eq(page.items.items[1].edited, 0);
	cr_assert_eq(page.seq, 9);
	kv_abort(txn);
	fixture_free(fixture);
}

Test(storaged_view, reactions)
{
	struct fixture *fixture = fixture_new();
	const struct proto_item *item;
	struct proto_room_page page;
	struct kv_txn *txn;

	fixture_send(fixture, "one");
	react(fixture, 1, 10, "+1", false);
	react(fixture, 1, 10, "+1", false); /* again: nothing */
	react(fixture, 1, 11, "+1", false);
	react(fixture, 1, 11, "heart", false);
	react(fixture, 1, 12, "heart", true); /* never given: nothing */
	react(fixture, 1, 10, "+1", true);
	react(fixture, 1, 10, "+1", true); /* again: nothing */
	react(fixture, 1, 13, "gone", false);
	react(fixture, 1, 13, "gone", true);
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	page = timeline(fixture, txn, 0, 0, 0);
	item = &page.items.items[0];
	cr_assert_eq(item->reactions.count, 2);
	assert_text(item->reactions.items[0].emoji, "+1");
	cr_assert_eq(item->reactions.items[0].count, 1);
	cr_assert_eq(item->reactions.items[0].users.count, 1);
	cr_assert(proto_id_equal(&item->reactions.items[0].users.items[0].user,
				 (struct proto_id[]){fixture_id(11)}));
	assert_text(item->reactions.items[1].emoji, "heart");
	kv_abort(txn);
	redact(fixture, 1);
	react(fixture, 1, 20, "late", false);
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	cr_assert_eq(timeline(fixture, txn, 0, 0, 0).items.items[0].reactions.count, 0);
	kv_abort(txn);
	fixture_free(fixture);
}

Test(storaged_view, reactions_have_limits)
{
	struct fixture *fixture = fixture_new();
	const struct proto_item *item;
	struct proto_room_page page;
	struct kv_txn *txn;
	char emoji[8];

	fixture_send(fixture, "one");
	for (unsigned int i = 0; i < PROTO_REACTION_USERS_MAX + 5; i++) {
		react(fixture, 1, 1000 + i, "+1", false);
	}
	for (unsigned int i = 0; i < PROTO_REACTIONS_MAX + 5; i++) {
		snprintf(emoji, sizeof(emoji), "e%u", i);
		react(fixture, 1, 1000, emoji, false);
	}
	react(fixture, 1, 1000, "+1", true);
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	page = timeline(fixture, txn, 0, 0, 0);
	item = &page.items.items[0];
	cr_assert_eq(item->reactions.count, PROTO_REACTIONS_MAX);
	cr_assert_eq(item->reactions.items[0].count, PROTO_REACTION_USERS_MAX + 4);
	cr_assert_eq(item->reactions.items[0].users.count, PROTO_REACTION_USERS_MAX - 1);
	kv_abort(txn);
	fixture_free(fixture);
}

Test(storaged_view, events_leave_removed_text_out)
{
	struct fixture *fixture = fixture_new();
	struct proto_events_read read = {.room = fixture->room};
	struct proto_room_range range;
	struct proto_cmid cmid;
	struct kv_txn *txn;

	fixture_send(fixture, "one");
	fixture_send(fixture, "two");
	edit(fixture, 1, "uno");
	redact(fixture, 1);
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	cr_assert_eq(page_events(&fixture->page, txn, &read, &range), 0);
	cr_assert_eq(range.events.count, 4);
	cr_assert_not(range.more);
	assert_text(range.events.items[0].text, "");
	assert_text(range.events.items[1].text, "two");
	assert_text(range.events.items[2].text, "");
	page_reset(&fixture->page);
	read.after = 1;
	read.limit = 2;
	cr_assert_eq(page_events(&fixture->page, txn, &read, &range), 0);
	cr_assert_eq(range.events.count, 2);
	cr_assert_eq(range.events.items[0].seq, 2);
	cr_assert(range.more);
	page_reset(&fixture->page);
	cr_assert_eq(page_cmid(&fixture->page, txn,
			       &(struct proto_cmid_read){.room = fixture->room,
							 .client = fixture_id(700),
							 .number = 2},
			       &cmid),
		     0);
	cr_assert_eq(cmid.events.items[0].seq, 2);
	cr_assert_eq(cmid.last, 4);
	page_reset(&fixture->page);
	cr_assert_eq(page_cmid(&fixture->page, txn,
			       &(struct proto_cmid_read){.room = fixture->room,
							 .client = fixture_id(700),
							 .number = 9},
			       &cmid),
		     0);
	cr_assert_eq(cmid.events.count, 0);
	cr_assert_eq(cmid.last, 4);
	cr_assert_eq(page_cmid(&fixture->page, txn,
			       &(struct proto_cmid_read){.room = fixture->room,
							 .client = fixture_id(701),
							 .number = 1},
			       &cmid),
		     0);
	cr_assert_eq(cmid.events.count, 0);
	cr_assert_eq(cmid.last, 0);
	kv_abort(txn);
	fixture_free(fixture);
}

Test(storaged_view, events_that_are_not_here_are_a_gap)
{
	struct fixture *fixture = fixture_new();
	struct proto_room_range range;
	struct kv_txn *txn;

	fixture->seq = 5; /* those before are on other stores */
	fixture_send(fixture, "six");
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	cr_assert_eq(page_events(&fixture->page, txn,
				 &(struct proto_events_read){.room = fixture->room}, &range),
		     PROTO_E_GAP);
	cr_assert_eq(page_events(&fixture->page, txn,
				 &(struct proto_events_read){.room = fixture->room, .after = 5},
				 &range),
		     0);
	kv_abort(txn);
	fixture_free(fixture);
}

/* What each question answers when the reader knows of `lac` committed entries. */
static void assert_answers(struct fixture *fixture, uint64_t lac, int result)
{
	struct kv_txn *txn = fixture_begin(fixture, false);
	struct proto_room_page page;
	struct proto_room_range range;
	struct proto_state state;
	struct proto_cmid cmid;

	page_reset(&fixture->page);
	cr_assert_eq(page_timeline(&fixture->page, txn,
				   &(struct proto_timeline_read){.room = fixture->room, .lac = lac},
				   &page),
		     result);
	page_reset(&fixture->page);
	cr_assert_eq(page_events(&fixture->page, txn,
				 &(struct proto_events_read){.room = fixture->room, .lac = lac},
				 &range),
		     result);
	page_reset(&fixture->page);
	cr_assert_eq(page_state(&fixture->page, txn,
				&(struct proto_state_read){.room = fixture->room, .lac = lac},
				&state),
		     result);
	page_reset(&fixture->page);
	cr_assert_eq(page_cmid(&fixture->page, txn,
			       &(struct proto_cmid_read){.room = fixture->room,
							 .client = fixture_id(700),
							 .number = 1,
							 .lac = lac},
			       &cmid),
		     result);
	page_reset(&fixture->page);
	kv_abort(txn);
}

/* Views that end before what the reader knows answer nothing, however much they have. */
Test(storaged_view, a_question_ahead_of_the_views_is_a_gap)
{
	struct fixture *fixture = fixture_new();

	assert_answers(fixture, 0, 0);
	assert_answers(fixture, 1, PROTO_E_GAP);
	fixture_send(fixture, "one");
	fixture_send(fixture, "two");
	assert_answers(fixture, 1, 0);
	assert_answers(fixture, 2, PROTO_E_GAP);
	fixture_settle(fixture);
	assert_answers(fixture, 2, 0);
	assert_answers(fixture, 3, PROTO_E_GAP);
	fixture_free(fixture);
}

/* A store that came later has no views until it was given what was written before. */
Test(storaged_view, a_log_without_its_beginning_is_a_gap)
{
	struct fixture *fixture = fixture_new();

	fixture->owner.lsn = 5;
	fixture->owner.first = 6;
	fixture->owner.hash = (struct segment_hash){.bytes = {1}, .size = PROTO_HASH_BYTES};
	fixture_send(fixture, "six");
	fixture_send(fixture, "seven");
	fixture_settle(fixture);
	assert_answers(fixture, 0, 0);
	assert_answers(fixture, 7, PROTO_E_GAP);
	assert_answers(fixture, 5, PROTO_E_GAP);
	fixture_free(fixture);
}

#define STATE_MEMBERS 450
#define STATE_CLIENTS 1100

Test(storaged_view, state_comes_in_parts, .timeout = 60)
{
	struct fixture *fixture = fixture_new();
	struct proto_state_read read = {.room = fixture->room};
	struct proto_state state;
	struct kv_txn *txn = fixture_begin(fixture, true);
	char cursor[PAGE_CURSOR_BYTES_MAX];
	size_t events = 0;
	size_t clients = 0;
	int parts = 0;

	for (unsigned int i = 0; i < STATE_CLIENTS + 200; i++) {
		struct proto_event event = fixture_event(fixture, PROTO_EVENT_KIND_MEMBER);

		event.subject = fixture_id(i % STATE_MEMBERS);
		event.client = fixture_id(i % STATE_CLIENTS);
		event.role = PROTO_ROLE_MEMBER;
		fixture->owner.lac = fixture->owner.lsn;
		cr_assert_eq(fixture_append_in(txn, fixture, event), 0);
	}
	cr_assert_eq(kv_commit(txn), 0);
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	do {
		page_reset(&fixture->page);
		cr_assert_eq(page_state(&fixture->page, txn, &read, &state), 0);
		events += state.events.count;
		clients += state.clients.count;
		memcpy(cursor, state.cursor.data, state.cursor.size);
		read.cursor = (struct proto_span){cursor, state.cursor.size};
		parts++;
	} while (state.more);
	cr_assert_eq(events, STATE_MEMBERS);
	cr_assert_eq(clients, STATE_CLIENTS);
	cr_assert_gt(parts, 2);
	cr_assert_eq(state.seq, STATE_CLIENTS + 200);
	read.cursor = PROTO_SPAN("\x07nonsense");
	cr_assert_eq(page_state(&fixture->page, txn, &read, &state), PROTO_E_BAD_VALUE);
	read.cursor = PROTO_SPAN("\x01of another room, sixteen");
	cr_assert_eq(page_state(&fixture->page, txn, &read, &state), PROTO_E_BAD_VALUE);
	kv_abort(txn);
	fixture_free(fixture);
}

Test(storaged_view, pages_end_by_bytes)
{
	struct fixture *fixture = fixture_new();
	struct proto_room_page page;
	struct kv_txn *txn;
	char text[PROTO_TEXT_BYTES_MAX + 1];

	memset(text, 'x', PROTO_TEXT_BYTES_MAX);
	text[PROTO_TEXT_BYTES_MAX] = '\0';
	for (int i = 0; i < 40; i++) {
		fixture_send(fixture, text);
	}
	fixture_settle(fixture);
	txn = fixture_begin(fixture, false);
	page = timeline(fixture, txn, 0, 0, 200);
	cr_assert_lt(page.items.count, 40);
	cr_assert_gt(page.items.count, 25);
	cr_assert(page.more);
	cr_assert_eq(page.items.items[page.items.count - 1].seq, 40);
	kv_abort(txn);
	fixture_free(fixture);
}

#define PAGING_MESSAGES 100000

static void fill(struct fixture *fixture)
{
	for (unsigned int i = 0; i < PAGING_MESSAGES;) {
		struct kv_txn *txn = fixture_begin(fixture, true);

		for (unsigned int end = i + 5000; i < end; i++) {
			struct proto_event event = fixture_event(fixture, PROTO_EVENT_KIND_MESSAGE);

			event.text = PROTO_SPAN("a message");
			fixture->owner.lac = fixture->owner.lsn;
			cr_assert_eq(fixture_append_in(txn, fixture, event), 0);
		}
		cr_assert_eq(kv_commit(txn), 0);
	}
	fixture_settle(fixture);
}

Test(storaged_view, paging_both_ways, .timeout = 120)
{
	struct fixture *fixture = fixture_new();
	struct proto_room_page page;
	struct kv_txn *txn;
	uint64_t seq = PAGING_MESSAGES + 1;
	char line[512] = "";
	struct scrub_result result;

	fill(fixture);
	txn = fixture_begin(fixture, false);
	do {
		page = timeline(fixture, txn, seq, 0, PROTO_PAGE_MAX);
		cr_assert_eq(page.items.items[page.items.count - 1].seq, seq - 1);
		seq = page.items.items[0].seq;
	} while (page.more);
	cr_assert_eq(seq, 1);
	seq = 0;
	do {
		page = timeline(fixture, txn, 0, seq, 0);
		for (size_t i = 0; seq > 0 && i < page.items.count; i++) {
			cr_assert_eq(page.items.items[i].seq, seq + 1 + i);
		}
		seq = seq == 0 ? 1 : page.items.items[page.items.count - 1].seq;
	} while (page.more);
	cr_assert_eq(seq, PAGING_MESSAGES);
	cr_assert_eq(page_timeline(&fixture->page, txn,
				   &(struct proto_timeline_read){
					   .room = fixture->room, .before = 1, .after = 1},
				   &page),
		     PROTO_E_BAD_VALUE);
	kv_abort(txn);
	result = fixture_verify(fixture, line);
	cr_assert_eq(result.log_damages + result.view_damages, 0, "%s", line);
	cr_assert_eq(result.entries, PAGING_MESSAGES);
	fixture_free(fixture);
}
