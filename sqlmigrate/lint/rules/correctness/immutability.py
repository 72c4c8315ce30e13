"""Correctness: expressions of indexes, generated columns and CHECKs whose value depends on more than the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions, column_types
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.schema.mutability import changing_call, mutable_part
from sqlmigrate.sql.tree import bodies, columns_in, qualified, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.sql.parser import Node


def _check_expressions(case: Case) -> Iterator[Hit]:
    if case.statement.inner or case.catalog.uncertain:
        return
    expressions = [item for item in _expressions(case) if item[0]]
    types = column_types(case) if expressions else {}
    for expression, error, node in expressions:
        if part := mutable_part(expression, case.catalog, types):
            yield Hit(f"{error}: {part} is not IMMUTABLE", node=node)
    for column, body in _generated(case):
        other = next((name for name in columns_in(body.get("raw_expr")) if _is_generated(case, name)), "")
        if other and other != column:
            yield Hit(f"cannot use generated column {other} in column generation expression", node=body)


def _expressions(case: Case) -> Iterator[tuple[Node | None, str, Node | None]]:
    """Yields the expressions that must be immutable, each with the error and the node that it belongs to."""
    node = case.node
    if case.kind == "IndexStmt":
        for element in bodies(node, "indexParams"):
            yield element.get("expr"), "functions in index expression must be marked IMMUTABLE", None
        yield node.get("whereClause"), "functions in index predicate must be marked IMMUTABLE", None
    for element in bodies(node.get("partspec", {}), "partParams"):
        yield element.get("expr"), "functions in partition key expression must be marked IMMUTABLE", None
    for _, body in _generated(case):
        yield body.get("raw_expr"), "generation expression is not immutable", body


def _generated(case: Case) -> Iterator[tuple[str, Node]]:
    """Yields the generation expressions of a statement, each with its column."""
    if case.kind != "IndexStmt":
        for kind, body, column in additions(case):
            if kind == "CONSTR_GENERATED":
                yield column.get("colname", ""), body


def _is_generated(case: Case, name: str) -> bool:
    if case.kind == "CreateStmt":
        return any(column == name for column, _ in _generated(case))
    column = case.table.columns.get(name) if case.table is not None else None
    return column is not None and bool(column.generated)


_T = "create table t (a text, b timestamptz, c date);"
_F = "create function f(x text) returns text language plpgsql stable as 'begin return x; end';"

NOT_IMMUTABLE = Rule(
    name="not-immutable",
    level=Level.ERROR,
    on=("IndexStmt", "CreateStmt", "AT_AddColumn"),
    stake="The statement fails: the expression of an index, of a generated column or of a partition key must have the "
    "same value for the same row at any time.",
    safe="create index concurrently t_day_idx on t (((b at time zone 'UTC')::date));",
    check=_check_expressions,
    examples=(
        bad("create index concurrently i on t (a) where b > now();"),
        bad("create index concurrently i on t (a) where c > current_date;"),
        bad("create index concurrently i on t (to_char(b, 'YYYY'));"),
        bad("create index concurrently i on t ((b::date));", _T),
        bad("create index concurrently i on t (date_trunc('day', b));", _T),
        bad("create index concurrently i on t (f(a));", _T + _F),
        bad("create table u (a text, b text generated always as (concat(a, 'x')) stored);"),
        bad("alter table t add column d timestamptz generated always as (now()) stored;"),
        bad("create table u (a int, b int generated always as (a) stored, c int generated always as (b) stored);"),
        bad("create table p (b timestamptz) partition by range ((b::date));"),
        good("create index concurrently i on t (((b at time zone 'UTC')::date));", _T),
        good("create index concurrently i on t (lower(a)) where c > '2026-01-01';", _T),
        good("create index concurrently i on t (f(a));", _T + _F.replace("stable", "immutable")),
        good("create index i on t (f(a));", _T + "create function f(x text) returns text language sql as 'select x';"),
        good("create index concurrently i on t (f(a));"),
        good("create table u (a text, b text generated always as (a || 'x') stored, c timestamptz default now());"),
    ),
)


def _check_check(case: Case) -> Iterator[Hit]:
    if case.state.down:
        return
    for node in _checks(case):
        expression = node.get("raw_expr")
        part = next((call for kind, body in walk(expression) if (call := changing_call(kind, body))), "")
        if part or (part := _stable_function(case, expression)):
            yield Hit(
                f"the CHECK depends on {part}, which changes: rows that were valid become invalid, "
                "and the restore of a dump or an UPDATE of another column fails",
                "write a trigger that tests the value only when it is written",
                node=node,
            )


def _checks(case: Case) -> Iterator[Node]:
    """Yields the CHECK constraints that a statement adds to a table or a domain."""
    return (addition.body for addition in additions(case) if addition.kind == "CONSTR_CHECK")


def _stable_function(case: Case, expression: Node | None) -> str:
    """Returns a function that its author declares STABLE: it reads tables or settings."""
    calls = [body for kind, body in walk(expression) if kind == "FuncCall"]
    functions = [case.catalog.function(qualified(body.get("funcname", ()))) for body in calls]
    return next((f"{function.name[1]}()" for function in functions if function and function.volatility == "stable"), "")


CHANGING_CHECK = Rule(
    name="changing-check",
    level=Level.WARNING,
    on=("CreateStmt", "AT_AddConstraint", "AT_AddColumn", "CreateDomainStmt", "AlterDomainStmt"),
    stake="PostgreSQL tests a CHECK only when it writes a row. If its value changes with time, session or other rows, "
    "stored rows become invalid, and pg_restore of the database fails.",
    safe="alter table t add constraint c check (b >= '2020-01-01') not valid;",
    check=_check_check,
    examples=(
        bad("alter table t add constraint c check (b < now()) not valid;"),
        bad("create table u (born date check (born <= current_date));"),
        bad("alter table t add column d date check (d < current_date);"),
        bad("alter table t add constraint c check (a = current_user) not valid;"),
        bad("create domain past as timestamptz check (value < now());"),
        bad("alter domain past add check (value < now()) not valid;"),
        bad("alter table t add constraint c check (f(a) <> '') not valid;", _T + _F),
        good("alter table t add constraint c check (b >= '2020-01-01') not valid;"),
        good("alter table t add constraint c check (b < c) not valid;"),
        good("create table u (at timestamptz default now() check (at > '2020-01-01'));"),
        good("alter table t add constraint c check (g(a)) not valid;"),
        good("create policy p on t using (b < now());"),
        down("alter table t add constraint c check (b < now()) not valid;"),
    ),
)

RULES = (NOT_IMMUTABLE, CHANGING_CHECK)
