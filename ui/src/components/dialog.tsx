/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A modal dialog on the browser's own `<dialog>`: it traps the focus, closes on Escape, and gives
 * the focus back to where it was.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./icon";

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
  /** At the right edge, full height: the drawer of a phone. */
  drawer?: boolean;
}

export function Dialog({ title, close, children, drawer = false }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const shape = drawer
    ? "drawer mr-0 h-dvh max-h-none w-80 max-w-[85vw] rounded-l-2xl"
    : "w-[30rem] max-w-[calc(100vw-2rem)] max-h-[calc(100dvh-2rem)] rounded-2xl";
  return (
    <dialog
      ref={element}
      class={`overflow-y-auto border border-line bg-surface p-5 [box-shadow:var(--shade)] ${shape}`}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => {
        if (event.target === element.current) {
          close();
        }
      }}
    >
      <div class="mb-4 flex items-center justify-between gap-4">
        <h2 id={heading} class="text-xl font-semibold">
          {title}
        </h2>
        <button type="button" class="button-icon -mr-2" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      {children}
    </dialog>
  );
}
