/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One open room: keeps the pure state of room.ts true over a connection that comes and goes.
 *
 * Opening: room_open first, so that live events are on their way, then the latest page; events
 * that arrive in between wait in the state. Opening again after a lost connection names the last
 * seq, and the gateway sends what is missing, or `reset`. Whatever still leaves a gap is asked for
 * with room_events. Public rooms are joined by opening them.
 */
import type { Connection } from "./connection";
import type { Entry, Outbox } from "./outbox";
import {
  passes,
  PAGE_MAX,
  RequestError,
  type Id,
  type Member,
  type Push,
  type Role,
  type RoomEvent,
  type RoomKind,
  type RoomOpened,
  type Writes,
  type WriteType,
} from "./protocol";
import { Backoff } from "./backoff";
import { EMPTY_ROOM, gap, reduce, type RoomAction, type RoomState } from "./room";
import { Topic } from "./topic";

const HISTORY_LIMIT = 50;
const PRESENCE_EVERY_MS = 30_000;
const TYPING_FADES_MS = 6_000;
const TYPING_EVERY_MS = 3_000;
/** The first is told at once, because the page may be closed right after it. */
const READ_EVERY_MS = 400;
const MEMBERS_AFTER_MS = 300;
const MEMBER_PAGES_MAX = 20;

export type RoomStatus = "loading" | "ready" | "refused";

export interface About {
  label: string;
  topic: string;
  access: RoomKind;
  capacity: number;
  role: Role;
}

export interface Typist {
  user: Id;
  name: string;
}

export class RoomSession {
  readonly changes = new Topic<void>();
  status: RoomStatus = "loading";
  refusal: unknown = null;
  state: RoomState = EMPTY_ROOM;
  about: About | null = null;
  members: Member[] = [];
  here = 0;
  typists: Typist[] = [];
  loading_older = false;

  /** Acknowledged, but the event has not come yet: still to be shown. */
  private acknowledged: { entry: Entry; seq: number }[] = [];
  private closed = false;
  private opening = 0;
  private filling = false;
  private read_seq = 0;
  private read_wanted = 0;
  private read_timer: ReturnType<typeof setTimeout> | undefined;
  private members_timer: ReturnType<typeof setTimeout> | undefined;
  private presence_timer: ReturnType<typeof setInterval> | undefined;
  private retry_timer: ReturnType<typeof setTimeout> | undefined;
  private typing_sent_at = -Infinity;
  private readonly typing_timers = new Map<Id, ReturnType<typeof setTimeout>>();
  private readonly backoff = new Backoff(500, 15_000);
  private readonly subscriptions: (() => void)[] = [];

  constructor(
    readonly room: Id,
    private readonly me: Id,
    private readonly connection: Connection,
    private readonly outbox: Outbox,
    /** Others may go on following the room when we leave it. */
    private readonly keep_following: (room: Id) => boolean,
  ) {}

  start(): void {
    this.subscriptions.push(
      this.connection.states.subscribe((state) => {
        if (state === "open") {
          void this.open();
        }
      }),
      this.connection.pushes.subscribe((push) => this.pushed(push)),
      this.outbox.changes.subscribe(() => this.changes.emit()),
      this.outbox.sent.subscribe(({ entry, answer }) => {
        if (entry.room === this.room && entry.type === "room_send") {
          this.acknowledged.push({ entry, seq: answer.seq });
        }
      }),
    );
    this.presence_timer = setInterval(() => this.tell_presence(true), PRESENCE_EVERY_MS);
    if (this.connection.state === "open") {
      void this.open();
    }
  }

  stop(): void {
    this.closed = true;
    this.subscriptions.forEach((unsubscribe) => unsubscribe());
    clearInterval(this.presence_timer);
    for (const timer of [this.read_timer, this.members_timer, this.retry_timer]) {
      clearTimeout(timer);
    }
    this.typing_timers.forEach((timer) => clearTimeout(timer));
    this.tell_read();
    this.tell_presence(false);
    if (!this.keep_following(this.room)) {
      this.connection.request("room_close", { room: this.room }).catch(() => undefined);
    }
  }

  /** Messages on their way, in the order in which they were written. */
  outgoing(): Entry[] {
    const seq = this.state.seq;
    this.acknowledged = this.acknowledged.filter((one) => one.seq > seq);
    const acknowledged = this.acknowledged.map((one) => one.entry);
    const pending = this.outbox.of_room(this.room).filter((entry) => entry.type === "room_send");
    const arrived = new Set(
      this.state.items.slice(-PAGE_MAX).map((item) => `${item.client} ${item.number}`),
    );
    const is_new = (entry: Entry) => !arrived.has(`${entry.client} ${entry.number}`);
    const still = acknowledged.filter((entry) => !pending.includes(entry));
    return [...still, ...pending].filter(is_new);
  }

  failures(): Entry[] {
    return this.outbox
      .of_room(this.room)
      .filter((entry) => entry.state === "failed" && entry.type !== "room_send");
  }

  is_acknowledged(entry: Entry): boolean {
    return this.acknowledged.some((one) => one.entry === entry);
  }

  write<K extends WriteType>(type: K, body: Writes[K]): Promise<Entry> {
    if (type === "room_send") {
      this.typing_sent_at = -Infinity;
    }
    return this.outbox.add(this.room, type, body);
  }

  /** The page before the first item. Resolves when it is in the state. */
  async load_older(): Promise<void> {
    const first = this.state.items[0];
    if (this.loading_older || !this.state.ready || !this.state.more || !first) {
      return;
    }
    this.loading_older = true;
    this.changes.emit();
    try {
      const page = await this.connection.request("room_history", {
        room: this.room,
        before: first.seq,
        limit: HISTORY_LIMIT,
      });
      this.dispatch({ type: "older", page });
    } catch {
      /* Scrolling up asks again. */
    } finally {
      this.loading_older = false;
      this.changes.emit();
    }
  }

  typing(active: boolean): void {
    const now = performance.now();
    const due = now - this.typing_sent_at >= TYPING_EVERY_MS;
    if (active ? !due : this.typing_sent_at === -Infinity) {
      return;
    }
    this.typing_sent_at = active ? now : -Infinity;
    this.connection.request("room_typing", { room: this.room, active }).catch(() => undefined);
  }

  /** Everything shown so far was seen. */
  seen(): void {
    const seq = this.state.seq;
    if (seq <= this.read_wanted || !this.is_member()) {
      return;
    }
    this.read_wanted = seq;
    if (this.read_timer === undefined) {
      this.tell_read();
      this.read_timer = setTimeout(() => {
        this.read_timer = undefined;
        this.tell_read();
      }, READ_EVERY_MS);
    }
  }

  is_member(): boolean {
    const role = this.about?.role;
    return role === "owner" || role === "admin" || role === "member";
  }

  async leave(): Promise<void> {
    await this.connection.request("room_leave", { room: this.room });
  }

  private tell_read(): void {
    const seq = this.read_wanted;
    if (seq > this.read_seq) {
      this.connection.request("room_read", { room: this.room, seq }).then(
        () => (this.read_seq = Math.max(this.read_seq, seq)),
        () => (this.read_wanted = this.read_seq),
      );
    }
  }

  private tell_presence(here: boolean): void {
    if (this.status === "ready") {
      this.connection.request("room_presence", { room: this.room, here }).catch(() => undefined);
    }
  }

  private async open(): Promise<void> {
    this.opening += 1;
    const mine = this.opening;
    const stale = () => this.closed || mine !== this.opening;
    clearTimeout(this.retry_timer);
    try {
      const after = this.state.ready ? { after: this.state.seq } : {};
      const opened = await this.connection.request("room_open", { room: this.room, ...after });
      if (stale()) {
        return;
      }
      this.take_opened(opened);
      if (opened.access === "public" && (opened.role ?? "none") === "none") {
        this.take_opened(await this.connection.request("room_join", { room: this.room }));
      }
      if (!this.state.ready) {
        await this.load_latest();
      }
      if (stale()) {
        return;
      }
      this.status = "ready";
      this.backoff.reset();
      this.tell_presence(true);
      this.load_members_soon();
      this.changes.emit();
    } catch (error) {
      if (!stale()) {
        this.open_failed(error);
      }
    }
  }

  private open_failed(error: unknown): void {
    if (passes(error)) {
      if (this.connection.state === "open") {
        const asked = error instanceof RequestError ? error.retry_ms : 0;
        this.retry_timer = setTimeout(() => void this.open(), this.backoff.next_ms(asked));
      }
      return;
    }
    this.status = "refused";
    this.refusal = error;
    this.changes.emit();
  }

  private take_opened(opened: RoomOpened): void {
    this.about = {
      label: opened.label ?? "",
      topic: opened.topic ?? "",
      access: opened.access,
      capacity: opened.capacity ?? 0,
      role: opened.role ?? "none",
    };
    this.here = opened.here ?? 0;
    this.dispatch({ type: "opened", opened });
  }

  private async load_latest(): Promise<void> {
    const page = await this.connection.request("room_history", {
      room: this.room,
      limit: HISTORY_LIMIT,
    });
    if (!this.closed) {
      this.dispatch({ type: "latest", page });
    }
  }

  private pushed(push: Push): void {
    if (!("room" in push) || push.room !== this.room) {
      return;
    }
    switch (push.t) {
      case "event": {
        const { t: _t, ...event } = push;
        this.dispatch({ type: "events", events: [event as RoomEvent] });
        break;
      }
      case "presence":
        this.take_presence(push);
        break;
      case "typing":
        this.take_typing(push);
        break;
      case "reset":
        this.dispatch({ type: "reset" });
        this.load_latest().catch(() => this.open());
        break;
      case "caught_up":
        break;
    }
  }

  private dispatch(action: RoomAction): void {
    const before = this.state.seq;
    this.state = reduce(this.state, action);
    if (action.type === "events") {
      for (const event of action.events) {
        this.note(event, before);
      }
    }
    this.changes.emit();
    if (gap(this.state) !== null) {
      void this.fill();
    }
  }

  /** What an event means beyond the timeline. */
  private note(event: RoomEvent, before: number): void {
    if (event.seq <= before || !this.about) {
      return;
    }
    if (event.kind === "message") {
      this.stop_typist(event.user);
    } else if (event.kind === "setting") {
      this.about = {
        ...this.about,
        label: event.label ?? "",
        topic: event.topic ?? "",
        access: event.access ?? this.about.access,
        capacity: event.capacity ?? 0,
      };
    } else if (event.kind === "member") {
      if (event.subject === this.me) {
        this.about = { ...this.about, role: event.role ?? "none" };
      }
      this.load_members_soon();
    }
  }

  /** Asks for what is missing until nothing is. */
  private async fill(): Promise<void> {
    if (this.filling) {
      return;
    }
    this.filling = true;
    try {
      for (let after = gap(this.state); after !== null; after = gap(this.state)) {
        const range = await this.connection.request("room_events", { room: this.room, after });
        if (this.closed) {
          break;
        }
        this.dispatch({ type: "events", events: range.events });
        if (this.state.seq === after) {
          this.dispatch({ type: "reset" });
          await this.load_latest();
          break;
        }
      }
    } catch {
      /* The next event, or the next connection, asks again. */
    } finally {
      this.filling = false;
    }
  }

  private take_presence(push: { user: Id; name: string; here?: boolean; count: number }): void {
    this.here = push.count;
    const known = this.members.find((member) => member.user === push.user);
    if (known) {
      this.members = this.members.map((member) =>
        member === known ? { ...member, here: push.here ?? false } : member,
      );
    } else if (push.here) {
      this.load_members_soon();
    }
    if (!push.here) {
      this.stop_typist(push.user);
    }
    this.changes.emit();
  }

  private take_typing(push: { user: Id; name: string; active?: boolean }): void {
    if (push.user === this.me) {
      return;
    }
    this.stop_typist(push.user);
    if (push.active) {
      this.typists = [...this.typists, { user: push.user, name: push.name }];
      this.typing_timers.set(
        push.user,
        setTimeout(() => {
          this.stop_typist(push.user);
          this.changes.emit();
        }, TYPING_FADES_MS),
      );
    }
    this.changes.emit();
  }

  private stop_typist(user: Id): void {
    clearTimeout(this.typing_timers.get(user));
    this.typing_timers.delete(user);
    this.typists = this.typists.filter((typist) => typist.user !== user);
  }

  private load_members_soon(): void {
    clearTimeout(this.members_timer);
    this.members_timer = setTimeout(() => void this.load_members(), MEMBERS_AFTER_MS);
  }

  private async load_members(): Promise<void> {
    const found: Member[] = [];
    try {
      let after: string | undefined;
      for (let page = 0; page < MEMBER_PAGES_MAX; page += 1) {
        const answer = await this.connection.request("room_members", {
          room: this.room,
          ...(after === undefined ? {} : { after }),
        });
        found.push(...answer.members);
        after = answer.members[answer.members.length - 1]?.name;
        if (!answer.more || after === undefined) {
          break;
        }
      }
      this.members = found;
      this.changes.emit();
    } catch {
      /* Presence and the next opening ask again. */
    }
  }
}
