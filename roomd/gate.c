/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A gate a slot that anybody waits for; gone when nobody does. Answers name the gate by its slot's
 * number and their round, so that they may come late. What is asked of the stores is `release`: it
 * is refused behind a fence, and otherwise tells them the last commit, which they may know.
 */

#include "roomd/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "roomd/daemon.h"

struct gate {
	struct gates *gates;
	struct slot *slot;
	struct job *waiting;
	size_t count;
	struct job *proving; /* the round on its way is for these */
	uint64_t round; /* of all gates, never reused; 0: none on its way */
	size_t confirmed;
	size_t failed;
	struct gate *prev;
	struct gate *next;
};

struct gates {
	struct roomd *roomd;
	struct gate *of[PROTO_SLOTS];
	struct gate *used;
	uint64_t rounds;
};

struct call {
	struct gates *gates;
	unsigned int slot;
	uint64_t round;
};

static void begin_round(struct gate *gate);

int gates_new(struct roomd *roomd, struct gates **ret_gates)
{
	struct gates *gates = calloc(1, sizeof(*gates));

	if (!gates) {
		return -ENOMEM;
	}
	gates->roomd = roomd;
	*ret_gates = gates;
	return 0;
}

static struct gate *gate_get(struct gates *gates, struct slot *slot)
{
	struct gate *gate = gates->of[slot->number];

	if (!gate) {
		gate = calloc(1, sizeof(*gate));
		if (!gate) {
			return NULL;
		}
		gate->gates = gates;
		gate->slot = slot;
		gates->of[slot->number] = gate;
		DL_APPEND(gates->used, gate);
	}
	return gate;
}

/* Unless somebody waits again. */
static void gate_put(struct gates *gates, unsigned int slot)
{
	struct gate *gate = gates->of[slot];

	if (gate && !gate->waiting && gate->round == 0) {
		DL_DELETE(gates->used, gate);
		gates->of[slot] = NULL;
		free(gate);
	}
}

/* --- lists of jobs --- */

static void refuse_all(struct job *jobs, int error, const char *detail)
{
	while (jobs) {
		struct job *job = jobs;

		DL_DELETE(jobs, job);
		job_refuse(job, error, detail);
	}
}

static void run_all(struct job *jobs, bool current)
{
	while (jobs) {
		struct job *job = jobs;

		DL_DELETE(jobs, job);
		job->current = job->current || current;
		job_run(job);
	}
}

static struct job *take_waiting(struct gate *gate)
{
	struct job *jobs = gate->waiting;

	gate->waiting = NULL;
	gate->count = 0;
	return jobs;
}

/* --- rounds --- */

/* The round is over. The next one begins if anybody came meanwhile; the gate may be gone after. */
static void end_round(struct gate *gate, int error)
{
	struct gates *gates = gate->gates;
	struct slot *slot = gate->slot;
	struct job *jobs = gate->proving;

	gate->proving = NULL;
	gate->round = 0;
	if (gate->waiting && slot->phase == SLOT_OPEN) {
		begin_round(gate);
	}
	if (error == 0) {
		run_all(jobs, true);
	} else {
		refuse_all(jobs, error, "storage does not answer");
	}
	gate_put(gates, slot->number);
}

static void on_answer(void *context, int result, const struct proto_message *answer)
{
	struct call call = *(struct call *)context;
	struct gate *gate = call.gates->of[call.slot];
	const struct segment_spec *spec;

	(void)answer;
	free(context);
	if (!gate || gate->round != call.round) {
		return;
	}
	if (result == PROTO_E_FENCED) {
		slot_drop(gate->slot, PROTO_E_FENCED); /* gate_dropped() follows */
		return;
	}
	spec = segment_spec(gate->slot->segment);
	gate->confirmed += result == 0;
	gate->failed += result != 0;
	if (gate->confirmed >= spec->ack_quorum) {
		end_round(gate, 0);
	} else if (spec->member_count - gate->failed < spec->ack_quorum) {
		end_round(gate, PROTO_E_BUSY);
	}
}

static void ask_member(struct gate *gate, const struct segment_spec *spec, size_t member)
{
	const struct env *env = &gate->gates->roomd->env;
	struct proto_release body = {
		.slot = spec->slot,
		.epoch = spec->epoch,
		.nonce = spec->nonce,
		.segment = spec->epoch,
		.lac = segment_lac(gate->slot->segment),
	};
	struct call *call = malloc(sizeof(*call));

	if (!call) {
		abort(); /* those that wait could not be told */
	}
	*call = (struct call){gate->gates, spec->slot, gate->round};
	env->store(env->context, &spec->members[member], PROTO_RELEASE, &body, on_answer, call);
}

static void begin_round(struct gate *gate)
{
	const struct segment_spec *spec = segment_spec(gate->slot->segment);

	gate->proving = take_waiting(gate);
	gate->round = ++gate->gates->rounds;
	metric_add(gate->gates->roomd->confirmations, 1);
	gate->confirmed = 0;
	gate->failed = 0;
	for (size_t i = 0; i < spec->member_count; i++) {
		ask_member(gate, spec, i);
	}
}

/* --- for the actor --- */

void gate_wait(struct gates *gates, struct slot *slot, struct job *job)
{
	struct gate *gate = gate_get(gates, slot);

	if (!gate || gate->count >= GATE_JOBS_MAX) {
		job_refuse(job, PROTO_E_BUSY, "too many requests wait for the slot");
		return;
	}
	DL_APPEND(gate->waiting, job);
	gate->count++;
	if (slot->phase == SLOT_OPEN && gate->round == 0) {
		begin_round(gate);
	}
}

void gate_opened(struct gates *gates, struct slot *slot)
{
	struct gate *gate = gates->of[slot->number];

	if (gate) {
		run_all(take_waiting(gate), false);
		gate_put(gates, slot->number);
	}
}

void gate_dropped(struct gates *gates, struct slot *slot)
{
	struct gate *gate = gates->of[slot->number];
	struct job *proving;

	if (!gate) {
		return;
	}
	proving = gate->proving;
	gate->proving = NULL;
	gate->round = 0;
	refuse_all(proving, PROTO_E_NOT_OWNER, NULL);
	refuse_all(take_waiting(gate), PROTO_E_NOT_OWNER, NULL);
	gate_put(gates, slot->number);
}

void gates_tick(struct gates *gates)
{
	struct gate *gate;
	struct gate *next;

	DL_FOREACH_SAFE(gates->used, gate, next)
	{
		if (gate->slot->phase != SLOT_OPEN && !slot_is_opening(gate->slot)) {
			gate_dropped(gates, gate->slot);
		}
	}
}

void gates_free(struct gates *gates)
{
	if (!gates) {
		return;
	}
	while (gates->used) {
		gate_dropped(gates, gates->used->slot);
	}
	free(gates);
}
