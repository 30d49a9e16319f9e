/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The file holds the secret half alone, as one line: the public half follows from it. CURVE keys
 * are Curve25519 keys (RFC 7748), so libsodium makes them as libzmq would.
 */

#include "services/key.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include "services/log.h"
#include "services/secret_file.h"

#define FILE_BYTES_MAX 256

_Static_assert(PROTO_KEY_BYTES == crypto_box_PUBLICKEYBYTES, "a public key");
_Static_assert(PROTO_KEY_BYTES == crypto_box_SECRETKEYBYTES, "a secret key");
_Static_assert(sodium_base64_ENCODED_LEN(PROTO_KEY_BYTES,
					 sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
		       KEY_TEXT_BYTES,
	       "a key as text");

struct key_pair {
	struct key public;
	struct key *secret; /* sodium_malloc'ed */
};

/* --- text --- */

void key_format(const struct key *key, char ret_text[static KEY_TEXT_BYTES])
{
	(void)sodium_bin2base64(ret_text, KEY_TEXT_BYTES, key->bytes, sizeof(key->bytes),
				sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool key_parse(struct proto_span text, struct key *ret_key)
{
	struct key key;
	size_t size = 0;

	if (text.size != PROTO_KEY_TEXT_BYTES ||
	    sodium_base642bin(key.bytes, sizeof(key.bytes), text.data, text.size, NULL, &size, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    size != sizeof(key.bytes)) {
		sodium_memzero(&key, sizeof(key));
		return false;
	}
	*ret_key = key;
	sodium_memzero(&key, sizeof(key)); /* it may be a secret one */
	return true;
}

bool key_equal(const struct key *a, const struct key *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* --- pairs --- */

static int pair_alloc(struct key_pair **ret_pair)
{
	struct key_pair *pair = calloc(1, sizeof(*pair));

	if (!pair) {
		return -ENOMEM;
	}
	pair->secret = sodium_malloc(sizeof(*pair->secret));
	if (!pair->secret) {
		free(pair);
		return -ENOMEM;
	}
	*ret_pair = pair;
	return 0;
}

/* The secret is there: derive the other half, and lock it up. */
static int pair_complete(struct key_pair *pair)
{
	int r = crypto_scalarmult_base(pair->public.bytes, pair->secret->bytes) == 0 ? 0 : -EBADMSG;

	key_pair_close(pair);
	return r;
}

int key_pair_new(struct key_pair **ret_pair)
{
	struct key_pair *pair;
	int r = pair_alloc(&pair);

	if (r != 0) {
		return r;
	}
	(void)crypto_box_keypair(pair->public.bytes, pair->secret->bytes); /* cannot fail */
	key_pair_close(pair);
	*ret_pair = pair;
	return 0;
}

void key_pair_free(struct key_pair *pair)
{
	if (pair) {
		sodium_free(pair->secret); /* which wipes it */
		free(pair);
	}
}

const struct key *key_pair_public(const struct key_pair *pair)
{
	return &pair->public;
}

const struct key *key_pair_open(const struct key_pair *pair)
{
	(void)sodium_mprotect_readonly(pair->secret); /* where it can't, it is open anyway */
	return pair->secret;
}

void key_pair_close(const struct key_pair *pair)
{
	(void)sodium_mprotect_noaccess(pair->secret);
}

/* --- the file --- */

static void pair_text(const struct key_pair *pair, char ret_text[static KEY_TEXT_BYTES + 1])
{
	key_format(key_pair_open(pair), ret_text);
	key_pair_close(pair);
	ret_text[KEY_TEXT_BYTES - 1] = '\n';
	ret_text[KEY_TEXT_BYTES] = '\0';
}

int key_pair_save(const struct key_pair *pair, const char *path)
{
	char text[KEY_TEXT_BYTES + 1];
	int r;

	pair_text(pair, text);
	r = secret_file_write(path, text);
	sodium_memzero(text, sizeof(text));
	return r;
}

static int pair_read(const char *path, struct key_pair **ret_pair)
{
	char text[FILE_BYTES_MAX];
	struct key_pair *pair = NULL;
	int r = secret_file_read(path, text, sizeof(text));

	if (r == 0) {
		r = pair_alloc(&pair);
	}
	if (r == 0) {
		struct proto_span line = {text, strcspn(text, "\r\n")};

		r = key_parse(line, pair->secret) ? pair_complete(pair) : -EBADMSG;
	}
	sodium_memzero(text, sizeof(text));
	if (r != 0) {
		key_pair_free(pair);
		return r;
	}
	*ret_pair = pair;
	return 0;
}

static int pair_make(const char *path, struct key_pair **ret_pair)
{
	char text[KEY_TEXT_BYTES + 1];
	struct key_pair *pair;
	int r = key_pair_new(&pair);

	if (r != 0) {
		return r;
	}
	pair_text(pair, text);
	r = secret_file_make(path, text);
	sodium_memzero(text, sizeof(text));
	if (r != 0) {
		key_pair_free(pair);
		return r;
	}
	*ret_pair = pair;
	return 0;
}

static const char *why(int error)
{
	switch (error) {
	case -EPERM:
		return "others can read it, or it is somebody else's: chmod 600";
	case -EBADMSG:
	case -EFBIG:
		return "this is no key";
	default:
		return strerror(-error);
	}
}

int key_pair_load(const char *path, struct key_pair **ret_pair)
{
	int r = pair_read(path, ret_pair);

	if (r == -ENOENT) {
		r = pair_make(path, ret_pair);
		if (r == 0) {
			log_info("key.made", LOG_TEXT("path", path));
		} else if (r == -EEXIST) {
			r = pair_read(path, ret_pair); /* another process was faster */
		}
	}
	if (r != 0) {
		log_error("key.not_loaded", LOG_TEXT("path", path), LOG_TEXT("why", why(r)));
	}
	return r;
}
