"""The monitor: it looks at the server of the run, delays nothing, and says once that it cannot look."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate.errors import StatementFailed
from sqlmigrate.events import Event, Notice, Warned
from sqlmigrate.server.connection import connect
from sqlmigrate.server.monitor import Monitor
from sqlmigrate.target import connect_beside
from tests.faults.waiting import until
from tests.project import Project
from tests.proxy import proxied


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A server that accepts connections and does not answer while it is open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_a_monitor_that_hears_nothing_does_not_delay_the_run(deaf: socket.socket) -> None:
    events: list[Event] = []
    address = f"host=127.0.0.1 port={deaf.getsockname()[1]} sslmode=disable connect_timeout=3600"
    monitor = Monitor(lambda: connect(address, "monitor"), 1, events.append)

    monitor.begin()
    monitor._next = 0
    monitor.tick()
    monitor.tick()
    monitor.close()

    assert monitor._thread is not None
    assert monitor._thread.is_alive()  # it still waits for an answer
    assert events == []
    deaf.close()
    monitor._thread.join()


def test_a_monitor_that_is_closed_while_it_looks_leaves_no_connection(project: Project) -> None:
    started, may_connect = threading.Event(), threading.Event()

    def open_late() -> object:
        started.set()
        may_connect.wait(30)
        return connect(project.database, "late monitor")

    monitor = Monitor(open_late, 1, lambda _: None)  # type: ignore[arg-type]
    monitor.begin()
    monitor._next = 0
    monitor.tick()
    assert started.wait(30)
    monitor.close()
    may_connect.set()
    thread = monitor._thread
    assert thread is not None
    thread.join(30)

    until(lambda: not project.backends("application_name = 'late monitor'"))


@pytest.mark.parametrize("limit", ["connection limit 1", "connection limit 1 noinherit"])
def test_a_role_of_one_connection_can_migrate_and_is_warned_once(project: Project, limit: str) -> None:
    role = f"single_{conninfo_to_dict(project.database)['dbname']}_{len(limit)}"
    project.query(f"create role {role} login {limit}", f"grant create on schema public to {role}")
    project.add(1, "select pg_sleep(1.5);")
    project.add(2, "-- sqlmigrate: lock-timeout=1min\nselect pg_sleep(1.5);")
    try:
        project.migrator(database_url=psycopg.conninfo.make_conninfo(project.database, user=role)).migrate()
        warnings = [event.message for event in project.events if isinstance(event, Warned)]

        assert len(warnings) == 1
        assert "cannot be shown" in warnings[0]
        assert "too many connections for role" in warnings[0]
        assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", True)]
    finally:
        project.query(f"drop owned by {role}", f"drop role {role}")


@pytest.mark.parametrize("attributes", ["", "load_balance_hosts=random", "target_session_attrs=read-write"])
def test_a_second_connection_goes_to_the_server_of_the_first(project: Project, attributes: str) -> None:
    with proxied(project.database) as first, proxied(project.database) as second:
        ports = ",".join(str(conninfo_to_dict(proxy.conninfo)["port"]) for proxy in (first, second))
        listed = psycopg.conninfo.make_conninfo(project.database, host="127.0.0.1,127.0.0.1", port=ports)
        both = psycopg.conninfo.make_conninfo(listed, **conninfo_to_dict(attributes))
        for _ in range(8):
            connection = connect(both, "first")
            beside = connect_beside(connection.parameters, "second")
            assert beside.parameters["port"] == connection.parameters["port"]
            connection.close()
            beside.close()


def test_a_backup_is_made_of_the_server_of_the_run(project: Project) -> None:
    with proxied(project.database) as first, proxied(project.database) as second:
        ports = ",".join(str(conninfo_to_dict(proxy.conninfo)["port"]) for proxy in (first, second))
        both = psycopg.conninfo.make_conninfo(
            project.database, host="127.0.0.1,127.0.0.1", hostaddr="127.0.0.1,127.0.0.1", port=ports
        )
        project.add(1, "create table t (a int)")
        project.migrator(database_url=both, backup=str(project.root / "backups")).migrate()

        assert second.round_trips == 0


def test_a_copy_that_the_server_reads_slowly_is_not_taken_for_a_dead_network(project: Project) -> None:
    project.query(
        "create table t (id int, note text)",
        "create function slow() returns trigger language plpgsql as $$ begin"
        " if new.id = 300 then perform pg_sleep(10); end if; return new; end $$",
        "create trigger slow before insert on t for each row execute function slow()",
    )
    rows = "".join(f"{n}\t{'x' * 1000}\n" for n in range(30_000))
    project.add(1, f"copy t from stdin;\n{rows}\\.\n")

    with proxied(project.database) as proxy:
        url = psycopg.conninfo.make_conninfo(proxy.conninfo, tcp_user_timeout=4000)
        project.migrator(database_url=url).migrate()

    assert project.value("select count(*) from t") == 30_000


@pytest.mark.parametrize("level", ["notice", "warning", "info", "log"])
def test_detail_and_hint_of_a_notice_are_shown(project: Project, level: str) -> None:
    options = "message = 'first', detail = 'second', hint = 'third'"
    project.add(1, f"set client_min_messages = log; do $$ begin raise {level} using {options}; end $$;")

    run = project.cli("migrate")

    assert f"    {level.upper()}: first\n    DETAIL:  second\n    HINT:  third\n" in run.stderr


def test_the_detail_of_a_servers_own_notice_is_reported(project: Project) -> None:
    project.query("create table t (a int)", "create view v1 as select a from t", "create view v2 as select a from t")
    project.add(1, "drop table t cascade;")

    project.migrator().migrate()

    notices = [event.message for event in project.events if isinstance(event, Notice)]
    assert notices == ["drop cascades to 2 other objects\nDETAIL:  drop cascades to view v1\ndrop cascades to view v2"]


def test_a_catalog_that_is_locked_for_a_moment_does_not_blind_the_monitor(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never waits for a lock; after a lock timeout it looks again soon, and warns of nothing."""
    monkeypatch.setattr("sqlmigrate.server.monitor._PAUSE", 3600)
    events: list[Event] = []
    monitor = Monitor(lambda: connect(project.database, "monitor"), 1, events.append)
    monitor._look()
    with psycopg.connect(project.database) as other:
        other.execute("lock table pg_catalog.pg_authid in access exclusive mode")
        monitor._look()
        monitor._take(monitor._seen)
        assert isinstance(monitor._seen, StatementFailed)

    def looks_again() -> bool:
        monitor.tick()
        return monitor.look is not None

    until(looks_again)
    assert events == []
    monitor.close()
