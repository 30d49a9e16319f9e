#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds a history against the promise: a list of violations, empty if it was kept.

A pure function of a History (history.py); docs/guarantees.md says to whom each of these is promised. As a command,
checker.py FILE checks a history that a run has left.
"""

import bisect
import collections
import dataclasses
import sys

import history
from timeline import Timeline, plain

# What can be wrong, by what it is called in docs/guarantees.md and in the mutants' records.
CLASSES = {
    "gap": "a room's log lacks a seq, or has one twice",
    "lsn": "lsn or epoch fall within a room's log",
    "time": "time falls within a room's log",
    "invented": "the log has a write that nobody asked for",
    "doubled": "the log has one write twice",
    "lost": "an acknowledged write is not in the log",
    "moved": "a write was acknowledged with another seq than it has in the log",
    "changed": "a write stands in the log with other content than was asked for",
    "refused": "a write that was refused for sure is in the log",
    "sender": "writes of one client stand in another order than it sent them",
    "real_time": "a write stands before something that was known before it began",
    "reader_gap": "a reader was given an event and not the one before it",
    "reader_back": "a reader was given again what it had, or an older state than it had",
    "phantom": "somebody was shown what is not in the log, or otherwise than it is there",
    "caught_up": "a reader was told that it has all, and had not",
    "not_whole": "a connected reader did not get everything after healing",
    "stale": "an answer lacks what was known before it was asked for",
    "page": "a page has other rows than the log gives",
    "redacted": "the text of a removed message was served after its removal",
    "store_wrong": "a store shows something else than the log",
    "store_behind": "fewer stores than the ack quorum hold all of a room",
    "damaged": "storaged --verify finds damage where none was done",
}
TEXT_FREE = ("text",)  # may be missing where the log has a removal


@dataclasses.dataclass(frozen=True)
class Violation:
    kind: str
    room: str
    detail: str

    def __str__(self):
        return f"{self.kind}: {self.detail} (room {self.room[:8]}…): {CLASSES[self.kind]}"


class Room:
    """All of a history that is about one room, with what can be looked up in it."""

    def __init__(self, log, run):
        self.id = log.room
        self.log = [plain(event) for event in log.events]
        self.by_seq = {event["seq"]: event for event in self.log}
        self.last = max(self.by_seq, default=0)
        self.writes = [write for write in run.writes if write.room == self.id]
        self.write_of = {write.cmid: write for write in self.writes}
        self.streams = [stream for stream in run.streams if stream.room == self.id]
        self.pages = sorted((page for page in run.pages if page.room == self.id), key=lambda page: page.began)
        self.sights = [sight for sight in run.sights if sight.room == self.id]
        self.holdings = [holding for holding in run.holdings if holding.room == self.id]
        self.stores_needed = run.stores_needed
        self.seqs_of = collections.defaultdict(list)  # cmid → seqs in the log
        self.removed = {}  # seq of a message → seq of its removal
        for event in self.log:
            if event.get("number"):
                self.seqs_of[event.get("client"), event["number"]].append(event["seq"])
            if event["kind"] == "redaction":
                self.removed.setdefault(event.get("target"), event["seq"])
        self.texts = {write.cmid: write.text for write in self.writes}
        self.known = Known(self)

    def violation(self, kind, detail):
        return Violation(kind, self.id, detail)

    def removal_of(self, event):
        """The seq of the removal that takes an event's text away, or None."""
        return self.removed.get(event.get("target") if event["kind"] == "edit" else event["seq"])

    def true_text(self, event):
        """What an event said, although it may have been removed since."""
        return event.get("text") or self.texts.get((event.get("client"), event.get("number")), "")

    def differs(self, event, removed_at=None):
        """How an event that somebody was given differs from the log, or None.

        `removed_at`: the seq that the answer reflects; without it, a removed text may be there or not.
        """
        mine = self.by_seq.get(event["seq"])
        event = plain(event)
        if mine is None:
            return f"seq {event['seq']} is not in the log"
        for key in sorted(set(mine) | set(event)):
            if key not in TEXT_FREE and mine.get(key) != event.get(key):
                return f"seq {event['seq']} has {key} {event.get(key)!r}, in the log {mine.get(key)!r}"
        text = event.get("text", "")
        removal = self.removal_of(mine)
        gone = removal is not None and (removed_at is None or removal <= removed_at)
        if text != self.true_text(mine) and not (gone and not text):
            return f"seq {event['seq']} says {text!r}, was written as {self.true_text(mine)!r}"
        return None

    def shows_removed(self, event, seq):
        """Whether an answer that reflects all up to `seq` shows a text that was removed by then."""
        mine = self.by_seq.get(event["seq"])
        removal = self.removal_of(mine) if mine else None
        return bool(removal is not None and removal <= seq and event.get("text"))


class Known:
    """The largest seq that anybody knew before a moment: by an acknowledgement, an event or a page."""

    def __init__(self, room):
        facts = [(write.ended, seq) for write in room.writes if write.outcome == history.OK for seq in write.seqs]
        facts += [(step[2], step[1]["seq"]) for stream in room.streams for step in stream.steps if step[0] == "event"]
        facts += [(sight.at, sight.event["seq"]) for sight in room.sights]
        facts += [(page.ended, page.seq) for page in room.pages]
        facts.sort()
        self.times = [at for at, _ in facts]
        self.seqs = []
        highest = 0
        for _, seq in facts:
            highest = max(highest, seq)
            self.seqs.append(highest)

    def before(self, moment):
        index = bisect.bisect_left(self.times, moment)
        return self.seqs[index - 1] if index else 0


def check_log(room):
    """The log by itself: 1, 2, 3, …; nothing twice; nothing that falls."""
    for index, event in enumerate(room.log, 1):
        if event["seq"] != index:
            yield room.violation("gap", f"entry {index} has seq {event['seq']}")
            break
    for before, after in zip(room.log, room.log[1:]):
        if after["lsn"] <= before["lsn"] or after["epoch"] < before["epoch"]:
            yield room.violation("lsn", f"seq {after['seq']}: epoch {before['epoch']} lsn {before['lsn']}, then "
                                        f"{after['epoch']}, {after['lsn']}")
        if after["time"] < before["time"]:
            yield room.violation("time", f"seq {after['seq']}: {before['time']}, then {after['time']}")
    for cmid, seqs in room.seqs_of.items():
        if len(seqs) > 1:
            yield room.violation("doubled", f"number {cmid[1]} at {seqs}")
        if cmid not in room.write_of:
            yield room.violation("invented", f"number {cmid[1]} of client {cmid[0]} at {seqs}")


def check_writes(room):
    """What was answered against what is there."""
    for write in room.writes:
        seqs = room.seqs_of.get(write.cmid, [])
        what = f"{write.kind} {write.number} of {write.sender}"
        if write.outcome == history.OK and not seqs:
            yield room.violation("lost", f"{what}, acknowledged as {write.seqs}")
        elif write.outcome == history.OK and any(seq not in seqs for seq in write.seqs):
            yield room.violation("moved", f"{what}, acknowledged as {write.seqs}, is at {seqs}")
        elif write.outcome == history.FAIL and seqs:
            yield room.violation("refused", f"{what}, answered {write.code}, is at {seqs}")
        for seq in seqs:
            yield from _check_content(room, write, room.by_seq[seq], what)
            known = room.known.before(write.began)
            if seq <= known:
                yield room.violation("real_time", f"{what} is at {seq}; {known} was known before it began")


def _check_content(room, write, event, what):
    wanted = plain({"kind": write.kind, "user": write.user, "target": write.target, "emoji": write.emoji,
                    "remove": write.remove})
    found = {key: event[key] for key in ("kind", "user", "target", "emoji", "remove") if key in event}
    text = event.get("text", "")
    if found != wanted or (text != write.text and not (room.removal_of(event) and not text)):
        yield room.violation("changed", f"{what}: {found} {text!r} instead of {wanted} {write.text!r}")


def check_senders(room):
    last = {}
    for event in room.log:
        client = event.get("client")
        if client and event.get("number"):
            if event["number"] < last.get(client, 0):
                yield room.violation("sender", f"seq {event['seq']}: number {event['number']} after {last[client]}")
            last[client] = event["number"]


def check_streams(room):
    """Every reader: one after the other, as the log has them, to the end."""
    for stream in room.streams:
        place = None
        for what, value, _ in stream.steps:
            if what == "event":
                yield from _check_step(room, stream, place, value)
                place = max(place or 0, value["seq"])
            elif what == "caught_up":
                if (place or 0) < value:
                    yield room.violation("caught_up", f"{stream.reader} has all up to {place}, was told {value}")
            else:
                place = value
        if stream.whole and (place or 0) < room.last:
            yield room.violation("not_whole", f"{stream.reader} has all up to {place} of {room.last}")


def _check_step(room, stream, place, event):
    if place is not None and event["seq"] <= place:
        yield room.violation("reader_back", f"{stream.reader} was given {event['seq']} after {place}")
    elif place is not None and event["seq"] > place + 1:
        yield room.violation("reader_gap", f"{stream.reader} was given {event['seq']} after {place}")
    difference = room.differs(event)
    if difference:
        yield room.violation("phantom", f"{stream.reader}: {difference}")


def check_sights(room):
    for sight in room.sights:
        difference = room.differs(sight.event)
        if difference:
            yield room.violation("phantom", f"{sight.reader}, on the feed: {difference}")


def check_freshness(room):
    """No answer is older than what was known when it was asked for."""
    own = collections.defaultdict(list)  # reader → its pages so far, by the time of their end
    for page in room.pages:
        known = room.known.before(page.began)
        back = max((seq for ended, seq in own[page.reader] if ended < page.began), default=0)
        if page.seq < back:
            yield room.violation("reader_back", f"{page.reader} was answered {page.seq} after {back}")
        elif page.seq < known:
            yield room.violation("stale", f"{page.reader} was answered {page.kind} up to {page.seq}; "
                                          f"{known} was known {page.ended - page.began:.3f} s before the answer")
        own[page.reader].append((page.ended, page.seq))


def check_events_pages(room):
    for page in room.pages:
        if page.kind == history.EVENTS:
            yield from _check_events(room, page.rows, page.after, page.seq, page.more, page.reader, "page")


def _check_events(room, events, after, seq, more, who, kind):
    for index, event in enumerate(events, after + 1):
        if event["seq"] != index:
            yield room.violation(kind, f"{who}: seq {event['seq']} where {index} should be")
            return
        if room.shows_removed(event, seq):
            yield room.violation("redacted", f"{who}: seq {event['seq']} in an answer up to {seq}")
        elif room.differs(event, seq):
            yield room.violation("phantom" if kind == "page" else kind, f"{who}: {room.differs(event, seq)}")
    last = after + len(events)
    if bool(more) != (last < seq) or (more and not events):
        yield room.violation(kind, f"{who}: ends at {last} of {seq}, more is {more}")


def check_items_pages(room):
    """Pages of items, each against the timeline at its seq: one walk through the log for all of them."""
    timeline = Timeline(room.texts)
    waiting = collections.deque(sorted((page for page in room.pages if page.kind == history.ITEMS),
                                       key=lambda page: page.seq))
    for event in [None, *room.log]:
        if event:
            timeline.apply(event)
        while waiting and waiting[0].seq <= timeline.seq:
            page = waiting.popleft()
            yield from _check_items(room, timeline, page.rows, page.after, page.before, page.more, page.reader, "page")
    for page in waiting:
        yield room.violation("phantom", f"{page.reader}: a page up to {page.seq}; the log ends at {room.last}")


def _check_items(room, timeline, items, after, before, more, who, kind):
    seqs = sorted(timeline.items)
    got = [item["seq"] for item in items]
    if after:
        eligible = [seq for seq in seqs if seq > after]
        expected = eligible[:len(got)]
    else:
        eligible = [seq for seq in seqs if not before or seq < before]
        expected = eligible[len(eligible) - len(got):]
    if got != expected or bool(more) != (len(eligible) > len(got)) or (more and not got):
        yield room.violation(kind, f"{who}: items {got[:3]}…{got[-3:]} instead of {expected[:3]}…{expected[-3:]} "
                                   f"(after {after}, before {before}, more {more})")
        return
    for item in items:
        true = timeline.shown(item["seq"])
        if plain(item) != true:
            shown = item.get("text") and true.get("redacted")
            yield room.violation("redacted" if shown else kind, f"{who}: item {_first_difference(plain(item), true)}")


def _first_difference(found, wanted):
    for key in sorted(set(found) | set(wanted)):
        if found.get(key) != wanted.get(key):
            return f"{found.get('seq')} has {key} {found.get(key)!r} instead of {wanted.get(key)!r}"
    return "equal"


def check_stores(room):
    """Each store's own answer: a beginning of the log and its timeline; enough of them have all of it."""
    whole = 0
    for holding in room.holdings:
        timeline = Timeline(room.texts)
        whole += holding.seq >= room.last
        if holding.seq > room.last:
            yield room.violation("store_wrong", f"{holding.store} has {holding.seq}, the log ends at {room.last}")
        for event in room.log[:holding.seq]:
            timeline.apply(event)
        yield from _check_events(room, holding.events, 0, holding.seq, False, holding.store, "store_wrong")
        yield from _check_items(room, timeline, holding.items, 0, 0, False, holding.store, "store_wrong")
    if whole < room.stores_needed:
        yield room.violation("store_behind", f"{whole} of {room.stores_needed} stores have all up to {room.last}: "
                                             f"{[(h.store, h.seq) for h in room.holdings]}")


ROOM_CHECKS = (check_log, check_writes, check_senders, check_streams, check_sights, check_freshness,
               check_events_pages, check_items_pages, check_stores)


def check(run):
    """All violations in a History."""
    found = [Violation("damaged", "", f"{row.store}: {row.said}") for row in run.verified if not row.sound]
    for log in run.logs:
        room = Room(log, run)
        for one in ROOM_CHECKS:
            found += one(room)
    rooms = {log.room for log in run.logs}
    found += [Violation("lost", write.room, f"{write.kind} {write.number} of {write.sender}: its room has no log")
              for write in run.writes if write.room not in rooms and write.outcome == history.OK]
    return found


def main():
    found = check(history.History.load(sys.argv[1]))
    for one in found:
        print(one)
    print(f"{len(found)} violations")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
