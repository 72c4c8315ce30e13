"""A run from its plan to its end: permitted, locked, executed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmigrate.errors import PlanRefused
from sqlmigrate.files import source
from sqlmigrate.model import Action, Plan, Run
from sqlmigrate.planning import planner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.execution.prepared import Work
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.history.history import History
    from sqlmigrate.model import Applied, Backup, Migration, PlanRequest, Problem, Step
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.lock import Lock
    from sqlmigrate.server.session import Session
    from sqlmigrate.target import Target

# The executor and all that it needs are imported where something is to be run: a run with nothing to do is started
# often, and is kept as quick as reading the files and the rows allows.


def plan_for(asked: PlanRequest, found: MigrationFiles, rows: list[Applied]) -> Plan:
    """The plan for what is on disk and in the history; problems of the files come first."""
    planned = planner.plan(asked, planner.statuses(found.migrations, rows), found.hooks)
    return replace(planned, problems=(*found.problems, *planned.problems))


def checked(plan: Plan) -> Plan:
    """The plan, if nothing stands in its way.

    Raises:
        PlanRefused
    """
    if plan.errors:
        raise PlanRefused(plan.errors)
    return plan


class Runner:
    """Runs what is asked for against one target."""

    def __init__(self, target: Target, settings: Settings, on_event: Callable[[Event], None]) -> None:
        self._target = target
        self._settings = settings
        self._on_event = on_event

    def run(self, asked: PlanRequest, file: PlanFile | None = None) -> Run:
        """Plans without the lock; where there is something to do, takes it, plans again and runs.

        Args:
            asked: what is to be done.
            file: the plan that it must be, to the letter.

        Raises:
            PlanRefused, LockNotAvailable, MigrationFailed
        """
        found = source.find(self._settings.dir)
        with self._target.opened() as (connection, history):
            rows = history.rows()
            planned = plan_for(asked, found, rows)
            if not planned.steps and not history.outdated and file is None:
                return Run((), checked(planned).problems)
            from sqlmigrate.execution.prepared import load

            work = load(planned, pooled=history.pooled)
            self._permit(connection, history, planned, rows, file)
            if file is not None:
                from sqlmigrate.planning.review import misleading

                checked(Plan((), tuple(misleading(file, planned))))
            self._heed(planned)
            session = self._target.session(connection, history)
            with self._target.lock(connection, history, session) as (lock, rows):
                again = plan_for(asked, found, rows)
                if again != planned:
                    work = load(again, pooled=history.pooled)
                    self._heed(again)
                self._permit(connection, history, again, rows, file)
                with self._backed_up(connection, again.migrations) as backup:
                    history.create()
                    if work:
                        self._execute(connection, session, history, lock, work, again.hooks.after_error)
            return Run(again.migrations, again.problems, backup)

    def _permit(
        self, connection: Connection, history: History, plan: Plan, rows: list[Applied], file: PlanFile | None
    ) -> None:
        """Refuses a plan file that does not hold any more, and a run that wants an approval and has none.

        It comes behind `load`: what changes in a file after that is found while it is sent.
        """
        problems: list[Problem] = []
        if file is not None:
            from sqlmigrate.planning import plan_file

            now = plan_file.essence(plan, plan_file.identity(connection), str(self._target.table), rows)
            problems += plan_file.outdated(file, now)
        if self._settings.require_approval and plan.steps:
            from sqlmigrate.planning import approval

            back = any(step.action is Action.ROLL_BACK for step in plan.steps)
            problems += approval.missing(connection, history, file, "rollback" if back else "migrate")
        if problems:
            raise PlanRefused(problems)

    def _heed(self, plan: Plan) -> None:
        """Refuses what the linter finds too bad."""
        if self._settings.lint_level != "off":
            from sqlmigrate.planning.lint_gate import refuse  # most runs do not lint

            refuse(plan, self._settings)

    def _backed_up(self, connection: Connection, steps: Sequence[Step]) -> AbstractContextManager[Backup | None]:
        if not self._settings.backup or not steps:
            return nullcontext()
        from sqlmigrate.execution.backup import backed_up

        directory, keep = self._settings.backup, self._settings.backup_keep
        return backed_up(connection, directory, keep, steps[0].migration.id, self._on_event)

    def _execute(
        self,
        connection: Connection,
        session: Session,
        history: History,
        lock: Lock,
        work: list[Work],
        after_error: Migration | None,
    ) -> None:
        from sqlmigrate.execution.envelope import Limits
        from sqlmigrate.execution.executor import Executor
        from sqlmigrate.server.monitor import Monitor

        settings = self._settings
        monitor = Monitor(
            lambda: self._target.connect("sqlmigrate monitor"),
            connection.backend_pid,
            history.records.committed_steps,
            self._on_event,
        )
        limits = Limits(settings.lock_timeout, settings.statement_timeout, settings.lock_retries)
        try:
            executor = Executor(connection, session, history.records, lock, monitor, limits, self._on_event)
            executor.run(work, after_error)
        finally:
            monitor.close()
