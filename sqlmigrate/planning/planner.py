"""Decides what is to be done. Pure: never raises, and returns every problem, not the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files.naming import parse_version
from sqlmigrate.model import (
    Action,
    Hooks,
    Location,
    Migration,
    MigrationStatus,
    Plan,
    Problem,
    ProblemLevel,
    State,
    Step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmigrate.model import Applied, PlanRequest, Version

# What a row's `action` says of a migration whose file `repair` found missing, and let go.
LET_GO = "missing"
_NO_HOOKS = Hooks()


def statuses(migrations: Sequence[Migration], rows: Iterable[Applied]) -> list[MigrationStatus]:
    """Where each migration stands: files and rows joined, versioned ones in order, then repeatable ones by name."""
    row_of = {row.id: row for row in rows}
    on_disk = {file.id: file.version for file in migrations}
    versions = {row.id: on_disk[row.id] if row.id in on_disk else _version(row.id) for row in row_of.values()}
    newest = max(
        (version for identity, version in versions.items() if version and row_of[identity].success), default=None
    )
    found = []
    for file in migrations:
        row = row_of.get(file.id)
        found.append(MigrationStatus(file.id, file.version, file.name, _state(file, row, newest), file, row))
    lost = [
        MigrationStatus(
            row.id, versions[row.id], row.name, State.MISSING if row.success else _unfinished(row), None, row
        )
        for row in row_of.values()
        if row.id not in on_disk
    ]
    if lost:
        return sorted(found + lost, key=lambda one: (one.version is None, one.version or (), one.id))
    return found


def _version(identity: str) -> Version | None:
    try:
        return parse_version(identity)
    except ConfigurationError:
        return None


def _state(file: Migration, row: Applied | None, newest: Version | None) -> State:
    if row is None:
        late = file.version is not None and newest is not None and file.version < newest
        return State.OUT_OF_ORDER if late else State.PENDING
    if not row.success:
        return _unfinished(row)
    if row.checksum == file.checksum:
        return State.APPLIED
    return State.PENDING if file.version is None else State.CHANGED


def _unfinished(row: Applied) -> State:
    """A rollback that failed before its first statement leaves the migration as it was, which is not to be applied."""
    half_back = row.action == Action.ROLL_BACK.value
    return State.PARTIAL if row.statements_begun or half_back else State.FAILED


def problems(standing: Sequence[MigrationStatus], *, out_of_order: bool = False) -> list[Problem]:
    """What stands in the way of `migrate`, and what a person should know."""
    newest_file = max((one.version for one in standing if one.migration and one.version), default=None)
    return [
        problem
        for one in standing
        if one.state is not State.APPLIED and (problem := _problem(one, newest_file, out_of_order=out_of_order))
    ]


def _problem(one: MigrationStatus, newest_file: Version | None, *, out_of_order: bool) -> Problem | None:
    match one.state:
        case State.CHANGED:
            return Problem(
                "changed",
                f"{one.id} was changed after it was applied",
                _place(one),
                "put the file back and write a new migration; or, if the change is harmless, `sqlmigrate repair`",
            )
        case State.OUT_OF_ORDER if not out_of_order:
            return Problem(
                "out-of-order",
                f"{one.id} is older than what is applied, and is not applied itself",
                _place(one),
                "`sqlmigrate renumber` gives it a newer version; or run `sqlmigrate migrate --out-of-order`",
            )
        case State.MISSING:
            return _missing(one, newest_file)
        case State.FAILED | State.PARTIAL if one.migration is None:
            return Problem("missing", f"{one.id} is unfinished and its file is gone", None, "bring its file back")
        case State.PARTIAL if one.applied and one.applied.action == Action.ROLL_BACK.value:
            return Problem("half-rolled-back", f"{one.id} is rolled back in part", _place(one), _finish_rollback(one))
    return None


def _missing(one: MigrationStatus, newest_file: Version | None) -> Problem | None:
    if one.applied is not None and one.applied.action == LET_GO:
        return None
    if one.version is not None and (newest_file is None or one.version > newest_file):
        message = f"{one.id} is applied and newer than every file here: a newer release was run on this database"
        return Problem(
            "newer", message, None, "nothing to do, if an older release is meant to run here", ProblemLevel.WARNING
        )
    return Problem(
        "missing",
        f"{one.id} is applied but its file is gone",
        None,
        "bring its file back; or, if it is meant to be gone, `sqlmigrate repair`",
    )


def _finish_rollback(one: MigrationStatus) -> str:
    return f"finish it with `sqlmigrate rollback --steps 1`; then {one.id} is pending"


def _place(one: MigrationStatus) -> Location | None:
    return Location(one.migration.up) if one.migration else None


def plan(asked: PlanRequest, standing: Sequence[MigrationStatus], hooks: Hooks) -> Plan:
    """What is to be done for what was asked."""
    if asked.action is Action.ROLL_BACK:
        return plan_rollback(standing, asked.version, asked.steps)
    return plan_apply(standing, asked.version, out_of_order=asked.out_of_order, hooks=hooks)


def plan_apply(
    standing: Sequence[MigrationStatus],
    target: Version | None = None,
    *,
    out_of_order: bool = False,
    hooks: Hooks = _NO_HOOKS,
) -> Plan:
    """What `migrate` does: everything not applied, up to and with the target; without one, repeatable files too.

    Where there is nothing to do, no hook runs.
    """
    found = problems(standing, out_of_order=out_of_order)
    if target is not None and all(one.version != target for one in standing):
        found.append(_unknown(target, "target"))
    steps = [
        Step(one.migration, Action.APPLY, one.applied)
        for one in standing
        if one.migration is not None
        and one.state in (State.PENDING, State.FAILED, State.PARTIAL, State.OUT_OF_ORDER)
        and (target is None or (one.version is not None and one.version <= target))
    ]
    if not steps:
        return Plan((), tuple(found))
    before, after = ([Step(hook, Action.HOOK)] if hook else [] for hook in (hooks.before_migrate, hooks.after_migrate))
    return Plan((*before, *steps, *after), tuple(found), hooks)


def _unknown(version: Version, what: str) -> Problem:
    return Problem(f"unknown-{what}", f"there is no {version}", None, "`sqlmigrate status` lists the versions")


def plan_rollback(standing: Sequence[MigrationStatus], to: Version | None = None, steps: int | None = None) -> Plan:
    """What `rollback` does: back to a version, which stays applied, or the last so many; the newest goes first."""
    undoable = [one for one in reversed(standing) if one.version is not None and _has_effect(one)]
    found: list[Problem] = []
    if to is not None:
        if all(one.version != to for one in undoable):
            found.append(Problem("unknown-version", f"{to} is not applied", None, "`sqlmigrate status` lists what is"))
        undoable = [one for one in undoable if one.version is not None and one.version > to]
    else:
        undoable = undoable[:steps]
    found += [problem for one in undoable if (problem := _no_way_back(one))]
    return Plan(
        tuple(Step(one.migration, Action.ROLL_BACK, one.applied) for one in undoable if one.migration is not None),
        tuple(found),
    )


def _has_effect(one: MigrationStatus) -> bool:
    return one.applied is not None and (one.applied.success or one.state is State.PARTIAL)


def _no_way_back(one: MigrationStatus) -> Problem | None:
    if one.migration is None:
        return Problem("missing", f"{one.id} can't be rolled back: its files are gone", None, "bring its files back")
    if one.state is State.PARTIAL and one.applied and one.applied.action != Action.ROLL_BACK.value:
        hint = "finish it with `sqlmigrate migrate` first"
        return Problem("partial", f"{one.id} is applied in part", _place(one), hint)
    if one.migration.down is None:
        hint = "write its down file, or a new migration that undoes it"
        return Problem("no-down", f"{one.id} can't be rolled back: it has no down file", _place(one), hint)
    return None


def plan_baseline(standing: Sequence[MigrationStatus], version: Version) -> Plan:
    """What `baseline` marks: the version and everything before it that is not applied."""
    found = [] if any(one.version == version and one.migration for one in standing) else [_unknown(version, "version")]
    steps = tuple(
        Step(one.migration, Action.APPLY, one.applied)
        for one in standing
        if one.migration is not None and one.version is not None and one.version <= version and not _is_done(one)
    )
    return Plan(steps, tuple(found))


def _is_done(one: MigrationStatus) -> bool:
    return one.applied is not None and one.applied.success


def lost_migration(row: Applied) -> Migration:
    """A row as a migration, for a log entry about one whose file may be gone."""
    return Migration(row.id, _version(row.id), row.name, "", row.checksum)


def without_down(migrations: Iterable[Migration]) -> list[Problem]:
    """A warning for each versioned migration that can't be taken back."""
    hint = "add a down file, if it can be undone"
    return [
        Problem("no-down", f"{one.id} has no down file", Location(one.up), hint, ProblemLevel.WARNING)
        for one in migrations
        if one.version is not None and one.down is None
    ]
