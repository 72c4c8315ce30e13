"""`metrics --serve`: many scrapes, and what comes in between."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from itertools import islice
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.metrics.exporter import Exporter
from tests.faults.waiting import LIMIT, running, until
from tests.integration.test_audit import fill, settled
from tests.project import Project
from tests.prometheus import Samples, parsed
from tests.proxy import proxied
from tests.servers import LOCAL_BIN, Server, local

pytestmark = [pytest.mark.anywhere, pytest.mark.slow]

_LOG = logging.getLogger(__name__)
CONNECTIONS = "select count(*) from pg_stat_activity where application_name = 'sqlmigrate exporter'"
OURS = f"{CONNECTIONS} and datname = current_database()"


@contextlib.contextmanager
def serving(
    project: Project, address: str = "127.0.0.1:0", **environment: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with running(project, "metrics", "--serve", address, **environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving on http://"), process.communicate()
        yield line.split()[-1], process


def scraped(url: str) -> Samples:
    with urllib.request.urlopen(url, timeout=LIMIT) as answer:  # noqa: S310  # our own
        assert answer.status == 200
        return parsed(answer.read().decode())


def memory(process: subprocess.Popen[str]) -> int:
    """Resident kibibytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def test_twenty_clients_can_scrape_a_thousand_times(project: Project) -> None:
    fill(project)
    expected = settled(project)
    with proxied(project.database) as proxy, serving(replace(project, database=proxy.conninfo)) as (url, process):
        with ThreadPoolExecutor(20) as clients:
            assert all(seen == expected for seen in clients.map(scraped, [url] * 100))
            before, trips = memory(process), proxy.round_trips
            answers = list(clients.map(scraped, [url] * 1000))
        assert all(seen == expected for seen in answers)
        assert proxy.round_trips - trips == 1000
        assert project.value(OURS) == 1
        assert len(os.listdir(f"/proc/{process.pid}/task")) <= 3
        grown = memory(process) - before
        process.terminate()
        _, stderr = process.communicate(timeout=60)
    _LOG.info("from %s KiB grown by %s KiB", before, grown)
    assert grown < 4096
    assert stderr == ""
    until(lambda: project.value(OURS) == 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_the_exporter(project: Project, number: signal.Signals, code: int) -> None:
    with serving(project, SQLMIGRATE_LOG_FILE="log") as (url, process):
        assert scraped(url)["migration_up"] == 1
        process.send_signal(number)
        assert process.wait(timeout=60) == code
    assert (project.root / "log").read_text() == ""
    until(lambda: project.value(OURS) == 0)


def test_the_timeout_does_not_end_the_exporter(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    timers = []
    monkeypatch.setattr(Exporter, "serve", lambda *_: timers.append(signal.getitimer(signal.ITIMER_REAL)))

    run = project.cli("metrics", "--serve", ":0", SQLMIGRATE_TIMEOUT="1h")

    assert (run.returncode, timers) == (0, [(0.0, 0.0)])


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_the_exporter_reports_and_survives_an_outage(server: Server, tmp_path: Path, mode: str) -> None:
    with local(server.bin if (server.bin / "pg_ctl").exists() else LOCAL_BIN) as own:
        (tmp_path / "migrations").mkdir()
        project = Project(own, own.conninfo, tmp_path)
        fill(project)
        expected = settled(project)
        with serving(project) as (url, process):
            assert scraped(url) == expected
            own.stop(mode)
            assert scraped(url) == {"migration_up": 0}
            with ThreadPoolExecutor(20) as clients:
                answers = list(clients.map(scraped, [url] * 20))
            assert answers == [{"migration_up": 0}] * 20
            own.start()
            until(lambda: scraped(url)["migration_up"])
            assert scraped(url) == expected
            assert project.value(CONNECTIONS) == 1
            process.terminate()
            _, stderr = process.communicate(timeout=60)
        lines = stderr.splitlines()
        assert "could not read the metrics: could not connect to the database" in lines[0]
        assert "the metrics can be read again" in lines[1]
        assert len(lines) == 2


def test_the_exporter_starts_without_a_database(project: Project) -> None:
    with serving(project, DATABASE_URL="postgresql://postgres@127.0.0.1:1/nowhere") as (url, _):
        assert scraped(url) == {"migration_up": 0}


def test_a_locked_log_table_does_not_block_a_scrape_for_long(project: Project) -> None:
    fill(project)
    with serving(project) as (url, _):
        assert scraped(url)["migration_up"] == 1
        with psycopg.connect(project.database) as other:
            other.execute("lock table migrations_log in access exclusive mode")
            seen = scraped(url)
        assert seen == {"migration_up": 0}
        until(lambda: scraped(url)["migration_up"])
        assert project.value(OURS) == 1


def test_a_closed_idle_connection_is_not_an_outage(project: Project) -> None:
    project.query(f"alter database {project.value('select current_database()')} set idle_session_timeout = '300ms'")
    with serving(project) as (url, process):
        assert scraped(url)["migration_up"] == 1
        until(lambda: project.value(OURS) == 0)
        assert scraped(url)["migration_up"] == 1
        process.terminate()
        assert process.communicate(timeout=60)[1] == ""


def test_scrapes_do_not_queue_behind_a_hanging_database(server: Server, tmp_path: Path) -> None:
    """Uses a separate server: while one of its processes is stopped, no database can be created or dropped there."""
    with local(server.bin if (server.bin / "pg_ctl").exists() else LOCAL_BIN) as own:
        (tmp_path / "migrations").mkdir()
        project = Project(own, own.conninfo, tmp_path)
        fill(project)
        with serving(project) as (url, _), ThreadPoolExecutor(10) as clients:
            assert scraped(url)["migration_up"] == 1
            backend = project.value(OURS.replace("count(*)", "pid"))
            os.kill(backend, signal.SIGSTOP)
            try:
                scrapes = [clients.submit(scraped, url) for _ in range(6)]  # whichever is first hangs with it
                seen = [scrape.result() for scrape in islice(as_completed(scrapes), 5)]
            finally:
                os.kill(backend, signal.SIGCONT)
            assert seen == [{"migration_up": 0}] * 5
            assert all(scrape.result()["migration_up"] in (0, 1) for scrape in scrapes)
            until(lambda: scraped(url)["migration_up"])


def test_a_silent_client_does_not_block_other_clients(project: Project) -> None:
    with serving(project) as (url, process):
        port = int(url.rpartition(":")[2].partition("/")[0])
        with contextlib.ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            assert scraped(url)["migration_up"] == 1
        until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) <= 3)
        process.terminate()
        assert process.communicate(timeout=60)[1] == ""


def test_addresses_are_parsed_and_checked(project: Project) -> None:
    with serving(project, "[::1]:0") as (url, _):
        assert url.startswith("http://[::1]:")
        assert scraped(url)["migration_up"] == 1
    with serving(project, ":0") as (url, _):
        port = url.rpartition(":")[2].partition("/")[0]
        assert scraped(url)["migration_up"] == 1
        taken = project.cli("metrics", "--serve", f":{port}")
    assert taken.returncode == 2
    assert f'could not listen on ":{port}": Address already in use' in taken.stderr
    for wrong in ("10187", "localhost", ":99999", ":x", "", "[:10187", "::1]:10187", "[]:10187"):
        run = project.cli("metrics", "--serve", wrong)
        assert (run.returncode, "invalid address" in run.stderr) == (2, True), run.stderr


def test_the_exporter_does_not_start_without_a_directory_of_migrations(project: Project) -> None:
    run = project.cli("metrics", "--serve", ":0", SQLMIGRATE_DIR="nowhere")
    assert run.returncode == 2
    assert "nowhere" in run.stderr


def test_dripping_clients_neither_keep_threads_nor_stop_a_scrape(project: Project) -> None:
    with serving(project) as (url, process), contextlib.ExitStack() as stack:
        host, port = url.removeprefix("http://").removesuffix("/metrics").split(":")
        for _ in range(300):
            client = stack.enter_context(socket.create_connection((host, int(port)), timeout=LIMIT))
            client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")

        assert scraped(url)["migration_up"] == 1
        assert int(Path(f"/proc/{process.pid}/status").read_text().split("Threads:")[1].split()[0]) < 100


def test_a_client_that_drips_is_closed_in_time(project: Project) -> None:
    with serving(project) as (url, _):
        host, port = url.removeprefix("http://").removesuffix("/metrics").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
            until(lambda: is_closed_after_a_byte(client))


def is_closed_after_a_byte(client: socket.socket) -> bool:
    client.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        client.sendall(b"x")
        return not client.recv(1000)
    return False
