/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Settings (services/config.h) that all programs which make a load have in common, and what they
 * print. A program's own settings struct begins with `struct load_settings`.
 */

#include <stdio.h>
#include "cli/load.h"
#include "services/config.h"

#define LOAD_SETTINGS_MAX 32U

struct load_settings {
	uint64_t rooms;
	uint64_t readers;
	uint64_t senders;
	uint64_t rate;
	uint64_t window;
	uint64_t text_bytes;
	uint64_t warm_up_ms;
	uint64_t measure_ms;
	const char *pids;
	bool json;
};

/* What is there for one program: its own rows, then the common ones. As config_load(). */
enum config_outcome load_settings_read(const char *program, const char *summary,
				       const struct config_field *own, size_t own_count, int argc,
				       char **argv, void *ret_settings);
/* The part of a plan that the settings say. 0, or -EINVAL with a message on standard error. */
int load_settings_plan(const struct load_settings *settings, struct load_plan *ret_plan);
/* "host:port" into a plan, which keeps a pointer to the text. 0, or -EINVAL with a message. */
int load_settings_server(const char *address, struct load_plan *plan);
/* What a run gave, for people or as JSON. */
void load_settings_report(const struct load_settings *settings, const struct load_plan *plan,
			  const struct load_result *result, FILE *to);
