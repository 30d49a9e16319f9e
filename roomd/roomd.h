/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* roomd: owner of slots, and of the rooms in them. The manual is in roomd.c. */

#include "services/service.h"

struct roomd_settings {
	struct service_settings service;
	const char *bind;
	const char *feed;
	const char *registry;
	uint64_t rooms_max;
	uint64_t room_writes_max;
	uint64_t room_waiting_max;
	uint64_t tail_events;
	uint64_t tail_bytes;
};

extern const struct service_spec roomd_spec;
