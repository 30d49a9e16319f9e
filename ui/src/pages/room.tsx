/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One room: my rooms on the left (on a wide screen), the messages, the people on the right. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { SignedIn } from "../app";
import { Composer, type Purpose } from "../components/composer";
import { ConnectionNote } from "../components/connection_note";
import { Dialog } from "../components/dialog";
import { Icon } from "../components/icon";
import { Invite } from "../components/invite";
import { People } from "../components/people";
import { MenuItem, Popover } from "../components/popover";
import { RoomFormFields, type RoomForm } from "../components/room_form";
import { RoomList } from "../components/room_list";
import { Timeline } from "../components/timeline";
import { Brand, SignOut } from "../components/top_bar";
import { useTitle, useTopics } from "../hooks";
import type { Entry } from "../outbox";
import { explain, RequestError, type Id, type Role, type Writes, type WriteType } from "../protocol";
import type { TimelineItem } from "../room";
import { RoomSession } from "../room_session";
import { DASHBOARD, navigate, room_address } from "../router";
import { count, typing_text } from "../words";

type Panel = "people" | "settings" | "invite" | null;
const SEND: Purpose = { type: "send" };

function use_room(room: Id, { account, connection, outbox, my_rooms }: SignedIn): RoomSession {
  const session = useMemo(
    () => new RoomSession(room, account.user, connection, outbox, (id) => my_rooms.is_followed(id)),
    [room, account, connection, outbox, my_rooms],
  );
  useEffect(() => {
    my_rooms.set_open(room);
    session.start();
    return () => {
      my_rooms.set_open(null);
      session.stop();
    };
  }, [session]);
  useTopics(session.changes, my_rooms.changes);
  return session;
}

function Typing({ session }: { session: RoomSession }) {
  const text = typing_text(session.typists.map((typist) => typist.name));
  return (
    <div class="h-6 px-5 text-sm text-quiet" role="status" aria-label="Typing">
      {text && (
        <p class="mx-auto flex max-w-4xl items-center gap-2">
          <span class="dots flex gap-0.5" aria-hidden="true">
            <span class="size-1.5 rounded-full bg-quiet" />
            <span class="size-1.5 rounded-full bg-quiet" />
            <span class="size-1.5 rounded-full bg-quiet" />
          </span>
          {text}
        </p>
      )}
    </div>
  );
}

function Refused({ error }: { error: unknown }) {
  return (
    <main class="grid min-h-full place-items-center p-6 text-center">
      <div>
        <h1 class="text-3xl font-semibold">This room is closed to you</h1>
        <p class="mt-2 mb-6 text-quiet">{explain(error)}</p>
        <a class="button button-main" href={DASHBOARD}>
          Back to the rooms
        </a>
      </div>
    </main>
  );
}

interface RoomMenuProps {
  manages: boolean;
  show: (panel: Panel) => void;
  leave: () => void;
}

function RoomMenu({ manages, show, leave }: RoomMenuProps) {
  return (
    <Popover label="Room menu" icon="more">
      {(close) => {
        const then = (act: () => void) => () => {
          close();
          act();
        };
        return (
          <>
            {manages && (
              <MenuItem icon="settings" choose={then(() => show("settings"))}>
                Settings
              </MenuItem>
            )}
            {manages && (
              <MenuItem icon="invite" choose={then(() => show("invite"))}>
                Invite people
              </MenuItem>
            )}
            <MenuItem icon="leave" alert choose={then(leave)}>
              Leave room
            </MenuItem>
          </>
        );
      }}
    </Popover>
  );
}

export function RoomPage({ room, ...signed_in }: SignedIn & { room: Id }) {
  const { account, connection, outbox, my_rooms } = signed_in;
  const me = account.user;
  const session = use_room(room, signed_in);
  const [purpose, set_purpose] = useState<Purpose>(SEND);
  const [panel, set_panel] = useState<Panel>(null);
  const [notice, set_notice] = useState("");
  const about = session.about;
  const known = my_rooms.find(room);
  const label = about?.label || known?.label || "Room";
  const role = about?.role ?? "none";
  const direct = about?.access === "direct";
  const manages = !direct && (role === "owner" || role === "admin");
  useTitle(`${label} · DistriChat`);

  const write = <K extends WriteType>(type: K, body: Writes[K]) =>
    void session.write(type, body).catch(() => set_notice("This browser could not keep the message."));

  const send = (text: string) => {
    if (purpose.type === "edit") {
      if (text !== purpose.item.text) {
        write("room_edit", { target: purpose.item.seq, text });
      }
    } else {
      write("room_send", { text, ...(purpose.type === "reply" ? { target: purpose.item.seq } : {}) });
    }
    set_purpose(SEND);
  };

  const copy = async (item: TimelineItem) => {
    try {
      await navigator.clipboard.writeText(item.text ?? "");
      set_notice("Copied.");
    } catch {
      set_notice("The browser did not allow copying.");
    }
  };

  const edit_last = () => {
    const mine = session.state.items.filter(
      (item) => item.kind === "message" && item.user === me && !item.redacted,
    );
    const last = mine[mine.length - 1];
    if (last) {
      set_purpose({ type: "edit", item: last });
    }
  };

  const leave = async () => {
    try {
      await session.leave();
      navigate(DASHBOARD);
    } catch (error) {
      set_notice(explain(error));
    }
  };

  const talk = async (user: Id) => {
    try {
      const to = await my_rooms.make({ access: "direct", with: user });
      navigate(room_address(to));
    } catch (error) {
      set_notice(explain(error));
    }
  };

  const save_settings = async ({ label: name, topic, access }: RoomForm) => {
    write("room_set", { label: name, access, ...(topic ? { topic } : { clear_topic: true }) });
    set_panel(null);
  };

  const set_role = (user: Id, to: Role) => write("room_member_set", { user, role: to });

  useEffect(() => {
    if (notice) {
      const timer = setTimeout(() => set_notice(""), 4000);
      return () => clearTimeout(timer);
    }
    return undefined;
  }, [notice]);

  if (session.status === "refused") {
    return <Refused error={session.refusal} />;
  }

  const people = (
    <People
      session={session}
      me={me}
      set_role={set_role}
      talk={(user) => void talk(user)}
      invite={manages ? () => set_panel("invite") : null}
    />
  );

  return (
    <div class="flex h-dvh">
      <aside class="hidden w-72 flex-none flex-col border-r border-line lg:flex" aria-label="My rooms">
        <div class="px-4 py-3.5">
          <Brand to={DASHBOARD} />
        </div>
        <nav class="min-h-0 flex-1 overflow-y-auto px-2 pb-3" aria-label="My rooms">
          <RoomList rooms={my_rooms.rooms} current={room} />
        </nav>
        <div class="flex items-center justify-between gap-2 border-t border-line px-4 py-3">
          <span class="min-w-0 truncate font-semibold">{account.name}</span>
          <SignOut />
        </div>
      </aside>
      <main class="flex min-w-0 flex-1 flex-col bg-surface">
        <ConnectionNote connection={connection} />
        <header class="flex items-center gap-1 border-b border-line py-2 pr-2 pl-1 sm:pl-3">
          <a href={DASHBOARD} class="button-icon lg:hidden" aria-label="Back to the rooms">
            <Icon name="back" />
          </a>
          <div class="min-w-0 flex-1 px-2">
            <h1 class="truncate text-xl leading-tight font-semibold">{label}</h1>
            {about?.topic && <p class="truncate text-sm text-quiet">{about.topic}</p>}
          </div>
          <button
            type="button"
            class="button button-plain min-h-10 px-3 text-sm xl:hidden"
            aria-label={`People, ${session.here} here`}
            onClick={() => set_panel("people")}
          >
            <Icon name="people" />
            {session.here} <span class="hidden sm:inline">here</span>
          </button>
          {!direct && <RoomMenu manages={manages} show={set_panel} leave={() => void leave()} />}
        </header>
        <Timeline
          session={session}
          my_rooms={my_rooms}
          me={me}
          retry={(entry: Entry) => void outbox.retry(entry)}
          discard={(entry: Entry) => void outbox.discard(entry)}
          actions={{
            reply: (item) => set_purpose({ type: "reply", item }),
            edit: (item) => set_purpose({ type: "edit", item }),
            redact: (item) => write("room_redact", { target: item.seq }),
            react: (item, emoji, remove) => write("room_react", { target: item.seq, emoji, ...(remove ? { remove } : {}) }),
            copy: (item) => void copy(item),
          }}
        />
        <div role="alert">
          {session.failures().map((entry) => (
            <p
              key={`${entry.client} ${entry.number}`}
              class="flex items-center justify-center gap-3 bg-alert-ground px-4 py-1.5 text-sm text-alert"
            >
              A change was not made. {explain(new RequestError({ code: entry.code ?? "" }))}
              <button type="button" class="font-semibold underline" onClick={() => void outbox.discard(entry)}>
                Dismiss
              </button>
            </p>
          ))}
        </div>
        <Typing session={session} />
        <Composer
          purpose={purpose}
          send={send}
          cancel={() => set_purpose(SEND)}
          typing={(active) => session.typing(active)}
          edit_last={edit_last}
        />
      </main>
      <aside class="hidden w-72 flex-none overflow-y-auto border-l border-line p-4 xl:block" aria-label="People">
        <h2 class="mb-3 text-lg font-semibold">
          {session.members.length > 0 ? count(session.members.length, "person", "people") : "People"}
        </h2>
        {people}
      </aside>
      {panel === "people" && (
        <Dialog title="People" drawer close={() => set_panel(null)}>
          {people}
        </Dialog>
      )}
      {panel === "settings" && about && (
        <Dialog title="Room settings" close={() => set_panel(null)}>
          <RoomFormFields
            start={{ label: about.label, topic: about.topic, access: about.access }}
            verb="Save"
            save={save_settings}
          />
        </Dialog>
      )}
      {panel === "invite" && (
        <Invite
          connection={connection}
          members={new Set(session.members.filter((m) => m.role !== "none").map((m) => m.user))}
          add={(user) => set_role(user, "member")}
          close={() => set_panel(null)}
        />
      )}
      <div role="status" aria-label="Notice" class="pointer-events-none fixed inset-x-0 bottom-24 z-30 flex justify-center">
        {notice && <p class="rounded-full bg-ink px-4 py-2 text-sm text-paper">{notice}</p>}
      </div>
    </div>
  );
}
