from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Level, Options, lint

INDEX = "create index i on t (a);"
QUIET = "-- sqlmigrate: ignore=index-not-concurrent"
CHECK = "alter table t add constraint c check (a > 0);"


def found(tmp_path: Path, sql: str, options: Options | None = None) -> list[Finding]:
    file = tmp_path / "a.sql"
    file.write_text(sql)
    return lint([str(file)], options=options)


def rules(tmp_path: Path, sql: str) -> list[str]:
    return [finding.rule for finding in found(tmp_path, sql)]


@pytest.mark.parametrize(
    "sql",
    [
        f"{QUIET}\n{INDEX}",
        f"{QUIET} (twelve rows)\n{INDEX}",
        f"{QUIET} (twelve (12) rows, for sure)\n{INDEX}",
        f"-- Why.\n{QUIET}\n-- And more.\n{INDEX}",
        f"select 1;\n{QUIET}\n\n{INDEX}",
        f"   --sqlmigrate:ignore = index-not-concurrent\n{INDEX}",
        f"-- SQLMIGRATE: IGNORE=INDEX-NOT-CONCURRENT\n{INDEX}",
        f"-- sqlmigrate: ignore=index not concurrent\n{INDEX}",
        f"-- sqlmigrate: ignore=index_not_concurrent\n{INDEX}",
        f"{QUIET}\r\n{INDEX}\r\n",
        f"\ufeff{QUIET}\n{INDEX}",
        f"{QUIET}\n\nselect 1;\n{INDEX}\ncreate index k on t (b);",
        f"{INDEX} {QUIET}",
        f"{INDEX} {QUIET} (twelve rows)\nselect 1;",
        f"select 1; {INDEX} -- why\n".replace("-- why", QUIET),
        "create index i\n  -- sqlmigrate: ignore=index-not-concurrent (why)\n  on t (a);",
        f"do $$ begin\n  {QUIET}\n  {INDEX}\nend $$;",
        f"{QUIET}\ndo $$ begin\n  {INDEX}\nend $$;",
        "select '/* \\';\n" + f"{QUIET}\n{INDEX}",
    ],
)
def test_quiet(tmp_path: Path, sql: str) -> None:
    assert rules(tmp_path, sql) == []


def test_several_rules_in_one_comment_and_in_several(tmp_path: Path) -> None:
    both = "alter table t add constraint c check (a > 0), add constraint f foreign key (a) references u;"
    assert rules(tmp_path, f"-- sqlmigrate: ignore=check-scans, foreign-key-scans (why)\n{both}") == []
    assert rules(tmp_path, f"-- sqlmigrate: ignore=check-scans\n-- sqlmigrate: ignore=foreign-key-scans\n{both}") == []


def test_statement_below_only(tmp_path: Path) -> None:
    assert rules(tmp_path, f"{QUIET}\n{INDEX}\ncreate index k on t (b);") == ["index-not-concurrent"]
    assert rules(tmp_path, f"select 1;\n{INDEX}\n{QUIET}\ncreate index k on t (b);") == ["index-not-concurrent"]


def test_trailing_is_for_its_own_line_only(tmp_path: Path) -> None:
    findings = found(tmp_path, f"{INDEX} {QUIET}\ncreate index k on t (b);")
    assert [finding.location.line for finding in findings] == [2]


def test_comment_in_a_string_is_none(tmp_path: Path) -> None:
    assert rules(tmp_path, f"select '{QUIET}';\n{INDEX}") == ["index-not-concurrent"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"{QUIET}\nselect 1;", "the comment has no effect: index-not-concurrent finds nothing here"),
        (f"{QUIET}\n{CHECK}", "the comment has no effect: index-not-concurrent finds nothing here"),
        ("-- sqlmigrate: ignore=index-not-concurent\nselect 1;", "did you mean index-not-concurrent?"),
        ("-- sqlmigrate: ignore=zzz\nselect 1;", "rule zzz does not exist"),
        ("-- sqlmigrate: ignore=\nselect 1;", "the comment names no rule; write ignore=rule, rule (reason)"),
        ("-- sqlmigrate: ignore= (why)\nselect 1;", "the comment names no rule"),
        (f"select 1;\n{QUIET}\n", "the comment has no effect: index-not-concurrent finds nothing here"),
        (QUIET, "the comment has no effect: index-not-concurrent finds nothing here"),
    ],
)
def test_what_keeps_nothing_quiet_is_said(tmp_path: Path, sql: str, message: str) -> None:
    unused = [finding for finding in found(tmp_path, sql) if finding.rule == "unused-ignore"]
    assert [message in finding.message for finding in unused] == [True]
    assert unused[0].level is Level.WARNING
    assert unused[0].location.text.startswith("--")


def test_place_of_an_unused_ignore(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, f"select 1;\n\n  {QUIET}\nselect 2;")
    assert (finding.location.line, finding.location.column) == (3, 3)


def test_ignore_of_a_rule_that_is_off_is_no_finding(tmp_path: Path) -> None:
    off = Options(levels={"index-not-concurrent": None})
    assert found(tmp_path, f"{QUIET}\n{INDEX}", off) == []


def test_unused_ignore_and_syntax_have_levels_too(tmp_path: Path) -> None:
    assert found(tmp_path, f"{QUIET}\nselect 1;", Options(levels={"unused-ignore": None})) == []
    (finding,) = found(tmp_path, "selec 1;", Options(levels={"syntax": Level.NOTICE}))
    assert finding.level is Level.NOTICE
    assert found(tmp_path, "selec 1;", Options(levels={"syntax": None})) == []


@pytest.mark.parametrize(
    "sql",
    [
        f"-- squawk-ignore require-concurrent-index-creation\n{INDEX}",
        f"-- squawk-ignore require-concurrent-index-creation, prefer-robust-stmts\n{INDEX}",
        f"/* squawk-ignore require-concurrent-index-creation */\n{INDEX}",
        f"-- squawk-ignore\n{INDEX}",
        f"-- squawk-ignore-file require-concurrent-index-creation\nselect 1;\n{INDEX}",
        f"-- squawk-ignore-file\nselect 1;\n{INDEX}\n{CHECK}",
        f"select 1;\n-- squawk-ignore-file\n{INDEX}",
        "-- squawk-ignore prefer-robust-stmts\nselect 1;",
    ],
)
def test_squawk(tmp_path: Path, sql: str) -> None:
    assert rules(tmp_path, sql) == []


def test_squawk_ignores_one_rule_of_the_statement_below(tmp_path: Path) -> None:
    assert rules(tmp_path, f"-- squawk-ignore prefer-robust-stmts\n{INDEX}") == ["index-not-concurrent"]
    assert rules(tmp_path, f"-- squawk-ignore\nselect 1;\n{INDEX}") == ["index-not-concurrent"]
