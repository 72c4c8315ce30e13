"""What PostgreSQL's versions do differently, as far as the tests see it: the one place for it."""

from __future__ import annotations

# Parts of statements, with the first major version whose grammar has them.
SYNTAX = {
    "merge into": 15,
    "set access method": 15,
    "for tables in schema": 15,
    "(id, note) where": 15,  # columns and rows of a publication
    "nulls not distinct": 15,
    "set expression": 17,
    " virtual": 18,
    " not enforced": 18,
    "add not null": 18,
    "not null total": 18,  # as a table constraint
    "constraint nn not null": 18,
    "constraint n not null": 18,
    "constraint c not null": 18,
    "uuidv7": 18,
}
# Functions of pg_catalog, with the first major version that has them.
FUNCTIONS = {
    "any_value": 16,
    "array_sample": 16,
    "array_shuffle": 16,
    "crc32": 18,
    "erf": 16,
    "regexp_count": 15,
    "regexp_instr": 15,
    "regexp_like": 15,
    "regexp_substr": 15,
    "uuidv4": 18,
    "uuidv7": 18,
}
# Settings, with the first major version that has them.
SETTINGS = {"transaction_timeout": 17}
# GRANT and REVOKE lock their objects.
GRANT_LOCKS = 18


def has_syntax(version: int, statement: str) -> bool:
    """Whether the grammar of a major version has all parts of a statement."""
    return all(version >= since for part, since in SYNTAX.items() if part in statement)


def later_functions(version: int) -> set[str]:
    """The functions that a major version does not have."""
    return {name for name, since in FUNCTIONS.items() if version < since}
