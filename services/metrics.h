/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Numbers about a process in the Prometheus text format (0.0.4). Names begin with `districhat_`,
 * units are seconds and bytes, counters end in `_total`. Handles live as long as the registry;
 * updating one is an addition in memory, without a lock: the loop's thread alone may do it.
 */

#include <stddef.h>
#include <stdint.h>

struct metrics;
struct metric;

int metrics_new(struct metrics **ret_metrics);
void metrics_free(struct metrics *metrics);

/*
 * Add a series. `labels` is `code="limit",type="append"`, or NULL; rows of one name share `help`.
 * The texts are copied. Asking again for the same name and labels gives the same handle.
 */
int metrics_counter(struct metrics *metrics, const char *name, const char *help, const char *labels,
		    struct metric **ret_metric);
int metrics_gauge(struct metrics *metrics, const char *name, const char *help, const char *labels,
		  struct metric **ret_metric);
/* Buckets from 0.1 ms to 30 s, three a decade. */
int metrics_histogram(struct metrics *metrics, const char *name, const char *help,
		      const char *labels, struct metric **ret_metric);
/* A gauge that is asked for at every scrape. */
int metrics_probe(struct metrics *metrics, const char *name, const char *help, const char *labels,
		  uint64_t (*probe)(void *context), void *context);

void metric_add(struct metric *counter, uint64_t n);
void metric_set(struct metric *gauge, uint64_t value);
void metric_observe(struct metric *histogram, double seconds);

/* All series as one malloc'ed text. Returns 0 or -errno. */
int metrics_write(const struct metrics *metrics, char **ret_text, size_t *ret_size);
