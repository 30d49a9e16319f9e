/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One message: someone's on the left with an avatar, one's own on the right. What can be done with
 * it stands in one menu beside it, so that a keyboard passes a message with one step.
 */
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { markdown, plain } from "../markdown";
import type { Entry } from "../outbox";
import type { Id, Reaction } from "../protocol";
import { RequestError, explain } from "../protocol";
import type { TimelineItem } from "../room";
import { clock_time, count, full_time } from "../words";
import { Avatar } from "./avatar";
import { EmojiGrid } from "./emoji";
import { Icon } from "./icon";
import { MenuItem, Popover } from "./popover";

export interface MessageActions {
  reply: (item: TimelineItem) => void;
  edit: (item: TimelineItem) => void;
  redact: (item: TimelineItem) => void;
  react: (item: TimelineItem, emoji: string, remove: boolean) => void;
  copy: (item: TimelineItem) => void;
  jump: (seq: number) => void;
}

interface MessageProps {
  item: TimelineItem;
  me: Id;
  /** The first of a group by the same person. */
  starts: boolean;
  may_write: boolean;
  may_remove: boolean;
  answered: TimelineItem | undefined;
  actions: MessageActions;
}

export function Markdown({ text }: { text: string }) {
  const content = useMemo(() => markdown(text), [text]);
  return <div class="markdown">{content}</div>;
}

function Bubble({ own, children }: { own: boolean; children: ComponentChildren }) {
  return (
    <div
      class={`max-w-full min-w-0 rounded-2xl px-3.5 py-2 ${
        own ? "rounded-br-md bg-own text-own-ink" : "rounded-bl-md border border-line bg-raised"
      }`}
    >
      {children}
    </div>
  );
}

export function quote(item: TimelineItem | undefined): string {
  if (!item) {
    return "An earlier message";
  }
  return item.redacted ? "A removed message" : `${item.name}: ${plain(item.text ?? "").slice(0, 140)}`;
}

function Answered({ item, jump }: { item: TimelineItem | undefined; jump: () => void }) {
  return (
    <button
      type="button"
      class="mb-1 block max-w-full truncate border-l-3 border-brand pl-2 text-left text-sm opacity-90"
      aria-label={`In reply to ${quote(item)}`}
      onClick={jump}
    >
      {quote(item)}
    </button>
  );
}

function Reactions({ item, me, may_write, actions }: MessageProps) {
  const list = item.reactions ?? [];
  const mine = (reaction: Reaction) => (reaction.users ?? []).some((person) => person.user === me);
  return list.length === 0 ? null : (
    <ul class="mt-1 flex flex-wrap gap-1" aria-label="Reactions">
      {list.map((reaction) => (
        <li key={reaction.emoji}>
          <button
            type="button"
            disabled={!may_write}
            aria-pressed={mine(reaction)}
            aria-label={`${reaction.emoji}, ${count(reaction.count, "person", "people")}`}
            class={`flex min-h-7 items-center gap-1 rounded-full border px-2 text-sm ${
              mine(reaction) ? "border-brand bg-own text-own-ink" : "border-line bg-raised"
            }`}
            onClick={() => actions.react(item, reaction.emoji, mine(reaction))}
          >
            <span>{reaction.emoji}</span>
            <span>{reaction.count}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function Actions({ item, me, may_write, may_remove, actions }: MessageProps) {
  const own = item.user === me;
  return (
    <Popover
      label="Message actions"
      icon="more"
      align={own ? "right" : "left"}
      class="message-actions flex-none self-center"
    >
      {(close) => {
        const then = (act: () => void) => () => {
          close();
          act();
        };
        return (
          <>
            {may_write && (
              <EmojiGrid
                quick
                verb="React with"
                choose={(emoji) => then(() => actions.react(item, emoji, false))()}
              />
            )}
            {may_write && (
              <MenuItem icon="reply" choose={then(() => actions.reply(item))}>
                Reply
              </MenuItem>
            )}
            <MenuItem icon="copy" choose={then(() => actions.copy(item))}>
              Copy text
            </MenuItem>
            {own && may_write && (
              <MenuItem icon="edit" choose={then(() => actions.edit(item))}>
                Edit
              </MenuItem>
            )}
            {may_remove && (
              <MenuItem icon="trash" alert choose={then(() => actions.redact(item))}>
                Delete
              </MenuItem>
            )}
          </>
        );
      }}
    </Popover>
  );
}

export function Message(props: MessageProps) {
  const { item, me, starts, answered, actions } = props;
  const own = item.user === me;
  const name = item.name || "Someone";
  return (
    <article
      data-seq={item.seq}
      tabIndex={-1}
      aria-label={`${own ? "You" : name}, ${clock_time(item.time)}`}
      class={`message flex gap-2.5 px-3 sm:px-5 ${own ? "flex-row-reverse" : ""} ${starts ? "mt-3" : "mt-0.5"}`}
    >
      {!own && (starts ? <Avatar user={item.user} name={name} /> : <span class="w-9 flex-none" />)}
      <div class={`flex min-w-0 max-w-[min(42rem,80%)] flex-col ${own ? "items-end" : "items-start"}`}>
        {starts && (
          <p class="mb-0.5 flex max-w-full items-baseline gap-2 px-1 text-sm">
            {!own && <span class="truncate font-semibold">{name}</span>}
            {item.bot && <span class="rounded bg-sunken px-1 text-xs">bot</span>}
            <time
              class="flex-none text-xs text-quiet"
              dateTime={new Date(item.time).toISOString()}
              title={full_time(item.time)}
            >
              {clock_time(item.time)}
            </time>
          </p>
        )}
        <div class={`flex max-w-full gap-1 ${own ? "flex-row-reverse" : ""}`}>
          <Bubble own={own}>
            {item.target && !item.redacted ? (
              <Answered item={answered} jump={() => actions.jump(item.target ?? 0)} />
            ) : null}
            {item.redacted ? (
              <p class="text-quiet italic">This message was removed.</p>
            ) : (
              <Markdown text={item.text ?? ""} />
            )}
            {item.edited && !item.redacted ? <p class="text-xs opacity-80">edited</p> : null}
          </Bubble>
          {!item.redacted && <Actions {...props} />}
        </div>
        <Reactions {...props} />
      </div>
    </article>
  );
}

interface OutgoingProps {
  entry: Entry<"room_send">;
  acknowledged: boolean;
  retry: () => void;
  discard: () => void;
}

/** A message that is not in the room yet. */
export function Outgoing({ entry, acknowledged, retry, discard }: OutgoingProps) {
  const failed = entry.state === "failed";
  const state = failed ? "Not sent" : acknowledged ? "Sent" : "Sending";
  return (
    <article class="mt-1 flex flex-col items-end px-3 sm:px-5" aria-label={`You, ${state}`}>
      <div class={`max-w-[min(42rem,80%)] ${failed || acknowledged ? "" : "opacity-75"}`}>
        <Bubble own>
          <Markdown text={entry.body.text} />
        </Bubble>
      </div>
      {failed ? (
        <div class="mt-1 flex flex-wrap items-center justify-end gap-3 text-sm text-alert">
          <span class="flex items-center gap-1">
            <Icon name="warning" class="size-4" />
            Not sent. {explain(new RequestError({ code: entry.code ?? "" }))}
          </span>
          <button type="button" class="font-semibold underline" onClick={retry}>
            Try again
          </button>
          <button type="button" class="font-semibold underline" onClick={discard}>
            Discard
          </button>
        </div>
      ) : (
        <p class="mt-0.5 flex items-center gap-1 px-1 text-xs text-quiet">
          <Icon name={acknowledged ? "check" : "clock"} class="size-3.5" />
          {state}
        </p>
      )}
    </article>
  );
}
