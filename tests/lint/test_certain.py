"""The server refuses exactly the lines that the files label; the linter reports them as errors."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from benchmarks.linters import statements
from sqlmigrate.lint import Level, Options, lint
from sqlmigrate.lint.reading import units
from tests.lint.cases import LabelledFile, labelled_in
from tests.servers import Server
from tests.versions import has_syntax

FILES = ("certain.txt", "values.txt", "definitions.txt", "rows.txt", "queries.txt")
CASES = [pytest.param(case, id=case.name) for file in FILES for case in labelled_in(file)]


def refused(conninfo: str, case: LabelledFile) -> set[int]:
    """Returns the lines of the statements that the server refuses; skips the test if it is too old for the syntax."""
    lines = set()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        if not has_syntax(connection.info.server_version // 10_000, case.earlier + case.sql):
            pytest.skip("the syntax is newer than the server")
        connection.execute(case.earlier.encode())
        for unit in units("-", [case.sql]):
            if unit.statement is not None:
                try:
                    connection.execute(unit.item.text.encode())
                except psycopg.Error:
                    lines.add(unit.item.line)
    return lines


@pytest.mark.parametrize("case", CASES)
def test_server_refuses_the_labelled_lines(case: LabelledFile, database: str) -> None:
    assert refused(database, case) == case.hazards


@pytest.mark.parametrize("case", CASES)
def test_linter_reports_the_labelled_lines_as_errors(case: LabelledFile, tmp_path: Path, server: Server) -> None:
    if not has_syntax(server.version, case.earlier + case.sql):
        pytest.skip("the syntax is newer than the server")
    findings = lint([str(case.write(tmp_path))], options=Options(postgres=server.version))
    assert {finding.location.line for finding in findings if finding.level is Level.ERROR} == case.hazards


def test_each_line_is_one_statement() -> None:
    for case in (case for file in FILES for case in labelled_in(file)):
        assert [list(lines) for lines in statements(case.sql)] == [[n + 1] for n in range(len(case.sql.splitlines()))]


NO_CLASS = {
    "create table t (a text);": "create index i on t using gin (a);",
    "create table t (a int, b jsonb);": "create index i on t using gin (a, b);",
    "create table t (b text);": "create index i on t using gist (b);",
    "create table t (c int);": "create index i on t using gist (c);",
}


@pytest.mark.parametrize("earlier", NO_CLASS)
def test_with_a_complete_history_no_extension_has_an_operator_class(
    earlier: str, database: str, tmp_path: Path
) -> None:
    (tmp_path / "V1.0.0-001__earlier.up.sql").write_text(earlier)
    file = tmp_path / "V1.0.0-002__new.up.sql"
    file.write_text(NO_CLASS[earlier])
    levels = [
        {finding.level for finding in lint([str(file)], options=Options(complete=complete))}
        for complete in (True, False)
    ]
    assert Level.ERROR in levels[0]
    assert Level.ERROR not in levels[1]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(earlier.encode())
        with pytest.raises(psycopg.errors.UndefinedObject):
            connection.execute(NO_CLASS[earlier].encode())
