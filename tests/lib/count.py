#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what a test runner reports: count.py criterion|meson|junit|tap FILE

Prints `PASSED FAILED SKIPPED`, then a line for each failure. A report that is missing, broken or empty is
an error (status 1, the reason on standard error), so that a runner that ran nothing cannot pass.
"""

import json
import re
import sys
import xml.etree.ElementTree

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SYNTHESIS = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
FAILED_CASE = re.compile(r"^\[(?:FAIL|CRSH)\] (\w+::\w+)", re.MULTILINE)
TAP_FAILURE = re.compile(r"^\s*not ok \d+ -? ?(.*)$", re.MULTILINE)


class Counts:
    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failures = []


def meson_rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def count_meson(path):
    """Tests that are one program each: what Meson says."""
    counts = Counts()
    for row in meson_rows(path):
        if row["result"] == "OK":
            counts.passed += 1
        elif row["result"] == "SKIP":
            counts.skipped += 1
        else:
            counts.failures.append(f"{row['name']}: {row['result']}")
    return counts


def count_criterion(path):
    """Criterion programs run by Meson: the cases in each; a program without a synthesis has crashed."""
    counts = Counts()
    for row in meson_rows(path):
        output = COLOUR.sub("", row.get("stdout", "") + "\n" + row.get("stderr", ""))
        synthesis = SYNTHESIS.search(output)
        if not synthesis or int(synthesis[1]) == 0:
            counts.failures.append(f"{row['name']}: {row['result']}, ran no test to its end")
            continue
        counts.passed += int(synthesis[2])
        failed = int(synthesis[3]) + int(synthesis[4])
        names = [f"{row['name']}: {name}" for name in FAILED_CASE.findall(output)][:failed]
        names += [f"{row['name']}: a failed case"] * (failed - len(names))
        if not names and row["result"] != "OK":
            names = [f"{row['name']}: {row['result']} after its tests"]
        counts.failures += names
    return counts


def count_junit(path):
    counts = Counts()
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '')}: {case.get('name', '')}"
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failures.append(name)
        elif case.find("skipped") is not None:
            counts.skipped += 1
        else:
            counts.passed += 1
    return counts


def count_tap(path):
    """The summary that `node --test` ends with."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    summary = {key: int(number) for key, number in re.findall(r"^# (\w+) (\d+)$", text, re.MULTILINE)}
    counts = Counts()
    counts.passed = summary["pass"]
    counts.skipped = summary["skipped"] + summary["todo"]
    failed = summary["fail"] + summary["cancelled"]
    counts.failures = TAP_FAILURE.findall(text)[:failed]
    counts.failures += ["a failed test"] * (failed - len(counts.failures))
    return counts


KINDS = {"criterion": count_criterion, "meson": count_meson, "junit": count_junit, "tap": count_tap}


def main():
    try:
        counts = KINDS[sys.argv[1]](sys.argv[2])
    except (OSError, ValueError, KeyError, xml.etree.ElementTree.ParseError) as error:
        sys.exit(f"no readable report ({type(error).__name__}: {error})")
    if counts.passed + len(counts.failures) == 0:
        sys.exit("ran no test")
    print(counts.passed, len(counts.failures), counts.skipped)
    for failure in counts.failures:
        print(failure)


if __name__ == "__main__":
    main()
