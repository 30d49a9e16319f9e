/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the bus costs: calls over ipc with one and with a thousand outstanding, and publications to
 * one subscriber. The server, or the publisher, runs in a process of its own. Prints one line a
 * workload.
 *
 *   usage: bus_bench
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "services/bus.h"

#define CALLS 200000
#define PUBLICATIONS 500000
#define WINDOW 4000 /* publications between two pauses for the subscriber */
#define TEXT_BYTES 200

static uv_loop_t loop;
static struct bus *bus;
static char directory[] = "/tmp/bus-bench-XXXXXX";
static char address[64];
static char feed_address[64];

static void need(int r, const char *what)
{
	if (r != 0) {
		fprintf(stderr, "bus_bench: %s: %d\n", what, r);
		exit(1);
	}
}

static void start(void)
{
	need(uv_loop_init(&loop), "loop");
	need(bus_new(&loop, NULL, &bus), "bus");
}

static void stop(void)
{
	bus_free(bus);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
}

static void report(const char *what, size_t count, uint64_t started_ns)
{
	double seconds = (double)(uv_hrtime() - started_ns) / 1e9;

	(void)printf("%-28s %9.0f/s %8.2f us each\n", what, (double)count / seconds,
		     seconds * 1e6 / (double)count);
	(void)fflush(stdout);
}

/* --- the other process --- */

static struct bus_publisher *publisher;

static void on_beat(void *context, struct bus_request *request, const struct proto_message *message)
{
	struct proto_node_beaten body = {.slots_version = PROTO_BODY(message, node_beat)->rooms};

	(void)context;
	bus_reply(request, PROTO_NODE_BEATEN, &body);
}

/* Publishes one window; its last message says so. */
static void on_ask(void *context, struct bus_request *request, const struct proto_message *message)
{
	char text[TEXT_BYTES];
	struct proto_id room = {{1}};
	struct proto_typing body = {
		.room = room, .user = {{2}}, .name = {text, PROTO_NAME_BYTES_MAX}, .active = true};

	(void)context;
	(void)message;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < WINDOW; i++) {
		body.active = i + 1 < WINDOW;
		bus_publish(publisher, &room, PROTO_TYPING, &body);
	}
	bus_ok(request);
}

static const struct bus_route routes[] = {
	{PROTO_NODE_BEAT, on_beat},
	{PROTO_SESSION_CLOSE, on_ask},
};

static pid_t serve(void)
{
	struct bus_server *server = NULL;
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		start();
		need(bus_server_new(bus, address, routes, 2, NULL, &server), "server");
		need(bus_publisher_new(bus, feed_address, &publisher), "publisher");
		(void)uv_run(&loop, UV_RUN_DEFAULT);
		_exit(0);
	}
	return pid;
}

/* --- calls --- */

static struct bus_link *bench_link;
static size_t made;
static size_t done;

static void call_one(void);

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	(void)context;
	(void)answer;
	need(result, "answer");
	done++;
	if (made < CALLS) {
		call_one();
	}
}

static void call_one(void)
{
	static const struct bus_call_options options = {.timeout_ms = 60000};
	struct proto_node_beat beat = {
		.node = PROTO_SPAN("node"), .incarnation = {{1}}, .rooms = made};

	made++;
	bus_call(bench_link, PROTO_NODE_BEAT, &beat, &options, on_answer, NULL, NULL);
}

static void bench_calls(const char *what, size_t outstanding)
{
	uint64_t started_ns = uv_hrtime();

	made = 0;
	done = 0;
	while (made < outstanding) {
		call_one();
	}
	while (done < CALLS) {
		(void)uv_run(&loop, UV_RUN_ONCE);
	}
	report(what, CALLS, started_ns);
}

/* --- publications --- */

static size_t seen;
static size_t windows; /* seen to their end */
static size_t asked;
static size_t answered;

static void on_message(void *context, const struct proto_id *topic,
		       const struct proto_message *message)
{
	(void)context;
	(void)topic;
	seen++;
	windows += !PROTO_BODY(message, typing)->active;
}

static void on_window(void *context, int result, const struct proto_message *answer)
{
	(void)context;
	(void)answer;
	need(result, "window");
	answered++;
}

static void ask_window(void)
{
	struct proto_session_close ask = {.session = {{1}}};

	asked++;
	bus_call(bench_link, PROTO_SESSION_CLOSE, &ask, NULL, on_window, NULL, NULL);
}

/* Until the subscription has arrived: one window at a time, until the end of one is seen. */
static void settle(void)
{
	while (windows == 0) {
		ask_window();
		for (size_t i = 0; answered < asked || (i < 10000 && windows == 0); i++) {
			(void)uv_run(&loop, UV_RUN_NOWAIT);
		}
	}
}

static void bench_publications(void)
{
	struct bus_feed *feed = NULL;
	uint64_t started_ns;
	size_t wanted;

	need(bus_feed_new(bus, feed_address, on_message, NULL, &feed), "feed");
	need(bus_feed_subscribe(feed, NULL), "subscribe");
	settle(); /* a window that was on its way then counts, one at the end may not */
	seen = 0;
	wanted = windows;
	started_ns = uv_hrtime();
	for (size_t i = 0; i < PUBLICATIONS; i += WINDOW) {
		ask_window();
		wanted++;
		while (windows < wanted) {
			(void)uv_run(&loop, UV_RUN_ONCE);
		}
	}
	report("publications, 1 subscriber", seen, started_ns);
	while (answered < asked) {
		(void)uv_run(&loop, UV_RUN_ONCE);
	}
}

int main(void)
{
	pid_t pid;

	if (!mkdtemp(directory)) {
		return 1;
	}
	(void)snprintf(address, sizeof(address), "ipc://%s/server", directory);
	(void)snprintf(feed_address, sizeof(feed_address), "ipc://%s/feed", directory);
	pid = serve();
	start();
	need(bus_link_new(bus, address, &bench_link), "link");
	bench_calls("calls, 1 outstanding", 1);
	bench_calls("calls, 1000 outstanding", 1000);
	bench_publications();
	stop();
	(void)kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0);
	(void)unlink(address + strlen("ipc://"));
	(void)unlink(feed_address + strlen("ipc://"));
	(void)rmdir(directory);
	return 0;
}
