"""The order of the files: the migrations in a directory, by version."""

from __future__ import annotations

import os
from itertools import compress, count, pairwise
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.files.listing import HOOKS
from sqlmigrate.files.naming import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# The time to read a file for its schema, as a fraction of the time to lint it.
_READING = 0.35
# A process takes as long to start as this many files take to lint.
_WORTH_IT = 100


class Moment(NamedTuple):
    """A file in the order; a file that is not `linted` is only read for the schema that it creates.

    A file that is not `known` has no migration's name, so that no file precedes it; among migrations it is a `stray`,
    which sqlmigrate refuses. `twin` is another up file of the same version.
    """

    path: str
    down: bool
    linted: bool
    known: bool = True
    twin: str = ""
    stray: bool = False


class Order(NamedTuple):
    """What decides the place of a file."""

    is_last: bool
    version: tuple[int, ...]
    down: bool
    name: str


def timelines(paths: Iterable[str], directories: Sequence[str] = ()) -> Iterator[list[Moment]]:
    """Yields the files in runs, each of which starts from an empty schema.

    A migration's earlier files are those in the given directory that contains it, or else in its own directory; a file
    without a migration's name is a run of its own. A down file follows its up file. A run ends with the last file to
    lint.
    """
    groups: dict[str, set[str]] = {}
    homes: dict[str, str] = {}
    for path in paths:
        if parse_file_name(os.path.basename(path)) is None:
            stray = _is_stray(path, directories)
            yield [Moment(path, down=_looks_down(path), linted=True, known=False, stray=stray)]
            continue
        parent = os.path.dirname(path) or "."
        group = homes[parent] if parent in homes else homes.setdefault(parent, _home(parent, directories))
        groups.setdefault(group, set()).add(path)
    for group, to_lint in groups.items():
        yield _run(_files(group, below=group in directories), to_lint)


def shares(runs: Sequence[list[Moment]], workers: int) -> list[list[list[Moment]]]:
    """Divides the runs among at most this many workers, so that all have about the same amount of work.

    A worker that lints later files also reads all files before them, so each share is smaller than the one before it.
    """
    total = sum(moment.linted for run in runs for moment in run)
    number = max(1, min(workers, total // _WORTH_IT))
    taken = [1 - (1 - _READING) ** worker for worker in range(number + 1)]
    bounds = [round(total * part / taken[-1]) for part in taken]
    return [_share(runs, range(first, last)) for first, last in pairwise(bounds)]


def _share(runs: Iterable[list[Moment]], numbers: range) -> list[list[Moment]]:
    """Returns the runs with only the linted files of these numbers still linted.

    The share with the last linted file of a run has all up files behind it too.
    """
    shares, first = [], 0
    for run in runs:
        end = first + sum(moment.linted for moment in run)
        counted = count(first)
        marked = [moment._replace(linted=moment.linted and next(counted) in numbers) for moment in run]
        has_last = (end - 1 if end > first else 0) in numbers
        if needed := _read(marked) if has_last else _needed(marked):
            shares.append(needed)
        first = end
    return shares


def _read(moments: Iterable[Moment]) -> list[Moment]:
    """Drops the down files that are not linted."""
    return [moment for moment in moments if moment.linted or not moment.down]


def takes_back(moment: Moment, before: Moment) -> bool:
    """Returns whether a file is the down file of the file before it."""
    if not moment.down or before.down:
        return False
    names = [parse_file_name(os.path.basename(file.path)) for file in (moment, before)]
    versions = {name.version for name in names if name is not None}
    return versions != {None} and len(versions) == 1


def _run(existing: Iterable[str], to_lint: set[str]) -> list[Moment]:
    by_path = {os.path.abspath(path): path for path in (*existing, *to_lint)}
    order = {path: _order(path) for path in by_path.values()}
    ordered = sorted(order, key=order.__getitem__)
    twins = _twins(ordered, order)
    return _needed(Moment(path, order[path].down, path in to_lint, twin=twins.get(path, "")) for path in ordered)


def _needed(moments: Iterable[Moment]) -> list[Moment]:
    """Drops the files after the last linted file, and the down files that are not linted."""
    kept = _read(moments)
    last = max((number for number, moment in enumerate(kept) if moment.linted), default=-1)
    return kept[: last + 1]


def _twins(ordered: Sequence[str], order: Mapping[str, Order]) -> dict[str, str]:
    """Maps each up file with the version of another up file to that file."""
    ups = [path for path in ordered if not order[path].down]
    versions = [order[path].version for path in ups]
    same = [bool(first) and first == second for first, second in pairwise(versions)]
    pairs = list(compress(pairwise(ups), same))
    return dict(pairs) | {second: first for first, second in pairs}


def _order(path: str) -> Order:
    name = parse_file_name(os.path.basename(path))
    if name is None:
        return Order(is_last=True, version=(), down=False, name=path)
    return Order(name.version is None, name.version or (), name.direction == "down", name.name)


def _home(parent: str, directories: Sequence[str]) -> str:
    real = os.path.realpath(parent)
    for directory in directories:
        if os.path.commonpath([real, os.path.realpath(directory)]) == os.path.realpath(directory):
            return directory
    return parent


def _is_stray(path: str, directories: Sequence[str]) -> bool:
    parent = os.path.dirname(path) or "."
    home = _home(parent, directories)
    is_hook = os.path.basename(path) in HOOKS and os.path.realpath(parent) == os.path.realpath(home)
    return home in directories and not is_hook and any(_files(home, below=True))


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
