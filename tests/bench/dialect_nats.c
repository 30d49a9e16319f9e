/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See dialect_nats.h. A reader subscribes to one subject. PING after the first words is answered
 * once the server has taken them. Core NATS confirms nothing, so nothing is asked for (verbose
 * off), as its own clients do.
 */

#include "tests/bench/dialect_nats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/websocket.h"

#define CONNECT                                                                        \
	"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"lang\":\"c\"," \
	"\"version\":\"1\",\"protocol\":1}\r\n"

static size_t greet(const struct load_seat *seat, char *to)
{
	int size = seat->reads ? snprintf(to, LOAD_FRAME_BYTES_MAX, CONNECT "SUB %s 1\r\nPING\r\n",
					  seat->room)
			       : snprintf(to, LOAD_FRAME_BYTES_MAX, CONNECT "PING\r\n");

	return (size_t)size;
}

static size_t compose(const struct load_seat *seat, const char *text, size_t size, char *to,
		      size_t *ret_text_at)
{
	char head[128];
	size_t head_size = (size_t)snprintf(head, sizeof(head), "PUB %s %zu\r\n", seat->room, size);
	size_t at = websocket_header(to, WEBSOCKET_BINARY, head_size + size + 2);

	memcpy(to + at, head, head_size);
	at += head_size;
	memcpy(to + at, text, size);
	memcpy(to + at + size, "\r\n", 2);
	*ret_text_at = at;
	return at + size + 2;
}

/* MSG subject sid size */
static size_t parse_message(const char *line, size_t line_size, size_t size,
			    struct load_incoming *ret_incoming)
{
	const char *last = memrchr(line, ' ', line_size);
	size_t payload = last ? strtoul(last, NULL, 10) : 0;

	if (size < line_size + payload + 2) {
		return 0;
	}
	ret_incoming->kind = LOAD_TEXT;
	ret_incoming->text = line + line_size;
	ret_incoming->size = payload;
	return line_size + payload + 2;
}

static size_t parse(const char *data, size_t size, struct load_incoming *ret_incoming)
{
	const char *end = memchr(data, '\n', size);
	size_t line_size;

	if (!end) {
		return 0;
	}
	line_size = (size_t)(end - data) + 1;
	*ret_incoming = (struct load_incoming){.kind = LOAD_IGNORED};
	if (data[0] == 'M') {
		return parse_message(data, line_size, size, ret_incoming);
	}
	if (memcmp(data, "PONG", 4) == 0) {
		ret_incoming->kind = LOAD_READY;
	} else if (memcmp(data, "PING", 4) == 0) {
		ret_incoming->kind = LOAD_PING;
	} else if (data[0] == '-') {
		ret_incoming->kind = LOAD_FAILED;
		ret_incoming->text = data;
		ret_incoming->size = line_size - 2;
	}
	return line_size;
}

const struct load_dialect dialect_nats = {
	.name = "nats",
	.websocket = true,
	.path = "/",
	.binary = true,
	.stream = true,
	.greet = greet,
	.compose = compose,
	.parse = parse,
	.pong = "PONG\r\n",
};
