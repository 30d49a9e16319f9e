/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a browser speaks: `districhat.v1.json` over WebSocket (docs/protocol.md). */

#include "cli/load.h"

extern const struct load_dialect dialect_json;
