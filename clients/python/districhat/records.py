# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library hands out. Fields are those of the protocol (docs/protocol.md); ids are 16 bytes, times are ms."""

from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a room's log; `kind` says which fields have a meaning."""

    room: bytes
    epoch: int
    lsn: int
    seq: int
    time: int
    kind: str  # message, edit, redaction, reaction, member, setting
    user: bytes
    name: str
    bot: bool
    client: bytes | None
    number: int
    text: str
    target: int
    emoji: str
    remove: bool
    subject: bytes | None
    label: str
    role: str | None
    topic: str
    access: str | None
    capacity: int


@dataclass(frozen=True, slots=True)
class Reaction:
    emoji: str
    count: int
    users: list[dict[str, bytes]]


@dataclass(frozen=True, slots=True)
class Item:
    """A message or note as it stands now: edits, reactions and a redaction applied."""

    seq: int
    time: int
    kind: str
    user: bytes
    name: str
    bot: bool
    client: bytes | None
    number: int
    text: str
    target: int
    subject: bytes | None
    label: str
    role: str | None
    topic: str
    access: str | None
    edited: int
    edited_time: int
    redacted: int
    reactions: list[Reaction]


@dataclass(frozen=True, slots=True)
class Page:
    """Items in the order of seq. It reflects all events up to `seq`; apply later ones on top."""

    seq: int
    items: list[Item]
    more: bool


@dataclass(frozen=True, slots=True)
class Member:
    user: bytes
    name: str
    role: str
    here: bool
    bot: bool
    since: int


@dataclass(frozen=True, slots=True)
class RoomInfo:
    room: bytes
    label: str
    access: str
    topic: str
    owner: bytes | None
    members: int
    capacity: int
    last_seq: int
    last_time: int
    role: str | None
    read: int
    created: int


@dataclass(frozen=True, slots=True)
class Account:
    user: bytes
    name: str
    role: str
    created: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A room as it stands."""

    room: bytes
    epoch: int
    seq: int
    label: str
    access: str
    topic: str
    capacity: int
    role: str | None
    members: int
    here: int


@dataclass(frozen=True, slots=True)
class Sent:
    """Committed: on disk, in order, at `seq` for ever."""

    room: bytes
    seq: int
    time: int
    duplicate: bool


def make(kind: type[T], values: dict[str, Any]) -> T:
    return kind(**{field.name: values[field.name] for field in fields(kind)})


def make_item(values: dict[str, Any]) -> Item:
    return make(Item, {**values, "reactions": [make(Reaction, one) for one in values["reactions"]]})
