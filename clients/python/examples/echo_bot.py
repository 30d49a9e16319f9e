#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer every message of a room once, whatever is killed in between: echo_bot.py REGISTRY-ADDRESS USER PASSWORD ROOM

An answer has the seq of its question as its number, and the client id is the same at every start: so an answer that
was written just before the bot died is not written again. Where the bot had got to is its read mark in the room.
"""
import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from districhat import Client, Refused  # noqa: E402

ANSWERED = ("cmid_reused", "cmid_stale")  # before, when the question had another text; or later ones were

registry, user, password, room_name = sys.argv[1:]
client_id = hashlib.blake2b(f"echo_bot {user}".encode(), digest_size=16).digest()
with Client(registry, client_id=client_id) as chat:
    chat.sign_in(user, password)
    room = chat.find(room_name)
    joined = room.join()
    marks = {one.room: one.read for one in chat.rooms()}
    for event in room.follow(after=marks[room.id] or joined.seq):
        if event.kind == "message" and event.user != chat.user:
            try:
                room.send(f"{event.name}, I read: {event.text}", reply_to=event.seq, number=event.seq)
            except Refused as error:
                if error.code not in ANSWERED:
                    raise
        room.mark_read(event.seq)
