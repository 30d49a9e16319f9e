/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A ring of references; see outbox.h. It is allocated with the first frame and given back when it
 * has run empty after having grown, so that a connection where nothing happens costs nothing here.
 */

#include "gateway/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 8

void outbox_init(struct outbox *outbox, size_t bytes_max)
{
	*outbox = (struct outbox){.bytes_max = bytes_max};
}

static struct outbox_entry *entry_at(struct outbox *outbox, size_t i)
{
	return &outbox->entries[(outbox->head + i) & (outbox->capacity - 1)];
}

void outbox_deinit(struct outbox *outbox)
{
	for (size_t i = 0; i < outbox->count; i++) {
		frame_unref(entry_at(outbox, i)->frame);
	}
	frame_unref(outbox->held);
	free(outbox->entries);
	*outbox = (struct outbox){0};
}

static int grow(struct outbox *outbox)
{
	size_t capacity = outbox->capacity ? 2 * outbox->capacity : CAPACITY_FIRST;
	struct outbox_entry *entries = calloc(capacity, sizeof(*entries));

	if (!entries) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < outbox->count; i++) {
		entries[i] = *entry_at(outbox, i);
	}
	free(outbox->entries);
	outbox->entries = entries;
	outbox->capacity = capacity;
	outbox->head = 0;
	return 0;
}

static int append(struct outbox *outbox, struct frame *frame, void *tag, uint64_t seq)
{
	if (outbox->count == outbox->capacity && grow(outbox) != 0) {
		return -ENOMEM;
	}
	*entry_at(outbox, outbox->count) = (struct outbox_entry){frame_ref(frame), tag, seq};
	outbox->count++;
	outbox->bytes += frame->size;
	return 0;
}

bool outbox_fits(const struct outbox *outbox, const struct frame *frame)
{
	return outbox->count == 0 || outbox->bytes + frame->size <= outbox->bytes_max;
}

int outbox_push(struct outbox *outbox, struct frame *frame, void *tag, uint64_t seq)
{
	if (!outbox_fits(outbox, frame)) {
		return OUTBOX_E_FULL;
	}
	return append(outbox, frame, tag, seq);
}

int outbox_push_anyway(struct outbox *outbox, struct frame *frame)
{
	return append(outbox, frame, NULL, 0);
}

/* The reference passes to the caller. */
static struct frame *shift(struct outbox *outbox)
{
	struct frame *frame = entry_at(outbox, 0)->frame;

	outbox->head = (outbox->head + 1) & (outbox->capacity - 1);
	outbox->count--;
	outbox->bytes -= frame->size;
	return frame;
}

static void give_back(struct outbox *outbox)
{
	if (outbox->count == 0 && outbox->capacity > CAPACITY_FIRST) {
		free(outbox->entries);
		outbox->entries = NULL;
		outbox->capacity = 0;
		outbox->head = 0;
	}
}

size_t outbox_next(struct outbox *outbox, unsigned char *space, size_t space_bytes,
		   unsigned char **ret_bytes)
{
	size_t size = 0;

	frame_unref(outbox->held);
	outbox->held = NULL;
	if (outbox->count == 0) {
		return 0;
	}
	if (outbox->count == 1 || entry_at(outbox, 0)->frame->size > space_bytes) {
		outbox->held = shift(outbox);
		*ret_bytes = outbox->held->data;
		give_back(outbox);
		return outbox->held->size;
	}
	while (outbox->count > 0 && size + entry_at(outbox, 0)->frame->size <= space_bytes) {
		struct frame *frame = shift(outbox);

		memcpy(space + size, frame->data, frame->size);
		size += frame->size;
		frame_unref(frame);
	}
	give_back(outbox);
	*ret_bytes = space;
	return size;
}

/* Keeps the entries that `keep` wants, in order. */
static void filter(struct outbox *outbox,
		   bool (*keep)(const struct outbox_entry *entry, void *context), void *context)
{
	size_t kept = 0;

	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_entry entry = *entry_at(outbox, i);

		if (keep(&entry, context)) {
			*entry_at(outbox, kept++) = entry;
		} else {
			outbox->bytes -= entry.frame->size;
			frame_unref(entry.frame);
		}
	}
	outbox->count = kept;
}

struct shedding {
	void (*shed)(void *tag, uint64_t seq);
};

static bool keep_untagged(const struct outbox_entry *entry, void *context)
{
	const struct shedding *shedding = context;

	if (!entry->tag) {
		return true;
	}
	shedding->shed(entry->tag, entry->seq);
	return false;
}

void outbox_shed(struct outbox *outbox, void (*shed)(void *tag, uint64_t seq))
{
	struct shedding shedding = {shed};

	filter(outbox, keep_untagged, &shedding);
}

static bool keep_others(const struct outbox_entry *entry, void *context)
{
	return entry->tag != context;
}

void outbox_forget(struct outbox *outbox, const void *tag)
{
	filter(outbox, keep_others, (void *)tag);
}

void outbox_untag(struct outbox *outbox, const void *tag)
{
	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_entry *entry = entry_at(outbox, i);

		entry->tag = entry->tag == tag ? NULL : entry->tag;
	}
}
