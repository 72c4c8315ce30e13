"""Which locks a statement takes on which tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.locks.alter import altered, both, referenced
from sqlmigrate.locks.modes import Mode, TableLock
from sqlmigrate.locks.tree import children, joined, kind, named, parsed_body, runs, strings, switched_on

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

# The other mode is that of CONCURRENTLY.
_INDEX = (Mode.SHARE, Mode.SHARE_UPDATE_EXCLUSIVE)
_INDEX_ITSELF = (Mode.ACCESS_EXCLUSIVE, Mode.SHARE_UPDATE_EXCLUSIVE)
_REFRESH = (Mode.ACCESS_EXCLUSIVE, Mode.EXCLUSIVE)
# Statements that lock the relations in one of their fields, and do no more with them than the mode says.
SIMPLE = {
    "AlterPolicyStmt": ("table", Mode.ACCESS_EXCLUSIVE),
    "CreatePolicyStmt": ("table", Mode.ACCESS_EXCLUSIVE),
    "CreateStatsStmt": ("relations", Mode.SHARE_UPDATE_EXCLUSIVE),
    "CreateTrigStmt": ("relation", Mode.SHARE_ROW_EXCLUSIVE),
    "DeleteStmt": ("relation", Mode.ROW_EXCLUSIVE),
    "InsertStmt": ("relation", Mode.ROW_EXCLUSIVE),
    "MergeStmt": ("relation", Mode.ROW_EXCLUSIVE),
    "RuleStmt": ("relation", Mode.ACCESS_EXCLUSIVE),
    "TruncateStmt": ("relations", Mode.ACCESS_EXCLUSIVE),
    "UpdateStmt": ("relation", Mode.ROW_EXCLUSIVE),
}
# DROP of what is a relation, or belongs to one that the statement names.
DROPPED = frozenset(
    ("OBJECT_FOREIGN_TABLE", "OBJECT_INDEX", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_TABLE", "OBJECT_VIEW")
)
OF_A_TABLE = frozenset(("OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER"))
# What SQL in the body of a function is analysed for when it is created, and its tables locked.
_ANALYSED = frozenset(("DeleteStmt", "InsertStmt", "MergeStmt", "SelectStmt", "UpdateStmt"))
_NO_NAMES: frozenset[str] = frozenset()


def locks_of(sql: str) -> tuple[TableLock, ...]:
    """The strongest lock that a statement takes on each table it names, the strongest first, then by name.

    What the statement creates itself is not among them.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    created: set[str] = set()
    found: dict[str, list[TableLock]] = {}
    for node in runs(sql).statements:
        created |= set(_created(node))
        for lock in _taken(node):
            if lock.relation not in created:
                found.setdefault(lock.relation, []).append(lock)
    return tuple(sorted(map(_strongest, found.values()), key=lambda lock: (-lock.mode.number, lock.relation)))


def created_by(sql: str) -> frozenset[str]:
    """The relations that a statement makes, by the names it gives them; none that may have been there before.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    nodes = runs(sql).statements
    return frozenset(name for node in nodes if not node.if_not_exists for name in _created(node))


def _strongest(locks: list[TableLock]) -> TableLock:
    """A transaction holds what it has taken to its end, so that all work is done under the strongest lock."""
    return TableLock(locks[0].relation, max(lock.mode for lock in locks), both({lock.work for lock in locks}))


def _created(node: Any) -> Iterator[str]:
    match kind(node):
        case "CreateStmt":
            yield named(node.relation)
        case "CreateForeignTableStmt":
            yield named(node.base.relation)
        case "CreateTableAsStmt":
            yield named(node.into.rel)
        case "ViewStmt" if not node.replace:
            yield named(node.view)
        case "CreateSeqStmt":
            yield named(node.sequence)
        case "IndexStmt" if node.idxname:
            yield joined([part for part in (node.relation.schemaname, node.idxname) if part])


def _taken(node: Any) -> Iterator[TableLock]:
    name = kind(node)
    if rule := SIMPLE.get(name):
        yield from _held(node, *rule)
    if statement := STATEMENTS.get(name):
        yield from statement(node)
    else:
        yield from _queried(node)


def _held(node: Any, field: str, mode: Mode, work: str = "") -> Iterator[TableLock]:
    """The locks on the relation or relations in a field."""
    value = getattr(node, field)
    for relation in value if isinstance(value, tuple) else (value,):
        if kind(relation) == "RangeVar":  # the grammar lets more pass than CREATE STATISTICS can use
            yield TableLock(named(relation), mode, work)


def _queried(node: Any, hidden: frozenset[str] = _NO_NAMES) -> Iterator[TableLock]:
    """The locks of reading and writing, at any depth; `hidden` are the tables whose names stand for CTEs here."""
    match kind(node):
        case "RangeVar" if node.schemaname or node.relname not in hidden:
            yield TableLock(named(node), Mode.ACCESS_SHARE)
        case "IntoClause" | "LockingClause":  # a table to be made, and names of FROM's
            return
        case "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" as name:
            yield from _held(node, *SIMPLE[name])
    below = list(children(node))
    for clause in (child for field, child in below if field == "withClause"):
        hidden = yield from _common_tables(clause, hidden)
    if kind(node) == "SelectStmt":
        yield from _row_locks(node, hidden)
    for child in (child for field, child in below if field != "withClause"):
        yield from _queried(child, hidden)


def _common_tables(clause: Any, hidden: frozenset[str]) -> Generator[TableLock, None, frozenset[str]]:
    """The locks of a WITH clause; returns the names that are hidden behind it."""
    tables = clause.ctes
    if clause.recursive:  # each sees all of them; otherwise only those before it
        hidden |= {table.ctename for table in tables}
    for table in tables:
        yield from _queried(table, hidden)
        hidden |= {table.ctename}
    return hidden


def _row_locks(select: Any, hidden: frozenset[str]) -> Iterator[TableLock]:
    """FOR UPDATE and its kin: on the tables of FROM, also within subqueries, but not within CTEs."""
    for clause in select.lockingClause:
        only = {relation.relname for relation in clause.lockedRels}
        for relation in _sources(select, only):
            if relation.schemaname or relation.relname not in hidden:
                yield TableLock(named(relation), Mode.ROW_SHARE)


def _sources(node: Any, only: set[str] | frozenset[str]) -> Iterator[Any]:
    match kind(node):
        case "SelectStmt":
            below = node.fromClause
        case "JoinExpr":
            below = [node.larg, node.rarg]
        case "RangeSubselect" if not only or node.alias.aliasname in only:
            below, only = [node.subquery], _NO_NAMES
        case "RangeVar" if not only or (node.alias.aliasname or node.relname) in only:
            yield node
            return
        case _:
            return
    for source in below:
        yield from _sources(source, only)


def _index_created(node: Any) -> Iterator[TableLock]:
    yield TableLock(named(node.relation), _INDEX[bool(node.concurrent)], "builds an index")


def _table_created(node: Any) -> Iterator[TableLock]:
    """PARTITION OF shuts everybody out of the parent; INHERITS does not."""
    table = node.base or node  # a foreign table's
    parent = Mode.ACCESS_EXCLUSIVE if table.partbound else Mode.SHARE_UPDATE_EXCLUSIVE
    yield from _held(table, "inhRelations", parent)
    for element in table.tableElts:
        if kind(element) == "TableLikeClause":
            yield from _held(element, "relation", Mode.ACCESS_SHARE)
        yield from referenced(element)


def _view_created(node: Any) -> Iterator[TableLock]:
    if node.replace:
        yield from _held(node, "view", Mode.ACCESS_EXCLUSIVE)
    yield from _queried(node.query)


def _sequence(node: Any) -> Iterator[TableLock]:
    yield from _held(node, "sequence", Mode.SHARE_ROW_EXCLUSIVE)
    for option in node.options:
        if option.defname == "owned_by" and len(owner := strings(option.arg)) > 1:
            yield TableLock(joined(owner[:-1]), Mode.ACCESS_SHARE)


def _routine_created(node: Any) -> Iterator[TableLock]:
    """A body in SQL is analysed; one in PL/pgSQL is not."""
    options = {option.defname: option.arg for option in node.options}
    if node.sql_body:
        yield from _queried(node.sql_body)
    elif "as" in options and "language" in options and options["language"].sval == "sql":
        for statement in parsed_body(str(options["as"].items[0].sval)):
            if kind(statement) in _ANALYSED:
                yield from _queried(statement)


def _dropped(node: Any) -> Iterator[TableLock]:
    thing = node.removeType
    for parts in map(strings, node.objects):
        if thing in DROPPED:
            mode = Mode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else Mode.ACCESS_EXCLUSIVE
            yield TableLock(joined(parts), mode)
        elif thing in OF_A_TABLE:
            yield TableLock(joined(parts[:-1]), Mode.ACCESS_EXCLUSIVE)


def _renamed(node: Any) -> Iterator[TableLock]:
    thing = node.renameType
    if node.relation and thing != "OBJECT_ATTRIBUTE":
        mode = Mode.SHARE_UPDATE_EXCLUSIVE if thing == "OBJECT_INDEX" else Mode.ACCESS_EXCLUSIVE
        yield from _held(node, "relation", mode)


def _moved_to_schema(node: Any) -> Iterator[TableLock]:
    if node.relation:
        yield from _held(node, "relation", Mode.ACCESS_EXCLUSIVE)


def _dependent(node: Any) -> Iterator[TableLock]:
    if node.relation:
        of_a_table = node.objectType in OF_A_TABLE
        yield from _held(node, "relation", Mode.ACCESS_SHARE if of_a_table else Mode.ACCESS_EXCLUSIVE)


def _described(node: Any) -> Iterator[TableLock]:
    """COMMENT ON, SECURITY LABEL, ALTER EXTENSION ADD."""
    thing = node.objtype
    if thing in DROPPED:
        yield TableLock(joined(strings(node.object)), Mode.SHARE_UPDATE_EXCLUSIVE)
    elif thing == "OBJECT_COLUMN":
        yield TableLock(joined(strings(node.object)[:-1]), Mode.SHARE_UPDATE_EXCLUSIVE)
    elif thing in OF_A_TABLE:
        yield TableLock(joined(strings(node.object)[:-1]), Mode.ACCESS_SHARE)


def _granted(node: Any) -> Iterator[TableLock]:
    """None before PostgreSQL 18."""
    for relation in node.objects:
        if kind(relation) == "RangeVar":
            yield TableLock(named(relation), Mode.ACCESS_SHARE)


def _published(node: Any) -> Iterator[TableLock]:
    for table in (one.pubtable for one in node.pubobjects):
        if table.relation:
            yield from _held(table, "relation", Mode.SHARE_UPDATE_EXCLUSIVE)


def _locked(node: Any) -> Iterator[TableLock]:
    yield from _held(node, "relations", list(Mode)[node.mode - 1])


def _copied(node: Any) -> Iterator[TableLock]:
    if node.is_from:
        yield from _held(node, "relation", Mode.ROW_EXCLUSIVE)
    yield from _queried(node)


def _clustered(node: Any) -> Iterator[TableLock]:
    if node.relation:
        yield from _held(node, "relation", Mode.ACCESS_EXCLUSIVE, "rewrites the table")


def _vacuumed(node: Any) -> Iterator[TableLock]:
    full = switched_on(node.options, "full")
    mode = Mode.ACCESS_EXCLUSIVE if full else Mode.SHARE_UPDATE_EXCLUSIVE
    work = ("rewrites the table" if full else "scans the table") if node.is_vacuumcmd else "samples the table"
    for relation in node.rels:
        yield from _held(relation, "relation", mode, work)


def _refreshed(node: Any) -> Iterator[TableLock]:
    yield from _held(node, "relation", _REFRESH[bool(node.concurrent)], "" if node.skipData else "runs its query")


def _reindexed(node: Any) -> Iterator[TableLock]:
    concurrently = switched_on(node.params, "concurrently")
    match node.kind:
        case "REINDEX_OBJECT_TABLE":
            yield from _held(node, "relation", _INDEX[concurrently], "builds its indexes")
        case "REINDEX_OBJECT_INDEX":
            yield from _held(node, "relation", _INDEX_ITSELF[concurrently], "builds the index")


def _none(_: Any) -> Iterable[TableLock]:
    return ()


# Statements whose locks take more than a word. All others lock what they read and write.
STATEMENTS: dict[str, Callable[[Any], Iterable[TableLock]]] = {
    "AlterExtensionContentsStmt": _described,
    "AlterObjectDependsStmt": _dependent,
    "AlterObjectSchemaStmt": _moved_to_schema,
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
    "CreateSchemaStmt": _none,  # its elements stand for themselves
    "CreateSeqStmt": _sequence,
    "CreateStmt": _table_created,
    "DropStmt": _dropped,
    "GrantStmt": _granted,
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
