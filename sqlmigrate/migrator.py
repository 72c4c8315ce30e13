"""The library's main class, with one method for each command."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError, PlanRefused
from sqlmigrate.execution.runner import Runner, checked
from sqlmigrate.files import source
from sqlmigrate.files.naming import as_version
from sqlmigrate.history import log
from sqlmigrate.model import Action, Health, Plan, PlanRequest, Problem, Run, State
from sqlmigrate.planning import planner
from sqlmigrate.scratch.proofs import Proofs
from sqlmigrate.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlmigrate.authoring.renumber import Renumbering, RenumberRequest
    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.execution.runner import Approvable
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.history.log import LogEntry, Pruned
    from sqlmigrate.lint import Finding
    from sqlmigrate.metrics.exporter import Exporter
    from sqlmigrate.model import Applied, Holder, MigrationStatus, Version
    from sqlmigrate.planning.activity import Activity
    from sqlmigrate.planning.detail import Detail
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.rehearsed import Rehearsal
    from sqlmigrate.planning.repair import Repair
    from sqlmigrate.planning.review import Review
    from sqlmigrate.scratch.rehearsing import RehearsalRequest
    from sqlmigrate.server.sizes import Sizes
    from sqlmigrate.target import Opened

# Modules that only some commands need are imported there: `check` and `status` are started often, and take little
# longer than reading the files and the rows.


class Migrator(Proofs):
    """Applies migrations to one database and rolls them back. The constructor does no I/O.

    Each method opens a connection, does its work and closes the connection. Every error that sqlmigrate raises
    deliberately is a `SqlMigrateError`. The methods that run migrations raise `PlanRefused` if files or history have
    problems, `LockNotAvailable` if another run holds the migration lock for all of `lock_wait`, and `MigrationFailed`
    if a migration fails.

    Args:
        settings: The settings, for example from `sqlmigrate.load_settings`.
        on_event: A function that is called with each event while a method runs; see `sqlmigrate.events`.
    """

    def __init__(self, settings: Settings, on_event: Callable[[Event], None] = lambda _: None) -> None:
        self._settings = settings
        self._on_event = on_event
        self._target = Target(settings, on_event)
        self._runner = Runner(self._target, settings, on_event)

    def migrate(self, target: Version | str | None = None, *, out_of_order: bool = False) -> Run:
        """Applies the pending migrations.

        Args:
            target: The last version to apply. Repeatable migrations run only without a target.
            out_of_order: Also apply pending migrations that are older than the newest applied version.
        """
        return self.run(PlanRequest(Action.APPLY, as_version(target), out_of_order=out_of_order))

    def create_database(self) -> str:
        """Creates the database if it does not exist; returns its name, or an empty string if it exists."""
        return self._target.create_database()

    def plan(self, target: Version | str | None = None, *, out_of_order: bool = False) -> Plan:
        """Returns the plan that `migrate` would run now. Changes nothing."""
        return self.planned(PlanRequest(Action.APPLY, as_version(target), out_of_order=out_of_order))

    def rollback(self, to: Version | str | None = None, steps: int | None = None) -> Run:
        """Rolls back applied migrations, the newest first.

        Args:
            to: The version to return to, which stays applied.
            steps: How many migrations to roll back.

        Raises:
            ConfigurationError: Neither argument is given, or both are.
        """
        return self.run(_rollback(to, steps))

    def plan_rollback(self, to: Version | str | None = None, steps: int | None = None) -> Plan:
        """Returns the plan that `rollback` would run now. Changes nothing."""
        return self.planned(_rollback(to, steps))

    def redo(self, steps: int = 1) -> Run:
        """Rolls back the last migrations and applies them again, as their files are now, under one lock.

        Nothing is run if one of them has no down file or cannot be applied. If one fails after the rollback, the hint
        of the error lists what is rolled back and not applied again.
        """
        return self._runner.redo(steps)

    def plan_redo(self, steps: int = 1) -> Plan:
        """Returns the plan that `redo` would run now. Changes nothing."""
        return self._runner.plan_redo(steps)

    def run(self, request: PlanRequest, file: PlanFile | None = None) -> Run:
        """Plans a request and runs the plan; with a plan file, runs exactly the plan in the file.

        Raises:
            PlanRefused: The plan has errors or lint findings, its approval is missing, or files or history have changed
                since the plan file was written.
        """
        return self._runner.run(request, file)

    def planned(self, request: PlanRequest) -> Plan:
        """Returns the plan that `run` would run now. Changes nothing."""
        return self._runner.plan(request)

    def runnable(self, request: PlanRequest, file: PlanFile | None = None) -> Plan:
        """Returns the plan that `run` would run now; raises `PlanRefused` where `run` would. Changes nothing."""
        return self._runner.runnable(request, file)

    def preview(self, plan: Plan) -> Iterator[str]:
        """Yields, for each step, the SQL that would be sent, with a comment where the history row is written."""
        from sqlmigrate.planning.review import preview

        for step in plan.steps:
            yield preview(step, str(self._target.table))

    def findings(self, plan: Plan) -> list[Finding] | None:
        """Lints the files that a plan would run; returns None if the linter is not installed.

        Raises:
            ConfigurationError: The linter is not installed, and the setting `lint_level` requires it.
        """
        from sqlmigrate.planning.lint_gate import lint_plan

        return lint_plan(plan, self._settings)

    def enforce_lint_level(self, findings: Sequence[Finding]) -> None:
        """Raises the error that `run` would raise for findings that have already been displayed.

        Raises:
            PlanRefused: A finding has the setting's `lint_level`, or a worse one.
        """
        from sqlmigrate.planning.lint_gate import enforce_lint_level

        enforce_lint_level(findings, self._settings.lint_level)

    def review(self, request: PlanRequest) -> Review:
        """Returns the plan with its SQL, its locks and the lint findings, for the people who approve it.

        Raises:
            ConfigurationError: The parser is not installed.
        """
        return self._runner.review(request)

    def approvable(self, file: PlanFile) -> Approvable:
        """Returns a plan as its approver has to see it, with its losses, its locks and its earlier approvals.

        Raises:
            PlanRefused: The plan has errors, or files or history have changed since the plan file was written.
        """
        return self._runner.approvable(file)

    def approve(self, file: PlanFile) -> None:
        """Records in the log table that the connected role approves a plan.

        Raises:
            PlanRefused: The plan has errors, or files or history have changed since the plan file was written.
        """
        self._runner.approve(file)

    def rehearse(self, request: RehearsalRequest | None = None) -> Rehearsal:
        """Runs the pending migrations and observes each statement: on the target, and rolls them back, or on a copy.

        An event reports each statement that is left out because PostgreSQL could not roll it back.

        Raises:
            PlanRefused: The plan has errors, or the target requires an approval.
        """
        from sqlmigrate.scratch.rehearsing import RehearsalRequest, rehearse

        return rehearse(request or RehearsalRequest(), self._target, self._settings, self._on_event)

    def stats(self) -> Sizes:
        """Returns the sizes of the tables, for estimates: rows, bytes and indexes, but no data."""
        from sqlmigrate.server import sizes

        with self._target.opened() as opened:
            return sizes.read(opened.connection)

    @property
    def place(self) -> tuple[str, str]:
        """The server as HOST:PORT, and the name of the database, as in the settings."""
        return self._target.place

    def status(self) -> list[MigrationStatus]:
        """Returns the status of each migration, in order; warns of misnamed files. Duplicates: see `validate`."""
        with self._target.opened() as opened:
            return self._statuses(opened)

    def info(self, version: Version | str | None = None) -> list[Detail]:
        """Returns the details of one version, or of all migrations.

        Raises:
            PlanRefused: The version does not exist.
        """
        from sqlmigrate.planning.detail import detail

        version = as_version(version)
        with self._target.opened() as opened:
            every = self._statuses(opened)
            statuses = [status for status in every if version is None or status.version == version]
            if not statuses and version is not None:
                raise PlanRefused([planner.unknown_version(version, every)], prevents_run=False)
            entries = log.by_migration(*opened, "" if version is None else str(version))
            return [detail(status, entries[status.id]) for status in statuses]

    def _statuses(self, opened: Opened) -> list[MigrationStatus]:
        """Returns the statuses, and warns of a run in progress if a migration is unfinished."""
        rows, holder = self._target.observed(opened)
        statuses = planner.statuses(self._files().migrations, rows)
        if not (backend := holder or self._target.holder(opened)):
            return statuses
        if holder is not None:
            self._warn(planner.run_in_progress(holder))
        from sqlmigrate.planning.activity import running

        active = running(*opened, self._target.lock_key, backend.pid, [status.id for status in statuses])
        return [status._replace(state=State.RUNNING) if status.id in active else status for status in statuses]

    def _files(self) -> MigrationFiles:
        """Returns the files for a result that does not contain their problems, and warns of those that are not read."""
        files = source.find(self._settings.dir)
        for problem in files.unread:
            self._warn(f"{problem.location}: {problem.message}")
        return files

    def _warn(self, message: str) -> None:
        from sqlmigrate.events import Warned

        self._on_event(Warned(message))

    def check(self) -> Health:
        """Checks whether the database is up to date. Sends only queries, and does not acquire the lock."""
        with self._target.opened() as opened:
            migrations, problems, _ = self._files()
            rows, holder = self._target.observed(opened)
        statuses = planner.statuses(migrations, rows)
        pending = {step.migration.id for step in planner.plan_apply(statuses).steps}
        return Health(
            tuple(status for status in statuses if status.id in pending),
            (*problems, *planner.while_running(planner.problems(statuses), holder)),
        )

    def validate(self) -> list[Problem]:
        """Returns every problem and warning of the files, the scripts and the history."""
        with self._target.opened() as opened:
            migrations, problems, hooks = source.find(self._settings.dir)
            rows, holder = self._target.observed(opened)
        statuses = planner.statuses(migrations, rows)
        scripts = [problem for script in (*migrations, *hooks.present) for problem in source.script_problems(script)]
        unfinished = planner.while_running([*planner.problems(statuses), *planner.failures(statuses)], holder)
        return [*problems, *unfinished, *scripts, *planner.without_down(migrations)]

    def baseline(self, version: Version | str) -> Run:
        """Marks a version and all versions before it as applied, without running them.

        Raises:
            PlanRefused: No file has this version.
        """
        files = source.find(self._settings.dir)
        with self._target.locked() as locked:
            plan = planner.plan_baseline(planner.statuses(files.migrations, locked.rows), as_version(version))
            plan = checked(plan._replace(problems=(*files.problems, *plan.problems)))
            rows = [locked.history.records.baseline(step.migration) for step in plan.steps]
            locked.history.create()
            locked.connection.run("\n".join(["begin;", *rows, "commit;"]))
            return Run(plan.steps)

    def plan_repair(self, version: Version | str | None = None) -> list[Repair]:
        """Returns the repairs that `repair` would make now. Changes nothing."""
        from sqlmigrate.planning.repair import repairs

        with self._target.opened() as opened:
            return repairs(source.find(self._settings.dir), opened.history, as_version(version))

    def repair(self, version: Version | str | None = None) -> list[Repair]:
        """Makes the history agree with the files again, and logs each repair.

        Updates the checksums of changed files, deletes the rows of failed migrations, and stops reporting files that
        no longer exist.
        """
        from sqlmigrate.planning.repair import repairs

        with self._target.locked() as locked:
            found = repairs(source.find(self._settings.dir), locked.history, as_version(version))
            locked.history.create()
            locked.connection.run("\n".join(["begin;", *(repair.sql for repair in found), "commit;"]))
            return found

    def plan_renumber(self, request: RenumberRequest) -> Renumbering:
        """Returns the new versions that `renumber` would assign now. Renames nothing.

        Raises:
            PlanRefused: A named migration is applied, or it is ambiguous which of two migrations to renumber.
        """
        if request.applied_nowhere:
            return self._renumbering(request, [])
        with self._target.opened() as opened:
            return self._renumbering(request, opened.history.rows())

    def renumber(self, request: RenumberRequest) -> Renumbering:
        """Renames the files of migrations that are not applied; holds the lock if `request` requires a database.

        Raises:
            PlanRefused: See `plan_renumber`.
        """
        from sqlmigrate.authoring import renumber

        with nullcontext() if request.applied_nowhere else self._target.locked() as locked:
            renumbering = self._renumbering(request, locked.rows if locked else [])
            renumber.do(renumbering.moves)
            return renumbering

    def _renumbering(self, request: RenumberRequest, rows: Sequence[Applied]) -> Renumbering:
        from sqlmigrate.authoring import renumber

        renumbering = renumber.plan(self._settings.dir, rows, request)
        checked(Plan((), renumbering.problems))
        return renumbering

    def lock_holder(self) -> Holder | None:
        """Returns the backend that holds the migration lock."""
        with self._target.opened() as opened:
            return self._target.holder(opened)

    def activity(self) -> Activity | None:
        """Returns what the holder of the migration lock does; None if nobody holds the lock."""
        from sqlmigrate.planning.activity import activity

        with self._target.opened() as opened:
            return activity(*opened, self._target.lock_key, self._settings.dir)

    def unlock(self, pid: int) -> bool:
        """Terminates the backend that holds the migration lock, and logs it.

        Returns False if the backend with this pid does not hold the lock any more.
        """
        from sqlmigrate.server import lock

        with self._target.opened() as opened:
            connection, history = opened
            holder = self._target.holder(opened)
            if holder is None or holder.pid != pid:
                return False
            is_terminated = lock.terminate(connection, pid)
            if history.format:
                connection.run(history.records.log_entry("unlock", message=f"{holder} was terminated"))
            return is_terminated

    def history(
        self, version: Version | str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[LogEntry]:
        """Returns the log entries, oldest first, with an entry for each run that ended without a record.

        Args:
            version: Only entries of this version.
            since: Only entries since this time.
            limit: Only the last `limit` entries.
        """
        with self._target.opened() as opened:
            identity = None if version is None else str(as_version(version))
            return log.entries(*opened, self._target.lock_key, identity, since, limit)

    def plan_cleanup(self, keep_days: int) -> Pruned:
        """Returns the number of log entries that `cleanup` would delete now."""
        with self._target.opened() as opened:
            return log.prunable(*opened, keep_days)

    def cleanup(self, keep_days: int) -> Pruned:
        """Deletes older entries from the log table; the history table and the metrics' counters do not change."""
        with self._target.locked() as locked:
            return log.prune(locked.connection, locked.history, keep_days)

    def exporter(self) -> Exporter:
        """Returns the exporter of the Prometheus metrics; the caller closes it."""
        from sqlmigrate.metrics.exporter import Exporter

        return Exporter(self._target, self._settings.dir, self._on_event)


def _rollback(to: Version | str | None, steps: int | None) -> PlanRequest:
    if (to is None) == (steps is None):
        raise ConfigurationError("exactly one of to and steps is required")
    return PlanRequest(Action.ROLL_BACK, as_version(to), steps)
