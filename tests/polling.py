"""The clock of the tests: it ends a wait that would never end, and proves nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

# A busy machine needs seconds for what takes milliseconds on an idle one.
LIMIT = 120


def happens(condition: Callable[[], object]) -> bool:
    """Waits until the condition is true; returns False if it does not become true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def until(condition: Callable[[], object]) -> None:
    """Waits until the condition is true."""
    assert happens(condition), "it did not happen in time"
