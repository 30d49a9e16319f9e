/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Settings of a daemon, declared once in a table.
 *
 * A row gives the flag `--write-quorum 3`, the environment variable DISTRICHAT_WRITE_QUORUM, the
 * key `write-quorum = 3` of the file named by `--config` (INI without sections, read by inih), a
 * line of `--help`, and a row of docs/configuration.md. A flag beats the environment, that beats
 * the file, that beats the default. An unknown key, a value of the wrong kind or past its limits
 * ends the start with a message that names the setting, the value and what is allowed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_kind {
	CONFIG_TEXT, /* const char *; min and max: bytes */
	CONFIG_NUMBER, /* uint64_t; min and max: value */
	CONFIG_MS, /* uint64_t; written as 250ms, 5s, 2m, 24h */
	CONFIG_BYTES, /* uint64_t; written as 512, 64k, 2M, 1G */
	CONFIG_BOOL, /* bool; true, false; a bare flag is true */
};

struct config_field {
	const char *name;
	enum config_kind kind;
	size_t offset; /* in the daemon's settings struct */
	const char *fallback; /* as text; NULL: the setting is required */
	uint64_t min;
	uint64_t max;
	const char *placeholder; /* DIR, ENDPOINT… for --help; may be NULL */
	const char *text;
};

struct config_table {
	const char *program; /* "roomd" */
	const char *summary; /* one line */
	const struct config_field *fields;
	size_t field_count;
};

enum config_outcome {
	CONFIG_RUN,
	CONFIG_DONE, /* --help, --version or --describe was answered on standard output */
	CONFIG_WRONG, /* a message was written to standard error */
};

/*
 * Fill `ret_settings` (the daemon's struct, as large as the offsets need). Texts belong to the
 * process and are never freed. `--describe` prints the table as Markdown, for
 * docs/configuration.md.
 */
enum config_outcome config_load(const struct config_table *table, int argc, char **argv,
				void *ret_settings);
