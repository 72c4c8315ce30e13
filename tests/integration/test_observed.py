"""What the observer reports of a statement equals a trace that these tests take on their own.

The trace reads pg_locks from another session while the transaction is open, compares the files and the rows of all
relations before and after the statement, and reads the messages of the server.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from sqlmigrate.locks.effects import Doing, Effects
from sqlmigrate.server.connection import Connection, connect
from sqlmigrate.server.observer import Observer
from tests.integration.test_locks import CASES, NEW, SCHEMA, WORK
from tests.servers import Server, execute
from tests.versions import has_syntax

# Every table has rows, so that a rewritten table differs from one that was made empty.
ROWS = """
insert into customers select g, 'n' || g from generate_series(1, 5) g;
insert into orders select g, g, g, 'note' || g, now() from generate_series(1, 5) g;
insert into lines select g, 5 - g from generate_series(1, 4) g;
insert into "Odd Name" values (1);
insert into shop.items values (1, 2, '{1}', 1);
insert into events values (1, '2024-05-05'), (2, '2025-05-05'), (3, '2026-05-05');
insert into years values (1, 1); insert into year_two values (1, 2); insert into loose values (1, '2026-06-06');
insert into base values (1); insert into derived values (1); insert into single values (1);
insert into measures values (2); insert into pairs values (1, 2);
refresh materialized view totals;
delete from others; insert into events values (3, '2030-05-05'); analyze;
"""
DEFINITION = re.compile(
    r"alter|create|drop|truncate|cluster|reindex|refresh|comment|grant|revoke|lock|analyze|do |set ", re.IGNORECASE
)
MORE = """
alter table orders alter total type text
alter table orders alter note type varchar(60)
alter table orders alter note type varchar(10)
alter table orders alter at type timestamp
alter table orders alter customer set not null
alter table orders add constraint x check (total > 0), alter total set not null
alter table single alter a type int using a + 1
alter table single add constraint x unique (a), alter a set not null
alter table orders drop constraint orders_pkey
alter table events alter id type bigint
alter table events add unique (at, id)
alter table base add check (a > 0)
alter table shop.items validate constraint items_maker
reindex index orders_at
reindex table events_2024
truncate single; insert into single values (1)
create table x as select * from orders; create index on x (id)
create unique index on orders (total) include (note) where total > 1
create index on orders using hash (note)
create index on shop.items using gin (tags)
create index on events (at)
do $$ begin truncate single; end $$
do $$ begin execute 'alter table single alter a type bigint'; end $$
do $$ begin alter table lines add foreign key ("order") references orders; end $$
cluster lines using lines_pk
drop index orders_note
drop table shop.items, customers cascade
alter table years detach partition year_one
alter table events detach partition events_2024
create table x partition of events for values from ('2027-01-01') to ('2028-01-01')
""".strip().splitlines()
# These fail on the rows.
FAILING = ("alter table loose add foreign key (id, at) references events",)
STATEMENTS = [
    statement
    for statement in dict.fromkeys([*filter(DEFINITION.match, [*CASES, *NEW, *WORK]), *MORE])
    if statement not in FAILING
]
FILES = """
select c.oid, c.relkind, c.relfilenode, c.oid::regclass::text, c.relname, i.indrelid,
       pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', c.relispopulated
from pg_class c left join pg_index i on i.indexrelid = c.oid
where c.relnamespace in (select oid from pg_namespace where nspname in ('public', 'shop', 'store'))
  and c.relkind in ('r', 'p', 'm', 'f', 'v', 'S', 'i', 'I')"""


@dataclass
class Traced:
    """A relation as the trace saw it."""

    kind: str
    node: int
    name: str
    plain: str
    table: int | None
    is_default: bool | None
    is_populated: bool
    rows: int = 0


@dataclass
class Trace:
    """What a statement did, according to the trace; the names are those before the statement."""

    locks: dict[str, str]
    rewritten: set[str]
    scanned: set[str]
    built: Counter[str]


def relations(connection: psycopg.Connection[Any]) -> dict[int, Traced]:
    found = {row[0]: Traced(*row[1:]) for row in connection.execute(FILES)}
    for relation in found.values():
        if relation.kind in ("r", "m") and relation.is_populated:
            ((relation.rows,),) = connection.execute(f"select count(*) from only {relation.name}".encode())
    return found


ORDER = [
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock",
    "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
]  # fmt: skip
SCANS = "select relid, seq_scan from pg_stat_xact_user_tables where seq_scan > 0"
HELD = "select relation, mode from pg_locks where locktype = 'relation' and pid = %s"


def traced(database: str, statement: str) -> Trace:
    """Runs a statement and rolls it back."""
    said = list[str]()
    with psycopg.connect(database) as connection, psycopg.connect(database, autocommit=True) as watcher:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        before = relations(connection)
        connection.rollback()
        earlier: dict[int, int] = dict(connection.execute(SCANS).fetchall())
        connection.execute("set client_min_messages = debug1")
        connection.execute(statement.encode())
        held = watcher.execute(HELD, [connection.info.backend_pid]).fetchall()
        scans: dict[int, int] = dict(connection.execute(SCANS).fetchall())
        connection.execute("set client_min_messages = error")
        keys = connection.execute("select conname, conrelid from pg_constraint where contype = 'f'").fetchall()
        after = relations(connection)
        connection.rollback()
    names = {match[1] for match in matches("validating foreign key constraint", said)}
    checked = {oid for key, oid in keys if key in names and oid in dict(held) and before[oid].kind != "p"}
    verified = {match[1] for match in matches("verifying table", said)}
    scanned = checked | {oid for oid, relation in after.items() if relation.plain in verified}
    if "create table x partition of" in statement:
        scanned |= {oid for oid, old in before.items() if old.is_default and scans.get(oid) != earlier.get(oid)}
    return Trace(
        locks_of_trace(before, held),
        {before[oid].name for oid in renewed(before, after) if "insert" not in statement},
        {before[oid].name for oid in scanned if oid in before},
        built(before, after),
    )


def matches(beginning: str, said: Sequence[str]) -> Iterator[re.Match[str]]:
    return filter(None, (re.fullmatch(f'{beginning} "(.*)"', message) for message in said))


def locks_of_trace(before: dict[int, Traced], held: Sequence[tuple[int, str]]) -> dict[str, str]:
    locks: dict[str, str] = {}
    for oid, mode in held:
        if oid in before:
            known = locks.get(before[oid].name, mode)
            locks[before[oid].name] = max(mode, known, key=ORDER.index)
    return locks


def renewed(before: dict[int, Traced], after: dict[int, Traced]) -> Iterator[int]:
    """Yields the tables that have a new file with rows in it."""
    for oid, old in before.items():
        new = after.get(oid)
        if new and old.kind in ("r", "m") and new.node != old.node and new.rows:
            yield oid


def built(before: dict[int, Traced], after: dict[int, Traced]) -> Counter[str]:
    """Counts the indexes with a new file on each table that has rows."""
    found: Counter[str] = Counter()
    nodes = {relation.node for relation in before.values()}
    for index in after.values():
        table = after.get(index.table or 0)
        is_new = index.kind == "i" and index.node not in nodes
        if is_new and index.table in before and table and table.rows:
            found[before[index.table or 0].name] += 1
    return found


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[str]:
    """A database in which every table has rows; every test rolls back."""
    name = f"observed_{os.getpid()}"
    execute(server.conninfo, f"create database {name}")
    execute(server.database(name), SCHEMA, "alter table lines add constraint lines_pk unique (id)", ROWS)
    yield server.database(name)
    execute(server.conninfo, f"drop database {name} with (force)")


def observed(connection: Connection, statement: str) -> Effects:
    """Runs a statement and rolls it back."""
    observer = Observer(connection)
    connection.run("begin")
    try:
        return observer.observe(lambda: [result.command for result in connection.transmit(statement)][-1])
    finally:
        connection.run("rollback")


def name(qualified: str) -> str:
    return qualified.removeprefix("public.")


def reported(effects: Effects) -> Trace:
    """Returns what was observed in the form of the trace."""
    works = effects.efforts
    return Trace(
        {name(lock.subject.name): f"{lock.mode.value.title().replace(' ', '')}Lock" for lock in effects.locks},
        {name(work.subject.name) for work in works if work.doing is Doing.REWRITES},
        {name(work.subject.name) for work in works if work.doing in (Doing.SCANS, Doing.CHECKS)},
        Counter(name(work.subject.name) for work in works if work.doing is Doing.BUILDS),
    )


def test_there_are_many_forms_of_ddl() -> None:
    assert len(STATEMENTS) >= 200


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_observer_reports_what_the_trace_shows(filled: str, server: Server, statement: str) -> None:
    if not has_syntax(server.version, statement):
        return  # tests/integration/test_locks.py checks that this version rejects it
    expected = traced(filled, statement)
    with closing(connect(filled, "observer")) as connection:
        assert reported(observed(connection, statement)) == expected
