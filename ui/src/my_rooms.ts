/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The rooms that the person has joined, with what is unread in each, on every page.
 *
 * The list comes from rooms_mine; joining and reading on any device arrives as events of the
 * personal log (the room whose id is the user's). Up to FOLLOW_MAX rooms are followed live, the
 * latest first; what was written before that is counted from the events after the read mark, so
 * that one's own messages, edits and notes are not counted.
 */
import type { Connection } from "./connection";
import type { Id, Push, Request, RoomEvent, RoomInfo } from "./protocol";
import { Topic } from "./topic";

const FOLLOW_MAX = 50;
const PAGES_MAX = 10;
const COUNT_AT_ONCE = 4;
const AGAIN_MS = 3_000;

export interface MyRoom {
  room: Id;
  label: string;
  topic: string;
  access: RoomInfo["access"];
  role: RoomInfo["role"];
  last_seq: number;
  last_time: number;
  read: number;
  unread: number;
  /** There are at least so many. */
  unread_more: boolean;
}

export class MyRooms {
  readonly changes = new Topic<void>();
  loaded = false;
  rooms: MyRoom[] = [];

  private readonly followed = new Set<Id>();
  private open_room: Id | null = null;
  private again: ReturnType<typeof setTimeout> | undefined;
  private readonly subscriptions: (() => void)[] = [];

  constructor(
    private readonly me: Id,
    private readonly connection: Connection,
  ) {}

  start(): void {
    this.subscriptions.push(
      this.connection.states.subscribe((state) => {
        this.followed.clear();
        if (state === "open") {
          void this.load();
        }
      }),
      this.connection.pushes.subscribe((push) => this.pushed(push)),
    );
    if (this.connection.state === "open") {
      void this.load();
    }
  }

  stop(): void {
    clearTimeout(this.again);
    this.subscriptions.forEach((unsubscribe) => unsubscribe());
  }

  /** The room page follows this one by itself. */
  set_open(room: Id | null): void {
    this.open_room = room;
  }

  is_followed(room: Id): boolean {
    return this.followed.has(room);
  }

  find(room: Id): MyRoom | undefined {
    return this.rooms.find((one) => one.room === room);
  }

  /** A new room; of a direct one the one that the two have already. */
  async make(wanted: Request<"room_reserve">): Promise<Id> {
    const reserved = await this.connection.request("room_reserve", wanted);
    if (!reserved.exists) {
      await this.connection.request("room_create", { room: reserved.room });
    }
    return reserved.room;
  }

  async load(): Promise<void> {
    clearTimeout(this.again);
    try {
      await this.connection.request("room_open", { room: this.me });
      const found: RoomInfo[] = [];
      let after: Id | undefined;
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const answer = await this.connection.request("rooms_mine", after ? { after } : {});
        found.push(...answer.rooms);
        after = answer.rooms[answer.rooms.length - 1]?.room;
        if (!answer.more || !after) {
          break;
        }
      }
      this.take(found);
      await this.follow_all();
    } catch {
      this.load_again();
    }
  }

  private load_again(): void {
    clearTimeout(this.again);
    if (this.connection.state === "open") {
      this.again = setTimeout(() => void this.load(), AGAIN_MS);
    }
  }

  private take(found: RoomInfo[]): void {
    this.rooms = found.map((info) => {
      const old = this.find(info.room);
      const read = Math.max(info.read ?? 0, old?.read ?? 0);
      const last_seq = Math.max(info.last_seq ?? 0, old?.last_seq ?? 0);
      return {
        room: info.room,
        label: info.label ?? "",
        topic: info.topic ?? "",
        access: info.access,
        role: info.role,
        last_seq,
        last_time: Math.max(info.last_time ?? 0, old?.last_time ?? 0),
        read,
        unread: old && last_seq > read ? old.unread : 0,
        unread_more: old ? old.unread_more : false,
      };
    });
    this.loaded = true;
    this.sort();
  }

  private sort(): void {
    this.rooms = [...this.rooms].sort(
      (a, b) => b.last_time - a.last_time || a.label.localeCompare(b.label),
    );
    this.changes.emit();
  }

  private async follow_all(): Promise<void> {
    const rooms = this.rooms.slice(0, FOLLOW_MAX).map((one) => one.room);
    const next = async (): Promise<void> => {
      for (let room = rooms.shift(); room; room = rooms.shift()) {
        await this.follow(room);
      }
    };
    await Promise.all(Array.from({ length: COUNT_AT_ONCE }, next));
  }

  private async follow(room: Id): Promise<void> {
    try {
      if (room !== this.open_room && !this.followed.has(room)) {
        this.followed.add(room);
        const opened = await this.connection.request("room_open", { room });
        this.update(room, { last_seq: opened.seq });
      }
      await this.count(room);
      await this.date(room);
    } catch {
      this.followed.delete(room);
    }
  }

  /** Messages of others after the read mark. */
  private async count(room: Id): Promise<void> {
    const one = this.find(room);
    if (!one || one.last_seq <= one.read) {
      return;
    }
    const range = await this.connection.request("room_events", { room, after: one.read });
    const now = this.find(room);
    if (!now || now.read !== one.read) {
      return;
    }
    const unread = range.events.filter((event) => this.counts(event)).length;
    const last = range.events[range.events.length - 1];
    if (range.more || !last) {
      this.update(room, { unread, unread_more: range.more ?? false });
    } else if (last.seq >= now.last_seq) {
      this.update(room, { unread, unread_more: false, last_time: last.time, last_seq: last.seq });
      this.sort();
    } else {
      /* More has come since. It was counted live, on top of a number that was not yet right. */
      await this.count(room);
    }
  }

  /** The list does not say when the last event was: ask for it where nothing was unread. */
  private async date(room: Id): Promise<void> {
    const one = this.find(room);
    if (!one || one.last_time > 0 || one.last_seq === 0) {
      return;
    }
    const after = one.last_seq - 1;
    const [last] = (await this.connection.request("room_events", { room, after, limit: 1 })).events;
    const now = this.find(room);
    if (last && now && now.last_time < last.time) {
      this.update(room, { last_time: last.time });
      this.sort();
    }
  }

  private counts(event: RoomEvent): boolean {
    return event.kind === "message" && event.user !== this.me;
  }

  private update(room: Id, change: Partial<MyRoom>): void {
    this.rooms = this.rooms.map((one) => (one.room === room ? { ...one, ...change } : one));
    this.changes.emit();
  }

  private pushed(push: Push): void {
    if (push.t !== "event") {
      return;
    }
    if (push.room === this.me) {
      this.personal(push);
      return;
    }
    const one = this.find(push.room);
    if (!one || push.seq <= one.last_seq) {
      return;
    }
    const unread = this.counts(push) && push.seq > one.read ? one.unread + 1 : one.unread;
    const setting =
      push.kind === "setting"
        ? { label: push.label ?? "", topic: push.topic ?? "", access: push.access ?? one.access }
        : {};
    this.update(push.room, { ...setting, last_seq: push.seq, last_time: push.time, unread });
    if (push.kind === "message") {
      this.sort();
    }
  }

  private personal(event: RoomEvent): void {
    const room = event.subject ?? "";
    const one = this.find(room);
    if (event.kind === "read" && one) {
      this.mark_read(room, event.target ?? 0);
    } else if (event.kind === "joined") {
      if (event.role === "none" || event.role === "banned") {
        this.rooms = this.rooms.filter((other) => other.room !== room);
        this.changes.emit();
      } else if (one) {
        this.update(room, { role: event.role, label: event.label ?? one.label });
      } else {
        void this.load();
      }
    }
  }

  /** Read here or on another device. */
  mark_read(room: Id, seq: number): void {
    const one = this.find(room);
    if (!one || seq <= one.read) {
      return;
    }
    if (seq >= one.last_seq) {
      this.update(room, { read: seq, unread: 0, unread_more: false });
    } else {
      this.update(room, { read: seq });
      this.count(room).catch(() => undefined);
    }
  }
}
