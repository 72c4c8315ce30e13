"""Which files come before which: the migrations that lie in one directory, in the order of their versions."""

from __future__ import annotations

import os
from itertools import count, pairwise
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.files.naming import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

# To read a file for its schema takes so much of the time that it takes to lint it.
_READING = 0.35
# A process of its own takes as long to start as so many files.
_WORTH_IT = 100


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
    homes: dict[str, str] = {}
    for path in paths:
        if parse_file_name(os.path.basename(path)) is None:
            yield [Moment(path, down=_looks_down(path), linted=True, known=False)]
            continue
        parent = os.path.dirname(path) or "."
        group = homes[parent] if parent in homes else homes.setdefault(parent, _home(parent, directories))
        groups.setdefault(group, set()).add(path)
    for group, wanted in groups.items():
        yield _run(_files(group, below=group in directories), wanted)


def shares(runs: Sequence[list[Moment]], workers: int) -> list[list[list[Moment]]]:
    """The runs, divided among so many workers at most that each has about as much to do.

    Whoever lints the later files reads all before them, too: the shares become smaller from one to the next.
    """
    total = sum(moment.linted for run in runs for moment in run)
    number = max(1, min(workers, total // _WORTH_IT))
    taken = [1 - (1 - _READING) ** worker for worker in range(number + 1)]
    bounds = [round(total * part / taken[-1]) for part in taken]
    return [_share(runs, range(first, last)) for first, last in pairwise(bounds)]


def _share(runs: Iterable[list[Moment]], numbers: range) -> list[list[Moment]]:
    """Of the files that are linted only those of these numbers still are."""
    counted = count()
    marked = ([moment._replace(linted=moment.linted and next(counted) in numbers) for moment in run] for run in runs)
    return [needed for run in marked if (needed := _needed(run))]


def without(runs: Iterable[list[Moment]], known: Collection[str]) -> list[list[Moment]]:
    """The runs, as far as they are needed where the findings of some files are known; the others' schema still is."""
    marked = ([moment._replace(linted=moment.linted and moment.path not in known) for moment in run] for run in runs)
    return [needed for run in marked if (needed := _needed(run))]


def takes_back(moment: Moment, before: Moment) -> bool:
    """Whether a file is the down file of the one before it."""
    names = [parse_file_name(os.path.basename(file.path)) for file in (moment, before)] if moment.down else []
    versions = {name.version for name in names if name is not None}
    return len(names) == 2 and versions != {None} and len(versions) == 1 and not before.down


def _run(found: Iterable[str], wanted: set[str]) -> list[Moment]:
    known = {os.path.abspath(path): path for path in found}
    known.update({os.path.abspath(path): path for path in wanted})
    ordered = sorted(known.values(), key=_order)
    twins = _twins(ordered)
    return _needed(Moment(path, _order(path)[2], path in wanted, twin=twins.get(path, "")) for path in ordered)


def _needed(moments: Iterable[Moment]) -> list[Moment]:
    """What there is to look at: nothing behind the last that is linted, and no other down files."""
    kept = [moment for moment in moments if moment.linted or not moment.down]
    last = max((number for number, moment in enumerate(kept) if moment.linted), default=-1)
    return kept[: last + 1]


def _twins(ordered: Sequence[str]) -> dict[str, str]:
    """For each up file whose version another one has, that one."""
    ups = [path for path in ordered if not _order(path)[2]]
    pairs = [
        (first, second) for first, second in pairwise(ups) if _order(first)[1] and _order(first)[1] == _order(second)[1]
    ]
    return dict(pairs) | {second: first for first, second in pairs}


def _order(path: str) -> tuple[bool, tuple[int, ...], bool, str]:
    name = parse_file_name(os.path.basename(path))
    if name is None:
        return True, (), False, path
    return name.version is None, name.version or (), name.direction == "down", name.name


def _home(parent: str, directories: Sequence[str]) -> str:
    real = os.path.realpath(parent)
    for directory in directories:
        if os.path.commonpath([real, os.path.realpath(directory)]) == os.path.realpath(directory):
            return directory
    return parent


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
