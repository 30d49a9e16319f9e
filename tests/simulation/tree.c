/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A node is changed in place only by who holds the one reference to it; else it is copied first,
 * and with it all nodes above. Functions that change a subtree take a reference and return one.
 */

#include "tests/simulation/tree.h"

#include <stdlib.h>
#include <string.h>

/* Key, then value. Shared by the copies of a node. */
struct row {
	unsigned int refs;
	uint64_t priority;
	size_t key_size;
	size_t value_size;
	uint8_t bytes[];
};

struct tree_node {
	unsigned int refs;
	struct row *row;
	struct tree_node *left;
	struct tree_node *right;
};

static void *take(size_t size)
{
	void *memory = malloc(size);

	if (!memory) {
		abort();
	}
	return memory;
}

/* --- rows --- */

/* FNV-1a, then the finalizer of SplitMix64 (Steele and others 2014). */
static uint64_t priority_of(const uint8_t *key, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < size; i++) {
		hash = (hash ^ key[i]) * 0x100000001b3ULL;
	}
	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
	return hash ^ (hash >> 31);
}

static struct row *row_new(const void *key, size_t key_size, size_t value_size)
{
	struct row *row = take(sizeof(*row) + key_size + value_size + 1);

	row->refs = 1;
	row->key_size = key_size;
	row->value_size = value_size;
	if (key_size > 0) {
		memcpy(row->bytes, key, key_size);
	}
	row->priority = priority_of(row->bytes, key_size);
	return row;
}

static void row_unref(struct row *row)
{
	if (--row->refs == 0) {
		free(row);
	}
}

static int compare(const void *key, size_t key_size, const struct row *row)
{
	size_t size = key_size < row->key_size ? key_size : row->key_size;
	int order = size > 0 ? memcmp(key, row->bytes, size) : 0;

	return order != 0 ? order : (key_size > row->key_size) - (key_size < row->key_size);
}

static struct tree_row row_show(const struct tree_node *node)
{
	if (!node) {
		return (struct tree_row){0};
	}
	return (struct tree_row){node->row->bytes, node->row->key_size,
				 node->row->bytes + node->row->key_size, node->row->value_size};
}

/* --- nodes --- */

static struct tree_node *node_ref(struct tree_node *node)
{
	if (node) {
		node->refs++;
	}
	return node;
}

static void node_unref(struct tree_node *node)
{
	if (node && --node->refs == 0) {
		node_unref(node->left);
		node_unref(node->right);
		row_unref(node->row);
		free(node);
	}
}

/* The node, for one holder alone. */
static struct tree_node *node_own(struct tree_node *node)
{
	struct tree_node *copy;

	if (node->refs == 1) {
		return node;
	}
	copy = take(sizeof(*copy));
	*copy = (struct tree_node){1, node->row, node_ref(node->left), node_ref(node->right)};
	copy->row->refs++;
	node->refs--;
	return copy;
}

static bool is_above(const struct row *a, const struct row *b)
{
	return a->priority > b->priority;
}

/* All of `left` is less than all of `right`. */
static struct tree_node *join(struct tree_node *left, struct tree_node *right)
{
	struct tree_node *node;

	if (!left || !right) {
		return left ? left : right;
	}
	if (is_above(left->row, right->row)) {
		node = node_own(left);
		node->right = join(node->right, right);
	} else {
		node = node_own(right);
		node->left = join(left, node->left);
	}
	return node;
}

/* No row has this key. */
static void split(struct tree_node *node, const struct row *at, struct tree_node **ret_left,
		  struct tree_node **ret_right)
{
	if (!node) {
		*ret_left = NULL;
		*ret_right = NULL;
		return;
	}
	node = node_own(node);
	if (compare(at->bytes, at->key_size, node->row) < 0) {
		split(node->left, at, ret_left, &node->left);
		*ret_right = node;
	} else {
		split(node->right, at, &node->right, ret_right);
		*ret_left = node;
	}
}

static struct tree_node *insert(struct tree_node *node, struct row *row)
{
	struct tree_node *made;

	if (node && !is_above(row, node->row)) {
		node = node_own(node);
		if (compare(row->bytes, row->key_size, node->row) < 0) {
			node->left = insert(node->left, row);
		} else {
			node->right = insert(node->right, row);
		}
		return node;
	}
	made = take(sizeof(*made));
	*made = (struct tree_node){.refs = 1, .row = row};
	split(node, row, &made->left, &made->right);
	return made;
}

/* The key is there. */
static struct tree_node *take_out(struct tree_node *node, const void *key, size_t key_size)
{
	int order = compare(key, key_size, node->row);
	struct tree_node *rest;

	node = node_own(node);
	if (order < 0) {
		node->left = take_out(node->left, key, key_size);
		return node;
	}
	if (order > 0) {
		node->right = take_out(node->right, key, key_size);
		return node;
	}
	rest = join(node->left, node->right);
	node->left = NULL;
	node->right = NULL;
	node_unref(node);
	return rest;
}

/* --- trees --- */

void tree_clear(struct tree *tree)
{
	node_unref(tree->root);
	*tree = (struct tree){0};
}

void tree_copy(struct tree *to, const struct tree *from)
{
	struct tree copy = *from;

	(void)node_ref(copy.root);
	tree_clear(to);
	*to = copy;
}

struct tree_row tree_get(const struct tree *tree, const void *key, size_t key_size)
{
	const struct tree_node *node = tree->root;

	while (node) {
		int order = compare(key, key_size, node->row);

		if (order == 0) {
			break;
		}
		node = order < 0 ? node->left : node->right;
	}
	return row_show(node);
}

/* The first row that is not before the key, or, with `after`, that is behind it. */
static struct tree_row find_from(const struct tree *tree, const void *key, size_t key_size,
				 bool after)
{
	const struct tree_node *node = tree->root;
	const struct tree_node *best = NULL;

	while (node) {
		int order = compare(key, key_size, node->row);

		if (order < 0 || (order == 0 && !after)) {
			best = node;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return row_show(best);
}

struct tree_row tree_from(const struct tree *tree, const void *key, size_t key_size)
{
	return find_from(tree, key, key_size, false);
}

struct tree_row tree_after(const struct tree *tree, const void *key, size_t key_size)
{
	return find_from(tree, key, key_size, true);
}

struct tree_row tree_before(const struct tree *tree, const void *key, size_t key_size)
{
	const struct tree_node *node = tree->root;
	const struct tree_node *best = NULL;

	while (node) {
		if (compare(key, key_size, node->row) > 0) {
			best = node;
			node = node->right;
		} else {
			node = node->left;
		}
	}
	return row_show(best);
}

struct tree_row tree_last(const struct tree *tree)
{
	const struct tree_node *node = tree->root;

	while (node && node->right) {
		node = node->right;
	}
	return row_show(node);
}

void *tree_put(struct tree *tree, const void *key, size_t key_size, size_t value_size)
{
	struct row *row = row_new(key, key_size, value_size);

	(void)tree_delete(tree, key, key_size);
	tree->root = insert(tree->root, row);
	tree->count++;
	tree->bytes += key_size + value_size;
	return row->bytes + key_size;
}

bool tree_delete(struct tree *tree, const void *key, size_t key_size)
{
	struct tree_row row = tree_get(tree, key, key_size);

	if (!row.key) {
		return false;
	}
	tree->count--;
	tree->bytes -= row.key_size + row.value_size;
	tree->root = take_out(tree->root, key, key_size);
	return true;
}
