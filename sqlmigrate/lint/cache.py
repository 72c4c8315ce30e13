"""The user's cache: whatever is in it can be made again, and the oldest of it goes."""

from __future__ import annotations

import os
from contextlib import suppress

from sqlmigrate.files import atomic


def place(name: str) -> str:
    """A directory in it, which need not be there."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "sqlmigrate", name)


def keep(path: str, text: str, most: int) -> None:
    """Puts a text there, and leaves so many files beside it at most, the newest."""
    with suppress(OSError):  # a disk that is full, or a directory that is not ours, only costs time
        directory = os.path.dirname(path)
        os.makedirs(directory, exist_ok=True)
        atomic.save(path, text)
        with os.scandir(directory) as entries:
            known = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
        for _, old in known[:-most]:
            os.unlink(old)
