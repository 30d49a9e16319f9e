/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * See process.h. /proc/PID/task/TID/schedstat counts nanoseconds, where /proc/PID/stat counts ticks
 * of 10 ms.
 */

#include "cli/process.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "services/cleanup.h"

static void close_file(FILE **file)
{
	if (*file) {
		(void)fclose(*file);
	}
}

static void close_folder(DIR **folder)
{
	if (*folder) {
		(void)closedir(*folder);
	}
}

int process_list_parse(const char *text, struct process_list *ret_list)
{
	struct process_list list = {0};

	while (*text != '\0') {
		char *end = NULL;
		long pid = strtol(text, &end, 10);

		if (end == text || pid <= 0 || pid > INT32_MAX || list.count == PROCESS_LIST_MAX ||
		    (*end != '\0' && *end != ',')) {
			return -EINVAL;
		}
		list.pids[list.count++] = (pid_t)pid;
		text = *end == ',' ? end + 1 : end;
	}
	*ret_list = list;
	return 0;
}

static int read_thread(pid_t pid, const char *thread, uint64_t *ns)
{
	_cleanup_(close_file) FILE *file = NULL;
	char path[320];
	uint64_t ran;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, thread);
	file = fopen(path, "re");
	if (!file) {
		return errno == ENOENT ? 0 : -errno; /* the thread has ended */
	}
	if (fscanf(file, "%" SCNu64, &ran) != 1) {
		return -EIO;
	}
	*ns += ran;
	return 0;
}

int process_cpu_ns(pid_t pid, uint64_t *ret_ns)
{
	_cleanup_(close_folder) DIR *folder = NULL;
	const struct dirent *entry;
	uint64_t ns = 0;
	char path[64];
	int r = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	if (!folder) {
		return -errno;
	}
	while (r == 0 && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.') {
			r = read_thread(pid, entry->d_name, &ns);
		}
	}
	*ret_ns = ns;
	return r;
}

int process_memory_bytes(pid_t pid, uint64_t *ret_bytes)
{
	_cleanup_(close_file) FILE *file = NULL;
	char line[128];
	uint64_t kib;

	(void)snprintf(line, sizeof(line), "/proc/%d/smaps_rollup", pid);
	file = fopen(line, "re");
	if (!file) {
		return -errno;
	}
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Pss: %" SCNu64 " kB", &kib) == 1) {
			*ret_bytes = kib * 1024;
			return 0;
		}
	}
	return -EIO;
}

static int sum(const struct process_list *list, int (*read)(pid_t pid, uint64_t *ret_value),
	       uint64_t *ret_sum)
{
	uint64_t total = 0;
	uint64_t value = 0;

	for (size_t i = 0; i < list->count; i++) {
		int r = read(list->pids[i], &value);

		if (r != 0) {
			return r;
		}
		total += value;
	}
	*ret_sum = total;
	return 0;
}

int process_list_cpu_ns(const struct process_list *list, uint64_t *ret_ns)
{
	return sum(list, process_cpu_ns, ret_ns);
}

int process_list_memory_bytes(const struct process_list *list, uint64_t *ret_bytes)
{
	return sum(list, process_memory_bytes, ret_bytes);
}
