# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what must become true: nothing sleeps for a fixed time."""

import time


def wait_until(what, seconds=20, every=0.02, why="it"):
    """Call `what` until it gives something true, and return that. A failed try may raise."""
    end = time.monotonic() + seconds
    error = None
    while True:
        try:
            value = what()
            if value:
                return value
        except (OSError, AssertionError, LookupError, ValueError) as caught:  # OSError: TimeoutError too
            error = caught
        if time.monotonic() > end:
            raise TimeoutError(f"{why} did not come true within {seconds} s") from error
        time.sleep(every)
