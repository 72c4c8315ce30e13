"""Safer SQL for constraints: NOT VALID and a later VALIDATE, USING INDEX, and CHECKs that prove NOT NULL."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlmigrate.lint.facts.questions import proves_not_null
from sqlmigrate.lint.safer.statements import (
    add,
    advice,
    altered,
    check,
    drop_constraint,
    free_constraint,
    in_place,
    is_set,
    name_of,
    not_valid,
    outside_transaction,
    rest,
    set_not_null,
    table_of,
    text,
    validate,
)
from sqlmigrate.lint.schema.interpret.definitions import column_constraints, constrained_columns
from sqlmigrate.lint.schema.interpret.names import free_name
from sqlmigrate.sql.tree import qualified, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.rule import Case
    from sqlmigrate.sql.parser import Node

_IF_EXISTS = "write the statement without IF [NOT] EXISTS, so that later files can rely on it"
_NOT_VALID = "add the constraint NOT VALID, and run VALIDATE CONSTRAINT in a later file"
_NOT_NULL_KEY = (
    "make each column NOT NULL by a valid CHECK, build the unique index CONCURRENTLY, and add the key USING INDEX"
)
_QUIET = "run VALIDATE CONSTRAINT of a domain at a time of few writes: it locks the tables as the statement does"
_NEW_TABLE = "create a new table with the constraint and copy the rows in batches"
_PARTITIONED = "add the constraint to each partition first, and then to the partitioned table"
_ATTRIBUTES = {
    "CONSTR_ATTR_DEFERRABLE": {"deferrable": True},
    "CONSTR_ATTR_DEFERRED": {"deferrable": True, "initdeferred": True},
    "CONSTR_ATTR_ENFORCED": {"is_enforced": True},
}
_KEPT_BY_KEY = ("deferrable", "initdeferred")
_KEPT_BY_INDEX = {"options": "options", "indexspace": "tableSpace", "nulls_not_distinct": "nulls_not_distinct"}


class Extracted(NamedTuple):
    """A subcommand without some constraints, and these constraints as those of the table, each with its name."""

    command: Node | None
    constraints: list[Node]


def made_not_null(case: Case, column: str) -> Safer:
    """Returns the files that make a column NOT NULL by a valid CHECK."""
    if case.kind == "AT_SetNotNull":
        return in_place(case, *proved(case, [column], rest(case), [set_not_null(column)]))
    if case.kind == "AT_AddColumn":
        return _not_valid_in(case, lambda node, _: node["contype"] == "CONSTR_NOTNULL")
    constraint = case.node["def"]["Constraint"]
    name = name_of(case, constraint)
    return in_place(case, altered(case, *rest(case), add(not_valid(constraint, name))), altered(case, validate(name)))


def proved(case: Case, columns: Sequence[str], first: Sequence[Node], last: Sequence[Node]) -> list[list[Node]]:
    """Returns the statements of three files: `first` with CHECKs NOT VALID, VALIDATE, and `last` without the CHECKs."""
    names = {column: free_constraint(table_of(case), column, "is_set") for column in columns}
    checks = [add(check(name, is_set(column))) for column, name in names.items()]
    return [
        altered(case, *first, *checks),
        altered(case, *map(validate, names.values())),
        [*altered(case, *last), *altered(case, *map(drop_constraint, names.values()))],
    ]


def checked_later(case: Case) -> Safer:
    """Returns the statement with its CHECKs and foreign keys NOT VALID, and a file that validates them."""
    return _not_valid_in(case, _scans if _can_reference_later(case) else _is_check)


def referenced_later(case: Case) -> Safer:
    """Returns the same for a statement that adds a foreign key."""
    return _not_valid_in(case, _scans) if _can_reference_later(case) else advice(_PARTITIONED)


def _can_reference_later(case: Case) -> bool:
    """Whether a foreign key can be NOT VALID: before PostgreSQL 18, that of a partitioned table cannot."""
    return case.postgres >= 18 or table_of(case).kind != "partitioned"


def _is_check(node: Node, _: Node | None) -> bool:
    return bool(node["contype"] == "CONSTR_CHECK")


def _scans(node: Node, column: Node | None) -> bool:
    is_foreign_key = node["contype"] == "CONSTR_FOREIGN" and (column is None or has_value(column))
    return is_foreign_key or _is_check(node, column)


def has_value(column: Node) -> bool:
    """Returns whether existing rows get a value in a new column."""
    return any(body["contype"] in ("CONSTR_DEFAULT", "CONSTR_GENERATED") for body in column_constraints(column))


def _not_valid_in(case: Case, scans: Callable[[Node, Node | None], bool]) -> Safer:
    commands: list[Node] = []
    names: list[str] = []
    for command in case.statement.commands:
        kept, constraints = extracted(case, command, scans)
        if constraints and command.get("missing_ok") and table_of(case).partial:
            return advice(_NOT_VALID)
        commands += [kept] if kept else []
        for constraint in constraints:
            names.append(constraint["conname"])
            commands.append(add(not_valid(constraint, constraint["conname"])))
    return in_place(case, altered(case, *commands), altered(case, *map(validate, names)))


def extracted(case: Case, command: Node, chosen: Callable[[Node, Node | None], bool]) -> Extracted:
    """Takes the chosen constraints out of a subcommand; they are not those that are NOT VALID already."""
    if command["subtype"] == "AT_AddConstraint":
        constraint = command["def"]["Constraint"]
        if constraint.get("skip_validation") or "indexname" in constraint or not chosen(constraint, None):
            return Extracted(command, [])
        return Extracted(None, [{**constraint, "conname": name_of(case, constraint)}])
    if command["subtype"] != "AT_AddColumn":
        return Extracted(command, [])
    column = command["def"]["ColumnDef"]
    kept: list[Node] = []
    constraints: list[Node] = []
    for group in _with_attributes(column_constraints(column)):
        if chosen(group[0], column):
            constraints.append(_of_table(case, group, column["colname"]))
        else:
            kept += ({"Constraint": body} for body in group)
    changed = {**column, "constraints": kept}
    return Extracted({**command, "def": {"ColumnDef": changed}} if constraints else command, constraints)


def _with_attributes(bodies: Iterable[Node]) -> Iterator[list[Node]]:
    """Yields each constraint of a column with its attributes, DEFERRABLE and the like."""
    group: list[Node] = []
    for body in bodies:
        if group and not body["contype"].startswith("CONSTR_ATTR_"):
            yield group
            group = []
        group.append(body)
    if group:
        yield group


def _of_table(case: Case, group: list[Node], column: str) -> Node:
    """Returns the constraint of a column as a constraint of the table."""
    constraint, *attributes = group
    field = {"CONSTR_FOREIGN": "fk_attrs", "CONSTR_CHECK": ""}.get(constraint["contype"], "keys")
    columns = {field: [text(column)]} if field else {}
    changes = {key: value for body in attributes for key, value in _ATTRIBUTES.get(body["contype"], {}).items()}
    return {**constraint, **columns, **changes, "conname": name_of(case, constraint, column)}


def built_concurrently(case: Case) -> Safer:
    """Returns unique indexes built CONCURRENTLY, and the constraints that use them."""
    if table_of(case).kind == "partitioned":
        return advice(_PARTITIONED)
    commands: list[Node] = []
    keys: list[Node] = []
    for command in case.statement.commands:
        kept, constraints = extracted(case, command, _is_key)
        is_primary = any(constraint["contype"] == "CONSTR_PRIMARY" for constraint in constraints)
        if constraints and command.get("missing_ok"):
            return advice(_IF_EXISTS)
        if is_primary and command["subtype"] == "AT_AddColumn":
            return advice(_NOT_NULL_KEY)
        commands += [kept] if kept else []
        keys += constraints
    if case.statement.body.get("missing_ok"):
        return advice(_IF_EXISTS)
    if not keys or any(key.get("without_overlaps") for key in keys):
        return advice(_NEW_TABLE)
    return _using_indexes(case, commands, keys)


def _is_key(node: Node, _: Node | None) -> bool:
    return node["contype"] in ("CONSTR_UNIQUE", "CONSTR_PRIMARY")


def _using_indexes(case: Case, commands: list[Node], keys: list[Node]) -> Safer:
    primary = [column for key in keys if key["contype"] == "CONSTR_PRIMARY" for column in constrained_columns(key)]
    nullable = [column for column in primary if not proves_not_null(case.table, column)]
    indexes: list[Node] = [{"IndexStmt": _index_of(case, key)} for key in keys]
    constraints = [add(_using_index(key)) for key in keys]
    if not nullable:
        return outside_transaction(case, [*altered(case, *commands), *indexes, *altered(case, *constraints)])
    first, second, third = proved(case, nullable, commands, [*map(set_not_null, nullable)])
    return outside_transaction(case, [*first, *indexes], second, [*third, *altered(case, *constraints)])


def _index_of(case: Case, key: Node) -> Node:
    """Returns the unique index of a key."""
    kept = {new: key[old] for old, new in _KEPT_BY_INDEX.items() if old in key}
    including = {"indexIncludingParams": _elements(strings(key["including"]))} if "including" in key else {}
    return {
        "idxname": key["conname"],
        "relation": {**case.statement.body["relation"], "inh": True},
        "indexParams": _elements(constrained_columns(key)),
        "unique": True,
        "concurrent": True,
        **including,
        **kept,
    }


def _elements(columns: Iterable[str]) -> list[Node]:
    order = {"ordering": "SORTBY_DEFAULT", "nulls_ordering": "SORTBY_NULLS_DEFAULT"}
    return [{"IndexElem": {"name": column, **order}} for column in columns]


def _using_index(key: Node) -> Node:
    kept = {field: key[field] for field in _KEPT_BY_KEY if field in key}
    return {"contype": key["contype"], "conname": key["conname"], "indexname": key["conname"], **kept}


def key_of_not_null_columns(case: Case, columns: Sequence[str]) -> Safer:
    """Returns the files that make the columns of an index NOT NULL, and then add the primary key."""
    first, second, third = proved(case, columns, rest(case), [*map(set_not_null, columns)])
    return in_place(case, first, second, [*third, *altered(case, case.node)])


def validated_later(case: Case) -> Safer:
    """Returns the other subcommands of the statement, and VALIDATE CONSTRAINT for a later file."""
    kept = [command for command in case.statement.commands if command["subtype"] != "AT_ValidateConstraint"]
    moved = [command for command in case.statement.commands if command["subtype"] == "AT_ValidateConstraint"]
    return in_place(case, altered(case, *kept), altered(case, *moved))


def domain_checked_later(case: Case) -> Safer:
    """Returns ALTER DOMAIN with its CHECK NOT VALID, and a file that validates it."""
    constraint = case.node["def"]["Constraint"] if case.node["subtype"] == "C" else {}
    if constraint.get("contype") != "CONSTR_CHECK":
        return advice("add a CHECK (value is not null) NOT VALID, and run VALIDATE CONSTRAINT in a later file")
    name = case.catalog.resolve(qualified(case.node["typeName"]), case.catalog.types)
    domain = case.catalog.types.get(name)
    taken = {given.name for given in domain.constraints} if domain else set[str]()
    chosen = constraint.get("conname") or free_name(name[1], "", "check", taken.__contains__)
    changed = {**case.node, "def": {"Constraint": not_valid(constraint, chosen)}}
    validation = {"subtype": "V", "typeName": case.node["typeName"], "name": chosen, "behavior": "DROP_RESTRICT"}
    safer = in_place(case, [{"AlterDomainStmt": changed}], [{"AlterDomainStmt": validation}])
    return safer._replace(advice=_QUIET)
