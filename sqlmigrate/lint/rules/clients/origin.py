"""What the rules of this folder ask about an object: who created it, and how it is at the end of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import implies_not_null
from sqlmigrate.lint.facts.usage import decider, is_in_use
from sqlmigrate.lint.schema.interpret.definitions import constrained_columns, index_used
from sqlmigrate.sql.tree import columns_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.lint.finding import Decider
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Catalog, Column, Constraint, Function, Name, Table


def created_by(case: Case, definition: Column | Constraint | Function | None) -> Decider:
    """Returns `decider` of an object."""
    return decider(case, definition.created if definition else None)


def in_use(case: Case, definition: Column | Constraint | Function | None) -> bool:
    """Returns `is_in_use` of an object."""
    return is_in_use(case, definition.created if definition else None)


def has_value(column: Column) -> bool:
    """Returns whether the column has a value when an INSERT omits it."""
    return column.default is not None or bool(column.identity or column.generated)


def at_end(name: Name, condition: Callable[[Table], bool]) -> Callable[[Catalog], bool]:
    """Returns a test for `Hit.unless`: whether the table exists and meets the condition."""
    return lambda catalog: name in catalog.tables and condition(catalog.tables[name])


def required_columns(case: Case) -> list[str]:
    """Returns the columns that a subcommand of ALTER TABLE makes required, by NOT NULL, a key or a CHECK.

    With NOT VALID, the rows that exist need no value.
    """
    if case.kind == "AT_SetNotNull":
        return [case.node.get("name", "")]
    body = case.node["def"]["Constraint"]
    if body["contype"] in ("CONSTR_NOTNULL", "CONSTR_PRIMARY"):
        used = index_used(case.catalog, case.table, body) if case.table else None
        return list(used.columns if used else constrained_columns(body))
    expression = body.get("raw_expr") if body["contype"] == "CONSTR_CHECK" else None
    return [name for name in columns_in(expression) if implies_not_null(expression, name)]
