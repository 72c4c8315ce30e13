"""All rules, grouped by subject."""

from sqlmigrate.lint.rule import Rule
from sqlmigrate.lint.rules.clients import (
    access,
    drops,
    functions,
    guarantees,
    interfaces,
    renames,
    required_by_check,
    rows,
    triggers,
)
from sqlmigrate.lint.rules.correctness import (
    bodies,
    column_changes,
    definition_faults,
    existing,
    generated_columns,
    immutability,
    index_methods,
    insertions,
    never_created,
    newer,
    partition_faults,
    query_faults,
    reading,
    refused,
    row_faults,
    server_only,
    truncation,
    type_casts,
    undoing,
    unknown,
    updates,
    wrong_kind,
)
from sqlmigrate.lint.rules.indexes import concurrently, redundant_or_missing
from sqlmigrate.lint.rules.locking import explicit_locks, held_locks, new_triggers, transactions
from sqlmigrate.lint.rules.rewrites import constraints, new_columns, partitions, storage, type_changes
from sqlmigrate.lint.rules.style import column_types, conventions, design, rerun

FAMILIES: dict[str, tuple[Rule, ...]] = {
    "Table rewrites and full table scans": (
        *type_changes.RULES,
        *new_columns.RULES,
        *constraints.RULES,
        *partitions.RULES,
        *storage.RULES,
    ),
    "Indexes": (*concurrently.RULES, *redundant_or_missing.RULES),
    "Transactions and locks": (*transactions.RULES, *held_locks.RULES, *explicit_locks.RULES, *new_triggers.RULES),
    "Breaking changes and data loss": (
        *drops.RULES,
        *renames.RULES,
        *guarantees.RULES,
        *triggers.RULES,
        *rows.RULES,
        *required_by_check.RULES,
        *functions.RULES,
        *interfaces.RULES,
        *access.RULES,
    ),
    "Correctness": (
        *reading.RULES,
        *bodies.RULES,
        *unknown.RULES,
        *never_created.RULES,
        *existing.RULES,
        *wrong_kind.RULES,
        *type_casts.RULES,
        *truncation.RULES,
        *column_changes.RULES,
        *partition_faults.RULES,
        *immutability.RULES,
        *index_methods.RULES,
        *definition_faults.RULES,
        *generated_columns.RULES,
        *insertions.RULES,
        *updates.RULES,
        *row_faults.RULES,
        *query_faults.RULES,
        *refused.RULES,
        *newer.RULES,
        *undoing.RULES,
    ),
    "Style": (*column_types.RULES, *conventions.RULES, *design.RULES, *rerun.RULES),
    "Reported only by the server (--replay)": server_only.RULES,
}
RULES = tuple(rule for rules in FAMILIES.values() for rule in rules)
# Rules of earlier versions: a configuration may still name them until the next minor version.
REMOVED = frozenset({"duplicate-name"})
