"""Correctness: a down file must undo what its up file did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import END, Case, Example, Hit, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Column, Constraint, Creation, Index, Table

_SHOWN = 3


def _check_down(case: Case) -> Iterator[Hit]:
    before, after, state = case.state.origin, case.catalog, case.state
    runs_code = any(statement.kind in ("DoStmt", "CallStmt") for statement in state.statements())
    if before is None or after.uncertain or runs_code:
        return
    differences = [difference for difference in _differences(before, after, state.undoes) if difference]
    if differences:
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        shown = "; ".join(differences[:_SHOWN]) + more
        yield Hit(f"the down file does not undo the up file: {shown}", by=Decider.EARLIER)


def _differences(before: Catalog, after: Catalog, up: int) -> Iterator[str]:
    """Yields what differs after both files from the schema before them; skips objects that no file created."""
    unsure = after.uncertain_names
    for name, old in before.tables.items():
        new = after.tables.get(name)
        if name[1] in unsure or old.persistence == "t" or (old.created is None and new is None):
            continue
        if new is None:
            yield f"{_kind(old)} {name[1]} is missing"
        elif old is not new and old.kind not in ("view", "matview"):
            yield from _of_table(old, new, up)
    for name, new in after.tables.items():
        if name not in before.tables and name[1] not in unsure and new.persistence != "t":
            if _is_of(new.created, up):
                yield f"{_kind(new)} {name[1]} remains"
            elif new.created is None:
                yield from _remaining(new, up)
            elif new.created.file < up:
                yield f"{_kind(new)} {name[1]} has a different name"
    yield from _others(before, after, up)


def _others(before: Catalog, after: Catalog, up: int) -> Iterator[str]:
    kinds: list[tuple[str, Any, Any]] = [
        ("type", before.types, after.types),
        ("function", before.functions, after.functions),
        ("sequence", before.sequences, after.sequences),
    ]
    for kind, old, new in kinds:
        for name in old:
            if name not in new and name[1] not in after.uncertain_names:
                yield f"{kind} {name[1]} is missing"
        for name, object_ in new.items():
            if name not in old and _is_of(object_ if kind == "sequence" else object_.created, up):
                yield f"{kind} {name[1]} remains"
    for schema, created in after.schemas.items():
        if schema not in before.schemas and _is_of(created, up):
            yield f"schema {schema} remains"


def _of_table(old: Table, new: Table, up: int) -> Iterator[str]:
    of = old.name[1]
    for name, column in old.columns.items():
        if name not in new.columns:
            yield f"column {of}.{name} is missing"
        else:
            yield from (f"column {of}.{name} has a different {what}" for what in _changed(column, new.columns[name]))
    for name, column in new.columns.items():
        if name not in old.columns and (not old.partial or _is_of(column.created, up)):
            yield f"column {of}.{name} remains"
    yield from _missing(
        of, "constraint", map(_constraint, old.constraints), map(_constraint, new.constraints), "missing"
    )
    yield from _missing(of, "index", map(_index, old.indexes), map(_index, new.indexes), "missing")
    yield from _remaining_in(old, new, up)
    for trigger in (*old.triggers, *new.triggers):
        if (trigger in old.triggers) != (trigger in new.triggers):
            yield f"trigger {trigger} of {of} {'is missing' if trigger in old.triggers else 'remains'}"
    if old.row_security != new.row_security:
        yield f"row security of {of} is {'on' if new.row_security else 'off'}"


def _remaining(new: Table, up: int) -> Iterator[str]:
    """Yields what the up file added to a table that no file created, if it still exists."""
    yield from (
        f"column {new.name[1]}.{name} remains" for name, column in new.columns.items() if _is_of(column.created, up)
    )
    yield from (
        f"constraint {constraint.name} remains" for constraint in new.constraints if _is_of(constraint.created, up)
    )
    indexes = (index for index in new.indexes if not index.constraint and _is_of(index.created, up))
    yield from (f"index {index.name[1]} remains" for index in indexes)


def _remaining_in(old: Table, new: Table, up: int) -> Iterator[str]:
    constraints, indexes = set(map(_constraint, old.constraints)), set(map(_index, old.indexes))
    for constraint in new.constraints:
        if _constraint(constraint) not in constraints and _is_of(constraint.created, up):
            yield f"constraint {constraint.name} remains"
    for index in new.indexes:
        if not index.constraint and _index(index) not in indexes and _is_of(index.created, up):
            yield f"index {index.name[1]} remains"


def _missing(of: str, kind: str, old: Iterable[Any], new: Iterable[Any], how: str) -> Iterator[str]:
    existing = set(new)
    for entry in old:
        if entry not in existing:
            yield f"{kind} on {of} ({', '.join(entry[1])}) is {how}"


def _changed(old: Column, new: Column) -> Iterator[str]:
    if old.type is not None and new.type is not None and old.type != new.type:
        yield "type"
    if ((old.type and new.type) or old.default) and _bare(old.default) != _bare(new.default):
        yield "default"
    if old.not_null is not None and new.not_null is not None and old.not_null != new.not_null:
        yield "NOT NULL"


def _constraint(constraint: Constraint) -> tuple[str, tuple[str, ...], Any]:
    return constraint.kind, constraint.columns, constraint.references


def _index(index: Index) -> tuple[bool, tuple[str, ...], str]:
    return index.unique, index.columns, index.method


def _bare(tree: Any) -> Any:
    """Returns an expression without the locations of its parts; NULL is None, because both mean no default."""
    if isinstance(tree, dict) and tree.get("A_Const", {}).get("isnull"):
        return None
    if isinstance(tree, dict):
        return {key: _bare(value) for key, value in tree.items() if key != "location"}
    return [_bare(item) for item in tree] if isinstance(tree, list) else tree


def _is_of(created: Creation | None, file: int) -> bool:
    return created is not None and created.file == file


def _kind(table: Table) -> str:
    return {"partitioned": "table", "matview": "materialized view"}.get(table.kind, table.kind)


def _pair(up: str, down: str, earlier: str = "", *, wrong: bool = False) -> Example:
    return Example(down, earlier, bad=wrong, name="V1.0.0-002__example.down.sql", up=up)


_T = "create table t (a int, b text); "

UNDONE = Rule(
    name="down-does-not-undo",
    level=Level.WARNING,
    on=(END,),
    stake="After the down file the schema differs from before the up file, so the next run of the up file can fail.",
    safe="-- up\nalter table t add column c int;\n-- down\nalter table t drop column c;",
    check=_check_down,
    examples=(
        _pair("create table t (a int);", "select 1;", wrong=True),
        _pair("create table t (a int); create table u (a int);", "drop table t;", wrong=True),
        _pair("alter table t add column c int;", "alter table t drop column b;", _T, wrong=True),
        _pair("alter table t add column c int;", "select 1;", wrong=True),
        _pair("alter table t alter a type bigint;", "alter table t alter a type smallint;", _T, wrong=True),
        _pair("alter table t rename a to c;", "select 1;", _T, wrong=True),
        _pair("alter table t rename to u;", "alter table u rename to v;", _T, wrong=True),
        _pair("create index i on t (a);", "select 1;", _T, wrong=True),
        _pair("alter table t alter a set not null;", "select 1;", _T, wrong=True),
        _pair("alter table t drop column a;", "select 1;", _T, wrong=True),
        _pair("create type mood as enum ('ok');", "select 1;", wrong=True),
        _pair("create table t (a int);", "drop table t;"),
        _pair(
            "alter table t add column c int check (c > 0); create index i on t (c);", "alter table t drop column c;", _T
        ),
        _pair("alter table t add column c int;", "alter table t drop column c;"),
        _pair("alter table t alter a type bigint;", "alter table t alter a type int;", _T),
        _pair("alter table t alter a set default 1;", "alter table t alter a drop default;", _T),
        _pair("alter table t rename to u;", "alter table u rename to t;", _T),
        _pair("alter table t drop column a;", "alter table t add column a int;", _T),
        _pair(
            "alter table t drop constraint k;",
            "alter table t add constraint k2 unique (a);",
            _T + "alter table t add constraint k unique (a);",
        ),
        _pair("insert into t values (1);", "delete from t where a = 1;", _T),
        _pair("alter type mood add value 'bad';", "select 1;", "create type mood as enum ('ok');"),
        _pair("create table t (a int);", "do $$ begin raise exception 'there is no way back'; end $$;"),
        _pair("do $$ begin execute format('create table %I (a int)', 't'); end $$;", "drop table t;"),
        _pair("create schema s; create table s.t (a int);", "drop schema s cascade;"),
        _pair("drop table t;", "create table t (a int);"),
    ),
)

RULES = (UNDONE,)
