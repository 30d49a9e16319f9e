/* SPDX-License-Identifier: GPL-3.0-or-later */

import { describe, expect, test } from "vitest";
import type { Item, RoomEvent, RoomPage } from "../src/protocol";
import { EMPTY_ROOM, find_item, gap, reduce, type RoomState } from "../src/room";

const ROOM = "0".repeat(32);
const ANNA = "a".repeat(32);
const BEN = "b".repeat(32);

function event(seq: number, more: Partial<RoomEvent> = {}): RoomEvent {
  const text = `text ${seq}`;
  return { room: ROOM, epoch: 1, lsn: seq, seq, time: seq, kind: "message", user: ANNA, text, ...more };
}

function item(seq: number, more: Partial<Item> = {}): Item {
  return { seq, time: seq, kind: "message", user: ANNA, text: `text ${seq}`, ...more };
}

function page(seq: number, items: Item[], more = false): RoomPage {
  return { room: ROOM, seq, items, more };
}

function opened(seq: number, items: Item[] = [], more = false): RoomState {
  return reduce(EMPTY_ROOM, { type: "latest", page: page(seq, items, more) });
}

const take = (state: RoomState, ...events: RoomEvent[]) => reduce(state, { type: "events", events });
const seqs = (state: RoomState) => state.items.map((one) => one.seq);
const text = (state: RoomState, seq: number) => find_item(state, seq)?.text;

describe("order", () => {
  test("events follow the page", () => {
    const state = take(opened(1, [item(1)]), event(2), event(3));
    expect(seqs(state)).toEqual([1, 2, 3]);
    expect(gap(state)).toBeNull();
  });

  test("an event that comes twice is shown once", () => {
    const state = take(take(opened(0), event(1), event(1)), event(1));
    expect(seqs(state)).toEqual([1]);
  });

  test("what comes after a gap waits until the gap is filled", () => {
    const waiting = take(opened(1, [item(1)]), event(4), event(3));
    expect(seqs(waiting)).toEqual([1]);
    expect(gap(waiting)).toBe(1);
    const filled = take(waiting, event(2));
    expect(seqs(filled)).toEqual([1, 2, 3, 4]);
    expect(gap(filled)).toBeNull();
  });

  test("events before the page wait, and those that the page reflects are dropped", () => {
    const early = take(EMPTY_ROOM, event(3), event(2));
    expect(gap(early)).toBeNull();
    const state = reduce(early, { type: "latest", page: page(2, [item(1), item(2)]) });
    expect(seqs(state)).toEqual([1, 2, 3]);
  });

  test("an event of an epoch lower than the one before it is dropped", () => {
    const state = take(opened(0), event(1, { epoch: 5 }), event(2, { epoch: 4, text: "false" }));
    expect(seqs(state)).toEqual([1]);
    const next = take(state, event(2, { epoch: 5, text: "true" }));
    expect(text(next, 2)).toBe("true");
  });

  test("of two waiting events with one seq, the later epoch counts", () => {
    const state = take(opened(0), event(2, { epoch: 1, text: "old" }), event(2, { epoch: 2, text: "new" }), event(1));
    expect(text(state, 2)).toBe("new");
  });

  test("any order of arrival gives the same room", () => {
    const all = [
      event(1),
      event(2),
      event(3, { kind: "edit", target: 1, text: "edited" }),
      event(4, { kind: "reaction", target: 2, emoji: "👍", user: BEN }),
      event(5, { kind: "redaction", target: 2 }),
      event(6),
    ];
    const straight = take(opened(0), ...all);
    for (let round = 0; round < 50; round += 1) {
      const shuffled = [...all, ...all].sort((a, b) => ((a.seq * 7 + round * 13) % 11) - ((b.seq * 5 + round) % 11));
      const state = shuffled.reduce((before, one) => take(before, one), opened(0));
      expect(state.items).toEqual(straight.items);
    }
  });

  test("reset forgets all", () => {
    expect(reduce(opened(1, [item(1)]), { type: "reset" })).toEqual(EMPTY_ROOM);
  });

  test("a room that went back begins again", () => {
    const answer = { room: ROOM, epoch: 9, seq: 3, access: "public" as const };
    expect(reduce(opened(5), { type: "opened", opened: answer })).toEqual(EMPTY_ROOM);
    expect(reduce(opened(3), { type: "opened", opened: answer }).ready).toBe(true);
  });
});

describe("changes", () => {
  test("an edit replaces the text", () => {
    const state = take(opened(1, [item(1)]), event(2, { kind: "edit", target: 1, text: "new" }));
    expect(find_item(state, 1)).toMatchObject({ text: "new", edited: 2 });
    expect(seqs(state)).toEqual([1]);
  });

  test("a redaction takes text and reactions, and no edit brings them back", () => {
    const state = take(
      opened(1, [item(1, { reactions: [{ emoji: "👍", count: 1, users: [{ user: BEN }] }] })]),
      event(2, { kind: "redaction", target: 1 }),
      event(3, { kind: "edit", target: 1, text: "back" }),
    );
    expect(find_item(state, 1)).toMatchObject({ text: "", redacted: 2 });
    expect(find_item(state, 1)?.reactions).toBeUndefined();
  });

  test("reactions are counted once for each person", () => {
    const like = { kind: "reaction", target: 1, emoji: "👍" } as const;
    const two = take(
      opened(1, [item(1)]),
      event(2, { ...like, user: ANNA }),
      event(3, { ...like, user: BEN }),
      event(4, { ...like, user: BEN }),
    );
    expect(find_item(two, 1)?.reactions).toEqual([{ emoji: "👍", count: 2, users: [{ user: ANNA }, { user: BEN }] }]);
    const none = take(
      two,
      event(5, { ...like, user: ANNA, remove: true }),
      event(6, { ...like, user: BEN, remove: true }),
    );
    expect(find_item(none, 1)?.reactions).toEqual([]);
  });

  test("a change of a message that is not loaded does no harm", () => {
    const state = take(opened(5, [item(5)]), event(6, { kind: "edit", target: 1, text: "new" }));
    expect(state.seq).toBe(6);
    expect(seqs(state)).toEqual([5]);
  });
});

describe("older pages", () => {
  const edit = event(6, { kind: "edit", target: 1, text: "new" });
  const like = event(7, { kind: "reaction", target: 1, emoji: "👍", user: BEN });

  test("stand before what is there, without doubles", () => {
    const state = reduce(opened(5, [item(3), item(5)], true), {
      type: "older",
      page: page(5, [item(1), item(2), item(3)]),
    });
    expect(seqs(state)).toEqual([1, 2, 3, 5]);
    expect(state.more).toBe(false);
  });

  test("that are older than the room get the changes that came before them", () => {
    const changed = take(opened(5, [item(5)], true), edit, like);
    const state = reduce(changed, { type: "older", page: page(5, [item(1)]) });
    expect(find_item(state, 1)).toMatchObject({ text: "new", reactions: [{ emoji: "👍", count: 1 }] });
  });

  test("that are newer than the room do not get a change twice", () => {
    const reactions = [{ emoji: "👍", count: 1, users: [{ user: BEN }] }];
    const early = reduce(opened(5, [item(5)], true), {
      type: "older",
      page: page(7, [item(1, { text: "new", edited: 6, reactions })]),
    });
    expect(find_item(take(early, edit, like), 1)?.reactions).toEqual(reactions);
  });
});
