"""Correctness: a down file must undo what its up file did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import END, Case, Hit, Rule, down
from sqlmigrate.lint.schema.catalog import Table
from sqlmigrate.lint.schema.defaults import plain_type, same_default

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlmigrate.lint.schema.catalog import Catalog, Column, Constraint, Creation, Function, Index, Name, UserType

    Comparable = tuple[object, tuple[str, ...], object]

_SHOWN = 3


def _check_down(case: Case) -> Iterator[Hit]:
    state = case.state
    runs_code = state.has_run("DoStmt", "CallStmt")
    if state.undoes < 0 or case.catalog.uncertain or runs_code:
        return
    before, after = case.catalog.changes()
    differences = [difference for difference in _differences(case.catalog, before, after, state.undoes) if difference]
    if differences:
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        shown = "; ".join(differences[:_SHOWN]) + more
        yield Hit(f"the down file does not undo the up file: {shown}", by=Decider.EARLIER)


def _differences(catalog: Catalog, before: Catalog, after: Catalog, up: int) -> Iterator[str]:
    """Yields what differs after both files from the schema before them; skips objects that no file created."""
    unsure = after.uncertain_names
    for name, old in before.tables.items():
        new = after.tables.get(name)
        if name[1] in unsure or old.persistence == "t" or (old.created is None and new is None):
            continue
        if new is None:
            yield f"{_kind(old)} {name[1]} is missing"
        elif old is not new and old.kind not in ("view", "matview"):
            yield from _of_table(catalog, old, new, up)
    for name, new in after.tables.items():
        if name not in before.tables and name[1] not in unsure and new.persistence != "t":
            if _is_of(new.created, up):
                yield f"{_kind(new)} {name[1]} remains"
            elif new.created is None:
                uncreated = Table(name, partial=True)
                yield from _remaining_columns(uncreated, new, up)
                yield from _remaining(uncreated, new, up)
            elif new.created.file < up:
                yield f"{_kind(new)} {name[1]} has a different name"
    yield from _others(before, after, up)


def _others(before: Catalog, after: Catalog, up: int) -> Iterator[str]:
    kinds: list[tuple[str, Mapping[Name, object], Mapping[Name, Creation | None]]] = [
        ("type", before.types, _creations(after.types)),
        ("function", before.functions, _creations(after.functions)),
        ("sequence", before.sequences, after.sequences),
    ]
    for kind, old, new in kinds:
        for name in old:
            if name not in new and name[1] not in after.uncertain_names:
                yield f"{kind} {name[1]} is missing"
        for name, created in new.items():
            if name not in old and _is_of(created, up):
                yield f"{kind} {name[1]} remains"
    schemas = (schema for schema, created in after.schemas.items() if _is_of(created, up))
    yield from (f"schema {schema} remains" for schema in schemas if schema not in before.schemas)


def _creations(objects: Mapping[Name, UserType | Function]) -> dict[Name, Creation | None]:
    return {name: definition.created for name, definition in objects.items()}


def _of_table(catalog: Catalog, old: Table, new: Table, up: int) -> Iterator[str]:
    of = old.name[1]
    for name, column in old.columns.items():
        if name not in new.columns:
            yield f"column {of}.{name} is missing"
        else:
            changes = _changed(catalog, old.name, column, new.columns[name])
            yield from (f"column {of}.{name} has a different {what}" for what in changes)
    yield from _remaining_columns(old, new, up)
    yield from _missing(of, "constraint", map(_constraint, old.constraints), map(_constraint, new.constraints))
    yield from _missing(of, "index", map(_index, old.indexes), map(_index, new.indexes))
    yield from _remaining(old, new, up)
    for trigger in (*old.triggers, *new.triggers):
        if (trigger in old.triggers) != (trigger in new.triggers):
            yield f"trigger {trigger} of {of} {'is missing' if trigger in old.triggers else 'remains'}"
    if old.row_security != new.row_security:
        yield f"row security of {of} is {'on' if new.row_security else 'off'}"


def _remaining_columns(old: Table, new: Table, up: int) -> Iterator[str]:
    for name, column in new.columns.items():
        if name not in old.columns and (not old.partial or _is_of(column.created, up)):
            yield f"column {new.name[1]}.{name} remains"


def _remaining(old: Table, new: Table, up: int) -> Iterator[str]:
    """Yields the constraints and indexes that the up file added to a table."""
    constraints, indexes = set(map(_constraint, old.constraints)), set(map(_index, old.indexes))
    for constraint in new.constraints:
        if _constraint(constraint) not in constraints and _is_of(constraint.created, up):
            yield f"constraint {constraint.name} remains"
    for index in new.indexes:
        if not index.constraint and _index(index) not in indexes and _is_of(index.created, up):
            yield f"index {index.name[1]} remains"


def _missing(of: str, kind: str, old: Iterable[Comparable], new: Iterable[Comparable]) -> Iterator[str]:
    existing = set(new)
    yield from (f"{kind} on {of} ({', '.join(entry[1])}) is missing" for entry in old if entry not in existing)


def _changed(catalog: Catalog, table: Name, old: Column, new: Column) -> Iterator[str]:
    types = [plain_type(catalog, column.type) for column in (old, new) if column.type]
    if len(types) == 2 and types[0] != types[1]:
        yield "type"
    if (len(types) == 2 or old.default) and not same_default(catalog, table, old, new):
        yield "default"
    if old.not_null is not None and new.not_null is not None and old.not_null != new.not_null:
        yield "NOT NULL"


def _constraint(constraint: Constraint) -> Comparable:
    return constraint.kind, constraint.columns, constraint.references


def _index(index: Index) -> Comparable:
    return index.unique, index.columns, index.method


def _is_of(created: Creation | None, file: int) -> bool:
    return created is not None and created.file == file


def _kind(table: Table) -> str:
    return {"partitioned": "table", "matview": "materialized view"}.get(table.kind, table.kind)


_T = "create table t (a int, b text); "

_DROP_DEFAULT = "alter table t alter b drop default;"
_MOOD = "create type m as enum ('a'); create table t (a public.m);"
_KEYED = _T + "alter table t add constraint k unique (a);"

UNDONE = Rule(
    name="down-does-not-undo",
    level=Level.WARNING,
    on=(END,),
    stake="After the down file the schema differs from before the up file, so the next run of the up file can fail.",
    safe="-- up\nalter table t add column c int;\n-- down\nalter table t drop column c;",
    check=_check_down,
    examples=(
        down("select 1;", "create table t (a int);", bad=True),
        down("drop table t;", "create table t (a int); create table u (a int);", bad=True),
        down("alter table t drop column b;", "alter table t add column c int;", _T, bad=True),
        down("select 1;", "alter table t add column c int;", bad=True),
        down("alter table t alter a type smallint;", "alter table t alter a type bigint;", _T, bad=True),
        down("select 1;", "alter table t rename a to c;", _T, bad=True),
        down("alter table u rename to v;", "alter table t rename to u;", _T, bad=True),
        down("select 1;", "create index i on t (a);", _T, bad=True),
        down("select 1;", "alter table t alter a set not null;", _T, bad=True),
        down("select 1;", "alter table t drop column a;", _T, bad=True),
        down("select 1;", "create type mood as enum ('ok');", bad=True),
        down("drop table t;", "create table t (a int);"),
        down("alter table t drop c;", "alter table t add c int check (c > 0); create index i on t (c);", _T),
        down("alter table t drop column c;", "alter table t add column c int;"),
        down("alter table t alter a type int;", "alter table t alter a type bigint;", _T),
        down("alter table t alter a drop default;", "alter table t alter a set default 1;", _T),
        down("alter table t alter b set default ''::text;", _DROP_DEFAULT, "create table t (b text default '');"),
        down("alter table t alter b set default 'y';", _DROP_DEFAULT, "create table t (b text default 'x');", bad=True),
        down("alter table t alter b set default nextval('t_b_seq');", _DROP_DEFAULT, "create table t (b serial);"),
        down("alter table t alter a type m using a::m;", "alter table t alter a type text;", _MOOD),
        down("alter table u rename to t;", "alter table t rename to u;", _T),
        down("alter table t add column a int;", "alter table t drop column a;", _T),
        down("alter table t add constraint l unique (a);", "alter table t drop constraint k;", _KEYED),
        down("delete from t where a = 1;", "insert into t values (1);", _T),
        down("select 1;", "alter type mood add value 'bad';", "create type mood as enum ('ok');"),
        down("do $$ begin raise exception 'there is no way back'; end $$;", "create table t (a int);"),
        down("drop table t;", "do $$ begin execute format('create table %I (a int)', 't'); end $$;"),
        down("drop schema s cascade;", "create schema s; create table s.t (a int);"),
        down("create table t (a int);", "drop table t;"),
        down("drop table t;", "create table t (a int); create sequence s; alter sequence s owned by t.a;"),
        down("drop table t;", "create table t (a int); create sequence s;", bad=True),
    ),
)

RULES = (UNDONE,)
