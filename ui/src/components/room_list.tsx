/* SPDX-License-Identifier: GPL-3.0-or-later */

import type { MyRoom } from "../my_rooms";
import type { Id } from "../protocol";
import { room_address } from "../router";
import { count, short_time } from "../words";
import { Icon } from "./icon";

export function unread_text(room: MyRoom): string {
  return room.unread > 99 || room.unread_more ? "99+" : `${room.unread}`;
}

function RoomRow({ room, current }: { room: MyRoom; current: boolean }) {
  return (
    <li>
      <a
        href={room_address(room.room)}
        aria-current={current ? "page" : undefined}
        class={`flex items-center gap-3 rounded-xl px-3 py-2.5 hover:bg-sunken ${current ? "bg-sunken" : ""}`}
      >
        <span class="grid size-9 flex-none place-items-center rounded-xl bg-own text-own-ink">
          <Icon name={room.access === "public" ? "hash" : "lock"} class="size-4.5" />
          <span class="sr-only">{room.access === "public" ? "Public" : "Private"}</span>
        </span>
        <span class="min-w-0 flex-1">
          <span class={`block truncate ${room.unread > 0 ? "font-bold" : "font-semibold"}`}>
            {room.label || "Untitled room"}
          </span>
          <span class="block truncate text-sm text-quiet">
            {room.topic || count(room.members, "member")}
          </span>
        </span>
        <span class="flex flex-none flex-col items-end gap-1 text-xs text-quiet">
          {room.last_time > 0 && <span>{short_time(room.last_time, Date.now())}</span>}
          {room.unread > 0 && (
            <span class="min-w-5 rounded-full bg-brand px-1.5 text-center font-bold text-on-brand">
              {unread_text(room)}
              <span class="sr-only"> unread</span>
            </span>
          )}
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
