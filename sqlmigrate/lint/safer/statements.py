"""The parts of safer SQL that all rules share: statements, names and the division into files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.finding import Safer
from sqlmigrate.lint.schema.catalog import Table
from sqlmigrate.lint.schema.interpret import apply, apply_command
from sqlmigrate.lint.schema.interpret.definitions import constraint_of
from sqlmigrate.lint.schema.interpret.names import constraint_name, free_name
from sqlmigrate.sql.deparser import DeparseFault, deparse
from sqlmigrate.sql.tree import kind_and_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmigrate.lint.rule import Case, Hit
    from sqlmigrate.lint.schema.catalog import Name
    from sqlmigrate.sql.parser import Node


_SEVERAL = "split the statement and commit between its parts: a down file has no later file"
# Each of the subcommands may get the SQL of them all.
_COMMANDS = 50
_TOO_MANY = f"split the ALTER TABLE: complete SQL is written for at most {_COMMANDS} subcommands"
_BEGIN, _COMMIT = ({"TransactionStmt": {"kind": f"TRANS_STMT_{kind}"}} for kind in ("BEGIN", "COMMIT"))


def safer_of(hit: Hit, case: Case) -> Safer:
    """Returns what to write instead of a statement; nothing if its tree is not complete."""
    if isinstance(hit.safer, str):
        return Safer(advice=hit.safer)
    if len(case.statement.commands) > _COMMANDS:
        return Safer(advice=_TOO_MANY)
    try:
        safer = hit.safer()
    except DeparseFault:
        return Safer()
    return _in_prose(safer) if case.statement.outline else safer


def _in_prose(safer: Safer) -> Safer:
    """Returns SQL with names in braces as advice: it does not run as it is."""
    files = [" ".join(text.split()) for text in (safer.sql, *safer.later) if text]
    texts = (
        (f"for each name in braces, in a file of its own: {' then, in a later file: '.join(files)}",) if files else ()
    )
    return Safer(advice="; ".join(filter(None, (*texts, safer.advice))))


def in_place(case: Case, *files: Sequence[Node]) -> Safer:
    """Returns the statements to write instead of a statement; each argument but the first is a later file.

    A statement in a DO block cannot be replaced there, and moves to a later file. A down file has no later file, and
    commits several times.
    """
    if case.state.down and (len(files) > 1 or case.statement.inner):
        return _in_transactions(case, files)
    texts = tuple(_sql(case, nodes) for nodes in files)
    return Safer("", texts) if case.statement.inner else Safer(texts[0], texts[1:])


def _in_transactions(case: Case, files: Sequence[Sequence[Node]]) -> Safer:
    """Returns the statements of several files for one file: each in its own block of BEGIN and COMMIT."""
    is_block = case.state.own_block or bool(case.statement.inner)
    statements = [kind_and_body(node) for nodes in files for node in nodes]
    if is_block or any(kind == "DoStmt" or body.get("concurrent") for kind, body in statements):
        return Safer(advice=_SEVERAL)
    return Safer(_sql(case, [node for nodes in files for node in (_BEGIN, *nodes, _COMMIT)]))


def outside_transaction(case: Case, *files: Sequence[Node]) -> Safer:
    """Returns the same for statements that cannot run in a transaction: they leave a block of BEGIN and COMMIT."""
    safer = in_place(case, *files)
    if case.state.down and case.state.own_block:
        return Safer(advice=_SEVERAL)
    return Safer("", (safer.sql, *safer.later)) if case.state.own_block and safer.sql else safer


def added(case: Case, *nodes: Node) -> Safer:
    """Returns statements to write after a statement."""
    return Safer(_sql(case, nodes), adds=True)


def moved(case: Case) -> Safer:
    """Returns the statement itself, for a later file."""
    return Safer(advice=_SEVERAL) if case.state.down else Safer("", (_sql(case, [whole(case)]),))


def advice(text: str) -> Safer:
    """Returns advice where no SQL can be complete."""
    return Safer(advice=text)


def whole(case: Case) -> Node:
    """Returns the statement of a case, without the names of access methods that are the default."""
    return {case.statement.kind: plain(case.statement.body) if case.kind == "IndexStmt" else case.statement.body}


def plain(index: Node) -> Node:
    """Returns the body of a CREATE INDEX without USING btree, which the parser adds."""
    return {field: value for field, value in index.items() if (field, value) != ("accessMethod", "btree")}


def altered(case: Case, *commands: Node) -> list[Node]:
    """Returns the ALTER TABLE of a case with other subcommands; no statement if there are none."""
    items = [{"AlterTableCmd": command} for command in commands]
    return [{"AlterTableStmt": {**case.statement.body, "cmds": items}}] if commands else []


def altered_table(relation: Node, *commands: Node) -> Node:
    """Returns an ALTER TABLE."""
    items = [{"AlterTableCmd": command} for command in commands]
    return {"AlterTableStmt": {"relation": relation, "cmds": items, "objtype": "OBJECT_TABLE"}}


def rest(case: Case) -> list[Node]:
    """Returns the other subcommands of the ALTER TABLE of a case."""
    return [command for command in case.statement.commands if command is not case.node]


def add(constraint: Node) -> Node:
    """Returns ADD CONSTRAINT."""
    return _command("AT_AddConstraint", **{"def": {"Constraint": constraint}})


def validate(name: str) -> Node:
    """Returns VALIDATE CONSTRAINT."""
    return _command("AT_ValidateConstraint", name=name)


def drop_constraint(name: str, *, if_exists: bool = False) -> Node:
    """Returns DROP CONSTRAINT."""
    return _command("AT_DropConstraint", name=name, missing_ok=if_exists)


def set_not_null(column: str) -> Node:
    """Returns SET NOT NULL."""
    return _command("AT_SetNotNull", name=column)


def check(name: str, expression: Node, *, valid: bool = False) -> Node:
    """Returns the body of a CHECK, by default NOT VALID."""
    state = {"initially_valid": True} if valid else {"skip_validation": True}
    return {"contype": "CONSTR_CHECK", "conname": name, "raw_expr": expression, "is_enforced": True, **state}


def not_valid(constraint: Node, name: str) -> Node:
    """Returns the body of a constraint with its name and NOT VALID."""
    kept = {field: value for field, value in constraint.items() if field != "initially_valid"}
    return {**kept, "conname": name, "skip_validation": True}


def is_set(column: str) -> Node:
    """Returns the expression `column is not null`."""
    return {"NullTest": {"arg": column_ref(column), "nulltesttype": "IS_NOT_NULL"}}


def column_ref(column: str) -> Node:
    """Returns the expression of a column."""
    return {"ColumnRef": {"fields": [text(column)]}}


def text(value: str) -> Node:
    """Returns a String node."""
    return {"String": {"sval": value}}


def named(case: Case, name: Name, written: Node | None = None) -> Node:
    """Returns the RangeVar of a relation: with its schema if the statement writes that of its own relation."""
    writes_schema = bool((written or case.statement.body.get("relation", {})).get("schemaname"))
    is_found = name[0] == (case.catalog.search_path or ("",))[0]
    schema = {"schemaname": name[0]} if name[0] and (writes_schema or not is_found) else {}
    return {**schema, "relname": name[1], "inh": True, "relpersistence": "p"}


def table_of(case: Case) -> Table:
    """Returns the table of a case, without contents if no file creates it."""
    return case.table or Table(case.name, partial=True)


def free_constraint(table: Table, second: str, label: str) -> str:
    """Returns a name that no constraint of the table has."""
    return free_name(table.name[1], second, label, lambda name: table.constraint(name) is not None)


def name_of(case: Case, constraint: Node, column: str = "") -> str:
    """Returns the name that a constraint of the statement has, or that PostgreSQL gives it."""
    if "conname" in constraint:
        return str(constraint["conname"])
    table = table_after(case, case.name)
    new = constraint_of(constraint, column, case.catalog, None)
    for given in table.constraints[::-1]:
        same = (given.kind, given.columns, given.references) == (new.kind, new.columns, new.references)
        if same and given.expression is new.expression:
            return given.name
    return constraint_name(table.name[1], new, lambda name: table.constraint(name) is not None)


def table_after(case: Case, name: Name) -> Table:
    """Returns a table as it is after the statement of a case."""
    catalog, body = case.catalog, case.statement.body
    is_alter = case.statement.kind == "AlterTableStmt"
    commands = case.statement.commands if is_alter else ()
    start = next((number for number, command in enumerate(commands) if command is case.node), 0)
    with catalog.taken_back():
        if not is_alter:
            apply(catalog, case.statement.kind, body, case.state.created)
        for command in commands[start:]:
            apply_command(catalog, body, command, case.state.created)
        return catalog.tables.get(name, Table(name))


def replaced(tree: Any, old: Node, new: Node) -> Any:
    """Returns a copy of a tree with another node in place of `old`."""
    if tree is old:
        return new
    if isinstance(tree, dict):
        return {key: replaced(value, old, new) for key, value in tree.items()}
    return [replaced(item, old, new) for item in tree] if isinstance(tree, list) else tree


def _command(subtype: str, **fields: Any) -> Node:
    return {"subtype": subtype, "behavior": "DROP_RESTRICT", **fields}


def is_upper(case: Case) -> bool:
    """Returns whether the statement is written in capital letters."""
    first = case.statement.text.lstrip()[:4]
    return first.isalpha() and first.isupper()


def _sql(case: Case, nodes: Iterable[Node]) -> str:
    return deparse(nodes, upper=is_upper(case))
