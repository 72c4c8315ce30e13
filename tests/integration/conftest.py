"""Fixtures of the tests that use the scratch server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.server import embedded
from tests.servers import quick


@pytest.fixture(scope="session")
def scratch_home() -> Iterator[Path]:
    """A cache directory for the scratch servers of this process."""
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-scratch-", dir=quick()))
    directory.chmod(0o755)
    yield directory
    for data in (directory / "sqlmigrate").glob("scratch-*"):
        embedded.halt(str(data))
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def scratch_cache(scratch_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes sqlmigrate use the scratch servers of this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(scratch_home))
    return scratch_home
