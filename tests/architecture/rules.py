# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of STYLE that a program can check. Each is a function from a tree to a list of complaints.

A complaint is a text `file:line: what is wrong`. The tree is read from disk, without git, so that the
rules can be tried on made-up trees (test_rules.py) and hold in a source archive too.
"""

import pathlib
import re

# Who may include whom: proto <- services <- the daemons and the command. Nothing points the other way.
MAY_INCLUDE = {
    "proto": {"proto"},
    "services": {"proto", "services"},
    "gateway": {"proto", "services", "gateway"},
    "registry": {"proto", "services", "registry"},
    "roomd": {"proto", "services", "roomd"},
    "storaged": {"proto", "services", "storaged"},
    "cli": {"proto", "services", "cli"},
}
DAEMONS = {"gateway", "registry", "roomd", "storaged"}

# What makes a file impure: the bus, the loop, the disk, the network, the clock.
IMPURE_HEADERS = {
    "zmq.h", "czmq.h", "uv.h", "lmdb.h", "libwebsockets.h", "microhttpd.h", "time.h", "sys/socket.h", "pthread.h",
}

# Files of the daemons that may, beside main.c and <daemon>.[ch]; with the reason. Keep it short.
IMPURE_FILES = {
    "gateway/ask.c": "asks other nodes",
    "gateway/ask.h": "asks other nodes",
    "gateway/connection.c": "part of the actor: one browser connection",
    "gateway/connection.h": "part of the actor: one browser connection",
    "gateway/errand.c": "part of the actor: a browser's request on its way",
    "gateway/errand.h": "part of the actor: a browser's request on its way",
    "gateway/feed.c": "follows the rooms",
    "gateway/feed.h": "follows the rooms",
    "gateway/follow.c": "part of the actor: a connection's place in a room",
    "gateway/follow.h": "part of the actor: a connection's place in a room",
    "gateway/http.c": "part of the actor: HTTP requests",
    "gateway/http.h": "part of the actor: HTTP requests",
    "gateway/listener.c": "is the network to others",
    "gateway/listener.h": "is the network to others",
    "gateway/mine.c": "part of the actor: personal logs",
    "gateway/mine.h": "part of the actor: personal logs",
    "gateway/peer.c": "is the network to others",
    "gateway/peer.h": "is the network to others",
    "gateway/peer_http.c": "is the network to others",
    "gateway/peer_websocket.c": "is the network to others",
    "gateway/presence.c": "part of the actor: tells rooms who is here",
    "gateway/presence.h": "part of the actor: tells rooms who is here",
    "gateway/response.c": "writes to the network",
    "gateway/response.h": "writes to the network",
    "gateway/session.c": "part of the actor: asks for and renews sessions",
    "gateway/session.h": "part of the actor: asks for and renews sessions",
    "gateway/upstream.c": "links to other nodes",
    "gateway/upstream.h": "links to other nodes",
    "registry/accounts.c": "part of the actor",
    "registry/nodes.c": "part of the actor",
    "registry/password.c": "hashes in helper threads",
    "registry/password.h": "hashes in helper threads",
    "registry/revocations.c": "part of the actor",
    "registry/rooms.c": "part of the actor",
    "registry/slots.c": "part of the actor",
    "registry/store.h": "is the disk to others",
    "registry/store_lmdb.c": "is the disk to others",
    "registry/wishes.c": "part of the actor",
    "roomd/calls.c": "is the bus to others",
    "roomd/calls.h": "is the bus to others",
    "roomd/daemon.h": "the actor, in several files",
    "roomd/directory.c": "part of the actor",
    "roomd/gate.c": "part of the actor: requests that wait before a slot",
    "roomd/here.c": "part of the actor",
    "roomd/hosted.c": "part of the actor",
    "roomd/job.c": "part of the actor: answers requests",
    "roomd/members.c": "part of the actor",
    "roomd/meters.c": "part of the actor: counts",
    "roomd/notes.c": "part of the actor: calls other nodes",
    "roomd/personal.c": "part of the actor",
    "roomd/reads.c": "part of the actor",
    "roomd/stores.c": "links to stores",
    "roomd/stores.h": "links to stores",
    "roomd/write.c": "part of the actor: publishes",
    "roomd/writes.c": "part of the actor",
    "storaged/bench.c": "measures time",
    "storaged/commit.c": "runs transactions on a helper thread",
    "storaged/commit.h": "belongs to a loop",
    "storaged/kv_lmdb.c": "is the disk",
}

SKIPPED_FOLDERS = {".git", ".cache", "node_modules", "dist", "__pycache__", ".pytest_cache"}
LINE_COLUMNS_MAX = 100
TABLES = {"proto/messages.h", "proto/errors.h"}  # a row a line, however long
TAB_COLUMNS = 8
SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"
SPDX_SUFFIXES = {".c", ".h", ".py", ".sh", ".ts", ".tsx", ".js", ".mjs", ".css"}
MAGNETS = re.compile(r"^(utils?|common|misc|helpers?|stuff)\.\w+$")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
BANNER = re.compile(r"^\s*(/\*|//|#|\*)\s*([-=*#~/])\2{7,}")
# Written in pieces, so that this file does not hold what it forbids.
REGISTRY_HOSTS = re.compile("|".join((
    r"registry\.npm" r"js\.org", r"registry\.yarn" r"pkg\.com", r"deb\.debian" r"\.org", r"pypi" r"\.org",
    r"pythonhosted" r"\.org", r"proxy\.golang" r"\.org", r"crates" r"\.io", r"npm\.pkg\.git" r"hub\.com")))


class Tree:
    """The files of a repository, their texts read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = sorted(self._walk(self.root))
        self._lines = {}

    def _walk(self, folder):
        for path in folder.iterdir():
            if path.is_symlink():
                continue
            if path.is_dir():
                if path.name not in SKIPPED_FOLDERS and not (folder == self.root and path.name.startswith("build")):
                    yield from self._walk(path)
            else:
                yield path.relative_to(self.root)

    def lines(self, path):
        """The lines of a text file; none of a binary one."""
        if path not in self._lines:
            data = (self.root / path).read_bytes()
            self._lines[path] = [] if b"\0" in data else data.decode("utf-8", "replace").splitlines()
        return self._lines[path]

    def c_files(self, folder=None):
        return [p for p in self.files if p.suffix in (".c", ".h") and (folder is None or p.parts[0] == folder)]

    def includes(self, path):
        """(line number, header, whether in quotes) of every #include in a file."""
        found = ((number, INCLUDE.match(line)) for number, line in enumerate(self.lines(path), 1))
        return [(number, match[1] or match[2], bool(match[1])) for number, match in found if match]


def has_files(tree):
    """Every folder of the architecture has C files: a check of nothing cannot fail."""
    return [f"{folder}: no C files found" for folder in MAY_INCLUDE if not tree.c_files(folder)]


def dependencies_hold(tree):
    """proto <- services <- daemons; headers are named from the root of the repository."""
    complaints = []
    for folder, allowed in MAY_INCLUDE.items():
        for path in tree.c_files(folder):
            for number, header, quoted in tree.includes(path):
                target = pathlib.Path(header).parts[0]
                if target in MAY_INCLUDE and target not in allowed:
                    complaints.append(f"{path}:{number}: {folder} must not include {header}")
                elif quoted and target not in MAY_INCLUDE:
                    complaints.append(f"{path}:{number}: name {header} from the root of the repository")
    return complaints


def nouns_are_pure(tree):
    """Files of the daemons reach neither bus, loop, disk, network nor clock, not even through a header."""
    complaints = []
    for daemon in sorted(DAEMONS):
        for path in tree.c_files(daemon):
            if path.stem in ("main", daemon) or path.as_posix() in IMPURE_FILES:
                continue
            complaints += [f"{path}: reaches {way}" for way in _impure_ways(tree, path)]
    return complaints


def _impure_ways(tree, path):
    seen = set()
    waiting = [(path, "")]
    while waiting:
        current, way = waiting.pop()
        for _, header, _ in tree.includes(current):
            if header in seen:
                continue
            seen.add(header)
            if header in IMPURE_HEADERS:
                yield f"<{header}>{way}"
            elif (tree.root / header).exists():
                waiting.append((pathlib.Path(header), f" through {header}"))


def impure_files_exist(tree):
    """The list of exceptions names no file that is gone or has become pure."""
    return [f"{name}: is in IMPURE_FILES without need" for name in IMPURE_FILES
            if pathlib.Path(name) not in tree.files or not list(_impure_ways(tree, pathlib.Path(name)))]


def bus_is_alone(tree):
    """Only services/ talks to ZeroMQ."""
    return [f"{path}:{number}: only services/ may include {header}"
            for folder in sorted(set(MAY_INCLUDE) - {"services"}) for path in tree.c_files(folder)
            for number, header, _ in tree.includes(path) if header in ("zmq.h", "czmq.h")]


def licence_is_named(tree):
    complaints = []
    for path in tree.files:
        first = tree.lines(path)[:2]
        script = bool(first) and first[0].startswith("#!")
        if (script or path.suffix in SPDX_SUFFIXES or path.name == "meson.build") \
                and first and not any(SPDX in line for line in first):
            complaints.append(f"{path}:1: no {SPDX}")
    return complaints


def names_are_nouns(tree):
    return [f"{path}: a file is a noun" for path in tree.files if MAGNETS.match(path.name)]


def lines_fit(tree):
    return [f"{path}:{number}: {columns} columns, more than {LINE_COLUMNS_MAX}"
            for path in tree.c_files() if path.as_posix() not in TABLES
            for number, line in enumerate(tree.lines(path), 1)
            if (columns := len(line.expandtabs(TAB_COLUMNS))) > LINE_COLUMNS_MAX and "://" not in line]


def no_banners(tree):
    return [f"{path}:{number}: a banner comment"
            for path in tree.files if path.suffix in SPDX_SUFFIXES
            for number, line in enumerate(tree.lines(path), 1) if BANNER.match(line)]


def no_registry_hosts(tree):
    return [f"{path}:{number}: names a package registry" for path in tree.files
            for number, line in enumerate(tree.lines(path), 1)
            if REGISTRY_HOSTS.search(line) or (path.name == "package-lock.json" and '"resolved":' in line)]


RULES = (
    has_files, dependencies_hold, nouns_are_pure, impure_files_exist, bus_is_alone, licence_is_named,
    names_are_nouns, lines_fit, no_banners, no_registry_hosts,
)
