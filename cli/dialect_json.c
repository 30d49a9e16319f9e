/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See dialect_json.h. Nothing is decoded: our gateway writes keys in the order of the protocol's
 * tables and `text` as the last one of a message. A server that wrote otherwise would show up as
 * lost messages.
 *
 * Numbers start at NUMBER_BASE, so that all have as many digits.
 */

#include "cli/dialect_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include "cli/stamp.h"
#include "cli/websocket.h"

#define NUMBER_BASE 1000000000U
#define NUMBER_DIGITS 10
#define CLIENT_BYTES 16U
#define EVENT "{\"t\":\"event\","
#define SENT "{\"t\":\"room_sent\",\"i\":"
#define ERROR "{\"t\":\"error\","
#define GOODBYE "{\"t\":\"goodbye\","
#define OPENED "{\"t\":\"room_opened\","
#define OK "{\"t\":\"ok\","
#define TEXT "\"text\":\""
#define NUMBER "\"number\":"
#define REQUEST "\"i\":"

static size_t greet(const struct load_seat *seat, char *to)
{
	int size = seat->reads
			   ? snprintf(to, LOAD_FRAME_BYTES_MAX,
				      "{\"t\":\"room_open\",\"i\":1,\"room\":\"%s\"}", seat->room)
			   : snprintf(to, LOAD_FRAME_BYTES_MAX, "{\"t\":\"ping\",\"i\":1}");

	return (size_t)size;
}

static size_t compose(const struct load_seat *seat, const char *text, size_t size, char *to,
		      size_t *ret_text_at)
{
	unsigned char client[CLIENT_BYTES];
	char client_hex[2 * CLIENT_BYTES + 1];
	char head[512];
	size_t head_size;
	size_t at;

	randombytes_buf(client, sizeof(client));
	(void)sodium_bin2hex(client_hex, sizeof(client_hex), client, sizeof(client));
	head_size = (size_t)snprintf(head, sizeof(head),
				     "{\"t\":\"room_send\"," REQUEST "%u,\"room\":\"%s\","
				     "\"client\":\"%s\"," NUMBER "%u," TEXT,
				     NUMBER_BASE + 1, seat->room, client_hex, NUMBER_BASE + 1);
	at = websocket_header(to, WEBSOCKET_TEXT, head_size + size + 2);
	memcpy(to + at, head, head_size);
	at += head_size;
	memcpy(to + at, text, size);
	to[at + size] = '"';
	to[at + size + 1] = '}';
	*ret_text_at = at;
	return at + size + 2;
}

static void put_number(char *to, uint32_t number)
{
	number += NUMBER_BASE;
	for (int i = NUMBER_DIGITS - 1; i >= 0; i--) {
		to[i] = (char)('0' + number % 10);
		number /= 10;
	}
}

/* `…"number":N,"text":"` ends at `text_at`; `{"t":"room_send","i":N` is at the payload's start. */
static void renumber(char *message, size_t text_at, uint32_t number)
{
	static const char start[] = "{\"t\":\"room_send\"," REQUEST;
	size_t header = (unsigned char)message[1] == (0x80 | 126) ? 8 : 6;

	put_number(message + text_at - (sizeof(TEXT) - 1) - 1 - NUMBER_DIGITS, number);
	put_number(message + header + sizeof(start) - 1, number);
}

static bool starts_with(const char *data, size_t size, const char *start, size_t start_size)
{
	return size >= start_size && memcmp(data, start, start_size) == 0;
}

#define STARTS_WITH(data, size, text) starts_with((data), (size), (text), sizeof(text) - 1)

/* Where the text begins: as far from the end as it was the last time, or else searched. */
static const char *find_text(const char *data, size_t size)
{
	static size_t tail;
	const char *text;

	if (size > tail && tail > 0 && memcmp(data + size - tail, TEXT, sizeof(TEXT) - 1) == 0) {
		return data + size - tail + sizeof(TEXT) - 1;
	}
	text = memmem(data, size, TEXT, sizeof(TEXT) - 1);
	tail = text ? (size_t)(data + size - text) : 0;
	return text ? text + sizeof(TEXT) - 1 : NULL;
}

/* The text lies between `"text":"` and `"}`. */
static void parse_event(const char *data, size_t size, struct load_incoming *ret_incoming)
{
	const char *text = find_text(data, size);

	if (text) {
		ret_incoming->kind = LOAD_TEXT;
		ret_incoming->text = text;
		ret_incoming->size = (size_t)(data + size - 2 - text);
	}
}

static void parse_error(const char *data, size_t size, struct load_incoming *ret_incoming)
{
	const char *request = memmem(data, size, REQUEST, sizeof(REQUEST) - 1);
	unsigned long number = request ? strtoul(request + sizeof(REQUEST) - 1, NULL, 10) : 0;

	ret_incoming->kind = number > NUMBER_BASE ? LOAD_REFUSED : LOAD_FAILED;
	ret_incoming->number = (uint32_t)(number - NUMBER_BASE);
	ret_incoming->text = data;
	ret_incoming->size = size;
}

static size_t parse(const char *data, size_t size, struct load_incoming *ret_incoming)
{
	*ret_incoming = (struct load_incoming){.kind = LOAD_IGNORED};
	if (STARTS_WITH(data, size, EVENT)) {
		parse_event(data, size, ret_incoming);
	} else if (STARTS_WITH(data, size, SENT)) {
		ret_incoming->kind = LOAD_SENT;
		ret_incoming->number = (uint32_t)strtoul(data + sizeof(SENT) - 1, NULL, 10) -
				       NUMBER_BASE;
	} else if (STARTS_WITH(data, size, OPENED) || STARTS_WITH(data, size, OK)) {
		ret_incoming->kind = LOAD_READY;
	} else if (STARTS_WITH(data, size, ERROR)) {
		parse_error(data, size, ret_incoming);
	} else if (STARTS_WITH(data, size, GOODBYE)) {
		ret_incoming->kind = LOAD_FAILED;
		ret_incoming->text = data;
		ret_incoming->size = size;
	}
	return size;
}

const struct load_dialect dialect_json = {
	.name = "districhat.v1.json",
	.websocket = true,
	.path = "/ws",
	.protocol = "districhat.v1.json",
	.confirms = true,
	.greet = greet,
	.compose = compose,
	.renumber = renumber,
	.parse = parse,
};
