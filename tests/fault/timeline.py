# SPDX-License-Identifier: GPL-3.0-or-later
"""A room's timeline as docs/protocol.md describes it, made from its log: what every page must show."""

MESSAGE_KEYS = ("seq", "time", "kind", "user", "name", "bot", "client", "number", "text", "target", "subject",
                "label", "role", "topic", "access")
EMPTY = (None, "", 0, False, [])


def plain(record):
    """Without what means the same as its absence."""
    return {key: value for key, value in record.items() if value not in EMPTY}


class Timeline:
    """Items by seq; apply the events of a log in order."""

    def __init__(self, texts):
        self.texts = texts  # what messages said whose text the log no longer shows
        self.items = {}
        self.seq = 0

    def apply(self, event):
        self.seq = event["seq"]
        getattr(self, f"_{event['kind']}", self._nothing)(event)

    def text(self, event):
        return event.get("text") or self.texts.get((event.get("client"), event.get("number")), "")

    def _nothing(self, event):
        pass

    def _message(self, event):
        self.items[event["seq"]] = {**{key: event[key] for key in MESSAGE_KEYS if key in event},
                                    "text": self.text(event)}

    _member = _message
    _setting = _message

    def _open_target(self, event):
        item = self.items.get(event.get("target"))
        return item if item and item["kind"] == "message" and not item.get("redacted") else None

    def _edit(self, event):
        if item := self._open_target(event):
            item.update(text=self.text(event), edited=event["seq"], edited_time=event["time"])

    def _redaction(self, event):
        if item := self._open_target(event):
            item.update(text="", reactions=[], redacted=event["seq"])

    def _reaction(self, event):
        if not (item := self._open_target(event)):
            return
        user = {"user": event["user"]}
        reactions = item.setdefault("reactions", [])
        given = next((r for r in reactions if r["emoji"] == event["emoji"]), None)
        has = given is not None and user in given["users"]
        if event.get("remove") and has:
            given["users"].remove(user)
            if not given["users"]:
                reactions.remove(given)
        elif not event.get("remove") and not has:
            if given is None:
                given = {"emoji": event["emoji"], "users": []}
                reactions.append(given)
            given["users"].append(user)

    def shown(self, seq):
        """The item as a page shows it, or None."""
        item = self.items.get(seq)
        if item is None:
            return None
        reactions = [{"emoji": r["emoji"], "count": len(r["users"]), "users": r["users"]}
                     for r in item.get("reactions", [])]
        return plain({**item, "reactions": reactions})
