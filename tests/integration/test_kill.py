# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL to each daemon under traffic: it comes back, people go on, nothing acknowledged is missing or doubled."""

import itertools
import threading

import pytest
from person import Person
from system import System
from waiting import wait_until

WRITERS = 4
MESSAGES_BEFORE = 20
MESSAGES_AFTER = 20
NODES = ["gateway-1", "registry-1", "roomd-1", "roomd-2", "storaged-1"]


class Traffic:
    """Writers in two rooms each, and a reader that never writes."""

    def __init__(self, url):
        self.people = [Person(url, f"writer-{i}").connect() for i in range(WRITERS)]
        self.reader = Person(url, "reader").connect()
        self.rooms = [self.people[0].create_room(f"traffic {i}") for i in range(4)]
        for room in self.rooms:
            for one in [*self.people, self.reader]:
                one.join(room)
        self.stopping = False
        self.count = [0] * WRITERS
        self.errors = []
        self.threads = [threading.Thread(target=self._write, args=(i,)) for i in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def _write(self, index):
        try:
            for n in itertools.count():
                if self.stopping:
                    return
                room = self.rooms[(index + n) % len(self.rooms)]
                self.people[index].send(room, f"{index}-{n}", 60)
                self.count[index] += 1
        except Exception as error:  # told to the test below
            self.errors.append(error)

    def wait_progress(self, messages):
        start = list(self.count)
        wait_until(lambda: self.errors or all(now - was >= messages for now, was in zip(self.count, start)), 60,
                   why="traffic")
        assert not self.errors, self.errors

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(70)
        assert not self.errors, self.errors

    def check(self):
        for room in self.rooms:
            log = self.reader.log(room)
            assert [e["seq"] for e in log] == list(range(1, len(log) + 1))
            by_seq = {e["seq"]: e for e in log}
            cmids = [(e["client"], e["number"]) for e in log if e["kind"] == "message"]
            assert len(cmids) == len(set(cmids)), "a message is doubled"
            for one in self.people:
                numbers = [e["number"] for e in log if e["kind"] == "message" and e["client"] == one.client]
                assert numbers == sorted(numbers), "one sender's messages are out of order"
                for (where, number), seq in one.acknowledged.items():
                    if where == room:
                        assert (by_seq[seq]["client"], by_seq[seq]["number"]) == (one.client, number)
            for one in [*self.people, self.reader]:
                wait_until(lambda o=one, r=room, n=len(log): o.last(r) == n, 20, why="everyone has everything")
                seen = [e["seq"] for e in one.seen[room]]
                assert seen == list(range(seen[0], len(log) + 1)), "a reader missed or doubled something"
                assert all(by_seq[e["seq"]].get("text") == e.get("text") for e in one.seen[room])

    def close(self):
        for one in [*self.people, self.reader]:
            one.close()


@pytest.fixture(scope="module")
def traffic():
    with System() as system:
        made = Traffic(system.url)
        yield system, made
        made.close()


@pytest.mark.parametrize("node", NODES)
def test_a_killed_daemon_loses_nothing(traffic, node):
    system, people = traffic
    people.wait_progress(MESSAGES_BEFORE)
    pid = system.kill(node)
    system.wait_restarted(node, pid)
    people.wait_progress(MESSAGES_AFTER)


def test_after_all_that_every_log_is_whole(traffic):
    _, people = traffic
    people.stop()
    people.check()
