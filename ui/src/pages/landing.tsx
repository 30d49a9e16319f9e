/* SPDX-License-Identifier: GPL-3.0-or-later */

import { Avatar } from "../components/avatar";
import { Icon, type IconName } from "../components/icon";
import { TopBar } from "../components/top_bar";
import { useTitle } from "../hooks";
import type { Account } from "../http";
import { DASHBOARD } from "../router";

const POINTS: { icon: IconName; title: string; text: string }[] = [
  {
    icon: "check",
    title: "Nothing gets lost",
    text: "A message that is shown as sent is on disk, once, in its place. Write on a train: it is kept and sent when you are back.",
  },
  {
    icon: "people",
    title: "Rooms for everyone, or for some",
    text: "Public rooms are found by name and joined by opening them. Private ones belong to those who are invited.",
  },
  {
    icon: "bolt",
    title: "Made to grow",
    text: "Add machines while people talk. Rooms move to them, and nobody in the room notices.",
  },
];

function Example() {
  const bubble = "rounded-2xl px-3.5 py-2";
  return (
    <div class="card grid gap-3 p-5 [box-shadow:var(--shade)]" aria-hidden="true">
      <p class="font-display text-lg font-semibold"># garden</p>
      <div class="flex gap-2.5">
        <Avatar user="3" name="Anna" />
        <p class={`${bubble} rounded-bl-md border border-line bg-raised`}>The first tomatoes are ripe. Who wants some?</p>
      </div>
      <div class="flex justify-end">
        <p class={`${bubble} rounded-br-md bg-own text-own-ink`}>Me! I bring bread on Saturday.</p>
      </div>
      <div class="flex gap-2.5">
        <Avatar user="5" name="Ben" />
        <p class={`${bubble} rounded-bl-md border border-line bg-raised`}>Then I make soup 🍅</p>
      </div>
      <p class="text-sm text-quiet">Anna and Ben are typing</p>
    </div>
  );
}

export function Landing({ account }: { account: Account | null }) {
  useTitle("DistriChat");
  return (
    <div class="min-h-full">
      <TopBar account={account} />
      <main class="mx-auto max-w-6xl px-4 sm:px-6">
        <div class="grid items-center gap-10 py-12 lg:grid-cols-[1.1fr_1fr] lg:py-20">
          <div>
            <h1 class="text-4xl leading-tight font-semibold sm:text-5xl">
              Talk in rooms that remember every word.
            </h1>
            <p class="mt-5 max-w-xl text-lg text-quiet">
              DistriChat is chat for teams, clubs and neighbours, on your own machines. Whatever happens to the
              network, what you said stays said.
            </p>
            <div class="mt-8 flex flex-wrap gap-3">
              {account ? (
                <a class="button button-main" href={DASHBOARD}>
                  Go to your rooms
                </a>
              ) : (
                <>
                  <a class="button button-main" href="/register/">
                    Create an account
                  </a>
                  <a class="button button-plain" href="/login/">
                    Log in
                  </a>
                </>
              )}
            </div>
            {account && <p class="mt-4 text-quiet">Welcome back, {account.name}.</p>}
          </div>
          <Example />
        </div>
        <ul class="grid gap-8 border-t border-line py-10 md:grid-cols-3">
          {POINTS.map((point) => (
            <li key={point.title}>
              <span class="grid size-10 place-items-center rounded-xl bg-own text-own-ink">
                <Icon name={point.icon} />
              </span>
              <h2 class="mt-3 text-xl font-semibold">{point.title}</h2>
              <p class="mt-1 text-quiet">{point.text}</p>
            </li>
          ))}
        </ul>
      </main>
    </div>
  );
}
