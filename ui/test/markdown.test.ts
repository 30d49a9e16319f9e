/* SPDX-License-Identifier: GPL-3.0-or-later */

import { isValidElement, type ComponentChildren, type VNode } from "preact";
import { describe, expect, test } from "vitest";
import { markdown, plain } from "../src/markdown";

interface Found {
  tag: string;
  props: Record<string, unknown>;
}

/** All elements, in order, and the text. */
function walk(children: ComponentChildren, found: Found[] = [], text: string[] = []) {
  for (const child of Array.isArray(children) ? children : [children]) {
    if (Array.isArray(child)) {
      walk(child, found, text);
    } else if (isValidElement(child)) {
      const { type, props } = child as VNode<Record<string, unknown>>;
      const { children: inner, ...rest } = props;
      found.push({ tag: String(type), props: rest });
      walk(inner as ComponentChildren, found, text);
    } else if (typeof child === "string") {
      text.push(child);
    }
  }
  return { found, text: text.join("") };
}

const tags = (text: string) => walk(markdown(text)).found.map((one) => one.tag);

const ALLOWED = new Set(
  "p blockquote ul ol li strong em s a span br hr code pre".split(" "),
);
const PROPS = new Set(["class", "href", "target", "rel", "start", "tabIndex"]);

describe("marks", () => {
  test.each([
    ["**bold**", "strong"],
    ["*leaning*", "em"],
    ["~~gone~~", "s"],
    ["`code`", "code"],
    ["```\nblock\n```", "pre"],
    ["> said", "blockquote"],
    ["- one\n- two", "ul"],
    ["1. one\n2. two", "ol"],
    ["[here](https://example.org)", "a"],
    ["see https://example.org/", "a"],
    ["one\ntwo", "br"],
  ])("%s", (text, tag) => {
    expect(tags(text)).toContain(tag);
  });

  test("headings are no headings", () => {
    expect(tags("# Loud")).toEqual(["p"]);
  });
});

describe("nothing in a message does harm", () => {
  test.each([
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "[x](//example.org/)",
    "![x](https://example.org/x.png)",
    "<https://example.org/'onmouseover='alert(1)>",
    "[x](https://example.org/ \"t' onclick='alert(1)\")",
    "[x]: javascript:alert(1)\n\n[x]",
    "| a |\n|:-:|\n| b |",
    "`<b>` **<i>x</i>**",
    "\u202egnp.exe",
    "[".repeat(2000) + "](".repeat(2000),
    "> ".repeat(500) + "deep",
    "*".repeat(5000),
  ])("%s", (text) => {
    for (const { tag, props } of walk(markdown(text)).found) {
      expect(ALLOWED).toContain(tag);
      for (const [name, value] of Object.entries(props)) {
        expect(PROPS).toContain(name);
        if (name === "href") {
          expect(String(value)).toMatch(/^(https?:|mailto:)/);
        }
      }
    }
  });

  test("tags stay visible as text", () => {
    expect(walk(markdown("<b>x</b>")).text).toBe("<b>x</b>");
  });

  test("links tell nobody where one came from", () => {
    const link = walk(markdown("https://example.org/")).found.find((one) => one.tag === "a");
    expect(link?.props["rel"]).toContain("noopener noreferrer");
  });
});

test("plain text for quotes", () => {
  expect(plain("**bold** and\n`code`\n\n- list")).toBe("bold and code list");
});
