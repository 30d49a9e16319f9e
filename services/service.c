/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The skeleton, in the order of a daemon's life:
 *
 *   STARTING ──start()──▶ RUNNING ──signal, service_fail()──▶ STOPPING ──service_stopped(),
 *   timeout──▶ ended
 *
 * A second signal while stopping ends the process at once.
 */

#include "services/service.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "services/clock.h"
#include "services/ops.h"

enum service_phase {
	SERVICE_STARTING,
	SERVICE_RUNNING,
	SERVICE_STOPPING,
	SERVICE_ENDED,
};

struct skeleton {
	struct service service;
	const struct service_spec *spec;
	struct service_settings *settings;
	void *daemon;
	uv_loop_t loop;
	uv_signal_t signals[2];
	uv_timer_t stop_timer;
	struct ops *ops;
	enum service_phase phase;
	bool failed;
	bool ready;
	uint64_t started_ms;
};

static struct skeleton *skeleton_of(struct service *service)
{
	return (struct skeleton *)service; /* its first member */
}

/* --- settings --- */

static bool parse_level(const char *text, enum log_level *ret_level)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static const char *host_name(void)
{
	static char name[PROTO_NAME_BYTES_MAX + 1];

	if (gethostname(name, sizeof(name)) != 0) {
		return "unknown";
	}
	name[sizeof(name) - 1] = '\0';
	return name;
}

static const char *node_name(const char *program, const char *host)
{
	static char name[PROTO_NAME_BYTES_MAX + 1];

	(void)snprintf(name, sizeof(name), "%s-%.*s", program,
		       (int)(sizeof(name) - strlen(program) - 2), host);
	return name;
}

static int apply_settings(struct skeleton *skeleton)
{
	struct service_settings *settings = skeleton->settings;
	enum log_level level;

	if (!parse_level(settings->log_level, &level)) {
		fprintf(stderr,
			"%s: setting log-level: \"%s\": wanted debug, info, warn or error\n",
			skeleton->spec->config.program, settings->log_level);
		return -EINVAL;
	}
	if (settings->host[0] == '\0') {
		settings->host = host_name();
	}
	if (settings->name[0] == '\0') {
		settings->name = node_name(skeleton->spec->config.program, settings->host);
	}
	log_init(skeleton->spec->config.program, settings->name, level);
	return 0;
}

/*
 * As many file descriptors as the system lets us have: sockets are what a chat server is made of.
 */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* --- stopping --- */

static void end(struct skeleton *skeleton)
{
	if (skeleton->phase != SERVICE_ENDED) {
		skeleton->phase = SERVICE_ENDED;
		uv_stop(&skeleton->loop);
	}
}

static void on_stop_timeout(uv_timer_t *timer)
{
	struct skeleton *skeleton = timer->data;

	log_warn("service.stop_timeout", LOG_NUMBER("after_ms", skeleton->settings->stop_ms));
	skeleton->failed = true;
	end(skeleton);
}

static void begin_stop(struct skeleton *skeleton)
{
	skeleton->phase = SERVICE_STOPPING;
	ops_set_unready(skeleton->ops, "stopping");
	(void)uv_timer_start(&skeleton->stop_timer, on_stop_timeout, skeleton->settings->stop_ms,
			     0);
	if (skeleton->daemon) {
		skeleton->spec->stop(skeleton->daemon);
	} else {
		end(skeleton);
	}
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct skeleton *skeleton = handle->data;

	log_info("service.signal", LOG_TEXT("signal", number == SIGTERM ? "TERM" : "INT"));
	if (skeleton->phase == SERVICE_RUNNING) {
		begin_stop(skeleton);
	} else {
		end(skeleton);
	}
}

/* --- what daemons call --- */

void service_ready(struct service *service)
{
	struct skeleton *skeleton = skeleton_of(service);

	if (skeleton->phase > SERVICE_RUNNING || skeleton->ready) {
		return;
	}
	skeleton->ready = true;
	ops_set_unready(skeleton->ops, NULL);
	log_info("ready", LOG_NUMBER("ops_port", ops_port(skeleton->ops)),
		 LOG_NUMBER("after_ms", clock_monotonic_ms() - skeleton->started_ms));
}

void service_unready(struct service *service, const char *why)
{
	struct skeleton *skeleton = skeleton_of(service);

	if (skeleton->phase > SERVICE_RUNNING) {
		return;
	}
	if (skeleton->ready) {
		log_warn("unready", LOG_TEXT("why", why));
	}
	skeleton->ready = false;
	ops_set_unready(skeleton->ops, why);
}

void service_stopped(struct service *service)
{
	end(skeleton_of(service));
}

void service_fail(struct service *service, const char *event, int error)
{
	struct skeleton *skeleton = skeleton_of(service);

	log_error(event, LOG_ERRNO(error));
	skeleton->failed = true;
	if (skeleton->phase == SERVICE_RUNNING) {
		begin_stop(skeleton);
	} else if (skeleton->phase == SERVICE_STARTING) {
		end(skeleton);
	}
}

/* --- helper threads --- */

struct offload {
	uv_work_t work;
	void (*run)(void *context);
	void (*done)(void *context);
	void *context;
};

static void on_work(uv_work_t *work)
{
	struct offload *offload = work->data;

	offload->run(offload->context);
}

static void on_worked(uv_work_t *work, int status)
{
	struct offload *offload = work->data;

	(void)status; /* never cancelled */
	offload->done(offload->context);
	free(offload);
}

int service_offload(uv_loop_t *loop, void (*work)(void *context), void (*done)(void *context),
		    void *context)
{
	struct offload *offload = calloc(1, sizeof(*offload));
	int r;

	if (!offload) {
		return -ENOMEM;
	}
	*offload = (struct offload){.run = work, .done = done, .context = context};
	offload->work.data = offload;
	r = uv_queue_work(loop, &offload->work, on_work, on_worked);
	if (r < 0) {
		free(offload);
	}
	return r;
}

/* --- numbers about the process --- */

static uint64_t probe_resident_bytes(void *context)
{
	size_t bytes = 0;

	(void)context;
	return uv_resident_set_memory(&bytes) == 0 ? bytes : 0;
}

static uint64_t probe_cpu_ms(void *context)
{
	struct rusage usage;

	(void)context;
	if (getrusage(RUSAGE_SELF, &usage) != 0) {
		return 0;
	}
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static int add_probes(struct metrics *metrics)
{
	int r = metrics_probe(metrics, "process_resident_memory_bytes",
			      "Memory that the process holds.", NULL, probe_resident_bytes, NULL);

	if (r == 0) {
		r = metrics_probe(metrics, "districhat_process_cpu_milliseconds",
				  "CPU time used since the start.", NULL, probe_cpu_ms, NULL);
	}
	return r;
}

/* --- life --- */

static int start_signals(struct skeleton *skeleton)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int r = uv_signal_init(&skeleton->loop, &skeleton->signals[i]);

		if (r < 0) {
			return r;
		}
		skeleton->signals[i].data = skeleton;
		r = uv_signal_start(&skeleton->signals[i], on_signal, numbers[i]);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int start_parts(struct skeleton *skeleton)
{
	struct service *service = &skeleton->service;
	int r = start_signals(skeleton);

	if (r < 0) {
		return r;
	}
	(void)uv_timer_init(&skeleton->loop, &skeleton->stop_timer);
	skeleton->stop_timer.data = skeleton;
	r = metrics_new(&service->metrics);
	if (r == 0) {
		r = add_probes(service->metrics);
	}
	if (r == 0) {
		r = ops_new(&skeleton->loop, skeleton->settings->ops, service->metrics,
			    &skeleton->ops);
		if (r < 0) {
			log_error("ops.not_bound", LOG_TEXT("address", skeleton->settings->ops),
				  LOG_ERRNO(r));
		}
	}
	if (r == 0) {
		r = bus_new(&skeleton->loop, service->metrics, &service->bus);
	}
	return r;
}

static int start(struct skeleton *skeleton)
{
	int r = start_parts(skeleton);

	if (r == 0) {
		log_info("service.start", LOG_TEXT("version", DISTRICHAT_VERSION),
			 LOG_NUMBER("pid", getpid()),
			 LOG_ID("incarnation", &skeleton->service.incarnation));
		r = skeleton->spec->start(&skeleton->service, skeleton->settings,
					  &skeleton->daemon);
	}
	if (r != 0) {
		log_error("service.start_failed", LOG_ERRNO(r));
	}
	return r;
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle)) {
		log_warn("service.handle_left",
			 LOG_TEXT("type", uv_handle_type_name(handle->type)));
		uv_close(handle, NULL);
	}
}

static void close_own_handle(uv_handle_t *handle)
{
	if (handle->loop && !uv_is_closing(handle)) {
		uv_close(handle, NULL);
	}
}

static void tear_down(struct skeleton *skeleton)
{
	bus_close(skeleton->service.bus); /* calls end while the daemon is there to be told */
	if (skeleton->daemon) {
		skeleton->spec->free(skeleton->daemon);
	}
	bus_free(skeleton->service.bus);
	ops_free(skeleton->ops);
	close_own_handle((uv_handle_t *)&skeleton->signals[0]);
	close_own_handle((uv_handle_t *)&skeleton->signals[1]);
	close_own_handle((uv_handle_t *)&skeleton->stop_timer);
	uv_walk(&skeleton->loop, close_handle, NULL);
	(void)uv_run(&skeleton->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&skeleton->loop);
	metrics_free(skeleton->service.metrics);
}

static int run(struct skeleton *skeleton)
{
	int r = uv_loop_init(&skeleton->loop);

	if (r < 0) {
		log_error("service.start_failed", LOG_ERRNO(r));
		return r;
	}
	raise_files();
	skeleton->started_ms = clock_monotonic_ms();
	skeleton->service.loop = &skeleton->loop;
	skeleton->service.settings = skeleton->settings;
	randombytes_buf(skeleton->service.incarnation.bytes, PROTO_ID_BYTES);
	r = start(skeleton);
	if (r == 0 && skeleton->phase == SERVICE_STARTING) {
		skeleton->phase = SERVICE_RUNNING;
		(void)uv_run(&skeleton->loop, UV_RUN_DEFAULT);
	}
	tear_down(skeleton);
	log_info("service.stop");
	return r != 0 || skeleton->failed ? -EIO : 0;
}

int service_main(const struct service_spec *spec, int argc, char **argv)
{
	struct skeleton skeleton = {.spec = spec};
	int status = 2;

	skeleton.settings = calloc(1, spec->settings_size);
	if (!skeleton.settings || sodium_init() < 0) {
		free(skeleton.settings);
		return 1;
	}
	switch (config_load(&spec->config, argc, argv, skeleton.settings)) {
	case CONFIG_DONE:
		status = 0;
		break;
	case CONFIG_WRONG:
		break;
	case CONFIG_RUN:
		if (apply_settings(&skeleton) == 0) {
			status = run(&skeleton) == 0 ? 0 : 1;
		}
		break;
	}
	free(skeleton.settings);
	return status;
}
