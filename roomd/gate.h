/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Requests that wait before a slot.
 *
 *   - The slot is about to open (T5 is done, the stores are told): they wait for that.
 *   - It is open, but there is no lease to answer by: the registry is away, or this process was
 *     stopped, or the slot's record is in doubt. Then the stores are asked. `ack_quorum` members of
 *     the open segment that are not fenced, asked after a request came, prove that nobody had
 *     sealed the segment at that moment; so whatever was acknowledged before the request came is
 *     known here, and it may be answered from memory. All requests that wait share one such round;
 *     those that come while it is on its way share the next.
 *
 * So chat goes on while the registry is away, at the price of a round to the stores, and a process
 * that was stopped finds out by itself that it owns nothing any more.
 */

#define GATE_JOBS_MAX 4096 /* that wait before one slot; more are refused as busy */

struct gates;
struct job;
struct roomd;
struct slot;

int gates_new(struct roomd *roomd, struct gates **ret_gates);
/* Refuses all that wait. */
void gates_free(struct gates *gates);
/* Takes the job: it is run again, with `current` set, or refused. */
void gate_wait(struct gates *gates, struct slot *slot, struct job *job);
void gate_opened(struct gates *gates, struct slot *slot);
/* The slot is ours no more. */
void gate_dropped(struct gates *gates, struct slot *slot);
/* Refuses those that wait for a slot that does not open after all. */
void gates_tick(struct gates *gates);
