"""The linter and the server agree on all pairs: of types, of constants and types, of types and indexes, of kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.lint import Level, Options, lint

pytestmark = pytest.mark.slow  # they lint thousands of files

TYPES = (
    *("smallint", "integer", "bigint", "real", "double precision", "numeric", "numeric(5,2)", "money", "oid"),
    *("boolean", "text", "varchar", "varchar(5)", "char(3)", "name", "bytea", "bit(4)", "varbit", "uuid", "json"),
    *("jsonb", "xml", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "inet", "cidr", "macaddr"),
    *("macaddr8", "point", "box", "path", "polygon", "circle", "tsvector", "tsquery", "int4range", "regclass"),
    *("pg_lsn", "mood", "state", "number", "label", "pair", "integer[]", "text[]", "mood[]"),
)
SETUP = """
create type mood as enum ('ok', 'bad'); create type state as enum ('ok', 'bad'); create type pair as (a int, b text);
create domain number as int; create domain label as varchar(9);
"""
CONSTANTS = ("''", "'x'", "'1'", "' 1 '", "'1.5'", "'t'", "'o'", "'ok'", "'{}'", "'{1}'", "1", "1.5", "true", "null")
MORE = (
    "'no such mood'",
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "'0x1F'",
    "'null'",
    "'[1]'",
    "70000",
    "'12345678901'",
)
SURE = Options(preset="all", complete=True)


def refused(conninfo: str, statements: Iterable[str], setup: str) -> Iterator[bool]:
    """Yields whether the server refuses each statement, which it rolls back."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(setup.encode())
        for statement in statements:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(statement.encode())
            except psycopg.Error:
                yield True
            else:
                yield False


def reported(directory: Path, statements: list[str], setup: str) -> Iterator[bool]:
    """Yields whether the linter reports an error of each statement, each in a file of its own."""
    for number, statement in enumerate(statements):
        place = directory / str(number)
        place.mkdir()
        (place / "V1.0.0-001__earlier.up.sql").write_text(setup)
        (place / "V1.0.0-002__case.up.sql").write_text(f"{statement};")
        findings = lint([str(place / "V1.0.0-002__case.up.sql")], options=SURE)
        yield any(finding.level is Level.ERROR for finding in findings)


def differences(conninfo: str, directory: Path, statements: list[str], setup: str) -> dict[str, list[str]]:
    """Returns the statements that only one of them rejects."""
    both = list(
        zip(statements, refused(conninfo, statements, setup), reported(directory, statements, setup), strict=True)
    )
    return {
        "false": [statement for statement, fails, said in both if said and not fails],
        "missed": [statement for statement, fails, said in both if fails and not said],
    }


def test_type_changes(database: str, tmp_path: Path) -> None:
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(TYPES))
    setup = f"{SETUP} create table t ({columns});"
    changes = [f"alter table t alter c{number} type {new}" for number in range(len(TYPES)) for new in TYPES]
    found = differences(database, tmp_path, changes, setup)
    assert found == {"false": [], "missed": []}


def test_defaults(database: str, tmp_path: Path) -> None:
    statements = [f"create table t (a {type_} default {value})" for type_ in TYPES for value in (*CONSTANTS, *MORE)]
    found = differences(database, tmp_path, statements, SETUP)
    assert found["false"] == []


def test_inserted_constants(database: str, tmp_path: Path) -> None:
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(TYPES))
    statements = [
        f"insert into t (c{number}) values ({value})" for number in range(len(TYPES)) for value in (*CONSTANTS, *MORE)
    ]
    found = differences(database, tmp_path, statements, f"{SETUP} create table t ({columns});")
    assert found["false"] == []


@pytest.mark.parametrize("method", ["btree", "hash", "gin", "gist", "brin", "spgist"])
def test_operator_classes(method: str, database: str, tmp_path: Path) -> None:
    columns = ", ".join(f"c{number} {type_}" for number, type_ in enumerate(TYPES))
    indexes = [f"create index i on t using {method} (c{number})" for number in range(len(TYPES))]
    found = differences(database, tmp_path, indexes, f"{SETUP} create table t ({columns});")
    assert found["false"] == []
    assert found["missed"] == [] or method not in ("btree", "hash")


KINDS = """
create table t (a int not null); create table p (a int) partition by list (a); create view v as select a from t;
create materialized view m as select a from t; create index i on t (a); create sequence s;
create function f() returns trigger language plpgsql as 'begin return new; end';
"""
NAMED = (
    *("drop table {}", "drop view {}", "drop materialized view {}", "drop index {}", "drop sequence {}"),
    *(
        "drop table if exists {}",
        "drop view if exists {}",
        "drop foreign table if exists {}",
        "drop index if exists {}",
    ),
    *("alter table {} rename to x", "alter view {} rename to x", "alter materialized view {} rename to x"),
    *("alter index {} rename to x", "alter sequence {} rename to x", "alter table {} set schema pg_temp"),
    *(
        "alter table {} add column x int",
        "alter table {} add constraint x check (a > 0)",
        "alter table {} drop column a cascade",
    ),
    *(
        "alter table {} alter a set default 1",
        "alter table {} alter a type bigint using a",
        "alter table {} alter a set not null",
    ),
    *("comment on table {} is 'x'", "comment on view {} is 'x'", "comment on index {} is 'x'", "truncate {}"),
    *("comment on materialized view {} is 'x'", "comment on sequence {} is 'x'", "create index x on {} (a)"),
    *("refresh materialized view {}", "create policy x on {} using (true)", "insert into {} values (1)"),
    *("update {} set a = 1 where a = 2", "delete from {} where a = 2", "create table x () inherits ({})"),
    *("create table x partition of {} default", "create or replace view {} as select 1 as a", "select * from {}"),
    *("create trigger x before insert on {} for each row execute function f()", "create view x as select 1 from {}"),
    *("create trigger x after insert on {} for each statement execute function f()", "create table x (like {})"),
    *(
        "create trigger x instead of insert on {} for each row execute function f()",
        "alter table {} enable row level security",
    ),
    "create table x (b int references {} (a))",
)


def test_kinds_of_relation(database: str, tmp_path: Path) -> None:
    statements = [form.format(name) for form in NAMED for name in ("t", "p", "v", "m", "i", "s")]
    found = differences(database, tmp_path, statements, KINDS)
    assert found["false"] == []
