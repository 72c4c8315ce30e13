"""Classifies SQLSTATEs: errors to retry, and errors that other segments avoid. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmigrate.model import ServerReport

TEMPORARY = {"55P03", "40P01", "40001"}  # lock_not_available, deadlock_detected, serialization_failure
NOT_IN_A_TRANSACTION = {"25001", "2D000"}  # active_sql_transaction, invalid_transaction_termination
TOO_MANY_LOCKS = "53200"  # out_of_memory, with the hint to increase max_locks_per_transaction
CANCELLED = "57014"  # query_canceled, by a person or by statement_timeout
UNENCODABLE = {"22P05", "22021"}  # untranslatable_character, character_not_in_repertoire
READ_ONLY = "25006"  # read_only_sql_transaction
REJECTED_VALUE = "22023"  # invalid_parameter_value
DUPLICATE = "23505"  # unique_violation
NOT_NULL = "23502"  # not_null_violation
EXHAUSTED = "2200H"  # sequence_generator_limit_exceeded
NOT_PERMITTED = "42501"  # insufficient_privilege
SYNTAX = "42601"  # syntax_error
UNDEFINED_OBJECT = "42704"
DUPLICATE_OBJECT = "42710"
# duplicate_table, _column, _schema, _function, _object
CONTAINED = {"42P07", "42701", "42P06", "42723", "42710"}
GONE = {"42P01", "3F000", "42703"}  # undefined_table, invalid_schema_name, undefined_column


def needs_other_segments(report: ServerReport) -> bool:
    """Whether the statement can succeed in a transaction of its own, or outside a transaction block."""
    return report.sqlstate in NOT_IN_A_TRANSACTION or needs_commit(report)


def needs_commit(report: ServerReport) -> bool:
    """Whether a COMMIT before the statement avoids the error: enum values, trigger events, too many locks.

    Messages are in the server's language; names of settings and of the server's functions are not translated.
    """
    return (
        report.sqlstate == "55P04"
        or (report.sqlstate == "55006" and report.source_function == "CheckTableNotInUse")
        or (report.sqlstate == TOO_MANY_LOCKS and "max_locks_per_transaction" in report.hint)
    )
