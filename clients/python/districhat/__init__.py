# SPDX-License-Identifier: GPL-3.0-or-later
"""DistriChat from a script, over the ZeroMQ bus. docs/scripts.md is the guide.

    from districhat import Client

    with Client("ipc:///…/registry.sock") as chat:
        chat.sign_in("anna", "her password")
        room = chat.join("lobby")
        room.send("hello")
        for event in room.follow():
            print(event.name, event.text)

Needs pyzmq and msgpack. A Client belongs to one thread. It works while one of its methods is being called: sending,
following, or run().
"""

from .client import Client, Room, Write
from .errors import Error, Refused, Unavailable, Unknown
from .records import Account, Event, Item, Member, Opened, Page, Reaction, RoomInfo, Sent

__all__ = ["Account", "Client", "Error", "Event", "Item", "Member", "Opened", "Page", "Reaction", "Refused", "Room",
           "RoomInfo", "Sent", "Unavailable", "Unknown", "Write"]
