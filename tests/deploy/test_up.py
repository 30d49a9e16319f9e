# SPDX-License-Identifier: GPL-3.0-or-later
"""deploy/up: what it starts and says, how it keeps daemons running, how it stops."""

import os
import pty
import signal
import socket
import stat
import subprocess

import pytest
from conftest import ROOT, wait_until

DEFAULT_NODES = ["registry-1", "storaged-1", "roomd-1", "roomd-2", "gateway-1"]


def test_starts_all_and_says_where(up):
    up.start()
    address = (up.run / "address").read_text()
    assert address.startswith("http://127.0.0.1:") and address.endswith("\n")
    assert up.nodes() == DEFAULT_NODES
    assert stat.S_IMODE(up.run.stat().st_mode) == 0o700
    assert (up.run / "bus").read_text() == f"ipc://{up.run}/registry.sock\n"
    status, output = up.end()
    assert status == 0
    assert f"open           {address.strip()}/\n" in output
    assert f"{address.strip()}/register/?invitation=abc_DEF-\n" in output
    assert list(up.run.iterdir()) == []
    assert up.processes() == []


def test_number_of_nodes(up):
    up.start("--gateways", "2", "--roomds=3", "--storageds", "2")
    assert len(up.nodes()) == 8
    assert up.end()[0] == 0
    status, output = up.try_start("--storageds", "1")
    assert status == 1 and "2 storage nodes" in output
    up.start()  # as many as there were
    assert "storaged-2" in up.nodes()
    assert up.end()[0] == 0


def test_stops_in_order(up):
    up.start()
    assert up.end()[0] == 0
    ends = {}
    for node in DEFAULT_NODES:
        line, = (line for line in up.log(node).splitlines() if "event=node.stopped" in line)
        ends[node] = line.split()[0]
    assert ends["gateway-1"] < min(ends["roomd-1"], ends["roomd-2"])
    assert max(ends["roomd-1"], ends["roomd-2"]) < ends["storaged-1"] < ends["registry-1"]


def test_ctrl_c_reaches_the_daemons_in_order_not_at_once(up):
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        up.command(), stdin=side, stdout=side, stderr=side,
        preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0)))
    os.close(side)
    wait_until((up.run / "address").exists, "ready")
    os.write(terminal, b"\x03")
    assert process.wait(20) == 0
    os.close(terminal)
    for node in DEFAULT_NODES:
        assert "event=SIGINT" not in up.log(node) and "event=SIGTERM" in up.log(node)
    assert up.processes() == []


def test_restarts_what_dies(up):
    up.start()
    for node in DEFAULT_NODES:
        pid = up.pid(node)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: up.pid(node) not in (pid, None), f"restart of {node}")
        wait_until(lambda: up.log(node).count("event=ready") == 2, f"{node} ready")
        assert "event=node.died status=137" in up.log(node)
    status, output = up.end()
    assert status == 0
    assert output.count("event=node.died") == len(DEFAULT_NODES)


def test_backs_off(up):
    up.start(ready=False, roomd_2="crash")
    log = up.data / "log" / "roomd-2.log"
    wait_until(lambda: log.exists() and log.read_text().count("event=node.died") >= 4, "four deaths")
    waits = [line.rsplit("restart_in_ms=", 1)[1] for line in log.read_text().splitlines() if "node.died" in line]
    assert waits[:4] == ["200", "400", "800", "1600"]
    up.end()
    assert up.processes() == []


def test_refused_settings_end_the_start(up):
    status, output = up.start(ready=False, roomd_2="settings").wait()
    assert status == 1
    assert "roomd-2 is not ready" in output and "event=node.refused_settings" in output
    assert up.processes() == []


def test_kills_what_does_not_stop(up):
    up.start(roomd_1="hang")
    up.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "event=SIGTERM" in up.log("roomd-1"), "the order to stop")
    pid = up.pid("roomd-1")
    status, output = up.wait()
    assert status == 3
    assert not os.path.exists(f"/proc/{pid}")
    assert "event=node.killed" in up.log("roomd-1")
    assert "event=bye" in up.log("registry-1")


def test_signal_twice_in_a_row_is_still_orderly(up):
    up.start()
    up.process.send_signal(signal.SIGTERM)
    assert up.end()[0] == 0


def test_one_system_a_data_directory(up):
    up.start()
    status, output = up.try_start()
    assert status == 1 and f"already running on {up.data}" in output
    assert up.end()[0] == 0


def test_killed_itself_leaves_nothing_and_starts_again(up):
    up.start()
    pids = [up.pid(node) for node in DEFAULT_NODES]
    up.process.kill()
    up.process.wait()
    status, _ = up.start().end()  # which says so if it had to wait for daemons of the killed one
    assert status == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    assert up.processes() == []


def test_detach_and_down(up):
    status, output = up.try_start("--detach")
    assert status == 0, output
    assert "DistriChat is up." in output and "deploy/down" in output
    down = [ROOT / "deploy" / "down", "--data", up.data]
    assert subprocess.run(down, timeout=30).returncode == 0
    assert up.processes() == []
    assert b"nothing runs" in subprocess.run(down, timeout=30, capture_output=True).stdout
    assert subprocess.run(down[:2], timeout=30, capture_output=True).returncode == 2


def test_works_without_an_environment(up):
    done = subprocess.run(["env", "-i", *up.command("--detach")], timeout=30, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert subprocess.run(["env", "-i", ROOT / "deploy" / "down", "--data", up.data], timeout=30).returncode == 0


def test_path_too_long_for_sockets(up):
    status, output = up.try_start("--data", f"{up.data}/{'x' * 100}")
    assert status == 1 and "bytes too long for Unix sockets" in output


def test_port_in_use(up):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, output = up.try_start("--port", port)
        assert status == 1 and f"port {port} is in use" in output


@pytest.mark.parametrize("options", [["--bogus"], ["--roomds"], ["--roomds", "0"], ["--port", "70000"], ["--port", "x"]])
def test_wrong_usage(up, options):
    status, output = up.try_start(*options)
    assert status == 2 and options[0] in output


def test_help_names_every_option(up):
    status, text = up.try_start("--help")
    assert status == 0
    for option in ("gateways", "roomds", "storageds", "data", "port", "listen", "public-url", "ops-port", "detach",
                   "no-install", "no-build", "build-only", "build-dir"):
        assert f"--{option} " in text
