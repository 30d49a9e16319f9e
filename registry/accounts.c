/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Accounts and sessions.
 *
 *   account/<user>    account_info         session/<session>  session_row, then the device
 *   password/<user>   argon2id text        secret/<hash>      session id
 *   name/<folded>     user id              meta/invitation    hash of the secret
 *   email/<folded>    user id
 *
 * Whoever signs in with an unknown name waits as long as with a wrong password, and hears the same.
 */

#include "registry/registry.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include "registry/folder.h"
#include "registry/name.h"
#include "services/clock.h"
#include "services/token.h"

#define ACCOUNTS_FIND_DEFAULT 20
#define INVITATION_FILE "invitation"
#define TOKEN_KEY_FILE "token-key.pem"

/* --- rows --- */

static void on_account_row(void *context, const struct store_row *row)
{
	struct proto_message message = PROTO_MESSAGE_INIT;
	struct account *account = context;

	if (proto_decode_record(PROTO_RECORD(account_info), row->value, row->value_size, &message,
				NULL) == 0) {
		const struct proto_account_info *info = PROTO_BODY(&message, account_info);

		account->user = info->user;
		memcpy(account->name, info->name.data, info->name.size);
		account->role = info->role;
		account->created = info->created;
		proto_message_deinit(&message);
	}
}

bool account_get(struct registry *registry, const struct proto_id *user,
		 struct account *ret_account)
{
	struct registry_key key = registry_key_id("account/", user);

	*ret_account = (struct account){0};
	return store_get(registry->store, key.bytes, key.size, on_account_row, ret_account) &&
	       ret_account->name[0] != '\0';
}

struct proto_account_info account_info(const struct account *account)
{
	return (struct proto_account_info){
		.user = account->user,
		.name = proto_span(account->name),
		.role = account->role,
		.created = account->created,
	};
}

static bool login_find(struct registry *registry, struct proto_span login,
		       struct account *ret_account)
{
	struct name_folded folded;
	struct registry_key key;
	struct proto_id user;

	name_fold(login, &folded);
	key = registry_key(memchr(folded.text, '@', folded.size) ? "email/" : "name/", folded.text,
			   folded.size);
	return registry_get_id(registry, &key, &user) && account_get(registry, &user, ret_account);
}

/* --- granting a session --- */

struct grant {
	struct registry *registry;
	struct bus_request *request;
	struct account account;
	struct session_row row;
	struct proto_id session;
	uint8_t secret[PROTO_SECRET_BYTES];
	bool is_new;
	bool invited;
};

static void grant_free(struct grant *grant)
{
	sodium_memzero(grant->secret, sizeof(grant->secret));
	free(grant);
}

static int grant_sign(struct grant *grant, uint64_t now, uint64_t expires, char **ret_token)
{
	struct token_claims claims = {
		.session = grant->session,
		.user = grant->account.user,
		.role = grant->account.role,
		.issued_ms = now,
		.expires_ms = expires,
	};

	memcpy(claims.name, grant->account.name, sizeof(claims.name));
	return token_sign(grant->registry->token_private, &claims, ret_token);
}

static int grant_bind(struct grant *grant)
{
	struct session session = {
		.session = grant->session,
		.user = grant->account.user,
		.role = grant->account.role,
		.expires = grant->row.expires,
	};

	memcpy(session.name, grant->account.name, sizeof(session.name));
	return session_bind(&grant->registry->sessions, bus_request_peer(grant->request), &session,
			    clock_monotonic_ms());
}

/* The session is kept: bind it, answer, and free the grant. */
static void grant_finish(struct grant *grant)
{
	uint64_t now = clock_wall_ms();
	uint64_t expires = now + grant->registry->settings->token_ms;
	struct proto_session_granted granted = {0};
	char *token = NULL;

	expires = expires < grant->row.expires ? expires : grant->row.expires;
	if (grant_bind(grant) != 0) {
		registry_refuse_busy(grant->request);
	} else if (grant_sign(grant, now, expires, &token) != 0) {
		bus_refuse(grant->request, PROTO_E_INTERNAL, "the token could not be signed");
	} else {
		granted = (struct proto_session_granted){
			.session = grant->session,
			.expires = grant->row.expires,
			.token = proto_span(token),
			.token_expires = expires,
			.user = grant->account.user,
			.name = proto_span(grant->account.name),
			.role = grant->account.role,
		};
		if (grant->is_new) {
			granted.secret = (struct proto_span){(char *)grant->secret,
							     sizeof(grant->secret)};
		}
		bus_reply(grant->request, PROTO_SESSION_GRANTED, &granted);
	}
	free(token);
	grant_free(grant);
}

static void hash_secret(const void *secret, size_t size, uint8_t ret_hash[static PROTO_HASH_BYTES])
{
	(void)crypto_generichash(ret_hash, PROTO_HASH_BYTES, secret, size, NULL, 0);
}

/* A new session: its secret, and the rows that keep it. */
static void grant_prepare(struct grant *grant, bool remember, struct proto_span agent,
			  struct store_txn *txn)
{
	const struct registry_settings *settings = grant->registry->settings;
	char value[SESSION_ROW_BYTES + PROTO_AGENT_BYTES_MAX];
	struct registry_key key;

	grant->is_new = true;
	randombytes_buf(grant->session.bytes, sizeof(grant->session.bytes));
	randombytes_buf(grant->secret, sizeof(grant->secret));
	grant->row.user = grant->account.user;
	grant->row.created = clock_wall_ms();
	grant->row.expires = grant->row.created +
			     (remember ? settings->remember_ms : settings->session_ms);
	hash_secret(grant->secret, sizeof(grant->secret), grant->row.secret_hash);
	session_row_write(&grant->row, value);
	if (agent.size > 0) {
		memcpy(value + SESSION_ROW_BYTES, agent.data, agent.size);
	}
	key = registry_key_id("session/", &grant->session);
	store_txn_put(txn, key.bytes, key.size, value, SESSION_ROW_BYTES + agent.size);
	key = registry_key("secret/", grant->row.secret_hash, sizeof(grant->row.secret_hash));
	store_txn_put(txn, key.bytes, key.size, &grant->session, sizeof(grant->session));
}

static struct grant *grant_new(struct registry *registry, struct bus_request *request)
{
	struct grant *grant = calloc(1, sizeof(*grant));

	if (!grant) {
		registry_refuse_busy(request);
		return NULL;
	}
	grant->registry = registry;
	grant->request = request;
	return grant;
}

/* The moment, on the monotonic clock, when nobody waits for the answer any more. */
static uint64_t request_until_ms(const struct bus_request *request)
{
	return clock_monotonic_ms() + bus_request_time_left_ms(request);
}

static void grant_refuse(struct grant *grant, enum proto_code error, const char *detail)
{
	if (error == PROTO_E_BUSY) {
		registry_refuse_busy(grant->request);
	} else {
		bus_refuse(grant->request, error, detail);
	}
	grant_free(grant);
}

/* --- account_create --- */

static bool invitation_matches(struct registry *registry, struct proto_span secret)
{
	struct registry_key key = registry_key("meta/invitation", NULL, 0);
	uint8_t hash[PROTO_HASH_BYTES];
	char kept[PROTO_HASH_BYTES + 1] = {0};

	hash_secret(secret.data, secret.size, hash);
	return registry_get_text(registry, &key, kept, sizeof(kept)) &&
	       sodium_memcmp(kept, hash, PROTO_HASH_BYTES) == 0;
}

static enum proto_code taken_meanwhile(const struct grant *grant)
{
	const struct proto_account_create *create = PROTO_BODY(bus_request_message(grant->request),
							       account_create);
	struct account other;

	if (login_find(grant->registry, create->name, &other)) {
		return PROTO_E_NAME_TAKEN;
	}
	if (create->email.size > 0 && login_find(grant->registry, create->email, &other)) {
		return PROTO_E_EMAIL_TAKEN;
	}
	return PROTO_E_FORBIDDEN;
}

static void on_account_kept(void *context, int result)
{
	struct grant *grant = context;

	if (result == PROTO_E_VERSION_CONFLICT) {
		/* A name, an address or the invitation was taken while the password was hashed. */
		grant_refuse(grant, taken_meanwhile(grant), NULL);
		return;
	}
	if (result != 0) {
		grant_refuse(grant, (enum proto_code)result, NULL);
		return;
	}
	if (grant->invited) {
		folder_remove(grant->registry->settings->data, INVITATION_FILE);
	}
	log_info("account.created", LOG_ID("user", &grant->account.user),
		 LOG_TEXT("name", grant->account.name),
		 LOG_TEXT("role", proto_account_role_name(grant->account.role)));
	grant_finish(grant);
}

static void put_account(struct grant *grant, const struct proto_account_create *create,
			const char *hash, struct store_txn *txn)
{
	struct proto_account_info info = account_info(&grant->account);
	struct proto_buffer row = PROTO_BUFFER_INIT;
	struct name_folded folded;
	struct registry_key key;

	name_fold(create->name, &folded);
	key = registry_key("name/", folded.text, folded.size);
	store_txn_compare(txn, key.bytes, key.size, 0);
	store_txn_put(txn, key.bytes, key.size, &info.user, sizeof(info.user));
	if (create->email.size > 0) {
		name_fold(create->email, &folded);
		key = registry_key("email/", folded.text, folded.size);
		store_txn_compare(txn, key.bytes, key.size, 0);
		store_txn_put(txn, key.bytes, key.size, &info.user, sizeof(info.user));
	}
	if (grant->invited) {
		key = registry_key("meta/invitation", NULL, 0);
		store_txn_delete(txn, key.bytes, key.size);
		key = registry_key("meta/administrator", NULL, 0);
		store_txn_compare(txn, key.bytes, key.size, 0);
		store_txn_put(txn, key.bytes, key.size, &info.user, sizeof(info.user));
	}
	key = registry_key_id("password/", &info.user);
	store_txn_put(txn, key.bytes, key.size, hash, strlen(hash));
	key = registry_key_id("account/", &info.user);
	(void)proto_encode_record(&row, PROTO_RECORD(account_info), &info);
	store_txn_put(txn, key.bytes, key.size, row.data, row.size);
	proto_buffer_deinit(&row);
}

static void on_password_hashed(void *context, int result, const char *hash)
{
	struct grant *grant = context;
	const struct proto_account_create *create = PROTO_BODY(bus_request_message(grant->request),
							       account_create);
	struct store_txn *txn = result == 0 ? store_txn_new() : NULL;

	if (!txn) {
		grant_refuse(grant, result ? (enum proto_code)result : PROTO_E_BUSY, NULL);
		return;
	}
	put_account(grant, create, hash, txn);
	grant_prepare(grant, create->remember, create->agent, txn);
	store_commit(grant->registry->store, txn, on_account_kept, grant);
}

/* 0, or why the account cannot be. */
static enum proto_code account_check(struct registry *registry,
				     const struct proto_account_create *create,
				     const char **ret_detail)
{
	struct account other;

	*ret_detail = NULL;
	if (!name_is_user(create->name)) {
		*ret_detail =
			"name: 2 to 32 letters, digits, `.`, `_`, `-`, the first a letter or digit";
		return PROTO_E_BAD_VALUE;
	}
	if (create->email.size > 0 && !name_is_email(create->email)) {
		*ret_detail = "email: not an e-mail address";
		return PROTO_E_BAD_VALUE;
	}
	if (!password_is_strong(create->password, create->name)) {
		*ret_detail =
			"password: 8 bytes at least, not the name, not one that everybody uses";
		return PROTO_E_WEAK_PASSWORD;
	}
	if (login_find(registry, create->name, &other)) {
		return PROTO_E_NAME_TAKEN;
	}
	if (create->email.size > 0 && login_find(registry, create->email, &other)) {
		return PROTO_E_EMAIL_TAKEN;
	}
	if (create->invitation.size > 0 && !invitation_matches(registry, create->invitation)) {
		*ret_detail = "invitation: not valid, or used already";
		return PROTO_E_FORBIDDEN;
	}
	return 0;
}

static void on_account_create(void *context, struct bus_request *request,
			      const struct proto_message *message)
{
	const struct proto_account_create *create = PROTO_BODY(message, account_create);
	struct registry *registry = context;
	const char *detail;
	enum proto_code error = account_check(registry, create, &detail);
	struct grant *grant;

	if (error) {
		bus_refuse(request, error, detail);
		return;
	}
	grant = grant_new(registry, request);
	if (!grant) {
		return;
	}
	randombytes_buf(grant->account.user.bytes, sizeof(grant->account.user.bytes));
	memcpy(grant->account.name, create->name.data, create->name.size);
	grant->account.created = clock_wall_ms();
	grant->invited = create->invitation.size > 0;
	grant->account.role = grant->invited ? PROTO_ACCOUNT_ROLE_ADMINISTRATOR
					     : PROTO_ACCOUNT_ROLE_PERSON;
	if (password_hash(registry->passwords, create->password, request_until_ms(request),
			  on_password_hashed, grant) != 0) {
		grant_refuse(grant, PROTO_E_BUSY, NULL);
	}
}

/* --- session_create --- */

static void on_session_kept(void *context, int result)
{
	struct grant *grant = context;

	if (result != 0) {
		grant_refuse(grant, (enum proto_code)result, NULL);
		return;
	}
	log_info("session.created", LOG_ID("session", &grant->session),
		 LOG_ID("user", &grant->account.user));
	grant_finish(grant);
}

static void on_password_checked(void *context, int result, const char *hash)
{
	struct grant *grant = context;
	const struct proto_session_create *create = PROTO_BODY(bus_request_message(grant->request),
							       session_create);
	struct store_txn *txn;

	(void)hash;
	if (result != 0) {
		log_info("session.refused", LOG_SPAN("address", create->address));
		grant_refuse(grant, (enum proto_code)result, NULL);
		return;
	}
	txn = store_txn_new();
	if (!txn) {
		grant_refuse(grant, PROTO_E_BUSY, NULL);
		return;
	}
	grant_prepare(grant, create->remember, create->agent, txn);
	store_commit(grant->registry->store, txn, on_session_kept, grant);
}

static void on_session_create(void *context, struct bus_request *request,
			      const struct proto_message *message)
{
	const struct proto_session_create *create = PROTO_BODY(message, session_create);
	struct registry *registry = context;
	struct grant *grant = grant_new(registry, request);
	char hash[PASSWORD_HASH_BYTES];
	struct registry_key key;
	bool known;

	if (!grant) {
		return;
	}
	known = login_find(registry, create->login, &grant->account);
	key = registry_key_id("password/", &grant->account.user);
	known = known && registry_get_text(registry, &key, hash, sizeof(hash));
	if (password_check(registry->passwords, create->password, known ? hash : NULL,
			   request_until_ms(request), on_password_checked, grant) != 0) {
		grant_refuse(grant, PROTO_E_BUSY, NULL);
	}
}

/* --- session_resume, session_end --- */

struct kept_session {
	struct session_row row;
	bool found;
};

static void on_session_row(void *context, const struct store_row *row)
{
	struct kept_session *kept = context;

	kept->found = session_row_read(row->value, row->value_size, &kept->row);
}

static bool session_get(struct registry *registry, const struct proto_id *session,
			struct session_row *ret_row)
{
	struct registry_key key = registry_key_id("session/", session);
	struct kept_session kept = {0};

	(void)store_get(registry->store, key.bytes, key.size, on_session_row, &kept);
	*ret_row = kept.row;
	return kept.found;
}

static void on_session_resume(void *context, struct bus_request *request,
			      const struct proto_message *message)
{
	const struct proto_session_resume *resume = PROTO_BODY(message, session_resume);
	struct registry *registry = context;
	uint8_t hash[PROTO_HASH_BYTES];
	struct grant *grant = grant_new(registry, request);
	struct registry_key key;

	if (!grant) {
		return;
	}
	hash_secret(resume->secret.data, resume->secret.size, hash);
	key = registry_key("secret/", hash, sizeof(hash));
	if (resume->secret.size != PROTO_SECRET_BYTES ||
	    !registry_get_id(registry, &key, &grant->session) ||
	    !session_get(registry, &grant->session, &grant->row) ||
	    clock_wall_ms() >= grant->row.expires ||
	    !account_get(registry, &grant->row.user, &grant->account)) {
		grant_refuse(grant, PROTO_E_UNAUTHENTICATED, "the session has ended");
		return;
	}
	grant_finish(grant);
}

struct ending {
	struct registry *registry;
	struct bus_request *request; /* NULL: it had expired */
	struct proto_id session;
	struct proto_id user;
	uint64_t version;
};

static void on_session_gone(void *context, int result)
{
	struct ending *ending = context;
	struct proto_session_revoked revoked = {
		.session = ending->session, .user = ending->user, .version = ending->version};

	if (result == 0) {
		ending->registry->revocations.version = ending->version;
		session_unbind(&ending->registry->sessions, &ending->session);
		bus_publish(ending->registry->publisher, NULL, PROTO_SESSION_REVOKED, &revoked);
		log_info("session.ended", LOG_ID("session", &ending->session),
			 LOG_ID("user", &ending->user));
	}
	if (ending->request && result == 0) {
		bus_ok(ending->request);
	} else if (ending->request) {
		bus_refuse(ending->request, (enum proto_code)result, NULL);
	}
	free(ending);
}

static void session_delete(struct registry *registry, struct bus_request *request,
			   const struct proto_id *session, const struct session_row *row)
{
	struct ending *ending = calloc(1, sizeof(*ending));
	struct store_txn *txn = store_txn_new();
	struct registry_key key = registry_key_id("session/", session);

	if (!ending || !txn) {
		free(ending);
		store_txn_free(txn);
		if (request) {
			registry_refuse_busy(request);
		}
		return;
	}
	*ending = (struct ending){registry, request, *session, row->user,
				  revocations_add(registry, txn, session)};
	store_txn_delete(txn, key.bytes, key.size);
	key = registry_key("secret/", row->secret_hash, sizeof(row->secret_hash));
	store_txn_delete(txn, key.bytes, key.size);
	store_commit(registry->store, txn, on_session_gone, ending);
}

static void on_session_end(void *context, struct bus_request *request,
			   const struct proto_message *message)
{
	const struct proto_session_end *end = PROTO_BODY(message, session_end);
	struct registry *registry = context;
	const struct session *session = registry_session(registry, request, &end->session);
	struct session_row row;

	if (!session) {
		return;
	}
	if (!session_get(registry, &end->session, &row)) {
		bus_refuse(request, PROTO_E_SESSION_UNKNOWN, NULL);
		return;
	}
	session_delete(registry, request, &end->session, &row);
}

/* --- accounts_find, account_read --- */

struct search {
	struct registry *registry;
	struct account accounts[PROTO_PAGE_MAX];
	struct proto_account_info infos[PROTO_PAGE_MAX];
	struct proto_id users[PROTO_PAGE_MAX];
	size_t count;
	size_t limit;
};

static bool on_name_row(void *context, const struct store_row *row)
{
	struct search *search = context;

	if (row->value_size == sizeof(struct proto_id)) {
		memcpy(&search->users[search->count++], row->value, sizeof(struct proto_id));
	}
	return search->count < search->limit;
}

static void search_answer(struct search *search, struct bus_request *request)
{
	struct proto_accounts answer = {.accounts.items = search->infos};

	for (size_t i = 0; i < search->count; i++) {
		struct account *account = &search->accounts[answer.accounts.count];

		if (account_get(search->registry, &search->users[i], account)) {
			search->infos[answer.accounts.count++] = account_info(account);
		}
	}
	bus_reply(request, PROTO_ACCOUNTS, &answer);
}

static void on_accounts_find(void *context, struct bus_request *request,
			     const struct proto_message *message)
{
	static struct search search; /* large; used within this call alone */
	const struct proto_accounts_find *find = PROTO_BODY(message, accounts_find);
	struct registry *registry = context;
	struct name_folded folded;
	struct registry_key key;

	if (!registry_session(registry, request, &find->session)) {
		return;
	}
	search.registry = registry;
	search.count = 0;
	search.limit = find->limit ? (size_t)find->limit : ACCOUNTS_FIND_DEFAULT;
	name_fold(find->prefix, &folded);
	key = registry_key("name/", folded.text, folded.size);
	store_scan(registry->store, key.bytes, key.size, NULL, 0, on_name_row, &search);
	search_answer(&search, request);
}

static void on_account_read(void *context, struct bus_request *request,
			    const struct proto_message *message)
{
	const struct proto_account_read *read = PROTO_BODY(message, account_read);
	struct proto_account_info info;
	struct proto_accounts answer = {.accounts = {&info, 1}};
	struct account account;

	if (!account_get(context, &read->user, &account)) {
		bus_refuse(request, PROTO_E_NOT_FOUND, "there is no such account");
		return;
	}
	info = account_info(&account);
	bus_reply(request, PROTO_ACCOUNTS, &answer);
}

/* --- time --- */

struct purge {
	struct registry *registry;
	uint64_t now;
	struct {
		struct proto_id session;
		struct session_row row;
	} expired[256];
	size_t count;
};

static bool on_purge_row(void *context, const struct store_row *row)
{
	static const size_t prefix = sizeof("session/") - 1;
	struct purge *purge = context;
	struct session_row *kept = &purge->expired[purge->count].row;

	if (row->key_size == prefix + PROTO_ID_BYTES &&
	    session_row_read(row->value, row->value_size, kept)) {
		if (purge->now >= kept->expires) {
			memcpy(&purge->expired[purge->count++].session,
			       (const char *)row->key + prefix, PROTO_ID_BYTES);
		}
	}
	return purge->count < sizeof(purge->expired) / sizeof(purge->expired[0]);
}

void accounts_tick(struct registry *registry, uint64_t now_ms)
{
	static struct purge purge;

	if (now_ms < registry->purge_at_ms) {
		return;
	}
	registry->purge_at_ms = now_ms + REGISTRY_PURGE_MS;
	session_tick(&registry->sessions, now_ms, clock_wall_ms());
	revocations_purge(registry);
	purge.registry = registry;
	purge.now = clock_wall_ms();
	purge.count = 0;
	store_scan(registry->store, "session/", sizeof("session/") - 1, NULL, 0, on_purge_row,
		   &purge);
	for (size_t i = 0; i < purge.count; i++) {
		session_delete(registry, NULL, &purge.expired[i].session, &purge.expired[i].row);
	}
}

/* --- start --- */

static void on_invitation_kept(void *context, int result)
{
	*(int *)context = result;
}

/* The loop turns until it is on disk: sockets are not open yet, so nothing else waits for us. */
static int keep_invitation(struct registry *registry, const uint8_t hash[static PROTO_HASH_BYTES])
{
	struct registry_key key = registry_key("meta/invitation", NULL, 0);
	struct store_txn *txn = store_txn_new();
	int result = PROTO_E_STORAGE_FAILED;

	if (!txn) {
		return -ENOMEM;
	}
	store_txn_put(txn, key.bytes, key.size, hash, PROTO_HASH_BYTES);
	store_commit(registry->store, txn, on_invitation_kept, &result);
	while (store_pending(registry->store) > 0) {
		(void)uv_run(registry->service->loop, UV_RUN_ONCE);
	}
	if (result != 0) {
		log_error("invitation.not_kept",
			  LOG_TEXT("code", proto_error_info((enum proto_code)result)->code));
		return -EIO;
	}
	return 0;
}

/*
 * As long as there is no administrator, every start writes a new invitation, which replaces the one
 * before. The file appears when the secret in it is good.
 */
static int invite(struct registry *registry)
{
	struct registry_key key = registry_key("meta/administrator", NULL, 0);
	uint8_t secret[PROTO_SECRET_BYTES];
	uint8_t hash[PROTO_HASH_BYTES];
	char text[64];
	struct proto_id user;
	int r;

	if (registry_get_id(registry, &key, &user)) {
		/* We may have ended before that, when it was used. */
		folder_remove(registry->settings->data, INVITATION_FILE);
		return 0;
	}
	randombytes_buf(secret, sizeof(secret));
	hash_secret(secret, sizeof(secret), hash);
	(void)sodium_bin2base64(text, sizeof(text), secret, sizeof(secret),
				sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	r = keep_invitation(registry, hash);
	r = r ? r : folder_write(registry->settings->data, INVITATION_FILE, text);
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(text, sizeof(text));
	if (r == 0) {
		log_info("invitation.written", LOG_TEXT("folder", registry->settings->data),
			 LOG_TEXT("file", INVITATION_FILE));
	}
	return r;
}

static int load_token_key(struct registry *registry)
{
	const char *folder = registry->settings->data;
	int r;

	registry->token_private = calloc(1, PROTO_PEM_BYTES_MAX + 1);
	if (!registry->token_private) {
		return -ENOMEM;
	}
	r = folder_read(folder, TOKEN_KEY_FILE, registry->token_private, PROTO_PEM_BYTES_MAX + 1);
	if (r == 0) {
		return token_key_public(registry->token_private, &registry->token_public);
	}
	if (r != -ENOENT) {
		return r;
	}
	free(registry->token_private);
	registry->token_private = NULL;
	r = token_key_new(&registry->token_private, &registry->token_public);
	return r ? r : folder_write(folder, TOKEN_KEY_FILE, registry->token_private);
}

int accounts_start(struct registry *registry)
{
	struct password_cost cost = {registry->settings->argon_passes,
				     registry->settings->argon_bytes};
	int r = load_token_key(registry);

	if (r != 0) {
		log_error("token_key.failed", LOG_ERRNO(r));
		return r;
	}
	r = password_pool_new(registry->service->loop, &cost, &registry->passwords);
	return r ? r : invite(registry);
}

const struct bus_route accounts_routes[] = {
	{PROTO_ACCOUNT_CREATE, on_account_create}, {PROTO_SESSION_CREATE, on_session_create},
	{PROTO_SESSION_RESUME, on_session_resume}, {PROTO_SESSION_END, on_session_end},
	{PROTO_ACCOUNTS_FIND, on_accounts_find},   {PROTO_ACCOUNT_READ, on_account_read},
};
const size_t accounts_route_count = sizeof(accounts_routes) / sizeof(accounts_routes[0]);
