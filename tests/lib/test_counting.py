# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/run counts: every kind of report, and every way in which a runner can fail to have run."""

import json
import pathlib
import subprocess

import pytest

LIB = pathlib.Path(__file__).resolve().parent


def meson_row(result="OK", stdout="", stderr="", name="unit"):
    return json.dumps({"name": name, "result": result, "stdout": stdout, "stderr": stderr}) + "\n"


def synthesis(passing, failing=0, crashing=0):
    total = passing + failing + crashing
    return (f"[\x1b[0;34m====\x1b[0m] Synthesis: Tested: \x1b[0;34m{total}\x1b[0m | Passing: \x1b[0;32m{passing}\x1b[0m"
            f" | Failing: \x1b[0;31m{failing}\x1b[0m | Crashing: \x1b[0;31m{crashing}\x1b[0m \n")


def tap(passed, failed=0, cancelled=0):
    return (f"TAP version 13\nnot ok 1 - a bad one\n1..3\n# tests 3\n# pass {passed}\n# fail {failed}\n"
            f"# cancelled {cancelled}\n# skipped 0\n# todo 0\n")


CASE = '<testcase classname="c" name="{}">{}</testcase>'
JUNIT = "<testsuites><testsuite>{}</testsuite></testsuites>"


@pytest.mark.parametrize("kind, report, numbers", [
    ("criterion", meson_row(stderr=synthesis(3)), "3 0 0"),
    ("criterion", meson_row(stderr=synthesis(3)) + meson_row(stdout=synthesis(2)), "5 0 0"),
    ("criterion", meson_row("FAIL", stderr=synthesis(3, 1, 1)), "3 2 0"),
    ("criterion", meson_row("FAIL", stderr=synthesis(3)), "3 1 0"),  # failed after its last test
    ("criterion", meson_row("FAIL", stderr="Segmentation fault"), "0 1 0"),
    ("criterion", meson_row("TIMEOUT"), "0 1 0"),
    ("criterion", meson_row(stderr=synthesis(0)), "0 1 0"),
    ("meson", meson_row() + meson_row("FAIL") + meson_row("SKIP"), "1 1 1"),
    ("junit", JUNIT.format(CASE.format("a", "") + CASE.format("b", "<failure/>") + CASE.format("c", "<error/>")
                           + CASE.format("d", "<skipped/>")), "1 2 1"),
    ("tap", tap(3), "3 0 0"),
    ("tap", tap(1, 1, 1), "1 2 0"),
])
def test_counts(tmp_path, kind, report, numbers):
    file = tmp_path / "report"
    file.write_text(report)
    done = subprocess.run([LIB / "count.py", kind, file], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == numbers
    assert len(lines) - 1 == int(numbers.split()[1])


def test_names_the_failed_cases(tmp_path):
    file = tmp_path / "report"
    file.write_text(meson_row("FAIL", stderr="[\x1b[0;31mFAIL\x1b[0m] bus::times_out: (0.30s)\n" + synthesis(3, 1), name="u / bus"))
    done = subprocess.run([LIB / "count.py", "criterion", file], capture_output=True, text=True, timeout=20)
    assert done.stdout.splitlines() == ["3 1 0", "u / bus: bus::times_out"]


@pytest.mark.parametrize("kind, report", [
    ("criterion", ""), ("criterion", "{"), ("meson", ""), ("junit", ""), ("junit", "<testsuites/>"),
    ("junit", "<testsuites>"), ("tap", ""), ("tap", "TAP version 13\n1..0\n"), ("tap", tap(0)), ("junit", None),
])
def test_nothing_ran(tmp_path, kind, report):
    file = tmp_path / "report"
    if report is not None:
        file.write_text(report)
    done = subprocess.run([LIB / "count.py", kind, file], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and done.stdout == "" and done.stderr


@pytest.mark.parametrize("command, last, status", [
    ("tally_runner l 5 junit $R cp $G $R", "1 passed, 0 failed", 0),
    ("tally_runner l 5 junit $R sh -c 'cp $G $R; exit 3'", "1 passed, 1 failed", 1),
    ("tally_runner l 5 junit $R true", "0 passed, 1 failed", 1),
    ("cp $G $R; tally_runner l 5 junit $R true", "0 passed, 1 failed", 1),  # a report of another run
    ("tally_runner l 1 junit $R sleep 20", "0 passed, 1 failed", 1),
    ("tally_runner l 5 junit $R no-such-command", "0 passed, 1 failed", 1),
    ("tally_check l a 5 true", "1 passed, 0 failed", 0),
    ("tally_check l a 5 false", "0 passed, 1 failed", 1),
    ("tally_check l a 1 sleep 20", "0 passed, 1 failed", 1),
    ("true", "0 passed, 0 failed", 1),
])
def test_tally(tmp_path, command, last, status):
    (tmp_path / "good.xml").write_text(JUNIT.format(CASE.format("a", "")))
    script = f"COUNT={LIB}/count.py LOG_DIR={tmp_path} R={tmp_path}/r G={tmp_path}/good.xml; export R G\n" \
             f". {LIB}/tally.sh\n{command}\ntally_conclude"
    done = subprocess.run(["bash", "-uc", script], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines()[-1] == last, done.stdout + done.stderr
    assert done.returncode == status
