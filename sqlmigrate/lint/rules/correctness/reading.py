"""What the linter finds itself while it reads a file; here is what is to be known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.lint.finding import Level
from sqlmigrate.lint.rule import Case, Example, Hit, Rule, bad, good

if TYPE_CHECKING:
    from collections.abc import Iterable

_WANTED = "-- sqlmigrate: ignore=index-not-concurrent (twelve rows)\ncreate index i on t (a);"


def _found_by_the_linter(_: Case) -> Iterable[Hit]:
    return ()


SYNTAX = Rule(
    name="syntax",
    level=Level.ERROR,
    on=(),
    stake="PostgreSQL's grammar refuses the statement, so the migration fails there.",
    safe="select 1;",
    check=_found_by_the_linter,
    examples=(
        bad("selec 1;"),
        bad("create table t (a int,);"),
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
    on=(),
    stake="A comment that keeps nothing quiet hides what comes later, and misleads who reads it.",
    safe=_WANTED,
    check=_found_by_the_linter,
    examples=(
        bad("-- sqlmigrate: ignore=index-not-concurrent\nselect 1;"),
        bad("-- sqlmigrate: ignore=no-such-rule\nselect 1;"),
        bad("-- sqlmigrate: ignore=\nselect 1;"),
        bad("-- sqlmigrate: ignore=index-not-concurrent\ncreate index concurrently i on t (a);"),
        bad("-- sqlmigrate: ignore=check-scans\ncreate index i on t (a);"),
        good(_WANTED),
        good("create index i on t (a); -- sqlmigrate: ignore=index-not-concurrent"),
        good("-- squawk-ignore prefer-robust-stmts\nselect 1;"),
    ),
)
DUPLICATE_VERSION = Rule(
    name="duplicate-version",
    level=Level.ERROR,
    on=(),
    stake="sqlmigrate runs nothing while two files have one version: it can't know which of them the history means.",
    safe="-- sqlmigrate renumber: what is not applied gets the next version",
    check=_found_by_the_linter,
    examples=(
        Example("select 1;", "select 1;", bad=True, name="V1.0.0-001__example.up.sql"),
        Example("select 1;", "select 1;", bad=True, name="V1.0.0-1__other.sql"),
        good("select 1;", "select 1;"),
        Example("select 1;", "select 1;", name="V1.0.0-001__earlier.down.sql"),
        Example("select 1;", name="R__a.sql"),
    ),
)
RULES = (SYNTAX, UNUSED_IGNORE, DUPLICATE_VERSION)
