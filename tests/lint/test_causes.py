"""One statement, one cause, one finding: no two findings about a command have the same cause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from sqlmigrate.lint import Finding, Level, lint
from sqlmigrate.lint.causes import CONTAINED, ONCE, joined
from sqlmigrate.lint.finding import Safer
from sqlmigrate.lint.rules import RULES
from tests.lint.cases import LabelledFile, labelled_files, labelled_in
from tests.servers import execute

# Pairs of rules that speak of the same statement for different causes, with what else removes the second finding.
DISTINCT = {
    **{
        ("cascade", rule): "the word CASCADE; the drop itself"
        for rule in (
            "drop-column",
            "drop-function",
            "drop-object",
            "drop-primary-key",
            "drop-table",
            "drop-view",
            "truncate",
        )
    },
    **{
        (rule, "several-tables-locked"): "what the statement changes; that another table is locked before"
        for rule in ("drop-column", "drop-constraint", "drop-trigger", "rename-table")
    },
    **{
        (rule, "lock-timeout-off"): "what the statement changes; how long it waits"
        for rule in ("drop-constraint", "drop-table")
    },
    ("several-tables-locked", "type-change-rewrites"): "that another table is locked before; the rewrite",
    ("set-not-null-scans", "several-tables-locked"): "the scan; that another table is locked before",
    ("set-not-null-scans", "work-under-lock"): "two subcommands, each with a scan",
    ("has-dependants", "wrong-object-kind"): "two errors",
    ("set-not-null-scans", "set-not-null-scans"): "two columns, each with its SQL",
    ("transaction-refused", "transaction-refused"): "two statements",
    ("required-by-constraint", "set-not-null-scans"): "INSERTs of old programs; the scan",
    ("constraint-builds-index", "required-by-constraint"): "the index; INSERTs of old programs",
    ("constraint-builds-index", "drop-primary-key"): "two subcommands",
    ("constraint-builds-index", "drop-constraint"): "two subcommands",
    (
        "default-partition-scans",
        "partition-of-locks-parent",
    ): "the scan of the default partition; the lock of the parent",
    ("enum-value-used-in-transaction", "index-not-concurrent"): "the new value in the predicate; the index",
    ("backfill-with-ddl", "set-not-null-scans"): "the rows written before; the scan",
    ("identifier-cut", "rename-table"): "the length of the new name; the old name",
    ("changing-check", "check-scans"): "the expression; the scan",
}


class Lint(NamedTuple):
    """Lints SQL behind an earlier file."""

    directory: Path

    def __call__(self, sql: str, earlier: str = "", name: str = "V1.0.0-002__a.up.sql") -> list[Finding]:
        if earlier:
            (self.directory / "V1.0.0-001__b.up.sql").write_text(earlier)
        path = self.directory / name
        path.write_text(sql)
        return [finding for finding in lint([str(path)]) if finding.level is not Level.INFO]


@pytest.fixture
def findings(tmp_path: Path) -> Lint:
    return Lint(tmp_path)


def sources() -> Iterator[tuple[str, str, str]]:
    """Yields name of the file, earlier SQL and SQL of each labelled case and of each bad example."""
    yield from ((case.file_name, case.earlier, case.sql) for case in labelled_files())
    for rule in RULES:
        if rule.level is not Level.NOTICE:
            yield from (
                (example.name, example.earlier, example.sql)
                for example in rule.examples
                if example.bad and example.postgres == 18 and not example.up and not example.complete
            )


def test_rules_that_speak_for_others_exist() -> None:
    names = {rule.name for rule in RULES}
    assert names >= {*CONTAINED, *ONCE, *(inner for contained in CONTAINED.values() for inner in contained)}


def test_no_rule_speaks_for_a_rule_that_speaks_for_it() -> None:
    assert not [
        (outer, inner) for outer, inners in CONTAINED.items() for inner in inners if outer in CONTAINED.get(inner, ())
    ]


def test_two_findings_about_a_statement_have_two_causes(tmp_path: Path) -> None:
    """The statements of a case are on lines of their own; an example is one line, so each statement becomes a file."""
    paths = []
    for number, (name, earlier, sql) in enumerate(sources()):
        directory = tmp_path / str(number)
        directory.mkdir()
        if earlier:
            (directory / "V1.0.0-001__earlier.up.sql").write_text(earlier)
        path = directory / name
        path.write_text(sql)
        paths.append(str(path))
    by_place: dict[tuple[object, ...], list[str]] = {}
    for finding in lint(paths):
        if finding.level is not Level.INFO:
            place = (finding.location.path, finding.location.line, finding.location.column)
            by_place.setdefault(place, []).append(finding.rule)
    pairs = {pair for rules in by_place.values() for pair in combinations(sorted(rules), 2)}
    assert pairs - DISTINCT.keys() == set()


@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        ("alter table t add a int; create index i on u (a);", ["index-not-concurrent"]),
        ("alter table t add a int; refresh materialized view m;", ["refresh-not-concurrent"]),
        ("alter table t add a int; reindex table u;", ["reindex-not-concurrent"]),
        ("alter table t add a int; update t set a = 1;", ["backfill-with-ddl"]),
        ("truncate t, u;", ["truncate"]),
        ("drop table t, u;", ["drop-table"]),
        ("drop index i, j;", ["drop-index-not-concurrent"]),
        ("alter table t add a uuid default gen_random_uuid() unique;", ["volatile-default-rewrites"]),
        ("drop table t, u cascade;", ["drop-table", "cascade"]),
        ("drop owned by r cascade;", ["drop-database"]),
        ("alter table t add a int; alter table u add a int; alter table v add a int;", []),
        (
            "alter table t add a int default random(); alter table u add a int; alter table v add a int;",
            ["volatile-default-rewrites", "several-tables-locked"],
        ),
        (
            "update t set a = 1; alter table t add b int; alter table t add c int;",
            ["whole-table-change", "backfill-with-ddl"],
        ),
    ],
)
def test_one_cause_has_one_finding(findings: Lint, sql: str, rules: list[str]) -> None:
    assert [finding.rule for finding in findings(sql)] == rules


@pytest.mark.parametrize(
    ("sql", "earlier", "rules"),
    [
        ("drop view t;", "create table t (a int);", ["wrong-object-kind"]),
        ("create index i on t (a) where a > now();", "create table t (a date);", ["not-immutable"]),
        ("alter table t alter a type int;", "create table t (a text);", ["type-change-needs-using"]),
        ("alter table t alter a type varchar(5);", "create table t (a text);", ["narrowing-type"]),
        ("alter table t rename a to b;", "create table t (b int);", ["unknown-column"]),
        ("alter table t add b serial unique;", "create table t (a int);", ["serial-column-rewrites"]),
    ],
)
def test_a_statement_that_fails_does_nothing_else(findings: Lint, sql: str, earlier: str, rules: list[str]) -> None:
    assert [finding.rule for finding in findings(sql, earlier)] == rules


def test_other_subcommands_of_a_failing_statement_keep_their_findings(findings: Lint) -> None:
    found = findings(
        "alter table t alter a drop not null, drop column b;", "create table t (a int primary key, b int);"
    )
    assert [finding.rule for finding in found] == ["column-change-fails", "drop-column"]


def test_findings_about_several_columns_of_one_statement_are_one(findings: Lint) -> None:
    [finding] = findings("alter table t drop column a, drop column b, drop column c;")
    assert finding.message == "drops the columns a, b and c and their data; queries that name them fail"
    advice = "first release an application that no longer uses a, b and c, and drop them in a later release"
    assert finding.safer == Safer(advice=advice)


def test_messages_that_differ_in_more_than_words_stand_beside_each_other() -> None:
    assert joined(["a", "b c", "a"]) == "a; b c"


def test_a_comment_about_a_finding_covers_what_it_contains(findings: Lint) -> None:
    head = "alter table t add a int;\n"
    index = "create index i on u (a);"
    assert not findings(f"{head}-- sqlmigrate: ignore=index-not-concurrent (small)\n{index}")
    assert not findings(f"{head}-- sqlmigrate: ignore=index-not-concurrent, work-under-lock (small)\n{index}")


def test_a_comment_about_an_error_uncovers_what_it_contains(findings: Lint) -> None:
    sql = "-- sqlmigrate: ignore=wrong-object-kind (a view since version 2)\ndrop view t;"
    assert [finding.rule for finding in findings(sql, "create table t (a int);")] == ["drop-view"]


SHOWS = {"users": "bio", "orders": "total", "cache": "v", "log": "what", "state": "v"}


def test_a_needless_index_is_not_to_be_built_concurrently(findings: Lint) -> None:
    sql, earlier = "create index j on t (a);", "create table t (a int, b int); create index i on t (a, b);"
    assert [finding.rule for finding in findings(sql, earlier)] == ["redundant-index"]
    ignored = f"-- sqlmigrate: ignore=redundant-index (it is smaller)\n{sql}"
    assert [finding.rule for finding in findings(ignored, earlier)] == ["index-not-concurrent"]


def replaced() -> Iterator[object]:
    """Yields the cases about what a copy replaces; between two transactions the copy does not yet have the name."""
    for case in labelled_in("noise.txt"):
        if (
            case.name.startswith(("replaced column", "replaced table"))
            and case.earlier
            and "next transaction" not in case.name
        ):
            yield pytest.param(case, id=case.name)


@pytest.mark.parametrize("case", [*replaced()])
def test_the_server_has_the_rows_under_the_name_where_no_drop_is_reported(
    database: str, findings: Lint, case: LabelledFile
) -> None:
    changed = re.findall(
        r"(?:drop table|rename|drop column|alter table) (?:only )?(?:public\.|audit\.)?(\w+)", case.sql
    )
    table = next(name for name in changed if name in SHOWS)
    column, schema = SHOWS[table], "audit" if table == "log" else "public"
    execute(database, *filter(None, map(str.strip, re.split(r";\n(?!.*\$\$;)", case.earlier))))
    execute(database, f"set session_replication_role = replica; {seeded(schema, table, column)}")
    with suppress(psycopg.Error):
        execute(database, f"begin; {case.sql.replace('begin;', '').replace('commit;', '')}; commit")
    try:
        rows = execute(database, f"select {column}::text from {schema}.{table}")
    except psycopg.Error:
        rows = []
    lost = {"drop-column", "drop-table", "has-dependants", "rename-table"} & {
        finding.rule for finding in findings(case.sql, case.earlier)
    }
    assert lost == {"has-dependants"} or bool(lost) is (rows != [("9",)]), (lost, rows)


def seeded(schema: str, table: str, column: str) -> str:
    """Returns an INSERT of a row with 9 in the column."""
    values = {
        "users": "(email, name, bio) values ('a@b', 'x', '9')",
        "orders": "(id, user_id, sku, qty, price, total) values (1, 1, 'x', 1, 1, 9)",
        "cache": "values ('k', '9')",
        "log": "values (1, now(), '9')",
        "state": "values ('k', '9')",
    }
    return f"delete from {schema}.{table}; insert into {schema}.{table} {values[table]}"
