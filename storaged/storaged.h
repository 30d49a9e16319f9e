/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "services/service.h"

struct storaged_settings {
	struct service_settings service; /* first */
	const char *bind;
	const char *registry;
	const char *data;
	uint64_t map_bytes;
	uint64_t queue_jobs;
	uint64_t queue_bytes;
	bool verify;
	bool rebuild;
};

extern const struct service_spec storaged_spec;
