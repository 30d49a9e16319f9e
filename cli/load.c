/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A run of a load; see load.h. One thread: wait, read, send what is due, write.
 *
 * A message is done when it has reached all readers of its room. Each sender has a ring of counts
 * for its messages on their way, so that one increment a delivery finds that out.
 */

#include "cli/load_engine.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "cli/stamp.h"
#include "services/cleanup.h"

#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL
#define EVENTS_MAX 512
#define SEND_AHEAD_MAX 16384U /* messages of a sender on their way, in an open loop */
#define STALL_NS (15 * NS_PER_S) /* without any progress: what is missing will not come */
#define FDS_SPARE 64U
#define STALLED "no answer to what connections ask first"
#define HELD_NS (NS_PER_MS / 10) /* what is due waits so long before it is tried again */

uint64_t load_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t own_cpu_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void load_say(struct load *load, const char *why, size_t size)
{
	if (load->result->why[0] == '\0') {
		(void)snprintf(load->result->why, sizeof(load->result->why), "%.*s", (int)size,
			       why);
	}
}

/* --- what is set up once --- */

static int raise_files(uint64_t connections)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return -errno;
	}
	if (limit.rlim_cur >= connections + FDS_SPARE) {
		return 0;
	}
	limit.rlim_cur = connections + FDS_SPARE;
	if (limit.rlim_cur > limit.rlim_max) {
		limit.rlim_max = limit.rlim_cur; /* root may */
	}
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : -errno;
}

static uint32_t ring_size(const struct load_plan *plan)
{
	uint32_t size = 1;

	/* Confirmations may come after a number has reached all: its time is kept longer. */
	while (size < 2 * (plan->rate > 0 ? SEND_AHEAD_MAX : plan->window)) {
		size *= 2;
	}
	return size;
}

static int sender_init(struct load *load, uint32_t i)
{
	const struct load_plan *plan = load->plan;
	static char text[LOAD_FRAME_BYTES_MAX];
	static char message[LOAD_FRAME_BYTES_MAX];
	struct load_sender *sender = &load->senders[i];
	struct load_connection *connection = &load->connections[i];
	struct stamp stamp = {.sender = i, .number = 1};
	struct load_seat seat;
	uint32_t ring = ring_size(plan);

	connection->sender = sender;
	connection->room = i / (uint32_t)plan->senders;
	sender->connection = connection;
	sender->ring_mask = ring - 1;
	sender->reached = calloc(ring, sizeof(*sender->reached));
	sender->due_ns = calloc(ring, sizeof(*sender->due_ns));
	stamp_write(text, plan->text_bytes, &stamp);
	seat = (struct load_seat){.room = plan->rooms[connection->room], .serial = i};
	sender->message_size = plan->dialect->compose(&seat, text, plan->text_bytes, message,
						      &sender->text_at);
	sender->message = malloc(sender->message_size);
	if (!sender->reached || !sender->due_ns || !sender->message) {
		return -ENOMEM;
	}
	memcpy(sender->message, message, sender->message_size);
	return 0;
}

static int reader_init(struct load *load, uint32_t i)
{
	struct load_connection *connection = &load->connections[load->sender_count + i];

	connection->room = i / (uint32_t)load->plan->readers;
	connection->accounts = calloc(load->plan->senders, sizeof(*connection->accounts));
	return connection->accounts ? 0 : -ENOMEM;
}

static int load_init(struct load *load)
{
	const struct load_plan *plan = load->plan;
	uint32_t readers = (uint32_t)(plan->room_count * plan->readers);
	int r = 0;

	load->sender_count = (uint32_t)(plan->room_count * plan->senders);
	load->connection_count = load->sender_count + readers;
	load->connections = calloc(load->connection_count, sizeof(*load->connections));
	load->senders = calloc(load->sender_count, sizeof(*load->senders));
	load->may_send = calloc(load->sender_count, sizeof(struct load_sender *));
	load->dirty = calloc(load->connection_count, sizeof(struct load_connection *));
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!load->connections || !load->senders || !load->may_send || !load->dirty) {
		return -ENOMEM;
	}
	if (load->epoll < 0) {
		return -errno;
	}
	for (uint32_t i = 0; i < load->connection_count; i++) {
		load->connections[i].fd = -1;
		load->connections[i].serial = i;
	}
	for (uint32_t i = 0; r == 0 && i < load->sender_count; i++) {
		r = sender_init(load, i);
	}
	for (uint32_t i = 0; r == 0 && i < readers; i++) {
		r = reader_init(load, i);
	}
	return r != 0 ? r : raise_files(load->connection_count);
}

static void load_deinit(struct load *load)
{
	for (uint32_t i = 0; load->connections && i < load->connection_count; i++) {
		struct load_connection *connection = &load->connections[i];

		for (uint64_t s = 0; connection->accounts && s < load->plan->senders; s++) {
			account_deinit(&connection->accounts[s]);
		}
		free(connection->accounts);
		load_connection_free(connection);
	}
	for (uint32_t i = 0; load->senders && i < load->sender_count; i++) {
		free(load->senders[i].reached);
		free(load->senders[i].due_ns);
		free(load->senders[i].message);
	}
	free(load->connections);
	free(load->senders);
	free(load->may_send);
	free(load->dirty);
	free(load->space);
	if (load->epoll >= 0) {
		(void)close(load->epoll);
	}
}

/* --- what comes --- */

/* All that was sent has reached everybody, and was confirmed where it is. */
static bool is_done(const struct load *load, const struct load_sender *sender)
{
	return sender->done == sender->sent &&
	       (!load->plan->dialect->confirms || sender->settled >= sender->sent);
}

static void offer(struct load *load, struct load_sender *sender)
{
	if (load->plan->rate == 0 && !sender->may_send &&
	    sender->sent - sender->done < load->plan->window) {
		sender->may_send = true;
		load->may_send[load->may_send_count++] = sender;
	}
}

static void reach(struct load *load, struct load_sender *sender, uint32_t number, uint32_t readers)
{
	uint32_t all = (uint32_t)load->plan->readers;
	uint32_t *reached = sender->reached;
	uint32_t mask = sender->ring_mask;

	reached[number & mask] += readers;
	if (reached[(sender->done + 1) & mask] < all) {
		return;
	}
	while (sender->done < sender->sent && reached[(sender->done + 1) & mask] >= all) {
		sender->done++;
		reached[sender->done & mask] = 0;
	}
	load->pending -= is_done(load, sender);
	offer(load, sender);
}

static void take_text(struct load *load, struct load_connection *connection,
		      const struct load_incoming *incoming)
{
	struct load_counts *counts = &load->result->counts;
	uint32_t senders = (uint32_t)load->plan->senders;
	struct load_sender *sender;
	struct stamp stamp;

	if (!stamp_read(incoming->text, incoming->size, &stamp)) {
		return;
	}
	if (!connection->accounts || stamp.sender / senders != connection->room ||
	    stamp.sender >= load->sender_count ||
	    stamp.number - 1 >= load->senders[stamp.sender].sent) {
		counts->foreign++;
		return;
	}
	sender = &load->senders[stamp.sender];
	switch (account_take(&connection->accounts[stamp.sender % senders], stamp.number)) {
	case ACCOUNT_AGAIN:
		counts->doubled++;
		return;
	case ACCOUNT_LATE:
		counts->reordered++;
		break;
	default:
		break;
	}
	counts->delivered++;
	if (stamp.time_ns >= load->mark_ns) {
		histogram_add(&load->result->delivery,
			      load->now_ns > stamp.time_ns ? load->now_ns - stamp.time_ns : 0);
	}
	reach(load, sender, stamp.number, 1);
}

static void settle(struct load *load, struct load_connection *connection,
		   const struct load_incoming *incoming)
{
	struct load_sender *sender = connection->sender;
	uint64_t due_ns;

	if (!sender || incoming->number - 1 >= sender->sent) {
		return;
	}
	due_ns = sender->due_ns[incoming->number & sender->ring_mask];
	sender->settled++;
	if (incoming->kind == LOAD_SENT) {
		load->result->counts.confirmed++;
		if (due_ns >= load->mark_ns) {
			histogram_add(&load->result->confirmation, load->now_ns - due_ns);
		}
		load->pending -= is_done(load, sender);
		return;
	}
	load_say(load, incoming->text, incoming->size);
	load->result->counts.refused++;
	load->pending -= is_done(load, sender);
	reach(load, sender, incoming->number, (uint32_t)load->plan->readers);
}

void load_take(struct load *load, struct load_connection *connection,
	       const struct load_incoming *incoming)
{
	switch (incoming->kind) {
	case LOAD_TEXT:
		take_text(load, connection, incoming);
		break;
	case LOAD_SENT:
	case LOAD_REFUSED:
		settle(load, connection, incoming);
		break;
	default:
		break;
	}
}

/* --- what goes --- */

static void send_one(struct load *load, struct load_sender *sender, uint64_t due_ns)
{
	char *at = load_connection_reserve(load, sender->connection, sender->message_size);

	if (!at) {
		return;
	}
	load->pending += is_done(load, sender);
	sender->sent++;
	memcpy(at, sender->message, sender->message_size);
	stamp_renew(at + sender->text_at, sender->sent, due_ns);
	if (load->plan->dialect->renumber) {
		load->plan->dialect->renumber(at, sender->text_at, sender->sent);
	}
	sender->due_ns[sender->sent & sender->ring_mask] = due_ns;
	load->result->counts.sent++;
	if (due_ns >= load->mark_ns) {
		histogram_add(&load->result->lateness, load->now_ns - due_ns);
	}
}

static uint64_t due_at(const struct load *load, uint64_t number)
{
	uint64_t rate = load->plan->rate;

	return load->start_ns + number / rate * NS_PER_S + number % rate * NS_PER_S / rate;
}

/* Returns when to call it again. */
static uint64_t send_due(struct load *load)
{
	uint64_t due_ns;

	while ((due_ns = due_at(load, load->due_count)) <= load->now_ns && !load->failed) {
		/* Room after room, and in each room sender after sender. */
		uint64_t rooms = load->plan->room_count;
		uint64_t turn = load->due_count / rooms % load->plan->senders;
		struct load_sender *sender =
			&load->senders[load->due_count % rooms * load->plan->senders + turn];

		if (sender->sent - sender->done >= SEND_AHEAD_MAX) {
			load->result->held++;
			return load->now_ns + HELD_NS;
		}
		send_one(load, sender, due_ns);
		load->due_count++;
	}
	return due_ns;
}

static void send_flat_out(struct load *load)
{
	while (load->may_send_count > 0 && !load->failed) {
		struct load_sender *sender = load->may_send[--load->may_send_count];

		sender->may_send = false;
		while (sender->sent - sender->done < load->plan->window && !load->failed) {
			send_one(load, sender, load->now_ns);
		}
	}
}

/* --- the loop --- */

static int turn(struct load *load, uint64_t until_ns)
{
	static struct epoll_event events[EVENTS_MAX];
	uint64_t now_ns = load_now_ns();
	uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec timeout = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
				   .tv_nsec = (long)(wait_ns % NS_PER_S)};
	int n = epoll_pwait2(load->epoll, events, EVENTS_MAX, &timeout, NULL);

	if (n < 0 && errno != EINTR) {
		return -errno;
	}
	load->now_ns = load_now_ns();
	for (int i = 0; i < n; i++) {
		load_connection_ready(load, events[i].data.ptr, events[i].events);
	}
	load->now_ns = load_now_ns();
	return load->failed ? -ECONNABORTED : 0;
}

static int connect_all(struct load *load)
{
	uint64_t start_ns = load_now_ns();
	uint64_t moved_ns = start_ns;
	uint32_t open = 0;
	int r = 0;

	while (r == 0 && load->open < load->connection_count) {
		while (load->connecting < LOAD_CONNECTING_MAX &&
		       load->next_connection < load->connection_count) {
			load->connecting++;
			if (!load_connection_start(load,
						   &load->connections[load->next_connection++])) {
				return -ECONNABORTED;
			}
		}
		r = turn(load, load_now_ns() + NS_PER_S);
		load_connections_flush(load);
		moved_ns = load->open > open ? load->now_ns : moved_ns;
		open = load->open;
		if (r == 0 && load->now_ns - moved_ns > STALL_NS) {
			load_say(load, STALLED, sizeof(STALLED) - 1);
			r = -ETIMEDOUT;
		}
	}
	load->result->connections = load->open;
	load->result->connect_ns = load_now_ns() - start_ns;
	return r;
}

static int send_until(struct load *load, uint64_t end_ns)
{
	int r = 0;

	while (r == 0 && load->now_ns < end_ns) {
		uint64_t next_ns = end_ns;

		if (load->plan->rate > 0) {
			next_ns = send_due(load);
		} else {
			send_flat_out(load);
		}
		load_connections_flush(load);
		r = turn(load, next_ns < end_ns ? next_ns : end_ns);
	}
	return r;
}

/* Until everything has arrived, or nothing comes any more. */
static int drain(struct load *load)
{
	uint64_t moved_ns = load->now_ns;
	int r = 0;

	while (r == 0 && load->pending > 0 && load->now_ns - moved_ns < STALL_NS) {
		uint64_t before = load->result->counts.delivered + load->result->counts.confirmed;

		load_connections_flush(load);
		r = turn(load, load_now_ns() + NS_PER_S);
		if (load->result->counts.delivered + load->result->counts.confirmed != before) {
			moved_ns = load->now_ns;
		}
	}
	load->now_ns = load->pending > 0 ? moved_ns : load->now_ns;
	return r;
}

static int measure(struct load *load)
{
	struct load_result *result = load->result;
	struct load_counts before;
	uint64_t cpu_before_ns;
	uint64_t own_before_ns;
	int r;

	load->now_ns = load_now_ns();
	load->start_ns = load->now_ns;
	for (uint32_t i = 0; i < load->sender_count; i++) {
		offer(load, &load->senders[i]);
	}
	r = send_until(load, load->start_ns + load->plan->warm_up_ms * NS_PER_MS);
	if (r != 0) {
		return r;
	}
	r = process_list_cpu_ns(&load->plan->servers, &cpu_before_ns);
	own_before_ns = own_cpu_ns();
	before = result->counts;
	load->mark_ns = load_now_ns();
	r = r != 0 ? r : send_until(load, load->mark_ns + load->plan->measure_ms * NS_PER_MS);
	r = r != 0 ? r : drain(load);
	r = r != 0 ? r : process_list_cpu_ns(&load->plan->servers, &result->server_cpu_ns);
	if (r != 0) {
		return r;
	}
	result->server_cpu_ns -= cpu_before_ns;
	result->own_cpu_ns = own_cpu_ns() - own_before_ns;
	result->measure_ns = load->now_ns - load->mark_ns;
	result->sent = result->counts.sent - before.sent;
	result->delivered = result->counts.delivered - before.delivered;
	return 0;
}

static void settle_accounts(struct load *load)
{
	uint64_t senders = load->plan->senders;

	for (uint32_t i = load->sender_count; i < load->connection_count; i++) {
		struct load_connection *connection = &load->connections[i];

		for (uint64_t s = 0; s < senders; s++) {
			load->result->counts.lost += account_missing(
				&connection->accounts[s],
				load->senders[connection->room * senders + s].sent);
		}
	}
}

int load_run(const struct load_plan *plan, struct load_result *ret_result)
{
	_cleanup_(load_deinit) struct load load = {
		.plan = plan, .result = ret_result, .epoll = -1, .mark_ns = UINT64_MAX};
	int r;

	assert(plan->text_bytes >= STAMP_TEXT_BYTES_MIN && plan->senders > 0 && plan->readers > 0);
	*ret_result = (struct load_result){0};
	(void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	r = process_list_memory_bytes(&plan->servers, &ret_result->memory_bytes_before);
	r = r != 0 ? r : load_init(&load);
	r = r != 0 ? r : connect_all(&load);
	r = r != 0 ? r : process_list_memory_bytes(&plan->servers, &ret_result->memory_bytes);
	r = r != 0 ? r : measure(&load);
	settle_accounts(&load);
	return r;
}

bool load_is_clean(const struct load_result *result)
{
	const struct load_counts *counts = &result->counts;

	return counts->lost == 0 && counts->doubled == 0 && counts->reordered == 0 &&
	       counts->refused == 0 && counts->foreign == 0;
}
