"""The rewrites, scans, index builds and locks that the rules report are those of the server.

Each block of statements.sql is a schema and statements for it. With client_min_messages = debug1 the server reports its
rewrites, scans and index builds; pg_locks shows its locks. The tests compare only relations that existed before.
test_replay.py compares the results with `--replay`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from sqlmigrate.lint import Finding, Level, Options, lint
from sqlmigrate.lint.facts.holding import exclusively_locked
from sqlmigrate.lint.reading import units
from sqlmigrate.lint.rules import FAMILIES
from sqlmigrate.lint.schema.catalog import Catalog, Creation
from sqlmigrate.lint.schema.interpret import apply
from sqlmigrate.lint.schema.state import FileState, Statement
from tests.servers import Server, execute
from tests.versions import has_syntax

BLOCKS = (Path(__file__).parent / "statements.sql").read_text().split("---\n")
DOES = {
    "rewrites": re.compile('rewriting table "([^"]+)"'),
    "scans": re.compile('verifying table "([^"]+)"'),
    "builds": re.compile('building index ".+" on table "([^"]+)"'),
}
KEY = re.compile('validating foreign key constraint "([^"]+)"')
# What the messages of the rules say of it.
SAYS = {
    "rewrites": re.compile(r"\brewrites |copies "),
    "scans": re.compile("scans "),
    "builds": re.compile("builds (an index|indexes)"),
}
# The server does these without a word: it reads the DEFAULT partition, and the tables with a column of the domain.
SILENT = {
    "create table n partition of p": "scans",
    "alter domain dfree add": "scans",
    **dict.fromkeys(
        (
            "alter domain da add constraint x check",
            "alter domain da set not",
            "alter domain db add",
            "alter domain dv valid",
        ),
        "scans",
    ),
    "cluster w": "rewrites",
}
# What a lock alone does, or what is no work of the server's.
WORK_FAMILIES = ("Table rewrites and full table scans", "Indexes")
OTHER_MATTERS = (
    *("partition-of-locks-parent", "detach-not-concurrent", "redundant-index"),
    *(rule.name for family, rules in FAMILIES.items() if family not in WORK_FAMILIES for rule in rules),
)
RELATIONS = "c.oid >= 16384 and c.relkind in ('r', 'p', 'm', 'f')"
STANDING = f"select c.oid, c.relname from pg_class c where {RELATIONS}"
HELD = f"""
    select c.oid, l.mode from pg_locks l join pg_class c on c.oid = l.relation
    where l.pid = pg_backend_pid() and {RELATIONS}
"""
BARS_WRITERS = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
KEY_OF = "select conrelid::regclass::text from pg_constraint where contype = 'f' and conname = %s"
FAMILY = """
    with recursive family as (
        select inhparent as parent, inhrelid as child from pg_inherits
        union select f.parent, i.inhrelid from pg_inherits i join family f on i.inhparent = f.child
    )
    select parent::regclass::text, child::regclass::text from family
"""


class Seen(NamedTuple):
    """What the server does to existing relations while it blocks writes, and the locks that it holds.

    `family` are tables with their partitions and children, which are locked with them.
    """

    work: set[str]
    exclusively_locked: set[str]
    family: list[tuple[str, str]]


def cases() -> list[object]:
    found: list[object] = []
    for number, block in enumerate(BLOCKS):
        _, _, statements = block.partition("##\n")
        found += [pytest.param(number, line, id=line) for line in statements.splitlines() if line]
    return found


@pytest.fixture(scope="module")
def databases(server: Server) -> Iterator[list[str]]:
    """Yields a database for each block, with the schema of the block."""
    names = [f"server_truth_{number}" for number in range(len(BLOCKS))]
    execute(server.conninfo, *(f"create database {name}" for name in names))
    for name, block in zip(names, BLOCKS, strict=True):
        execute(server.database(name), block.partition("##\n")[0])
    yield [server.database(name) for name in names]
    execute(server.conninfo, *(f"drop database {name} with (force)" for name in names))


def seen(conninfo: str, statement: str) -> Seen:
    """Returns what the server does in a transaction, which it rolls back."""
    said: list[str] = []
    with psycopg.connect(conninfo, options="-c timezone=Europe/Berlin") as connection:
        standing: dict[int, str] = dict(connection.execute(STANDING).fetchall())
        family = connection.execute(FAMILY).fetchall()
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        connection.execute("set client_min_messages = debug1")
        said.clear()
        connection.execute(statement.encode())
        messages = list(said)
        held = [(standing[oid], mode) for oid, mode in connection.execute(HELD) if oid in standing]
        barred = {name for name, mode in held if mode in BARS_WRITERS}
        emptied = statement.startswith("truncate")  # it builds the indexes of no rows
        work = {what for what, of in _work(connection, messages) if of in barred and not emptied}
        connection.rollback()
    return Seen(work, {name for name, mode in held if mode == BARS_WRITERS[0]}, family)


def _work(connection: psycopg.Connection, messages: list[str]) -> Iterator[tuple[str, str]]:
    """Returns the work that the messages report, and its table."""
    for message in messages:
        for what, pattern in DOES.items():
            if match := pattern.match(message):
                yield what, match[1]
        if match := KEY.match(message):
            yield from (("scans", table) for (table,) in connection.execute(KEY_OF, [match[1]]))


def found_by_rules(directory: Path, schema: str, statement: str, version: int) -> list[Finding]:
    (directory / "V1.0.0-001__schema.up.sql").write_text(schema)
    file = directory / "V1.0.0-002__statement.up.sql"
    file.write_text(statement)
    return lint([str(file)], options=Options(levels=dict.fromkeys(OTHER_MATTERS), postgres=version))


def shut_out_by_rules(schema: str, statement: str) -> set[str]:
    """Returns the tables that the linter reports as locked ACCESS EXCLUSIVE after the statement."""
    catalog = Catalog()
    for part in _statements(schema):
        apply(catalog, part.kind, part.body, Creation(1, 0))
    state = FileState(2, "statement.sql")
    found: set[str] = set()
    for part in _statements(statement):
        found |= {name for _, name in exclusively_locked(part, catalog, state)}
        apply(catalog, part.kind, part.body, state.created)
    return found


def _statements(text: str) -> list[Statement]:
    return [unit.statement for unit in units("-", [text]) if unit.statement is not None]


@pytest.mark.parametrize(("number", "statement"), cases())
def test_server_agrees_with_the_cases(databases: list[str], tmp_path: Path, number: int, statement: str) -> None:
    conninfo, schema = databases[number], BLOCKS[number].partition("##\n")[0]
    with psycopg.connect(conninfo) as connection:
        version = connection.info.server_version // 10_000
    if not has_syntax(version, statement):
        with pytest.raises(psycopg.Error):
            seen(conninfo, statement)
        return
    server = seen(conninfo, statement)
    claimed = shut_out_by_rules(schema, statement)
    along = {child for parent, child in server.family if parent in claimed}
    assert claimed <= server.exclusively_locked <= claimed | along
    findings = found_by_rules(tmp_path, schema, statement, version)
    told = [finding.message for finding in findings if finding.level is not Level.INFO]
    if findings and not told:
        return  # "cannot tell" is never wrong
    work = {what for what, pattern in SAYS.items() if any(pattern.search(message) for message in told)}
    silent = {
        what for start, what in SILENT.items() if statement.startswith(start) and not statement.endswith(" not valid")
    }
    if silent:
        assert work == silent
    elif "rewrites" in server.work:  # whose rows are looked at and whose indexes are built on the way
        assert "rewrites" in work
    else:
        assert work | {"scans"} == server.work | {"scans"} if "builds" in work else work == server.work
