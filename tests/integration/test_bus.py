# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts on the bus: the example that follows a room, and what a script may not do."""

import os
import pathlib
import signal
import subprocess

from bus import Bus
from person import PASSWORD
from system import ROOT
from waiting import wait_until

FOLLOW = ROOT / "clients" / "python" / "examples" / "follow.py"


def is_answered(person, room):
    """It follows from where the room stood when it had joined: what was written just before, it need not answer."""
    person.send(room, "are you there?")
    return person.wait_text(room, f"{person.name}, I read: are you there?", 2)


def test_a_script_follows_and_answers(system, person, room_name):
    anna, bot = person("anna"), person("bot", connect=False)
    room = anna.create_room(room_name)
    anna.open(room)
    script = subprocess.Popen([FOLLOW, system.registry, bot.name, PASSWORD, room_name])
    try:
        anna.wait_event(room, lambda e: e["kind"] == "member" and e["subject"] == bot.user)
        wait_until(lambda: is_answered(anna, room), why="the script follows")
        for i in range(10):
            anna.send(room, f"line {i}")
            answer = anna.wait_text(room, f"{anna.name}, I read: line {i}")
            assert answer["name"] == bot.name
    finally:
        script.send_signal(signal.SIGKILL)
        script.wait()


def test_the_example_is_short():
    assert len(pathlib.Path(FOLLOW).read_text().splitlines()) <= 30


def sign_in(system, one):
    registry = Bus(system.registry)
    granted = registry.ask(21, login=one.name, password=PASSWORD)
    assert granted["t"] == 24
    return registry, granted


def test_a_session_is_bound_to_its_connection(system, person):
    anna = person("anna", connect=False)
    registry, granted = sign_in(system, anna)
    other = Bus(system.registry)
    assert other.ask(32, session=granted["session"])["code"] == "session_unknown"
    assert registry.ask(32, session=granted["session"])["t"] == 33
    resumed = other.ask(22, secret=granted["secret"])
    assert resumed["session"] == granted["session"]
    assert other.ask(32, session=granted["session"])["t"] == 33
    assert other.ask(22, secret=os.urandom(32))["code"] in ("unauthenticated", "bad_credentials", "session_unknown")


def test_roomd_takes_tokens_alone(system, person, room_name):
    anna = person("anna", connect=False)
    room = anna.create_room(room_name)
    registry, granted = sign_in(system, anna)
    found = registry.ask(34, session=granted["session"], label=room_name)
    assert found["room"].hex() == room
    owner = Bus(found["address"])
    here = {"session": granted["session"], "room": found["room"]}
    assert owner.ask(77, **here)["code"] == "session_unknown"
    header, claims, signature = granted["token"].split(".")
    for token in ("", "a.b.c", f"{header}.{claims}.", f"{header}.{claims}.{signature[::-1]}", "x" * 4096):
        assert owner.ask(60, token=token)["code"] in ("bad_token", "limit")
    assert owner.ask(60, token=granted["token"])["t"] == 61
    assert owner.ask(77, **here)["t"] == 78
    anna.api("DELETE", "session")
    assert registry.ask(23, session=granted["session"])["t"] == 2
    wait_until(lambda: owner.ask(77, **here).get("code") == "session_unknown", 5, why="revocation at roomd")


def test_a_store_answers_for_itself_alone(system):
    """One that took the place of another, at its address, must not be taken for it."""
    place = Bus(system.registry).ask(53, first=0, last=0)["stores"][0]
    store = Bus(place["address"])
    room = os.urandom(16)
    nobody = {"slot": 0, "epoch": 1, "nonce": os.urandom(16)}
    requests = {
        100: {**nobody, "first": 1, "lac": 0, "entries": []},
        102: nobody,
        104: {**nobody, "segment": 1, "first": 1, "entries": []},
        105: {"slot": 0, "segment": 1, "from": 1},
        107: {**nobody, "segment": 1, "lac": 1},
        108: {"room": room},
        110: {"room": room},
        111: {"room": room},
        112: {"room": room, "client": os.urandom(16), "number": 1},
    }
    for type_, fields in requests.items():
        assert store.ask(type_, **fields, store=os.urandom(16)).get("code") == "unavailable", type_
        assert store.ask(type_, **fields, store=place["store"]).get("code") != "unavailable", type_


def test_a_roomd_that_missed_the_end_of_a_session_learns_of_it(system, person, room_name):
    """Tokens are checked without asking anybody: a roomd that was not there when a session ended must ask which did."""
    anna = person("anna", connect=False)
    registry, granted = sign_in(system, anna)
    assert registry.ask(23, session=granted["session"])["t"] == 2
    system.wait_restarted("roomd-1", system.kill("roomd-1"))
    owner = Bus(f"ipc://{system.run}/roomd-1.sock")
    assert owner.ask(60, token=granted["token"])["code"] == "bad_token"
