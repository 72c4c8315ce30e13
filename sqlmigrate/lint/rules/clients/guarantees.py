"""Breaks clients or loses data: constraints and defaults that are dropped."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import conjuncts
from sqlmigrate.lint.facts.usage import (
    column_in_use,
    relation_in_use,
    table_column,
)
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good, unsure
from sqlmigrate.lint.rules.clients.origin import at_end, created_by, has_value, in_use
from sqlmigrate.sql.tree import strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Constraint, Creation, Table
    from sqlmigrate.sql.parser import Node

_CONSEQUENCES = {
    "check": "rows that violate the check constraint can be stored",
    "foreign": "rows can reference missing rows, and referenced rows can be deleted",
    "unique": "duplicate rows can be stored, and INSERT … ON CONFLICT fails",
    "exclude": "rows that conflict with each other can be stored",
    "": "rows that violate it can be stored",
}
_WITHOUT_DEFAULT = {
    True: "fail, because NULL is not allowed",
    False: "store NULL instead of the default",
    None: "store NULL, or fail where NULL is not allowed",
}
# Names of primary keys: PostgreSQL's own, and those of other tools and handbooks.
_PRIMARY = re.compile(r"_pkey$|_pk$|^pk_|_primary(_?key)?$|^primary_?key", re.IGNORECASE)
_KEEP = "first release an application that does not need {0}"
_NOT_VALID = ", or replace it in the same ALTER TABLE by a constraint that is NOT VALID"
_REPLACED = {
    "check": _NOT_VALID,
    "foreign": _NOT_VALID,
    "unique": ", or build a unique index concurrently, and replace the constraint in the same ALTER TABLE USING INDEX",
}
_rule = partial(Rule, level=Level.WARNING, on=("AT_DropConstraint",))


def _dropped(case: Case) -> Iterator[tuple[str, Constraint | None]]:
    """Yields the name of a dropped constraint on which applications may rely, and its definition if known."""
    name, table = case.node.get("name", ""), case.table
    constraint = table.constraint(name) if table else None
    absent = table is not None and not table.partial and constraint is None
    is_skipped = (absent and case.node.get("missing_ok")) or _unnamed_not_null(case, name)
    if relation_in_use(case, case.name) and in_use(case, constraint) and not is_skipped:
        yield name, constraint


def _unnamed_not_null(case: Case, name: str) -> str:
    """Returns the column whose not-null constraint has this default name in PostgreSQL 18."""
    columns = case.table.columns if case.table and not case.table.partial else {}
    required = (column.name for column in columns.values() if column.not_null)
    return next((column for column in required if f"{case.name[1]}_{column}_not_null" == name), "")


def _drop_primary_key(case: Case) -> Iterator[Hit]:
    for name, constraint in _dropped(case):
        if _is_primary(name, constraint):
            yield Hit(
                f"without {name}, duplicate rows can be stored, INSERT … ON CONFLICT fails, "
                "and logical replication stops",
                f"build a unique index concurrently, then drop {name} and add the new primary key USING INDEX "
                "in one ALTER TABLE",
                created_by(case, constraint),
                unless=_is_replaced(case, name, constraint),
            )


def _is_primary(name: str, constraint: Constraint | None) -> bool:
    return constraint.kind == "primary" if constraint else _PRIMARY.search(name) is not None


def _is_replaced(case: Case, name: str, old: Constraint | None) -> Callable[[Catalog], bool]:
    """Whether another constraint guarantees as much at the end; for an unknown one, whether the file adds another."""
    created = case.state.created

    def is_replaced(table: Table) -> bool:
        if old is None and _is_primary(name, old):
            return _took_over_index(table)
        if old is None:
            return any(_is_added(new, name, created) for new in table.constraints)
        redefined = old.kind in ("check", "exclude") and table.constraint(name) is not None
        replaced_key = old.kind == "primary" and table.primary_key is not None and _keeps_unique(table, old)
        return redefined or replaced_key or any(_guarantees(new, old) for new in table.constraints)

    return at_end(case.name, is_replaced)


def _is_added(new: Constraint, name: str, created: Creation) -> bool:
    """Whether the transaction adds a constraint; one of the dropped name may also come in a later transaction."""
    same = new.name == name and new.created is not None and new.created.file == created.file
    return new.kind != "not null" and (same or new.created == created)


def _took_over_index(table: Table) -> bool:
    """Whether the primary key uses an index that existed before, most likely on the same columns."""
    key = table.primary_key
    return key is not None and any(
        index.name[1] == key.name and index.created != key.created for index in table.indexes
    )


def _keeps_unique(table: Table, old: Constraint) -> bool:
    """Whether a unique constraint has the columns of an old primary key, whose NOT NULL stays."""
    return any(new.kind == "unique" and set(new.columns) == set(old.columns) for new in table.constraints)


def _guarantees(new: Constraint, old: Constraint) -> bool:
    kinds = ("unique", "primary") if old.kind == "unique" else (old.kind,)
    return new.kind in kinds and set(new.columns) == set(old.columns) and new.enforced


_KEYED = "create table t (a int primary key, b int); create unique index i on t (a);"

DROP_PRIMARY_KEY = _rule(
    name="drop-primary-key",
    stake="Duplicate rows can be stored, ON CONFLICT and foreign keys need the key, and it is the replica identity.",
    safe="create unique index concurrently t_new_pkey on t (id);\n"
    "alter table t drop constraint t_pkey, add constraint t_pkey primary key using index t_new_pkey;",
    check=_drop_primary_key,
    examples=(
        bad("alter table t drop constraint t_pkey;"),
        bad("alter table t drop constraint t_pkey;", "create table t (id int primary key);"),
        bad("alter table users drop constraint users_pk;"),
        bad('alter table users drop constraint "PK_users";'),
        bad("alter table t drop constraint p;", "create table t (id int, constraint p primary key (id));"),
        bad("alter table t drop constraint t_pkey, add primary key (a, b);", _KEYED),
        bad("alter table t drop constraint if exists t_pkey; alter table t add id uuid default f() primary key;"),
        bad("alter table t drop constraint t_pkey, add unique (a);", _KEYED),
        good("alter table t drop constraint t_pkey, add unique (a), add id bigserial primary key;", _KEYED),
        good("alter table t drop constraint t_pkey, add constraint t_pkey primary key using index i;"),
        good("alter table t drop constraint t_pkey, add primary key using index i;", _KEYED),
        good("create table t (id int primary key); alter table t drop constraint t_pkey;"),
        good("alter table t drop constraint c_pkey;", "create table t (a int, constraint c_pkey check (a > 0));"),
        good("alter table t drop constraint if exists t_pkey;", "create table t (a int);"),
        good("alter table t rename constraint t_pkey to p;"),
    ),
)


def _drop_constraint(case: Case) -> Iterator[Hit]:
    for name, constraint in _dropped(case):
        if (
            constraint is None
            and "AT_SetNotNull" in case.state.altered[case.name]
            and not _is_primary(name, constraint)
        ):
            yield Hit(f"whether {name} is the check constraint that NOT NULL makes redundant", certain=False)
        elif not _is_primary(name, constraint) and not (constraint and _is_redundant(case.table, constraint)):
            yield Hit(
                f"without {name}, {_CONSEQUENCES[constraint.kind if constraint else '']}",
                _KEEP.format(name) + _REPLACED.get(constraint.kind if constraint else "", ""),
                created_by(case, constraint),
                unless=_is_replaced(case, name, constraint),
            )


def _is_redundant(table: Table | None, constraint: Constraint) -> bool:
    """Whether a constraint is not enforced, concerns only NOT NULL, or only repeats NOT NULL of its columns."""
    parts = list(conjuncts(constraint.expression)) if constraint.kind == "check" else []
    is_implied = bool(parts) and all(_tests_not_null(table, part) for part in parts)
    return constraint.kind == "not null" or not constraint.enforced or is_implied


def _tests_not_null(table: Table | None, part: Node) -> bool:
    test = part.get("NullTest", {})
    names = strings(test.get("arg", {}).get("ColumnRef", {}).get("fields", []))
    column = table.columns.get(names[-1]) if table and names else None
    return test.get("nulltesttype") == "IS_NOT_NULL" and column is not None and column.not_null is True


_NOT_NULL_CHECK = "create table t (a int, constraint c check (a is not null));"

DROP_CONSTRAINT = _rule(
    name="drop-constraint",
    stake="Applications can meet rows that they do not expect; to add the constraint again, these must be fixed first.",
    safe="alter table t drop constraint c, add constraint c check (a in (1, 2, 3)) not valid;",
    check=_drop_constraint,
    examples=(
        bad("alter table t drop constraint c;"),
        bad("alter table t drop constraint t_a_check;", "create table t (a int check (a > 0));"),
        bad("alter table t drop constraint t_a_fkey;", "create table t (a int references r);"),
        bad("alter table t drop constraint t_a_key;", "create table t (a int unique, b int unique);"),
        bad("alter table t drop constraint c;", _NOT_NULL_CHECK),
        bad("alter table t drop constraint t_a_key, add unique (a, b);", "create table t (a int unique, b int);"),
        good("alter table t drop constraint c, add constraint c check (a > 1) not valid;"),
        good("begin; alter table t drop constraint c; commit; alter table t add constraint c check (a > 1) not valid;"),
        bad("begin; alter table t drop constraint c; commit; alter table t add constraint d check (a > 1) not valid;"),
        good(
            "alter table t drop constraint t_a_fkey, add foreign key (a) references r on delete cascade not valid;",
            "create table t (a int references r);",
        ),
        good("alter table t alter a set not null; alter table t drop constraint c;", _NOT_NULL_CHECK),
        good("alter table t drop constraint u;", "create table t (a int primary key, constraint u unique (a));"),
        good("create table t (a int check (a > 0)); alter table t drop constraint t_a_check;"),
        good("alter table t add constraint c check (a > 0) not valid; alter table t drop constraint c;"),
        good("alter table t drop constraint if exists c;", "create table t (a int);"),
        good("alter table t drop constraint c;", "create table t (a int, constraint c check (a > 0) not enforced);"),
        good("alter domain d drop constraint c;"),
        down("alter table t drop constraint c;", "alter table t add constraint c check (a > 0) not valid;"),
        down("alter table t drop constraint c;", "select 1;", _NOT_NULL_CHECK, bad=True),
        unsure("alter table t alter a set not null; alter table t drop constraint t_a_not_null;"),
    ),
)


def _drop_not_null(case: Case) -> Iterator[Hit]:
    name = _nullable_after(case)
    column = table_column(case, name)
    if not name or case.state.down or not column_in_use(case, name) or (column and column.not_null is False):
        return
    yield Hit(
        f"{name} can become NULL, and applications that read it may not expect that",
        "first release an application that handles NULL",
        created_by(case, column),
        unless=at_end(case.name, lambda table: name in table.columns and table.columns[name].not_null is True),
    )


def _nullable_after(case: Case) -> str:
    """Returns the column that becomes nullable, by DROP NOT NULL or by DROP CONSTRAINT."""
    name = str(case.node.get("name", ""))
    if case.kind == "AT_DropNotNull":
        return name
    constraint = case.table.constraint(name) if case.table else None
    if constraint is None:
        return _unnamed_not_null(case, name)
    return constraint.columns[0] if constraint.kind == "not null" else ""


DROP_NOT_NULL = _rule(
    name="drop-not-null",
    on=("AT_DropNotNull", "AT_DropConstraint"),
    stake="An application that does not expect NULL in the column can fail when it reads one.",
    safe="-- release an application that handles NULL, then:\nalter table t alter column a drop not null;",
    check=_drop_not_null,
    examples=(
        bad("alter table t alter column a drop not null;"),
        bad("alter table t alter a drop not null;", "create table t (a int not null);"),
        bad("alter table t drop constraint t_a_not_null;", "create table t (a int not null);"),
        bad("alter table t drop constraint n;", "create table t (a int constraint n not null);"),
        good("alter table t alter a drop not null;", "create table t (a int);"),
        good("create table t (a int not null); alter table t alter a drop not null;"),
        good("alter table t add b int not null default 1; alter table t alter b drop not null;"),
        good("alter table t alter a drop not null; alter table t alter a set not null;"),
        good("alter domain d drop not null;"),
        down("alter table t alter a drop not null;", "alter table t alter a set not null;", "create table t (a int);"),
        good("alter table if exists t alter a drop not null;", "create table t (a int not null); drop table t;"),
    ),
)


def _drop_default(case: Case) -> Iterator[Hit]:
    name = str(case.node.get("name", ""))
    column = table_column(case, name)
    if "def" in case.node or case.state.down or not relation_in_use(case, case.name):
        return
    if column and ((column.type and not has_value(column)) or not (in_use(case, column) or column.not_null)):
        return
    yield Hit(
        f"INSERTs that omit {name} {_WITHOUT_DEFAULT[column.not_null if column else None]}",
        "first release an application that always sets the column",
        created_by(case, column),
        unless=at_end(case.name, lambda table: name in table.columns and has_value(table.columns[name])),
    )


DROP_DEFAULT = _rule(
    name="drop-default",
    on=("AT_ColumnDefault", "AT_DropIdentity", "AT_DropExpression"),
    stake="An application that omits the column from its INSERT now stores NULL, or fails if the column is NOT NULL.",
    safe="-- release an application that always sets the column, then:\nalter table t alter column a drop default;",
    check=_drop_default,
    examples=(
        bad("alter table t alter column a drop default;"),
        bad("alter table t alter a drop default;", "create table t (a int default 1);"),
        bad("alter table t alter id drop identity;", "create table t (id int generated always as identity);"),
        bad("alter table t alter a drop expression;"),
        bad("alter table t add b int not null default 1; alter table t alter b drop default;"),
        bad("alter table t alter id drop default;", "create table t (id serial);"),
        good("alter table t alter a drop default;", "create table t (a int);"),
        good("alter table t alter a set default 1;"),
        good("alter table t alter a drop default; alter table t alter a set default 1;"),
        good("alter table t alter a drop default, alter a add generated by default as identity;"),
        good("create table t (a int default 1); alter table t alter a drop default;"),
        good("alter table t add b int default 1; alter table t alter b drop default;", "create table t (a int);"),
        good("alter domain d drop default;"),
        down("alter table t alter a drop default;", "alter table t alter a set default 1;", "create table t (a int);"),
    ),
)

RULES = (DROP_PRIMARY_KEY, DROP_CONSTRAINT, DROP_NOT_NULL, DROP_DEFAULT)
