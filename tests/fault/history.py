# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run's clients did and saw, and what the system held at its end: the checker's whole input.

Times are seconds of the monotonic clock, which all processes of a machine share. Ids are hex strings and events
are the maps of docs/protocol.md in their JSON form, whatever way they came. A History can be kept in a file
(JSON lines) and checked again.
"""

import dataclasses
import json

OK = "ok"  # acknowledged
FAIL = "fail"  # refused for sure: nothing was written and nothing will be
UNKNOWN = "unknown"  # maybe written, now or later

EVENTS = "events"  # rows are events, from `after` on
ITEMS = "items"  # rows are items: messages as they stand
OPENED = "opened"  # no rows: where the room stands


@dataclasses.dataclass
class Write:
    """One write under one client id and number, with all its tries."""

    sender: str
    user: str
    room: str
    client: str
    number: int
    kind: str  # message, edit, redaction or reaction
    began: float  # before the first try left
    text: str = ""
    target: int = 0
    emoji: str = ""
    remove: bool = False
    ended: float = 0  # when the first sure answer was here
    outcome: str = UNKNOWN
    code: str = ""  # of a refusal
    seqs: list = dataclasses.field(default_factory=list)  # of every acknowledgement

    @property
    def cmid(self):
        return self.client, self.number


@dataclasses.dataclass
class Stream:
    """What one reader was given of one room, in order, through all its connections."""

    reader: str
    room: str
    whole: bool = False  # was connected at the end, and had time to catch up
    steps: list = dataclasses.field(default_factory=list)  # [what, value, at]

    def start(self, seq, at):
        """The reader has, or does not want, what is up to `seq`."""
        self.steps.append(["start", seq, at])

    def event(self, event, at):
        self.steps.append(["event", event, at])

    def reset(self, seq, at):
        """The reader was told to forget, and that events after `seq` follow."""
        self.steps.append(["reset", seq, at])

    def caught_up(self, seq, at):
        self.steps.append(["caught_up", seq, at])


@dataclasses.dataclass
class Page:
    """One answer to one read."""

    reader: str
    room: str
    kind: str
    began: float
    ended: float
    seq: int  # the answer reflects all up to this
    rows: list = dataclasses.field(default_factory=list)
    after: int = 0
    before: int = 0
    more: bool = False


@dataclasses.dataclass
class Sight:
    """An event that came over a feed, in whatever order."""

    reader: str
    room: str
    event: dict
    at: float


@dataclasses.dataclass
class Holding:
    """What one store showed of one room at the end."""

    store: str
    room: str
    seq: int
    events: list
    items: list


@dataclasses.dataclass
class Log:
    """A room's final log."""

    room: str
    events: list


@dataclasses.dataclass
class Verified:
    """What `storaged --verify` said of a store."""

    store: str
    sound: bool
    said: str = ""


@dataclasses.dataclass
class History:
    writes: list = dataclasses.field(default_factory=list)
    streams: list = dataclasses.field(default_factory=list)
    pages: list = dataclasses.field(default_factory=list)
    sights: list = dataclasses.field(default_factory=list)
    logs: list = dataclasses.field(default_factory=list)
    holdings: list = dataclasses.field(default_factory=list)
    verified: list = dataclasses.field(default_factory=list)
    stores_needed: int = 0  # stores that must hold all of a room; 0: none were asked

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            print(json.dumps({"stores_needed": self.stores_needed}), file=file)
            for name, rows in self._lists():
                for row in rows:
                    print(json.dumps({name: dataclasses.asdict(row)}), file=file)

    @classmethod
    def load(cls, path):
        history = cls()
        with open(path, encoding="utf-8") as file:
            for line in file:
                for name, row in json.loads(line).items():
                    if name == "stores_needed":
                        history.stores_needed = row
                    else:
                        getattr(history, name).append(ROWS[name](**row))
        return history

    def _lists(self):
        return [(name, getattr(self, name)) for name in ROWS]


ROWS = {"writes": Write, "streams": Stream, "pages": Page, "sights": Sight, "logs": Log, "holdings": Holding,
        "verified": Verified}
