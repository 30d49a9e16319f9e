/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Who may connect: the answer to a ZAP request (ZeroMQ RFC 27). Pure.
 */

#include "services/keyring.h"

#define ZAP_VERSION "1.0"

struct zap_request {
	struct proto_span version;
	struct proto_span mechanism;
	struct proto_span credentials; /* CURVE: the client's public key */
};

enum zap_status {
	ZAP_ALLOWED = 200,
	ZAP_REFUSED = 400,
	ZAP_FAULTY = 500,
};

/*
 * `stranger_allowed`: whether the socket takes keys that nobody approved, and has room for one. The
 * key is filled in unless the answer is ZAP_FAULTY or the mechanism is another one.
 * `ret_is_stranger`: it was let in as one.
 */
enum zap_status zap_decide(const struct keyring *keyring, bool stranger_allowed,
			   const struct zap_request *request, struct key *ret_key,
			   bool *ret_is_stranger);
