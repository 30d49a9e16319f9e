// SPDX-License-Identifier: GPL-3.0-or-later

/*
 * The vocabulary of the browser tests: people with a browser each, and what they do. Everything is
 * found by role and name, as a screen reader finds it, and waited for, never slept for.
 *
 * DISTRICHAT_URL is the address of a running system; CHROMIUM the browser (Debian's by default).
 */
import { randomBytes } from "node:crypto";
import { chromium } from "playwright-core";

export const ADDRESS = (process.env.DISTRICHAT_URL ?? "").replace(/\/$/, "");
export const PASSWORD = "correct horse battery 7";
const WAIT_MS = Number(process.env.WAIT_MS ?? 15_000);
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** So that a second run on the same system does not meet the names of the first. */
export const RUN = randomBytes(3).toString("hex");

export async function start_browser() {
  if (ADDRESS === "") {
    throw new Error("DISTRICHAT_URL names no running system");
  }
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: FLAGS,
  });
}

/** Makes `promise` fail with what was waited for. */
async function must(what, promise) {
  try {
    return await promise;
  } catch (error) {
    throw new Error(`${what}: ${error.message}`, { cause: error });
  }
}

export class Person {
  constructor(name, context, page) {
    this.name = name;
    this.context = context;
    this.page = page;
    this.complaints = [];
    page.on("pageerror", (error) => this.complaints.push(`${error}`));
    page.on("console", (message) => {
      if (/Content Security Policy|Refused to/i.test(message.text())) {
        this.complaints.push(message.text());
      }
    });
  }

  static async arrive(browser, name, options = {}) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
    context.setDefaultTimeout(WAIT_MS);
    return new Person(`${name}-${RUN}`, context, await context.newPage());
  }

  go(path) {
    return this.page.goto(ADDRESS + path);
  }

  button(name, exact = true) {
    return this.page.getByRole("button", { name, exact });
  }

  async register({ email = `${this.name}@example.org` } = {}) {
    await this.go("/register/");
    await this.page.getByLabel("User name").fill(this.name);
    await this.page.getByLabel("E-mail").fill(email);
    await this.page.getByLabel("Password").fill(PASSWORD);
    await this.button("Register").click();
    await must("dashboard after registering", this.page.waitForURL("**/chat/dashboard/"));
  }

  async sign_in(login) {
    await this.page.getByLabel("User name or e-mail").fill(login);
    await this.page.getByLabel("Password").fill(PASSWORD);
    await this.button("Log in").click();
  }

  /** Returns the id of the room. */
  async create_room(label, { topic = "", access = "Public" } = {}) {
    await this.go("/chat/dashboard/");
    await this.button("Create room").click();
    const dialog = this.page.getByRole("dialog");
    await dialog.getByLabel("Name").fill(label);
    await dialog.getByLabel("Topic").fill(topic);
    await dialog.getByRole("radio", { name: access }).check();
    await dialog.getByRole("button", { name: "Create room" }).click();
    await must("room page", this.page.waitForURL(/\/chat\/[0-9a-f]{32}\/$/));
    await this.in_room();
    return /chat\/([0-9a-f]{32})/.exec(this.page.url())[1];
  }

  async open_room(room) {
    await this.go(`/chat/${room}/`);
    await this.in_room();
  }

  /** The room is open and its messages are there. */
  async in_room() {
    await must(
      "messages",
      this.page.locator('[role=log][aria-busy=false]').waitFor({ state: "attached" }),
    );
  }

  log() {
    return this.page.getByRole("log", { name: "Messages" });
  }

  field() {
    return this.page.getByRole("textbox", { name: "Message", exact: true });
  }

  async write(text) {
    await this.field().fill(text);
    await this.field().press("Enter");
  }

  /** The message with this text. */
  message(text) {
    return this.log().getByRole("article").filter({ hasText: text });
  }

  reads(text) {
    return must(`${this.name} reads "${text}"`, this.message(text).first().waitFor());
  }

  /** In the room, not only on its way: it has a number. */
  settled(text) {
    return must(
      `"${text}" is in the room`,
      this.log().locator("article[data-seq]").filter({ hasText: text }).first().waitFor(),
    );
  }

  async act(text, action) {
    const message = this.message(text).first();
    await message.hover();
    await message.getByRole("button", { name: "Message actions" }).click();
    await this.page.getByRole("menuitem", { name: action }).click();
  }

  texts() {
    return this.log()
      .locator("article[data-seq] .markdown")
      .allInnerTexts()
      .then((texts) => texts.map((text) => text.trim()));
  }

  leave() {
    return this.context.close();
  }
}

/** Asks until `probe` gives something true; fails with `what` after a while. */
export async function until(what, probe, wait_ms = WAIT_MS) {
  const end = Date.now() + wait_ms;
  for (;;) {
    const found = await probe();
    if (found) {
      return found;
    }
    if (Date.now() > end) {
      throw new Error(`waited in vain: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Writes many messages over a WebSocket of the page's own origin, as fast as they are acknowledged
 * and the gateway's limit allows: a person's cookie, without the person's patience.
 */
export function flood(person, room, texts) {
  return person.page.evaluate(
    ({ room, texts }) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(
          `${location.origin.replace(/^http/, "ws")}/ws`,
          "districhat.v1.json",
        );
        const client = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
          byte.toString(16).padStart(2, "0"),
        ).join("");
        let number = 0;
        const send = () => {
          const text = texts[number - 1];
          socket.send(JSON.stringify({ t: "room_send", i: number, room, client, number, text }));
        };
        const next = () => {
          number += 1;
          send();
        };
        socket.onopen = next;
        socket.onerror = () => reject(new Error("the socket failed"));
        socket.onmessage = (message) => {
          const frame = JSON.parse(message.data);
          if (frame.t === "error" && frame.code === "busy") {
            setTimeout(send, frame.retry_ms);
          } else if (frame.t === "error") {
            reject(new Error(message.data));
          } else if (frame.i === number) {
            if (number === texts.length) {
              socket.close();
              resolve(number);
            } else {
              next();
            }
          }
        };
      }),
    { room, texts },
  );
}
