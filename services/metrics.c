/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Series in a list per name, in the order in which they were added: an exposition must keep the
 * rows of one name together. A process has some dozens, so that finding one at start may be linear.
 */

#include "services/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static const double bucket_bounds[] = {
	0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
	0.1,	0.2,	0.5,	1,     2,     5,     10,   30,
};

#define BUCKETS (sizeof(bucket_bounds) / sizeof(bucket_bounds[0]))

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
};

static const char *const kind_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

struct metric {
	struct metric *next;
	char *labels;
	uint64_t value; /* of a histogram: observations */
	double sum;
	uint64_t buckets[BUCKETS]; /* not cumulative */
	uint64_t (*probe)(void *context);
	void *context;
};

struct family {
	struct family *next;
	char *name;
	char *help;
	enum metric_kind kind;
	struct metric *series;
};

struct metrics {
	struct family *families;
};

int metrics_new(struct metrics **ret_metrics)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics) {
		return -ENOMEM;
	}
	*ret_metrics = metrics;
	return 0;
}

static void metric_free(struct metric *metric)
{
	if (metric) {
		free(metric->labels);
		free(metric);
	}
}

static void family_free(struct family *family)
{
	struct metric *metric;
	struct metric *next;

	if (!family) {
		return;
	}
	LL_FOREACH_SAFE(family->series, metric, next)
	{
		metric_free(metric);
	}
	free(family->name);
	free(family->help);
	free(family);
}

void metrics_free(struct metrics *metrics)
{
	struct family *family;
	struct family *next;

	if (!metrics) {
		return;
	}
	LL_FOREACH_SAFE(metrics->families, family, next)
	{
		family_free(family);
	}
	free(metrics);
}

static struct family *family_find(struct metrics *metrics, const char *name, const char *help,
				  enum metric_kind kind)
{
	struct family *family;

	LL_FOREACH(metrics->families, family)
	{
		if (strcmp(family->name, name) == 0) {
			return family;
		}
	}
	family = calloc(1, sizeof(*family));
	if (!family) {
		return NULL;
	}
	family->kind = kind;
	family->name = strdup(name);
	family->help = strdup(help);
	if (!family->name || !family->help) {
		family_free(family);
		return NULL;
	}
	LL_APPEND(metrics->families, family);
	return family;
}

static int series_find(struct metrics *metrics, const char *name, const char *help,
		       const char *labels, enum metric_kind kind, struct metric **ret_metric)
{
	struct family *family = family_find(metrics, name, help, kind);
	const char *wanted = labels ? labels : "";
	struct metric *metric;

	if (!family) {
		return -ENOMEM;
	}
	LL_FOREACH(family->series, metric)
	{
		if (strcmp(metric->labels, wanted) == 0) {
			*ret_metric = metric;
			return 0;
		}
	}
	metric = calloc(1, sizeof(*metric));
	if (!metric || !(metric->labels = strdup(wanted))) {
		metric_free(metric);
		return -ENOMEM;
	}
	LL_APPEND(family->series, metric);
	*ret_metric = metric;
	return 0;
}

int metrics_counter(struct metrics *metrics, const char *name, const char *help, const char *labels,
		    struct metric **ret_metric)
{
	return series_find(metrics, name, help, labels, METRIC_COUNTER, ret_metric);
}

int metrics_gauge(struct metrics *metrics, const char *name, const char *help, const char *labels,
		  struct metric **ret_metric)
{
	return series_find(metrics, name, help, labels, METRIC_GAUGE, ret_metric);
}

int metrics_histogram(struct metrics *metrics, const char *name, const char *help,
		      const char *labels, struct metric **ret_metric)
{
	return series_find(metrics, name, help, labels, METRIC_HISTOGRAM, ret_metric);
}

int metrics_probe(struct metrics *metrics, const char *name, const char *help, const char *labels,
		  uint64_t (*probe)(void *context), void *context)
{
	struct metric *metric = NULL;
	int r = series_find(metrics, name, help, labels, METRIC_GAUGE, &metric);

	if (r == 0) {
		metric->probe = probe;
		metric->context = context;
	}
	return r;
}

void metric_add(struct metric *counter, uint64_t n)
{
	counter->value += n;
}

void metric_set(struct metric *gauge, uint64_t value)
{
	gauge->value = value;
}

void metric_observe(struct metric *histogram, double seconds)
{
	size_t i = 0;

	while (i < BUCKETS && seconds > bucket_bounds[i]) {
		i++;
	}
	if (i < BUCKETS) {
		histogram->buckets[i]++;
	}
	histogram->value++;
	histogram->sum += seconds;
}

static void write_simple(FILE *out, const char *name, const struct metric *metric)
{
	uint64_t value = metric->probe ? metric->probe(metric->context) : metric->value;

	if (metric->labels[0] != '\0') {
		fprintf(out, "%s{%s} %" PRIu64 "\n", name, metric->labels, value);
	} else {
		fprintf(out, "%s %" PRIu64 "\n", name, value);
	}
}

static void write_histogram(FILE *out, const char *name, const struct metric *metric)
{
	const char *comma = metric->labels[0] != '\0' ? "," : "";
	uint64_t below = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		below += metric->buckets[i];
		fprintf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, metric->labels, comma,
			bucket_bounds[i], below);
	}
	fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, metric->labels, comma,
		metric->value);
	fprintf(out, "%s_sum{%s} %g\n", name, metric->labels, metric->sum);
	fprintf(out, "%s_count{%s} %" PRIu64 "\n", name, metric->labels, metric->value);
}

static void write_family(FILE *out, const struct family *family)
{
	const struct metric *metric;

	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
		kind_names[family->kind]);
	LL_FOREACH(family->series, metric)
	{
		if (family->kind == METRIC_HISTOGRAM) {
			write_histogram(out, family->name, metric);
		} else {
			write_simple(out, family->name, metric);
		}
	}
}

int metrics_write(const struct metrics *metrics, char **ret_text, size_t *ret_size)
{
	const struct family *family;
	FILE *out = open_memstream(ret_text, ret_size);

	if (!out) {
		return -errno;
	}
	LL_FOREACH(metrics->families, family)
	{
		write_family(out, family);
	}
	return fclose(out) == 0 ? 0 : -ENOMEM;
}
