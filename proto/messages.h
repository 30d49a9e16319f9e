/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* clang-format off */

#include "proto/limits.h"

/*
 * The wire protocol, declared once.
 *
 * These tables give the C structs and enums (proto.h), the codec's field tables (table.c),
 * docs/protocol.md and the test vectors (describe.c). Rules, for ever: a number or a name is never
 * used for something else; fields are only added, never made required later; a new field, value or
 * message says in SINCE the protocol version that brought it.
 *
 *   enum     PROTO_ENUM_x(V)     V(PREFIX, NAME, name, NUMBER, SINCE, text)      travels as `name`
 *   record   PROTO_FIELDS_x(F)   F(x, KIND, name, NEED, OF, MAX, SINCE, text)    travels as a map
 *   message  PROTO_MESSAGES(M,R) M(ID, NAME, name, CALLER, AT, REPLY, SINCE, text); R(same columns)
 *            for a message that is a record of the same name
 *
 * KIND  C type                       msgpack        JSON             OF, MAX
 * BOOL  bool                         bool           true, false      none, 0
 * U64   uint64_t                     uint           number           none, largest value
 * ID    struct proto_id              bin, 16 bytes  32 hex digits    none, 0
 * TEXT  struct proto_span            str, UTF-8     string           none, bytes
 * BYTES struct proto_span            bin            base64           none, bytes
 * ENUM  enum proto_OF                str            string           the enum, 0
 * LIST  struct proto_list_OF         array of maps  array            the record, entries
 *
 * NEED  MUST: the key is there, in every message. MAY: the sender leaves it out for false, 0, the
 * all-zero id, empty text, and the empty list; the reader takes absence for that value.
 *
 * CALLER  who may ask, by the key of the connection: PROTO_CALLERS. USER: a person or a bot acts,
 *         through a gateway; the answering service checks the rights of its `session`. NODE, ROOMD:
 *         our services act for themselves. FEED: published. REPLY: answers a request.
 * AT      the service that answers: ANY, REGISTRY, ROOM (the roomd that owns the slot of `room`),
 *         PERSONAL (the roomd that owns the slot of the session's user), STORE, or NONE.
 */

/* --- callers --- */

/*
 * Who may send the requests of a CALLER, as C(NAME, name, gateway, roomd, storaged, stranger, text): 1 for
 * the services whose keys may. A stranger is whoever shows a key that nobody approved. The registry
 * asks nobody. Where there are no keys (ipc, loopback) everybody may ask everything.
 */
#define PROTO_CALLERS(C) \
	C(USER, user, 1, 0, 0, 0, "a person or a bot, through a gateway; the rights of `session` are checked") \
	C(NODE, node, 1, 1, 1, 0, "any of our nodes, for itself") \
	C(ROOMD, roomd, 0, 1, 0, 0, "a roomd, for itself") \
	C(ALL, all, 1, 1, 1, 0, "whoever has an approved key") \
	C(STRANGER, stranger, 1, 1, 1, 1, "whoever has a key, approved or not") \
	C(FEED, feed, 0, 0, 0, 0, "nobody: it is published") \
	C(REPLY, reply, 0, 0, 0, 0, "nobody: it is an answer")

/* --- enums --- */

#define PROTO_ENUMS(X) \
	X(service) X(node_state) X(key_state) X(slot_state) X(room_kind) X(role) X(account_role) \
	X(event_kind)

#define PROTO_ENUM_service(V) \
	V(SERVICE, GATEWAY, gateway, 1, 1, "browser connections and HTTP") \
	V(SERVICE, REGISTRY, registry, 2, 1, "accounts, nodes, slots, room directory") \
	V(SERVICE, ROOMD, roomd, 3, 1, "owner of slots") \
	V(SERVICE, STORAGED, storaged, 4, 1, "replicas of slot segments")

#define PROTO_ENUM_node_state(V) \
	V(NODE_STATE, ONLINE, online, 1, 1, "heartbeats arrive") \
	V(NODE_STATE, SUSPECT, suspect, 2, 1, "heartbeats are missing; gets nothing new") \
	V(NODE_STATE, DEAD, dead, 3, 1, "its slots are given to others") \
	V(NODE_STATE, DRAINING, draining, 4, 1, "heartbeats arrive; it is taken out of service")

#define PROTO_ENUM_key_state(V) \
	V(KEY_STATE, PENDING, pending, 1, 1, "waits for an administrator") \
	V(KEY_STATE, APPROVED, approved, 2, 1, "may do what its service may") \
	V(KEY_STATE, REVOKED, revoked, 3, 1, "rejected or revoked: may do nothing")

#define PROTO_ENUM_slot_state(V) \
	V(SLOT_STATE, SEALING, sealing, 1, 1, "an owner is taking over; nothing is served") \
	V(SLOT_STATE, OPEN, open, 2, 1, "the owner appends to the last segment") \
	V(SLOT_STATE, CLOSED, closed, 3, 1, "the owner has let go of it; whom it is assigned to takes over")

#define PROTO_ENUM_room_kind(V) \
	V(ROOM_KIND, PUBLIC, public, 1, 1, "anyone signed in may find, read and join it") \
	V(ROOM_KIND, PRIVATE, private, 2, 1, "members only; not in the directory") \
	V(ROOM_KIND, DIRECT, direct, 3, 1, "two people; nobody joins or leaves") \
	V(ROOM_KIND, PERSONAL, personal, 4, 1, "one user's own log; its id is the user's")

#define PROTO_ENUM_role(V) \
	V(ROLE, OWNER, owner, 1, 1, "all rights; at least one in every room but direct ones") \
	V(ROLE, ADMIN, admin, 2, 1, "settings, members, and removing anyone's messages") \
	V(ROLE, MEMBER, member, 3, 1, "reads and writes") \
	V(ROLE, NONE, none, 4, 1, "left, or was removed") \
	V(ROLE, BANNED, banned, 5, 1, "may neither read nor join")

#define PROTO_ENUM_account_role(V) \
	V(ACCOUNT_ROLE, PERSON, person, 1, 1, "an ordinary account") \
	V(ACCOUNT_ROLE, BOT, bot, 2, 1, "acts by an app key") \
	V(ACCOUNT_ROLE, ADMINISTRATOR, administrator, 3, 1, "operates the system")

#define PROTO_ENUM_event_kind(V) \
	V(EVENT_KIND, MESSAGE, message, 1, 1, "`text`; answers `target` if that is set") \
	V(EVENT_KIND, EDIT, edit, 2, 1, "`text` replaces that of message `target`") \
	V(EVENT_KIND, REDACTION, redaction, 3, 1, "message `target` is removed; its text is no longer served") \
	V(EVENT_KIND, REACTION, reaction, 4, 1, "`user` adds `emoji` to `target`, or takes it back with `remove`") \
	V(EVENT_KIND, MEMBER, member, 5, 1, "state of `subject`: has `role` in the room from now on; `label` is the name") \
	V(EVENT_KIND, SETTING, setting, 6, 1, "state: the room's `label` (name), `topic`, `access` (kind) and `capacity`, all of them") \
	V(EVENT_KIND, JOINED, joined, 7, 1, "personal log, state of room `subject`: `role`, `label` (name), `access`") \
	V(EVENT_KIND, READ, read, 8, 1, "personal log, state of room `subject`: read up to seq `target`")

/* --- records --- */

/* In the order of use: a record stands after those that its lists name. */
#define PROTO_RECORDS(R) \
	R(user_ref, "a person") \
	R(reaction, "one emoji under a message") \
	R(event, "one entry of a room's log") \
	R(item, "a message or a note as it stands now: edits, reactions and a redaction applied") \
	R(member, "a person in a room") \
	R(room_info, "a room") \
	R(account_info, "an account, as others may see it") \
	R(node_info, "a running node") \
	R(node_key, "a key of a node, and what it may do") \
	R(key_ref, "an approved key") \
	R(store_place, "a storage node and where it is") \
	R(store_ref, "a storage node") \
	R(session_ref, "a session") \
	R(segment, "a part of a slot's log on a fixed set of storage nodes") \
	R(slot_record, "the registry's record of a slot") \
	R(slot_node, "an owner of slots, in a slot map") \
	R(slot_run, "consecutive slots with one owner") \
	R(slot_range, "consecutive slots") \
	R(entry, "one entry of a slot's log") \
	R(client_mark, "the last number that a client used in a room") \
	R(beacon_mark, "where a room stands")

#define PROTO_FIELDS_user_ref(F) \
	F(user_ref, ID, user, MUST, none, 0, 1, "account")

#define PROTO_FIELDS_reaction(F) \
	F(reaction, TEXT, emoji, MUST, none, PROTO_EMOJI_BYTES_MAX, 1, "emoji") \
	F(reaction, U64, count, MUST, none, PROTO_NUMBER_MAX, 1, "people who gave it") \
	F(reaction, LIST, users, MAY, user_ref, PROTO_REACTION_USERS_MAX, 1, "the first of them")

#define PROTO_FIELDS_event(F) \
	F(event, ID, room, MUST, none, 0, 1, "room") \
	F(event, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "the slot's epoch when it was written") \
	F(event, U64, lsn, MUST, none, PROTO_NUMBER_MAX, 1, "its number in the slot's log") \
	F(event, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "its number in the room, from 1, without gaps") \
	F(event, U64, time, MUST, none, PROTO_NUMBER_MAX, 1, "milliseconds since 1970-01-01 UTC, by the owner's clock; never falls within a room") \
	F(event, ENUM, kind, MUST, event_kind, 0, 1, "what happened; says which fields below have a meaning") \
	F(event, ID, user, MUST, none, 0, 1, "who did it") \
	F(event, TEXT, name, MAY, none, PROTO_NAME_BYTES_MAX, 1, "the user's name at that time") \
	F(event, BOOL, bot, MAY, none, 0, 1, "a bot did it") \
	F(event, ID, client, MAY, none, 0, 1, "client id of the sender") \
	F(event, U64, number, MAY, none, PROTO_NUMBER_MAX, 1, "the client's number; with `client` it is the cmid") \
	F(event, TEXT, text, MAY, none, PROTO_TEXT_BYTES_MAX, 1, "text, Markdown") \
	F(event, U64, target, MAY, none, PROTO_NUMBER_MAX, 1, "seq of another event of the room") \
	F(event, TEXT, emoji, MAY, none, PROTO_EMOJI_BYTES_MAX, 1, "emoji") \
	F(event, BOOL, remove, MAY, none, 0, 1, "takes a reaction back") \
	F(event, ID, subject, MAY, none, 0, 1, "the person or room that the state is about") \
	F(event, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name of the subject, or of the room") \
	F(event, ENUM, role, MAY, role, 0, 1, "role") \
	F(event, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "what the room is for") \
	F(event, ENUM, access, MAY, room_kind, 0, 1, "kind of the room") \
	F(event, U64, capacity, MAY, none, PROTO_NUMBER_MAX, 1, "members that the room may have; 0: as many as come")

#define PROTO_FIELDS_item(F) \
	F(item, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq of the message") \
	F(item, U64, time, MUST, none, PROTO_NUMBER_MAX, 1, "when it was written, ms since 1970") \
	F(item, ENUM, kind, MUST, event_kind, 0, 1, "message, member or setting") \
	F(item, ID, user, MUST, none, 0, 1, "author") \
	F(item, TEXT, name, MAY, none, PROTO_NAME_BYTES_MAX, 1, "the author's name at that time") \
	F(item, BOOL, bot, MAY, none, 0, 1, "a bot wrote it") \
	F(item, ID, client, MAY, none, 0, 1, "client id of the sender") \
	F(item, U64, number, MAY, none, PROTO_NUMBER_MAX, 1, "the client's number") \
	F(item, TEXT, text, MAY, none, PROTO_TEXT_BYTES_MAX, 1, "the latest text; empty once removed") \
	F(item, U64, target, MAY, none, PROTO_NUMBER_MAX, 1, "seq of the message that it answers") \
	F(item, ID, subject, MAY, none, 0, 1, "member: the person") \
	F(item, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "member: the person's name; setting: the room's") \
	F(item, ENUM, role, MAY, role, 0, 1, "member: the role") \
	F(item, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "setting: what the room is for") \
	F(item, ENUM, access, MAY, room_kind, 0, 1, "setting: kind of the room") \
	F(item, U64, edited, MAY, none, PROTO_NUMBER_MAX, 1, "seq of the latest edit") \
	F(item, U64, edited_time, MAY, none, PROTO_NUMBER_MAX, 1, "when that was, ms since 1970") \
	F(item, U64, redacted, MAY, none, PROTO_NUMBER_MAX, 1, "seq of the redaction") \
	F(item, LIST, reactions, MAY, reaction, PROTO_REACTIONS_MAX, 1, "in the order of first use")

#define PROTO_FIELDS_member(F) \
	F(member, ID, user, MUST, none, 0, 1, "account") \
	F(member, TEXT, name, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(member, ENUM, role, MUST, role, 0, 1, "role in the room") \
	F(member, BOOL, here, MAY, none, 0, 1, "has the room open now") \
	F(member, BOOL, bot, MAY, none, 0, 1, "a bot") \
	F(member, U64, since, MAY, none, PROTO_NUMBER_MAX, 1, "when the role was given, ms since 1970")

#define PROTO_FIELDS_room_info(F) \
	F(room_info, ID, room, MUST, none, 0, 1, "room") \
	F(room_info, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name; of a direct room: the other person's") \
	F(room_info, ENUM, access, MUST, room_kind, 0, 1, "kind") \
	F(room_info, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "what it is for") \
	F(room_info, ID, owner, MAY, none, 0, 1, "who made it") \
	F(room_info, U64, members, MAY, none, PROTO_NUMBER_MAX, 1, "people in it") \
	F(room_info, U64, capacity, MAY, none, PROTO_NUMBER_MAX, 1, "people that it may have; 0: as many as come") \
	F(room_info, U64, last_seq, MAY, none, PROTO_NUMBER_MAX, 1, "seq of its latest event, as far as the answering service knows") \
	F(room_info, U64, last_time, MAY, none, PROTO_NUMBER_MAX, 1, "when that was, ms since 1970") \
	F(room_info, ENUM, role, MAY, role, 0, 1, "the caller's role") \
	F(room_info, U64, read, MAY, none, PROTO_NUMBER_MAX, 1, "seq up to which the caller has read") \
	F(room_info, U64, created, MAY, none, PROTO_NUMBER_MAX, 1, "ms since 1970")

#define PROTO_FIELDS_account_info(F) \
	F(account_info, ID, user, MUST, none, 0, 1, "account") \
	F(account_info, TEXT, name, MUST, none, PROTO_NAME_BYTES_MAX, 1, "user name") \
	F(account_info, ENUM, role, MUST, account_role, 0, 1, "kind of account") \
	F(account_info, U64, created, MAY, none, PROTO_NUMBER_MAX, 1, "ms since 1970")

#define PROTO_FIELDS_node_info(F) \
	F(node_info, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(node_info, ENUM, service, MUST, service, 0, 1, "service") \
	F(node_info, ID, incarnation, MUST, none, 0, 1, "new at every start") \
	F(node_info, ENUM, state, MAY, node_state, 0, 1, "as the registry sees it") \
	F(node_info, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint for requests") \
	F(node_info, TEXT, feed, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint of what it publishes") \
	F(node_info, ID, store, MAY, none, 0, 1, "storaged: id of its store") \
	F(node_info, TEXT, host, MAY, none, PROTO_NAME_BYTES_MAX, 1, "host name") \
	F(node_info, TEXT, zone, MAY, none, PROTO_NAME_BYTES_MAX, 1, "failure zone") \
	F(node_info, TEXT, version, MAY, none, PROTO_NAME_BYTES_MAX, 1, "version of the program") \
	F(node_info, U64, started, MAY, none, PROTO_NUMBER_MAX, 1, "ms since 1970") \
	F(node_info, U64, silent_ms, MAY, none, PROTO_NUMBER_MAX, 1, "time since its last heartbeat") \
	F(node_info, U64, slots, MAY, none, PROTO_SLOTS, 1, "slots that it owns") \
	F(node_info, U64, rooms, MAY, none, PROTO_NUMBER_MAX, 1, "rooms in memory, or stored") \
	F(node_info, U64, connections, MAY, none, PROTO_NUMBER_MAX, 1, "gateway: browsers connected") \
	F(node_info, U64, load_permille, MAY, none, PROTO_NUMBER_MAX, 1, "share of one core used in the last interval") \
	F(node_info, TEXT, key, MAY, none, PROTO_KEY_TEXT_BYTES, 1, "its public key, if it has one")

#define PROTO_FIELDS_node_key(F) \
	F(node_key, TEXT, key, MUST, none, PROTO_KEY_TEXT_BYTES, 1, "public CURVE key, base64url (RFC 4648 section 5) without padding") \
	F(node_key, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name that it may use") \
	F(node_key, ENUM, service, MUST, service, 0, 1, "service that it may be") \
	F(node_key, ENUM, state, MUST, key_state, 0, 1, "state") \
	F(node_key, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint for requests that it named") \
	F(node_key, TEXT, host, MAY, none, PROTO_NAME_BYTES_MAX, 1, "host name that it gave") \
	F(node_key, TEXT, version, MAY, none, PROTO_NAME_BYTES_MAX, 1, "version of the program") \
	F(node_key, TEXT, peer, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "network address that it enrolled from") \
	F(node_key, U64, since, MAY, none, PROTO_NUMBER_MAX, 1, "when it got this state, ms since 1970") \
	F(node_key, TEXT, by, MAY, none, PROTO_NAME_BYTES_MAX, 1, "who decided that: an administrator's name, `token`, `local`, or `rotation`") \
	F(node_key, U64, until, MAY, none, PROTO_NUMBER_MAX, 1, "the node has a newer key: this one ends then, ms since 1970")

#define PROTO_FIELDS_key_ref(F) \
	F(key_ref, TEXT, key, MUST, none, PROTO_KEY_TEXT_BYTES, 1, "public key") \
	F(key_ref, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(key_ref, ENUM, service, MUST, service, 0, 1, "service")

#define PROTO_FIELDS_store_place(F) \
	F(store_place, ID, store, MUST, none, 0, 1, "store") \
	F(store_place, TEXT, address, MUST, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint for requests")

#define PROTO_FIELDS_store_ref(F) \
	F(store_ref, ID, store, MUST, none, 0, 1, "store")

#define PROTO_FIELDS_session_ref(F) \
	F(session_ref, ID, session, MUST, none, 0, 1, "session")

#define PROTO_FIELDS_segment(F) \
	F(segment, U64, since_epoch, MUST, none, PROTO_NUMBER_MAX, 1, "first epoch in it; adjacent sealed segments on the same stores are merged") \
	F(segment, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "last epoch in it; of an open segment the only one") \
	F(segment, U64, first, MUST, none, PROTO_NUMBER_MAX, 1, "lsn of its first entry") \
	F(segment, BOOL, sealed, MAY, none, 0, 1, "ends at `last`, for ever") \
	F(segment, U64, last, MAY, none, PROTO_NUMBER_MAX, 1, "sealed: lsn of its last entry; `first` - 1 if it is empty") \
	F(segment, BYTES, last_hash, MAY, none, PROTO_HASH_BYTES, 1, "sealed: chain hash of the last entry; empty if no entry was ever written to the slot") \
	F(segment, LIST, members, MUST, store_ref, PROTO_MEMBERS_MAX, 1, "stores that hold it")

#define PROTO_FIELDS_slot_record(F) \
	F(slot_record, U64, slot, MUST, none, PROTO_SLOTS - 1, 1, "slot") \
	F(slot_record, U64, version, MAY, none, PROTO_NUMBER_MAX, 1, "grows at every change; 0: never written") \
	F(slot_record, U64, epoch, MAY, none, PROTO_NUMBER_MAX, 1, "epoch of the latest term") \
	F(slot_record, TEXT, owner, MAY, none, PROTO_NAME_BYTES_MAX, 1, "node") \
	F(slot_record, ID, incarnation, MAY, none, 0, 1, "its incarnation") \
	F(slot_record, ENUM, state, MAY, slot_state, 0, 1, "state") \
	F(slot_record, LIST, segments, MAY, segment, PROTO_SEGMENTS_MAX, 1, "in the order of their lsns")

#define PROTO_FIELDS_slot_node(F) \
	F(slot_node, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(slot_node, ID, incarnation, MUST, none, 0, 1, "incarnation") \
	F(slot_node, TEXT, address, MUST, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint for requests") \
	F(slot_node, TEXT, feed, MUST, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint of what it publishes")

#define PROTO_FIELDS_slot_run(F) \
	F(slot_run, U64, first, MUST, none, PROTO_SLOTS - 1, 1, "first slot") \
	F(slot_run, U64, last, MUST, none, PROTO_SLOTS - 1, 1, "last slot") \
	F(slot_run, U64, owner, MUST, none, PROTO_NODES_MAX, 1, "position in `nodes`, from 1; 0: no owner is ready")

#define PROTO_FIELDS_slot_range(F) \
	F(slot_range, U64, first, MUST, none, PROTO_SLOTS - 1, 1, "first slot") \
	F(slot_range, U64, last, MUST, none, PROTO_SLOTS - 1, 1, "last slot")

#define PROTO_FIELDS_entry(F) \
	F(entry, U64, lsn, MUST, none, PROTO_NUMBER_MAX, 1, "number in the slot's log") \
	F(entry, BYTES, hash, MUST, none, PROTO_HASH_BYTES, 1, "BLAKE2b-256 of the hash before it, epoch and lsn (8 bytes each, big-endian), and `body`") \
	F(entry, BYTES, body, MUST, none, PROTO_EVENT_BYTES_MAX, 1, "an `event`, as msgpack") \
	F(entry, U64, epoch, MAY, none, PROTO_NUMBER_MAX, 1, "in answers: the epoch that it was written in")

#define PROTO_FIELDS_client_mark(F) \
	F(client_mark, ID, client, MUST, none, 0, 1, "client id") \
	F(client_mark, U64, number, MUST, none, PROTO_NUMBER_MAX, 1, "its last number in the room") \
	F(client_mark, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq which that got")

#define PROTO_FIELDS_beacon_mark(F) \
	F(beacon_mark, ID, room, MUST, none, 0, 1, "room") \
	F(beacon_mark, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "epoch of its slot") \
	F(beacon_mark, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq of its latest event")

/* --- messages --- */

#define PROTO_MESSAGES(M, R) \
	/* for all */ \
	M(1, ERROR, error, REPLY, NONE, error, 1, "the request failed") \
	M(2, OK, ok, REPLY, NONE, ok, 1, "done") \
	M(3, PING, ping, ALL, ANY, ok, 1, "are you there?") \
	/* accounts and sessions */ \
	M(20, ACCOUNT_CREATE, account_create, USER, REGISTRY, session_granted, 1, "register, and sign in") \
	M(21, SESSION_CREATE, session_create, USER, REGISTRY, session_granted, 1, "sign in with a password") \
	M(22, SESSION_RESUME, session_resume, USER, REGISTRY, session_granted, 1, "use a session on this connection, by its secret; also renews the token") \
	M(23, SESSION_END, session_end, USER, REGISTRY, ok, 1, "sign out") \
	M(24, SESSION_GRANTED, session_granted, REPLY, NONE, ok, 1, "a session, bound to this connection") \
	M(25, ACCOUNTS_FIND, accounts_find, USER, REGISTRY, accounts, 1, "accounts whose name starts so") \
	M(26, ACCOUNTS, accounts, REPLY, NONE, ok, 1, "accounts") \
	M(27, SESSION_REVOKED, session_revoked, FEED, REGISTRY, ok, 1, "a session ended: close what uses it") \
	M(28, ACCOUNT_READ, account_read, ROOMD, REGISTRY, accounts, 1, "one account; `not_found` if there is none") \
	/* room directory */ \
	M(30, ROOM_RESERVE, room_reserve, USER, REGISTRY, room_reserved, 1, "name a new room and get its id; `room_create` at the owner of its slot makes it") \
	M(31, ROOM_RESERVED, room_reserved, REPLY, NONE, ok, 1, "the id; the same for the same user who asks again before it was made") \
	M(32, ROOMS_FIND, rooms_find, USER, REGISTRY, rooms, 1, "public rooms whose name starts so, by name") \
	M(33, ROOMS, rooms, REPLY, NONE, ok, 1, "rooms") \
	M(34, ROOM_LOOKUP, room_lookup, USER, REGISTRY, room_found, 1, "a room by name or by id, and who serves it") \
	M(35, ROOM_FOUND, room_found, REPLY, NONE, ok, 1, "a room and the owner of its slot") \
	M(36, ROOM_CLAIM, room_claim, ROOMD, REGISTRY, room_claimed, 1, "what was reserved under this id? asked by the owner of its slot before it makes the room") \
	M(37, ROOM_CLAIMED, room_claimed, REPLY, NONE, ok, 1, "the reservation") \
	M(38, ROOM_INDEX, room_index, ROOMD, REGISTRY, ok, 1, "the room exists, or has changed: bring the directory up to date") \
	/* nodes and slots */ \
	M(40, NODE_HELLO, node_hello, NODE, REGISTRY, node_welcome, 1, "a node has started") \
	M(41, NODE_WELCOME, node_welcome, REPLY, NONE, ok, 1, "what a node must know") \
	M(42, NODE_BEAT, node_beat, NODE, REGISTRY, node_beaten, 1, "heartbeat") \
	M(43, NODE_BEATEN, node_beaten, REPLY, NONE, ok, 1, "the versions of what the registry publishes; a node that has older ones asks again") \
	M(44, NODES_LIST, nodes_list, USER, REGISTRY, nodes, 1, "all nodes; for administrators") \
	M(45, NODES, nodes, REPLY, NONE, ok, 1, "nodes") \
	M(46, NODE_CHANGED, node_changed, FEED, REGISTRY, ok, 1, "a node came, went, or changed its state") \
	M(47, NODE_DRAIN, node_drain, USER, REGISTRY, ok, 1, "take a node out of service, or use it again; for administrators") \
	M(48, REVOCATIONS_READ, revocations_read, NODE, REGISTRY, revocations, 1, "which sessions ended lately?") \
	M(49, REVOCATIONS, revocations, REPLY, NONE, ok, 1, "sessions that ended, in the order of their end") \
	M(50, SLOTS_GET, slots_get, ALL, REGISTRY, slot_map, 1, "who serves which slot?") \
	M(51, SLOT_MAP, slot_map, REPLY, NONE, ok, 1, "all slots, or those that changed") \
	M(52, SLOTS_CHANGED, slots_changed, FEED, REGISTRY, ok, 1, "slots have a new owner, or none") \
	M(53, SLOTS_READ, slots_read, ROOMD, REGISTRY, slot_records, 1, "records of some slots") \
	M(54, SLOT_RECORDS, slot_records, REPLY, NONE, ok, 1, "records, in the order of the slots; ends early when they get large: ask again from the next slot") \
	M(55, SLOT_SWAP, slot_swap, ROOMD, REGISTRY, slot_swapped, 1, "write a record if its version is still `version`") \
	M(56, SLOT_SWAPPED, slot_swapped, REPLY, NONE, ok, 1, "written") \
	M(57, SLOTS_ASSIGNED, slots_assigned, ROOMD, REGISTRY, slot_ranges, 1, "which slots should this node own?") \
	M(58, SLOT_RANGES, slot_ranges, REPLY, NONE, ok, 1, "slots") \
	M(59, ASSIGNMENT_CHANGED, assignment_changed, FEED, REGISTRY, ok, 1, "the registry has assigned slots anew: every roomd asks for its own") \
	/* rooms */ \
	M(60, SESSION_OPEN, session_open, USER, ROOM, session_opened, 1, "use a session on this connection to a roomd, by its token") \
	M(61, SESSION_OPENED, session_opened, REPLY, NONE, ok, 1, "the session may be used in requests on this connection") \
	M(62, SESSION_CLOSE, session_close, USER, ROOM, ok, 1, "forget the session on this connection") \
	M(63, ROOM_CREATE, room_create, USER, ROOM, room_opened, 1, "make the room that was reserved; the caller owns it") \
	M(64, ROOM_OPEN, room_open, USER, ROOM, room_opened, 1, "where a room stands; the right to read is checked. A gateway follows the room for a browser from then on") \
	M(65, ROOM_OPENED, room_opened, REPLY, NONE, ok, 1, "a room as it stands now") \
	M(66, ROOM_JOIN, room_join, USER, ROOM, room_opened, 1, "become a member of a public room") \
	M(67, ROOM_LEAVE, room_leave, USER, ROOM, ok, 1, "stop being a member") \
	M(68, ROOM_SEND, room_send, USER, ROOM, room_sent, 1, "write a message") \
	M(69, ROOM_SENT, room_sent, REPLY, NONE, ok, 1, "committed: on disk, in order, and on its way to every reader") \
	M(70, ROOM_EDIT, room_edit, USER, ROOM, room_sent, 1, "replace the text of one's own message") \
	M(71, ROOM_REDACT, room_redact, USER, ROOM, room_sent, 1, "remove one's own message, or as owner or administrator anyone's") \
	M(72, ROOM_REACT, room_react, USER, ROOM, room_sent, 1, "add a reaction or take it back") \
	M(73, ROOM_SET, room_set, USER, ROOM, room_sent, 1, "change name, topic, kind or capacity; absent fields stay") \
	M(74, ROOM_MEMBER_SET, room_member_set, USER, ROOM, room_sent, 1, "invite, remove, ban, or change the role of a person") \
	M(75, ROOM_HISTORY, room_history, USER, ROOM, room_page, 1, "items before or after a seq; without both, the latest") \
	M(76, ROOM_PAGE, room_page, REPLY, NONE, ok, 1, "items in the order of seq") \
	M(77, ROOM_EVENTS, room_events, USER, ROOM, room_range, 1, "events after a seq, without gaps: how a reader fills what it missed") \
	M(78, ROOM_RANGE, room_range, REPLY, NONE, ok, 1, "events in the order of seq") \
	M(79, ROOM_MEMBERS, room_members, USER, ROOM, members, 1, "members by name") \
	M(80, MEMBERS, members, REPLY, NONE, ok, 1, "members") \
	M(81, ROOM_TYPING, room_typing, USER, ROOM, ok, 1, "the caller types, or stopped") \
	M(82, ROOM_PRESENCE, room_presence, USER, ROOM, ok, 1, "the caller has the room open on this connection, or no longer; a gateway repeats it") \
	M(83, ROOM_READ, room_read, USER, PERSONAL, ok, 1, "read up to here; other devices of the user learn it") \
	M(84, ROOMS_MINE, rooms_mine, USER, PERSONAL, rooms, 1, "rooms that the caller has joined, with read marks") \
	M(85, PERSONAL_NOTE, personal_note, ROOMD, ROOM, ok, 1, "a room tells a member's personal log what changed") \
	R(90, EVENT, event, FEED, ROOM, ok, 1, "published under the room's id once it is committed; to browsers also on catching up") \
	M(91, BEACON, beacon, FEED, ROOM, ok, 1, "where active rooms stand; published about every second under the all-zero id") \
	M(92, PRESENCE, presence, FEED, ROOM, ok, 1, "someone opened or closed the room; never stored") \
	M(93, TYPING, typing, FEED, ROOM, ok, 1, "someone types; never stored; fades after 6 s") \
	/* gateway to browser, beyond the above */ \
	M(95, ROOM_CLOSE, room_close, USER, ANY, ok, 1, "the browser no longer follows the room; the gateway answers itself") \
	M(96, CAUGHT_UP, caught_up, FEED, NONE, ok, 1, "all events up to `seq` were sent on this connection; what follows is live") \
	M(97, RESET, reset, FEED, NONE, ok, 1, "too much was missed: forget what is shown and ask for the latest page") \
	M(98, GOODBYE, goodbye, FEED, NONE, ok, 1, "the gateway or the session ends: close, and connect again unless it is `final`") \
	/* storage */ \
	M(100, APPEND, append, ROOMD, STORE, appended, 1, "write entries to the open segment; answered once they are synced to disk") \
	M(101, APPENDED, appended, REPLY, NONE, ok, 1, "on disk") \
	M(102, SEAL, seal, ROOMD, STORE, sealed, 1, "accept nothing of epochs before `epoch` any more, and say where the segment ends") \
	M(103, SEALED, sealed, REPLY, NONE, ok, 1, "the fence is on disk") \
	M(104, COPY, copy, ROOMD, STORE, appended, 1, "recovery: write entries that other members hold") \
	M(105, ENTRIES_READ, entries_read, ROOMD, STORE, entries, 1, "entries of a segment") \
	M(106, ENTRIES, entries, REPLY, NONE, ok, 1, "entries in the order of lsn") \
	M(107, RELEASE, release, ROOMD, STORE, ok, 1, "the slot is committed up to here: views may show it") \
	M(108, STATE_READ, state_read, ROOMD, STORE, state, 1, "what a roomd must know of a room to serve it: latest state events and client marks") \
	M(109, STATE, state, REPLY, NONE, ok, 1, "a part of the state; with `more`, ask again with `cursor`") \
	M(110, TIMELINE_READ, timeline_read, ROOMD, STORE, room_page, 1, "a page of items") \
	M(111, EVENTS_READ, events_read, ROOMD, STORE, room_range, 1, "events of a room; redacted text is left out") \
	M(112, CMID_READ, cmid_read, ROOMD, STORE, cmid, 1, "which event had this client id and number?") \
	M(113, CMID, cmid, REPLY, NONE, ok, 1, "the event, and the client's last number") \
	/* keys of nodes */ \
	M(120, NODE_ENROL, node_enrol, STRANGER, REGISTRY, node_enrolled, 1, "a node asks for its key to be approved; it asks again until that is done") \
	M(121, NODE_ENROLLED, node_enrolled, REPLY, NONE, ok, 1, "how the key stands") \
	M(122, NODE_REKEY, node_rekey, NODE, REGISTRY, ok, 1, "a node has made a new key: both are good until some time after it has said hello with the new one") \
	M(123, KEYS_GET, keys_get, NODE, REGISTRY, keys, 1, "which keys are approved?") \
	M(124, KEYS, keys, REPLY, NONE, ok, 1, "all approved keys") \
	M(125, KEYS_CHANGED, keys_changed, FEED, REGISTRY, ok, 1, "all approved keys, after a change: those that are missing are refused from now on") \
	M(126, NODE_KEYS_LIST, node_keys_list, USER, REGISTRY, node_keys, 1, "all keys of nodes, pending and revoked ones too; for administrators") \
	M(127, NODE_KEYS, node_keys, REPLY, NONE, ok, 1, "keys; pending ones first") \
	M(128, NODE_APPROVE, node_approve, USER, REGISTRY, ok, 1, "approve a pending or revoked key; for administrators") \
	M(129, NODE_REVOKE, node_revoke, USER, REGISTRY, ok, 1, "revoke an approved key, or reject a pending one; for administrators") \
	M(130, JOIN_TOKEN_CREATE, join_token_create, USER, REGISTRY, join_token, 1, "a secret that approves one node without an administrator; for administrators") \
	M(131, JOIN_TOKEN, join_token, REPLY, NONE, ok, 1, "the secret, which is told this once")

#define PROTO_FIELDS_error(F) \
	F(error, TEXT, code, MUST, none, PROTO_NAME_BYTES_MAX, 1, "one of the error codes below; stable") \
	F(error, TEXT, detail, MAY, none, PROTO_DETAIL_BYTES_MAX, 1, "for people; may change") \
	F(error, U64, retry_ms, MAY, none, PROTO_NUMBER_MAX, 1, "try again after this time") \
	F(error, U64, next, MAY, none, PROTO_NUMBER_MAX, 1, "gap: the lsn to send; fenced: the fence's epoch; version_conflict: the version") \
	F(error, BOOL, unknown, MAY, none, 0, 1, "the outcome is unknown: retry the same")
#define PROTO_FIELDS_ok(F)
#define PROTO_FIELDS_ping(F)

#define PROTO_FIELDS_account_create(F) \
	F(account_create, TEXT, name, MUST, none, PROTO_NAME_BYTES_MAX, 1, "user name: letters, digits, `.`, `_`, `-`; unique whatever the case") \
	F(account_create, TEXT, email, MAY, none, PROTO_EMAIL_BYTES_MAX, 1, "e-mail address; unique whatever the case") \
	F(account_create, TEXT, password, MUST, none, PROTO_PASSWORD_BYTES_MAX, 1, "password, 8 bytes at least") \
	F(account_create, BOOL, remember, MAY, none, 0, 1, "keep the session for 30 days, not 24 hours") \
	F(account_create, TEXT, agent, MAY, none, PROTO_AGENT_BYTES_MAX, 1, "User-Agent of the device") \
	F(account_create, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "address that the request came from") \
	F(account_create, BYTES, invitation, MAY, none, PROTO_SECRET_BYTES, 1, "one-use secret that makes the account an administrator")
#define PROTO_FIELDS_session_create(F) \
	F(session_create, TEXT, login, MUST, none, PROTO_EMAIL_BYTES_MAX, 1, "user name or e-mail address") \
	F(session_create, TEXT, password, MUST, none, PROTO_PASSWORD_BYTES_MAX, 1, "password") \
	F(session_create, BOOL, remember, MAY, none, 0, 1, "keep the session for 30 days, not 24 hours") \
	F(session_create, TEXT, agent, MAY, none, PROTO_AGENT_BYTES_MAX, 1, "User-Agent of the device") \
	F(session_create, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "address that the request came from")
#define PROTO_FIELDS_session_resume(F) \
	F(session_resume, BYTES, secret, MUST, none, PROTO_SECRET_BYTES, 1, "what the cookie holds")
#define PROTO_FIELDS_session_end(F) \
	F(session_end, ID, session, MUST, none, 0, 1, "session")
#define PROTO_FIELDS_session_granted(F) \
	F(session_granted, ID, session, MUST, none, 0, 1, "names the session; not a secret") \
	F(session_granted, BYTES, secret, MAY, none, PROTO_SECRET_BYTES, 1, "the secret; only when the session is new") \
	F(session_granted, U64, expires, MUST, none, PROTO_NUMBER_MAX, 1, "end of the session, ms since 1970") \
	F(session_granted, TEXT, token, MUST, none, PROTO_TOKEN_BYTES_MAX, 1, "JWT, ES256: shown to roomd") \
	F(session_granted, U64, token_expires, MUST, none, PROTO_NUMBER_MAX, 1, "end of the token, ms since 1970; resume before it") \
	F(session_granted, ID, user, MUST, none, 0, 1, "account") \
	F(session_granted, TEXT, name, MUST, none, PROTO_NAME_BYTES_MAX, 1, "user name") \
	F(session_granted, ENUM, role, MUST, account_role, 0, 1, "kind of account")
#define PROTO_FIELDS_accounts_find(F) \
	F(accounts_find, ID, session, MUST, none, 0, 1, "session") \
	F(accounts_find, TEXT, prefix, MAY, none, PROTO_NAME_BYTES_MAX, 1, "start of the name, whatever the case") \
	F(accounts_find, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 20")
#define PROTO_FIELDS_account_read(F) \
	F(account_read, ID, user, MUST, none, 0, 1, "account")
#define PROTO_FIELDS_accounts(F) \
	F(accounts, LIST, accounts, MUST, account_info, PROTO_PAGE_MAX, 1, "by name")
#define PROTO_FIELDS_session_revoked(F) \
	F(session_revoked, ID, session, MUST, none, 0, 1, "session") \
	F(session_revoked, ID, user, MUST, none, 0, 1, "account") \
	F(session_revoked, U64, version, MAY, none, PROTO_NUMBER_MAX, 1, "one more than that of the end before; else ask with `revocations_read`")

#define PROTO_FIELDS_room_reserve(F) \
	F(room_reserve, ID, session, MUST, none, 0, 1, "session") \
	F(room_reserve, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name, unique whatever the case; of a direct room: none") \
	F(room_reserve, ENUM, access, MUST, room_kind, 0, 1, "public, private or direct") \
	F(room_reserve, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "what it is for") \
	F(room_reserve, U64, capacity, MAY, none, PROTO_NUMBER_MAX, 1, "members that it may have; 0: as many as come") \
	F(room_reserve, ID, with, MAY, none, 0, 1, "direct: the other person; the same two get the same room")
#define PROTO_FIELDS_room_reserved(F) \
	F(room_reserved, ID, room, MUST, none, 0, 1, "room") \
	F(room_reserved, BOOL, exists, MAY, none, 0, 1, "direct: it was made before; open it")
#define PROTO_FIELDS_rooms_find(F) \
	F(rooms_find, ID, session, MUST, none, 0, 1, "session") \
	F(rooms_find, TEXT, prefix, MAY, none, PROTO_NAME_BYTES_MAX, 1, "start of the name, whatever the case") \
	F(rooms_find, TEXT, after, MAY, none, PROTO_NAME_BYTES_MAX, 1, "the last name of the page before") \
	F(rooms_find, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 50")
#define PROTO_FIELDS_rooms(F) \
	F(rooms, LIST, rooms, MUST, room_info, PROTO_PAGE_MAX, 1, "rooms") \
	F(rooms, BOOL, more, MAY, none, 0, 1, "there are more")
#define PROTO_FIELDS_room_lookup(F) \
	F(room_lookup, ID, session, MUST, none, 0, 1, "session") \
	F(room_lookup, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name of a public room, or of the caller's own") \
	F(room_lookup, ID, room, MAY, none, 0, 1, "or the id")
#define PROTO_FIELDS_room_found(F) \
	F(room_found, ID, room, MUST, none, 0, 1, "room") \
	F(room_found, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(room_found, ENUM, access, MAY, room_kind, 0, 1, "kind") \
	F(room_found, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "requests: connect a DEALER here") \
	F(room_found, TEXT, feed, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "events: connect a SUB here and subscribe to the 16 bytes of `room`")
#define PROTO_FIELDS_room_claim(F) \
	F(room_claim, ID, room, MUST, none, 0, 1, "room") \
	F(room_claim, ID, user, MUST, none, 0, 1, "who wants to make it")
#define PROTO_FIELDS_room_claimed(F) \
	F(room_claimed, ID, room, MUST, none, 0, 1, "room") \
	F(room_claimed, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(room_claimed, ENUM, access, MUST, room_kind, 0, 1, "kind") \
	F(room_claimed, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "what it is for") \
	F(room_claimed, U64, capacity, MAY, none, PROTO_NUMBER_MAX, 1, "members that it may have") \
	F(room_claimed, LIST, people, MUST, account_info, 2, 1, "its first members: the owner, or both of a direct room")
#define PROTO_FIELDS_room_index(F) \
	F(room_index, ID, room, MUST, none, 0, 1, "room") \
	F(room_index, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name; another one renames the room, or fails with name_taken") \
	F(room_index, ENUM, access, MUST, room_kind, 0, 1, "kind") \
	F(room_index, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "what it is for") \
	F(room_index, U64, capacity, MAY, none, PROTO_NUMBER_MAX, 1, "members that it may have") \
	F(room_index, U64, members, MAY, none, PROTO_NUMBER_MAX, 1, "people in it") \
	F(room_index, U64, last_time, MAY, none, PROTO_NUMBER_MAX, 1, "latest event, ms since 1970") \
	F(room_index, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq that this reflects; an older one than known is ignored")

#define PROTO_FIELDS_node_hello(F) \
	F(node_hello, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name; a second node of that name replaces the first") \
	F(node_hello, ENUM, service, MUST, service, 0, 1, "service") \
	F(node_hello, ID, incarnation, MUST, none, 0, 1, "new at every start") \
	F(node_hello, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint for requests") \
	F(node_hello, TEXT, feed, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint of what it publishes") \
	F(node_hello, ID, store, MAY, none, 0, 1, "storaged: id of its store") \
	F(node_hello, TEXT, host, MAY, none, PROTO_NAME_BYTES_MAX, 1, "host name") \
	F(node_hello, TEXT, zone, MAY, none, PROTO_NAME_BYTES_MAX, 1, "failure zone") \
	F(node_hello, TEXT, version, MAY, none, PROTO_NAME_BYTES_MAX, 1, "version of the program") \
	F(node_hello, TEXT, key, MAY, none, PROTO_KEY_TEXT_BYTES, 1, "its public key, if it has one; must be that of the connection, if that has one")
#define PROTO_FIELDS_node_welcome(F) \
	F(node_welcome, TEXT, token_key, MUST, none, PROTO_PEM_BYTES_MAX, 1, "public key of the tokens, PEM") \
	F(node_welcome, TEXT, feed, MUST, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint of what the registry publishes; subscribe to everything") \
	F(node_welcome, U64, beat_ms, MUST, none, PROTO_NUMBER_MAX, 1, "send a heartbeat this often") \
	F(node_welcome, U64, dead_ms, MUST, none, PROTO_NUMBER_MAX, 1, "silent for so long, a node loses its slots; before that its lease ends: it must not answer from memory alone any more") \
	F(node_welcome, U64, write_quorum, MUST, none, PROTO_MEMBERS_MAX, 1, "stores of a segment") \
	F(node_welcome, U64, ack_quorum, MUST, none, PROTO_MEMBERS_MAX, 1, "stores that must have an entry before it counts")
#define PROTO_FIELDS_node_beat(F) \
	F(node_beat, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(node_beat, ID, incarnation, MUST, none, 0, 1, "incarnation") \
	F(node_beat, U64, slots, MAY, none, PROTO_SLOTS, 1, "slots that it owns") \
	F(node_beat, U64, rooms, MAY, none, PROTO_NUMBER_MAX, 1, "rooms in memory, or stored") \
	F(node_beat, U64, connections, MAY, none, PROTO_NUMBER_MAX, 1, "browsers connected") \
	F(node_beat, U64, load_permille, MAY, none, PROTO_NUMBER_MAX, 1, "share of one core used since the last heartbeat") \
	F(node_beat, BOOL, leaving, MAY, none, 0, 1, "the last one: the node stops in order") \
	F(node_beat, BOOL, draining, MAY, none, 0, 1, "the node stops as soon as others have its slots")
#define PROTO_FIELDS_node_beaten(F) \
	F(node_beaten, U64, slots_version, MUST, none, PROTO_NUMBER_MAX, 1, "of the slot map") \
	F(node_beaten, U64, assignment_version, MUST, none, PROTO_NUMBER_MAX, 1, "of the assignment of slots") \
	F(node_beaten, U64, revocations_version, MAY, none, PROTO_NUMBER_MAX, 1, "of the last session that ended") \
	F(node_beaten, U64, keys_version, MAY, none, PROTO_NUMBER_MAX, 1, "of the approved keys")
#define PROTO_FIELDS_nodes_list(F) \
	F(nodes_list, ID, session, MAY, none, 0, 1, "session of an administrator; none is needed where there are no keys")
#define PROTO_FIELDS_nodes(F) \
	F(nodes, LIST, nodes, MUST, node_info, PROTO_NODES_MAX, 1, "by name")
#define PROTO_FIELDS_node_changed(F) \
	F(node_changed, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(node_changed, ENUM, service, MUST, service, 0, 1, "service") \
	F(node_changed, ID, incarnation, MUST, none, 0, 1, "incarnation") \
	F(node_changed, ENUM, state, MUST, node_state, 0, 1, "state") \
	F(node_changed, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint for requests") \
	F(node_changed, TEXT, feed, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint of what it publishes") \
	F(node_changed, ID, store, MAY, none, 0, 1, "storaged: id of its store")
#define PROTO_FIELDS_revocations_read(F) \
	F(revocations_read, U64, after, MAY, none, PROTO_NUMBER_MAX, 1, "those with a higher version")
#define PROTO_FIELDS_revocations(F) \
	F(revocations, U64, version, MUST, none, PROTO_NUMBER_MAX, 1, "of the last one, or what was asked") \
	F(revocations, LIST, sessions, MUST, session_ref, PROTO_BATCH_MAX, 1, "those whose tokens may still be good") \
	F(revocations, BOOL, more, MAY, none, 0, 1, "there are more: ask again after `version`")
#define PROTO_FIELDS_node_drain(F) \
	F(node_drain, ID, session, MUST, none, 0, 1, "session of an administrator") \
	F(node_drain, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(node_drain, BOOL, drain, MAY, none, 0, 1, "it gets nothing new, and its slots move away; false: use it again")

#define PROTO_FIELDS_slots_get(F)
#define PROTO_FIELDS_slot_map(F) \
	F(slot_map, U64, version, MUST, none, PROTO_NUMBER_MAX, 1, "grows by one with every `slots_changed`") \
	F(slot_map, LIST, nodes, MUST, slot_node, PROTO_NODES_MAX, 1, "owners") \
	F(slot_map, LIST, runs, MUST, slot_run, PROTO_SLOTS, 1, "slots; those that no run names have no owner") \
	F(slot_map, TEXT, feed, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "where the registry publishes `slots_changed`, under the all-zero topic")
#define PROTO_FIELDS_slots_changed(F) \
	F(slots_changed, U64, version, MUST, none, PROTO_NUMBER_MAX, 1, "one more than before; else ask with `slots_get`") \
	F(slots_changed, LIST, nodes, MUST, slot_node, PROTO_NODES_MAX, 1, "owners named below") \
	F(slots_changed, LIST, runs, MUST, slot_run, PROTO_SLOTS, 1, "slots that changed; all others stay")
#define PROTO_FIELDS_slots_read(F) \
	F(slots_read, U64, first, MUST, none, PROTO_SLOTS - 1, 1, "first slot") \
	F(slots_read, U64, last, MUST, none, PROTO_SLOTS - 1, 1, "last slot")
#define PROTO_FIELDS_slot_records(F) \
	F(slot_records, LIST, records, MUST, slot_record, PROTO_SLOTS, 1, "records; one with version 0 for a slot never owned") \
	F(slot_records, LIST, stores, MUST, store_place, PROTO_NODES_MAX, 1, "where the stores named in them are, as far as known")
#define PROTO_FIELDS_slot_swap(F) \
	F(slot_swap, LIST, records, MUST, slot_record, 256, 1, "new records with the versions that they replace; each is written, or not, by itself") \
	F(slot_swap, BOOL, place, MAY, none, 0, 1, "also choose stores for new segments")
#define PROTO_FIELDS_slot_swapped(F) \
	F(slot_swapped, LIST, records, MUST, slot_record, 256, 1, "the records as they are now, in the order asked; one that another has changed has not the version asked + 1") \
	F(slot_swapped, LIST, members, MAY, store_place, PROTO_MEMBERS_MAX, 1, "asked with `place`: stores for new segments, on different hosts and zones")
#define PROTO_FIELDS_slots_assigned(F) \
	F(slots_assigned, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(slots_assigned, ID, incarnation, MUST, none, 0, 1, "incarnation")
#define PROTO_FIELDS_slot_ranges(F) \
	F(slot_ranges, U64, version, MUST, none, PROTO_NUMBER_MAX, 1, "of the assignment") \
	F(slot_ranges, LIST, ranges, MUST, slot_range, PROTO_SLOTS, 1, "slots that it owns, or may take now") \
	F(slot_ranges, LIST, leave, MAY, slot_range, PROTO_SLOTS, 1, "slots that it owns and others wait for: close them") \
	F(slot_ranges, BOOL, alone, MAY, none, 0, 1, "no other node could have its slots now: who stops waits for nobody")
#define PROTO_FIELDS_assignment_changed(F) \
	F(assignment_changed, U64, version, MUST, none, PROTO_NUMBER_MAX, 1, "of the assignment")

#define PROTO_FIELDS_session_open(F) \
	F(session_open, TEXT, token, MUST, none, PROTO_TOKEN_BYTES_MAX, 1, "JWT from `session_granted`")
#define PROTO_FIELDS_session_opened(F) \
	F(session_opened, ID, session, MUST, none, 0, 1, "session") \
	F(session_opened, ID, user, MUST, none, 0, 1, "account") \
	F(session_opened, U64, expires, MUST, none, PROTO_NUMBER_MAX, 1, "open it again, with a new token, before this; ms since 1970")
#define PROTO_FIELDS_session_close(F) \
	F(session_close, ID, session, MUST, none, 0, 1, "session")

#define PROTO_FIELDS_room_create(F) \
	F(room_create, ID, session, MUST, none, 0, 1, "session") \
	F(room_create, ID, room, MUST, none, 0, 1, "room, from `room_reserved`")
#define PROTO_FIELDS_room_open(F) \
	F(room_open, ID, session, MUST, none, 0, 1, "session") \
	F(room_open, ID, room, MUST, none, 0, 1, "room; the user's own id for the personal log") \
	F(room_open, U64, after, MAY, none, PROTO_NUMBER_MAX, 1, "browser: the last seq it has; the gateway sends what is missing, then `caught_up`, or `reset`")
#define PROTO_FIELDS_room_opened(F) \
	F(room_opened, ID, room, MUST, none, 0, 1, "room") \
	F(room_opened, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "epoch of its slot") \
	F(room_opened, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq of its latest committed event") \
	F(room_opened, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(room_opened, ENUM, access, MUST, room_kind, 0, 1, "kind") \
	F(room_opened, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "what it is for") \
	F(room_opened, U64, capacity, MAY, none, PROTO_NUMBER_MAX, 1, "members that it may have") \
	F(room_opened, ENUM, role, MAY, role, 0, 1, "the caller's role; absent: not a member") \
	F(room_opened, U64, members, MAY, none, PROTO_NUMBER_MAX, 1, "people in it") \
	F(room_opened, U64, here, MAY, none, PROTO_NUMBER_MAX, 1, "people who have it open")
#define PROTO_FIELDS_room_join(F) \
	F(room_join, ID, session, MUST, none, 0, 1, "session") \
	F(room_join, ID, room, MUST, none, 0, 1, "room")
#define PROTO_FIELDS_room_leave(F) \
	F(room_leave, ID, session, MUST, none, 0, 1, "session") \
	F(room_leave, ID, room, MUST, none, 0, 1, "room")
/* What every write of a room begins with: who, where, and the cmid that makes a retry harmless. */
#define PROTO_FIELDS_WRITE(F, S) \
	F(S, ID, session, MUST, none, 0, 1, "session") \
	F(S, ID, room, MUST, none, 0, 1, "room") \
	F(S, ID, client, MUST, none, 0, 1, "client id: random, kept by the device") \
	F(S, U64, number, MUST, none, PROTO_NUMBER_MAX, 1, "grows with every new write of the client to the room; the same when it is retried") \
	F(S, U64, prev, MAY, none, PROTO_NUMBER_MAX, 1, "the number before this one that the client still counts on; `out_of_order` if it never arrived")
#define PROTO_FIELDS_room_send(F) \
	PROTO_FIELDS_WRITE(F, room_send) \
	F(room_send, TEXT, text, MUST, none, PROTO_TEXT_BYTES_MAX, 1, "text, Markdown, not blank") \
	F(room_send, U64, target, MAY, none, PROTO_NUMBER_MAX, 1, "seq of the message that it answers")
#define PROTO_FIELDS_room_sent(F) \
	F(room_sent, ID, room, MUST, none, 0, 1, "room") \
	F(room_sent, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "its number in the room") \
	F(room_sent, U64, time, MUST, none, PROTO_NUMBER_MAX, 1, "ms since 1970") \
	F(room_sent, BOOL, duplicate, MAY, none, 0, 1, "it had been written by an earlier try")
#define PROTO_FIELDS_room_edit(F) \
	PROTO_FIELDS_WRITE(F, room_edit) \
	F(room_edit, U64, target, MUST, none, PROTO_NUMBER_MAX, 1, "seq of the message") \
	F(room_edit, TEXT, text, MUST, none, PROTO_TEXT_BYTES_MAX, 1, "new text, not blank")
#define PROTO_FIELDS_room_redact(F) \
	PROTO_FIELDS_WRITE(F, room_redact) \
	F(room_redact, U64, target, MUST, none, PROTO_NUMBER_MAX, 1, "seq of the message")
#define PROTO_FIELDS_room_react(F) \
	PROTO_FIELDS_WRITE(F, room_react) \
	F(room_react, U64, target, MUST, none, PROTO_NUMBER_MAX, 1, "seq of the message") \
	F(room_react, TEXT, emoji, MUST, none, PROTO_EMOJI_BYTES_MAX, 1, "emoji") \
	F(room_react, BOOL, remove, MAY, none, 0, 1, "take it back")
#define PROTO_FIELDS_room_set(F) \
	PROTO_FIELDS_WRITE(F, room_set) \
	F(room_set, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "new name") \
	F(room_set, TEXT, topic, MAY, none, PROTO_TOPIC_BYTES_MAX, 1, "new topic") \
	F(room_set, BOOL, clear_topic, MAY, none, 0, 1, "no topic any more") \
	F(room_set, ENUM, access, MAY, room_kind, 0, 1, "public or private") \
	F(room_set, U64, capacity, MAY, none, PROTO_NUMBER_MAX, 1, "members that it may have") \
	F(room_set, BOOL, clear_capacity, MAY, none, 0, 1, "as many as come")
#define PROTO_FIELDS_room_member_set(F) \
	PROTO_FIELDS_WRITE(F, room_member_set) \
	F(room_member_set, ID, user, MUST, none, 0, 1, "the person") \
	F(room_member_set, ENUM, role, MUST, role, 0, 1, "new role")
#define PROTO_FIELDS_room_history(F) \
	F(room_history, ID, session, MUST, none, 0, 1, "session") \
	F(room_history, ID, room, MUST, none, 0, 1, "room") \
	F(room_history, U64, before, MAY, none, PROTO_NUMBER_MAX, 1, "items with a lower seq, the nearest") \
	F(room_history, U64, after, MAY, none, PROTO_NUMBER_MAX, 1, "items with a higher seq, the nearest; not with `before`") \
	F(room_history, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 50")
#define PROTO_FIELDS_room_page(F) \
	F(room_page, ID, room, MUST, none, 0, 1, "room") \
	F(room_page, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "the page reflects all events up to this seq; those after it are to be applied on top") \
	F(room_page, LIST, items, MUST, item, PROTO_PAGE_MAX, 1, "in the order of seq") \
	F(room_page, BOOL, more, MAY, none, 0, 1, "there are more in the direction asked")
#define PROTO_FIELDS_room_events(F) \
	F(room_events, ID, session, MUST, none, 0, 1, "session") \
	F(room_events, ID, room, MUST, none, 0, 1, "room") \
	F(room_events, U64, after, MAY, none, PROTO_NUMBER_MAX, 1, "the last seq that the reader has; 0: none") \
	F(room_events, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 200")
#define PROTO_FIELDS_room_range(F) \
	F(room_range, ID, room, MUST, none, 0, 1, "room") \
	F(room_range, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq of the latest committed event of the room") \
	F(room_range, LIST, events, MUST, event, PROTO_PAGE_MAX, 1, "without gaps, from `after` + 1") \
	F(room_range, BOOL, more, MAY, none, 0, 1, "there are more; ask again after the last")
#define PROTO_FIELDS_room_members(F) \
	F(room_members, ID, session, MUST, none, 0, 1, "session") \
	F(room_members, ID, room, MUST, none, 0, 1, "room") \
	F(room_members, TEXT, after, MAY, none, PROTO_NAME_BYTES_MAX, 1, "the last name of the page before") \
	F(room_members, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 200")
#define PROTO_FIELDS_members(F) \
	F(members, ID, room, MUST, none, 0, 1, "room") \
	F(members, LIST, members, MUST, member, PROTO_PAGE_MAX, 1, "by name; people who read a public room without being members follow with the role none") \
	F(members, BOOL, more, MAY, none, 0, 1, "there are more")
#define PROTO_FIELDS_room_typing(F) \
	F(room_typing, ID, session, MUST, none, 0, 1, "session") \
	F(room_typing, ID, room, MUST, none, 0, 1, "room") \
	F(room_typing, BOOL, active, MAY, none, 0, 1, "types now; false: stopped")
#define PROTO_FIELDS_room_presence(F) \
	F(room_presence, ID, session, MUST, none, 0, 1, "session") \
	F(room_presence, ID, room, MUST, none, 0, 1, "room") \
	F(room_presence, BOOL, here, MAY, none, 0, 1, "has it open; forgotten after 90 s unless repeated")
#define PROTO_FIELDS_room_read(F) \
	F(room_read, ID, session, MUST, none, 0, 1, "session") \
	F(room_read, ID, room, MUST, none, 0, 1, "room") \
	F(room_read, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "read up to this seq; never goes back")
#define PROTO_FIELDS_rooms_mine(F) \
	F(rooms_mine, ID, session, MUST, none, 0, 1, "session") \
	F(rooms_mine, ID, after, MAY, none, 0, 1, "the last room of the page before")
#define PROTO_FIELDS_personal_note(F) \
	F(personal_note, ID, room, MUST, none, 0, 1, "the user: whose log it goes to") \
	F(personal_note, ID, subject, MUST, none, 0, 1, "the room that tells it") \
	F(personal_note, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq in that room of what changed; an older one than noted is ignored") \
	F(personal_note, TEXT, label, MAY, none, PROTO_NAME_BYTES_MAX, 1, "name of the room") \
	F(personal_note, ENUM, access, MUST, room_kind, 0, 1, "kind of the room") \
	F(personal_note, ENUM, role, MUST, role, 0, 1, "the user's role there now")

#define PROTO_FIELDS_beacon(F) \
	F(beacon, LIST, rooms, MUST, beacon_mark, PROTO_BATCH_MAX, 1, "rooms with events in the last minute")
#define PROTO_FIELDS_presence(F) \
	F(presence, ID, room, MUST, none, 0, 1, "room") \
	F(presence, ID, user, MUST, none, 0, 1, "account") \
	F(presence, TEXT, name, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(presence, BOOL, here, MAY, none, 0, 1, "opened it; false: closed it") \
	F(presence, U64, count, MUST, none, PROTO_NUMBER_MAX, 1, "people who have it open now")
#define PROTO_FIELDS_typing(F) \
	F(typing, ID, room, MUST, none, 0, 1, "room") \
	F(typing, ID, user, MUST, none, 0, 1, "account") \
	F(typing, TEXT, name, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(typing, BOOL, active, MAY, none, 0, 1, "types; false: stopped")
#define PROTO_FIELDS_room_close(F) \
	F(room_close, ID, session, MAY, none, 0, 1, "session") \
	F(room_close, ID, room, MUST, none, 0, 1, "room")
#define PROTO_FIELDS_caught_up(F) \
	F(caught_up, ID, room, MUST, none, 0, 1, "room") \
	F(caught_up, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq")
#define PROTO_FIELDS_reset(F) \
	F(reset, ID, room, MUST, none, 0, 1, "room") \
	F(reset, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq of the latest event; live events follow it")
#define PROTO_FIELDS_goodbye(F) \
	F(goodbye, TEXT, code, MUST, none, PROTO_NAME_BYTES_MAX, 1, "why: draining, session_ended, too_slow") \
	F(goodbye, BOOL, final, MAY, none, 0, 1, "do not connect again; sign in first") \
	F(goodbye, U64, retry_ms, MAY, none, PROTO_NUMBER_MAX, 1, "connect again after this time")

#define PROTO_FIELDS_append(F) \
	F(append, U64, slot, MUST, none, PROTO_SLOTS - 1, 1, "slot") \
	F(append, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "the owner's epoch, and the segment's") \
	F(append, ID, nonce, MUST, none, 0, 1, "the owner's incarnation: tells two owners of one epoch apart") \
	F(append, U64, first, MUST, none, PROTO_NUMBER_MAX, 1, "lsn of the segment's first entry") \
	F(append, U64, lac, MUST, none, PROTO_NUMBER_MAX, 1, "last committed lsn that the owner knows") \
	F(append, BYTES, prev_hash, MAY, none, PROTO_HASH_BYTES, 1, "chain hash of the entry before `entries`; empty before a slot's first") \
	F(append, LIST, entries, MUST, entry, PROTO_BATCH_MAX, 1, "consecutive") \
	F(append, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_appended(F) \
	F(appended, U64, lsn, MUST, none, PROTO_NUMBER_MAX, 1, "all entries of the segment up to this one are on disk") \
	F(appended, BYTES, hash, MAY, none, PROTO_HASH_BYTES, 1, "its chain hash")
#define PROTO_FIELDS_seal(F) \
	F(seal, U64, slot, MUST, none, PROTO_SLOTS - 1, 1, "slot") \
	F(seal, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "the new owner's epoch") \
	F(seal, ID, nonce, MUST, none, 0, 1, "its incarnation") \
	F(seal, U64, segment, MAY, none, PROTO_NUMBER_MAX, 1, "epoch of the segment to seal; 0: the slot has none, set the fence alone") \
	F(seal, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_sealed(F) \
	F(sealed, U64, last, MUST, none, PROTO_NUMBER_MAX, 1, "lsn of the segment's last entry here; 0: none") \
	F(sealed, BYTES, last_hash, MAY, none, PROTO_HASH_BYTES, 1, "its chain hash") \
	F(sealed, U64, lac, MUST, none, PROTO_NUMBER_MAX, 1, "last committed lsn known here")
#define PROTO_FIELDS_copy(F) \
	F(copy, U64, slot, MUST, none, PROTO_SLOTS - 1, 1, "slot") \
	F(copy, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "the new owner's epoch") \
	F(copy, ID, nonce, MUST, none, 0, 1, "its incarnation") \
	F(copy, U64, segment, MUST, none, PROTO_NUMBER_MAX, 1, "epoch of the segment that is repaired") \
	F(copy, U64, first, MUST, none, PROTO_NUMBER_MAX, 1, "lsn of that segment's first entry") \
	F(copy, BYTES, prev_hash, MAY, none, PROTO_HASH_BYTES, 1, "chain hash of the entry before `entries`") \
	F(copy, LIST, entries, MUST, entry, PROTO_BATCH_MAX, 1, "consecutive") \
	F(copy, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_entries_read(F) \
	F(entries_read, U64, slot, MUST, none, PROTO_SLOTS - 1, 1, "slot") \
	F(entries_read, U64, segment, MUST, none, PROTO_NUMBER_MAX, 1, "epoch of the segment") \
	F(entries_read, U64, from, MUST, none, PROTO_NUMBER_MAX, 1, "first lsn") \
	F(entries_read, U64, limit, MAY, none, PROTO_BATCH_MAX, 1, "at most so many; 0: 1024") \
	F(entries_read, BOOL, recovery, MAY, none, 0, 1, "also past the last committed lsn, for `copy`") \
	F(entries_read, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_entries(F) \
	F(entries, LIST, entries, MUST, entry, PROTO_BATCH_MAX, 1, "entries") \
	F(entries, BYTES, prev_hash, MAY, none, PROTO_HASH_BYTES, 1, "chain hash of the entry before them") \
	F(entries, BOOL, more, MAY, none, 0, 1, "there are more")
#define PROTO_FIELDS_release(F) \
	F(release, U64, slot, MUST, none, PROTO_SLOTS - 1, 1, "slot") \
	F(release, U64, epoch, MUST, none, PROTO_NUMBER_MAX, 1, "the owner's epoch") \
	F(release, ID, nonce, MUST, none, 0, 1, "its incarnation") \
	F(release, U64, segment, MUST, none, PROTO_NUMBER_MAX, 1, "epoch of the segment that `lac` lies in") \
	F(release, U64, lac, MUST, none, PROTO_NUMBER_MAX, 1, "last committed lsn") \
	F(release, BOOL, sealed, MAY, none, 0, 1, "the segment ends there: drop what stands behind it") \
	F(release, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_state_read(F) \
	F(state_read, ID, room, MUST, none, 0, 1, "room") \
	F(state_read, BYTES, cursor, MAY, none, 256, 1, "where the answer before ended") \
	F(state_read, U64, lac, MAY, none, PROTO_NUMBER_MAX, 1, "committed lsn that the owner knows: the answer reflects all up to it") \
	F(state_read, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_state(F) \
	F(state, ID, room, MUST, none, 0, 1, "room") \
	F(state, U64, seq, MUST, none, PROTO_NUMBER_MAX, 1, "seq of the room's latest event in the views; 0: there is no such room") \
	F(state, U64, time, MAY, none, PROTO_NUMBER_MAX, 1, "time of it, ms since 1970") \
	F(state, LIST, events, MUST, event, PROTO_PAGE_MAX, 1, "the latest state event of each kind and subject") \
	F(state, LIST, clients, MUST, client_mark, PROTO_BATCH_MAX, 1, "client marks") \
	F(state, BYTES, cursor, MAY, none, 256, 1, "where this part ends") \
	F(state, BOOL, more, MAY, none, 0, 1, "there is more")
#define PROTO_FIELDS_timeline_read(F) \
	F(timeline_read, ID, room, MUST, none, 0, 1, "room") \
	F(timeline_read, U64, before, MAY, none, PROTO_NUMBER_MAX, 1, "items with a lower seq") \
	F(timeline_read, U64, after, MAY, none, PROTO_NUMBER_MAX, 1, "items with a higher seq; not with `before`") \
	F(timeline_read, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 50") \
	F(timeline_read, U64, lac, MAY, none, PROTO_NUMBER_MAX, 1, "committed lsn that the owner knows: the answer reflects all up to it") \
	F(timeline_read, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_events_read(F) \
	F(events_read, ID, room, MUST, none, 0, 1, "room") \
	F(events_read, U64, after, MAY, none, PROTO_NUMBER_MAX, 1, "events with a higher seq") \
	F(events_read, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 200") \
	F(events_read, U64, lac, MAY, none, PROTO_NUMBER_MAX, 1, "committed lsn that the owner knows: the answer reflects all up to it") \
	F(events_read, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_cmid_read(F) \
	F(cmid_read, ID, room, MUST, none, 0, 1, "room") \
	F(cmid_read, ID, client, MUST, none, 0, 1, "client id") \
	F(cmid_read, U64, number, MUST, none, PROTO_NUMBER_MAX, 1, "number") \
	F(cmid_read, U64, lac, MAY, none, PROTO_NUMBER_MAX, 1, "committed lsn that the owner knows: the answer reflects all up to it") \
	F(cmid_read, ID, store, MAY, none, 0, 1, "the store that is meant: another one at its address refuses")
#define PROTO_FIELDS_cmid(F) \
	F(cmid, LIST, events, MUST, event, 1, 1, "the event; none if no such number was written") \
	F(cmid, U64, last, MAY, none, PROTO_NUMBER_MAX, 1, "the client's last number in the room; 0: it never wrote there")

#define PROTO_FIELDS_node_enrol(F) \
	F(node_enrol, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(node_enrol, ENUM, service, MUST, service, 0, 1, "service") \
	F(node_enrol, TEXT, address, MAY, none, PROTO_ADDRESS_BYTES_MAX, 1, "endpoint for requests") \
	F(node_enrol, TEXT, host, MAY, none, PROTO_NAME_BYTES_MAX, 1, "host name") \
	F(node_enrol, TEXT, version, MAY, none, PROTO_NAME_BYTES_MAX, 1, "version of the program") \
	F(node_enrol, BYTES, token, MAY, none, PROTO_SECRET_BYTES, 1, "join token: approved at once") \
	F(node_enrol, TEXT, key, MAY, none, PROTO_KEY_TEXT_BYTES, 1, "public key; counts only on a connection without keys, and is approved at once there")
#define PROTO_FIELDS_node_enrolled(F) \
	F(node_enrolled, ENUM, state, MUST, key_state, 0, 1, "state") \
	F(node_enrolled, U64, retry_ms, MAY, none, PROTO_NUMBER_MAX, 1, "pending: ask again after this time")
#define PROTO_FIELDS_node_rekey(F) \
	F(node_rekey, TEXT, node, MUST, none, PROTO_NAME_BYTES_MAX, 1, "name") \
	F(node_rekey, TEXT, key, MUST, none, PROTO_KEY_TEXT_BYTES, 1, "the new public key")
#define PROTO_FIELDS_keys_get(F)
#define PROTO_FIELDS_keys(F) \
	F(keys, U64, version, MUST, none, PROTO_NUMBER_MAX, 1, "grows at every change") \
	F(keys, LIST, keys, MUST, key_ref, PROTO_KEYS_MAX, 1, "approved keys")
#define PROTO_FIELDS_keys_changed(F) \
	F(keys_changed, U64, version, MUST, none, PROTO_NUMBER_MAX, 1, "grows at every change") \
	F(keys_changed, LIST, keys, MUST, key_ref, PROTO_KEYS_MAX, 1, "approved keys")
#define PROTO_FIELDS_node_keys_list(F) \
	F(node_keys_list, ID, session, MUST, none, 0, 1, "session of an administrator") \
	F(node_keys_list, TEXT, after, MAY, none, PROTO_KEY_TEXT_BYTES, 1, "the last key of the page before") \
	F(node_keys_list, U64, limit, MAY, none, PROTO_PAGE_MAX, 1, "at most so many; 0: 200")
#define PROTO_FIELDS_node_keys(F) \
	F(node_keys, LIST, keys, MUST, node_key, PROTO_PAGE_MAX, 1, "keys") \
	F(node_keys, BOOL, more, MAY, none, 0, 1, "there are more")
#define PROTO_FIELDS_node_approve(F) \
	F(node_approve, ID, session, MUST, none, 0, 1, "session of an administrator") \
	F(node_approve, TEXT, key, MUST, none, PROTO_KEY_TEXT_BYTES, 1, "public key")
#define PROTO_FIELDS_node_revoke(F) \
	F(node_revoke, ID, session, MUST, none, 0, 1, "session of an administrator") \
	F(node_revoke, TEXT, key, MUST, none, PROTO_KEY_TEXT_BYTES, 1, "public key")
#define PROTO_FIELDS_join_token_create(F) \
	F(join_token_create, ID, session, MUST, none, 0, 1, "session of an administrator") \
	F(join_token_create, ENUM, service, MAY, service, 0, 1, "service that it may be used for; absent: any") \
	F(join_token_create, U64, life_ms, MAY, none, PROTO_JOIN_TOKEN_LIFE_MS_MAX, 1, "end of its life, from now; 0: one hour")
#define PROTO_FIELDS_join_token(F) \
	F(join_token, BYTES, token, MUST, none, PROTO_SECRET_BYTES, 1, "the secret; works once") \
	F(join_token, U64, expires, MUST, none, PROTO_NUMBER_MAX, 1, "end of its life, ms since 1970")
