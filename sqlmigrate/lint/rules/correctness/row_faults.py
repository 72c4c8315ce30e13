"""Correctness: rows of constants that the constraints of their table reject, and constraints that they violate.

Only rows that the file itself inserted are compared: applications may have deleted the rows of earlier files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.bounds import excludes
from sqlmigrate.lint.facts.certain import certain_table
from sqlmigrate.lint.facts.stored_rows import inserted_rows, rows_of
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.facts.values import NULL, UNKNOWN, are_equal, holds
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.interpret.definitions import constrained_columns, index_used
from sqlmigrate.sql.tree import bodies, relation, strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlmigrate.lint.schema.catalog import Index, Name, Table
    from sqlmigrate.sql.parser import Node

    Row = dict[str, tuple[str, object]]


def _check_rows(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    if case.kind == "InsertStmt":
        table = certain_table(case.catalog, relation(case.node["relation"]))
        fault = _insert_fault(case, table) if table is not None and not table.partial and not table.triggers else ""
        if table is not None and fault and not _is_put_off(case):
            yield Hit(f"the INSERT into {table.name[1]} fails: {fault}", by=decider(case, table.created))
        return
    table = certain_table(case.catalog, case.name)
    rows = rows_of(case.state, table).rows if table is not None else ()
    if table is not None and rows and (fault := _addition_fault(case, table, rows)) and not _is_put_off(case):
        yield Hit(f"this fails: {fault}", by=decider(case, table.created))


def _is_put_off(case: Case) -> bool:
    """Whether the file may have constraints checked later, or not at all."""
    texts = (statement.text.lower() for statement in (*case.state.earlier, *case.state.before, case.statement))
    return any(words in text for text in texts for words in _PUT_OFF)


_PUT_OFF = ("deferr", "disable trigger", "session_replication_role")


def _insert_fault(case: Case, table: Table) -> str:
    rows = inserted_rows(case.catalog, table, case.node)
    if not rows or table.parents or table.name in case.state.ruled:
        return ""
    if table.kind == "partitioned":
        return next((fault for row in rows if (fault := _partition_fault(case, table, row))), "")
    checked = (fault for row in rows if (fault := _check_fault(case, table, row) or _key_fault(case, table, row)))
    fault = next(checked, "")
    return fault or ("" if "onConflictClause" in case.node else _duplicate_fault(case, table, rows))


def _check_fault(case: Case, table: Table, row: Row) -> str:
    for check in table.constraints:
        if check.kind == "check" and check.enforced and holds(check.expression, row) is False:
            return f"the row violates check constraint {check.name}"
    for column in table.columns.values():
        value = row.get(column.name, UNKNOWN)
        domain = case.catalog.type(column.type.name) if column.type and value not in (NULL, UNKNOWN) else None
        for check in domain.constraints if domain and domain.kind == "domain" else ():
            if check.kind == "check" and holds(check.expression, {"value": value}) is False:
                return f"column {column.name} violates the check of domain {domain.name[1] if domain else ''}"
    return ""


def _key_fault(case: Case, table: Table, row: Row) -> str:
    """Returns the foreign key whose row the file certainly does not insert: it creates the other table as well."""
    for key in table.constraints:
        if key.kind == "foreign" and key.enforced and key.references and key.references != table.name:
            fault = _missing(case, key.references, key.referenced, key.columns, row)
            if fault:
                return fault
    return ""


def _missing(case: Case, name: Name, referenced: Sequence[str], columns: Sequence[str], row: Row) -> str:
    """Returns the values of a row that the other table certainly lacks."""
    other = certain_table(case.catalog, name)
    stored = rows_of(case.state, other) if other is not None and not other.partial else None
    if other is None or stored is None or not stored.is_all or not case.state.hides(other):
        return ""
    keys = tuple(referenced) or (other.primary_key.columns if other.primary_key else ())
    values = [row.get(column, UNKNOWN) for column in columns]
    if len(keys) != len(values) or NULL in values or UNKNOWN in values:
        return ""
    differs = (
        any(_differs(parent.get(key, UNKNOWN), value) for key, value in zip(keys, values, strict=True))
        for parent in stored.rows
    )
    return f"{name[1]} has no row {_shown(keys, values)}" if all(differs) else ""


def _differs(first: tuple[str, object], second: tuple[str, object]) -> bool:
    return first == NULL or are_equal(first, second) is False


def _shown(columns: Iterable[str], values: Iterable[tuple[str, object]]) -> str:
    return f"({', '.join(columns)}) = ({', '.join(str(content) for _, content in values)})"


def _duplicate_fault(case: Case, table: Table, rows: Sequence[Row]) -> str:
    known = rows_of(case.state, table).rows
    for index in table.indexes:
        if _compares(index) and (fault := _duplicate(rows, index.columns, known)):
            return f"{fault} of {index.name[1]}"
    return ""


def _compares(index: Index) -> bool:
    return index.unique and index.predicate is None and not index.expressions and index.method == "btree"


def _duplicate(rows: Iterable[Row], columns: Sequence[str], before: Iterable[Row] = ()) -> str:
    """Returns the key that two rows have in common, or a row with one of those before."""
    keys = {tuple(row.get(column, UNKNOWN) for column in columns) for row in before}
    for row in rows if columns else ():
        key = tuple(row.get(column, UNKNOWN) for column in columns)
        if NULL in key or UNKNOWN in key:
            continue
        if key in keys:
            return f"duplicate key {_shown(columns, key)}"
        keys.add(key)
    return ""


def _partition_fault(case: Case, table: Table, row: Row) -> str:
    """Returns the key for which the table has no partition: the file creates the table with all its partitions."""
    kind, content = row.get(table.keys[0], UNKNOWN) if len(table.keys) == 1 else UNKNOWN
    if kind not in ("number", "date", "text") or not case.state.hides(table):
        return ""
    value = int(str(content)) if kind == "number" and str(content).lstrip("-").isdigit() else content
    partitions = case.catalog.children(table.name)
    is_outside = all(child.bound is not None and _excludes(child.bound, value) for child in partitions)
    return f"no partition of {table.name[1]} for {_shown(table.keys, [(kind, content)])}" if is_outside else ""


def _excludes(bound: Node, value: object) -> bool:
    return not bound.get("is_default") and bound.get("strategy") in ("l", "r") and excludes(bound, value)


def _addition_fault(case: Case, table: Table, rows: Sequence[Row]) -> str:
    """Returns why rows of the file violate what a statement adds to their table."""
    if case.kind == "IndexStmt":
        elements = bodies(case.node, "indexParams")
        columns = tuple(element.get("name", "") for element in elements)
        is_plain = case.node.get("unique") and all(columns) and "whereClause" not in case.node
        return _duplicate(rows, columns) if is_plain and case.node.get("accessMethod", "btree") == "btree" else ""
    if case.kind == "AT_ValidateConstraint":
        constraint = table.constraint(case.node.get("name", ""))
        return _violated(constraint.expression if constraint and constraint.kind == "check" else None, rows)
    body = case.node["def"]["Constraint"]
    if body.get("skip_validation") or index_used(case.catalog, table, body) is not None:
        return ""
    match body["contype"]:
        case "CONSTR_CHECK" if body.get("is_enforced"):
            return _violated(body.get("raw_expr"), rows)
        case "CONSTR_PRIMARY" | "CONSTR_UNIQUE":
            return _duplicate(rows, constrained_columns(body))
        case "CONSTR_FOREIGN" if body.get("is_enforced"):
            name = case.catalog.resolve(relation(body["pktable"]))
            referenced, own = strings(body.get("pk_attrs", ())), constrained_columns(body)
            faults = (_missing(case, name, referenced, own, row) for row in rows if name != table.name)
            return next((fault for fault in faults if fault), "")
    return ""


def _violated(expression: Node | None, rows: Sequence[Row]) -> str:
    is_violated = any(holds(expression, row) is False for row in rows)
    return "a row that this file inserts violates the check constraint" if is_violated else ""


_T = "create table t (id int primary key, size int check (size > 0), name text); "
_ROW = "insert into t values (1, 1, 'a'), (2, 2, 'a'); "
_P = (
    "create table p (at date) partition by range (at); "
    "create table p1 partition of p for values from ('2026-01-01') to ('2026-02-01'); "
)
_R = "create table r (id int primary key); create table u (r_id int references r); "

ROWS = Rule(
    name="rows-rejected",
    level=Level.ERROR,
    on=("InsertStmt", "IndexStmt", "AT_AddConstraint", "AT_ValidateConstraint"),
    stake="The statement fails: rows that the file inserts violate a key, a check or a partition bound.",
    safe="insert into t (id, name) values (1, 'a') on conflict (id) do nothing;",
    check=_check_rows,
    examples=(
        bad(_T + _ROW + "insert into t values (2, 3, 'b');"),
        bad("insert into t values (1, 1, 'a'), (1, 2, 'b');", _T),
        bad("insert into t values (1, -1, 'a');", _T),
        bad(
            "insert into d values ('a1');",
            "create domain sku as text check (value ~ '^[A-Z]'); create table d (s sku);",
        ),
        bad(_R + "insert into u values (5);"),
        bad(_P + "insert into p values ('2026-02-01');"),
        bad(_T + _ROW + "create unique index i on t (name);"),
        bad(_T + _ROW + "alter table t add unique (name);"),
        bad(_T + _ROW + "alter table t add check (size > 1);"),
        bad(
            _R
            + "create table v (r_id int); insert into v values (5); alter table v add foreign key (r_id) references r;"
        ),
        good(_T + _ROW + "insert into t values (2, 3, 'b') on conflict (id) do nothing;"),
        good("insert into t values (3, null, 'a');", _T),
        good(_T + _ROW + "delete from t where id = 2; insert into t values (2, 3, 'b');"),
        good("insert into t values (2, 3, 'b');", _T + _ROW),
        good(_R + "insert into r values (5); insert into u values (5), (null);"),
        good("insert into u values (5);", _R),
        good(_P + "insert into p values ('2026-01-31');"),
        good(_T + _ROW + "alter table t add check (size > 1) not valid;"),
    ),
)

RULES = (ROWS,)
