/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The records of all slots, as they are in the store, and what may replace them. Pure.
 *
 * The table checks what a record may become, so that a confused roomd cannot damage it: versions
 * and epochs grow, only the last segment is unsealed, segments follow each other without gap. Who
 * wins a race is decided by the store's compare-and-swap; safety against old owners lies with the
 * epochs at storaged.
 */

#include "proto/proto.h"

struct slot_table;

int slot_table_new(struct slot_table **ret_table);
void slot_table_free(struct slot_table *table);

/*
 * The slot's record; version 0 and no more where there never was one. Valid until it is replaced.
 */
const struct proto_slot_record *slot_table_get(const struct slot_table *table, unsigned int slot);
/* Its encoded size. */
size_t slot_table_bytes(const struct slot_table *table, unsigned int slot);

/*
 * May `next` (with the version that it replaces) take the place of the record? Returns 0,
 * PROTO_E_VERSION_CONFLICT or PROTO_E_BAD_VALUE. The caller has checked that the owner is who it
 * says.
 */
int slot_table_check(const struct slot_table *table, const struct proto_slot_record *next);
/*
 * Encode `next` with version + 1 into `out`, as the store keeps it. Returns 0, -ENOMEM or
 * -EMSGSIZE.
 */
int slot_table_encode(const struct proto_slot_record *next, struct proto_buffer *out);
/* The store has it: take it. Returns 0, PROTO_E_… for bytes that are no record, or -ENOMEM. */
int slot_table_put(struct slot_table *table, const void *bytes, size_t size);
