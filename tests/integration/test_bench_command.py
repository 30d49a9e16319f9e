# SPDX-License-Identifier: GPL-3.0-or-later
"""`districhat bench`: a small load on a real system, its accounts, and its ways to fail."""

import json
import os
import pathlib
import subprocess

import pytest
from system import ROOT, free_port

PROGRAM = pathlib.Path(os.environ.get("DISTRICHAT_BUILD_DIR", ROOT / "build" / "up")) / "cli" / "districhat"


def bench(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120, check=False)


# Below the 50 messages a second that a connection may send; flat out, what is refused would be told.
@pytest.mark.parametrize("rate, window", [(20, 1), (60, 1)])
def test_every_message_reaches_every_reader(system, rate, window):
    done = bench("bench", "--url", system.url, "--rooms", "3", "--readers", "4", "--senders", "2", f"--rate={rate}",
                 f"--window={window}", "--warm-up=200ms", "--time=1s", "--json",
                 "--pids", ",".join(str(system.pid(node)) for node in system.nodes()))
    assert done.returncode == 0, done.stderr + done.stdout
    row = json.loads(done.stdout)
    assert row["connections"] == 3 * (4 + 2)
    assert row["sent"] >= rate
    assert row["confirmed"] == row["sent"]
    assert row["delivered"] == 4 * row["sent"]
    assert not any(row[name] for name in ("lost", "doubled", "reordered", "refused", "foreign"))
    assert 0 < row["delivery_ms"]["count"] <= row["delivered"]
    assert row["delivery_ms"]["p50"] <= row["delivery_ms"]["p99"] <= row["delivery_ms"]["max"]
    assert row["cpu_us"] > 0
    assert row["memory"] > row["memory_before"] > 0


def test_refusals_are_told(system):
    """Flat out is more than a person may send with default settings."""
    done = bench("bench", "--url", system.url, "--readers=1", "--window=64", "--warm-up=0", "--time=1s", "--json")
    row = json.loads(done.stdout)
    assert done.returncode == 1
    assert row["refused"] > 0
    assert "busy" in row["why"]


@pytest.mark.parametrize("arguments, status, text", [
    (["--help"], 0, "bench"),
    (["bench", "--help"], 0, "--readers"),
    ([], 2, "Usage"),
    (["sing"], 2, 'no subcommand "sing"'),
    (["bench", "--rooms=0"], 2, "wanted a whole number from 1"),
    (["bench", "--rooms=100000", "--readers=1000"], 2, "connections"),
    (["bench", "--url=https://127.0.0.1"], 2, "wanted http://"),
    (["bench", "--pids=me"], 2, "wanted process ids"),
])
def test_usage(arguments, status, text):
    done = bench(*arguments)
    assert done.returncode == status
    assert text in done.stdout + done.stderr


def test_nobody_answers():
    done = bench("bench", f"--url=http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "connect" in done.stderr
