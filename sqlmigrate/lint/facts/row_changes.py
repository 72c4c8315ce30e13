"""The changes that a file's statements make to the rows of tables.

A statement in a block or a function may not run, so nothing is known of the rows that it changes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import conjuncts
from sqlmigrate.lint.facts.rows import NO_COLUMNS, UNKNOWN, family_of, is_emptied, rows_in
from sqlmigrate.lint.facts.stored_rows import record_values
from sqlmigrate.lint.schema.defaults import is_null
from sqlmigrate.lint.schema.interpret.changes import RELATIONS, dropped_names
from sqlmigrate.lint.schema.interpret.definitions import column_of
from sqlmigrate.lint.schema.interpret.tables import new_name
from sqlmigrate.lint.schema.state import Rows
from sqlmigrate.sql.builtin import STEADY, VOLATILE
from sqlmigrate.sql.tree import constant, kind_and_body, qualified, relation, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Column, Name, Table
    from sqlmigrate.lint.schema.state import FileState, Statement
    from sqlmigrate.sql.parser import Node

# The functions of PostgreSQL that return a set, which may be empty.
_SETS = re.compile(r"unnest|generate_|_table$|_elements|_each|_keys$|_matches$|recordset|path_query$|^pg_")
_SUBSETS = ("limitCount", "limitOffset", "havingClause", "groupClause")


def defaults_to_null(catalog: Catalog, column: Column) -> bool:
    """Returns whether an INSERT that omits the column stores NULL."""
    if column.type is None or column.default is not None or column.identity or column.generated:
        return False
    domain = catalog.type(column.type.name)
    return domain is None or domain.default is None


def forget_rows(state: FileState) -> None:
    """Records that any rows may have been changed."""
    _doubt(state, list(state.rows))
    state.values.clear()


def record_rows(state: FileState, statement: Statement, catalog: Catalog) -> None:
    """Records what a statement does to the rows; the catalog is the one before the statement."""
    record_values(state, statement, catalog)
    if statement.kind not in _RECORDS:
        return
    state.may_not_run = bool(statement.inner)
    for item in statement.body.get("withClause", {}).get("ctes", ()):
        _record(state, catalog, *kind_and_body(item["CommonTableExpr"]["ctequery"]))
    _record(state, catalog, statement.kind, statement.body)


def _record(state: FileState, catalog: Catalog, kind: str, body: Node) -> None:
    record = _RECORDS.get(kind)
    if record is not None:
        record(state, catalog, body)


def _put(state: FileState, name: Name, rows: Rows) -> None:
    if rows.some is None or name in state.ruled or (state.may_not_run and rows != state.rows.get(name)):
        _doubt(state, [name])
    else:
        state.rows[name] = rows
        state.doubtful.discard(name)


def _doubt(state: FileState, names: Iterable[Name]) -> None:
    for name in names:
        state.rows.pop(name, None)
        state.doubtful.add(name)


def _empty(state: FileState, names: Iterable[Name], *, truncated: bool = False) -> None:
    for name in names:
        _put(state, name, Rows(some=False, transaction=state.transaction, truncated=truncated))


def _target(catalog: Catalog, body: Node) -> tuple[Name, Table | None]:
    name = catalog.resolve(relation(body["relation"]))
    return name, catalog.tables.get(name)


def _members(catalog: Catalog, node: Node) -> list[Name]:
    """Returns the tables that a RangeVar means: with its partitions and children, unless it has ONLY."""
    name = catalog.resolve(relation(node))
    return family_of(catalog, name) if node.get("inh") else [name]


def _insert(state: FileState, catalog: Catalog, body: Node) -> None:
    name, table = _target(catalog, body)
    if table is not None and (table.triggers or table.kind == "view"):
        forget_rows(state)
        return
    before = state.rows.get(name)
    some = _returns_rows(state, catalog, body["selectStmt"]) if "selectStmt" in body else True
    if some:
        nulls = before.nulls if before and before.some else NO_COLUMNS
        nulls = nulls - _assigned(body["onConflictClause"]) if "onConflictClause" in body else nulls
        stored = _stored_nulls(catalog, table, body) if table and "onConflictClause" not in body else ()
        _put(state, name, Rows(some=True, nulls=nulls.union(stored)))
    elif some is None and before is not None and not before.some:
        _doubt(state, [name])


def _returns_rows(state: FileState, catalog: Catalog, query: Node) -> bool | None:
    """Returns whether a query returns rows, or None for "cannot tell"."""
    node = query.get("SelectStmt", query)
    if "valuesLists" in node:
        return True
    if node.keys() & set(_SUBSETS) or node.get("op", "SETOP_NONE") != "SETOP_NONE":
        return None
    conditions = [constant(part) for part in conjuncts(node.get("whereClause"))]
    if False in conditions:
        return False
    sources = [_source_has_rows(state, catalog, *kind_and_body(source)) for source in node.get("fromClause", ())]
    calls = (qualified(call["funcname"])[1] for kind, call in walk(node.get("targetList", [])) if kind == "FuncCall")
    scalar = all(call in STEADY | VOLATILE and not _SETS.search(call) for call in calls)
    is_certain = scalar and all(condition is True for condition in conditions) and all(sources)
    return True if is_certain else None


def _source_has_rows(state: FileState, catalog: Catalog, kind: str, body: Node) -> bool:
    if kind == "RangeSubselect":
        return bool(_returns_rows(state, catalog, body["subquery"]))
    if kind == "RangeVar":
        rows = rows_in(catalog, state, catalog.resolve(relation(body)))
        return rows is not None and bool(rows.some)
    call = next((call for kind, call in walk(body) if kind == "FuncCall"), {})
    bounds = [constant(argument) for argument in call.get("args", ())]
    ascending = len(bounds) == 2 and all(isinstance(bound, int) for bound in bounds) and bounds[0] <= bounds[1]
    return qualified(call.get("funcname", ()))[1] == "generate_series" and ascending


def _stored_nulls(catalog: Catalog, table: Table, body: Node) -> Iterator[str]:
    """Yields the columns of a fully known table in which an INSERT stores a NULL."""
    if table.partial:
        return
    rows = _inserted_rows(body)
    listed = [column["ResTarget"]["name"] for column in body.get("cols", ())]
    named = listed or list(table.columns)[: len(rows[0]) if rows else None]
    places = {name: place for place, name in enumerate(named)} if "selectStmt" in body else {}
    for name, column in table.columns.items():
        place = places.get(name)
        by_default = place is None or any("SetToDefault" in row[place] for row in rows if place < len(row))
        if (by_default and defaults_to_null(catalog, column)) or (
            place is not None and any(is_null(row[place]) for row in rows if place < len(row))
        ):
            yield name


def _inserted_rows(body: Node) -> list[list[Node]]:
    """Returns the rows of VALUES, or the row of a SELECT; nothing for a query that does not list its columns."""
    query = body.get("selectStmt", {}).get("SelectStmt", {})
    if "valuesLists" in query:
        return [row["List"]["items"] for row in query["valuesLists"]]
    targets = [target["ResTarget"].get("val", {}) for target in query.get("targetList", ())]
    names_all = any(kind == "A_Star" for kind, _ in walk(targets))
    return [] if names_all or not targets else [targets]


def _assigned(body: Node) -> set[str]:
    return {target["ResTarget"].get("name", "") for target in body.get("targetList", ())}


def _is_whole(body: Node) -> bool:
    """Whether an UPDATE or DELETE changes every row."""
    joins = "fromClause" in body or "usingClause" in body
    return not joins and all(constant(part) is True for part in conjuncts(body.get("whereClause")))


def _update(state: FileState, catalog: Catalog, body: Node) -> None:
    table = catalog.tables.get(catalog.resolve(relation(body["relation"])))
    targets = (target["ResTarget"] for target in body.get("targetList", ()))
    nulled = {target["name"] for target in targets if is_null(target.get("val", {}))}
    stays = nulled if _is_whole(body) and not (table and table.triggers) else set()
    for name in _members(catalog, body["relation"]):
        rows = state.rows.get(name)
        if rows is not None and rows.some:
            _put(state, name, rows._replace(nulls=(rows.nulls - _assigned(body)) | stays))


def _delete(state: FileState, catalog: Catalog, body: Node) -> None:
    name, table = _target(catalog, body)
    members = _members(catalog, body["relation"])
    if table is not None and table.triggers:
        forget_rows(state)
        _doubt(state, members if _is_whole(body) else ())
    elif _is_whole(body):
        _empty(state, members)
    else:
        _lose_some(state, members)
    _lose_some(state, _ancestors(catalog, name))
    _delete_referring(state, catalog, name, {name})


def _lose_some(state: FileState, names: Iterable[Name]) -> None:
    _doubt(state, [name for name in names if name in state.rows and state.rows[name].some])


def _ancestors(catalog: Catalog, name: Name) -> list[Name]:
    ancestors: list[Name] = []
    names = [name]
    for member in names:
        table = catalog.tables.get(member)
        ancestors += [parent for parent in (table.parents if table else ()) if parent not in ancestors]
        names += [parent for parent in ancestors if parent not in names]
    return ancestors


def _delete_referring(state: FileState, catalog: Catalog, name: Name, visited: set[Name]) -> None:
    """Records the rows that ON DELETE CASCADE deletes: all rows of a table whose key is NOT NULL, or some."""
    for table in catalog.referring(name):
        keys = [key for key in table.constraints if key.references == name and key.on_delete == "c"]
        if not keys or table.name in visited:
            continue
        required = any(key.proves and all(_is_required(table, column) for column in key.columns) for key in keys)
        if required and is_emptied(catalog, state, name) and not table.triggers:
            _empty(state, family_of(catalog, table.name))
        else:
            _doubt(state, family_of(catalog, table.name))
        visited.add(table.name)
        _delete_referring(state, catalog, table.name, visited)


def _is_required(table: Table, name: str) -> bool:
    return name in table.columns and bool(table.columns[name].not_null)


def _truncate(state: FileState, catalog: Catalog, body: Node) -> None:
    truncated = [name for item in body["relations"] for name in _members(catalog, item["RangeVar"])]
    if body.get("behavior") == "DROP_CASCADE":
        for name in truncated:
            referring = (table for table in catalog.referring(name) if _references(table, name))
            truncated += [
                member for table in referring for member in family_of(catalog, table.name) if member not in truncated
            ]
        _doubt(state, [UNKNOWN])
    _empty(state, truncated, truncated=True)
    _lose_some(state, [ancestor for name in truncated for ancestor in _ancestors(catalog, name)])


def _references(table: Table, name: Name) -> bool:
    return any(constraint.references == name for constraint in table.constraints)


def _change_unknown(state: FileState, catalog: Catalog, body: Node) -> None:
    """Records that a MERGE, or COPY FROM of an unknown number of rows, changed the rows of a table."""
    if "relation" in body and (body.get("is_from") or "sourceRelation" in body):
        name, _ = _target(catalog, body)
        _doubt(state, [name] if name in state.rows else ())


def _select(state: FileState, catalog: Catalog, body: Node) -> None:
    calls = {qualified(call.get("funcname", ()))[1] for kind, call in walk(body) if kind == "FuncCall"}
    if not calls <= STEADY | VOLATILE:
        forget_rows(state)
    if "intoClause" in body:
        _fill(state, catalog, new_name(catalog, body["intoClause"]["rel"]), body)


def _create(state: FileState, catalog: Catalog, body: Node) -> None:
    node = body["into"]["rel"] if "into" in body else body["relation"]
    name = new_name(catalog, node)
    if body.get("if_not_exists") and name in catalog.tables:
        return
    state.ruled.discard(name)
    if "into" in body and not body["into"].get("skipData"):
        _fill(state, catalog, name, body["query"])
    else:
        _empty(state, [name])


def _fill(state: FileState, catalog: Catalog, name: Name, query: Node) -> None:
    """Records the rows of a table that a query creates."""
    some = _returns_rows(state, catalog, query)
    targets = (target["ResTarget"] for target in query.get("SelectStmt", query).get("targetList", ()))
    nulls = frozenset(target.get("name", "") for target in targets if is_null(target.get("val", {}))) - {""}
    _put(state, name, Rows(some, state.transaction, nulls=nulls if some else NO_COLUMNS))


def _drop(state: FileState, catalog: Catalog, body: Node) -> None:
    for name in dropped_names(body) if body["removeType"] in RELATIONS else ():
        state.rows.pop(catalog.resolve(name), None)
        state.doubtful.discard(catalog.resolve(name))


def _alter_table(state: FileState, catalog: Catalog, body: Node) -> None:
    _, table = _target(catalog, body)
    for name in _members(catalog, body["relation"]):
        rows = state.rows.get(name)
        if rows is None or not rows.some:
            continue
        nulls = rows.nulls
        for command in (item["AlterTableCmd"] for item in body.get("cmds", ())):
            nulls = _altered(catalog, table, nulls, command)
        _put(state, name, rows._replace(nulls=nulls))


def _altered(catalog: Catalog, table: Table | None, nulls: frozenset[str], command: Node) -> frozenset[str]:
    column = command.get("name", "")
    node = command.get("def", {}).get("ColumnDef", {})
    match command["subtype"]:
        case "AT_DropColumn":
            return nulls - {column}
        case "AT_AlterColumnType" if "raw_default" in node:
            return nulls - {column}
        case "AT_AddColumn":
            added = column_of(node)
            exists = command.get("missing_ok") and table is not None and added.name in table.columns
            return nulls if exists or not defaults_to_null(catalog, added) else nulls | {added.name}
    return nulls


def _rename(state: FileState, catalog: Catalog, body: Node) -> None:
    if "relation" not in body:
        return
    old, _ = _target(catalog, body)
    new = body.get("newname", "")
    if body.get("renameType") == "OBJECT_COLUMN":
        for name in _members(catalog, body["relation"]):
            rows = state.rows.get(name)
            if rows is not None and body.get("subname") in rows.nulls:
                state.rows[name] = rows._replace(nulls=rows.nulls - {body["subname"]} | {new})
    elif (body.get("renameType") or body.get("objectType")) in RELATIONS:
        moved = (body["newschema"], old[1]) if "newschema" in body else (old[0], new)
        if old in state.rows:
            state.rows[moved] = state.rows.pop(old)
        for names in (state.doubtful, state.ruled):
            names.update({moved} if old in names else ())


def _add_rule(state: FileState, catalog: Catalog, body: Node) -> None:
    name, _ = _target(catalog, body)
    state.ruled.add(name)
    _doubt(state, [name])


def _roll_back(state: FileState, _: Catalog, body: Node) -> None:
    if body.get("kind") in ("TRANS_STMT_ROLLBACK", "TRANS_STMT_ROLLBACK_TO"):
        forget_rows(state)


_RECORDS: dict[str, Callable[[FileState, Catalog, Node], None]] = {
    "InsertStmt": _insert,
    "UpdateStmt": _update,
    "DeleteStmt": _delete,
    "MergeStmt": _change_unknown,
    "CopyStmt": _change_unknown,
    "TruncateStmt": _truncate,
    "SelectStmt": _select,
    "CallStmt": lambda state, _, __: forget_rows(state),
    "ExecuteStmt": lambda state, _, __: forget_rows(state),
    "CreateStmt": _create,
    "CreateTableAsStmt": _create,
    "DropStmt": _drop,
    "AlterTableStmt": _alter_table,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _rename,
    "RuleStmt": _add_rule,
    "TransactionStmt": _roll_back,
}
