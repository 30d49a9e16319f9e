/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Writes on their way: each is kept until the service has said what became of it.
 *
 *   add ──▶ pending ──answer──▶ gone (sent)
 *             │  ▲ unknown, passing error, lost connection: the same again, with the same number
 *             └──sure error──▶ failed ──retry (a new number)──▶ pending
 *                                 └──discard──▶ gone
 *
 * Invariants:
 *  - An entry is stored, with its number, before it is sent; a number is never given twice, because
 *    the store counts in the transaction that keeps the entry.
 *  - One write of a room is on its way at a time, in the order of the numbers. A later one that
 *    overtook an earlier one would make that `cmid_stale` for ever.
 *
 * The client id belongs to one tab: numbers must grow in the order of arrival, and two tabs that
 * share an id could not promise that. What a closed tab left behind is adopted by the next one (see
 * client_id.ts), which goes on under the dead tab's id, so that a retry is still recognised.
 */
import { Backoff } from "./backoff";
import {
  passes,
  RequestError,
  type Id,
  type RoomSent,
  type Write,
  type Writes,
  type WriteType,
} from "./protocol";
import { Topic } from "./topic";

const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 15_000;
const RENUMBER_MAX = 5;

/** Errors that say: not written, and this number never will be. */
const NUMBER_SPENT = new Set(["cmid_stale", "cmid_reused"]);

export interface NewEntry<K extends WriteType = WriteType> {
  user: Id;
  client: Id;
  room: Id;
  type: K;
  body: Writes[K];
  /** When the person wrote it, ms since 1970. */
  time: number;
}

export interface Entry<K extends WriteType = WriteType> extends NewEntry<K> {
  number: number;
  state: "pending" | "failed";
  /** Why it failed. */
  code?: string;
  /** How often it got a new number without being asked. */
  renumbered?: number;
}

/** Where entries survive a reload. */
export interface OutboxStore {
  /**
   * Gives the next number of the entry's client, keeps both, and drops the entry that it replaces,
   * in one step: a page that ends in between loses nothing and doubles nothing.
   */
  add(entry: NewEntry & { renumbered?: number }, replaced?: Entry): Promise<Entry>;
  put(entry: Entry): Promise<void>;
  remove(client: Id, number: number): Promise<void>;
  /** By number. */
  of_client(client: Id, user: Id): Promise<Entry[]>;
  /** Clients that left something of this user behind. */
  clients(user: Id): Promise<Id[]>;
}

export type Sender = <K extends WriteType>(type: K, body: Write & Writes[K]) => Promise<RoomSent>;

export interface Sent {
  entry: Entry;
  answer: RoomSent;
}

export interface OutboxOptions {
  store: OutboxStore;
  send: Sender;
  user: Id;
  now?: () => number;
  backoff?: () => Backoff;
  delay?: (ms: number) => Promise<void>;
}

function same(one: Entry, other: Entry): boolean {
  return one.client === other.client && one.number === other.number;
}

function is_failed(entry: Entry): boolean {
  return entry.state === "failed";
}

export class Outbox {
  readonly changes = new Topic<void>();
  readonly sent = new Topic<Sent>();

  private entries: Entry[] = [];
  private readonly running = new Set<string>();
  private online = false;
  private stopped = false;
  private wake: (() => void)[] = [];
  /** Adding is one at a time, so that numbers follow the order in which a person wrote. */
  private adding: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly client: Id,
    private readonly options: OutboxOptions,
  ) {}

  /** Takes over what this or another, dead client left. */
  async adopt(client: Id): Promise<void> {
    const left = await this.options.store.of_client(client, this.options.user);
    const known = new Set(this.entries.map((entry) => `${entry.client} ${entry.number}`));
    this.entries = [
      ...left.filter((entry) => !known.has(`${entry.client} ${entry.number}`)),
      ...this.entries,
    ];
    this.changes.emit();
    this.run_all();
  }

  /** Resolves once it is kept; not when it was sent. */
  add<K extends WriteType>(room: Id, type: K, body: Writes[K]): Promise<Entry> {
    const fresh: NewEntry = {
      user: this.options.user,
      client: this.client,
      room,
      type,
      body,
      time: (this.options.now ?? Date.now)(),
    };
    return this.enqueue(fresh);
  }

  /** Sends a failed one once more, as a new write at the end of the queue. */
  async retry(entry: Entry): Promise<void> {
    await this.enqueue({ ...fresh_of(entry), client: this.client }, entry);
  }

  async discard(entry: Entry): Promise<void> {
    this.forget(entry);
    await this.options.store.remove(entry.client, entry.number);
  }

  of_room(room: Id): Entry[] {
    return this.entries.filter((entry) => entry.room === room);
  }

  count(): number {
    return this.entries.filter((entry) => !is_failed(entry)).length;
  }

  /** The connection came or went. */
  set_online(online: boolean): void {
    this.online = online;
    if (online) {
      const wake = this.wake;
      this.wake = [];
      wake.forEach((go) => go());
      this.run_all();
    }
  }

  stop(): void {
    this.stopped = true;
  }

  private enqueue(fresh: NewEntry & { renumbered?: number }, replaced?: Entry): Promise<Entry> {
    const added = this.adding.then(async () => {
      const entry = await this.options.store.add(fresh, replaced);
      this.entries = [...this.entries.filter((one) => !replaced || !same(one, replaced)), entry];
      this.changes.emit();
      void this.run(entry.client, entry.room);
      return entry;
    });
    this.adding = added.catch(() => undefined);
    return added;
  }

  private run_all(): void {
    for (const entry of this.entries) {
      void this.run(entry.client, entry.room);
    }
  }

  /** Empties the queue of one client and room, in order. */
  private async run(client: Id, room: Id): Promise<void> {
    const key = `${client} ${room}`;
    if (this.running.has(key)) {
      return;
    }
    this.running.add(key);
    const backoff = this.options.backoff?.() ?? new Backoff(RETRY_FIRST_MS, RETRY_LAST_MS);
    while (this.online && !this.stopped) {
      const entry = this.entries.find(
        (one) => one.client === client && one.room === room && !is_failed(one),
      );
      if (!entry) {
        break;
      }
      const wait_ms = await this.attempt(entry, backoff);
      if (wait_ms > 0) {
        await this.pause(wait_ms);
      }
    }
    this.running.delete(key);
  }

  /** Returns how long to wait before the next attempt. */
  private async attempt(entry: Entry, backoff: Backoff): Promise<number> {
    const { client, number, room } = entry;
    try {
      const answer = await this.options.send(entry.type, { ...entry.body, room, client, number });
      backoff.reset();
      this.sent.emit({ entry, answer });
      await this.discard(entry);
      return 0;
    } catch (error) {
      if (!(error instanceof RequestError) || passes(error)) {
        return backoff.next_ms(error instanceof RequestError ? error.retry_ms : 0);
      }
      if (NUMBER_SPENT.has(error.code) && (entry.renumbered ?? 0) < RENUMBER_MAX) {
        await this.renumber(entry);
      } else {
        await this.fail(entry, error.code);
      }
      return 0;
    }
  }

  private async renumber(entry: Entry): Promise<void> {
    const again = { ...fresh_of(entry), renumbered: (entry.renumbered ?? 0) + 1 };
    await this.enqueue({ ...again, client: this.client }, entry);
  }

  private async fail(entry: Entry, code: string): Promise<void> {
    const failed: Entry = { ...entry, state: "failed", code };
    this.entries = this.entries.map((one) => (one === entry ? failed : one));
    this.changes.emit();
    await this.options.store.put(failed);
  }

  private forget(entry: Entry): void {
    this.entries = this.entries.filter((one) => !same(one, entry));
    this.changes.emit();
  }

  /** Ends early when the connection comes back. */
  private pause(ms: number): Promise<void> {
    if (this.options.delay) {
      return this.options.delay(ms);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function fresh_of(entry: Entry): NewEntry {
  const { user, client, room, type, body, time } = entry;
  return { user, client, room, type, body, time };
}
