/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Markdown of messages, as elements. markdown-it parses; its tokens become vnodes here, one by one,
 * from the table below. No HTML text is ever made, so none can be injected: what the table does not
 * know is shown as the text that it is. Pictures are left out on purpose (they would tell another
 * host who reads), tables too (they need inline styles), and headings are only bold, because the
 * outline of the page is not the writer's.
 */
import MarkdownIt from "markdown-it";
import type Token from "markdown-it/lib/token.mjs";
import { h, type ComponentChildren, type VNode } from "preact";

const LINK = /^(https?:|mailto:)/i;

const parser = new MarkdownIt({ html: false, linkify: true, breaks: true, typographer: false });
parser.disable(["image", "table", "reference", "lheading", "html_inline", "html_block"]);
parser.validateLink = (address) => LINK.test(address.trim());
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });

interface Frame {
  tag: string;
  props: Record<string, unknown>;
  children: ComponentChildren[];
}

/** Opening tokens: element and attributes. */
const OPENING: Record<string, (token: Token) => { tag: string; props?: Record<string, unknown> }> = {
  paragraph_open: () => ({ tag: "p" }),
  heading_open: () => ({ tag: "p", props: { class: "md-heading" } }),
  blockquote_open: () => ({ tag: "blockquote" }),
  bullet_list_open: () => ({ tag: "ul" }),
  ordered_list_open: (token) => ({ tag: "ol", props: { start: token.attrGet("start") ?? 1 } }),
  list_item_open: () => ({ tag: "li" }),
  strong_open: () => ({ tag: "strong" }),
  em_open: () => ({ tag: "em" }),
  s_open: () => ({ tag: "s" }),
  link_open: (token) => link(token.attrGet("href") ?? ""),
};

function link(address: string): { tag: string; props?: Record<string, unknown> } {
  return LINK.test(address)
    ? { tag: "a", props: { href: address, target: "_blank", rel: "noopener noreferrer nofollow ugc" } }
    : { tag: "span" };
}

/** Tokens that stand alone. */
const SINGLE: Record<string, (token: Token) => ComponentChildren> = {
  text: (token) => token.content,
  softbreak: () => <br />,
  hardbreak: () => <br />,
  hr: () => <hr />,
  code_inline: (token) => <code>{token.content}</code>,
  fence: (token) => block(token.content),
  code_block: (token) => block(token.content),
};

function block(code: string): VNode {
  return (
    <pre tabIndex={0}>
      <code>{code.replace(/\n$/, "")}</code>
    </pre>
  );
}

function build(tokens: Token[]): ComponentChildren[] {
  const stack: Frame[] = [{ tag: "", props: {}, children: [] }];
  const put = (child: ComponentChildren) => stack[stack.length - 1]?.children.push(child);
  for (const token of tokens) {
    const opening = OPENING[token.type];
    if (opening) {
      const { tag, props } = opening(token);
      stack.push({ tag, props: props ?? {}, children: [] });
    } else if (token.nesting === -1 && stack.length > 1) {
      const frame = stack.pop() as Frame;
      put(h(frame.tag, frame.props, ...frame.children));
    } else if (token.type === "inline") {
      put(build(token.children ?? []));
    } else {
      put(SINGLE[token.type]?.(token) ?? token.content);
    }
  }
  return stack[0]?.children ?? [];
}

export function markdown(text: string): ComponentChildren[] {
  return build(parser.parse(text, {}));
}

/** One line without marks: for quotes and notices. */
export function plain(text: string): string {
  const words: string[] = [];
  const walk = (tokens: Token[]): void => {
    for (const token of tokens) {
      if (token.children) {
        walk(token.children);
      } else if (token.content) {
        words.push(token.content);
      } else if (token.type === "softbreak" || token.type === "hardbreak") {
        words.push(" ");
      }
    }
    words.push(" ");
  };
  walk(parser.parse(text, {}));
  return words.join("").replace(/\s+/g, " ").trim();
}
