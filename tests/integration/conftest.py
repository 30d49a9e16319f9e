# SPDX-License-Identifier: GPL-3.0-or-later
"""One system a test module; people, rooms and names are new for each test."""

import itertools
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from person import Person  # noqa: E402
from system import System  # noqa: E402

names = itertools.count(1)


@pytest.fixture(scope="module")
def system():
    with System() as running:
        yield running


@pytest.fixture
def person(system):
    """Makes connected people: person("anna"). A number keeps names apart."""
    made = []

    def make(name, connect=True):
        one = Person(system.url, f"{name}-{next(names)}")
        made.append(one)
        return one.connect() if connect else one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def room_name():
    return f"room {next(names)}"
