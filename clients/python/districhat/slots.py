# SPDX-License-Identifier: GPL-3.0-or-later
"""Who serves which slot: the registry's map, and the changes that it publishes. Knows no sockets."""

from typing import Any, NamedTuple

SLOTS = 4096


class Owner(NamedTuple):
    address: str  # of its requests
    feed: str  # of what it publishes
    incarnation: bytes  # new at every start of the node


def slot_of(room: bytes) -> int:
    """The first 12 bits of a room's id."""
    return room[0] << 4 | room[1] >> 4


class SlotMap:
    def __init__(self) -> None:
        self.version = 0
        self._owners: list[Owner | None] = [None] * SLOTS

    def owner(self, room: bytes) -> Owner | None:
        return self._owners[slot_of(room)]

    def replace(self, whole: dict[str, Any]) -> None:
        """Take a `slot_map`."""
        self._owners = [None] * SLOTS
        self._write(whole)

    def change(self, change: dict[str, Any]) -> bool:
        """Take a `slots_changed`. False: one before it was missed; ask for the whole map."""
        if change["version"] <= self.version:
            return True
        if self.version == 0 or change["version"] != self.version + 1:
            return False
        self._write(change)
        return True

    def _write(self, message: dict[str, Any]) -> None:
        owners = [None] + [Owner(n["address"], n["feed"], n["incarnation"]) for n in message["nodes"]]
        for run in message["runs"]:
            for slot in range(run["first"], run["last"] + 1):
                self._owners[slot] = owners[run["owner"]]
        self.version = message["version"]
