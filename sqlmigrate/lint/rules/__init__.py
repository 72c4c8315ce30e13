"""Every rule, family by family."""

from sqlmigrate.lint.rules import (
    constraints,
    index_use,
    indexes,
    new_columns,
    partitions,
    storage,
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
)
