/* SPDX-License-Identifier: GPL-3.0-or-later */

import { expect, test } from "vitest";
import { Backoff } from "../src/backoff";
import { standard_base64 } from "../src/http";
import { parse, passes, RequestError } from "../src/protocol";
import { match, safe_next } from "../src/router";
import { rows, unread_after } from "../src/timeline";
import type { TimelineItem } from "../src/room";
import { colour, initials, typing_text } from "../src/words";

test.each([
  [[], ""],
  [["anna"], "anna is typing"],
  [["anna", "ben"], "anna and ben are typing"],
  [["anna", "ben", "cara"], "anna, ben and cara are typing"],
  [["anna", "ben", "cara", "dan"], "anna, ben and 2 others are typing"],
])("typing %j", (names, text) => {
  expect(typing_text(names)).toBe(text);
});

test.each([
  ["anna", "A"],
  ["anna berg", "AB"],
  ["anna.maria-berg", "AB"],
  ["", "?"],
  ["😀smile", "😀"],
])("initials of %s", (name, letters) => {
  expect(initials(name)).toBe(letters);
});

test("a colour is one of eight", () => {
  for (let at = 0; at < 100; at += 1) {
    expect(colour(`${at}`)).toBeGreaterThanOrEqual(0);
    expect(colour(`${at}`)).toBeLessThan(8);
  }
});

const ROOM = "0123456789abcdef".repeat(2);

test.each([
  ["/", "landing"],
  ["/login/", "login"],
  ["/login", "login"],
  ["/register/", "register"],
  ["/chat/dashboard/", "dashboard"],
  [`/chat/${ROOM}/`, "room"],
  [`/chat/${ROOM.toUpperCase()}/`, "room"],
  ["/chat/short/", "missing"],
  ["/nodes/", "missing"],
])("%s is the page %s", (path, page) => {
  expect(match(path, "").page).toBe(page);
});

test.each([
  ["/chat/x/", "/chat/x/"],
  [null, "/chat/dashboard/"],
  ["//example.org/", "/chat/dashboard/"],
  ["/\\example.org", "/chat/dashboard/"],
  ["/\t/example.org", "/chat/dashboard/"],
  ["https://example.org/", "/chat/dashboard/"],
  ["javascript:alert(1)", "/chat/dashboard/"],
])("next %s leads to %s", (next, to) => {
  expect(safe_next(next)).toBe(to);
});

test.each([
  ["_-8", "/+8="],
  ["YWJj", "YWJj"],
  ["YQ", "YQ=="],
  ["YQ==", "YQ=="],
])("base64url %s", (url, standard) => {
  expect(standard_base64(url)).toBe(standard);
});

test("back-off doubles, spreads, ends, and keeps to what was asked", () => {
  const low = new Backoff(100, 1000, () => 0);
  expect([1, 2, 3, 4, 5, 6].map(() => low.next_ms())).toEqual([50, 100, 200, 400, 500, 500]);
  low.reset();
  expect(low.next_ms()).toBe(50);
  expect(new Backoff(100, 1000, () => 1).next_ms(3000)).toBeGreaterThanOrEqual(3000);
});

test.each([[null], [7], ["{"], ["[]"], ["null"], ["{}"], ['{"t":"nonsense"}'], ['{"i":1}']])(
  "%j is no frame",
  (data) => {
    expect(parse(data)).toBeNull();
  },
);

test("which errors pass by themselves", () => {
  expect(passes(new RequestError({ code: "busy" }))).toBe(true);
  expect(passes(new RequestError({ code: "strange", unknown: true }))).toBe(true);
  expect(passes(new RequestError({ code: "forbidden" }))).toBe(false);
  expect(passes(new Error("defect"))).toBe(false);
});

function message(seq: number, user: string, time = seq): TimelineItem {
  return { seq, user, time, kind: "message", text: "x", reflects: seq };
}

test("rows: a day, the unread line, and groups of one writer", () => {
  const items = [message(1, "a"), message(2, "a"), message(3, "b"), message(4, "b")];
  const made = rows(items, unread_after(items, 3, "a"));
  expect(made.map((row) => row.type)).toEqual(["day", "message", "message", "message", "unread", "message"]);
  expect(made.map((row) => row.type === "message" && row.starts)).toEqual([false, true, false, true, false, true]);
});

test("one's own messages are never unread", () => {
  expect(unread_after([message(1, "b"), message(2, "a")], 1, "a")).toBeNull();
});

test("a direct room shows no notes", () => {
  const joined: TimelineItem = { ...message(1, "a"), kind: "member", subject: "a", role: "member" };
  const types = (direct: boolean) => rows([joined, message(2, "a")], null, direct).map((row) => row.type);
  expect(types(false)).toEqual(["day", "note", "message"]);
  expect(types(true)).toEqual(["day", "message"]);
});
