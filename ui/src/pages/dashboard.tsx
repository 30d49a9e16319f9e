/* SPDX-License-Identifier: GPL-3.0-or-later */

/* My rooms, the public rooms, and the way to make a new one. */
import { useEffect, useState } from "preact/hooks";
import type { SignedIn } from "../app";
import { ConnectionNote } from "../components/connection_note";
import { Dialog } from "../components/dialog";
import { Icon } from "../components/icon";
import { RoomFormFields, type RoomForm } from "../components/room_form";
import { RoomList } from "../components/room_list";
import { TopBar } from "../components/top_bar";
import { useTitle, useTopics } from "../hooks";
import type { RoomInfo } from "../protocol";
import { navigate, room_address } from "../router";
import { count } from "../words";

const SEARCH_AFTER_MS = 200;

function PublicRooms({ connection, my_rooms }: SignedIn) {
  const [prefix, set_prefix] = useState("");
  const [rooms, set_rooms] = useState<RoomInfo[] | null>(null);
  const [more, set_more] = useState(false);
  useTopics(connection.states);
  const open = connection.state === "open";

  useEffect(() => {
    let current = true;
    const timer = setTimeout(
      () =>
        connection.request("rooms_find", { prefix: prefix.trim() }).then(
          (answer) => {
            if (current) {
              set_rooms(answer.rooms);
              set_more(answer.more ?? false);
            }
          },
          () => undefined,
        ),
      prefix === "" ? 0 : SEARCH_AFTER_MS,
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [prefix, open, connection, my_rooms.rooms.length]);

  const load_more = async () => {
    const after = rooms?.[rooms.length - 1]?.label;
    if (rooms && after) {
      const answer = await connection.request("rooms_find", { prefix: prefix.trim(), after });
      set_rooms([...rooms, ...answer.rooms]);
      set_more(answer.more ?? false);
    }
  };

  return (
    <section class="card p-4 sm:p-5" aria-labelledby="public-rooms">
      <h2 id="public-rooms" class="text-xl font-semibold">
        Public rooms
      </h2>
      <label class="relative mt-3 block">
        <span class="sr-only">Search public rooms</span>
        <span class="pointer-events-none absolute top-3 left-3 text-quiet">
          <Icon name="search" />
        </span>
        <input
          type="search"
          class="field pl-10"
          placeholder="Search by the start of the name"
          value={prefix}
          onInput={(event) => set_prefix(event.currentTarget.value)}
        />
      </label>
      <p class="sr-only" role="status">
        {rooms ? count(rooms.length, "room") : ""}
      </p>
      <ul class="mt-3 grid grid-cols-1 gap-1">
        {rooms?.map((room) => (
          <li key={room.room} class="flex items-center gap-3 rounded-xl py-2">
            <span class="min-w-0 flex-1">
              <span class="block truncate font-semibold">{room.label}</span>
              <span class="block truncate text-sm text-quiet">
                {[count(room.members ?? 0, "member"), room.topic].filter(Boolean).join(" · ")}
              </span>
            </span>
            <a
              class="button button-plain"
              href={room_address(room.room)}
              aria-label={`${my_rooms.find(room.room) ? "Open" : "Join"} ${room.label}`}
            >
              {my_rooms.find(room.room) ? "Open" : "Join"}
            </a>
          </li>
        ))}
      </ul>
      {rooms?.length === 0 && (
        <p class="mt-2 text-quiet">
          {prefix ? "No public room begins like that." : "There are no public rooms yet."}
        </p>
      )}
      {more && (
        <button type="button" class="button button-plain mt-3 w-full" onClick={() => void load_more()}>
          More rooms
        </button>
      )}
    </section>
  );
}

function MyRoomsCard({ my_rooms }: SignedIn) {
  useTopics(my_rooms.changes);
  return (
    <section class="card p-4 sm:p-5" aria-labelledby="my-rooms">
      <h2 id="my-rooms" class="mb-2 text-xl font-semibold">
        My rooms
      </h2>
      {my_rooms.rooms.length > 0 ? (
        <div class="-mx-2">
          <RoomList rooms={my_rooms.rooms} />
        </div>
      ) : (
        <p class="text-quiet">
          {my_rooms.loaded ? "You are in no room yet. Join a public one, or make your own." : "Loading your rooms…"}
        </p>
      )}
    </section>
  );
}

export function Dashboard(signed_in: SignedIn) {
  const { account, connection, my_rooms } = signed_in;
  const [creating, set_creating] = useState(false);
  useTitle("Rooms · DistriChat");
  useTopics(my_rooms.changes);

  const create = async (form: RoomForm) => {
    const { label, topic, access } = form;
    navigate(room_address(await my_rooms.make({ label, access, ...(topic ? { topic } : {}) })));
  };

  return (
    <div class="min-h-full">
      <ConnectionNote connection={connection} />
      <TopBar account={account} />
      <main class="mx-auto max-w-6xl px-4 py-6 sm:px-6">
        <div class="mb-5 flex flex-wrap items-center justify-between gap-3">
          <h1 class="text-3xl font-semibold">Rooms</h1>
          <button type="button" class="button button-main" onClick={() => set_creating(true)}>
            <Icon name="plus" />
            Create room
          </button>
        </div>
        <div class="grid grid-cols-1 items-start gap-5 lg:grid-cols-2">
          <MyRoomsCard {...signed_in} />
          <PublicRooms {...signed_in} />
        </div>
      </main>
      {creating && (
        <Dialog title="Create a room" close={() => set_creating(false)}>
          <RoomFormFields
            start={{ label: "", topic: "", access: "public" }}
            verb="Create room"
            save={create}
          />
        </Dialog>
      )}
    </div>
  );
}
