"""Correctness: queries that fail whatever the rows are: ambiguous, repeated, ungrouped columns, unlike UNIONs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.facts.function_bodies import queries_in
from sqlmigrate.lint.facts.references import complete_table
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good
from sqlmigrate.lint.schema.interpret.outputs import output_names
from sqlmigrate.sql.builtin import AGGREGATES
from sqlmigrate.sql.tree import bodies, kind_and_body, qualified, relation, strings, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Table
    from sqlmigrate.sql.parser import Node

_QUERIES = (
    "SelectStmt",
    "ViewStmt",
    "CreateTableAsStmt",
    "InsertStmt",
    "UpdateStmt",
    "DeleteStmt",
    "CreateFunctionStmt",
)
# Below these, a name can mean more than a column of the FROM list.
_SCOPES = ("SelectStmt", "SubLink", "RangeSubselect", "RangeFunction", "RangeTableFunc", "JsonTable")


class FromItem(NamedTuple):
    """A table that a query reads, under its name in the query."""

    name: str
    table: Table


def _check_query(case: Case) -> Iterator[Hit]:
    if case.statement.inner:
        return
    if case.kind == "CreateFunctionStmt":
        yield from (hit._replace(node=None) for query in queries_in(case) for hit in _check_query(query))
        return
    node = case.node
    if case.kind in ("ViewStmt", "CreateTableAsStmt"):
        if name := _repeated(case):
            yield Hit(f"column {name} specified more than once")
        node = node["query"].get("SelectStmt", {})
    elif case.kind == "InsertStmt":
        node = node.get("selectStmt", {}).get("SelectStmt", {})
    for body in _set_operations(node):
        counts = [_width(case.catalog, body[side]) for side in ("larg", "rarg")]
        if None not in counts and counts[0] != counts[1]:
            operator = body["op"].removeprefix("SETOP_")
            yield Hit(f"each {operator} query must have the same number of columns: {counts[0]} and {counts[1]}")
    sources = _sources(case.catalog, node)
    if sources:
        yield from _of_columns(node, sources)


def _repeated(case: Case) -> str:
    """Returns a name that two columns of a new view or table have."""
    query, node = case.node["query"], case.node
    body = query.get("SelectStmt", {})
    names = output_names(case.catalog, query)
    sources = _sources(case.catalog, body)
    if sources and [*map(_is_star, bodies(body, "targetList"))] == [True]:
        names = [column for source in sources for column in source.table.columns]
    written = strings(node.get("aliases", ())) or strings(node.get("into", {}).get("colNames", ()))
    names = [*written, *names[len(written) :]] if None not in names[: len(written)] else []
    given = [name for name in names if name is not None]
    return next((name for at, name in enumerate(given) if name in given[:at]), "")


def _is_star(target: Node) -> bool:
    fields = target.get("val", {}).get("ColumnRef", {}).get("fields", ())
    return len(fields) == 1 and "A_Star" in fields[0]


def _set_operations(node: Node) -> Iterator[Node]:
    yield from ([node] if "larg" in node else ())
    yield from (body for _, body in walk(node) if "larg" in body and "rarg" in body and "op" in body)


def _width(catalog: Catalog, body: Node) -> int | None:
    """Returns the number of columns of a query, or None if it is unknown."""
    while "larg" in body:
        body = body["larg"]
    if "valuesLists" in body:
        return len(body["valuesLists"][0]["List"].get("items", ()))
    names = output_names(catalog, {"SelectStmt": body})
    stars = any("A_Star" in str(target.get("val", {}).get("ColumnRef", {})) for target in bodies(body, "targetList"))
    return None if (stars and None in names) or "targetList" not in body else len(names)


def _sources(catalog: Catalog, node: Node) -> list[FromItem]:
    """Returns the tables of a query without other sources, subqueries or merged columns; none if any is unknown."""
    if "withClause" in node or "larg" in node or any(kind in _SCOPES for kind, _ in walk(node)):
        return []
    items = [node["relation"]] if "relation" in node else []
    for item in [*node.get("fromClause", ()), *node.get("usingClause", ())]:
        for kind, body in ((kind, body) for kind, body in [kind_and_body(item), *walk(item)]):
            if kind == "JoinExpr" and (body.get("isNatural") or "usingClause" in body or "alias" in body):
                return []
            if kind == "RangeVar":
                items.append(body)
    unique = list({id(item): item for item in items}.values())
    tables = [complete_table(catalog, relation(item)) for item in unique]
    if None in tables or any("colnames" in item.get("alias", {}) for item in unique):
        return []
    names = [item.get("alias", {}).get("aliasname") or item.get("relname", "") for item in unique]
    return [FromItem(name, table) for name, table in zip(names, tables, strict=True) if table is not None]


def _of_columns(node: Node, sources: list[FromItem]) -> Iterator[Hit]:
    parts = [node.get("targetList", ()), node.get("whereClause", {}), node.get("fromClause", ())]
    for kind, body in walk(parts):
        name = _bare(body) if kind == "ColumnRef" else ""
        if name and sum(name in source.table.columns for source in sources) > 1:
            yield Hit(f"column reference {name} is ambiguous", node=body)
            return
    for body, name in _ungrouped(node, sources):
        yield Hit(f"column {name} must appear in the GROUP BY clause or be used in an aggregate function", node=body)
        return


def _bare(body: Node) -> str:
    names = strings(body.get("fields", ()))
    return names[0] if len(body.get("fields", ())) == 1 and names else ""


def _ungrouped(node: Node, sources: list[FromItem]) -> Iterator[tuple[Node, str]]:
    """Yields the columns of the SELECT list that a grouped query neither groups nor aggregates."""
    targets = bodies(node, "targetList")
    grouped = node.get("groupClause", ())
    if not (grouped or any(_is_aggregate(target.get("val", {})) for target in targets)):
        return
    if any(kind_and_body(item)[0] not in ("ColumnRef", "A_Const", "FuncCall", "TypeCast") for item in grouped):
        return
    written = [kind_and_body(item)[1] for item in grouped if "ColumnRef" in item]
    groups = {_resolved(body, sources) for body in written} | {("", _bare(body)) for body in written}
    positions = [item["A_Const"].get("ival", {}).get("ival", 0) for item in grouped if "A_Const" in item]
    for at, target in enumerate(targets, 1):
        body = target.get("val", {}).get("ColumnRef", {})
        column = _resolved(body, sources) if body else None
        if column is None or column in groups or at in positions or ("", target.get("name", "-")) in groups:
            continue
        table = next(source.table for source in sources if source.name == column[0])
        key = table.primary_key.columns if table.primary_key else ()
        if not key or not all((column[0], name) in groups for name in key):
            yield body, column[1]


def _resolved(body: Node, sources: list[FromItem]) -> tuple[str, str] | None:
    """Returns the source and the name of a column, or None if it is no column of exactly one source."""
    names = strings(body.get("fields", ()))
    if len(names) != len(body.get("fields", ())) or len(names) not in (1, 2):
        return None
    found = [
        source.name for source in sources if names[-1] in source.table.columns and names[:-1] in ([], [source.name])
    ]
    return (found[0], names[-1]) if len(found) == 1 else None


def _is_aggregate(value: Node) -> bool:
    call = value.get("FuncCall", {})
    return "over" not in call and qualified(call.get("funcname", ()))[1] in AGGREGATES


_T = "create table a (id int primary key, name text); create table b (id int, a_id int, n int); "

QUERY = Rule(
    name="query-fails",
    level=Level.ERROR,
    on=_QUERIES,
    stake="The query is invalid: the statement fails.",
    safe="create view v as select a.id, a.name, b.id as b_id from a join b on b.a_id = a.id;",
    check=_check_query,
    examples=(
        bad("create view v as select id, name from a join b on b.a_id = a.id;", _T),
        bad("create view v as select a.id, b.id from a join b on b.a_id = a.id;", _T),
        bad("create view v as select * from a join b on b.a_id = a.id;", _T),
        bad("create table c as select id, name, id from a;", _T),
        bad("create view v as select id, name from a union all select id from b;", _T),
        bad("insert into b select id, name from a union select 1;", _T),
        bad("create view v as select a_id, n, count(*) from b group by a_id;", _T),
        bad("create view v as select a_id, sum(n) from b;", _T),
        bad("update a set name = 'x' from b where id = 1;", _T),
        bad("create function f() returns int language sql as 'select id from a join b on b.a_id = a.id';", _T),
        good("create view v as select a.id, a.name, b.id as b_id from a join b on b.a_id = a.id;", _T),
        good("create view v (x, y, z) as select a.id, b.id, b.n from a join b on b.a_id = a.id;", _T),
        good("create view v as select a.id, a.name, sum(b.n) from a join b on b.a_id = a.id group by a.id;", _T),
        good("create view v as select n as m, count(*) from b group by m;", _T),
        good("create view v as select n, count(*) from b group by 1;", _T),
        good("create view v as select id, name from a union all select id, 'b' from b;", _T),
        good("create view v as select id from a join b using (id);", _T),
        good("create view v as select * from a where exists (select 1 from b where a_id = a.id);", _T),
    ),
)

RULES = (QUERY,)
