/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where one writes. Enter sends, Shift+Enter breaks the line, Escape ends a reply or an edit. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { TEXT_BYTES_MAX, utf8_bytes } from "../protocol";
import type { TimelineItem } from "../room";
import { EmojiGrid } from "./emoji";
import { Icon } from "./icon";
import { quote } from "./message";
import { Popover } from "./popover";

const HEIGHT_MAX_PX = 220;

export type Purpose = { type: "send" } | { type: "reply" | "edit"; item: TimelineItem };

interface ComposerProps {
  purpose: Purpose;
  send: (text: string) => void;
  cancel: () => void;
  typing: (active: boolean) => void;
  edit_last: () => void;
}

export function Composer({ purpose, send, cancel, typing, edit_last }: ComposerProps) {
  const [text, set_text] = useState("");
  const draft = useRef("");
  const area = useRef<HTMLTextAreaElement>(null);
  const too_long = utf8_bytes(text) > TEXT_BYTES_MAX;

  /* An edit puts the message in the field, and gives the draft back afterwards. */
  useEffect(() => {
    if (purpose.type === "edit") {
      draft.current = text;
      set_text(purpose.item.text ?? "");
      return () => set_text(draft.current);
    }
    return undefined;
  }, [purpose]);

  useEffect(() => {
    if (purpose.type !== "send") {
      area.current?.focus();
    }
  }, [purpose]);

  useLayoutEffect(() => {
    const element = area.current;
    if (element) {
      element.style.height = "auto";
      element.style.height = `${Math.min(element.scrollHeight + 2, HEIGHT_MAX_PX)}px`;
    }
  }, [text]);

  const change = (value: string) => {
    set_text(value);
    if (purpose.type !== "edit") {
      typing(value.trim() !== "");
    }
  };

  const submit = () => {
    if (text.trim() !== "" && !too_long) {
      typing(false);
      send(text);
      if (purpose.type !== "edit") {
        set_text("");
      }
      area.current?.focus();
    }
  };

  const insert = (emoji: string) => {
    const element = area.current;
    const start = element?.selectionStart ?? text.length;
    const end = element?.selectionEnd ?? text.length;
    change(text.slice(0, start) + emoji + text.slice(end));
    requestAnimationFrame(() => {
      element?.focus();
      element?.setSelectionRange(start + emoji.length, start + emoji.length);
    });
  };

  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && purpose.type !== "send") {
      event.preventDefault();
      cancel();
    } else if (event.key === "ArrowUp" && text === "" && purpose.type === "send") {
      event.preventDefault();
      edit_last();
    }
  };

  return (
    <form
      class="border-t border-line bg-surface px-3 pt-2 pb-[max(0.75rem,env(safe-area-inset-bottom))] sm:px-5"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div class="mx-auto max-w-4xl">
        {purpose.type !== "send" && (
          <div class="mb-1.5 flex items-center gap-2 rounded-xl bg-sunken py-1 pr-1 pl-3 text-sm">
            <Icon name={purpose.type === "edit" ? "edit" : "reply"} class="size-4" />
            <p class="min-w-0 flex-1 truncate">
              {purpose.type === "edit" ? "Editing your message" : `Reply to ${quote(purpose.item)}`}
            </p>
            <button
              type="button"
              class="button-icon size-8"
              aria-label={purpose.type === "edit" ? "Cancel editing" : "Cancel reply"}
              onClick={cancel}
            >
              <Icon name="close" class="size-4" />
            </button>
          </div>
        )}
        {too_long && (
          <p role="alert" class="mb-1 text-sm text-alert">
            This is too long for one message.
          </p>
        )}
        <div class="flex items-end gap-1.5">
          <textarea
            ref={area}
            rows={1}
            class="field min-h-11 flex-1 resize-none leading-6"
            aria-label="Message"
            placeholder="Write a message"
            value={text}
            maxLength={TEXT_BYTES_MAX}
            onInput={(event) => change(event.currentTarget.value)}
            onKeyDown={pressed}
            onBlur={() => typing(false)}
          />
          <Popover label="Insert emoji" icon="smile">
            {(close) => (
              <EmojiGrid
                verb="Insert"
                choose={(emoji) => {
                  close();
                  insert(emoji);
                }}
              />
            )}
          </Popover>
          <button
            type="submit"
            class="button button-main size-11 flex-none p-0"
            aria-label={purpose.type === "edit" ? "Save" : "Send"}
            disabled={text.trim() === "" || too_long}
          >
            <Icon name={purpose.type === "edit" ? "check" : "send"} />
          </button>
        </div>
      </div>
    </form>
  );
}
