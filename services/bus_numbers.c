/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The bus in numbers. Series by type and result are made when first used: of 80 types times 35
 * codes a daemon sees a few dozen. A handle is found by index, so that counting costs an addition.
 */

#include "services/bus_internal.h"

#include <stdio.h>
#include <time.h>

#define LABELS_BYTES 128

static const char *const drop_names[BUS_DROPS] = {
	[BUS_DROP_MALFORMED] = "reason=\"malformed\"",
	[BUS_DROP_PARTS] = "reason=\"parts\"",
	[BUS_DROP_UNKNOWN_ANSWER] = "reason=\"unknown_answer\"",
	[BUS_DROP_PEER_GONE] = "reason=\"peer_gone\"",
	[BUS_DROP_PEER_SLOW] = "reason=\"peer_slow\"",
};

uint64_t bus_now_ns(void)
{
	return uv_hrtime();
}

static int init_counters(struct bus_numbers *numbers)
{
	struct metrics *metrics = numbers->metrics;
	int r = 0;

	for (size_t i = 0; i < BUS_DROPS && r == 0; i++) {
		r = metrics_counter(metrics, "districhat_bus_dropped_total",
				    "Messages that were dropped.", drop_names[i],
				    &numbers->drops[i]);
	}
	if (r == 0) {
		r = metrics_counter(metrics, "districhat_bus_published_total",
				    "Messages published.", NULL, &numbers->published);
	}
	if (r == 0) {
		r = metrics_counter(metrics, "districhat_bus_received_total",
				    "Messages received from feeds.", NULL, &numbers->received);
	}
	if (r == 0) {
		r = metrics_counter(metrics, "districhat_bus_handshakes_refused_total",
				    "Connections refused for their key.", NULL,
				    &numbers->handshakes_refused);
	}
	if (r == 0) {
		r = metrics_counter(metrics, "districhat_bus_retries_total", "Requests sent again.",
				    NULL, &numbers->retries);
	}
	return r;
}

static int init_gauges(struct bus_numbers *numbers)
{
	struct metrics *metrics = numbers->metrics;
	int r = metrics_gauge(metrics, "districhat_bus_requests_open", "Requests being answered.",
			      NULL, &numbers->requests_open);

	if (r == 0) {
		r = metrics_gauge(metrics, "districhat_bus_calls_open",
				  "Calls waiting for an answer.", NULL, &numbers->calls_open);
	}
	if (r == 0) {
		r = metrics_gauge(metrics, "districhat_bus_answers_held",
				  "Answers held back for connections that do not read.", NULL,
				  &numbers->answers_held);
	}
	if (r == 0) {
		r = metrics_gauge(metrics, "districhat_bus_peers",
				  "Connections that requests have come on.", NULL, &numbers->peers);
	}
	return r;
}

int bus_numbers_init(struct bus_numbers *numbers, struct metrics *metrics)
{
	int r;

	if (!metrics) {
		return 0;
	}
	numbers->metrics = metrics;
	r = init_counters(numbers);
	return r == 0 ? init_gauges(numbers) : r;
}

void bus_numbers_count(struct metric *counter)
{
	if (counter) {
		metric_add(counter, 1);
	}
}

void bus_numbers_move(struct metric *gauge, uint64_t *count, int by)
{
	*count += (uint64_t)(int64_t)by;
	if (gauge) {
		metric_set(gauge, *count);
	}
}

void bus_numbers_drop(struct bus_numbers *numbers, enum bus_drop why)
{
	bus_numbers_count(numbers->drops[why]);
}

struct series {
	const char *counter;
	const char *counter_help;
	const char *histogram;
	const char *histogram_help;
};

static const struct series requests_series = {
	"districhat_bus_requests_total",
	"Requests answered, by type and result.",
	"districhat_bus_request_seconds",
	"Time from a request's arrival to its answer.",
};

static const struct series calls_series = {
	"districhat_bus_calls_total",
	"Calls ended, by type and result.",
	"districhat_bus_call_seconds",
	"Time from a call to its end.",
};

static void observe(struct bus_numbers *numbers, const struct series *series,
		    struct metric **counter, struct metric **histogram, enum proto_type type,
		    int code, uint64_t started_ns)
{
	const struct proto_type_info *info = proto_type_info(type);
	const char *type_name = info ? info->record->name : "unknown";
	char labels[LABELS_BYTES];

	if (!*counter) {
		(void)snprintf(labels, sizeof(labels), "type=\"%s\",code=\"%s\"", type_name,
			       code == 0 ? "ok" : proto_error_info((enum proto_code)code)->code);
		(void)metrics_counter(numbers->metrics, series->counter, series->counter_help,
				      labels, counter);
	}
	if (!*histogram) {
		(void)snprintf(labels, sizeof(labels), "type=\"%s\"", type_name);
		(void)metrics_histogram(numbers->metrics, series->histogram, series->histogram_help,
					labels, histogram);
	}
	bus_numbers_count(*counter);
	if (*histogram) {
		metric_observe(*histogram, (double)(bus_now_ns() - started_ns) / 1e9);
	}
}

static bool is_counted(const struct bus_numbers *numbers, enum proto_type type, int code)
{
	return numbers->metrics && (unsigned int)type < BUS_TYPES && code >= 0 && code < BUS_CODES;
}

void bus_numbers_request(struct bus_numbers *numbers, enum proto_type type, int code,
			 uint64_t started_ns)
{
	if (is_counted(numbers, type, code)) {
		observe(numbers, &requests_series, &numbers->requests[type][code],
			&numbers->request_seconds[type], type, code, started_ns);
	}
}

void bus_numbers_call(struct bus_numbers *numbers, enum proto_type type, int code,
		      uint64_t started_ns)
{
	if (is_counted(numbers, type, code)) {
		observe(numbers, &calls_series, &numbers->calls[type][code],
			&numbers->call_seconds[type], type, code, started_ns);
	}
}
