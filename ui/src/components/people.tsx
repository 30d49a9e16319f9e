/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is in the room: those who have it open first. Owners and administrators change roles here. */
import type { Id, Member, Role } from "../protocol";
import type { RoomSession } from "../room_session";
import { count } from "../words";
import { Avatar } from "./avatar";
import { MenuItem, Popover } from "./popover";

const ROLE_WORDS: Partial<Record<Role, string>> = {
  owner: "Owner",
  admin: "Administrator",
  none: "Visitor",
  banned: "Banned",
};

interface PeopleProps {
  session: RoomSession;
  me: Id;
  set_role: (user: Id, role: Role) => void;
  /** Opens the direct room with a person. */
  talk: (user: Id) => void;
  invite: (() => void) | null;
}

type PersonProps = { member: Member; mine: Role; direct: boolean } & Pick<PeopleProps, "me" | "set_role" | "talk">;

function Person({ member, mine, direct, me, set_role, talk }: PersonProps) {
  const above = !direct &&
    (mine === "owner" || (mine === "admin" && member.role !== "owner" && member.role !== "admin"));
  return (
    <li class="flex items-center gap-2.5 py-1">
      <Avatar user={member.user} name={member.name} here={member.here ?? false} />
      <span class="min-w-0 flex-1">
        <span class="block truncate font-semibold">
          {member.name}
          {member.user === me && <span class="font-normal text-quiet"> (you)</span>}
        </span>
        <span class="block text-sm text-quiet">
          {[member.here ? "Here now" : "Away", ROLE_WORDS[member.role], member.bot ? "Bot" : ""]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </span>
      {!direct && member.user !== me && (
        <Popover label={`Actions for ${member.name}`} icon="more">
          {(close) => {
            const item = (role: Role, words: string, alert = false) =>
              member.role !== role && (
                <MenuItem
                  alert={alert}
                  choose={() => {
                    close();
                    set_role(member.user, role);
                  }}
                >
                  {words}
                </MenuItem>
              );
            return (
              <>
                <MenuItem
                  choose={() => {
                    close();
                    talk(member.user);
                  }}
                >
                  Message
                </MenuItem>
                {mine === "owner" && item("owner", "Make owner")}
                {above && item("admin", "Make administrator")}
                {above && item("member", "Make member")}
                {above && item("none", "Remove from room", true)}
                {above && item("banned", "Ban", true)}
              </>
            );
          }}
        </Popover>
      )}
    </li>
  );
}

export function People({ session, me, set_role, talk, invite }: PeopleProps) {
  const direct = session.about?.access === "direct";
  const mine = session.about?.role ?? "none";
  const here = session.members.filter((member) => member.here);
  const away = session.members.filter((member) => !member.here);
  const list = (members: Member[]) =>
    members.map((member) => (
      <Person
        key={member.user}
        member={member}
        mine={mine}
        direct={direct}
        me={me}
        set_role={set_role}
        talk={talk}
      />
    ));
  return (
    <div class="grid grid-cols-1 gap-4">
      {invite && (
        <button type="button" class="button button-plain w-full" onClick={invite}>
          Invite people
        </button>
      )}
      {here.length > 0 && (
        <section aria-label="Here now">
          <h3 class="text-sm font-semibold text-quiet">{count(here.length, "person", "people")} here now</h3>
          <ul>{list(here)}</ul>
        </section>
      )}
      {away.length > 0 && (
        <section aria-label="Away">
          <h3 class="text-sm font-semibold text-quiet">Away</h3>
          <ul>{list(away)}</ul>
        </section>
      )}
    </div>
  );
}
