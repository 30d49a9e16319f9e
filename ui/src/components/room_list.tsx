/* SPDX-License-Identifier: GPL-3.0-or-later */

import type { MyRoom } from "../my_rooms";
import type { Id, RoomKind } from "../protocol";
import { room_address } from "../router";
import { short_time } from "../words";
import { Icon, type IconName } from "./icon";

const KINDS: Record<RoomKind, { icon: IconName; words: string }> = {
  public: { icon: "hash", words: "Public room" },
  private: { icon: "lock", words: "Private room" },
  direct: { icon: "person", words: "Between the two of you" },
  personal: { icon: "person", words: "Only you" },
};

export function unread_text(room: MyRoom): string {
  return room.unread > 99 || room.unread_more ? "99+" : `${room.unread}`;
}

function RoomRow({ room, current }: { room: MyRoom; current: boolean }) {
  const kind = KINDS[room.access];
  return (
    <li>
      <a
        href={room_address(room.room)}
        aria-current={current ? "page" : undefined}
        class={`flex items-center gap-3 rounded-xl px-3 py-2.5 hover:bg-sunken ${current ? "bg-sunken" : ""}`}
      >
        <span class="grid size-9 flex-none place-items-center rounded-xl bg-own text-own-ink">
          <Icon name={kind.icon} class="size-4.5" />
        </span>
        <span class="min-w-0 flex-1">
          <span class="flex items-baseline gap-2">
            <span class={`min-w-0 flex-1 truncate ${room.unread > 0 ? "font-bold" : "font-semibold"}`}>
              {room.label || "Untitled room"}
            </span>
            {room.last_time > 0 && (
              <span class="flex-none text-xs text-quiet">{short_time(room.last_time, Date.now())}</span>
            )}
          </span>
          <span class="flex items-center gap-2">
            <span class="min-w-0 flex-1 truncate text-sm text-quiet">{room.topic || kind.words}</span>
            {room.unread > 0 && (
              <span class="min-w-5 flex-none rounded-full bg-brand px-1.5 text-center text-xs font-bold text-on-brand">
                {unread_text(room)}
                <span class="sr-only"> unread</span>
              </span>
            )}
          </span>
        </span>
      </a>
    </li>
  );
}

export function RoomList({ rooms, current }: { rooms: MyRoom[]; current?: Id }) {
  return (
    <ul class="grid grid-cols-1 gap-0.5">
      {rooms.map((room) => (
        <RoomRow key={room.room} room={room} current={room.room === current} />
      ))}
    </ul>
  );
}
