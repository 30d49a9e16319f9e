/* SPDX-License-Identifier: GPL-3.0-or-later */

import { useState } from "preact/hooks";
import { app } from "../app";
import type { Account } from "../http";
import { DASHBOARD, navigate } from "../router";
import { Avatar } from "./avatar";
import { Logo } from "./icon";

export function Brand({ to }: { to: string }) {
  return (
    <a href={to} class="flex items-center gap-2.5 font-display text-xl font-semibold tracking-tight">
      <Logo />
      DistriChat
    </a>
  );
}

export function SignOut() {
  const [busy, set_busy] = useState(false);
  const out = async () => {
    set_busy(true);
    try {
      await app.sign_out();
      navigate("/login/");
    } catch {
      set_busy(false);
    }
  };
  return (
    <button type="button" class="button button-plain" disabled={busy} onClick={() => void out()}>
      Log out
    </button>
  );
}

export function TopBar({ account }: { account: Account | null }) {
  return (
    <header class="border-b border-line">
      <div class="mx-auto flex max-w-6xl items-center justify-between gap-3 px-4 py-3 sm:px-6">
        <Brand to={account ? DASHBOARD : "/"} />
        {account ? (
          <div class="flex items-center gap-3">
            <span class="hidden items-center gap-2 sm:flex">
              <Avatar user={account.user} name={account.name} small />
              <span class="max-w-40 truncate font-semibold">{account.name}</span>
            </span>
            <SignOut />
          </div>
        ) : (
          <nav class="flex items-center gap-2" aria-label="Account">
            <a class="button button-plain" href="/login/">
              Log in
            </a>
            <a class="button button-main hidden sm:inline-flex" href="/register/">
              Register
            </a>
          </nav>
        )}
      </div>
    </header>
  );
}
