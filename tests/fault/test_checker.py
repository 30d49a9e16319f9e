# SPDX-License-Identifier: GPL-3.0-or-later
"""The checker is quiet about a good history and names what is wrong with a bad one: a row for every way to be wrong.

The good history is small and has all that there is: an acknowledged, a refused and two unknown writes, one of them
written; an edit, a reaction, a removal; readers of every kind; pages; stores.
"""

import copy

import pytest
from checker import CLASSES, check
from history import EVENTS, FAIL, ITEMS, OK, OPENED, History, Holding, Log, Page, Sight, Stream, Verified, Write

ROOM = "5a" * 16
ANNA, BEN, WILLA = "a1" * 16, "b1" * 16, "c1" * 16


def event(seq, kind, user=ANNA, number=0, **fields):
    made = {"room": ROOM, "epoch": 1, "lsn": seq + 10, "seq": seq, "time": 1000 + seq, "kind": kind, "user": user,
            **fields}
    return {**made, "client": user, "number": number} if number else made


def write(user, number, kind, began, ended=0.0, outcome=OK, seqs=(), **fields):
    return Write("sender", user, ROOM, user, number, kind, began, ended=ended, outcome=outcome, seqs=list(seqs),
                 **fields)


def item(seq, **fields):
    return {"seq": seq, "time": 1000 + seq, **fields}


SETTING = event(1, "setting", label="a room", access="public")
HELLO = event(2, "message", ANNA, 1, text="hello")
ANSWER = event(3, "message", BEN, 1, text="answer", target=2)
EDIT = event(4, "edit", ANNA, 2, text="hello!", target=2)
LIKE = event(5, "reaction", BEN, 2, emoji="+", target=2)
REMOVAL = event(6, "redaction", BEN, 3, target=3)
LATE = event(7, "message", ANNA, 4, text="late")
LOG = [SETTING, HELLO, {**ANSWER, "text": ""}, EDIT, LIKE, REMOVAL, LATE]

ITEM_1 = item(1, kind="setting", user=ANNA, label="a room", access="public")
ITEM_2 = item(2, kind="message", user=ANNA, client=ANNA, number=1, text="hello")
ITEM_2_END = {**ITEM_2, "text": "hello!", "edited": 4, "edited_time": 1004,
              "reactions": [{"emoji": "+", "count": 1, "users": [{"user": BEN}]}]}
ITEM_3 = item(3, kind="message", user=BEN, client=BEN, number=1, text="answer", target=2)
ITEM_3_END = {**ITEM_3, "text": "", "redacted": 6}
ITEM_7 = item(7, kind="message", user=ANNA, client=ANNA, number=4, text="late")
ITEMS_END = [ITEM_1, ITEM_2_END, ITEM_3_END, ITEM_7]


def stream(reader, start, events, whole=True, at=10.0):
    made = Stream(reader, ROOM, whole)
    made.start(start, at)
    for one in events:
        made.event(one, at + one["seq"] / 100)
    return made


def good():
    live = stream("live", 1, [HELLO, ANSWER, EDIT, LIKE, REMOVAL])
    live.caught_up(6, 10.1)
    live.event(LATE, 10.2)
    was_reset = stream("was reset", 1, [HELLO])
    was_reset.reset(6, 10.2)
    was_reset.event(LATE, 10.3)
    return History(
        writes=[write(ANNA, 1, "message", 1.0, 1.1, seqs=[2], text="hello"),
                write(BEN, 1, "message", 1.2, 1.4, seqs=[3, 3], text="answer", target=2),
                write(ANNA, 2, "edit", 2.0, 2.1, seqs=[4], text="hello!", target=2),
                write(BEN, 2, "reaction", 2.2, 2.3, seqs=[5], emoji="+", target=2),
                write(BEN, 3, "redaction", 2.4, 2.5, seqs=[6], target=3),
                write(BEN, 4, "edit", 2.6, 2.7, FAIL, code="gone", text="no", target=3),
                write(ANNA, 3, "message", 2.8, outcome="unknown", text="never arrived"),
                write(ANNA, 4, "message", 2.9, outcome="unknown", text="late")],
        streams=[live, was_reset, stream("left early", 1, [HELLO, ANSWER], whole=False)],
        pages=[Page("pages", ROOM, EVENTS, 1.5, 1.6, 3, [HELLO, ANSWER], after=1),
               Page("pages", ROOM, ITEMS, 1.7, 1.8, 3, [ITEM_2, ITEM_3], more=True),
               Page("pages", ROOM, OPENED, 2.5, 2.6, 6),
               Page("pages", ROOM, EVENTS, 11.0, 11.1, 7, [LOG[1], LOG[2]], after=1, more=True),
               Page("pages", ROOM, ITEMS, 11.2, 11.3, 7, [ITEM_3_END, ITEM_7], after=2)],
        sights=[Sight("feed", ROOM, LATE, 9.0), Sight("feed", ROOM, HELLO, 9.5)],
        logs=[Log(ROOM, LOG)],
        holdings=[Holding("one", ROOM, 7, LOG, ITEMS_END), Holding("two", ROOM, 7, LOG, ITEMS_END),
                  Holding("three", ROOM, 3, [SETTING, HELLO, ANSWER], [ITEM_1, ITEM_2, ITEM_3])],
        verified=[Verified("one", True), Verified("two", True), Verified("three", True)],
        stores_needed=2)


def test_quiet_about_a_good_history():
    assert [str(one) for one in check(good())] == []


def test_a_history_can_be_kept(tmp_path):
    good().save(tmp_path / "history")
    assert History.load(tmp_path / "history") == good()


def log_without(run, seq):
    run.logs[0].events = [one for one in run.logs[0].events if one["seq"] != seq]


def log_with(run, seq, **fields):
    run.logs[0].events = [{**one, **fields} if one["seq"] == seq else one for one in run.logs[0].events]


def doubled(run):
    again = {**HELLO, "seq": 8, "lsn": 18, "time": 1008}
    run.logs[0].events = [*LOG, again]


def out_of_order(run):
    """Anna's late message stands where her first one should be, and the other way round."""
    log_with(run, 2, number=4, text="late")
    log_with(run, 7, number=1, text="hello")


def told(run, *steps):
    run.streams = [Stream("reader", ROOM, True, [list(step) for step in steps])]


EVERYTHING = [("event", one, 10.0 + one["seq"] / 100) for one in (HELLO, ANSWER, EDIT, LIKE, REMOVAL, LATE)]

BAD = [
    ("gap", lambda run: log_without(run, 5)),
    ("gap", lambda run: run.logs[0].events.append(dict(LATE, lsn=18))),
    ("lsn", lambda run: log_with(run, 4, lsn=12)),
    ("lsn", lambda run: log_with(run, 4, epoch=2)),
    ("time", lambda run: log_with(run, 4, time=1001)),
    ("invented", lambda run: log_with(run, 7, number=9)),
    ("doubled", doubled),
    ("lost", lambda run: run.writes.append(write(ANNA, 5, "message", 3.0, 3.1, seqs=[8], text="gone"))),
    ("lost", lambda run: run.logs.clear()),
    ("moved", lambda run: run.writes[0].seqs.append(5)),
    ("changed", lambda run: setattr(run.writes[0], "text", "another")),
    ("changed", lambda run: setattr(run.writes[3], "target", 3)),
    ("changed", lambda run: setattr(run.writes[1], "user", ANNA)),
    ("refused", lambda run: setattr(run.writes[7], "outcome", FAIL)),
    ("sender", out_of_order),
    ("real_time", lambda run: setattr(run.writes[0], "began", 1.45)),
    ("real_time", lambda run: setattr(run.writes[7], "began", 9.1)),
    ("reader_gap", lambda run: told(run, ("start", 1, 9), *EVERYTHING[1:])),
    ("reader_gap", lambda run: told(run, ("start", 1, 9), *EVERYTHING[:2], *EVERYTHING[3:])),
    ("reader_gap", lambda run: told(run, ("start", 1, 9), ("reset", 3, 9), *EVERYTHING[3:])),
    ("reader_back", lambda run: told(run, ("start", 1, 9), *EVERYTHING[:3], EVERYTHING[2], *EVERYTHING[3:])),
    ("reader_back", lambda run: run.pages.append(Page("pages", ROOM, OPENED, 12.0, 12.1, 6))),
    ("phantom", lambda run: run.streams[0].event(event(8, "message", ANNA, 5, text="unsaid"), 12)),
    ("phantom", lambda run: run.streams[2].event(dict(EDIT, text="hell"), 12)),
    ("phantom", lambda run: run.streams[2].event(dict(EDIT, lsn=99), 12)),
    ("phantom", lambda run: run.sights.append(Sight("feed", ROOM, dict(HELLO, seq=9), 12))),
    ("phantom", lambda run: run.sights.append(Sight("feed", ROOM, dict(HELLO, text=""), 12))),
    ("phantom", lambda run: run.pages[0].rows.__setitem__(0, dict(HELLO, user=BEN))),
    ("phantom", lambda run: run.pages.append(Page("ahead", ROOM, ITEMS, 12.0, 12.1, 9))),
    ("caught_up", lambda run: run.streams[2].caught_up(4, 12)),
    ("not_whole", lambda run: setattr(run.streams[2], "whole", True)),
    ("stale", lambda run: run.pages.append(Page("another", ROOM, OPENED, 3.0, 3.1, 4))),
    ("stale", lambda run: run.pages.append(Page("another", ROOM, OPENED, 9.1, 9.2, 6))),
    ("page", lambda run: run.pages[0].rows.pop()),
    ("page", lambda run: run.pages[3].rows.pop(0)),
    ("page", lambda run: setattr(run.pages[3], "more", False)),
    ("page", lambda run: run.pages[1].rows.pop()),
    ("page", lambda run: run.pages[1].rows.clear()),
    ("page", lambda run: setattr(run.pages[1], "more", False)),
    ("page", lambda run: run.pages[1].rows.__setitem__(0, ITEM_2_END)),
    ("page", lambda run: run.pages[4].rows.__setitem__(1, dict(ITEM_7, text="early"))),
    ("redacted", lambda run: run.pages[3].rows.__setitem__(1, ANSWER)),
    ("redacted", lambda run: run.pages[4].rows.__setitem__(0, dict(ITEM_3_END, text="answer"))),
    ("store_wrong", lambda run: run.holdings[2].events.__setitem__(1, dict(HELLO, text="hell"))),
    ("store_wrong", lambda run: run.holdings[2].items.pop(1)),
    ("store_wrong", lambda run: run.holdings[2].items.__setitem__(1, ITEM_2_END)),
    ("store_wrong", lambda run: setattr(run.holdings[2], "seq", 2)),
    ("store_behind", lambda run: run.holdings.pop(0)),
    ("damaged", lambda run: setattr(run.verified[1], "sound", False)),
]


@pytest.mark.parametrize("kind, spoil", BAD, ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(BAD)])
def test_names_what_is_wrong(kind, spoil):
    run = copy.deepcopy(good())
    spoil(run)
    kinds = {one.kind for one in check(run)}
    assert kind in kinds, kinds


def test_every_class_has_a_row():
    assert {kind for kind, _ in BAD} == set(CLASSES)
