/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What both codecs share: fields of C structs, keys of maps, faults, and the memory of a message.
 */

#include "proto/proto.h"

/* --- fields of a struct --- */

/* Any list: they differ in the type of their items alone. */
struct proto_list {
	void *items;
	size_t count;
};

static inline const void *proto_field_of(const struct proto_field *field, const void *body)
{
	return (const char *)body + field->offset;
}

/* Enums of C are ints here; all of ours are declared with small positive numbers. */
static inline unsigned int proto_field_enum(const void *value)
{
	unsigned int number;

	memcpy(&number, value, sizeof(number));
	return number;
}

/* False for what a MAY field leaves out. */
bool proto_field_is_set(const struct proto_field *field, const void *value);
/* 0, or as proto_encode(): -EMSGSIZE, -EINVAL. Not the items of a list. */
int proto_field_check(const struct proto_field *field, const void *value);
/* NULL if the number is none of the enum's. */
const struct proto_enum_value *proto_enum_value_of(const struct proto_enum_info *info,
						   unsigned int number);
const struct proto_enum_value *proto_enum_value_find(const struct proto_enum_info *info,
						     struct proto_span name);
/* A struct of the record's size with nothing set. */
const void *proto_body_absent(void);

/* --- keys of a map --- */

#define PROTO_NOT_A_FIELD SIZE_MAX

/*
 * Index of the field that `key` names, or PROTO_NOT_A_FIELD. Looks at `*next` first, and leaves
 * there where to look next time: keys in the order of the table cost one comparison each.
 */
size_t proto_key_find(const struct proto_record *record, const char *key, size_t size,
		      size_t *next);
/* The first required field that `seen` (a bit for each field) lacks, or NULL. */
const struct proto_field *proto_record_missing(const struct proto_record *record, uint64_t seen);

/* --- faults --- */

/* Fills `fault` if there is one; returns `error`. */
int proto_fault_set(struct proto_fault *fault, enum proto_code error, struct proto_span name,
		    const char *what);

/* --- memory of a message --- */

/*
 * A decoder runs twice over its input: first with `base` NULL, when taking only counts, then into
 * memory of exactly that size. So refused input allocates nothing, and a message is one allocation.
 */
struct proto_memory {
	char *base; /* zeroed */
	size_t used;
};

/* Room for `size` bytes, aligned for any struct; NULL while counting. */
static inline void *proto_memory_take(struct proto_memory *memory, size_t size)
{
	void *taken = memory->base ? memory->base + memory->used : NULL;

	memory->used += (size + 7) & ~(size_t)7;
	return taken;
}
