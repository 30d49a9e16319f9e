# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of a room under every kind of loss: what it hands out is the log, in order, each event once."""

import random

import pytest
from districhat.follower import PENDING_MAX, Follower

SCHEDULES = 300


def event(seq, epoch=1):
    return {"seq": seq, "epoch": epoch}


def seqs(events):
    return [one["seq"] for one in events]


def started(last=0, epoch=1, seq=None):
    follower = Follower()
    follower.begin(last, epoch, last if seq is None else seq)
    return follower


def test_before_it_begins_everything_waits():
    follower = Follower()
    assert follower.offer(event(6)) == [] and follower.offer(event(5)) == [] and not follower.wants
    assert seqs(follower.begin(4, 1, 4)) == [5, 6]
    assert not follower.wants


def test_a_gap_is_asked_for_and_closed():
    follower = started(3)
    assert seqs(follower.offer(event(4))) == [4]
    assert follower.offer(event(7)) == [] and follower.wants
    follower.asked()
    assert not follower.wants
    assert seqs(follower.fetched([event(5), event(6)], 7)) == [5, 6, 7]
    assert not follower.wants


@pytest.mark.parametrize("old", [event(3), event(2), event(4, epoch=1)])
def test_the_old_is_dropped(old):
    follower = started(3, epoch=2)
    assert follower.offer(old) == [] and not follower.wants


def test_what_waits_and_turns_out_to_be_of_an_old_owner_is_not_used():
    follower = started(3, epoch=1)
    follower.offer(event(6, epoch=1))
    follower.asked()
    assert seqs(follower.fetched([event(4, 1), event(5, 2)], 5)) == [4, 5]
    assert follower.wants  # 6 was said to be there; the log tells which one
    follower.asked()
    assert seqs(follower.fetched([event(6, 2)], 6)) == [6]


def test_a_gap_at_the_very_end_shows_by_a_beacon():
    follower = started(3, epoch=2)
    follower.beacon(1, 9)
    assert not follower.wants  # of an owner that lost the slot
    follower.beacon(2, 4)
    assert follower.wants


def test_a_failed_fetch_is_asked_again():
    follower = started(3, seq=5)
    follower.asked()
    follower.failed()
    assert follower.wants


def test_a_new_owner_is_asked():
    follower = started(3)
    follower.owner_changed()
    assert follower.wants


def test_what_waits_is_bounded():
    follower = started(0)
    for seq in range(2, 10 * PENDING_MAX):
        follower.offer(event(seq))
    assert len(follower._pending) == PENDING_MAX
    follower.asked()
    assert follower.fetched([event(1)], 1)[-1]["seq"] == PENDING_MAX + 1
    assert follower.wants


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_random_schedules(seed):
    chance = random.Random(seed)
    log = []
    follower = Follower()
    got = []
    epoch = 1
    began = None
    wire = []  # of the feed: arrives in any order across owners
    page = None
    for _ in range(400):
        step = chance.random()
        if step < 0.4:
            log.append(event(len(log) + 1, epoch))
            if chance.random() < 0.7:
                wire += [log[-1]] * chance.choice((1, 1, 2))
        elif step < 0.7 and wire:
            got += follower.offer(wire.pop(chance.choice((0, 0, 0, -1))))
        elif step < 0.75:
            epoch += 1
            follower.owner_changed()
        elif step < 0.8:
            follower.beacon(epoch, len(log))
        elif began is None and step < 0.85:
            began = len(log)
            got += follower.begin(began, epoch, began)
        elif page is None and follower.wants:
            follower.asked()
            page = (follower.last, len(log), chance.random() < 0.2)
        elif page is not None:
            after, stood, lost = page
            page = None
            if lost:
                follower.failed()
            else:
                got += follower.fetched(log[after:min(stood, after + chance.choice((1, 20)))], stood)
    if began is None:
        began = len(log)
        got += follower.begin(began, epoch, began)
    follower.beacon(epoch, len(log))
    follower.asking = False
    while follower.wants:
        follower.asked()
        got += follower.fetched(log[follower.last:follower.last + 20], len(log))
    assert seqs(got) == list(range(began + 1, len(log) + 1))
    assert got == log[began:]
