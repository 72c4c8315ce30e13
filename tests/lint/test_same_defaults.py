"""A down file restores a default if the server stores the same default, however the file spells it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.lint import lint
from tests.servers import Server, execute

SCHEMA = (
    "create type mood as enum ('ok', 'bad'); create domain label as text; create sequence s;"
    "create function f() returns text language sql as 'select 1::text';"
)
# Each type with defaults of its columns. Defaults whose spelling only the server can compare are all the same value.
DEFAULTS = r"""
text: '' ; ''::text ; 'x' ; 'x'::text ; E'x' ; $$x$$ ; cast('x' as text) ; 'x'::varchar ; null ; null::text ;
  lower('A') ; lower('A'::text) ; lower('a') ; 'a' || 'b' ; 'a'::text || 'b' ; f() ; public.f() ;
  coalesce('a', 'b') ; coalesce('a'::text, 'b') ; current_user ; session_user
varchar(20): 'x' ; 'x'::varchar ; 'x'::text ; 'x'::character varying(20) ; 'y' ; null::varchar
char(3): 'a' ; 'a'::char(3) ; 'a'::bpchar ; 'b'
timestamptz: '1970-01-01' ; '1970-01-01'::timestamptz ; timestamptz '1970-01-01 00:00:00' ; '1970-1-1' ;
  '1970-01-01T00:00' ; '1970-01-02' ; now() ; pg_catalog.now() ; (now()) ; current_timestamp ;
  now() + '1 day'::interval ; now() + interval '1 day' ; now() + interval '2 days'
timestamp: '1970-01-01' ; '1970-01-01 00:00'::timestamp ; '1970-01-01 00:01' ; localtimestamp
date: '1970-01-01' ; date '1970-1-1' ; '1970-01-02' ; current_date
time: '10:00' ; '10:00:00'::time ; '11:00'
integer: 5 ; '5' ; 5::int ; '5'::int4 ; -5 ; '-5' ; 6 ; 1 + 1 ; 2 ; nextval('s') ; nextval('s'::regclass) ;
  nextval('public.s') ; pg_catalog.nextval('s')
bigint: 5 ; '5' ; 5::bigint ; '5'::bigint ; 3000000000 ; '3000000000' ; -1
smallint: 1 ; '1' ; 1::smallint ; 2
numeric: 0 ; '0' ; 0.0 ; '0.0' ; 0.0::numeric ; 1.5 ; '1.5'
numeric(10,2): 0 ; 0.0 ; '0.00' ; 0::numeric(10,2) ; 1
double precision: 1.5 ; '1.5' ; 1.5::float8 ; 2
boolean: true ; 't' ; 'yes' ; 'true'::bool ; false ; 'off'
json: '{}' ; '{}'::json ; '[]'
jsonb: '{}' ; '{}'::jsonb ; '{"a":1,"b":2}' ; '{"b": 2, "a": 1}' ; '[]'
text[]: '{}' ; '{}'::text[] ; array[]::text[] ; '{a,b}' ; '{a, b}' ; array['a', 'b'] ; array['a'::text, 'b'] ;
  '{c}'
integer[]: '{1,2}' ; '{1, 2}'::int[] ; array[1, 2] ; '{}'
uuid: 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11' ; 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid ;
  '00000000-0000-0000-0000-000000000000' ; gen_random_uuid()
interval: '1 day' ; interval '1 days' ; '24 hours' ; '1 hour' ; '60 minutes'
inet: '1.2.3.4' ; '1.2.3.4/32'
int4range: '[1,5)' ; '[1,4]'
mood: 'ok' ; 'ok'::mood ; 'ok'::public.mood ; 'bad'
label: 'x' ; 'x'::text ; 'x'::label ; 'y'
"""
PAIRS = [
    (type_, *pair)
    for type_, _, defaults in (line.partition(": ") for line in DEFAULTS.strip().replace(";\n ", ";").split("\n"))
    for pair in combinations([default.strip() for default in defaults.split(" ; ")], 2)
]


@pytest.fixture(scope="module")
def scratch(server: Server) -> Iterator[psycopg.Connection]:
    execute(server.conninfo, "create database same_defaults")
    with psycopg.connect(server.database("same_defaults")) as connection:
        connection.execute(SCHEMA.encode())
        yield connection
        connection.rollback()
    execute(server.conninfo, "drop database same_defaults with (force)")


def reports_other_default(directory: Path, type_: str, first: str, second: str) -> bool:
    (directory / "V1.0.0-001__t.up.sql").write_text(f"{SCHEMA} create table t (a {type_} default {first});")
    (directory / "V1.0.0-002__d.up.sql").write_text("alter table t alter a set default '1'; alter table t add b int;")
    down = directory / "V1.0.0-002__d.down.sql"
    down.write_text(f"alter table t drop b; alter table t alter a set default {second};")
    return any("a different default" in finding.message for finding in lint([str(down)]))


@pytest.mark.parametrize(("type_", "first", "second"), PAIRS)
def test_down_file_restores_a_default(
    type_: str, first: str, second: str, scratch: psycopg.Connection, tmp_path: Path
) -> None:
    with scratch.transaction(force_rollback=True):
        scratch.execute(f"create table t (a {type_} default {first}, b {type_} default {second})".encode())
        query = "select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 't'::regclass"
        stored = [expression for (expression,) in scratch.execute(query).fetchall()]
        [[equal]] = scratch.execute("insert into t default values returning a::text is not distinct from b::text")
    is_stored_alike = len(stored) != 1 and len(set(stored)) < 2
    reports = reports_other_default(tmp_path, type_, first, second)
    assert not (is_stored_alike and reports)
    assert reports or equal or is_stored_alike
