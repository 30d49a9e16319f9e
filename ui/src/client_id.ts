/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who this tab is to the services: a random id, kept in sessionStorage so that a reload stays the
 * same client. A duplicated tab copies sessionStorage, so the id alone proves nothing: a tab also
 * holds the Web Lock of its id for as long as it lives, and one that does not get the lock takes a
 * new id. The same locks tell which outboxes have lost their tab and may be adopted.
 *
 * Without Web Locks (a page over plain HTTP from another machine) every load is a new client, and
 * nothing is adopted.
 */
import { random_id, type Id } from "./protocol";

const KEY = "districhat.client";

/** Holds the lock until the page goes away. False: another tab has it. */
function hold(client: Id): Promise<boolean> {
  return new Promise((resolve) => {
    navigator.locks
      .request(`districhat-client-${client}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock ? new Promise<void>(() => undefined) : undefined;
      })
      .catch(() => resolve(false));
  });
}

function remembered(): Id | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(client: Id): void {
  try {
    sessionStorage.setItem(KEY, client);
  } catch {
    /* Storage is off: the next load is a new client. */
  }
}

export async function claim_client_id(): Promise<Id> {
  if (!("locks" in navigator)) {
    return random_id();
  }
  const old = remembered();
  if (old && (await hold(old))) {
    return old;
  }
  const fresh = random_id();
  await hold(fresh);
  remember(fresh);
  return fresh;
}

/** True if the tab of this id is gone; it is ours from now on. */
export function adopt_client_id(client: Id): Promise<boolean> {
  return "locks" in navigator ? hold(client) : Promise.resolve(false);
}
