/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The client's side of RFC 6455, as little as a load generator needs. It does not protect anybody:
 * frames are masked with the key 0, the handshake's key is not checked, text is not validated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_HEADER_BYTES_MAX 14U

enum websocket_opcode {
	WEBSOCKET_MORE = 0x0,
	WEBSOCKET_TEXT = 0x1,
	WEBSOCKET_BINARY = 0x2,
	WEBSOCKET_CLOSE = 0x8,
	WEBSOCKET_PING = 0x9,
	WEBSOCKET_PONG = 0xa,
};

struct websocket_frame {
	unsigned int opcode;
	bool final;
	size_t header_size;
	uint64_t size; /* of the payload, which follows the header */
};

/* The header of a server's frame; false: not all of it is there. */
bool websocket_parse(const char *data, size_t size, struct websocket_frame *ret_frame);
/* Writes the header of a client's frame and returns its size; the payload follows unchanged. */
size_t websocket_header(char *to, enum websocket_opcode opcode, size_t payload_size);
