#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow a room on the bus and answer: follow.py REGISTRY-ADDRESS USER PASSWORD ROOM"""
import itertools, os, sys, msgpack, zmq
address, user, password, room_name = sys.argv[1:]
context, numbers, client = zmq.Context(), itertools.count(1), os.urandom(16)
def ask(socket, kind, **fields):  # kinds and fields: docs/protocol.md
    socket.send(msgpack.packb({"t": kind, "i": next(numbers), "d": 5000, **fields}))
    answer = msgpack.unpackb(socket.recv())
    return answer if answer["t"] != 1 else sys.exit(f"{answer['code']}: {answer.get('detail', '')}")
registry = context.socket(zmq.DEALER)
registry.connect(address)
me = ask(registry, 21, login=user, password=password)  # session_create
room = ask(registry, 34, session=me["session"], label=room_name)  # room_lookup
here = {"session": me["session"], "room": room["room"]}
owner, feed = context.socket(zmq.DEALER), context.socket(zmq.SUB)
owner.connect(room["address"])
feed.connect(room["feed"])
feed.subscribe(room["room"])  # first subscribe, then ask where the room stands
ask(owner, 60, token=me["token"])  # session_open
seq = ask(owner, 66, **here)["seq"]  # room_join
while True:
    event = msgpack.unpackb(feed.recv_multipart()[1]) if feed.poll(1000) else None
    if event and (event["t"] != 90 or event["seq"] <= seq):
        continue  # not an event, or one that is known
    live = event and event["seq"] == seq + 1  # else a gap, or a quiet second: the log is the truth
    for event in [event] if live else ask(owner, 77, after=seq, **here)["events"]:
        seq = event["seq"]
        if event["kind"] == "message" and event["user"] != me["user"]:
            ask(owner, 68, client=client, number=seq, text=f"{event['name']}, I read: {event['text']}", **here)
