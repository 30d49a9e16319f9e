/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A node's tie to the registry: hello, heartbeats, and a copy of what the registry publishes. Used
 * by every service but the registry itself.
 *
 *   start ── hello ──▶ welcome ── beat, beat, … ──▶ (unknown_node, or registry restarted) ──▶ hello
 *
 * It keeps the slot map up to date (publication first, then the whole, then changes in order; a
 * version in the heartbeat's answer that is ahead of ours makes it ask again), and tells the daemon
 * what else changed. While the registry is away the copy stays in use.
 */

#include "proto/proto.h"
#include "services/bus.h"
#include "services/slot_map.h"

struct membership;

/*
 * How long a node may answer from memory after it last asked the registry something that was
 * answered. Shorter than what the registry waits before others get its slots: clocks run at
 * different speeds, and to stop takes time too.
 */
#define MEMBERSHIP_LEASE_MS(dead_ms) ((dead_ms) - (dead_ms) / 4)

struct membership_options {
	const char *registry; /* address */
	struct proto_node_hello hello; /* texts are copied; incarnation as in struct service */
};

/* Each may be NULL. Called from the loop. They may begin to leave, but not free the membership. */
struct membership_events {
	void (*welcomed)(void *context,
			 const struct proto_node_welcome *welcome); /* again after each hello */
	void (*slots_changed)(void *context); /* the slot map is another one now */
	void (*assignment_changed)(void *context); /* also after each welcome */
	void (*node_changed)(void *context, const struct proto_node_changed *change);
	/*
	 * Each at least once, also those that were missed; after the first welcome all whose tokens
	 * may still be good. `user` may be missing.
	 */
	void (*session_revoked)(void *context, const struct proto_session_revoked *revoked);
	/*
	 * No heartbeat was answered for MEMBERSHIP_LEASE_MS, counted from when the last answered
	 * one was sent: others may take our slots soon. Told once; the next answer renews the
	 * lease.
	 */
	void (*lease_lost)(void *context);
	/* Fill slots, rooms, connections; the rest is filled in here. */
	void (*beat)(void *context, struct proto_node_beat *beat);
};

int membership_new(struct bus *bus, uv_loop_t *loop, const struct membership_options *options,
		   const struct membership_events *events, void *context,
		   struct membership **ret_membership);
/*
 * Tell the registry that the node stops as soon as others have its slots; `on_told` follows once it
 * knows, or a second later without that. Nothing else ends by it.
 */
void membership_drain(struct membership *membership, void (*on_told)(void *context, bool known),
		      void *context);
/*
 * Tell the registry that the node leaves in order; `on_left` follows, or a second later at the
 * latest.
 */
void membership_leave(struct membership *membership, void (*on_left)(void *context), void *context);
void membership_free(struct membership *membership);

/* For calls of the daemon's own. */
struct bus_link *membership_registry(struct membership *membership);
struct slot_map *membership_slots(struct membership *membership);
/* NULL before the first welcome. Valid until the next. */
const struct proto_node_welcome *membership_welcome(const struct membership *membership);
/* Whether a heartbeat was answered recently enough to answer from memory, by the clock of now. */
bool membership_has_lease(const struct membership *membership);
