/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Line pictures, 24 by 24. They say nothing to a screen reader: the button beside them does. */
const PATHS = {
  back: "M15 5l-7 7 7 7",
  bolt: "M13 3L5 13h6l-1 8 8-10h-6z",
  check: "M5 12.5l4.500 4.500L19 7.500",
  clock: "M12 7v5l3 2M12 3a9 9 0 100 18 9 9 0 000-18z",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h10v11H9zM15 9V5H5v10h4",
  down: "M12 5v14M6 13l6 6 6-6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  hash: "M9 4L7 20M17 4l-2 16M4 9h16M3 15h16",
  invite: "M14 20v-1.500a4 4 0 00-4-4H7a4 4 0 00-4 4V20M8.500 11a3.500 3.500 0 100-7 3.500 3.500 0 000 7zM18 8v6M21 11h-6",
  leave: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 017 0v3",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  people: "M9 11a3.500 3.500 0 100-7 3.500 3.500 0 000 7zM3 20v-1.500a4 4 0 014-4h4a4 4 0 014 4V20M16 4.300a3.500 3.500 0 010 6.400M21 20v-1.500a4 4 0 00-3-3.800",
  person: "M12 11a4 4 0 100-8 4 4 0 000 8zM4 21v-1.500a5 5 0 015-5h6a5 5 0 015 5V21",
  plus: "M12 5v14M5 12h14",
  reply: "M9 7l-5 5 5 5M4 12h10a6 6 0 016 6v1",
  search: "M11 18a7 7 0 100-14 7 7 0 000 14zM20 20l-4-4",
  send: "M5 12h13M12 6l6 6-6 6",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
  smile: "M12 3a9 9 0 100 18 9 9 0 000-18zM8.500 14.500a4.500 4.500 0 007 0M9 9.500h.01M15 9.500h.01",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, class: size = "size-5" }: { name: IconName; class?: string }) {
  return (
    <svg
      class={`${size} flex-none`}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width={name === "more" ? 2.8 : 1.8}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo({ class: size = "size-8" }: { class?: string }) {
  return (
    <svg class={`${size} flex-none`} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="9" fill="#0d665d" />
      <path
        d="M7 13.500C7 10.500 9.700 8 13 8h6c3.300 0 6 2.500 6 5.500S22.300 19 19 19h-4.500L10 23v-4.700c-1.800-.9-3-2.700-3-4.800z"
        fill="#f5f3ee"
      />
      <circle cx="12.500" cy="13.500" r="1.500" fill="#0d665d" />
      <circle cx="16" cy="13.500" r="1.500" fill="#0d665d" />
      <circle cx="19.500" cy="13.500" r="1.500" fill="#c98a2c" />
    </svg>
  );
}
