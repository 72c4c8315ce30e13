from __future__ import annotations

import pytest

from sqlmigrate.sql.session_objects import (
    first_use,
    hides_session_change,
    may_change_session,
    sequence_value,
    session_objects,
)


@pytest.mark.parametrize(
    ("statement", "objects"),
    [
        ("create temp table Seed (a int)", ["temporary table seed"]),
        ('create temporary table if not exists "Seed" as select 1', ["temporary table Seed"]),
        ("CREATE LOCAL TEMP TABLE a (n int) on commit delete rows", ["temporary table a"]),
        ("create global temporary table a (n int)", ["temporary table a"]),
        ("create table pg_temp.a (n int)", ["temporary table a"]),
        ("create or replace temp view v as select 1", ["temporary view v"]),
        ("create temp recursive view v (n) as select 1", ["temporary view v"]),
        ("create temp sequence s", ["temporary sequence s"]),
        ("select 1 as n into temp a", ["temporary table a"]),
        ("with x as (select 1) select * into temporary table a from x", ["temporary table a"]),
        ("prepare p (int) as select $1", ["prepared statement p"]),
        ("declare c cursor with hold for select 1", ["cursor c"]),
        ("create temp table a (n int) on commit drop", []),
        ("create table temp (a int)", []),
        ("create function f() returns int language sql as 'create temp table a (n int)'", []),
        ("prepare transaction 'x'", []),
        ("declare c cursor without hold for select 1", []),
        ("insert into t values ('create temp table a ()')", []),
        ("select 'into temp'", []),
        ("select temp into t from u", []),
    ],
)
def test_the_text_shows_which_objects_end_with_the_session(statement: str, objects: list[str]) -> None:
    assert [str(created) for created in session_objects(statement)] == objects


@pytest.mark.parametrize(
    ("statement", "hides", "may"),
    [
        ("do $$ begin perform set_config('search_path', 'app', false); end $$", True, True),
        ("do $$ begin create temp table a (n int); end $$", True, True),
        ("call set_up()", False, True),
        ("select count(set_config('a.b', n::text, false)) from t", True, True),
        ("select 1", False, True),
        ("set role a", False, True),
        ("insert into t select f()", False, True),
        ("create table t (a int)", False, False),
        ("create temp table t (a int)", False, True),
        ("alter table t add b int", False, False),
        ("vacuum t", False, False),
    ],
)
def test_the_text_shows_whether_a_statement_may_change_the_session(statement: str, hides: bool, may: bool) -> None:  # noqa: FBT001  # facts
    assert (hides_session_change(statement), may_change_session(statement, [*session_objects(statement)])) == (
        hides,
        may,
    )


@pytest.mark.parametrize(
    ("statements", "index"),
    [
        (["select 1", "insert into t select * from seed"], 1),
        (["create temp table seed (a int)", "select * from seed"], None),
        (["do $$ begin insert into seed values (1); end $$"], 0),
        (["select * from seeds"], None),
        ([], None),
    ],
)
def test_an_object_is_needed_where_no_statement_creates_it_again(statements: list[str], index: int | None) -> None:
    assert first_use("seed", statements) == index


@pytest.mark.parametrize(
    ("statements", "index"),
    [
        (["select 1", "select lastval()"], 1),
        (["select nextval('s')", "select lastval()"], None),
        (["insert into t default values", "select currval('s')"], None),
        (["select 1"], None),
    ],
)
def test_a_sequence_value_is_needed_where_no_statement_draws_one_before(
    statements: list[str], index: int | None
) -> None:
    found = sequence_value(statements)
    assert (found[0] if found else None) == index
