/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Settings: sources and their order, kinds, limits, and what is refused. */

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "services/config.h"

struct settings {
	const char *place;
	uint64_t count;
	uint64_t wait_ms;
	uint64_t room_bytes;
	bool loud;
};

static const struct config_field fields[] = {
	{"place", CONFIG_TEXT, offsetof(struct settings, place), "here", 1, 8, "DIR", "a place"},
	{"count", CONFIG_NUMBER, offsetof(struct settings, count), "3", 1, 10, NULL, "a count"},
	{"wait-for", CONFIG_MS, offsetof(struct settings, wait_ms), "2s", 10, 60000, "TIME",
	 "a time"},
	{"room", CONFIG_BYTES, offsetof(struct settings, room_bytes), "4k", 1, 1 << 20, "SIZE",
	 "a size"},
	{"loud", CONFIG_BOOL, offsetof(struct settings, loud), "false", 0, 0, NULL, "a switch"},
};

static const struct config_table table = {"test", "a table", fields,
					  sizeof(fields) / sizeof(fields[0])};

#define LOAD(settings, ...) load((settings), (char *[]){"test", __VA_ARGS__ __VA_OPT__(, ) NULL})

static enum config_outcome load(struct settings *settings, char **argv)
{
	int argc = 0;

	while (argv[argc]) {
		argc++;
	}
	return config_load(&table, argc, argv, settings);
}

static void write_file(char path[static 32], const char *text)
{
	int fd;

	strcpy(path, "/tmp/config-test-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(config, defaults)
{
	struct settings settings = {0};

	cr_assert_eq(LOAD(&settings), CONFIG_RUN);
	cr_assert_str_eq(settings.place, "here");
	cr_assert_eq(settings.count, 3);
	cr_assert_eq(settings.wait_ms, 2000);
	cr_assert_eq(settings.room_bytes, 4096);
	cr_assert_not(settings.loud);
}

Test(config, flags_of_every_kind)
{
	struct settings settings = {0};

	cr_assert_eq(LOAD(&settings, "--place", "x", "--count=7", "--wait-for", "250ms", "--room",
			  "1M", "--loud"),
		     CONFIG_RUN);
	cr_assert_str_eq(settings.place, "x");
	cr_assert_eq(settings.count, 7);
	cr_assert_eq(settings.wait_ms, 250);
	cr_assert_eq(settings.room_bytes, 1 << 20);
	cr_assert(settings.loud);
}

Test(config, flag_beats_environment_beats_file_beats_default)
{
	struct settings settings = {0};
	char path[32];

	write_file(path,
		   "count = 4\nwait-for = 4s\nroom = 4\n[test]\nplace = four\n[other]\nanything = "
		   "1\n");
	setenv("DISTRICHAT_WAIT_FOR", "5s", 1);
	setenv("DISTRICHAT_ROOM", "5", 1);
	cr_assert_eq(LOAD(&settings, "--config", path, "--room", "6"), CONFIG_RUN);
	cr_assert_eq(settings.count, 4);
	cr_assert_eq(settings.wait_ms, 5000);
	cr_assert_eq(settings.room_bytes, 6);
	cr_assert_str_eq(settings.place, "four");
	unlink(path);
}

Test(config, wrong_values_are_refused, .init = cr_redirect_stderr)
{
	static char *const wrong[][2] = {
		{"--count", "0"},
		{"--count", "11"},
		{"--count", "-1"},
		{"--count", "1x"},
		{"--count", ""},
		{"--wait-for", "9ms"},
		{"--wait-for", "61s"},
		{"--wait-for", "5"},
		{"--wait-for", "5x"},
		{"--room", "2M"},
		{"--room", "k"},
		{"--place", ""},
		{"--place", "ninebytes"},
		{"--loud=maybe", NULL},
		{"--no-such", "1"},
		{"stray", NULL},
		{"--count", "99999999999999999999"},
		{"--room", "18446744073709551615G"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct settings settings = {0};

		cr_assert_eq(LOAD(&settings, wrong[i][0], wrong[i][1]), CONFIG_WRONG, "%s %s",
			     wrong[i][0], wrong[i][1]);
	}
}

Test(config, wrong_files_are_refused, .init = cr_redirect_stderr)
{
	static const char *const wrong[] = {"count = 99\n", "no-such = 1\n", "not a setting\n"};
	struct settings settings = {0};
	char path[32];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file(path, wrong[i]);
		cr_assert_eq(LOAD(&settings, "--config", path), CONFIG_WRONG, "%s", wrong[i]);
		unlink(path);
	}
	cr_assert_eq(LOAD(&settings, "--config", "/nonexistent"), CONFIG_WRONG);
}

Test(config, a_required_setting_must_be_given, .init = cr_redirect_stderr)
{
	static const struct config_field required = {"place", CONFIG_TEXT, 0,	 NULL,
						     1,	      8,	   NULL, "a place"};
	static const struct config_table one = {"test", "a table", &required, 1};
	struct settings settings = {0};

	cr_assert_eq(config_load(&one, 1, (char *[]){"test", NULL}, &settings), CONFIG_WRONG);
}

Test(config, help_names_every_setting, .init = cr_redirect_stdout)
{
	struct settings settings = {0};
	char help[4096] = {0};
	FILE *out;

	cr_assert_eq(LOAD(&settings, "--help"), CONFIG_DONE);
	fflush(stdout);
	out = cr_get_redirected_stdout();
	cr_assert_gt(fread(help, 1, sizeof(help) - 1, out), 0);
	for (size_t i = 0; i < table.field_count; i++) {
		cr_assert_not_null(strstr(help, fields[i].name));
	}
}

Test(config, describe_and_version, .init = cr_redirect_stdout)
{
	struct settings settings = {0};

	cr_assert_eq(LOAD(&settings, "--describe"), CONFIG_DONE);
	cr_assert_eq(LOAD(&settings, "--version"), CONFIG_DONE);
}
