"""What the statements of a migration that may share a wave do, by the names that they write. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.locks.hidden import called_in
from sqlmigrate.sql.identifier import Identifier
from sqlmigrate.sql.parser import SyntaxFault, parse
from sqlmigrate.sql.tokens import tokens
from sqlmigrate.sql.tree import bodies, kind_and_body, relation, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlmigrate.sql.parser import Node

# Parsing a longer statement takes noticeable time, and no statement that can share a wave is so long.
_LONGEST = 64 * 1024
# The grammar takes longer to say that another statement is a barrier.
_FIRST_WORDS = {
    *("analyse", "analyze", "reindex", "vacuum"),
    *(("alter", "table"), ("create", "index"), ("create", "unique"), ("drop", "index"), ("refresh", "materialized")),
}


class NewIndex(NamedTuple):
    """An index that a statement creates; `name` is empty if PostgreSQL chooses it."""

    table: Identifier
    name: str


@dataclass(frozen=True, slots=True)
class Work:
    """What statements do. `barrier` states why they have to run alone; it is empty if they may share a wave.

    `relations` are the tables, materialized views and indexes that they name, with an empty schema if none is written;
    `indexes` are the indexes among them, `dropped` those that they drop. `evaluates` means that they evaluate the
    expressions of constraints and of indexes that exist already.
    """

    relations: frozenset[Identifier] = frozenset()
    created: frozenset[NewIndex] = frozenset()
    indexes: frozenset[Identifier] = frozenset()
    dropped: frozenset[Identifier] = frozenset()
    evaluates: bool = False
    barrier: str = ""


def work_of(statements: Iterable[str]) -> Work:
    """Returns what statements do; reads them only up to the first one that has to run alone.

    Raises:
        ConfigurationError: The parser is not installed.
    """
    total = Work()
    for statement in statements:
        work = _work(statement)
        if work.barrier:
            return work
        total = Work(
            total.relations | work.relations,
            total.created | work.created,
            total.indexes | work.indexes,
            total.dropped | work.dropped,
            total.evaluates or work.evaluates,
        )
    return total


def _work(statement: str) -> Work:
    first, second = [*(token.lower() for token, _ in zip(tokens(statement), range(2), strict=False)), "", ""][:2]
    if first not in _FIRST_WORDS and (first, second) not in _FIRST_WORDS:
        return Work(barrier=f"{_name(statement)} may depend on any migration")
    if len(statement) > _LONGEST:
        return Work(barrier="a statement is too long to be analysed")
    try:
        trees = parse(statement)
    except SyntaxFault:
        return Work(barrier=f"{_name(statement)} cannot be analysed")
    if len(trees) != 1:
        return Work(barrier=f"{_name(statement)} cannot be analysed")
    kind, node = kind_and_body(trees[0]["stmt"])
    work = _READERS[kind](node) if kind in _READERS else None
    return work or Work(barrier=f"{_name(statement)} may depend on any migration")


def _name(statement: str) -> str:
    """Returns the first two words of a statement: CREATE TABLE."""
    words = [token for token, _ in zip(tokens(statement), range(2), strict=False) if token.isalpha()]
    return " ".join(words).upper() or "a statement"


def _index(node: Node) -> Work:
    table = Identifier(*relation(node["relation"]))
    calls = next(filter(None, (reason for part in _expressions(node) for reason in called_in(part))), "")
    if calls:
        return Work(barrier=f"the index {calls}")
    return Work(frozenset([table]), frozenset([NewIndex(table, node.get("idxname", ""))]))


def _expressions(node: Node) -> list[Node]:
    return [*bodies(node, "indexParams"), {"whereClause": node.get("whereClause", {})}]


def _drop(node: Node) -> Work | None:
    if node["removeType"] != "OBJECT_INDEX" or node.get("behavior") == "DROP_CASCADE":
        return None
    names = [strings(body["items"]) for body in bodies(node, "objects")]
    dropped = frozenset(Identifier(*(["", *parts][-2:])) for parts in names)
    return Work(dropped, indexes=dropped, dropped=dropped)


def _reindex(node: Node) -> Work | None:
    work = _on([node["relation"]] if "relation" in node else [], evaluates=True)
    match node["kind"]:
        case "REINDEX_OBJECT_TABLE":
            return work
        case "REINDEX_OBJECT_INDEX":
            return replace(work, indexes=work.relations)
    return None


def _alter(node: Node) -> Work | None:
    subtypes = {command["subtype"] for command in bodies(node, "cmds")}
    is_validation = node["objtype"] == "OBJECT_TABLE" and subtypes == {"AT_ValidateConstraint"}
    return _on([node["relation"]], evaluates=True) if is_validation else None


def _refresh(node: Node) -> Work:
    return _on([node["relation"]], evaluates=True)


def _vacuum(node: Node) -> Work | None:
    """Without a list of tables, it processes every table of the database."""
    tables = [table["relation"] for table in bodies(node, "rels") if "relation" in table]
    return _on(tables, evaluates=True) if tables else None


def _on(tables: Iterable[Node], *, evaluates: bool) -> Work:
    return Work(frozenset(Identifier(*relation(table)) for table in tables), evaluates=evaluates)


_READERS: dict[str, Callable[[Node], Work | None]] = {
    "AlterTableStmt": _alter,
    "DropStmt": _drop,
    "IndexStmt": _index,
    "RefreshMatViewStmt": _refresh,
    "ReindexStmt": _reindex,
    "VacuumStmt": _vacuum,
}
