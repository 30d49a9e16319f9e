# SPDX-License-Identifier: GPL-3.0-or-later
"""The vectors that every client library must pass, and that the library's classes are the protocol's records."""

import base64
import dataclasses
import json
import pathlib

import pytest
from districhat import records
from districhat.codec import TABLE, Fault, pack, unpack

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[2] / "proto" / "vectors.json").read_text("utf-8"))
CASES = [v for v in VECTORS["messages"] if "msgpack" in v]
REFUSED = [v for v in VECTORS["refused"] if "msgpack" in v]


def name(vector):
    return f"{vector['name']} {vector.get('case', '')}".strip()


def as_json(fields, table):
    """Fields in the form that they have in JSON; what is absent is left out."""
    plain = {}
    for field, kind, must, of, _ in table:
        value = fields[field]
        if kind == "list":
            value = [as_json(entry, TABLE["records"][of]) for entry in value]
        elif kind == "id" and value is not None:
            value = value.hex()
        elif kind == "bytes":
            value = base64.b64encode(value).decode()
        if must or value:
            plain[field] = value
    return plain


def meaning(message):
    header = {key: value for key, value in (("i", message["i"]), ("d", message["d"])) if value}
    trace = {"x": message["x"].hex()} if message["x"] else {}
    return {"t": message["t"], **header, **trace, **as_json(message, TABLE["messages"][message["t"]]["fields"])}


def test_there_are_vectors():
    assert len(CASES) > 100 and len(REFUSED) > 30 and len(VECTORS["accepted"]) > 5


@pytest.mark.parametrize("vector", CASES, ids=name)
def test_a_message_is_read_and_written_as_declared(vector):
    data = bytes.fromhex(vector["msgpack"])
    message = unpack(data)
    assert message["t"] == vector["name"]
    assert meaning(message) == json.loads(vector["json"])
    kind = message.pop("t")
    assert pack(kind, **message) == data


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=name)
def test_an_unusual_message_is_accepted(vector):
    assert meaning(unpack(bytes.fromhex(vector["msgpack"]))) == json.loads(vector["json"])


@pytest.mark.parametrize("vector", REFUSED, ids=name)
def test_a_bad_message_is_refused(vector):
    with pytest.raises(Fault) as caught:
        unpack(bytes.fromhex(vector["msgpack"]))
    assert caught.value.code == vector["error"]


@pytest.mark.parametrize("fields, code", [
    ({"text": "x", "colour": "red"}, "malformed"), ({"text": 7}, "wrong_type"), ({"text": "x" * 16385}, "limit"),
    ({"text": "x", "number": -1}, "wrong_type"), ({"text": "x", "room": b"short"}, "bad_value"),
])
def test_what_the_table_does_not_allow_is_not_sent(fields, code):
    with pytest.raises(Fault) as caught:
        pack("room_send", **{"session": bytes(16), "room": bytes(16), "client": bytes(16), "number": 1, **fields})
    assert caught.value.code == code


@pytest.mark.parametrize("kind, record", [
    (records.Event, TABLE["records"]["event"]), (records.Item, TABLE["records"]["item"]),
    (records.Reaction, TABLE["records"]["reaction"]), (records.Member, TABLE["records"]["member"]),
    (records.RoomInfo, TABLE["records"]["room_info"]), (records.Account, TABLE["records"]["account_info"]),
    (records.Opened, TABLE["messages"]["room_opened"]["fields"]), (records.Sent, TABLE["messages"]["room_sent"]["fields"]),
    (records.Page, [["seq"], ["items"], ["more"]]),
], ids=lambda value: getattr(value, "__name__", ""))
def test_classes_have_the_fields_of_the_protocol(kind, record):
    assert {field.name for field in dataclasses.fields(kind)} == {field[0] for field in record}
