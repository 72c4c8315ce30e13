"""The names that PostgreSQL chooses for the columns of a query (FigureColname)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.sql.tree import kind_and_body, relation, strings

if TYPE_CHECKING:
    from sqlmigrate.lint.schema.catalog import Catalog
    from sqlmigrate.sql.parser import Node


def output_names(catalog: Catalog, query: Node) -> list[str | None]:
    """Returns the names of the columns of a query; None means one column, or any number of columns, of unknown name."""
    body = query.get("SelectStmt", {})
    while "larg" in body:
        body = body["larg"]
    if "targetList" not in body:
        return [None]
    names: list[str | None] = []
    for target in body["targetList"]:
        result = target.get("ResTarget", {})
        if "name" in result:
            names.append(result["name"])
        elif _is_star(result.get("val", {})):
            names += _all_columns(catalog, body)
        else:
            names.append(_name(result.get("val", {})))
    return names


def _is_star(value: Node) -> bool:
    return any("A_Star" in field for field in value.get("ColumnRef", {}).get("fields", ()))


def _all_columns(catalog: Catalog, body: Node) -> list[str | None]:
    """Returns the columns of the only table that a query reads, or [None] if they are unknown."""
    sources = body.get("fromClause", ())
    table = catalog.table(relation(sources[0]["RangeVar"])) if len(sources) == 1 and "RangeVar" in sources[0] else None
    renamed = table is not None and "colnames" in sources[0]["RangeVar"].get("alias", {})
    if "withClause" in body or table is None or table.partial or renamed:
        return [None]
    return list(table.columns)


def _name(value: Node) -> str | None:
    kind, body = kind_and_body(value) if value else ("", {})
    match kind:
        case "ColumnRef":
            return strings(body["fields"])[-1]
        case "FuncCall":
            return strings(body["funcname"])[-1]
        case "TypeCast":
            return strings(body["typeName"]["names"])[-1] if "A_Const" in body["arg"] else _name(body["arg"])
        case "CoalesceExpr":
            return "coalesce"
    return None
