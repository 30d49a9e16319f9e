# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's HTTP side: files of the application, the interface as its document says, limits of requests."""

import contextlib
import gzip
import json
import os
import re
import socket
import time
import urllib.parse

import pytest
import requests
from person import PASSWORD, administrator
from system import ROOT, System

HEADER_TIMEOUT_S = 2
BODY_BYTES = 4096
HEADER_BYTES = 4096
SLACK_S = 5  # of a loaded machine
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
SECURITY = {
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
}


@contextlib.contextmanager
def settings(**values):
    """Settings of daemons that are started inside."""
    names = {f"DISTRICHAT_{name}": value for name, value in values.items()}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


@pytest.fixture(scope="module")
def system():
    with settings(HEADER_TIMEOUT=f"{HEADER_TIMEOUT_S}s", BODY_BYTES=str(BODY_BYTES), HEADER_BYTES=str(HEADER_BYTES)):
        with System() as running:
            yield running


def get(system, path, method="GET", **headers):
    return requests.request(method, system.url + path, timeout=10, headers={
        "Accept-Encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}})


def raw_get(system, path, coding):
    """The bytes as they were sent: requests would unpack them."""
    with requests.get(system.url + path, headers={"Accept-Encoding": coding}, stream=True, timeout=10) as answer:
        return answer, answer.raw.read(decode_content=False)


def script_path(system):
    return re.search(r'src="(/assets/[^"]+\.js)"', get(system, "/").text).group(1)


# --- files ---


@pytest.mark.parametrize("path", ["/", "/login", "/login/", "/register", "/chat/", "/chat/anything", "/users/profile/"])
def test_pages_are_the_application(system, path):
    answer = get(system, path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.content == (ROOT / "ui" / "dist" / "index.html").read_bytes()


def test_files_have_their_types_and_may_be_kept_when_their_name_is_a_hash(system):
    script = get(system, script_path(system))
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    icon = get(system, "/favicon.svg")
    assert icon.headers["Content-Type"] == "image/svg+xml"
    assert icon.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/favicon.svg", "/nothing", "/api/v1/nothing", "/api/v1/rooms", "/healthz"])
def test_every_answer_has_the_security_headers(system, path):
    headers = get(system, path).headers
    assert {name: headers.get(name) for name in SECURITY} == SECURITY
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy


def test_what_is_not_there(system):
    for path in ("/nothing", "/assets/none.js", "/index.html.br/x", "/api/v2/rooms", "/chatter"):
        assert get(system, path).status_code == 404, path
    refused = get(system, "/", "POST", Content_Length="0")
    assert refused.status_code == 405 and refused.headers["Allow"] == "GET, HEAD"
    refused = get(system, "/api/v1/session", "PUT", Content_Type="application/json", Content_Length="0")
    assert refused.status_code == 405 and "DELETE" in refused.headers["Allow"]


def test_head_is_get_without_its_body(system):
    for path in ("/", "/favicon.svg", "/nothing"):
        whole = get(system, path)
        head = get(system, path, "HEAD")
        assert head.status_code == whole.status_code
        assert head.headers == whole.headers and head.content == b""


def test_a_file_that_the_browser_has_is_not_sent_again(system):
    first = get(system, "/")
    again = get(system, "/", If_None_Match=first.headers["ETag"])
    assert again.status_code == 304 and again.content == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    assert get(system, "/", If_None_Match='"other", ' + first.headers["ETag"]).status_code == 304
    assert get(system, "/", If_None_Match='"other"').status_code == 200


def test_files_come_compressed_to_those_who_take_it(system):
    path = script_path(system)
    plain, text = raw_get(system, path, "identity")
    assert "Content-Encoding" not in plain.headers and "Accept-Encoding" in plain.headers["Vary"]
    zipped, data = raw_get(system, path, "gzip")
    assert zipped.headers["Content-Encoding"] == "gzip" and gzip.decompress(data) == text
    brotli, data = raw_get(system, path, "gzip, deflate, br")
    assert brotli.headers["Content-Encoding"] == "br"
    assert data == (ROOT / "ui" / "dist" / (path[1:] + ".br")).read_bytes()
    assert "Content-Encoding" not in raw_get(system, path, "gzip;q=0, br;q=0")[0].headers
    assert len({one.headers["ETag"] for one in (plain, zipped, brotli)}) == 3


# --- the interface ---


def declared_status(method, path):
    return int(next(iter(DOCUMENT["paths"][f"/api/v1{path}"][method.lower()]["responses"])))


class Caller:
    """Asks for a route of the document with its names filled in, and notes which were asked for."""

    def __init__(self, person):
        self.person = person
        self.asked = set()

    def ask(self, method, path, body=None, status=None, **names):
        self.asked.add((method.lower(), f"/api/v1{path}"))
        query = {name: names.pop(name) for name in ("prefix", "limit", "after", "before") if name in names}
        filled = path.format(**{name: urllib.parse.quote(str(value)) for name, value in names.items()})
        answer = self.person.raw(method, filled[1:], {} if body is None and method != "GET" else body, **query)
        assert answer.status_code == (status or declared_status(method, path)), (method, path, answer.text)
        if answer.status_code == 204:
            assert answer.content == b""
            return None
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.json()


def test_every_route_answers_as_documented(system, person):
    ben = person("ben", connect=False)
    one = Caller(person("anna", connect=False))
    name = one.person.name
    one.ask("POST", "/accounts", {"name": name + "-2", "password": PASSWORD})
    assert [a["name"] for a in one.ask("GET", "/accounts", prefix=ben.name, limit=5)["accounts"]] == [ben.name]
    one.ask("POST", "/session", {"login": name, "password": PASSWORD, "remember": True})
    assert one.ask("GET", "/session")["name"] == name
    room = one.ask("POST", "/rooms", {"label": name, "access": "public", "topic": "t"})["room"]
    assert [r["room"] for r in one.ask("GET", "/rooms", prefix=name, limit=5)["rooms"]] == [room]
    assert room in [r["room"] for r in one.ask("GET", "/rooms/mine")["rooms"]]
    assert one.ask("GET", "/rooms/{room}", room=room)["label"] == name
    one.ask("PATCH", "/rooms/{room}", {"topic": "another"}, room=room)
    seq = one.ask("POST", "/rooms/{room}/messages", {"text": "helo"}, room=room)["seq"]
    one.ask("PATCH", "/rooms/{room}/messages/{target}", {"text": "hello"}, room=room, target=seq)
    one.ask("PUT", "/rooms/{room}/messages/{target}/reactions/{emoji}", room=room, target=seq, emoji="👍")
    page = one.ask("GET", "/rooms/{room}/messages", room=room, limit=10)
    item = next(i for i in page["items"] if i["seq"] == seq)
    assert item["text"] == "hello" and item["reactions"][0]["emoji"] == "👍"
    one.ask("DELETE", "/rooms/{room}/messages/{target}/reactions/{emoji}", room=room, target=seq, emoji="👍")
    one.ask("DELETE", "/rooms/{room}/messages/{target}", room=room, target=seq)
    events = one.ask("GET", "/rooms/{room}/events", room=room, after=0, limit=100)["events"]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    ben.api("POST", f"rooms/{room}/join", {})
    one.ask("PUT", "/rooms/{room}/members/{user}", {"role": "admin"}, room=room, user=ben.user)
    assert {m["user"] for m in one.ask("GET", "/rooms/{room}/members", room=room)["members"]} == {
        one.person.user, ben.user}
    one.ask("PUT", "/rooms/{room}/read", {"seq": seq}, room=room)
    other = ben.create_room(name + " other")
    one.ask("POST", "/rooms/{room}/join", room=other)
    one.ask("POST", "/rooms/{room}/leave", room=other)
    one.ask("GET", "/nodes", status=403)  # administrators only
    one.ask("POST", "/nodes/{node}/drain", {"drain": True}, status=403, node="roomd-1")
    one.ask("DELETE", "/session")
    assert one.person.raw("GET", "session").status_code == 401
    documented = {(m, path) for path, methods in DOCUMENT["paths"].items() for m in methods}
    assert one.asked == documented


def test_the_administrator_sees_and_drains_the_nodes(system):
    boss = Caller(administrator(system))
    assert {n["node"] for n in boss.ask("GET", "/nodes")["nodes"]} == set(system.nodes()) - {"registry-1"}
    boss.ask("POST", "/nodes/{node}/drain", {"drain": True}, node="gateway-1")
    assert {n["node"]: n["state"] for n in boss.ask("GET", "/nodes")["nodes"]}["gateway-1"] == "draining"
    boss.ask("POST", "/nodes/{node}/drain", {}, node="gateway-1")
    assert {n["node"]: n["state"] for n in boss.ask("GET", "/nodes")["nodes"]}["gateway-1"] == "online"
    boss.ask("POST", "/nodes/{node}/drain", {"drain": True}, status=404, node="nobody")
    boss.ask("POST", "/nodes/{node}/drain", {"drain": "yes"}, status=400, node="gateway-1")


def test_a_query_that_is_too_long_or_unknown_is_refused(system, person):
    one = person("anna", connect=False)
    assert one.raw("GET", "rooms", prefix="x" * 600).status_code == 414
    assert one.raw("GET", "rooms", **{f"p{i}": "1" for i in range(20)}).status_code == 414
    assert one.raw("GET", "rooms", colour="red").status_code == 400


# --- limits ---


def exchange(system, *parts, seconds=10):
    """Send parts one after the other on one connection; everything that came until its end, or a pause."""
    address = urllib.parse.urlsplit(system.url)
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as one:
        answer = b""
        try:
            for part in parts:
                one.sendall(part)
            while more := one.recv(65536):
                answer += more
        except (ConnectionError, TimeoutError):
            pass
    return answer


def head(method="GET", path="/healthz", **headers):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()


def test_an_address_that_is_too_long(system):
    assert exchange(system, head(path="/" + "a" * 2000)).startswith(b"HTTP/1.1 414 ")


def test_headers_that_are_too_long_end_the_connection(system):
    assert b" 200 " in exchange(system, head(X="y" * (HEADER_BYTES // 2), Connection="close"), seconds=2)
    assert b" 200 " not in exchange(system, head(X="y" * (HEADER_BYTES + 1000)))


def test_a_body_that_is_too_long(system):
    long = head("POST", "/api/v1/session", Content_Type="application/json", Content_Length=BODY_BYTES + 1)
    assert exchange(system, long).startswith(b"HTTP/1.1 413 ")
    fits = json.dumps({"login": "nobody", "password": "x" * 500, "more": "y" * (BODY_BYTES - 600)}).encode()
    fitting = head("POST", "/api/v1/session", Content_Type="application/json", Content_Length=len(fits))
    assert b" 401 " in exchange(system, fitting, fits, seconds=3)


@pytest.mark.parametrize("start", [b"", b"GET /", head()[:-2], head(
    "POST", "/api/v1/session", Content_Type="application/json", Content_Length=100) + b"{"],
    ids=["nothing", "a line", "headers", "a body"])
def test_a_request_that_does_not_end_is_cut_off(system, start):
    began = time.monotonic()
    assert b" 200 " not in exchange(system, start, seconds=30)
    assert time.monotonic() - began < HEADER_TIMEOUT_S + SLACK_S


def test_a_request_that_drips_is_cut_off(system):
    address = urllib.parse.urlsplit(system.url)
    began = time.monotonic()
    with socket.create_connection((address.hostname, address.port), timeout=30) as one:
        one.settimeout(0.2)
        one.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < 30:
                one.sendall(b"y")
                with contextlib.suppress(TimeoutError):
                    if one.recv(1000) == b"":
                        raise ConnectionError
    assert time.monotonic() - began < HEADER_TIMEOUT_S + SLACK_S


def test_requests_in_one_packet_and_in_many(system):
    both = exchange(system, head() + head(Connection="close"), seconds=2)
    assert both.count(b"HTTP/1.1 200 ") == 2
    bytewise = [bytes([byte]) for byte in head(Connection="close")]
    assert exchange(system, *bytewise, seconds=2).count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("path", ["/abc%00", "/%00", "/api/v1/rooms?prefix=%00x"])
def test_a_zero_byte_in_an_address_reaches_nothing(system, path):
    """The library closes, or cuts the address there, before the gateway sees it."""
    answer = exchange(system, head(path=path, Connection="close"), seconds=2)
    assert answer[:13] in (b"", b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")
    assert get(system, "/healthz").status_code == 200


def test_nobody_died(system):
    for node in system.nodes():
        assert len([line for line in system.log(node) if "event=service.start" in line]) == 1, node
