/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A button with a menu. Arrow keys move, Escape and a click outside close, the focus goes back to
 * the button. It opens up or down, to where there is more room, and is moved sideways if what cuts
 * it off (the window, or a list that scrolls) would hide a part of it.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icon";

interface PopoverProps {
  label: string;
  icon: IconName;
  class?: string;
  align?: "left" | "right";
  children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, icon, class: place = "", align = "right", children }: PopoverProps) {
  const [open, set_open] = useState(false);
  const [up, set_up] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);

  const close = () => {
    set_open(false);
    button.current?.focus();
  };

  useLayoutEffect(() => {
    if (open) {
      set_up((button.current?.getBoundingClientRect().top ?? 0) > window.innerHeight / 2);
      keep_inside(menu.current);
      items(menu.current)[0]?.focus({ preventScroll: true });
    }
  }, [open]);

  useEffect(() => {
    if (!open) {
      return undefined;
    }
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) {
        set_open(false);
      }
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  return (
    <div ref={root} class={`relative ${open ? "is-open" : ""} ${place}`}>
      <button
        ref={button}
        type="button"
        class="button-icon"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => set_open(!open)}
      >
        <Icon name={icon} />
      </button>
      {open && (
        <div
          ref={menu}
          role="menu"
          aria-label={label}
          class={`menu absolute z-20 w-max min-w-44 p-1.5 ${align === "right" ? "right-0" : "left-0"} ${
            up ? "bottom-full mb-1" : "top-full mt-1"
          }`}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              event.stopPropagation();
              close();
            } else {
              move(menu.current, event);
            }
          }}
        >
          {children(close)}
        </div>
      )}
    </div>
  );
}

const EDGE_PX = 8;

/** The window's left and right edge, or those of the ancestor that cuts off what overflows it. */
function visible_edges(element: HTMLElement): { left: number; right: number } {
  let left = 0;
  let right = document.documentElement.clientWidth;
  for (let at = element.parentElement; at; at = at.parentElement) {
    if (getComputedStyle(at).overflowX !== "visible") {
      const box = at.getBoundingClientRect();
      left = Math.max(left, box.left);
      right = Math.min(right, box.right);
    }
  }
  return { left: left + EDGE_PX, right: right - EDGE_PX };
}

function keep_inside(menu: HTMLElement | null): void {
  if (menu) {
    const box = menu.getBoundingClientRect();
    const { left, right } = visible_edges(menu);
    const shift = Math.max(left - box.left, Math.min(0, right - box.right));
    menu.style.translate = `${shift}px 0`;
  }
}

function items(menu: HTMLElement | null): HTMLElement[] {
  return [...(menu?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
}

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

function move(menu: HTMLElement | null, event: KeyboardEvent): void {
  const step = STEPS[event.key];
  const all = items(menu);
  if (step === undefined || all.length === 0) {
    return;
  }
  event.preventDefault();
  const at = all.indexOf(document.activeElement as HTMLElement);
  all[(at + step + all.length) % all.length]?.focus();
}

interface MenuItemProps {
  icon?: IconName;
  alert?: boolean;
  choose: () => void;
  children: ComponentChildren;
}

export function MenuItem({ icon, alert = false, choose, children }: MenuItemProps) {
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      class={`menu-item ${alert ? "text-alert" : ""}`}
      onClick={choose}
    >
      {icon && <Icon name={icon} class="size-4.5" />}
      {children}
    </button>
  );
}
