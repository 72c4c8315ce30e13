"""Style rule about statements that fail if they run a second time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.safer.objects import with_flag

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = "-- sqlmigrate: transaction=off\n\n"
_IF_NOT_EXISTS = {
    "CreateStmt": "CREATE TABLE",
    "CreateTableAsStmt": "CREATE TABLE AS",
    "CreateSeqStmt": "CREATE SEQUENCE",
    "CreateSchemaStmt": "CREATE SCHEMA",
    "CreateExtensionStmt": "CREATE EXTENSION",
}
_OR_REPLACE = {"ViewStmt": "CREATE VIEW", "CreateFunctionStmt": "CREATE FUNCTION", "CreateTrigStmt": "CREATE TRIGGER"}
_OF_TABLE = {"AT_DropColumn": "DROP COLUMN", "AT_DropConstraint": "DROP CONSTRAINT"}


def _check_again(case: Case) -> Iterator[Hit]:
    state = case.state
    if state.each_alone and not state.own_block and not case.statement.inner and not state.down:
        action, clause, flag = _clause(case)
        if action and not case.node.get(flag):
            message = f"a second run of this {action} fails: it has no {clause}"
            yield Hit(message, partial(with_flag, case, flag))


def _clause(case: Case) -> tuple[str, str, str]:
    """Returns the statement, the clause that it needs, and the parser's name of the clause; or empty strings."""
    node, kind = case.node, case.kind
    if kind in _IF_NOT_EXISTS or (kind == "IndexStmt" and not node.get("concurrent")):
        return _IF_NOT_EXISTS.get(kind, "CREATE INDEX"), "IF NOT EXISTS", "if_not_exists"
    if kind in _OR_REPLACE and not node.get("isconstraint"):
        return _OR_REPLACE[kind], "OR REPLACE", "replace"
    if kind == "AT_AddColumn":
        return "ADD COLUMN", "IF NOT EXISTS", "missing_ok"
    if kind == "AlterEnumStmt" and "oldVal" not in node:
        return "ADD VALUE", "IF NOT EXISTS", "skipIfNewValExists"
    if kind in _OF_TABLE or kind == "DropStmt":
        return _OF_TABLE.get(kind, "DROP"), "IF EXISTS", "missing_ok"
    return "", "", ""


NOT_AGAIN = Rule(
    name="runs-only-once",
    level=Level.NOTICE,
    on=(*_IF_NOT_EXISTS, *_OR_REPLACE, *_OF_TABLE, "IndexStmt", "AT_AddColumn", "AlterEnumStmt", "DropStmt"),
    stake="With transaction=off each statement commits by itself. If the file stops half-way and is run by hand, "
    "the statements that already ran fail.",
    safe="-- sqlmigrate: transaction=off\n\ncreate table if not exists t (a int);",
    check=_check_again,
    examples=(
        bad(_HEAD + "create table t (a int);"),
        bad(_HEAD + "alter table t add column b int;"),
        bad(_HEAD + "alter table t drop column b;"),
        bad(_HEAD + "drop index i;"),
        bad(_HEAD + "create view v as select 1 as a;"),
        bad(_HEAD + "alter type mood add value 'bad';"),
        good(_HEAD + "create table if not exists t (a int);"),
        good(_HEAD + "alter table t add column if not exists b int, drop column if exists c;"),
        good(_HEAD + "create or replace view v as select 1 as a;"),
        good(_HEAD + "create index concurrently i on t (a);"),
        good(_HEAD + "begin; create table t (a int); commit;"),
        good("create table t (a int); alter table t add column b int;"),
        down(_HEAD + "drop table t;"),
    ),
)

RULES = (NOT_AGAIN,)
