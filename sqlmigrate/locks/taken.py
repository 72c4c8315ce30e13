"""The locks that a statement takes, by table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.locks.alter import altered, altered_exclusively, both, referenced
from sqlmigrate.locks.expansion import expand, is_option_on, joined, named, parsed, relation_name
from sqlmigrate.locks.modes import Mode, NamedLock, TableLock
from sqlmigrate.sql.parser import SyntaxFault, parse
from sqlmigrate.sql.tree import bodies, children, kind_and_body, options, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from sqlmigrate.sql.parser import Node

# The second mode is that of CONCURRENTLY.
_INDEX = (Mode.SHARE, Mode.SHARE_UPDATE_EXCLUSIVE)
_INDEX_ITSELF = (Mode.ACCESS_EXCLUSIVE, Mode.SHARE_UPDATE_EXCLUSIVE)
_REFRESH = (Mode.ACCESS_EXCLUSIVE, Mode.EXCLUSIVE)
# Statements that lock the relations in one of their fields and do only the work that the mode suggests.
SIMPLE = {
    "AlterObjectSchemaStmt": ("relation", Mode.ACCESS_EXCLUSIVE),
    "AlterPolicyStmt": ("table", Mode.ACCESS_EXCLUSIVE),
    "CreatePolicyStmt": ("table", Mode.ACCESS_EXCLUSIVE),
    "CreateStatsStmt": ("relations", Mode.SHARE_UPDATE_EXCLUSIVE),
    "CreateTrigStmt": ("relation", Mode.SHARE_ROW_EXCLUSIVE),
    "DeleteStmt": ("relation", Mode.ROW_EXCLUSIVE),
    "GrantStmt": ("objects", Mode.ACCESS_SHARE),  # since PostgreSQL 18
    "InsertStmt": ("relation", Mode.ROW_EXCLUSIVE),
    "MergeStmt": ("relation", Mode.ROW_EXCLUSIVE),
    "RuleStmt": ("relation", Mode.ACCESS_EXCLUSIVE),
    "TruncateStmt": ("relations", Mode.ACCESS_EXCLUSIVE),
    "UpdateStmt": ("relation", Mode.ROW_EXCLUSIVE),
}
# Objects that are relations, and objects that belong to a relation that the statement names.
RELATIONS = frozenset(
    ("OBJECT_FOREIGN_TABLE", "OBJECT_INDEX", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_TABLE", "OBJECT_VIEW")
)
OF_A_TABLE = frozenset(("OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER"))
# When a function in SQL is created, PostgreSQL analyses these statements in its body and locks their tables.
_ANALYSED = frozenset(("DeleteStmt", "InsertStmt", "MergeStmt", "SelectStmt", "UpdateStmt"))
_NO_NAMES: frozenset[str] = frozenset()


def locks_of(sql: str) -> tuple[TableLock, ...]:
    """Returns the strongest lock on each table that a statement names, the strongest first, then by name.

    Relations that the statement itself creates are not included.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    created: set[str] = set()
    by_relation: dict[str, list[NamedLock]] = {}
    for kind, node in expand(sql).statements:
        created |= set(_created(kind, node))
        for lock in locks_in(kind, node):
            if (relation := joined(lock.name)) not in created:
                by_relation.setdefault(relation, []).append(lock)
    strongest = (_strongest(relation, locks) for relation, locks in by_relation.items())
    return tuple(sorted(strongest, key=lambda lock: (-lock.mode.number, lock.relation)))


def created_by(sql: str) -> frozenset[str]:
    """Returns the names of the relations that a statement creates, except those that may exist already.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    statements = expand(sql).statements
    return frozenset(
        name for kind, node in statements if not node.get("if_not_exists") for name in _created(kind, node)
    )


def locks_in(kind: str, node: Node) -> Iterator[NamedLock]:
    """Yields the locks that one parsed statement takes, several of them on one table where several parts do."""
    if rule := SIMPLE.get(kind):
        yield from _held(node, *rule)
    if statement := STATEMENTS.get(kind):
        yield from statement(node)
    else:
        yield from _queried(kind, node)


def exclusive_in(kind: str, node: Node) -> Iterator[tuple[str, ...]]:
    """Yields the names of the relations that one parsed statement locks ACCESS EXCLUSIVE, some of them twice."""
    match kind:
        case "AlterTableStmt":
            yield from altered_exclusively(node)
        case "CreateStmt" if "inhRelations" not in node:  # the tables of its foreign keys get a weaker lock
            return
        case _:
            yield from (lock.name for lock in locks_in(kind, node) if lock.mode is Mode.ACCESS_EXCLUSIVE)


def _strongest(relation: str, locks: list[NamedLock]) -> TableLock:
    """A transaction keeps its locks to its end, so all work is done under the strongest of them."""
    return TableLock(relation, max(lock.mode for lock in locks), both({lock.work for lock in locks}))


def _created(kind: str, node: Node) -> Iterator[str]:
    match kind:
        case "CreateStmt":
            yield named(node["relation"])
        case "CreateForeignTableStmt":
            yield named(node["base"]["relation"])
        case "CreateTableAsStmt":
            yield named(node["into"]["rel"])
        case "ViewStmt" if not node.get("replace"):
            yield named(node["view"])
        case "CreateSeqStmt":
            yield named(node["sequence"])
        case "IndexStmt" if "idxname" in node:
            yield joined(part for part in (node["relation"].get("schemaname"), node["idxname"]) if part)


def _held(node: Node, field: str, mode: Mode, work: str = "") -> Iterator[NamedLock]:
    """Yields the locks on the relation, or on each of the relations, in a field."""
    value = node.get(field)
    if isinstance(value, dict):
        yield NamedLock(relation_name(value), mode, work)
    for element in value if isinstance(value, list) else ():
        if "RangeVar" in element:  # the grammar accepts more in CREATE STATISTICS than the server does
            yield NamedLock(relation_name(element["RangeVar"]), mode, work)


def _queried(kind: str, node: Node, ctes: frozenset[str] = _NO_NAMES) -> Iterator[NamedLock]:
    """Yields the locks of reading and writing, at any depth; `ctes` are the names that mean a CTE here."""
    match kind:
        case "RangeVar" if "schemaname" in node or node["relname"] not in ctes:
            yield NamedLock(relation_name(node), Mode.ACCESS_SHARE)
        case "IntoClause" | "LockingClause":  # a table to create, and names that FROM lists
            return
        case "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt":
            yield from _held(node, *SIMPLE[kind])
    if "withClause" in node:
        ctes = yield from _common_tables(node["withClause"], ctes)
    if kind == "SelectStmt":
        yield from _row_locks(node, ctes)
    for field, child_kind, child in children(node):
        if field != "withClause":
            yield from _queried(child_kind, child, ctes)


def _common_tables(clause: Node, ctes: frozenset[str]) -> Generator[NamedLock, None, frozenset[str]]:
    """Yields the locks of a WITH clause; returns the names that mean a CTE behind it."""
    tables = bodies(clause, "ctes")
    if clause.get("recursive"):  # each CTE can read all of them; otherwise only those before it
        ctes |= {table["ctename"] for table in tables}
    for table in tables:
        yield from _queried("CommonTableExpr", table, ctes)
        ctes |= {table["ctename"]}
    return ctes


def _row_locks(select: Node, ctes: frozenset[str]) -> Iterator[NamedLock]:
    """Yields the locks of FOR UPDATE and its kin: on the tables of FROM, in subqueries too, but not in CTEs."""
    for clause in bodies(select, "lockingClause"):
        only = {relation["relname"] for relation in bodies(clause, "lockedRels")}
        for relation in _sources("SelectStmt", select, only):
            if "schemaname" in relation or relation["relname"] not in ctes:
                yield NamedLock(relation_name(relation), Mode.ROW_SHARE)


def _sources(kind: str, node: Node, only: set[str] | frozenset[str]) -> Iterator[Node]:
    alias = node.get("alias", {}).get("aliasname", node.get("relname"))
    match kind:
        case "SelectStmt":
            below = node.get("fromClause", [])
        case "JoinExpr":
            below = [node["larg"], node["rarg"]]
        case "RangeSubselect" if not only or alias in only:
            below, only = [node["subquery"]], _NO_NAMES
        case "RangeVar" if not only or alias in only:
            yield node
            return
        case _:
            return
    for source in below:
        yield from _sources(*kind_and_body(source), only)


def _index_created(node: Node) -> Iterator[NamedLock]:
    yield from _held(node, "relation", _INDEX[bool(node.get("concurrent"))], "builds an index")


def _table_created(node: Node) -> Iterator[NamedLock]:
    """PARTITION OF takes ACCESS EXCLUSIVE on the parent; INHERITS does not."""
    table = node.get("base", node)  # of a foreign table
    parent = Mode.ACCESS_EXCLUSIVE if "partbound" in table else Mode.SHARE_UPDATE_EXCLUSIVE
    yield from _held(table, "inhRelations", parent)
    for element in table.get("tableElts", ()):
        yield from _held(element.get("TableLikeClause", {}), "relation", Mode.ACCESS_SHARE)
        yield from referenced(element)


def _view_created(node: Node) -> Iterator[NamedLock]:
    if node.get("replace"):
        yield from _held(node, "view", Mode.ACCESS_EXCLUSIVE)
    yield from _queried(*kind_and_body(node["query"]))


def _sequence(node: Node) -> Iterator[NamedLock]:
    yield from _held(node, "sequence", Mode.SHARE_ROW_EXCLUSIVE)
    owner = options(node.get("options", ())).get("owned_by", [])
    if len(owner) > 1:  # not OWNED BY NONE
        yield NamedLock(tuple(owner[:-1]), Mode.ACCESS_SHARE)


def _routine_created(node: Node) -> Iterator[NamedLock]:
    """PostgreSQL analyses a body in SQL, but not a body in PL/pgSQL."""
    attributes = options(node.get("options", ()))
    if "sql_body" in node:
        yield from _queried(*kind_and_body(node["sql_body"]))
    elif "as" in attributes and attributes.get("language") == "sql":
        try:
            statements = parsed(parse(str(attributes["as"][0])))
        except SyntaxFault:  # the server does not check it where check_function_bodies is off
            return
        for kind, statement in statements:
            if kind in _ANALYSED:
                yield from _queried(kind, statement)


def _parts(node: Node) -> tuple[str, ...]:
    """Returns the parts of a name that is a list of strings or one string."""
    return tuple(strings(node["List"]["items"] if "List" in node else [node]))


def _dropped(node: Node) -> Iterator[NamedLock]:
    object_type = node["removeType"]
    for parts in map(_parts, node.get("objects", ())):
        if object_type in RELATIONS:
            mode = Mode.SHARE_UPDATE_EXCLUSIVE if node.get("concurrent") else Mode.ACCESS_EXCLUSIVE
            yield NamedLock(parts, mode)
        elif object_type in OF_A_TABLE:
            yield NamedLock(parts[:-1], Mode.ACCESS_EXCLUSIVE)


def _renamed(node: Node) -> Iterator[NamedLock]:
    object_type = node["renameType"]
    if object_type != "OBJECT_ATTRIBUTE":
        mode = Mode.SHARE_UPDATE_EXCLUSIVE if object_type == "OBJECT_INDEX" else Mode.ACCESS_EXCLUSIVE
        yield from _held(node, "relation", mode)


def _dependent(node: Node) -> Iterator[NamedLock]:
    of_a_table = node["objectType"] in OF_A_TABLE
    yield from _held(node, "relation", Mode.ACCESS_SHARE if of_a_table else Mode.ACCESS_EXCLUSIVE)


def _described(node: Node) -> Iterator[NamedLock]:
    """Yields the locks of COMMENT ON, SECURITY LABEL and ALTER EXTENSION ADD."""
    object_type = node["objtype"]
    if object_type in RELATIONS:
        yield NamedLock(_parts(node["object"]), Mode.SHARE_UPDATE_EXCLUSIVE)
    elif object_type == "OBJECT_COLUMN":
        yield NamedLock(_parts(node["object"])[:-1], Mode.SHARE_UPDATE_EXCLUSIVE)
    elif object_type in OF_A_TABLE:
        yield NamedLock(_parts(node["object"])[:-1], Mode.ACCESS_SHARE)


def _published(node: Node) -> Iterator[NamedLock]:
    for publication_object in bodies(node, "pubobjects"):
        yield from _held(publication_object.get("pubtable", {}), "relation", Mode.SHARE_UPDATE_EXCLUSIVE)


def _locked(node: Node) -> Iterator[NamedLock]:
    yield from _held(node, "relations", list(Mode)[node["mode"] - 1])


def _copied(node: Node) -> Iterator[NamedLock]:
    if node.get("is_from"):
        yield from _held(node, "relation", Mode.ROW_EXCLUSIVE)
    yield from _queried("CopyStmt", node)


def _clustered(node: Node) -> Iterator[NamedLock]:
    yield from _held(node, "relation", Mode.ACCESS_EXCLUSIVE, "rewrites the table")


def _vacuumed(node: Node) -> Iterator[NamedLock]:
    full = is_option_on(node, "options", "full")
    mode = Mode.ACCESS_EXCLUSIVE if full else Mode.SHARE_UPDATE_EXCLUSIVE
    work = ("rewrites the table" if full else "scans the table") if node.get("is_vacuumcmd") else "samples the table"
    for relation in bodies(node, "rels"):
        yield from _held(relation, "relation", mode, work)


def _refreshed(node: Node) -> Iterator[NamedLock]:
    mode = _REFRESH[bool(node.get("concurrent"))]
    yield from _held(node, "relation", mode, "" if node.get("skipData") else "runs its query")


def _reindexed(node: Node) -> Iterator[NamedLock]:
    concurrently = is_option_on(node, "params", "concurrently")
    match node["kind"]:
        case "REINDEX_OBJECT_TABLE":
            yield from _held(node, "relation", _INDEX[concurrently], "builds its indexes")
        case "REINDEX_OBJECT_INDEX":
            yield from _held(node, "relation", _INDEX_ITSELF[concurrently], "builds the index")


def _none(_: Node) -> Iterable[NamedLock]:
    return ()


# Statements that need more than a mode. All other statements lock what they read and write.
STATEMENTS: dict[str, Callable[[Node], Iterable[NamedLock]]] = {
    "AlterExtensionContentsStmt": _described,
    "AlterObjectDependsStmt": _dependent,
    "AlterPublicationStmt": _published,
    "AlterSeqStmt": _sequence,
    "AlterTableStmt": altered,
    "ClusterStmt": _clustered,
    "CommentStmt": _described,
    "CompositeTypeStmt": _none,
    "CopyStmt": _copied,
    "CreateForeignTableStmt": _table_created,
    "CreateFunctionStmt": _routine_created,
    "CreatePublicationStmt": _published,
    "CreateSchemaStmt": _none,  # `expand` returns its elements
    "CreateSeqStmt": _sequence,
    "CreateStmt": _table_created,
    "DropStmt": _dropped,
    "ImportForeignSchemaStmt": _none,
    "IndexStmt": _index_created,
    "LockStmt": _locked,
    "RefreshMatViewStmt": _refreshed,
    "ReindexStmt": _reindexed,
    "RenameStmt": _renamed,
    "SecLabelStmt": _described,
    "TruncateStmt": _none,
    "VacuumStmt": _vacuumed,
    "ViewStmt": _view_created,
}
