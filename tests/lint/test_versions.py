"""The versions of PostgreSQL on which a statement runs are those on which the linter reports no error."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sqlmigrate.lint import Level, Options, lint
from tests.servers import Server
from tests.versions import RUNS, TABLES

VERSIONS = range(14, 19)


@pytest.mark.parametrize("sql", RUNS)
def test_the_linter_knows_the_versions_that_run_a_statement(sql: str, tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__earlier.up.sql").write_text(TABLES)
    file = tmp_path / "V1.0.0-002__new.up.sql"
    file.write_text(f"{sql};")
    found = {version: lint([str(file)], options=Options(postgres=version)) for version in VERSIONS}
    runs = [version for version in VERSIONS if Level.ERROR not in {finding.level for finding in found[version]}]
    assert runs == [*range(RUNS[sql][0], RUNS[sql][1] + 1)]


@pytest.mark.parametrize("sql", RUNS)
def test_the_server_runs_the_statement_on_these_versions(sql: str, database: str, server: Server) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLES)
        if RUNS[sql][0] <= server.version <= RUNS[sql][1]:
            connection.execute(sql.encode())
        else:
            with pytest.raises(psycopg.Error):
                connection.execute(sql.encode())
