"""Plans, checks and runs a request: the steps that `run`, `review` and `approve` share."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.errors import ConfigurationError, MigrationFailed, PlanRefused, SqlMigrateError
from sqlmigrate.files import source
from sqlmigrate.model import Action, Plan, PlanRequest, Problem, Run
from sqlmigrate.planning import planner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.execution.prepared import Prepared
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.model import Applied, Backup, Holder, RunSummary, Step
    from sqlmigrate.planning.plan_file import PlanFile, PlanInputs
    from sqlmigrate.planning.review import Review
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.target import Locked, Opened, Target

# The executor and its modules are imported only if steps are run: a run that applies nothing is started often, and
# takes little longer than reading the files and the rows.


class Approvable(NamedTuple):
    """A plan that can be approved: what its approver has to see. Without the parser, `review` is None.

    `sql` is the SQL of each step, `host` the connected server, `notes` what the log says about the plan.
    """

    plan: Plan
    file: PlanFile
    review: Review | None
    sql: Sequence[str]
    host: str
    notes: Sequence[str]


def plan_for(request: PlanRequest, files: MigrationFiles, rows: list[Applied], holder: Holder | None = None) -> Plan:
    """Plans a request from the files and the history rows; the problems of the files come first.

    `holder` is the backend that holds the migration lock while a migration is unfinished.
    """
    plan = planner.plan(request, planner.statuses(files.migrations, rows), files.hooks)
    return plan._replace(problems=(*files.problems, *planner.while_running(plan.problems, holder)))


def checked(plan: Plan) -> Plan:
    """Returns the plan.

    Raises:
        PlanRefused: The plan has errors.
    """
    if plan.errors:
        raise PlanRefused(plan.errors)
    return plan


class Runner:
    """Plans and runs requests against one target, with the files that `find` returns: by default those of `dir`."""

    def __init__(
        self,
        target: Target,
        settings: Settings,
        on_event: Callable[[Event], None],
        find: Callable[[], MigrationFiles] | None = None,
    ) -> None:
        self._target = target
        self._settings = settings
        self._on_event = on_event
        self._find = find or partial(source.find, settings.dir)

    def run(self, request: PlanRequest, file: PlanFile | None = None) -> Run:
        """Plans without the lock; if there is something to do or to refuse, acquires the lock, plans again and runs.

        Another run may still change what the first plan saw, so only the plan made under the lock is judged.

        Args:
            request: The request to plan.
            file: The plan that must result, exactly.

        Raises:
            PlanRefused: The plan has errors, differs from the plan file, lacks an approval, or has lint findings.
            LockNotAvailable: Another run held the lock for all of `lock_wait`.
            MigrationFailed: A migration failed.
        """
        files = self._find()
        with self._target.opened() as opened:
            rows = opened.history.rows()
            plan = plan_for(request, files, rows)
            if not plan.steps and not plan.errors and not opened.history.outdated and file is None:
                return Run((), plan.problems)
            connections = self._connections(opened, request)
            earlier = self._prepared(opened, plan)
            if not earlier.plan.errors:
                self._enforce_lint_level(plan)  # it takes long, and no other run waits for it here
            with self._target.lock(opened) as locked:
                plan = plan_for(request, files, locked.rows)
                ready = self._ready(opened, plan, locked.rows, file, earlier)
                with self._backup(opened.connection, plan.migrations) as backup:
                    opened.history.create()
                    summary = self._execute(locked, ready, files, connections) if ready.steps else None
            return Run(plan.migrations, ready.plan.problems, backup, summary)

    def runnable(self, request: PlanRequest, file: PlanFile | None) -> Plan:
        """Returns the plan that `run` would run, after the checks that `run` makes under the lock.

        Raises:
            PlanRefused: As `run`, or another run is in progress.
        """
        files = self._find()
        with self._target.opened() as opened:
            rows, holder = self._target.observed(opened)
            return self._ready(opened, plan_for(request, files, rows, holder), rows, file).plan

    def plan_redo(self, steps: int) -> Plan:
        """Returns the steps that `redo` would run, with all problems for which it would be refused."""
        files = self._find()
        with self._target.opened() as opened:
            prepared = self._redo_of(opened, files, opened.history.rows(), steps)
            problems = [problem for part in prepared for problem in part.plan.problems]
            problems += self._missing_approvals(opened, prepared[0].plan, None)
        every_step = [step for part in prepared for step in part.plan.steps]
        return Plan(tuple(every_step), (*files.problems, *problems), prepared[1].plan.hooks)

    def redo(self, steps: int) -> Run:
        """Rolls back the last migrations and applies them again, under one lock.

        Raises:
            PlanRefused: A file is missing or has errors, files or history have errors, or an approval is required.
            MigrationFailed: A migration failed.
        """
        files = self._find()
        with self._target.locked() as locked:
            back, forth = self._redo_of(locked, files, locked.rows, steps)
            checked(Plan((), (*files.problems, *back.plan.problems, *forth.plan.problems)))
            if not back.steps:
                return Run((), forth.plan.problems)
            if missing := self._missing_approvals(locked, back.plan, None):
                raise PlanRefused(missing)
            self._enforce_lint_level(back.plan)
            self._enforce_lint_level(forth.plan)
            with self._backup(locked.connection, back.plan.migrations) as backup:
                locked.history.create()
                summary = self._redo(locked, back, forth, files)
            return Run(forth.plan.migrations, forth.plan.problems, backup, summary)

    def _redo_of(
        self, opened: Opened | Locked, files: MigrationFiles, rows: list[Applied], steps: int
    ) -> tuple[Prepared, Prepared]:
        back, forth = planner.plan_redo(files.migrations, rows, steps, files.hooks)
        return self._prepared(opened, back), self._prepared(opened, forth)

    def _redo(self, locked: Locked, back: Prepared, forth: Prepared, files: MigrationFiles) -> RunSummary:
        is_back = False
        try:
            first = self._execute(locked, back, files)
            is_back = True
            rows = locked.history.start_new_run()
            second = self._execute(locked._replace(rows=rows), forth, files)
        except SqlMigrateError as error:
            done = {step.migration.id for step in error.done} if isinstance(error, MigrationFailed) else set()
            left = [step.migration.id for step in forth.plan.migrations if (step.migration.id in done) != is_back]
            if left:
                state = f"{', '.join(left)} {'is' if len(left) == 1 else 'are'} rolled back, and not applied again"
                error.hint = f"{error.hint}\n{state}: `sqlmigrate migrate` applies what is pending".lstrip()
            raise
        return second._replace(duration_ms=first.duration_ms + second.duration_ms)

    def plan(self, request: PlanRequest) -> Plan:
        """Returns the plan that `run` would run, with the problems of its scripts."""
        files = self._find()
        with self._target.opened() as opened:
            rows, holder = self._target.observed(opened)
            prepared = self._prepared(opened, plan_for(request, files, rows, holder))
            return self._divided(opened, prepared, request)

    def _divided(self, opened: Opened, prepared: Prepared, request: PlanRequest) -> Plan:
        """Returns the plan with its waves, if the settings allow migrations to run side by side."""
        connections = self._connections(opened, request)
        if connections < 2 or prepared.plan.errors:
            return prepared.plan
        from sqlmigrate.execution.division import Division

        division = Division(opened.connection, opened.history.tables, prepared.steps)
        return prepared.plan._replace(connections=connections, waves=tuple(division.waves(prepared.steps)))

    def review(self, request: PlanRequest) -> Review:
        """Returns the plan with its SQL, locks and lint findings, for the people who approve it.

        Raises:
            ConfigurationError: The parser is not installed.
        """
        files = self._find()
        with self._target.opened() as opened:
            rows, holder = self._target.observed(opened)
            prepared = self._prepared(opened, plan_for(request, files, rows, holder))
            return self._reviewed(opened, self._divided(opened, prepared, request), request, rows)

    def _reviewed(self, opened: Opened, plan: Plan, request: PlanRequest, rows: list[Applied]) -> Review:
        from sqlmigrate.planning import lint_gate, plan_file, review
        from sqlmigrate.server.session import client_state

        findings = lint_gate.lint_plan(plan, self._settings) or ()
        facts, origin = self._facts(opened, plan, rows), plan_file.origin(opened.connection)
        return review.review(plan, request, facts, findings, client_state(opened.connection), origin)

    def approvable(self, file: PlanFile) -> Approvable:
        """Returns what the approver of a plan has to see.

        Raises:
            PlanRefused: The plan has errors, or differs from the plan file.
        """
        from sqlmigrate.planning import plan_history
        from sqlmigrate.planning.review import preview
        from sqlmigrate.server.conninfo import server_of

        files = self._find()
        with self._target.opened() as opened:
            rows, holder = self._target.observed(opened)
            plan = self._approvable(opened, plan_for(file.request, files, rows, holder), rows, file)
            try:
                review, sql = self._reviewed(opened, plan, file.request, rows), []
            except ConfigurationError:
                review, sql = None, [preview(step, str(self._target.table)) for step in plan.steps]
            notes = plan_history.notes(opened.connection, opened.history, file)
            return Approvable(plan, file, review, sql, server_of(opened.connection.parameters), notes)

    def _approvable(self, opened: Opened, plan: Plan, rows: list[Applied], file: PlanFile) -> Plan:
        from sqlmigrate.planning import review, variables

        prepared = self._prepared(opened, plan)
        plan = checked(prepared.plan)
        problems = self._outdated(opened, prepared, rows, file)
        problems = problems or review.differences(file, plan, opened.connection, variables.PERSONAL)
        checked(Plan((), tuple(problems)))
        return plan

    def approve(self, file: PlanFile) -> None:
        """Writes to the log table that the connected role approves the plan.

        Raises:
            PlanRefused: The plan has errors, or differs from the plan file.
        """
        from sqlmigrate.planning import approval

        files = self._find()
        with self._target.opened() as opened:
            rows, holder = self._target.observed(opened)
            self._approvable(opened, plan_for(file.request, files, rows, holder), rows, file)
            if opened.history.format == 0 or opened.history.outdated:
                with self._target.lock(opened):
                    opened.history.create()
            opened.connection.run(approval.log_entry(opened.history, file))

    def _ready(
        self,
        opened: Opened,
        plan: Plan,
        rows: list[Applied],
        file: PlanFile | None,
        earlier: Prepared | None = None,
    ) -> Prepared:
        """Prepares and checks a plan that is about to be run.

        If `earlier` is the same plan, its scripts are not read and linted again: a later change of a file is detected
        when the file is sent.
        """
        is_same = earlier is not None and earlier.plan == plan
        prepared = earlier if earlier is not None and is_same else self._prepared(opened, plan)
        checked(prepared.plan)
        problems = self._outdated(opened, prepared, rows, file) if file is not None else []
        if problems := [*problems, *self._missing_approvals(opened, plan, file)]:
            raise PlanRefused(problems)
        if file is not None:
            from sqlmigrate.planning import review  # most runs have no plan file

            checked(Plan((), tuple(review.differences(file, plan, opened.connection))))
        if not is_same:
            self._enforce_lint_level(plan)
        return prepared

    def _prepared(self, opened: Opened | Locked, plan: Plan) -> Prepared:
        from sqlmigrate.execution.prepared import prepare
        from sqlmigrate.server.session import client_state

        return prepare(plan, client_state(opened.connection), pooled=opened.history.pooled)

    def _facts(self, opened: Opened, plan: Plan, rows: list[Applied]) -> PlanInputs:
        from sqlmigrate.planning import plan_file

        return plan_file.inputs_of(plan, plan_file.identity(opened.connection), str(self._target.table), rows)

    def _outdated(self, opened: Opened, prepared: Prepared, rows: list[Applied], file: PlanFile) -> Sequence[Problem]:
        from sqlmigrate.planning import plan_file, plan_history

        facts = self._facts(opened, prepared.plan, rows)
        for step, planned in zip(prepared.steps, facts["files"], strict=True):
            if step.source.checksum != planned["checksum"]:
                raise source.changed(step.step.path)
        return plan_history.explained(plan_file.changes(file, facts), *opened, file)

    def _requires_approval(self, opened: Opened | Locked) -> bool:
        """Whether the settings or the database require an approval; no setting overrides the database."""
        return self._settings.require_approval or opened.history.requires_approval

    def _missing_approvals(self, opened: Opened | Locked, plan: Plan, file: PlanFile | None) -> list[Problem]:
        if not self._requires_approval(opened) or not plan.steps:
            return []
        from sqlmigrate.planning import approval

        is_rollback = any(step.action is Action.ROLL_BACK for step in plan.steps)
        return approval.problems(opened.connection, opened.history, file, "rollback" if is_rollback else "migrate")

    def _enforce_lint_level(self, plan: Plan) -> None:
        if self._settings.lint_level != "off":
            from sqlmigrate.planning.lint_gate import lint_and_enforce  # most runs do not lint

            lint_and_enforce(plan, self._settings)

    def _backup(self, connection: Connection, steps: Sequence[Step]) -> AbstractContextManager[Backup | None]:
        if not self._settings.backup or not steps:
            return nullcontext()
        from sqlmigrate.execution.backup import backed_up

        directory, keep = self._settings.backup, self._settings.backup_keep
        return backed_up(connection, directory, keep, steps[0].migration.id, self._on_event)

    def _connections(self, opened: Opened, request: PlanRequest) -> int:
        """Returns how many migrations may run side by side."""
        if self._settings.parallel < 2 or request.action is not Action.APPLY:
            return 1
        from sqlmigrate.execution.parallel import require_sessions  # most runs are serial

        require_sessions(opened.history)
        return self._settings.parallel

    def _execute(self, locked: Locked, ready: Prepared, files: MigrationFiles, connections: int = 1) -> RunSummary:
        from sqlmigrate.execution.envelope import Limits
        from sqlmigrate.execution.executor import Executor

        settings = self._settings
        # A session pooler sends a PID of its own.
        pid = locked.connection.backend_pid if locked.history.pooled else locked.lock.pid
        monitor = self._target.monitor(locked.connection, pid, locked.history.records.committed_steps)
        is_timed = settings.log_level == "debug"
        limits = Limits(settings.lock_timeout, settings.statement_timeout, settings.lock_retries, is_timed)
        started = time.monotonic()
        try:
            if connections > 1:
                from sqlmigrate.execution.parallel import ParallelExecutor

                executor: Executor = ParallelExecutor(locked, monitor, limits, self._on_event, connections)
            else:
                executor = Executor(locked, monitor, limits, self._on_event)
            executor.run(ready.steps, ready.plan.hooks.after_error)
        finally:
            monitor.close()
        duration_ms = round((time.monotonic() - started) * 1000)
        statuses = planner.statuses(files.migrations, locked.rows)
        return planner.summary_after(statuses, ready.plan.migrations, duration_ms)
