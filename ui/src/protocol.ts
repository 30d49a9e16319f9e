/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The wire protocol as a browser uses it: the messages of proto/messages.h that a page sends or
 * gets, as JSON over WebSocket. Absent fields mean false, 0, the all-zero id, empty text, and the
 * empty list; so everything that is not required there is optional here. The `session` field is
 * missing on purpose: the gateway fills it in.
 */

export const SUBPROTOCOL = "districhat.v1.json";
export const TEXT_BYTES_MAX = 16 * 1024;
export const NAME_BYTES_MAX = 64;
export const TOPIC_BYTES_MAX = 512;
export const PAGE_MAX = 200;

/** 32 lower-case hex digits. */
export type Id = string;
export type RoomKind = "public" | "private" | "direct" | "personal";
export type Role = "owner" | "admin" | "member" | "none" | "banned";
export type AccountRole = "person" | "bot" | "administrator";
export type EventKind =
  | "message"
  | "edit"
  | "redaction"
  | "reaction"
  | "member"
  | "setting"
  | "joined"
  | "read";

export interface Reaction {
  emoji: string;
  count: number;
  users?: { user: Id }[];
}

/** One entry of a room's log. */
export interface RoomEvent {
  room: Id;
  epoch: number;
  lsn: number;
  seq: number;
  time: number;
  kind: EventKind;
  user: Id;
  name?: string;
  bot?: boolean;
  client?: Id;
  number?: number;
  text?: string;
  target?: number;
  emoji?: string;
  remove?: boolean;
  subject?: Id;
  label?: string;
  role?: Role;
  topic?: string;
  access?: RoomKind;
  capacity?: number;
}

/** A message or note as it stands, with edits, reactions and a redaction applied. */
export interface Item {
  seq: number;
  time: number;
  kind: EventKind;
  user: Id;
  name?: string;
  bot?: boolean;
  client?: Id;
  number?: number;
  text?: string;
  target?: number;
  subject?: Id;
  label?: string;
  role?: Role;
  topic?: string;
  access?: RoomKind;
  edited?: number;
  edited_time?: number;
  redacted?: number;
  reactions?: Reaction[];
}

export interface Member {
  user: Id;
  name: string;
  role: Role;
  here?: boolean;
  bot?: boolean;
  since?: number;
}

export interface RoomInfo {
  room: Id;
  label?: string;
  access: RoomKind;
  topic?: string;
  owner?: Id;
  members?: number;
  capacity?: number;
  last_seq?: number;
  last_time?: number;
  role?: Role;
  read?: number;
  created?: number;
}

export interface AccountInfo {
  user: Id;
  name: string;
  role: AccountRole;
  created?: number;
}

export interface RoomOpened {
  room: Id;
  epoch: number;
  seq: number;
  label?: string;
  access: RoomKind;
  topic?: string;
  capacity?: number;
  role?: Role;
  members?: number;
  here?: number;
}

export interface RoomSent {
  room: Id;
  seq: number;
  time: number;
  duplicate?: boolean;
}

export interface RoomPage {
  room: Id;
  /** The page reflects every event up to this one. */
  seq: number;
  items: Item[];
  more?: boolean;
}

export interface RoomRange {
  room: Id;
  seq: number;
  events: RoomEvent[];
  more?: boolean;
}

/** What every write begins with: the same client and number make a retry harmless. */
export interface Write {
  room: Id;
  client: Id;
  number: number;
}

/** Writes, without the cmid that the outbox gives them. */
export interface Writes {
  room_send: { text: string; target?: number };
  room_edit: { target: number; text: string };
  room_redact: { target: number };
  room_react: { target: number; emoji: string; remove?: boolean };
  room_set: {
    label?: string;
    topic?: string;
    clear_topic?: boolean;
    access?: RoomKind;
    capacity?: number;
    clear_capacity?: boolean;
  };
  room_member_set: { user: Id; role: Role };
}
export type WriteType = keyof Writes;

type Nothing = Record<string, never>;
type WriteRequests = { [K in WriteType]: { request: Write & Writes[K]; answer: RoomSent } };

/** Name of a request: its fields, and the answer. */
export interface Requests extends WriteRequests {
  ping: { request: Nothing; answer: Nothing };
  room_open: { request: { room: Id; after?: number }; answer: RoomOpened };
  room_close: { request: { room: Id }; answer: Nothing };
  room_join: { request: { room: Id }; answer: RoomOpened };
  room_leave: { request: { room: Id }; answer: Nothing };
  room_typing: { request: { room: Id; active?: boolean }; answer: Nothing };
  room_presence: { request: { room: Id; here?: boolean }; answer: Nothing };
  room_read: { request: { room: Id; seq: number }; answer: Nothing };
  room_history: {
    request: { room: Id; before?: number; after?: number; limit?: number };
    answer: RoomPage;
  };
  room_events: { request: { room: Id; after?: number; limit?: number }; answer: RoomRange };
  room_members: {
    request: { room: Id; after?: string; limit?: number };
    answer: { room: Id; members: Member[]; more?: boolean };
  };
  rooms_mine: { request: { after?: Id }; answer: { rooms: RoomInfo[]; more?: boolean } };
  rooms_find: {
    request: { prefix?: string; after?: string; limit?: number };
    answer: { rooms: RoomInfo[]; more?: boolean };
  };
  accounts_find: {
    request: { prefix?: string; limit?: number };
    answer: { accounts: AccountInfo[] };
  };
  room_reserve: {
    request: { label?: string; access: RoomKind; topic?: string; capacity?: number; with?: Id };
    answer: { room: Id; exists?: boolean };
  };
  room_create: { request: { room: Id }; answer: RoomOpened };
}
export type RequestType = keyof Requests;
export type Request<K extends RequestType> = Requests[K]["request"];
export type Answer<K extends RequestType> = Requests[K]["answer"];

/** What the gateway sends unasked. */
export type Push =
  | ({ t: "event" } & RoomEvent)
  | { t: "presence"; room: Id; user: Id; name: string; here?: boolean; count: number }
  | { t: "typing"; room: Id; user: Id; name: string; active?: boolean }
  | { t: "caught_up"; room: Id; seq: number }
  | { t: "reset"; room: Id; seq: number }
  | { t: "goodbye"; code: string; final?: boolean; retry_ms?: number };

const PUSHES = new Set(["event", "presence", "typing", "caught_up", "reset", "goodbye"]);

export interface Failure {
  code: string;
  detail?: string;
  retry_ms?: number;
  unknown?: boolean;
}

export type Frame = { i?: number } & (
  | Push
  | ({ t: "error" } & Failure)
  | { t: "answer"; body: unknown }
);

/** Reads one frame; null for what is none. */
export function parse(data: unknown): Frame | null {
  if (typeof data !== "string") {
    return null;
  }
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || !("t" in value)) {
    return null;
  }
  const frame = value as { t: unknown; i?: number };
  if (frame.t === "error" || (typeof frame.t === "string" && PUSHES.has(frame.t))) {
    return frame as Frame;
  }
  return frame.i === undefined ? null : { t: "answer", i: frame.i, body: frame };
}

/** An answer that was no: from the service, or made here for a lost connection and a late answer. */
export class RequestError extends Error {
  readonly code: string;
  readonly retry_ms: number | undefined;
  /** It may have been done: ask again with the same cmid. */
  readonly unknown: boolean;

  constructor(failure: Failure) {
    super(failure.detail ? `${failure.code}: ${failure.detail}` : failure.code);
    this.code = failure.code;
    this.retry_ms = failure.retry_ms;
    this.unknown = failure.unknown ?? false;
  }
}

/** Codes that pass by themselves: the same request may succeed in a moment. */
const PASSING = new Set([
  "busy",
  "unavailable",
  "not_owner",
  "session_unknown",
  "timeout",
  "expired",
  "disconnected",
  "internal",
  "fenced",
  "storage_failed",
  "unauthenticated",
  "bad_token",
]);

export function passes(error: unknown): boolean {
  return error instanceof RequestError && (error.unknown || PASSING.has(error.code));
}

const WORDS: Record<string, string> = {
  bad_credentials: "That name and password do not match.",
  name_taken: "That name is already in use.",
  email_taken: "That e-mail address is already in use.",
  weak_password: "Choose a longer or less common password.",
  forbidden: "You may not do that here.",
  banned: "You are banned from this room.",
  not_found: "There is nothing here, or you may not see it.",
  room_full: "The room is full.",
  gone: "The message was removed.",
  limit: "That is too long.",
  busy: "The service is busy. Try again in a moment.",
  unavailable: "The service cannot be reached right now.",
  timeout: "There was no answer in time.",
  disconnected: "The connection was lost.",
  bad_value: "Something in there is not allowed.",
  too_many: "Too many attempts. Wait a little.",
};

/** For people. */
export function explain(error: unknown): string {
  if (error instanceof RequestError) {
    return WORDS[error.code] ?? (error.message || "That did not work.");
  }
  return "That did not work.";
}

/** A random id: 32 hex digits. */
export function random_id(): Id {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function utf8_bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
