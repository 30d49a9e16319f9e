/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * NAME
 *	storaged - keeps the log of slots, and the views made from it
 *
 * PURPOSE
 *	A replica of segments of slots (DESIGN.md, section 5) in one LMDB environment, and what
 *	readers ask for: a room's timeline with edits, reactions and removals applied, its events,
 *	its state, and which event had a client's number. It decides nothing: roomd owns the slots,
 *	storaged holds them to the rules (fences, chains, no gaps).
 *
 * REQUESTS (from nodes alone)
 *	append, copy, seal, release
 *		Written in the next group commit, answered once that is on disk.
 *	entries_read
 *		Entries of a segment; beyond what is committed for recovery alone.
 *	state_read, timeline_read, events_read, cmid_read
 *		Answered at once, on the loop, from a snapshot. One whose `lac` says that more is
 *		committed than the views show waits for a commit that brings them up to it. If that
 *		can't be, because entries are missing here, it is refused as `gap`: another store
 *		has them.
 *
 * LIMITS
 *	--queue-requests and --queue-bytes wait for the disk at most; more is refused as `busy`.
 *	Pages end at PROTO_PAGE_MAX entries or PROTO_PAGE_BYTES_MAX bytes. The map (--map-bytes) is
 *	the largest size of the store; a full one is a failed commit: start again with a larger one.
 *
 * WHEN THINGS FAIL
 *	A commit failed (disk full, I/O error): nothing of it is confirmed, all writes are refused
 *	as `storage_failed` from then on, /readyz turns to 503, reads go on. The next start scrubs
 *	the store first, and refuses to serve a damaged one.
 *	A record fails its checksum: the request is answered with `damaged`. Views that can't be
 *	brought forward stand still, and the log says so; `--verify` tells what is wrong.
 *	SIGKILL: what was answered is on disk, what was not may be.
 *
 * SECURITY
 *	The bus binds ipc:// or loopback alone while there are no keys. What a request holds is
 *	checked for every limit before any of it is written.
 */

#include "storaged/storaged.h"

#include <errno.h>
#include <stdlib.h>
#include "services/membership.h"
#include "storaged/check.h"
#include "storaged/commit.h"
#include "storaged/kv_lmdb.h"
#include "storaged/page.h"
#include "storaged/scrub.h"
#include "storaged/segment.h"
#include "storaged/view.h"

#define STORAGED_BUSY_RETRY_MS 100
#define STORAGED_READER_CHECK_MS 60000
#define STORAGED_TASK_BYTES 256 /* of a request, beside its entries */

struct storaged {
	struct service *service;
	const struct storaged_settings *settings;
	struct store *store;
	struct commit *commit;
	struct bus_server *server;
	struct membership *membership;
	uv_timer_t reader_timer;
	bool timer_open;
	bool stopping;
	bool catching_up[PROTO_SLOTS];
	struct page page; /* of the answer that is being made */
	struct proto_entry entries[PROTO_BATCH_MAX]; /* the same */
	struct segment_hash prev_hash; /* the same */
	struct metric *entries_written;
	struct metric *bytes_written;
	struct metric *damages;
};

/* --- answering --- */

static void refuse(struct bus_request *request, int error, const char *detail, uint64_t next)
{
	struct proto_error body = {.detail = proto_span(detail), .next = next};

	if (error == PROTO_E_BUSY) {
		body.retry_ms = STORAGED_BUSY_RETRY_MS;
	}
	bus_refuse_with(request, error < 0 ? PROTO_E_INTERNAL : (enum proto_code)error, &body);
}

static void tell_damage(struct storaged *storaged, const char *event,
			const struct proto_message *message, unsigned int slot)
{
	metric_add(storaged->damages, 1);
	log_error(event, LOG_TEXT("type", message->info->record->name), LOG_NUMBER("slot", slot));
}

/*
 * A store that was replaced may have its successor at its address. What is asked of the one must
 * not be answered by the other, who would then stand for two members of a segment. Refuses the
 * request and returns false if it is not for this store.
 */
static bool is_meant(const struct storaged *storaged, struct bus_request *request,
		     const struct proto_message *message)
{
	const struct proto_field *field = proto_record_field(message->info->record,
							     PROTO_SPAN("store"));
	const struct proto_id *store = (const void *)((const char *)message->body + field->offset);
	bool meant = proto_id_is_none(store) || proto_id_equal(store, store_id(storaged->store));

	if (!meant) {
		refuse(request, PROTO_E_UNAVAILABLE, "another store is here", 0);
	}
	return meant;
}

/* --- writes --- */

/* A request on its way through a commit. */
struct task {
	struct commit_job job; /* first */
	struct storaged *storaged;
	struct bus_request *request;
	const struct proto_message *message;
	const struct write_route *route;
	unsigned int slot;
	uint64_t lac; /* of a read that waits */
	struct segment_answer answer;
	int view_result;
	bool behind; /* more is committed than the views show by now */
};

struct write_route {
	enum proto_type type;
	size_t slot_offset;
	int (*run)(struct kv_txn *txn, const void *body, struct segment_answer *ret_answer);
	void (*reply)(struct task *task);
};

static int run_append(struct kv_txn *txn, const void *body, struct segment_answer *ret_answer)
{
	return segment_append(txn, body, ret_answer);
}

static int run_copy(struct kv_txn *txn, const void *body, struct segment_answer *ret_answer)
{
	return segment_copy(txn, body, ret_answer);
}

static int run_seal(struct kv_txn *txn, const void *body, struct segment_answer *ret_answer)
{
	return segment_seal(txn, body, ret_answer);
}

static int run_release(struct kv_txn *txn, const void *body, struct segment_answer *ret_answer)
{
	return segment_release(txn, body, ret_answer);
}

static const struct proto_list_entry *entries_of(const struct proto_message *message)
{
	static const struct proto_list_entry none;

	switch (message->header.type) {
	case PROTO_APPEND:
		return &PROTO_BODY(message, append)->entries;
	case PROTO_COPY:
		return &PROTO_BODY(message, copy)->entries;
	default:
		return &none;
	}
}

static size_t bytes_of(const struct proto_message *message)
{
	const struct proto_list_entry *entries = entries_of(message);
	size_t bytes = 0;

	for (size_t i = 0; i < entries->count; i++) {
		bytes += entries->items[i].body.size;
	}
	return bytes;
}

static void reply_appended(struct task *task)
{
	struct proto_appended body = {
		.lsn = task->answer.last,
		.hash = segment_hash_span(&task->answer.last_hash),
	};

	metric_add(task->storaged->entries_written, entries_of(task->message)->count);
	metric_add(task->storaged->bytes_written, bytes_of(task->message));
	bus_reply(task->request, PROTO_APPENDED, &body);
}

static void reply_sealed(struct task *task)
{
	struct proto_sealed body = {
		.last = task->answer.last,
		.last_hash = segment_hash_span(&task->answer.last_hash),
		.lac = task->answer.lac,
	};

	bus_reply(task->request, PROTO_SEALED, &body);
}

static void reply_ok(struct task *task)
{
	bus_ok(task->request);
}

static const struct write_route writes[] = {
	{PROTO_APPEND, offsetof(struct proto_append, slot), run_append, reply_appended},
	{PROTO_COPY, offsetof(struct proto_copy, slot), run_copy, reply_appended},
	{PROTO_SEAL, offsetof(struct proto_seal, slot), run_seal, reply_sealed},
	{PROTO_RELEASE, offsetof(struct proto_release, slot), run_release, reply_ok},
};

/*
 * Views follow in the same transaction, as far as that takes no long time. That they can't is no
 * failure of the write.
 */
static int advance_views(struct task *task, struct kv_txn *txn)
{
	uint64_t applied;

	task->view_result = view_advance(txn, task->slot, VIEW_BATCH, &applied);
	task->behind = applied >= VIEW_BATCH;
	return task->view_result < 0 ? task->view_result : 0;
}

/* --- views that are behind --- */

static void submit(struct storaged *storaged, struct task *task);

static int run_catch_up(struct commit_job *job, struct kv_txn *txn)
{
	return advance_views((struct task *)job, txn);
}

static void end_catch_up(struct commit_job *job, int result)
{
	struct task *task = (struct task *)job;
	struct storaged *storaged = task->storaged;

	if (result == 0 && task->behind && !storaged->stopping &&
	    commit_submit(storaged->commit, job) == 0) {
		return;
	}
	storaged->catching_up[task->slot] = false;
	free(task);
}

/* Bring the slot's views forward, a batch at a time, beside whatever else is written. */
static void catch_up(struct storaged *storaged, unsigned int slot)
{
	struct task *task;

	if (storaged->catching_up[slot] || storaged->stopping) {
		return;
	}
	task = calloc(1, sizeof(*task));
	if (!task) {
		return; /* the next write to the slot goes on */
	}
	task->storaged = storaged;
	task->slot = slot;
	task->job.run = run_catch_up;
	task->job.done = end_catch_up;
	task->job.bytes = STORAGED_TASK_BYTES;
	storaged->catching_up[slot] = commit_submit(storaged->commit, &task->job) == 0;
	if (!storaged->catching_up[slot]) {
		free(task);
	}
}

static int run_task(struct commit_job *job, struct kv_txn *txn)
{
	struct task *task = (struct task *)job;
	int r = task->route->run(txn, task->message->body, &task->answer);

	return r == 0 ? advance_views(task, txn) : r;
}

static void end_task(struct commit_job *job, int result)
{
	struct task *task = (struct task *)job;
	struct storaged *storaged = task->storaged;

	if (result == 0 && task->view_result == PROTO_E_DAMAGED) {
		tell_damage(storaged, "view.damaged", task->message, task->slot);
	}
	if (result == PROTO_E_DAMAGED) {
		tell_damage(storaged, "segment.damaged", task->message, task->slot);
	}
	if (result == 0) {
		task->route->reply(task);
	} else {
		refuse(task->request, result, task->answer.detail, task->answer.next);
	}
	if (result == 0 && task->behind) {
		catch_up(storaged, task->slot);
	}
	free(task);
}

static void submit(struct storaged *storaged, struct task *task)
{
	struct bus_request *request = task->request;
	int r = storaged->stopping ? PROTO_E_BUSY : commit_submit(storaged->commit, &task->job);

	if (r != 0) {
		free(task);
		refuse(request, r, NULL, 0);
	}
}

static struct task *task_new(struct storaged *storaged, struct bus_request *request,
			     const struct proto_message *message)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task) {
		bus_refuse(request, PROTO_E_BUSY, "out of memory");
		return NULL;
	}
	task->storaged = storaged;
	task->request = request;
	task->message = message;
	task->job.bytes = STORAGED_TASK_BYTES + bytes_of(message);
	return task;
}

static void on_write(void *context, struct bus_request *request,
		     const struct proto_message *message)
{
	const struct write_route *route = writes;
	struct task *task;

	if (!is_meant(context, request, message)) {
		return;
	}
	task = task_new(context, request, message);
	if (!task) {
		return;
	}
	while (route->type != message->header.type) {
		route++;
	}
	task->route = route;
	task->slot = (unsigned int)*(const uint64_t *)((const char *)message->body +
						       route->slot_offset);
	task->job.run = run_task;
	task->job.done = end_task;
	submit(context, task);
}

/* --- reads --- */

struct read_route {
	enum proto_type type;
	enum proto_type reply;
	bool has_lac;
	size_t room_offset;
	size_t lac_offset;
	/* `reply` is the struct of the answer, zeroed. */
	int (*read)(struct storaged *storaged, struct kv_txn *txn, const void *body, void *reply);
};

static int read_state(struct storaged *storaged, struct kv_txn *txn, const void *body, void *reply)
{
	return page_state(&storaged->page, txn, body, reply);
}

static int read_timeline(struct storaged *storaged, struct kv_txn *txn, const void *body,
			 void *reply)
{
	return page_timeline(&storaged->page, txn, body, reply);
}

static int read_events(struct storaged *storaged, struct kv_txn *txn, const void *body, void *reply)
{
	return page_events(&storaged->page, txn, body, reply);
}

static int read_cmid(struct storaged *storaged, struct kv_txn *txn, const void *body, void *reply)
{
	return page_cmid(&storaged->page, txn, body, reply);
}

static int read_entries(struct storaged *storaged, struct kv_txn *txn, const void *body,
			void *reply)
{
	return segment_read(txn, body, storaged->entries, reply, &storaged->prev_hash);
}

#define READ_ROUTE(TYPE, REPLY, x, fn)                               \
	{                                                            \
		TYPE, REPLY, true, offsetof(struct proto_##x, room), \
			offsetof(struct proto_##x, lac), fn          \
	}

static const struct read_route reads[] = {
	READ_ROUTE(PROTO_STATE_READ, PROTO_STATE, state_read, read_state),
	READ_ROUTE(PROTO_TIMELINE_READ, PROTO_ROOM_PAGE, timeline_read, read_timeline),
	READ_ROUTE(PROTO_EVENTS_READ, PROTO_ROOM_RANGE, events_read, read_events),
	READ_ROUTE(PROTO_CMID_READ, PROTO_CMID, cmid_read, read_cmid),
	{.type = PROTO_ENTRIES_READ, .reply = PROTO_ENTRIES, .read = read_entries},
};

static const struct read_route *read_route_of(const struct proto_message *message)
{
	const struct read_route *route = reads;

	while (route->type != message->header.type) {
		route++;
	}
	return route;
}

/* Answer from a snapshot; the answer is encoded before that goes. */
static void serve(struct storaged *storaged, struct bus_request *request,
		  const struct proto_message *message, struct kv_txn *txn)
{
	const struct read_route *route = read_route_of(message);
	union {
		struct proto_state state;
		struct proto_room_page page;
		struct proto_room_range range;
		struct proto_cmid cmid;
		struct proto_entries entries;
	} reply = {0};
	int r = route->read(storaged, txn, message->body, &reply);

	if (r == 0) {
		bus_reply(request, route->reply, &reply);
	} else {
		if (r == PROTO_E_DAMAGED) {
			tell_damage(storaged, "read.damaged", message, 0);
		}
		refuse(request, r, NULL, 0);
	}
	page_reset(&storaged->page);
}

static int run_learn(struct commit_job *job, struct kv_txn *txn)
{
	struct task *task = (struct task *)job;
	int r = segment_learn(txn, task->slot, task->lac);

	return r == 0 ? advance_views(task, txn) : r;
}

static void end_learn(struct commit_job *job, int result)
{
	struct task *task = (struct task *)job;
	struct storaged *storaged = task->storaged;
	struct kv_txn *txn = NULL;

	if (result == 0 && task->behind && !storaged->stopping &&
	    bus_request_time_left_ms(task->request) > 0 &&
	    commit_submit(storaged->commit, job) == 0) {
		return;
	}
	if (result == 0) {
		result = kv_begin(store_kv(storaged->store), false, &txn);
	}
	if (result == 0) {
		serve(storaged, task->request, task->message, txn);
	} else {
		refuse(task->request, result, NULL, 0);
	}
	kv_abort(txn);
	free(task);
}

/* The views are behind what the reader knows: they move first. */
static void wait_for(struct storaged *storaged, struct bus_request *request,
		     const struct proto_message *message, unsigned int slot, uint64_t lac)
{
	struct task *task = task_new(storaged, request, message);

	if (task) {
		task->slot = slot;
		task->lac = lac;
		task->job.run = run_learn;
		task->job.done = end_learn;
		submit(storaged, task);
	}
}

static int must_wait(const struct proto_message *message, struct kv_txn *txn,
		     unsigned int *ret_slot, uint64_t *ret_lac, bool *ret_wait)
{
	const struct read_route *route = read_route_of(message);
	const char *body = message->body;
	int r;

	*ret_wait = false;
	if (!route->has_lac) {
		return 0;
	}
	*ret_slot = proto_id_slot((const struct proto_id *)(body + route->room_offset));
	*ret_lac = *(const uint64_t *)(body + route->lac_offset);
	r = view_reflects(txn, *ret_slot, *ret_lac);
	*ret_wait = r == PROTO_E_GAP;
	return *ret_wait ? 0 : r;
}

static void on_read(void *context, struct bus_request *request, const struct proto_message *message)
{
	struct storaged *storaged = context;
	struct kv_txn *txn = NULL;
	unsigned int slot = 0;
	uint64_t lac = 0;
	bool wait = false;
	int r;

	if (!is_meant(storaged, request, message)) {
		return;
	}
	r = kv_begin(store_kv(storaged->store), false, &txn);

	if (r == 0) {
		r = must_wait(message, txn, &slot, &lac, &wait);
	}
	if (r != 0) {
		refuse(request, r, NULL, 0);
	} else if (!wait) {
		serve(storaged, request, message, txn);
	}
	kv_abort(txn);
	if (r == 0 && wait) {
		wait_for(storaged, request, message, slot, lac);
	}
}

static const struct bus_route routes[] = {
	{PROTO_APPEND, on_write},	{PROTO_COPY, on_write},	       {PROTO_SEAL, on_write},
	{PROTO_RELEASE, on_write},	{PROTO_ENTRIES_READ, on_read}, {PROTO_STATE_READ, on_read},
	{PROTO_TIMELINE_READ, on_read}, {PROTO_EVENTS_READ, on_read},  {PROTO_CMID_READ, on_read},
};

/* --- life --- */

static void on_failed(void *context, int error)
{
	struct storaged *storaged = context;

	log_error("store.failed", LOG_ERRNO(error), LOG_TEXT("path", store_path(storaged->store)));
	store_set_doubtful(storaged->store, true);
	service_unready(storaged->service, "the disk failed: read-only until a restart");
}

static void on_reader_timer(uv_timer_t *timer)
{
	struct storaged *storaged = timer->data;
	int dead = kv_lmdb_check_readers(store_kv(storaged->store));

	if (dead > 0) {
		log_warn("store.dead_readers", LOG_NUMBER("count", dead));
	}
}

static void on_welcomed(void *context, const struct proto_node_welcome *welcome)
{
	struct storaged *storaged = context;

	(void)welcome;
	if (!commit_has_failed(storaged->commit)) {
		service_ready(storaged->service);
	}
}

static uint64_t probe_used_bytes(void *context)
{
	return kv_lmdb_used_bytes(store_kv(((struct storaged *)context)->store));
}

static int add_metrics(struct storaged *storaged)
{
	struct metrics *metrics = storaged->service->metrics;
	int r = metrics_counter(metrics, "districhat_storaged_entries_total", "Entries written.",
				NULL, &storaged->entries_written);

	if (r == 0) {
		r = metrics_counter(metrics, "districhat_storaged_entry_bytes_total",
				    "Bytes of entries written.", NULL, &storaged->bytes_written);
	}
	if (r == 0) {
		r = metrics_counter(metrics, "districhat_storaged_damaged_total",
				    "Requests that met a record which fails its checksum.", NULL,
				    &storaged->damages);
	}
	if (r == 0) {
		r = metrics_probe(metrics, "districhat_storaged_store_bytes",
				  "Bytes of the map in use.", NULL, probe_used_bytes, storaged);
	}
	return r;
}

static const char *store_error_text(int error)
{
	switch (error) {
	case STORE_E_HELD:
		return "another process uses the store; stop it first";
	case STORE_E_FORMAT:
		return "written by a version of storaged that this one does not understand";
	case STORE_E_DAMAGED:
		return "the identity of the store fails its checksum";
	default:
		return strerror(-error);
	}
}

static int open_store(struct storaged *storaged)
{
	const struct storaged_settings *settings = storaged->settings;
	int r = store_open(settings->data, settings->map_bytes, &storaged->store);

	if (r != 0) {
		log_error("store.not_opened", LOG_TEXT("path", settings->data),
			  LOG_TEXT("why", store_error_text(r)));
		return r == STORE_E_HELD ? -EBUSY : r > 0 ? -EINVAL : r;
	}
	return 0;
}

/* A store whose last commit failed serves nobody before it was looked through. */
static int clear_doubt(struct storaged *storaged)
{
	int r;

	if (!store_is_doubtful(storaged->store)) {
		return 0;
	}
	log_warn("store.scrub", LOG_TEXT("why", "its last commit failed"));
	r = check_store(storaged->store, storaged->settings->map_bytes, stderr);
	if (r != 0) {
		log_error("store.damaged", LOG_TEXT("path", store_path(storaged->store)));
		return r < 0 ? r : -EIO;
	}
	store_set_doubtful(storaged->store, false);
	return 0;
}

static int rebuild(struct storaged *storaged)
{
	uint64_t entries = 0;
	int r;

	if (!storaged->settings->rebuild) {
		return 0;
	}
	r = scrub_rebuild(store_kv(storaged->store), &entries);
	log_info("views.rebuilt", LOG_NUMBER("entries", entries), LOG_NUMBER("result", r));
	return r > 0 ? -EIO : r;
}

/* The whole run of `--verify`. */
static int verify(struct storaged *storaged)
{
	int r = check_store(storaged->store, storaged->settings->map_bytes, stdout);

	(void)fflush(stdout);
	service_stopped(storaged->service);
	return r > 0 ? -EIO : r;
}

static int start_membership(struct storaged *storaged)
{
	static const struct membership_events events = {.welcomed = on_welcomed};
	const struct service_settings *settings = storaged->service->settings;
	struct membership_options options = {
		.registry = storaged->settings->registry,
		.hello =
			{
				.node = proto_span(settings->name),
				.service = PROTO_SERVICE_STORAGED,
				.incarnation = storaged->service->incarnation,
				.address = proto_span(bus_server_address(storaged->server)),
				.store = *store_id(storaged->store),
				.host = proto_span(settings->host),
				.zone = proto_span(settings->zone),
				.version = PROTO_SPAN(DISTRICHAT_VERSION),
			},
	};

	return membership_new(storaged->service->bus, storaged->service->loop, &options, &events,
			      storaged, &storaged->membership);
}

static int start_timer(struct storaged *storaged)
{
	int r = uv_timer_init(storaged->service->loop, &storaged->reader_timer);

	if (r == 0) {
		storaged->timer_open = true;
		storaged->reader_timer.data = storaged;
		r = uv_timer_start(&storaged->reader_timer, on_reader_timer,
				   STORAGED_READER_CHECK_MS, STORAGED_READER_CHECK_MS);
	}
	return r;
}

static int start_parts(struct storaged *storaged)
{
	const struct storaged_settings *settings = storaged->settings;
	struct commit_options options = {
		.jobs_max = settings->queue_jobs,
		.bytes_max = settings->queue_bytes,
		.failed = on_failed,
		.context = storaged,
	};
	int r = add_metrics(storaged);

	if (r == 0) {
		r = commit_new(storaged->service->loop, store_kv(storaged->store),
			       storaged->service->metrics, &options, &storaged->commit);
	}
	if (r == 0) {
		r = start_timer(storaged);
	}
	if (r == 0) {
		r = bus_server_new(storaged->service->bus, settings->bind, routes,
				   sizeof(routes) / sizeof(routes[0]), storaged, &storaged->server);
	}
	return r == 0 ? start_membership(storaged) : r;
}

static int storaged_start(struct service *service, const void *settings, void **ret_daemon)
{
	struct storaged *storaged = calloc(1, sizeof(*storaged));
	int r;

	if (!storaged) {
		return -ENOMEM;
	}
	*ret_daemon = storaged;
	storaged->service = service;
	storaged->settings = settings;
	r = open_store(storaged);
	if (r == 0) {
		r = rebuild(storaged);
	}
	if (r == 0 && storaged->settings->verify) {
		return verify(storaged);
	}
	if (r == 0 &&
	    (storaged->settings->bind[0] == '\0' || storaged->settings->registry[0] == '\0')) {
		log_error("settings.missing",
			  LOG_TEXT("why", "bind and registry are needed to serve"));
		r = -EINVAL;
	}
	if (r == 0) {
		r = clear_doubt(storaged);
	}
	if (r == 0) {
		r = start_parts(storaged);
	}
	if (r == 0) {
		log_info("store.open", LOG_ID("store", store_id(storaged->store)),
			 LOG_TEXT("address", bus_server_address(storaged->server)),
			 LOG_NUMBER("used_bytes", kv_lmdb_used_bytes(store_kv(storaged->store))));
	}
	return r;
}

static void on_left(void *context)
{
	service_stopped(((struct storaged *)context)->service);
}

static void on_drained(void *context)
{
	struct storaged *storaged = context;

	membership_leave(storaged->membership, on_left, storaged);
}

/* What was taken is written and answered; nothing more is taken. */
static void storaged_stop(void *daemon)
{
	struct storaged *storaged = daemon;

	storaged->stopping = true;
	commit_drain(storaged->commit, on_drained, storaged);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void storaged_free(void *daemon)
{
	struct storaged *storaged = daemon;

	if (!storaged) {
		return;
	}
	membership_free(storaged->membership);
	bus_server_free(storaged->server);
	commit_free(storaged->commit);
	page_reset(&storaged->page);
	store_close(storaged->store);
	if (storaged->timer_open) {
		uv_close((uv_handle_t *)&storaged->reader_timer, on_closed);
	} else {
		free(storaged);
	}
}

static const struct config_field fields[] = {
	SERVICE_FIELDS(struct storaged_settings),
	{"data", CONFIG_TEXT, offsetof(struct storaged_settings, data), NULL, 1, 4000, "DIR",
	 "folder of the store; made if it is not there"},
	{"bind", CONFIG_TEXT, offsetof(struct storaged_settings, bind), "", 0,
	 PROTO_ADDRESS_BYTES_MAX, "ENDPOINT",
	 "where requests are served; needed unless the store is only verified"},
	{"registry", CONFIG_TEXT, offsetof(struct storaged_settings, registry), "", 0,
	 PROTO_ADDRESS_BYTES_MAX, "ENDPOINT",
	 "where the registry serves; needed unless the store is only verified"},
	{"map-bytes", CONFIG_BYTES, offsetof(struct storaged_settings, map_bytes), "64G", 1 << 20,
	 1ULL << 46, "SIZE",
	 "largest size of the store: address space, not disk, until it is used"},
	{"queue-requests", CONFIG_NUMBER, offsetof(struct storaged_settings, queue_jobs), "16384",
	 1, 1 << 20, "N", "requests that may wait for the disk; more are refused as busy"},
	{"queue-bytes", CONFIG_BYTES, offsetof(struct storaged_settings, queue_bytes), "64M",
	 1 << 16, 1ULL << 32, "SIZE", "bytes of entries that may wait for the disk"},
	{"verify", CONFIG_BOOL, offsetof(struct storaged_settings, verify), "false", 0, 0, NULL,
	 "check the whole store, print what is damaged, and end: status 0 if it is sound, else 1"},
	{"rebuild", CONFIG_BOOL, offsetof(struct storaged_settings, rebuild), "false", 0, 0, NULL,
	 "drop the views at the start and make them anew from the log"},
};

const struct service_spec storaged_spec = {
	.config =
		{
			.program = "storaged",
			.summary = "keeps the messages of DistriChat",
			.fields = fields,
			.field_count = sizeof(fields) / sizeof(fields[0]),
		},
	.settings_size = sizeof(struct storaged_settings),
	.start = storaged_start,
	.stop = storaged_stop,
	.free = storaged_free,
};
