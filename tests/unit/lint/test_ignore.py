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
def test_comment_suppresses_the_finding(tmp_path: Path, sql: str) -> None:
    assert rules(tmp_path, sql) == []


def test_one_or_several_comments_suppress_several_rules(tmp_path: Path) -> None:
    both = "alter table t add constraint c check (a > 0), add constraint f foreign key (a) references u;"
    assert rules(tmp_path, f"-- sqlmigrate: ignore=check-scans, foreign-key-scans (why)\n{both}") == []
    assert rules(tmp_path, f"-- sqlmigrate: ignore=check-scans\n-- sqlmigrate: ignore=foreign-key-scans\n{both}") == []


def test_comment_applies_only_to_the_next_statement(tmp_path: Path) -> None:
    assert rules(tmp_path, f"{QUIET}\n{INDEX}\ncreate index k on t (b);") == ["index-not-concurrent"]
    assert rules(tmp_path, f"select 1;\n{INDEX}\n{QUIET}\ncreate index k on t (b);") == ["index-not-concurrent"]


def test_trailing_comment_applies_only_to_its_line(tmp_path: Path) -> None:
    findings = found(tmp_path, f"{INDEX} {QUIET}\ncreate index k on t (b);")
    assert [finding.location.line for finding in findings] == [2]


def test_comment_in_a_string_suppresses_nothing(tmp_path: Path) -> None:
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
def test_unused_ignore_is_reported(tmp_path: Path, sql: str, message: str) -> None:
    unused = [finding for finding in found(tmp_path, sql) if finding.rule == "unused-ignore"]
    assert [message in finding.message for finding in unused] == [True]
    assert unused[0].level is Level.WARNING
    assert unused[0].location.text.startswith("--")


def test_unused_ignore_has_a_location(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, f"select 1;\n\n  {QUIET}\nselect 2;")
    assert (finding.location.line, finding.location.column) == (3, 3)


def test_ignore_of_a_disabled_rule_is_not_reported(tmp_path: Path) -> None:
    off = Options(levels={"index-not-concurrent": None})
    assert found(tmp_path, f"{QUIET}\n{INDEX}", off) == []


def test_unused_ignore_and_syntax_have_configurable_levels(tmp_path: Path) -> None:
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


def test_squawk_comment_suppresses_one_rule_for_the_next_statement(tmp_path: Path) -> None:
    assert rules(tmp_path, f"-- squawk-ignore prefer-robust-stmts\n{INDEX}") == ["index-not-concurrent"]
    assert rules(tmp_path, f"-- squawk-ignore\nselect 1;\n{INDEX}") == ["index-not-concurrent"]


def test_ignore_of_a_removed_rule_is_not_reported(tmp_path: Path) -> None:
    assert found(tmp_path, "-- sqlmigrate: ignore=duplicate-name\nselect 1;") == []
