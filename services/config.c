/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Settings: every source gives texts, the strongest one wins, and only the winner is converted.
 * Flags are read by getopt_long, the file by inih.
 */

#include "services/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "services/cleanup.h"

#define CONFIG_FIELDS_MAX 64
#define CONFIG_PREFIX "DISTRICHAT_"

enum {
	FLAG_HELP = 1000,
	FLAG_VERSION,
	FLAG_DESCRIBE,
	FLAG_CONFIG,
};

/* A setting on its way: its text, and where that came from. */
struct source {
	const char *text;
	const char *origin;
};

struct loader {
	const struct config_table *table;
	struct source sources[CONFIG_FIELDS_MAX];
	const char *file;
	bool failed;
};

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit units_ms[] = {{"ms", 1},      {"s", 1000},	{"m", 60000},
				       {"h", 3600000}, {"d", 86400000}, {0}};
static const struct unit units_bytes[] = {
	{"", 1}, {"k", 1024}, {"M", 1 << 20}, {"G", 1 << 30}, {0}};
static const struct unit units_none[] = {{"", 1}, {0}};

static const struct unit *units_of(enum config_kind kind)
{
	switch (kind) {
	case CONFIG_MS:
		return units_ms;
	case CONFIG_BYTES:
		return units_bytes;
	default:
		return units_none;
	}
}

static void fail(struct loader *loader, const char *name, const struct source *source,
		 const char *wanted)
{
	loader->failed = true;
	fprintf(stderr, "%s: setting %s: ", loader->table->program, name);
	if (source) {
		fprintf(stderr, "\"%s\" (from %s): ", source->text, source->origin);
	}
	fprintf(stderr, "%s\n", wanted);
}

/* --- names --- */

static void environment_name(const char *name, char ret_name[static 128])
{
	size_t length = strlen(CONFIG_PREFIX);

	memcpy(ret_name, CONFIG_PREFIX, length);
	for (; *name != '\0' && length < 127; name++) {
		ret_name[length++] = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
	}
	ret_name[length] = '\0';
}

static size_t field_index(const struct config_table *table, const char *name)
{
	size_t i = 0;

	while (i < table->field_count && strcmp(table->fields[i].name, name) != 0) {
		i++;
	}
	return i;
}

/* --- values --- */

static bool parse_number(enum config_kind kind, const char *text, uint64_t *ret_number)
{
	const struct unit *unit = units_of(kind);
	char *end = NULL;
	unsigned long long number;

	if (!isdigit((unsigned char)text[0])) {
		return false;
	}
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0) {
		return false;
	}
	while (unit->suffix && strcmp(unit->suffix, end) != 0) {
		unit++;
	}
	if (!unit->suffix && kind == CONFIG_MS && number == 0 && *end == '\0') {
		unit = units_none;
	}
	if (!unit->suffix || number > UINT64_MAX / unit->factor) {
		return false;
	}
	*ret_number = number * unit->factor;
	return true;
}

static bool parse_bool(const char *text, bool *ret_value)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
		return false;
	}
	*ret_value = text[0] == 't';
	return true;
}

static void set_number(struct loader *loader, const struct config_field *field,
		       const struct source *source, uint64_t *ret_value)
{
	static const char *const wanted[] = {
		[CONFIG_NUMBER] = "a whole number",
		[CONFIG_MS] = "a time such as 250ms, 5s, 2m, 24h",
		[CONFIG_BYTES] = "a size such as 512, 64k, 2M, 1G",
	};
	uint64_t number = 0;
	char text[160];

	if (parse_number(field->kind, source->text, &number) && number >= field->min &&
	    number <= field->max) {
		*ret_value = number;
		return;
	}
	(void)snprintf(text, sizeof(text), "wanted %s from %" PRIu64 " to %" PRIu64 "%s",
		       wanted[field->kind], field->min, field->max,
		       field->kind == CONFIG_MS ? " ms" : "");
	fail(loader, field->name, source, text);
}

static void set_text(struct loader *loader, const struct config_field *field,
		     const struct source *source, const char **ret_value)
{
	size_t size = strlen(source->text);
	char text[96];

	if (size >= field->min && size <= field->max) {
		*ret_value = source->text;
		return;
	}
	(void)snprintf(text, sizeof(text), "wanted %" PRIu64 " to %" PRIu64 " bytes", field->min,
		       field->max);
	fail(loader, field->name, source, text);
}

static void set_field(struct loader *loader, const struct config_field *field,
		      const struct source *source, void *settings)
{
	void *place = (char *)settings + field->offset;

	if (!source->text) {
		fail(loader, field->name, NULL, "is required");
		return;
	}
	switch (field->kind) {
	case CONFIG_TEXT:
		set_text(loader, field, source, place);
		break;
	case CONFIG_NUMBER:
	case CONFIG_MS:
	case CONFIG_BYTES:
		set_number(loader, field, source, place);
		break;
	case CONFIG_BOOL:
		if (!parse_bool(source->text, place)) {
			fail(loader, field->name, source, "wanted true or false");
		}
		break;
	}
}

/* --- sources, from the weakest to the strongest --- */

static void read_defaults(struct loader *loader)
{
	for (size_t i = 0; i < loader->table->field_count; i++) {
		loader->sources[i] = (struct source){loader->table->fields[i].fallback, "default"};
	}
}

/* Texts from files live as long as the process. */
struct kept_text {
	struct kept_text *next;
	char text[];
};

static struct kept_text *kept_texts;

static const char *keep_text(const char *text)
{
	struct kept_text *kept = malloc(sizeof(*kept) + strlen(text) + 1);

	if (!kept) {
		return NULL;
	}
	strcpy(kept->text, text);
	kept->next = kept_texts;
	kept_texts = kept;
	return kept->text;
}

/* inih's callback: 1 to go on, 0 for an error. */
static int read_key(void *context, const char *section, const char *name, const char *value)
{
	struct loader *loader = context;
	size_t i = field_index(loader->table, name);
	const char *copy;

	if (section[0] != '\0' && strcmp(section, loader->table->program) != 0) {
		return 1; /* one file may serve several daemons */
	}
	if (i == loader->table->field_count) {
		fail(loader, name, &(struct source){value ? value : "", loader->file},
		     "there is no such setting");
		return 1;
	}
	copy = keep_text(value ? value : "true");
	if (!copy) {
		return 0;
	}
	loader->sources[i] = (struct source){copy, loader->file};
	return 1;
}

static void read_file(struct loader *loader)
{
	int r;

	if (!loader->file) {
		return;
	}
	r = ini_parse(loader->file, read_key, loader);
	if (r != 0) {
		loader->failed = true;
		if (r < 0) {
			fprintf(stderr, "%s: %s: cannot be read: %s\n", loader->table->program,
				loader->file, strerror(errno));
		} else {
			fprintf(stderr, "%s: %s: line %d is not `name = value`\n",
				loader->table->program, loader->file, r);
		}
	}
}

static void read_environment(struct loader *loader)
{
	char name[128];
	const char *text;

	for (size_t i = 0; i < loader->table->field_count; i++) {
		environment_name(loader->table->fields[i].name, name);
		text = getenv(name);
		if (text) {
			loader->sources[i] = (struct source){text, "the environment"};
		}
	}
}

/* --- what answers instead of running --- */

static void print_help(const struct config_table *table)
{
	char left[96];

	printf("%s: %s\n\nUsage: %s [--SETTING VALUE …]\n\nSettings:\n", table->program,
	       table->summary, table->program);
	for (size_t i = 0; i < table->field_count; i++) {
		const struct config_field *field = &table->fields[i];

		(void)snprintf(left, sizeof(left), "--%s %s", field->name,
			       field->kind == CONFIG_BOOL ? ""
			       : field->placeholder	  ? field->placeholder
							  : "N");
		printf("  %-28s %s", left, field->text);
		if (!field->fallback) {
			printf(" (required)");
		} else if (field->fallback[0] != '\0') {
			printf(" (default: %s)", field->fallback);
		}
		printf("\n");
	}
	printf("  %-28s %s\n  %-28s %s\n  %-28s %s\n  %-28s %s\n", "--config FILE",
	       "read settings from lines `name = value`", "--describe",
	       "print the settings as Markdown", "--version", "print the version", "--help",
	       "print this");
	printf("\nA setting may also come from the environment: --log-level is " CONFIG_PREFIX
	       "LOG_LEVEL.\n"
	       "A flag beats the environment, that beats the file, that beats the default.\n");
}

static void print_range(const struct config_field *field)
{
	switch (field->kind) {
	case CONFIG_TEXT:
		printf("text, %" PRIu64 " to %" PRIu64 " bytes", field->min, field->max);
		break;
	case CONFIG_NUMBER:
		printf("%" PRIu64 " to %" PRIu64, field->min, field->max);
		break;
	case CONFIG_MS:
		printf("time, %" PRIu64 " to %" PRIu64 " ms", field->min, field->max);
		break;
	case CONFIG_BYTES:
		printf("size, %" PRIu64 " to %" PRIu64 " bytes", field->min, field->max);
		break;
	case CONFIG_BOOL:
		printf("true or false");
		break;
	}
}

static void print_description(const struct config_table *table)
{
	char name[128];

	printf("## %s\n\n%s.\n\n"
	       "| flag and key | environment | value | default | meaning |\n"
	       "|---|---|---|---|---|\n",
	       table->program, table->summary);
	for (size_t i = 0; i < table->field_count; i++) {
		const struct config_field *field = &table->fields[i];

		environment_name(field->name, name);
		printf("| `%s` | `%s` | ", field->name, name);
		print_range(field);
		printf(" | %s%s%s | %s |\n",
		       field->fallback && field->fallback[0] != '\0' ? "`" : "",
		       field->fallback ? field->fallback : "required",
		       field->fallback && field->fallback[0] != '\0' ? "`" : "", field->text);
	}
	printf("\n");
}

/* --- flags --- */

static void fill_options(const struct config_table *table,
			 struct option options[static CONFIG_FIELDS_MAX + 5])
{
	size_t n = table->field_count;

	for (size_t i = 0; i < n; i++) {
		options[i] = (struct option){
			.name = table->fields[i].name,
			.has_arg = table->fields[i].kind == CONFIG_BOOL ? optional_argument
									: required_argument,
			.val = (int)i,
		};
	}
	options[n++] = (struct option){"help", no_argument, NULL, FLAG_HELP};
	options[n++] = (struct option){"version", no_argument, NULL, FLAG_VERSION};
	options[n++] = (struct option){"describe", no_argument, NULL, FLAG_DESCRIBE};
	options[n++] = (struct option){"config", required_argument, NULL, FLAG_CONFIG};
	options[n] = (struct option){0};
}

/* Flags are the strongest source, but name the file: their texts wait in `flags`. */
static enum config_outcome read_flags(struct loader *loader, int argc, char **argv,
				      struct source *flags)
{
	struct option options[CONFIG_FIELDS_MAX + 5];
	int flag;

	fill_options(loader->table, options);
	optind = 0; /* start over: tests call this more than once */
	while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (flag) {
		case FLAG_HELP:
			print_help(loader->table);
			return CONFIG_DONE;
		case FLAG_VERSION:
			printf("%s %s\n", loader->table->program, DISTRICHAT_VERSION);
			return CONFIG_DONE;
		case FLAG_DESCRIBE:
			print_description(loader->table);
			return CONFIG_DONE;
		case FLAG_CONFIG:
			loader->file = optarg;
			break;
		case '?':
			fprintf(stderr, "%s: --help lists the settings\n", loader->table->program);
			return CONFIG_WRONG;
		default:
			flags[flag] = (struct source){optarg ? optarg : "true", "a flag"};
			break;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"%s: \"%s\": settings are written --name VALUE; --help lists them\n",
			loader->table->program, argv[optind]);
		return CONFIG_WRONG;
	}
	return CONFIG_RUN;
}

enum config_outcome config_load(const struct config_table *table, int argc, char **argv,
				void *ret_settings)
{
	struct loader loader = {.table = table, .file = getenv(CONFIG_PREFIX "CONFIG")};
	struct source flags[CONFIG_FIELDS_MAX] = {0};
	enum config_outcome outcome;

	assert(table->field_count <= CONFIG_FIELDS_MAX);
	outcome = read_flags(&loader, argc, argv, flags);
	if (outcome != CONFIG_RUN) {
		return outcome;
	}
	read_defaults(&loader);
	read_file(&loader);
	read_environment(&loader);
	for (size_t i = 0; i < table->field_count; i++) {
		if (flags[i].text) {
			loader.sources[i] = flags[i];
		}
		set_field(&loader, &table->fields[i], &loader.sources[i], ret_settings);
	}
	return loader.failed ? CONFIG_WRONG : CONFIG_RUN;
}
