/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * An ordered map from bytes to bytes whose versions are values: a copy costs nothing, and a change
 * leaves all copies as they were. Snapshots of a simulated disk, and what is left of it after a
 * crash, are copies.
 *
 * A treap (Seidel and Aragon 1996) with shared nodes. Priorities follow from the keys, so that the
 * same contents have the same shape whatever their history: a run does not depend on addresses.
 *
 * Keys sort as memcmp() does, a shorter one before what it begins. Memory that is out ends the
 * process: a simulation has nobody to tell.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node;

struct tree {
	struct tree_node *root; /* NULL: empty */
	size_t count;
	size_t bytes; /* of keys and values */
};

struct tree_row {
	const void *key; /* NULL: there is none */
	size_t key_size;
	const void *value; /* never NULL, even if it is empty */
	size_t value_size;
};

void tree_clear(struct tree *tree);
/* `to` is empty, or cleared by it. */
void tree_copy(struct tree *to, const struct tree *from);

/* What is handed out is valid until this tree, and every copy that shares the row, is changed. */
struct tree_row tree_get(const struct tree *tree, const void *key, size_t key_size);
/* The first row with a key that is not less, or greater. */
struct tree_row tree_from(const struct tree *tree, const void *key, size_t key_size);
struct tree_row tree_after(const struct tree *tree, const void *key, size_t key_size);
/* The last row with a lesser key. */
struct tree_row tree_before(const struct tree *tree, const void *key, size_t key_size);
struct tree_row tree_last(const struct tree *tree);

/* Makes the row, or replaces it; its value, to be filled at once, is returned. */
void *tree_put(struct tree *tree, const void *key, size_t key_size, size_t value_size);
/* Returns whether it was there. */
bool tree_delete(struct tree *tree, const void *key, size_t key_size);
