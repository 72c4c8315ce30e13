"""Snapshots: pg_dump is the oracle. Two snapshots differ exactly when the dumps differ."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sqlmigrate.catalog.reading import read
from sqlmigrate.catalog.snapshot import Key, Snapshot
from sqlmigrate.server.connection import Connection, connect
from sqlmigrate.testing import snapshot
from tests.integration.mutations import CREATE_ROLE, ROLES, SCHEMA, Mutations
from tests.project import Project
from tests.servers import Server, execute

SAMPLE = 100
MANY = int(os.environ.get("SNAPSHOT_MUTATIONS", "2000"))
# The settings of the session that restores, and what differs from run to run.
_NOISE = re.compile(
    r"^(SET |SELECT pg_catalog\.set_config|\\(un)?restrict |\\connect |-- Dumped |-- PostgreSQL database)"
)
_SECTION = re.compile(r"^--\n-- Name: .*\n--\n", re.MULTILINE)


class Schema:
    """A database with a rich schema, which is dumped and read."""

    def __init__(self, server: Server, conninfo: str) -> None:
        self.server = server
        self.conninfo = conninfo
        self.name = str(psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"])
        self.connection = connect(conninfo, "test")

    def dump(self) -> list[str]:
        """Returns the sections of the dump, sorted: their order depends on the OIDs of what has the same name."""
        text = self.server.dump(self.conninfo, "--schema-only", "--create").decode()
        lines = [line for line in text.splitlines() if line and not _NOISE.match(line)]
        sections = _SECTION.split("\n".join(lines).replace("--\n--\n", "--\n"))
        return sorted(_settled(section) for section in sections)

    def read(self) -> Snapshot:
        return read(self.connection)

    def change(self, statement: str) -> bool:
        """Runs statements in one transaction, or outside one; returns whether they succeeded."""
        try:
            execute(self.conninfo, statement)
        except psycopg.Error:
            return False
        return True


def _settled(section: str) -> str:
    """Sorts the lines of grants, whose order is that of their history."""
    lines = section.splitlines()
    is_grants = all(
        line.startswith(("GRANT ", "REVOKE ", "--", "ALTER DEFAULT", "ALTER ROLE", "ALTER DATABASE")) for line in lines
    )
    return "\n".join(sorted(lines) if is_grants else lines)


@pytest.fixture
def schema(server: Server, database: str) -> Iterator[Schema]:
    execute(server.conninfo, *(CREATE_ROLE.format(role) for role in ROLES))
    execute(database, SCHEMA)
    made = Schema(server, database)
    yield made
    made.connection.close()
    execute(server.conninfo, *(f"alter role {role} in database {made.name} reset all" for role in ROLES))


def disagreements(schema: Schema, seed: int, count: int) -> list[str]:
    """Runs random statements; returns those after which snapshot and dump disagree on whether there is a change."""
    mutations = Mutations(seed, schema.name)
    dump, snapshot, found, ran, changed = schema.dump(), schema.read(), [], 0, 0
    while ran < count:
        statement = mutations.next()
        if not schema.change(statement):
            continue
        ran += 1
        new_dump, new_snapshot = schema.dump(), schema.read()
        changed += new_dump != dump
        if (new_dump != dump) != (new_snapshot.digest != snapshot.digest):
            found.append("\n".join([statement, *_shown(set(dump), set(new_dump)), *_differing(snapshot, new_snapshot)]))
        dump, snapshot = new_dump, new_snapshot
    assert changed > count / 3
    return found


def _shown(before: set[str], after: set[str]) -> list[str]:
    return [f"dump {sign} {text}" for sign, texts in (("-", before - after), ("+", after - before)) for text in texts]


def _differing(before: Snapshot, after: Snapshot) -> list[str]:
    keys = sorted(before.objects.keys() | after.objects.keys())
    pairs = ((key, before.objects.get(key), after.objects.get(key)) for key in keys)
    return [f"snapshot {key}: {old} -> {new}" for key, old, new in pairs if old != new]


def test_a_restored_dump_has_the_same_snapshot(schema: Schema, server: Server) -> None:
    before = schema.read()
    dump = (
        server.dump(schema.conninfo, "--schema-only", "--create").decode().replace(schema.name, f"{schema.name}_copy")
    )
    try:
        assert server.psql(server.conninfo, stdin=dump).returncode == 0
        copy = Schema(server, server.database(f"{schema.name}_copy"))
        assert _differing(before, copy.read()) == []
        copy.connection.close()
    finally:
        execute(server.conninfo, f"drop database if exists {schema.name}_copy")


def test_dropped_columns_and_the_order_of_creation_leave_no_trace(schema: Schema) -> None:
    before = schema.read()
    for statement in (
        "create schema first; drop schema first",
        "alter table app.orders add gone int; alter table app.orders drop gone",
        "drop index app.log_level; create index log_level on app.log (level)",
        "alter type app.mood rename to feeling; alter type app.feeling rename to mood",
        "insert into app.customers (name) values ('a'); update app.customers set name = 'b'; delete from app.customers",
        "vacuum full app.customers",
        "analyze",
        "refresh materialized view app.cached",
        "reindex table app.customers",
    ):
        assert schema.change(statement), statement
        assert _differing(before, schema.read()) == [], statement


def test_definitions_of_indexes_are_those_of_postgresql(schema: Schema, server: Server) -> None:
    execute(
        schema.conninfo,
        """create table app.many (a int, b text, c varchar(9), d app.mood, e app.positive, f int[], g text collate "C",
           "Odd Name" bigint, h app.pair, i char(3), j inet, k app.span)""",
        """create index on app.many (a, b desc, c nulls first, d desc nulls last);
           create index on app.many (e, f, "Odd Name") include (g, a) where a > 3 and b <> 'x';
           create unique index on app.many (b text_pattern_ops, c varchar_pattern_ops, g);
           create index on app.many (g collate "POSIX", b collate "C", b collate app.binary);
           create index on app.many using hash (b); create index on app.many using hash (c);
           create index on app.many (i, i bpchar_pattern_ops, j, k, h, a app.ints);
           create index on app.many using gin (f); create index on app.many using brin (a);
           create index on app.many (c text_ops);
           create index on app.many (lower(b), a); create index on app.many (b) with (fillfactor = 50)""",
    )
    if server.version >= 15:
        execute(schema.conninfo, "create unique index on app.many (a) nulls not distinct")
    found = schema.read().objects
    expected = execute(
        schema.conninfo,
        "select format('%I.%I', schemaname, indexname), indexdef from pg_indexes where schemaname <> 'pg_catalog'"
        " and not exists (select from pg_constraint where conindid = format('%I.%I', schemaname, indexname)::regclass"
        " and contype <> 'f')",
    )
    assert len(expected) > 12
    read_back = {str(name): found[Key("index", str(name))].properties["definition"] for name, _ in expected}
    assert read_back == {name: str(text) for name, text in expected}


def test_the_history_tables_are_left_out(project: Project) -> None:
    empty = snapshot(project.database)
    project.add(1, "select 1;")
    project.migrator().migrate()
    assert snapshot(project.database) == empty
    assert Key("table", "public.migrations") in snapshot(project.database, "public.others").objects


def test_a_snapshot_is_read_in_one_round_trip(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    transmit = Connection.transmit

    def counted(self: Connection, text: str, *rest: Any) -> Any:
        sent.append(text)
        return transmit(self, text, *rest)

    monkeypatch.setattr(Connection, "transmit", counted)
    schema.read()
    assert len(sent) == 1


def test_the_json_does_not_depend_on_the_order_of_rows(schema: Schema) -> None:
    first = schema.read()
    shuffled = dict(reversed(list(first.objects.items())))
    assert json.dumps(first._replace(objects=shuffled).as_json()) == json.dumps(first.as_json())
    assert first.digest == schema.read().digest
    objects: Any = first.as_json()["objects"]
    assert objects["type"]["app.mood"]["labels"] == "'sad', 'ok', 'happy'"
    assert objects["column"]["app.customers.note"] == {"collation": 'pg_catalog."C"', "type": "character varying(20)"}
    assert objects["table"]["app.orders"]["columns"] == "id, customer, amount, place, tags"


def test_random_ddl_changes_the_snapshot_exactly_when_it_changes_the_dump(schema: Schema) -> None:
    assert disagreements(schema, seed=1, count=SAMPLE) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 18))
def test_much_random_ddl_changes_the_snapshot_exactly_when_it_changes_the_dump(schema: Schema, seed: int) -> None:
    assert disagreements(schema, seed, MANY // 8) == []
