"""Rules about redundant and missing indexes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import indexed_first
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import END, Case, Hit, Rule, bad, down, good
from sqlmigrate.lint.safer import objects
from sqlmigrate.lint.schema.interpret.objects import index_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Index, Name, Table

_T = "create table t (a int, b int); "


def _check_redundant(case: Case) -> Iterator[Hit]:
    table = case.table
    if case.state.down:  # it restores what was there
        return
    if table is None or "" in (new := index_of(case.catalog, table, case.node, None)).columns:
        return
    old = next(_covering(table, new), None)
    if old is not None:
        message = f"{new.name[1]} is redundant: {old.name[1]} starts with the same columns"
        yield Hit(message, "omit this index", case.decider(old.created), unless=partial(_is_alone, table.name, new))


def _is_alone(name: Name, new: Index, catalog: Catalog) -> bool:
    """Whether the other indexes that serve the same queries are dropped later: the new one replaces them."""
    table = catalog.tables.get(name)
    return table is not None and next(_covering(table, new), None) is None


def _covering(table: Table, new: Index) -> Iterator[Index]:
    return (old for old in table.indexes if old.name != new.name and _covers(old, new))


def _covers(old: Index, new: Index) -> bool:
    """Whether the old index serves every query that the new index serves."""
    count = len(new.columns)
    needs_unique = new.unique and (not old.unique or len(old.columns) != count)
    same_kind = (old.method, old.predicate and str(old.predicate)) == (new.method, new.predicate and str(new.predicate))
    longer = count < len(old.columns)
    if needs_unique or not same_kind or (longer and new.method != "btree") or not old.valid:
        return False
    same_options = old.options[:count] == new.options or (not old.options and not any(new.options))
    return old.columns[:count] == new.columns and same_options and set(new.include) <= {*old.include, *old.columns}


REDUNDANT = Rule(
    name="redundant-index",
    level=Level.WARNING,
    on=("IndexStmt",),
    stake="PostgreSQL updates the redundant index at every write, and no query needs it.",
    advice="omit this index",
    check=_check_redundant,
    examples=(
        bad("create index concurrently i on t (a);", _T + "create index on t (a);"),
        bad("create index concurrently i on t (a);", _T + "create index on t (a, b);"),
        bad("create index concurrently i on t (a);", "create table t (a int primary key);"),
        bad("create table t (a int unique); create index on t (a);"),
        bad("create index concurrently i on t (a); drop index concurrently k;", _T + "create index j on t (a);"),
        good("create index concurrently i on t (a); drop index concurrently j;", _T + "create index j on t (a);"),
        down("create index concurrently i on t (a);", "drop index concurrently i;", _T + "create index on t (a, b);"),
        good("create index concurrently i on t (b);", _T + "create index on t (a, b);"),
        good("create index concurrently i on t (a, b);", _T + "create index on t (a);"),
        good("create unique index concurrently i on t (a);", _T + "create index on t (a);"),
        good("create index concurrently i on t (a);", _T + "create index on t (a) where b > 0;"),
        good("create index concurrently i on t using hash (a);", _T + "create index on t (a);"),
        good("create index concurrently i on t (a desc, b);", _T + "create index on t (a, b);"),
        good("create index concurrently i on t (a) include (b);", _T + "create index on t (a);"),
        good("create index concurrently i on t (a);", _T + "create index i on t (a); drop index i;"),
        good("create index concurrently i on t (lower(a));", "create table t (a text); create index on t (lower(a));"),
    ),
)


def _check_foreign_key(case: Case) -> Iterator[Hit]:
    """Checks at the end of the file, since the index may follow the constraint."""
    tables = (table for table in case.catalog.changed_tables() if not table.partial and not table.bound)
    for table in tables:
        for key in table.constraints:
            is_added = key.created is not None and key.created.file == case.state.file and key.kind == "foreign"
            if is_added and not indexed_first(table, key.columns):
                name, columns = table.name[1], ", ".join(key.columns)
                yield Hit(
                    f"no index on {name} starts with ({columns}), the columns of foreign key {key.name}",
                    partial(objects.indexed, case, table.name, key.columns),
                )


FOREIGN_KEY = Rule(
    name="foreign-key-without-index",
    level=Level.NOTICE,
    on=(END,),
    stake="Without the index, each DELETE of a referenced row, and each UPDATE of its key, scans the whole table.",
    safe="create index concurrently t_r_id_idx on t (r_id);",
    check=_check_foreign_key,
    examples=(
        bad("create table t (a int references r);"),
        bad("create table t (a int, b int references r, unique (a, b));"),
        bad("alter table t add foreign key (a) references r not valid;", _T),
        bad("alter table t add foreign key (a) references r not valid; create index concurrently on t (b, a);", _T),
        good("create table t (a int references r); create index on t (a);"),
        good("create table t (a int primary key references r);"),
        good("create table t (a int references r, b int, unique (a, b));"),
        good("create table t (a int, b int, foreign key (a, b) references r); create index on t (b, a);"),
        good("alter table t add foreign key (a) references r not valid;", _T + "create index on t (a);"),
        good("alter table t add foreign key (a) references r not valid;"),
        good("create table t (a int references r); drop table t;"),
    ),
)

RULES = (REDUNDANT, FOREIGN_KEY)
