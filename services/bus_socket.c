/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * ZeroMQ sockets: where they may be, their options, and frames.
 *
 * Every limit is set before bind or connect, because libzmq applies options to connections made
 * later.
 * An ipc socket is made with mode 0600: who may open the file may do everything on the bus. libzmq
 * unlinks whatever stands at an ipc path before it binds, be it the socket of a running daemon or
 * somebody's file; so we look first. It leaves the file behind when it closes, which the next bind
 * finds to be nobody's.
 */

#include "services/bus_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "services/log.h"

#define IPC_SCHEME "ipc://"
#define TCP_SCHEME "tcp://"
#define INPROC_SCHEME "inproc://"

/* --- addresses --- */

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* 127.0.0.0/8 or [::1] as literals: a name could be resolved to anything. */
static bool is_loopback(const char *host_port)
{
	const char *colon = strrchr(host_port, ':');
	size_t size = colon ? (size_t)(colon - host_port) : 0;
	char host[INET_ADDRSTRLEN];
	struct in_addr ip;

	if (size == strlen("[::1]") && starts_with(host_port, "[::1]")) {
		return true;
	}
	if (size == 0 || size >= sizeof(host)) {
		return false;
	}
	memcpy(host, host_port, size);
	host[size] = '\0';
	return inet_pton(AF_INET, host, &ip) == 1 && (ntohl(ip.s_addr) >> 24) == 127;
}

static bool is_allowed(const char *address)
{
	if (starts_with(address, TCP_SCHEME)) {
		return is_loopback(address + strlen(TCP_SCHEME));
	}
	if (starts_with(address, IPC_SCHEME)) {
		return address[strlen(IPC_SCHEME)] != '@'; /* abstract names have no permissions */
	}
	return starts_with(address, INPROC_SCHEME); /* never leaves the process */
}

static bool names_file(const char *address)
{
	return starts_with(address, IPC_SCHEME) && strcmp(address, IPC_SCHEME "*") != 0;
}

static int check_address(const char *address)
{
	if (is_allowed(address)) {
		return 0;
	}
	log_error(
		"bus.address_refused", LOG_TEXT("address", address),
		LOG_TEXT("why", "without keys only ipc:// and loopback tcp:// addresses are safe"));
	return -EPERM;
}

static bool is_listening(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool listening;

	if (fd < 0) {
		return true; /* cannot tell: leave it alone */
	}
	listening = connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 ||
		    errno != ECONNREFUSED;
	(void)close(fd);
	return listening;
}

/* May libzmq unlink what stands at the path? */
static int check_ipc_path(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct stat status;

	if (strlen(path) >= sizeof(name.sun_path)) {
		return -ENAMETOOLONG;
	}
	strcpy(name.sun_path, path);
	if (lstat(path, &status) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(status.st_mode)) {
		return -EEXIST;
	}
	return is_listening(&name) ? -EADDRINUSE : 0;
}

static int bind_ipc(void *zmq, const char *address)
{
	mode_t mask = umask(0177); /* of the process: bind makes the file at once, on this thread */
	int r = zmq_bind(zmq, address) == 0 ? 0 : -errno;

	(void)umask(mask);
	return r;
}

/* --- options --- */

struct option {
	int name;
	int value;
};

#define OPTIONS_MAX 8
#define OPTION_NONE 0 /* ZMQ_AFFINITY is 4, the least */

static const struct option common_options[] = {
	{ZMQ_LINGER, BUS_LINGER_MS},
	{ZMQ_HANDSHAKE_IVL, BUS_HANDSHAKE_MS},
	{ZMQ_HEARTBEAT_IVL, BUS_HEARTBEAT_MS},
	{ZMQ_HEARTBEAT_TIMEOUT, BUS_HEARTBEAT_TIMEOUT_MS},
	{ZMQ_HEARTBEAT_TTL, BUS_HEARTBEAT_TIMEOUT_MS},
	{ZMQ_RECONNECT_IVL, BUS_RECONNECT_MS},
	{ZMQ_RECONNECT_IVL_MAX, BUS_RECONNECT_MAX_MS},
};

/* By the kind of socket. */
static const struct kind {
	int type;
	bool binds;
	int64_t frame_bytes_max;
	struct option options[OPTIONS_MAX];
} kinds[] = {
	{ZMQ_ROUTER,
	 true,
	 PROTO_FRAME_BYTES_MAX,
	 {{ZMQ_SNDHWM, BUS_SEND_HWM}, {ZMQ_RCVHWM, BUS_RECEIVE_HWM}, {ZMQ_ROUTER_MANDATORY, 1}}},
	/*
	 * As many answers as there are calls: the server never has to wait for a link that is busy
	 * sending.
	 */
	{ZMQ_DEALER,
	 false,
	 PROTO_FRAME_BYTES_MAX,
	 {{ZMQ_SNDHWM, BUS_SEND_HWM}, {ZMQ_RCVHWM, BUS_CALLS_MAX}, {ZMQ_IMMEDIATE, 1}}},
	/* XPUB_NODROP stays off: one full subscriber would stop all. */
	{ZMQ_XPUB,
	 true,
	 BUS_SUBSCRIPTION_BYTES_MAX,
	 {{ZMQ_SNDHWM, BUS_PUBLISH_HWM}, {ZMQ_RCVHWM, BUS_RECEIVE_HWM}}},
	/* SNDHWM 0: after a reconnect all subscriptions are sent again, however many. */
	{ZMQ_XSUB, false, PROTO_FRAME_BYTES_MAX, {{ZMQ_SNDHWM, 0}, {ZMQ_RCVHWM, BUS_PUBLISH_HWM}}},
};

static const struct kind *find_kind(int type)
{
	size_t i = 0;

	while (kinds[i].type != type) {
		i++;
	}
	return &kinds[i];
}

static int set_options(void *zmq, const struct option *options, size_t count)
{
	for (size_t i = 0; i < count && options[i].name != OPTION_NONE; i++) {
		if (zmq_setsockopt(zmq, options[i].name, &options[i].value,
				   sizeof(options[i].value)) < 0) {
			return -errno;
		}
	}
	return 0;
}

/* IPv6 only where it is asked for: with it libzmq names 127.0.0.1 as [::ffff:127.0.0.1]. */
static int set_up(void *zmq, const struct kind *kind, const char *address)
{
	const struct option ipv6 = {ZMQ_IPV6, starts_with(address, TCP_SCHEME "[")};
	int r = set_options(zmq, common_options,
			    sizeof(common_options) / sizeof(common_options[0]));

	if (r == 0) {
		r = set_options(zmq, &ipv6, 1);
	}
	if (r == 0) {
		r = set_options(zmq, kind->options, OPTIONS_MAX);
	}
	if (r == 0 && zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &kind->frame_bytes_max,
				     sizeof(kind->frame_bytes_max)) < 0) {
		r = -errno;
	}
	return r;
}

static int attach(void *zmq, const struct kind *kind, const char *address)
{
	if (!kind->binds) {
		return zmq_connect(zmq, address) == 0 ? 0 : -errno;
	}
	if (names_file(address)) {
		return bind_ipc(zmq, address);
	}
	return zmq_bind(zmq, address) == 0 ? 0 : -errno;
}

/* --- life --- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status; /* if the descriptor has gone bad, the next call on the socket tells */
	(void)events;
	bus_touch(poll->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct bus_socket *socket = handle->data;
	struct bus *bus = socket->bus;

	socket->closed(socket);
	bus_unref(bus);
}

/* Put a socket on the loop. */
static int adopt(struct bus_socket *socket, struct bus *bus, void *zmq)
{
	int fd = -1;
	size_t size = sizeof(fd);
	int r;

	if (zmq_getsockopt(zmq, ZMQ_FD, &fd, &size) < 0) {
		return -errno;
	}
	r = uv_poll_init(bus->loop, &socket->poll, fd);
	if (r < 0) {
		return r;
	}
	socket->bus = bus;
	socket->zmq = zmq;
	socket->poll.data = socket;
	bus->refs++;
	(void)uv_poll_start(&socket->poll, UV_READABLE,
			    on_poll); /* fails for closed handles alone */
	bus_touch(socket);
	return 0;
}

#define MONITOR_EVENTS (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED)

/*
 * libzmq's own thread tells events by a send that waits: into a PAIR that is full, or that nobody
 * reads any more, it would wait for ever, and all sockets with it. So the PAIR has no high-water
 * mark, and is closed only after the watched socket has let go of its end.
 */
static void stop_monitor(void *zmq)
{
	(void)zmq_socket_monitor(zmq, NULL, 0);
}

/* A PAIR on which the events of `zmq` come. */
static int monitor_new(struct bus *bus, void *zmq, void **ret_pair)
{
	const struct option unlimited = {ZMQ_RCVHWM, 0};
	char address[64];
	void *pair;
	int r;

	(void)snprintf(address, sizeof(address), INPROC_SCHEME "monitor-%" PRIu64,
		       ++bus->last_monitor);
	if (zmq_socket_monitor(zmq, address, MONITOR_EVENTS) < 0) {
		return -errno;
	}
	pair = zmq_socket(bus->context, ZMQ_PAIR);
	if (!pair) {
		return -errno;
	}
	r = set_options(pair, &unlimited, 1);
	if (r == 0 && zmq_connect(pair, address) < 0) {
		r = -errno;
	}
	if (r < 0) {
		stop_monitor(zmq);
		(void)zmq_close(pair);
		return r;
	}
	*ret_pair = pair;
	return 0;
}

static void disown(struct bus_socket *socket)
{
	bus_untouch(socket);
	uv_close((uv_handle_t *)&socket->poll,
		 on_poll_closed); /* takes the descriptor off at once */
	(void)zmq_close(socket->zmq);
	socket->zmq = NULL;
}

void bus_socket_close(struct bus_socket *socket, struct bus_socket *monitor)
{
	if (socket->zmq && monitor) {
		stop_monitor(socket->zmq);
	}
	if (monitor && monitor->zmq) {
		disown(monitor);
	}
	if (socket->zmq) {
		disown(socket);
	}
}

/* Attach and put on the loop; the monitor first, so that it misses nothing. */
static int start(struct bus_socket *socket, struct bus_socket *monitor, struct bus *bus, void *zmq,
		 const struct kind *kind, const char *address)
{
	void *pair = NULL;
	int r = set_up(zmq, kind, address);

	if (r == 0 && monitor) {
		r = monitor_new(bus, zmq, &pair);
	}
	if (r == 0) {
		r = attach(zmq, kind, address);
	}
	if (r == 0 && pair) {
		r = adopt(monitor, bus, pair);
		pair = r == 0 ? NULL : pair;
	}
	if (r == 0) {
		r = adopt(socket, bus, zmq);
	}
	if (r < 0 && monitor) {
		stop_monitor(zmq);
	}
	if (pair) {
		(void)zmq_close(pair);
	}
	return r;
}

int bus_socket_open(struct bus_socket *socket, struct bus_socket *monitor, struct bus *bus,
		    int type, const char *address)
{
	const struct kind *kind = find_kind(type);
	void *zmq;
	int r = check_address(address);

	if (r == 0 && kind->binds && names_file(address)) {
		r = check_ipc_path(address + strlen(IPC_SCHEME));
	}
	if (r < 0) {
		return r;
	}
	zmq = zmq_socket(bus->context, type);
	if (!zmq) {
		return -errno;
	}
	r = start(socket, monitor, bus, zmq, kind, address);
	if (r < 0) {
		if (monitor && monitor->zmq) {
			disown(monitor);
		}
		(void)zmq_close(zmq);
	}
	return r;
}

int bus_socket_events(struct bus_socket *socket)
{
	int events = 0;
	size_t size = sizeof(events);

	return zmq_getsockopt(socket->zmq, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

int bus_socket_address(struct bus_socket *socket, char ret_address[static BUS_ENDPOINT_BYTES])
{
	size_t size = BUS_ENDPOINT_BYTES;

	return zmq_getsockopt(socket->zmq, ZMQ_LAST_ENDPOINT, ret_address, &size) == 0 ? 0 : -errno;
}

/* --- frames --- */

int bus_frame_receive(struct bus_socket *socket, zmq_msg_t *ret_frame)
{
	(void)zmq_msg_init(ret_frame);
	while (zmq_msg_recv(ret_frame, socket->zmq, ZMQ_DONTWAIT) < 0) {
		if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

void bus_frames_skip(struct bus_socket *socket)
{
	zmq_msg_t frame;
	bool more = true;

	while (more && bus_frame_receive(socket, &frame) == 0) {
		more = zmq_msg_more(&frame);
		(void)zmq_msg_close(&frame);
	}
}

static void free_bytes(void *data, void *hint)
{
	(void)hint;
	free(data); /* on libzmq's thread */
}

/*
 * Large frames go without a copy; for small ones a copy is cheaper than growing a new buffer each
 * time.
 */
static int hand_over(struct proto_buffer *bytes, zmq_msg_t *ret_frame)
{
	size_t size;
	char *data = proto_buffer_take(bytes, &size);

	if (zmq_msg_init_data(ret_frame, data, size, free_bytes, NULL) < 0) {
		free(data);
		return -ENOMEM;
	}
	return 0;
}

int bus_frame_encode(struct bus *bus, zmq_msg_t *ret_frame, const struct proto_header *header,
		     const void *body)
{
	struct proto_buffer *bytes = &bus->scratch;
	int r;

	proto_buffer_reset(bytes);
	r = proto_encode(bytes, header, body);
	if (r < 0) {
		return r;
	}
	if (bytes->size >= BUS_HAND_OVER_BYTES) {
		return hand_over(bytes, ret_frame);
	}
	if (zmq_msg_init_size(ret_frame, bytes->size) < 0) {
		return -ENOMEM;
	}
	memcpy(zmq_msg_data(ret_frame), bytes->data, bytes->size);
	return 0;
}

/* --- monitors --- */

bool bus_monitor_read(struct bus_socket *monitor, unsigned int *ret_event, int *ret_value)
{
	uint16_t event = 0;
	uint32_t value = 0;
	zmq_msg_t frame;

	if (!monitor->zmq || bus_frame_receive(monitor, &frame) < 0) {
		return false;
	}
	if (zmq_msg_size(&frame) >= sizeof(event) + sizeof(value)) {
		memcpy(&event, zmq_msg_data(&frame), sizeof(event));
		memcpy(&value, (const char *)zmq_msg_data(&frame) + sizeof(event), sizeof(value));
	}
	if (zmq_msg_more(&frame)) {
		bus_frames_skip(monitor); /* the address */
	}
	(void)zmq_msg_close(&frame);
	*ret_event = event;
	*ret_value = (int)value;
	return true;
}
