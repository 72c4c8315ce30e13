"""Rules about changes of a column's type or generation expression."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import is_new, table_decider
from sqlmigrate.lint.facts.type_change import ColumnWork, type_change
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good, unsure
from sqlmigrate.lint.rules.rewrites.new_columns import is_table_in_use
from sqlmigrate.lint.rules.wording import BLOCKS_ALL, REWRITES
from sqlmigrate.lint.safer import objects
from sqlmigrate.lint.schema.datatype import type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_COLUMN = "add a new column, copy the values in batches, then swap the names"


def _check_type(case: Case) -> Iterator[Hit]:
    if not is_table_in_use(case) or (case.table is not None and case.table.kind in ("view", "foreign")):
        return
    change, table, column = type_change(case), case.name[1], case.node.get("name", "")
    rewrite = f"changing {column} to {type_of(case.node['def']['ColumnDef']['typeName'])} rewrites {table}"
    reason = f" ({change.why})" if change.why else ""
    match change.work:
        case ColumnWork.UNKNOWN:
            yield Hit(f"whether {rewrite}{reason}", by=change.by, certain=False)
        case ColumnWork.REWRITE:
            yield Hit(f"{rewrite}{reason} {BLOCKS_ALL}", _NEW_COLUMN, change.by)
        case ColumnWork.SCAN:
            message = f"changing {column}, which has a CHECK, scans {table} {BLOCKS_ALL}"
            yield Hit(message, partial(objects.rechecked_later, case), change.by)
        case ColumnWork.INDEX:
            advice = "drop the index first, and create it again with CREATE INDEX CONCURRENTLY"
            yield Hit(f"changing {column} rebuilds an index on {table} {BLOCKS_ALL}", advice, change.by)


_TO_MOOD = "alter table t alter a type mood using a::mood;"

TYPE_CHANGE = Rule(
    name="type-change-rewrites",
    level=Level.WARNING,
    on=("AT_AlterColumnType",),
    stake="Rewrites or scans the whole table, or rebuilds an index, under an ACCESS EXCLUSIVE lock, "
    "which blocks reads and writes.",
    safe="alter table t add column amount_new bigint;\n"
    "-- copy the values in batches and by a trigger, then swap the names",
    check=_check_type,
    examples=(
        bad("alter table t alter column n type bigint;"),
        bad("alter table t alter n type int using n::int;"),
        bad("alter table t alter at type timestamptz using at at time zone 'UTC';"),
        bad("alter table t alter a type text;", "create table t (a char(10));"),
        bad("alter table t alter a type numeric(12,3);", "create table t (a numeric(10,2));"),
        bad("alter table t alter a type timestamptz;", "create table t (a timestamp);"),
        bad("alter table t alter a type varchar(100)[];", "create table t (a varchar(50)[]);"),
        bad("alter table t alter a type text[];", "create table t (a varchar[]);"),
        bad("alter table t alter a type text;", "create table t (a varchar(9) check (a <> ''));"),
        bad("alter table t alter a type text;", "create table t (a varchar(9)); create index on t (lower(a));"),
        bad('alter table t alter a type text collate "C";', "create table t (a text); create index on t (a);"),
        bad("alter table t alter a type d;", "create domain d as text check (value <> ''); create table t (a text);"),
        bad("alter table t alter a type jsonb;", "create table t (a json);"),
        bad("alter table t alter a type timestamptz;", "set timezone = 'UTC'; create table t (a timestamp);"),
        bad("create type mood as enum ('ok');" + _TO_MOOD),
        good("alter table t alter a type varchar(100);", "create table t (a varchar(50));"),
        good("alter table t alter a type text;", "create table t (a varchar(50));"),
        good("alter table t alter a type varchar;", "create table t (a text); create index on t (a);"),
        good("alter table t alter a type text using a::text;", "create table t (a varchar(50));"),
        good("alter table t alter a type numeric(12,2);", "create table t (a numeric(10,2));"),
        good("alter table t alter a type numeric;", "create table t (a numeric(10,2));"),
        good("alter table t alter a type timestamptz(6);", "create table t (a timestamptz(3));"),
        good("alter table t alter a type interval;", "create table t (a interval(2));"),
        good("alter table t alter a type inet;", "create table t (a cidr); create index on t (a);"),
        good("alter table t alter a type varbit(10);", "create table t (a varbit(5));"),
        good("alter table t alter a type text;", "create domain d as text check (value <> ''); create table t (a d);"),
        good("set timezone = 'UTC'; alter table t alter a type timestamptz;", "create table t (a timestamp);"),
        good("create table t (a int); alter table t alter a type bigint;"),
        good("alter table t alter a type varchar(100);", "create table x (a varchar(50)); alter table x rename to t;"),
        good("alter table t alter b type varchar(60);", "create table t (a varchar(50)); alter table t rename a to b;"),
        unsure("alter table t alter a type varchar(100);"),
        unsure("alter table t alter a type text;", "create table u (a int);"),
        unsure(_TO_MOOD),
    ),
)


def _check_expression(case: Case) -> Iterator[Hit]:
    if is_new(case):
        return
    column = case.table.columns.get(case.node.get("name", "")) if case.table else None
    if column is None:
        yield Hit("whether the generated column is stored, which rewrites the table", certain=False)
    elif column.generated != "virtual":
        yield Hit(
            f"changing the expression of {column.name} rewrites {case.name[1]} {BLOCKS_ALL}",
            _NEW_COLUMN,
            table_decider(case, case.table),
        )


_STORED = "create table t (a int, b int generated always as (a * 2) stored);"
_SET_EXPRESSION = "alter table t alter b set expression as (a * 3);"

EXPRESSION_CHANGE = Rule(
    name="expression-change-rewrites",
    level=Level.WARNING,
    on=("AT_SetExpression",),
    stake=f"{REWRITES} PostgreSQL computes a stored generated column again for every row.",
    safe="alter table t add column total_new numeric; -- copy the values in batches",
    check=_check_expression,
    since=17,
    examples=(
        bad(_SET_EXPRESSION, _STORED),
        bad("alter table t add c int, alter b set expression as (-a);", _STORED + "create index on t (b);"),
        good(_SET_EXPRESSION, "create table t (a int, b int generated always as (a * 2) virtual);"),
        good(_STORED + _SET_EXPRESSION),
        unsure(_SET_EXPRESSION),
    ),
)

RULES = (TYPE_CHANGE, EXPRESSION_CHANGE)
