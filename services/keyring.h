/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The approved keys, and which node each belongs to: what ZAP and every server ask. The registry
 * makes the list, everybody has a copy. Pure.
 */

#include "services/key.h"

struct keyring_entry {
	struct key key;
	enum proto_service service;
	char node[PROTO_NAME_BYTES_MAX + 1];
};

struct keyring_row;

struct keyring {
	struct keyring_row *rows;
	uint64_t version; /* of the registry's list; 0: none was seen yet */
	uint64_t changes; /* grows whenever the entries change */
};

void keyring_deinit(struct keyring *keyring);
/*
 * Have these keys, and no others. Entries that are no key are left out. Returns 0, or -ENOMEM:
 * nothing has changed then.
 */
int keyring_replace(struct keyring *keyring, uint64_t version,
		    const struct proto_list_key_ref *keys);
/* NULL if it is not approved. */
const struct keyring_entry *keyring_find(const struct keyring *keyring, const struct key *key);
