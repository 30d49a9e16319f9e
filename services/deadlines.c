/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The heap of deadlines.h. Every node knows its place, so that a call that is answered leaves at
 * once.
 */

#include "services/deadlines.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

void deadlines_deinit(struct deadlines *deadlines)
{
	free(deadlines->heap);
	*deadlines = (struct deadlines){0};
}

static void put(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
	deadlines->heap[place] = deadline;
	deadline->place = place;
}

static void sift_up(struct deadlines *deadlines, struct deadline *deadline)
{
	size_t place = deadline->place;

	while (place > 1 && deadlines->heap[place / 2]->due_ms > deadline->due_ms) {
		put(deadlines, place, deadlines->heap[place / 2]);
		place /= 2;
	}
	put(deadlines, place, deadline);
}

static void sift_down(struct deadlines *deadlines, struct deadline *deadline)
{
	size_t place = deadline->place;

	while (2 * place <= deadlines->count) {
		size_t child = 2 * place;

		if (child < deadlines->count &&
		    deadlines->heap[child + 1]->due_ms < deadlines->heap[child]->due_ms) {
			child++;
		}
		if (deadlines->heap[child]->due_ms >= deadline->due_ms) {
			break;
		}
		put(deadlines, place, deadlines->heap[child]);
		place = child;
	}
	put(deadlines, place, deadline);
}

static int grow(struct deadlines *deadlines)
{
	size_t capacity = deadlines->capacity ? 2 * deadlines->capacity : CAPACITY_MIN;
	struct deadline **heap;

	if (deadlines->count + 1 < deadlines->capacity) {
		return 0;
	}
	heap = reallocarray(deadlines->heap, capacity, sizeof(*heap));
	if (!heap) {
		return -ENOMEM;
	}
	deadlines->heap = heap;
	deadlines->capacity = capacity;
	return 0;
}

int deadlines_set(struct deadlines *deadlines, struct deadline *deadline, uint64_t due_ms)
{
	if (deadline->place == 0) {
		int r = grow(deadlines);

		if (r < 0) {
			return r;
		}
		put(deadlines, ++deadlines->count, deadline);
	}
	deadline->due_ms = due_ms;
	sift_up(deadlines, deadline);
	sift_down(deadlines, deadline);
	return 0;
}

void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline)
{
	size_t place = deadline->place;
	struct deadline *last;

	if (place == 0) {
		return;
	}
	deadline->place = 0;
	last = deadlines->heap[deadlines->count--];
	if (last != deadline) {
		put(deadlines, place, last);
		sift_up(deadlines, last);
		sift_down(deadlines, last);
	}
}

struct deadline *deadlines_first(const struct deadlines *deadlines)
{
	return deadlines->count > 0 ? deadlines->heap[1] : NULL;
}
