/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Scrubbing: is every record what it was written as, is every log whole and chained, and do the
 * views say what the log says? And making the views anew from the log.
 */

#include "storaged/kv.h"

#define SCRUB_LINES_MAX 1000 /* of damage that are told; more are counted */
#define SCRUB_BATCH 10000 /* entries of one transaction */

struct scrub_result {
	uint64_t entries;
	uint64_t rooms;
	uint64_t log_damages; /* records of the log that are wrong or missing */
	uint64_t view_damages; /* the log is sound there, the views are not */
};

/*
 * Check all of `kv`; `scratch` is an empty kv for views made anew. `tell` gets one line, without
 * its end, for each damage. Returns 0, also if there is damage, or -errno.
 */
int scrub_verify(struct kv *kv, struct kv *scratch, void (*tell)(void *context, const char *line),
		 void *context, struct scrub_result *ret_result);

/*
 * Drop the views and make them from the log, in batches; may be broken off and done again. 0,
 * PROTO_E_DAMAGED, -errno.
 */
int scrub_rebuild(struct kv *kv, uint64_t *ret_entries);
