"""Runs a file and its safer way on a server, and compares the schemas and rows that they leave.

The rules' examples name relations that no file creates. `Preparation` creates what the server misses, so that the
linter does not know it, as in a project whose first migrations are elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psycopg

from sqlmigrate.lint import Finding
from sqlmigrate.lint.fix import offset_of, statements_of
from sqlmigrate.sql.item import Kind
from sqlmigrate.sql.scanner import scan

# What creates an object that the server misses, by its message.
_MISSING = {
    r'(?:relation|table) "(?:s\.)?(m)" does not exist': "create materialized view s.{0} as select 1 as a",
    r'(?:relation|table) "s\.(\w+)" does not exist': "create table s.{0} (id int, a int, b int, n int)",
    r'relation "(r)" does not exist': "create table {0} (id int primary key, code int)",
    r'relation "(p)" does not exist': "create table {0} (id int not null, a int) partition by range (id)",
    r'relation "(t|u|n|x|log)" does not exist': "create table {0} (id int, a int, b int, n int, r_id int, m text)",
    r'relation "(m)" does not exist': "create materialized view {0} as select 1 as a",
    r'relation "(v)" does not exist': "create view {0} as select 1 as a",
    r'relation "(p1|q)" does not exist': "create table {0} partition of p for values from (0) to (9)",
    r'(?:index|relation) "(i|j)" does not exist': "create unique index {0} on t (a)",
    r'index "(t_pkey)" does not exist': "alter table t add constraint {0} primary key (id)",
    r'schema "(\w+)" does not exist': "create schema {0}",
    r'type "(mood)" does not exist': "create type {0} as enum ('ok')",
    r'type "(d)" does not exist': "create domain {0} as int",
    r"function (f)\(\) does not exist": "create function {0}() returns int language sql as 'select 1'",
    r'constraint "(\w+)" of relation "(\w+)" does not exist': "alter table {1} add constraint {0} check (true)",
    r'column "(\w+)" of relation "(\w+)" already exists': "alter table {1} drop column {0} cascade",
    r"data type integer has no default operator class for access method \"(gin)\"": "create extension btree_{0}",
}
_PROOF = re.compile("is implied by existing constraints|are sufficient to prove that it does not contain nulls")
_RELATIONS = "c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'pg_toast')"
_STATE = f"""
    select 'relation', c.oid::regclass::text, c.relkind::text, c.relpersistence::text, c.relispartition::text,
           pg_get_expr(c.relpartbound, c.oid), c.reloptions::text, c.relrowsecurity::text,
           coalesce(pg_get_partkeydef(c.oid), case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
    from pg_class c where {_RELATIONS}
    union all
    select 'column', attrelid::regclass::text, attname,
           concat(row_number() over (partition by attrelid order by attnum), ' ', format_type(atttypid, atttypmod)),
           concat(attnotnull, attidentity, attgenerated), pg_get_expr(d.adbin, d.adrelid),
           concat(attcollation, attstorage, attcompression), attislocal::text, attinhcount::text
    from pg_attribute a join pg_class c on c.oid = attrelid
    left join pg_attrdef d on (adrelid, adnum) = (attrelid, attnum)
    where attnum > 0 and not attisdropped and {_RELATIONS}
    union all
    select 'constraint', concat(conrelid::regclass, contypid::regtype), conname, pg_get_constraintdef(o.oid),
           convalidated::text, conislocal::text, coninhcount::text, concat(condeferrable, condeferred),
           conindid::regclass::text
    from pg_constraint o where connamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
    union all
    select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid::text, indisunique::text,
           indisprimary::text, (select inhparent::regclass::text from pg_inherits where inhrelid = indexrelid),
           indisready::text, indisexclusion::text
    from pg_index i join pg_class c on c.oid = indrelid where {_RELATIONS}
    union all
    select 'sequence', s.seqrelid::regclass::text, seqtypid::regtype::text, seqstart::text, seqincrement::text,
           seqmin::text, seqmax::text, seqcycle::text, null from pg_sequence s
    union all
    select 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), null, null, null, null, null, null
    from pg_proc p where prokind <> 'a' and pronamespace::regnamespace::text not in ('pg_catalog', 'information_schema')
      and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
    union all
    select 'enum', enumtypid::regtype::text, enumlabel, null, null, null, null, null, null from pg_enum
    union all
    select 'comment', description, objsubid::text, classoid::regclass::text, null, null, null, null, null
    from pg_description where objoid >= 16384
"""
_TABLES = f"select c.oid::regclass::text from pg_class c where relkind in ('r', 'p') and {_RELATIONS}"
_RESET = """
    drop schema if exists public, s, app, "Shop" cascade;
    create schema public;
    drop extension if exists btree_gin;
"""


class Prepared(NamedTuple):
    """The earlier files of an example, and what else the server needs."""

    earlier: str
    prelude: str = ""


class Outcome(NamedTuple):
    """What a run left: the schema and the rows, or the error of the statement that failed."""

    schema: frozenset[tuple[Any, ...]]
    rows: dict[str, list[Any]]
    error: str = ""

    def without_rows(self) -> Outcome:
        """Returns the schema and the numbers of rows without NULL, for rows with random values."""
        return Outcome(
            self.schema, {name: [sum("None" not in row for row in rows)] for name, rows in self.rows.items()}
        )


class Laboratory:
    """A database in which files run again and again, each time from nothing."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo

    def prepared(self, example: Prepared, file: str) -> tuple[list[str], Outcome]:
        """Returns the SQL before a file, with what its earlier files miss, and the outcome of the file."""
        missing: list[str] = []
        while True:
            before = [*missing, example.earlier, example.prelude]
            outcome = self.run(before, [file])
            new = next(_creations(outcome.error), "")
            if example.prelude or not new or new in missing:
                return before, outcome
            missing.append(new) if new.startswith("alter") or " index " in new else missing.insert(0, new)

    def run(self, before: Sequence[str], files: Sequence[str]) -> Outcome:
        """Runs files statement by statement after the files before them."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(_RESET.encode())
            try:
                for file in (*before, *files):
                    for statement in _statements(file):
                        connection.execute(statement.encode())
            except psycopg.Error as error:
                return Outcome(frozenset(), {}, str(error))
            schema = frozenset(connection.execute(_STATE.encode()).fetchall())
            tables = [name for (name,) in connection.execute(_TABLES.encode())]
            rows = {name: sorted(map(str, connection.execute(b"table " + name.encode()))) for name in tables}
            return Outcome(schema, rows)

    def proofs(self, before: Sequence[str], file: str) -> list[str]:
        """Returns what the server proves in a file by constraints, so that it needs no scan."""
        self.run(before, [])
        messages: list[str] = []
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.add_notice_handler(lambda notice: messages.append(notice.message_primary or ""))
            connection.execute("set client_min_messages = debug1")
            for statement in _statements(file):
                connection.execute(statement.encode())
        return [message for message in messages if _PROOF.search(message)]


def _statements(file: str) -> Iterator[str]:
    return (item.text for item in scan("-", [file]) if item.kind is Kind.STATEMENT)


def _creations(error: str) -> Iterator[str]:
    for pattern, creation in _MISSING.items():
        if match := re.search(pattern, error):
            yield creation.format(*match.groups())


def replaced(path: str, file: str, finding: Finding) -> list[str]:
    """Returns the file with the safer SQL in place of the statement of a finding, and the later files."""
    if finding.safer.adds:
        return [f"{file.rstrip().rstrip(';')};\n{finding.safer.sql}"]
    at = offset_of(file, finding)
    start, statement = next(
        (start, text) for start, text in statements_of(path, file) if start <= at < start + len(text)
    )
    return [file[:start] + finding.safer.sql + file[start + len(statement) :], *finding.safer.later]
