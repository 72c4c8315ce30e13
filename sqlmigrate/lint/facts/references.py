"""The columns that a statement names although, by the files, they do not exist, and the keys that it references."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.schema.catalog import Catalog
from sqlmigrate.lint.schema.interpret import apply
from sqlmigrate.sql.tree import relation, relations_in, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Name, Table
    from sqlmigrate.sql.parser import Node

SYSTEM_COLUMNS = frozenset(("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"))
_NO_TABLES = frozenset(("RangeSubselect", "RangeFunction", "CommonTableExpr", "RangeTableFunc", "SubLink", "JsonTable"))
_KEY_SUFFIX = re.compile("_pkey$")
_RELATIONS = frozenset(("RangeVar", "relation", "sourceRelation"))
_PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
# What the foreign keys of a table may reference, by its persistence.
_MAY_REFERENCE = {"p": ("p",), "u": ("p", "u"), "t": ("t",)}


class Missing(NamedTuple):
    """A column that does not exist, with the node that names it."""

    column: str
    table: Name
    node: Node


def complete_table(catalog: Catalog, name: Name) -> Table | None:
    """Returns the table if all its columns and constraints are known."""
    table = catalog.table(name)
    if table is None or table.partial or table.parents or name[1] in catalog.uncertain_names:
        return None
    return table


def is_dropped(catalog: Catalog, name: Name) -> bool:
    """Returns whether a file dropped or renamed an object, and no file created it again."""
    if catalog.uncertain or name[1] in catalog.uncertain_names:
        return False
    resolved = catalog.resolve(name)
    kinds = (catalog.tables, catalog.index_tables, catalog.types, catalog.sequences)
    return resolved in catalog.dropped and not any(resolved in objects for objects in kinds)


def is_gone(catalog: Catalog, name: Name) -> bool:
    """Returns whether an index that no file describes was dropped or renamed, with its constraint or its table."""
    resolved = catalog.resolve(name, catalog.index_tables)
    table = catalog.resolve((name[0], _KEY_SUFFIX.sub("", name[1])))
    return (
        resolved in catalog.dropped
        or resolved in catalog.dropped_constraints
        or (table != resolved and table in catalog.dropped)
    )


def missing_in(catalog: Catalog, name: Name, columns: Iterable[str], node: Node) -> Iterator[Missing]:
    """Yields the columns that the table lacks; nothing if not all its columns are known."""
    table = complete_table(catalog, name)
    for column in columns if table else ():
        if table and column and column not in table.columns and column not in SYSTEM_COLUMNS:
            yield Missing(column, table.name, node)


def missing_in_query(catalog: Catalog, kind: str, body: Node) -> Iterator[Missing]:
    """Yields the columns that a query, INSERT, UPDATE or DELETE reads and that do not exist.

    An unqualified column is checked only if the query reads nothing but plain tables.
    """
    nodes = [(kind, body), *walk(body)]
    references = [node for node_kind, node in nodes if node_kind == "ColumnRef"]
    if not references:
        return
    sources = _sources(nodes)
    for reference in references:
        parts = strings(reference.get("fields", ()))
        named = sources.get(parts[0], ()) if len(parts) == 2 and len(reference["fields"]) == 2 else ()
        if len(named) == 1 and named[0] is not None:
            yield from missing_in(catalog, named[0], parts[1:], reference)
    if _is_plain(kind, nodes):
        yield from _missing_bare(catalog, nodes, references, sources)


def _sources(nodes: list[tuple[str, Node]]) -> dict[str, list[Name | None]]:
    """Returns the tables that each name in a query can mean; None means a source that is not a plain table."""
    sources: dict[str, list[Name | None]] = {}
    for kind, body in nodes:
        if kind in _RELATIONS and "relname" in body:
            alias = body.get("alias", {})
            table = None if "colnames" in alias else relation(body)
            sources.setdefault(alias.get("aliasname", body["relname"]), []).append(table)
        elif "alias" in body and kind != "RangeVar":
            sources.setdefault(body["alias"].get("aliasname", ""), []).append(None)
        elif kind == "CommonTableExpr":
            sources.setdefault(body.get("ctename", ""), []).append(None)
    return sources


def _is_plain(kind: str, nodes: list[tuple[str, Node]]) -> bool:
    if kind in ("InsertStmt", "MergeStmt"):
        return False
    kinds = [node_kind for node_kind, _ in nodes]
    queries = kinds.count("SelectStmt") + kinds.count("larg") + kinds.count("rarg")
    return queries <= 1 and _NO_TABLES.isdisjoint(kinds) and not any("colnames" in body for _, body in nodes)


def _missing_bare(
    catalog: Catalog,
    nodes: list[tuple[str, Node]],
    references: list[Node],
    sources: dict[str, list[Name | None]],
) -> Iterator[Missing]:
    names = [name for candidates in sources.values() for name in candidates]
    tables = [complete_table(catalog, name) if name else None for name in names]
    if not tables or None in tables:
        return
    known = {column for table in tables if table for column in table.columns}
    known |= {body["name"] for kind, body in nodes if kind == "ResTarget" and "name" in body}
    known |= SYSTEM_COLUMNS | set(sources)
    first = next(table for table in tables if table)
    for reference in references:
        parts = strings(reference.get("fields", ()))
        if len(parts) == 1 and len(reference["fields"]) == 1 and parts[0] not in known:
            yield Missing(parts[0], first.name, reference)


def catalog_after(case: Case) -> Catalog:
    """Returns the tables that the statement of the case names, as they are after it."""
    catalog = Catalog()
    catalog.search_path, catalog.uncertain_names = case.catalog.search_path, case.catalog.uncertain_names
    for table in map(case.catalog.table, relations_in({case.statement.kind: case.statement.body})):
        if table is not None:
            catalog.put(table)
    apply(catalog, case.statement.kind, case.statement.body, case.state.created)
    return catalog


def key_fault(table: Table, body: Node) -> str:
    """Returns why a foreign key cannot reference the table, whose constraints are all known; empty if it can."""
    if table.kind not in ("table", "partitioned"):
        return ""
    written = strings(body.get("pk_attrs", ()))
    primary = table.primary_key.columns if table.primary_key else ()
    usable = [index for index in table.indexes if index.unique and not index.predicate and not index.expressions]
    if not (any(set(index.columns) == set(written) for index in usable) if written else primary):
        columns = f" ({', '.join(sorted(written))})" if written else ": it has no primary key"
        return f"there is no unique constraint matching given keys for referenced table {table.name[1]}{columns}"
    if len(strings(body.get("fk_attrs", ())) or "1") != len(written or primary):
        return f"number of referencing and referenced columns for the foreign key to {table.name[1]} disagree"
    return ""


def persistence_fault(persistence: str, table: Table) -> str:
    """Returns why a table of this persistence cannot reference the other table; empty if it can."""
    if table.name[0] == "pg_temp" and persistence == "t":
        return ""
    if table.persistence in _MAY_REFERENCE.get(persistence, (table.persistence,)):
        return ""
    allowed = " or ".join(_PERSISTENCE[kind] for kind in _MAY_REFERENCE[persistence])
    return f"constraints on {_PERSISTENCE[persistence]} tables may reference only {allowed} tables"
