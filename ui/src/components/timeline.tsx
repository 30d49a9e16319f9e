/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The messages of a room, with the scrolling: it stays at the end while one is at the end, keeps
 * what one reads in place when older messages come in above, and says how many came in below.
 */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { MyRooms } from "../my_rooms";
import type { Id } from "../protocol";
import { find_item } from "../room";
import type { RoomSession } from "../room_session";
import { rows, unread_after, type Row } from "../timeline";
import { count, day_text } from "../words";
import { Icon } from "./icon";
import { Message, Outgoing, type MessageActions } from "./message";
import type { Entry } from "../outbox";

const NEAR_TOP_PX = 600;
const NEAR_END_PX = 60;

interface TimelineProps {
  session: RoomSession;
  my_rooms: MyRooms;
  me: Id;
  actions: Omit<MessageActions, "jump">;
  retry: (entry: Entry) => void;
  discard: (entry: Entry) => void;
}

function Divider({ children, strong = false }: { children: string; strong?: boolean }) {
  return (
    <div
      role="separator"
      aria-label={children}
      class={`my-4 flex items-center gap-3 px-5 text-xs font-semibold ${strong ? "text-amber" : "text-quiet"}`}
    >
      <span class={`h-px flex-1 ${strong ? "bg-amber" : "bg-line"}`} />
      {children}
      <span class={`h-px flex-1 ${strong ? "bg-amber" : "bg-line"}`} />
    </div>
  );
}

export function Timeline({ session, my_rooms, me, actions, retry, discard }: TimelineProps) {
  const box = useRef<HTMLDivElement>(null);
  const at_end = useRef(true);
  const before = useRef({ first: 0, height: 0, placed: false });
  const line = useRef<{ after: number | null } | null>(null);
  const [seen_seq, set_seen_seq] = useState(0);
  /* `at_end` for drawing; the reference is what scrolling reads, without waiting for a drawing. */
  const [away, set_away] = useState(false);
  const { items, seq, ready } = session.state;
  const outgoing = session.outgoing() as Entry<"room_send">[];

  if (ready && my_rooms.loaded && !line.current) {
    const read = my_rooms.find(session.room)?.read ?? 0;
    line.current = { after: unread_after(items, read, me) };
  }
  const after = line.current?.after ?? null;
  const direct = session.about?.access === "direct";
  const made = useMemo(() => rows(items, after, direct), [items, after, direct]);

  const mark = () => {
    if (at_end.current && document.visibilityState === "visible" && ready && session.status === "ready") {
      set_seen_seq(seq);
      session.seen();
      my_rooms.mark_read(session.room, seq);
    }
  };

  const to_end = () => {
    const element = box.current;
    if (element) {
      element.scrollTop = element.scrollHeight;
      at_end.current = true;
    }
  };

  const load_older = () => {
    const element = box.current;
    if (element && ready && element.scrollTop < NEAR_TOP_PX && before.current.placed) {
      void session.load_older();
    }
  };

  /* After every drawing, before it is painted. */
  useLayoutEffect(() => {
    const element = box.current;
    const first = items[0]?.seq ?? 0;
    if (!element || !ready) {
      return;
    }
    if (!before.current.placed && line.current) {
      const unread = element.querySelector("[data-unread]");
      before.current.placed = true;
      to_end();
      if (unread instanceof HTMLElement) {
        element.scrollTop = Math.min(element.scrollTop, unread.offsetTop - 80);
        at_end.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
      }
    } else if (first < before.current.first) {
      element.scrollTop += element.scrollHeight - before.current.height;
    } else if (at_end.current) {
      to_end();
    }
    before.current.first = first;
    before.current.height = element.scrollHeight;
    set_away(!at_end.current);
  });

  useEffect(mark, [seq, ready, session.status]);
  useEffect(load_older, [items, ready, session.status]);

  /* One's own new message is always followed. */
  useEffect(() => {
    if (outgoing.length > 0) {
      to_end();
    }
  }, [outgoing.length]);

  useEffect(() => {
    const element = box.current;
    const resized = new ResizeObserver(() => {
      if (at_end.current) {
        to_end();
      }
    });
    if (element) {
      resized.observe(element);
    }
    return () => resized.disconnect();
  }, []);

  useEffect(() => {
    document.addEventListener("visibilitychange", mark);
    return () => document.removeEventListener("visibilitychange", mark);
  });

  const scrolled = () => {
    const element = box.current;
    if (element) {
      at_end.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
      set_away(!at_end.current);
      load_older();
      mark();
    }
  };

  const jump = (target: number) => {
    const article = box.current?.querySelector<HTMLElement>(`[data-seq="${target}"]`);
    article?.scrollIntoView({ block: "center" });
    article?.focus({ preventScroll: true });
  };

  const fresh = !away
    ? 0
    : items.filter((item) => item.seq > seen_seq && item.kind === "message" && item.user !== me).length;
  const may_write = session.is_member();
  const role = session.about?.role;

  const draw = (row: Row) => {
    switch (row.type) {
      case "day":
        return <Divider key={row.key}>{day_text(row.time, Date.now())}</Divider>;
      case "unread":
        return (
          <div key={row.key} data-unread>
            <Divider strong>New messages</Divider>
          </div>
        );
      case "note":
        return (
          <p key={row.key} class="my-2 px-5 text-center text-sm text-quiet">
            {row.text}
          </p>
        );
      case "message":
        return (
          <Message
            key={row.key}
            item={row.item}
            me={me}
            starts={row.starts}
            may_write={may_write}
            may_remove={may_write && (row.item.user === me || role === "owner" || role === "admin")}
            answered={row.item.target ? find_item(session.state, row.item.target) : undefined}
            actions={{ ...actions, jump }}
          />
        );
    }
  };

  return (
    <div class="relative min-h-0 flex-1">
      <div
        ref={box}
        role="log"
        aria-label="Messages"
        aria-live="polite"
        aria-relevant="additions"
        aria-busy={!ready || session.loading_older}
        tabIndex={0}
        class="timeline h-full overflow-y-auto focus-visible:-outline-offset-2"
        onScroll={scrolled}
      >
        <div class="mx-auto flex min-h-full max-w-4xl flex-col justify-end py-4">
          {!ready && <p class="py-8 text-center text-quiet">Loading messages…</p>}
          {ready && !session.state.more && (
            <p class="px-5 pt-6 pb-2 text-center text-sm text-quiet">
              This is the beginning of {direct && "your messages with "}
              {session.about?.label || "the room"}.
            </p>
          )}
          {made.map(draw)}
          {outgoing.map((entry) => (
            <Outgoing
              key={`${entry.client} ${entry.number}`}
              entry={entry}
              acknowledged={session.is_acknowledged(entry)}
              retry={() => retry(entry)}
              discard={() => discard(entry)}
            />
          ))}
        </div>
      </div>
      {session.loading_older && (
        <p class="menu pointer-events-none absolute inset-x-0 top-3 mx-auto w-max px-3 py-1 text-sm text-quiet">
          Loading older messages…
        </p>
      )}
      {away && ready && (
        <button
          type="button"
          class={`button absolute bottom-3 left-1/2 -translate-x-1/2 rounded-full text-sm [box-shadow:var(--shade)] ${
            fresh > 0 ? "button-main" : "button-plain"
          }`}
          onClick={() => {
            to_end();
            mark();
          }}
        >
          <Icon name="down" class="size-4" />
          {fresh > 0 ? count(fresh, "new message") : "To the latest"}
        </button>
      )}
      <p class="sr-only" role="status">
        {fresh > 0 ? `${count(fresh, "new message")} below` : ""}
      </p>
    </div>
  );
}
