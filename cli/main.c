/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `districhat SUBCOMMAND …`: for operators and developers. */

#include <stdio.h>
#include <string.h>
#include "cli/command.h"

static const struct command commands[] = {
	{"bench", "put load on a running system, and say what it gives", bench_command},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
	fputs("Usage: districhat SUBCOMMAND [--SETTING VALUE …]\n\n", to);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].summary);
	}
	fputs("\n`districhat SUBCOMMAND --help` tells more. Status: 0 done, 1 failed, 2 wrong "
	      "usage.\n",
	      to);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return COMMAND_WRONG_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return COMMAND_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("districhat %s\n", DISTRICHAT_VERSION);
		return COMMAND_DONE;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			return commands[i].run(argc - 1, argv + 1);
		}
	}
	fprintf(stderr, "districhat: no subcommand \"%s\"; --help lists them\n", argv[1]);
	return COMMAND_WRONG_USAGE;
}
