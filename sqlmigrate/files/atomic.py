"""Files out: written beside their place and then put there, so that nobody ever reads half of one."""

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
    """The name of a new file, which takes the place of what `path` leads to when the block ends well, and else goes.

    Raises:
        OSError
    """
    place = os.path.realpath(path)
    # Not the process's id: in containers many have the same. Nothing that is looked for ends in `.part`.
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
    """Puts a text in the place of a file at once; what is no regular file, such as a pipe, is written to.

    Args:
        path: a link is followed.
        text: what it is to say.
        mode: the file's, whatever the umask says; without it what the umask leaves.

    Raises:
        OSError
    """
    if path in _STREAMS or (os.path.exists(path) and not os.path.isfile(path)):
        # Opened by its name, a redirected stream would be cut off and written over.
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
    """Makes new files, in this order: all of them, or none where one is there already or can't be written.

    Raises:
        OSError: `filename` says of which.
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
    """Gives files new names, all or none of them; what is there by a new name is never overwritten.

    Raises:
        OSError: `filename` says of which.
    """
    done: list[tuple[str, str]] = []
    try:
        for old, new in pairs:
            os.close(os.open(new, os.O_CREAT | os.O_EXCL))  # nobody else can have the name now
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
    """Keeps other processes of this machine that hold the directory waiting until the block ends.

    Raises:
        OSError: it is not there.
    """
    opened = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every network file system has such locks
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
