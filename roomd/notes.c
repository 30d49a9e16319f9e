/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A queue in the order of what is due. Notes are idempotent (the log ignores a seq that it knows),
 * so every doubt is solved by sending again. A job that asked for one is not kept waiting past its
 * deadline.
 */

#include "roomd/notes.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>
#include "roomd/daemon.h"

struct errand {
	struct note note;
	struct notes *notes;
	struct job *job;
	uint64_t began_ms;
	uint64_t due_ms;
	uint64_t wait_ms;
	bool flying;
	struct errand *prev;
	struct errand *next;
};

struct peer {
	char address[PROTO_ADDRESS_BYTES_MAX + 1];
	struct bus_link *link;
	struct peer *next;
};

struct notes {
	struct roomd *roomd;
	struct errand *errands;
	size_t count;
	size_t flying;
	struct peer *peers;
};

int notes_new(struct roomd *roomd, struct notes **ret_notes)
{
	struct notes *notes = calloc(1, sizeof(*notes));

	if (!notes) {
		return -ENOMEM;
	}
	notes->roomd = roomd;
	*ret_notes = notes;
	return 0;
}

static void errand_end(struct errand *errand)
{
	struct notes *notes = errand->notes;
	struct job *job = errand->job;

	DL_DELETE(notes->errands, errand);
	notes->count--;
	free(errand);
	if (job) {
		job_done(job);
	}
}

void notes_free(struct notes *notes)
{
	if (!notes) {
		return;
	}
	while (notes->errands) {
		errand_end(notes->errands);
	}
	while (notes->peers) {
		struct peer *peer = notes->peers;

		notes->peers = peer->next;
		bus_link_free(peer->link);
		free(peer);
	}
	free(notes);
}

static struct bus_link *peer_link(struct notes *notes, const char *address)
{
	struct peer *peer;

	for (peer = notes->peers; peer; peer = peer->next) {
		if (strcmp(peer->address, address) == 0) {
			return peer->link;
		}
	}
	peer = calloc(1, sizeof(*peer));
	if (!peer || bus_link_new(notes->roomd->service->bus, address, &peer->link) != 0) {
		free(peer);
		return NULL;
	}
	memcpy(peer->address, address, strnlen(address, PROTO_ADDRESS_BYTES_MAX));
	peer->next = notes->peers;
	notes->peers = peer;
	return peer->link;
}

static void on_noted(void *context, int result, const struct proto_message *answer)
{
	struct errand *errand = context;
	struct notes *notes = errand->notes;

	(void)answer;
	errand->flying = false;
	notes->flying--;
	if (result == 0) {
		errand_end(errand);
		return;
	}
	errand->due_ms = roomd_now_ms(notes->roomd) + errand->wait_ms;
	errand->wait_ms = errand->wait_ms * 2 < NOTES_RETRY_MS_MAX ? errand->wait_ms * 2
								   : NOTES_RETRY_MS_MAX;
}

static void send_errand(struct errand *errand)
{
	const struct bus_call_options options = {.timeout_ms = NOTES_TIMEOUT_MS};
	struct notes *notes = errand->notes;
	const struct note *note = &errand->note;
	const struct slot_owner *owner = slot_map_owner(membership_slots(notes->roomd->membership),
							proto_id_slot(&note->user));
	struct bus_link *link = owner ? peer_link(notes, owner->address) : NULL;
	struct proto_personal_note body = {
		.room = note->user,
		.subject = note->room,
		.seq = note->seq,
		.label = proto_span(note->label),
		.access = note->access,
		.role = note->role,
	};

	if (!link) {
		errand->due_ms = roomd_now_ms(notes->roomd) + NOTES_RETRY_MS_MIN;
		return;
	}
	errand->flying = true;
	notes->flying++;
	calls_make(notes->roomd->calls, link, PROTO_PERSONAL_NOTE, &body, &options, on_noted,
		   errand);
}

void notes_add(struct notes *notes, const struct note *note, struct job *job)
{
	struct errand *errand = notes->count < NOTES_MAX ? calloc(1, sizeof(*errand)) : NULL;

	if (!errand) {
		log_warn("note_dropped", LOG_ID("user", &note->user), LOG_ID("room", &note->room));
		return;
	}
	*errand = (struct errand){
		.note = *note,
		.notes = notes,
		.job = job,
		.began_ms = roomd_now_ms(notes->roomd),
		.wait_ms = NOTES_RETRY_MS_MIN,
	};
	if (job) {
		job->pending++;
	}
	DL_APPEND(notes->errands, errand);
	notes->count++;
	if (notes->flying < NOTES_FLYING_MAX) {
		send_errand(errand);
	}
}

void notes_tick(struct notes *notes)
{
	uint64_t now = roomd_now_ms(notes->roomd);
	struct errand *errand;
	struct errand *next;

	DL_FOREACH_SAFE(notes->errands, errand, next)
	{
		if (errand->job && errand->job->request &&
		    bus_request_time_left_ms(errand->job->request) == 0) {
			bus_refuse(errand->job->request, PROTO_E_TIMEOUT,
				   "the personal log did not answer");
			errand->job->request = NULL;
		}
		if (errand->flying) {
			continue;
		}
		if (now - errand->began_ms > NOTES_GIVE_UP_MS) {
			log_warn("note_given_up", LOG_ID("user", &errand->note.user),
				 LOG_ID("room", &errand->note.room));
			errand_end(errand);
		} else if (now >= errand->due_ms && notes->flying < NOTES_FLYING_MAX) {
			send_errand(errand);
		}
	}
}
