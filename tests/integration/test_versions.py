"""PostgreSQL's versions: what is too old is refused by name, also by commands that only read."""

from __future__ import annotations

import pytest

from sqlmigrate.errors import DatabaseError
from sqlmigrate.server import connection
from tests.project import Project
from tests.servers import execute


def version(project: Project) -> str:
    """The server's version as 18.4."""
    number = int(str(execute(project.database, "show server_version_num")[0][0]))
    return f"{number // 10_000}.{number % 10_000}"


@pytest.mark.parametrize("command", ["migrate", "status", "check", "lock_holder"])
def test_a_server_that_is_too_old_is_refused_by_name(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(connection, "OLDEST_POSTGRES", 99)
    project.add(1, "create table t ()")

    with pytest.raises(DatabaseError) as refused:
        getattr(project.migrator(), command)()

    assert refused.value.message == f"PostgreSQL {version(project)} is not supported"
    assert refused.value.hint == "sqlmigrate requires PostgreSQL 99 or newer"
    assert project.value("select to_regclass('t') is null and to_regclass('migrations') is null")
