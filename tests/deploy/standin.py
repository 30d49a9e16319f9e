#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for a daemon: serves /readyz, and misbehaves as STANDIN_<NODE> in the environment says.

crash: ends with status 1. settings: ends with 2. hang: ignores SIGTERM. unready: never gets ready.
"""

import http.server
import os
import signal
import socket
import sys
import threading


class Ops(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if mode == "unready" else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


def say(event):
    print(f"level=info node={name} event={event} pid={os.getpid()}", file=sys.stderr, flush=True)


def on_signal(number, _):
    say(signal.Signals(number).name)
    if mode != "hang":
        stop.set()


options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name = options["--name"]
mode = os.environ.get("STANDIN_" + name.replace("-", "_"))
stop = threading.Event()
if mode in ("crash", "settings"):
    sys.exit(1 if mode == "crash" else 2)
signal.signal(signal.SIGTERM, on_signal)
signal.signal(signal.SIGINT, on_signal)
host, port = options["--ops"].split(":")
server = http.server.ThreadingHTTPServer((host, int(port)), Ops)
threading.Thread(target=server.serve_forever, daemon=True).start()
if "--listen" in options:
    address, port = options["--listen"].split(":")
    listener = socket.create_server((address, int(port)))
if name == "registry-1":
    with open(options["--data"] + "/invitation", "w", encoding="ascii") as file:
        file.write("abc_DEF-\n")
say("ready")
while not stop.wait(0.1):
    pass
say("bye")
os._exit(0)  # a request that is being served must not disturb the end
