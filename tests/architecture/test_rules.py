# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule fires: a small tree that keeps all of them, and one row for each way to break one."""

import pytest
import rules

SPDX_C = f"/* {rules.SPDX} */\n"
LONG = "int x; /* " + "x" * 100 + " */\n"
HOST = "registry.npm" "js.org"


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(rules, "IMPURE_FILES", {})
    for folder in rules.MAY_INCLUDE:
        write(tmp_path, f"{folder}/noun.h", SPDX_C)
        write(tmp_path, f"{folder}/noun.c", f'{SPDX_C}#include "{folder}/noun.h"\n#include "proto/noun.h"\n')
    write(tmp_path, "services/bus.h", SPDX_C + "#include <uv.h>\n")
    write(tmp_path, "roomd/roomd.c", SPDX_C + '#include "services/bus.h"\n')
    write(tmp_path, "build/x.c", LONG)
    return tmp_path


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_quiet_where_all_is_well(root, rule):
    assert rule(rules.Tree(root)) == []


@pytest.mark.parametrize("rule, path, text", [
    (rules.dependencies_hold, "proto/a.c", '#include "services/noun.h"'),
    (rules.dependencies_hold, "services/a.c", '#include "gateway/noun.h"'),
    (rules.dependencies_hold, "gateway/a.h", '#include "roomd/noun.h"'),
    (rules.dependencies_hold, "gateway/a.h", "#include <roomd/noun.h>"),
    (rules.dependencies_hold, "roomd/a.c", '#  include "cli/noun.h"'),
    (rules.dependencies_hold, "roomd/a.c", '#include "noun.h"'),
    (rules.dependencies_hold, "roomd/a.c", '#include "../proto/noun.h"'),
    (rules.nouns_are_pure, "roomd/room.c", "#include <lmdb.h>"),
    (rules.nouns_are_pure, "gateway/cursor.c", "#include <uv.h>"),
    (rules.nouns_are_pure, "registry/account.c", "#include <time.h>"),
    (rules.nouns_are_pure, "storaged/segment.c", '#include "services/bus.h"'),
    (rules.bus_is_alone, "roomd/roomd.c", "#include <zmq.h>"),
    (rules.bus_is_alone, "cli/main.c", "#include <czmq.h>"),
    (rules.licence_is_named, "roomd/a.c", "int x;"),
    (rules.licence_is_named, "deploy/up", "#!/bin/sh\ntrue"),
    (rules.licence_is_named, "roomd/meson.build", "x = 1"),
    (rules.names_are_nouns, "roomd/utils.c", ""),
    (rules.names_are_nouns, "ui/src/common.ts", ""),
    (rules.lines_fit, "roomd/a.c", LONG),
    (rules.lines_fit, "roomd/a.h", "\t" * 12 + "int xx;"),
    (rules.no_banners, "roomd/a.c", "/*" + "*" * 20 + "/"),
    (rules.no_banners, "deploy/a.sh", "# " + "=" * 20),
    (rules.no_banners, "roomd/a.c", "// " + "-" * 20),
    (rules.no_registry_hosts, "ui/.npmrc", f"registry=https://{HOST}/"),
    (rules.no_registry_hosts, "ui/package-lock.json", '"resolved": "https://example.org/x.tgz",'),
])
def test_fires(root, rule, path, text):
    write(root, path, text + "\n")
    complaints = rule(rules.Tree(root))
    assert len(complaints) == 1, complaints
    assert complaints[0].startswith(path)


@pytest.mark.parametrize("folder", sorted(rules.MAY_INCLUDE))
def test_fires_on_a_folder_without_files(root, folder):
    for file in (root / folder).iterdir():
        file.unlink()
    assert rules.has_files(rules.Tree(root)) == [f"{folder}: no C files found"]


def test_fires_on_an_exception_without_need(root, monkeypatch):
    monkeypatch.setattr(rules, "IMPURE_FILES", {"roomd/noun.c": "?", "roomd/gone.c": "?"})
    assert len(rules.impure_files_exist(rules.Tree(root))) == 2


def test_exceptions_are_excepted(root, monkeypatch):
    write(root, "storaged/store.c", "#include <lmdb.h>\n")
    monkeypatch.setattr(rules, "IMPURE_FILES", {"storaged/store.c": "the store"})
    assert rules.nouns_are_pure(rules.Tree(root)) == []
    assert rules.impure_files_exist(rules.Tree(root)) == []
