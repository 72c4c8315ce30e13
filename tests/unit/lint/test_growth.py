"""The work of the linter grows as the number of statements and files does: counted as lines, and calls of functions."""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import sqlmigrate.lint as lint_package
from sqlmigrate.lint import Options, lint
from sqlmigrate.lint.schema import catalog, limits

TraceFunction = Callable[[FrameType, str, Any], Any]

TABLE = "create table t (id int primary key);\n"
# Each kind of file has text before, for the statement of a number, and after.
KINDS = {
    "columns of one table": (TABLE, "alter table t add column c{0} int;", ""),
    "rows of one table": (TABLE, "update t set id = id + 1 where id = {0};", ""),
    "indexes of one table": (TABLE, "create index i{0} on t (id);", ""),
    "indexes of one table without names": (TABLE, "create index on t (id);", ""),
    "unnamed indexes of a table in use": ("", "create index on t (id);", ""),
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
    "statements that a comment ignores": ("", "-- sqlmigrate: ignore=drop-table (x)\ndrop table t{0};", ""),
    "tables that are locked": ("", "lock table t{0};", ""),
    "functions that are called": (
        "",
        "create function f{0}() returns int language sql as 'select {0}'; select f{0}();",
        "",
    ),
    "EXECUTEs of indexes in a DO block": (TABLE + "do $$ begin\n", "execute 'create index on t (id)';", "end $$;"),
    "new values of an enum type that are used": ("", "alter type e add value 'b{0}'; select 'b{0}'::e;", ""),
    "types that are renamed and dropped": ("", "alter type e{0} rename to f{0}; drop type f{0};", ""),
    "triggers that are created and dropped": (
        "",
        "create trigger g{0} before insert on t for each row execute function f(); drop trigger g{0} on t;",
        "",
    ),
    "triggers that are switched on": ("", "alter table t enable trigger g{0};", ""),
    "constraints that are dropped": ("", "alter table t drop constraint c{0};", ""),
    "functions with new parameters": (
        "",
        "create function f{0}(a int, b int default 0) returns int language sql as ''; drop function f{0}(int);",
        "",
    ),
    "functions whose search_path is set": (
        "",
        "create function f{0}() returns int security definer return 1; alter function f{0} set search_path = a;",
        "",
    ),
    "sequences that are dropped": ("", "drop sequence s{0};", ""),
    "views with old names": ("", "alter table t{0} rename to u{0};", ""),
    "DO blocks that fill new tables": (
        "",
        "create table t{0} (a int); do $$ begin insert into t{0} values (1); end $$;",
        "",
    ),
    "statements of a DO block": (TABLE + "do $$ begin\n", "insert into t values ({0});", "end $$;"),
}


# Of a table only so much is kept as it can have in practice.
PARTS = {
    "constraints": "alter table t add constraint c{0} check (id > {0});",
    "foreign keys": "alter table t add constraint c{0} foreign key (id) references u;",
    "validated constraints": "alter table t add constraint c{0} check (id > 0) not valid; "
    "alter table t validate constraint c{0};",
    "triggers": "create trigger g{0} before insert on t for each row execute function f();",
}
# What one statement or comment can have many of.
INPUTS = {
    "comments that ignore a rule": ("", "-- sqlmigrate: ignore=drop-table (x)\n", "drop table t;"),
    "comments for squawk": ("", "-- squawk-ignore ban-drop-table\n", "drop table t;"),
    "comments in a statement": ("drop table t\n", "-- sqlmigrate: ignore=drop-table (x)\n", ";"),
    "columns": ("create table t (a int", ", c{0} int", ");"),
    "columns with constraints": ("create table t (a int", ", c{0} int unique check (c{0} > 0) references r", ");"),
    "columns with constraints of the table": (
        "create table t (a int",
        ", c{0} int, unique (c{0}), check (c{0} > 0), foreign key (c{0}) references r",
        ");",
    ),
    "added columns": ("alter table t add a int", ", add c{0} int", ";"),
    "columns that become NOT NULL": ("alter table t alter a set not null", ", alter c{0} set not null", ";"),
    "columns that are dropped": ("alter table t drop a", ", drop c{0}", ";"),
    "constraints that are validated": ("alter table t validate constraint a", ", validate constraint c{0}", ";"),
    "tables that are dropped": ("drop table t", ", t{0}", ";"),
    "values": ("insert into t values (0)", ", ({0})", ";"),
    "common table expressions": ("with a0 as (select 1)", ", a{1} as (select * from a{0})", " select 1;"),
    "strings": ("select 'a'", ", 'b''{0}'", ";"),
    "dollar quotes": ("select 'a'", ", $b$ x $b$", ";"),
    "statements of a body": ("create function f() returns int language sql as $$ ", "select {0}; ", "$$;"),
    "syntax errors": ("", "selec {0};\n", ""),
}
# Each looks at all parts of the table.
COMMANDS = {
    "columns that get another type": ("alter table t alter a type text", ", alter c{0} type text", ";"),
    "columns with another type and default": (
        "alter table t alter a type text",
        ", alter c{0} type text, alter c{0} set default ''",
        ";",
    ),
    "constraints that are added": ("alter table t add check (a > 0)", ", add check (c{0} > 0)", ";"),
}
# Each kind of file of many has an up file, and a down file unless it is empty.
FILES = {
    "tables that reference the one before": ("create table t{0} (id int primary key, r int references t{1});", ""),
    "tables, each with a down file": ("create table t{0} (id int primary key);", "drop table t{0};"),
    "down files that keep the table": ("create table t{0} (a int); create type e{0} as enum ('a');", "select 1;"),
    "types that are dropped": ("create type e{0} as enum ('a'); create table t{0} (a int); drop type e{0};", ""),
    "types that are renamed": (
        "create type e{0} as enum ('a'); create table t{0} (a int); alter type e{0} rename to f{0};",
        "",
    ),
    "functions that are dropped": (
        "create function f{0}() returns int return 1; create table t{0} (a int); drop function f{0}();",
        "",
    ),
    "domains that are checked": (
        "create domain d{0} as int; create table t{0} (a d{0}); alter domain d{0} add check (value > {0});",
        "",
    ),
    "syntax errors": ("create table t{0} (a int); create tabel;", ""),
    "schemas that are dropped": ("create schema s{0}; create table s{0}.t (a int); drop schema s{0} cascade;", ""),
    "schemas that are renamed": (
        "create schema s{0}; create table s{0}.t (a int); alter schema s{0} rename to r{0};",
        "",
    ),
    "names that no file creates": ("create table t{0} (a int); alter table u{0} add b int;", ""),
    "domains over domains": ("create domain d{0} as d{1};", ""),
    "new values of enum types": ("alter type e{0} add value 'a'; select 'a'::e{0};", ""),
    "blocks that may change any object": ("create table t{0} (a int); do $$ begin execute x; end $$;", ""),
}


def _work(paths: Iterable[Path], options: Options | None = None) -> int:
    count = 0

    def called(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    def traced(_: FrameType, event: str, __: object) -> TraceFunction:
        nonlocal count
        count += event == "line"
        return traced

    names = sorted(map(str, paths))
    before = sys.gettrace()
    sys.setprofile(called)
    sys.settrace(traced)
    try:
        lint(names, options=options)
    finally:
        sys.settrace(before)
        sys.setprofile(None)
    return count


def _statements(directory: Path, kind: str, count: int) -> list[Path]:
    before, statement, after = KINDS[kind]
    path = directory / "V1.0.0-001__a.up.sql"
    path.write_text("\n".join((before, *(statement.format(number, number + 1) for number in range(count)), after)))
    return [path]


def _input(directory: Path, kind: str, count: int) -> list[Path]:
    before, part, after = INPUTS[kind]
    path = directory / "V1.0.0-001__a.up.sql"
    path.write_text("".join((before, *(part.format(number, number + 1) for number in range(count)), after)))
    return [path]


def _files(directory: Path, kind: str, count: int) -> list[Path]:
    for number in range(count):
        for direction, sql in zip(("up", "down"), FILES[kind], strict=True):
            if sql:
                path = directory / f"V1.0.0-{number + 1:03d}__a.{direction}.sql"
                path.write_text(sql.format(number, max(number - 1, 0)))
    return list(directory.iterdir())


def _is_linear(counts: list[int]) -> bool:
    """Whether the counts of work for n, 2n and 4n grow as n does."""
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    return second <= 2.1 * first


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_statements_take_at_most_twice_the_work(kind: str, tmp_path: Path) -> None:
    _work(_statements(tmp_path, kind, 10))  # imports modules
    counts = [_work(_statements(tmp_path, kind, count)) for count in (60, 120, 240)]
    assert _is_linear(counts), counts


@pytest.mark.parametrize("kind", INPUTS)
def test_twice_the_parts_take_at_most_twice_the_work(kind: str, tmp_path: Path) -> None:
    _work(_input(tmp_path, kind, 10))  # imports modules
    counts = [_work(_input(tmp_path, kind, count)) for count in (150, 300, 600)]
    assert _is_linear(counts), counts


@pytest.mark.parametrize("kind", PARTS)
def test_parts_of_one_table_take_the_same_work_each_once_it_has_many(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PARTS", 20)
    monkeypatch.setitem(KINDS, kind, (TABLE, PARTS[kind], ""))
    test_twice_the_statements_take_at_most_twice_the_work(kind, tmp_path)


@pytest.mark.parametrize("kind", COMMANDS)
def test_subcommands_for_one_table_take_the_same_work_each_once_it_has_many_parts(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PARTS", 20)
    monkeypatch.setattr(limits, "COLUMNS", 20)
    monkeypatch.setitem(INPUTS, kind, COMMANDS[kind])
    test_twice_the_parts_take_at_most_twice_the_work(kind, tmp_path)


def test_a_table_with_more_columns_than_a_table_can_have_is_partial() -> None:
    schema = catalog.Catalog()
    name = ("public", "t")
    columns = {f"c{number}": catalog.Column(f"c{number}") for number in range(1700)}
    schema.put(catalog.Table(name, columns=columns))
    assert len(schema.tables[name].columns) == 1600
    assert schema.tables[name].partial


@pytest.mark.parametrize("kind", FILES)
def test_twice_the_files_take_at_most_twice_the_work(kind: str, tmp_path: Path) -> None:
    every_rule = Options(preset="all", complete=True)
    _work(_files(tmp_path, kind, 10), every_rule)  # imports modules
    counts = [_work(_files(tmp_path, kind, count), every_rule) for count in (30, 60, 120)]
    assert _is_linear(counts), counts


OBJECTS = ("tables", "types", "functions", "sequences", "schemas", "index_tables", "owners", "users")


def _looped(tree: ast.AST) -> Iterator[str]:
    """Yields the loops over all objects of a kind, as `catalog.tables` or `catalog.tables.values()`."""
    loops = (node.iter for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension))
    spreads = (key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in _spread(node))
    for expression in (*loops, *spreads):
        text = ast.unparse(expression)
        yield from (text for kind in OBJECTS if re.search(rf"catalog\.{kind}(\.(values|items|keys)\(\))?\)*$", text))


def _spread(node: ast.Dict) -> Iterator[ast.expr]:
    return (value for key, value in zip(node.keys, node.values, strict=True) if key is None)


@pytest.mark.parametrize("folder", ["rules", "safer", "facts"])
def test_no_rule_looks_through_all_objects(folder: str) -> None:
    paths = sorted((Path(lint_package.__path__[0]) / folder).rglob("*.py"))
    assert paths
    loops = {path.name: [*_looped(ast.parse(path.read_text()))] for path in paths}
    assert not {name: texts for name, texts in loops.items() if texts}
