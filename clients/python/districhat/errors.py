# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, by what it means for the caller."""


class Error(Exception):
    """`code` is stable (docs/protocol.md); `detail` is for people."""

    def __init__(self, code: str, detail: str = ""):
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Refused(Error):
    """For sure: nothing was written, and nothing will be."""


class Unavailable(Error):
    """No answer of use within the time that the caller gave."""


class Unknown(Unavailable):
    """A write that may have been written, or may be yet. Call retry() on it to find out: that never doubles it."""
