/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What processes have used, from /proc. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_LIST_MAX 64U

struct process_list {
	size_t count;
	pid_t pids[PROCESS_LIST_MAX];
};

/* "12,345": 0, or -EINVAL. An empty text is an empty list. */
int process_list_parse(const char *text, struct process_list *ret_list);
/* CPU time of all threads that live now, in nanoseconds. 0, or -errno. */
int process_cpu_ns(pid_t pid, uint64_t *ret_ns);
int process_list_cpu_ns(const struct process_list *list, uint64_t *ret_ns);
/* Memory of its own, shared pages in their share (PSS), in bytes. 0, or -errno. */
int process_memory_bytes(pid_t pid, uint64_t *ret_bytes);
int process_list_memory_bytes(const struct process_list *list, uint64_t *ret_bytes);
