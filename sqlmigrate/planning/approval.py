"""Who approved a plan: the log knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.model import Location, Problem

if TYPE_CHECKING:
    from sqlmigrate.history.history import History
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.server.connection import Connection

ACTION = "approve"
# An approval is for the history that it saw: what was run, or tried, after it has used it up.
_APPROVERS = """
select distinct db_user, db_user = session_user from {log}
where action = 'approve' and checksum = %(digest)s
  and id > coalesce((select max(id) from {log} where action in ('apply', 'rollback', 'baseline', 'repair')), 0)
  and logged_at > coalesce((select max(began_at) from {runs}), '-infinity')
"""
_HOW = """\
write the plan:      sqlmigrate plan {back}--out plan.json
have it approved:    sqlmigrate approve plan.json      (by somebody with a database role of their own)
then run it:         sqlmigrate {command} --plan plan.json"""


def approved(history: History, file: PlanFile) -> str:
    """The SQL that appends to the log that whoever is connected approves of a plan."""
    return history.records.log_entry(ACTION, name=_summary(file), checksum=file.digest)


def _summary(file: PlanFile) -> str:
    versions = [one["version"] for one in file.essence["files"]]
    return " ".join([file.asked.action.value, *dict.fromkeys([*versions[:1], *versions[-1:]])])


def missing(connection: Connection, history: History, file: PlanFile | None, command: str) -> list[Problem]:
    """What stands in the way of a run that wants an approval: one of another role than the one that runs it."""
    hint = _HOW.format(command=command, back="--rollback --steps 1 " if command == "rollback" else "")
    if file is None:
        return [Problem("not-approved", "this database wants an approved plan", None, hint)]
    place = Location(file.path)
    approvers = _approvers(connection, history, file)
    if False in approvers.values():
        return []
    if approvers:
        own = "the plan was approved only by the role that runs it"
        return [Problem("not-approved", own, place, "have it approved by somebody with a database role of their own")]
    return [Problem("not-approved", "nobody has approved this plan, or it was run since", place, hint)]


def _approvers(connection: Connection, history: History, file: PlanFile) -> dict[str, bool]:
    """Roles that approved, and whether they are the one that is connected."""
    if not history.format or history.outdated:
        return {}
    return dict(connection.rows(history.tables.fill(_APPROVERS), {"digest": file.digest}))
