/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Limits of the wire protocol. Sizes are bytes, lists are counts. A value past its limit is
 * answered with PROTO_E_LIMIT and changes nothing. docs/protocol.md lists them.
 */
#define PROTO_VERSION 1

#define PROTO_FRAME_BYTES_MAX (1024 * 1024) /* one bus frame */
#define PROTO_CLIENT_FRAME_BYTES_MAX (64 * 1024) /* one frame or HTTP body from a browser */
#define PROTO_DEPTH_MAX 8 /* nesting of maps and lists in a frame */
#define PROTO_MAP_KEYS_MAX 64 /* keys of one map, unknown ones included */
#define PROTO_NUMBER_MAX ((1ULL << 53) - 1) /* the largest whole number that JSON readers keep */

#define PROTO_ID_BYTES 16
#define PROTO_HASH_BYTES 32
#define PROTO_SECRET_BYTES 32
#define PROTO_KEY_BYTES 32 /* a CURVE key */
#define PROTO_KEY_TEXT_BYTES 43 /* the same as base64url */
#define PROTO_TEXT_BYTES_MAX (16 * 1024) /* text of one message */
#define PROTO_NAME_BYTES_MAX 64 /* room, user and node names */
#define PROTO_TOPIC_BYTES_MAX 512
#define PROTO_EMOJI_BYTES_MAX 64
#define PROTO_EMAIL_BYTES_MAX 254 /* RFC 5321, section 4.5.3.1.3 */
#define PROTO_PASSWORD_BYTES_MAX 512
#define PROTO_TOKEN_BYTES_MAX 4096
#define PROTO_PEM_BYTES_MAX 1024
#define PROTO_AGENT_BYTES_MAX 256
#define PROTO_ADDRESS_BYTES_MAX 128
#define PROTO_DETAIL_BYTES_MAX 512
#define PROTO_EVENT_BYTES_MAX (32 * 1024) /* one encoded event */

#define PROTO_PAGE_MAX 200 /* entries of one page: events, items, rooms, members */
#define PROTO_PAGE_BYTES_MAX (512 * 1024) /* a page ends early, with `more` set, past this size */
#define PROTO_BATCH_MAX 1024 /* entries of one append, rooms of one beacon */
#define PROTO_REACTIONS_MAX 50 /* different reactions to one message */
#define PROTO_REACTION_USERS_MAX 100 /* people listed with one reaction; `count` counts all */
#define PROTO_NODES_MAX 1024
#define PROTO_KEYS_MAX 2048 /* approved keys: a node that changes its key has two for a while */
#define PROTO_JOIN_TOKEN_LIFE_MS_MAX (7 * 24 * 3600 * 1000)
#define PROTO_MEMBERS_MAX 7 /* storage nodes of one segment */
#define PROTO_SEGMENTS_MAX 256 /* segments of one slot, after merging */
#ifndef PROTO_SLOTS /* a simulation of the whole system has fewer */
#define PROTO_SLOTS 4096
#endif
