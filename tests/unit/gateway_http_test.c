/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the gateway decides about requests: routes, origins, cookies, assets, and sessions in
 * messages.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include "gateway/asset.h"
#include "gateway/cookie.h"
#include "gateway/envelope.h"
#include "gateway/listener.h"
#include "gateway/origin.h"
#include "gateway/route.h"

#define ROOM "00112233445566778899aabbccddeeff"

/* --- routes --- */

Test(route, matches_method_and_path)
{
	static const struct {
		const char *method;
		const char *path;
		enum proto_type type; /* 0: none */
		const char *allow;
	} rows[] = {
		{"POST", "/api/v1/accounts", PROTO_ACCOUNT_CREATE, ""},
		{"GET", "/api/v1/rooms/mine", PROTO_ROOMS_MINE, ""},
		{"GET", "/api/v1/rooms/" ROOM, PROTO_ROOM_OPEN, ""},
		{"HEAD", "/api/v1/rooms/" ROOM, PROTO_ROOM_OPEN, ""},
		{"GET", "/api/v1/rooms/" ROOM "/messages", PROTO_ROOM_HISTORY, ""},
		{"PATCH", "/api/v1/rooms/" ROOM "/messages/7", PROTO_ROOM_EDIT, ""},
		{"DELETE", "/api/v1/rooms/" ROOM "/messages/7/reactions/x", PROTO_ROOM_REACT, ""},
		{"PUT", "/api/v1/session", 0, "POST, GET, HEAD, DELETE"},
		{"GET", "/api/v1/rooms/" ROOM "/messages/7", 0, "PATCH, DELETE"},
		{"GET", "/api/v1/rooms/", 0, ""},
		{"GET", "/api/v1/rooms//messages", 0, ""},
		{"GET", "/api/v1/rooms/mine/", 0, ""},
		{"GET", "/api/v1", 0, ""},
		{"GET", "/api/v2/session", 0, ""},
		{"GET", "/api/v1/roomsx", 0, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route_match match;

		route_match(rows[i].method, proto_span(rows[i].path), &match);
		cr_assert_eq(match.route ? match.route->type : 0, rows[i].type, "%s", rows[i].path);
		cr_assert_str_eq(match.allow, rows[i].allow, "%s", rows[i].path);
	}
}

Test(route, gives_parameters)
{
	struct route_match match;

	route_match("PUT",
		    proto_span("/api/v1/rooms/" ROOM "/messages/12/reactions/\xf0\x9f\x91\x8d"),
		    &match);
	cr_assert_not_null(match.route);
	cr_assert_eq(match.parameter_count, 3);
	cr_assert(proto_span_equal(match.parameters[0].name, PROTO_SPAN("room")));
	cr_assert(proto_span_equal(match.parameters[0].value, PROTO_SPAN(ROOM)));
	cr_assert(proto_span_equal(match.parameters[1].name, PROTO_SPAN("target")));
	cr_assert(proto_span_equal(match.parameters[1].value, PROTO_SPAN("12")));
	cr_assert(proto_span_equal(match.parameters[2].value, PROTO_SPAN("\xf0\x9f\x91\x8d")));
}

/* Every name in the table is a field of its message, so that no route can fail for that. */
Test(route, names_fields_of_its_messages)
{
	const struct route *route;
	size_t count = 0;

	for (; (route = route_at(count)) != NULL; count++) {
		const struct proto_type_info *info = proto_type_info(route->type);
		const char *at = route->path;

		cr_assert_not_null(info, "%s", route->path);
		cr_assert(info->caller == PROTO_CALLER_USER || info->type == PROTO_PING, "%s",
			  route->path);
		for (at = strchr(at, '{'); at; at = strchr(at + 1, '{')) {
			struct proto_span name = {at + 1, strcspn(at + 1, "}")};

			cr_assert_not_null(proto_record_field(info->record, name), "%s", at);
		}
		for (at = route->query; *at != 0; at += strspn(at, " ")) {
			struct proto_span name = {at, strcspn(at, " ")};

			cr_assert_not_null(proto_record_field(info->record, name), "%s", at);
			cr_assert(route_takes_query(route, name));
			at += name.size;
		}
		cr_assert_not(route_takes_query(route, PROTO_SPAN("session")));
	}
	cr_assert_gt(count, 20);
}

Test(route, sets_fields_by_their_kind)
{
	static const struct {
		const char *name;
		const char *value;
		int result;
	} rows[] = {
		{"limit", "20", 0},
		{"limit", "", PROTO_E_BAD_VALUE},
		{"limit", "-1", PROTO_E_BAD_VALUE},
		{"limit", "1x", PROTO_E_BAD_VALUE},
		{"limit", "99999999999999999", PROTO_E_BAD_VALUE},
		{"room", ROOM, 0},
		{"room", "\xff", PROTO_E_BAD_VALUE},
		{"nothing", "1", PROTO_E_NOT_FOUND},
	};
	const struct proto_type_info *info = proto_type_info(PROTO_ROOM_HISTORY);
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(route_set_field(info, proto_span(rows[i].name),
					     proto_span(rows[i].value), object),
			     rows[i].result, "row %zu", i);
	}
	cr_assert_eq(json_integer_value(json_object_get(object, "limit")), 20);
	json_decref(object);
}

/* --- origins --- */

Test(origin, compares_exactly)
{
	static const struct {
		const char *urls;
		const char *host;
		const char *origin;
		bool allowed;
	} rows[] = {
		{"", "127.0.0.1", "http://127.0.0.1:8080", true},
		{"", "127.0.0.1", "http://localhost:8080", true},
		{"", "0.0.0.0", "http://localhost:8080", true},
		{"", "::1", "http://[::1]:8080", true},
		{"", "10.0.0.1", "http://localhost:8080", false},
		{"", "127.0.0.1", "https://localhost:8080", false},
		{"", "127.0.0.1", "http://localhost", false},
		{"", "127.0.0.1", "null", false},
		{"", "127.0.0.1", "", false},
		{"https://chat.example.org", "127.0.0.1", "https://chat.example.org", true},
		{"https://Chat.example.org:443/x", "127.0.0.1", "https://chat.example.org", true},
		{"https://a.org, http://b.org:81", "127.0.0.1", "http://b.org:81", true},
		{"https://chat.example.org", "127.0.0.1", "https://chat.example.org.evil.org",
		 false},
		{"https://chat.example.org", "127.0.0.1", "http://localhost:8080", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct origins origins;

		cr_assert_eq(origins_parse(&origins, rows[i].urls, rows[i].host, 8080), 0,
			     "row %zu", i);
		cr_assert_eq(origins_allow(&origins, proto_span(rows[i].origin)), rows[i].allowed,
			     "row %zu", i);
	}
}

Test(origin, refuses_what_is_no_url)
{
	struct origins origins;

	cr_assert_eq(origins_parse(&origins, "chat.example.org", "h", 1), -EINVAL);
	cr_assert_eq(origins_parse(&origins, "https://", "h", 1), -EINVAL);
	cr_assert_eq(origins_parse(&origins, "ftp://x", "h", 1), -EINVAL);
}

/* --- cookies --- */

Test(cookie, comes_back_as_it_went)
{
	uint8_t secret[PROTO_SECRET_BYTES];
	uint8_t again[PROTO_SECRET_BYTES];
	char text[COOKIE_BYTES_MAX];
	char header[COOKIE_BYTES_MAX + 32];

	for (size_t i = 0; i < sizeof(secret); i++) {
		secret[i] = (uint8_t)(i * 37);
	}
	cookie_format(secret, 60, text);
	cr_assert_not_null(strstr(text, "; Secure; HttpOnly; SameSite=Lax; Max-Age=60"));
	*strchr(text, ';') = 0;
	(void)snprintf(header, sizeof(header), "a=b; x=__Host-session=no;  %s; c=d", text);
	cr_assert(cookie_parse(proto_span(header), again));
	cr_assert_arr_eq(secret, again, sizeof(secret));
	cookie_format(secret, 0, text);
	cr_assert_null(strstr(text, "Max-Age"));
}

Test(cookie, refuses_what_is_no_secret)
{
	static const char *const headers[] = {
		"",
		"__Host-session",
		"__Host-session=",
		"__Host-session=AAAA",
		"__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+",
		"__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"x__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	};
	uint8_t secret[PROTO_SECRET_BYTES];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		cr_assert_not(cookie_parse(proto_span(headers[i]), secret), "%s", headers[i]);
	}
}

/* --- assets --- */

Test(asset, knows_the_pages_of_the_application)
{
	static const struct {
		const char *path;
		bool page;
	} rows[] = {
		{"/", true},	     {"/login/", true},		{"/login", true},
		{"/chat/", true},    {"/chat/abc", true},	{"/register/", true},
		{"/chat", true},     {"/users/profile/", true}, {"/nodes/dashboard/", true},
		{"/login/x", false}, {"/chats", false},		{"/users/", false},
		{"", false},	     {"/index.html", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(asset_is_page(proto_span(rows[i].path)), rows[i].page, "%s",
			     rows[i].path);
	}
}

Test(asset, negotiates_the_coding)
{
	static char data[] = "x";
	struct asset asset = {.bodies = {[ASSET_PLAIN] = {.data = data},
					 [ASSET_GZIP] = {.data = data},
					 [ASSET_BROTLI] = {.data = data}}};
	static const struct {
		const char *accept;
		enum asset_coding with_brotli;
		enum asset_coding without;
	} rows[] = {
		{"", ASSET_PLAIN, ASSET_PLAIN},
		{"gzip, deflate, br", ASSET_BROTLI, ASSET_GZIP},
		{"gzip", ASSET_GZIP, ASSET_GZIP},
		{"br;q=0, gzip;q=0.5", ASSET_GZIP, ASSET_GZIP},
		{"gzip;q=0.000", ASSET_PLAIN, ASSET_PLAIN},
		{"BR", ASSET_BROTLI, ASSET_PLAIN},
		{"brotli, xgzip", ASSET_PLAIN, ASSET_PLAIN},
		{"identity", ASSET_PLAIN, ASSET_PLAIN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		asset.bodies[ASSET_BROTLI].data = data;
		cr_assert_eq(asset_negotiate(&asset, proto_span(rows[i].accept)),
			     rows[i].with_brotli, "row %zu", i);
		asset.bodies[ASSET_BROTLI].data = NULL;
		cr_assert_eq(asset_negotiate(&asset, proto_span(rows[i].accept)), rows[i].without,
			     "row %zu", i);
	}
}

Test(asset, matches_etags_and_types)
{
	const struct asset_body body = {.etag = "\"abc\""};

	cr_assert(asset_matches(&body, PROTO_SPAN("\"abc\"")));
	cr_assert(asset_matches(&body, PROTO_SPAN("\"x\", W/\"abc\"")));
	cr_assert(asset_matches(&body, PROTO_SPAN("*")));
	cr_assert_not(asset_matches(&body, PROTO_SPAN("\"abcd\"")));
	cr_assert_not(asset_matches(&body, PROTO_SPAN("")));
	cr_assert_str_eq(asset_type(PROTO_SPAN("/a.css")), "text/css; charset=utf-8");
	cr_assert_str_eq(asset_type(PROTO_SPAN("/a.b")), "application/octet-stream");
}

/* --- sessions in messages --- */

static const struct proto_id session = {{7}};

Test(envelope, puts_the_session_in)
{
	static const char *const texts[] = {
		"{\"t\":\"room_join\",\"i\":3,\"room\":\"" ROOM "\"}",
		" \n{\"t\":\"room_join\",\"i\":3,\"session\":\"" ROOM "\",\"room\":\"" ROOM "\"}",
	};

	for (size_t i = 0; i < 2; i++) {
		struct envelope envelope;
		struct proto_fault fault;

		cr_assert_eq(envelope_open(ENVELOPE_JSON, texts[i], strlen(texts[i]), &session,
					   &envelope, &fault),
			     0);
		cr_assert_eq(envelope.message.header.request, 3);
		cr_assert(proto_id_equal(&PROTO_BODY(&envelope.message, room_join)->session,
					 &session));
		envelope_deinit(&envelope);
	}
}

Test(envelope, puts_the_session_into_msgpack)
{
	struct proto_room_join join = {.session = {{9}}, .room = {{1}}};
	const struct proto_header header = {.type = PROTO_ROOM_JOIN, .request = 4};
	struct proto_buffer out = PROTO_BUFFER_INIT;
	static const char without[] = "\x82\xa1t\x42\xa4room\xc4\x10"
				      "0123456789abcdef";
	struct envelope envelope;
	struct envelope copy;

	cr_assert_eq(proto_encode(&out, &header, &join), 0);
	cr_assert_eq(envelope_open(ENVELOPE_MSGPACK, out.data, out.size, &session, &envelope, NULL),
		     0);
	proto_buffer_deinit(&out);
	cr_assert(proto_id_equal(&PROTO_BODY(&envelope.message, room_join)->session, &session));
	cr_assert_eq(envelope_copy(&envelope.message, &copy), 0);
	envelope_deinit(&envelope);
	cr_assert(proto_id_equal(&PROTO_BODY(&copy.message, room_join)->room, &join.room));
	envelope_deinit(&copy);
	cr_assert_eq(envelope_open(ENVELOPE_MSGPACK, without, sizeof(without) - 1, &session,
				   &envelope, NULL),
		     0);
	cr_assert(proto_id_equal(&PROTO_BODY(&envelope.message, room_join)->session, &session));
	envelope_deinit(&envelope);
}

Test(envelope, says_what_is_wrong)
{
	static const struct {
		enum envelope_form form;
		const char *data;
		size_t size;
		int error;
	} rows[] = {
		{ENVELOPE_JSON, "", 0, PROTO_E_MALFORMED},
		{ENVELOPE_JSON, "[]", 2, PROTO_E_MALFORMED},
		{ENVELOPE_JSON, "{}", 2, PROTO_E_MISSING_FIELD},
		{ENVELOPE_JSON, "{", 1, PROTO_E_MALFORMED},
		{ENVELOPE_JSON, "{\"t\":\"nope\"}", 12, PROTO_E_UNKNOWN_TYPE},
		{ENVELOPE_JSON, "{\"t\":\"room_join\"}", 17, PROTO_E_MISSING_FIELD},
		{ENVELOPE_MSGPACK, "", 0, PROTO_E_MALFORMED},
		{ENVELOPE_MSGPACK, "\x80", 1, PROTO_E_MISSING_FIELD},
		{ENVELOPE_MSGPACK, "\xde\xff\xff", 3, PROTO_E_MALFORMED},
		{ENVELOPE_MSGPACK, "\x81", 1, PROTO_E_MALFORMED},
		{ENVELOPE_MSGPACK, "\xdf\xff\xff\xff\xff", 5, PROTO_E_MALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct envelope envelope;
		struct proto_fault fault;

		cr_assert_eq(envelope_open(rows[i].form, rows[i].data, rows[i].size, &session,
					   &envelope, &fault),
			     rows[i].error, "row %zu", i);
		envelope_deinit(&envelope);
	}
}

/* --- addresses --- */

Test(listener, splits_addresses)
{
	static const struct {
		const char *address;
		int result;
		const char *host;
		unsigned int port;
	} rows[] = {
		{"127.0.0.1:80", 0, "127.0.0.1", 80},
		{"[::1]:8080", 0, "::1", 8080},
		{"localhost:0", 0, "localhost", 0},
		{"localhost", -EINVAL, NULL, 0},
		{":80", -EINVAL, NULL, 0},
		{"a:", -EINVAL, NULL, 0},
		{"a:80x", -EINVAL, NULL, 0},
		{"a:65536", -EINVAL, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char host[LISTENER_HOST_BYTES_MAX];
		unsigned int port;

		cr_assert_eq(listener_parse_address(rows[i].address, host, &port), rows[i].result,
			     "row %zu", i);
		if (rows[i].result == 0) {
			cr_assert_str_eq(host, rows[i].host);
			cr_assert_eq(port, rows[i].port);
		}
	}
}
