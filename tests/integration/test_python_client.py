# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python library on a real bus: exactly once and without a gap while daemons are killed, stopped and moved."""

import itertools
import pathlib
import random
import signal
import subprocess
import sys
import threading

import pytest
from person import PASSWORD
from system import ROOT, System, wait_until

sys.path.insert(0, str(ROOT / "clients" / "python"))
from districhat import Client, Refused, Unavailable, Unknown  # noqa: E402

EXAMPLES = ROOT / "clients" / "python" / "examples"
names = itertools.count(1)


@pytest.fixture(scope="module")
def system():
    with System("--roomds", "2") as running:
        yield running


@pytest.fixture
def client(system):
    """Makes clients that are signed in; closed at the end."""
    made = []

    def make(name, kind=Client, **options):
        one = kind(system.registry, **options)
        made.append(one)
        one.register(f"{name}-{next(names)}", PASSWORD)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def room_name():
    return f"script room {next(names)}"


def owner_of(client, room):
    """Name of the node that serves a room."""
    address = client._slots.owner(room.id).address
    return pathlib.Path(address.removeprefix("ipc://")).name.removesuffix(".sock")


def take(events, count):
    return list(itertools.islice(events, count))


def is_whole(events):
    return [event.seq for event in events] == list(range(events[0].seq, events[0].seq + len(events)))


# --- what it offers ---


def test_everything_in_one_conversation(client, room_name):
    anna, ben = client("anna"), client("ben")
    room = anna.create(room_name, topic="a topic")
    assert [one.label for one in ben.find_rooms(room_name)] == [room_name]
    same = ben.join(room_name)
    assert same.id == room.id
    events = same.follow(timeout=20)
    sent = room.send("helo")
    room.edit(sent.seq, "hello")
    room.react(sent.seq, "👍")
    answer = same.send("hi", reply_to=sent.seq)
    same.redact(answer.seq)
    room.unreact(sent.seq, "👍")
    got = take(events, 6)
    assert is_whole(got) and got[0].seq == sent.seq
    assert [event.kind for event in got] == ["message", "edit", "reaction", "message", "redaction", "reaction"]
    assert got[3].target == sent.seq and got[5].remove
    page = same.history(limit=2)
    assert [(item.text, item.redacted > 0) for item in page.items] == [("hello", False), ("", True)]
    assert page.items[0].reactions == [] and page.more
    assert same.history(before=sent.seq, limit=1).items[-1].seq < sent.seq
    log = list(same.log())
    assert is_whole(log) and log[0].seq == 1 and log[-1].seq == got[-1].seq
    assert {one.name for one in room.members()} == {anna.name, ben.name}
    room.set(topic="another")
    room.set_member(ben.user, "admin")
    assert {one.role for one in room.members()} == {"owner", "admin"}
    same.mark_read(sent.seq)
    assert [(one.label, one.read) for one in ben.rooms()] == [(room_name, sent.seq)]
    same.typing()
    two = anna.direct(ben.user)
    assert ben.direct(anna.user).id == two.id and two.look().access == "direct"
    same.leave()
    assert ben.rooms() == [] or room.id not in [one.room for one in ben.rooms()]


def test_errors_are_sure_and_named(client, room_name):
    anna, ben = client("anna"), client("ben")
    with pytest.raises(Refused, match="not_found"):
        anna.find("no such room")
    room = anna.create(room_name, "private")
    with pytest.raises(Refused) as caught:
        ben.room(room.id).open()
    assert caught.value.code in ("not_found", "forbidden")
    assert not ben.room(room.id).is_open
    with pytest.raises(Refused, match="bad_value"):
        room.send("   ")
    with pytest.raises(Refused, match="limit"):
        room.send("x" * 16385)
    with pytest.raises(Refused, match="bad_value: the room stands at"):
        room.open(after=10**6)
    with pytest.raises(Refused, match="unauthenticated"):
        Client(anna._registry.address).find("lobby")
    first = room.send("one", number=100)
    assert room.send("one", number=100).seq == first.seq
    with pytest.raises(Refused, match="cmid_reused"):
        room.send("another", number=100)
    with pytest.raises(Refused, match="cmid_stale"):
        room.send("late", number=50)
    assert room.send("two").seq == first.seq + 1


def test_who_is_put_out_hears_so(client, room_name):
    anna, ben = client("anna"), client("ben")
    room = anna.create(room_name)
    same = ben.join(room_name)
    events = same.follow(timeout=20)
    room.set_member(ben.user, "banned")
    with pytest.raises(Refused, match="banned"):
        while True:
            next(events)  # the ban itself may still be seen


def test_a_session_is_taken_up_again(system, client, room_name):
    anna = client("anna")
    room = anna.create(room_name)
    with Client(system.registry) as again:
        again.resume(anna.secret)
        assert again.user == anna.user
        again.room(room.id.hex()).send("from elsewhere")
    assert anna.rooms(), "closing a resumed session does not end it"


# --- when things fail ---


class Lossy(Client):
    """A feed that drops most of what it carries, and repeats some."""

    chance = random.Random(7)

    def _take_event(self, event):
        for _ in range(self.chance.choice((0, 0, 0, 1, 2))):
            super()._take_event(event)


def test_a_feed_that_drops_loses_nothing(client, room_name):
    anna, ben = client("anna"), client("ben", Lossy)
    room = anna.create(room_name)
    events = ben.join(room_name).follow(timeout=30)
    for i in range(300):
        room.post(f"line {i}")
    anna.flush()
    got = take(events, 300)
    assert is_whole(got) and [event.text for event in got] == [f"line {i}" for i in range(300)]


def test_a_reader_that_pauses_is_fed_from_the_log(client, room_name, monkeypatch):
    monkeypatch.setattr("districhat.client.READY_MAX", 20)
    anna, ben = client("anna"), client("ben")
    room = anna.create(room_name)
    same = ben.join(room_name)
    events = same.follow(timeout=30)
    for i in range(500):
        room.post(f"line {i}")
    anna.flush()
    ben.run(0.2)
    assert len(same._ready) <= 20 + 200  # and a page that was on its way
    assert is_whole(take(events, 500))


def test_the_outcome_is_unknown_and_then_known(system, client, room_name):
    anna = client("anna")
    room = anna.create(room_name)
    system.kill("storaged-1", signal.SIGSTOP)
    try:
        write = room.post("once", timeout=1)
        with pytest.raises(Unknown):
            write.wait()
        with pytest.raises(Unavailable):
            room.client._ask("room_history", {"room": room.id}, room.id, 1)
    finally:
        system.kill("storaged-1", signal.SIGCONT)
    sent = write.retry()
    assert [event.seq for event in room.log() if event.text == "once"] == [sent.seq]


class Writer(threading.Thread):
    """Writes numbered messages, several on their way at once, until it is told to stop."""

    def __init__(self, registry, room_name):
        super().__init__(daemon=True)
        self.registry, self.room_name = registry, room_name
        self.stopping = threading.Event()
        self.acknowledged = {}
        self.error = None

    def run(self):
        try:
            with Client(self.registry, timeout=60) as chat:
                chat.register(f"writer-{next(names)}", PASSWORD)
                room = chat.join(self.room_name)
                for i in itertools.count():
                    if self.stopping.is_set():
                        return
                    writes = [room.post(f"{chat.name} {i}.{k}") for k in range(5)]
                    for write in writes:
                        self.acknowledged[write.wait().seq] = write.fields["text"]
        except Exception as error:  # told to the test
            self.error = error

    def wait_progress(self, count=50):
        start = len(self.acknowledged)
        wait_until(lambda: self.error or len(self.acknowledged) >= start + count, 60, why="writing")
        assert not self.error, self.error


def test_nothing_is_lost_or_doubled_while_nodes_die_and_move(system, client, room_name):
    anna, ben = client("anna", timeout=60), client("ben", timeout=60)
    room = anna.create(room_name)
    same = ben.join(room_name)
    events = same.follow(timeout=60)
    writers = [Writer(system.registry, room_name) for _ in range(2)]
    for one in writers:
        one.start()
    try:
        for node in (owner_of(anna, room), "storaged-1", "registry-1"):
            for one in writers:
                one.wait_progress()
            pid = system.kill(node)
            system.wait_restarted(node, pid)
        for one in writers:
            one.wait_progress()
        room.look()  # so that the map is fresh
        moved = owner_of(anna, room)
        system.kill(moved, signal.SIGSTOP)
        try:
            for one in writers:
                one.wait_progress()
            room.look()
            assert owner_of(anna, room) != moved
        finally:
            system.kill(moved, signal.SIGCONT)
        for one in writers:
            one.wait_progress()
    finally:
        for one in writers:
            one.stopping.set()
        for one in writers:
            one.join(70)
    assert not [one.error for one in writers if one.error]
    log = list(room.log())
    assert log[0].seq == 1 and is_whole(log)
    texts = [event.text for event in log if event.kind == "message"]
    assert len(texts) == len(set(texts)), "a message is doubled"
    for one in writers:
        assert one.acknowledged.items() <= {event.seq: event.text for event in log}.items()
        mine = [event.text for event in log if event.text in set(one.acknowledged.values())]
        assert mine == [one.acknowledged[seq] for seq in sorted(one.acknowledged)] == list(one.acknowledged.values())
    first = next(events)
    got = [first, *take(events, log[-1].seq - first.seq)]
    assert got == log[first.seq - 1:]


def test_a_bot_that_is_killed_answers_everything_once(system, client, room_name):
    anna = client("anna")
    bot = f"echo-{next(names)}"
    with Client(system.registry) as one:
        one.register(bot, PASSWORD)
    room = anna.create(room_name)
    events = room.follow(timeout=60)

    def start():
        return subprocess.Popen([EXAMPLES / "echo_bot.py", system.registry, bot, PASSWORD, room_name])

    process = start()
    try:
        while next(events).kind != "member":
            pass

        def is_answered():
            """It answers from where the room stood when it had joined: maybe not what was written just then."""
            seq = room.send("are you there?").seq
            anna.run(0.2)
            return any(event.target == seq for event in room.log(after=seq))

        wait_until(is_answered, why="the bot follows")
        questions = set()
        answered = {}

        def hear_answers(count):
            while len(answered) < count:
                event = next(events)
                if event.name == bot and event.target in questions:
                    assert event.target not in answered, "answered twice"
                    answered[event.target] = event.seq

        for i in range(4):
            questions |= {write.wait().seq for write in [room.post(f"question {i}.{k}") for k in range(10)]}
            hear_answers(10 * i + 3)  # then it is somewhere within the others
            process.kill()
            process.wait()
            process = start()
        hear_answers(len(questions))
        assert [answered[seq] for seq in sorted(answered)] == sorted(answered.values())
        room.send("the end")
        while next(events).text != f"{anna.name}, I read: the end":
            pass
        answers = [event.target for event in room.log() if event.name == bot and event.kind == "message"]
        assert len(answers) == len(set(answers))
    finally:
        process.kill()
        process.wait()
