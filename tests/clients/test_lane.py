# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of writes: whatever is lost on the way, a room gets them once and in order."""

import random
import types

import pytest
from districhat.lane import FLYING_MAX, Lane

SCHEDULES = 300


def write(number):
    return types.SimpleNamespace(number=number)


def set_out(lane):
    """All that may go: (number, prev)."""
    gone = []
    while one := lane.next():
        gone.append((one.number, lane.set_out(one)))
    return gone


def test_each_names_the_one_before_it():
    lane = Lane()
    for number in (1, 2, 5):
        lane.append(write(number))
    assert set_out(lane) == [(1, 0), (2, 1), (5, 2)]


def test_what_came_back_goes_again_in_order_when_nothing_flies():
    lane = Lane()
    writes = [write(number) for number in (1, 2, 3)]
    for one in writes:
        lane.append(one)
    set_out(lane)
    lane.come_back(writes[0])
    lane.come_back(writes[2])
    assert set_out(lane) == []  # 2 is still on its way
    lane.end(writes[1])
    assert set_out(lane) == [(1, 0), (3, 1)]


def test_what_flies_is_bounded():
    lane = Lane()
    for number in range(1, 3 * FLYING_MAX):
        lane.append(write(number))
    assert len(set_out(lane)) == FLYING_MAX
    lane.end(lane.writes[0])
    assert len(set_out(lane)) == 1


class Owner:
    """What roomd does with numbers, and `prev`."""

    def __init__(self):
        self.log = []

    def take(self, number, prev):
        last = self.log[-1] if self.log else 0
        if number <= last:
            return "ok" if number in self.log else "cmid_stale"
        if prev > last:
            return "out_of_order"
        self.log.append(number)
        return "ok"


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_random_schedules(seed):
    chance = random.Random(seed)
    lane, owner = Lane(), Owner()
    flying = {}  # number → (write, prev, answer or None)
    made = 0
    while made < 60 or lane.writes:
        step = chance.random()
        if made < 60 and step < 0.3:
            made += 1
            lane.append(write(made))
        elif step < 0.6:
            one = lane.next()
            if one:
                prev = lane.set_out(one)
                answer = None if chance.random() < 0.2 else owner.take(one.number, prev)
                flying[one.number] = (one, None if chance.random() < 0.1 else answer)
        elif flying:
            one, answer = flying.pop(chance.choice(list(flying)))
            assert answer != "cmid_stale", f"{one.number} was overtaken"
            if answer == "ok":
                lane.end(one)
            else:
                lane.come_back(one)
    assert owner.log == list(range(1, made + 1))
