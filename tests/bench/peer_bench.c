/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The load of `districhat bench` on another system, so that the two can be compared. Rooms are
 * names only; there are no accounts.
 */

#include <stdlib.h>
#include <string.h>
#include "cli/command.h"
#include "cli/load_settings.h"
#include "services/cleanup.h"
#include "tests/bench/dialect_nats.h"

struct peer_settings {
	struct load_settings load; /* first: see load_settings.h */
	const char *address;
	const char *dialect;
};

#define FIELD(member) offsetof(struct peer_settings, member)

static const struct config_field fields[] = {
	{"address", CONFIG_TEXT, FIELD(address), NULL, 3, 256, "HOST:PORT", "of the server"},
	{"dialect", CONFIG_TEXT, FIELD(dialect), "nats", 1, 32, "NAME", "what it speaks: nats"},
};

static const struct load_dialect *const dialects[] = {&dialect_nats};

static const struct load_dialect *find_dialect(const char *name)
{
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
		if (strcmp(dialects[i]->name, name) == 0) {
			return dialects[i];
		}
	}
	fprintf(stderr, "peer_bench: no dialect \"%s\"\n", name);
	return NULL;
}

static int run(const struct peer_settings *settings, struct load_plan *plan)
{
	_cleanup_free_ struct load_result *result = calloc(1, sizeof(*result));
	_cleanup_free_ char(*rooms)[LOAD_ROOM_BYTES_MAX] = calloc(plan->room_count, sizeof(*rooms));
	int r;

	if (!result || !rooms) {
		return COMMAND_FAILED;
	}
	for (uint64_t i = 0; i < plan->room_count; i++) {
		(void)snprintf(rooms[i], sizeof(rooms[i]), "room%06llu", (unsigned long long)i);
	}
	plan->rooms = rooms;
	r = load_run(plan, result);
	load_settings_report(&settings->load, plan, result, stdout);
	if (r != 0) {
		fprintf(stderr, "peer_bench: ended early: %s\n", strerror(-r));
	}
	return r == 0 && load_is_clean(result) ? COMMAND_DONE : COMMAND_FAILED;
}

int main(int argc, char **argv)
{
	struct peer_settings settings;
	struct load_plan plan;

	switch (load_settings_read("peer_bench", "put load on another system", fields,
				   sizeof(fields) / sizeof(fields[0]), argc, argv, &settings)) {
	case CONFIG_DONE:
		return COMMAND_DONE;
	case CONFIG_WRONG:
		return COMMAND_WRONG_USAGE;
	case CONFIG_RUN:
		break;
	}
	if (load_settings_plan(&settings.load, &plan) != 0 ||
	    load_settings_server(settings.address, &plan) != 0) {
		return COMMAND_WRONG_USAGE;
	}
	plan.dialect = find_dialect(settings.dialect);
	return plan.dialect ? run(&settings, &plan) : COMMAND_WRONG_USAGE;
}
