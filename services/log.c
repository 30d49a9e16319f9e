/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The logger: a line is put together in one buffer of fixed size and written by one write(2), so
 * that lines of several processes on one pipe do not mix. A line that would be longer ends with "…"
 * and keeps its event name; logging never allocates and never fails.
 */

#include "services/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "services/clock.h"

#define LOG_LINE_BYTES_MAX 4096 /* PIPE_BUF: what write(2) keeps whole on a pipe */

static const char *log_service = "-";
static const char *log_node = "-";
static enum log_level log_least = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error",
};

struct line {
	char bytes[LOG_LINE_BYTES_MAX];
	size_t size;
	bool full;
};

void log_init(const char *service, const char *node, enum log_level least)
{
	log_service = service;
	log_node = node;
	log_least = least;
}

bool log_enabled(enum log_level level)
{
	return level >= log_least;
}

static void line_bytes(struct line *line, const char *bytes, size_t size)
{
	static const char cut[] = "…\n";

	if (line->full || line->size + size > sizeof(line->bytes) - sizeof(cut)) {
		line->full = true;
		return;
	}
	memcpy(line->bytes + line->size, bytes, size);
	line->size += size;
}

static void line_text(struct line *line, const char *text)
{
	line_bytes(line, text, strlen(text));
}

static bool is_plain(unsigned char c)
{
	return c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
}

static void line_escaped(struct line *line, unsigned char c)
{
	char code[8];

	if (c == '"' || c == '\\') {
		line_bytes(line, (char[]){'\\', (char)c}, 2);
	} else if (c == '\n') {
		line_text(line, "\\n");
	} else if (c < ' ' || c == 0x7f) {
		(void)snprintf(code, sizeof(code), "\\x%02x", c);
		line_text(line, code);
	} else {
		line_bytes(line, (char *)&c, 1);
	}
}

static void line_value(struct line *line, const char *data, size_t size)
{
	bool plain = size > 0;

	for (size_t i = 0; i < size && plain; i++) {
		plain = is_plain((unsigned char)data[i]);
	}
	if (plain) {
		line_bytes(line, data, size);
		return;
	}
	line_text(line, "\"");
	for (size_t i = 0; i < size; i++) {
		line_escaped(line, (unsigned char)data[i]);
	}
	line_text(line, "\"");
}

static void line_field(struct line *line, const struct log_field *field)
{
	char text[PROTO_ID_TEXT_BYTES];

	line_text(line, " ");
	line_text(line, field->key);
	line_text(line, "=");
	switch (field->kind) {
	case LOG_KIND_TEXT:
		line_value(line, field->text ? field->text : "",
			   field->text ? strlen(field->text) : 0);
		break;
	case LOG_KIND_SPAN:
		line_value(line, field->span.data, field->span.size);
		break;
	case LOG_KIND_NUMBER:
		(void)snprintf(text, sizeof(text), "%" PRId64, field->number);
		line_text(line, text);
		break;
	case LOG_KIND_ID:
		proto_id_format(field->id, text);
		line_text(line, text);
		break;
	case LOG_KIND_END:
		break;
	}
}

static void line_time(struct line *line)
{
	uint64_t now_ms = clock_wall_ms();
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm utc;
	char date[32];
	char rest[16];

	(void)gmtime_r(&seconds, &utc);
	(void)strftime(date, sizeof(date), "ts=%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(rest, sizeof(rest), ".%03uZ", (unsigned int)(now_ms % 1000));
	line_text(line, date);
	line_text(line, rest);
}

static void line_send(struct line *line)
{
	size_t sent = 0;

	if (line->full) {
		memcpy(line->bytes + line->size, "…", strlen("…"));
		line->size += strlen("…");
	}
	line->bytes[line->size++] = '\n';
	while (sent < line->size) {
		ssize_t n = write(STDERR_FILENO, line->bytes + sent, line->size - sent);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return; /* nobody reads the log: the service goes on */
		}
		sent += (size_t)n;
	}
}

void log_write(enum log_level level, const char *event, const struct log_field fields[])
{
	struct line line;

	if (!log_enabled(level)) {
		return;
	}
	line.size = 0;
	line.full = false;
	line_time(&line);
	line_field(&line, &LOG_TEXT("level", level_names[level]));
	line_field(&line, &LOG_TEXT("service", log_service));
	line_field(&line, &LOG_TEXT("node", log_node));
	line_field(&line, &LOG_TEXT("event", event));
	for (; fields->kind != LOG_KIND_END; fields++) {
		line_field(&line, fields);
	}
	line_send(&line);
}
