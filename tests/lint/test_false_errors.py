"""The server fails on the files of these cases that have a finding of level error, and runs the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.lint import Level, lint
from tests.lint.cases import LabelledFile, labelled_in
from tests.servers import Server, execute
from tests.versions import has_syntax

RESET = (
    "drop schema if exists public, app, audit, elsewhere, other, old, next, draft cascade",
    "create schema public",
    "drop extension if exists postgres_fdw cascade",
)
_FAILURE = re.compile(r":(\d+): ERROR")
# The tables that cases without earlier files change, by the subject of the cases.
UNSEEN = {
    "needed index": 'create table "T" (id int primary key); create table users2 (id int primary key);'
    "create schema app; create table app.x (id int primary key); create table x (id int primary key, a int unique);",
    "partitioned": "create table metrics (id int) partition by list (id); create table r2 (id int);"
    "create schema app; create table app.metrics (id int) partition by list (id);"
    "create table m0 partition of metrics for values in (0);",
    "proof": "create table r (id int primary key); create table whole (a int) partition by range (a);"
    "create table ledger (a int references r, b int, constraint ledger_a_nn check (a is not null));"
    "create unique index ledger_a_idx on ledger (a);"
    "create table ledger2 (constraint ledger_a_nn check (true));"
    "create table part (a int not null, constraint part_bound check (a >= 1 and a < 10));",
}
# The tests' server has no prepared transactions and no foreign server.
NOT_RUN = ("own block: prepared", "partitioned: a foreign table as partition")


def cases() -> Iterator[object]:
    """Yields each case once: the schema is that of its earlier files, of UNSEEN, or of the shop."""
    by_name: dict[str, list[LabelledFile]] = {}
    for case in (*labelled_in("false.txt"), *labelled_in("names.txt")):
        by_name.setdefault(case.name, []).append(case)
    for name, variants in by_name.items():
        if not name.startswith(NOT_RUN):
            yield pytest.param(variants[0 if _unseen(variants[0]) else -1], id=name)


def created_in(sql: str) -> set[str]:
    return set(re.findall(r"create table (\w+)", sql))


def _unseen(case: LabelledFile) -> str:
    """Returns the tables that the case takes for granted; nothing if it creates them."""
    unseen = UNSEEN.get(case.name.partition(":")[0], "")
    return "" if created_in(unseen) & created_in(case.earlier) else unseen


@pytest.fixture(scope="module")
def scratch(server: Server) -> Iterator[str]:
    execute(server.conninfo, "create database false_errors")
    yield server.database("false_errors")
    execute(server.conninfo, "drop database false_errors with (force)")


@pytest.mark.parametrize("case", [*cases()])
def test_server_fails_where_the_linter_reports_an_error(
    case: LabelledFile, server: Server, scratch: str, tmp_path: Path
) -> None:
    if not has_syntax(server.version, case.sql):
        pytest.skip("the statements are those of a later version")
    execute(scratch, *RESET)
    rows = "insert into cache values ('k', 'v')" if "create table cache" in case.earlier else ""
    prepared = server.psql(scratch, "-c", _unseen(case) + case.earlier + rows)
    assert prepared.returncode == 0, prepared.stderr
    file = case.write(tmp_path)
    in_transaction = ["--single-transaction"] if "savepoint" in case.sql else []
    ran = server.psql(scratch, *in_transaction, "-f", str(file))
    found = (finding for finding in lint([str(file)]) if finding.rule != "transaction-refused")  # by sqlmigrate
    errors = [finding.location.line for finding in found if finding.level is Level.ERROR]
    failure = _FAILURE.search(ran.stderr)
    failed = [int(failure[1])] if failure else []
    assert errors[:1] == failed or (not errors and case.open.issuperset(failed)), ran.stderr
