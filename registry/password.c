/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See password.h. */

#include "registry/password.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>
#include <utlist.h>
#include "services/clock.h"
#include "services/service.h"

struct job {
	struct job *next;
	struct password_pool *pool;
	bool check;
	char hash[PASSWORD_HASH_BYTES];
	bool known; /* check: there is an account */
	int result;
	uint64_t until_ms;
	password_done_fn on_done;
	void *context;
	size_t size;
	char password[];
};

struct password_pool {
	uv_loop_t *loop;
	struct password_cost cost;
	char dummy
		[PASSWORD_HASH_BYTES]; /* what passwords of unknown accounts are checked against */
	struct job *waiting;
	size_t waiting_count;
	size_t running;
};

/* The first of every list of leaked passwords that are long enough to pass otherwise. */
static const char *const common[] = {
	"password",  "12345678",    "123456789", "1234567890", "qwertyui",	"qwertyuiop",
	"password1", "iloveyou",    "sunshine",	 "princess",   "football",	"baseball",
	"superman",  "trustno1",    "11111111",	 "00000000",   "88888888",	"abcdefgh",
	"passw0rd",  "letmein1",    "welcome1",	 "qwerty123",  "1q2w3e4r",	"q1w2e3r4",
	"asdfghjkl", "1qaz2wsx",    "87654321",	 "123123123",  "computer",	"starwars",
	"whatever",  "password123", "admin123",	 "changeme",   "administrator",
};

bool password_is_strong(struct proto_span password, struct proto_span name)
{
	if (password.size < PASSWORD_BYTES_MIN) {
		return false;
	}
	if (password.size == name.size && strncasecmp(password.data, name.data, name.size) == 0) {
		return false;
	}
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		if (password.size == strlen(common[i]) &&
		    strncasecmp(password.data, common[i], password.size) == 0) {
			return false;
		}
	}
	return true;
}

int password_pool_new(uv_loop_t *loop, const struct password_cost *cost,
		      struct password_pool **ret_pool)
{
	struct password_pool *pool = calloc(1, sizeof(*pool));
	char secret[32];

	if (!pool) {
		return -ENOMEM;
	}
	pool->loop = loop;
	pool->cost = *cost;
	randombytes_buf(secret, sizeof(secret));
	if (crypto_pwhash_str(pool->dummy, secret, sizeof(secret), cost->passes,
			      (size_t)cost->memory_bytes) != 0) {
		free(pool);
		return -ENOMEM;
	}
	*ret_pool = pool;
	return 0;
}

static void job_free(struct job *job)
{
	sodium_memzero(job->password, job->size);
	free(job);
}

void password_pool_free(struct password_pool *pool)
{
	struct job *job;
	struct job *next;

	if (!pool) {
		return;
	}
	LL_FOREACH_SAFE(pool->waiting, job, next)
	{
		job_free(job);
	}
	free(pool);
}

size_t password_pool_pending(const struct password_pool *pool)
{
	return pool->running + pool->waiting_count;
}

/* On a helper thread. */
static void on_work(void *context)
{
	struct job *job = context;
	const struct password_cost *cost = &job->pool->cost;

	if (clock_monotonic_ms() > job->until_ms) {
		job->result = PROTO_E_EXPIRED;
	} else if (!job->check) {
		job->result = crypto_pwhash_str(job->hash, job->password, job->size, cost->passes,
						(size_t)cost->memory_bytes) == 0
				      ? 0
				      : PROTO_E_BUSY;
	} else {
		bool right = crypto_pwhash_str_verify(job->hash, job->password, job->size) == 0;

		job->result = right && job->known ? 0 : PROTO_E_BAD_CREDENTIALS;
	}
}

static void start_waiting(struct password_pool *pool);

static void on_worked(void *context)
{
	struct job *job = context;
	struct password_pool *pool = job->pool;

	pool->running--;
	start_waiting(pool);
	job->on_done(job->context, job->result, job->hash);
	job_free(job);
}

static void start_waiting(struct password_pool *pool)
{
	while (pool->waiting && pool->running < PASSWORD_RUNNING_MAX) {
		struct job *job = pool->waiting;

		if (service_offload(pool->loop, on_work, on_worked, job) != 0) {
			return; /* tried again when a running one ends, or the next comes */
		}
		LL_DELETE(pool->waiting, job);
		pool->waiting_count--;
		pool->running++;
	}
}

static int start(struct password_pool *pool, struct proto_span password, bool check,
		 const char *hash, uint64_t until_ms, password_done_fn on_done, void *context)
{
	struct job *job;

	if (pool->waiting_count >= PASSWORD_QUEUE_MAX) {
		return PROTO_E_BUSY;
	}
	job = calloc(1, sizeof(*job) + password.size);
	if (!job) {
		return -ENOMEM;
	}
	job->pool = pool;
	job->check = check;
	job->known = hash != NULL;
	job->until_ms = until_ms;
	job->on_done = on_done;
	job->context = context;
	job->size = password.size;
	memcpy(job->password, password.data, password.size);
	if (check) {
		memcpy(job->hash, hash ? hash : pool->dummy, sizeof(job->hash));
	}
	LL_APPEND(pool->waiting, job);
	pool->waiting_count++;
	start_waiting(pool);
	return 0;
}

int password_hash(struct password_pool *pool, struct proto_span password, uint64_t until_ms,
		  password_done_fn on_done, void *context)
{
	return start(pool, password, false, NULL, until_ms, on_done, context);
}

int password_check(struct password_pool *pool, struct proto_span password, const char *hash,
		   uint64_t until_ms, password_done_fn on_done, void *context)
{
	return start(pool, password, true, hash, until_ms, on_done, context);
}
