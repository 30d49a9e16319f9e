# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: requests that find their way and are tried again, rooms that are followed without a gap.

A request goes to the node that answers it: the registry, or the roomd that owns the slot of a room. It is tried again
until its time is over, at once when the slot gets another owner, and harmlessly: reads, and writes with a cmid.
Pure parts: codec.py, slots.py, lane.py (order of writes), follower.py (order of events).
"""

import collections
import heapq
import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from .codec import LIMITS, TABLE, Fault, pack, unpack
from .errors import Error, Refused, Unavailable, Unknown
from .follower import Follower
from .lane import Lane
from .link import ALL_ROOMS, OPEN, OPENING, SHUT, Link
from .records import Account, Event, Member, Opened, Page, RoomInfo, Sent, make, make_item
from .slots import Owner, SlotMap

TRY_S = 3.0  # for the answer of one try
REST_FIRST_S = 0.04  # before the next try; doubled each time
REST_MAX_S = 0.64
CHECK_S = 5.0  # a room that was silent for so long is asked where it stands, and the registry for its map
FETCH_AGAIN_S = 1.0
TOKEN_MARGIN_MS = 60_000  # renewed so long before its end
READY_MAX = 2048  # events that wait for the caller; those behind them are read from the log later
READS_PER_TURN = 256  # messages of one socket before the others have their turn

# Answers after which the same request is sent again. All others that are sure end it.
AGAIN = {"not_owner", "busy", "expired", "session_unknown"} | {
    code for code, sure in TABLE["errors"].items() if sure == "unknown"}

Message = dict[str, Any]


class Call:
    """One request until its end. `where`: the id whose slot's owner answers it; None: the registry."""

    def __init__(self, client: "Client", kind: str, fields: Message, where: bytes | None, timeout: float,
                 done: Callable[["Call"], None] | None = None):
        self.client = client
        self.kind = kind
        self.fields = fields
        self.where = where
        self.done = done
        self.answer: Message | None = None
        self.error: Error | None = None
        self.flown = False
        self.link: Link | None = None  # while it is on its way
        self.request = 0  # id of the latest try
        self.rest_s = 0.0
        self.last_code = ""
        self.ends = time.monotonic() + timeout

    @property
    def is_over(self) -> bool:
        return self.answer is not None or self.error is not None

    def wait_answer(self) -> Message:
        self.client._run(lambda: self.is_over)
        if self.error:
            raise self.error
        return self.answer


class Write(Call):
    """A write on its way: it has a number in its room, which makes every further try harmless."""

    def __init__(self, room: "Room", kind: str, fields: Message, number: int, timeout: float):
        super().__init__(room.client, kind, {**fields, "room": room.id}, room.id, timeout)
        self.room = room
        self.number = number
        self.prev = 0

    def wait(self) -> Sent:
        """Until it is committed. Raises Refused, or Unknown when the time is over."""
        return make(Sent, self.wait_answer())

    def retry(self, timeout: float | None = None) -> Sent:
        """After Unknown: find out, by sending the same again."""
        if self.is_over and isinstance(self.error, Unknown):
            self.error = None
            self.ends = time.monotonic() + (self.client.timeout if timeout is None else timeout)
            self.client._start(self)
        return self.wait()


class Client:
    """
    A person or a bot on the bus.

    registry: bus address of the registry. timeout: seconds for which a request is tried. client_id: 16 bytes that
    name this client in its writes; random unless given. A script that gives its own, and its own numbers, can repeat
    a write after it was started anew.
    """

    def __init__(self, registry: str, *, timeout: float = 30.0, client_id: bytes | None = None,
                 context: zmq.Context | None = None):
        self.timeout = timeout
        self.client_id = client_id or os.urandom(16)
        self.user: bytes | None = None
        self.name = ""
        self._context = context or zmq.Context.instance()
        self._poller = zmq.Poller()
        self._registry = Link(self._context, self._poller, registry)
        self._links: dict[Owner, Link] = {}
        self._slots = SlotMap()
        self._asking_slots = False
        self._session: Message | None = None
        self._made_session = False
        self._renewing = False
        self._request_ids = itertools.count(1)
        self._next_number = 1
        self._waiting: dict[int, tuple[Link, Callable[[Message | None], None]]] = {}
        self._calls: list[Call] = []
        self._rooms: dict[bytes, Room] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_ids = itertools.count()
        self._closed = False
        self._ask_slots()
        self._tick()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Sign out if this client had signed in, and close all sockets."""
        if self._closed:
            return
        if self._session and self._made_session:
            try:
                self._ask("session_end", {}, None, 1.0)
            except Error:
                pass  # it ends by itself
        self._closed = True
        for link in [self._registry, *self._links.values()]:
            link.close()

    # --- who ---

    def register(self, name: str, password: str, **fields: Any) -> None:
        """Make an account and sign in."""
        self._granted(self._ask("account_create", {"name": name, "password": password, **fields}, None, session=False))

    def sign_in(self, login: str, password: str) -> None:
        """Sign in with a name or an e-mail address."""
        self._granted(self._ask("session_create", {"login": login, "password": password}, None, session=False))

    @property
    def secret(self) -> bytes:
        """What resume() takes: keep it as you keep a password."""
        if not self._session:
            raise Refused("unauthenticated", "sign in first")
        return self._session["secret"]

    def resume(self, secret: bytes) -> None:
        """Use a session that was made before."""
        self._granted(self._ask("session_resume", {"secret": secret}, None, session=False), secret)
        self._made_session = False

    def sign_out(self) -> None:
        self._ask("session_end", {}, None)
        self._session = None

    def _granted(self, answer: Message, secret: bytes | None = None) -> None:
        self._made_session = self._made_session or secret is None
        self._session = {**answer, "secret": secret or answer["secret"]}
        self.user, self.name = answer["user"], answer["name"]
        self._registry.session = OPEN
        self._registry.session_ends = answer["expires"]

    # --- rooms and people ---

    def room(self, room: bytes | str) -> "Room":
        """A room by its id (16 bytes, or 32 hex digits)."""
        key = bytes.fromhex(room) if isinstance(room, str) else room
        if key not in self._rooms:
            self._rooms[key] = Room(self, key)
        return self._rooms[key]

    def find(self, name: str) -> "Room":
        """A public room, or one of the caller's own, by its name."""
        return self.room(self._ask("room_lookup", {"label": name}, None)["room"])

    def join(self, name: str) -> "Room":
        """Find a public room by its name and become a member."""
        room = self.find(name)
        room.join()
        return room

    def create(self, name: str, access: str = "public", *, topic: str = "", capacity: int = 0) -> "Room":
        """Make a room; the caller owns it."""
        return self._create({"label": name, "access": access, "topic": topic, "capacity": capacity})

    def direct(self, user: bytes) -> "Room":
        """The room of two: the same two get the same room."""
        return self._create({"access": "direct", "with": user})

    def _create(self, fields: Message) -> "Room":
        reserved = self._ask("room_reserve", fields, None)
        room = self.room(reserved["room"])
        if not reserved["exists"]:
            self._ask("room_create", {"room": room.id}, room.id)
        return room

    def find_rooms(self, prefix: str = "", *, after: str = "", limit: int = 50) -> list[RoomInfo]:
        """Public rooms whose name starts so, by name."""
        answer = self._ask("rooms_find", {"prefix": prefix, "after": after, "limit": limit}, None)
        return [make(RoomInfo, one) for one in answer["rooms"]]

    def find_people(self, prefix: str = "", *, limit: int = 20) -> list[Account]:
        answer = self._ask("accounts_find", {"prefix": prefix, "limit": limit}, None)
        return [make(Account, one) for one in answer["accounts"]]

    def rooms(self) -> list[RoomInfo]:
        """Rooms that the caller has joined, with read marks."""
        found: list[RoomInfo] = []
        while True:
            after = found[-1].room if found else None
            answer = self._ask("rooms_mine", {"after": after}, self.user)
            found += [make(RoomInfo, one) for one in answer["rooms"]]
            if not answer["more"]:
                return found

    # --- following ---

    def follow(self, *rooms: "Room", timeout: float | None = None) -> Iterator[Event]:
        """
        The events of these rooms as they come: each once, each room's in order, none left out. Follows from where a
        room was opened, or from where it stands now. Ends when nothing came for `timeout` seconds.
        """
        for room in rooms:
            if not room.is_open:
                room.open()
        return self._events(rooms, timeout)

    def _events(self, rooms: "tuple[Room, ...]", timeout: float | None) -> Iterator[Event]:
        while True:
            ends = None if timeout is None else time.monotonic() + timeout
            self._run(lambda: any(room._ready or room._error for room in rooms), ends)
            found = next((room for room in rooms if room._ready), None)
            if found:
                event = found._ready.popleft()
                self._fetch(found)
                yield make(Event, event)
                continue
            for room in rooms:
                if room._error:
                    raise room._error
            return

    def run(self, seconds: float) -> None:
        """Work for so long: receive, and carry on writes."""
        self._run(lambda: False, time.monotonic() + seconds)

    def flush(self) -> None:
        """Wait until all writes are over, however they end."""
        self._run(lambda: not any(isinstance(call, Write) for call in self._calls))

    # --- requests ---

    def _ask(self, kind: str, fields: Message, where: bytes | None, timeout: float | None = None, *,
             session: bool = True) -> Message:
        if session and not self._session:
            raise Refused("unauthenticated", "sign in first")
        call = Call(self, kind, fields, where, self.timeout if timeout is None else timeout)
        self._start(call)
        return call.wait_answer()

    def _start(self, call: Call) -> None:
        self._calls.append(call)
        self._at(call.ends, lambda: self._give_up(call))
        if isinstance(call, Write):
            call.room._lane.append(call)
            self._pump(call.room)
        else:
            self._launch(call)

    def _needs_session(self, call: Call) -> bool:
        return any(field[0] == "session" for field in TABLE["messages"][call.kind]["fields"])

    def _launch(self, call: Call) -> None:
        link = self._registry if call.where is None else self._link_of(call.where)
        if not link:
            self._rest(call)
            return
        call.link = link
        if self._needs_session(call) and not self._has_session(link):
            link.parked.append(call)
            self._open_session(link)
            return
        self._fly(call)

    def _fly(self, call: Call) -> None:
        fields = dict(call.fields)
        if self._needs_session(call) and self._session:
            fields["session"] = self._session["session"]
        if isinstance(call, Write):
            fields |= {"client": self.client_id, "number": call.number, "prev": call.prev}
        seconds = max(0.05, min(TRY_S, call.ends - time.monotonic()))
        try:
            call.request = self._send(call.link, call.kind, fields, seconds, lambda answer: self._answered(call, answer))
            call.flown = True
        except Fault as fault:
            self._end(call, None, Refused(fault.code, fault.detail))

    def _send(self, link: Link, kind: str, fields: Message, seconds: float,
              done: Callable[[Message | None], None]) -> int:
        """One message; `done` gets its answer, or None."""
        request = next(self._request_ids)
        frame = pack(kind, **fields, i=request, d=int(seconds * 1000))
        self._waiting[request] = (link, done)
        self._at(time.monotonic() + seconds, lambda: self._hear(request, None))
        try:
            link.requests.send(frame, zmq.DONTWAIT)
        except zmq.Again:
            pass  # as if it was lost: the time runs out
        return request

    def _hear(self, request: int, answer: Message | None) -> None:
        if request in self._waiting:
            self._waiting.pop(request)[1](answer)

    def _answered(self, call: Call, answer: Message | None) -> None:
        link, call.link, call.request = call.link, None, 0
        if call.is_over:
            return
        if answer is None:
            call.last_code = "timeout"
            self._rest(call)
        elif answer["t"] != "error":
            self._end(call, answer, None)
        elif answer["code"] == "session_unknown":
            if link.session == OPEN:
                link.session = SHUT
            self._rest(call, 0.0 if call.last_code != "session_unknown" else None)
            call.last_code = "session_unknown"
        elif answer["code"] == "out_of_order" and isinstance(call, Write) and call.prev:
            self._rest(call, 0.0)
        elif answer["code"] in AGAIN and call.kind != "account_create":
            call.last_code = answer["code"]
            self._rest(call, answer["retry_ms"] / 1000 or None)
            if answer["code"] == "not_owner":
                self._ask_slots()
        else:
            self._end(call, None, Refused(answer["code"], answer["detail"]))

    def _rest(self, call: Call, seconds: float | None = None) -> None:
        """It comes back, and sets out again in a while."""
        if seconds is None:
            call.rest_s = min(REST_MAX_S, call.rest_s * 2 or REST_FIRST_S)
            seconds = call.rest_s
        call.link = None
        now = time.monotonic()
        if isinstance(call, Write):
            call.room._lane.come_back(call)
            call.room._release = max(call.room._release, now + seconds)
            self._at(now + seconds, lambda: self._pump(call.room))
            return
        self._at(now + seconds, lambda: self._launch_rested(call))

    def _launch_rested(self, call: Call) -> None:
        if not call.is_over and not call.link:
            self._launch(call)

    def _pump(self, room: "Room") -> None:
        while time.monotonic() >= room._release and (write := room._lane.next()):
            write.prev = room._lane.set_out(write)
            self._launch(write)

    def _give_up(self, call: Call) -> None:
        if call.is_over or time.monotonic() < call.ends:
            return
        detail = f"{call.kind} was tried until its time was over; last: {call.last_code or 'no answer'}"
        if isinstance(call, Write) and call.flown:
            self._end(call, None, Unknown("timeout", detail))
        else:
            self._end(call, None, Unavailable("timeout", detail))

    def _end(self, call: Call, answer: Message | None, error: Error | None) -> None:
        call.answer, call.error = answer, error
        self._waiting.pop(call.request, None)
        if call.link and call in call.link.parked:
            call.link.parked.remove(call)
        self._calls.remove(call)
        if isinstance(call, Write):
            call.room._lane.end(call)
            self._pump(call.room)
        if call.done:
            call.done(call)

    # --- sessions ---

    def _has_session(self, link: Link) -> bool:
        if link.session == OPEN and link.session_ends <= _wall_ms():
            link.session = SHUT
        return link.session == OPEN

    def _open_session(self, link: Link) -> None:
        """Ask for it; what is parked goes on when the answer is here."""
        if link.session == OPENING:
            return
        link.session = OPENING
        if link is self._registry:
            self._send(link, "session_resume", {"secret": self._session["secret"]}, TRY_S, self._resumed)
        else:
            self._send(link, "session_open", {"token": self._session["token"]}, TRY_S,
                       lambda answer: self._session_opened(link, answer))

    def _resumed(self, answer: Message | None) -> None:
        self._renewing = False
        self._registry.session = SHUT
        if answer and answer["t"] == "session_granted":
            self._granted(answer, self._session["secret"])
        elif answer and answer["code"] not in AGAIN:
            self._unpark(self._registry, Refused(answer["code"], answer["detail"]))
            return
        self._unpark(self._registry)

    def _session_opened(self, link: Link, answer: Message | None) -> None:
        link.session = SHUT
        if answer and answer["t"] == "session_opened":
            link.session, link.session_ends = OPEN, answer["expires"]
        elif answer and answer["code"] == "bad_token":
            self._renew()
        self._unpark(link)

    def _unpark(self, link: Link, error: Error | None = None) -> None:
        parked, link.parked = link.parked, []
        for call in parked:
            if error:
                self._end(call, None, error)
            elif link.session == OPEN:
                self._fly(call)
            else:
                self._rest(call)

    def _renew(self) -> None:
        if self._session and not self._renewing and self._registry.session != OPENING:
            self._renewing = True
            self._send(self._registry, "session_resume", {"secret": self._session["secret"]}, TRY_S, self._resumed)

    # --- slots ---

    def _ask_slots(self) -> None:
        if not self._asking_slots:
            self._asking_slots = True
            self._send(self._registry, "slots_get", {}, TRY_S, self._got_slots)

    def _got_slots(self, answer: Message | None) -> None:
        self._asking_slots = False
        if not answer or answer["t"] != "slot_map":
            self._at(time.monotonic() + REST_MAX_S, lambda: None if self._slots.version else self._ask_slots())
            return
        if answer["feed"] and answer["feed"] != self._registry.feed_address:
            self._registry.close_feed()
            self._registry.subscribe(answer["feed"], ALL_ROOMS)
        if answer["version"] > self._slots.version:
            self._slots.replace(answer)
            self._slots_changed()

    def _link_of(self, where: bytes) -> Link | None:
        owner = self._slots.owner(where)
        if owner and owner not in self._links:
            self._links[owner] = Link(self._context, self._poller, owner.address)
        return self._links[owner] if owner else None

    def _slots_changed(self) -> None:
        for room in self._rooms.values():
            self._subscribe(room)
        for call in list(self._calls):
            if call.where is None:
                continue
            owner = self._slots.owner(call.where)
            if call.link and (not owner or self._links.get(owner) is not call.link):
                self._waiting.pop(call.request, None)
                if call in call.link.parked:
                    call.link.parked.remove(call)
                self._rest(call, 0.0 if owner else None)
            elif not call.link and owner and not isinstance(call, Write):
                self._launch(call)
        for room in self._rooms.values():
            room._release = 0.0
            self._pump(room)
        self._drop_links()

    def _drop_links(self) -> None:
        """Links to nodes that serve nothing of ours any more."""
        for owner, link in list(self._links.items()):
            wanted = any(self._slots.owner(room) == owner for room in [*self._rooms, self.user] if room)
            if not wanted and not any(link is other for other, _ in self._waiting.values()):
                link.close()
                del self._links[owner]

    # --- rooms that are followed ---

    def _subscribe(self, room: "Room") -> None:
        """At the feed of whoever owns its slot now."""
        if not room._follower:
            return
        owner = self._slots.owner(room.id)
        if owner == room._followed_at or not owner:
            return
        before = self._links.get(room._followed_at)
        if before:
            before.unsubscribe(room.id)
        self._link_of(room.id).subscribe(owner.feed, room.id)
        room._followed_at = owner
        room._follower.owner_changed()
        self._fetch(room)

    def _unsubscribe(self, room: "Room") -> None:
        link = self._links.get(room._followed_at)
        if link:
            link.unsubscribe(room.id)
        room._followed_at = None

    def _fetch(self, room: "Room") -> None:
        if not room._follower or not room._follower.wants or room._error or len(room._ready) >= READY_MAX:
            return
        room._follower.asked()
        fields = {"room": room.id, "after": room._follower.last}
        follower = room._follower
        self._start(Call(self, "room_events", fields, room.id, self.timeout,
                         lambda call: self._fetched(room, follower, call)))

    def _fetched(self, room: "Room", follower: Follower, call: Call) -> None:
        if room._follower is not follower:
            return  # closed, or opened anew
        if call.answer:
            room._ready += follower.fetched(call.answer["events"], call.answer["seq"])
            room._heard = time.monotonic()
            self._fetch(room)
            return
        follower.failed()
        if isinstance(call.error, Refused):
            room._error = call.error
        else:
            self._at(time.monotonic() + FETCH_AGAIN_S, lambda: self._fetch(room))

    def _take_event(self, event: Message) -> None:
        room = self._rooms.get(event["room"])
        if not room or not room._follower:
            return
        room._heard = time.monotonic()
        if len(room._ready) < READY_MAX:
            room._ready += room._follower.offer(event)
        else:
            room._follower.beacon(event["epoch"], event["seq"])
        if event["kind"] == "setting" or event["kind"] == "member" and event["subject"] == self.user:
            room._follower.doubt = True  # of the right to read: the owner will tell
        self._fetch(room)

    def _take_beacon(self, beacon: Message) -> None:
        for mark in beacon["rooms"]:
            room = self._rooms.get(mark["room"])
            if room and room._follower:
                room._heard = time.monotonic()
                room._follower.beacon(mark["epoch"], mark["seq"])
                self._fetch(room)

    # --- the loop ---

    def _at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._timer_ids), what))

    def _tick(self) -> None:
        now = time.monotonic()
        self._at(now + CHECK_S, self._tick)
        self._ask_slots()
        if self._session and self._session["token_expires"] < _wall_ms() + TOKEN_MARGIN_MS:
            self._renew()
        for room in self._rooms.values():
            if room._follower and now - room._heard >= CHECK_S:
                room._follower.doubt = True
                self._fetch(room)

    def _run(self, until: Callable[[], Any], ends: float | None = None) -> None:
        if self._closed:
            raise Refused("unavailable", "the client is closed")
        while not until():
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()
            if until() or ends is not None and now >= ends:
                return
            wake = self._timers[0][0] if ends is None else min(ends, self._timers[0][0])
            ready = {socket for socket, _ in self._poller.poll(max(0, (wake - now) * 1000 + 1))}
            for link in [self._registry, *self._links.values()]:
                if link.requests in ready:
                    self._read(link.requests, lambda frames: self._take_answer(frames[-1]))
                if link.feed and link.feed in ready:
                    self._read(link.feed, lambda frames: self._take_published(frames[-1]))

    def _read(self, socket: zmq.Socket, take: Callable[[list[bytes]], None]) -> None:
        for _ in range(READS_PER_TURN):
            try:
                take(socket.recv_multipart(zmq.DONTWAIT))
            except zmq.ZMQError:
                return  # nothing is left, or a change of owner has closed it

    def _take_answer(self, frame: bytes) -> None:
        try:
            answer = unpack(frame)
        except Fault:
            return  # as if it was lost
        self._hear(answer["i"], answer)

    def _take_published(self, frame: bytes) -> None:
        try:
            message = unpack(frame)
        except Fault:
            return
        if message["t"] == "event":
            self._take_event(message)
        elif message["t"] == "beacon":
            self._take_beacon(message)
        elif message["t"] == "slots_changed":
            version = self._slots.version
            if not self._slots.change(message):
                self._ask_slots()
            elif self._slots.version != version:
                self._slots_changed()


class Room:
    """A room, by its id. Made by Client.room(), find(), join(), create() and direct()."""

    def __init__(self, client: Client, room: bytes):
        self.client = client
        self.id = room
        self._lane = Lane()
        self._release = 0.0  # the lane rests until then
        self._follower: Follower | None = None
        self._followed_at: Owner | None = None
        self._ready: collections.deque[Message] = collections.deque()
        self._heard = 0.0
        self._error: Error | None = None

    def __repr__(self) -> str:
        return f"<Room {self.id.hex()}>"

    # --- writing ---

    def post(self, text: str, *, reply_to: int = 0, number: int | None = None, timeout: float | None = None) -> Write:
        """
        Begin to write a message; wait() for it, or flush(). Several may be on their way; their order is kept.
        number: the caller's own, which grows with every write of the client to the room; the same for the same
        message, whenever it is sent again.
        """
        return self._write("room_send", {"text": text, "target": reply_to}, number, timeout)

    def send(self, text: str, *, reply_to: int = 0, number: int | None = None, timeout: float | None = None) -> Sent:
        """Write a message, once, and wait until it is committed."""
        return self.post(text, reply_to=reply_to, number=number, timeout=timeout).wait()

    def edit(self, seq: int, text: str) -> Sent:
        """Replace the text of one's own message."""
        return self._write("room_edit", {"target": seq, "text": text}).wait()

    def redact(self, seq: int) -> Sent:
        """Remove a message."""
        return self._write("room_redact", {"target": seq}).wait()

    def react(self, seq: int, emoji: str) -> Sent:
        return self._write("room_react", {"target": seq, "emoji": emoji}).wait()

    def unreact(self, seq: int, emoji: str) -> Sent:
        return self._write("room_react", {"target": seq, "emoji": emoji, "remove": True}).wait()

    def set(self, **fields: Any) -> Sent:
        """Change label, topic, access or capacity; what is not given stays."""
        return self._write("room_set", fields).wait()

    def set_member(self, user: bytes, role: str) -> Sent:
        """Invite, remove (none), ban, or change the role of a person."""
        return self._write("room_member_set", {"user": user, "role": role}).wait()

    def _write(self, kind: str, fields: Message, number: int | None = None, timeout: float | None = None) -> Write:
        if not self.client._session:
            raise Refused("unauthenticated", "sign in first")
        number = self.client._next_number if number is None else number
        self.client._next_number = max(self.client._next_number, number + 1)
        write = Write(self, kind, fields, number, self.client.timeout if timeout is None else timeout)
        self.client._start(write)
        return write

    # --- membership, marks ---

    def join(self) -> Opened:
        return make(Opened, self._ask("room_join"))

    def leave(self) -> None:
        self._ask("room_leave")

    def mark_read(self, seq: int) -> None:
        """Read up to here; never goes back. Client.rooms() tells it, also to the script's next run."""
        self._ask("room_read", where=self.client.user, seq=seq)

    def typing(self, active: bool = True) -> None:
        self._ask("room_typing", active=active)

    # --- reading ---

    def look(self) -> Opened:
        """The room as it stands."""
        return make(Opened, self._ask("room_open"))

    def history(self, *, before: int = 0, after: int = 0, limit: int = 50) -> Page:
        """Items before or after a seq; without both, the latest."""
        answer = self._ask("room_history", before=before, after=after, limit=limit)
        return Page(answer["seq"], [make_item(one) for one in answer["items"]], answer["more"])

    def log(self, after: int = 0) -> Iterator[Event]:
        """All events after a seq up to where the room stands, out of the log."""
        while True:
            answer = self._ask("room_events", after=after, limit=LIMITS["PROTO_PAGE_MAX"])
            for event in answer["events"]:
                after = event["seq"]
                yield make(Event, event)
            if not answer["more"] or not answer["events"]:
                return

    def members(self) -> list[Member]:
        found: list[Member] = []
        while True:
            answer = self._ask("room_members", after=found[-1].name if found else "")
            found += [make(Member, one) for one in answer["members"]]
            if not answer["more"]:
                return found

    def _ask(self, kind: str, where: bytes | None = None, **fields: Any) -> Message:
        return self.client._ask(kind, {"room": self.id, **fields}, where or self.id)

    # --- following ---

    @property
    def is_open(self) -> bool:
        return self._follower is not None

    @property
    def last(self) -> int:
        """Every event up to this seq has been received, since the room was opened."""
        return self._follower.last if self._follower else 0

    def open(self, after: int | None = None) -> Opened:
        """Follow the room: after this seq, or from where it stands. Subscribes first, then asks, drops what is double."""
        self.close()
        follower = Follower()
        self._follower, self._heard, self._error = follower, time.monotonic(), None
        self.client._subscribe(self)
        try:
            opened = self.look()
        except Error:
            self.close()
            raise
        if after is not None and after > opened.seq:
            self.close()
            raise Refused("bad_value", f"the room stands at {opened.seq}, before {after}")
        self._ready += follower.begin(opened.seq if after is None else after, opened.epoch, opened.seq)
        self.client._fetch(self)
        return opened

    def follow(self, after: int | None = None, timeout: float | None = None) -> Iterator[Event]:
        """Open the room and give its events as they come; ends when nothing came for `timeout` seconds."""
        self.open(after)
        return self.client.follow(self, timeout=timeout)

    def close(self) -> None:
        """Follow it no longer."""
        if self._follower:
            self.client._unsubscribe(self)
            self._follower = None
            self._ready.clear()


def _wall_ms() -> int:
    return int(time.time() * 1000)
