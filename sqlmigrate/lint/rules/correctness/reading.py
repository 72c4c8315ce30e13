"""Correctness: findings that the linter makes while it reads the files; the rules here only describe them."""

from __future__ import annotations

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Example, Rule, bad, good

_SAFE = "-- sqlmigrate: ignore=index-not-concurrent (twelve rows)\ncreate index i on t (a);"

SYNTAX = Rule(
    name="syntax",
    level=Level.ERROR,
    stake="The statement has a syntax error, so the migration fails.",
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
    safe="-- sqlmigrate renumber gives the pending migration the next version",
    examples=(
        Example("select 1;", "select 1;", bad=True, name="V1.0.0-001__example.up.sql"),
        Example("select 1;", "select 1;", bad=True, name="V1.0.0-1__other.sql"),
        good("select 1;", "select 1;"),
        Example("select 1;", "select 1;", name="V1.0.0-001__earlier.down.sql"),
        Example("select 1;", name="R__a.sql"),
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
RULES = (SYNTAX, UNUSED_IGNORE, DUPLICATE_VERSION, DRAFT)
