"""Correctness: findings that the linter makes while it reads the files; the rules here only describe them."""

from __future__ import annotations

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Example, Rule, bad, good

_SAFE = "-- sqlmigrate: ignore=index-not-concurrent (twelve rows)\ncreate index i on t (a);"

SYNTAX = Rule(
    name="syntax",
    level=Level.ERROR,
    stake="The statement cannot be parsed, so the migration fails.",
    safe="select 1;",
    examples=(
        bad("selec 1;"),
        bad("select 'open;"),
        bad("\\i other.sql\nselect 1;"),
        bad("alter table t add constraint check (a > 0);"),
        good("select 1;"),
        good("copy t from stdin;\nalter table\n\\.\n"),
        good("\\restrict x\nselect 1;\n\\unrestrict x\n"),
        good(";;"),
    ),
)
UNUSED_IGNORE = Rule(
    name="unused-ignore",
    level=Level.WARNING,
    stake="An ignore comment without effect misleads the reader, and hides a later finding of its rule.",
    safe=_SAFE,
    examples=(
        bad("-- sqlmigrate: ignore=index-not-concurrent\nselect 1;"),
        bad("-- sqlmigrate: ignore=no-such-rule\nselect 1;"),
        bad("-- sqlmigrate: ignore=\nselect 1;"),
        bad("-- sqlmigrate: ignore=check-scans\ncreate index i on t (a);"),
        good(_SAFE),
        good("create index i on t (a); -- sqlmigrate: ignore=index-not-concurrent"),
        good("-- squawk-ignore prefer-robust-stmts\nselect 1;"),
    ),
)
DUPLICATE_VERSION = Rule(
    name="duplicate-version",
    level=Level.ERROR,
    stake="sqlmigrate runs nothing while two files have the same version: the history cannot tell them apart.",
    advice="`sqlmigrate renumber` gives the pending migration the next version",
    examples=(
        Example("select 1;", "select 1;", bad=True, name="V1.0.0-001__example.up.sql"),
        Example("select 1;", "select 1;", bad=True, name="V1.0.0-1__other.sql"),
        good("select 1;", "select 1;"),
        Example("select 1;", "select 1;", name="V1.0.0-001__earlier.down.sql"),
        Example("select 1;", name="R__a.sql"),
    ),
)
MISNAMED = Rule(
    name="misnamed",
    level=Level.ERROR,
    stake="sqlmigrate runs nothing while a migrations directory contains an SQL file without a migration's name.",
    advice="name it like V1.0.0-002__create_tags.up.sql, or R__create_tags.sql for a repeatable migration",
    examples=(
        Example("select 1;", "select 1;", bad=True, name="V2__example.sql"),
        Example("select 1;", "select 1;", bad=True, name="example.sql"),
        Example("select 1;", "select 1;", name="before_migrate.sql"),
        Example("select 1;", name="example.sql"),
        good("select 1;"),
    ),
)
DRAFT = Rule(
    name="draft",
    level=Level.ERROR,
    stake="sqlmigrate refuses a file with the mark of the template `empty`: its statements are still to be written.",
    safe="select 1;",
    examples=(
        bad("-- Add tags.\n-- sqlmigrate: draft=on\n"),
        bad("-- sqlmigrate: lock-retries=3 draft=on\nselect 1;"),
        good("-- sqlmigrate: draft=off\nselect 1;"),
        good("-- a draft\nselect '-- sqlmigrate: draft=on';"),
    ),
)
DIRECTIVE = Rule(
    name="directive",
    level=Level.ERROR,
    stake="sqlmigrate refuses a file with a directive that it does not know, that has an invalid value, or that comes "
    "after a statement. It ignores a directive without a colon.",
    safe="-- sqlmigrate: lock-timeout=1s lock-retries=30\nselect 1;",
    examples=(
        bad("-- sqlmigrate: lock-timeot=1s\nselect 1;"),
        bad("-- sqlmigrate: lock-timeout=1\nselect 1;"),
        bad("-- sqlmigrate: transaction=yes\nselect 1;"),
        bad("select 1;\n-- sqlmigrate: lock-timeout=1s\nselect 2;"),
        bad("-- sqlmigrate lock-timeout=1s\nselect 1;"),
        good("-- sqlmigrate: lock-timeout=1s lock-retries=30\nselect 1;"),
        good("-- Add tags.\n\n  --sqlmigrate: Transaction=OFF\nselect 1;"),
        good("begin;\n-- sqlmigrate: lock-timeout=1s\nselect 1;\ncommit;"),
        good("\\timing on\n-- sqlmigrate: lock-timeout=1s\nselect 1;"),
        good("-- sqlmigrate runs this without lock-timeout=1s\nselect '-- sqlmigrate: a=b';"),
        good("select 1\n-- sqlmigrate: lock-timeot=1s\n;"),
    ),
)
OTHER_TOOL = Rule(
    name="other-tool",
    level=Level.ERROR,
    stake="The file contains the rollback part of another tool's migration, and sqlmigrate would run both parts.",
    safe="-- the lines below it are in the .down.sql file\ncreate table t (id bigint primary key);",
    examples=(
        bad("-- +goose Up\nselect 1;\n\n-- +goose Down\nselect 2;"),
        bad("-- migrate:up\nselect 1;\n-- migrate:down\n"),
        good("-- +goose Up\nselect 1;"),
        good("select '\n-- migrate:down\n';"),
    ),
)
RULES = (SYNTAX, UNUSED_IGNORE, DUPLICATE_VERSION, MISNAMED, DRAFT, DIRECTIVE, OTHER_TOOL)
