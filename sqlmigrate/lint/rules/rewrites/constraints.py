"""Rules about constraints that scan a table or build an index under a blocking lock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import before_validations, domains_over, is_new, proves_not_null, table_decider
from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, good, per_case, unsure
from sqlmigrate.lint.rules.rewrites.new_columns import added_columns, is_table_in_use
from sqlmigrate.lint.rules.wording import BLOCKS_ALL, BLOCKS_WRITES, SCANS
from sqlmigrate.lint.safer import constraints as safer
from sqlmigrate.lint.schema.interpret.definitions import (
    column_constraints,
    column_of,
    constrained_columns,
    index_used,
)
from sqlmigrate.sql.tree import qualified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmigrate.lint.schema.catalog import Name, Table
    from sqlmigrate.sql.parser import Node

_BACKED_BY_INDEX = {
    "CONSTR_UNIQUE": "a unique constraint",
    "CONSTR_PRIMARY": "a primary key",
    "CONSTR_EXCLUSION": "an exclusion constraint",
}


@per_case
def _added(case: Case) -> list[tuple[str, Node]]:
    """Returns the constraints that a subcommand adds to an existing table, each with the new column's name or ''."""
    if case.kind == "AT_AddColumn":
        return [(column.name, body) for column, node in added_columns(case) for body in column_constraints(node)]
    return [("", case.node["def"]["Constraint"])] if is_table_in_use(case) else []


def _check_set_not_null(case: Case) -> Iterator[Hit]:
    name, table = _made_not_null(case), before_validations(case, case.table)
    if not name or is_new(case) or proves_not_null(table, name):
        return
    if table is not None and table.validated:
        message = f"whether {table.validated[-1]}, which a file validates, proves that {name} has no NULL"
        yield Hit(f"{message}; if not, this scans {case.name[1]}", certain=False)
        return
    yield Hit(
        f"making {name} NOT NULL scans {case.name[1]} {BLOCKS_ALL}",
        partial(safer.made_not_null, case, name),
    )


def _made_not_null(case: Case) -> str:
    """Returns the column that the subcommand makes NOT NULL with a table scan, or an empty string."""
    if case.kind == "AT_SetNotNull":
        return str(case.node.get("name", ""))
    if case.kind == "AT_AddColumn":
        column = case.node["def"]["ColumnDef"]
        kinds = {body["contype"] for body in column_constraints(column)}
        is_checked = column_of(column).generated == "virtual" and "CONSTR_NOTNULL" in kinds
        return str(column.get("colname", "")) if is_checked else ""
    node = case.node["def"]["Constraint"]
    if node["contype"] != "CONSTR_NOTNULL" or node.get("skip_validation"):
        return ""
    return constrained_columns(node)[0]


_SET_NOT_NULL = "alter table t alter a set not null;"
_UNPROVED = "create table t (a int); alter table t add constraint c check (a is not null) not valid;"

SET_NOT_NULL = Rule(
    name="set-not-null-scans",
    level=Level.WARNING,
    on=("AT_SetNotNull", "AT_AddConstraint", "AT_AddColumn"),
    stake=f"{SCANS} A valid CHECK (a IS NOT NULL) makes the scan unnecessary.",
    safe="alter table t add constraint a_not_null check (a is not null) not valid;\n"
    "alter table t validate constraint a_not_null; -- in a separate transaction\n"
    "alter table t alter column a set not null;",
    check=_check_set_not_null,
    examples=(
        bad(_SET_NOT_NULL),
        bad(_SET_NOT_NULL, "create table t (a int);"),
        bad(_SET_NOT_NULL, "create table t (a int, check (a > 0));"),
        bad(_SET_NOT_NULL, _UNPROVED),
        bad(_SET_NOT_NULL, "create table t (a int, b int, check (a is not null or b > 0));"),
        bad(_SET_NOT_NULL, "create table t (a int not null); alter table t alter a drop not null;"),
        bad("alter table t add constraint n not null a;"),
        bad("alter table t add b int generated always as (a + 1) virtual not null;"),
        bad("do $$ begin execute 'alter table t ' || 'alter a set not null'; end $$;"),
        bad("do $$ begin execute format('alter table %I alter %I set not null', 't', 'a'); end $$;"),
        good("alter table t add b int not null default 1;"),
        good(_SET_NOT_NULL, "create table t (a int, check (a is not null));"),
        good(_SET_NOT_NULL, "create table t (a int, check (a is not null and a > 0));"),
        good(_SET_NOT_NULL, "create table t (a int not null);"),
        good(_SET_NOT_NULL, "create table t (a int primary key);"),
        good(_SET_NOT_NULL, _UNPROVED + "alter table t validate constraint c;"),
        good("create table t (a int); alter table t alter a set not null;"),
        good("alter table t add constraint n not null a not valid;"),
        bad("alter table t validate constraint t_a_fkey; alter table t alter a set not null;"),
        bad("alter table t validate constraint c, alter a set not null;"),
        unsure("alter table t validate constraint c; alter table t alter a set not null;"),
        unsure(_SET_NOT_NULL, "alter table t validate constraint c;"),
    ),
)


def _check_check(case: Case) -> Iterator[Hit]:
    for column, node in _added(case):
        if node["contype"] == "CONSTR_CHECK" and not node.get("skip_validation"):
            on_column = f" on the new column {column}" if column else ""
            yield Hit(
                f"adding a CHECK{on_column} scans {case.name[1]} {BLOCKS_ALL}",
                partial(safer.checked_later, case),
                node=node,
            )


CHECK = Rule(
    name="check-scans",
    level=Level.WARNING,
    on=("AT_AddConstraint", "AT_AddColumn"),
    stake=f"{SCANS} VALIDATE CONSTRAINT scans it under a lock that blocks neither.",
    safe="alter table t add constraint a_positive check (a > 0) not valid;\n"
    "alter table t validate constraint a_positive; -- in a separate transaction",
    check=_check_check,
    examples=(
        bad("alter table t add constraint c check (a > 0);"),
        bad("alter table t add check (a > 0);", "create table t (a int);"),
        bad("alter table t add column a int check (a > 0);"),
        bad("alter table t add column b int, add constraint c check (b > 0);"),
        good("alter table t add constraint c check (a > 0) not valid;"),
        good("alter table t add constraint c check (a > 0) not enforced;"),
        good("create table t (a int); alter table t add check (a > 0);"),
        good("alter table t add column if not exists a int check (a > 0);", "create table t (a int);"),
        good("create temp table t (a int); alter table t add check (a > 0);"),
    ),
)


def _check_foreign_key(case: Case) -> Iterator[Hit]:
    for column, node in _added(case):
        scans = not column or safer.has_value(case.node["def"]["ColumnDef"])
        if node["contype"] == "CONSTR_FOREIGN" and not node.get("skip_validation") and scans:
            yield Hit(
                f"adding a foreign key scans {case.name[1]} under SHARE ROW EXCLUSIVE locks, "
                "which block writes to both tables until the transaction ends",
                partial(safer.referenced_later, case),
                node=node,
            )


FOREIGN_KEY = Rule(
    name="foreign-key-scans",
    level=Level.WARNING,
    on=("AT_AddConstraint", "AT_AddColumn"),
    stake="Scans the whole table under SHARE ROW EXCLUSIVE locks, which block writes to both tables.",
    safe="alter table t add constraint t_r_id_fkey foreign key (r_id) references r not valid;\n"
    "alter table t validate constraint t_r_id_fkey; -- in a separate transaction",
    check=_check_foreign_key,
    examples=(
        bad("alter table t add constraint f foreign key (a) references r (id);"),
        bad(
            "alter table t add foreign key (a) references r;",
            "create table t (a int); create table r (id int primary key);",
        ),
        bad("alter table t add column a int default 1 references r;"),
        bad("alter table t add column a int, add foreign key (a) references r;"),
        bad("create table r (id int primary key); alter table t add foreign key (a) references r;"),
        good("alter table t add constraint f foreign key (a) references r (id) not valid;"),
        good("alter table t add column a int references r;"),
        good("create table t (a int); alter table t add foreign key (a) references r;"),
        good("alter table t add foreign key (a) references r not enforced;"),
        good("alter table t add column if not exists a int default 1 references r;", "create table t (a int);"),
    ),
)


def _check_validate(case: Case) -> Iterator[Hit]:
    constraint = case.table.constraint(case.node.get("name", "")) if case.table and not is_new(case) else None
    if constraint is None or constraint.valid:
        return
    if constraint.created == case.state.created and case.state.in_transaction:
        lock = "an ACCESS EXCLUSIVE lock, which blocks reads and writes"
        if constraint.kind == "foreign":
            lock = "SHARE ROW EXCLUSIVE locks, which block writes to both tables"
        yield Hit(
            f"VALIDATE scans {case.name[1]} while the transaction that added {constraint.name} still holds {lock}",
            partial(safer.validated_later, case),
        )


_NOT_VALID = "alter table t add constraint c check (a > 0) not valid;"
_VALIDATE = "alter table t validate constraint c;"

VALIDATE = Rule(
    name="validate-in-same-transaction",
    level=Level.WARNING,
    on=("AT_ValidateConstraint",),
    stake="The transaction still holds the lock of ADD CONSTRAINT during the scan, so NOT VALID has no benefit.",
    safe="alter table t add constraint c check (a > 0) not valid;\n"
    "-- in the next file:\nalter table t validate constraint c;",
    check=_check_validate,
    examples=(
        bad(_NOT_VALID + _VALIDATE),
        bad("alter table t add constraint c foreign key (a) references r not valid;" + _VALIDATE),
        bad("begin;" + _NOT_VALID + _VALIDATE + "end;"),
        bad("alter table t add constraint c check (a > 0) not valid, validate constraint c;"),
        bad("alter table t add constraint c not null a not valid;" + _VALIDATE),
        good("begin;" + _NOT_VALID + "commit; begin;" + _VALIDATE + "commit;"),
        good(_VALIDATE, _NOT_VALID),
        good(_VALIDATE),
        good("create table t (a int);" + _NOT_VALID + _VALIDATE),
        good("-- sqlmigrate: transaction=off\n\n" + _NOT_VALID + _VALIDATE),
    ),
)


def _check_index_build(case: Case) -> Iterator[Hit]:
    for _, node in _added(case):
        if node["contype"] in _BACKED_BY_INDEX and "indexname" not in node:
            message = f"adding {_BACKED_BY_INDEX[node['contype']]} builds an index on {case.name[1]} {BLOCKS_ALL}"
            yield Hit(message, partial(safer.built_concurrently, case), node=node)


BUILDS_INDEX = Rule(
    name="constraint-builds-index",
    level=Level.WARNING,
    on=("AT_AddConstraint", "AT_AddColumn"),
    stake="Builds the index under an ACCESS EXCLUSIVE lock, which blocks reads and writes.",
    safe="create unique index concurrently t_a_key on t (a);\n"
    "alter table t add constraint t_a_key unique using index t_a_key;",
    check=_check_index_build,
    examples=(
        bad("alter table t add constraint u unique (a);"),
        bad("alter table t add primary key (id);"),
        bad("alter table t add constraint e exclude using gist (during with &&);"),
        bad("alter table t add column a int unique;"),
        bad("alter table t add unique (a, b);", "create table t (a int, b int);"),
        good("alter table t add constraint u unique using index t_a_idx;"),
        good("alter table t add constraint p primary key using index t_id_idx;"),
        good("create table t (a int); alter table t add unique (a);"),
        good("alter table t add column if not exists a int unique;", "create table t (a int);"),
    ),
)


def _check_primary_key(case: Case) -> Iterator[Hit]:
    node = case.node["def"]["Constraint"]
    if node["contype"] != "CONSTR_PRIMARY" or "indexname" not in node or is_new(case):
        return
    index = index_used(case.catalog, case.table, node) if case.table else None
    columns = index.columns if index else ()
    if case.table is None or not columns or any(_is_unknown(case.table, name) for name in columns):
        yield Hit("whether the index columns are NOT NULL; if not, the statement scans the table", certain=False)
        return
    nullable = [name for name in columns if not proves_not_null(case.table, name)]
    if nullable and case.table.validated:
        message = f"whether {case.table.validated[-1]}, which a file validates, proves that {nullable[0]} has no NULL"
        yield Hit(message, certain=False)
    elif nullable:
        yield Hit(
            f"making {', '.join(nullable)} NOT NULL for the primary key scans {case.name[1]} {BLOCKS_ALL}",
            partial(safer.key_of_not_null_columns, case, nullable),
            table_decider(case, case.table),
        )


def _is_unknown(table: Table, name: str) -> bool:
    """Whether the files do not show if the column can be NULL."""
    column = table.columns.get(name)
    unknown = table.partial if column is None else column.not_null is None
    return unknown and not proves_not_null(table, name)


_I = "create unique index i on t (id);"
_USING_I = "alter table t add primary key using index i;"

PRIMARY_KEY_USING = Rule(
    name="primary-key-using-nullable",
    level=Level.WARNING,
    on=("AT_AddConstraint",),
    stake=f"{SCANS} A primary key makes its columns NOT NULL.",
    safe="alter table t alter column id set not null; -- after a valid CHECK\n"
    "alter table t add primary key using index t_id_idx;",
    check=_check_primary_key,
    examples=(
        bad(_USING_I, "create table t (id int);" + _I),
        bad(_USING_I, "create table t (id int not null, b int); create unique index i on t (id, b);"),
        good(_USING_I, "create table t (id int not null);" + _I),
        good(_USING_I, "create table t (id int, check (id is not null));" + _I),
        good("create table t (id int);" + _I + _USING_I),
        good("alter table t add unique using index i;", "create table t (id int);" + _I),
        unsure(_USING_I),
    ),
)


def _check_domain_constraint(case: Case) -> Iterator[Hit]:
    node = case.node
    adds = node.get("subtype") == "C" and not node["def"]["Constraint"].get("skip_validation")
    validates = node.get("subtype") == "V"
    if not adds and not validates and node.get("subtype") != "O":
        return
    name = case.catalog.resolve(qualified(node["typeName"]), case.catalog.types)
    domain = case.catalog.types.get(name)
    if domain is None or (case.decider(domain.created) is Decider.EARLIER and _is_used(case, name)):
        yield Hit(
            f"ALTER DOMAIN scans every table that uses {name[1]} {BLOCKS_WRITES}",
            "validate the constraint at a time of few writes"
            if validates
            else partial(safer.domain_checked_later, case),
            Decider.EARLIER if domain else Decider.FILE,
        )


def _is_used(case: Case, domain: Name) -> bool:
    """Whether an existing table has, or may have, a column of the domain."""
    names = domains_over(case.catalog, domain[1])
    tables = [table for name in names for table in case.catalog.using(name) if not is_new(case, table.name)]
    types = (column.type for table in tables for column in table.columns.values())
    return bool(case.catalog.uncertain) or any(type_ and type_.name.rpartition(".")[2] in names for type_ in types)


DOMAIN_CONSTRAINT = Rule(
    name="domain-constraint-scans",
    level=Level.WARNING,
    on=("AlterDomainStmt",),
    stake="Scans every table with a column of the domain under a SHARE lock, which blocks writes. VALIDATE CONSTRAINT "
    "of a domain takes the same lock, unlike that of a table.",
    safe="alter domain d add constraint c check (value <> '') not valid; -- and VALIDATE it at a time of few writes",
    check=_check_domain_constraint,
    examples=(
        bad("alter domain d add constraint c check (value > 0);"),
        bad("alter domain d set not null;"),
        bad("alter domain d add check (value > 0);", "create domain d as int; create table t (a d);"),
        bad("alter domain d set not null;", "create domain d as int; create domain e as d; create table t (a e);"),
        bad("alter domain d validate constraint c;"),
        good("alter domain d add constraint c check (value > 0) not valid;"),
        good("alter domain d add check (value > 0);", "create domain d as int; create domain e as d;"),
        good("alter domain d validate constraint c;", "create domain d as int; create table t (a int);"),
        good("create domain d as int; alter domain d add check (value > 0);"),
        good("alter domain d add check (value > 0);", "create domain d as int; create table t (a int);"),
        good("alter domain d set default 1;"),
    ),
)

RULES = (SET_NOT_NULL, CHECK, FOREIGN_KEY, VALIDATE, BUILDS_INDEX, PRIMARY_KEY_USING, DOMAIN_CONSTRAINT)
