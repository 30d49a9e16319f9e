/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says that the connection is away, after a moment, so that a short hiccup does not flicker. */
import { useEffect, useState } from "preact/hooks";
import type { Connection } from "../connection";
import { useTopics } from "../hooks";
import { Icon } from "./icon";

const PATIENCE_MS = 600;

export function ConnectionNote({ connection }: { connection: Connection }) {
  useTopics(connection.states);
  const away = connection.state !== "open" && connection.state !== "idle";
  const [shown, show] = useState(false);
  useEffect(() => {
    if (!away) {
      show(false);
      return undefined;
    }
    const timer = setTimeout(() => show(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [away]);
  return (
    <div role="status" aria-label="Connection">
      {shown && (
        <div class="flex items-center justify-center gap-2 bg-amber-ground px-4 py-1.5 text-sm text-amber">
          <Icon name="bolt" class="size-4" />
          <span>
            Not connected. <span class="hidden sm:inline">What you write is kept and sent later.</span>
          </span>
          <button type="button" class="font-semibold underline" onClick={connection.hurry}>
            Connect now
          </button>
        </div>
      )}
    </div>
  );
}
