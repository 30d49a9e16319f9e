/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Emoji to choose from: the first ones are offered for reactions. */

export const QUICK: [string, string][] = [
  ["👍", "thumbs up"],
  ["❤️", "heart"],
  ["😂", "laughing"],
  ["🎉", "party"],
  ["😮", "surprised"],
  ["🙏", "thank you"],
];

const ALL: [string, string][] = [
  ...QUICK,
  ["😀", "smile"],
  ["😉", "wink"],
  ["😍", "in love"],
  ["🤔", "thinking"],
  ["😅", "sweating"],
  ["😢", "sad"],
  ["😴", "sleeping"],
  ["😎", "cool"],
  ["🙌", "hooray"],
  ["👏", "applause"],
  ["👋", "wave"],
  ["💪", "strong"],
  ["👀", "eyes"],
  ["🔥", "fire"],
  ["✅", "done"],
  ["❌", "no"],
  ["💡", "idea"],
  ["☕", "coffee"],
];

interface EmojiGridProps {
  quick?: boolean;
  /** What a choice does, for screen readers: "React with", "Insert". */
  verb: string;
  choose: (emoji: string) => void;
}

export function EmojiGrid({ quick = false, verb, choose }: EmojiGridProps) {
  return (
    <div class="grid grid-cols-6" role="group" aria-label="Emoji">
      {(quick ? QUICK : ALL).map(([emoji, name]) => (
        <button
          key={emoji}
          type="button"
          role="menuitem"
          tabIndex={-1}
          class="grid size-10 place-items-center rounded-lg text-xl hover:bg-paper focus-visible:bg-paper"
          aria-label={`${verb} ${name}`}
          onClick={() => choose(emoji)}
        >
          {emoji}
        </button>
      ))}
    </div>
  );
}
