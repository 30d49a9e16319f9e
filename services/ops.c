/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See ops.h. */

#include "services/ops.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ops {
	struct MHD_Daemon *daemon;
	const struct metrics *metrics;
	const char *unready;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned int open_handles;
};

/* --- answers --- */

struct page {
	unsigned int status;
	const char *type;
	char *text; /* malloc'ed */
	size_t size;
};

static int page_text(struct page *page, unsigned int status, const char *text)
{
	page->status = status;
	page->type = "text/plain; charset=utf-8";
	page->text = strdup(text);
	page->size = strlen(text);
	return page->text ? 0 : -ENOMEM;
}

static int page_healthz(struct ops *ops, struct page *page)
{
	(void)ops;
	return page_text(page, MHD_HTTP_OK, "ok\n");
}

static int page_readyz(struct ops *ops, struct page *page)
{
	char text[128];

	if (!ops->unready) {
		return page_text(page, MHD_HTTP_OK, "ready\n");
	}
	(void)snprintf(text, sizeof(text), "not ready: %s\n", ops->unready);
	return page_text(page, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static int page_metrics(struct ops *ops, struct page *page)
{
	page->status = MHD_HTTP_OK;
	page->type = "text/plain; version=0.0.4; charset=utf-8";
	return metrics_write(ops->metrics, &page->text, &page->size);
}

static const struct {
	const char *path;
	int (*render)(struct ops *ops, struct page *page);
} pages[] = {
	{"/healthz", page_healthz},
	{"/readyz", page_readyz},
	{"/metrics", page_metrics},
};

static int render(struct ops *ops, const char *method, const char *path, struct page *page)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		return page_text(page, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(path, pages[i].path) == 0) {
			return pages[i].render(ops, page);
		}
	}
	return page_text(page, MHD_HTTP_NOT_FOUND, "/healthz, /readyz, /metrics\n");
}

/* libmicrohttpd calls once when the headers are there, and again when the request is complete. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
				  const char *path, const char *method, const char *version,
				  const char *upload, size_t *upload_size, void **state)
{
	static char seen;
	struct page page = {0};
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)version;
	(void)upload;
	if (*upload_size > 0) {
		return MHD_NO;
	}
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (render(context, method, path, &page) != 0) {
		free(page.text);
		return MHD_NO;
	}
	response = MHD_create_response_from_buffer(page.size, page.text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(page.text);
		return MHD_NO;
	}
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page.type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	result = MHD_queue_response(connection, page.status, response);
	MHD_destroy_response(response);
	return result;
}

/* --- on the loop --- */

static void on_timer(uv_timer_t *timer);

static void turn(struct ops *ops)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;

	(void)MHD_run(ops->daemon);
	if (MHD_get_timeout(ops->daemon, &wait_ms) == MHD_YES) {
		(void)uv_timer_start(&ops->timer, on_timer, wait_ms, 0);
	} else {
		(void)uv_timer_stop(&ops->timer);
	}
}

static void on_timer(uv_timer_t *timer)
{
	turn(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	turn(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
	struct ops *ops = handle->data;

	if (--ops->open_handles == 0) {
		MHD_stop_daemon(ops->daemon);
		free(ops);
	}
}

/* --- life --- */

static int parse_address(const char *address, struct sockaddr_storage *ret_address)
{
	const char *colon = strrchr(address, ':');
	char host[64];
	char *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	size_t length = colon ? (size_t)(colon - address) : 0;

	if (!colon || end == colon + 1 || *end != '\0' || port > 65535 || length == 0 ||
	    length >= sizeof(host)) {
		return -EINVAL;
	}
	memcpy(host, address, length);
	host[length] = '\0';
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		return uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)ret_address);
	}
	return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret_address);
}

static int start_daemon(struct ops *ops, const struct sockaddr_storage *address)
{
	unsigned int flags = MHD_USE_EPOLL;

	if (address->ss_family == AF_INET6) {
		flags |= MHD_USE_IPv6;
	}
	errno = 0;
	ops->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, ops, MHD_OPTION_SOCK_ADDR, address,
		MHD_OPTION_CONNECTION_LIMIT, OPS_CONNECTIONS_MAX,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, OPS_CONNECTIONS_PER_ADDRESS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, OPS_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)OPS_CONNECTION_BYTES_MAX, MHD_OPTION_END);
	if (!ops->daemon) {
		return errno ? -errno : -EADDRINUSE;
	}
	return 0;
}

static int watch(struct ops *ops, uv_loop_t *loop)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(ops->daemon,
							       MHD_DAEMON_INFO_EPOLL_FD);
	int r = uv_poll_init(loop, &ops->poll, info->epoll_fd);

	if (r < 0) {
		return r;
	}
	(void)uv_timer_init(loop, &ops->timer);
	ops->poll.data = ops;
	ops->timer.data = ops;
	ops->open_handles = 2;
	return uv_poll_start(&ops->poll, UV_READABLE, on_poll);
}

int ops_new(uv_loop_t *loop, const char *address, const struct metrics *metrics,
	    struct ops **ret_ops)
{
	struct sockaddr_storage bound = {0};
	struct ops *ops;
	int r = parse_address(address, &bound);

	if (r < 0) {
		return r;
	}
	ops = calloc(1, sizeof(*ops));
	if (!ops) {
		return -ENOMEM;
	}
	ops->metrics = metrics;
	ops->unready = "starting";
	r = start_daemon(ops, &bound);
	if (r == 0) {
		r = watch(ops, loop);
	}
	if (r < 0) {
		ops_free(ops);
		return r;
	}
	*ret_ops = ops;
	return 0;
}

void ops_free(struct ops *ops)
{
	if (!ops) {
		return;
	}
	if (ops->open_handles > 0) {
		uv_close((uv_handle_t *)&ops->poll, on_closed);
		uv_close((uv_handle_t *)&ops->timer, on_closed);
		return;
	}
	if (ops->daemon) {
		MHD_stop_daemon(ops->daemon);
	}
	free(ops);
}

unsigned int ops_port(const struct ops *ops)
{
	return MHD_get_daemon_info(ops->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void ops_set_unready(struct ops *ops, const char *why)
{
	ops->unready = why;
}
