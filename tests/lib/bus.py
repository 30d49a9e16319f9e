# SPDX-License-Identifier: GPL-3.0-or-later
"""A script on the bus: DEALER and SUB sockets, msgpack maps, and the numbers of docs/protocol.md."""

import itertools

import msgpack
import zmq


class Bus:
    """One DEALER to one address."""

    def __init__(self, address, context=None):
        self.context = context or zmq.Context.instance()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(address)
        self.numbers = itertools.count(1)

    def close(self):
        self.socket.close()

    def raw(self, *frames, seconds=5):
        """Send frames as they are; returns the answer, or None if none comes."""
        self.socket.send_multipart(frames)
        return self.receive(seconds)

    def receive(self, seconds=5):
        if not self.socket.poll(int(seconds * 1000)):
            return None
        return msgpack.unpackb(self.socket.recv())

    def send(self, kind, seconds=10, **fields):
        """Send a request by its number; returns the request's own number."""
        number = next(self.numbers)
        self.socket.send(msgpack.packb({"t": kind, "i": number, "d": int(seconds * 1000), **fields}))
        return number

    def ask(self, kind, seconds=10, **fields):
        """Send a request, wait for its answer."""
        number = self.send(kind, seconds, **fields)
        while True:
            answer = self.receive(seconds)
            if answer is None:
                raise TimeoutError(f"no answer to {kind}")
            if answer.get("i") == number:
                return answer
