/* SPDX-License-Identifier: GPL-3.0-or-later */

import type { Id } from "../protocol";
import { colour, initials } from "../words";

interface AvatarProps {
  user: Id;
  name: string;
  here?: boolean;
  small?: boolean;
}

/** Decoration: the name stands beside it. */
export function Avatar({ user, name, here = false, small = false }: AvatarProps) {
  return (
    <span class="relative flex-none" aria-hidden="true">
      <span
        class={`avatar-${colour(user)} grid place-items-center rounded-full font-semibold text-[#fff] ${
          small ? "size-8 text-xs" : "size-9 text-sm"
        }`}
      >
        {initials(name)}
      </span>
      {here && (
        <span class="absolute -right-0.5 -bottom-0.5 size-3 rounded-full border-2 border-surface bg-brand" />
      )}
    </span>
  );
}
