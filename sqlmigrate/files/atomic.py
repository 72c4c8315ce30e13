"""Writes files atomically: to a temporary file in the same directory, which then replaces the target."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


@contextmanager
def replaced(path: str, mode: int = 0o666) -> Iterator[str]:
    """Yields the name of a new file, which replaces `path` at the end of the block and is removed after an error.

    Raises:
        OSError
    """
    place = os.path.realpath(path)
    # Not the process id, which is the same in many containers. No file that sqlmigrate reads ends in `.part`.
    part = f"{place}.{os.urandom(4).hex()}.part"
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        yield part
        os.replace(part, place)
    except BaseException:
        with suppress(OSError):
            os.remove(part)
        raise


def save(path: str, text: str, mode: int | None = None) -> None:
    """Replaces the content of a file atomically; writes directly to a pipe or a device.

    Args:
        path: The file; links are followed.
        text: The new content.
        mode: The mode of the file, regardless of the umask; by default the umask applies.

    Raises:
        OSError
    """
    if path in _STREAMS or (os.path.exists(path) and not os.path.isfile(path)):
        # Opening a redirected stream by its name would truncate its file.
        with open(_STREAMS.get(path, path), "w", encoding="utf-8", closefd=path not in _STREAMS) as stream:
            stream.write(text)
        return
    with replaced(path) as part, open(part, "w", encoding="utf-8") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def create(texts: Mapping[str, str]) -> None:
    """Creates new files, in this order: all of them, or none if a file exists or cannot be written.

    Raises:
        OSError: `filename` is the file concerned.
    """
    made: list[str] = []
    try:
        for path, text in texts.items():
            with open(path, "x", encoding="utf-8", newline="\n") as file:
                made.append(path)
                file.write(text)
    except BaseException:
        for path in made:
            os.remove(path)
        raise


def rename(pairs: Sequence[tuple[str, str]]) -> None:
    """Renames all files or none of them; never overwrites an existing file.

    Raises:
        OSError: `filename` is the file concerned.
    """
    done: list[tuple[str, str]] = []
    try:
        for old, new in pairs:
            os.close(os.open(new, os.O_CREAT | os.O_EXCL))  # reserves the name
            try:
                os.replace(old, new)
            except BaseException:
                os.remove(new)
                raise
            done.append((old, new))
    except BaseException:
        for old, new in reversed(done):
            os.replace(new, old)
        raise


@contextmanager
def held(directory: str) -> Iterator[None]:
    """Locks a directory; other processes on this host that lock it wait until the block ends.

    Raises:
        OSError: The directory does not exist.
    """
    opened = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems do not support flock
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
