# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input on every socket: an answer with a stable code, or a closed connection; nobody dies, nothing grows."""

import contextlib
import json
import os
import random
import re
import socket
import urllib.parse

import msgpack
import pytest
import websocket
import zmq
from bus import Bus
from system import ROOT
from waiting import wait_until

FLOOD = 3000
GROWTH_BYTES_MAX = 24 * 1024 * 1024
BUS_SOCKETS = ["registry", "roomd-1", "roomd-2", "storaged-1"]
VECTORS = json.loads((ROOT / "proto" / "vectors.json").read_text())


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def packed(**fields):
    return msgpack.packb(fields)


BAD_FRAMES = {
    "empty": (b"", "malformed"),
    "not msgpack": (b"\xc1\xc1\xc1", "malformed"),
    "not a map": (msgpack.packb([1, 2, 3]), "malformed"),
    "truncated": (packed(t=3, i=1)[:-1], "malformed"),
    "bytes behind": (packed(t=3, i=1) + b"\x00", "malformed"),
    "huge array": (b"\xdd\xff\xff\xff\xff", "malformed"),
    "huge map": (b"\xdf\xff\xff\xff\xff", "malformed"),
    "huge string": (b"\x81\xdb\xff\xff\xff\xff", "malformed"),
    "no type": (packed(i=1), "missing_field"),
    "unknown type": (packed(t=9999, i=1), "unknown_type"),
    "type as text": (packed(t="ping", i=1), "wrong_type"),
    "an answer, not a request": (packed(t=2, i=1), "not_here"),
    "deep": (packed(t=3, i=1, what=deep(64)), "limit"),
    "many keys": (msgpack.packb({"t": 3, "i": 1, **{f"key{i}": i for i in range(500)}}), "limit"),
}


@pytest.mark.parametrize("node", BUS_SOCKETS)
@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bus_frames(system, node, name):
    frame, code = BAD_FRAMES[name]
    bus = Bus(f"ipc://{system.run}/{node}.sock")
    answer = bus.raw(frame)
    assert answer is not None and answer["code"] == code, answer
    assert bus.ask(3)["t"] == 2
    bus.close()


@pytest.mark.parametrize("node", BUS_SOCKETS)
def test_bus_oversized_frames_close_the_connection(system, node):
    bus = Bus(f"ipc://{system.run}/{node}.sock")
    assert bus.raw(b"\x00" * (2 * 1024 * 1024), seconds=1) is None
    honest = Bus(f"ipc://{system.run}/{node}.sock")
    assert honest.ask(3)["t"] == 2


@pytest.mark.parametrize("node", BUS_SOCKETS)
def test_bus_noise(system, node):
    """Random and damaged frames, in floods: honest requests go on, and memory stays."""
    seed = int.from_bytes(os.urandom(4), "big")
    print("seed", seed)
    dice = random.Random(seed)
    name = node if node != "registry" else "registry-1"
    frames = [bytes.fromhex(v["msgpack"]) for v in VECTORS["messages"]]
    noisy = Bus(f"ipc://{system.run}/{node}.sock")
    honest = Bus(f"ipc://{system.run}/{node}.sock")
    before = None
    for turn in range(3):
        for _ in range(FLOOD):
            frame = bytearray(dice.choice(frames))
            for _ in range(dice.randrange(4)):
                frame[dice.randrange(len(frame))] = dice.randrange(256)
            parts = [bytes(frame)] if dice.random() < 0.95 else [bytes(frame), b"", b"more"]
            try:
                noisy.socket.send_multipart(parts, zmq.NOBLOCK)
            except zmq.Again:
                break
            while noisy.socket.poll(0):
                noisy.socket.recv_multipart()
        assert honest.ask(3)["t"] == 2
        if turn == 0:
            before = system.resident_bytes(name)
    # Sound requests among the noise make the registry hash passwords, 64 MiB each for a moment.
    wait_until(lambda: system.resident_bytes(name) - before < GROWTH_BYTES_MAX, 30, why="memory given back")
    noisy.close()


# --- WebSocket ---

BAD_MESSAGES = {
    "not json": ("{", "malformed"),
    "not an object": ("[1]", "malformed"),
    "empty": ("", "malformed"),
    "no type": ('{"i":1}', "missing_field"),
    "unknown type": ('{"t":"room_explode","i":1}', "unknown_type"),
    "a number as type": ('{"t":68,"i":1}', "wrong_type"),
    "for nodes only": ('{"t":"slots_read","i":1,"first":0,"last":1}', "not_here"),
    "an answer": ('{"t":"ok","i":1}', "not_here"),
    "missing field": ('{"t":"room_open","i":1}', "missing_field"),
    "wrong type": ('{"t":"room_open","i":1,"room":7}', "wrong_type"),
    "not an id": ('{"t":"room_open","i":1,"room":"zz"}', ("wrong_type", "bad_value")),
    "negative": ('{"t":"room_open","i":1,"room":"%s","after":-1}' % ("0" * 32), ("wrong_type", "limit")),
    "too large": ('{"t":"room_history","i":1,"room":"%s","limit":201}' % ("1" * 32), "limit"),
    "long text": ('{"t":"room_send","i":1,"room":"%s","client":"%s","number":1,"text":"%s"}'
                  % ("1" * 32, "2" * 32, "x" * 16385), "limit"),
    "blank text": ('{"t":"room_send","i":1,"room":"%s","client":"%s","number":1,"text":" "}'
                   % ("1" * 32, "2" * 32), ("bad_value", "not_found")),
    "doubled key": ('{"t":"ping","t":"ping","i":1}', "malformed"),
    "deep": ('{"t":"ping","i":1,"x1":' + "[" * 60 + "]" * 60 + "}", ("limit", "malformed")),
}


def answer_of(one):
    while True:
        message = json.loads(one.recv())
        if message["t"] in ("error", "ok"):
            return message


def dial(person, **options):
    return websocket.create_connection(person.url.replace("http", "ws", 1) + "/ws", timeout=10, **{
        "subprotocols": ["districhat.v1.json"], "origin": person.url, "cookie": person.cookie(), **options})


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_websocket_messages(person, name):
    text, codes = BAD_MESSAGES[name]
    one = dial(person("anna", connect=False))
    one.send(text)
    assert answer_of(one)["code"] in codes
    one.send('{"t":"ping","i":2}')
    assert answer_of(one)["t"] == "ok"
    one.close()


def test_websocket_a_binary_frame_is_an_error_and_no_more(person):
    one = dial(person("anna", connect=False))
    one.send_binary(b"\x00\x01")
    assert answer_of(one)["t"] == "error"
    one.send('{"t":"ping","i":2}')
    assert answer_of(one)["t"] == "ok"


def test_websocket_msgpack(person):
    one = dial(person("anna", connect=False), subprotocols=["districhat.v1.msgpack"])
    one.send_binary(packed(t=3, i=5))
    assert msgpack.unpackb(one.recv()) == {"t": 2, "i": 5}
    one.send_binary(b"\xc1")
    assert msgpack.unpackb(one.recv())["code"] == "malformed"


@pytest.mark.parametrize("options", [
    {"origin": "http://evil.example"}, {"origin": "null"}, {"subprotocols": ["other"]}, {"subprotocols": None},
])
def test_websocket_handshakes_that_are_refused(person, options):
    with pytest.raises((websocket.WebSocketException, OSError)):
        dial(person("anna", connect=False), **options)


@pytest.mark.parametrize("cookie", ["", "__Host-session=AAAA", "__Host-session=" + "A" * 43])
def test_websocket_without_a_session(person, cookie):
    one = dial(person("anna", connect=False), cookie=cookie)
    goodbye = json.loads(one.recv())
    assert goodbye["t"] == "goodbye" and goodbye["final"]


def frame_header(length, opcode=1, masked=True):
    """A WebSocket frame header that declares 2^63 - 1 bytes at most."""
    return bytes([0x80 | opcode, (0x80 if masked else 0) | 127]) + length.to_bytes(8, "big") + (b"mask" if masked else b"")


@pytest.mark.parametrize("wire", [
    frame_header(1 << 40) + b"x" * 100,
    frame_header(70000) + b"x" * 70000,
    bytes([0x81, 0x82]) + b"\0\0\0\0" + b"\xff\xfe",  # not UTF-8
    bytes([0xF1, 0x80]) + b"\0\0\0\0",  # reserved bits
    bytes([0x83, 0x80]) + b"\0\0\0\0",  # reserved opcode
], ids=["1 TiB", "past the limit", "not UTF-8", "reserved bits", "reserved opcode"])
def test_websocket_frames_that_end_the_connection(person, wire):
    one = dial(person("anna", connect=False))
    try:
        one.sock.sendall(wire)
        one.sock.settimeout(25)  # who does not answer our close frame is cut off after a while
        while one.sock.recv(4096):
            pass
    except ConnectionError:
        pass


# --- HTTP ---


def http(system, request, seconds=10):
    """Raw bytes to the gateway; returns the status, or 0 when the connection was closed without one."""
    address = urllib.parse.urlsplit(system.url)
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as one:
        answer = b""
        with contextlib.suppress(ConnectionError):  # it may be refused before all of it was sent
            one.sendall(request)
        while b"\r\n" not in answer:
            try:
                more = one.recv(4096)
            except ConnectionError:
                break
            if not more:
                break
            answer += more
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(found.group(1)) if found else 0


def request(method="GET", path="/", headers="", body=b""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}{headers}\r\n".encode() + body


JSON = "Content-Type: application/json\r\n"


@pytest.mark.parametrize("wire, statuses", [
    (b"\x00\xff\x00\xff\r\n\r\n", (0, 400, 403, 405)),
    (b"GET\r\n\r\n", (0, 400, 403, 404, 405)),
    (b"NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n", (0, 400, 403, 405, 501)),
    (request(path="/" + "a" * 20000), (0, 400, 404, 414, 431)),
    (request(headers="X: " + "y" * 100000 + "\r\n"), (0, 400, 431)),
    (request(path="/%00"), (0, 200, 400, 404)),
    (request(path="/../../etc/passwd"), (400, 403, 404)),
    (request(path="/%2e%2e/%2e%2e/etc/passwd"), (400, 403, 404)),
    (request(path="/api/v1/nothing"), (404,)),
    (request("DELETE", "/api/v1/rooms", JSON), (405,)),
    (request("POST", "/api/v1/session", JSON, b"{"), (400,)),
    (request("POST", "/api/v1/session", JSON, b"[]"), (400,)),
    (request("POST", "/api/v1/session", JSON, b"{}"), (400,)),
    (request("POST", "/api/v1/session", JSON, b'{"login":1,"password":"x"}'), (400,)),
    (request("POST", "/api/v1/session", "Content-Type: text/plain\r\n", b"{}"), (400, 403, 415)),
    (request("POST", "/api/v1/session", JSON + "Origin: http://evil.example\r\n", b"{}"), (403,)),
    (request("POST", "/api/v1/session", JSON, b"x" * 100000), (0, 413)),
    (request("POST", "/api/v1/session", JSON + "Content-Length: 99999999999\r\n"), (0, 400, 413)),
    (request("GET", "/api/v1/rooms"), (401,)),
    (request("GET", "/api/v1/rooms/zz/messages"), (400, 401, 404)),
    (request("GET", "/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
     (0, 200, 400, 403, 426)),
], ids=lambda value: value[:40].decode("latin1").split("\r")[0] if isinstance(value, bytes) else "")
def test_http_requests(system, wire, statuses):
    assert http(system, wire) in statuses
    assert http(system, request("GET", "/healthz")) == 200


def test_http_noise(system):
    seed = int.from_bytes(os.urandom(4), "big")
    print("seed", seed)
    dice = random.Random(seed)
    sound = request("POST", "/api/v1/session", JSON, b'{"login":"x","password":"yyyyyyyy"}')
    for _ in range(300):
        wire = bytearray(sound)
        for _ in range(dice.randrange(1, 6)):
            wire[dice.randrange(len(wire))] = dice.randrange(256)
        try:
            http(system, bytes(wire), 0.3)
        except TimeoutError:
            pass
    assert http(system, request("GET", "/healthz")) == 200


@pytest.mark.parametrize("node", ["gateway-1", "registry-1", "roomd-1", "storaged-1"])
@pytest.mark.parametrize("wire, statuses", [
    (request("GET", "/healthz"), (200,)),
    (request("GET", "/readyz"), (200,)),
    (request("GET", "/metrics"), (200,)),
    (request("GET", "/nothing"), (404,)),
    (request("POST", "/metrics", JSON, b"{}"), (0, 405)),
    (b"\x00\x00\r\n\r\n", (0, 400)),
    (request(headers="X: " + "y" * 100000 + "\r\n"), (0, 400, 413, 431)),
], ids=lambda value: value[:20].decode("latin1").split("\r")[0] if isinstance(value, bytes) else "")
def test_operations_port(system, node, wire, statuses):
    address = urllib.parse.urlsplit(system.ops(node))
    with socket.create_connection((address.hostname, address.port), timeout=15) as one:
        try:
            one.sendall(wire)
            answer = one.recv(4096)
        except ConnectionError:
            answer = b""
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    assert (int(found.group(1)) if found else 0) in statuses


def test_nobody_died(system):
    for node in system.nodes():
        starts = [line for line in system.log(node) if "event=service.start" in line]
        assert len(starts) == 1, node
