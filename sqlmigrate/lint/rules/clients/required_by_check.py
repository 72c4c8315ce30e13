"""Breaks clients: columns of this file that INSERTs must set, by a CHECK or NOT NULL, and that have no default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import implies_not_null
from sqlmigrate.lint.facts.usage import relation_decider, relation_in_use, table_column
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.rules.clients.origin import at_end, has_value, required_columns
from sqlmigrate.lint.rules.clients.rows import is_still_empty
from sqlmigrate.sql.identifier import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Table


def _check_required(case: Case) -> Iterator[Hit]:
    if case.state.down or case.statement.body.get("objtype") != "OBJECT_TABLE" or not relation_in_use(case, case.name):
        return
    for name in required_columns(case):
        column = table_column(case, name)
        if column is None or not case.state.creates(column.created) or has_value(column):
            continue
        if is_still_empty(case, name) and not case.node.get("def", {}).get("Constraint", {}).get("skip_validation"):
            continue  # required-column says that it fails
        yield Hit(
            f"INSERTs that omit {name} fail from now on: applications do not know the new column, which has no default",
            f"set a default of {quoted(name)} first, or add the constraint in a later file, after a release that sets "
            "the column",
            relation_decider(case, case.name),
            unless=at_end(case.name, lambda table, name=name: not _is_required(table, name)),  # type: ignore[misc]
        )


def _is_required(table: Table, name: str) -> bool:
    column = table.columns.get(name)
    if column is None or has_value(column):
        return False
    return bool(column.not_null) or any(
        implies_not_null(constraint.expression, name) or (constraint.kind == "not null" and name in constraint.columns)
        for constraint in table.constraints
        if constraint.enforced
    )


_CHECK = "alter table t add constraint c check (b is not null) not valid;"
_T = "create table t (a int);"

REQUIRED_BY_CHECK = Rule(
    name="required-by-constraint",
    level=Level.WARNING,
    on=("AT_AddConstraint", "AT_SetNotNull"),
    stake="Applications that run during the deployment omit the new column from their INSERTs, which fail at once. "
    "NOT VALID only spares the rows that exist.",
    safe="alter table t add column b int default 0;\nalter table t add constraint c check (b is not null) not valid;",
    check=_check_required,
    examples=(
        bad("alter table t add column b int;" + _CHECK, _T),
        bad("alter table t add column b int, add constraint c check (b is not null and b > 0) not valid;"),
        bad("alter table t add column b int; alter table t add constraint n not null b not valid;", _T),
        bad("alter table t add b int; update t set b = a where a = 1; alter table t alter b set not null;", _T),
        bad("alter table t add column b int; update t set b = a where a = 1; alter table t add primary key (b);", _T),
        good("alter table t add column b int default 0;" + _CHECK, _T),
        good("alter table t add column b int;" + _CHECK + "alter table t alter b set default 0;", _T),
        good("alter table t add column b int;" + _CHECK + "alter table t drop constraint c;", _T),
        good(_CHECK, "create table t (b int);"),
        good("create table t (b int);" + _CHECK),
        good("alter table t add b int; alter table t add check (a is not null or b is not null) not valid;", _T),
        good("alter table t add column b int; alter table t add check (b > 0) not valid;", _T),
        down("alter table t add column b int;" + _CHECK, "alter table t drop column b;", _T),
    ),
)

RULES = (REQUIRED_BY_CHECK,)
