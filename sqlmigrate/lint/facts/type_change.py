"""The work that ALTER COLUMN … TYPE causes."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.facts.questions import indexes_reading, is_constrained_domain, table_decider
from sqlmigrate.lint.finding import Decider
from sqlmigrate.lint.schema.datatype import BUILT_IN, Type, change_is_free, never_free, share_operators
from sqlmigrate.lint.schema.interpret.definitions import collation_of
from sqlmigrate.lint.schema.typenames import type_in
from sqlmigrate.sql.tree import strings

if TYPE_CHECKING:
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.lint.schema.catalog import Catalog, Table
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


def type_change(case: Case) -> Change:
    """Returns what ALTER COLUMN … TYPE does; the node of the case is that subcommand."""
    name, node = case.node.get("name", ""), case.node["def"]["ColumnDef"]
    table = case.table
    column = table.columns.get(name) if table else None
    old, new = column.type if column else None, type_in(case.catalog, node["typeName"])
    if _converts(case.catalog, node.get("raw_default"), name, new):
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
    recollated = collation_of(node) != (column.collation if column else "")
    return Change(_other_work(table, name, old, new, recollated=recollated), by)


def _is_user_type(catalog: Catalog, new: Type) -> bool:
    """Returns whether a file creates the type, and it is not a domain, whose base type another type may be."""
    user_type = catalog.type(new.name) if new.name not in BUILT_IN else None
    return user_type is not None and user_type.kind != "domain"


def _converts(catalog: Catalog, using: Node | None, column: str, new: Type) -> bool:
    """Returns whether USING does more than cast the column to the type."""
    if using is None:
        return False
    if "TypeCast" in using and type_in(catalog, using["TypeCast"]["typeName"]) == new:
        using = using["TypeCast"]["arg"]
    return strings(using.get("ColumnRef", {}).get("fields", []))[-1:] != [column]


def _stored_alike(case: Case, old: Type, new: Type) -> bool | None:
    if old == new:
        return True
    if is_constrained_domain(case.catalog, new):
        return False
    old, new = _based(case.catalog, old, bare=True), _based(case.catalog, new)
    utc = (case.state.setting("timezone") or "").lower() in _UTC
    if change_is_free(old, new, utc=utc):
        return True
    unknown = [type_ for type_ in (old, new) if type_.name not in BUILT_IN and case.catalog.type(type_.name) is None]
    return None if unknown and not never_free(new) else False


def _based(catalog: Catalog, type_: Type, *, bare: bool = False) -> Type:
    """Returns the base type of a domain; `bare` drops its modifiers, which the server ignores in the old type."""
    domain = catalog.type(type_.name) if type_.name not in BUILT_IN else None
    if domain is None or domain.base is None or type_.array:
        return type_
    base = _based(catalog, domain.base)
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
