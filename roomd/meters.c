/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the daemon counts: slots by state, rooms, sessions, requests, commits. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "roomd/daemon.h"

struct roomd_probe {
	struct roomd *roomd;
	enum slot_phase phase;
};

static uint64_t probe_rooms(void *context)
{
	return ((struct roomd *)context)->room_count;
}

static uint64_t probe_sessions(void *context)
{
	return sessions_count(((struct roomd *)context)->sessions);
}

static uint64_t probe_lease(void *context)
{
	const struct roomd *roomd = context;

	return roomd->membership && membership_has_lease(roomd->membership);
}

static uint64_t probe_slots(void *context)
{
	const struct roomd_probe *probe = context;

	return takeover_count(probe->roomd->takeover, probe->phase);
}

static int start_probes(struct roomd *roomd)
{
	struct metrics *metrics = roomd->service->metrics;
	char labels[64];
	int r;

	roomd->probes = calloc(SLOT_PHASES, sizeof(*roomd->probes));
	if (!roomd->probes) {
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < SLOT_PHASES; i++) {
		roomd->probes[i] = (struct roomd_probe){roomd, (enum slot_phase)i};
		snprintf(labels, sizeof(labels), "state=\"%s\"",
			 slot_phase_name((enum slot_phase)i));
		r = metrics_probe(metrics, "districhat_roomd_slots",
				  "Slots by state of their take-over", labels, probe_slots,
				  &roomd->probes[i]);
		if (r != 0) {
			return r;
		}
	}
	r = metrics_probe(metrics, "districhat_roomd_rooms", "Rooms in memory", NULL, probe_rooms,
			  roomd);
	if (r == 0) {
		r = metrics_probe(metrics, "districhat_roomd_sessions",
				  "Sessions open on connections", NULL, probe_sessions, roomd);
	}
	return r != 0 ? r
		      : metrics_probe(metrics, "districhat_roomd_lease",
				      "1: the registry answers; 0: answers are confirmed by stores",
				      NULL, probe_lease, roomd);
}

int meters_start(struct roomd *roomd)
{
	const struct {
		const char *name;
		const char *help;
		struct metric **metric;
	} counters[] = {
		{"districhat_roomd_requests_total", "Requests on rooms", &roomd->jobs},
		{"districhat_roomd_appends_total", "Events that got a seq", &roomd->appends},
		{"districhat_roomd_published_total", "Events committed and published",
		 &roomd->published},
		{"districhat_roomd_confirmations_total",
		 "Rounds to the stores that confirm a slot's owner, for want of a lease",
		 &roomd->confirmations},
		{"districhat_roomd_duplicates_total", "Retries answered by what was written before",
		 &roomd->duplicates},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(counters) / sizeof(counters[0]); i++) {
		r = metrics_counter(roomd->service->metrics, counters[i].name, counters[i].help,
				    NULL, counters[i].metric);
	}
	if (r != 0) {
		return r;
	}
	r = metrics_histogram(roomd->service->metrics, "districhat_roomd_commit_seconds",
			      "Time from a seq to its commit", NULL, &roomd->commit_seconds);
	return r != 0 ? r : start_probes(roomd);
}

void meters_stop(struct roomd *roomd)
{
	free(roomd->probes);
}
