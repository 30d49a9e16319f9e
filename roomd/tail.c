/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A ring indexed by seq, bounded in events and in bytes; the array comes with the first event. */

#include "roomd/tail.h"

#include <errno.h>
#include <stdlib.h>

static struct proto_event **at(const struct tail *tail, const struct tail_limits *limits,
			       uint64_t seq)
{
	return &tail->events[seq % limits->count];
}

static void drop_first(struct tail *tail, const struct tail_limits *limits)
{
	struct proto_event **event = at(tail, limits, tail->first);

	tail->bytes -= event_bytes(*event);
	free(*event);
	*event = NULL;
	tail->first = tail->first == tail->last ? 0 : tail->first + 1;
}

static void empty(struct tail *tail, const struct tail_limits *limits)
{
	while (tail->first > 0) {
		drop_first(tail, limits);
	}
	tail->last = 0;
}

void tail_deinit(struct tail *tail, const struct tail_limits *limits)
{
	empty(tail, limits);
	free(tail->events);
	tail->events = NULL;
}

int tail_add(struct tail *tail, const struct tail_limits *limits, struct proto_event *event)
{
	if (!tail->events) {
		tail->events = calloc(limits->count, sizeof(struct proto_event *));
		if (!tail->events) {
			free(event);
			return -ENOMEM;
		}
	}
	if (tail->first > 0 && event->seq != tail->last + 1) {
		empty(tail, limits);
	}
	while (tail->first > 0 && (tail->last - tail->first + 1 >= limits->count ||
				   tail->bytes + event_bytes(event) > limits->bytes)) {
		drop_first(tail, limits);
	}
	*at(tail, limits, event->seq) = event;
	tail->bytes += event_bytes(event);
	tail->first = tail->first > 0 ? tail->first : event->seq;
	tail->last = event->seq;
	return 0;
}

const struct proto_event *tail_get(const struct tail *tail, const struct tail_limits *limits,
				   uint64_t seq)
{
	if (tail->first == 0 || seq < tail->first || seq > tail->last) {
		return NULL;
	}
	return *at(tail, limits, seq);
}

void tail_redact(struct tail *tail, const struct tail_limits *limits, uint64_t target)
{
	for (uint64_t seq = tail->first; tail->first > 0 && seq <= tail->last; seq++) {
		struct proto_event *event = *at(tail, limits, seq);

		if (seq == target ||
		    (event->kind == PROTO_EVENT_KIND_EDIT && event->target == target)) {
			tail->bytes -= event->text.size;
			event->text = (struct proto_span){0};
		}
	}
}
