# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of tests/bench are not part of tests/run: that they start at all is seen here."""

import pathlib
import subprocess

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench"
PROGRAMS = [path.name for path in sorted(BENCH.iterdir())
            if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/python3")]


def test_there_are_some():
    assert "run" in PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_help(name):
    done = subprocess.run([BENCH / name, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage")
