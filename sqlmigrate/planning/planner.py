"""Decides which migrations a command runs. Pure: never raises, and returns every problem, not only the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.config.suggestion import did_you_mean
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
    RunSummary,
    State,
    Step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmigrate.model import Applied, Holder, PlanRequest, Version

# `action` of the row of a migration whose file was removed on purpose: see `repair`.
FILE_REMOVED = "missing"
_NO_HOOKS = Hooks()
# The problems whose advice is wrong while the run that causes them goes on.
_UNFINISHED = {"half-rolled-back", "partial", "failed"}
_DELETE_ROW = "delete its row from the history table"


def statuses(migrations: Sequence[Migration], rows: Iterable[Applied]) -> list[MigrationStatus]:
    """Joins files and rows: versioned migrations in order, then repeatable ones by name."""
    row_of = {row.id: row for row in rows}
    version_of_file = {file.id: file.version for file in migrations}
    versions = {id_: version_of_file[id_] if id_ in version_of_file else _version(id_) for id_ in row_of}
    newest = max((version for id_, version in versions.items() if version and row_of[id_].success), default=None)
    newest_file = max((file.version for file in migrations if file.version), default=())
    is_older = (newest or ()) > newest_file and any(
        version and row_of[id_].success and row_of[id_].action != FILE_REMOVED and version > newest_file
        for id_, version in versions.items()
    )
    with_file = []
    for file in migrations:
        row = row_of.get(file.id)
        state = _state(file, row, newest, is_older=is_older)
        with_file.append(MigrationStatus(file.id, file.version, file.name, state, file, row))
    without_file = [
        MigrationStatus(
            row.id, versions[row.id], row.name, State.MISSING if row.success else _unfinished(row), None, row
        )
        for row in row_of.values()
        if row.id not in version_of_file
    ]
    return sorted(with_file + without_file, key=_order) if without_file else with_file


def _order(status: MigrationStatus) -> tuple[bool, tuple[int, ...], str]:
    return status.version is None, status.version or (), status.id


def _version(text: str) -> Version | None:
    try:
        return parse_version(text)
    except ConfigurationError:
        return None


def _state(file: Migration, row: Applied | None, newest: Version | None, *, is_older: bool) -> State:
    """Returns the state of a file; `is_older` means that a newer release has migrated the database."""
    if row is None:
        is_late = file.version is not None and newest is not None and file.version < newest
        return State.OUT_OF_ORDER if is_late else State.PENDING
    if row.success and row.checksum == file.checksum:
        return State.APPLIED
    if file.version is None and is_older and row.checksum != file.checksum:
        return State.SUPERSEDED
    if not row.success:
        return _unfinished(row)
    return State.PENDING if file.version is None else State.CHANGED


def _unfinished(row: Applied) -> State:
    """A rollback that failed before its first statement is PARTIAL, not FAILED, so that `migrate` does not apply it."""
    is_rollback = row.action == Action.ROLL_BACK.value
    return State.PARTIAL if row.statements_begun or is_rollback else State.FAILED


def problems(statuses: Sequence[MigrationStatus], *, out_of_order: bool = False) -> list[Problem]:
    """Returns what prevents `migrate`, and what the user should know."""
    newest_file = max((status.version for status in statuses if status.migration and status.version), default=None)
    return [
        problem
        for status in statuses
        if status.state is not State.APPLIED and (problem := _problem(status, newest_file, out_of_order=out_of_order))
    ]


def _problem(status: MigrationStatus, newest_file: Version | None, *, out_of_order: bool) -> Problem | None:
    match status.state:
        case State.CHANGED:
            return Problem(
                "changed",
                f"{status.id} was changed after it was applied",
                _location(status),
                "restore the file and write a new migration; if the change is harmless, run `sqlmigrate repair`",
            )
        case State.OUT_OF_ORDER if not out_of_order:
            return Problem(
                "out-of-order",
                f"{status.id} is not applied, but a newer version is",
                _location(status),
                "run `sqlmigrate renumber` to give it a newer version, or run `sqlmigrate migrate --out-of-order`",
            )
        case State.MISSING:
            return _missing(status, newest_file)
        case State.SUPERSEDED:
            message = f"{status.id} differs from its file, and is not run: a newer release has migrated this database"
            hint = "deploy the newer release, or add a migration that is newer than every applied version"
            return Problem("superseded", message, _location(status), hint, ProblemLevel.WARNING)
        case State.PARTIAL if status.migration is None:
            return _partial_without_file(status)
        case State.PARTIAL if status.applied and status.applied.action == Action.ROLL_BACK.value:
            message = f"{status.id} is partially rolled back"
            return Problem("half-rolled-back", message, _location(status), _finish_rollback(status))
    return None


def while_running(problems: Sequence[Problem], holder: Holder | None) -> list[Problem]:
    """Replaces what is said of unfinished migrations while a run holds the migration lock: it may finish them."""
    if holder is None:
        return list(problems)
    hint = "wait for it to end, and run the command again"
    running = Problem("running", run_in_progress(holder), None, hint)
    return [running, *(problem for problem in problems if problem.code not in _UNFINISHED)]


def run_in_progress(holder: Holder) -> str:
    """Describes the run that holds the migration lock."""
    return f"another run is in progress, in {holder}"


def failures(statuses: Iterable[MigrationStatus]) -> list[Problem]:
    """Returns a problem for each migration that failed or was interrupted while it was applied."""
    return [_failed(status) for status in statuses if status.state is State.FAILED or _is_half_applied(status)]


def _failed(status: MigrationStatus) -> Problem:
    if status.migration is None:
        message, hint = f"{status.id} failed, and its file does not exist", "run `sqlmigrate repair` to delete its row"
        return Problem("failed", message, None, hint, ProblemLevel.WARNING)
    error = status.applied.error_msg if status.applied else ""
    if not error:
        return Problem("failed", f"{status.id} was interrupted", None, "run `sqlmigrate migrate` again: it continues")
    return Problem("failed", f"{status.id} failed: {error}", None, "fix the file, and run `sqlmigrate migrate` again")


def _is_half_applied(status: MigrationStatus) -> bool:
    applied = status.applied
    is_applying = applied is not None and applied.action != Action.ROLL_BACK.value
    return status.state is State.PARTIAL and is_applying and status.migration is not None


def _missing(status: MigrationStatus, newest_file: Version | None) -> Problem | None:
    if status.applied is not None and status.applied.action == FILE_REMOVED:
        return None
    if status.version is not None and (newest_file is None or status.version > newest_file):
        message = f"{status.id} is applied and newer than every file: a newer release has migrated this database"
        hint = "ignore this if an older release is meant to use this database"
        return Problem("newer", message, None, hint, ProblemLevel.WARNING)
    return Problem(
        "missing",
        f"{status.id} is applied, but its file does not exist",
        None,
        "restore its file; if the file was removed on purpose, run `sqlmigrate repair`",
    )


def _partial_without_file(status: MigrationStatus) -> Problem:
    """A failed migration of which nothing is left needs no file; this one is committed in part."""
    if status.applied and status.applied.action == Action.ROLL_BACK.value:
        message = f"{status.id} is partially rolled back, but its files do not exist"
        hint = f"restore its files, and {_finish_rollback(status)}; or roll back the rest by hand, and {_DELETE_ROW}"
    else:
        message = f"{status.id} is partially applied, but its file does not exist"
        hint = f"restore its file, and run `sqlmigrate migrate`; or undo the committed part by hand, and {_DELETE_ROW}"
    return Problem("missing", message, None, hint)


def _finish_rollback(status: MigrationStatus) -> str:
    return f"finish the rollback with `sqlmigrate rollback --steps 1`; {status.id} is then pending"


def _location(status: MigrationStatus) -> Location | None:
    return Location(status.migration.up) if status.migration else None


def plan(request: PlanRequest, statuses: Sequence[MigrationStatus], hooks: Hooks) -> Plan:
    """Returns the plan for a request."""
    if request.action is Action.ROLL_BACK:
        return plan_rollback(statuses, request.version, request.steps)
    return plan_apply(statuses, request.version, out_of_order=request.out_of_order, hooks=hooks)


def plan_apply(
    statuses: Sequence[MigrationStatus],
    target: Version | None = None,
    *,
    out_of_order: bool = False,
    hooks: Hooks = _NO_HOOKS,
) -> Plan:
    """Plans `migrate`: everything that is not applied, up to and including the target.

    Repeatable migrations run only without a target. Hooks run only if a migration runs.
    """
    found = problems(statuses, out_of_order=out_of_order)
    if target is not None and all(status.version != target for status in statuses):
        found.append(unknown_version(target, statuses, "target"))
    steps = [
        Step(status.migration, Action.APPLY, status.applied)
        for status in statuses
        if status.migration is not None
        and status.state in (State.PENDING, State.FAILED, State.PARTIAL, State.OUT_OF_ORDER)
        and (target is None or (status.version is not None and status.version <= target))
    ]
    if not steps:
        return Plan((), tuple(found))
    before, after = ([Step(hook, Action.HOOK)] if hook else [] for hook in (hooks.before_migrate, hooks.after_migrate))
    return Plan((*before, *steps, *after), tuple(found), hooks)


def summary_after(statuses: Sequence[MigrationStatus], steps: Sequence[Step], duration_ms: int) -> RunSummary:
    """Returns where steps leave the database; `statuses` are those before them."""
    changed = {step.migration.id: step for step in steps}
    has_rolled_back = any(step.action is Action.ROLL_BACK for step in steps)
    pending = {step.migration.id for step in plan_apply(statuses).steps}
    applied = {status.id for status in statuses if status.applied and status.applied.success}
    pending, applied = (
        (pending | changed.keys(), applied - changed.keys())
        if has_rolled_back
        else (pending - changed.keys(), applied | changed.keys())
    )
    versions = (status.version for status in statuses if status.version and status.id in applied)
    return RunSummary(max(versions, default=None), len(pending), duration_ms)


def unknown_version(version: Version, statuses: Iterable[MigrationStatus], role: str = "version") -> Problem:
    """Returns the problem of a version that no file and no row has, with the closest one that exists."""
    message = f"version {version} does not exist"
    return Problem(f"unknown-{role}", message, None, _closest_version(version, statuses, "versions"))


def _closest_version(version: Version, statuses: Iterable[MigrationStatus], names: str) -> str:
    close = did_you_mean(str(version), [status.id for status in statuses if status.version])
    return f"{close} `sqlmigrate status` lists the {names}" if close else f"run `sqlmigrate status` to list the {names}"


def plan_rollback(statuses: Sequence[MigrationStatus], to: Version | None = None, steps: int | None = None) -> Plan:
    """Plans `rollback`, newest first: to a version, which stays applied, or the last N migrations."""
    candidates = [status for status in reversed(statuses) if status.version is not None and _has_effect(status)]
    found: list[Problem] = []
    if to is not None:
        if all(status.version != to for status in candidates):
            hint = _closest_version(to, candidates, "applied versions")
            found.append(Problem("unknown-version", f"version {to} is not applied", None, hint))
        candidates = [status for status in candidates if status.version is not None and status.version > to]
    else:
        candidates = candidates[:steps]
    found += [problem for status in candidates if (problem := _no_way_back(status))]
    return Plan(
        tuple(
            Step(status.migration, Action.ROLL_BACK, status.applied)
            for status in candidates
            if status.migration is not None and status.migration.down is not None
        ),
        tuple(found),
    )


def plan_redo(migrations: Sequence[Migration], rows: Sequence[Applied], steps: int, hooks: Hooks) -> tuple[Plan, Plan]:
    """Plans `redo`: the rollback of the last migrations, and a run that applies these and no others."""
    back = plan_rollback(statuses(migrations, rows), None, steps)
    redone = {step.migration.id for step in back.steps}
    left = statuses(migrations, [row for row in rows if row.id not in redone])
    forth = plan_apply(left, out_of_order=True, hooks=hooks)
    again = [step for step in forth.steps if step.action is Action.HOOK or step.migration.id in redone]
    return back, forth._replace(steps=tuple(again) if redone else ())


def _has_effect(status: MigrationStatus) -> bool:
    return status.applied is not None and (status.applied.success or status.state is State.PARTIAL)


def _no_way_back(status: MigrationStatus) -> Problem | None:
    if status.migration is None:
        message = f"cannot roll back {status.id}: its files do not exist"
        return Problem("missing", message, None, "restore its files")
    if status.state is State.PARTIAL and status.applied and status.applied.action != Action.ROLL_BACK.value:
        message = f"cannot roll back {status.id}: it is partially applied"
        return Problem("partial", message, _location(status), "finish it with `sqlmigrate migrate` first")
    if status.migration.down is None:
        message = f"cannot roll back {status.id}: it has no down file"
        hint = "write a down file, or a new migration that reverts the change"
        return Problem("no-down", message, _location(status), hint)
    return None


def plan_baseline(statuses: Sequence[MigrationStatus], version: Version) -> Plan:
    """Plans `baseline`: the version and every earlier version that is not applied."""
    exists = any(status.version == version and status.migration for status in statuses)
    steps = tuple(
        Step(status.migration, Action.APPLY, status.applied)
        for status in statuses
        if status.migration is not None
        and status.version is not None
        and status.version <= version
        and not (status.applied and status.applied.success)
    )
    return Plan(steps, () if exists else (unknown_version(version, statuses),))


def migration_of(row: Applied) -> Migration:
    """Returns a row as a migration whose file may not exist, for a log entry."""
    return Migration(row.id, _version(row.id), row.name, "", row.checksum)


def without_down(migrations: Iterable[Migration]) -> list[Problem]:
    """Returns a warning for each versioned migration without a down file."""
    hint = "add a down file if the migration can be undone"
    return [
        Problem("no-down", f"{file.id} has no down file", Location(file.up), hint, ProblemLevel.WARNING)
        for file in migrations
        if file.version is not None and file.down is None
    ]
