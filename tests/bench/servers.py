# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/bench/run puts load on: our system, and its peers. Used as contexts; each ends what it started."""

import os
import pathlib
import socket
import subprocess
import tempfile

from system import System, free_port, wait_until

# A load generator is one address, and writes faster than a person may. All else is default.
RAISED = {"DISTRICHAT_MESSAGES_PER_SECOND": "1000000", "DISTRICHAT_CONNECTIONS_PER_ADDRESS": "100000"}
STOP_S = 20


class Ours:
    """All daemons of deploy/up, on a data directory of its own."""

    name = "ours"

    def __init__(self, build):
        os.environ.update(RAISED)
        os.environ["DISTRICHAT_BUILD_DIR"] = str(build)
        self.program = build / "cli" / "districhat"
        self.system = System()

    def __enter__(self):
        self.system.start()
        return self

    def __exit__(self, *_):
        self.system.__exit__()

    def command(self):
        return [self.program, "bench", "--url", self.system.url]

    def pids(self):
        return [self.system.pid(node) for node in self.system.nodes()]


class Nats:
    """Core NATS, which stores nothing, over WebSocket."""

    name = "nats"

    def __init__(self, build):
        self.program = build / "tests" / "bench" / "peer_bench"
        self.folder = tempfile.TemporaryDirectory(prefix="dc-nats-")
        self.port = free_port()
        self.process = None

    def __enter__(self):
        folder = pathlib.Path(self.folder.name)
        config = folder / "nats.conf"
        config.write_text(f'host: "127.0.0.1"\nport: {free_port()}\nmax_connections: 100000\n'
                          f'websocket {{ host: "127.0.0.1", port: {self.port}, no_tls: true }}\n')
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(["nats-server", "-c", config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        wait_until(self._answers, why="nats-server")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError((pathlib.Path(self.folder.name) / "log").read_text())
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait(STOP_S)
        self.folder.cleanup()

    def command(self):
        return [self.program, "--dialect", "nats", "--address", f"127.0.0.1:{self.port}"]

    def pids(self):
        return [self.process.pid]


PEERS = {"nats": Nats}
