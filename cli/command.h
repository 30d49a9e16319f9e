/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One subcommand of `districhat`; main.c holds the table. */

struct command {
	const char *name;
	const char *summary; /* one line of `districhat --help` */
	/* argv[0] is the subcommand's name. Answers --help itself. Returns the exit status. */
	int (*run)(int argc, char **argv);
};

enum command_status {
	COMMAND_DONE = 0,
	COMMAND_FAILED = 1,
	COMMAND_WRONG_USAGE = 2,
};

int bench_command(int argc, char **argv);
