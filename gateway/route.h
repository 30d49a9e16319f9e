/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The HTTP interface, as one table: method and path to the message that it stands for. Names in
 * braces and the parameters of the query are fields of that message, and so are the keys of a JSON
 * body.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "proto/proto.h"

struct json_t;

enum route_flow {
	ROUTE_RELAY, /* the message goes to the service that answers it; its answer is the body */
	ROUTE_SIGN_IN, /* the answer is a session: it becomes a cookie */
	ROUTE_WHO_AM_I, /* the session itself */
	ROUTE_SIGN_OUT, /* ends the session, and clears the cookie */
	ROUTE_ROOM_MAKE, /* room_reserve at the registry, then room_create at the owner */
	ROUTE_ROOMS_MINE, /* rooms_mine, filled up by asking the owners */
};

struct route {
	const char *method;
	const char *path; /* below ROUTE_PREFIX */
	enum proto_type type;
	unsigned int status; /* on success */
	enum route_flow flow;
	const char *query; /* names of parameters, separated by blanks */
	const char *set; /* a boolean field that this route sets; NULL: none */
	const char *text; /* what it does */
};

#define ROUTE_PREFIX "/api/v1"
#define ROUTE_PARAMETERS_MAX 4

struct route_parameter {
	struct proto_span name;
	struct proto_span value;
};

struct route_match {
	const struct route *route; /* NULL: no route */
	struct route_parameter parameters[ROUTE_PARAMETERS_MAX];
	size_t parameter_count;
	char allow[64]; /* methods of the path, when the method is wrong; else empty */
};

/* `path` with ROUTE_PREFIX, percent-decoded. HEAD matches GET. */
void route_match(const char *method, struct proto_span path, struct route_match *ret_match);
bool route_takes_query(const struct route *route, struct proto_span name);
/* By index; NULL past the end. */
const struct route *route_at(size_t index);
/*
 * One line a route, tab separated: method, path, message, status, query. For tests of
 * docs/openapi.json.
 */
void route_print(FILE *out);

/*
 * Set the field `name` of the message in `object` from text, by the kind that the table gives it.
 * Returns 0, PROTO_E_BAD_VALUE, PROTO_E_NOT_FOUND for an unknown name, or -ENOMEM.
 */
int route_set_field(const struct proto_type_info *info, struct proto_span name,
		    struct proto_span value, struct json_t *object);
