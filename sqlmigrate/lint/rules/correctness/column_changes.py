"""Correctness: changes of a column that its key, its identity, its expression or its partitioned table forbid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.certain import certain_table
from sqlmigrate.lint.facts.questions import domains_over
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.datatype import type_of
from sqlmigrate.sql.tree import qualified, relation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Column, Table

_INTEGERS = ("int2", "int4", "int8")


def _check_column(case: Case) -> Iterator[Hit]:
    if case.kind == "AlterDomainStmt":
        yield from _of_domain(case)
        return
    table = certain_table(case.catalog, _table_name(case))
    if case.statement.inner or table is None or table.kind in ("view", "matview"):
        return
    fault = _of_partition(case, table) if table.bound is not None else ""
    name = case.node.get("name", "")
    column = table.columns.get(name)
    if not fault and column is not None and not table.partial and not _is_changed_too(case, name):
        fault = _fault(case, table, column)
    if fault:
        yield Hit(fault, by=decider(case, column.created or table.created if column else table.created))


def _of_domain(case: Case) -> Iterator[Hit]:
    """Yields a hit for a check of a domain of which a table has an array: PostgreSQL cannot check its elements."""
    node = case.node
    checks = node.get("subtype") == "C" and not node["def"]["Constraint"].get("skip_validation")
    if case.statement.inner or not (checks or node.get("subtype") in ("O", "V")):
        return
    domain = qualified(node["typeName"])[1]
    names = domains_over(case.catalog, domain)
    for table in {table.name: table for name in names for table in case.catalog.using(name)}.values():
        for column in table.columns.values() if certain_table(case.catalog, table.name) else ():
            if column.type and column.type.array and column.type.name.rpartition(".")[2] in names:
                message = f"cannot alter type {domain} because column {table.name[1]}.{column.name} uses it"
                yield Hit(message, by=decider(case, column.created or table.created))


def _table_name(case: Case) -> tuple[str, str]:
    is_rename = case.kind == "RenameStmt"
    is_of_column = is_rename and case.node["renameType"] == "OBJECT_COLUMN" and "relation" in case.node
    if is_of_column:
        return relation(case.node["relation"])
    return ("", "") if is_rename else case.name


def _is_changed_too(case: Case, name: str) -> bool:
    """Returns whether another subcommand changes the column: PostgreSQL runs them in an order of its own."""
    return case.statement.mentions(name) > 1


def _fault(case: Case, table: Table, column: Column) -> str:  # noqa: C901  # one case for each subcommand
    """Returns why a subcommand fails, or an empty string."""
    name, node, title = column.name, case.node, f"column {column.name} of {table.name[1]}"
    primary = table.primary_key
    match case.kind:
        case "AT_DropColumn" if name in table.keys and node.get("behavior") == "DROP_CASCADE":
            return f"cannot drop column {name} because it is part of the partition key of {table.name[1]}"
        case "AT_DropNotNull" if primary and name in primary.columns:
            return f"column {name} is in a primary key"
        case "AT_DropNotNull" | "AT_ColumnDefault" if column.identity:
            return f"{title} is an identity column"
        case "AT_ColumnDefault" if column.generated:
            return f"{title} is a generated column"
        case "AT_AddIdentity" if not table.parents:
            return _identity_fault(column, title)
        case "AT_SetIdentity" | "AT_DropIdentity" if not column.identity and not node.get("missing_ok"):
            return f"{title} is not an identity column"
        case "AT_DropExpression" if not column.generated and not node.get("missing_ok"):
            return f"{title} is not a generated column"
        case "AT_SetExpression" if not column.generated:
            return f"{title} is not a generated column"
        case "AT_AlterColumnType":
            definition = node["def"]["ColumnDef"]
            if column.identity and not _is_integer(case, type_of(definition["typeName"]).name):
                return "identity column type must be smallint, integer, or bigint"
            if column.generated and "raw_default" in definition:
                return f"cannot specify USING when altering type of generated column: {name}"
    return ""


def _is_integer(case: Case, type_: str) -> bool:
    return type_ in _INTEGERS or case.catalog.type(type_) is not None


def _identity_fault(column: Column, title: str) -> str:
    if column.not_null is False:
        return f"{title} must be declared NOT NULL before identity can be added"
    if column.identity:
        return f"{title} is already an identity column"
    if column.default is not None and not column.default.get("A_Const", {}).get("isnull"):
        return f"{title} already has a default value"
    is_other = column.type is not None and column.type.name not in _INTEGERS and "." not in column.type.name
    return "identity column type must be smallint, integer, or bigint" if is_other else ""


def _of_partition(case: Case, table: Table) -> str:
    """Returns why a subcommand fails because the partitioned table has the column; empty for other columns."""
    parents = [case.catalog.tables[name] for name in table.parents if name in case.catalog.tables]
    name = case.node.get("name") or case.node.get("subname", "")
    inherited = next((parent.columns[name] for parent in parents if name in parent.columns), None)
    match case.kind:
        case "AT_AddColumn":
            return f"cannot add column to a partition: {table.name[1]}"
        case "AT_DropColumn" if inherited:
            return f"cannot drop inherited column {name}"
        case "AT_AlterColumnType" if inherited:
            return f"cannot alter inherited column {name}"
        case "RenameStmt" if inherited:
            return f"cannot rename inherited column {name}"
        case "AT_DropNotNull" if inherited and inherited.not_null:
            return f"column {name} is marked NOT NULL in parent table"
        case "AT_DropConstraint" if any(_has_constraint(parent, table, name) for parent in parents):
            return f"cannot drop inherited constraint {name} of {table.name[1]}"
    return ""


def _has_constraint(parent: Table, table: Table, name: str) -> bool:
    check = parent.constraint(name)
    is_index = any(index.name[1] == name and index.parent and index.constraint for index in table.indexes)
    return is_index or (check is not None and check.kind == "check")


_KEYED = "create table t (id int primary key, b int);"
_IDENTITY = "create table t (id int generated always as identity, b int);"
_Q = "create table p (id int not null, a int) partition by range (id); create table q partition of p default;"

COLUMN = Rule(
    name="column-change-fails",
    level=Level.ERROR,
    on=(
        *("AT_DropNotNull", "AT_ColumnDefault", "AT_AddIdentity", "AT_SetIdentity", "AT_DropIdentity"),
        *("AT_DropExpression", "AT_SetExpression", "AT_AlterColumnType", "AT_AddColumn", "AT_DropColumn"),
        *("AT_DropConstraint", "RenameStmt", "AlterDomainStmt"),
    ),
    stake="The statement fails: a primary key, the identity, the expression or the partitioned table forbids it.",
    safe="alter table t alter id set not null;\nalter table t alter id add generated always as identity;",
    check=_check_column,
    examples=(
        bad("alter table t alter id drop not null;", _KEYED),
        bad("alter table t alter id drop not null;", _IDENTITY),
        bad("alter table t alter id set default 1;", _IDENTITY),
        bad("alter table t alter id type text;", _IDENTITY),
        bad("alter table t alter b add generated always as identity;", _KEYED),
        bad("alter table t alter id add generated always as identity;", _IDENTITY),
        bad("alter table t alter id add generated always as identity;", "create table t (id serial);"),
        bad("alter table t alter b drop identity;", _IDENTITY),
        bad("alter table t alter b drop expression;", _IDENTITY),
        bad("alter table q add column b int;", _Q),
        bad("alter table q drop column a;", _Q),
        bad("alter table q rename a to b;", _Q),
        bad("alter table q alter id drop not null;", _Q),
        bad("alter domain d set not null;", "create domain d as int; create table t (a d[]);"),
        good("alter domain d add check (value > 0) not valid;", "create domain d as int; create table t (a d[]);"),
        bad("alter table p drop column id cascade;", _Q),
        good("alter table t drop constraint t_pkey; alter table t alter id drop not null;", _KEYED),
        good("alter table t alter b set not null, alter b add generated always as identity;", _KEYED),
        good("alter table t alter id drop identity, alter id set default 1;", _IDENTITY),
        good("alter table t alter b drop identity if exists;", _IDENTITY),
        good("alter table t alter id type bigint;", _IDENTITY),
        good("alter table p add column b int;", _Q),
        good("alter table p detach partition q; alter table q drop column a;", _Q),
        good("alter table t alter id drop not null;"),
    ),
)

RULES = (COLUMN,)
