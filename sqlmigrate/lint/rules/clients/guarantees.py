"""Breaks clients or loses data: constraints and defaults that are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import conjuncts
from sqlmigrate.lint.facts.usage import (
    altered_subtypes,
    column_in_use,
    decider,
    is_in_use,
    relation_in_use,
    table_column,
)
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good, unsure
from sqlmigrate.sql.tree import strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlmigrate.lint.schema.catalog import Catalog, Column, Constraint, Table
    from sqlmigrate.sql.parser import Node

_CONSEQUENCES = {
    "check": "rows that violate the check constraint can be stored",
    "foreign": "rows can reference missing rows, and referenced rows can be deleted",
    "unique": "duplicate rows can be stored, and INSERT … ON CONFLICT fails",
    "exclude": "rows that conflict with each other can be stored",
    "": "rows that violate it can be stored",
}


def _dropped(case: Case) -> tuple[str, Constraint | None] | None:
    """Returns the name of a dropped constraint on which applications may rely, and its definition if known."""
    name, table = case.node.get("name", ""), case.table
    known = table.constraint(name) if table else None
    absent = table is not None and not table.partial and known is None
    if not relation_in_use(case, case.name) or not is_in_use(case, known.created if known else None):
        return None
    if (absent and case.node.get("missing_ok")) or _unnamed_not_null(case, name):
        return None
    return name, known


def _unnamed_not_null(case: Case, name: str) -> str:
    """Returns the column whose not-null constraint has this default name in PostgreSQL 18."""
    columns = case.table.columns if case.table and not case.table.partial else {}
    required = (column for column, known in columns.items() if known.not_null)
    return next((column for column in required if f"{case.name[1]}_{column}_not_null" == name), "")


def _drop_primary_key(case: Case) -> Iterator[Hit]:
    dropped = _dropped(case)
    if dropped is None or not _is_primary(*dropped):
        return
    name, known = dropped
    yield Hit(
        f"without {name}, duplicate rows can be stored, INSERT … ON CONFLICT fails, and logical replication stops",
        f"create unique index concurrently …;\nalter table … drop constraint {name}, add primary key using index …;",
        decider(case, known.created if known else None),
        unless=_stands_again(case, name, known),
    )


def _is_primary(name: str, known: Constraint | None) -> bool:
    return known.kind == "primary" if known else name.endswith("_pkey")


def _stands_again(case: Case, name: str, known: Constraint | None) -> Callable[[Catalog], bool]:
    """Whether another constraint guarantees as much at the end; for an unknown one, whether the file adds another."""
    table_name, created = case.name, case.state.created

    def stands_again(catalog: Catalog) -> bool:
        table = catalog.tables.get(table_name)
        constraints = table.constraints if table else ()
        if known is None and _is_primary(name, known):
            return table is not None and _took_over_index(table)
        if known is None:
            return any(constraint.created == created and constraint.kind != "not null" for constraint in constraints)
        redefined = known.kind in ("check", "exclude") and any(constraint.name == name for constraint in constraints)
        return redefined or any(_guarantees(constraint, known) for constraint in constraints)

    return stands_again


def _took_over_index(table: Table) -> bool:
    """Whether the primary key uses an index that existed before, most likely on the same columns."""
    key = table.primary_key
    return key is not None and any(
        index.name[1] == key.name and index.created != key.created for index in table.indexes
    )


def _guarantees(new: Constraint, old: Constraint) -> bool:
    kinds = ("unique", "primary") if old.kind == "unique" else (old.kind,)
    return new.kind in kinds and set(new.columns) == set(old.columns) and new.enforced


DROP_PRIMARY_KEY = Rule(
    name="drop-primary-key",
    level=Level.WARNING,
    on=("AT_DropConstraint",),
    stake="Duplicate rows can be stored, ON CONFLICT and foreign keys need the key, and it is the replica identity.",
    safe="create unique index concurrently t_new_pkey on t (id);\n"
    "alter table t drop constraint t_pkey, add constraint t_pkey primary key using index t_new_pkey;",
    check=_drop_primary_key,
    examples=(
        bad("alter table t drop constraint t_pkey;"),
        bad("alter table t drop constraint t_pkey;", "create table t (id int primary key);"),
        bad("alter table t drop constraint p;", "create table t (id int, constraint p primary key (id));"),
        bad(
            "alter table t drop constraint t_pkey, add primary key (a, b);",
            "create table t (a int primary key, b int);",
        ),
        bad("alter table t drop constraint if exists t_pkey; alter table t add id uuid default f() primary key;"),
        good("alter table t drop constraint t_pkey, add constraint t_pkey primary key using index i;"),
        good(
            "alter table t drop constraint t_pkey, add primary key using index i;",
            "create table t (a int primary key); create unique index i on t (a);",
        ),
        good("create table t (id int primary key); alter table t drop constraint t_pkey;"),
        good("alter table t drop constraint c_pkey;", "create table t (a int, constraint c_pkey check (a > 0));"),
        good("alter table t drop constraint if exists t_pkey;", "create table t (a int);"),
        good("alter table t rename constraint t_pkey to p;"),
    ),
)


def _drop_constraint(case: Case) -> Iterator[Hit]:
    dropped = _dropped(case)
    if dropped is None or _is_primary(*dropped):
        return
    name, known = dropped
    if known is not None and (known.kind == "not null" or not known.enforced or _is_implied(case.table, known)):
        return
    if known is None and _sets_not_null(case):
        yield Hit(f"whether {name} is the check constraint that NOT NULL makes redundant", certain=False)
        return
    yield Hit(
        f"without {name}, {_CONSEQUENCES[known.kind if known else '']}",
        "-- keep it, or replace it in the same transaction: … add constraint … not valid;",
        decider(case, known.created if known else None),
        unless=_stands_again(case, name, known),
    )


def _is_implied(table: Table | None, check: Constraint) -> bool:
    """Whether a check constraint only tests columns for IS NOT NULL, and they are NOT NULL already."""
    parts = list(conjuncts(check.expression))
    return check.kind == "check" and bool(parts) and all(_tests_not_null(table, part) for part in parts)


def _tests_not_null(table: Table | None, part: Node) -> bool:
    test = part.get("NullTest", {})
    names = strings(test.get("arg", {}).get("ColumnRef", {}).get("fields", []))
    column = table.columns.get(names[-1]) if table and names else None
    return test.get("nulltesttype") == "IS_NOT_NULL" and column is not None and column.not_null is True


def _sets_not_null(case: Case) -> bool:
    """Whether this file has set a column of the table to NOT NULL."""
    return "AT_SetNotNull" in altered_subtypes(case)


DROP_CONSTRAINT = Rule(
    name="drop-constraint",
    level=Level.WARNING,
    on=("AT_DropConstraint",),
    stake="Applications can meet rows that they do not expect; to add the constraint again, these must be fixed first.",
    safe="alter table t drop constraint c, add constraint c check (a in (1, 2, 3)) not valid;",
    check=_drop_constraint,
    examples=(
        bad("alter table t drop constraint c;"),
        bad("alter table t drop constraint t_a_check;", "create table t (a int check (a > 0));"),
        bad("alter table t drop constraint t_a_fkey;", "create table t (a int references r);"),
        bad("alter table t drop constraint t_a_key;", "create table t (a int unique, b int unique);"),
        bad("alter table t drop constraint c;", "create table t (a int, constraint c check (a is not null));"),
        bad(
            "alter table t drop constraint t_a_key; alter table t add unique (a, b);", "create table t (a int unique);"
        ),
        good("alter table t drop constraint c, add constraint c check (a > 1) not valid;"),
        good(
            "alter table t drop constraint t_a_fkey;"
            "alter table t add constraint f foreign key (a) references r on delete cascade not valid;",
            "create table t (a int references r);",
        ),
        good(
            "alter table t alter a set not null; alter table t drop constraint c;",
            "create table t (a int, constraint c check (a is not null));",
        ),
        good("alter table t drop constraint u;", "create table t (a int primary key, constraint u unique (a));"),
        good("create table t (a int check (a > 0)); alter table t drop constraint t_a_check;"),
        good("alter table t add constraint c check (a > 0) not valid; alter table t drop constraint c;"),
        good("alter table t drop constraint if exists c;", "create table t (a int);"),
        good("alter table t drop constraint c;", "create table t (a int, constraint c check (a > 0) not enforced);"),
        good("alter domain d drop constraint c;"),
        down("alter table t drop constraint c;", "alter table t add constraint c check (a > 0) not valid;"),
        down(
            "alter table t drop constraint c;",
            "select 1;",
            "create table t (a int, constraint c check (a > 0));",
            bad=True,
        ),
        unsure("alter table t alter a set not null; alter table t drop constraint t_a_not_null;"),
    ),
)


def _drop_not_null(case: Case) -> Iterator[Hit]:
    name = _made_nullable(case)
    known = table_column(case, name)
    if not name or case.state.down or not column_in_use(case, name) or (known and known.not_null is False):
        return
    yield Hit(
        f"{name} can become NULL, and applications that read it may not expect that",
        "-- first release an application that handles NULL",
        decider(case, known.created if known else None),
        unless=_column_meets(case, name, lambda column: column.not_null is True),
    )


def _made_nullable(case: Case) -> str:
    """Returns the column that becomes nullable, by DROP NOT NULL or by DROP CONSTRAINT."""
    name = str(case.node.get("name", ""))
    if case.kind == "AT_DropNotNull":
        return name
    known = case.table.constraint(name) if case.table else None
    if known is None:
        return _unnamed_not_null(case, name)
    return known.columns[0] if known.kind == "not null" else ""


def _column_meets(case: Case, name: str, condition: Callable[[Column], bool]) -> Callable[[Catalog], bool]:
    """Whether the column meets the condition at the end of the file."""
    table_name = case.name

    def column_meets(catalog: Catalog) -> bool:
        table = catalog.tables.get(table_name)
        column = table.columns.get(name) if table else None
        return column is not None and condition(column)

    return column_meets


DROP_NOT_NULL = Rule(
    name="drop-not-null",
    level=Level.WARNING,
    on=("AT_DropNotNull", "AT_DropConstraint"),
    stake="An application that does not expect a NULL in the column can fail at the first.",
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
    name, known = str(case.node.get("name", "")), table_column(case, str(case.node.get("name", "")))
    if "def" in case.node or case.state.down or not relation_in_use(case, case.name):
        return
    if known is not None and (
        (known.type and not _is_filled(known)) or (not is_in_use(case, known.created) and not known.not_null)
    ):
        return
    yield Hit(
        f"INSERTs that omit {name} store NULL, or fail if it is NOT NULL",
        "-- first release an application that always sets the column",
        decider(case, known.created if known else None),
        unless=_column_meets(case, name, _is_filled),
    )


def _is_filled(column: Column) -> bool:
    """Whether the column has a value when an INSERT omits it."""
    return column.default is not None or bool(column.identity or column.generated)


DROP_DEFAULT = Rule(
    name="drop-default",
    level=Level.WARNING,
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
