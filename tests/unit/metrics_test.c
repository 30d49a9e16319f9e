/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The text that a scraper reads. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "services/metrics.h"

static uint64_t seven(void *context)
{
	(void)context;
	return 7;
}

Test(metrics, exposition)
{
	struct metrics *metrics = NULL;
	struct metric *a = NULL;
	struct metric *b = NULL;
	struct metric *again = NULL;
	struct metric *gauge = NULL;
	struct metric *times = NULL;
	char *text = NULL;
	size_t size = 0;

	cr_assert_eq(metrics_new(&metrics), 0);
	cr_assert_eq(metrics_counter(metrics, "x_total", "Xs.", "kind=\"a\"", &a), 0);
	cr_assert_eq(metrics_gauge(metrics, "level", "Level.", NULL, &gauge), 0);
	cr_assert_eq(metrics_counter(metrics, "x_total", "Xs.", "kind=\"b\"", &b), 0);
	cr_assert_eq(metrics_counter(metrics, "x_total", "Xs.", "kind=\"a\"", &again), 0);
	cr_assert_eq(metrics_histogram(metrics, "took_seconds", "Time.", "kind=\"a\"", &times), 0);
	cr_assert_eq(metrics_probe(metrics, "asked", "Asked.", NULL, seven, NULL), 0);
	cr_assert_eq(a, again);
	metric_add(a, 2);
	metric_add(b, 3);
	metric_set(gauge, 9);
	metric_observe(times, 0.0001);
	metric_observe(times, 0.3);
	metric_observe(times, 99);
	cr_assert_eq(metrics_write(metrics, &text, &size), 0);
	cr_assert_not_null(strstr(text,
				  "# HELP x_total Xs.\n# TYPE x_total counter\nx_total{kind=\"a\"} "
				  "2\nx_total{kind=\"b\"} 3\n"));
	cr_assert_not_null(strstr(text, "# TYPE level gauge\nlevel 9\n"));
	cr_assert_not_null(strstr(text, "\nasked 7\n"));
	cr_assert_not_null(strstr(text, "took_seconds_bucket{kind=\"a\",le=\"0.0001\"} 1\n"));
	cr_assert_not_null(strstr(text, "took_seconds_bucket{kind=\"a\",le=\"0.2\"} 1\n"));
	cr_assert_not_null(strstr(text, "took_seconds_bucket{kind=\"a\",le=\"0.5\"} 2\n"));
	cr_assert_not_null(strstr(text, "took_seconds_bucket{kind=\"a\",le=\"30\"} 2\n"));
	cr_assert_not_null(strstr(text, "took_seconds_bucket{kind=\"a\",le=\"+Inf\"} 3\n"));
	cr_assert_not_null(strstr(text, "took_seconds_count{kind=\"a\"} 3\n"));
	free(text);
	metrics_free(metrics);
}
