/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Structured logs: one logfmt line an event on standard error.
 *
 *   ts=2026-11-22T23:05:42.123Z level=info service=roomd node=roomd-1 event=slot.opened slot=17
 *   epoch=4
 *
 * `event` is a stable name, `noun.what_happened`; operators build alerts on it. Values are quoted
 * and escaped where logfmt needs it, so that nothing a peer sends can forge a line. One logger a
 * process; lines are written by the loop's thread alone. No message bodies, no secrets.
 */

#include <inttypes.h>
#include "proto/proto.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
};

enum log_kind {
	LOG_KIND_END,
	LOG_KIND_TEXT,
	LOG_KIND_SPAN,
	LOG_KIND_NUMBER,
	LOG_KIND_ID,
};

struct log_field {
	const char *key;
	enum log_kind kind;
	union {
		const char *text;
		struct proto_span span;
		int64_t number;
		const struct proto_id *id;
	};
};

#define LOG_TEXT(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_TEXT, .text = (v)})
#define LOG_SPAN(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_SPAN, .span = (v)})
#define LOG_NUMBER(k, v) \
	((struct log_field){.key = (k), .kind = LOG_KIND_NUMBER, .number = (int64_t)(v)})
#define LOG_ID(k, v) ((struct log_field){.key = (k), .kind = LOG_KIND_ID, .id = (v)})
#define LOG_ERRNO(e) LOG_TEXT("error", strerror((e) < 0 ? -(e) : (e)))

/* Both names are kept by reference for the life of the process. */
void log_init(const char *service, const char *node, enum log_level least);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *event, const struct log_field fields[]);

#define LOG_WRITE_(level, event, ...) \
	log_write((level), (event), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_debug(event, ...)                                            \
	do {                                                             \
		if (log_enabled(LOG_LEVEL_DEBUG)) {                      \
			LOG_WRITE_(LOG_LEVEL_DEBUG, event, __VA_ARGS__); \
		}                                                        \
	} while (0)
#define log_info(event, ...) LOG_WRITE_(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) LOG_WRITE_(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_WRITE_(LOG_LEVEL_ERROR, event, __VA_ARGS__)
