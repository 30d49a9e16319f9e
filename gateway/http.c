/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See http.h. A request of the interface becomes a message: keys of the body, names in the path and
 * parameters of the query are its fields, in this order of increasing weight. Then it goes the way
 * of the messages from WebSockets (errand.h).
 */

#include "gateway/http.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>
#include "gateway/ask.h"
#include "gateway/cookie.h"
#include "gateway/errand.h"
#include "gateway/mine.h"
#include "gateway/response.h"
#include "gateway/session.h"
#include "services/cleanup.h"
#include "services/clock.h"

/* --- the browser application --- */

static const char not_found_page[] =
	"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not found</title>"
	"<h1>Not found</h1><p><a href=\"/\">DistriChat</a></p></html>\n";

static void serve_asset(struct exchange *exchange, const struct asset *asset, unsigned int status)
{
	enum asset_coding coding = asset_negotiate(asset, proto_span(exchange->accept_encoding));
	const struct asset_body *body = &asset->bodies[coding];
	struct response response = {
		.status = status,
		.type = asset->type,
		.body = body->data,
		.size = body->size,
		.cache = asset->immutable ? "public, max-age=31536000, immutable" : "no-cache",
		.etag = body->etag,
		.encoding = asset_coding_name(coding),
		.vary = asset->bodies[ASSET_GZIP].data || asset->bodies[ASSET_BROTLI].data,
	};

	if (status == 200 && asset_matches(body, proto_span(exchange->if_none_match))) {
		response = (struct response){.status = 304,
					     .cache = response.cache,
					     .etag = response.etag,
					     .vary = response.vary};
	}
	respond(exchange, &response);
}

static void serve_page(struct exchange *exchange, struct proto_span path)
{
	const struct assets *assets = exchange->gateway->assets;
	const struct asset *asset = assets_find(assets, path);

	if (asset) {
		serve_asset(exchange, asset, 200);
		return;
	}
	asset = assets_find(assets, PROTO_SPAN("/404.html"));
	if (asset) {
		serve_asset(exchange, asset, 404);
		return;
	}
	respond(exchange, &(struct response){.status = 404,
					     .type = "text/html; charset=utf-8",
					     .body = not_found_page,
					     .size = sizeof(not_found_page) - 1});
}

static void refuse_method(struct exchange *exchange, const char *allow)
{
	static const char body[] = "{\"code\":\"not_here\",\"detail\":\"wrong method\"}";

	respond(exchange, &(struct response){.status = 405,
					     .type = "application/json",
					     .body = body,
					     .size = sizeof(body) - 1,
					     .allow = allow});
}

static void serve_file(struct exchange *exchange, struct proto_span path)
{
	if (strcmp(exchange->method, "GET") != 0 && strcmp(exchange->method, "HEAD") != 0) {
		refuse_method(exchange, "GET, HEAD");
	} else if (proto_span_equal(path, PROTO_SPAN("/healthz"))) {
		respond(exchange, &(struct response){.status = 200,
						     .type = "text/plain; charset=utf-8",
						     .body = "ok\n",
						     .size = 3});
	} else {
		serve_page(exchange, path);
	}
}

/* --- answers of the interface --- */

static void relay_error(struct exchange *exchange, int result, const struct proto_message *answer)
{
	respond_error(exchange, result, NULL, answer ? PROTO_BODY(answer, error) : NULL);
}

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct exchange *exchange = context;

	exchange->errand = NULL;
	if (result != 0) {
		relay_error(exchange, result, answer);
		return;
	}
	respond_record(exchange, exchange->match.route->status, answer->info->record, answer->body,
		       NULL);
}

static void respond_session(struct exchange *exchange, const struct session *session,
			    const char *cookie)
{
	char user[PROTO_ID_TEXT_BYTES];
	json_t *object;
	char *text;

	proto_id_format(&session->user, user);
	object = json_pack("{s:s, s:s, s:s, s:I}", "user", user, "name", session->name, "role",
			   proto_account_role_name(session->role), "expires",
			   (json_int_t)session->expires_ms);
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!text) {
		respond_error(exchange, -ENOMEM, NULL, NULL);
		return;
	}
	respond(exchange, &(struct response){.status = exchange->match.route->status,
					     .type = "application/json",
					     .owned_body = text,
					     .size = strlen(text),
					     .cookie = cookie});
}

static void on_signed_in(void *context, int result, const struct proto_message *answer)
{
	struct exchange *exchange = context;
	char cookie[COOKIE_BYTES_MAX];
	uint64_t now_ms = clock_wall_ms();
	struct session *session = NULL;

	exchange->errand = NULL;
	if (result == 0 && PROTO_BODY(answer, session_granted)->secret.size == PROTO_SECRET_BYTES) {
		session = session_admit(exchange->gateway, PROTO_BODY(answer, session_granted),
					NULL);
	}
	if (!session) {
		exchange->has_secret = false; /* a wrong password ends no other session */
		relay_error(exchange, result ? result : PROTO_E_INTERNAL, result ? answer : NULL);
		return;
	}
	cookie_format(session->secret,
		      exchange->remember && session->expires_ms > now_ms
			      ? (session->expires_ms - now_ms) / 1000
			      : 0,
		      cookie);
	respond_session(exchange, session, cookie);
	sodium_memzero(cookie, sizeof(cookie));
}

static void respond_signed_out(struct exchange *exchange)
{
	respond(exchange, &(struct response){.status = 204, .cookie = COOKIE_CLEAR});
}

static void on_signed_out(void *context, int result, const struct proto_message *answer)
{
	struct exchange *exchange = context;

	exchange->errand = NULL;
	if (result != 0 && proto_error_info(ask_code(result))->status != 401) {
		relay_error(exchange, result, answer);
		return;
	}
	session_revoke(exchange->gateway, &exchange->session->id);
	respond_signed_out(exchange);
}

static void send_errand(struct exchange *exchange, const struct errand_order *order,
			errand_done_fn done)
{
	int r = errand_send(exchange->gateway, order, done, exchange, &exchange->errand);

	if (r != 0) {
		respond_error(exchange, r, NULL, NULL);
	}
}

static void on_reserved(void *context, int result, const struct proto_message *answer)
{
	struct exchange *exchange = context;
	struct errand_order order = {.session = exchange->session};
	struct proto_room_create create = {.session = exchange->session->id};
	struct proto_room_open open = {.session = exchange->session->id};

	exchange->errand = NULL;
	if (result != 0) {
		relay_error(exchange, result, answer);
		return;
	}
	create.room = PROTO_BODY(answer, room_reserved)->room;
	open.room = create.room;
	if (PROTO_BODY(answer, room_reserved)->exists) {
		order.type = PROTO_ROOM_OPEN;
		order.body = &open;
	} else {
		order.type = PROTO_ROOM_CREATE;
		order.body = &create;
	}
	send_errand(exchange, &order, on_answer);
}

static void on_mine(void *context, int result, const struct proto_rooms *rooms)
{
	struct exchange *exchange = context;

	exchange->mine = NULL;
	if (result != 0) {
		respond_error(exchange, result, NULL, NULL);
		return;
	}
	respond_record(exchange, exchange->match.route->status,
		       proto_type_info(PROTO_ROOMS)->record, rooms, NULL);
}

/* --- requests of the interface --- */

static void put_new(json_t *object, const char *name, json_t *value)
{
	(void)json_object_set_new(object, name, value);
}

static void put_id(json_t *object, const char *name, const struct proto_id *id)
{
	char text[PROTO_ID_TEXT_BYTES];

	proto_id_format(id, text);
	put_new(object, name, json_string(text));
}

/*
 * What only the gateway knows: where a request comes from, and a cmid where the client made none.
 */
static void add_own_fields(struct exchange *exchange, const struct proto_type_info *info)
{
	json_t *object = exchange->object;
	struct proto_id client;

	if (envelope_has_field(info, "agent", PROTO_KIND_TEXT)) {
		put_new(object, "agent",
			json_string(proto_span_is_utf8(proto_span(exchange->agent))
					    ? exchange->agent
					    : ""));
		put_new(object, "address", json_string(exchange->address));
	}
	if (envelope_has_field(info, "number", PROTO_KIND_U64) &&
	    !json_object_get(object, "client") && !json_object_get(object, "number")) {
		randombytes_buf(&client, sizeof(client));
		put_id(object, "client", &client);
		put_new(object, "number", json_integer(1));
	}
	if (exchange->session) {
		put_id(object, "session", &exchange->session->id);
	}
}

/* Returns false after having answered. */
static bool make_message(struct exchange *exchange, struct envelope *envelope)
{
	const struct route *route = exchange->match.route;
	const struct proto_type_info *info = proto_type_info(route->type);
	struct proto_fault fault = {0};
	int r;

	add_own_fields(exchange, info);
	if (route->set) {
		put_new(exchange->object, route->set, json_true());
	}
	r = proto_decode_json_body(info, exchange->object, &envelope->message, &fault);
	if (r != 0) {
		respond_error(exchange, r, r > 0 ? fault.detail : NULL, NULL);
	}
	return r == 0;
}

static void list_mine(struct exchange *exchange, const struct proto_rooms_mine *body)
{
	int r = mine_ask(exchange->gateway, exchange->session, &body->after, on_mine, exchange,
			 &exchange->mine);

	if (r != 0) {
		respond_error(exchange, r, NULL, NULL);
	}
}

static void run(struct exchange *exchange)
{
	_cleanup_(envelope_cleanup) struct envelope envelope = ENVELOPE_INIT;
	struct errand_order order = {.envelope = &envelope, .session = exchange->session};

	if (exchange->match.route->flow == ROUTE_WHO_AM_I) {
		respond_session(exchange, exchange->session, NULL);
		return;
	}
	if (!make_message(exchange, &envelope)) {
		return;
	}
	switch (exchange->match.route->flow) {
	case ROUTE_SIGN_IN:
		exchange->remember = json_is_true(json_object_get(exchange->object, "remember"));
		send_errand(exchange, &order, on_signed_in);
		break;
	case ROUTE_SIGN_OUT:
		send_errand(exchange, &order, on_signed_out);
		break;
	case ROUTE_ROOM_MAKE:
		send_errand(exchange, &order, on_reserved);
		break;
	case ROUTE_ROOMS_MINE:
		list_mine(exchange, envelope.message.body);
		break;
	default:
		send_errand(exchange, &order, on_answer);
		break;
	}
}

static void on_session(void *context, int result, struct session *session)
{
	struct exchange *exchange = context;
	bool gone = result != 0 && proto_error_info(ask_code(result))->status == 401;

	exchange->lookup = NULL;
	if (gone && exchange->match.route->flow == ROUTE_SIGN_OUT) {
		respond_signed_out(exchange);
	} else if (result != 0) {
		respond_error(exchange, gone ? PROTO_E_UNAUTHENTICATED : result, NULL, NULL);
	} else {
		exchange->session = session_ref(session);
		run(exchange);
	}
}

static void authenticate(struct exchange *exchange)
{
	if (exchange->match.route->flow == ROUTE_SIGN_IN) {
		run(exchange);
	} else if (!exchange->has_secret) {
		on_session(exchange, PROTO_E_UNAUTHENTICATED, NULL);
	} else if (session_find(exchange->gateway, exchange->secret, on_session, exchange,
				&exchange->lookup) != 0) {
		respond_error(exchange, -ENOMEM, NULL, NULL);
	}
}

static bool read_body(struct exchange *exchange)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;

	if (exchange->body_size == 0) {
		exchange->object = json_object();
	} else {
		exchange->object = json_loadb(exchange->body, exchange->body_size, flags, NULL);
	}
	if (!json_is_object(exchange->object)) {
		respond_error(exchange, PROTO_E_MALFORMED, "the body is not a JSON object", NULL);
		return false;
	}
	return true;
}

static bool set_field(struct exchange *exchange, struct proto_span name, struct proto_span value)
{
	const struct proto_type_info *info = proto_type_info(exchange->match.route->type);
	int r = route_set_field(info, name, value, exchange->object);

	if (r != 0) {
		char detail[HTTP_HEADER_BYTES_MAX];

		(void)snprintf(detail, sizeof(detail), "%.*s: not of the right form",
			       (int)name.size, name.data);
		respond_error(exchange, r, detail, NULL);
	}
	return r == 0;
}

static bool read_parameters(struct exchange *exchange)
{
	const struct route_match *match = &exchange->match;

	for (size_t i = 0; i < match->parameter_count; i++) {
		if (!set_field(exchange, match->parameters[i].name, match->parameters[i].value)) {
			return false;
		}
	}
	for (size_t i = 0; i < exchange->query_count; i++) {
		struct proto_span name = proto_span(exchange->query[i].name);

		if (!route_takes_query(match->route, name)) {
			respond_error(exchange, PROTO_E_BAD_VALUE, "unknown parameter in the query",
				      NULL);
			return false;
		}
		if (!set_field(exchange, name, proto_span(exchange->query[i].value))) {
			return false;
		}
	}
	return true;
}

void http_end(struct exchange *exchange)
{
	if (!exchange->ready && exchange->match.route && read_body(exchange) &&
	    read_parameters(exchange)) {
		authenticate(exchange);
	}
}

/* --- beginning --- */

static bool is_json(const char *content_type)
{
	static const char json[] = "application/json";
	char after = strlen(content_type) >= sizeof(json) - 1 ? content_type[sizeof(json) - 1] : 0;

	return strncasecmp(content_type, json, sizeof(json) - 1) == 0 &&
	       (after == 0 || after == ';' || after == ' ');
}

/* Another site must not be able to make a browser change something here. */
static bool may_change(struct exchange *exchange, size_t body_bytes)
{
	bool is_delete = strcmp(exchange->method, "DELETE") == 0;

	if (strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0) {
		return true;
	}
	if (exchange->has_origin &&
	    !origins_allow(&exchange->gateway->origins, proto_span(exchange->origin))) {
		http_reject(exchange, 403, PROTO_E_FORBIDDEN,
			    "this origin may not use the interface");
		return false;
	}
	if ((!is_delete || body_bytes > 0) && !is_json(exchange->content_type)) {
		http_reject(exchange, 415, PROTO_E_MALFORMED,
			    "Content-Type must be application/json");
		return false;
	}
	return true;
}

static bool begin_route(struct exchange *exchange, struct proto_span path, size_t body_bytes)
{
	route_match(exchange->method, path, &exchange->match);
	if (!exchange->match.route) {
		exchange->close = body_bytes > 0;
		if (exchange->match.allow[0] != 0) {
			refuse_method(exchange, exchange->match.allow);
		} else {
			respond_error(exchange, PROTO_E_NOT_FOUND, "no such address", NULL);
		}
		return false;
	}
	if (!may_change(exchange, body_bytes)) {
		return false;
	}
	if (body_bytes > exchange->gateway->settings->body_bytes) {
		http_reject(exchange, 413, PROTO_E_LIMIT, "the body is too large");
		return false;
	}
	return true;
}

bool http_begin(struct exchange *exchange, size_t body_bytes)
{
	struct proto_span path = {exchange->path, exchange->path_size};

	if (path.size >= 5 && memcmp(path.data, "/api/", 5) == 0) {
		return begin_route(exchange, path, body_bytes);
	}
	exchange->close = body_bytes > 0;
	serve_file(exchange, path);
	return false;
}

void http_body(struct exchange *exchange, const void *data, size_t size)
{
	char *body;

	if (exchange->ready) {
		return;
	}
	if (exchange->body_size + size > exchange->gateway->settings->body_bytes) {
		http_reject(exchange, 413, PROTO_E_LIMIT, "the body is too large");
		return;
	}
	body = realloc(exchange->body, exchange->body_size + size + 1);
	if (!body) {
		http_reject(exchange, 503, PROTO_E_BUSY, NULL);
		return;
	}
	memcpy(body + exchange->body_size, data, size);
	exchange->body = body;
	exchange->body_size += size;
}

void http_reject(struct exchange *exchange, unsigned int status, enum proto_code error,
		 const char *detail)
{
	char text[HTTP_HEADER_BYTES_MAX];

	(void)snprintf(text, sizeof(text), "{\"code\":\"%s\",\"detail\":\"%s\"}",
		       proto_error_info(error)->code,
		       detail ? detail : proto_error_info(error)->text);

	exchange->close = true;
	respond(exchange, &(struct response){.status = status,
					     .type = "application/json",
					     .owned_body = strdup(text),
					     .size = strlen(text)});
}

void exchange_free(struct exchange *exchange)
{
	if (!exchange) {
		return;
	}
	session_find_cancel(exchange->lookup);
	errand_abandon(exchange->errand);
	mine_cancel(exchange->mine);
	session_unref(exchange->session);
	json_decref(exchange->object);
	if (exchange->body) {
		sodium_memzero(exchange->body, exchange->body_size); /* may hold a password */
	}
	free(exchange->body);
	free(exchange->head);
	free(exchange->out_owned);
	sodium_memzero(exchange->secret, sizeof(exchange->secret));
	free(exchange);
}
