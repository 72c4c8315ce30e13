"""What the log says about a plan: its earlier runs, and its approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.model import Action, Location, Problem
from sqlmigrate.planning.plan_file import PLAN_AGAIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmigrate.history.history import History
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.server.connection import Connection

_NEXT = "nothing of it is left to run; for other changes, create a new plan: `sqlmigrate plan --out FILE`"
# A role that only approves may read the log, but not the table of runs.
_LAST_ENTRIES = """
select distinct on (version) version, checksum, outcome, logged_at, db_user, error_msg from {log}
where action = %(action)s and version = any(%(versions)s) and logged_at >= %(since)s
order by version, id desc
"""
_APPROVALS = """
select db_user, logged_at,
       id < coalesce((select max(id) from {log} where action in ('apply', 'rollback', 'baseline', 'repair')), 0)
from {log} where action = 'approve' and checksum = %(digest)s order by id
"""


class Approval(NamedTuple):
    """Who approved a plan, and when; it has expired if a run has started since."""

    role: str
    at: datetime
    has_expired: bool


class _LastEntry(NamedTuple):
    """The last log entry of a migration since the plan was made."""

    version: str
    checksum: str
    outcome: str
    logged_at: datetime
    db_user: str
    error_msg: str


def approvals(connection: Connection, history: History, file: PlanFile) -> list[Approval]:
    """Returns the approvals of a plan, oldest first."""
    if not history.format:
        return []
    rows = connection.rows(history.tables.fill(_APPROVALS), {"digest": file.digest})
    return [Approval(*row) for row in rows]


def notes(connection: Connection, history: History, file: PlanFile) -> list[str]:
    """Returns what an approver should know about a plan that is up to date."""
    run, _ = _earlier_run(connection, history, file)
    given = [
        f"approved by {approval.role} at {moment(approval.at)}"
        + ("; this approval has expired" if approval.has_expired else "")
        for approval in approvals(connection, history, file)
    ]
    return [*filter(None, [run]), *given]


def explained(
    changes: Sequence[Problem], connection: Connection, history: History, file: PlanFile
) -> Sequence[Problem]:
    """Returns why a plan is out of date: that it has been run, if it has, instead of what the run changed."""
    run, is_complete = _earlier_run(connection, history, file) if changes else ("", False)
    if not run:
        return changes
    if is_complete:
        return [Problem("plan-outdated", run, Location(file.path), _NEXT)]
    return [Problem("plan-outdated", run, Location(file.path), PLAN_AGAIN), *changes]


def moment(at: datetime) -> str:
    """Returns a point in time as messages show it."""
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"


def _earlier_run(connection: Connection, history: History, file: PlanFile) -> tuple[str, bool]:
    """Returns what became of the plan's migrations since the plan was made, and whether all of them were run."""
    action = file.request.action
    planned = [step for step in file.inputs["files"] if step["action"] == action.value]
    checksums = {step["version"]: step["checksum"] for step in planned}
    if not history.format or file.origin is None or not checksums:
        return "", False
    values = {"action": action.value, "versions": [*checksums], "since": file.origin.made_at}
    found = [_LastEntry(*row) for row in connection.rows(history.tables.fill(_LAST_ENTRIES), values)]
    # The log has the checksum of the up file, also for a rollback, and none for a run that was killed.
    entries = [
        entry for entry in found if action is Action.ROLL_BACK or entry.checksum in ("", checksums[entry.version])
    ]
    return _outcome(entries, len(planned)), bool(entries) and _count_done(entries) == len(planned)


def _count_done(entries: Sequence[_LastEntry]) -> int:
    return sum(entry.outcome == "success" for entry in entries)


def _outcome(entries: Sequence[_LastEntry], number: int) -> str:
    if not entries:
        return ""
    last, done = max(entries, key=lambda entry: entry.logged_at), _count_done(entries)
    when = f"at {moment(last.logged_at)} by {last.db_user}"
    failed = [f"; {entry.version} failed: {_first_line(entry)}" for entry in entries if entry.outcome != "success"]
    if done == number:
        return f"this plan was run {when}"
    if done:
        was = "was" if done == 1 else "were"
        return "".join([f"{done} of {number} migrations of this plan {was} run {when}", *failed])
    return "".join([f"a run of this plan failed {when}", *failed])


def _first_line(entry: _LastEntry) -> str:
    return entry.error_msg.partition("\n")[0]
