"""Records who approved a plan in the log, and checks the approval before the plan is run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sqlmigrate.model import Location, Problem
from sqlmigrate.planning.plan_history import approvals, moment

if TYPE_CHECKING:
    from sqlmigrate.history.history import History
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.server.connection import Connection

# An approval holds for the history that its author saw: it expires with the next run, even a failed one.
_APPROVERS = """
select distinct db_user, db_user = session_user from {log}
where action = 'approve' and checksum = %(digest)s
  and id > coalesce((select max(id) from {log} where action in ('apply', 'rollback', 'baseline', 'repair')), 0)
  and logged_at > coalesce((select max(began_at) from {runs}), '-infinity')
"""
_OTHER_ROLE = "let a user with another database role approve it"
_WRITE = "write the plan:       sqlmigrate plan {rollback}--out plan.json\n"
_APPROVE = """\
let it be approved:   sqlmigrate approve {path}      (by a user with another database role)
run it:               sqlmigrate {command} --plan {path}"""


def log_entry(history: History, file: PlanFile) -> str:
    """Returns the SQL that logs that the connected role approves a plan."""
    return history.records.log_entry("approve", name=_summary(file), checksum=file.digest)


def _summary(file: PlanFile) -> str:
    versions = [planned["version"] for planned in file.inputs["files"]]
    return f"{file.request.action.value} {' to '.join(dict.fromkeys([*versions[:1], *versions[-1:]]))}"


def problems(connection: Connection, history: History, file: PlanFile | None, command: str) -> list[Problem]:
    """Returns what forbids a run that requires the approval of a role other than its own."""
    if file is None:
        hint = _WRITE.format(rollback="--rollback --steps 1 " * (command == "rollback"))
        hint += _APPROVE.format(path="plan.json", command=command)
        return [Problem("not-approved", "this database requires an approved plan", None, hint)]
    location, hint = Location(file.path), _APPROVE.format(path=shlex.quote(file.path), command=command)
    approvers = _approvers(connection, history, file)
    if False in approvers.values():
        return []
    if approvers:
        message = "the plan was approved only by the role that runs it"
        return [Problem("not-approved", message, location, _OTHER_ROLE)]
    if expired := [approval for approval in approvals(connection, history, file) if approval.has_expired]:
        role, at, _ = expired[-1]
        message = f"the approval by {role} at {moment(at)} has expired: a run has started since"
        return [Problem("not-approved", message, location, hint)]
    return [Problem("not-approved", "the plan was not approved, or not since the last run", location, hint)]


def _approvers(connection: Connection, history: History, file: PlanFile) -> dict[str, bool]:
    """Returns the roles that approved the plan, and whether each of them is the connected role."""
    if not history.format or history.outdated:
        return {}
    return dict(connection.rows(history.tables.fill(_APPROVERS), {"digest": file.digest}))
