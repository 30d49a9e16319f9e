/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A loop with a bus for tests. Tests wait for what should happen, under a watchdog, and never
 * sleep.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include "services/bus.h"
#include "services/metrics.h"

#define FIXTURE_WATCHDOG_MS 60000

struct fixture {
	uv_loop_t loop;
	uv_timer_t watchdog;
	struct metrics *metrics;
	struct bus *bus;
	char directory[64];
	char address[96]; /* an ipc path for one server */
	char feed[96]; /* and for one publisher */
};

static inline void fixture_expired(uv_timer_t *timer)
{
	(void)timer;
	cr_assert_fail("what was waited for did not happen");
}

static inline void fixture_init(struct fixture *fixture)
{
	cr_assert_eq(uv_loop_init(&fixture->loop), 0);
	cr_assert_eq(uv_timer_init(&fixture->loop, &fixture->watchdog), 0);
	cr_assert_eq(uv_timer_start(&fixture->watchdog, fixture_expired, FIXTURE_WATCHDOG_MS, 0),
		     0);
	cr_assert_eq(metrics_new(&fixture->metrics), 0);
	cr_assert_eq(bus_new(&fixture->loop, fixture->metrics, &fixture->bus), 0);
	strcpy(fixture->directory, "/tmp/bus-test-XXXXXX");
	cr_assert_not_null(mkdtemp(fixture->directory));
	(void)snprintf(fixture->address, sizeof(fixture->address), "ipc://%s/server",
		       fixture->directory);
	(void)snprintf(fixture->feed, sizeof(fixture->feed), "ipc://%s/feed", fixture->directory);
}

/* Turns the loop until `*done` reaches `count`. */
static inline void fixture_wait(struct fixture *fixture, const size_t *done, size_t count)
{
	while (*(const volatile size_t *)done < count) {
		(void)uv_run(&fixture->loop, UV_RUN_ONCE);
	}
}

static inline void fixture_deinit(struct fixture *fixture)
{
	bus_free(fixture->bus);
	uv_close((uv_handle_t *)&fixture->watchdog, NULL);
	(void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&fixture->loop), 0);
	metrics_free(fixture->metrics);
	(void)unlink(fixture->address + sizeof("ipc://") - 1);
	(void)unlink(fixture->feed + sizeof("ipc://") - 1);
	cr_assert_eq(rmdir(fixture->directory), 0);
}
