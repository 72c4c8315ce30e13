"""Measures how fast a scratch server works on 100,000 rows: the rates of estimates for tables without rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlmigrate.locks.effects import Doing
from sqlmigrate.planning.estimates import Rates
from sqlmigrate.server import sizes
from sqlmigrate.server.scratch import opened

if TYPE_CHECKING:
    from sqlmigrate.server.connection import Connection
    from sqlmigrate.server.scratch import ScratchServer

_DATABASE = "sqlmigrate sample"
_ROWS = 100_000
_SAMPLE = f"""
create table parents as select g as id from generate_series(1, {_ROWS // 10}) g;
alter table parents add primary key (id);
create table sample as
    select g as id, 1 + g % {_ROWS // 10} as parent, 'row ' || md5(g::text) as text from generate_series(1, {_ROWS}) g;
analyze"""
_STATEMENTS = {
    (Doing.SCANS, ""): "alter table sample add check (id > 0)",
    (Doing.CHECKS, ""): "alter table sample add foreign key (parent) references parents",
    (Doing.BUILDS, "btree"): "create index on sample (text)",
    (Doing.BUILDS, "hash"): "create index on sample using hash (text)",
    (Doing.BUILDS, "brin"): "create index on sample using brin (id)",
    (Doing.REWRITES, ""): "alter table sample alter parent type bigint",
}


def rates(server: ScratchServer) -> Rates:
    """Makes a table, and measures each kind of work on it."""
    with opened(server.create(_DATABASE)) as connection:
        try:
            connection.run(_SAMPLE)
            table = sizes.read(connection).tables["public.sample"]
            return Rates(table, {kind: _measured(connection, statement) for kind, statement in _STATEMENTS.items()})
        finally:
            connection.close()
            server.drop(_DATABASE)


def _measured(connection: Connection, statement: str) -> float:
    """Returns the duration of a statement in milliseconds, and rolls it back."""
    connection.run("begin")
    started = time.monotonic()
    connection.run(statement)
    ms = (time.monotonic() - started) * 1000
    connection.run("rollback")
    return ms
