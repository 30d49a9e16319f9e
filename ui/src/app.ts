/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who is signed in, and what lives as long as that: connection, outbox, my rooms. One object, made
 * at sign-in and stopped at sign-out.
 */
import { adopt_client_id, claim_client_id } from "./client_id";
import { Connection } from "./connection";
import { sign_out, who_am_i, type Account } from "./http";
import { MyRooms } from "./my_rooms";
import { Outbox } from "./outbox";
import { open_outbox_store } from "./outbox_store";
import { Topic } from "./topic";

export interface SignedIn {
  account: Account;
  connection: Connection;
  outbox: Outbox;
  my_rooms: MyRooms;
}

export type Session = { state: "asking" | "unreachable" | "out" } | ({ state: "in" } & SignedIn);

const ASK_AGAIN_MS = 3_000;

async function still_signed_in(): Promise<boolean> {
  try {
    return (await who_am_i()) !== null;
  } catch {
    return true;
  }
}

async function build(account: Account): Promise<SignedIn> {
  const connection = new Connection({ signed_in: still_signed_in });
  const store = await open_outbox_store();
  const client = await claim_client_id();
  const outbox = new Outbox(client, {
    store,
    user: account.user,
    send: (type, body) => connection.request(type, body),
  });
  await outbox.adopt(client);
  connection.states.subscribe((state) => outbox.set_online(state === "open"));
  for (const left of await store.clients(account.user)) {
    if (left !== client && (await adopt_client_id(left))) {
      await outbox.adopt(left);
    }
  }
  return { account, connection, outbox, my_rooms: new MyRooms(account.user, connection) };
}

export class App {
  readonly changes = new Topic<void>();
  session: Session = { state: "asking" };

  async start(): Promise<void> {
    try {
      const account = await who_am_i();
      if (account) {
        await this.enter(account);
      } else {
        this.set({ state: "out" });
      }
    } catch {
      this.set({ state: "unreachable" });
      setTimeout(() => void this.start(), ASK_AGAIN_MS);
    }
  }

  async enter(account: Account): Promise<void> {
    const parts = await build(account);
    parts.connection.states.subscribe((state) => {
      if (state === "ended" && this.session.state === "in" && this.session.account === account) {
        this.leave();
      }
    });
    this.set({ state: "in", ...parts });
    parts.my_rooms.start();
    parts.connection.start();
  }

  /** Asks the service to end the session, then forgets it here. */
  async sign_out(): Promise<void> {
    await sign_out();
    this.leave();
  }

  private leave(): void {
    if (this.session.state !== "in") {
      return;
    }
    const { connection, outbox, my_rooms } = this.session;
    this.set({ state: "out" });
    outbox.stop();
    my_rooms.stop();
    connection.stop();
  }

  private set(session: Session): void {
    this.session = session;
    this.changes.emit();
  }
}

export const app = new App();
