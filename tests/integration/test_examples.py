"""The examples in examples/, run as a reader would run them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from sqlmigrate.errors import MigrationFailed, PlanRefused
from tests.project import Project
from tests.servers import ROOT

EXAMPLES = ROOT / "examples"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fastapi(project: Project, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("DATABASE_URL", project.database)
    shutil.copytree(EXAMPLES / "fastapi", project.root / "app")
    return load(project.root / "app" / "app.py")


def test_the_database_is_migrated_when_the_application_serves(fastapi: ModuleType, project: Project) -> None:
    from fastapi.testclient import TestClient

    with TestClient(fastapi.app) as client:
        assert client.get("/notes").json() == ["hello"]

    assert project.versions() == [("v1.0.0-001", True)]


def test_workers_that_start_together_migrate_once(fastapi: ModuleType, project: Project) -> None:
    with ThreadPoolExecutor(4) as pool:
        for started in [pool.submit(fastapi.migrate) for _ in range(4)]:
            started.result()

    assert project.value("select count(*) from notes") == 1


def test_the_application_does_not_serve_after_a_failed_migration(fastapi: ModuleType) -> None:
    from fastapi.testclient import TestClient

    (fastapi.MIGRATIONS / "V1.0.0-002__broken.up.sql").write_text("select 1 / 0;")

    with pytest.raises(MigrationFailed), TestClient(fastapi.app):
        pass


def test_the_traceback_of_the_application_names_the_file_and_what_is_wrong(fastapi: ModuleType) -> None:
    from fastapi.testclient import TestClient

    script = fastapi.MIGRATIONS / "V1.0.0-002__broken.up.sql"
    script.write_text("select 1;\nselect 1 / 0;")
    with pytest.raises(MigrationFailed) as failed, TestClient(fastapi.app):
        pass
    assert str(failed.value) == f"{script}:2:1: v1.0.0-002 failed: division by zero"

    script.write_text("select 1;\n\\gexec")
    with pytest.raises(PlanRefused) as refused, TestClient(fastapi.app):
        pass
    assert str(refused.value).startswith(f"nothing was run: {script}:2:1: ")


def test_the_tests_of_the_pytest_example_pass(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLMIGRATE_TEST_SERVER", project.server.conninfo)
    directory = shutil.copytree(EXAMPLES / "pytest", project.root / "example")
    (directory / "pytest.ini").write_text("[pytest]\n")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=directory)

    assert "3 passed" in done.stdout, done.stdout
