"""Correctness: definitions of tables, enum values and triggers that PostgreSQL rejects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.sql.builtin import AGGREGATES
from sqlmigrate.sql.tree import qualified, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.sql.parser import Node

_PLAIN = {"CONSTR_CHECK": "check constraint", "CONSTR_DEFAULT": "DEFAULT expression"}


def _check_definition(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    match case.kind:
        case "AlterEnumStmt":
            faults = _of_enum(case)
        case "CreateTrigStmt":
            faults = _of_trigger(case)
        case _:
            faults = _of_table(case) if case.kind == "CreateStmt" else iter(())
            yield from (Hit(fault, node=node) for fault, node in _of_expressions(case))
    yield from (Hit(fault, node=node) for fault, node in faults)


def _of_table(case: Case) -> Iterator[tuple[str, Node | None]]:
    if case.node.get("if_not_exists") and case.table is not None:
        return
    names = [item["ColumnDef"].get("colname", "") for item in case.node.get("tableElts", ()) if "ColumnDef" in item]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        yield f"column {twice} specified more than once", None
    if sum(addition.kind == "CONSTR_PRIMARY" for addition in additions(case)) > 1:
        yield f"multiple primary keys for table {case.name[1]} are not allowed", None


def _of_expressions(case: Case) -> Iterator[tuple[str, Node | None]]:
    """Yields what CHECKs and defaults cannot contain: subqueries, aggregates, columns."""
    for kind, body, _ in additions(case):
        what, expression = _PLAIN.get(kind), body.get("raw_expr", {})
        if what is None or "A_Const" in expression:
            continue
        nodes = list(walk(expression))
        if any(inner == "SubLink" for inner, _ in nodes):
            yield f"cannot use subquery in {what}", body
        elif kind == "CONSTR_DEFAULT" and any(inner == "ColumnRef" for inner, _ in nodes):
            yield "cannot use column reference in DEFAULT expression", body
        elif any(inner == "FuncCall" and _is_aggregate(case, call) for inner, call in nodes):
            yield f"aggregate functions are not allowed in {what}s", body


def _is_aggregate(case: Case, call: Node) -> bool:
    name = qualified(call.get("funcname", ()))
    return name[1] in AGGREGATES and name[0] in ("", "pg_catalog") and case.catalog.function(name) is None


def _of_enum(case: Case) -> Iterator[tuple[str, Node | None]]:
    name = qualified(case.node["typeName"])
    enum = case.catalog.types.get(case.catalog.resolve(name, case.catalog.types))
    value = case.node.get("oldVal") or case.node.get("newValNeighbor")
    if enum is None or enum.created is None or enum.kind != "enum" or case.catalog.uncertain:
        return
    if value and value not in enum.values and name[1] not in case.catalog.uncertain_names:
        yield f"'{value}' is not an existing enum label of {name[1]}", None


def _of_trigger(case: Case) -> Iterator[tuple[str, Node | None]]:
    function = case.catalog.function(qualified(case.node["funcname"]))
    returned = function.node.get("returnType", {}) if function is not None and function.node is not None else {}
    types = strings(returned.get("names", ()))
    if types and types[-1] != "trigger" and function is not None and not case.catalog.uncertain:
        yield f"function {function.name[1]} must return type trigger", None


_MOOD = "create type mood as enum ('ok', 'bad');"

DEFINITION = Rule(
    name="definition-fails",
    level=Level.ERROR,
    on=("CreateStmt", "AT_AddColumn", "AT_AddConstraint", "AlterEnumStmt", "CreateTrigStmt"),
    stake="The statement fails: the definition contradicts itself, or contains what PostgreSQL does not allow there.",
    safe="create table t (a int primary key, b int default 0 check (b >= 0));",
    check=_check_definition,
    examples=(
        bad("create table t (a int, a text);"),
        bad("create table t (a int primary key, b int, primary key (b));"),
        bad("alter table t add constraint c check (a in (select b from u)) not valid;"),
        bad("alter table t add constraint c check (max(a) > 0) not valid;"),
        bad("create table t (a int, b int default a);"),
        bad("alter table t add column b int default (select 1);"),
        bad("alter type mood add value 'good' after 'none';", _MOOD),
        bad("alter type mood rename value 'none' to 'good';", _MOOD),
        bad(
            "create trigger g before insert on t for each row execute function f();",
            "create function f() returns int language sql as 'select 1';",
        ),
        good("create table t (a int primary key, b int default 0 check (b >= 0));"),
        good("alter type mood add value 'good' after 'ok';", _MOOD),
        good("alter type mood add value 'good' after 'none';"),
        good("create table if not exists t (a int, b int default length('a'));"),
    ),
)

RULES = (DEFINITION,)
