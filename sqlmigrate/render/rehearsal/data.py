"""A rehearsal as data for JSON, as `docs/json.md` describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.locks.effects import Effects, TakenLock
    from sqlmigrate.planning.rehearsed import Estimate, Rehearsal, RehearsedStatement, RehearsedStep

Json = dict[str, object]


def rehearsal(result: Rehearsal) -> Json:
    """Returns `rehearsal`."""
    return {
        "rehearsal": {
            "on": result.on,
            "place": result.place,
            "server_version": result.server_version,
            "steps": [_step(step) for step in result.steps],
        }
    }


def _step(rehearsed: RehearsedStep) -> Json:
    step = rehearsed.step
    transactions = [
        {"alone": transaction.is_alone, "statements": [_statement(statement) for statement in transaction.statements]}
        for transaction in rehearsed.transactions
    ]
    return {
        "version": step.migration.id,
        "name": step.migration.name,
        "path": step.path,
        "transactions": transactions,
    }


def _statement(statement: RehearsedStatement) -> Json:
    location = statement.location
    return {
        "file": location.path,
        "line": location.line,
        "column": location.column,
        "sql": statement.sql,
        "left_out": statement.skipped,
        "error": statement.failed,
        **({} if statement.effects is None else _effects(statement.effects)),
        **({} if statement.estimate is None else {"estimate": _estimate(statement.estimate)}),
        **({} if statement.wait is None else {"locks_held": _estimate(statement.wait)}),
    }


def _estimate(estimate: Estimate) -> Json:
    is_known = estimate.low_ms is not None and estimate.high_ms is not None
    return {
        "low_ms": round(estimate.low_ms or 0) if is_known else None,
        "high_ms": round(estimate.high_ms or 0) if is_known else None,
        "ground": estimate.ground,
    }


def _effects(effects: Effects) -> Json:
    return {
        "duration_ms": round(effects.ms, 2),
        "wal_bytes": effects.wal,
        "rows": effects.affected,
        "locks": [_lock(lock) for lock in effects.locks],
        "work": [
            {
                "doing": effort.doing.value,
                "relation": effort.subject.name,
                "name": effort.name,
                "method": effort.method,
                "references": effort.other,
            }
            for effort in effects.efforts
        ],
        "tables": [rows._asdict() for rows in effects.rows],
    }


def _lock(lock: TakenLock) -> Json:
    return {
        "relation": lock.subject.name,
        "kind": lock.subject.kind,
        "mode": lock.mode.value,
        "blocks_reads": lock.mode.blocks_reads,
        "blocks_writes": lock.mode.blocks_writes,
    }
