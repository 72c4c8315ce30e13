"""Questions of the rules about the schema and the file; the answer may be None for "cannot tell"."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.finding import Decider
from sqlmigrate.lint.schema.datatype import BUILT_IN, Type, change_is_free, never_free, share_operators, type_of
from sqlmigrate.sql.tree import columns_in, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Catalog, Index, Name, Table
    from sqlmigrate.sql.parser import Node

_UTC = ("utc", "etc/utc", "gmt", "etc/gmt", "uct", "etc/uct", "zulu", "0", "universal", "greenwich")


class ColumnWork(Enum):
    """The work of PostgreSQL on a table while it holds the lock."""

    NOTHING = "nothing"
    REWRITE = "rewrites the table"
    SCAN = "scans the table"
    INDEX = "rebuilds an index"
    UNKNOWN = "unknown"


class Change(NamedTuple):
    """The work that a change of a column's type causes, the source of that fact, and the reason."""

    work: ColumnWork
    by: Decider = Decider.FILE
    why: str = ""


def is_new(case: Case, name: Name | None = None) -> bool:
    """Returns whether no application can use the table: it is temporary, or this file created it."""
    table = case.catalog.tables.get(case.name if name is None else case.catalog.resolve(name))
    return table is not None and case.state.hides(table)


def table_decider(case: Case, table: Table | None) -> Decider:
    """Returns the source of the facts about a table."""
    return Decider.FILE if table is None else case.decider(table.created)


def proves_not_null(table: Table | None, column: str) -> bool:
    """Returns whether the server can prove that the column has no NULL: by NOT NULL or by a valid CHECK."""
    if table is None:
        return False
    known = table.columns.get(column)
    if known is not None and known.not_null:
        return True
    return any(_implies_not_null(check.expression, column) for check in table.checks)


def is_constrained_domain(catalog: Catalog, type_: Type) -> bool | None:
    """Returns whether a type is a domain with a CHECK or NOT NULL, or None for an unknown type."""
    if type_.name in BUILT_IN:
        return False
    known = catalog.type(type_.name)
    if known is None:
        return None
    if known.kind != "domain":
        return False
    constrained = known.not_null or bool(known.constraints)
    return constrained or (known.base is not None and is_constrained_domain(catalog, known.base))


def indexes_reading(table: Table, column: str) -> list[Index]:
    """Returns the indexes that read the column in an expression or in the predicate."""
    return [index for index in table.indexes if column in columns_in([*index.expressions, index.predicate or {}])]


def indexed_first(table: Table, columns: tuple[str, ...]) -> bool:
    """Returns whether an index starts with these columns, in any order."""
    count = len(columns)
    return any(
        set(index.columns[:count]) == set(columns) for index in table.indexes if index.method in ("btree", "hash")
    )


def default_partition(catalog: Catalog, parent: Name) -> Table | None:
    """Returns the DEFAULT partition of a table, or None if it is unknown."""
    return next((child for child in catalog.children(parent) if child.bound and child.bound.get("is_default")), None)


def conjuncts(expression: Node | None) -> Iterator[Node]:
    """Yields the parts of a condition that are joined by AND."""
    if not expression:
        return
    bool_expression = expression.get("BoolExpr", {})
    if bool_expression.get("boolop") == "AND_EXPR":
        for argument in bool_expression.get("args", ()):
            yield from conjuncts(argument)
    else:
        yield expression


def type_change(case: Case) -> Change:
    """Returns what ALTER COLUMN … TYPE does; the node of the case is that subcommand."""
    name, node = case.node.get("name", ""), case.node["def"]["ColumnDef"]
    table = case.table
    column = table.columns.get(name) if table else None
    old, new = column.type if column else None, type_of(node["typeName"])
    if _converts(node.get("raw_default"), name, new):
        return Change(ColumnWork.REWRITE, Decider.FILE, "USING computes every value")
    if old is None:
        if never_free(new) or _is_user_type(case.catalog, new):
            return Change(ColumnWork.REWRITE, Decider.FILE, f"no other type is stored like {new}")
        return Change(ColumnWork.UNKNOWN, Decider.FILE, f"the files do not show the type of {name}")
    by = table_decider(case, table)
    free = _stored_alike(case, old, new)
    if free is None:
        return Change(ColumnWork.UNKNOWN, by, f"the files do not show what {new} is")
    if not free:
        return Change(ColumnWork.REWRITE, by, f"{old} is not stored like {new}")
    collation = ".".join(strings(node.get("collClause", {}).get("collname", [])))
    recollated = collation != (column.collation if column else "")
    return Change(_other_work(table, name, old, new, recollated=recollated), by)


def _is_user_type(catalog: Catalog, new: Type) -> bool:
    """Returns whether a file creates the type, and it is not a domain, whose base type another type may be."""
    known = catalog.type(new.name) if new.name not in BUILT_IN else None
    return known is not None and known.kind != "domain"


def _converts(using: Node | None, column: str, new: Type) -> bool:
    """Returns whether USING does more than cast the column to the type."""
    if using is None:
        return False
    if "TypeCast" in using and type_of(using["TypeCast"]["typeName"]) == new:
        using = using["TypeCast"]["arg"]
    return strings(using.get("ColumnRef", {}).get("fields", []))[-1:] != [column]


def _stored_alike(case: Case, old: Type, new: Type) -> bool | None:
    if old == new:
        return True
    constrained = is_constrained_domain(case.catalog, new)
    if constrained:
        return False
    old, new = _based(case.catalog, old, bare=True), _based(case.catalog, new)
    utc = (case.state.setting("timezone") or "").lower() in _UTC
    if change_is_free(old, new, utc=utc):
        return True
    unknown = [type_ for type_ in (old, new) if type_.name not in BUILT_IN and case.catalog.type(type_.name) is None]
    return None if unknown and not never_free(new) else False


def _based(catalog: Catalog, type_: Type, *, bare: bool = False) -> Type:
    """Returns the base type of a domain; `bare` drops its modifiers, which the server ignores in the old type."""
    known = catalog.type(type_.name) if type_.name not in BUILT_IN else None
    if known is None or known.base is None or type_.array:
        return type_
    base = _based(catalog, known.base)
    return Type(base.name, (), base.array) if bare else base


def _other_work(table: Table | None, column: str, old: Type, new: Type, *, recollated: bool) -> ColumnWork:
    """Returns the work of a change that keeps the stored rows."""
    if table is None:
        return ColumnWork.NOTHING
    if any(column in check.columns for check in table.checks):
        return ColumnWork.SCAN
    keyed = any(column in index.columns for index in table.indexes)
    if indexes_reading(table, column) or (keyed and (recollated or not share_operators(old, new))):
        return ColumnWork.INDEX
    return ColumnWork.NOTHING


def _implies_not_null(expression: Node | None, column: str) -> bool:
    for part in conjuncts(expression):
        test = part.get("NullTest", {})
        tested = strings(test.get("arg", {}).get("ColumnRef", {}).get("fields", []))
        if test.get("nulltesttype") == "IS_NOT_NULL" and tested[-1:] == [column]:
            return True
        either = part.get("BoolExpr", {})
        if either.get("boolop") == "OR_EXPR" and all(
            _implies_not_null(argument, column) for argument in either["args"]
        ):
            return True
    return False
