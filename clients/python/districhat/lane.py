# SPDX-License-Identifier: GPL-3.0-or-later
"""The writes of one client to one room, kept in order although several are on their way at once. Knows no sockets.

Each write that sets out behind another one whose answer is still to come names that one as its `prev`: the room's
owner refuses it with `out_of_order` rather than let it overtake a lost one. What was refused for now comes back; the
lane is then held until nothing is on its way any more, and all that came back set out again in order ("go back N").
"""

from typing import Protocol

FLYING_MAX = 64


class Numbered(Protocol):
    number: int


class Lane:
    def __init__(self) -> None:
        self.writes: list[Numbered] = []
        self._flying: set[int] = set()
        self._held = False

    def append(self, write: Numbered) -> None:
        self.writes.append(write)

    def next(self) -> Numbered | None:
        """The write that may set out now, or None."""
        if self._held and not self._flying:
            self._held = False
        if self._held or len(self._flying) >= FLYING_MAX:
            return None
        return next((write for write in self.writes if write.number not in self._flying), None)

    def set_out(self, write: Numbered) -> int:
        """It is on its way. Returns what it must name as `prev`; 0: nothing."""
        self._flying.add(write.number)
        place = self.writes.index(write)
        return self.writes[place - 1].number if place else 0

    def come_back(self, write: Numbered) -> None:
        """Refused for now, or nobody knows."""
        self._flying.discard(write.number)
        self._held = True

    def end(self, write: Numbered) -> None:
        self._flying.discard(write.number)
        self.writes.remove(write)
