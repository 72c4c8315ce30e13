"""The locks of many statements; tests/integration/test_locks.py compares the prediction with PostgreSQL."""

from __future__ import annotations

import sys

import postgast
import pytest

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.locks import Mode, TableLock, alter, cannot_be_undone, hidden, hidden_in, locks_of, losses, taken
from sqlmigrate.sql import parser

SHORT = dict(zip(Mode, ("AS", "RS", "RE", "SUE", "S", "SRE", "E", "AE"), strict=True))

# A statement, and its locks: mode, relation, work.
LOCKS: dict[str, str] = {
    "select 1": "",
    "select * from orders": "AS orders",
    "select * from Orders": "AS orders",
    'select * from "Orders"': 'AS "Orders"',
    'select * from "order", "left", "date", "a b", "a""b", "time"': (
        'AS "a b", AS "a""b", AS "left", AS "order", AS "time", AS date'
    ),
    "select * from shop.orders o join shop.lines on true": "AS shop.lines, AS shop.orders",
    "select * from app.shop.orders": "AS app.shop.orders",
    "select 'from orders', $$select * from lines$$ -- from customers": "",
    "select * from (select * from orders) as lines": "AS orders",
    "select * from orders where id in (select id from lines where exists (select from customers))": (
        "AS customers, AS lines, AS orders"
    ),
    "select orders.id from lines orders": "AS lines",
    "with t as (select 1) select * from t": "",
    "with t as (select * from t) select * from t": "AS t",
    "with t as (select 1) select * from t, public.t": "AS public.t",
    "with t as (select 1), u as (select * from t, v) select * from u": "AS v",
    "with u as (select * from t), t as (select 1) select * from u": "AS t",
    "with recursive u as (select * from t), t as (select 1) select * from u": "",
    "select * from orders, (with orders as (select 1) select * from orders) x": "AS orders",
    "with t as (with u as (select * from a) select * from u) select * from t, u": "AS a, AS u",
    "with t as (select 1) select (select max(x) from t), (with v as (select 2) select * from t, v)": "",
    "select * from orders for update": "RS orders",
    "select * from orders, lines for update of lines": "RS lines, AS orders",
    "select * from orders as o, lines as l for share of o for no key update of l": "RS lines, RS orders",
    "select * from orders for update of orders skip locked": "RS orders",
    "select * from (select * from orders join lines on true) x, customers for update of x": (
        "RS lines, RS orders, AS customers"
    ),
    "with t as (select * from orders) select * from t, lines for update": "RS lines, AS orders",
    "select * from generate_series(1, 3), orders for update": "RS orders",
    "select * from orders union select * from lines": "AS lines, AS orders",
    "select * into new from orders": "AS orders",
    "table orders": "AS orders",
    "values ((select 1 from orders))": "AS orders",
    "insert into orders values (1)": "RE orders",
    "insert into orders select * from lines": "RE orders, AS lines",
    "with l as (select * from lines) insert into orders select * from l returning (select 1 from customers)": (
        "RE orders, AS customers, AS lines"
    ),
    "insert into orders values (1) on conflict (id) do update set note = (select max(note) from lines)": (
        "RE orders, AS lines"
    ),
    "update orders o set note = l.note from lines l where l.id = o.id": "RE orders, AS lines",
    "delete from orders using lines": "RE orders, AS lines",
    "delete from orders where id in (select id from orders)": "RE orders",
    "merge into orders using lines on true when matched then delete": "RE orders, AS lines",
    "with gone as (delete from orders returning *) select * from gone": "RE orders",
    "truncate orders, shop.lines": "AE orders, AE shop.lines",
    "copy orders from stdin": "RE orders",
    "copy orders to stdout": "AS orders",
    "copy (select * from orders) to stdout": "AS orders",
    "lock table orders, lines in share row exclusive mode": "SRE lines, SRE orders",
    "explain analyze update orders set note = ''": "RE orders",
    "prepare p as delete from orders": "RE orders",
    "declare c cursor for select * from orders": "AS orders",
    "alter table orders add x int": "AE orders",
    "alter table orders add column x int not null default 0": "AE orders",
    "alter table orders add x int references customers": "AE orders, SRE customers",
    "alter table orders add x int default 1 references customers": "AE orders (scans the table), SRE customers",
    "alter table orders add x int default random()": "AE orders (rewrites the table)",
    "alter table orders add x uuid not null default gen_random_uuid() primary key": (
        "AE orders (builds an index and rewrites the table)"
    ),
    "alter table orders add x timestamptz default now()": "AE orders",
    "alter table orders add x bigserial": "AE orders (rewrites the table)",
    "alter table orders add x int generated always as identity": "AE orders (rewrites the table)",
    "alter table orders add x int generated always as (1) stored": "AE orders (rewrites the table)",
    "alter table orders add x int generated always as (1) virtual": "AE orders",
    "alter table orders add x int check (x > 0)": "AE orders (scans the table)",
    "alter table orders add x int unique check (x > 0)": "AE orders (builds an index and scans the table)",
    "alter table orders add x int constraint c check (x > 0) references orders": "AE orders (scans the table)",
    "alter table orders alter x type text, alter y set not null": "AE orders",
    "alter table orders add check (x > 0)": "AE orders (scans the table)",
    "alter table orders add check (x > 0) not valid": "AE orders",
    "alter table orders add foreign key (x) references customers": "SRE customers, SRE orders (scans the table)",
    "alter table orders add foreign key (x) references customers not valid": "SRE customers, SRE orders",
    'alter table orders add foreign key (x) references "order" not enforced': 'SRE "order", SRE orders',
    "alter table orders add unique (x), add check (x > 0)": "AE orders (builds an index and scans the table)",
    "alter table orders add primary key using index i": "AE orders",
    "alter table orders add exclude using gist (x with &&)": "AE orders (builds an index)",
    "alter table orders validate constraint c": "SUE orders (scans the table)",
    "alter table orders set logged": "AE orders (rewrites the table)",
    "alter table orders set tablespace fast": "AE orders (copies the table)",
    "alter index orders_at set tablespace fast": "AE orders_at (copies the index)",
    "alter table orders set (fillfactor = 70)": "SUE orders",
    "alter table orders set (fillfactor = 70, user_catalog_table = true)": "AE orders",
    "alter table orders disable trigger user": "SRE orders",
    "alter table orders disable trigger user, disable rule r": "AE orders",
    "alter table orders alter x set statistics 5": "SUE orders",
    "alter table orders attach partition o1 default": "AE o1, SUE orders",
    "alter table orders detach partition o1": "AE o1, AE orders",
    "alter table orders detach partition o1 concurrently": "AE o1, SUE orders",
    "alter table orders detach partition o1 finalize": "AE o1, SUE orders",
    "alter table orders inherit base, no inherit other": "AE orders, SUE base, AS other",
    "alter table orders rename to x": "AE orders",
    "alter table orders rename constraint a to b": "AE orders",
    "alter index a rename to b": "SUE a",
    "alter type pair add attribute c int": "",
    "alter type pair rename attribute a to b": "",
    "alter type pair rename to pairs": "",
    "alter function f() set schema shop": "",
    "alter table orders set schema shop": "AE orders",
    "alter function f() depends on extension e": "",
    "alter index a depends on extension e": "AE a",
    "alter trigger a on orders depends on extension e": "AS orders",
    "create table new (a int references customers, b int references new)": "SRE customers",
    "create table new (a int, foreign key (a) references customers, like orders)": "SRE customers, AS orders",
    "create table new () inherits (orders)": "SUE orders",
    "create table new partition of orders for values in (1)": "AE orders",
    "create foreign table new partition of orders for values in (1) server s": "AE orders",
    "create table new as select * from orders": "AS orders",
    "create materialized view new as select * from orders": "AS orders",
    (
        "create schema s create table t (a int references customers) create index i on t (a) create view v as "
        "select * from t, lines"
    ): "SRE customers, AS lines",
    "create schema s": "",
    "create index i on orders (x)": "S orders (builds an index)",
    "create index on shop.orders (x)": "S shop.orders (builds an index)",
    "create index concurrently i on orders (x)": "SUE orders (builds an index)",
    "create view new as select * from orders": "AS orders",
    "create or replace view old as select * from orders": "AE old, AS orders",
    "create trigger t before insert on orders for each row execute function f()": "SRE orders",
    "create rule r as on insert to orders do also insert into log select * from lines": "AE orders, RE log, AS lines",
    "create policy p on orders using (x in (select x from lines))": "AE orders, AS lines",
    "create statistics s on a, b from orders": "SUE orders",
    "create sequence s owned by orders.id": "AS orders",
    "create sequence s owned by none": "",
    "alter sequence s owned by shop.orders.id": "SRE s, AS shop.orders",
    "create function f() returns int language sql as 'select 1 from orders'": "AS orders",
    "create function f() returns int language sql as 'select 1 frm orders'": "",
    "create function f() returns int language plpgsql as 'begin delete from orders; end'": "",
    "create function f() returns int return (select 1 from orders)": "AS orders",
    "create procedure f() language sql begin atomic delete from orders; end": "RE orders",
    'drop table orders, "Odd"': 'AE "Odd", AE orders',
    "drop index concurrently shop.i": "SUE shop.i",
    "drop view a": "AE a",
    "drop trigger t on shop.orders": "AE shop.orders",
    "drop type mood": "",
    "drop function f()": "",
    "drop schema shop": "",
    "comment on column shop.orders.x is ''": "SUE shop.orders",
    "comment on constraint c on orders is ''": "AS orders",
    "comment on database d is ''": "",
    "security label on table orders is 'x'": "SUE orders",
    "grant select on orders to x": "AS orders",
    "grant usage on schema shop to x": "",
    "create publication p for table orders, tables in schema shop": "SUE orders",
    "vacuum": "",
    "vacuum orders": "SUE orders (scans the table)",
    "vacuum (full) orders, lines": "AE lines (rewrites the table), AE orders (rewrites the table)",
    "vacuum (full off) orders": "SUE orders (scans the table)",
    "vacuum (full 1) orders": "AE orders (rewrites the table)",
    "analyze orders (x)": "SUE orders (samples the table)",
    "cluster orders using i": "AE orders (rewrites the table)",
    "cluster": "",
    "refresh materialized view totals": "AE totals (runs its query)",
    "refresh materialized view totals with no data": "AE totals",
    "refresh materialized view concurrently totals": "E totals (runs its query)",
    "reindex table orders": "S orders (builds its indexes)",
    "reindex (concurrently, verbose) table orders": "SUE orders (builds its indexes)",
    "reindex index concurrently i": "SUE i (builds the index)",
    "reindex schema shop": "",
    "import foreign schema a from server b into c": "",
    "create type x as (a int)": "",
    "do $$ begin update orders set note = ''; end $$": "RE orders",
    (
        "do $$ declare n int := (select count(*) from orders); begin n := (select 1 from lines); if n > (select 2 "
        "from customers) then null; end if; end $$"
    ): "AS customers, AS lines, AS orders",
    (
        "do $$ begin create temp table t (a int references customers); insert into t select 1 from orders; "
        "exception when others then drop table x; end $$"
    ): "AE x, SRE customers, AS orders",
    "do $$ begin execute 'drop table orders'; end $$": "",
    "do language plperl 'drop table orders'": "",
    "do $$ begin; end $$": "",
    "not sql": "",
    ";": "",
    (
        "create function f() returns int language sql as 'select 1 from orders; create table x (a int); delete "
        "from lines'"
    ): "RE lines, AS orders",
    "create function f() returns int as 'select 1 from orders'": "",
    "create function f() returns int language c as 'lib', 'f'": "",
    "create statistics s on a from (values (1)) x": "",
}

HIDDEN: dict[str, str] = {
    "alter extension e update": "runs the scripts of the extension",
    "drop extension e cascade": (
        "drops the tables that belong to the extension; CASCADE drops and locks the dependent objects too"
    ),
    "alter table all in tablespace a set tablespace b": "every table of the tablespace is copied (ACCESS EXCLUSIVE)",
    "drop owned by a": "every table that the role owns is dropped (ACCESS EXCLUSIVE)",
    "execute p": "runs a prepared statement, whose text is not analysed",
    "create table x as execute p": "runs a prepared statement, whose text is not analysed",
    "explain analyze create table x as execute p": "runs a prepared statement, whose text is not analysed",
    "reassign owned by a to b": "every table that the role owns is locked (ACCESS EXCLUSIVE)",
    "call shop.settle(1)": "calls shop.settle(), whose statements are not analysed",
    "select refund(1), pg_catalog.now(), count(*), pg_sleep(1)": "calls refund(), whose statements are not analysed",
    "select shop.now()": "calls shop.now(), whose statements are not analysed",
    "select * from refund(1)": "calls refund(), whose statements are not analysed",
    "insert into t select f(x) from g": "calls f(), whose statements are not analysed",
    "create view v as select f(x) from g": "",
    "create function f() returns int return f()": "",
    "cluster": "every table that was clustered before is locked in turn (ACCESS EXCLUSIVE)",
    "cluster t": "",
    "vacuum": "every table is locked in turn (SHARE UPDATE EXCLUSIVE)",
    "vacuum full": "every table is locked in turn (ACCESS EXCLUSIVE)",
    "vacuum t": "",
    "reindex schema s": "every table in it is locked in turn (SHARE)",
    "reindex database concurrently d": "every table in it is locked in turn (SHARE UPDATE EXCLUSIVE)",
    "reindex index i": "the table of the index is locked too (SHARE)",
    "reindex index concurrently i": "the table of the index is locked too (SHARE UPDATE EXCLUSIVE)",
    "reindex table t": "",
    "drop index i": "the table of the index is locked too (ACCESS EXCLUSIVE)",
    "drop index concurrently i": "the table of the index is locked too (SHARE UPDATE EXCLUSIVE)",
    "drop view v cascade": "CASCADE drops and locks the dependent objects too",
    "drop type t": "",
    "drop table a": (
        "the tables that its foreign keys reference, and its partitioned table, are locked too (ACCESS EXCLUSIVE)"
    ),
    "drop statistics s": "the table of the statistics is locked too (SHARE UPDATE EXCLUSIVE)",
    "alter domain d add check (value > 1)": "every table with a column of d is scanned under SHARE",
    "alter domain d add check (value > 1) not valid": "",
    "alter domain d validate constraint c": "every table with a column of d is scanned under SHARE",
    "alter domain d set default 1": "",
    "alter domain d drop constraint c cascade": "CASCADE drops and locks the dependent objects too",
    "truncate a cascade": "CASCADE truncates every table whose foreign keys reference it (ACCESS EXCLUSIVE)",
    "alter type t add attribute a int cascade": "CASCADE alters the tables of the type (ACCESS EXCLUSIVE)",
    "alter type t add attribute a int": "",
    "alter table t drop column a": ("if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)"),
    "alter table t drop column a cascade, drop constraint b": (
        "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE); CASCADE "
        "drops and locks the dependent objects too"
    ),
    "alter table t detach partition p": (
        "a default partition is locked (ACCESS EXCLUSIVE) and may be scanned; the tables that "
        "its foreign keys reference are locked too (SHARE ROW EXCLUSIVE)"
    ),
    "alter table t detach partition p concurrently": (
        "the tables that its foreign keys reference are locked too (SHARE ROW EXCLUSIVE)"
    ),
    "alter table t attach partition p default": (
        "a default partition is locked (ACCESS EXCLUSIVE) and may be scanned; the tables that "
        "its foreign keys reference are locked too (SHARE ROW EXCLUSIVE)"
    ),
    "alter index i attach partition j": "",
    "create table p partition of t default": (
        "a default partition is locked (ACCESS EXCLUSIVE) and may be scanned; the tables that "
        "its foreign keys reference are locked too (SHARE ROW EXCLUSIVE)"
    ),
    "do $$ begin execute 'drop table orders'; perform f(); end $$": (
        "runs SQL that its DO block builds (EXECUTE); calls f(), whose statements are not analysed"
    ),
    "do $$ begin open c for select 1; end $$": (
        'runs a DO block that cannot be read without its database: "c" is not a known variable'
    ),
    "do language plperl 'x'": "runs a DO block in plperl, which is not analysed",
    "do $$ begin delete from t; end $$": "",
    "alter tabel x": 'cannot be read: syntax error at or near "tabel"',
    "truncate a, b cascade": "CASCADE truncates every table whose foreign keys reference it (ACCESS EXCLUSIVE)",
    "drop schema a, b cascade": "CASCADE drops and locks the dependent objects too",
    'drop type mood, "Odd"': "",
    "drop domain d cascade": "CASCADE drops and locks the dependent objects too",
    "drop extension e": "drops the tables that belong to the extension",
    "drop owned by a, b": "every table that the role owns is dropped (ACCESS EXCLUSIVE)",
    'alter table t drop column a, drop "B"': (
        "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)"
    ),
    "alter table t alter a type text": (
        "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)"
    ),
    "alter table t alter a type varchar(10)": (
        "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)"
    ),
    "alter table t alter a type varchar(10) using left(a, 10)": (
        "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)"
    ),
    (
        "alter table t alter a type int, alter b type numeric(5), alter c type numeric, alter d type timestamptz, "
        "alter e type timestamp(0), alter f type date"
    ): "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)",
    "delete from t": "",
    "delete from t where a = 1": "",
    "create rule r as on insert to t do also delete from u": "",
    "alter table t add x int": "",
    "alter table t alter constraint c not enforced": (
        "if a foreign key is involved, its other table is locked too (ACCESS EXCLUSIVE)"
    ),
    "create table t (a int)": "",
    "create foreign table p partition of t default server s": (
        "a default partition is locked (ACCESS EXCLUSIVE) and may be scanned; the tables that "
        "its foreign keys reference are locked too (SHARE ROW EXCLUSIVE)"
    ),
    "create view v2 as select 1": "",
    "truncate c": "",
    "do $$ begin delete form t; end $$": (
        'runs a DO block that cannot be read without its database: syntax error at or near "form"'
    ),
    "do $$ begin x := 1; end $$": (
        'runs a DO block that cannot be read without its database: "x" is not a known variable'
    ),
}

LOST: dict[str, str] = {
    "drop extension e cascade": "extension e is dropped, with the data it holds, and every column of its types",
    "drop owned by a": "all objects owned by a are dropped",
    "drop type t": "type t is dropped",
    "drop table a": "the rows of a are lost",
    "truncate a cascade": "the rows of a and of every table that references them are lost",
    "alter table t drop column a": "the values of t.a are lost",
    "alter table t drop column a cascade, drop constraint b": "the values of t.a are lost",
    "do $$ begin delete from t; end $$": "the rows of t are lost",
    "truncate a, b cascade": "the rows of a, b and of every table that references them are lost",
    "drop schema a, b cascade": (
        "schema a is dropped, with all objects in it; schema b is dropped, with all objects in it"
    ),
    "drop schema a": "schema a is dropped",
    'drop type mood, "Odd"': 'type mood is dropped; type "Odd" is dropped',
    "drop domain d cascade": "domain d is dropped, with every column of that domain",
    "drop extension e": "extension e is dropped, with the data it holds",
    "drop sequence s": "the value of sequence s is lost",
    "drop database d": "database d is dropped",
    "drop owned by a, b": "all objects owned by a, b are dropped",
    'alter table t drop column a, drop "B"': 'the values of t.a are lost; the values of t."B" are lost',
    "alter type pair drop attribute a": "the values of pair.a are lost",
    "alter table t alter a type varchar(10) using left(a, 10)": (
        "the old values of t.a are lost where the USING expression has no inverse"
    ),
    (
        "alter table t alter a type int, alter b type numeric(5), alter c type numeric, alter d type timestamptz, "
        "alter e type timestamp(0), alter f type date"
    ): (
        "values of t.a may be rounded or truncated; values of t.b may be rounded or truncated; "
        "values of t.e may be rounded or truncated; values of t.f may be rounded or truncated"
    ),
    "delete from t": "the rows of t are lost",
    "delete from t where a = 1": "the deleted rows of t are lost",
    'update t set a = 1, "B" = 2': 'the old values of t.a, t."B" are lost',
    "update t set (a, b) = (1, 2), a[1] = 2": "the old values of t.a, t.b are lost",
    "insert into t values (1) on conflict (a) do update set b = 2": "the old values of t.b are lost",
    (
        "merge into t using s on true when matched and a then update set b = 1 when matched then delete when not "
        "matched then insert values (1)"
    ): "the old values of t.b are lost; the deleted rows of t are lost",
    "with g as (delete from t returning *) select * from g": "the rows of t are lost",
    "explain analyze delete from t": "the rows of t are lost",
    "create table t as with g as (delete from u returning *) select * from g": "the rows of u are lost",
    "alter type mood add value 'x'": "value 'x' cannot be dropped from type mood again",
    "do $$ begin delete from t; delete from t; update u set a = 1; end $$": (
        "the rows of t are lost; the old values of u.a are lost"
    ),
    "truncate c": "the rows of c are lost",
    "insert into t select f(x) from g": "",
    "reindex table t": "",
    "drop index i": "",
    "drop view v cascade": "",
    "drop statistics s": "",
    "alter type t add attribute a int cascade": "",
    "alter type t add attribute a int": "",
    "alter tabel x": "",
    "drop materialized view m": "",
    "alter table t alter a type text": "",
    "alter table t alter a type varchar(10)": "",
    "insert into t values (1) on conflict do nothing": "",
    "insert into t values (1)": "",
    "explain (analyze off) delete from t": "",
    "explain delete from t": "",
    "prepare p as delete from t": "",
    "create rule r as on insert to t do also delete from u": "",
    "create function f() returns int begin atomic delete from t; select 1; end": "",
    "alter type mood rename value 'x' to 'y'": "",
    "drop function f()": "",
    "alter table t add x int": "",
}


def shown(lock: TableLock) -> str:
    return f"{SHORT[lock.mode]} {lock.relation}" + (f" ({lock.work})" if lock.work else "")


@pytest.mark.parametrize("statement", LOCKS)
def test_locks(statement: str) -> None:
    assert ", ".join(map(shown, locks_of(statement))) == LOCKS[statement]


@pytest.mark.parametrize("statement", HIDDEN)
def test_hidden_locks_are_reported(statement: str) -> None:
    assert hidden_in(statement) == HIDDEN[statement]


@pytest.mark.parametrize("statement", LOST)
def test_lost_data_is_reported(statement: str) -> None:
    assert cannot_be_undone(statement) == LOST[statement]


def test_modes_have_an_order_and_block_reads_and_writes() -> None:
    assert sorted(Mode, key=lambda mode: mode.number) == sorted(Mode) == list(Mode)
    assert Mode.SHARE.number == 5
    assert [SHORT[mode] for mode in Mode if mode.blocks_writes] == ["S", "SRE", "E", "AE"]
    assert [SHORT[mode] for mode in Mode if mode.blocks_reads] == ["AE"]


def test_all_kinds_exist_in_the_grammar() -> None:
    grammar = postgast.pg_query_pb2.DESCRIPTOR
    parts = grammar.enum_types_by_name["AlterTableType"].values_by_name
    things = grammar.enum_types_by_name["ObjectType"].values_by_name
    constraints = grammar.enum_types_by_name["ConstrType"].values_by_name

    assert {*alter.WEAKER, *alter.WORK, *hidden.OF_SUBCOMMANDS} <= set(parts)
    assert {*taken.RELATIONS, *taken.OF_A_TABLE, *hidden.OF_DROPS, *losses.DROPPED, *losses.WITH_CASCADE} <= set(things)
    assert set(alter.WORK_OF_CONSTRAINT) <= set(constraints)
    assert {*taken.SIMPLE, *taken.STATEMENTS, *hidden.ALWAYS, *hidden.DEPENDING, *losses.LOSSES} <= set(
        grammar.message_types_by_name
    )


def test_statement_nested_too_deeply_is_reported() -> None:
    statement = "insert into orders " + " union all ".join(["select 1 from lines"] * 2000)

    assert locks_of(statement) == ()
    assert hidden_in(statement) == "cannot be read: it is nested too deeply"


@pytest.mark.parametrize("question", [locks_of, hidden_in, cannot_be_undone])
def test_missing_parser_is_reported_with_the_extra(monkeypatch: pytest.MonkeyPatch, question: type) -> None:
    monkeypatch.setitem(sys.modules, "postgast", None)
    parser._library.cache_clear()

    with pytest.raises(ConfigurationError) as caught:
        question("select 1")

    assert caught.value.hint == "pip install 'sqlmigrate[lint]'"
