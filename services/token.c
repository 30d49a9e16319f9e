/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Tokens by libjwt 1.10, with what it leaves open closed here: it takes an empty key for "no
 * signature wanted", any algorithm that fits the key, tokens of any length, and checks no claim.
 */

#include "services/token.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include "services/cleanup.h"

#define TOKEN_ISSUER "districhat"
#define TOKEN_AUDIENCE "districhat-bus"

static void bio_cleanup(BIO **bio)
{
	BIO_free(*bio);
}

static void key_cleanup(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void jwt_cleanup(jwt_t **jwt)
{
	jwt_free(*jwt);
}

static int bio_text(BIO *bio, char **ret_text)
{
	char *data = NULL;
	long size = BIO_get_mem_data(bio, &data);
	char *text = size > 0 ? strndup(data, (size_t)size) : NULL;

	if (!text) {
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

static int public_pem(EVP_PKEY *key, char **ret_pem)
{
	_cleanup_(bio_cleanup) BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || PEM_write_bio_PUBKEY(bio, key) != 1) {
		return -ENOMEM;
	}
	return bio_text(bio, ret_pem);
}

int token_key_new(char **ret_private_pem, char **ret_public_pem)
{
	_cleanup_(key_cleanup) EVP_PKEY *key = EVP_EC_gen("P-256");
	_cleanup_(bio_cleanup) BIO *bio = BIO_new(BIO_s_mem());
	_cleanup_free_ char *private = NULL;
	int r;

	if (!key || !bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
		return -ENOMEM;
	}
	r = bio_text(bio, &private);
	if (r == 0) {
		r = public_pem(key, ret_public_pem);
	}
	if (r == 0) {
		*ret_private_pem = private;
		private = NULL;
	}
	return r;
}

int token_key_public(const char *private_pem, char **ret_public_pem)
{
	_cleanup_(bio_cleanup) BIO *bio = BIO_new_mem_buf(private_pem, -1);
	_cleanup_(key_cleanup) EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
						   : NULL;

	return key ? public_pem(key, ret_public_pem) : -EINVAL;
}

static int add_claims(jwt_t *jwt, const struct token_claims *claims)
{
	char session[PROTO_ID_TEXT_BYTES];
	char user[PROTO_ID_TEXT_BYTES];
	const char *role = proto_account_role_name(claims->role);
	int r;

	proto_id_format(&claims->session, session);
	proto_id_format(&claims->user, user);
	r = jwt_add_grant(jwt, "iss", TOKEN_ISSUER);
	r = r ? r : jwt_add_grant(jwt, "aud", TOKEN_AUDIENCE);
	r = r ? r : jwt_add_grant(jwt, "sid", session);
	r = r ? r : jwt_add_grant(jwt, "sub", user);
	r = r ? r : jwt_add_grant(jwt, "name", claims->name);
	r = r ? r : jwt_add_grant(jwt, "role", role ? role : "");
	r = r ? r : jwt_add_grant_int(jwt, "iat", (long)(claims->issued_ms / 1000));
	r = r ? r : jwt_add_grant_int(jwt, "nbf", (long)(claims->issued_ms / 1000));
	r = r ? r : jwt_add_grant_int(jwt, "exp", (long)(claims->expires_ms / 1000));
	return r;
}

int token_sign(const char *private_pem, const struct token_claims *claims, char **ret_token)
{
	_cleanup_(jwt_cleanup) jwt_t *jwt = NULL;
	char *token;

	if (jwt_new(&jwt) != 0) {
		return -ENOMEM;
	}
	if (add_claims(jwt, claims) != 0 ||
	    jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)private_pem,
			(int)strlen(private_pem)) != 0) {
		return -EINVAL;
	}
	token = jwt_encode_str(jwt);
	if (!token) {
		return -EINVAL;
	}
	*ret_token = token;
	return 0;
}

static bool grant_is(jwt_t *jwt, const char *grant, const char *wanted)
{
	const char *value = jwt_get_grant(jwt, grant);

	return value && strcmp(value, wanted) == 0;
}

static bool grant_id(jwt_t *jwt, const char *grant, struct proto_id *ret_id)
{
	return proto_id_parse(proto_span(jwt_get_grant(jwt, grant)), ret_id);
}

/* Reads whole seconds as milliseconds. Absent, negative and absurd times are 0. */
static uint64_t grant_ms(jwt_t *jwt, const char *grant)
{
	long seconds = jwt_get_grant_int(jwt, grant);

	return seconds > 0 && (uint64_t)seconds < PROTO_NUMBER_MAX / 1000 ? (uint64_t)seconds * 1000
									  : 0;
}

static enum proto_account_role grant_role(jwt_t *jwt)
{
	static const enum proto_account_role roles[] = {PROTO_ACCOUNT_ROLE_PERSON,
							PROTO_ACCOUNT_ROLE_BOT,
							PROTO_ACCOUNT_ROLE_ADMINISTRATOR};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (grant_is(jwt, "role", proto_account_role_name(roles[i]))) {
			return roles[i];
		}
	}
	return PROTO_account_role_absent;
}

static bool read_claims(jwt_t *jwt, struct token_claims *ret_claims)
{
	const char *name = jwt_get_grant(jwt, "name");

	if (!name || name[0] == '\0' || strlen(name) > PROTO_NAME_BYTES_MAX) {
		return false;
	}
	strcpy(ret_claims->name, name);
	ret_claims->role = grant_role(jwt);
	ret_claims->issued_ms = grant_ms(jwt, "nbf");
	ret_claims->expires_ms = grant_ms(jwt, "exp");
	return ret_claims->role != PROTO_account_role_absent &&
	       grant_is(jwt, "iss", TOKEN_ISSUER) && grant_is(jwt, "aud", TOKEN_AUDIENCE) &&
	       grant_id(jwt, "sid", &ret_claims->session) &&
	       grant_id(jwt, "sub", &ret_claims->user);
}

int token_verify(const char *public_pem_text, struct proto_span token, uint64_t now_ms,
		 struct token_claims *ret_claims)
{
	_cleanup_(jwt_cleanup) jwt_t *jwt = NULL;
	_cleanup_free_ char *text = NULL;
	struct token_claims claims = {0};
	size_t key_size = strlen(public_pem_text);

	if (key_size == 0 || token.size == 0 || token.size > PROTO_TOKEN_BYTES_MAX ||
	    memchr(token.data, '\0', token.size)) {
		return PROTO_E_BAD_TOKEN;
	}
	text = strndup(token.data, token.size);
	if (!text) {
		return -ENOMEM;
	}
	if (jwt_decode(&jwt, text, (const unsigned char *)public_pem_text, (int)key_size) != 0 ||
	    jwt_get_alg(jwt) != JWT_ALG_ES256 || !read_claims(jwt, &claims)) {
		return PROTO_E_BAD_TOKEN;
	}
	if (claims.issued_ms == 0 || now_ms + TOKEN_SKEW_MS < claims.issued_ms ||
	    now_ms >= claims.expires_ms) {
		return PROTO_E_BAD_TOKEN;
	}
	*ret_claims = claims;
	return 0;
}
