from __future__ import annotations

from pathlib import Path

import pytest

from sqlmigrate.lint import Decider, Finding, Level, Options, lint
from sqlmigrate.sql.script import parse


def found(tmp_path: Path, sql: str, *earlier: str, preset: str = "safety") -> list[Finding]:
    for number, text in enumerate(earlier, 1):
        (tmp_path / f"V1.0.0-{number:03d}__earlier.up.sql").write_text(text)
    file = tmp_path / "V2.0.0-001__this.up.sql"
    file.write_text(sql)
    return lint([str(file)], options=Options(preset=preset))


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def test_syntax_error_has_location_and_text_of_its_line(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "select 1;\n\n  selec\n  2;\nselect 3;")
    assert finding.rule == "syntax"
    assert finding.level is Level.ERROR
    assert (finding.location.line, finding.location.column) == (3, 3)
    assert finding.location.text == "  selec"
    assert "selec" in finding.message


def test_syntax_error_does_not_hide_later_findings(tmp_path: Path) -> None:
    findings = found(tmp_path, "selec 1;\ncreate index i on t (a);")
    assert rules(findings) == ["syntax", "index-not-concurrent"]
    assert findings[1].location.line == 2


@pytest.mark.parametrize("sql", ["select 'a", "select $$ a", "/* a"])
def test_unterminated_quoted_string_is_a_syntax_error(tmp_path: Path, sql: str) -> None:
    assert rules(found(tmp_path, sql)) == ["syntax"]


def test_copy_data_and_meta_commands_are_accepted(tmp_path: Path) -> None:
    sql = "\\restrict x\ncopy t (a) from stdin;\nalter table\n\\.\ncreate index i on t (a);\n\\unrestrict x\n"
    (finding,) = found(tmp_path, sql)
    assert (finding.rule, finding.location.line) == ("index-not-concurrent", 5)


@pytest.mark.parametrize("before", ["", "-- é\n", "/* é */ ", "select 'é', E'\\n';\n", "\ufeff"])
def test_location_of_a_subcommand_counts_characters(tmp_path: Path, before: str) -> None:
    (finding,) = found(tmp_path, f"{before}alter table t\n  add column é int,\n  add column b int check (b > 0);")
    assert finding.location.line is not None
    assert finding.location.line == 3 + before.count("\n")
    assert finding.location.column == 20
    assert finding.location.text == "  add column b int check (b > 0);"


def test_finding_names_its_source(tmp_path: Path) -> None:
    by_file, by_earlier = found(
        tmp_path,
        "alter table t alter b type text; alter table t alter a type numeric(10);",
        "create table t (a int, b int);",
    )
    assert by_earlier.decided_by is Decider.EARLIER
    assert by_file.decided_by is Decider.EARLIER
    (alone,) = found(tmp_path, "alter table other alter b type bigint;")
    assert alone.decided_by is Decider.FILE


def test_newer_files_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "V3.0.0-001__later.up.sql").write_text("alter table t alter a type text;")
    assert rules(found(tmp_path, "alter table t alter a type varchar(60);", "create table t (a varchar(50));")) == []


def test_files_of_one_call_see_the_schema_of_earlier_files(tmp_path: Path) -> None:
    paths = []
    for number, sql in enumerate(("create table t (a int);", "create index i on t (a);"), 1):
        path = tmp_path / f"V1.0.0-{number:03d}__x.up.sql"
        path.write_text(sql)
        paths.append(str(path))
    (finding,) = lint(reversed(paths))
    assert finding.location.path == paths[1]


def test_tables_of_pending_migrations_are_not_in_use(tmp_path: Path) -> None:
    paths = []
    for number, sql in enumerate(
        (
            "create table old (a int);",
            "create table t (a int);",
            "create index i on t (a); alter table t rename to u; create index o on old (a);",
            "alter table u alter a set not null;",
            "drop table u;",
        ),
        1,
    ):
        path = tmp_path / f"V1.0.0-{number:03d}__x.up.sql"
        path.write_text(sql)
        paths.append(str(path))
    assert {finding.rule for finding in lint(paths)} == {
        "index-not-concurrent",
        "rename-table",
        "set-not-null-scans",
        "drop-table",
    }
    (alone,) = lint(paths, options=Options(pending=paths[1:]))
    assert (alone.rule, "old" in alone.message) == ("index-not-concurrent", True)


def test_directories_have_separate_schemas(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "V1.0.0-001__x.up.sql").write_text("create table t (a varchar(50));")
    (tmp_path / "b").mkdir()
    file = tmp_path / "b" / "V1.0.0-002__x.up.sql"
    file.write_text("alter table t alter a type varchar(60);")
    assert [finding.level for finding in lint([str(file)])] == [Level.INFO]
    assert lint([str(file)], [str(tmp_path)]) == []


def test_down_file_follows_its_up_file(tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__x.up.sql").write_text("create table t (a varchar(50));")
    (tmp_path / "V1.0.0-002__x.up.sql").write_text("alter table t alter a type varchar(60);")
    down = tmp_path / "V1.0.0-002__x.down.sql"
    down.write_text("alter table t alter a type varchar(50);")
    after = tmp_path / "V1.0.0-003__x.up.sql"
    after.write_text("alter table t alter a type varchar(60);")
    assert rules(lint([str(down), str(after)])) == ["type-change-rewrites"]


def test_file_without_a_version_starts_from_an_empty_schema(tmp_path: Path) -> None:
    file = tmp_path / "fix.sql"
    file.write_text("alter table t alter a type varchar(60);")
    (finding,) = lint([str(file)])
    assert finding.level is Level.INFO
    assert finding.message.startswith("cannot tell: ")


def test_statements_in_a_do_block_are_checked(tmp_path: Path) -> None:
    sql = "do $$\nbegin\n  if true then\n    create index i on t (a);\n  end if;\nend $$;"
    (finding,) = found(tmp_path, sql)
    assert (finding.rule, finding.location.line, finding.location.column) == ("index-not-concurrent", 4, 5)


def test_constant_text_of_execute_is_checked(tmp_path: Path) -> None:
    assert rules(found(tmp_path, "do $$ begin execute 'create index i on t (a)'; end $$;")) == ["index-not-concurrent"]


def test_dynamic_sql_makes_the_schema_uncertain(tmp_path: Path) -> None:
    block = "do $$ begin execute format('alter table %I drop constraint c', 't'); end $$;"
    table = "create table t (a int, b int references t);"
    assert rules(found(tmp_path, "select 1;", table, block, preset="all")) == []


def test_search_path_is_followed(tmp_path: Path) -> None:
    sql = (
        "set local search_path to s; create table t (a int, b int); create index i on s.t (a); create index j on t (b);"
    )
    assert found(tmp_path, sql) == []
    (finding,) = found(
        tmp_path, "begin; set local search_path to s; create table t (a int); commit; create index on t (a);"
    )
    assert finding.rule == "index-not-concurrent"


@pytest.mark.parametrize(
    "sql",
    [
        "-- sqlmigrate: ignore=index-not-concurrent\ncreate index i on t (a);",
        "-- sqlmigrate: ignore=check-scans, index-not-concurrent (small)\ncreate index i on t (a);",
        "-- Head.\n-- sqlmigrate: ignore=index-not-concurrent\n\nselect 1;\ncreate index i on t (a);",
        "-- squawk-ignore require-concurrent-index-creation\ncreate index i on t (a);",
        "-- squawk-ignore-file\nselect 1;\ncreate index i on t (a);",
        "-- squawk-ignore-file require-concurrent-index-creation, prefer-identity\nselect 1;create index i on t (a);",
        "/* squawk-ignore require-concurrent-index-creation */ create index i on t (a);",
    ],
)
def test_ignored(tmp_path: Path, sql: str) -> None:
    assert "index-not-concurrent" not in rules(found(tmp_path, sql))


def test_ignore_applies_only_to_the_next_statement(tmp_path: Path) -> None:
    sql = "select 1;\n-- sqlmigrate: ignore=index-not-concurrent\ncreate index i on t (a);\ncreate index j on t (b);"
    (finding,) = found(tmp_path, sql)
    assert finding.location.line == 4


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("index-not-concurrent", "the comment has no effect: index-not-concurrent finds nothing here"),
        ("no-such-rule", "rule no-such-rule does not exist"),
    ],
)
def test_unused_ignore_is_a_finding(tmp_path: Path, rule: str, message: str) -> None:
    (finding,) = found(tmp_path, f"select 1;\n-- sqlmigrate: ignore={rule}\nselect 2;")
    assert (finding.rule, finding.message, finding.location.line) == ("unused-ignore", message, 2)


def test_ignore_of_a_disabled_rule_is_not_unused(tmp_path: Path) -> None:
    assert (
        found(tmp_path, "-- sqlmigrate: ignore=foreign-key-without-index\ncreate table t (a int references r);") == []
    )


def test_levels(tmp_path: Path) -> None:
    file = tmp_path / "x.sql"
    file.write_text("create index i on t (a); create table u (a int references t);")
    assert rules(lint([str(file)], options=Options(levels={"index-not-concurrent": None}))) == []
    (finding,) = lint([str(file)], options=Options(levels={"index-not-concurrent": Level.ERROR}))
    assert finding.level is Level.ERROR
    assert "foreign-key-without-index" in rules(lint([str(file)], options=Options(preset="all")))


def test_version_bounds_a_rule(tmp_path: Path) -> None:
    file = tmp_path / "x.sql"
    file.write_text("alter table t set access method heap;")
    assert rules(lint([str(file)], options=Options(postgres=14))) == ["needs-newer-postgres"]
    assert rules(lint([str(file)], options=Options(postgres=15))) == ["set-access-method-rewrites"]


def test_migrations_of_this_repository_are_clean() -> None:
    directory = Path(__file__).parents[3] / "migrations"
    assert lint(sorted(str(path) for path in directory.glob("*.sql"))) == []


def test_large_insert_is_not_parsed(tmp_path: Path) -> None:
    rows = "insert into t values " + ", ".join(["(1, 'abcdefgh')"] * 80_000) + ";\n"
    (finding,) = found(tmp_path, rows + "create index i on t (a);")
    assert finding.location.line == 2


@pytest.mark.parametrize("text", ["", "\n", "-- only a comment", ";;", "\\restrict x\n"])
def test_file_without_statements(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == []


def test_invalid_utf8_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "x.sql"
    file.write_bytes(b"select 1;\nselect '\xff';")
    (finding,) = lint([str(file)])
    assert (finding.rule, finding.location.line) == ("syntax", 2)


def test_expression_nested_too_deeply_is_a_finding(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "select " + "(" * 5000 + "1" + ")" * 5000 + " + 1" * 5000 + ";")
    assert finding.rule == "syntax"


def test_syntax_error_makes_the_schema_uncertain(tmp_path: Path) -> None:
    sql = "alter table t add constraint f foreign key (a) references r not valid;"
    assert "foreign-key-without-index" in [
        finding.rule for finding in found(tmp_path, sql, "create table t (a int);", preset="all")
    ]
    assert found(tmp_path, sql, "create table t (a int); creat index on t (a);", preset="all") == []


@pytest.mark.parametrize(
    ("sql", "message", "safer"),
    [
        (
            "\\i other.sql",
            r"psql meta-command \i is not supported",
            "copy the included SQL into this file, or into another migration",
        ),
        ("select 'abc", "unterminated quoted string", "terminate it"),
    ],
)
def test_what_a_run_refuses_has_the_message_and_the_hint_of_the_run(
    tmp_path: Path, sql: str, message: str, safer: str
) -> None:
    assert [(finding.message, finding.safer.advice) for finding in found(tmp_path, sql)] == [(message, safer)]
    assert [(problem.message, problem.hint) for problem in parse("a.sql", [sql]).problems] == [(message, safer)]


def test_a_commit_without_begin_is_not_said_to_be_refused_because_a_run_accepts_it(tmp_path: Path) -> None:
    sql = "create table a (id bigint primary key);\ncommit;\nselect 1;"
    script = parse("a.sql", [sql])

    assert (script.problems, len(script.segments)) == ((), 2)
    assert rules(found(tmp_path, sql)) == ["commit-without-begin"]


def test_sql_with_names_known_only_at_run_time_is_advice(tmp_path: Path) -> None:
    block = "do $$ declare t text := 'a'; begin execute format('alter table %I alter b set not null', t); end $$;"
    [finding] = [finding for finding in found(tmp_path, block) if finding.rule == "set-not-null-scans"]
    assert finding.safer.script == ""
    assert finding.safer.advice.startswith('for each name in braces, in a file of its own: alter table "{t}" add ')
    assert ' then, in a later file: alter table "{t}" validate ' in finding.safer.advice
