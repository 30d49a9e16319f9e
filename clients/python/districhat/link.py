# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets to one node: a DEALER for requests, and an XSUB for what it publishes."""

import collections

import zmq

from .codec import LIMITS

HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 5000
RECONNECT_MS = 100
RECONNECT_MAX_MS = 2000
FEED_HWM = 16384  # messages of a feed that wait for this program; beyond, they are dropped and read from the log
ALL_ROOMS = bytes(16)  # topic of beacons, and of all that the registry publishes

SHUT, OPENING, OPEN = "shut", "opening", "open"


def _socket(context: zmq.Context, kind: int, address: str) -> zmq.Socket:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, LIMITS["PROTO_FRAME_BYTES_MAX"])
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    if kind == zmq.XSUB:
        socket.setsockopt(zmq.SNDHWM, 0)  # after a reconnect all subscriptions are sent again, however many
        socket.setsockopt(zmq.RCVHWM, FEED_HWM)
    socket.connect(address)
    return socket


class Link:
    """One node. `session`: whether ours may be used there; what waits for that is in `parked`."""

    def __init__(self, context: zmq.Context, poller: zmq.Poller, address: str):
        self._context = context
        self._poller = poller
        self.address = address
        self.requests = _socket(context, zmq.DEALER, address)
        self.feed: zmq.Socket | None = None
        self.feed_address = ""
        self._topics: collections.Counter[bytes] = collections.Counter()
        self.session = SHUT
        self.session_ends = 0  # wall clock, ms
        self.parked: list = []
        poller.register(self.requests, zmq.POLLIN)

    def subscribe(self, feed_address: str, topic: bytes) -> None:
        """
        XSUB rather than SUB: libzmq 4.3.4's SUB takes the end of one of several subscriptions for the end of all
        when the topic begins with the byte 1.
        """
        if not self.feed:
            self.feed = _socket(self._context, zmq.XSUB, feed_address)
            self.feed_address = feed_address
            self._poller.register(self.feed, zmq.POLLIN)
            self.feed.send(b"\1" + ALL_ROOMS)
        self._topics[topic] += 1
        if self._topics[topic] == 1 and topic != ALL_ROOMS:
            self.feed.send(b"\1" + topic)

    def unsubscribe(self, topic: bytes) -> None:
        self._topics[topic] -= 1
        if self.feed and self._topics[topic] == 0:
            self.feed.send(b"\0" + topic)

    def close_feed(self) -> None:
        if self.feed:
            self._poller.unregister(self.feed)
            self.feed.close()
            self.feed = None

    def close(self) -> None:
        self._poller.unregister(self.requests)
        self.requests.close()
        self.close_feed()
