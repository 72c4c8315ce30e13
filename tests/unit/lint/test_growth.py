"""The work of the linter grows as the number of statements does: counted as the calls of Python functions."""

import sys
from pathlib import Path
from types import FrameType

import pytest

from sqlmigrate.lint import lint

TABLE = "create table t (id int primary key);\n"
# Each kind of file has text before, for the statement of a number, and after.
KINDS = {
    "columns of one table": (TABLE, "alter table t add column c{0} int;", ""),
    "rows of one table": (TABLE, "update t set id = id + 1 where id = {0};", ""),
    "indexes of one table": (TABLE, "create index i{0} on t (id);", ""),
    "tables": ("", "create table t{0} (id int primary key);", ""),
    "tables that are dropped": ("", "create table t{0} (id int primary key); drop table t{0};", ""),
    "tables that are dropped beside others": (
        "",
        "create table k{0} (a int); create table t{0} (a int); drop table t{0};",
        "",
    ),
    "tables that reference one": (TABLE, "create table t{0} (id int primary key, t int references t);", ""),
    "renamed tables": ("create table t0 (a int);", "alter table t{0} rename to t{1};", ""),
    "partitions": (
        "create table p (a int) partition by list (a);",
        "create table p{0} partition of p for values in ({0});",
        "",
    ),
    "views of one table": (TABLE, "create view v{0} as select id from t;", ""),
    "functions": ("", "create function f{0}() returns int language sql as 'select {0}';", ""),
    "values of an enum type": ("create type e as enum ('a');", "alter type e add value 'b{0}';", ""),
    "EXECUTEs of a DO block": (TABLE + "do $$ begin\n", "execute 'alter table t add column c{0} int';", "end $$;"),
    "statements of a DO block": (TABLE + "do $$ begin\n", "insert into t values ({0});", "end $$;"),
}


def _calls(directory: Path, kind: str, count: int) -> int:
    before, statement, after = KINDS[kind]
    sql = "\n".join((before, *(statement.format(number, number + 1) for number in range(count)), after))
    path = directory / "V1.0.0-001__a.up.sql"
    path.write_text(sql)
    calls = 0

    def counted(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        lint([str(path)])
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_statements_take_at_most_twice_the_work(kind: str, tmp_path: Path) -> None:
    _calls(tmp_path, kind, 10)  # imports modules
    counts = [_calls(tmp_path, kind, count) for count in (150, 300, 600)]
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    assert second <= 2.1 * first, counts
