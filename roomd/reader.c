/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 *   ask ─▶ a member, the best first ──answer──▶ told, ended
 *            ▲  │ refused, or silent for READER_HEDGE_MS
 *            │  ▼
 *            │ the next one ──all have refused──▶ rests for READER_ROUND_MS
 *            └────────────────────────────────────┘        until READER_MS have passed
 *
 * Members that have all that is committed come first. Calls on their way hold a reference, so that
 * an answer may come after the end; the first good one counts.
 */

#include "roomd/reader.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

struct reader {
	struct readers *readers; /* NULL: ended */
	unsigned int references;
	const struct slot *slot;
	uint64_t term;
	enum proto_type type;
	const void *body;
	env_answer_fn on_answer;
	void *context;
	bool tried[PROTO_MEMBERS_MAX]; /* in this round */
	size_t flying;
	bool damaged; /* one said so */
	uint64_t sent_ms;
	uint64_t began_ms;
	struct reader *prev;
	struct reader *next;
};

struct readers {
	const struct env *env;
	struct reader *rows;
};

static void step(struct reader *reader);

int readers_new(const struct env *env, struct readers **ret_readers)
{
	struct readers *readers = calloc(1, sizeof(*readers));

	if (!readers) {
		return -ENOMEM;
	}
	readers->env = env;
	*ret_readers = readers;
	return 0;
}

static void unref(struct reader *reader)
{
	if (--reader->references == 0) {
		free(reader);
	}
}

static void finish(struct reader *reader, int result, const struct proto_message *answer)
{
	DL_DELETE(reader->readers->rows, reader);
	reader->readers = NULL;
	reader->on_answer(reader->context, result, answer);
	unref(reader);
}

void readers_free(struct readers *readers)
{
	if (!readers) {
		return;
	}
	while (readers->rows) {
		finish(readers->rows, PROTO_E_UNAVAILABLE, NULL);
	}
	free(readers);
}

static uint64_t now_ms(const struct reader *reader)
{
	return reader->readers->env->now_ms(reader->readers->env->context);
}

static bool is_served(const struct reader *reader)
{
	return reader->slot->phase == SLOT_OPEN && reader->slot->term == reader->term;
}

/* --- whom to ask --- */

/* The lower the better. Slots begin with different members, so that all stores have readers. */
static unsigned int rank(const struct reader *reader, size_t member)
{
	const struct segment *segment = reader->slot->segment;
	size_t count = segment_spec(segment)->member_count;
	unsigned int turn = (unsigned int)((member + reader->slot->number) % count);

	return turn + (segment_member_is_current(segment, member) ? 0 : PROTO_MEMBERS_MAX);
}

/* The best of those not asked in this round; member_count: there is none left. */
static size_t choose(const struct reader *reader)
{
	size_t count = segment_spec(reader->slot->segment)->member_count;
	size_t best = count;

	for (size_t i = 0; i < count; i++) {
		if (!reader->tried[i] && (best == count || rank(reader, i) < rank(reader, best))) {
			best = i;
		}
	}
	return best;
}

/* --- answers --- */

/* Whether another member may do better. */
static bool may_help_elsewhere(int result)
{
	switch (result) {
	case PROTO_E_GAP:
	case PROTO_E_DAMAGED:
	case PROTO_E_BUSY:
	case PROTO_E_TIMEOUT:
	case PROTO_E_EXPIRED:
	case PROTO_E_UNAVAILABLE:
	case PROTO_E_STORAGE_FAILED:
	case PROTO_E_INTERNAL:
		return true;
	default:
		return false;
	}
}

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct reader *reader = context;

	if (reader->readers) {
		reader->flying--;
		reader->damaged = reader->damaged || result == PROTO_E_DAMAGED;
		if (!is_served(reader)) {
			finish(reader, PROTO_E_NOT_OWNER, NULL);
		} else if (!may_help_elsewhere(result)) {
			finish(reader, result, answer);
		} else {
			step(reader);
		}
	}
	unref(reader);
}

/* Asks the next member, if there is one left in this round. */
static void step(struct reader *reader)
{
	const struct env *env = reader->readers->env;
	const struct segment_spec *spec = segment_spec(reader->slot->segment);
	size_t member = choose(reader);

	if (member == spec->member_count) {
		return;
	}
	reader->tried[member] = true;
	reader->flying++;
	reader->references++;
	reader->sent_ms = now_ms(reader);
	env->store(env->context, &spec->members[member], reader->type, reader->body, on_answer,
		   reader);
}

void readers_ask(struct readers *readers, const struct slot *slot, enum proto_type type,
		 const void *body, env_answer_fn tell, void *context)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		abort(); /* who asks cannot be told */
	}
	assert(slot->phase == SLOT_OPEN);
	*reader = (struct reader){
		.readers = readers,
		.references = 1,
		.slot = slot,
		.term = slot->term,
		.type = type,
		.body = body,
		.on_answer = tell,
		.context = context,
	};
	DL_APPEND(readers->rows, reader);
	reader->began_ms = now_ms(reader);
	step(reader);
}

/* --- time --- */

static void tick(struct reader *reader)
{
	uint64_t now = now_ms(reader);

	if (!is_served(reader)) {
		finish(reader, PROTO_E_NOT_OWNER, NULL);
	} else if (now - reader->began_ms >= READER_MS) {
		finish(reader, reader->damaged ? PROTO_E_DAMAGED : PROTO_E_UNAVAILABLE, NULL);
	} else if (reader->flying > 0 && now - reader->sent_ms >= READER_HEDGE_MS) {
		step(reader);
	} else if (reader->flying == 0 && now - reader->sent_ms >= READER_ROUND_MS) {
		memset(reader->tried, 0, sizeof(reader->tried));
		step(reader);
	}
}

/* Who is told may ask anew, but ends no other question. */
void readers_tick(struct readers *readers)
{
	struct reader *reader;
	struct reader *next;

	DL_FOREACH_SAFE(readers->rows, reader, next)
	{
		tick(reader);
	}
}
