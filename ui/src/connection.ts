/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One WebSocket to a gateway, for the whole page, that comes back by itself.
 *
 *   idle ──start──▶ connecting ──open──▶ open ──close──▶ waiting ──back-off──▶ connecting
 *                        └──refused──▶ waiting          any ──signed out──▶ ended
 *
 * Requests have a number and a deadline; they end with an answer, an error, or, when the connection
 * is lost, with `disconnected`, whose outcome is unknown. Nothing is sent again here: whoever asked
 * knows whether that is right (outbox.ts for writes, room_session.ts for the rest).
 */
import { Backoff } from "./backoff";
import {
  parse,
  RequestError,
  SUBPROTOCOL,
  type Answer,
  type Push,
  type Request,
  type RequestType,
} from "./protocol";
import { Topic } from "./topic";

export const REQUEST_MS = 15_000;
const PING_EVERY_MS = 25_000;
const PING_ANSWER_MS = 10_000;
const CONNECT_MS = 10_000;
const RECONNECT_FIRST_MS = 400;
const RECONNECT_LAST_MS = 20_000;

export type ConnectionState = "idle" | "connecting" | "open" | "waiting" | "ended";

interface Waiting {
  resolve: (answer: never) => void;
  reject: (error: RequestError) => void;
  timer: ReturnType<typeof setTimeout>;
}

export interface ConnectionOptions {
  open_socket?: () => WebSocket;
  /** False: signed out, so there is no use in trying again. */
  signed_in: () => Promise<boolean>;
}

function browser_socket(): WebSocket {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(`${scheme}//${location.host}/ws`, SUBPROTOCOL);
}

export class Connection {
  readonly states = new Topic<ConnectionState>();
  readonly pushes = new Topic<Push>();
  state: ConnectionState = "idle";
  /** When the next try begins, by performance.now(); for the page to show. */
  retry_at = 0;

  private socket: WebSocket | null = null;
  private waiting = new Map<number, Waiting>();
  private last_request = 0;
  private backoff = new Backoff(RECONNECT_FIRST_MS, RECONNECT_LAST_MS);
  private retry_timer: ReturnType<typeof setTimeout> | undefined;
  private ping_timer: ReturnType<typeof setInterval> | undefined;
  private asked_ms = 0;
  private was_open = false;

  constructor(private readonly options: ConnectionOptions) {}

  start(): void {
    if (this.state !== "idle" && this.state !== "ended") {
      return;
    }
    this.connect();
    if (typeof window !== "undefined") {
      window.addEventListener("online", this.hurry);
      window.addEventListener("offline", this.drop);
      document.addEventListener("visibilitychange", this.wake);
    }
  }

  /** Closes for good, until start(). */
  stop(): void {
    clearTimeout(this.retry_timer);
    if (typeof window !== "undefined") {
      window.removeEventListener("online", this.hurry);
      window.removeEventListener("offline", this.drop);
      document.removeEventListener("visibilitychange", this.wake);
    }
    this.change("ended");
    this.close_socket();
  }

  /** Tries at once rather than after the back-off. */
  readonly hurry = (): void => {
    if (this.state === "waiting") {
      this.backoff.reset();
      this.connect();
    }
  };

  /** The network went away: do not wait until the socket notices. */
  private readonly drop = (): void => {
    if (this.socket && (this.state === "open" || this.state === "connecting")) {
      this.close_socket();
      this.wait();
    }
  };

  /** A laptop that wakes up, or a tab that comes to the front: is the socket still good? */
  private readonly wake = (): void => {
    if (document.visibilityState === "visible") {
      this.hurry();
      this.ping();
    }
  };

  request<K extends RequestType>(
    type: K,
    body: Request<K>,
    timeout_ms = REQUEST_MS,
  ): Promise<Answer<K>> {
    const socket = this.socket;
    if (!socket || this.state !== "open") {
      return Promise.reject(new RequestError({ code: "disconnected", unknown: true }));
    }
    this.last_request += 1;
    const i = this.last_request;
    return new Promise<Answer<K>>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(i);
        reject(new RequestError({ code: "timeout", unknown: true }));
      }, timeout_ms);
      this.waiting.set(i, { resolve: resolve as Waiting["resolve"], reject, timer });
      socket.send(JSON.stringify({ t: type, i, d: timeout_ms, ...body }));
    });
  }

  private connect(): void {
    clearTimeout(this.retry_timer);
    this.close_socket();
    this.was_open = false;
    this.asked_ms = 0;
    this.change("connecting");
    const socket = this.options.open_socket?.() ?? browser_socket();
    const late = setTimeout(() => socket.close(), CONNECT_MS);
    this.socket = socket;
    socket.onopen = () => {
      clearTimeout(late);
      this.opened();
    };
    socket.onmessage = (message) => this.received(message.data);
    socket.onclose = () => {
      clearTimeout(late);
      if (this.socket === socket) {
        void this.lost();
      }
    };
  }

  private opened(): void {
    this.was_open = true;
    this.ping_timer = setInterval(() => this.ping(), PING_EVERY_MS);
    this.change("open");
  }

  private ping(): void {
    const socket = this.socket;
    if (this.state !== "open") {
      return;
    }
    this.request("ping", {}, PING_ANSWER_MS).then(
      () => this.backoff.reset(),
      (error: RequestError) => {
        if (error.code === "timeout" && this.socket === socket) {
          this.close_socket();
          this.wait();
        }
      },
    );
  }

  private received(data: unknown): void {
    const frame = parse(data);
    if (!frame) {
      return;
    }
    if (frame.t === "answer" || frame.t === "error") {
      const waiting = frame.i === undefined ? undefined : this.waiting.get(frame.i);
      if (!waiting || frame.i === undefined) {
        return;
      }
      this.backoff.reset();
      this.waiting.delete(frame.i);
      clearTimeout(waiting.timer);
      if (frame.t === "error") {
        waiting.reject(new RequestError(frame));
      } else {
        waiting.resolve(frame.body as never);
      }
      return;
    }
    if (frame.t === "goodbye") {
      this.goodbye(frame);
    }
    this.pushes.emit(frame);
  }

  private goodbye(frame: { final?: boolean; retry_ms?: number }): void {
    if (frame.final) {
      this.stop();
      return;
    }
    this.asked_ms = frame.retry_ms ?? 0;
    this.close_socket();
    this.wait();
  }

  /** The socket closed. One that never opened may have been refused because nobody is signed in. */
  private async lost(): Promise<void> {
    const refused = !this.was_open;
    this.close_socket();
    this.wait();
    if (refused && !(await this.options.signed_in())) {
      this.stop();
    }
  }

  private wait(): void {
    const wait_ms = this.backoff.next_ms(this.asked_ms);
    this.asked_ms = 0;
    this.retry_at = performance.now() + wait_ms;
    clearTimeout(this.retry_timer);
    this.retry_timer = setTimeout(() => this.connect(), wait_ms);
    this.change("waiting");
  }

  private close_socket(): void {
    const socket = this.socket;
    this.socket = null;
    clearInterval(this.ping_timer);
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject, timer } of waiting) {
      clearTimeout(timer);
      reject(new RequestError({ code: "disconnected", unknown: true }));
    }
  }

  private change(state: ConnectionState): void {
    if (this.state !== state) {
      this.state = state;
      this.states.emit(state);
    }
  }
}
