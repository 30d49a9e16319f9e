# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything is still there after all services were stopped and started again."""

import json

from person import Person
from system import System


def test_everything_outlives_a_restart():
    with System() as system:
        anna = Person(system.url, "anna").connect()
        room = anna.create_room("lasting")
        anna.open(room)
        seqs = [anna.send(room, f"before {i}") for i in range(20)]
        anna.write("room_react", room, target=seqs[0], emoji="🎉")
        before = anna.log(room)
        assert system.stop() == 0
        system.start()
        anna.wait_pushed(lambda m: m["t"] in ("room_opened", "caught_up") and m["room"] == room, 30)
        assert json.dumps(anna.log(room)) == json.dumps(before)
        assert anna.send(room, "after") == before[-1]["seq"] + 1
        assert anna.history(room)["items"][-1]["text"] == "after"
        again = Person(system.url, "anna", register=False)
        assert [r["label"] for r in again.api("GET", "rooms/mine")["rooms"]] == ["lasting"]
        anna.close()
