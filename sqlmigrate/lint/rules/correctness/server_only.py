"""Correctness: findings that only a server reports, with `--replay`; the rules here only describe them."""

from __future__ import annotations

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Rule, bad, good, unsure

_TABLE = "create table t (id int, a int);"
_FUNCTION = "create function f() returns void language sql as 'alter table t alter a type text'"
_HIDDEN = "do $$ declare command text := '{}'; begin execute command; end $$;"
_HIDDEN_REWRITE = _HIDDEN.format("alter table t alter a type bigint")
_HIDDEN_SCAN = _HIDDEN.format("alter table t alter a set not null")
_HIDDEN_INDEX = _HIDDEN.format("create index on t (a)")

FAILS = Rule(
    name="fails",
    level=Level.ERROR,
    stake="The statement fails on a server whose schema the earlier files created.",
    safe="select 1;",
    examples=(
        bad("select a + '{}'::json from t;", _TABLE),
        bad("create view v as select no_such_function(a) from t;", _TABLE),
        bad("create index on t using gist (a);", _TABLE),
        bad("create trigger x before insert on t execute function no_such_function();", _TABLE),
        bad("alter table t add constraint c check (no_such_function(a));", _TABLE),
        unsure("do $$ begin raise 'not today'; end $$;"),
        unsure("insert into t values (1);", "create table t (id int primary key); insert into t values (1);"),
        good("insert into t values (1, 2);", _TABLE),
        good("grant select on t to nobody_made_this_role;", _TABLE),
    ),
)
REWRITES = Rule(
    name="rewrites-table",
    level=Level.WARNING,
    stake="The statement rewrites a table, which blocks reads and writes. Its text does not show this.",
    safe="alter table t add column b bigint;  -- then fill it in batches, and replace a with it",
    examples=(
        bad(_HIDDEN_REWRITE, _TABLE),
        bad("select f();", _TABLE + _FUNCTION),
        good(_HIDDEN_REWRITE, "create table t (a bigint);"),
        good(_TABLE + _HIDDEN_REWRITE),
        good("alter table t alter a type bigint;", _TABLE),
    ),
)
SCANS = Rule(
    name="scans-table",
    level=Level.WARNING,
    stake="The statement scans a whole table under a lock that blocks writes. Its text does not show this.",
    safe="alter table t add constraint a_not_null check (a is not null) not valid;\n"
    "alter table t validate constraint a_not_null;\nalter table t alter column a set not null;",
    examples=(
        bad(_HIDDEN_SCAN, _TABLE),
        bad(_HIDDEN.format("alter table t add foreign key (a) references t"), "create table t (a int primary key);"),
        good(_HIDDEN_SCAN, "create table t (a int check (a is not null));"),
        good(_TABLE + _HIDDEN_SCAN),
        good("alter table t alter a set not null;", _TABLE),
    ),
)
BUILDS = Rule(
    name="builds-index",
    level=Level.WARNING,
    stake="The statement builds an index under a lock that blocks writes. Its text does not show this.",
    safe="create index concurrently t_a_idx on t (a);",
    examples=(
        bad(_HIDDEN_INDEX, _TABLE),
        bad(_HIDDEN.format("alter table t add primary key (a)"), "create table t (a int not null);"),
        good(_TABLE + _HIDDEN_INDEX),
        good("truncate t;", "create table t (a int primary key);"),
        good("create index on t (a);", _TABLE),
    ),
)
RULES = (FAILS, REWRITES, SCANS, BUILDS)
