"""Fixtures for the image and for a compose project; scripts/with-containers.sh selects the engine and the images."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import ROOT

IMAGE = "sqlmigrate:test"
PASSWORD = 'p@ss: "w/rd"%20'  # noqa: S105  # the password of a database that exists only for a test


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("container")


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done


def build(name: str, directory: Path) -> None:
    arguments = [f"{key}={os.environ[key]}" for key in ("PYTHON_IMAGE", "CLIENT_IMAGE") if key in os.environ]
    docker(
        "build",
        "-q",
        "-t",
        name,
        *(word for argument in arguments for word in ("--build-arg", argument)),
        str(directory),
    )


@dataclass(frozen=True)
class Compose:
    """A compose project in its own directory, with the repository's files and its own database."""

    directory: Path
    name: str

    @property
    def migrations(self) -> Path:
        return self.directory / "migrations"

    @property
    def network(self) -> str:
        return f"{self.name}_default"

    def command(self, *arguments: str, files: tuple[str, ...] = ("docker-compose.yml",)) -> list[str]:
        return [
            *shlex.split(os.environ["COMPOSE"]),
            *("-p", self.name),
            *(word for file in files for word in ("-f", file)),
            *arguments,
        ]

    def start(self, *arguments: str, files: tuple[str, ...] = ("docker-compose.yml",)) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments, files=files),
            cwd=self.directory,
            env={**os.environ, "SQLMIGRATE_IMAGE": IMAGE, "POSTGRES_PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0, files: tuple[str, ...] = ("docker-compose.yml",)) -> str:
        process = self.start(*arguments, files=files)
        output, _ = process.communicate()
        assert process.returncode == code, output
        return output

    def migrate(self, *arguments: str, code: int = 0) -> str:
        return self("run", "--rm", "-T", "migrate", *arguments, code=code)

    def query(self, statement: str) -> str:
        return self("exec", "-T", "postgres", "psql", "-XAtq", "-U", "app", "-d", "app", "-c", statement).strip()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Builds the image once: the other workers of pytest-xdist wait, and then use its layers."""
    with (tmp_path_factory.getbasetemp().parent / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(IMAGE, ROOT)
    return IMAGE


@pytest.fixture
def compose(image: str, tmp_path: Path) -> Iterator[Compose]:
    """Returns the project before its start. Removes it with its data after the test."""
    for name in ("docker-compose.yml", "docker-compose.dev.yml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    secret = tmp_path / ".local" / "secrets" / "db_password"
    secret.parent.mkdir(parents=True)
    secret.write_text(PASSWORD)
    project = Compose(tmp_path, f"sqlmigrate-{os.getpid()}-{tmp_path.name.replace('_', '-')[-20:].strip('-')}".lower())
    yield project
    for name in ("docker-compose.yml", "docker-compose.dev.yml"):
        shutil.copy(ROOT / name, tmp_path)  # a test may have removed it
        project("down", "--volumes", "--remove-orphans", "--timeout", "2", files=(name,))


@pytest.fixture
def running(compose: Compose) -> Compose:
    """Returns the project with a running database, before any migration."""
    compose("up", "-d", "postgres")
    return compose


__all__ = ["PASSWORD", "Compose", "build", "docker"]
