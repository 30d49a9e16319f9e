/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Spans of a decoded message live as long as its frame, and a frame pins its whole receive buffer;
 * what is kept is therefore copied, structure and texts in one allocation.
 */

#include "roomd/event.h"

#include <sodium.h>
#include <stdlib.h>

size_t event_bytes(const struct proto_event *event)
{
	return sizeof(*event) + event->name.size + event->text.size + event->emoji.size +
	       event->label.size + event->topic.size;
}

static void move_span(struct proto_span *span, char **memory)
{
	if (span->size > 0) {
		memcpy(*memory, span->data, span->size);
		span->data = *memory;
		*memory += span->size;
	}
}

struct proto_event *event_copy(const struct proto_event *event)
{
	struct proto_event *copy = malloc(event_bytes(event));
	char *memory;

	if (!copy) {
		return NULL;
	}
	*copy = *event;
	memory = (char *)(copy + 1);
	move_span(&copy->name, &memory);
	move_span(&copy->text, &memory);
	move_span(&copy->emoji, &memory);
	move_span(&copy->label, &memory);
	move_span(&copy->topic, &memory);
	return copy;
}

static void hash_text(crypto_generichash_state *state, struct proto_span text)
{
	uint64_t size = text.size;

	crypto_generichash_update(state, (const uint8_t *)&size, sizeof(size));
	if (text.size > 0) {
		crypto_generichash_update(state, (const uint8_t *)text.data, text.size);
	}
}

struct event_content event_content(const struct proto_event *event)
{
	uint64_t numbers[] = {
		event->kind,
		event->kind == PROTO_EVENT_KIND_SETTING ? 0 : event->target,
		event->remove,
		event->role,
	};
	struct event_content content;
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(content.bytes));
	crypto_generichash_update(&state, (const uint8_t *)numbers, sizeof(numbers));
	crypto_generichash_update(&state, event->subject.bytes, sizeof(event->subject.bytes));
	hash_text(&state, event->text);
	hash_text(&state, event->emoji);
	crypto_generichash_final(&state, content.bytes, sizeof(content.bytes));
	return content;
}

bool event_content_equal(const struct event_content *a, const struct event_content *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool event_is_state(enum proto_event_kind kind)
{
	return kind == PROTO_EVENT_KIND_MEMBER || kind == PROTO_EVENT_KIND_SETTING ||
	       kind == PROTO_EVENT_KIND_JOINED || kind == PROTO_EVENT_KIND_READ;
}

/* Bytes of the space or invisible character that the text begins with; 0: something to see. */
static size_t blank_at(const uint8_t *bytes, size_t size)
{
	static const struct {
		uint8_t from[3];
		uint8_t to[3];
	} wide[] = {
		{{0xe2, 0x80, 0x80},
		 {0xe2, 0x80, 0x8f}}, /* U+2000 to U+200F: spaces, zero width, marks */
		{{0xe2, 0x80, 0xa8},
		 {0xe2, 0x80, 0xaf}}, /* U+2028 to U+202F: separators, directions */
		{{0xe2, 0x81, 0x9f}, {0xe2, 0x81, 0xaf}}, /* U+205F to U+206F */
		{{0xe3, 0x80, 0x80}, {0xe3, 0x80, 0x80}}, /* ideographic space */
		{{0xef, 0xbb, 0xbf}, {0xef, 0xbb, 0xbf}}, /* byte order mark */
	};

	if (bytes[0] <= 0x20 || bytes[0] == 0x7f) {
		return 1;
	}
	if (size >= 2 && bytes[0] == 0xc2 && (bytes[1] <= 0xa0 || bytes[1] == 0xad)) {
		return 2; /* C1 controls, no-break space, soft hyphen */
	}
	for (size_t i = 0; size >= 3 && i < sizeof(wide) / sizeof(wide[0]); i++) {
		if (memcmp(bytes, wide[i].from, 3) >= 0 && memcmp(bytes, wide[i].to, 3) <= 0) {
			return 3;
		}
	}
	return 0;
}

bool event_text_is_blank(struct proto_span text)
{
	size_t at = 0;

	while (at < text.size) {
		size_t size = blank_at((const uint8_t *)text.data + at, text.size - at);

		if (size == 0) {
			return false;
		}
		at += size;
	}
	return true;
}
