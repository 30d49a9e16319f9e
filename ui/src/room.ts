/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A room as one reader has it: a pure function from what the gateway sends to what is shown.
 *
 * Invariants:
 *  - `items` is sorted by seq, and each seq stands there once.
 *  - Every event up to `seq` has been applied, exactly once. What comes after a gap waits in
 *    `waiting` until the gap is filled; gap() says what to ask for.
 *  - Epochs never fall along the seqs. An event of a lower epoch than the one before it is of an
 *    owner that had lost its slot, and is dropped.
 *  - A page may reflect more or fewer events than `seq`. Each item therefore remembers up to which
 *    event it is true (`reflects`); later ones are applied, earlier ones are not applied twice, and
 *    changes that came before their page are kept in `changes` and applied when it comes.
 */
import type { Item, Reaction, RoomEvent, RoomOpened, RoomPage } from "./protocol";

const CHANGES_MAX = 5000;

export interface TimelineItem extends Item {
  reflects: number;
}

export interface RoomState {
  /** A page is there: `items` and `seq` mean something. */
  ready: boolean;
  seq: number;
  epoch: number;
  items: TimelineItem[];
  /** There are older items than the first one here. */
  more: boolean;
  waiting: RoomEvent[];
  changes: RoomEvent[];
}

export const EMPTY_ROOM: RoomState = {
  ready: false,
  seq: 0,
  epoch: 0,
  items: [],
  more: false,
  waiting: [],
  changes: [],
};

export type RoomAction =
  | { type: "opened"; opened: RoomOpened }
  | { type: "latest"; page: RoomPage }
  | { type: "older"; page: RoomPage }
  | { type: "events"; events: RoomEvent[] }
  | { type: "reset" };

export function reduce(state: RoomState, action: RoomAction): RoomState {
  switch (action.type) {
    case "opened":
      return opened(state, action.opened);
    case "latest":
      return latest(state, action.page);
    case "older":
      return older(state, action.page);
    case "events":
      return events(state, action.events);
    case "reset":
      return EMPTY_ROOM;
  }
}

/** The seq after which events are missing, though later ones are here; null if none are. */
export function gap(state: RoomState): number | null {
  return state.ready && state.waiting.length > 0 ? state.seq : null;
}

/**
 * A store restored from a backup can be behind what was shown. Nothing here then fits any more:
 * begin again.
 */
function opened(state: RoomState, answer: RoomOpened): RoomState {
  return state.ready && answer.seq < state.seq ? EMPTY_ROOM : state;
}

function latest(state: RoomState, page: RoomPage): RoomState {
  const fresh: RoomState = {
    ...state,
    ready: true,
    seq: page.seq,
    items: page.items.map((item) => ({ ...item, reflects: page.seq })),
    more: page.more ?? false,
    changes: [],
  };
  return drain(fresh);
}

function older(state: RoomState, page: RoomPage): RoomState {
  if (!state.ready) {
    return state;
  }
  const known = new Set(state.items.map((item) => item.seq));
  const fresh = page.items
    .filter((item) => !known.has(item.seq))
    .map((item) =>
      state.changes.reduce<TimelineItem>(
        (changed, event) => (event.target === changed.seq ? change(changed, event) : changed),
        { ...item, reflects: page.seq },
      ),
    );
  const items = [...fresh, ...state.items].sort((a, b) => a.seq - b.seq);
  return { ...state, items, more: page.more ?? false };
}

function events(state: RoomState, arrived: RoomEvent[]): RoomState {
  const waiting = new Map(state.waiting.map((event) => [event.seq, event]));
  for (const event of arrived) {
    const other = waiting.get(event.seq);
    if ((!state.ready || event.seq > state.seq) && (!other || other.epoch < event.epoch)) {
      waiting.set(event.seq, event);
    }
  }
  return drain({ ...state, waiting: [...waiting.values()].sort((a, b) => a.seq - b.seq) });
}

/** Applies what follows `seq` without a gap. */
function drain(state: RoomState): RoomState {
  if (!state.ready || state.waiting.length === 0) {
    return state;
  }
  const next: RoomState = { ...state, items: [...state.items], changes: [...state.changes] };
  let taken = 0;
  for (const event of state.waiting) {
    if (event.seq > next.seq + 1) {
      break;
    }
    taken += 1;
    if (event.seq === next.seq + 1 && event.epoch >= next.epoch) {
      apply(next, event);
      next.seq = event.seq;
      next.epoch = event.epoch;
    }
  }
  next.waiting = state.waiting.slice(taken);
  return next;
}

/** Changes the fresh copy that drain() made. */
function apply(state: RoomState, event: RoomEvent): void {
  switch (event.kind) {
    case "message":
    case "member":
    case "setting":
      state.items.push(from_event(event));
      break;
    case "edit":
    case "redaction":
    case "reaction": {
      const index = find(state.items, event.target ?? 0);
      const item = state.items[index];
      if (item) {
        state.items[index] = change(item, event);
      }
      state.changes.push(event);
      if (state.changes.length > CHANGES_MAX) {
        state.changes.shift();
      }
      break;
    }
    case "joined":
    case "read":
      break;
  }
}

function from_event(event: RoomEvent): TimelineItem {
  const { room: _room, epoch: _epoch, lsn: _lsn, emoji: _emoji, remove: _remove, ...item } = event;
  return { ...item, reflects: event.seq };
}

function change(item: TimelineItem, event: RoomEvent): TimelineItem {
  if (event.seq <= item.reflects) {
    return item;
  }
  const next: TimelineItem = { ...item, reflects: event.seq };
  switch (event.kind) {
    case "edit":
      if (!next.redacted) {
        next.text = event.text ?? "";
        next.edited = event.seq;
        next.edited_time = event.time;
      }
      break;
    case "redaction":
      next.redacted = event.seq;
      next.text = "";
      delete next.reactions;
      break;
    case "reaction":
      if (!next.redacted) {
        next.reactions = react(next.reactions ?? [], event);
      }
      break;
    default:
      break;
  }
  return next;
}

function react(reactions: Reaction[], event: RoomEvent): Reaction[] {
  const emoji = event.emoji ?? "";
  const old = reactions.find((reaction) => reaction.emoji === emoji) ?? { emoji, count: 0 };
  const users = old.users ?? [];
  const had = users.some((person) => person.user === event.user);
  const next: Reaction = event.remove
    ? {
        emoji,
        count: had || old.count > users.length ? old.count - 1 : old.count,
        users: users.filter((person) => person.user !== event.user),
      }
    : had
      ? old
      : { emoji, count: old.count + 1, users: [...users, { user: event.user }] };
  const others = reactions.map((reaction) => (reaction.emoji === emoji ? next : reaction));
  const all = old.count === 0 && !reactions.includes(old) ? [...others, next] : others;
  return all.filter((reaction) => reaction.count > 0);
}

/** Binary search; -1 if it is not here. */
function find(items: TimelineItem[], seq: number): number {
  let low = 0;
  let high = items.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = items[middle]?.seq ?? 0;
    if (at === seq) {
      return middle;
    }
    if (at < seq) {
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return -1;
}

export function find_item(state: RoomState, seq: number): TimelineItem | undefined {
  return state.items[find(state.items, seq)];
}
