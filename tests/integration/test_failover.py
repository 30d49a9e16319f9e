# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots find another roomd: after SIGKILL, SIGSTOP and a cut link, when one is drained or stops, and not otherwise.

Under traffic that a browser and a script on the bus read (flow.py). How long it takes is measured by
tests/bench/failover; here it only has an end.
"""

import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest
from bus import Bus
from flow import Flow
from person import PASSWORD, Refused, administrator
from system import ROOT, System, wait_until

ROOMS = 6
SOON_S = 20  # the target is 3 s; machines are busy
LEASE_S = 1.5  # without the registry, after this nobody has one
TOKEN_LIFE = "30s"  # so that tokens are renewed in the middle of all this
BUILD = pathlib.Path(os.environ.get("DISTRICHAT_BUILD_DIR", ROOT / "build" / "up"))


@pytest.fixture(scope="module")
def here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTRICHAT_TOKEN_LIFE", TOKEN_LIFE)
        with System() as system:
            boss = administrator(system)
            flow = Flow(system, ROOMS)
            yield system, boss, flow
            flow.close()


def nodes(boss):
    return {node["node"]: node for node in boss.api("GET", "nodes")["nodes"]}


def settle(boss, flow, *names):
    """Every roomd has about its share, and messages flow in all rooms."""
    def is_even():
        known = nodes(boss)
        return all(known[name]["state"] == "online" and known[name].get("slots", 0) > 4096 / len(names) * 0.7
                   for name in names)

    wait_until(is_even, 60, why="slots are spread")
    flow.progress(flow.rooms)


def victim(flow):
    """A roomd that has rooms, and these."""
    node = next(name for name in ("roomd-1", "roomd-2") if flow.rooms_of(name))
    return node, flow.rooms_of(node)


# --- it ends or hangs ---

def test_a_roomd_that_is_killed_and_stays_away(here):
    system, boss, flow = here
    settle(boss, flow, "roomd-1", "roomd-2")
    node, rooms = victim(flow)
    epochs, start = flow.epochs(), time.monotonic()
    system.end(node)
    flow.flowing_again(rooms, start, epochs, SOON_S)
    assert nodes(boss)[node]["state"] == "dead"
    system.let_return(node)
    settle(boss, flow, "roomd-1", "roomd-2")


class Stranger:
    """A script that asks one roomd, whatever the slot map says: sign in, then send without waiting."""

    def __init__(self, system, person, node):
        registry = Bus(system.registry)
        self.me = registry.ask(21, login=person.name, password=PASSWORD)
        registry.close()
        self.bus = Bus(f"ipc://{system.run}/{node}.sock")
        assert self.bus.ask(60, token=self.me["token"])["t"] == 61

    def send(self, kind, room, **fields):
        return self.bus.send(kind, seconds=60, session=self.me["session"], room=bytes.fromhex(room), **fields)


def test_a_roomd_that_hangs_and_wakes_up(here):
    system, boss, flow = here
    settle(boss, flow, "roomd-1", "roomd-2")
    node, rooms = victim(flow)
    room = rooms[0]
    stranger = Stranger(system, flow.reader, node)
    client = os.urandom(16)
    epochs, start = flow.epochs(), time.monotonic()
    system.kill(node, signal.SIGSTOP)
    flow.flowing_again(rooms, start, epochs, SOON_S)
    flow.progress(rooms)
    # All of this waits in its sockets when it wakes up.
    asked = {stranger.send(77, room, after=0): "range", stranger.send(64, room): "opened",
             stranger.send(75, room): "page", stranger.send(79, room): "members",
             stranger.send(68, room, client=client, number=1, text="from the past"): "sent",
             stranger.send(70, room, client=client, number=2, target=1, text="x"): "refused by old rights"}
    system.kill(node, signal.SIGCONT)
    while asked:
        answer = stranger.bus.receive(30)
        assert answer, f"no answer to {asked}"
        what = asked.pop(answer["i"])
        assert answer["t"] == 1 and answer["code"] in ("not_owner", "fenced"), (what, answer)
    settle(boss, flow, "roomd-1", "roomd-2")
    assert "from the past" not in [e.get("text") for e in flow.reader.log(room)]
    stranger.bus.close()


# --- it can't reach the registry ---

class Relay:
    """Between a node and the registry: bytes pass until it is held, and then wait."""

    def __init__(self, path, target):
        self.target = target
        self.passing = threading.Event()
        self.passing.set()
        self.sockets = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                near, _ = self.listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self.target))
                self.sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()
        except OSError:
            return  # closed

    def _pass(self, source, sink):
        try:
            while data := source.recv(65536):
                self.passing.wait()
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.passing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.sockets:
            one.close()


@pytest.fixture
def third(here):
    """A third roomd, whose registry is behind a relay."""
    system, boss, flow = here
    relay = Relay(system.run / "relay.sock", system.run / "registry.sock")
    address = f"ipc://{system.run}/roomd-3"
    with open(system.data / "log" / "roomd-3.log", "ab") as log:
        process = subprocess.Popen(
            [BUILD / "roomd" / "roomd", "--name", "roomd-3", "--registry", f"ipc://{system.run}/relay.sock",
             "--bind", f"{address}.sock", "--feed", f"{address}-feed.sock"], stdout=log, stderr=log)
    settle(boss, flow, "roomd-1", "roomd-2", "roomd-3")
    yield process, relay
    relay.passing.set()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    relay.close()
    settle(boss, flow, "roomd-1", "roomd-2")


def room_of_third(flow):
    """A room in one of its slots: rooms are made until one is."""
    for i in range(200):
        room = flow.reader.create_room(f"far {time.monotonic()} {i}")
        if flow.owner_of(room) == "roomd-3":
            return room
    raise AssertionError("the registry gives it no rooms")


def test_a_roomd_that_is_cut_off_from_the_registry(here, third):
    system, boss, flow = here
    _, relay = third
    room = room_of_third(flow)
    flow.reader.open(room)
    flow.reader.send(room, "before")
    stranger = Stranger(system, flow.reader, "roomd-3")
    relay.passing.clear()
    wait_until(lambda: nodes(boss)["roomd-3"]["state"] == "dead", SOON_S, why="it is missed")
    wait_until(lambda: flow.owner_of(room) not in (None, "roomd-3"), SOON_S, why="another has its slots")
    seq = flow.reader.send(room, "after")
    flow.reader.wait_event(room, lambda e: e["seq"] == seq)
    # It runs, knows of nothing, and can be reached: the stores tell it.
    number = stranger.send(77, room, after=0)
    answer = stranger.bus.receive(30)
    assert answer["i"] == number and answer["t"] == 1 and answer["code"] in ("not_owner", "fenced"), answer
    relay.passing.set()
    settle(boss, flow, "roomd-1", "roomd-2", "roomd-3")
    assert [e["text"] for e in flow.reader.log(room) if e["kind"] == "message"] == ["before", "after"]
    stranger.bus.close()


# --- it is told to go ---

def test_a_roomd_that_is_drained(here):
    system, boss, flow = here
    settle(boss, flow, "roomd-1", "roomd-2")
    dials = [one.dials for one in [*flow.writers, flow.reader]]
    node, rooms = victim(flow)
    boss.api("POST", f"nodes/{node}/drain", {"drain": True})
    wait_until(lambda: nodes(boss)[node].get("slots", 0) == 0, 60, why="its slots have moved")
    flow.progress(rooms)
    assert nodes(boss)[node]["state"] == "draining"
    for i in range(4):
        room = flow.reader.create_room(f"not there {i}")
        assert flow.owner_of(room) != node
    system.wait_restarted("registry-1", system.kill("registry-1"))
    wait_until(lambda: nodes(boss).get(node, {}).get("state") == "draining", 30, why="the registry remembers")
    assert nodes(boss)[node].get("slots", 0) == 0
    boss.api("POST", f"nodes/{node}/drain", {})
    settle(boss, flow, "roomd-1", "roomd-2")
    assert dials == [one.dials for one in [*flow.writers, flow.reader]], "a browser's connection was lost"


def test_a_roomd_that_stops_in_order_hands_over(here):
    system, boss, flow = here
    settle(boss, flow, "roomd-1", "roomd-2")
    node, rooms = victim(flow)
    dropped = sum("event=slot_dropped" in line for line in system.log(node))
    system.end(node, signal.SIGTERM)
    wait_until(lambda: not system.is_running(node), 30, why="it has ended")
    lines = system.log(node)
    assert "event=service.stop " in lines[-1] or lines[-1].endswith("event=service.stop"), lines[-1]
    assert sum("event=slot_dropped" in line for line in lines) == dropped, "a slot was taken from it"
    flow.progress(rooms)
    system.let_return(node)
    settle(boss, flow, "roomd-1", "roomd-2")


# --- the registry is away ---

def changes(system):
    """How often slots got another owner."""
    moved = sum("event=slots.assigned" in line for line in system.log("registry-1"))
    return moved, sum("event=slot_dropped" in line for name in ("roomd-1", "roomd-2") for line in system.log(name))


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_the_registry_is_away_longer_than_leases(here, how):
    system, boss, flow = here
    settle(boss, flow, "roomd-1", "roomd-2")
    before, epochs = changes(system), flow.epochs()
    lost = [sum("event=lease_lost" in line for line in system.log(name)) for name in ("roomd-1", "roomd-2")]
    if how == "stopped":
        system.kill("registry-1", signal.SIGSTOP)
    else:
        system.end("registry-1")
    for name, count in zip(("roomd-1", "roomd-2"), lost):
        wait_until(lambda n=name, c=count: sum("event=lease_lost" in line for line in system.log(n)) > c, 30,
                   why="leases run out")
    flow.progress(flow.rooms, 10)
    for room in flow.rooms:  # reads and refusals as well
        assert flow.reader.history(room)["items"]
        with pytest.raises(Refused, match="forbidden"):
            flow.writers[0 if room != flow.rooms[0] else 1].write("room_redact", room, target=2)
    if how == "stopped":
        system.kill("registry-1", signal.SIGCONT)
    else:
        system.let_return("registry-1")
    wait_until(lambda: all(nodes(boss)[n]["state"] == "online" for n in ("roomd-1", "roomd-2")), 30,
               why="the registry is back")
    settle(boss, flow, "roomd-1", "roomd-2")
    time_of_return = time.monotonic()
    wait_until(lambda: time.monotonic() - time_of_return > 2 * LEASE_S, 30, why="whatever would flap does")
    flow.progress(flow.rooms)
    assert changes(system) == before, "slots changed their owners"
    assert flow.epochs() == epochs


def test_after_all_that_every_log_is_whole(here):
    _, _, flow = here
    flow.stop()
    flow.check()


def test_all_roomds_stop_at_once(here):
    system, _, flow = here
    flow.close()
    assert system.stop() == 0, "a daemon had to be killed, or ended with an error"
    for name in ("roomd-1", "roomd-2"):
        assert any("event=service.stop" in line for line in system.log(name)[-3:])
