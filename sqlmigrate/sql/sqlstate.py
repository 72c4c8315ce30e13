"""What PostgreSQL's error codes mean for a migration: try again, or run the script in other segments. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.model import ServerReport

PASSING = {"55P03", "40P01", "40001"}  # lock_not_available, deadlock_detected, serialization_failure
NOT_IN_A_TRANSACTION = {"25001", "2D000"}  # active_sql_transaction, invalid_transaction_termination
GONE = {"42P01", "3F000"}  # undefined_table, invalid_schema_name


def needs_parts(report: ServerReport) -> bool:
    """Whether the server refused only to run a statement in the same transaction as what precedes it."""
    return report.sqlstate in NOT_IN_A_TRANSACTION or wants_a_commit(report)


def wants_a_commit(report: ServerReport) -> bool:
    """What psql would have committed by then: an enum's value, pending trigger events, more locks than one may have."""
    return (
        report.sqlstate == "55P04"
        or (report.sqlstate == "55006" and "pending trigger events" in report.message)
        or (report.sqlstate == "53200" and "max_locks_per_transaction" in report.hint)
    )
