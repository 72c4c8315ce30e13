"""Breaks clients or loses data: statements that change or delete all rows, or that existing rows make fail."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlmigrate.lint.facts.questions import conjuncts, domain_default, domain_requires_value, implies_not_null
from sqlmigrate.lint.facts.rows import NO_COLUMNS, is_emptied, rows_in
from sqlmigrate.lint.facts.usage import column_in_use, relation_decider, relation_in_use, table_column
from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Hit, Rule, bad, down, good, unsure
from sqlmigrate.lint.rules.clients.origin import created_by, has_value, required_columns
from sqlmigrate.lint.rules.wording import listed
from sqlmigrate.lint.safer import batches
from sqlmigrate.lint.schema.defaults import is_null
from sqlmigrate.lint.schema.interpret.definitions import column_constraints, column_of
from sqlmigrate.lint.schema.narrowing import is_narrower
from sqlmigrate.lint.schema.typenames import type_in
from sqlmigrate.sql.tree import bodies, constant, kind_and_body, relation, strings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlmigrate.lint.schema.catalog import Column, Name
    from sqlmigrate.lint.schema.state import Rows
    from sqlmigrate.sql.parser import Node

_DELETE_BATCHES = "delete only the rows that are not needed, in batches that commit separately"
_CHANGES_ROWS = ("UpdateStmt", "DoStmt", "CallStmt", "SelectStmt", "MergeStmt", "InsertStmt")
_DEFAULT = "give {name} a default, or leave it nullable, fill it in batches and set NOT NULL in a later file"


def _truncate(case: Case) -> Iterator[Hit]:
    nodes = [item["RangeVar"] for item in case.node["relations"] if relation_in_use(case, relation(item["RangeVar"]))]
    if nodes:
        names = [relation(node) for node in nodes]
        message = f"deletes every row of {listed(name[1] for name in names)}"
        yield Hit(message, _DELETE_BATCHES, relation_decider(case, names[0]), node=nodes[0])


TRUNCATE = Rule(
    name="truncate",
    level=Level.WARNING,
    on=("TruncateStmt",),
    stake="All rows are lost, and reads and writes of the table are blocked until the transaction ends.",
    safe="delete from t where id between 1 and 10000; -- only the rows to delete, in batches",
    check=_truncate,
    examples=(
        bad("truncate t;"),
        bad("truncate table only t, u restart identity;"),
        bad("truncate t cascade;", "create table t (a int);"),
        bad("create table u (a int); truncate u, t;"),
        good("create table t (a int); truncate t;"),
        good("create temp table t (a int); truncate t;"),
        down("truncate t;", "select 1;", "create table t (a int);", bad=True),
        good("create table x (a int); alter table x rename to t; truncate t;"),
    ),
)


def _whole_table(case: Case) -> Iterator[Hit]:
    for kind, node in _changes(case):
        name = relation(node["relation"])
        is_used = relation_in_use(case, name) and not is_emptied(case.catalog, case.state, case.catalog.resolve(name))
        if is_used and kind == "MergeStmt":
            yield from _merged(case, node)
        elif is_used and _affects_all(case, kind, node):
            action = "updates" if kind == "UpdateStmt" else "deletes"
            yield Hit(
                f"{action} every row of {name[1]} in one statement; all rows are locked until the transaction ends",
                partial(batches.in_batches, case, kind, node),
                relation_decider(case, name),
            )


def _changes(case: Case) -> Iterator[tuple[str, Node]]:
    """Yields the statement if it is an UPDATE or DELETE, and each UPDATE or DELETE in its WITH clause."""
    if case.kind in ("UpdateStmt", "DeleteStmt", "MergeStmt"):
        yield case.kind, case.node
    for item in case.node.get("withClause", {}).get("ctes", ()):
        kind, body = kind_and_body(item["CommonTableExpr"]["ctequery"])
        if kind in ("UpdateStmt", "DeleteStmt"):
            yield kind, body


def _merged(case: Case, node: Node) -> Iterator[Hit]:
    """Yields a finding if a MERGE with a whole table changes the rows that it matches, whatever they contain."""
    clauses = [clause for clause in bodies(node, "mergeWhenClauses") if clause["matchKind"] == "MERGE_WHEN_MATCHED"]
    actions = [clause["commandType"] for clause in clauses if "condition" not in clause]
    action = next((_MERGES[action] for action in actions if action in _MERGES), "")
    source = {"fromClause": [node["sourceRelation"]], **node}
    if action and _reads_whole_sources(case, source) and all(map(_is_join, conjuncts(node["joinCondition"]))):
        name = relation(node["relation"])
        yield Hit(
            f"{action} every row of {name[1]} that matches, in one statement; "
            "these rows are locked until the transaction ends",
            "merge the rows in batches that commit separately",
            relation_decider(case, name),
        )


_MERGES = {"CMD_UPDATE": "updates", "CMD_DELETE": "deletes"}


def _affects_all(case: Case, kind: str, node: Node) -> bool:
    """Whether the condition is known to be true for every row."""
    name = case.catalog.resolve(relation(node["relation"]))
    joins = kind == "UpdateStmt" and bool(node.get("fromClause")) and _reads_whole_sources(case, node)
    parts = conjuncts(node.get("whereClause"))
    return all(_is_true(case, name, part) or (joins and _is_join(part)) for part in parts)


def _reads_whole_sources(case: Case, node: Node) -> bool:
    """Whether the FROM list of an UPDATE has only tables in use and subqueries without a restriction."""
    ctes = {item["CommonTableExpr"]["ctename"] for item in node.get("withClause", {}).get("ctes", ())}

    def is_whole(kind: str, body: Node) -> bool:
        if kind == "RangeVar":
            return relation(body)[1] not in ctes and relation_in_use(case, relation(body))
        query = body.get("subquery", {}).get("SelectStmt", {})
        return "fromClause" in query and not query.keys() & {"whereClause", "limitCount", "havingClause"}

    return all(is_whole(*kind_and_body(source)) for source in node["fromClause"])


def _is_join(part: Node) -> bool:
    """Whether a condition only compares a column with a column of another table."""
    comparison = part.get("A_Expr", {})
    sides = [strings(comparison.get(side, {}).get("ColumnRef", {}).get("fields", ())) for side in ("lexpr", "rexpr")]
    return strings(comparison.get("name", ())) == ["="] and all(sides) and sides[0][:-1] != sides[1][:-1]


def _is_true(case: Case, name: Name, part: Node) -> bool:
    kind, body = kind_and_body(part)
    if kind == "BoolExpr" and body["boolop"] == "OR_EXPR":
        return any(_is_true(case, name, argument) for argument in body["args"])
    if kind == "NullTest":
        return _null_test_is_true(case, name, body)
    if kind == "A_Expr" and strings(body.get("name", ())) in (["="], [">="], ["<="]):
        return _same(body.get("lexpr"), body.get("rexpr"))
    return constant(part) is True


def _same(left: Node | None, right: Node | None) -> bool:
    columns = [strings(side.get("ColumnRef", {}).get("fields", ())) for side in (left or {}, right or {})]
    if columns[0] or columns[1]:
        return columns[0] == columns[1]
    return constant(left or {}) is not None and constant(left or {}) == constant(right or {})


def _null_test_is_true(case: Case, name: Name, test: Node) -> bool:
    """Whether the test is true for every row: IS NOT NULL of a NOT NULL column, IS NULL of a column just added."""
    names = strings(test.get("arg", {}).get("ColumnRef", {}).get("fields", ()))
    table = case.catalog.tables.get(name)
    column = table.columns.get(names[-1]) if table and names else None
    if column is None:
        return False
    if test["nulltesttype"] == "IS_NOT_NULL":
        return column.not_null is True
    return not has_value(column) and column.created is not None and column.created.file == case.state.file


WHOLE_TABLE = Rule(
    name="whole-table-change",
    level=Level.WARNING,
    on=("UpdateStmt", "DeleteStmt", "InsertStmt", "SelectStmt", "MergeStmt"),
    stake="All rows stay locked until the transaction ends, and an UPDATE of all rows doubles the size of the table.",
    safe="update t set b = 1 where id between 1 and 10000; -- and so on, each batch in its own transaction",
    check=_whole_table,
    examples=(
        bad("update t set a = 1;"),
        bad("delete from t;"),
        bad("update t set a = 1 where true;", "create table t (a int);"),
        bad("delete from only s.t where 1 = 1;"),
        bad("begin; alter table t add column b int; commit; update t set b = 1 where b is null;"),
        bad("update t set a = 1 where id is not null;", "create table t (id int primary key, a int);"),
        bad("with gone as (delete from t returning *) insert into u select * from gone;"),
        bad("update t set a = r.a from r where r.id = t.r_id;"),
        bad("update t set n = c.n from (select t_id, count(*) as n from r group by 1) c where c.t_id = t.id;"),
        bad("do $$ begin update t set a = 1; end $$;"),
        bad("create function f() returns void language sql as 'update t set b = 1'; select f();"),
        bad("create procedure p() language sql as 'delete from t'; call p();"),
        bad("do $$ begin execute format('delete from %I', 't'); end $$;"),
        good("create function f() returns void language plpgsql as $$ begin update t set b = 1; end $$;"),
        bad("merge into t using r on r.id = t.r_id when matched then update set a = r.a;"),
        bad("merge into t using r on r.id = t.id when not matched then insert values (1) when matched then delete;"),
        good("merge into t using r on r.id = t.id when matched and r.a > 5 then update set a = r.a;"),
        good("merge into t using (values (1, 2)) r (id, a) on r.id = t.id when matched then update set a = r.a;"),
        good("merge into t using r on r.id = t.id when not matched then insert values (r.id);"),
        good("update t set a = 1 where id = 5;"),
        good("update t set a = 1 where id between 1 and 1000;"),
        good("update t set a = 1 where a is null;", "create table t (a int);"),
        good("update t set a = 1 where id in (select id from t where a is null limit 1000);"),
        good("with b as (select id from t limit 9) update t set a = 1 from b where b.id = t.id;"),
        good("alter table t add column b int; update t set b = 1 where b is null and id <= 1000;"),
        good("create table t (a int); insert into t values (1); update t set a = 2; delete from t;"),
        good("create temp table x as select 1 as id; update t set a = 1 from x where x.id = t.id;"),
        good("delete from t where created_at < now() - interval '1 year';"),
        down("delete from t;", "create table t (a int); insert into t values (1);"),
        down("delete from t;", "insert into t values (1);", "create table t (a int);", bad=True),
        good("update t set a = v.a from (values (1, 2)) v (id, a) where v.id = t.id;"),
    ),
)


def _required(case: Case) -> Iterator[Hit]:
    if case.statement.body.get("objtype") != "OBJECT_TABLE":
        return
    rows = rows_in(case.catalog, case.state, case.name)
    for name in _null_columns(case, rows):
        message = f"column {name} contains null values"
        by = relation_decider(case, case.name)
        if rows is not None and rows.some:
            yield Hit(f"this fails: {message}", _DEFAULT.format(name=name), by)
        elif not _has_rows(case):
            return
        elif rows is None:
            yield Hit(f"this fails if the table has rows: {message}", _DEFAULT.format(name=name), by)
        elif rows.some is None:
            yield Hit(f"whether the table has rows; if it has, this fails: {message}", by=by, certain=False)
        else:
            yield Hit(f"whether applications insert rows without {name}, which fails from now on", certain=False)


def _null_columns(case: Case, rows: Rows | None) -> Iterable[str]:
    """Returns the columns that must not be NULL from now on, and are or become NULL in every row or in some."""
    nulls = rows.nulls if rows else NO_COLUMNS
    if case.kind == "AT_ValidateConstraint":
        constraint = case.table.constraint(case.node.get("name", "")) if case.table else None
        return [name for name in nulls if constraint and implies_not_null(constraint.expression, name)]
    if case.kind == "AT_AddColumn":
        column = column_of(case.node["def"]["ColumnDef"])
        exists = case.node.get("missing_ok") and table_column(case, column.name) is not None
        return [column.name] if not exists and _lacks_value(case, column) else ()
    if case.node.get("def", {}).get("Constraint", {}).get("skip_validation"):
        return ()
    return [name for name in required_columns(case) if name in nulls or is_still_empty(case, name)]


def _has_rows(case: Case) -> bool:
    """Whether the table can have rows: it existed before the file, or this is a down file and no file created it."""
    uncreated = case.table is None or case.table.created is None
    return relation_in_use(case, case.name) or (case.state.down and uncreated)


def _lacks_value(case: Case, column: Column) -> bool:
    """Whether a new column must have a value, by NOT NULL, a CHECK or its domain, and has none in existing rows."""
    checks = column_constraints(case.node["def"]["ColumnDef"])
    is_checked = any(implies_not_null(check.get("raw_expr"), column.name) for check in checks)
    is_required = column.not_null or is_checked or domain_requires_value(case.catalog, column.type)
    if not is_required or column.identity or column.generated:
        return False
    if column.default is None:
        return domain_default(case.catalog, column.type) is None
    return is_null(column.default)


def is_still_empty(case: Case, name: str) -> bool:
    """Whether this file added the column without a value, and no statement since can have set one."""
    column = table_column(case, name)
    if column is None or column.created is None or column.created.file != case.state.file:
        return False
    filled = has_value(column) or column.not_null or not relation_in_use(case, case.name)
    return not filled and not case.state.has_run(*_CHANGES_ROWS)


REQUIRED = Rule(
    name="required-column",
    level=Level.ERROR,
    on=("AT_AddColumn", "AT_SetNotNull", "AT_AddConstraint", "AT_ValidateConstraint"),
    stake="It fails on a table with rows. On any table, later INSERTs of applications that omit the column fail.",
    safe="alter table t add column b int not null default 0; -- no rewrite, and INSERTs without b still work",
    check=_required,
    examples=(
        bad("alter table t add column b int not null;"),
        bad("alter table t add b int not null default null;", "create table t (a int);"),
        bad("alter table t add column id bigint primary key;"),
        bad("alter table t add b d;", "create table t (a int); create domain d as int not null;"),
        bad("alter table t add column b int; alter table t alter b set not null;"),
        down("alter table t add column b int not null;", "alter table t drop column b;", bad=True),
        bad("alter table t add column b int not null check (b > 0), add c int;"),
        bad("alter table t add column b int check (b is not null);"),
        bad("alter table t add b d;", "create table t (a int); create domain d as int check (value is not null);"),
        bad("alter table t add column b int; alter table t add check (b is not null);"),
        good("alter table t add column b int default 0 check (b is not null);"),
        good("alter table t add column b int; alter table t add check (b is not null) not valid;"),
        good("alter table t add column b int not null default 0;"),
        good("alter table t add column b int;"),
        good("alter table t add column b bigserial not null;"),
        good("alter table t add column id bigint generated always as identity primary key;"),
        good("alter table t add column b int not null generated always as (a + 1) stored;"),
        good("create table t (a int); alter table t add column b int not null;"),
        good("alter table t add column if not exists b int not null;", "create table t (a int, b int);"),
        good("alter table t add column b int; update t set b = 1; alter table t alter b set not null;"),
        good("alter table t add b d;", "create table t (a int); create domain d as int not null default 1;"),
        bad("create table t (a int); insert into t values (1); alter table t add column b int not null;"),
        bad("create table t (a int, b int); insert into t (a) values (1); alter table t alter b set not null;"),
        bad("create table t (a int); insert into t values (null); alter table t add primary key (a);"),
        unsure("truncate t; alter table t add column b int not null;"),
        unsure("begin; delete from t; commit; begin; alter table t add column b int not null; commit;"),
    ),
)


def _narrowing(case: Case) -> Iterator[Hit]:
    name = case.node.get("name", "")
    if case.state.down or case.statement.body.get("objtype") != "OBJECT_TABLE" or not column_in_use(case, name):
        return
    if is_emptied(case.catalog, case.state, case.name):
        return
    column, new = table_column(case, name), type_in(case.catalog, case.node["def"]["ColumnDef"]["typeName"])
    old = column.type if column is not None else None
    if (old is None and new.name in _NARROWEST) or (old is not None and is_narrower(old, new, case.catalog)):
        yield Hit(
            f"not every {old or 'other value'} fits in {new}: this fails, or truncates or rounds values of {name}",
            "add a column of the new type, fill it in batches, fix the values that do not fit, then swap the names",
            created_by(case, column),
        )


# Types that have no narrower type of their kind: whatever the column had, it had more values.
_NARROWEST = ("int2", "bool", "float4", "char")

NARROWING = Rule(
    name="narrowing-type",
    level=Level.WARNING,
    on=("AT_AlterColumnType",),
    stake="It fails at the first value that does not fit, or truncates and rounds values, which is irreversible.",
    safe="alter table t add column a_new varchar(20);\n"
    "-- fill it in batches, fix the values that do not fit, then swap the names",
    check=_narrowing,
    examples=(
        bad("alter table t alter a type varchar(20);", "create table t (a varchar(50));"),
        bad("alter table t alter a type int;", "create table t (a bigint);"),
        bad("alter table t alter a type numeric(10,2);", "create table t (a numeric(12,2));"),
        bad("alter table t alter a type numeric(10,1);", "create table t (a numeric(10,2));"),
        bad("alter table t alter a type date;", "create table t (a timestamptz);"),
        bad("alter table t alter a type uuid using a::uuid;", "create table t (a text);"),
        bad("alter table t alter a type real;", "create table t (a double precision);"),
        bad("alter table t alter a type smallint;"),
        good("alter table t alter a type varchar(50);", "create table t (a varchar(20));"),
        good("alter table t alter a type text;", "create table t (a varchar(20));"),
        good("alter table t alter a type bigint;", "create table t (a int);"),
        good("alter table t alter a type numeric(12,2);", "create table t (a numeric(10,2));"),
        good("create table t (a text); alter table t alter a type varchar(20);"),
        good("alter table t alter a type text;", "create type m as enum ('a'); create table t (a m);"),
        good("alter table t alter column a type varchar(20);"),  # type-change-rewrites reports it as info
    ),
)

RULES = (TRUNCATE, WHOLE_TABLE, REQUIRED, NARROWING)
