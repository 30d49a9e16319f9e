# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of the wire protocol as Python values, checked against the protocol's own table.

`protocol.json` is printed from proto/messages.h, so nothing of it is written here a second time. A message is a
dict: its fields, and the header `t` (the name of its type), `i`, `d`, `x`. Ids and bytes are `bytes`. Reading fills
in what the sender left out: False, 0, "", b"", [], and None for an id or an enum.
"""

import json
import pathlib
from typing import Any

import msgpack

TABLE = json.loads(pathlib.Path(__file__).with_name("protocol.json").read_text("utf-8"))
NAMES = {message["number"]: name for name, message in TABLE["messages"].items()}
LIMITS = TABLE["limits"]
ID_BYTES = 16
HEADER = (["i", "uint", False, "", LIMITS["PROTO_NUMBER_MAX"]], ["d", "uint", False, "", LIMITS["PROTO_NUMBER_MAX"]],
          ["x", "id", False, "", 0])
ABSENT = {"bool": False, "uint": 0, "id": None, "text": "", "bytes": b"", "enum": None}
TYPES = {"bool": bool, "uint": int, "id": bytes, "text": str, "bytes": bytes, "enum": str}
MUST_DEFAULT = {**ABSENT, "id": bytes(ID_BYTES)}


class Fault(Exception):
    """Bytes that are no message, or fields that are none of its: `code` is the protocol's."""

    def __init__(self, code: str, detail: str):
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class _Map(list):
    """A map as it came, pairs in order: a doubled key must be seen."""


def pack(kind: str, /, **fields: Any) -> bytes:
    """A message as bytes. Raises Fault for fields that the table does not have or allow."""
    message = TABLE["messages"][kind]
    known = {"i", "d", "x"} | {field[0] for field in message["fields"]}
    if unknown := set(fields) - known:
        raise Fault("malformed", f"{kind} has no {', '.join(sorted(unknown))}")
    return msgpack.packb({"t": message["number"], **_written(HEADER, fields), **_written(message["fields"], fields)})


def _written(table: list, fields: dict) -> dict:
    written = {}
    for name, kind, must, of, most in table:
        value = fields.get(name, MUST_DEFAULT.get(kind) if must else None)
        if kind == "list":
            value = [_written(TABLE["records"][of], entry) for entry in value or []]
        if must or value:
            written[name] = value if kind == "list" else _checked(name, kind, of, most, value)
    return written


def unpack(data: bytes) -> dict[str, Any]:
    """The message in these bytes. Raises Fault."""
    try:
        pairs = msgpack.unpackb(data, raw=False, strict_map_key=False, object_pairs_hook=_Map)
    except (ValueError, msgpack.UnpackException, msgpack.ExtraData) as error:
        raise Fault("malformed", str(error)) from error
    if not isinstance(pairs, _Map):
        raise Fault("malformed", "not a map")
    _check_depth(pairs, 1)
    fields = _dict(pairs)
    if "t" not in fields:
        raise Fault("missing_field", "t")
    number = _checked("t", "uint", "", LIMITS["PROTO_NUMBER_MAX"], fields["t"])
    if number not in NAMES:
        raise Fault("unknown_type", f"no message has the number {number}")
    name = NAMES[number]
    return {"t": name, **_read(HEADER, fields), **_read(TABLE["messages"][name]["fields"], fields)}


def _check_depth(value: Any, depth: int) -> None:
    if isinstance(value, list):
        if depth > LIMITS["PROTO_DEPTH_MAX"]:
            raise Fault("limit", "nested too deeply")
        for entry in value:
            for inner in entry if isinstance(value, _Map) else (entry,):
                _check_depth(inner, depth + 1)


def _dict(pairs: _Map) -> dict[str, Any]:
    fields = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise Fault("malformed", "a key that is no string")
        if key in fields:
            raise Fault("malformed", f"{key} stands twice")
        fields[key] = value
    return fields


def _read(table: list, fields: dict) -> dict[str, Any]:
    read = {}
    for name, kind, must, of, most in table:
        if name not in fields:
            if must:
                raise Fault("missing_field", name)
            read[name] = [] if kind == "list" else ABSENT[kind]
        elif kind == "list":
            read[name] = _read_list(name, of, most, fields[name])
        else:
            read[name] = _checked(name, kind, of, most, fields[name])
    return read


def _read_list(name: str, of: str, most: int, value: Any) -> list:
    if not isinstance(value, list) or isinstance(value, _Map):
        raise Fault("wrong_type", name)
    if len(value) > most:
        raise Fault("limit", f"{name} has more than {most} entries")
    if not all(isinstance(entry, _Map) for entry in value):
        raise Fault("wrong_type", name)
    return [_read(TABLE["records"][of], _dict(entry)) for entry in value]


def _checked(name: str, kind: str, of: str, most: int, value: Any) -> Any:
    if type(value) is not TYPES[kind] or (kind == "uint" and value < 0):
        raise Fault("wrong_type", f"{name}: {type(value).__name__} for {kind}")
    if kind == "id" and len(value) != ID_BYTES:
        raise Fault("bad_value", f"{name} has not {ID_BYTES} bytes")
    if kind == "enum" and value not in TABLE["enums"][of]:
        raise Fault("bad_value", f"{name}: {value}")
    if kind == "uint" and value > most or kind == "text" and len(value.encode()) > most \
            or kind == "bytes" and len(value) > most:
        raise Fault("limit", f"{name}: more than {most}")
    return value
