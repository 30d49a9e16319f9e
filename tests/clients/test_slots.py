# SPDX-License-Identifier: GPL-3.0-or-later
"""The slot map: whole, changed, and out of step."""

from districhat.slots import SlotMap, slot_of


def node(number):
    return {"node": f"roomd-{number}", "address": f"a{number}", "feed": f"f{number}", "incarnation": bytes([number] * 16)}


def run(first, last, owner):
    return {"first": first, "last": last, "owner": owner}


def whole(version=5):
    return {"version": version, "nodes": [node(1), node(2)], "runs": [run(0, 2047, 1), run(2048, 4095, 2)]}


def room(slot):
    return bytes([slot >> 4, (slot & 15) << 4 | 7]) + bytes(14)


def test_the_slot_is_the_first_twelve_bits():
    assert [slot_of(room(slot)) for slot in (0, 1, 2048, 4095)] == [0, 1, 2048, 4095]


def test_a_change_that_follows_is_taken():
    slots = SlotMap()
    slots.replace(whole())
    assert slots.owner(room(2047)).address == "a1" and slots.owner(room(2048)).feed == "f2"
    assert slots.change({"version": 6, "nodes": [node(2)], "runs": [run(0, 0, 1), run(5, 6, 0)]})
    assert slots.owner(room(0)).address == "a2" and slots.owner(room(1)).address == "a1"
    assert slots.owner(room(5)) is None and slots.version == 6


def test_an_old_change_is_known_and_a_gap_is_told():
    slots = SlotMap()
    assert not slots.change({"version": 1, "nodes": [], "runs": []})  # there is no map yet
    slots.replace(whole())
    assert slots.change({"version": 5, "nodes": [], "runs": [run(0, 4095, 0)]})
    assert slots.owner(room(0)) is not None
    assert not slots.change({"version": 7, "nodes": [], "runs": []})
    assert slots.version == 5
