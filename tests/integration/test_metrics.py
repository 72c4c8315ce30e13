"""What the metrics say, and the ways out but for the server."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from urllib.parse import unquote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate import load_settings
from sqlmigrate.errors import ConfigurationError, ConnectionFailed, SqlMigrateError
from sqlmigrate.metrics.exporter import Exporter
from sqlmigrate.server.lock import key_of
from sqlmigrate.target import Target
from tests.faults.waiting import running, until, until_asleep
from tests.integration.test_audit import break_off, fill, first_format, settled
from tests.integration.test_pgbouncer import pooled  # noqa: F401  # a fixture
from tests.project import Project
from tests.prometheus import COUNTERS, Watch, parsed, read, samples

NOBODY = "postgresql://postgres@127.0.0.1:1/nowhere"


def test_a_database_that_was_never_migrated_says_zero(project: Project) -> None:
    project.add(1, "create table a ()")
    project.write("R__view.sql", "create view v as select 1")
    project.write("before_migrate.sql", "select 1")
    seen = read(project)
    assert seen["migration_up"] == 1
    assert seen["migration_pending"] == 2
    assert all(value == 0 for name, value in seen.items() if name not in ("migration_up", "migration_pending"))
    assert project.value("select to_regclass('migrations')") is None


def test_migrations_and_rollbacks_are_counted(project: Project) -> None:
    fill(project)
    seen = settled(project)
    assert [seen[name] for name in COUNTERS] == [1, 1, 1]
    assert seen["migration_pending"] == 2
    assert seen["migration_lock_held"] == 0
    last = project.value("select extract(epoch from logged_at) from migrations_log where outcome = 'success' limit 1")
    assert seen["migration_last_success_timestamp_seconds"] == pytest.approx(float(last))
    took = dict(project.query("select outcome, duration_ms from migrations_log where action = 'apply'"))
    assert seen["migration_duration_seconds v1.0.0-001 success"] == took["success"] / 1000
    assert seen["migration_duration_seconds v1.0.0-002 failure"] == took["failure"] / 1000
    assert seen["migration_duration_histogram_seconds_count success"] == 2
    assert seen["migration_duration_histogram_seconds_count failure"] == 1


def test_the_histogram_counts_by_duration(project: Project) -> None:
    fill(project)
    project.query("update migrations_log set duration_ms = id * 100")
    seen = read(project)
    name = "migration_duration_histogram_seconds_bucket"
    bounds = [float(key.rpartition(" ")[2]) for key in seen if key.startswith(f"{name} success")]
    assert bounds == sorted(bounds)
    assert (bounds[0], bounds[-2:]) == (0.01, [3600, float("inf")])
    counts = [seen[f"{name} {outcome} {bound}"] for outcome in ("success", "failure") for bound in (0.03, 0.1, 0.3, 1)]
    assert counts == [0, 1, 2, 2, 0, 0, 1, 1]
    assert seen["migration_duration_histogram_seconds_sum success"] == pytest.approx(0.4)


def test_the_last_duration_is_reported(project: Project) -> None:
    project.add(1, "select 1", "select 1")
    for seconds in (5, 3):
        project.migrator().migrate()
        project.query(
            f"update migrations_log set duration_ms = {seconds}000 where id = (select max(id) from migrations_log)"
        )
        project.migrator().rollback(steps=1)
    assert read(project)["migration_duration_seconds v1.0.0-001 success"] == 3


def test_a_failure_after_other_migrations_has_its_own_duration(project: Project) -> None:
    """Both are sent in one message, so the result of the first arrives together with the error of the second."""
    project.add(1, "select pg_sleep(1);")
    project.add(2, "select pg_sleep(0.5); select 1 / 0;")
    assert project.cli("migrate").returncode == 1

    between = "(extract(epoch from max(logged_at) - min(logged_at)) * 1000)::float8"
    ((apart, logged),) = project.query(
        f"select {between}, max(duration_ms) filter (where outcome = 'failure') from migrations_log"
    )
    row = project.value("select duration_ms from migrations where version = 'v1.0.0-002'")
    assert 500 <= row <= logged <= apart + 50  # the row is written first, and reads the clock itself


def test_a_run_in_progress_is_not_counted_as_a_failure(project: Project) -> None:
    project.add(1, "create table a ()")
    project.add(2, "select pg_sleep(60)")
    with running(project, "migrate"):
        until_asleep(project)
        seen = read(project)
    assert seen["migration_lock_held"] == 1
    assert seen["migration_failure_total"] == 0


def test_a_killed_run_is_counted_once_regardless_of_the_lock(project: Project) -> None:
    break_off(project)
    assert read(project)["migration_failure_total"] == 1
    assert read(project)["migration_success_total"] == 1
    with psycopg.connect(project.database) as other:  # such as a run that has not begun yet, or a cleanup
        other.execute(f"select pg_advisory_lock({key_of('public.migrations')})".encode())
        seen = read(project)
        assert (seen["migration_lock_held"], seen["migration_failure_total"]) == (1, 1)
    with Watch.over(project) as watch:
        until(lambda: watch.readings)
        project.add(2, "select 1")
        project.migrator().migrate()
    assert watch.decreases == []
    assert read(project)["migration_failure_total"] == 1
    assert read(project)["migration_success_total"] == 2


def test_an_interrupted_run_has_no_duration(project: Project) -> None:
    break_off(project)
    project.add(2, "select 1")
    project.migrator().migrate()
    seen = read(project)
    assert seen["migration_duration_seconds v1.0.0-002 failure"] == 0
    assert seen["migration_duration_histogram_seconds_count failure"] == 0


@pytest.mark.parametrize("workers", [3])
def test_counters_never_decrease_during_concurrent_runs(project: Project, workers: int) -> None:
    for number in range(1, 31):
        project.add(number, f"create table t{number} ()", f"drop table t{number}")
    with Watch.over(project) as watch:
        for command in (("migrate",), ("rollback", "--steps", "30", "-y")) * 2:
            with contextlib.ExitStack() as stack:
                started = [stack.enter_context(running(project, *command)) for _ in range(workers)]
                assert {process.wait() for process in started} <= {0, 1}
    assert watch.decreases == []
    assert watch.readings > 20
    assert watch.highest == {COUNTERS[0]: 60, COUNTERS[1]: 0, COUNTERS[2]: 60}


def test_a_table_of_format_1_is_read_without_an_upgrade(project: Project) -> None:
    first_format(project)
    assert read(project)["migration_success_total"] == 1
    assert project.value("select to_regclass('migrations_runs')") is None


def test_an_open_exporter_follows_an_upgrade_of_the_tables(project: Project) -> None:
    project.add(1, "create table a ()")
    with contextlib.closing(project.migrator().exporter()) as exporter:
        assert successes(exporter) == 0
        project.migrator().migrate()
        assert successes(exporter) == 1
        project.query("drop table migrations, migrations_log, migrations_runs, migrations_totals")
        with pytest.raises(SqlMigrateError):
            exporter.read()
        assert successes(exporter) == 0


def successes(exporter: Exporter) -> float:
    return samples(exporter.read())["migration_success_total"]


def test_a_locked_table_soon_raises_an_error(project: Project) -> None:
    fill(project)
    with psycopg.connect(project.database) as other:
        other.execute("lock table migrations_log in access exclusive mode")
        with pytest.raises(SqlMigrateError, match="lock timeout"):
            read(project)
    assert read(project)["migration_up"] == 1


def test_reading_requires_only_the_select_privilege(project: Project) -> None:
    fill(project)
    break_off_quietly(project)
    role = f"scraper_{os.getpid()}"
    project.query(
        f"create role {role} login",
        f"grant select on migrations, migrations_log, migrations_runs, migrations_totals to {role}",
    )
    try:
        scraper = psycopg.conninfo.make_conninfo(project.database, user=role)
        own = settled(project)
        assert read(Project(project.server, scraper, project.root)) == own
        assert own["migration_failure_total"] == 2
        project.add(4, "select pg_sleep(60)")
        project.add(2, "select 1", name="make_b")
        with running(project, "migrate"):
            until_asleep(project)
            seen = read(Project(project.server, scraper, project.root))
        assert (seen["migration_lock_held"], seen["migration_failure_total"]) == (1, 2)
    finally:
        project.query(f"drop owned by {role}", f"drop role {role}")


def break_off_quietly(project: Project) -> None:
    project.query(
        "insert into migrations_runs (run_id, action, versions, os_user, host, backend_pid, tool_version, began_at)"
        " values ('gone', 'apply', '{v1.0.0-009}', 'u', 'h', 1, '0', now() - interval '1 minute')"
    )


def test_the_command_prints_text_or_json(project: Project) -> None:
    fill(project)
    text = project.cli("metrics")
    assert text.returncode == 0, text.stderr
    name = project.value("select current_database()")
    labels = f'{{database="{name}",history_table="public.migrations"}}'
    assert f"# TYPE migration_success_total counter\nmigration_success_total{labels} 1.0\n" in text.stdout
    shown = json.loads(project.cli("metrics", "--format", "json").stdout)["metrics"]
    both = {"database": name, "history_table": "public.migrations"}
    assert {"name": "migration_pending", "labels": both, "value": 2.0} in shown
    assert parsed(text.stdout) == read(project)


def test_the_textfile_is_complete_and_readable(project: Project) -> None:
    fill(project)
    path = project.root / "sqlmigrate.prom"
    path.write_text("old")
    path.chmod(0o600)
    run = project.cli("metrics", "--textfile", "sqlmigrate.prom")
    assert (run.returncode, run.stdout) == (0, "")
    assert parsed(path.read_text()) == read(project)
    assert path.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in project.root.iterdir()) == ["migrations", "sqlmigrate.prom"]


def test_the_textfile_reports_that_the_database_is_unreachable(project: Project) -> None:
    path = project.root / "sqlmigrate.prom"
    run = project.cli("metrics", "--textfile", str(path), DATABASE_URL=NOBODY)
    assert run.returncode == 1
    text = path.read_text()
    assert parsed(text) == {"migration_up": 0}
    assert 'migration_up{database="nowhere",history_table="public.migrations"} 0.0' in text


def test_the_textfile_can_be_a_symbolic_link_or_a_pipe(project: Project) -> None:
    (project.root / "link.prom").symlink_to("there.prom")
    assert project.cli("metrics", "--textfile", "link.prom").returncode == 0
    assert (project.root / "link.prom").is_symlink()
    assert parsed((project.root / "there.prom").read_text()) == read(project)
    assert parsed(project.cli("metrics", "--textfile", "/dev/stdout").stdout) == read(project)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"db_host": "db.example", "db_name": "app"}, ("db.example:5432", "app")),
        ({"database_url": "postgresql://u@db/app", "db_port": "5433"}, ("db:5433", "app")),
        ({"database_url": "host=/run/postgresql user=u"}, (f"{socket.gethostname()}:5432", "u")),
        ({"database_url": "embedded:here"}, (f"{socket.gethostname()}:5432", "postgres")),
        ({"database_url": "postgresql://[", "db_port": "1"}, (f"{socket.gethostname()}:5432", "")),
    ],
)
def test_an_unreachable_database_keeps_its_label(given: dict[str, str], place: tuple[str, str]) -> None:
    assert Target(load_settings(given, {}), print).place == place


def test_a_service_file_can_name_the_database(project: Project) -> None:
    name = project.value("select current_database()")
    lines = "\n".join(f"{key}={value}" for key, value in conninfo_to_dict(project.database).items())
    (project.root / "services").write_text(f"[app]\n{lines}\n")
    told = project.cli("metrics", DATABASE_URL="service=app", PGSERVICEFILE=str(project.root / "services"))
    assert f'migration_up{{database="{name}",' in told.stdout


def test_an_unwritable_textfile_is_an_error(project: Project) -> None:
    run = project.cli("metrics", "--textfile", "not/there.prom")
    assert run.returncode == 1
    assert 'could not write file "not/there.prom": No such file' in run.stderr
    (project.root / "taken").mkdir()
    assert 'could not write file "taken"' in project.cli("metrics", "--textfile", "taken").stderr
    assert sorted(path.name for path in project.root.iterdir()) == ["migrations", "taken"]


class Gateway(http.server.BaseHTTPRequestHandler):
    """As much of a Pushgateway as a push sees; `taken` are what was put where, by whom."""

    taken: list[tuple[str, str | None, str]]
    status = 200

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.taken.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def gateway(status: int = 200) -> Iterator[tuple[str, list[tuple[str, str | None, str]]]]:
    handler = type("Handler", (Gateway,), {"taken": [], "status": status})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}", handler.taken  # type: ignore[attr-defined]
        server.shutdown()


def test_a_push_arrives(project: Project) -> None:
    fill(project)
    name = project.value("select current_database()")
    with gateway() as (where, taken):
        for url in (where, f"http://{where}/", f"http://us%40er:s3cret@{where}"):
            run = project.cli("metrics", "--push", url)
            assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    paths, authorized, bodies = zip(*taken, strict=True)
    group = f"database/{name}/history_table/public.migrations/instance/{socket.gethostname()}:5432"
    assert {unquote(path) for path in paths} == {f"/metrics/job/sqlmigrate/{group}"}
    assert authorized == (None, None, "Basic dXNAZXI6czNjcmV0")
    assert [parsed(body) for body in bodies] == [read(project)] * 3


@pytest.mark.parametrize("status", [400, 500])
def test_a_rejected_push_is_an_error(project: Project, status: int) -> None:
    with gateway(status) as (where, _):
        run = project.cli("metrics", "--push", f"http://user:s3cret@{where}")
    assert run.returncode == 1
    assert f"could not push the metrics to http://{where}: HTTP Error {status}" in run.stderr
    assert "s3cret" not in run.stderr + run.stdout


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://s3cret@nowhere.invalid", "http://:s3cret@[::1"])
def test_a_push_to_an_unreachable_gateway_is_an_error(project: Project, url: str) -> None:
    run = project.cli("metrics", "--push", url)
    assert run.returncode == 1
    assert "could not push the metrics" in run.stderr
    assert "Traceback" not in run.stderr
    assert "s3cret" not in run.stderr + run.stdout


def test_the_outputs_cannot_be_combined(project: Project) -> None:
    assert project.cli("metrics", "--textfile", "x", "--serve", ":0").returncode == 2


def test_without_prometheus_client_the_error_names_the_extra(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    with pytest.raises(ConfigurationError) as caught:
        read(project)
    assert caught.value.hint == "pip install 'sqlmigrate[metrics]'"


def test_without_a_database_the_command_fails(project: Project) -> None:
    with pytest.raises(ConnectionFailed):
        read(Project(project.server, NOBODY, project.root))


@pytest.mark.debian
def test_a_run_behind_a_pooler_is_counted_as_failed_only_after_it_is_killed(pooled: Project) -> None:  # noqa: F811  # the imported fixture
    """The backend that holds the lock is not the backend that runs the migration."""
    pooled.add(1, "create table a ()")
    pooled.add(2, "select pg_sleep(60)")
    with running(pooled, "migrate") as process:
        until_asleep(pooled)
        seen = read(pooled)
        assert (seen["migration_lock_held"], seen["migration_failure_total"]) == (1, 0)
        process.kill()
    until(lambda: read(pooled)["migration_lock_held"] == 0)
    assert read(pooled)["migration_failure_total"] == 1
    pooled.add(2, "select 1")
    pooled.migrator().migrate()
    assert read(pooled)["migration_failure_total"] == 1
