"""The linter reports a down file if the dump of the schema differs after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.lint import lint
from tests.servers import Server, execute

RESET = ("drop schema if exists public, elsewhere cascade", "create schema public")
T = "create table t (a int, b text); "
MOOD = "create type mood as enum ('ok', 'bad'); "
OWNED = "create sequence s; create table x (n int default nextval('s')); alter sequence s owned by x.n;"
# The schema, the up file and the down file, and whether the down file undoes the up file.
FILES = [
    ("", OWNED, "drop table x;", True),
    ("", "create table x (n int); create sequence s owned by x.n;", "drop table x cascade;", True),
    ("", OWNED + "alter sequence s owned by none;", "drop table x;", False),
    ("", OWNED + "alter sequence s owned by none;", "drop table x; drop sequence s;", True),
    ("", "create sequence s; alter sequence s rename to s2;", "drop sequence s2;", True),
    ("", "create sequence s; alter sequence s rename to s2;", "drop sequence if exists s;", False),
    ("create sequence s;", "alter sequence s rename to s2;", "alter sequence s2 rename to s;", True),
    ("create sequence s;", "alter sequence s rename to s2;", "select 1;", False),
    ("create sequence s;", "drop sequence s;", "create sequence s;", True),
    (OWNED, "drop table x;", OWNED, True),
    (OWNED, "drop table x;", "create table x (n int);", False),
    (T, "create sequence s owned by t.b;", "alter table t drop b; alter table t add b text;", True),
    (T, "create sequence s owned by t.a;", "select 1;", False),
    ("create schema elsewhere; create sequence s;", "alter sequence s set schema elsewhere;", "select 1;", False),
    (T, "alter table t add n serial;", "alter table t drop n;", True),
    (T, "alter table t add n int generated always as identity;", "alter table t drop n;", True),
    (
        "create table t (a int, b text default '');",
        "alter table t alter b drop default;",
        "alter table t alter b set default ''::text;",
        True,
    ),
    (
        "create table t (a timestamptz default '1970-01-01'::timestamptz);",
        "alter table t alter a set default now();",
        "alter table t alter a set default '1970-01-01';",
        True,
    ),
    (
        "create table t (a timestamptz default '1970-01-01');",
        "alter table t alter a drop default;",
        "alter table t alter a set default '1970-01-02';",
        False,
    ),
    (
        "create table t (a int default 5);",
        "alter table t alter a drop default;",
        "alter table t alter a set default '5';",
        True,
    ),
    (
        "create table t (a text[] default '{}');",
        "alter table t alter a drop default;",
        "alter table t alter a set default '{}'::text[];",
        True,
    ),
    (
        "create table t (a serial);",
        "alter table t alter a drop default;",
        "alter table t alter a set default nextval('t_a_seq'::regclass);",
        True,
    ),
    ("create table t (a serial);", "alter table t alter a drop default;", "select 1;", False),
    (
        MOOD + "create table t (a mood default 'ok');",
        "alter table t alter a drop default;",
        "alter table t alter a set default 'ok'::public.mood;",
        True,
    ),
    (
        MOOD + "create table t (a public.mood);",
        "alter table t alter a type text;",
        "alter table t alter a type mood using a::mood;",
        True,
    ),
    (MOOD + "create table t (a public.mood);", "alter table t alter a type text;", "select 1;", False),
    (T, "alter table t alter a set default 1;", "alter table t alter a set default null;", True),
    (T, "alter table t alter b set default 'x';", "alter table t alter b set default null::text;", True),
    (T, "begin; alter table t add c int; rollback;", "select 1;", True),
    (T, "savepoint s; alter table t add c int; rollback to s;", "select 1;", True),
]


@pytest.fixture(scope="module")
def scratch(server: Server) -> Iterator[str]:
    execute(server.conninfo, "create database undone")
    yield server.database("undone")
    execute(server.conninfo, "drop database undone with (force)")


def run(server: Server, conninfo: str, sql: str) -> None:
    in_transaction = ["--single-transaction"] if "savepoint" in sql else []
    ran = server.psql(conninfo, *in_transaction, "-c", sql or "select 1")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("schema", "up", "down", "undoes"), FILES)
def test_dump_differs_where_the_linter_reports_the_down_file(
    schema: str, up: str, down: str, *, undoes: bool, server: Server, scratch: str, tmp_path: Path
) -> None:
    execute(scratch, *RESET)
    run(server, scratch, schema)
    before = server.schema(scratch)
    run(server, scratch, up)
    run(server, scratch, down)
    assert (server.schema(scratch) == before) is undoes
    (tmp_path / "V1.0.0-001__t.up.sql").write_text(schema)
    (tmp_path / "V1.0.0-002__u.up.sql").write_text(up)
    file = tmp_path / "V1.0.0-002__u.down.sql"
    file.write_text(down)
    messages = [finding.message for finding in lint([str(file)]) if finding.rule == "down-does-not-undo"]
    assert bool(messages) is not undoes, messages
