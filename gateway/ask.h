/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a browser asks for over its WebSocket, one message at a time, and the answers to it. */

#include "gateway/connection.h"

/* A whole message. Whatever is wrong with it is answered. */
void ask_handle(struct connection *connection, const char *data, size_t size, bool binary);
/*
 * Whether this message, from a person, is passed on; and needs a session (all do over a WebSocket).
 */
bool ask_is_relayed(const struct proto_type_info *info);
/*
 * The error to answer with. `error` may be negative: that is our own fault. `cause` and `detail`
 * may be NULL.
 */
struct proto_error ask_error(int error, const char *detail, const struct proto_error *cause);
/*
 * What an error number means to people: our own faults, and codes that only matter on the bus,
 * translated.
 */
enum proto_code ask_code(int error);
void asks_drop(struct connection *connection);
