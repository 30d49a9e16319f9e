/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Tokens: what is accepted, and every way in which one can be wrong. */

#include <criterion/criterion.h>
#include <jwt.h>
#include <stdlib.h>
#include <string.h>
#include "services/token.h"

#define NOW_MS 1800000000000ULL

static const char sound_claims[] =
	"{\"iss\":\"districhat\",\"aud\":\"districhat-bus\",\"name\":\"anna\","
	"\"sid\":\"01000000000000000000000000000000\","
	"\"sub\":\"02000000000000000000000000000000\","
	"\"role\":\"person\",\"nbf\":1800000000,\"exp\":1900000000}";

static char *private_pem;
static char *public_pem;

static void make_keys(void)
{
	cr_assert_eq(token_key_new(&private_pem, &public_pem), 0);
}

static void free_keys(void)
{
	free(private_pem);
	free(public_pem);
}

TestSuite(token, .init = make_keys, .fini = free_keys);

static struct token_claims sound(void)
{
	struct token_claims claims = {
		.session.bytes = {1},
		.user.bytes = {2},
		.name = "anna",
		.role = PROTO_ACCOUNT_ROLE_PERSON,
		.issued_ms = NOW_MS,
		.expires_ms = NOW_MS + 600000,
	};

	return claims;
}

static int verify(const char *token, uint64_t now_ms)
{
	struct token_claims claims;

	return token_verify(public_pem, proto_span(token), now_ms, &claims);
}

Test(token, round_trip)
{
	struct token_claims claims = sound();
	struct token_claims read = {0};
	char *token = NULL;

	cr_assert_eq(token_sign(private_pem, &claims, &token), 0);
	cr_assert_eq(token_verify(public_pem, proto_span(token), NOW_MS + 1000, &read), 0);
	cr_assert(proto_id_equal(&read.session, &claims.session));
	cr_assert(proto_id_equal(&read.user, &claims.user));
	cr_assert_str_eq(read.name, "anna");
	cr_assert_eq(read.role, PROTO_ACCOUNT_ROLE_PERSON);
	cr_assert_eq(read.expires_ms, claims.expires_ms);
	free(token);
}

Test(token, public_half)
{
	char *again = NULL;

	cr_assert_eq(token_key_public(private_pem, &again), 0);
	cr_assert_str_eq(again, public_pem);
	cr_assert_lt(strlen(again), PROTO_PEM_BYTES_MAX);
	free(again);
	cr_assert_lt(token_key_public("nonsense", &again), 0);
}

Test(token, times)
{
	struct token_claims claims = sound();
	char *token = NULL;

	cr_assert_eq(token_sign(private_pem, &claims, &token), 0);
	cr_assert_eq(verify(token, NOW_MS - TOKEN_SKEW_MS), 0);
	cr_assert_eq(verify(token, NOW_MS - TOKEN_SKEW_MS - 1), PROTO_E_BAD_TOKEN);
	cr_assert_eq(verify(token, claims.expires_ms - 1), 0);
	cr_assert_eq(verify(token, claims.expires_ms), PROTO_E_BAD_TOKEN);
	free(token);
}

Test(token, another_key)
{
	struct token_claims claims = sound();
	char *other_private = NULL;
	char *other_public = NULL;
	char *token = NULL;

	cr_assert_eq(token_key_new(&other_private, &other_public), 0);
	cr_assert_eq(token_sign(other_private, &claims, &token), 0);
	cr_assert_eq(verify(token, NOW_MS), PROTO_E_BAD_TOKEN);
	free(token);
	free(other_private);
	free(other_public);
}

Test(token, damaged_and_strange)
{
	static char huge[PROTO_TOKEN_BYTES_MAX + 2];
	struct token_claims claims = sound();
	char *token = NULL;

	cr_assert_eq(token_sign(private_pem, &claims, &token), 0);
	for (size_t i = 0; i + 3 < strlen(token); i += 7) {
		char kept = token[i];

		token[i] = kept == 'A' ? 'B' : 'A';
		cr_assert_eq(verify(token, NOW_MS), PROTO_E_BAD_TOKEN, "byte %zu", i);
		token[i] = kept;
	}
	memset(huge, 'a', sizeof(huge) - 1);
	cr_assert_eq(verify(huge, NOW_MS), PROTO_E_BAD_TOKEN);
	cr_assert_eq(verify("", NOW_MS), PROTO_E_BAD_TOKEN);
	cr_assert_eq(verify("..", NOW_MS), PROTO_E_BAD_TOKEN);
	cr_assert_eq(token_verify("", proto_span(token), NOW_MS, &claims), PROTO_E_BAD_TOKEN);
	free(token);
}

/*
 * The public key is public: a token "signed" with it as an HMAC secret, or not at all, is worth
 * nothing.
 */
Test(token, other_algorithms)
{
	static const struct {
		jwt_alg_t algorithm;
		bool keyed;
	} rows[] = {{JWT_ALG_NONE, false}, {JWT_ALG_HS256, true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned char *key = rows[i].keyed ? (const unsigned char *)public_pem : NULL;
		jwt_t *jwt = NULL;
		char *token;

		cr_assert_eq(jwt_new(&jwt), 0);
		cr_assert_eq(jwt_add_grants_json(jwt, sound_claims), 0);
		cr_assert_eq(jwt_set_alg(jwt, rows[i].algorithm, key,
					 rows[i].keyed ? (int)strlen(public_pem) : 0),
			     0);
		token = jwt_encode_str(jwt);
		cr_assert_not_null(token);
		cr_assert_eq(verify(token, NOW_MS), PROTO_E_BAD_TOKEN);
		free(token);
		jwt_free(jwt);
	}
}

/* Rightly signed, but a claim is missing or is another's. */
Test(token, claims)
{
	static const struct {
		const char *claim;
		const char *wrong;
	} rows[] = {
		{"iss", "{\"iss\":\"other\"}"},	 {"aud", "{\"aud\":\"other\"}"},
		{"sid", "{\"sid\":\"12\"}"},	 {"sub", "{\"sub\":\"xyz\"}"},
		{"role", "{\"role\":\"king\"}"}, {"name", "{\"name\":\"\"}"},
		{"exp", "{\"exp\":-1}"},	 {"nbf", "{\"nbf\":0}"},
		{"exp", "{\"exp\":\"never\"}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		jwt_t *jwt = NULL;
		char *token;

		cr_assert_eq(jwt_new(&jwt), 0);
		cr_assert_eq(jwt_add_grants_json(jwt, sound_claims), 0);
		cr_assert_eq(jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)private_pem,
					 (int)strlen(private_pem)),
			     0);
		token = jwt_encode_str(jwt);
		cr_assert_eq(verify(token, NOW_MS), 0);
		free(token);
		cr_assert_eq(jwt_del_grants(jwt, rows[i].claim), 0);
		cr_assert_eq(jwt_add_grants_json(jwt, rows[i].wrong), 0);
		token = jwt_encode_str(jwt);
		cr_assert_eq(verify(token, NOW_MS), PROTO_E_BAD_TOKEN, "%s", rows[i].wrong);
		free(token);
		jwt_free(jwt);
	}
}
