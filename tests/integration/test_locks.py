"""The locks that `sqlmigrate.locks` predicts are the locks in pg_locks.

The tests compare the locks of tables, views, materialized views and foreign tables that existed before the statement,
and of the indexes and sequences that the statement names, but not of system catalogs and TOAST tables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import psycopg
import pytest
from psycopg import pq

from sqlmigrate.locks import Mode, hidden_in, locks_of
from sqlmigrate.locks.hidden import HARMLESS
from tests.polling import until
from tests.servers import Server, execute
from tests.versions import GRANT_LOCKS, has_syntax, later_functions

SCHEMA = """
create table customers (id int primary key, name text not null, email text);
create table orders (
    id int primary key, customer int constraint orders_customer references customers, total numeric(10, 2),
    note varchar(50), at timestamptz
);
create index orders_at on orders (at);
create unique index orders_note on orders (note);
create table lines (id int not null, "order" int);
alter table lines add constraint lines_positive check (id > 0) not valid;
create table "Odd Name" (a int);
create rule quiet as on delete to "Odd Name" do instead nothing;
create schema shop;
create table shop.items (id int primary key, price numeric, tags int[], maker int);
alter table shop.items add constraint items_maker foreign key (maker) references customers not valid;
create index items_tags on shop.items using gin (tags);
create index items_price on shop.items using brin (price);
create table events (id int, at date not null, primary key (id, at)) partition by range (at);
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
create table others partition of events default;
create table years (id int references customers, year int not null) partition by list (year);
create table year_one partition of years for values in (1);
create table year_two (id int, year int not null);
create table loose (id int not null, at date not null);
create table base (a int);
create table derived () inherits (base);
create table single (a int);
create view open_orders as select id from orders;
create materialized view totals as select "order", count(*) as total from lines group by 1;
create unique index totals_order on totals ("order");
create function touch() returns trigger language plpgsql as 'begin return new; end';
create trigger orders_touch before update on orders for each row execute function touch();
create policy own on orders using (true);
create function said() returns event_trigger language plpgsql as 'begin end';
create sequence numbers;
create type mood as enum ('good', 'bad');
create type pair as (a int, b int);
create table pairs of pair;
create domain positive as int constraint above check (value > 0);
create table measures (n positive);
create statistics orders_stat on customer, total from orders;
create publication news for table orders;
create foreign data wrapper dummy;
create server elsewhere foreign data wrapper dummy;
create foreign table remote (a int) server elsewhere;
create function refund(int) returns void language sql as 'update orders set total = 0 where id = $1';
create procedure settle() language sql as 'delete from lines';
"""
PARTITIONS = ("events_2024", "events_2025", "others")
YEARS = ("years", "year_one")
# What a lock on the relation brings with it is for the catalog to tell, and not for the statement.
FAMILY = {"events": PARTITIONS, "years": YEARS[1:], "base": ("derived",), "open_orders": ("orders",)}
Locks = dict[str, Mode]
AE, _, SRE, S, SUE, RE, RS, AS = reversed(Mode)

# Statements whose locks are told in full.
NAMED = """
select 1
values (1)
select count(*) from orders
table lines
select * from orders for update
select * from orders o join customers c on true for update of o
select * from orders, customers for key share
select * from orders o, (select id from customers) c for no key update
select * from orders o, (select id from customers) c for share of c
select * from orders where exists (select from customers) for update
select * from lines l, lateral (select * from shop.items i where i.id = l.id) x
select * from open_orders
select * from events
select * from base
select * from only base
select * from generate_series(1, 2) orders
select * from numbers
select * from "Odd Name"
select * from lines union all select id, total::int from orders except select id, 1 from customers
select (select max(id) from lines), array(select id from customers)
with t as (select * from lines) select * from t, customers
with orders as (select * from orders) select * from orders
with orders as (select 1) select * from orders
with items as (select 1) select * from items, shop.items x
with t as materialized (select * from orders) select * from t for update
with recursive t as (select 1 as n union all select n + 1 from t where n < 3) select * from t
with recursive orders as (select * from lines), lines as (select 1 as n) select * from lines
with gone as (delete from orders returning *) insert into lines select id from gone
select * into x from orders
select pg_catalog.now(), extract(year from at) from orders
insert into lines values (1, 1)
insert into orders select id from customers
insert into orders values (1) on conflict do nothing
insert into orders values (1) on conflict (id) do update set total = (select max(id) from lines)
insert into shop.items values (1) returning (select max(id) from lines)
insert into "Odd Name" values (1)
update lines set id = 2 where exists (select from customers)
update lines l set id = c.id from customers c
update events set id = 1
delete from lines
delete from lines using shop.items i where i.id = lines.id
delete from base
delete from only base
merge into lines using customers c on c.id = lines.id when matched then delete
merge into lines l using (select * from orders) o on o.id = l.id when not matched then insert values (o.id)
truncate lines
truncate lines, only single restart identity
truncate events
copy orders to program 'cat > /dev/null'
copy (select * from orders) to program 'cat > /dev/null'
copy orders (id) from program 'true'
copy lines from program 'true' where id > 1
lock table orders
lock orders, customers in share mode
lock only base in row share mode
lock single in access share mode
lock single in row exclusive mode
lock single in share update exclusive mode
lock single in share row exclusive mode
lock events in share mode
lock open_orders in exclusive mode
explain select * from orders
explain update lines set id = 1
explain analyze delete from lines
explain analyze create table x as select * from lines
prepare p as select * from orders
declare c cursor for select * from orders
alter table orders add column x int
alter table orders add x int default 0 not null
alter table orders add x int references customers
alter table orders add x int references orders
alter table orders add x serial
alter table lines add x positive
alter table customers add x int generated always as (id * 2) stored
alter table lines add x int check (x > 0)
alter table orders alter total set default 0
alter table lines alter id set default nextval('numbers')
alter table orders alter note set not null
alter table customers alter name drop not null
alter table orders alter note set statistics 100
alter table orders alter note set (n_distinct = 5)
alter table orders alter note reset (n_distinct)
alter table orders alter note set storage external
alter table orders alter note set compression pglz
alter table orders alter id add generated always as identity
alter table orders add check (id > 0)
alter table orders add check (id > 0) not valid
alter table lines add constraint lines_order foreign key ("order") references orders
alter table lines add foreign key ("order") references orders not valid
alter table loose add foreign key (id, at) references events
alter table events add foreign key (id) references customers
alter table lines add primary key (id)
alter table lines add unique (id)
alter table lines add exclude using btree (id with =)
alter table orders add constraint u unique using index orders_note
alter table lines validate constraint lines_positive
alter table lines add check (id < 5) no inherit, validate constraint lines_positive
alter table orders alter constraint orders_customer deferrable
alter table orders owner to pg_monitor
alter table orders cluster on orders_at
alter table orders set without cluster
alter table single set logged
alter table single set unlogged
alter table single set without oids
alter table single set access method heap
alter table single set tablespace pg_default
alter table single set (fillfactor = 70)
alter table single set (autovacuum_enabled = false, toast_tuple_target = 200)
alter table single set (user_catalog_table = true)
alter table single set (vacuum_truncate = false, toast.autovacuum_enabled = false)
alter table single set (parallel_workers = 3, log_autovacuum_min_duration = 3)
alter table single reset (fillfactor)
alter table single reset (user_catalog_table)
alter table orders enable trigger orders_touch
alter table orders enable always trigger orders_touch
alter table orders enable replica trigger orders_touch
alter table orders disable trigger orders_touch
alter table orders enable trigger all
alter table orders disable trigger all
alter table orders enable trigger user
alter table orders disable trigger user
alter table "Odd Name" enable rule quiet
alter table "Odd Name" disable rule quiet
alter table single inherit base
alter table derived no inherit base
alter table pairs not of
alter table lines replica identity full
alter table orders replica identity using index orders_pkey
alter table orders enable row level security
alter table orders force row level security
alter table events add column x int
alter table only events alter id set default 1
alter table events alter id set statistics 10
alter table orders rename to purchases
alter table orders rename note to remark
alter table orders rename constraint orders_customer to x
alter table orders set schema shop
alter table shop.items rename to x
alter table orders_at rename to x
alter table orders alter note set statistics 3, alter note set default ''
create table x (a int)
create table x (a int references customers)
create table x (a int primary key, b int references x)
create table x (a int, b int references orders, foreign key (a) references customers)
create table x (like orders including all)
create table x () inherits (base, single)
create table x (a positive default nextval('numbers'))
create table x as select * from orders
create temp table x as table orders
create table if not exists orders (a int)
create foreign table x (a int) server elsewhere
create foreign table x (a int) inherits (single) server elsewhere
create index x on lines (id)
create index on lines ((id + 1)) where id > 2
create index x on only events (id)
create index x on events (id)
create index if not exists orders_at on orders (at)
create index x on totals (total)
create unique index x on orders (id)
alter index orders_at rename to x
alter index shop.items_pkey rename to x
alter index orders_at set (fillfactor = 70)
alter index orders_at reset (fillfactor)
alter index shop.items_tags set (fastupdate = off)
alter index shop.items_tags reset (gin_pending_list_limit)
alter index shop.items_price set (autosummarize = on)
alter index shop.items_price set (pages_per_range = 4)
alter index orders_at set tablespace pg_default
alter index orders_at depends on extension plpgsql
reindex table lines
reindex table totals
create trigger x before insert on orders for each row execute function touch()
create or replace trigger orders_touch before insert on orders for each row execute function touch()
create trigger x after insert on events for each row execute function touch()
create constraint trigger x after insert on orders from customers for each row execute function touch()
alter trigger orders_touch on orders rename to x
alter trigger orders_touch on orders depends on extension plpgsql
drop trigger orders_touch on orders
create rule x as on insert to lines do also select * from customers
create rule x as on insert to lines do also (delete from single; update base set a = 1)
create or replace rule quiet as on delete to "Odd Name" do instead nothing
alter rule quiet on "Odd Name" rename to x
drop rule quiet on "Odd Name"
create policy x on orders using (customer in (select id from customers))
alter policy own on orders using (false)
alter policy own on orders rename to x
drop policy own on orders
create view x as select * from orders
create view x as select * from open_orders
create or replace view open_orders as select id from lines
create recursive view x (n) as select id from lines
alter view open_orders set (security_barrier)
alter view open_orders alter id set default 1
alter view open_orders rename to x
alter view open_orders rename column id to x
alter view open_orders owner to pg_monitor
alter view open_orders set schema shop
drop view open_orders
create materialized view x as select * from orders
create materialized view x as select * from orders with no data
alter materialized view totals set (fillfactor = 70)
alter materialized view totals rename to x
alter materialized view totals cluster on totals_order
drop materialized view totals
drop foreign table remote
alter foreign table remote add x int
alter foreign table remote options (add a '1')
alter foreign table remote rename to x
drop sequence numbers
create sequence x owned by lines.id
alter sequence numbers restart
alter sequence numbers owned by lines.id
alter sequence numbers owned by none
alter sequence numbers rename to x
alter sequence numbers owner to pg_monitor
alter sequence numbers set schema shop
cluster orders using orders_at
analyze orders
analyze orders (note), customers
analyze events
create statistics x on id, note from orders
alter statistics orders_stat set statistics 10
comment on table orders is 'x'
comment on column orders.note is 'x'
comment on column shop.items.price is 'x'
comment on index orders_at is 'x'
comment on view open_orders is 'x'
comment on materialized view totals is 'x'
comment on sequence numbers is 'x'
comment on foreign table remote is 'x'
comment on constraint orders_customer on orders is 'x'
comment on trigger orders_touch on orders is 'x'
comment on policy own on orders is 'x'
comment on rule quiet on "Odd Name" is 'x'
comment on schema shop is 'x'
grant select on orders to pg_monitor
grant select (id) on orders, customers to public
revoke all on orders from public
grant usage on sequence numbers to pg_monitor
grant select on all tables in schema public to pg_monitor
alter default privileges grant select on tables to pg_monitor
create publication x for table orders, lines
create publication x for all tables
create publication x for tables in schema shop
alter publication news add table lines
alter publication news drop table orders
alter publication news set (publish = 'insert')
drop publication news
alter extension plpgsql add table lines
alter type mood add value 'meh'
alter type mood rename value 'bad' to 'x'
alter type pair rename to x
alter domain positive add check (value > 1) not valid
alter domain positive drop constraint above
alter domain positive set default 1
create function x() returns orders language sql as 'select * from orders'
create function x() returns setof orders language sql begin atomic select * from orders; end
create function x() returns bigint language sql return (select count(*) from lines)
create function x() returns int language plpgsql as 'declare r orders%rowtype; begin delete from lines; end'
create procedure x() language sql as 'delete from lines; update orders set id = 1; drop table single'
create procedure x() language internal as 'now'
drop function refund(int)
do $$ begin delete from lines; perform 1 from customers; end $$
do $$ declare n int := (select max(a) from single); begin n := (select max(id) from lines); end $$
do $$ begin if not exists (select from customers) then lock orders; end if; end $$
do $$ declare r record; begin for r in select count(*) from orders loop delete from lines; end loop; end $$
do $$ begin create table x (a int references customers); insert into x select 1 from lines; end $$
create schema x create table t (a int references customers) create view v as select * from t, lines
create type x as (a int)
alter table if exists nowhere add x int
notify x
alter view open_orders reset (security_barrier)
alter materialized view totals set access method heap
alter sequence numbers as bigint
alter statistics orders_stat rename to x
alter statistics orders_stat set schema shop
alter publication news rename to x
alter schema shop rename to store
create event trigger x on ddl_command_end execute function said()
create table x (like totals)
create table x of pair (a with options primary key)
create trigger x after truncate on orders for each statement execute function touch()
create rule x as on insert to open_orders do instead insert into orders (id) values (new.id)
create publication x for table orders (id, note) where (id > 0)
copy (insert into lines values (1, 1) returning id) to program 'cat > /dev/null'
lock table customers, only base in share update exclusive mode nowait
select * from orders for update skip locked
select * from orders o cross join lateral (select * from lines l where l.id = o.id limit 1 for update) x
merge into events e using customers c on c.id = e.id when matched then do nothing
explain (analyze) insert into lines values (1, 2)
refresh materialized view totals with no data
do $$ declare c cursor for select * from orders; begin open c; close c; end $$
set constraints all deferred
""".strip().splitlines()

# What is locked besides, so weakly that nobody has to wait for it, and is passed over.
WEAK: dict[str, Locks] = {
    "select nextval('numbers')": {"numbers": RE},
    "alter table shop.items validate constraint items_maker": {"customers": RS},
    "alter index events_pkey attach partition events_2024_pkey": {"events": AS, "events_2024": AS},
    "alter publication news set table lines": {"orders": SUE},
    "refresh materialized view totals": {"lines": AS},
    "refresh materialized view concurrently totals": {"lines": AS},
}

# What is locked besides, and `hidden_in` has to speak of it.
UNNAMED: dict[str, Locks] = {
    "select refund(1)": {"orders": RE},
    "call settle()": {"lines": RE},
    "do $$ begin execute 'delete from lines'; end $$": {"lines": RE},
    "do $$ begin perform refund(1); end $$": {"orders": RE},
    "do $$ declare r orders%rowtype; begin r.id := 1; delete from lines; end $$": {"lines": RE},
    "truncate customers, orders cascade": dict.fromkeys(("shop.items", *YEARS), AE),
    "alter table orders drop column customer": {"customers": AE},
    "alter table orders drop column note cascade": {},
    "alter table orders alter customer type bigint": {"customers": AE},
    "alter table orders alter note type text": {},
    "alter table lines drop constraint lines_positive": {},
    "alter table orders drop constraint orders_customer": {"customers": AE},
    "alter table customers drop constraint customers_pkey cascade": dict.fromkeys(("orders", "shop.items", *YEARS), AE),
    "alter table years attach partition year_two for values in (2)": {"customers": SRE},
    "alter table events attach partition loose for values from ('2026-01-01') to ('2027-01-01')": {},
    "alter table events detach partition events_2024": {},
    "alter table years detach partition year_one": {"customers": SRE},
    "create table x partition of events for values from ('2027-01-01') to ('2028-01-01')": {},
    "create table x partition of years default": {"customers": SRE},
    "alter type pair add attribute c int cascade": {"pairs": AE},
    "alter type pair rename attribute b to c cascade": {"pairs": AE},
    "alter domain positive add check (value > 1)": {"measures": S},
    "alter domain positive set not null": {"measures": S},
    "alter domain positive validate constraint above": {"measures": S},
    "drop domain positive cascade": {"measures": AE},
    "drop index orders_at": {"orders": AE},
    "drop index if exists shop.items_tags cascade": {"shop.items": AE},
    "reindex index orders_at": {"orders": S},
    "drop statistics orders_stat": {"orders": SUE},
    "drop table single, lines cascade": {"totals": AE},
    "drop table orders cascade": {"customers": AE, "open_orders": AE},
    "drop table events_2024": {"events": AE, "others": AE},
    "drop table events": dict.fromkeys(PARTITIONS, AE),
    "drop schema shop cascade": {"shop.items": AE, "customers": AE},
    "drop function touch() cascade": {"orders": AE},
    "drop table if exists nowhere": {},
    "drop index if exists nowhere": {},
}

# These are syntax errors on PostgreSQL 15.
NEW: dict[str, Locks] = {
    'alter table lines add foreign key ("order") references orders not enforced': {},
    "alter table lines add x int generated always as (id) virtual check (x > 0)": {},
    "alter table orders add constraint x not null total not valid": {},
    "alter table orders alter constraint orders_customer not enforced": {"customers": AE},
}

# These can't run in a transaction: they are watched while they wait for a session that did the second statement.
CONCURRENTLY: dict[str, tuple[str, Locks]] = {
    "create index concurrently x on orders (total)": ("lock orders in row exclusive mode", {}),
    "drop index concurrently orders_at": ("lock orders in row exclusive mode", {"orders": SUE}),
    "reindex table concurrently orders": ("lock orders in row exclusive mode", {}),
    "reindex (concurrently) index orders_at": ("lock orders in row exclusive mode", {"orders": SUE}),
    "alter table years detach partition year_one concurrently": ("lock year_one in access share mode", {}),
    "vacuum orders": ("lock orders in share update exclusive mode", {}),
    "vacuum (analyze) orders": ("lock orders in share update exclusive mode", {}),
    "vacuum full orders": ("lock orders in access share mode", {}),
    "vacuum (full, analyze) orders": ("lock orders in access share mode", {}),
    "vacuum (full false) orders": ("lock orders in share update exclusive mode", {}),
}
# Before PostgreSQL 18 these lock nothing.
GRANTS = [statement for statement in NAMED if statement.startswith(("grant", "revoke"))]

# What the server's debug messages begin with.
SIGNS = {
    "rewriting table": "rewrites the table",
    "verifying table": "scans the table",
    "validating foreign key constraint": "scans the table",
    "building index": "builds an index",
}
REWRITES, SCANS, BUILDS = "rewrites the table", "scans the table", "builds an index"
WORK: dict[str, tuple[str, ...]] = {
    "alter table base add x int": (),
    "alter table single add x int default 0 not null": (),
    "alter table single add x timestamptz default now()": (),
    "alter table single add x float default random()": (REWRITES,),
    "alter table single add x uuid default gen_random_uuid()": (REWRITES,),
    "alter table single add x serial": (REWRITES,),
    "alter table single add x int generated always as identity": (REWRITES,),
    "alter table single add x int generated always as (a) stored": (REWRITES,),
    "alter table single add x int generated always as (a) stored check (x > 0)": (REWRITES,),
    "alter table single add x int check (x > 0)": (SCANS,),
    "alter table single add x int references customers": (),
    "alter table single add x int default 1 references customers": (SCANS,),
    "alter table single add x int unique": (BUILDS,),
    "alter table single add x int default random() unique": (BUILDS, REWRITES),
    "alter table single add check (a > 0)": (SCANS,),
    "alter table single add check (a > 0) not valid": (),
    "alter table single add foreign key (a) references customers": (SCANS,),
    "alter table single add foreign key (a) references customers not valid": (),
    "alter table lines validate constraint lines_positive": (SCANS,),
    "alter table single add unique (a), add check (a > 0)": (BUILDS, SCANS),
    "alter table orders add constraint x unique using index orders_note": (),
    "alter table single set unlogged": (REWRITES,),
    "create index on single (a)": (BUILDS,),
    "alter table single alter a set default 1": (),
}

# These are about an index or a sequence. Others may lock an index together with its table, and that is left out.
OF_INDEX = re.compile(
    r"(alter|comment on|drop|grant .*|reindex.*) (index|sequence) |alter table orders_at|select .*numbers"
)
OURS = "relnamespace in (select oid from pg_namespace where nspname in ('public', 'shop'))"
EXISTING = f"select oid, oid::regclass::text, relkind from pg_class where {OURS}"
WATCH = "select relation, mode from pg_locks where locktype = 'relation' and pid = %s"


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection]:
    """Yields a connection to a database with the schema; every test rolls back."""
    name = f"locks_{os.getpid()}"
    execute(server.conninfo, f"create database {name}")
    with psycopg.connect(server.database(name)) as connection:
        connection.execute(SCHEMA)
        connection.commit()
        yield connection
    execute(server.conninfo, f"drop database {name} with (force)")


def compared_relations(connection: psycopg.Connection, statement: str) -> dict[int, str]:
    """Returns the relations that exist before a statement and whose locks the test compares."""
    words = set(re.findall(r"\w+", statement)) if OF_INDEX.match(statement) else set()
    return {
        oid: name
        for oid, name, kind in connection.execute(EXISTING)
        if kind in "rpmvf" or (kind != "c" and name.split(".")[-1] in words)
    }


def held_locks(watcher: psycopg.Connection, pid: int, relations: dict[int, str]) -> Locks:
    """Returns the strongest lock on each relation that a session holds or waits for."""
    found: Locks = {}
    for oid, name in watcher.execute(WATCH, [pid]):
        if oid in relations:
            mode = Mode(re.sub(r"(?<!^)(?=[A-Z])", " ", name.removesuffix("Lock")).upper())
            found[relations[oid]] = max(found.get(relations[oid], mode), mode)
    return found


def predicted_locks(statement: str, unnamed: Locks, found: Locks, version: int) -> Locks:
    """Returns the predicted locks, the `unnamed` locks, and the locks found on children of the named relations."""
    predicted = {lock.relation: lock.mode for lock in locks_of(statement)}
    if statement.endswith("nowhere") or "nowhere " in statement or (version < GRANT_LOCKS and statement in GRANTS):
        predicted = {}
    family = {member for relation in predicted for member in FAMILY.get(relation, ())} - predicted.keys()
    return predicted | {member: found[member] for member in family & found.keys()} | unnamed


def major(connection: psycopg.Connection) -> int:
    return connection.info.server_version // 10_000


@contextmanager
def rolled_back(connection: psycopg.Connection) -> Iterator[None]:
    try:
        yield
    finally:
        connection.rollback()


CASES = {**dict.fromkeys(NAMED, Locks()), **WEAK, **UNNAMED}


@pytest.mark.parametrize("statement", CASES)
def test_statement_in_a_transaction_takes_the_predicted_locks(connection: psycopg.Connection, statement: str) -> None:
    with nullcontext() if has_syntax(major(connection), statement) else pytest.raises(psycopg.errors.SyntaxError):
        check(connection, statement, CASES[statement])


@pytest.mark.parametrize("statement", NEW)
def test_new_syntax_takes_the_predicted_locks(connection: psycopg.Connection, statement: str) -> None:
    assert not has_syntax(17, statement)
    with nullcontext() if has_syntax(major(connection), statement) else pytest.raises(psycopg.errors.SyntaxError):
        check(connection, statement, NEW[statement])


def check(connection: psycopg.Connection, statement: str, unnamed: Locks) -> None:
    with rolled_back(connection):
        relations = compared_relations(connection, statement)
        connection.execute(statement.encode())

        found = held_locks(connection, connection.info.backend_pid, relations)

        assert found == predicted_locks(statement, unnamed, found, major(connection))


@contextmanager
def waiting(database: str, statement: str, obstacle: str) -> Iterator[tuple[psycopg.Connection, int]]:
    """Yields another connection and the pid of a session whose statement waits for a lock; cancels it at the end."""
    with (
        psycopg.connect(database) as blocker,
        psycopg.connect(database, autocommit=True) as watcher,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        blocker.execute(obstacle.encode())
        connection.pgconn.send_query(statement.encode())
        wait_until_waiting(watcher, connection.info.backend_pid)
        yield watcher, connection.info.backend_pid
        connection.cancel_safe()
        assert [result.status for result in iter(connection.pgconn.get_result, None)] == [pq.ExecStatus.FATAL_ERROR]


@pytest.mark.parametrize("statement", CONCURRENTLY)
def test_statement_outside_a_transaction_takes_the_predicted_locks(database: str, statement: str) -> None:
    obstacle, unnamed = CONCURRENTLY[statement]
    execute(database, SCHEMA)
    with psycopg.connect(database) as connection:
        relations = compared_relations(connection, statement)
    with waiting(database, statement, obstacle) as (watcher, pid):
        found = held_locks(watcher, pid, relations)

        assert found == predicted_locks(statement, unnamed, found, major(watcher))


def test_detach_finalize_takes_the_predicted_locks(database: str) -> None:
    statement = "alter table years detach partition year_one finalize"
    execute(database, SCHEMA)
    with waiting(
        database, "alter table years detach partition year_one concurrently", "lock year_one in access share mode"
    ):
        pass  # the first half is committed
    with psycopg.connect(database) as connection:
        relations = compared_relations(connection, statement)
        connection.execute(statement)

        found = held_locks(connection, connection.info.backend_pid, relations)

        assert found == predicted_locks(statement, {"customers": SRE}, {}, major(connection))


def test_harmless_functions_are_built_in(connection: psycopg.Connection) -> None:
    with rolled_back(connection):
        built_in = {name for (name,) in connection.execute("select proname from pg_proc where pronamespace = 11")}

    assert HARMLESS - built_in == {"uuid_generate_v4"} | later_functions(major(connection))


def wait_until_waiting(watcher: psycopg.Connection, pid: int) -> None:
    until(lambda: watcher.execute("select from pg_locks where pid = %s and not granted", [pid]).rowcount)


@pytest.mark.parametrize("statement", WORK)
def test_work_matches_the_debug_messages_of_the_server(connection: psycopg.Connection, statement: str) -> None:
    notices: list[str] = []
    with rolled_back(connection):
        connection.add_notice_handler(notice := lambda diagnostic: notices.append(diagnostic.message_primary or ""))
        connection.execute("set local client_min_messages = debug1")
        connection.execute(statement.encode())
        connection.remove_notice_handler(notice)

    done = {work for sign, work in SIGNS.items() if any(text.startswith(sign) for text in notices)}

    predicted = {work for lock in locks_of(statement) for work in lock.work.split(" and ") if work}
    assert done == predicted == set(WORK[statement])


def test_every_unpredicted_lock_has_a_hint() -> None:
    assert [statement for statement in [*NAMED, *WEAK] if hidden_in(statement)] == []
    unnamed = UNNAMED | {statement: locks for statement, (_, locks) in CONCURRENTLY.items() if locks}
    assert [statement for statement in unnamed if not hidden_in(statement)] == []
    assert [statement for statement, locks in WEAK.items() if any(mode.blocks_writes for mode in locks.values())] == []
