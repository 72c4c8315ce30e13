"""`migrate --parallel 2` beside `migrate`: eight index builds on eight big tables."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import psycopg

from benchmarks.measuring import PAIRS, SQLMIGRATE, Timing, compare, create_database, directory, scaled, timed
from tests.servers import Server

TABLES = [f"big{n}" for n in range(1, 9)]
HISTORY = [f"migrations{suffix}" for suffix in ("", "_log", "_runs", "_totals")]


def parallel(server: Server) -> None:
    """A build itself uses no parallel workers: with two cores, a serial run would use both."""
    rows = scaled(1_000_000)
    conninfo = create_database(server)
    with directory() as path, psycopg.connect(conninfo, autocommit=True) as connection:
        for table in TABLES:
            fill = f"create table {table} as select n as id, md5(n::text) as name from generate_series(1, {rows}) n"
            connection.execute(fill.encode())
        for setting in ("max_parallel_maintenance_workers = 0", "maintenance_work_mem = '256MB'"):
            connection.execute(f"alter database {connection.info.dbname} set {setting}".encode())
        connection.execute("vacuum (freeze, analyze)")
        for word in ("", " concurrently"):
            write(path / "migrations", word)
            title = f"8 times create index{word}: --parallel 2, serial"
            compare(title, PAIRS, partial(run, connection, "--parallel", "2"), partial(run, connection))


def write(directory: Path, word: str) -> None:
    for n, table in enumerate(TABLES, 1):
        statement = f"create index{word} {table}_name on {table} (name);\n"
        (directory / f"V1.0.0-{n:03d}__index.up.sql").write_text(statement)


def run(connection: psycopg.Connection, *options: str) -> Timing:
    connection.execute(f"drop index if exists {', '.join(f'{table}_name' for table in TABLES)}".encode())
    connection.execute(f"drop table if exists {', '.join(HISTORY)}".encode())
    connection.execute("checkpoint")
    return timed([*SQLMIGRATE, "migrate", *options])
