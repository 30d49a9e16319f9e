/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * `districhat bench`: makes accounts and rooms of its own in a running system, puts a load on them
 * over WebSocket, as browsers do, and tells what came of it. Status 1 when a message was lost,
 * doubled, reordered or refused.
 *
 * The accounts and rooms stay, under names that begin with "bench-": there is no way to delete any.
 * A system with default settings lets a connection send 50 messages a second, and an address make
 * 1000 connections; who wants more has to raise `messages-per-second` and `connections-per-address`
 * of its gateways.
 */

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "cli/api.h"
#include "cli/command.h"
#include "cli/dialect_json.h"
#include "cli/load_settings.h"
#include "services/cleanup.h"

#define SCHEME "http://"
#define TAG_BYTES 4U

struct bench_settings {
	struct load_settings load; /* first: see load_settings.h */
	const char *url;
	uint64_t accounts;
};

#define FIELD(member) offsetof(struct bench_settings, member)

static const struct config_field fields[] = {
	{"url", CONFIG_TEXT, FIELD(url), "http://127.0.0.1:8080", 8, 256, "URL",
	 "address of a gateway, without TLS"},
	{"accounts", CONFIG_NUMBER, FIELD(accounts), "4", 1, 10000, "N",
	 "accounts to make; connections share them"},
};

struct bench {
	const struct bench_settings *settings;
	char tag[2 * TAG_BYTES + 1]; /* of this run, in names */
	char (*credentials)[LOAD_CREDENTIAL_BYTES_MAX];
	char (*rooms)[LOAD_ROOM_BYTES_MAX];
};

static void bench_deinit(struct bench *bench)
{
	free(bench->credentials);
	free(bench->rooms);
}

static void cleanup_api(struct api **api)
{
	api_free(*api);
}

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static int make_account(struct bench *bench, struct api *api, uint64_t i)
{
	unsigned char secret[16];
	char password[2 * sizeof(secret) + 1];
	char name[64];
	_cleanup_(cleanup_json) json_t *body = NULL;
	int r;

	randombytes_buf(secret, sizeof(secret));
	(void)sodium_bin2hex(password, sizeof(password), secret, sizeof(secret));
	(void)snprintf(name, sizeof(name), "bench-%s-%llu", bench->tag, (unsigned long long)i);
	body = json_pack("{s:s,s:s}", "name", name, "password", password);
	r = body ? api_ask(api, "POST", "accounts", body, NULL) : -ENOMEM;
	if (r == 0) {
		(void)snprintf(bench->credentials[i], LOAD_CREDENTIAL_BYTES_MAX, "%s",
			       api_cookie(api));
	}
	return r;
}

static int make_room(struct bench *bench, struct api *api, uint64_t i)
{
	_cleanup_(cleanup_json) json_t *body = NULL;
	_cleanup_(cleanup_json) json_t *answer = NULL;
	char label[64];
	const char *room;
	int r;

	(void)snprintf(label, sizeof(label), "bench-%s-%llu", bench->tag, (unsigned long long)i);
	body = json_pack("{s:s,s:s}", "label", label, "access", "public");
	r = body ? api_ask(api, "POST", "rooms", body, &answer) : -ENOMEM;
	if (r != 0) {
		return r;
	}
	room = json_string_value(json_object_get(answer, "room"));
	(void)snprintf(bench->rooms[i], LOAD_ROOM_BYTES_MAX, "%s", room ? room : "");
	return 0;
}

/* The first account makes the rooms and writes to them. */
static int prepare(struct bench *bench)
{
	_cleanup_(cleanup_api) struct api *owner = NULL;
	const struct bench_settings *settings = bench->settings;
	int r = api_new(settings->url, &owner);

	bench->credentials = calloc(settings->accounts, sizeof(*bench->credentials));
	bench->rooms = calloc(settings->load.rooms, sizeof(*bench->rooms));
	if (r != 0 || !bench->credentials || !bench->rooms) {
		return -ENOMEM;
	}
	r = make_account(bench, owner, 0);
	for (uint64_t i = 0; r == 0 && i < settings->load.rooms; i++) {
		r = make_room(bench, owner, i);
	}
	for (uint64_t i = 1; r == 0 && i < settings->accounts; i++) {
		r = make_account(bench, owner, i);
	}
	if (r != 0) {
		fprintf(stderr, "districhat bench: %s\n", api_error(owner));
	}
	return r;
}

static int run(struct bench *bench, struct load_plan *plan)
{
	_cleanup_free_ struct load_result *result = calloc(1, sizeof(*result));
	int r = result ? prepare(bench) : -ENOMEM;

	if (r != 0) {
		return COMMAND_FAILED;
	}
	plan->dialect = &dialect_json;
	plan->credentials = bench->credentials;
	plan->credential_count = bench->settings->accounts;
	plan->rooms = bench->rooms;
	r = load_run(plan, result);
	load_settings_report(&bench->settings->load, plan, result, stdout);
	if (r != 0) {
		fprintf(stderr, "districhat bench: ended early: %s\n", strerror(-r));
	}
	return r == 0 && load_is_clean(result) ? COMMAND_DONE : COMMAND_FAILED;
}

int bench_command(int argc, char **argv)
{
	struct bench_settings settings;
	_cleanup_(bench_deinit) struct bench bench = {.settings = &settings};
	unsigned char tag[TAG_BYTES];
	struct load_plan plan;

	switch (load_settings_read("districhat bench", "put load on a running system", fields,
				   sizeof(fields) / sizeof(fields[0]), argc, argv, &settings)) {
	case CONFIG_DONE:
		return COMMAND_DONE;
	case CONFIG_WRONG:
		return COMMAND_WRONG_USAGE;
	case CONFIG_RUN:
		break;
	}
	if (strncmp(settings.url, SCHEME, sizeof(SCHEME) - 1) != 0) {
		fprintf(stderr, "districhat bench: \"%s\": wanted " SCHEME "HOST:PORT\n",
			settings.url);
		return COMMAND_WRONG_USAGE;
	}
	if (load_settings_plan(&settings.load, &plan) != 0 ||
	    load_settings_server(settings.url + sizeof(SCHEME) - 1, &plan) != 0) {
		return COMMAND_WRONG_USAGE;
	}
	if (sodium_init() < 0) {
		return COMMAND_FAILED;
	}
	randombytes_buf(tag, sizeof(tag));
	(void)sodium_bin2hex(bench.tag, sizeof(bench.tag), tag, sizeof(tag));
	return run(&bench, &plan);
}
