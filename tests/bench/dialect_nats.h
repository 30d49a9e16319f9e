/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The client protocol of NATS over WebSocket; a room is a subject. */

#include "cli/load.h"

extern const struct load_dialect dialect_nats;
