# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's WebSockets: who may go on reading, slow and silent readers, limits, resuming, draining."""

import contextlib
import json
import os
import signal
import socket
import time

import msgpack
import pytest
import websocket
from person import Person
from system import System
from waiting import wait_until

PING_S = 1
SILENCE_S = 3
LOOK_S = 1  # a connection is looked at so often when it is pinged so often
CLOSING_S = 6  # for an answer to our close frame
SLACK_S = 5  # of a loaded machine
ROOMS = 5
PER_ADDRESS = 40
PER_SECOND = 400
LONG = '"' * 16000  # twice as long in JSON
LONG_MESSAGES = 700  # 22 MB; less than the 1000 events that are sent again
MEMORY_BYTES_MAX = 16 * 1024 * 1024
MISSED_MAX = 1000


@contextlib.contextmanager
def settings(**values):
    """Settings of daemons that are started inside."""
    names = {f"DISTRICHAT_{name}": str(value) for name, value in values.items()}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


@pytest.fixture(scope="module")
def system():
    with settings(PING_INTERVAL=f"{PING_S}s", SILENCE_TIMEOUT=f"{SILENCE_S}s", ROOMS_PER_CONNECTION=ROOMS,
                  CONNECTIONS_PER_ADDRESS=PER_ADDRESS, MESSAGES_PER_SECOND=PER_SECOND, STUCK_TIMEOUT="200s"):
        with System() as running:
            yield running


class Raw:
    """A WebSocket without a reader of its own; it answers pings while it is read."""

    def __init__(self, person, protocol="districhat.v1.json", **options):
        self.binary = protocol.endswith("msgpack")
        self.socket = websocket.create_connection(
            person.url.replace("http", "ws", 1) + "/ws", timeout=30, subprotocols=[protocol], origin=person.url,
            cookie=person.cookie(), **options)

    def say(self, kind, number=1, **fields):
        self.socket.send(json.dumps({"t": kind, "i": number, **fields}))

    def hear(self):
        data = self.socket.recv()
        return (msgpack.unpackb(data) if self.binary else json.loads(data)) if data else None

    def hear_until(self, matches):
        """All messages up to the first for which `matches` is true."""
        heard = []
        while not heard or not matches(heard[-1]):
            heard.append(self.hear())
            assert heard[-1] is not None, heard[-5:]
        return heard

    def hear_answer(self, number=1):
        return self.hear_until(lambda m: m.get("i") == number)[-1]

    def wire(self, data):
        self.socket.sock.sendall(data)


@pytest.fixture
def raw(system):
    opened = []

    def make(person, **options):
        opened.append(Raw(person, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.socket.close(timeout=1)


def frame(payload, opcode=1, final=True):
    """A masked frame of a client; the mask is zero."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([(0x80 if final else 0) | opcode]) + size + b"\0\0\0\0" + payload


def events(messages):
    return [m["seq"] for m in messages if m["t"] == "event"]


# --- who may read ---


@pytest.mark.parametrize("role", ["none", "banned"])
def test_who_is_put_out_of_a_private_room_hears_no_more(person, raw, room_name, role):
    anna = person("anna")
    ben = person("ben", connect=False)
    room = anna.create_room(room_name, "private")
    anna.open(room)
    anna.write("room_member_set", room, user=ben.user, role="member")
    reader = raw(ben)
    reader.say("room_open", room=room)
    assert reader.hear_answer()["t"] == "room_opened"
    anna.send(room, "before")
    assert reader.hear_until(lambda m: m.get("text") == "before")
    anna.write("room_member_set", room, user=ben.user, role=role)
    after = [anna.send(room, f"secret {i}") for i in range(5)]
    anna.wait_event(room, lambda e: e["seq"] == after[-1])  # the gateway has handed it out
    reader.say("room_open", 2, room=room)
    heard = reader.hear_until(lambda m: m.get("i") == 2)
    assert heard[-1]["code"] in ("not_found", "forbidden", "banned")
    assert not [m for m in heard if m.get("text", "").startswith("secret")]
    assert [m["role"] for m in heard if m.get("kind") == "member"] == [role]


def test_a_room_that_becomes_private_puts_strangers_out(person, raw, room_name):
    anna = person("anna")
    room = anna.create_room(room_name)
    anna.open(room)
    stranger = raw(person("carl", connect=False))
    stranger.say("room_open", room=room)
    assert stranger.hear_answer()["t"] == "room_opened"
    anna.write("room_set", room, access="private")
    seq = anna.send(room, "secret")
    anna.wait_event(room, lambda e: e["seq"] == seq)
    stranger.say("ping", 2)
    assert "secret" not in [m.get("text") for m in stranger.hear_until(lambda m: m.get("i") == 2)]


# --- resuming ---


@pytest.fixture(scope="module")
def long_room(system):
    """A room with more events than are sent again."""
    anna = Person(system.url, "anna-long").connect()
    room = anna.create_room("a long room")
    for i in range(MISSED_MAX + 50):
        anna.send(room, f"message {i}")
    yield anna, room, anna.open(room)["seq"]
    anna.close()


@pytest.mark.parametrize("missed", [0, 1, 60, MISSED_MAX])
def test_who_comes_back_gets_what_was_missed_and_a_mark(long_room, raw, missed):
    anna, room, seq = long_room
    reader = raw(anna)
    reader.say("room_open", room=room, after=seq - missed)
    heard = reader.hear_until(lambda m: m["t"] in ("caught_up", "reset"))
    assert heard[-1] == {"t": "caught_up", "room": room, "seq": seq}
    assert heard[0]["t"] == "room_opened"
    assert events(heard) == list(range(seq - missed + 1, seq + 1))


@pytest.mark.parametrize("after", [1, 10**9])
def test_who_missed_too_much_starts_afresh(long_room, raw, after):
    anna, room, seq = long_room
    reader = raw(anna)
    reader.say("room_open", room=room, after=after)
    heard = reader.hear_until(lambda m: m["t"] in ("caught_up", "reset"))
    assert heard[-1] == {"t": "reset", "room": room, "seq": seq}
    assert events(heard) == []


# --- slow readers ---


def test_a_slow_reader_costs_no_memory_and_misses_nothing(system, person, raw, room_name):
    anna = person("anna")
    room = anna.create_room(room_name)
    for i in range(5):
        anna.send(room, f"first {i}")
    slow = raw(person("slow", connect=False), sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)])
    slow.say("room_open", room=room, after=1)
    anna.send(room, LONG)
    before = system.resident_bytes("gateway-1")
    for _ in range(LONG_MESSAGES):
        last = anna.send(room, LONG)
        slow.socket.pong()  # it is slow, not silent
    if "ASAN_OPTIONS" not in os.environ:  # which keeps what is freed
        assert system.resident_bytes("gateway-1") - before < MEMORY_BYTES_MAX
    heard = slow.hear_until(lambda m: m.get("seq") == last and m["t"] == "event")
    assert events(heard) == list(range(2, last + 1))
    mark = next(i for i, m in enumerate(heard) if m["t"] == "caught_up")
    assert events(heard[:mark]) == list(range(2, heard[mark]["seq"] + 1))
    anna.send(room, "live again")
    assert slow.hear_until(lambda m: m.get("text") == "live again")


# --- limits ---


def test_too_many_messages_a_second(person, raw):
    one = raw(person("anna", connect=False))
    for i in range(PER_SECOND * 3):
        one.say("ping", i + 1)
    answers = one.hear_until(lambda m: m.get("i") == PER_SECOND * 3)
    refused = [m for m in answers if m["t"] == "error"]
    assert len(answers) == PER_SECOND * 3 and PER_SECOND * 2 <= len(answers) - len(refused)
    assert refused and all(m["code"] == "busy" and 0 < m["retry_ms"] <= 1000 for m in refused)
    time_to_wait = refused[-1]["retry_ms"] / 1000
    wait_until(lambda: (one.say("ping", 5000), one.hear_answer(5000)["t"] == "ok")[1], time_to_wait + SLACK_S)


def test_too_many_rooms_on_a_connection(person, raw, room_name):
    anna = person("anna", connect=False)
    rooms = [anna.create_room(f"{room_name} {i}") for i in range(ROOMS + 1)]
    one = raw(anna)
    for number, room in enumerate(rooms, 1):
        one.say("room_open", number, room=room)
        answer = one.hear_answer(number)
        assert answer["t"] == "room_opened" if number <= ROOMS else answer["code"] == "limit"
    one.say("room_close", 20, room=rooms[0])
    assert one.hear_answer(20)["t"] == "ok"
    one.say("room_open", 21, room=rooms[-1])
    assert one.hear_answer(21)["t"] == "room_opened"


def test_too_many_connections_from_one_address(system, person):
    anna = person("anna", connect=False)
    opened = []
    with contextlib.suppress(websocket.WebSocketException, OSError):
        for _ in range(PER_ADDRESS + 1):
            opened.append(Raw(anna))
    assert len(opened) <= PER_ADDRESS
    with pytest.raises((websocket.WebSocketException, OSError)):
        Raw(anna)
    for one in opened:
        one.socket.close()
    wait_until(lambda: Raw(anna).socket.close() or True, why="room for connections again")


# --- frames ---


def test_fragments_and_frames_in_one_packet(person, raw):
    one = raw(person("anna", connect=False))
    text = json.dumps({"t": "ping", "i": 1}).encode()
    parts = [text[:3], b"", text[3:9], text[9:]]
    for i, part in enumerate(parts):
        one.wire(frame(part, opcode=0 if i else 1, final=i == len(parts) - 1))
        if i == 1:
            one.wire(frame(b"", opcode=9))  # a ping may come between
    assert one.hear_answer(1)["t"] == "ok"
    one.wire(b"".join(frame(json.dumps({"t": "ping", "i": i}).encode()) for i in range(2, 52)))
    assert [one.hear()["i"] for _ in range(50)] == list(range(2, 52))
    for byte in frame(json.dumps({"t": "ping", "i": 99}).encode()):
        one.wire(bytes([byte]))
    assert one.hear_answer(99)["t"] == "ok"


def test_fragments_that_are_too_long_together(person, raw):
    one = raw(person("anna", connect=False))
    for i in range(5):
        one.wire(frame(b"x" * 16000, opcode=0 if i else 1, final=False))
    assert closed_with(one) == 1009


def closed_with(one):
    """The code of the close frame that ends the connection."""
    while True:
        opcode, data = one.socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(data[:2], "big")


def test_who_does_not_answer_a_close_frame_is_cut_off(person, raw):
    one = raw(person("anna", connect=False))
    began = time.monotonic()
    one.wire(frame(b"x" * 65000, final=False) + frame(b"x" * 1000, opcode=0))
    tail = b""
    with contextlib.suppress(ConnectionError):
        while more := one.socket.sock.recv(4096):
            tail += more
    assert tail.startswith(b"\x88\x02\x03\xf1")
    assert time.monotonic() - began < CLOSING_S + 2


def test_msgpack_from_end_to_end(person, raw, room_name):
    anna = person("anna")
    room = anna.create_room(room_name)
    anna.open(room)
    ben = raw(person("ben", connect=False), protocol="districhat.v1.msgpack")

    def ask(kind, request, **fields):
        ben.socket.send_binary(msgpack.packb({"t": kind, "i": request, "room": bytes.fromhex(room), **fields}))
        return ben.hear_answer(request)

    assert ask(66, 1)["t"] != 1  # room_join
    assert ask(64, 2)["t"] == 65  # room_open
    anna.send(room, "hello ben")
    event = ben.hear_until(lambda m: m.get("text") == "hello ben")[-1]
    assert event["room"] == bytes.fromhex(room) and event["name"] == anna.name
    sent = ask(68, 3, client=os.urandom(16), number=1, text="hello anna")
    assert sent["t"] == 69 and anna.wait_text(room, "hello anna")["seq"] == sent["seq"]


# --- time ---


def test_who_is_silent_is_pinged_then_closed(person, raw):
    one = raw(person("anna", connect=False))
    began = time.monotonic()
    opcode, _ = one.socket.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_PING  # websocket-client has answered it
    assert PING_S * 0.9 < time.monotonic() - began < PING_S + LOOK_S + SLACK_S
    began = time.monotonic()
    tail = b""
    while b"\x88" not in tail:  # pings are not answered any more
        more = one.socket.sock.recv(4096)
        assert more
        tail += more
    assert b"\x11\x38" in tail[tail.index(b"\x88"):]  # 4408
    assert time.monotonic() - began < SILENCE_S + LOOK_S + SLACK_S


# --- draining; last, since it restarts the gateway ---


def test_a_drained_gateway_sends_people_away_spread_over_time(system, person, raw, room_name):
    anna = person("anna")
    room = anna.create_room(room_name)
    readers = [person(f"reader{i}") for i in range(3)]
    for one in [anna, *readers]:
        one.join(room)
    watchers = [raw(anna) for _ in range(8)]
    anna.send(room, "before")
    pid = system.kill("gateway-1", signal.SIGTERM)
    goodbyes = [one.hear_until(lambda m: m["t"] == "goodbye")[-1] for one in watchers]
    assert all(g["code"] == "draining" and not g.get("final") for g in goodbyes)
    waits = [g.get("retry_ms", 0) for g in goodbyes]
    assert all(0 <= ms < 5000 for ms in waits) and len(set(waits)) > 1
    assert [closed_with(one) for one in watchers] == [1001] * len(watchers)
    seqs = [anna.send(room, f"meanwhile {i}", 60) for i in range(5)]
    system.wait_restarted("gateway-1", pid)
    for one in readers:
        one.wait_event(room, lambda e: e["seq"] == seqs[-1], 30)
        heard = [e["seq"] for e in one.seen[room]]
        assert heard == list(range(heard[0], seqs[-1] + 1))
        assert {e.get("text") for e in one.seen[room]} >= {"before", *(f"meanwhile {i}" for i in range(5))}


def test_nobody_died(system):
    for node in system.nodes():
        starts = len([line for line in system.log(node) if "event=service.start" in line])
        assert starts <= (2 if node == "gateway-1" else 1), node
