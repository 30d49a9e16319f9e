# SPDX-License-Identifier: GPL-3.0-or-later
"""A person at a browser, without the browser: HTTP for the account, one WebSocket for the chat.

It behaves as the page does: a write keeps its client id and number until it is answered for sure; after a
disconnect it connects again, opens its rooms after the last seq that it has, and sends again what is open.
Everything it saw and every acknowledgement is kept, for the checks.
"""

import base64
import itertools
import json
import os
import threading
import time

import requests
import websocket

PASSWORD = "correct horse battery"
RETRY = {"busy", "unavailable", "not_owner", "session_unknown", "timeout", "internal", "fenced", "storage_failed",
         "expired"}


class Refused(Exception):
    """The answer was an error for sure."""

    def __init__(self, answer):
        super().__init__(answer.get("code"), answer.get("detail"))
        self.code = answer.get("code")
        self.answer = answer


class Person:
    def __init__(self, url, name, register=True, password=PASSWORD):
        self.url = url
        self.name = name
        self.http = requests.Session()
        self.http.headers["Content-Type"] = "application/json"
        path, fields = ("accounts", {"name": name}) if register else ("session", {"login": name})
        self.me = self.api("POST", path, {**fields, "password": password})
        self.user = self.me["user"]
        self.client = os.urandom(16).hex()
        self.numbers = itertools.count(1)
        self.requests = itertools.count(1)
        self.seen = {}  # room → events in the order of arrival
        self.acknowledged = {}  # (room, number) → seq
        self.pushed = []  # all else that came unasked
        self.waiting = {}  # request id → answer
        self.rooms = {}  # rooms that are open → seq from which their events are live
        self.changed = threading.Condition()
        self.socket = None
        self.dials = 0  # connections made; more than one: the first was lost
        self.closing = False
        self.thread = None

    # --- HTTP ---

    def cookie(self):
        """requests does not send Secure cookies over http, browsers do to loopback."""
        return "; ".join(f"{c.name}={c.value}" for c in self.http.cookies)

    def api(self, method, path, body=None, **params):
        answer = self.raw(method, path, body, **params)
        if answer.status_code >= 400:
            raise Refused(answer.json())
        return answer.json() if answer.content else None

    def raw(self, method, path, body=None, **params):
        return self.http.request(method, f"{self.url}/api/v1/{path}", params=params, timeout=20,
                                 data=None if body is None else json.dumps(body), headers={"Cookie": self.cookie()})

    def create_room(self, name, access="public", **fields):
        return self.api("POST", "rooms", {"label": name, "access": access, **fields})["room"]

    # --- WebSocket ---

    def connect(self, protocol="districhat.v1.json"):
        """Connect and follow the rooms that were open; runs a reader thread."""
        self._dial(protocol)
        self.thread = threading.Thread(target=self._read_for_ever, daemon=True)
        self.thread.start()
        return self

    def _dial(self, protocol="districhat.v1.json"):
        self.dials += 1
        self.socket = websocket.create_connection(
            self.url.replace("http", "ws", 1) + "/ws", subprotocols=[protocol], origin=self.url,
            cookie=self.cookie(), timeout=30)

    def close(self):
        self.closing = True
        if self.socket:
            self.socket.close()
        if self.thread:
            self.thread.join(10)

    def _read_for_ever(self):
        while not self.closing:
            try:
                self._take(json.loads(self.socket.recv()))
            except (websocket.WebSocketException, OSError, ValueError):
                self._reconnect()

    def _reconnect(self):
        with self.changed:
            self.waiting = {key: "lost" if value is None else value for key, value in self.waiting.items()}
            self.changed.notify_all()
        while not self.closing:
            try:
                self._dial()
                for room, since in self.rooms.items():
                    self._post("room_open", {"room": room, "after": max(since, self.last(room))})
                return
            except (websocket.WebSocketException, OSError):
                time.sleep(0.05)

    def _take(self, message):
        with self.changed:
            if message.get("i") in self.waiting:
                self.waiting[message["i"]] = message
            elif message["t"] == "event":
                self.seen.setdefault(message["room"], []).append(message)
            else:
                self.pushed.append(message)
            self.changed.notify_all()

    def _post(self, kind, fields):
        number = next(self.requests)
        self.socket.send(json.dumps({"t": kind, "i": number, **fields}))
        return number

    def ask(self, kind, seconds=20, **fields):
        """Ask until there is a sure answer. Raises Refused for an error, TimeoutError for none."""
        end = time.monotonic() + seconds
        while True:
            answer = self._ask_once(kind, fields, min(end, time.monotonic() + 6))
            if isinstance(answer, dict):
                if answer["t"] != "error":
                    return answer
                if answer["code"] not in RETRY:
                    raise Refused(answer)
            if time.monotonic() > end:
                raise TimeoutError(f"{kind}: last answer {answer}")
            time.sleep(0.05)

    def _ask_once(self, kind, fields, end):
        try:
            with self.changed:
                number = next(self.requests)
                self.waiting[number] = None
                self.socket.send(json.dumps({"t": kind, "i": number, **fields}))
                while self.waiting[number] is None and time.monotonic() < end:
                    self.changed.wait(0.1)
                return self.waiting.pop(number)
        except (websocket.WebSocketException, OSError):
            return "lost"

    # --- chat ---

    def open(self, room, after=None):
        fields = {"room": room} if after is None else {"room": room, "after": after}
        opened = self.ask("room_open", **fields)
        self.rooms[room] = opened["seq"] if after is None else after
        return opened

    def join(self, room):
        self.ask("room_join", room=room)
        return self.open(room)

    def send(self, room, text, seconds=30, **fields):
        """Write a message, and again until it is acknowledged; returns its seq."""
        number = next(self.numbers)
        answer = self.ask("room_send", seconds, room=room, client=self.client, number=number, text=text, **fields)
        self.acknowledged[room, number] = answer["seq"]
        return answer["seq"]

    def write(self, kind, room, **fields):
        """Any other write: room_edit, room_redact, room_react, room_set, room_member_set."""
        return self.ask(kind, room=room, client=self.client, number=next(self.numbers), **fields)

    def last(self, room):
        return max((event["seq"] for event in self.seen.get(room, [])), default=0)

    def wait_event(self, room, matches, seconds=15):
        """The first event of the room for which `matches` is true."""
        return self._wait(lambda: next((e for e in self.seen.get(room, []) if matches(e)), None), seconds)

    def wait_text(self, room, text, seconds=15):
        return self.wait_event(room, lambda e: e.get("text") == text, seconds)

    def wait_pushed(self, matches, seconds=15):
        return self._wait(lambda: next((m for m in self.pushed if matches(m)), None), seconds)

    def _wait(self, find, seconds):
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                found = find()
                if found:
                    return found
                if time.monotonic() > end:
                    raise TimeoutError(f"{self.name} waited {seconds} s")
                self.changed.wait(0.2)

    def history(self, room, **fields):
        return self.ask("room_history", room=room, **fields)

    def log(self, room):
        """All events of a room from the log, by pages."""
        events = []
        while True:
            page = self.ask("room_events", room=room, after=events[-1]["seq"] if events else 0)
            events += page["events"]
            if not page.get("more"):
                return events


def administrator(system, name="boss"):
    """Whoever registers with the invitation of a new system."""
    text = (system.data / "registry" / "invitation").read_text().strip()
    invitation = base64.b64encode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode()
    made = requests.post(f"{system.url}/api/v1/accounts", timeout=20, json={
        "name": name, "password": PASSWORD, "invitation": invitation})
    assert made.status_code == 201, made.text
    return Person(system.url, name, register=False)
