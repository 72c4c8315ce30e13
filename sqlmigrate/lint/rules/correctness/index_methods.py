"""Correctness: indexes that the access method does not support, or whose type has no default operator class."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.additions import additions, column_types
from sqlmigrate.lint.facts.usage import decider
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Example, Hit, Rule, bad, good, unsure
from sqlmigrate.lint.safer.indexes import with_extension
from sqlmigrate.lint.schema.datatype import BUILT_IN, Type
from sqlmigrate.lint.schema.interpret.definitions import constrained_columns
from sqlmigrate.sql.tree import bodies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.sql.parser import Node

_SHAPES = frozenset(("point", "line", "lseg", "box", "path", "polygon", "circle"))
_NEVER_SORTED = _SHAPES | {"json", "xml", "jsonpath", "pg_snapshot", "txid_snapshot", "xid"}
# Built-in types without a default operator class.
_WITHOUT = {
    "btree": _NEVER_SORTED,
    "hash": (_NEVER_SORTED - {"xid"}) | {"bit", "varbit", "money", "tsvector", "tsquery"},
}
# The only built-in types with a default operator class; extensions such as btree_gin and btree_gist add others.
_RANGES = frozenset(("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"))
_ONLY = {
    "gin": frozenset(("jsonb", "tsvector")),
    "gist": _RANGES | {"box", "circle", "point", "polygon", "tsquery", "tsvector"},
}
_OF_EXTENSIONS = ("citext", "hstore", "geometry", "geography", "vector", "ltree", "cube")
_EXTENSIONS = {"gin": {"btree_gin", "hstore", "intarray"}, "gist": {"btree_gist", "ltree", "hstore", "cube", "seg"}}


def _check_index(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    if case.kind != "IndexStmt":
        yield from _of_constraints(case)
        return
    method, elements = case.node.get("accessMethod", "btree"), bodies(case.node, "indexParams")
    if fault := _unsupported(method, case.node, elements):
        yield Hit(f"access method {method} does not support {fault}")
    for element in elements:
        column = case.table.columns.get(element.get("name", "")) if case.table is not None else None
        if column is not None and column.type is not None and "opclass" not in element:
            yield from _of_type(case, method, column.type, decider(case, column.created))


def _unsupported(method: str, node: Node, elements: list[Node]) -> str:
    """Names what an access method does not support in a CREATE INDEX, or nothing."""
    if method not in ("hash", "gin", "gist", "brin", "spgist"):
        return ""
    if node.get("unique"):
        return "unique indexes"
    if len(elements) > 1 and method in ("hash", "spgist"):
        return "multicolumn indexes"
    if node.get("indexIncludingParams") and method in ("hash", "gin", "brin"):
        return "included columns"
    if any(not element.get("ordering", "SORTBY_DEFAULT").endswith("DEFAULT") for element in elements):
        return "ASC/DESC options"
    return ""


def _of_type(case: Case, method: str, type_: Type, by: Decider, node: Node | None = None) -> Iterator[Hit]:
    if type_.array or type_.name not in BUILT_IN or type_.name in _OF_EXTENSIONS:
        return
    message = f"data type {type_} has no default operator class for access method {method}"
    if type_.name in _WITHOUT.get(method, ()):
        yield Hit(message, by=by, node=node)
    elif method in _ONLY and type_.name not in _ONLY[method] and not type_.name.endswith("multirange"):
        extensions = case.catalog.extensions
        if extensions.isdisjoint(_EXTENSIONS[method]):
            complete = case.catalog.complete and not case.catalog.uncertain
            said = message if complete else f"whether an extension gives {type_} an operator class for {method}"
            yield Hit(said, partial(with_extension, case, f"btree_{method}"), by, certain=complete, node=node)


def _of_constraints(case: Case) -> Iterator[Hit]:
    """Yields hits for the columns of primary keys and unique constraints."""
    for kind, body, column in additions(case):
        if kind not in ("CONSTR_PRIMARY", "CONSTR_UNIQUE") or "indexname" in body:
            continue
        for name in constrained_columns(body, column.get("colname", "")):
            type_ = column_types(case).get(name)
            if type_ is not None:
                yield from _of_type(case, "btree", type_, Decider.FILE, body)


_T = "create table t (a int, b text, j json, k jsonb, p point);"

METHOD = Rule(
    name="index-method-fails",
    level=Level.ERROR,
    on=("IndexStmt", "CreateStmt", "AT_AddConstraint", "AT_AddColumn"),
    stake="The statement fails: the access method supports no such index, or the type has no default operator class.",
    safe="create index concurrently t_j_idx on t using gin (j jsonb_path_ops);",
    check=_check_index,
    examples=(
        bad("create index concurrently i on t (j);", _T),
        bad("create index concurrently i on t (p);", _T),
        bad("create table u (a json unique);"),
        bad("create table u (a xml, primary key (a));"),
        bad("alter table t add unique (j);", _T),
        bad("create unique index concurrently i on t using hash (a);"),
        bad("create index concurrently i on t using hash (a, b);"),
        bad("create index concurrently i on t using gin (k) include (a);"),
        bad("create index concurrently i on t using gist (b desc);"),
        Example("create index concurrently i on t using gin (b);", _T, bad=True, complete=True),
        Example("create index i on t using gin (b);", _T + "create extension btree_gin;", complete=True),
        good("create index concurrently i on t (k);", _T),
        good("create index concurrently i on t using gin (k);", _T),
        good("create index concurrently i on t using gin (b gin_trgm_ops);", _T),
        good("create index concurrently i on t ((j ->> 'a'));", _T),
        good("create index concurrently i on t using gist (p);", _T),
        unsure("create index concurrently i on t using gin (b);", _T),
    ),
)

RULES = (METHOD,)
