"""Every rule, family by family."""

from sqlmigrate.lint.rule import Rule
from sqlmigrate.lint.rules import (
    access,
    clients,
    constraints,
    conventions,
    correctness,
    existing,
    functions,
    guarantees,
    held_locks,
    index_use,
    indexes,
    interfaces,
    new_columns,
    own,
    partitions,
    refused,
    renames,
    rows,
    storage,
    style,
    told,
    transactions,
    triggers,
    type_changes,
    undoing,
    unknown,
)

FAMILIES: dict[str, tuple[Rule, ...]] = {
    "Rewrites and scans under a blocking lock": (
        *type_changes.RULES,
        *new_columns.RULES,
        *constraints.RULES,
        *partitions.RULES,
        *storage.RULES,
    ),
    "Indexes": (*indexes.RULES, *index_use.RULES),
    "Transactions and locks": (*transactions.RULES, *held_locks.RULES),
    "Breaks clients or loses data": (
        *clients.RULES,
        *renames.RULES,
        *guarantees.RULES,
        *triggers.RULES,
        *rows.RULES,
        *functions.RULES,
        *interfaces.RULES,
        *access.RULES,
    ),
    "Correctness": (*own.RULES, *correctness.RULES, *unknown.RULES, *existing.RULES, *refused.RULES, *undoing.RULES),
    "Style": (*style.RULES, *conventions.RULES),
    "What only the server tells (--replay)": told.RULES,
}
RULES = tuple(rule for rules in FAMILIES.values() for rule in rules)
