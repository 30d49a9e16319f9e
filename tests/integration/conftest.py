# SPDX-License-Identifier: GPL-3.0-or-later
"""One system a test module; people, rooms and names are new for each test."""

import itertools

import pytest
from person import Person
from system import System

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
