"""Compares runs with pending migrations with psql and with the least script."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import (
    PAIRS,
    SQLMIGRATE,
    Timing,
    compare,
    create_database,
    directory,
    scaled,
    show,
    timed,
    write_migrations,
)
from tests.servers import ROOT, Server, execute

NOTICES = "do $$ begin for n in 1..{count} loop raise notice 'row % of the table was changed', n; end loop; end $$;\n"


def migrate(server: Server) -> None:
    both_ways(server, scaled(1000))
    with_the_least_script(server, scaled(10_000))
    notices(server, scaled(100_000))


def both_ways(server: Server, count: int) -> None:
    """Runs migrations and rolls them back; psql sends the same files, each in a transaction with its history row."""
    assert execute(server.conninfo, "show fsync") == [("on",)]
    with directory() as path:
        files = write_migrations(path, count)
        downs = [file.with_name(file.name.replace(".up.", ".down.")) for file in files]
        for n, down in enumerate(downs, 1):
            down.write_text(f"drop table t{n};\n")
        forward = write_forward_script(path, files)
        backward = path / "backward.psql"
        pairs = zip(reversed(downs), reversed(files), strict=True)
        backward.write_text("".join(_transaction(down, _forget(file)) for down, file in pairs))

        def ours() -> tuple[Timing, Timing]:
            create_database(server)
            forward_timing = timed([*SQLMIGRATE, "migrate"])
            execute(server.conninfo, "checkpoint")
            return forward_timing, timed([*SQLMIGRATE, "rollback", "--steps", str(count), "--yes"])

        def theirs() -> tuple[Timing, Timing]:
            conninfo = create_database(server)
            forward_timing = timed(psql(server, conninfo, "-f", forward))
            execute(server.conninfo, "checkpoint")
            return forward_timing, timed(psql(server, conninfo, "-f", backward))

        rounds = [(ours(), theirs()) for _ in range(PAIRS)]
        for way, title in enumerate(("migrations", "rollbacks")):
            show(f"{count:,} {title}: sqlmigrate, psql", [(our[way], their[way]) for our, their in rounds])


def with_the_least_script(server: Server, count: int) -> None:
    with directory() as path, without_fsync(server):
        write_migrations(path, count)

        def ours() -> Timing:
            create_database(server)
            return timed([*SQLMIGRATE, "migrate"])

        def theirs() -> Timing:
            create_database(server)
            return timed([sys.executable, ROOT / "benchmarks" / "least.py", path / "migrations"])

        compare(f"{count:,} migrations, fsync off: sqlmigrate, script", PAIRS, ours, theirs)


def notices(server: Server, count: int) -> None:
    with directory() as path:
        file = path / "migrations" / "V1.0.0-001__notices.up.sql"
        file.write_text(NOTICES.format(count=count))

        def ours() -> Timing:
            create_database(server)
            return timed([*SQLMIGRATE, "migrate"])

        def theirs() -> Timing:
            return timed(psql(server, create_database(server), "-1", "-f", file))

        compare(f"{count:,} notices: sqlmigrate, psql -1", PAIRS, ours, theirs)


@contextmanager
def without_fsync(server: Server) -> Iterator[None]:
    execute(server.conninfo, "alter system set fsync = off", "select pg_reload_conf()")
    yield
    execute(server.conninfo, "alter system reset fsync", "select pg_reload_conf()")


def write_forward_script(path: Path, files: Iterable[Path]) -> Path:
    """Writes a script for psql that runs each file in a transaction with its history row."""
    script = path / "forward.psql"
    create = "create table history (name text primary key, applied_at timestamptz not null default now());\n"
    script.write_text(create + "".join(_transaction(file, _record(file)) for file in files))
    return script


def psql(server: Server, conninfo: str, *arguments: str | Path) -> Sequence[str | Path]:
    return [server.bin / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", conninfo, *arguments]


def _transaction(file: Path, record: str) -> str:
    return f"begin;\n\\i {file}\n{record};\ncommit;\n"


def _record(file: Path) -> str:
    return f"insert into history (name) values ('{file.name}')"


def _forget(file: Path) -> str:
    return f"delete from history where name = '{file.name}'"
