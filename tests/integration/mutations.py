"""A schema with all kinds of objects, and random DDL that changes it."""

from __future__ import annotations

import random
from pathlib import Path

ROLES = ("snap_a", "snap_b")
CREATE_ROLE = """
do $$ begin if not exists (select from pg_roles where rolname = '{0}') then create role {0}; end if;
exception when duplicate_object or unique_violation then null; end $$
"""
SCHEMA = (Path(__file__).parent / "rich_schema.sql").read_text()

TABLES = (
    "app.customers",
    "app.orders",
    "app.log",
    "app.scratchpad",
    '"Odd Schema"."Odd Table"',
    "app.base",
    "app.log_1",
)
COLUMNS = {
    "app.customers": ("name", "mood", "age", "note", "created"),
    "app.orders": ("customer", "amount", "tags"),
    "app.log": ("line", "level"),
    "app.scratchpad": ("a", "b", "c"),
    '"Odd Schema"."Odd Table"': ('"Odd ""Column"', '"select"'),
    "app.base": ("a", "b"),
    "app.log_1": ("line", "level"),
}
OBJECTS = (
    "schema app",
    "table app.customers",
    "table app.log_1",
    "view app.happy",
    "materialized view app.cached",
    "sequence app.numbers",
    "function app.twice(int)",
    "procedure app.work(int)",
    "aggregate app.total(int)",
    "type app.mood",
    "type app.pair",
    "domain app.positive",
    "type app.span",
    "foreign table app.away",
    "server far",
    "foreign data wrapper nothing",
    "publication changes",
    "event trigger seen",
    "collation app.binary",
    "statistics app.related",
    "text search dictionary app.plain",
    "text search configuration app.words",
    "operator app.=== (int, int)",
    "operator class app.ints using btree",
    "conversion app.latin",
)
COMMENTED = (
    *OBJECTS,
    "column app.orders.amount",
    "column app.happy.id",
    "constraint once on app.orders",
    "trigger touched on app.customers",
    "rule quiet on app.scratchpad",
    "policy own on app.orders",
    "index app.log_level",
    "index app.orders_pkey",
    "constraint positive_check on domain app.positive",
    "cast (app.mood as int)",
)
GRANTED = (
    ("table app.customers", "select", "update", "delete", "all"),
    ("table app.happy", "select", "all"),
    ("sequence app.numbers", "usage", "select"),
    ("schema app", "usage", "create"),
    ("type app.mood", "usage"),
    ("function app.twice(int)", "execute"),
    ("foreign server far", "usage"),
    ("table app.cached", "select"),
    ("foreign data wrapper nothing", "usage"),
    ("table app.log_1", "select", "insert"),
    ("domain app.positive", "usage"),
    ("language plpgsql", "usage"),
    ("procedure app.work(int)", "execute"),
    ("table app.away", "select"),
    ("function pg_ls_waldir()", "execute"),
    ("table pg_authid", "select"),
)
# Each line is one mutation; [a|b] chooses, {table} and {column} are those of TABLES, {n} a number, {role} a role. In
# brackets, a quotation mark is doubled.
LINES = (Path(__file__).parent / "mutations.txt").read_text().splitlines()


class Mutations:
    """Chooses random statements, the same ones for the same seed."""

    def __init__(self, seed: int, database: str) -> None:
        self._random = random.Random(seed)
        self._database = database

    def next(self) -> str:
        choose = self._random.choice
        table = choose(TABLES)
        granted, *privileges = choose(GRANTED)
        values = {
            "table": table,
            "bare": table.rpartition(".")[2],
            "schema": table.partition(".")[0],
            "column": choose(COLUMNS[table]),
            "n": str(self._random.randint(1, 2)),
            "role": choose(ROLES),
            "object": choose(COMMENTED),
            "owned": choose(OBJECTS),
            "privilege": f"{choose(privileges)} on {granted}",
            "database": self._database,
        }
        text = self._chosen(choose(LINES))
        for name, value in values.items():
            text = text.replace("{" + name + "}", value)
        return text

    def _chosen(self, line: str) -> str:
        text = ""
        for part in line.split("["):
            before, bracket, after = part.partition("]")
            chosen = self._random.choice(before.split("|")) if bracket else before
            text += chosen.replace("''", "'") + after if bracket else chosen
        return text
