"""Every rule, family by family."""

from sqlmigrate.lint.rule import Rule
from sqlmigrate.lint.rules.clients import (
    access,
    drops,
    functions,
    guarantees,
    interfaces,
    renames,
    rows,
    triggers,
)
from sqlmigrate.lint.rules.correctness import (
    bodies,
    existing,
    reading,
    refused,
    server_only,
    undoing,
    unknown,
)
from sqlmigrate.lint.rules.indexes import (
    building,
    usage,
)
from sqlmigrate.lint.rules.locking import (
    held_locks,
    transactions,
)
from sqlmigrate.lint.rules.rewrites import (
    constraints,
    new_columns,
    partitions,
    storage,
    type_changes,
)
from sqlmigrate.lint.rules.style import (
    conventions,
    types,
)

FAMILIES: dict[str, tuple[Rule, ...]] = {
    "Rewrites and scans under a blocking lock": (
        *type_changes.RULES,
        *new_columns.RULES,
        *constraints.RULES,
        *partitions.RULES,
        *storage.RULES,
    ),
    "Indexes": (*building.RULES, *usage.RULES),
    "Transactions and locks": (*transactions.RULES, *held_locks.RULES),
    "Breaks clients or loses data": (
        *drops.RULES,
        *renames.RULES,
        *guarantees.RULES,
        *triggers.RULES,
        *rows.RULES,
        *functions.RULES,
        *interfaces.RULES,
        *access.RULES,
    ),
    "Correctness": (*reading.RULES, *bodies.RULES, *unknown.RULES, *existing.RULES, *refused.RULES, *undoing.RULES),
    "Style": (*types.RULES, *conventions.RULES),
    "What only the server tells (--replay)": server_only.RULES,
}
RULES = tuple(rule for rules in FAMILIES.values() for rule in rules)
# Rules of earlier versions: a configuration may still name them until the next minor version.
REMOVED = frozenset({"duplicate-name"})
