"""Gives unapplied migrations a version after all others, if two share a version or a version comes too late."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
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
class RenumberRequest:
    """A request to renumber.

    Attributes:
        named: the files or versions to renumber; if empty, all migrations that have to be renumbered.
        base: the branch whose files keep their versions; if None, git finds it.
        applied_nowhere: whether to renumber without reading the history table: no database has applied the migrations.
    """

    named: tuple[str, ...] = ()
    base: str | None = None
    applied_nowhere: bool = False


class Candidate(NamedTuple):
    """A migration on disk; several can have the same version.

    `arrived` is when the base branch got the file, or None if the base branch does not contain it.
    """

    version: Version
    migration: Migration
    arrived: int | None


class Move(NamedTuple):
    """A migration's old and new version, and its files with their new paths."""

    before: Version
    after: Version
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Renumbering:
    """The moves in the order of the new versions, and the problems."""

    moves: tuple[Move, ...]
    problems: tuple[Problem, ...] = ()


def plan(directories: Sequence[str], rows: Sequence[Applied], request: RenumberRequest) -> Renumbering:
    """Decides which migrations to renumber.

    Args:
        directories: the directories of the migrations.
        rows: the rows of the history table.
        request: the request.

    Raises:
        ConfigurationError: a named migration or the named base branch does not exist.
    """
    arrivals = _arrivals(directories, request.base)
    candidates = _candidates(source.named_files(directories), arrivals or {})
    twins = _by_version(candidates)
    row_of = {row.id: row for row in rows}
    applied = {candidate for candidate in candidates if _is_applied(candidate, twins[candidate.version], row_of)}
    if request.named:
        moving, problems = _named(candidates, applied, request.named)
    else:
        moving, problems = _due(twins, applied, rows)
        if moving and arrivals is not None:
            moving |= _behind(min(candidate.version for candidate in moving), candidates, applied)
    staying = [candidate for candidate in candidates if candidate not in moving]
    versions = {candidate.version for candidate in staying} | {*_versions(rows)}
    moves = tuple(_moves(sorted(moving, key=_order), versions))
    others = (candidate for candidate in staying if candidate not in applied)
    return Renumbering(moves, (*problems, *_overtaken(moves, others)))


def do(moves: Sequence[Move]) -> None:
    """Renames all files, or none.

    Raises:
        ConfigurationError: a file cannot be renamed.
    """
    try:
        # The last file first: its old name may be the new name of the file before it.
        atomic.rename([pair for move in reversed(moves) for pair in move.files])
    except OSError as error:
        raise ConfigurationError(f'could not rename file "{error.filename}": {error.strerror}') from error


def _arrivals(directories: Sequence[str], base: str | None) -> dict[str, int] | None:
    """Returns when each file arrived on the base branch; None without git or without a base branch."""
    base = base or git.base_branch(directories[0])
    return git.arrivals(directories, base) if base else None


def _candidates(named: Iterable[NamedFile], arrivals: Mapping[str, int]) -> list[Candidate]:
    files = [*named]
    ups = [file for file in files if file.name.direction != "down"]
    downs: dict[Version | None, list[NamedFile]] = defaultdict(list)
    for file in files:
        if file.name.direction == "down":
            downs[file.name.version].append(file)
    counts = Counter(up.name.version for up in ups)
    candidates = []
    for up in ups:
        version, name = up.name.version, up.name.name
        paths = [file.path for file in downs[version] if counts[version] == 1 or file.name.name == name]
        down = min(paths, key=lambda path: os.path.dirname(path) != os.path.dirname(up.path), default=None)
        if version:
            migration = Migration(up.name.id, version, name, up.path, source.checksum(up.path), down)
            candidates.append(Candidate(version, migration, arrivals.get(up.path)))
    return candidates


def _by_version(candidates: Iterable[Candidate]) -> dict[Version, list[Candidate]]:
    twins: dict[Version, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        twins[candidate.version].append(candidate)
    return twins


def _is_applied(candidate: Candidate, twins: Sequence[Candidate], rows: Mapping[str, Applied]) -> bool:
    """Returns whether the row in the history table belongs to the candidate.

    Of several candidates with the same version, the checksum decides, then the name; otherwise it belongs to all.
    """
    row = rows.get(candidate.migration.id)
    if row is None:
        return False
    by_text = [twin for twin in twins if twin.migration.checksum == row.checksum]
    by_name = [twin for twin in by_text or twins if twin.migration.name == row.name]
    return candidate in (by_name or by_text or twins)


def _named(
    candidates: Sequence[Candidate], applied: set[Candidate], named: Iterable[str]
) -> tuple[set[Candidate], list[Problem]]:
    moving: set[Candidate] = set()
    problems = []
    for text in named:
        matches = [candidate for candidate in candidates if _is_named(candidate, text)]
        if not matches:
            raise ConfigurationError(
                f'migration "{text}" does not exist', hint="name a file, or a version such as v1.0.0-007"
            )
        if len(matches) > 1:
            paths = " or ".join(match.migration.up for match in matches)
            raise ConfigurationError(
                f"{len(matches)} migrations have the version {text}", hint=f"name the file: {paths}"
            )
        problems += [_applied(match) for match in matches if match in applied]
        moving |= {*matches} - applied
    return moving, problems


def _is_named(candidate: Candidate, text: str) -> bool:
    if os.path.exists(text):
        paths = [path for path in (candidate.migration.up, candidate.migration.down) if path]
        return any(os.path.samefile(text, path) for path in paths)
    try:
        return parse_version(text) == candidate.version
    except ConfigurationError:
        return False


def _due(
    candidates: Mapping[Version, Iterable[Candidate]], applied: set[Candidate], rows: Iterable[Applied]
) -> tuple[set[Candidate], list[Problem]]:
    """Returns the migrations to renumber, and the problems.

    Of the migrations that share a version, all but one have to move. A migration that is older than the newest applied
    version has to move, unless the base branch contains it.
    """
    moving: set[Candidate] = set()
    problems = []
    newest = max((version for version in _versions(row for row in rows if row.success)), default=None)
    for version in sorted(candidates):
        twins = sorted(candidates[version], key=_order)
        staying = [twin for twin in twins if twin in applied] or _first(twins)
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
    """Returns the migration that arrived on the base branch first; several if git cannot tell."""
    return [twin for twin in twins if twin.arrived == twins[0].arrived]


def _order(candidate: Candidate) -> tuple[object, ...]:
    return candidate.version, candidate.arrived is None, candidate.arrived or 0, candidate.migration.up


def _behind(first: Version, candidates: Iterable[Candidate], applied: set[Candidate]) -> set[Candidate]:
    """Returns the later migrations of this branch, which move too since they may depend on a moved migration."""
    return {
        candidate
        for candidate in candidates
        if candidate.version > first and candidate.arrived is None and candidate not in applied
    }


def _versions(rows: Iterable[Applied]) -> Iterator[Version]:
    for row in rows:
        try:
            yield parse_version(row.id)
        except ConfigurationError:  # a repeatable migration
            continue


def _moves(moving: Iterable[Candidate], staying: set[Version]) -> Iterator[Move]:
    newest: Iterable[Version] = staying
    for candidate in moving:
        after = following(newest)
        newest = [after]
        paths = [path for path in (candidate.migration.up, candidate.migration.down) if path]
        yield Move(candidate.version, after, tuple((path, _renamed(path, after)) for path in paths))


def _renamed(path: str, version: Version) -> str:
    directory, name = os.path.split(path)
    return os.path.join(directory, f"{str(version).upper()}__{name.partition('__')[2]}")


def _applied(candidate: Candidate) -> Problem:
    hint = "an applied migration keeps its version; write a new migration"
    return Problem(
        "applied", f"{candidate.migration.id} is recorded in the history table", Location(candidate.migration.up), hint
    )


def _undecided(twins: Sequence[Candidate], applied: set[Candidate]) -> Problem:
    paths = " and ".join(twin.migration.up for twin in twins)
    reason = (
        "the row in the history table matches none of them"
        if twins[0] in applied
        else "none is applied, and git does not show which is older"
    )
    hint = f"name the file to renumber: `sqlmigrate renumber {twins[-1].migration.up}`"
    return Problem(
        "undecided",
        f"{paths} have the version {twins[0].migration.id}: {reason}",
        Location(twins[-1].migration.up),
        hint,
    )


def _late(candidate: Candidate) -> Problem:
    message = (
        f"{candidate.migration.id} is older than the newest applied version, but the base branch contains it, "
        "and other databases may have applied it"
    )
    hint = (
        "run `sqlmigrate migrate --out-of-order`; or, if no database has applied it, "
        f"`sqlmigrate renumber {candidate.migration.up}`"
    )
    return Problem("late", message, Location(candidate.migration.up), hint, ProblemLevel.WARNING)


def _overtaken(moves: Sequence[Move], others: Iterable[Candidate]) -> Iterator[Problem]:
    """Yields a warning for each migration of this branch that ran after a moved migration and now runs before it."""
    first = next(iter(moves), None)  # the new versions are after all others
    for candidate in others:
        if first and first.before < candidate.version and candidate.arrived is None:
            message = f"{candidate.migration.id} now runs before {first.after}"
            hint = "if it depends on that migration, renumber it as well"
            yield Problem("overtaken", message, Location(candidate.migration.up), hint, ProblemLevel.WARNING)
