"""Runs one migration after the other under one lock, each as a run of its own: apply, roll back, apply again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import PlanRefused
from sqlmigrate.execution.envelope import Limits
from sqlmigrate.execution.executor import Executor
from sqlmigrate.execution.prepared import prepare
from sqlmigrate.planning import planner
from sqlmigrate.server.session import client_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.model import PlanRequest
    from sqlmigrate.target import Locked, Target


class Stepper:
    """Plans and runs requests on a connection that holds the migration lock, as the runner does."""

    def __init__(self, target: Target, locked: Locked, settings: Settings, on_event: Callable[[Event], None]) -> None:
        self._target = target
        self._locked = locked
        self._on_event = on_event
        self._limits = Limits(settings.lock_timeout, settings.statement_timeout, settings.lock_retries)
        locked.history.create()

    def run(self, request: PlanRequest, files: MigrationFiles) -> None:
        """Runs what a request means for some files.

        Raises:
            PlanRefused: A script has errors.
            MigrationFailed: A migration failed.
        """
        locked = self._locked._replace(rows=self._locked.history.start_new_run())
        plan = planner.plan(request, planner.statuses(files.migrations, locked.rows), files.hooks)
        prepared = prepare(plan, client_state(locked.connection), pooled=False)
        if prepared.plan.errors:
            raise PlanRefused(prepared.plan.errors)
        monitor = self._target.monitor(locked.connection, locked.lock.pid, locked.history.records.committed_steps)
        try:
            Executor(locked, monitor, self._limits, self._on_event).run(prepared.steps, files.hooks.after_error)
        finally:
            monitor.close()
