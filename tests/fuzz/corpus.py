#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the corpus of codec_fuzz from proto/vectors.json: one message of each shape, in both forms."""
import json
import pathlib

NAMES = ["error", "room_send", "event", "room_page", "append", "slot_records", "slot_map", "state", "beacon"]

here = pathlib.Path(__file__).parent
corpus = here / "corpus" / "codec"
corpus.mkdir(parents=True, exist_ok=True)
vectors = json.loads((here.parent.parent / "proto" / "vectors.json").read_text(encoding="utf-8"))
for message in vectors["messages"]:
    if message["name"] in NAMES and message["case"] == "full":
        (corpus / (message["name"] + ".msgpack")).write_bytes(b"m" + bytes.fromhex(message["msgpack"]))
        (corpus / (message["name"] + ".json")).write_bytes(b"j" + message["json"].encode("utf-8"))
