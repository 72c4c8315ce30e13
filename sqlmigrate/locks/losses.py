"""The data that a statement destroys and that no down file restores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.locks.expansion import expand, is_option_on, joined, named
from sqlmigrate.sql.identifier import quoted
from sqlmigrate.sql.tree import bodies, definition, strings, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlmigrate.sql.parser import Node

# DROP of any other object loses only its definition, which a migration file contains.
DROPPED = {
    "OBJECT_DOMAIN": "domain {} is dropped",
    "OBJECT_EXTENSION": "extension {} is dropped, with the data it holds",
    "OBJECT_SCHEMA": "schema {} is dropped",
    "OBJECT_SEQUENCE": "the value of sequence {} is lost",
    "OBJECT_TABLE": "the rows of {} are lost",
    "OBJECT_TYPE": "type {} is dropped",
}
WITH_CASCADE = {
    "OBJECT_DOMAIN": ", with every column of that domain",
    "OBJECT_EXTENSION": ", and every column of its types",
    "OBJECT_SCHEMA": ", with all objects in it",
    "OBJECT_TYPE": ", with every column of that type",
}
# An assignment cast to these types rounds or truncates values of a wider type, without USING.
ROUNDING = frozenset(
    ("date", "float4", "float8", "int2", "int4", "numeric", "time", "timetz", "timestamp", "timestamptz", "interval")
)
# These types keep the whole value unless they have a precision.
_WITH_PRECISION = frozenset(("numeric", "time", "timetz", "timestamp", "timestamptz", "interval"))
_NOT_RUN = frozenset(("CreateFunctionStmt", "DeclareCursorStmt", "PrepareStmt", "RuleStmt"))


def cannot_be_undone(sql: str) -> str:
    """Returns the data that is lost for good, as a phrase for a DBA; an empty text where no data is.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    statements = expand(sql).statements
    return "; ".join(dict.fromkeys(loss for kind, node in statements for loss in _losses(kind, node)))


def _losses(kind: str, node: Node) -> Iterator[str]:
    """Yields the losses of a statement and of the statements in it: a DELETE in WITH, an UPDATE in EXPLAIN ANALYZE."""
    if kind in _NOT_RUN or (kind == "ExplainStmt" and not is_option_on(node, "options", "analyze")):
        return
    for inner_kind, inner in ((kind, node), *walk(node)):
        if loss := LOSSES.get(inner_kind):
            yield from loss(inner)


def _deleted(node: Node) -> Iterator[str]:
    yield f"the {'deleted ' if 'whereClause' in node else ''}rows of {named(node['relation'])} are lost"


def _updated(node: Node) -> Iterator[str]:
    yield _overwritten(named(node["relation"]), bodies(node, "targetList"))


def _overwritten(table: str, targets: Iterable[Node]) -> str:
    columns = dict.fromkeys(quoted(target["name"]) for target in targets)
    return f"the old values of {', '.join(f'{table}.{column}' for column in columns)} are lost"


def _inserted(node: Node) -> Iterator[str]:
    if targets := bodies(node.get("onConflictClause", {}), "targetList"):
        yield _overwritten(named(node["relation"]), targets)


def _merged(node: Node) -> Iterator[str]:
    table = named(node["relation"])
    for clause in bodies(node, "mergeWhenClauses"):
        match clause["commandType"]:
            case "CMD_DELETE":
                yield f"the deleted rows of {table} are lost"
            case "CMD_UPDATE":
                yield _overwritten(table, bodies(clause, "targetList"))


def _truncated(node: Node) -> Iterator[str]:
    tables = ", ".join(map(named, bodies(node, "relations")))
    cascade = " and of every table that references them" if node.get("behavior") == "DROP_CASCADE" else ""
    yield f"the rows of {tables}{cascade} are lost"


def _dropped(node: Node) -> Iterator[str]:
    object_type = node["removeType"]
    if object_type in DROPPED:
        cascade = WITH_CASCADE.get(object_type, "") if node.get("behavior") == "DROP_CASCADE" else ""
        for dropped in node["objects"]:
            yield DROPPED[object_type].format(_name(dropped)) + cascade


def _name(node: Node) -> str:
    parts = node["TypeName"]["names"] if "TypeName" in node else node["List"]["items"] if "List" in node else [node]
    return joined(strings(parts))


def _altered(node: Node) -> Iterator[str]:
    for command in bodies(node, "cmds"):
        column = f"{named(node['relation'])}.{quoted(command.get('name', ''))}"
        match command["subtype"]:
            case "AT_DropColumn":
                yield f"the values of {column} are lost"
            case "AT_AlterColumnType":
                yield from _converted(column, definition(command))


def _converted(column: str, new: Node) -> Iterator[str]:
    name = strings(new["typeName"]["names"])[-1]
    if "raw_default" in new:
        yield f"the old values of {column} are lost where the USING expression has no inverse"
    elif name in ROUNDING and (name not in _WITH_PRECISION or "typmods" in new["typeName"]):
        yield f"values of {column} may be rounded or truncated"


def _enum_altered(node: Node) -> Iterator[str]:
    if "oldVal" not in node:
        yield f"value {node['newVal']!r} cannot be dropped from type {joined(strings(node['typeName']))} again"


def _owned_dropped(node: Node) -> Iterator[str]:
    yield f"all objects owned by {', '.join(quoted(role['rolename']) for role in bodies(node, 'roles'))} are dropped"


def _database_dropped(node: Node) -> Iterator[str]:
    yield f"database {quoted(node['dbname'])} is dropped"


LOSSES: dict[str, Callable[[Node], Iterator[str]]] = {
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
