# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do in rooms, over real daemons."""

import pytest
from person import Person, Refused


def two_in_a_room(person, room_name):
    anna = person("anna")
    ben = person("ben")
    room = anna.create_room(room_name)
    anna.open(room)
    ben.join(room)
    return anna, ben, room


def test_two_people_chat(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    seq = anna.send(room, "hello ben")
    event = ben.wait_text(room, "hello ben")
    assert event["seq"] == seq
    assert event["name"] == anna.name
    ben.send(room, "hello anna", target=seq)
    assert anna.wait_text(room, "hello anna")["target"] == seq
    assert anna.wait_text(room, "hello ben")["seq"] == seq


def test_edit_react_redact(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    seq = anna.send(room, "helo")
    anna.write("room_edit", room, target=seq, text="hello")
    ben.write("room_react", room, target=seq, emoji="👍")
    anna.write("room_react", room, target=seq, emoji="👍")
    item = next(i for i in ben.history(room)["items"] if i["seq"] == seq)
    assert item["text"] == "hello" and item["edited"] > seq
    assert item["reactions"][0]["emoji"] == "👍" and item["reactions"][0]["count"] == 2
    ben.write("room_react", room, target=seq, emoji="👍", remove=True)
    anna.write("room_redact", room, target=seq)
    item = next(i for i in ben.history(room)["items"] if i["seq"] == seq)
    assert item["redacted"] and not item.get("text")
    assert "hello" not in [e.get("text") for e in ben.log(room)]
    for kind in ("edit", "reaction", "redaction"):
        ben.wait_event(room, lambda e, k=kind: e["kind"] == k)


def test_others_messages_are_not_ones_own(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    seq = anna.send(room, "mine")
    for kind, fields in (("room_edit", {"text": "yours"}), ("room_redact", {})):
        with pytest.raises(Refused) as refused:
            ben.write(kind, room, target=seq, **fields)
        assert refused.value.code == "forbidden"
    with pytest.raises(Refused) as refused:
        ben.write("room_react", room, target=999, emoji="👍")
    assert refused.value.code == "not_found"


def test_a_retry_is_harmless(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    write = {"room": room, "client": anna.client, "number": 1000}
    first = anna.ask("room_send", text="once", **write)
    again = anna.ask("room_send", text="once", **write)
    assert again["seq"] == first["seq"] and again["duplicate"]
    with pytest.raises(Refused) as refused:
        anna.ask("room_send", text="something else", **write)
    assert refused.value.code == "cmid_reused"
    with pytest.raises(Refused) as refused:
        anna.ask("room_send", room=room, client=anna.client, number=999, text="late")
    assert refused.value.code == "cmid_stale"
    assert [e["text"] for e in ben.log(room) if e["kind"] == "message"] == ["once"]


def test_private_rooms_are_not_there_for_others(person, room_name):
    anna, ben = person("anna"), person("ben")
    room = anna.create_room(room_name, access="private")
    for ask in (lambda: ben.open(room), lambda: ben.join(room), lambda: ben.history(room),
                lambda: ben.ask("room_events", room=room), lambda: ben.ask("room_members", room=room),
                lambda: ben.send(room, "let me in")):
        with pytest.raises(Refused) as refused:
            ask()
        assert refused.value.code in ("not_found", "forbidden")
    assert not ben.api("GET", "rooms", prefix=room_name)["rooms"]
    anna.write("room_member_set", room, user=ben.user, role="member")
    ben.open(room)
    ben.send(room, "thank you")
    assert [r["room"] for r in ben.api("GET", "rooms/mine")["rooms"]] == [room]


def test_a_banned_person_is_out(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    anna.write("room_member_set", room, user=ben.user, role="banned")
    with pytest.raises(Refused) as refused:
        ben.send(room, "still here?")
    assert refused.value.code in ("banned", "forbidden")
    with pytest.raises(Refused) as refused:
        ben.join(room)
    assert refused.value.code == "banned"


def test_direct_rooms(person):
    anna, ben, carl = person("anna"), person("ben"), person("carl")
    room = anna.api("POST", "rooms", {"access": "direct", "with": ben.user})["room"]
    assert ben.api("POST", "rooms", {"access": "direct", "with": anna.user})["room"] == room
    anna.open(room)
    ben.open(room)
    anna.send(room, "just us")
    ben.wait_text(room, "just us")
    with pytest.raises(Refused):
        carl.open(room)


def test_typing_and_presence(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    anna.ask("room_presence", room=room, here=True)
    ben.wait_pushed(lambda m: m["t"] == "presence" and m["user"] == anna.user and m["here"])
    ben.ask("room_typing", room=room, active=True)
    typing = anna.wait_pushed(lambda m: m["t"] == "typing")
    assert typing["name"] == ben.name
    assert any(m["user"] == anna.user and m.get("here") for m in ben.ask("room_members", room=room)["members"])
    anna.close()
    ben.wait_pushed(lambda m: m["t"] == "presence" and m["user"] == anna.user and not m.get("here"))


def test_one_of_two_tabs_may_close(person, room_name, system):
    anna, ben, room = two_in_a_room(person, room_name)
    tab = Person(system.url, anna.name, register=False).connect()
    for one in (anna, tab):
        one.open(room)
        one.ask("room_presence", room=room, here=True)
    tab.close()
    ben.send(room, "is anna here?")
    members = ben.ask("room_members", room=room)["members"]
    assert any(m["user"] == anna.user and m.get("here") for m in members)


def test_what_was_missed_comes_in_order(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    ben.wait_text(room, "start") if anna.send(room, "start") else None
    ben.close()
    for i in range(30):
        anna.send(room, f"missed {i}")
    last = ben.last(room)
    ben.closing = False
    ben.connect()
    ben.open(room, after=last)
    ben.wait_text(room, "missed 29")
    ben.wait_pushed(lambda m: m["t"] == "caught_up" and m["room"] == room)
    seqs = [e["seq"] for e in ben.seen[room]]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_pages_in_both_directions(person, room_name):
    anna = person("anna")
    room = anna.create_room(room_name)
    anna.open(room)
    for i in range(120):
        anna.send(room, f"m{i}")
    page = anna.history(room)
    assert [i["text"] for i in page["items"]][-1] == "m119" and len(page["items"]) == 50 and page["more"]
    texts = [i.get("text") for i in page["items"]]
    while page.get("more"):
        page = anna.history(room, before=page["items"][0]["seq"])
        texts = [i.get("text") for i in page["items"]] + texts
    assert [t for t in texts if t] == [f"m{i}" for i in range(120)]
    page = anna.history(room, after=2, limit=7)
    assert [i["seq"] for i in page["items"]] == list(range(3, 10)) and page["more"]


def test_accounts(system, person):
    anna = person("anna", connect=False)
    for fields, code in (({"name": anna.name.upper(), "password": "long enough"}, "name_taken"),
                         ({"name": "x-" + anna.name, "password": "short"}, "weak_password"),
                         ({"name": "no spaces", "password": "long enough"}, "bad_value")):
        with pytest.raises(Refused) as refused:
            anna.api("POST", "accounts", fields)
        assert refused.value.code == code
    for login in (anna.name, "nobody-" + anna.name):
        with pytest.raises(Refused) as refused:
            Person(system.url, login, register=False, password="wrong password")
        assert refused.value.code == "bad_credentials"
    assert anna.api("GET", "session")["user"] == anna.user
    anna.api("DELETE", "session")
    assert anna.raw("GET", "session").status_code == 401


def test_signing_out_closes_the_connection(person, room_name, system):
    anna = person("anna")
    anna.create_room(room_name)
    anna.closing = True  # do not connect again
    anna.api("DELETE", "session")
    anna.thread.join(5)
    goodbyes = [m for m in anna.pushed if m["t"] == "goodbye"]
    assert goodbyes and goodbyes[0]["final"]


def test_room_names_are_unique(person, room_name):
    anna, ben = person("anna"), person("ben")
    anna.create_room(room_name)
    with pytest.raises(Refused) as refused:
        ben.create_room(room_name.upper())
    assert refused.value.code == "name_taken"
    assert [r["label"] for r in ben.api("GET", "rooms", prefix=room_name.upper())["rooms"]] == [room_name]


def test_settings_and_members(person, room_name):
    anna, ben, room = two_in_a_room(person, room_name)
    with pytest.raises(Refused) as refused:
        ben.write("room_set", room, topic="mine now")
    assert refused.value.code == "forbidden"
    anna.write("room_set", room, label=room_name + " renamed", topic="all things")
    assert ben.wait_event(room, lambda e: e["kind"] == "setting")["topic"] == "all things"
    anna.write("room_member_set", room, user=ben.user, role="admin")
    ben.write("room_set", room, topic="all things indeed")
    members = {m["user"]: m["role"] for m in ben.ask("room_members", room=room)["members"]}
    assert members == {anna.user: "owner", ben.user: "admin"}
    ben.ask("room_leave", room=room)
    with pytest.raises(Refused):
        ben.send(room, "gone")


def test_capacity(person, room_name):
    anna, ben, carl = person("anna"), person("ben"), person("carl")
    room = anna.create_room(room_name, capacity=2)
    ben.join(room)
    with pytest.raises(Refused) as refused:
        carl.join(room)
    assert refused.value.code == "room_full"


def test_read_marks_follow_a_person(person, room_name, system):
    anna, ben, room = two_in_a_room(person, room_name)
    seq = anna.send(room, "read me")
    phone = Person(system.url, ben.name, register=False).connect()
    phone.open(ben.user)
    ben.ask("room_read", room=room, seq=seq)
    phone.wait_event(ben.user, lambda e: e["kind"] == "read" and e["target"] == seq)
    mine = {r["room"]: r for r in phone.api("GET", "rooms/mine")["rooms"]}
    assert mine[room]["read"] == seq and mine[room]["last_seq"] >= seq
    phone.close()
