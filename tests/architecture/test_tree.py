# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules hold in this repository."""

import pathlib

import pytest
import rules

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tree():
    return rules.Tree(ROOT)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_rule(tree, rule):
    complaints = rule(tree)
    assert not complaints, "\n" + "\n".join(complaints)
