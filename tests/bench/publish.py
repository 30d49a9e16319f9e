# SPDX-License-Identifier: GPL-3.0-or-later
"""Durable publish over the bus: one script writes to one room, with 1 to 1024 messages outstanding.

The log is read back afterwards: every acknowledged message must be there once, at its seq, in the order sent.
The sizes are run in turns, N times over, so that what else the machine does hits all of them. Closed loop: a
latency is from the call of send() to the answer, and a slow server slows the sender down.
"""

import os
import pathlib
import time

import msgpack
from bus import Bus
from person import PASSWORD, Person

OUTSTANDING = (1, 4, 16, 64, 256, 1024)
CLIENTS = 16  # client ids in turn: roomd bounds the messages on their way from one of them
TEXT_BYTES = 200
ANSWER_S = 30
ERRORS_MAX = 1000
SESSION_OPEN, LOG_IN, ROOM_FIND, ROOM_SEND, ROOM_SENT = 60, 21, 34, 68, 69


def cpu_seconds(system):
    """CPU that all daemons have used so far."""
    return sum(int(path.read_text().split()[0]) for node in system.nodes()
               for path in pathlib.Path(f"/proc/{system.pid(node)}/task").glob("*/schedstat")) / 1e9


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Writer:
    """A script on the bus that writes numbered messages to one room, each once."""

    def __init__(self, system, login, label):
        registry = Bus(system.registry)
        me = registry.ask(LOG_IN, login=login, password=PASSWORD)
        found = registry.ask(ROOM_FIND, session=me["session"], label=label)
        registry.close()
        self.owner = Bus(found["address"])
        assert self.owner.ask(SESSION_OPEN, token=me["token"])["t"] == SESSION_OPEN + 1
        self.fixed = {"session": me["session"], "room": found["room"]}
        self.clients = [os.urandom(16) for _ in range(CLIENTS)]
        self.number = 0
        self.acknowledged = {}  # number → seq
        self.refused = 0
        self.sent_at = {}

    def send(self):
        self.number += 1
        text = f"{self.number} ".ljust(TEXT_BYTES, "x")
        self.sent_at[self.number] = time.monotonic()
        self.owner.socket.send(msgpack.packb({"t": ROOM_SEND, "i": self.number, "d": 60000, **self.fixed,
                                              "client": self.clients[self.number % CLIENTS],
                                              "number": self.number, "text": text}))

    def receive(self, latencies):
        answer = self.owner.receive(ANSWER_S)
        if answer is None:
            raise TimeoutError(f"{len(self.sent_at)} messages without an answer")
        started = self.sent_at.pop(answer["i"], None)
        if started is None:
            return
        if answer["t"] != ROOM_SENT:
            self.refused += 1
            if self.refused > ERRORS_MAX:
                raise RuntimeError(f"too many refused, last: {answer}")
            return
        self.acknowledged[answer["i"]] = answer["seq"]
        latencies.append((time.monotonic() - started) * 1000)

    def run(self, outstanding, seconds):
        """Returns latencies in ms and the time that it took, the last answers included."""
        latencies = []
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            while len(self.sent_at) < outstanding:
                self.send()
            self.receive(latencies)
        while self.sent_at:
            self.receive(latencies)
        return latencies, time.monotonic() - start


def account(writer, events):
    """Lost, doubled, reordered: the log against the acknowledgements."""
    clients = {client.hex() for client in writer.clients}
    mine = [e for e in events if e["kind"] == "message" and e.get("client") in clients]
    numbers = [e["number"] for e in mine]
    at = {e["number"]: e["seq"] for e in mine}
    return {"acknowledged": len(writer.acknowledged), "refused": writer.refused,
            "lost": sum(at.get(n) != seq for n, seq in writer.acknowledged.items()),
            "doubled": len(numbers) - len(at), "reordered": sum(b < a for a, b in zip(numbers, numbers[1:])),
            "gaps": sum(b["seq"] != a["seq"] + 1 for a, b in zip(events, events[1:]))}


def publish(system, seconds, repeat):
    """Durable publish with 1 to 1024 outstanding. Returns whether the accounts are clean."""
    anna = Person(system.url, "anna").connect()
    room = anna.create_room("publish")
    writer = Writer(system, "anna", "publish")
    print(f"{'outstanding':>11} {'turn':>4} {'messages/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs/message':>14}")
    for turn in range(1, repeat + 1):
        for outstanding in OUTSTANDING:
            cpu = cpu_seconds(system)
            latencies, took = writer.run(outstanding, seconds)
            cpu = cpu_seconds(system) - cpu
            print(f"{outstanding:11} {turn:4} {len(latencies) / took:10.0f} {percentile(latencies, 0.5):8.2f} "
                  f"{percentile(latencies, 0.99):8.2f} {cpu * 1e6 / max(1, len(latencies)):14.1f}", flush=True)
    counts = account(writer, anna.log(room))
    anna.close()
    print("  ".join(f"{name} {count}" for name, count in counts.items()))
    return not any(counts[name] for name in ("lost", "doubled", "reordered", "gaps"))
