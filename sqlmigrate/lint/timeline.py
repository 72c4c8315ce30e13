"""Which files come before which: the migrations that lie in one directory, in the order of their versions."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.naming import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Moment(NamedTuple):
    """A file in its order; those that are not `linted` are only read for the schema that they make.

    One that is not `known` is not named like a migration, so that no file is earlier. `twin` is another up file of the
    same version.
    """

    path: str
    down: bool
    linted: bool
    known: bool = True
    twin: str = ""


def timelines(paths: Iterable[str], directories: Sequence[str] = ()) -> Iterator[list[Moment]]:
    """The files to look at, in runs that start from an empty schema each.

    A migration's earlier files are those in the given directory that it lies below, or else in its own; a file that is
    not named like a migration stands alone. A down file comes behind its own up file. A run ends with the last file
    that is to be linted.
    """
    groups: dict[str, set[str]] = {}
    for path in paths:
        if parse_file_name(os.path.basename(path)) is None:
            yield [Moment(path, down=_looks_down(path), linted=True, known=False)]
            continue
        group = _home(path, directories)
        groups.setdefault(group, set()).add(path)
    for group, wanted in groups.items():
        yield _run(_files(group, below=group in directories), wanted)


def takes_back(moment: Moment, before: Moment) -> bool:
    """Whether a file is the down file of the one before it."""
    names = [parse_file_name(os.path.basename(one.path)) for one in (moment, before)] if moment.down else []
    versions = {name.version for name in names if name is not None}
    return len(names) == 2 and versions != {None} and len(versions) == 1 and not before.down


def _run(found: Iterable[str], wanted: set[str]) -> list[Moment]:
    known = {os.path.abspath(path): path for path in found}
    known.update({os.path.abspath(path): path for path in wanted})
    ordered = sorted(known.values(), key=_order)
    twins = _twins(ordered)
    moments = [Moment(path, _order(path)[2], path in wanted, twin=twins.get(path, "")) for path in ordered]
    moments = [moment for moment in moments if moment.linted or not moment.down]
    last = max(number for number, moment in enumerate(moments) if moment.linted)
    return moments[: last + 1]


def _twins(ordered: Sequence[str]) -> dict[str, str]:
    """For each up file whose version another one has, that one."""
    ups = [path for path in ordered if not _order(path)[2]]
    pairs = [(one, two) for one, two in pairwise(ups) if _order(one)[1] and _order(one)[1] == _order(two)[1]]
    return dict(pairs) | {second: first for first, second in pairs}


def _order(path: str) -> tuple[bool, tuple[int, ...], bool, str]:
    name = parse_file_name(os.path.basename(path))
    if name is None:
        return True, (), False, path
    return name.version is None, name.version or (), name.direction == "down", name.name


def _home(path: str, directories: Sequence[str]) -> str:
    real = os.path.realpath(path)
    for directory in directories:
        if os.path.commonpath([real, os.path.realpath(directory)]) == os.path.realpath(directory):
            return directory
    return os.path.dirname(path) or "."


def _files(directory: str, *, below: bool) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith(".sql") and parse_file_name(entry.name):
                yield entry.path
            elif below and entry.is_dir():
                yield from _files(entry.path, below=True)


def _looks_down(path: str) -> bool:
    return os.path.basename(path).lower().endswith((".down.sql", "/down.sql"))
