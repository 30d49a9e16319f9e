/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How items become rows: days, notes, groups of one writer's messages, the unread line. Pure. */
import type { Id } from "./protocol";
import type { TimelineItem } from "./room";
import { day_key } from "./words";

const GROUP_MS = 5 * 60 * 1000;

export type Row =
  | { type: "day"; key: string; time: number }
  | { type: "unread"; key: string }
  | { type: "note"; key: string; item: TimelineItem; text: string }
  | { type: "message"; key: string; item: TimelineItem; starts: boolean };

/** Of a direct room without notes: they would only say that the two are in it. */
export function rows(items: TimelineItem[], unread_after: number | null, direct = false): Row[] {
  const made: Row[] = [];
  let day = "";
  let before: TimelineItem | null = null;
  for (const item of items) {
    if (day_key(item.time) !== day) {
      day = day_key(item.time);
      made.push({ type: "day", key: `day ${day}`, time: item.time });
      before = null;
    }
    if (unread_after !== null && item.seq > unread_after) {
      made.push({ type: "unread", key: "unread" });
      unread_after = null;
      before = null;
    }
    if (item.kind === "message") {
      const starts =
        !before || before.user !== item.user || item.time - before.time > GROUP_MS || !!item.target;
      made.push({ type: "message", key: `${item.seq}`, item, starts });
      before = item;
    } else {
      const text = direct ? "" : note_text(item);
      if (text) {
        made.push({ type: "note", key: `${item.seq}`, item, text });
        before = null;
      }
    }
  }
  return made;
}

/** After which seq the unread line stands: null if nothing of others is new. */
export function unread_after(items: TimelineItem[], read: number, me: Id): number | null {
  const first = items.find((item) => item.seq > read && item.kind === "message" && item.user !== me);
  return first && read > 0 ? first.seq - 1 : null;
}

const ROLE_NOTES = {
  owner: "made {} an owner",
  admin: "made {} an administrator",
  member: "made {} a member",
  none: "removed {}",
  banned: "banned {}",
} as const;

export function note_text(item: TimelineItem): string {
  const who = item.name || "Someone";
  if (item.kind === "setting") {
    return item.seq <= 2 ? "" : `${who} changed the room: ${item.label ?? ""}`;
  }
  if (item.kind !== "member" || !item.role) {
    return "";
  }
  if (item.subject === item.user) {
    switch (item.role) {
      case "owner":
        return `${who} created the room`;
      case "none":
        return `${who} left`;
      default:
        return `${who} joined`;
    }
  }
  return `${who} ${ROLE_NOTES[item.role].replace("{}", item.label || "someone")}`;
}
