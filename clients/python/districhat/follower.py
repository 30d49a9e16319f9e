# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a reader of a room stands, and what an event that arrives means for it. Knows no sockets and no clock.

A feed may drop and may repeat; the log may not. The reader has every event up to `last`. What comes over the feed is
the next one, an old one, or behind a gap; `wants` says that the log must be asked for what comes after `last`.
"""

from typing import Any

PENDING_MAX = 512  # events kept while what is before them is fetched

Event = dict[str, Any]


class Follower:
    """Until begin() says where it stands, every event is behind a gap, and the log is not asked."""

    def __init__(self) -> None:
        self.known = False
        self.last = 0
        self.epoch = 0
        self.target = 0  # the room is known to stand at least here
        self.doubt = False  # something may have been missed: ask, even if nothing is known to be missing
        self.asking = False
        self._pending: dict[int, Event] = {}

    def begin(self, last: int, epoch: int, seq: int) -> list[Event]:
        """It has everything up to `last`; the room stands at `seq`. Returns what is due."""
        self.known, self.last, self.epoch = True, last, epoch
        self.target = max(self.target, seq)
        return self._due()

    @property
    def wants(self) -> bool:
        """The log is to be asked for the events after `last`; call asked() when that is done."""
        return self.known and not self.asking and (self.doubt or self.target > self.last)

    def asked(self) -> None:
        self.asking = True
        self.doubt = False

    def failed(self) -> None:
        """No answer of use: it is still to be asked."""
        self.asking = False
        self.doubt = True

    def offer(self, event: Event) -> list[Event]:
        """An event of the feed. Returns those that are now due, in order."""
        if self.known and (event["epoch"] < self.epoch or event["seq"] <= self.last):
            return []  # of an owner that lost the slot, or known
        self.target = max(self.target, event["seq"])
        if event["seq"] in self._pending or len(self._pending) < PENDING_MAX:
            self._pending[event["seq"]] = event
        return self._due()

    def beacon(self, epoch: int, seq: int) -> None:
        if epoch >= self.epoch:
            self.target = max(self.target, seq)

    def owner_changed(self) -> None:
        self.doubt = True

    def fetched(self, events: list[Event], seq: int) -> list[Event]:
        """A page of the log after `last` as it was when asked; the room stands at `seq`. Returns what is due."""
        due = []
        self.asking = False
        self.target = max(self.target, seq)
        for event in events:
            if event["seq"] == self.last + 1:
                due.append(self._take(event))
        return due + self._due()

    def _due(self) -> list[Event]:
        due: list[Event] = []
        while self.known and (event := self._pending.pop(self.last + 1, None)):
            if event["epoch"] < self.epoch:
                break  # the log will tell
            due.append(self._take(event))
        if due:
            self._pending = {seq: event for seq, event in self._pending.items() if seq > self.last}
        return due

    def _take(self, event: Event) -> Event:
        self.last = event["seq"]
        self.epoch = max(self.epoch, event["epoch"])
        return event
