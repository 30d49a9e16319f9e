/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See route.h; docs/openapi.json describes the same table, and a test compares them. */

#include "gateway/route.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static const struct route routes[] = {
	{"POST", "/accounts", PROTO_ACCOUNT_CREATE, 201, ROUTE_SIGN_IN, "", NULL,
	 "register, and sign in"},
	{"GET", "/accounts", PROTO_ACCOUNTS_FIND, 200, ROUTE_RELAY, "prefix limit", NULL,
	 "find people"},
	{"POST", "/session", PROTO_SESSION_CREATE, 200, ROUTE_SIGN_IN, "", NULL, "sign in"},
	{"GET", "/session", PROTO_PING, 200, ROUTE_WHO_AM_I, "", NULL, "who is signed in"},
	{"DELETE", "/session", PROTO_SESSION_END, 204, ROUTE_SIGN_OUT, "", NULL, "sign out"},
	{"GET", "/rooms", PROTO_ROOMS_FIND, 200, ROUTE_RELAY, "prefix after limit", NULL,
	 "find public rooms"},
	{"POST", "/rooms", PROTO_ROOM_RESERVE, 201, ROUTE_ROOM_MAKE, "", NULL, "make a room"},
	{"GET", "/rooms/mine", PROTO_ROOMS_MINE, 200, ROUTE_ROOMS_MINE, "after", NULL,
	 "rooms of the caller"},
	{"GET", "/rooms/{room}", PROTO_ROOM_OPEN, 200, ROUTE_RELAY, "", NULL,
	 "a room as it stands"},
	{"PATCH", "/rooms/{room}", PROTO_ROOM_SET, 200, ROUTE_RELAY, "", NULL, "change a room"},
	{"POST", "/rooms/{room}/join", PROTO_ROOM_JOIN, 200, ROUTE_RELAY, "", NULL,
	 "join a public room"},
	{"POST", "/rooms/{room}/leave", PROTO_ROOM_LEAVE, 204, ROUTE_RELAY, "", NULL,
	 "leave a room"},
	{"GET", "/rooms/{room}/messages", PROTO_ROOM_HISTORY, 200, ROUTE_RELAY,
	 "before after limit", NULL, "a page of messages"},
	{"POST", "/rooms/{room}/messages", PROTO_ROOM_SEND, 201, ROUTE_RELAY, "", NULL,
	 "write a message"},
	{"PATCH", "/rooms/{room}/messages/{target}", PROTO_ROOM_EDIT, 200, ROUTE_RELAY, "", NULL,
	 "edit a message"},
	{"DELETE", "/rooms/{room}/messages/{target}", PROTO_ROOM_REDACT, 200, ROUTE_RELAY, "", NULL,
	 "remove a message"},
	{"PUT", "/rooms/{room}/messages/{target}/reactions/{emoji}", PROTO_ROOM_REACT, 200,
	 ROUTE_RELAY, "", NULL, "add a reaction"},
	{"DELETE", "/rooms/{room}/messages/{target}/reactions/{emoji}", PROTO_ROOM_REACT, 200,
	 ROUTE_RELAY, "", "remove", "take a reaction back"},
	{"GET", "/rooms/{room}/events", PROTO_ROOM_EVENTS, 200, ROUTE_RELAY, "after limit", NULL,
	 "events after a seq"},
	{"GET", "/rooms/{room}/members", PROTO_ROOM_MEMBERS, 200, ROUTE_RELAY, "after limit", NULL,
	 "members"},
	{"PUT", "/rooms/{room}/members/{user}", PROTO_ROOM_MEMBER_SET, 200, ROUTE_RELAY, "", NULL,
	 "invite, remove, ban, or change the role of a person"},
	{"PUT", "/rooms/{room}/read", PROTO_ROOM_READ, 204, ROUTE_RELAY, "", NULL,
	 "set the read mark"},
	{"GET", "/nodes", PROTO_NODES_LIST, 200, ROUTE_RELAY, "", NULL,
	 "all nodes; for administrators"},
	{"POST", "/nodes/{node}/drain", PROTO_NODE_DRAIN, 204, ROUTE_RELAY, "", NULL,
	 "take a node out of service, or use it again; for administrators"},
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

const struct route *route_at(size_t index)
{
	return index < ROUTE_COUNT ? &routes[index] : NULL;
}

/* Matches one pattern, segment by segment. A parameter is never empty and never holds a slash. */
static bool match_path(const char *pattern, struct proto_span path, struct route_match *match)
{
	const char *at = path.data;
	const char *end = path.data + path.size;

	match->parameter_count = 0;
	while (*pattern != 0) {
		size_t named = strcspn(pattern + 1, "}");
		const char *stop;

		if (*pattern != '{') {
			if (at == end || *at++ != *pattern++) {
				return false;
			}
			continue;
		}
		stop = memchr(at, '/', (size_t)(end - at));
		stop = stop ? stop : end;
		if (stop == at || match->parameter_count == ROUTE_PARAMETERS_MAX) {
			return false;
		}
		match->parameters[match->parameter_count++] = (struct route_parameter){
			{pattern + 1, named},
			{at, (size_t)(stop - at)},
		};
		at = stop;
		pattern += named + 2;
	}
	return at == end;
}

static void allow(struct route_match *match, const char *method)
{
	size_t used = strlen(match->allow);

	(void)snprintf(match->allow + used, sizeof(match->allow) - used, "%s%s%s", used ? ", " : "",
		       method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

/* Fixed segments beat parameters because they stand first in the table (/rooms/mine). */
void route_match(const char *method, struct proto_span path, struct route_match *ret_match)
{
	static const struct proto_span prefix = {ROUTE_PREFIX, sizeof(ROUTE_PREFIX) - 1};
	struct route_match match;

	*ret_match = (struct route_match){0};
	if (path.size < prefix.size || memcmp(path.data, prefix.data, prefix.size) != 0) {
		return;
	}
	path = (struct proto_span){path.data + prefix.size, path.size - prefix.size};
	method = strcmp(method, "HEAD") == 0 ? "GET" : method;
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (!match_path(routes[i].path, path, &match)) {
			continue;
		}
		if (strcmp(routes[i].method, method) == 0) {
			match.route = &routes[i];
			match.allow[0] = 0;
			*ret_match = match;
			return;
		}
		allow(ret_match, routes[i].method);
	}
}

bool route_takes_query(const struct route *route, struct proto_span name)
{
	const char *at = route->query;

	while (*at != 0) {
		size_t size = strcspn(at, " ");

		if (proto_span_equal((struct proto_span){at, size}, name)) {
			return true;
		}
		at += size + (at[size] == ' ');
	}
	return false;
}

void route_print(FILE *out)
{
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		(void)fprintf(out, "%s\t%s%s\t%s\t%u\t%s\n", routes[i].method, ROUTE_PREFIX,
			      routes[i].path, proto_type_info(routes[i].type)->record->name,
			      routes[i].status, routes[i].query);
	}
}

static json_t *number_value(struct proto_span text)
{
	json_int_t number = 0;

	if (text.size == 0 || text.size > 16) {
		return NULL;
	}
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9') {
			return NULL;
		}
		number = 10 * number + (text.data[i] - '0');
	}
	return json_integer(number);
}

static json_t *bool_value(struct proto_span text)
{
	if (proto_span_equal(text, PROTO_SPAN("true")) || proto_span_equal(text, PROTO_SPAN("1"))) {
		return json_true();
	}
	if (proto_span_equal(text, PROTO_SPAN("false")) ||
	    proto_span_equal(text, PROTO_SPAN("0"))) {
		return json_false();
	}
	return NULL;
}

int route_set_field(const struct proto_type_info *info, struct proto_span name,
		    struct proto_span value, json_t *object)
{
	const struct proto_field *field = proto_record_field(info->record, name);
	json_t *json;

	if (!field) {
		return PROTO_E_NOT_FOUND;
	}
	switch (field->kind) {
	case PROTO_KIND_U64:
		json = number_value(value);
		break;
	case PROTO_KIND_BOOL:
		json = bool_value(value);
		break;
	default:
		json = json_stringn(value.data, value.size); /* refuses what is not UTF-8 */
		break;
	}
	if (!json) {
		return PROTO_E_BAD_VALUE;
	}
	return json_object_set_new(object, field->name, json) == 0 ? 0 : -ENOMEM;
}
