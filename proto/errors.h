/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* clang-format off */

/*
 * Error codes of the wire protocol: E(NUMBER, NAME, code, HTTP status, sure, text).
 *
 * `code` is what travels, for ever; the number lives in C alone. `sure` tells a writer what an
 * answer means: YES, nothing was written and nothing will be; NO, the outcome is unknown: send the
 * same request again, with the same client id and number.
 */
#define PROTO_ERRORS(E) \
	E(1, MALFORMED, malformed, 400, YES, "not msgpack, not JSON, or not a map; bytes after its end") \
	E(2, UNKNOWN_TYPE, unknown_type, 400, YES, "no message has this type") \
	E(3, NOT_HERE, not_here, 400, YES, "this service does not serve that message") \
	E(4, MISSING_FIELD, missing_field, 400, YES, "a required field is absent") \
	E(5, WRONG_TYPE, wrong_type, 400, YES, "a field has a value of another type") \
	E(6, LIMIT, limit, 413, YES, "a value, a list or the nesting is past its limit") \
	E(7, BAD_VALUE, bad_value, 400, YES, "a value is not among those allowed") \
	E(8, EXPIRED, expired, 408, YES, "the request was past its deadline before work on it began") \
	E(9, TIMEOUT, timeout, 504, NO, "no answer in time") \
	E(10, UNAVAILABLE, unavailable, 503, NO, "the service that must answer is not reachable") \
	E(11, BUSY, busy, 503, YES, "a queue is full; try again after `retry_ms`") \
	E(12, INTERNAL, internal, 500, NO, "a defect; the log of the node tells more") \
	E(13, UNAUTHENTICATED, unauthenticated, 401, YES, "sign in first") \
	E(14, SESSION_UNKNOWN, session_unknown, 401, YES, "open the session on this connection first") \
	E(15, BAD_CREDENTIALS, bad_credentials, 401, YES, "unknown account or wrong password") \
	E(16, BAD_TOKEN, bad_token, 401, YES, "the token is not valid here, or no longer") \
	E(17, FORBIDDEN, forbidden, 403, YES, "the account may not do this") \
	E(18, BANNED, banned, 403, YES, "the account is banned from the room") \
	E(19, NOT_FOUND, not_found, 404, YES, "there is no such thing, or the account may not know") \
	E(20, NAME_TAKEN, name_taken, 409, YES, "the name is in use") \
	E(21, EMAIL_TAKEN, email_taken, 409, YES, "the e-mail address is in use") \
	E(22, WEAK_PASSWORD, weak_password, 400, YES, "the password is too short or too common") \
	E(23, ROOM_FULL, room_full, 409, YES, "the room has as many members as it may have") \
	E(24, CMID_REUSED, cmid_reused, 409, YES, "this client id and number carried other content before") \
	E(25, CMID_STALE, cmid_stale, 409, YES, "a later number was accepted before this one; use a new number") \
	E(26, OUT_OF_ORDER, out_of_order, 409, YES, "the message before this one (`prev`) is missing; send it first") \
	E(27, NOT_OWNER, not_owner, 503, YES, "this node does not serve the slot; look the owner up again") \
	E(28, FENCED, fenced, 409, NO, "a later epoch holds the slot") \
	E(29, GAP, gap, 409, YES, "an entry is missing before this one; `next` is the lsn to send. To a reader: not all up to `lac` can be shown here, ask another store") \
	E(30, CONFLICT, conflict, 409, YES, "another entry stands at this lsn") \
	E(31, DAMAGED, damaged, 500, YES, "a stored entry fails its checksum") \
	E(32, VERSION_CONFLICT, version_conflict, 409, YES, "the record has changed since it was read") \
	E(33, UNKNOWN_NODE, unknown_node, 409, YES, "the registry does not know this incarnation; say hello") \
	E(34, STORAGE_FAILED, storage_failed, 503, NO, "the disk failed; nothing more is accepted there") \
	E(35, GONE, gone, 410, YES, "the message was removed")
