"""Every rule, family by family."""

from sqlmigrate.lint.rules import (
    clients,
    constraints,
    correctness,
    index_use,
    indexes,
    new_columns,
    partitions,
    storage,
    style,
    transactions,
    type_changes,
)

RULES = (
    *type_changes.RULES,
    *new_columns.RULES,
    *constraints.RULES,
    *partitions.RULES,
    *storage.RULES,
    *indexes.RULES,
    *index_use.RULES,
    *transactions.RULES,
    *clients.RULES,
    *correctness.RULES,
    *style.RULES,
)
