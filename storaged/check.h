/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>
#include "storaged/store.h"

/*
 * `storaged --verify`, and the scrub of a doubtful store: lines of damage and a last line go to
 * `out`. Returns 0 if all is sound, PROTO_E_DAMAGED, or -errno. The views are made anew in the
 * folder `scrub` of the store, which is removed afterwards.
 */
int check_store(struct store *store, uint64_t map_bytes, FILE *out);
