"""With a complete history, the rule reports the statements that fail because a name does not exist, and no others."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sqlmigrate.lint import Options, lint
from sqlmigrate.lint.settings import load
from tests.scratch import Scratch

EARLIER = """
create schema app; create table t (id serial primary key, a int); create table app.u (id int);
create type mood as enum ('ok'); create view v as select a from t; create index i on t (a); create sequence s;
create materialized view m as select a from t; create extension if not exists plpgsql;
create function f() returns trigger language plpgsql as 'begin return new; end';
"""
FAIL = (
    *("alter table tt add column b int", "drop table tt", "drop view w", "drop materialized view n", "drop index j"),
    *("create index on tt (a)", "truncate tt", "insert into tt values (1)", "update tt set a = 1 where a = 2"),
    *("delete from tt where a = 1", "select * from tt", "select * from t join tt using (a)", "select * from app.t"),
    *("create view w as select * from tt", "create table w as select * from tt", "refresh materialized view n"),
    *("create table w (a int references tt)", "create table w () inherits (tt)", "create table w (like tt)"),
    *("create table w (a moood)", "alter table t add column m moood", "alter table t alter a type moood using null"),
    *("alter type moood add value 'x'", "drop type moood", "alter domain d set not null", "alter table tt rename to w"),
    *("alter index j rename to k", "comment on table tt is 'x'", "grant select on tt to public"),
    *("create policy p on tt using (true)", "create trigger g before insert on tt for each row execute function f()"),
    "create trigger g before insert on t for each row execute function ff()",
    *("alter view w rename to x", "alter table t add foreign key (a) references tt not valid", "select u.id from u"),
)
RUN = (
    *("alter table t add column b int", "drop table if exists tt", "alter table if exists tt add column b int"),
    *("select * from pg_class", "select * from information_schema.tables", "with tt as (select 1) select * from tt"),
    *("select * from t_id_seq", "select * from s", "create table w (a text, b varchar(9), c regclass, d t, e mood)"),
    *(
        "create table w (a serial, b int4range, c tsvector, d mood[])",
        "select * from app.u",
        "set search_path = app, public; select * from u",
    ),
    *("create temp table w (a int); select * from w", "create table w (a int, up int); select * from w"),
    *("select * from (values (1)) tt", "select * from generate_series(1, 2) tt", "alter index i rename to j"),
    "create trigger g before insert on t for each row execute function f()",
    "do $$ begin execute 'create table tt (a int)'; end $$; select * from tt",
    "create function make() returns void language sql as 'create table tt (a int)'; select make(); select * from tt",
    "create procedure make() language plpgsql as 'begin create table tt (a int); end'; call make(); select * from tt",
    "create table p (a int) partition by list (a); create table q partition of p default; select * from q",
    "alter table t rename to tt; select * from tt",
    "create table w (id int primary key, up int references w)",
    "drop sequence s",
)


@pytest.mark.parametrize(("sql", "fails"), [*((sql, True) for sql in FAIL), *((sql, False) for sql in RUN)])
def test_a_name_that_no_file_creates(sql: str, fails: bool, database: str, tmp_path: Path) -> None:  # noqa: FBT001  # pytest passes it by name
    (tmp_path / "V1.0.0-001__earlier.up.sql").write_text(EARLIER)
    file = tmp_path / "V1.0.0-002__new.up.sql"
    file.write_text(f"{sql};")
    findings = lint([str(file)], options=Options(complete=True))
    reported = [finding.message for finding in findings if finding.rule == "never-created"]
    assert bool(reported) is fails, findings
    assert "never-created" not in {finding.rule for finding in lint([str(file)])}
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(EARLIER)
        if fails:
            with pytest.raises(
                (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedObject, psycopg.errors.UndefinedFunction)
            ):
                connection.execute(sql.encode())
        else:
            connection.execute(sql.encode())


def test_the_setting_is_read_from_the_file_and_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "sqlmigrate.toml"
    file.write_text('[lint]\nhistory = "complete"\n')
    assert load({}, {}, str(file)).options().complete
    assert not load({}, {"SQLMIGRATE_LINT_HISTORY": "partial"}, str(file)).options().complete
    file.write_text("")
    assert not load({}, {}, str(file)).options().complete


def test_several_directories_know_nothing_of_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    file = tmp_path / "a" / "V1.0.0-001__new.up.sql"
    file.write_text("select * from tt;")
    assert lint([str(file)], [str(tmp_path / "a")], Options(complete=True))
    assert lint([str(file)], [str(tmp_path / "a"), str(tmp_path / "b")], Options(complete=True)) == []


def test_a_misspelled_name_is_answered_with_the_closest(tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__earlier.up.sql").write_text("create table customers (a int);")
    file = tmp_path / "V1.0.0-002__new.up.sql"
    file.write_text("alter table custmers add column b int;")
    messages = [finding.message for finding in lint([str(file)], options=Options(complete=True))]
    assert messages == ["custmers does not exist: no file creates it; did you mean customers?"]


def test_the_command_reads_the_variable(tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__new.up.sql").write_text("select * from tt;")
    scratch = Scratch(tmp_path)
    assert scratch.run("validate", "V1.0.0-001__new.up.sql").returncode == 0
    shown = scratch.run("validate", "V1.0.0-001__new.up.sql", SQLMIGRATE_LINT_HISTORY="complete")
    assert "tt does not exist: no file creates it" in shown.stdout
