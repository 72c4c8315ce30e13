"""What the rules on rewrites, scans and builds say is what the server does.

Each block of statements.sql is a schema and statements for it; the server tells at client_min_messages = debug1 what it
rewrites, reads and builds. Run with `pytest tests/lint/server_truth.py`, on either version of PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sqlmigrate.lint import Finding, Level, Options, lint
from sqlmigrate.lint.rules import FAMILIES
from tests.servers import Server, execute

BLOCKS = (Path(__file__).parent / "statements.sql").read_text().split("---\n")
WORK = ("rewriting", "verifying", "building index", "validating")
# The server does these without a word: it reads the DEFAULT partition, and the tables with a column of the domain.
SILENT = ("create table n partition of p", "alter domain dfree add")
# What PostgreSQL 15 does not know yet.
NEWER = (" virtual", " not enforced", "add not null", "constraint nn not null", "uuidv7", "set expression")
# What a lock alone does, or what is no work of the server's.
WORK_FAMILIES = ("Rewrites and scans under a blocking lock", "Indexes")
OTHER_MATTERS = (
    *("partition-of-locks-parent", "detach-not-concurrent", "redundant-index"),
    *(rule.name for family, rules in FAMILIES.items() if family not in WORK_FAMILIES for rule in rules),
)


def cases() -> list[object]:
    found: list[object] = []
    for block in BLOCKS:
        schema, _, statements = block.partition("##\n")
        found += [pytest.param(schema, line, id=line) for line in statements.splitlines() if line]
    return found


@pytest.fixture(scope="module")
def scratch(server: Server) -> Iterator[str]:
    execute(server.conninfo, "create database server_truth")
    yield server.database("server_truth")
    execute(server.conninfo, "drop database server_truth with (force)")


def work_done(conninfo: str, schema: str, statement: str) -> list[str]:
    """What the server says that it does; nothing of it stays."""
    said: list[str] = []
    with psycopg.connect(conninfo) as connection:
        connection.execute(schema.encode())
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute("set client_min_messages = debug1")
        said.clear()
        connection.execute(statement.encode())
        connection.rollback()
    return [line for line in said if any(word in line for word in WORK) and "pg_toast" not in line]


def found_by_rules(directory: Path, schema: str, statement: str) -> list[Finding]:
    (directory / "V1.0.0-001__schema.up.sql").write_text(schema)
    file = directory / "V1.0.0-002__statement.up.sql"
    file.write_text(statement)
    return lint([str(file)], options=Options(levels=dict.fromkeys(OTHER_MATTERS)))


@pytest.mark.parametrize(("schema", "statement"), cases())
def test_truth(scratch: str, tmp_path: Path, schema: str, statement: str) -> None:
    with psycopg.connect(scratch) as connection:
        version = connection.info.server_version
    if version < 180000 and any(word in statement for word in NEWER):
        with pytest.raises(psycopg.Error):
            work_done(scratch, schema, statement)
        return
    findings = found_by_rules(tmp_path, schema, statement)
    claimed = {finding.rule for finding in findings if finding.level is not Level.INFO}
    done = work_done(scratch, schema, statement)
    if any(finding.level is Level.INFO for finding in findings) and not claimed:
        return  # "cannot tell" is never wrong
    assert bool(done) == bool(claimed) or statement.startswith(SILENT), (done, claimed)
