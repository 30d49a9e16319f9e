# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic whose every step is timed: who was sent what when, and when a browser and a script on the bus had it.

For tests of fail-over and tests/bench/failover. A flow has rooms, a writer for each, one reader at a browser's
WebSocket, and one on the bus that follows the slot map as a script does.
"""

import itertools
import threading
import time

import msgpack
import zmq
from person import PASSWORD, Person
from system import wait_until

PAUSE_S = 0.04  # of a writer between two messages
POLL_MS = 100
RENEW_S = 5  # a script renews its token this often
FETCH_S = 1.0  # a range that was asked for and not answered is asked for again after this
FEED_EVERYTHING = b"\0" * 16


class TimedPerson(Person):
    """Notes when each event came."""

    def __init__(self, *arguments, **options):
        self.times = {}  # (room, seq) → when it came
        super().__init__(*arguments, **options)

    def _take(self, message):
        if message.get("t") == "event":
            self.times.setdefault((message["room"], message["seq"]), time.monotonic())
        super()._take(message)


class BusReader:
    """A script that follows rooms through all changes of their owners: one thread, one poller."""

    def __init__(self, system, login, rooms):
        self.system = system
        self.login = login
        self.rooms = {bytes.fromhex(room): {"last": 0, "epoch": 0, "asked": None, "behind": True} for room in rooms}
        self.times = {}  # (room, seq) → when it came
        self.seen = {room: [] for room in rooms}
        self.errors = []
        self.closing = False
        self.numbers = itertools.count(1)
        self.thread = threading.Thread(target=self._guard, daemon=True)
        self.thread.start()

    def close(self):
        self.closing = True
        self.thread.join(10)

    def last(self, room):
        return self.rooms[bytes.fromhex(room)]["last"]

    def _guard(self):
        try:
            self._run()
        except Exception as error:  # told to whoever looks
            self.errors.append(error)

    # --- sockets ---

    def _socket(self, kind, address):
        made = self.context.socket(kind)
        made.linger = 0
        made.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        made.connect(address)
        self.poller.register(made, zmq.POLLIN)
        return made

    def _send(self, socket, kind, **fields):
        number = next(self.numbers)
        socket.send(msgpack.packb({"t": kind, "i": number, "d": 5000, **fields}), zmq.DONTWAIT)
        return number

    def _run(self):
        self.context = zmq.Context()
        self.poller = zmq.Poller()
        self.owners = {}  # address → DEALER on which the session is open
        self.feeds = {}  # address → SUB
        self.map = {}  # slot → (address, feed)
        self.registry = self._socket(zmq.DEALER, self.system.registry)
        self.changes = self._socket(zmq.SUB, f"ipc://{self.system.run}/registry-feed.sock")
        self.changes.subscribe(FEED_EVERYTHING)
        self.me = None
        self._send(self.registry, 21, login=self.login, password=PASSWORD)
        renewed = time.monotonic()
        while not self.closing:
            if self.me and time.monotonic() - renewed > RENEW_S:
                renewed = time.monotonic()
                self._send(self.registry, 22, secret=self.me["secret"])
            for socket, _ in self.poller.poll(POLL_MS):
                frames = socket.recv_multipart()
                self._take(socket, msgpack.unpackb(frames[-1]))
            self._fetch()
        self.context.destroy(0)

    # --- what comes ---

    def _take(self, socket, message):
        kind = message["t"]
        if kind == 24 and self.me:
            self.me["token"] = message["token"]
            for owner in self.owners.values():
                self._send(owner, 60, token=self.me["token"])
        elif kind == 24:
            self.me = message
            self._send(self.registry, 50)
        elif kind == 51:
            self.version = message["version"]
            self.map = {}
            self._learn(message)
        elif kind == 52 and self.map and message["version"] == self.version + 1:
            self.version += 1
            self._learn(message)
        elif kind == 52:
            self._send(self.registry, 50)
        elif kind == 90:
            self._offer(message, message["epoch"])
        elif kind == 91:
            for mark in message["rooms"]:
                room = self.rooms.get(mark["room"])
                if room and mark["epoch"] >= room["epoch"] and mark["seq"] > room["last"]:
                    room["behind"] = True
        elif kind == 78:
            self._take_range(message)
        elif kind == 1 and message["i"] in (room["asked"] and room["asked"][0] for room in self.rooms.values()):
            for room in self.rooms.values():
                if room["asked"] and room["asked"][0] == message["i"]:
                    room["asked"] = (0, time.monotonic() - FETCH_S + 0.05)

    def _take_range(self, message):
        room = self.rooms[message["room"]]
        if not room["asked"] or room["asked"][0] != message["i"]:
            return
        room["asked"] = None
        for event in message["events"]:
            self._offer(event, room["epoch"])
        room["behind"] = room["last"] < message["seq"]

    def _offer(self, event, epoch):
        room = self.rooms.get(event["room"])
        if not room or epoch < room["epoch"] or event["seq"] <= room["last"]:
            return
        if event["seq"] != room["last"] + 1:
            room["behind"] = True
            return
        room["last"] = event["seq"]
        room["epoch"] = max(room["epoch"], event["epoch"])
        self.seen[event["room"].hex()].append(event)
        self.times[event["room"].hex(), event["seq"]] = time.monotonic()

    def _learn(self, change):
        for run in change["runs"]:
            owner = change["nodes"][run["owner"] - 1] if run["owner"] else None
            for slot in range(run["first"], run["last"] + 1):
                self.map[slot] = (owner["address"], owner["feed"], owner["incarnation"]) if owner else None
        for name, room in self.rooms.items():
            owner = self.map.get(name[0] << 4 | name[1] >> 4)
            if owner and owner != room.get("owner"):
                self._follow(name, room, owner)

    def _follow(self, name, room, owner):
        address, feed, _ = room["owner"] = owner
        if feed not in self.feeds:
            self.feeds[feed] = self._socket(zmq.SUB, feed)
            self.feeds[feed].subscribe(FEED_EVERYTHING)
        self.feeds[feed].subscribe(name)
        if (address, owner[2]) not in self.owners:
            self.owners[address, owner[2]] = self._socket(zmq.DEALER, address)
            self._send(self.owners[address, owner[2]], 60, token=self.me["token"])
        room["behind"] = True
        room["asked"] = None

    def _fetch(self):
        for name, room in self.rooms.items():
            owner = room.get("owner")
            if not room["behind"] or not owner or (room["asked"] and time.monotonic() - room["asked"][1] < FETCH_S):
                continue
            number = self._send(self.owners[owner[0], owner[2]], 77, session=self.me["session"], room=name,
                                after=room["last"])
            room["asked"] = (number, time.monotonic())


class Flow:
    """Writers and readers of `count` rooms, spread over the roomds by the registry."""

    def __init__(self, system, count=8, name="flow"):
        self.system = system
        self.writers = [TimedPerson(system.url, f"{name}-{i}").connect() for i in range(count)]
        self.reader = TimedPerson(system.url, f"{name}-reader").connect()
        self.rooms = [one.create_room(f"{name} {i}") for i, one in enumerate(self.writers)]
        for room, one in zip(self.rooms, self.writers):
            one.open(room)
            self.reader.join(room)
        self.bus = BusReader(system, self.reader.name, self.rooms)
        self.sent = {}  # (room, number) → when the first try began
        self.acked = {}  # (room, number) → (when, seq)
        self.errors = []
        self.stopping = False
        self.threads = [threading.Thread(target=self._write, args=pair, daemon=True)
                        for pair in zip(self.writers, self.rooms)]
        for thread in self.threads:
            thread.start()

    def _write(self, person, room):
        try:
            for number in itertools.count(1):
                if self.stopping:
                    return
                self.sent[room, number] = time.monotonic()
                seq = person.send(room, f"{number}", 90)
                self.acked[room, number] = (time.monotonic(), seq)
                time.sleep(PAUSE_S)
        except Exception as error:  # told to whoever looks
            self.errors.append(error)

    def close(self):
        for one in [*self.writers, self.reader]:
            one.close()
        self.bus.close()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(100)
        self.check_errors()

    def check_errors(self):
        assert not self.errors and not self.bus.errors, (self.errors, self.bus.errors)

    # --- asking ---

    def owner_of(self, room):
        """Name of the node that owns the room's slot, from the bus reader's slot map."""
        owner = self.bus.map.get(int(room[:3], 16))
        return owner and owner[0].rsplit("/", 1)[1].removesuffix(".sock")

    def rooms_of(self, node):
        return [room for room in self.rooms if self.owner_of(room) == node]

    def epochs(self):
        """The latest epoch that the browser has seen, by room."""
        return {room: self.reader.seen[room][-1]["epoch"] if self.reader.seen.get(room) else 0 for room in self.rooms}

    def whole(self, since):
        """(room, sent, whole) of messages sent since then: whole when acknowledged and at both readers."""
        for (room, number), sent in list(self.sent.items()):
            acked = self.acked.get((room, number))
            if sent < since or not acked:
                continue
            at = [acked[0], self.reader.times.get((room, acked[1])), self.bus.times.get((room, acked[1]))]
            yield room, sent, max(at) if all(at) else None

    def progress(self, rooms, messages=5, seconds=60):
        """Wait until so many messages that are sent from now on are whole, in each of the rooms."""
        start = time.monotonic()

        def done():
            self.check_errors()
            counts = dict.fromkeys(rooms, 0)
            for room, _, whole in self.whole(start):
                if whole and room in counts:
                    counts[room] += 1
            return all(count >= messages for count in counts.values())

        wait_until(done, seconds, why="messages are acknowledged and read")

    def delays(self, since):
        """Seconds from the sending of each message to its being whole, of those sent since then."""
        return [whole - sent for _, sent, whole in self.whole(since) if whole]

    def flowing_again(self, rooms, since, epochs, seconds=60):
        """Seconds from `since` until a message of a new owner was acknowledged and read, by room."""
        times = {}

        def done():
            self.check_errors()
            for (room, number), (acked, seq) in list(self.acked.items()):
                at = [acked, self.reader.times.get((room, seq)), self.bus.times.get((room, seq))]
                if room not in rooms or room in times or acked < since or not all(at):
                    continue
                event = next(e for e in self.reader.seen[room] if e["seq"] == seq)
                if event["epoch"] > epochs[room]:
                    times[room] = max(at) - since
            return len(times) == len(rooms)

        wait_until(done, seconds, why="a new owner's messages are acknowledged and read")
        return times

    # --- in the end ---

    def check(self):
        """Nothing acknowledged is missing, nothing is doubled or out of order, and all readers have all of it."""
        for room, writer in zip(self.rooms, self.writers):
            log = self.reader.log(room)
            assert [e["seq"] for e in log] == list(range(1, len(log) + 1))
            texts = [int(e["text"]) for e in log if e["kind"] == "message"]
            assert texts == sorted(set(texts)), "a message is doubled or out of order"
            by_seq = {e["seq"]: e for e in log}
            for (where, number), (_, seq) in self.acked.items():
                assert where != room or by_seq[seq]["text"] == f"{number}", "an acknowledged message is missing"
            for last in (writer.last, self.reader.last, self.bus.last):
                wait_until(lambda read=last, r=room, n=len(log): read(r) == n, 20, why="everyone has everything")
            for seen in (writer.seen[room], self.reader.seen[room], self.bus.seen[room]):
                seqs = [e["seq"] for e in seen]
                assert seqs == list(range(seqs[0], len(log) + 1)), "a reader missed or doubled something"
                assert all(by_seq[e["seq"]].get("text") == e.get("text") for e in seen)
