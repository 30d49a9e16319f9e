/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Session tokens: JWT (RFC 7519), ES256 alone, made by the registry and shown to roomds.
 *
 * Claims: iss "districhat", aud "districhat-bus", typ header "JWT", sub (user, hex),
 * sid (session, hex), name, role, iat, nbf, exp. libjwt 1.10 checks little by itself: length,
 * algorithm, and every claim are checked here.
 */

#include "proto/proto.h"

#define TOKEN_SKEW_MS 30000 /* how far ahead the registry's clock may be */

struct token_claims {
	struct proto_id session;
	struct proto_id user;
	char name[PROTO_NAME_BYTES_MAX + 1];
	enum proto_account_role role;
	uint64_t issued_ms; /* since 1970; whole seconds on the wire */
	uint64_t expires_ms;
};

/* A new P-256 key pair as PEM texts, malloc'ed. */
int token_key_new(char **ret_private_pem, char **ret_public_pem);
/* The public half of a private key; malloc'ed. */
int token_key_public(const char *private_pem, char **ret_public_pem);
/* Returns 0 with a malloc'ed text, or -errno. */
int token_sign(const char *private_pem, const struct token_claims *claims, char **ret_token);
/* Returns 0, PROTO_E_BAD_TOKEN (wrong signature, algorithm, claims, or time), or -ENOMEM. */
int token_verify(const char *public_pem, struct proto_span token, uint64_t now_ms,
		 struct token_claims *ret_claims);
