/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A decoded message together with the bytes that it points into. What comes from a browser carries
 * no session, or one that must not be believed: the connection's own is put in its place here.
 */

#include "gateway/frame.h"
#include "proto/proto.h"

enum envelope_form {
	ENVELOPE_JSON,
	ENVELOPE_MSGPACK,
};

struct envelope {
	struct proto_message message;
	char *bytes; /* malloc'ed; NULL for JSON, whose messages have their own memory */
};
#define ENVELOPE_INIT ((struct envelope){0})

void envelope_deinit(struct envelope *envelope);
static inline void envelope_cleanup(struct envelope *envelope)
{
	envelope_deinit(envelope);
}

/*
 * Decode a frame of a browser. Returns 0, PROTO_E_… with the fault, or -ENOMEM; the header in
 * `ret_envelope` is then as far as it could be read. Deinit in any case.
 */
int envelope_open(enum envelope_form form, const char *data, size_t size,
		  const struct proto_id *session, struct envelope *ret_envelope,
		  struct proto_fault *ret_fault);
/* A copy of a message that lives on its own. Returns 0 or -errno. */
int envelope_copy(const struct proto_message *message, struct envelope *ret_envelope);

/*
 * The field of a message, by name, in its body; NULL if the message has none of that name and kind.
 */
void *envelope_field(const struct proto_message *message, const char *name, enum proto_kind kind);
bool envelope_has_field(const struct proto_type_info *info, const char *name, enum proto_kind kind);

/* A message as a frame for browsers. Returns 0 or -errno. */
int envelope_seal(enum envelope_form form, const struct proto_header *header, const void *body,
		  struct frame **ret_frame);
