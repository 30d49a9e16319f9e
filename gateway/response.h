/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Answers over HTTP, with the headers that every one of them carries. */

#include "gateway/http.h"

struct response {
	unsigned int status;
	const char *type; /* NULL: no body */
	const char *body; /* borrowed for the life of the daemon, or … */
	char *owned_body; /* … malloc'ed, taken over */
	size_t size;
	const char *cache; /* Cache-Control; NULL: no-store */
	const char *etag;
	const char *encoding;
	const char *allow;
	const char *cookie; /* Set-Cookie */
	uint64_t retry_ms;
	bool vary; /* on Accept-Encoding */
};

void respond(struct exchange *exchange, const struct response *response);
/* {"code", "detail", "retry_ms", "unknown"} with the status of the table. `cause` may be NULL. */
void respond_error(struct exchange *exchange, int error, const char *detail,
		   const struct proto_error *cause);
/* The body of a message, as JSON. */
void respond_record(struct exchange *exchange, unsigned int status,
		    const struct proto_record *record, const void *body, const char *cookie);
