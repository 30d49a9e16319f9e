/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See check.h. */

#include "storaged/check.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storaged/kv_lmdb.h"
#include "storaged/scrub.h"

static void remove_scratch(const char *path)
{
	static const char *const names[] = {"data.mdb", "lock.mdb"};
	char file[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (snprintf(file, sizeof(file), "%s/%s", path, names[i]) < PATH_MAX) {
			(void)unlink(file);
		}
	}
	(void)rmdir(path);
}

static void tell(void *context, const char *line)
{
	fprintf(context, "%s\n", line);
}

static int conclude(const struct scrub_result *result, FILE *out)
{
	if (result->log_damages + result->view_damages == 0) {
		fprintf(out, "ok: %" PRIu64 " entries, %" PRIu64 " rooms\n", result->entries,
			result->rooms);
		return 0;
	}
	fprintf(out,
		"damaged: %" PRIu64 " records of the log, %" PRIu64 " of the views, among %" PRIu64
		" entries\n",
		result->log_damages, result->view_damages, result->entries);
	fprintf(out, "%s\n",
		result->log_damages == 0
			? "the log is sound: start once with --rebuild to make the views anew"
			: "fill this store again from the others, or put back a backup");
	return PROTO_E_DAMAGED;
}

int check_store(struct store *store, uint64_t map_bytes, FILE *out)
{
	struct scrub_result result = {0};
	struct kv *scratch = NULL;
	char path[PATH_MAX];
	int r = 0;

	if (snprintf(path, sizeof(path), "%s/scrub", store_path(store)) >= PATH_MAX) {
		return -ENAMETOOLONG;
	}
	remove_scratch(path);
	if (mkdir(path, 0700) != 0) {
		return -errno;
	}
	r = kv_lmdb_new(path, map_bytes, &scratch);
	if (r == 0) {
		r = scrub_verify(store_kv(store), scratch, tell, out, &result);
	}
	kv_lmdb_free(scratch);
	remove_scratch(path);
	return r == 0 ? conclude(&result, out) : r;
}
