"""Gives what nobody has applied a version behind all others: where two have the same, or one comes too late."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import atomic, git, source
from sqlmigrate.files.naming import following, parse_version
from sqlmigrate.model import Location, Migration, Problem, ProblemLevel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlmigrate.files.source import NamedFile
    from sqlmigrate.model import Applied, Version


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be renumbered: the files or versions `named`, or else what has to be.

    `base` is the branch whose files stay, if git is not to find it. With `applied_nowhere` no database is asked, since
    it is known that none has applied what moves.
    """

    named: tuple[str, ...] = ()
    base: str | None = None
    applied_nowhere: bool = False


class Candidate(NamedTuple):
    """A migration on disk, of which several may have one version; `arrived` is None where the base branch lacks it."""

    version: Version
    migration: Migration
    arrived: int | None


class Move(NamedTuple):
    """A migration's files, each with its new path, and its versions."""

    before: Version
    after: Version
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Renumbering:
    """What moves, in the order of the new versions, and what a person should know."""

    moves: tuple[Move, ...]
    problems: tuple[Problem, ...] = ()


def planned(directories: Sequence[str], rows: Sequence[Applied], wanted: Wanted) -> Renumbering:
    """What is to move.

    Args:
        directories: where the migrations are.
        rows: the history.
        wanted: see `Wanted`.

    Raises:
        ConfigurationError: what is named is not there, or git does not know the base branch that was named.
    """
    known = _arrivals(directories, wanted.base)
    candidates = _candidates(source.named_files(directories), known or {})
    applied = {one for one in candidates if _is_applied(one, candidates, {row.id: row for row in rows})}
    if wanted.named:
        moving, problems = _named(candidates, applied, wanted.named)
    else:
        moving, problems = _due(candidates, applied, rows)
        if moving and known is not None:
            moving |= _behind(min(one.version for one in moving), candidates, applied)
    staying = {one.version for one in candidates if one not in moving} | {*_versions(rows)}
    moves = tuple(_moves(sorted(moving, key=_order), staying))
    return Renumbering(
        moves, (*problems, *_overtaken(moves, [one for one in candidates if one not in applied | moving]))
    )


def do(moves: Sequence[Move]) -> None:
    """Renames the files: all of them, or none.

    Raises:
        ConfigurationError: one can't be renamed.
    """
    try:
        # The last one first: a file's new name may be the old one of the next.
        atomic.rename([pair for move in reversed(moves) for pair in move.files])
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be renamed: {error.strerror}") from error


def _arrivals(directories: Sequence[str], base: str | None) -> dict[str, int] | None:
    """When files came to the base branch; None where there is no git, or no such branch."""
    base = base or git.base_branch(directories[0])
    return git.arrivals(directories, base) if base else None


def _candidates(named: Iterable[NamedFile], arrivals: Mapping[str, int]) -> list[Candidate]:
    ups = [one for one in named if one.name.version and one.name.direction != "down"]
    downs = [one for one in named if one.name.version and one.name.direction == "down"]
    made = []
    for one in ups:
        version, name = one.name.version, one.name.name
        alone = sum(other.name.version == version for other in ups) == 1
        own = [other.path for other in downs if other.name.version == version and (alone or other.name.name == name)]
        down = min(own, key=lambda path: os.path.dirname(path) != os.path.dirname(one.path), default=None)
        checksum, _ = source.checksum(one.path)
        migration = Migration(one.name.id, version, name, one.path, checksum, down)
        if version:
            made.append(Candidate(version, migration, arrivals.get(one.path)))
    return made


def _is_applied(one: Candidate, candidates: Sequence[Candidate], rows: Mapping[str, Applied]) -> bool:
    """Whether the history's row is this one's: of several by its text, or its name, and if neither tells each one's."""
    row = rows.get(one.migration.id)
    if row is None:
        return False
    twins = [other.migration for other in candidates if other.version == one.version]
    by_text = [other for other in twins if other.checksum == row.checksum]
    by_name = [other for other in by_text or twins if other.name == row.name]
    return one.migration in (by_name or by_text or twins)


def _named(
    candidates: Sequence[Candidate], applied: set[Candidate], named: Iterable[str]
) -> tuple[set[Candidate], list[Problem]]:
    moving: set[Candidate] = set()
    problems = []
    for text in named:
        found = [one for one in candidates if _is_meant(one, text)]
        if not found:
            raise ConfigurationError(
                f"there is no migration {text!r}", hint="name a file, or a version such as v1.0.0-007"
            )
        if len(found) > 1:
            paths = " or ".join(one.migration.up for one in found)
            raise ConfigurationError(f"{text} is there {len(found)} times", hint=f"name the file: {paths}")
        problems += [_applied(one) for one in found if one in applied]
        moving |= {*found} - applied
    return moving, problems


def _is_meant(one: Candidate, text: str) -> bool:
    if os.path.exists(text):
        paths = [path for path in (one.migration.up, one.migration.down) if path]
        return any(os.path.samefile(text, path) for path in paths)
    try:
        return parse_version(text) == one.version
    except ConfigurationError:
        return False


def _due(
    candidates: Sequence[Candidate], applied: set[Candidate], rows: Iterable[Applied]
) -> tuple[set[Candidate], list[Problem]]:
    """Those that share their version with another one, which stays, and those that are older than what is applied."""
    moving: set[Candidate] = set()
    problems = []
    newest = max((version for version in _versions(row for row in rows if row.success)), default=None)
    for version in sorted({one.version for one in candidates}):
        twins = sorted((one for one in candidates if one.version == version), key=_order)
        staying = [one for one in twins if one in applied] or _first(twins)
        if len(staying) > 1:
            problems.append(_undecided(staying, applied))
            continue
        moving |= {*twins} - {*staying}
        if newest and version < newest and staying[0] not in applied:
            if staying[0].arrived is None:
                moving |= {*staying}
            else:
                problems.append(_late(staying[0]))
    return moving, problems


def _first(twins: Sequence[Candidate]) -> list[Candidate]:
    """Those that came to the base branch before all others: one, unless git can't tell."""
    return [one for one in twins if one.arrived == twins[0].arrived]


def _order(one: Candidate) -> tuple[object, ...]:
    return one.version, one.arrived is None, one.arrived or 0, one.migration.up


def _behind(first: Version, candidates: Iterable[Candidate], applied: set[Candidate]) -> set[Candidate]:
    """What else this branch has brought since, and may be made on what moves: it moves along."""
    return {one for one in candidates if one.version > first and one.arrived is None and one not in applied}


def _versions(rows: Iterable[Applied]) -> Iterator[Version]:
    for row in rows:
        try:
            yield parse_version(row.id)
        except ConfigurationError:  # a repeatable one
            continue


def _moves(moving: Iterable[Candidate], staying: set[Version]) -> Iterator[Move]:
    taken = set(staying)
    for one in moving:
        after = following(taken)
        taken.add(after)
        paths = [path for path in (one.migration.up, one.migration.down) if path]
        yield Move(one.version, after, tuple((path, _renamed(path, after)) for path in paths))


def _renamed(path: str, version: Version) -> str:
    directory, name = os.path.split(path)
    return os.path.join(directory, f"{str(version).upper()}__{name.partition('__')[2]}")


def _applied(one: Candidate) -> Problem:
    hint = "what is applied keeps its version; write a new migration"
    return Problem("applied", f"{one.migration.id} is in the history", Location(one.migration.up), hint)


def _undecided(twins: Sequence[Candidate], applied: set[Candidate]) -> Problem:
    paths = " or ".join(one.migration.up for one in twins)
    why = (
        "the history has another text"
        if twins[0] in applied
        else "none is applied, and git knows none before the other"
    )
    hint = f"name the one to move: sqlmigrate renumber {twins[-1].migration.up}"
    return Problem("undecided", f"{twins[0].migration.id} is {paths}: {why}", Location(twins[-1].migration.up), hint)


def _late(one: Candidate) -> Problem:
    message = f"{one.migration.id} is older than what is applied, but others have it, and may have applied it"
    hint = f"sqlmigrate migrate --out-of-order; or, if nobody has: sqlmigrate renumber {one.migration.up}"
    return Problem("late", message, Location(one.migration.up), hint, ProblemLevel.WARNING)


def _overtaken(moves: Sequence[Move], others: Iterable[Candidate]) -> Iterator[Problem]:
    """What ran behind something that moves, and now runs before it; what others brought knows nothing of it."""
    for one in others:
        passing = [move for move in moves if move.before < one.version < move.after]
        if passing and one.arrived is None:
            message = f"{one.migration.id} now comes before {passing[0].after}"
            hint = "where it needs that one, name it as well"
            yield Problem("overtaken", message, Location(one.migration.up), hint, ProblemLevel.WARNING)
