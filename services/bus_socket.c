/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * ZeroMQ sockets: where they may be, their options, and frames.
 *
 * Keys. A bus that has a key pair serves TCP by CURVE alone; the addresses that it tells others end
 * in its public key, and where it connects it knows the server by that. ipc and loopback sockets
 * without keys are for whoever the machine lets open them.
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

static bool is_tcp(const char *endpoint)
{
	return starts_with(endpoint, TCP_SCHEME);
}

/* "127.0.0.1" of "tcp://127.0.0.1:7000"; empty if there is none, or it is too long. */
static void read_host(const char *endpoint, char ret_host[static INET6_ADDRSTRLEN])
{
	const char *host = endpoint + strlen(TCP_SCHEME);
	const char *colon = strrchr(host, ':');
	size_t size = colon ? (size_t)(colon - host) : 0;

	ret_host[0] = '\0';
	if (size > 0 && size < INET6_ADDRSTRLEN) {
		memcpy(ret_host, host, size);
		ret_host[size] = '\0';
	}
}

/* 127.0.0.0/8 or [::1] as literals: a name could be resolved to anything. */
static bool is_loopback(const char *endpoint)
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr ip;

	read_host(endpoint, host);
	return strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &ip) == 1 && (ntohl(ip.s_addr) >> 24) == 127);
}

/* All addresses of the machine: nothing that others can be told to connect to. */
static bool is_wildcard(const char *endpoint)
{
	char host[INET6_ADDRSTRLEN];

	read_host(endpoint, host);
	return strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0;
}

static bool names_file(const char *endpoint)
{
	return starts_with(endpoint, IPC_SCHEME) && strcmp(endpoint, IPC_SCHEME "*") != 0;
}

static int read_endpoint(struct proto_span text, char ret_endpoint[static BUS_ENDPOINT_BYTES])
{
	if (text.size == 0 || text.size >= BUS_ENDPOINT_BYTES) {
		return text.size == 0 ? -EINVAL : -ENAMETOOLONG;
	}
	memcpy(ret_endpoint, text.data, text.size);
	ret_endpoint[text.size] = '\0';
	return 0;
}

/* The part before `by`; `rest` is what follows it, or NULL. */
static struct proto_span cut(const char *text, char by, const char **ret_rest)
{
	const char *end = strchr(text, by);

	*ret_rest = end ? end + 1 : NULL;
	return (struct proto_span){text, end ? (size_t)(end - text) : strlen(text)};
}

static int parse_binds(const char *address, struct bus_place *place)
{
	const char *rest = address;
	int r = 0;

	while (rest && r == 0) {
		struct proto_span part = cut(rest, ',', &rest);

		if (place->count == BUS_BINDS_MAX || memchr(part.data, '#', part.size)) {
			return -EINVAL;
		}
		r = read_endpoint(part, place->endpoints[place->count++]);
	}
	return r;
}

static int parse_target(const char *address, struct bus_place *place)
{
	const char *rest;
	int r = read_endpoint(cut(address, '#', &rest), place->endpoints[0]);

	place->count = 1;
	while (rest && r == 0) {
		struct proto_span part = cut(rest, ',', &rest);

		if (place->key_count == BUS_SERVER_KEYS_MAX ||
		    !key_parse(part, &place->keys[place->key_count++])) {
			return -EINVAL;
		}
	}
	return r;
}

/* Why an endpoint is refused, or NULL. */
static const char *find_fault(const struct bus *bus, const struct bus_place *place, bool binds,
			      const char *endpoint)
{
	bool has_key = place->key_count > 0;

	if (!is_tcp(endpoint)) {
		if (has_key) {
			return "keys belong to tcp:// addresses";
		}
		if (starts_with(endpoint, IPC_SCHEME) && endpoint[strlen(IPC_SCHEME)] == '@') {
			return "abstract ipc:// names have no permissions";
		}
		return starts_with(endpoint, IPC_SCHEME) || starts_with(endpoint, INPROC_SCHEME)
			       ? NULL
			       : "only ipc:// and tcp:// addresses are served";
	}
	if (binds) {
		if (is_wildcard(endpoint)) {
			return "others are told this address: bind one that they can connect to";
		}
		return bus->pair || is_loopback(endpoint)
			       ? NULL
			       : "without keys only ipc:// and loopback tcp:// addresses are safe; "
				 "set key-file";
	}
	if (has_key) {
		return bus->pair ? NULL : "this node has no key to show there; set key-file";
	}
	return is_loopback(endpoint)
		       ? NULL
		       : "without the server's key only ipc:// and loopback tcp:// addresses are "
			 "safe";
}

int bus_place_parse(const struct bus *bus, const char *address, bool binds,
		    struct bus_place *ret_place)
{
	struct bus_place place = {0};
	int r = binds ? parse_binds(address, &place) : parse_target(address, &place);
	const char *fault = r == -EINVAL ? "this is no address" : NULL;

	for (size_t i = 0; i < place.count && r == 0; i++) {
		fault = find_fault(bus, &place, binds, place.endpoints[i]);
		r = fault ? -EPERM : 0;
	}
	if (fault) {
		log_error("bus.address_refused", LOG_TEXT("address", address),
			  LOG_TEXT("why", fault));
	}
	if (r == 0) {
		*ret_place = place;
	}
	return r;
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
	/* ZAP: asked by libzmq's own threads, for as many handshakes as there are at a time. */
	{ZMQ_REP, true, BUS_ZAP_FRAME_BYTES_MAX, {{ZMQ_SNDHWM, 0}, {ZMQ_RCVHWM, 0}}},
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

static int set_up(void *zmq, const struct kind *kind)
{
	int r = set_options(zmq, common_options,
			    sizeof(common_options) / sizeof(common_options[0]));

	if (r == 0) {
		r = set_options(zmq, kind->options, OPTIONS_MAX);
	}
	if (r == 0 && zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &kind->frame_bytes_max,
				     sizeof(kind->frame_bytes_max)) < 0) {
		r = -errno;
	}
	return r;
}

static int set_key(void *zmq, int name, const struct key *key)
{
	return zmq_setsockopt(zmq, name, key->bytes, sizeof(key->bytes)) == 0 ? 0 : -errno;
}

static int set_own_secret(void *zmq, const struct key_pair *pair)
{
	int r = set_key(zmq, ZMQ_CURVE_SECRETKEY, key_pair_open(pair));

	key_pair_close(pair);
	return r;
}

/* What is bound from now on takes CURVE alone, and asks our ZAP handler. */
static int set_curve_server(struct bus_socket *socket, struct bus *bus, void *zmq)
{
	const struct option server = {ZMQ_CURVE_SERVER, 1};
	const struct option verbose = {ZMQ_XPUB_VERBOSE, 1}; /* tell every subscriber's key */
	char domain[BUS_ZAP_DOMAIN_BYTES];
	int type = 0;
	size_t size = sizeof(type);
	int r;

	socket->zap_number = ++bus->last_zap;
	(void)snprintf(domain, sizeof(domain), "%" PRIu64, socket->zap_number);
	r = set_options(zmq, &server, 1);
	if (r == 0 && zmq_getsockopt(zmq, ZMQ_TYPE, &type, &size) == 0 && type == ZMQ_XPUB) {
		r = set_options(zmq, &verbose, 1);
	}
	if (r == 0 && zmq_setsockopt(zmq, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) < 0) {
		r = -errno;
	}
	return r == 0 ? set_own_secret(zmq, bus->pair) : r;
}

static int set_curve_client(struct bus *bus, void *zmq, const struct key *server)
{
	int r = set_key(zmq, ZMQ_CURVE_SERVERKEY, server);

	if (r == 0) {
		r = set_key(zmq, ZMQ_CURVE_PUBLICKEY, key_pair_public(bus->pair));
	}
	return r == 0 ? set_own_secret(zmq, bus->pair) : r;
}

/* IPv6 only where it is asked for: with it libzmq names 127.0.0.1 as [::ffff:127.0.0.1]. */
static int set_family(void *zmq, const char *endpoint)
{
	const struct option ipv6 = {ZMQ_IPV6, starts_with(endpoint, TCP_SCHEME "[")};

	return set_options(zmq, &ipv6, 1);
}

static int bind_one(void *zmq, const char *endpoint)
{
	int r = set_family(zmq, endpoint);

	if (r == 0 && names_file(endpoint)) {
		return bind_ipc(zmq, endpoint);
	}
	if (r == 0 && zmq_bind(zmq, endpoint) < 0) {
		r = -errno;
	}
	return r;
}

/* The endpoint as bound last, with the real port. */
static int read_bound(void *zmq, char ret_endpoint[static BUS_ENDPOINT_BYTES])
{
	size_t size = BUS_ENDPOINT_BYTES;

	return zmq_getsockopt(zmq, ZMQ_LAST_ENDPOINT, ret_endpoint, &size) == 0 ? 0 : -errno;
}

/* The key follows the endpoint, as in every address that others are told. */
static void name_with_key(const char *endpoint, const struct key_pair *pair,
			  char ret_address[static BUS_ADDRESS_BYTES])
{
	char key[KEY_TEXT_BYTES];

	key_format(key_pair_public(pair), key);
	(void)snprintf(ret_address, BUS_ADDRESS_BYTES, "%s#%s", endpoint, key);
}

/*
 * Options are those of the moment of a bind: endpoints without keys come first. What a place was
 * bound as stays in it, so that it can be bound again.
 */
static int bind_all(struct bus_socket *socket, struct bus *bus, void *zmq, struct bus_place *place)
{
	bool needs_key = false;
	int r = 0;

	for (size_t i = 0; i < place->count && r == 0; i++) {
		char *endpoint = place->endpoints[i];

		if (is_tcp(endpoint) && bus->pair) {
			needs_key = true;
			continue;
		}
		r = bind_one(zmq, endpoint);
		r = r ? r : read_bound(zmq, endpoint);
		if (r == 0 && place->local[0] == '\0') {
			strcpy(place->local, endpoint);
		}
	}
	if (r == 0 && needs_key) {
		r = set_curve_server(socket, bus, zmq);
	}
	for (size_t i = 0; i < place->count && r == 0 && needs_key; i++) {
		char *endpoint = place->endpoints[i];

		if (is_tcp(endpoint)) {
			r = bind_one(zmq, endpoint);
			r = r ? r : read_bound(zmq, endpoint);
			name_with_key(endpoint, bus->pair, place->shared);
		}
	}
	if (r == 0 && !needs_key) {
		strcpy(place->shared, place->local);
	}
	return r;
}

static int dial(struct bus *bus, void *zmq, const struct bus_place *place)
{
	int r = set_family(zmq, place->endpoints[0]);

	if (r == 0 && place->key_count > 0) {
		r = set_curve_client(bus, zmq, &place->keys[place->turn]);
	}
	if (r == 0 && zmq_connect(zmq, place->endpoints[0]) < 0) {
		r = -errno;
	}
	return r;
}

int bus_socket_dial_again(struct bus_socket *socket, const struct bus_place *place)
{
	(void)zmq_disconnect(socket->zmq, place->endpoints[0]); /* libzmq may have given up */
	bus_touch(socket);
	return dial(socket->bus, socket->zmq, place);
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

#define CLIENT_EVENTS \
	(ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | BUS_EVENTS_HANDSHAKE_FAILED)
#define SERVER_EVENTS (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED)

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
static int monitor_new(struct bus *bus, void *zmq, bool binds, void **ret_pair)
{
	int events = binds ? SERVER_EVENTS : CLIENT_EVENTS;
	const struct option unlimited = {ZMQ_RCVHWM, 0};
	char address[64];
	void *pair;
	int r;

	(void)snprintf(address, sizeof(address), INPROC_SCHEME "monitor-%" PRIu64,
		       ++bus->last_monitor);
	if (zmq_socket_monitor(zmq, address, events) < 0) {
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
		 const struct kind *kind, struct bus_place *place)
{
	void *pair = NULL;
	int r = set_up(zmq, kind);

	if (r == 0 && monitor) {
		r = monitor_new(bus, zmq, kind->binds, &pair);
	}
	if (r == 0) {
		r = kind->binds ? bind_all(socket, bus, zmq, place) : dial(bus, zmq, place);
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

static int check_files(const struct bus_place *place)
{
	int r = 0;

	for (size_t i = 0; i < place->count && r == 0; i++) {
		if (names_file(place->endpoints[i])) {
			r = check_ipc_path(place->endpoints[i] + strlen(IPC_SCHEME));
		}
	}
	return r;
}

int bus_socket_open(struct bus_socket *socket, struct bus_socket *monitor, struct bus *bus,
		    int type, const char *address, struct bus_place *place)
{
	const struct kind *kind = find_kind(type);
	void *zmq;
	int r = bus_place_parse(bus, address, kind->binds, place);

	if (r == 0 && kind->binds) {
		r = check_files(place);
	}
	if (r < 0) {
		return r;
	}
	zmq = zmq_socket(bus->context, type);
	if (!zmq) {
		return -errno;
	}
	r = start(socket, monitor, bus, zmq, kind, place);
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
