/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One message for many connections: encoded once in each form that somebody wants. Lives no longer
 * than `body`.
 */

#include "gateway/envelope.h"

struct sheet {
	enum proto_type type;
	const void *body;
	struct frame *frames[2]; /* by form; NULL: nobody has wanted it yet */
};

/* The sheet keeps the frame. NULL: it could not be made. */
struct frame *sheet_frame(struct sheet *sheet, enum envelope_form form);
void sheet_deinit(struct sheet *sheet);
