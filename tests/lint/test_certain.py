"""The server refuses exactly the lines that cases/certain.txt labels, and the linter reports these as errors."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from benchmarks.linters import statements
from sqlmigrate.lint import Level, Options, lint
from sqlmigrate.lint.reading import units
from tests.lint.cases import LabelledFile, labelled_in
from tests.servers import Server

CASES = [pytest.param(case, id=case.name) for case in labelled_in("certain.txt")]


def refused(conninfo: str, case: LabelledFile) -> set[int]:
    """Returns the lines of the statements that the server refuses."""
    lines = set()
    with psycopg.connect(conninfo, autocommit=True) as connection:
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
    findings = lint([str(case.write(tmp_path))], options=Options(postgres=server.version))
    assert {finding.location.line for finding in findings if finding.level is Level.ERROR} == case.hazards


def test_each_line_is_one_statement() -> None:
    for case in labelled_in("certain.txt"):
        assert [list(lines) for lines in statements(case.sql)] == [[n + 1] for n in range(len(case.sql.splitlines()))]
