"""Tests docker-compose.yml as users run it: migrate, roll back, two runs at once, a stop during a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time

import psycopg

from tests.containers.conftest import PASSWORD, Compose, docker
from tests.delivery.workflows import checkout

DEVELOPMENT = ("docker-compose.dev.yml",)


def wait_for(compose: Compose, statement: str) -> None:
    deadline = time.monotonic() + 120
    while compose.query(statement) != "t":
        assert time.monotonic() < deadline, statement
        time.sleep(0.1)


def states(compose: Compose) -> list[str]:
    output = compose.migrate("status", "--format", "json", "--log-level", "error")
    result = json.loads(output[output.index("{") : output.rindex("}") + 1])
    return [migration["state"] for migration in result["migrations"]]


def test_up_exits_with_0_after_all_migrations_are_applied(compose: Compose) -> None:
    start = time.monotonic()
    output = compose("up", "--exit-code-from", "migrate")
    seconds = time.monotonic() - start

    print(f"from `up` on nothing to exit code 0 in {seconds:.1f} s")
    assert "migrations applied" in output
    assert PASSWORD not in output


def test_migrations_are_applied_rolled_back_and_applied_again(running: Compose) -> None:
    count = len(list(running.migrations.glob("*.up.sql")))
    running.migrate("migrate")
    assert states(running) == ["applied"] * count

    running.migrate("rollback", "--steps", "3", "--yes")
    assert states(running) == ["applied"] * (count - 3) + ["pending"] * 3
    running.migrate("check", code=3)

    running.migrate("migrate")
    running.migrate("check")
    running.migrate("validate")
    assert states(running) == ["applied"] * count


def test_a_failed_migration_fails_the_container(compose: Compose) -> None:
    (compose.migrations / "V9.0.0-001__broken.up.sql").write_text("select 1 / 0;\n")

    output = compose("up", "--exit-code-from", "migrate", code=1)

    assert "V9.0.0-001__broken.up.sql:1" in output
    assert PASSWORD not in output


def test_two_runs_at_once_apply_each_migration_once(running: Compose) -> None:
    running.migrate("lock-status")
    (running.migrations / "V0.0.1-001__slow.up.sql").write_text("select pg_sleep(1);\n")
    count = len(list(running.migrations.glob("*.up.sql")))

    both = [running.start("run", "--rm", "-T", "migrate") for _ in range(2)]
    outputs = [process.communicate()[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert running.query("select count(*) from migrations_log where outcome = 'success'") == str(count)
    assert running.query("select count(*) from migrations where success") == str(count)


def test_docker_stop_rolls_back_a_running_migration_at_once(running: Compose) -> None:
    running.migrate("migrate")
    (running.migrations / "V9.0.0-001__long.up.sql").write_text("create table half (a int);\nselect pg_sleep(300);\n")
    container = running("run", "-d", "-T", "migrate").strip().splitlines()[-1]
    wait_for(running, "select exists (select from pg_stat_activity where wait_event = 'PgSleep')")

    start = time.monotonic()
    docker("stop", container)
    seconds = time.monotonic() - start

    print(f"stopped in {seconds:.1f} s")
    assert seconds < 8  # docker kills it after ten
    assert docker("inspect", "-f", "{{.State.ExitCode}}", container).stdout.strip() == "143"
    docker("rm", container)
    assert running.query("select to_regclass('half') is null") == "t"
    assert running.query("select exists (select from pg_locks where locktype = 'advisory')") == "f"
    assert running.query("select success from migrations where version = 'v9.0.0-001'") == "f"


def test_docker_inspect_and_logs_do_not_show_the_password(running: Compose) -> None:
    container = running("run", "-d", "-T", "migrate").strip().splitlines()[-1]
    try:
        assert docker("wait", container).stdout.strip() == "0"
        assert PASSWORD not in docker("inspect", container).stdout
        assert PASSWORD not in docker("logs", container).stdout
    finally:
        docker("rm", "-f", container)


def in_development(compose: Compose, statement: str) -> str:
    psql = ("psql", "-XAtq", "-U", "postgres", "-d", "alert_agent", "-c", statement)
    return compose("exec", "-T", "postgres", *psql, files=DEVELOPMENT).strip()


def wait_in_development(compose: Compose, statement: str) -> None:
    psql = f'psql -XAtq -U postgres -d alert_agent -c "{statement}" 2>/dev/null || true'  # the database may be starting
    deadline = time.monotonic() + 120
    while compose("exec", "-T", "postgres", "sh", "-c", psql, files=DEVELOPMENT).strip() != "t":
        assert time.monotonic() < deadline, statement
        time.sleep(0.1)


def test_the_file_for_development_starts_the_database_by_itself(compose: Compose) -> None:
    """As AlertAgent's handbook says: `up -d postgres`, then `--profile migration up migrate`."""
    for name in ("docker-compose.yml", ".local/secrets/db_password"):
        (compose.directory / name).unlink()

    compose("up", "-d", "postgres", files=DEVELOPMENT)
    output = compose("--profile", "migration", "up", "migrate", files=DEVELOPMENT)

    assert "migrations applied" in output
    assert in_development(compose, "select bool_and(success) from migrations") == "t"
    address = compose("port", "postgres", "5432", files=DEVELOPMENT).strip()
    assert address.startswith("127.0.0.1:")
    with psycopg.connect(f"postgresql://postgres:password@{address}/alert_agent") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_saved_file_is_applied_in_development(compose: Compose) -> None:
    compose("up", "-d", files=DEVELOPMENT)
    wait_in_development(compose, "select to_regclass('migrations') is not null")
    wait_in_development(compose, "select coalesce((select bool_and(success) from migrations), false)")
    (compose.migrations / "V9.0.0-001__saved.up.sql").write_text("create table saved (a int);\n")

    wait_in_development(compose, "select to_regclass('saved') is not null")


def test_migrate_setup_creates_rolls_back_and_removes_the_database(compose: Compose) -> None:
    checkout(compose.directory)
    (compose.directory / ".local" / "secrets" / "db_password").unlink()
    files = [word for word in compose.command() if word.endswith(".yml")]
    environment = {**os.environ, "COMPOSE_PROJECT_NAME": compose.name, "COMPOSE_FILE": ":".join(files)}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=compose.directory, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "migrations applied" in run("make", "migrate-docker")
    assert "migrations applied" not in run("scripts/migrate-setup.sh", "--docker")
    run("scripts/migrate-setup.sh", "--docker", "--rollback", "--target", "v2.0.0-001")
    assert len(re.findall(r"^.*\bv\d\S+ .*applied", run("make", "migrate-docker-status"), re.MULTILINE)) == 3
    run("make", "migrate-docker-validate")
    assert "migrations applied" in run("scripts/migrate-setup.sh", "--docker", "--clean")
