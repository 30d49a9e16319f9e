/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The parts of a load that load.c (the run) and load_connection.c (the sockets) share. */

#include "cli/account.h"
#include "cli/load.h"

#define LOAD_READ_BYTES (256U * 1024U) /* of one recv */
#define LOAD_INCOMING_BYTES_MAX (16U * 1024U * 1024U) /* of an incomplete message or frame */
#define LOAD_CONNECTING_MAX 64U /* handshakes on their way */

enum load_state {
	LOAD_IDLE,
	LOAD_CONNECTING,
	LOAD_UPGRADING,
	LOAD_GREETING,
	LOAD_OPEN,
	LOAD_CLOSED,
};

struct load_connection {
	int fd;
	enum load_state state;
	uint32_t serial;
	uint32_t room;
	struct account *accounts; /* of each sender of the room; NULL for a sender */
	struct load_sender *sender; /* NULL for a reader */
	/* What was read and not used: `plain` bytes without frames, then raw ones. */
	char *kept;
	size_t kept_size;
	size_t kept_capacity;
	size_t plain;
	uint64_t frame_left; /* of a stream: bytes of the frame that are still to come */
	char *out;
	size_t out_size;
	size_t out_capacity;
	bool wants_write;
	bool is_dirty;
};

/* Numbers 1 … done have reached all readers, done + 1 … sent are on their way. */
struct load_sender {
	struct load_connection *connection;
	uint32_t sent;
	uint32_t done;
	uint32_t settled; /* confirmed or refused */
	bool may_send; /* is in the list of those who may, flat out */
	uint32_t ring_mask;
	uint32_t *reached; /* a ring: how many readers a number has reached */
	uint64_t *due_ns; /* a ring: when it was due */
	char *message; /* composed */
	size_t message_size;
	size_t text_at;
};

struct load {
	const struct load_plan *plan;
	struct load_result *result;
	int epoll;
	char *space; /* what is being read */
	size_t space_size;
	struct load_connection *connections;
	uint32_t connection_count;
	uint32_t next_connection; /* to be connected */
	uint32_t connecting;
	uint32_t open;
	struct load_sender *senders; /* room by room */
	uint32_t sender_count;
	struct load_sender **may_send;
	uint32_t may_send_count;
	struct load_connection **dirty;
	uint32_t dirty_count;
	uint64_t now_ns; /* of the latest system call that waited or read */
	uint64_t mark_ns; /* the measured part began; UINT64_MAX: not yet */
	uint64_t start_ns; /* of the schedule */
	uint64_t due_count; /* messages taken from the schedule */
	uint32_t pending; /* senders that wait for deliveries or confirmations */
	bool failed;
};

uint64_t load_now_ns(void);
/* The first reason is kept. */
void load_say(struct load *load, const char *why, size_t size);
/* What came on an open connection. */
void load_take(struct load *load, struct load_connection *connection,
	       const struct load_incoming *incoming);

/* Begin to connect the next one. False: it cannot be. */
bool load_connection_start(struct load *load, struct load_connection *connection);
/* epoll said something. */
void load_connection_ready(struct load *load, struct load_connection *connection, uint32_t events);
/* Room for `size` bytes at the end of what is to be sent; NULL: no memory. */
char *load_connection_reserve(struct load *load, struct load_connection *connection, size_t size);
void load_connections_flush(struct load *load);
void load_connection_free(struct load_connection *connection);
