/* SPDX-License-Identifier: GPL-3.0-or-later */

import { IDBFactory } from "fake-indexeddb";
import { describe, expect, test } from "vitest";
import { Outbox, type OutboxStore, type Sender } from "../src/outbox";
import { IdbOutboxStore, MemoryOutboxStore } from "../src/outbox_store";
import { RequestError, type Failure, type RoomSent } from "../src/protocol";

const USER = "e".repeat(32);
const ROOM = "1".repeat(32);
const OTHER_ROOM = "2".repeat(32);
const TAB = "c".repeat(32);

type Answer = RoomSent | Failure;

/** A service that answers as told, and `sent` otherwise. */
class Service {
  readonly seen: { client: string; number: number; text: string; room: string }[] = [];
  private seq = 0;

  constructor(private readonly answers: Answer[] = []) {}

  readonly send: Sender = (_type, body) => {
    const { client, number, room } = body;
    this.seen.push({ client, number, room, text: (body as { text?: string }).text ?? "" });
    const answer = this.answers.shift();
    if (answer && "code" in answer) {
      return Promise.reject(new RequestError(answer));
    }
    this.seq += 1;
    return Promise.resolve(answer ?? { room, seq: this.seq, time: 1 });
  };
}

function outbox(service: Service, store: OutboxStore, client = TAB): Outbox {
  return new Outbox(client, {
    store,
    send: service.send,
    user: USER,
    delay: () => new Promise((resolve) => setTimeout(resolve, 0)),
  });
}

/** Until nothing is on its way. */
async function empty(box: Outbox): Promise<void> {
  for (let round = 0; round < 500 && box.count() > 0; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  expect(box.count()).toBe(0);
}

const STORES: [string, () => Promise<OutboxStore>][] = [
  ["memory", () => Promise.resolve(new MemoryOutboxStore())],
  ["IndexedDB", () => IdbOutboxStore.open(new IDBFactory())],
];

describe.each(STORES)("outbox in %s", (_name, open) => {
  test("sends in the order of writing, with growing numbers", async () => {
    const service = new Service();
    const box = outbox(service, await open());
    await Promise.all(["one", "two", "three"].map((text) => box.add(ROOM, "room_send", { text })));
    expect(service.seen).toEqual([]);
    box.set_online(true);
    await empty(box);
    expect(service.seen.map(({ number, text }) => [number, text])).toEqual([
      [1, "one"],
      [2, "two"],
      [3, "three"],
    ]);
  });

  test.each([
    { code: "timeout", unknown: true },
    { code: "disconnected", unknown: true },
    { code: "busy", retry_ms: 5 },
    { code: "unavailable", unknown: true },
    { code: "not_owner" },
    { code: "session_unknown" },
  ])("the same number again after $code, and nothing overtakes", async (failure) => {
    const service = new Service([failure, failure]);
    const box = outbox(service, await open());
    box.set_online(true);
    await box.add(ROOM, "room_send", { text: "one" });
    await box.add(ROOM, "room_send", { text: "two" });
    await empty(box);
    expect(service.seen.map(({ number }) => number)).toEqual([1, 1, 1, 2]);
  });

  test("a sure no fails, does not hold up others, and is sent anew on request", async () => {
    const service = new Service([{ code: "forbidden" }]);
    const box = outbox(service, await open());
    box.set_online(true);
    await box.add(ROOM, "room_send", { text: "no" });
    await box.add(ROOM, "room_send", { text: "yes" });
    await empty(box);
    const [failed] = box.of_room(ROOM);
    expect(failed).toMatchObject({ state: "failed", code: "forbidden", number: 1 });
    if (failed) {
      await box.retry(failed);
    }
    await empty(box);
    expect(service.seen.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(box.of_room(ROOM)).toEqual([]);
  });

  test("a spent number is replaced without asking", async () => {
    const service = new Service([{ code: "cmid_stale" }]);
    const box = outbox(service, await open());
    box.set_online(true);
    await box.add(ROOM, "room_send", { text: "one" });
    await empty(box);
    expect(service.seen.map(({ number }) => number)).toEqual([1, 2]);
  });

  test("rooms do not wait for each other", async () => {
    const service = new Service([{ code: "timeout", unknown: true }]);
    const box = outbox(service, await open());
    await box.add(ROOM, "room_send", { text: "slow" });
    await box.add(OTHER_ROOM, "room_send", { text: "quick" });
    box.set_online(true);
    await empty(box);
    expect(service.seen.slice(0, 2).map(({ text }) => text)).toEqual(["slow", "quick"]);
  });

  test("what a closed tab left is sent once, under its own client and number", async () => {
    const store = await open();
    const closed = outbox(new Service(), store);
    await closed.add(ROOM, "room_send", { text: "left behind" });
    closed.stop();

    const service = new Service();
    const fresh = "d".repeat(32);
    const box = outbox(service, store, fresh);
    expect(await store.clients(USER)).toEqual([TAB]);
    box.set_online(true);
    await box.adopt(TAB);
    await box.adopt(TAB);
    await box.add(ROOM, "room_send", { text: "new" });
    await empty(box);
    expect(service.seen).toContainEqual({ client: TAB, number: 1, text: "left behind", room: ROOM });
    expect(service.seen).toContainEqual({ client: fresh, number: 1, text: "new", room: ROOM });
    expect(service.seen).toHaveLength(2);
    expect(await store.clients(USER)).toEqual([]);
  });

  test("a number is never given twice, not even when its entry is gone", async () => {
    const store = await open();
    const first = outbox(new Service(), store);
    first.set_online(true);
    await first.add(ROOM, "room_send", { text: "one" });
    await empty(first);
    const second = await outbox(new Service(), store).add(ROOM, "room_send", { text: "two" });
    expect(second.number).toBe(2);
  });

  test("another person's entries stay where they are", async () => {
    const store = await open();
    await outbox(new Service(), store).add(ROOM, "room_send", { text: "mine" });
    expect(await store.clients("f".repeat(32))).toEqual([]);
    expect(await store.of_client(TAB, "f".repeat(32))).toEqual([]);
  });
});
