# SPDX-License-Identifier: GPL-3.0-or-later
"""deploy/up with stand-ins for the daemons, so that each way to fail can be brought about."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("registry", "storaged", "roomd", "gateway")
WAIT_S = 20


def wait_until(what, why):
    """Call `what` until it is true, and return that."""
    end = time.monotonic() + WAIT_S
    while not (value := what()):
        assert time.monotonic() < end, f"{why}: not within {WAIT_S} s"
        time.sleep(0.02)
    return value


class Up:
    """deploy/up on a data directory of its own. Short path: Unix sockets allow no long one."""

    def __init__(self, data, programs):
        self.data = data
        self.run = data / "run"
        self.programs = programs
        self.process = None

    def command(self, *options):
        return [str(ROOT / "deploy" / "up"), "--no-build", "--build-dir", str(self.programs),
                "--data", str(self.data), "--port", "0", *options]

    def start(self, *options, ready=True, **modes):
        """Start it; stand-ins behave as given: roomd_1="hang"."""
        (self.run / "address").unlink(missing_ok=True)  # of one that was killed
        environment = os.environ | {f"STANDIN_{node}": mode for node, mode in modes.items()}
        self.process = subprocess.Popen(self.command(*options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True)
        if ready:
            wait_until(lambda: (self.run / "address").exists() or self.process.poll() is not None, "ready")
        return self

    def try_start(self, *options):
        """Start one that is expected to end; returns (status, output)."""
        done = subprocess.run(self.command(*options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=WAIT_S)
        return done.returncode, done.stdout

    def end(self, number=signal.SIGTERM):
        """Send a signal and wait; returns (status, output)."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        output, _ = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, output

    def nodes(self):
        return [line.split("\t")[0] for line in (self.run / "nodes").read_text().splitlines()]

    def pid(self, node):
        try:
            return int((self.run / f"{node}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def log(self, node):
        return (self.data / "log" / f"{node}.log").read_text()

    def processes(self):
        """Process ids of all that belong to this system: they name its directory."""
        found = []
        for cmdline in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.data).encode() in cmdline.read_bytes():
                    found.append(int(cmdline.parent.name))
            except OSError:
                pass  # ended meanwhile
        return found


@pytest.fixture
def up():
    data = pathlib.Path(tempfile.mkdtemp(prefix="dc-", dir="/tmp"))
    programs = data / "programs"
    for service in SERVICES:
        (programs / service).mkdir(parents=True)
        shutil.copy(pathlib.Path(__file__).with_name("standin.py"), programs / service / service)
        (programs / service / service).chmod(0o755)
    system = Up(data / "d", programs)
    yield system
    for pid in system.processes():
        os.kill(pid, signal.SIGKILL)
    if system.process:
        system.process.communicate()
    shutil.rmtree(data)
