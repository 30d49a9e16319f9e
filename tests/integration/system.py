# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole DistriChat in a directory of its own: deploy/up with free ports, real daemons, real stores.

Tests speak in its few words: start, stop, kill, log lines; whatever must become true is waited for, with an end.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

from waiting import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
UP = ROOT / "deploy" / "up"
START_S = 60
STOP_S = 40


def free_port():
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class System:
    """deploy/up on a temporary directory. Used as a context."""

    def __init__(self, *options, data=None):
        self._temporary = None
        if data is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="dc-", dir="/tmp")
            data = self._temporary.name
        self.data = pathlib.Path(data)
        self.run = self.data / "run"
        self.options = options
        self.held = {}  # node → process id of its keeper, which is stopped
        self.process = None
        self.url = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    def start(self):
        """Start all daemons and wait until the address answers and every node is ready."""
        port = self.url.rsplit(":", 1)[1] if self.url else "0"
        self.output = open(self.data / "up.log", "ab")
        address = self.run / "address"
        address.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [UP, "--no-install", "--no-build", "--data", self.data, "--port", port, *self.options],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        wait_until(self._is_up, START_S, why="deploy/up")
        self.url = address.read_text().strip().rstrip("/")

    def _is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"deploy/up ended:\n{(self.data / 'up.log').read_text()}")
        return (self.run / "address").exists()

    def stop(self):
        """Stop all in order; returns the exit status of deploy/up."""
        if self.process is None:
            return None
        for node in list(self.held):
            self.let_return(node)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_S)
        self.output.close()
        self.process = None
        return status

    @property
    def registry(self):
        """The registry's bus address."""
        return f"ipc://{self.run}/registry.sock"

    def nodes(self):
        """Names of the daemons, such as roomd-1."""
        return sorted(path.stem for path in self.run.glob("*.pid"))

    def pid(self, node):
        return int((self.run / f"{node}.pid").read_text())

    def kill(self, node, number=signal.SIGKILL):
        """Send a signal to a daemon; returns the process id that it had."""
        pid = self.pid(node)
        os.kill(pid, number)
        return pid

    def end(self, node, number=signal.SIGKILL):
        """End a daemon so that it stays away until let_return(): whoever would start it again is stopped."""
        pid = self.pid(node)
        keeper = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(keeper, signal.SIGSTOP)
        self.held[node] = keeper
        os.kill(pid, number)
        return pid

    def let_return(self, node):
        os.kill(self.held.pop(node), signal.SIGCONT)

    def is_running(self, node):
        """Whether the daemon's process runs: it may have ended and wait for its keeper."""
        try:
            state = pathlib.Path(f"/proc/{self.pid(node)}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        return state not in "ZX"

    def wait_restarted(self, node, pid):
        """Wait until `node` runs again, as another process than `pid`, and says that it is ready."""
        wait_until(lambda: self.pid(node) != pid, 30, why=f"restart of {node}")
        new = self.pid(node)
        wait_until(lambda: self._ready_since(node, new), 30, why=f"{node} ready")

    def _ready_since(self, node, pid):
        lines = self.log(node)
        start = max(i for i, line in enumerate(lines) if f"pid={pid}" in line and "event=service.start" in line)
        return any("event=ready" in line for line in lines[start:])

    def log(self, node):
        """The lines that a daemon has logged."""
        return (self.data / "log" / f"{node}.log").read_text(errors="replace").splitlines()

    def ops(self, node):
        """Address of the operations port of a daemon."""
        ports = [m.group(1) for line in self.log(node) if (m := re.search(r"event=ready .*ops_port=(\d+)", line))]
        return f"http://127.0.0.1:{ports[-1]}"

    def resident_bytes(self, node):
        """Memory that a daemon holds."""
        pages = int(pathlib.Path(f"/proc/{self.pid(node)}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
