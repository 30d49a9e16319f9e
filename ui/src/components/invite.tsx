/* SPDX-License-Identifier: GPL-3.0-or-later */

import { useEffect, useState } from "preact/hooks";
import type { Connection } from "../connection";
import type { AccountInfo, Id } from "../protocol";
import { Avatar } from "./avatar";
import { Dialog } from "./dialog";
import { Field } from "./field";

const AFTER_MS = 200;

interface InviteProps {
  connection: Connection;
  /** Those who are in already. */
  members: Set<Id>;
  add: (user: Id) => void;
  close: () => void;
}

export function Invite({ connection, members, add, close }: InviteProps) {
  const [prefix, set_prefix] = useState("");
  const [found, set_found] = useState<AccountInfo[]>([]);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      connection.request("accounts_find", { prefix: prefix.trim() }).then(
        (answer) => current && set_found(answer.accounts),
        () => undefined,
      );
    }, AFTER_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [prefix, connection]);
  return (
    <Dialog title="Invite people" close={close}>
      <Field label="Find by user name" value={prefix} change={set_prefix} autocomplete="off" autofocus />
      <ul class="mt-3 grid grid-cols-1 gap-1">
        {found.map((account) => (
          <li key={account.user} class="flex items-center gap-2.5">
            <Avatar user={account.user} name={account.name} />
            <span class="min-w-0 flex-1 truncate font-semibold">{account.name}</span>
            {members.has(account.user) ? (
              <span class="text-sm text-quiet">In the room</span>
            ) : (
              <button
                type="button"
                class="button button-plain"
                aria-label={`Add ${account.name}`}
                onClick={() => add(account.user)}
              >
                Add
              </button>
            )}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
