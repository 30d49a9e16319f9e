/* SPDX-License-Identifier: GPL-3.0-or-later */

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

type FieldProps = Omit<JSX.InputHTMLAttributes<HTMLInputElement>, "onChange"> & {
  label: string;
  hint?: string;
  change: (value: string) => void;
};

export function Field({ label, hint, change, ...input }: FieldProps) {
  const id = useId();
  return (
    <div>
      <label for={id} class="mb-1 block text-sm font-semibold">
        {label}
      </label>
      <input
        {...input}
        id={id}
        class="field"
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={(event) => change(event.currentTarget.value)}
      />
      {hint && (
        <p id={`${id}-hint`} class="mt-1 text-sm text-quiet">
          {hint}
        </p>
      )}
    </div>
  );
}

interface CheckboxProps {
  label: string;
  checked: boolean;
  change: (checked: boolean) => void;
}

export function Checkbox({ label, checked, change }: CheckboxProps) {
  return (
    <label class="flex min-h-10 items-center gap-2.5">
      <input
        type="checkbox"
        class="size-4.5 accent-brand"
        checked={checked}
        onChange={(event) => change(event.currentTarget.checked)}
      />
      {label}
    </label>
  );
}

interface ChoiceProps<T extends string> {
  legend: string;
  value: T;
  options: { value: T; label: string; hint: string }[];
  change: (value: T) => void;
}

export function Choice<T extends string>({ legend, value, options, change }: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset>
      <legend class="mb-1 text-sm font-semibold">{legend}</legend>
      <div class="grid gap-2 sm:grid-cols-2">
        {options.map((option) => (
          <label
            key={option.value}
            class="flex gap-2.5 rounded-xl border border-line bg-raised p-3 has-checked:border-brand"
          >
            <input
              type="radio"
              class="mt-1 size-4 flex-none accent-brand"
              name={name}
              value={option.value}
              checked={option.value === value}
              onChange={() => change(option.value)}
            />
            <span>
              <span class="block font-semibold">{option.label}</span>
              <span class="block text-sm text-quiet">{option.hint}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** What went wrong, told at once to a screen reader. */
export function Problem({ children }: { children: ComponentChildren }) {
  return (
    <div role="alert">
      {children && <p class="rounded-xl bg-alert-ground px-3.5 py-2.5 text-alert">{children}</p>}
    </div>
  );
}
