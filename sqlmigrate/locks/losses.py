"""What is lost for good with a statement: data that no down file brings back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.locks.alter import definition
from sqlmigrate.locks.tree import every, inner, joined, kind, named, quoted, runs, strings, switched_on, word

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
    yield f"the {'deleted ' if node.HasField('where_clause') else ''}rows of {named(node.relation)} are gone"


def _updated(node: Any) -> Iterator[str]:
    yield _overwritten(named(node.relation), node.target_list)


def _overwritten(table: str, targets: Any) -> str:
    columns = dict.fromkeys(quoted(target.res_target.name) for target in targets)
    return f"the old values of {', '.join(f'{table}.{column}' for column in columns)} are gone"


def _inserted(node: Any) -> Iterator[str]:
    if node.on_conflict_clause.target_list:
        yield _overwritten(named(node.relation), node.on_conflict_clause.target_list)


def _merged(node: Any) -> Iterator[str]:
    table = named(node.relation)
    for clause in (clause.merge_when_clause for clause in node.merge_when_clauses):
        match word(clause, "command_type"):
            case "CMD_DELETE":
                yield f"the deleted rows of {table} are gone"
            case "CMD_UPDATE":
                yield _overwritten(table, clause.target_list)


def _truncated(node: Any) -> Iterator[str]:
    tables = ", ".join(named(inner(relation)) for relation in node.relations)
    cascade = " and of every table that refers to them" if word(node, "behavior") == "DROP_CASCADE" else ""
    yield f"the rows of {tables}{cascade} are gone"


def _dropped(node: Any) -> Iterator[str]:
    thing = word(node, "remove_type")
    if thing in DROPPED:
        cascade = WITH_CASCADE.get(thing, "") if word(node, "behavior") == "DROP_CASCADE" else ""
        for parts in map(_name, node.objects):
            yield DROPPED[thing].format(joined(parts)) + cascade


def _name(node: Any) -> list[str]:
    if node.WhichOneof("node") == "type_name":
        return [part.string.sval for part in node.type_name.names]
    return strings(node)


def _altered(node: Any) -> Iterator[str]:
    table = named(node.relation)
    for command in (command.alter_table_cmd for command in node.cmds):
        column = f"{table}.{quoted(command.name)}"
        match word(command, "subtype"):
            case "AT_DropColumn":
                yield f"the values of {column} are gone"
            case "AT_AlterColumnType":
                yield from _converted(column, definition(command))


def _converted(column: str, new: Any) -> Iterator[str]:
    name = new.type_name.names[-1].string.sval
    if new.HasField("raw_default"):
        yield f"the old values of {column} are gone where USING can't be turned round"
    elif name in ROUNDING and (name not in _WITH_PRECISION or new.type_name.typmods):
        yield f"values of {column} may be rounded or cut"


def _enum_altered(node: Any) -> Iterator[str]:
    if not node.old_val:
        yield f"value {node.new_val!r} can't be dropped from type {joined(p.string.sval for p in node.type_name)} again"


def _owned_dropped(node: Any) -> Iterator[str]:
    yield f"all that is owned by {', '.join(quoted(role.role_spec.rolename) for role in node.roles)} is gone"


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
