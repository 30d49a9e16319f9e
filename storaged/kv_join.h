/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "storaged/kv.h"

/*
 * Two transactions as one: tables of the log from one, views from the other. Ends neither of them.
 */
struct kv_join {
	struct kv_txn txn;
	struct kv_txn *log;
	struct kv_txn *views;
};

void kv_join_init(struct kv_join *join, struct kv_txn *log, struct kv_txn *views);
