/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See load_settings.h. */

#include "cli/load_settings.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

#define FIELD(member) offsetof(struct load_settings, member)
#define NS_PER_MS 1e6
#define NS_PER_S 1e9
#define BUSY_SHARE 0.9 /* of a core: above, the generator itself may be the limit */
#define LATE_NS 1000000ULL /* of the lateness' p99 in an open loop: likewise */

static const struct config_field common[] = {
	{"rooms", CONFIG_NUMBER, FIELD(rooms), "1", 1, 100000, "N", "rooms"},
	{"readers", CONFIG_NUMBER, FIELD(readers), "100", 1, 1000000, "N",
	 "readers in each room, a connection each"},
	{"senders", CONFIG_NUMBER, FIELD(senders), "1", 1, 1000, "N",
	 "senders in each room, a connection each"},
	{"rate", CONFIG_NUMBER, FIELD(rate), "0", 0, 1000000, "N",
	 "messages a second of all senders; 0: as many as the slowest reader takes"},
	{"window", CONFIG_NUMBER, FIELD(window), "32", 1, 65536, "N",
	 "with rate 0: messages of a sender that have not reached all readers"},
	{"text-bytes", CONFIG_BYTES, FIELD(text_bytes), "200", 40, 16384, "SIZE",
	 "text of a message"},
	{"warm-up", CONFIG_MS, FIELD(warm_up_ms), "1s", 0, 3600000, "TIME",
	 "load before the measured part"},
	{"time", CONFIG_MS, FIELD(measure_ms), "5s", 1, 86400000, "TIME",
	 "length of the measured part"},
	{"pids", CONFIG_TEXT, FIELD(pids), "", 0, 1024, "PID,…",
	 "server processes on this machine, to tell their CPU and memory"},
	{"json", CONFIG_BOOL, FIELD(json), "false", 0, 0, NULL, "print one line of JSON"},
};

#define COMMON_COUNT (sizeof(common) / sizeof(common[0]))

enum config_outcome load_settings_read(const char *program, const char *summary,
				       const struct config_field *own, size_t own_count, int argc,
				       char **argv, void *ret_settings)
{
	struct config_field fields[LOAD_SETTINGS_MAX];
	struct config_table table = {program, summary, fields, own_count + COMMON_COUNT};

	assert(table.field_count <= LOAD_SETTINGS_MAX);
	memcpy(fields, own, own_count * sizeof(*own));
	memcpy(fields + own_count, common, sizeof(common));
	return config_load(&table, argc, argv, ret_settings);
}

int load_settings_plan(const struct load_settings *settings, struct load_plan *ret_plan)
{
	struct load_plan plan = {
		.room_count = settings->rooms,
		.readers = settings->readers,
		.senders = settings->senders,
		.rate = settings->rate,
		.window = settings->window,
		.text_bytes = settings->text_bytes,
		.warm_up_ms = settings->warm_up_ms,
		.measure_ms = settings->measure_ms,
	};
	uint64_t connections = settings->rooms * (settings->readers + settings->senders);

	if (connections > LOAD_CONNECTIONS_MAX) {
		fprintf(stderr, "%llu connections are more than %u\n",
			(unsigned long long)connections, LOAD_CONNECTIONS_MAX);
		return -EINVAL;
	}
	if (process_list_parse(settings->pids, &plan.servers) != 0) {
		fprintf(stderr, "\"%s\": wanted process ids, at most %u, with commas between\n",
			settings->pids, PROCESS_LIST_MAX);
		return -EINVAL;
	}
	*ret_plan = plan;
	return 0;
}

int load_settings_server(const char *address, struct load_plan *plan)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const char *colon = strrchr(address, ':');
	const char *port = colon ? colon + 1 : "80";
	size_t size = colon ? (size_t)(colon - address) : strlen(address);
	char name[256];
	int r;

	if (size >= sizeof(name)) {
		return -EINVAL;
	}
	memcpy(name, address, size);
	name[size] = '\0';
	r = getaddrinfo(name, port, &hints, &found);
	if (r != 0) {
		fprintf(stderr, "%s: %s\n", address, gai_strerror(r));
		return -EINVAL;
	}
	memcpy(&plan->server, found->ai_addr, sizeof(plan->server));
	plan->host = address;
	freeaddrinfo(found);
	return 0;
}

/* --- what is told --- */

struct figures {
	double seconds;
	double sent_s;
	double delivered_s;
	double cpu_us; /* of the servers, for each delivery */
	double busy; /* the generator: share of a core */
	bool is_limit;
};

static struct figures figures_of(const struct load_plan *plan, const struct load_result *result)
{
	struct figures figures = {.seconds = (double)result->measure_ns / NS_PER_S};
	double seconds = figures.seconds > 0 ? figures.seconds : 1;
	double delivered = result->delivered > 0 ? (double)result->delivered : 1;

	figures.sent_s = (double)result->sent / seconds;
	figures.delivered_s = (double)result->delivered / seconds;
	figures.cpu_us = (double)result->server_cpu_ns / 1000 / delivered;
	figures.busy = (double)result->own_cpu_ns / NS_PER_S / seconds;
	figures.is_limit = figures.busy > BUSY_SHARE ||
			   (plan->rate > 0 && histogram_at(&result->lateness, 0.99) > LATE_NS);
	return figures;
}

static void print_times(const char *name, const struct histogram *times, FILE *to)
{
	fprintf(to, ",\"%s_ms\":{\"count\":%llu", name, (unsigned long long)times->count);
	fprintf(to, ",\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
		(double)histogram_at(times, 0.5) / NS_PER_MS,
		(double)histogram_at(times, 0.9) / NS_PER_MS,
		(double)histogram_at(times, 0.99) / NS_PER_MS,
		(double)histogram_at(times, 0.999) / NS_PER_MS, (double)times->max / NS_PER_MS);
}

static void print_counts(const struct load_counts *counts, const char *before, const char *between,
			 const char *after, FILE *to)
{
	const struct {
		const char *name;
		uint64_t count;
	} rows[] = {
		{"sent", counts->sent},		  {"confirmed", counts->confirmed},
		{"refused", counts->refused},	  {"delivered", counts->delivered},
		{"lost", counts->lost},		  {"doubled", counts->doubled},
		{"reordered", counts->reordered}, {"foreign", counts->foreign},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fprintf(to, "%s%s%s%s%llu", i > 0 ? after : "", before, rows[i].name, between,
			(unsigned long long)rows[i].count);
	}
}

static void report_json(const struct load_plan *plan, const struct load_result *result, FILE *to)
{
	struct figures figures = figures_of(plan, result);

	fprintf(to, "{\"dialect\":\"%s\",", plan->dialect->name);
	print_counts(&result->counts, "\"", "\":", ",", to);
	fprintf(to, ",\"connections\":%llu,\"connects_s\":%.1f",
		(unsigned long long)result->connections,
		(double)result->connections * NS_PER_S / (double)(result->connect_ns + 1));
	fprintf(to, ",\"memory_before\":%llu,\"memory\":%llu",
		(unsigned long long)result->memory_bytes_before,
		(unsigned long long)result->memory_bytes);
	fprintf(to, ",\"seconds\":%.3f,\"sent_s\":%.1f,\"delivered_s\":%.1f", figures.seconds,
		figures.sent_s, figures.delivered_s);
	fprintf(to, ",\"cpu_us\":%.4f,\"generator_busy\":%.3f,\"generator_limits\":%s",
		figures.cpu_us, figures.busy, figures.is_limit ? "true" : "false");
	fprintf(to, ",\"held\":%llu", (unsigned long long)result->held);
	print_times("delivery", &result->delivery, to);
	print_times("confirmation", &result->confirmation, to);
	print_times("lateness", &result->lateness, to);
	fprintf(to, ",\"why\":\"");
	for (const char *c = result->why; *c != '\0'; c++) {
		fputc(*c == '"' || *c == '\\' || (unsigned char)*c < ' ' ? '\'' : *c, to);
	}
	fprintf(to, "\"}\n");
}

static void report_row(const char *name, const struct histogram *times, FILE *to)
{
	if (times->count > 0) {
		fprintf(to, "%-16s p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, most %.3f ms\n", name,
			(double)histogram_at(times, 0.5) / NS_PER_MS,
			(double)histogram_at(times, 0.99) / NS_PER_MS,
			(double)histogram_at(times, 0.999) / NS_PER_MS,
			(double)times->max / NS_PER_MS);
	}
}

static void report_text(const struct load_plan *plan, const struct load_result *result, FILE *to)
{
	struct figures figures = figures_of(plan, result);

	fprintf(to, "%-16s %llu, all ready after %.2f s\n", "connections",
		(unsigned long long)result->connections, (double)result->connect_ns / NS_PER_S);
	fprintf(to, "%-16s %.0f/s sent, %.0f/s delivered, for %.1f s\n", "messages", figures.sent_s,
		figures.delivered_s, figures.seconds);
	report_row("delivery", &result->delivery, to);
	report_row("confirmation", &result->confirmation, to);
	if (plan->servers.count > 0) {
		fprintf(to, "%-16s %.2f µs of CPU for each delivery, %.1f MiB\n", "servers",
			figures.cpu_us, (double)result->memory_bytes / (1 << 20));
	}
	fprintf(to, "%-16s %.0f %% of a core%s\n", "this generator", figures.busy * 100,
		figures.is_limit ? ": it may be the limit itself" : "");
	fprintf(to, "%-16s ", "accounts");
	print_counts(&result->counts, "", " ", ", ", to);
	fprintf(to, "\n%s%s", result->why, result->why[0] != '\0' ? "\n" : "");
}

void load_settings_report(const struct load_settings *settings, const struct load_plan *plan,
			  const struct load_result *result, FILE *to)
{
	if (settings->json) {
		report_json(plan, result, to);
	} else {
		report_text(plan, result, to);
	}
}
