/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See meter.h. */

#include "gateway/meter.h"

#define TOKEN 1000
#define BURST_S 2

uint64_t meter_take(struct meter *meter, uint64_t rate, uint64_t now_ms)
{
	uint64_t full = rate * BURST_S * TOKEN;
	uint64_t passed_ms = now_ms - meter->filled_ms;

	if (meter->filled_ms == 0 || passed_ms > BURST_S * 1000) {
		meter->milli = full;
	} else {
		meter->milli += passed_ms * rate;
		meter->milli = meter->milli > full ? full : meter->milli;
	}
	meter->filled_ms = now_ms;
	if (meter->milli >= TOKEN) {
		meter->milli -= TOKEN;
		return 0;
	}
	return (TOKEN - meter->milli + rate - 1) / rate;
}
