"""The use-cases, one method a command: the library's face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlmigrate import audit, planner, source
from sqlmigrate.errors import ConfigurationError, PlanRefused
from sqlmigrate.model import Action, Level, Plan, Problem, State
from sqlmigrate.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlmigrate.audit import LogEntry
    from sqlmigrate.config import Settings
    from sqlmigrate.database import Connection
    from sqlmigrate.events import Event
    from sqlmigrate.history import History
    from sqlmigrate.lock import Holder, Lock
    from sqlmigrate.model import Applied, Hooks, Migration, Standing, Step, Version
    from sqlmigrate.repair import Mend
    from sqlmigrate.script import Piece
    from sqlmigrate.session import Session
    from sqlmigrate.source import Found
    from sqlmigrate.work import Work

    _Planner = Callable[[Sequence[Standing], Hooks], Plan]

# The executor and all that it needs are imported where something is to be run: a run with nothing to do, `check` and
# `status` are started often, and are kept as quick as reading the files and the rows allows.

# So many bytes of rows a preview shows; of more it says how many they are.
_FEW_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What a run did: its steps in order, and warnings."""

    steps: tuple[Step, ...]
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What `check` found: what is pending, and what is wrong."""

    pending: tuple[Standing, ...]
    problems: tuple[Problem, ...]

    @property
    def up_to_date(self) -> bool:
        """Nothing is pending, and nothing is wrong."""
        return not self.pending and not any(problem.level is Level.ERROR for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything known of one migration."""

    standing: Standing
    log: tuple[LogEntry, ...]
    statements: int
    segments: int


class Migrator:
    """Applies migrations to one database, and takes them back. Does nothing until a method is called.

    Each method connects, does its work and closes. Those that run something raise `PlanRefused` where files or history
    have problems, `LockNotHad` where another run goes on, and `MigrationFailed` where a migration fails; all that is
    raised on purpose is a `SqlMigrateError`.

    Args:
        settings: see `sqlmigrate.config.load`.
        on_event: hears what happens while it happens: the classes of `sqlmigrate.events`.
    """

    def __init__(self, settings: Settings, on_event: Callable[[Event], None] = lambda _: None) -> None:
        self._settings = settings
        self._on_event = on_event
        self._target = Target(settings, on_event)

    def migrate(self, target: Version | None = None, *, out_of_order: bool = False) -> Run:
        """Applies what is pending, up to and with the target; repeatable ones last, and only without a target."""
        return self._run(_apply(target, out_of_order=out_of_order))

    def plan(self, target: Version | None = None, *, out_of_order: bool = False) -> Plan:
        """What `migrate` would do now. Nothing is sent but reads."""
        return self._planned(_apply(target, out_of_order=out_of_order))

    def preview(self, plan: Plan) -> Iterator[str]:
        """The SQL of each step, as it would be sent, with the place of our own record marked; nothing is sent."""
        for step in plan.steps:
            yield self._preview(step)

    def rollback(self, to: Version | None = None, steps: int | None = None) -> Run:
        """Takes back what is newer than `to`, which stays applied, or the last `steps`; the newest first.

        Raises:
            ConfigurationError: neither is given, or both.
        """
        return self._run(_rollback(to, steps))

    def plan_rollback(self, to: Version | None = None, steps: int | None = None) -> Plan:
        """What `rollback` would do now."""
        return self._planned(_rollback(to, steps))

    def status(self) -> list[Standing]:
        """Where each migration stands, in order. Misnamed and doubled files are `validate`'s to report."""
        with self._target.opened() as (_, history):
            return planner.standings(source.find(self._settings.dir).migrations, history.rows())

    def info(self, version: Version | None = None) -> list[Detail]:
        """Everything known of one version, or of all migrations.

        Raises:
            PlanRefused: there is no such version.
        """
        with self._target.opened() as (connection, history):
            standings = planner.standings(source.find(self._settings.dir).migrations, history.rows())
            found = [one for one in standings if version is None or one.version == version]
            if not found:
                raise PlanRefused([Problem("unknown-version", f"there is no {version}")])
            return [_detail(one, audit.log_of(connection, history, one.id)) for one in found]

    def check(self) -> Health:
        """Whether the database is up to date. Sends nothing but reads, takes no lock."""
        with self._target.opened() as (_, history):
            migrations, problems, _ = source.find(self._settings.dir)
            standings = planner.standings(migrations, history.rows())
        pending = planner.plan_apply(standings).steps
        waiting = {step.migration.id for step in pending}
        found = [*problems, *planner.problems(standings)]
        return Health(tuple(one for one in standings if one.id in waiting), tuple(found))

    def validate(self) -> list[Problem]:
        """Every problem of files and history, and of each script that is pending; warnings too."""
        with self._target.opened() as (_, history):
            migrations, problems, hooks = source.find(self._settings.dir)
            standings = planner.standings(migrations, history.rows())
        failed = [_failed(one) for one in standings if one.state is State.FAILED or _is_half_applied(one)]
        scripts = [*migrations, *hooks.present]
        unreadable = [problem for one in scripts for problem in _unreadable(one)]
        return [*problems, *planner.problems(standings), *failed, *unreadable, *planner.without_down(migrations)]

    def rehearse(self) -> Run:
        """Runs what is pending in a transaction that is rolled back; what can't be is told by events.

        Raises:
            ScriptError: a migration would fail, and where.
        """
        from sqlmigrate.rehearsal import rehearse
        from sqlmigrate.work import load

        found = source.find(self._settings.dir)
        with self._target.locked() as (connection, session, history, rows):
            plan = _plan(lambda standing, _: planner.plan_apply(standing), found, rows)
            work = load(plan, pooled=history.pooled)
            rehearse(connection, session, work, self._settings.lock_timeout, self._on_event)
            return Run(plan.steps, plan.problems)

    def baseline(self, version: Version) -> Run:
        """Marks a version and everything before it as applied, without running anything.

        Raises:
            PlanRefused: there is no such file.
        """
        found = source.find(self._settings.dir)
        with self._target.locked() as (connection, _, history, rows):
            plan = _plan(lambda standing, _: planner.plan_baseline(standing, version), found, rows)
            marks = [history.marked(step.migration) for step in _checked(plan).steps]
            history.create()
            connection.run("\n".join(["begin;", *marks, "commit;"]))
            return Run(plan.steps)

    def plan_repair(self, version: Version | None = None) -> list[Mend]:
        """What `repair` would do now."""
        from sqlmigrate.repair import mends

        with self._target.opened() as (_, history):
            return mends(source.find(self._settings.dir).migrations, history, version)

    def repair(self, version: Version | None = None) -> list[Mend]:
        """Takes checksums from disk, removes rows of failed runs, lets go of files that are gone; each is logged."""
        from sqlmigrate.repair import mends

        with self._target.locked() as (connection, _, history, _):
            found = mends(source.find(self._settings.dir).migrations, history, version)
            history.create()
            connection.run("\n".join(["begin;", *(mend.sql for mend in found), "commit;"]))
            return found

    def lock_holder(self) -> Holder | None:
        """Who holds the migration lock now."""
        from sqlmigrate import lock

        with self._target.opened() as (connection, _):
            return lock.holder(connection, self._target.lock_key)

    def unlock(self, pid: int) -> bool:
        """Ends the backend that holds the lock, if it is still this one; written to the log. False where it is not."""
        from sqlmigrate import lock

        with self._target.opened() as (connection, history):
            now = lock.holder(connection, self._target.lock_key)
            if now is None or now.pid != pid:
                return False
            ended = lock.terminate(connection, pid)
            if history.format:
                connection.run(
                    history.unlocked(f"pid {pid} ({now.user}, {now.application}, from {now.host}) was ended")
                )
            return ended

    def _planned(self, plan: _Planner) -> Plan:
        found = source.find(self._settings.dir)
        with self._target.opened() as (_, history):
            planned = _plan(plan, found, history.rows())
        unreadable = [problem for step in planned.steps for problem in source.read(step.path).problems]
        return replace(planned, problems=(*planned.problems, *unreadable))

    def _run(self, plan: _Planner) -> Run:
        """Plans without the lock; where there is something to do, takes it, plans again and runs."""
        found = source.find(self._settings.dir)
        with self._target.opened() as (connection, history):
            planned = _plan(plan, found, history.rows())
            if not planned.steps and not history.outdated:
                return Run((), _checked(planned).problems)
            from sqlmigrate.work import load

            work = load(planned, pooled=history.pooled)
            session = self._target.session(connection, history)
            with self._target.lock(connection, history, session) as (lock, rows):
                again = _plan(plan, found, rows)
                if again != planned:
                    work = load(again, pooled=history.pooled)
                history.create()
                self._execute(connection, session, history, lock, work, again.hooks.after_error)
            return Run(again.migrations, again.problems)

    def _execute(
        self,
        connection: Connection,
        session: Session,
        history: History,
        lock: Lock,
        work: list[Work],
        after_error: Migration | None,
    ) -> None:
        from sqlmigrate.envelope import Limits
        from sqlmigrate.executor import Executor
        from sqlmigrate.monitor import Monitor

        settings = self._settings
        monitor = Monitor(
            lambda: self._target.connect("sqlmigrate monitor"),
            connection.backend_pid,
            history.finished_so_far,
            self._on_event,
        )
        limits = Limits(settings.lock_timeout, settings.statement_timeout, settings.lock_retries)
        try:
            executor = Executor(connection, session, history, lock, monitor, limits, self._on_event)
            executor.run(work, after_error)
        finally:
            monitor.close()

    def _preview(self, step: Step) -> str:
        script = source.read(step.path)
        opened = source.Source(step.path, source.stamp(step.path))
        lines = [f"-- {step.migration.id} {step.migration.name} ({step.path})"]
        for segment in script.segments:
            texts = [_shown(opened, piece) for piece in segment.pieces]
            record = f"-- here its row is written to {self._target.table}"
            begin = f"{segment.begin or 'begin'};"
            lines += [begin, *texts, record, "commit;"] if segment.transactional else [*texts, record]
        return "\n".join(lines) + "\n"


def _detail(one: Standing, log: Sequence[LogEntry]) -> Detail:
    script = source.read(one.migration.up) if one.migration else None
    return Detail(one, tuple(log), script.statements if script else 0, len(script.segments) if script else 0)


def _apply(target: Version | None, *, out_of_order: bool) -> _Planner:
    return lambda standing, hooks: planner.plan_apply(standing, target, out_of_order=out_of_order, hooks=hooks)


def _rollback(to: Version | None, steps: int | None) -> _Planner:
    if (to is None) == (steps is None):
        raise ConfigurationError("give --version or --steps", hint="sqlmigrate rollback --steps 1")
    return lambda standing, _: planner.plan_rollback(standing, to, steps)


def _plan(plan: _Planner, found: Found, rows: list[Applied]) -> Plan:
    """The plan for what is on disk and in the history; problems of the files come first."""
    planned = plan(planner.standings(found.migrations, rows), found.hooks)
    return replace(planned, problems=(*found.problems, *planned.problems))


def _checked(plan: Plan) -> Plan:
    """The plan, if nothing stands in its way."""
    if plan.errors:
        raise PlanRefused(plan.errors)
    return plan


def _shown(opened: source.Source, piece: Piece) -> str:
    """The SQL of a piece and its rows; of many rows only how many bytes they are."""
    text = opened.text(piece)
    closed = text if text.endswith(";") else f"{text}\n;"
    if piece.rows is None:
        return closed
    start, end = piece.rows
    if end - start > _FEW_BYTES:
        return f"{closed}\n-- here go {end - start} bytes of rows"
    return f"{closed}\n{b''.join(opened.blocks(start, end)).decode()}\\."


def _failed(one: Standing) -> Problem:
    said = one.applied.error_msg if one.applied else ""
    message = f"{one.id} failed: {said}" if said else f"{one.id} was broken off"
    return Problem("failed", message, None, "mend it, and run `sqlmigrate migrate` again")


def _is_half_applied(one: Standing) -> bool:
    return one.state is State.PARTIAL and one.applied is not None and one.applied.action != Action.ROLL_BACK.value


def _unreadable(migration: Migration) -> list[Problem]:
    paths = (migration.up, migration.down) if migration.down else (migration.up,)
    return [problem for path in paths for problem in source.read(path).problems]
