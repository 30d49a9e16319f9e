/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What people may call themselves and their rooms, and when two names are the same. Pure. */

#include "proto/proto.h"

#define NAME_USER_MIN 2
#define NAME_USER_MAX 32
/* Folding may change the length of a letter's UTF-8, to at most 6 bytes for 2. */
#define NAME_FOLDED_BYTES_MAX (3 * PROTO_EMAIL_BYTES_MAX)

struct name_folded {
	size_t size;
	char text[NAME_FOLDED_BYTES_MAX + 1];
};

/* Without the white space around it. */
struct proto_span name_trim(struct proto_span text);
/*
 * As it is compared: trimmed, lower case. `text` is UTF-8. Text longer than an e-mail address is
 * cut.
 */
void name_fold(struct proto_span text, struct name_folded *ret_folded);

/*
 * Letters a-z A-Z, digits, `.`, `_`, `-`; begins with a letter or digit; NAME_USER_MIN to _MAX
 * bytes.
 */
bool name_is_user(struct proto_span name);
/* Not blank, no control characters, PROTO_NAME_BYTES_MAX. */
bool name_is_label(struct proto_span label);
/* One `@` between two parts, no white space or control characters, a dot in no strange place. */
bool name_is_email(struct proto_span email);
