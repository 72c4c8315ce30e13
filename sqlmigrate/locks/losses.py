"""What is lost for good with a statement: data that no down file brings back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.locks.alter import definition
from sqlmigrate.locks.tree import every, joined, kind, named, quoted, runs, strings, switched_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# DROP of anything else loses a definition only, which stands in a file.
DROPPED = {
    "OBJECT_DOMAIN": "domain {} is gone",
    "OBJECT_EXTENSION": "extension {} is gone, with what it holds",
    "OBJECT_SCHEMA": "schema {} is gone",
    "OBJECT_SEQUENCE": "the value of sequence {} is gone",
    "OBJECT_TABLE": "the rows of {} are gone",
    "OBJECT_TYPE": "type {} is gone",
}
WITH_CASCADE = {
    "OBJECT_DOMAIN": ", with every column of it",
    "OBJECT_EXTENSION": ", and every column of its types",
    "OBJECT_SCHEMA": ", with all that is in it",
    "OBJECT_TYPE": ", with every column of it",
}
# Types that take values of a wider one and round them, or keep only a part of them, without being told to by USING.
ROUNDING = frozenset(
    (
        "date",
        "float4",
        "float8",
        "int2",
        "int4",
        "numeric",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "interval",
    )
)
# These keep all that came in unless they are given a precision.
_WITH_PRECISION = frozenset(("numeric", "time", "timetz", "timestamp", "timestamptz", "interval"))
_NOT_RUN = frozenset(("CreateFunctionStmt", "DeclareCursorStmt", "PrepareStmt", "RuleStmt"))


def cannot_be_undone(sql: str) -> str:
    """What is lost for good, in a sentence for a DBA; empty where nothing is.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    return "; ".join(dict.fromkeys(loss for node in runs(sql).statements for loss in _losses(node)))


def _losses(node: Any) -> Iterator[str]:
    """Of a statement and those within it: a DELETE in a WITH, an UPDATE under EXPLAIN ANALYZE."""
    name = kind(node)
    if name in _NOT_RUN or (name == "ExplainStmt" and not switched_on(node.options, "analyze")):
        return
    for below in every(node):
        if loss := LOSSES.get(kind(below)):
            yield from loss(below)


def _deleted(node: Any) -> Iterator[str]:
    yield f"the {'deleted ' if node.whereClause else ''}rows of {named(node.relation)} are gone"


def _updated(node: Any) -> Iterator[str]:
    yield _overwritten(named(node.relation), node.targetList)


def _overwritten(table: str, targets: Any) -> str:
    columns = dict.fromkeys(quoted(target.name) for target in targets)
    return f"the old values of {', '.join(f'{table}.{column}' for column in columns)} are gone"


def _inserted(node: Any) -> Iterator[str]:
    if node.onConflictClause.targetList:
        yield _overwritten(named(node.relation), node.onConflictClause.targetList)


def _merged(node: Any) -> Iterator[str]:
    table = named(node.relation)
    for clause in node.mergeWhenClauses:
        match clause.commandType:
            case "CMD_DELETE":
                yield f"the deleted rows of {table} are gone"
            case "CMD_UPDATE":
                yield _overwritten(table, clause.targetList)


def _truncated(node: Any) -> Iterator[str]:
    tables = ", ".join(named(relation) for relation in node.relations)
    cascade = " and of every table that refers to them" if node.behavior == "DROP_CASCADE" else ""
    yield f"the rows of {tables}{cascade} are gone"


def _dropped(node: Any) -> Iterator[str]:
    thing = node.removeType
    if thing in DROPPED:
        cascade = WITH_CASCADE.get(thing, "") if node.behavior == "DROP_CASCADE" else ""
        for parts in map(_name, node.objects):
            yield DROPPED[thing].format(joined(parts)) + cascade


def _name(node: Any) -> list[str]:
    return [part.sval for part in node.names] if kind(node) == "TypeName" else strings(node)


def _altered(node: Any) -> Iterator[str]:
    for command in node.cmds:
        match command.subtype:
            case "AT_DropColumn":
                yield f"the values of {_column(node, command)} are gone"
            case "AT_AlterColumnType":
                yield from _converted(_column(node, command), definition(command))


def _column(node: Any, command: Any) -> str:
    return f"{named(node.relation)}.{quoted(command.name)}"


def _converted(column: str, new: Any) -> Iterator[str]:
    name = new.typeName.names[-1].sval
    if new.raw_default:
        yield f"the old values of {column} are gone where USING can't be turned round"
    elif name in ROUNDING and (name not in _WITH_PRECISION or new.typeName.typmods):
        yield f"values of {column} may be rounded or cut"


def _enum_altered(node: Any) -> Iterator[str]:
    if not node.oldVal:
        yield f"value {node.newVal!r} can't be dropped from type {joined(p.sval for p in node.typeName)} again"


def _owned_dropped(node: Any) -> Iterator[str]:
    yield f"all that is owned by {', '.join(quoted(role.rolename) for role in node.roles)} is gone"


def _database_dropped(node: Any) -> Iterator[str]:
    yield f"database {quoted(node.dbname)} is gone"


LOSSES: dict[str, Callable[[Any], Iterator[str]]] = {
    "AlterEnumStmt": _enum_altered,
    "AlterTableStmt": _altered,
    "DeleteStmt": _deleted,
    "DropOwnedStmt": _owned_dropped,
    "DropStmt": _dropped,
    "DropdbStmt": _database_dropped,
    "InsertStmt": _inserted,
    "MergeStmt": _merged,
    "TruncateStmt": _truncated,
    "UpdateStmt": _updated,
}
