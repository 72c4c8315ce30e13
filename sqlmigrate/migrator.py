"""The use-cases, one method a command: the library's face."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError, PlanRefused
from sqlmigrate.execution.runner import Runner, checked, plan_for
from sqlmigrate.files import source
from sqlmigrate.history import log
from sqlmigrate.model import Action, Plan, PlanRequest, Problem, ProblemLevel, Run, State
from sqlmigrate.planning import planner
from sqlmigrate.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from sqlmigrate.authoring.renumber import Renumbering, Wanted
    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.files.source import MigrationFiles
    from sqlmigrate.history.history import History
    from sqlmigrate.history.log import LogEntry, Pruned
    from sqlmigrate.lint import Finding
    from sqlmigrate.metrics.exporter import Exporter
    from sqlmigrate.model import Applied, Holder, Migration, MigrationStatus, Version
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.repair import Mend
    from sqlmigrate.planning.review import Review
    from sqlmigrate.server.connection import Connection

# What only some commands need is imported there: `check` and `status` are started often, and are kept as quick as
# reading the files and the rows allows.


@dataclass(frozen=True, slots=True)
class Health:
    """What `check` found: what is pending, and what is wrong."""

    pending: tuple[MigrationStatus, ...]
    problems: tuple[Problem, ...]

    @property
    def up_to_date(self) -> bool:
        """Nothing is pending, and nothing is wrong."""
        return not self.pending and not any(problem.level is ProblemLevel.ERROR for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything known of one migration."""

    standing: MigrationStatus
    log: tuple[LogEntry, ...]
    statements: int
    segments: int


class Migrator:
    """Applies migrations to one database, and takes them back. Does nothing until a method is called.

    Each method connects, does its work and closes. Those that run something raise `PlanRefused` where files or history
    have problems, `LockNotAvailable` where another run holds the lock, and `MigrationFailed` where a migration fails.
    Every error that sqlmigrate raises on purpose is a `SqlMigrateError`.

    Args:
        settings: see `sqlmigrate.config.load`.
        on_event: hears what happens while it happens: the classes of `sqlmigrate.events`.
    """

    def __init__(self, settings: Settings, on_event: Callable[[Event], None] = lambda _: None) -> None:
        self._settings = settings
        self._on_event = on_event
        self._target = Target(settings, on_event)
        self._runner = Runner(self._target, settings, on_event)

    def migrate(self, target: Version | None = None, *, out_of_order: bool = False) -> Run:
        """Applies what is pending, up to and with the target; repeatable ones last, and only without a target."""
        return self.run(PlanRequest(Action.APPLY, target, out_of_order=out_of_order))

    def plan(self, target: Version | None = None, *, out_of_order: bool = False) -> Plan:
        """What `migrate` would do now. Nothing is sent but reads."""
        return self.planned(PlanRequest(Action.APPLY, target, out_of_order=out_of_order))

    def findings(self, plan: Plan) -> list[Finding] | None:
        """What the linter says of the files that a plan would run; None where it is not installed.

        Raises:
            ConfigurationError: it is not, and `lint_level` wants it.
        """
        from sqlmigrate.planning.lint_gate import inspect

        return inspect(plan, self._settings)

    def heed(self, found: Sequence[Finding]) -> None:
        """Refuses what `run` would refuse for its findings, which have been shown.

        Raises:
            PlanRefused
        """
        from sqlmigrate.planning.lint_gate import heed

        heed(found, self._settings.lint_level)

    def preview(self, plan: Plan) -> Iterator[str]:
        """The SQL of each step, as it would be sent, with the place of our own record marked; nothing is sent."""
        from sqlmigrate.planning.review import preview

        for step in plan.steps:
            yield preview(step, str(self._target.table))

    def rollback(self, to: Version | None = None, steps: int | None = None) -> Run:
        """Takes back what is newer than `to`, which stays applied, or the last `steps`; the newest first.

        Raises:
            ConfigurationError: neither is given, or both.
        """
        return self.run(_rollback(to, steps))

    def plan_rollback(self, to: Version | None = None, steps: int | None = None) -> Plan:
        """What `rollback` would do now."""
        return self.planned(_rollback(to, steps))

    def run(self, asked: PlanRequest, file: PlanFile | None = None) -> Run:
        """Runs what is asked for; where a plan file is given, exactly what that says.

        Raises:
            PlanRefused: also where files or history have changed since the plan was made, or its approval is missing.
        """
        return self._runner.run(asked, file)

    def review(self, asked: PlanRequest) -> Review:
        """The plan, written out for those who decide on it. Nothing is sent but reads.

        Raises:
            ConfigurationError: the parser is not installed.
        """
        from sqlmigrate.planning import lint_gate, plan_file, review

        found = source.find(self._settings.dir)
        with self._target.opened() as (connection, history):
            rows = history.rows()
            plan = _whole(plan_for(asked, found, rows), history)
            facts = plan_file.essence(plan, plan_file.identity(connection), str(self._target.table), rows)
            return review.review(plan, asked, facts, lint_gate.inspect(plan, self._settings) or ())

    def approve(self, file: PlanFile) -> None:
        """Writes to the log that the role that is connected approves of a plan.

        Raises:
            PlanRefused: files or history have changed since the plan was made.
        """
        from sqlmigrate.planning import approval, plan_file, review

        found = source.find(self._settings.dir)
        with self._target.opened() as (connection, history):
            rows = history.rows()
            plan = checked(_whole(plan_for(file.asked, found, rows), history))
            now = plan_file.essence(plan, plan_file.identity(connection), str(self._target.table), rows)
            checked(Plan((), tuple(plan_file.outdated(file, now) or review.misleading(file, plan))))
            self._create(connection, history)
            connection.run(approval.approved(history, file))

    def status(self) -> list[MigrationStatus]:
        """Where each migration stands, in order. Misnamed and doubled files are `validate`'s to report."""
        with self._target.opened() as (_, history):
            return planner.statuses(source.find(self._settings.dir).migrations, history.rows())

    def info(self, version: Version | None = None) -> list[Detail]:
        """Everything known of one version, or of all migrations.

        Raises:
            PlanRefused: there is no such version.
        """
        with self._target.opened() as (connection, history):
            statuses = planner.statuses(source.find(self._settings.dir).migrations, history.rows())
            found = [one for one in statuses if version is None or one.version == version]
            if not found:
                raise PlanRefused([Problem("unknown-version", f"there is no {version}")])
            return [_detail(one, log.log_of(connection, history, one.id)) for one in found]

    def check(self) -> Health:
        """Whether the database is up to date. Sends nothing but reads, takes no lock."""
        with self._target.opened() as (_, history):
            migrations, problems, _ = source.find(self._settings.dir)
            statuses = planner.statuses(migrations, history.rows())
        pending = planner.plan_apply(statuses).steps
        waiting = {step.migration.id for step in pending}
        found = [*problems, *planner.problems(statuses)]
        return Health(tuple(one for one in statuses if one.id in waiting), tuple(found))

    def validate(self) -> list[Problem]:
        """Every problem of files and history, and of each script that is pending; warnings too."""
        with self._target.opened() as (_, history):
            migrations, problems, hooks = source.find(self._settings.dir)
            statuses = planner.statuses(migrations, history.rows())
        failed = [_failed(one) for one in statuses if one.state is State.FAILED or _is_half_applied(one)]
        scripts = [*migrations, *hooks.present]
        unreadable = [problem for one in scripts for problem in _unreadable(one)]
        return [*problems, *planner.problems(statuses), *failed, *unreadable, *planner.without_down(migrations)]

    def rehearse(self) -> Run:
        """Runs what is pending in a transaction that is rolled back; what can't be is told by events.

        Raises:
            ScriptError: a migration would fail, and where.
        """
        from sqlmigrate.execution.envelope import Limits
        from sqlmigrate.execution.prepared import load
        from sqlmigrate.execution.rehearsal import rehearse

        limits = Limits(self._settings.lock_timeout, self._settings.statement_timeout, lock_retries=0)
        found = source.find(self._settings.dir)
        with self._target.locked() as (connection, session, history, rows):
            plan = plan_for(PlanRequest(Action.APPLY), found, rows)
            if self._settings.require_approval and plan.steps:
                raise PlanRefused([_UNREHEARSED])
            work = load(plan, pooled=history.pooled)
            rehearse(connection, session, work, limits, self._on_event)
            return Run(plan.migrations, plan.problems)

    def baseline(self, version: Version) -> Run:
        """Marks a version and everything before it as applied, without running anything.

        Raises:
            PlanRefused: there is no such file.
        """
        found = source.find(self._settings.dir)
        with self._target.locked() as (connection, _, history, rows):
            plan = planner.plan_baseline(planner.statuses(found.migrations, rows), version)
            plan = checked(replace(plan, problems=(*found.problems, *plan.problems)))
            marks = [history.records.baseline(step.migration) for step in plan.steps]
            history.create()
            connection.run("\n".join(["begin;", *marks, "commit;"]))
            return Run(plan.steps)

    def plan_repair(self, version: Version | None = None) -> list[Mend]:
        """What `repair` would do now."""
        from sqlmigrate.planning.repair import mends

        with self._target.opened() as (_, history):
            return mends(_unambiguous(source.find(self._settings.dir)), history, version)

    def repair(self, version: Version | None = None) -> list[Mend]:
        """Takes checksums from disk, removes rows of failed runs, lets go of files that are gone; each is logged."""
        from sqlmigrate.planning.repair import mends

        with self._target.locked() as (connection, _, history, _):
            found = mends(_unambiguous(source.find(self._settings.dir)), history, version)
            history.create()
            connection.run("\n".join(["begin;", *(mend.sql for mend in found), "commit;"]))
            return found

    def plan_renumber(self, wanted: Wanted) -> Renumbering:
        """What `renumber` would do now.

        Raises:
            PlanRefused: what is named is applied, or nothing tells which of two is to move.
        """
        if wanted.applied_nowhere:
            return self._renumbering(wanted, [])
        with self._target.opened() as (_, history):
            return self._renumbering(wanted, history.rows())

    def renumber(self, wanted: Wanted) -> Renumbering:
        """Renames the files of migrations that nobody has applied; under the lock, where a database is asked.

        Raises:
            PlanRefused: see `plan_renumber`.
        """
        from sqlmigrate.authoring import renumber

        with nullcontext() if wanted.applied_nowhere else self._target.locked() as locked:
            made = self._renumbering(wanted, locked[3] if locked else [])
            renumber.do(made.moves)
            return made

    def _renumbering(self, wanted: Wanted, rows: Sequence[Applied]) -> Renumbering:
        from sqlmigrate.authoring import renumber

        made = renumber.planned(self._settings.dir, rows, wanted)
        checked(Plan((), made.problems))
        return made

    def lock_holder(self) -> Holder | None:
        """Who holds the migration lock now."""
        from sqlmigrate.server import lock

        with self._target.opened() as (connection, _):
            return lock.holder(connection, self._target.lock_key)

    def unlock(self, pid: int) -> bool:
        """Ends the backend that holds the lock, if it is still this one; written to the log. False where it is not."""
        from sqlmigrate.server import lock

        with self._target.opened() as (connection, history):
            now = lock.holder(connection, self._target.lock_key)
            if now is None or now.pid != pid:
                return False
            ended = lock.terminate(connection, pid)
            if history.format:
                message = f"pid {pid} ({now.user}, {now.application}, from {now.host}) was ended"
                connection.run(history.records.log_entry("unlock", message=message))
            return ended

    def history(
        self, version: Version | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[LogEntry]:
        """The log, oldest first, and runs that were broken off; of one version, since a time, the last so many."""
        with self._target.opened() as (connection, history):
            identity = None if version is None else str(version)
            return log.entries(connection, history, self._target.lock_key, identity, since, limit)

    def plan_cleanup(self, keep_days: int) -> Pruned:
        """What `cleanup` would do now."""
        with self._target.opened() as (connection, history):
            return log.prunable(connection, history, keep_days)

    def cleanup(self, keep_days: int) -> Pruned:
        """Takes what is older out of the log; the state of each migration stays, and so does every counter."""
        with self._target.locked() as (connection, _, history, _):
            return log.prune(connection, history, keep_days)

    def exporter(self) -> Exporter:
        """The metrics, for Prometheus; to be closed."""
        from sqlmigrate.metrics.exporter import Exporter

        return Exporter(self._target, self._settings.dir, self._on_event)

    def _create(self, connection: Connection, history: History) -> None:
        """The history's tables, under the lock, where they are missing."""
        if history.format == 0 or history.outdated:
            with self._target.lock(connection, history, self._target.session(connection, history)):
                history.create()

    def planned(self, asked: PlanRequest) -> Plan:
        """What `run` would do now. Nothing is sent but reads."""
        found = source.find(self._settings.dir)
        with self._target.opened() as (_, history):
            return _whole(plan_for(asked, found, history.rows()), history)


_UNREHEARSED = Problem(
    "not-approved",
    "a rehearsal runs what nobody has approved, and not all that SQL does can be rolled back",
    hint="rehearse on another database, a copy of this one",
)


def _detail(one: MigrationStatus, log: Sequence[LogEntry]) -> Detail:
    script = source.read(one.migration.up) if one.migration else None
    return Detail(one, tuple(log), script.statements if script else 0, len(script.segments) if script else 0)


def _rollback(to: Version | None, steps: int | None) -> PlanRequest:
    if (to is None) == (steps is None):
        raise ConfigurationError("give --version or --steps", hint="sqlmigrate rollback --steps 1")
    return PlanRequest(Action.ROLL_BACK, to, steps)


def _whole(plan: Plan, history: History) -> Plan:
    """The plan with what is wrong with the scripts that it would run."""
    from sqlmigrate.execution.prepared import found_in

    return replace(plan, problems=(*plan.problems, *found_in(plan, pooled=history.pooled)))


def _unambiguous(found: MigrationFiles) -> Sequence[Migration]:
    """The migrations, if no two have one version: the checksum of the wrong one would be taken for the right one."""
    checked(Plan((), tuple(problem for problem in found.problems if problem.code == "duplicate-version")))
    return found.migrations


def _failed(one: MigrationStatus) -> Problem:
    said = one.applied.error_msg if one.applied else ""
    message = f"{one.id} failed: {said}" if said else f"{one.id} was broken off"
    return Problem("failed", message, None, "mend it, and run `sqlmigrate migrate` again")


def _is_half_applied(one: MigrationStatus) -> bool:
    return one.state is State.PARTIAL and one.applied is not None and one.applied.action != Action.ROLL_BACK.value


def _unreadable(migration: Migration) -> list[Problem]:
    paths = (migration.up, migration.down) if migration.down else (migration.up,)
    return [problem for path in paths for problem in source.read(path).problems]
