"""The tables in use that a transaction locks ACCESS EXCLUSIVE, and the tables of which it writes many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import conjuncts, default_partition
from sqlmigrate.lint.facts.rows import is_emptied
from sqlmigrate.locks import Mode, exclusive_in
from sqlmigrate.locks.taken import OF_A_TABLE, SIMPLE
from sqlmigrate.sql.tree import columns_in, constant, kind_and_body, relation, relations_in, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Constraint, Name, Table
    from sqlmigrate.lint.schema.state import FileState, Statement
    from sqlmigrate.sql.parser import Node

_MODES = {kind: mode for kind, (_, mode) in SIMPLE.items()}
ALTERING = (
    *(kind for kind, mode in _MODES.items() if mode is Mode.ACCESS_EXCLUSIVE),
    *("AlterTableStmt", "ClusterStmt", "CreateStmt", "DropStmt", "LockStmt", "RenameStmt"),
)
WRITING = tuple(kind for kind, mode in _MODES.items() if mode is Mode.ROW_EXCLUSIVE)
_TABLES = ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE")
_RENAMED = ("OBJECT_TABLE", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE")
_SYSTEM = ("pg_catalog", "information_schema")


def record_locks(state: FileState, statement: Statement, catalog: Catalog) -> None:
    """Records the locks and writes of a statement in the state; the catalog is the one before the statement."""
    if statement.kind in ALTERING:
        for name in exclusively_locked(statement, catalog, state):
            state.locked.setdefault(name, statement)
        if statement.kind in ("RenameStmt", "AlterObjectSchemaStmt"):
            _rename_records(state, statement.body, catalog)
    elif statement.kind in WRITING and (target := written(statement, catalog, state)):
        state.written.setdefault(target, statement)
    elif "pg_advisory_lock" in statement.text or "pg_try_advisory_lock" in statement.text:
        state.advisory = True
    state.locks = None  # the statement now changes the catalog


def exclusively_locked(statement: Statement, catalog: Catalog, state: FileState) -> list[Name]:
    """Returns the tables in use that a statement locks ACCESS EXCLUSIVE and does not drop."""
    if state.locks is None or state.locks[0] is not statement:  # several rules ask
        state.locks = statement, _exclusively_locked(statement, catalog, state)
    return state.locks[1]


def _exclusively_locked(statement: Statement, catalog: Catalog, state: FileState) -> list[Name]:
    kind, body = statement.kind, statement.body
    exclusive = exclusive_in(kind, body) if kind in ALTERING and _leaves_table_locked(kind, body) else ()
    locked = (("", *parts)[-2:] for parts in exclusive)
    names = [catalog.resolve((schema, name)) for schema, name in locked]
    names += [name for command in statement.commands for name in _locked_too(catalog, statement.body, command)]
    return [name for name in dict.fromkeys(names) if in_use(catalog, name, state)]


def _locked_too(catalog: Catalog, body: Node, command: Node) -> Iterator[Name]:
    """Yields the other tables that a subcommand of ALTER TABLE locks: foreign key tables, the DEFAULT partition."""
    name, part = catalog.resolve(relation(body["relation"])), command.get("name", "")
    match command["subtype"]:
        case "AT_AttachPartition":
            default = default_partition(catalog, name)
            child = catalog.table(relation(command["def"]["PartitionCmd"]["name"]))
            yield from (default.name,) if default else ()
            yield from (key.references for key in (child.constraints if child else ()) if key.references)
        case "AT_AlterColumnType" | "AT_DropColumn":
            for table, key in _keys_between(catalog, name):
                if part in (key.columns if table == name else _referenced(catalog, key)):
                    yield from (table, key.references or table)
        case "AT_DropConstraint":
            yield from (
                key.references for _, key in _keys_between(catalog, name) if key.name == part and key.references
            )


def _keys_between(catalog: Catalog, name: Name) -> list[tuple[Name, Constraint]]:
    """Returns the foreign keys of a table and those that reference it, each with its table."""
    tables = dict.fromkeys((name, *(table.name for table in catalog.referring(name))))
    return [
        (table, key)
        for table in tables
        for key in (catalog.tables[table].constraints if table in catalog.tables else ())
        if key.kind == "foreign" and name in (table, key.references)
    ]


def _referenced(catalog: Catalog, key: Constraint) -> tuple[str, ...]:
    table = catalog.tables.get(key.references or ("", ""))
    primary = table.primary_key if table else None
    return key.referenced or (primary.columns if primary else ())


def in_use(catalog: Catalog, name: Name, state: FileState) -> bool:
    """Returns whether applications may use the table."""
    table = catalog.tables.get(name)
    if table is None:
        return name[0] not in _SYSTEM and not name[1].startswith("pg_")
    return table.kind != "view" and not state.hides(table)


def reads_in_use(query: Node, catalog: Catalog, state: FileState) -> list[Name]:
    """Returns the tables in use that a query names."""
    names = [catalog.resolve(name) for name in relations_in(query)]
    return [name for name in names if in_use(catalog, name, state)]


def written(statement: Statement, catalog: Catalog, state: FileState) -> Name | None:
    """Returns the table that a statement writes, if it writes or reads many rows of a table in use."""
    body = statement.body
    name = catalog.resolve(relation(body["relation"]))
    if statement.kind in ("UpdateStmt", "DeleteStmt") and is_emptied(catalog, state, name):
        return None
    if statement.kind in ("InsertStmt", "MergeStmt"):
        source = body.get("selectStmt", {}).get("SelectStmt", body if statement.kind == "MergeStmt" else {})
        parts = {"source": source, "with": body.get("withClause") or {}}
        read = [] if "valuesLists" in source else reads_in_use(parts, catalog, state)
        return name if read and not is_bounded(source, catalog.tables.get(read[0])) else None
    table = catalog.tables.get(name)
    unknown = table is None or table.created is None
    if not in_use(catalog, name, state) or (unknown and name not in state.locked and _compares_with_constant(body)):
        return None
    return None if is_bounded(body, table, inner=bool(statement.inner)) else name


def is_bounded(body: Node, table: Table | None, *, inner: bool = False) -> bool:
    """Returns whether a statement touches few rows: by a LIMIT (outside a block, which may loop) or by a key."""
    limited = "limitCount" in body or '"limitCount"' in str(body.get("whereClause", "")).replace("'", '"')
    return (limited and not inner) or any(
        _by_key(part, table, inner=inner) for part in conjuncts(body.get("whereClause"))
    )


def _compares_with_constant(body: Node) -> bool:
    """Returns whether a statement compares a column with a constant; the number of such rows is unknown."""
    tests = (part.get("A_Expr", {}) for part in conjuncts(body.get("whereClause")))
    return any(
        test.get("kind") == "AEXPR_OP"
        and strings(test.get("name", ())) == ["="]
        and constant(test.get("rexpr", {})) is not None
        for test in tests
    )


def _by_key(condition: Node, table: Table | None, *, inner: bool) -> bool:
    test = condition.get("A_Expr", {})
    column = strings(test.get("lexpr", {}).get("ColumnRef", {}).get("fields", ()))[-1:]
    if not column or not _is_key(table, column[0]):
        return False
    values = test.get("rexpr", {})
    listed = values.get("List", {}).get("items", [values])
    kind, operator = test.get("kind"), strings(test.get("name", ()))
    equal = kind in ("AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY") and operator == ["="]
    return (equal or kind == "AEXPR_BETWEEN") and not any(_reads(value, table, inner=inner) for value in listed)


def _reads(value: Node, table: Table | None, *, inner: bool) -> bool:
    """Returns whether a value depends on the row; in a block, other names than columns are variables."""
    names = columns_in(value)
    if inner:
        names = [name for name in names if table is not None and name in table.columns]
    return constant(value) is None and (bool(names) or kind_and_body(value)[0] == "SubLink")


def _is_key(table: Table | None, column: str) -> bool:
    if table is not None and any(index.unique and index.columns == (column,) for index in table.indexes):
        return True
    return column in ("id", "uuid") and (table is None or table.partial)


def _leaves_table_locked(kind: str, body: Node) -> bool:
    """Returns whether a statement locks a table, not a view, index or type, and the table exists afterwards."""
    match kind:
        case "AlterTableStmt":
            return body.get("objtype") in _TABLES
        case "AlterObjectSchemaStmt":
            return body["objectType"] in _TABLES
        case "RenameStmt":
            of_table = body.get("relationType", "OBJECT_TABLE") in ("OBJECT_TABLE", "OBJECT_ACCESS_METHOD")
            return body["renameType"] in _RENAMED and of_table
        case "DropStmt":
            return body["removeType"] in OF_A_TABLE
    return True


def _rename_records(state: FileState, body: Node, catalog: Catalog) -> None:
    """Moves the records of a renamed or moved table to its new name."""
    old = catalog.resolve(relation(body.get("relation", {})))
    if body.get("renameType") == "OBJECT_TABLE":
        new = (old[0], body.get("newname", ""))
    elif body.get("objectType") == "OBJECT_TABLE":
        new = (body.get("newschema", ""), old[1])
    else:
        return
    for tables in (state.locked, state.written):
        if old in tables:
            tables[new] = tables.pop(old)
