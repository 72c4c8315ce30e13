"""Plans a rehearsal, and chooses the database on which it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError, PlanRefused
from sqlmigrate.execution.envelope import Limits
from sqlmigrate.execution.prepared import prepare
from sqlmigrate.execution.rehearsal import Rehearser
from sqlmigrate.execution.runner import checked, plan_for
from sqlmigrate.files import source
from sqlmigrate.model import Action, PlanRequest, Problem, Version
from sqlmigrate.planning.estimates import estimated
from sqlmigrate.planning.rehearsed import Rehearsal
from sqlmigrate.scratch import sampling
from sqlmigrate.scratch.replay import replayed
from sqlmigrate.server import sizes
from sqlmigrate.server.conninfo import server_of
from sqlmigrate.server.session import client_state
from sqlmigrate.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlmigrate.config.settings import Settings
    from sqlmigrate.events import Event
    from sqlmigrate.execution.prepared import Prepared, PreparedStep
    from sqlmigrate.planning.estimates import Rates
    from sqlmigrate.planning.rehearsed import RehearsedStep
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.sizes import Sizes
    from sqlmigrate.target import Locked

ON_TARGET, ON_EMBEDDED = "target", "embedded"
NEWEST_POSTGRES = 99  # the newest server that is installed
# A rehearsal on the target must not keep the application waiting.
_LOCK_TIMEOUT = 1000
_UNREHEARSED = Problem(
    "not-approved",
    "a rehearsal runs migrations that are not approved, and PostgreSQL cannot roll back every effect of a migration",
    hint="rehearse on a copy of this database",
)


@dataclass(frozen=True, slots=True)
class RehearsalRequest:
    """What to rehearse: up to which version, and where: on the `target`, on an `embedded` server, or on a copy.

    A copy is named by its URL. `stats` are the sizes of the tables for which to estimate the durations.
    """

    on: str = ON_TARGET
    target: Version | None = None
    stats: Sizes | None = None


def rehearse(
    request: RehearsalRequest, target: Target, settings: Settings, on_event: Callable[[Event], None]
) -> Rehearsal:
    """Runs the pending migrations on the target and rolls them back, or runs them on a copy or an embedded server.

    Raises:
        PlanRefused: The plan has errors, or the target requires an approval.
        ConfigurationError: The copy is the target itself.
    """
    if request.on == ON_TARGET:
        return _on_target(request, target, settings, on_event)
    if request.on == ON_EMBEDDED:
        return _on_embedded(request, target, settings, on_event)
    copy = Target(replace(settings, database=request.on, connection_parts=(), passwords=()), on_event)
    if settings.database and copy.place == target.place:
        raise ConfigurationError("the copy is the target itself", hint="rehearse with --on target, which rolls back")
    with copy.locked() as locked:
        return _on_copy(request, locked, settings, on_event)


def _on_target(
    request: RehearsalRequest, target: Target, settings: Settings, on_event: Callable[[Event], None]
) -> Rehearsal:
    lock_timeout = min(settings.lock_timeout or _LOCK_TIMEOUT, _LOCK_TIMEOUT)
    limits = Limits(lock_timeout, settings.statement_timeout, lock_retries=0)
    with target.locked() as locked:
        prepared = _prepared(request, locked, settings)
        if (settings.require_approval or locked.history.requires_approval) and prepared.steps:
            raise PlanRefused([_UNREHEARSED])
        here = sizes.read(locked.connection) if request.stats else None
        rehearser = Rehearser(locked.connection, locked.session, limits, on_event)
        steps = rehearser.run_and_roll_back(prepared.steps)
        result = _result(ON_TARGET, locked.connection, prepared, rehearser, steps)
        return estimated(result, here, request.stats) if here and request.stats else result


def _on_embedded(
    request: RehearsalRequest, target: Target, settings: Settings, on_event: Callable[[Event], None]
) -> Rehearsal:
    """Replays what is applied to the target, or nothing if no target is configured, and then runs what is pending."""
    files = source.find(settings.dir)
    applied: set[tuple[str, str]] = set()
    major, names = NEWEST_POSTGRES, {}
    if settings.database:
        with target.opened() as opened:
            connection = opened.connection
            applied = {(row.id, row.checksum) for row in opened.history.rows() if row.success}
            major = connection.server_version // 10_000
            names = {"database": connection.database, "role": connection.parameters["user"]}
    earlier = files._replace(migrations=[each for each in files.migrations if (each.id, each.checksum) in applied])
    with replayed(settings, earlier, major, **names) as made:
        rates = sampling.rates(made.server) if request.stats else None
        with Target(made.settings, on_event).locked() as locked:
            return _on_copy(request, locked, settings, on_event, rates)


def _on_copy(
    request: RehearsalRequest,
    locked: Locked,
    settings: Settings,
    on_event: Callable[[Event], None],
    rates: Rates | None = None,
) -> Rehearsal:
    limits = Limits(settings.lock_timeout, settings.statement_timeout, lock_retries=0)
    connection, history = locked.connection, locked.history
    prepared = _prepared(request, locked, settings)
    here = sizes.read(connection) if request.stats else None
    rehearser = Rehearser(connection, locked.session, limits, on_event)
    steps: Sequence[RehearsedStep] = ()
    if prepared.steps:
        history.create()
        connection.run(history.records.run_start([step.step for step in prepared.steps], locked.lock.pid))
        steps = rehearser.run(prepared.steps, lambda step: _record(locked, step))
        connection.run(history.records.run_end.text)
    on = ON_EMBEDDED if request.on == ON_EMBEDDED else "url"
    result = _result(on, connection, prepared, rehearser, steps)
    return estimated(result, here, request.stats, rates) if here and request.stats else result


def _prepared(request: RehearsalRequest, locked: Locked, settings: Settings) -> Prepared:
    files = source.find(settings.dir)
    plan = plan_for(PlanRequest(Action.APPLY, request.target), files, locked.rows)
    prepared = prepare(plan, client_state(locked.connection), pooled=locked.history.pooled)
    checked(prepared.plan)
    return prepared


def _record(locked: Locked, step: PreparedStep) -> str:
    statements = step.script.statements
    record = locked.history.records.step_end(step.step, step.description, statements, "true", 0)
    return f"begin;{record.text}commit;"


def _result(
    on: str, connection: Connection, prepared: Prepared, rehearser: Rehearser, steps: Sequence[RehearsedStep]
) -> Rehearsal:
    place = f"{connection.database} on {server_of(connection.parameters)}"
    version = connection.server_version // 10_000
    return Rehearsal(on, place, version, tuple(steps), tuple(prepared.plan.problems), rehearser.failure)
