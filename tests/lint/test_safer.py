"""Complete safer SQL runs on a server in place of the statement, and leaves the same schema and rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.lint import Finding, Options, lint
from sqlmigrate.lint.rule import Example, Rule
from sqlmigrate.lint.rules import RULES
from sqlmigrate.sql.parser import SyntaxFault, parse
from tests.lint.safer_truth import Laboratory, Prepared, replaced
from tests.project import Project
from tests.servers import Server, execute
from tests.versions import has_syntax

# The statements of these rules fail: only the safer way can run.
FAILING = {
    *("foreign-key-without-key", "index-concurrently-fails", "drop-needed-index", "replaced-function-differs"),
    *(
        "refresh-concurrently-fails",
        "not-in-transaction",
        "enum-value-used-in-transaction",
        "index-method-fails",
        "type-change-needs-using",
        "truncate-fails",
    ),
}
RANDOM = {"volatile-default-rewrites"}
# The later file does what the rule is about, at a time that the user chooses.
REPEATED = {"domain-constraint-scans"}
# What must exist before an example besides its earlier files, where the server's message does not tell.
PRELUDES = {
    "set-not-null-scans-19": "create table r (id int primary key);"
    "create table t (a int constraint t_a_fkey references r);",
    "set-not-null-scans-20": "create table t (a int, constraint c check (a > 0));",
    "index-not-concurrent-3": "create schema s; create table s.t (a tsvector);",
    "drop-index-not-concurrent-5": "create table x (a int); create index i on x (a);",
    "set-local-without-effect-3": "create table t (b int); create index i on t (b);",
    "work-under-lock-1": "create table t (b int); create table u (b int, constraint c check (b > 0));"
    "alter table u drop constraint c; alter table u add constraint c check (b > 0) not valid;",
    "work-under-lock-3": "create table t (b int); alter table t add constraint c check (b > 0) not valid;",
    "drop-needed-index-1": "create table t (id int primary key);",
    "not-in-transaction-4": "create table p (a int) partition by list (a);"
    "create table q partition of p for values in (1);",
    "enum-value-used-in-transaction-4": "create type mood as enum ('ok'); create table t (m mood);",
    "enum-value-used-in-transaction-5": "create type mood as enum ('ok');",
}
# The server of the tests does not have the extension.
UNRUNNABLE = {"index-method-fails-10"}


def examples() -> Iterator[object]:
    for rule in RULES:
        for number, example in enumerate(rule.examples, 1):
            if example.bad and f"{rule.name}-{number}" not in UNRUNNABLE:
                yield pytest.param(rule, example, id=f"{rule.name}-{number}")


@pytest.fixture(scope="module")
def laboratory(server: Server) -> Iterator[Laboratory]:
    execute(server.conninfo, "create database safer")
    yield Laboratory(server.database("safer"))
    execute(server.conninfo, "drop database safer with (force)")


def found(directory: Path, rule: str, example: Example, version: int) -> list[Finding]:
    if example.earlier:
        (directory / "V1.0.0-001__earlier.up.sql").write_text(example.earlier)
    if example.up:
        (directory / example.name.replace(".down.", ".up.")).write_text(example.up)
    file = directory / example.name
    file.write_text(example.sql)
    options = Options("all", {}, min(version, example.postgres), dict(example.naming), complete=example.complete)
    findings = lint([str(file)], [str(directory)], options)
    return [finding for finding in findings if finding.rule == rule]


@pytest.mark.parametrize(("rule", "example"), [*examples()])
def test_safer_sql_of_an_example_leaves_the_state_of_the_example(
    laboratory: Laboratory, server: Server, tmp_path: Path, request: pytest.FixtureRequest, rule: Rule, example: Example
) -> None:
    prelude = PRELUDES.get(request.node.callspec.id, "")
    if has_syntax(server.version, example.sql + example.earlier):
        for finding in found(tmp_path, rule.name, example, server.version):
            if finding.safer.script:
                assert accepted(tmp_path / "safer", rule.name, example, finding)
                holds(laboratory, Prepared(example.earlier, prelude), example.sql, finding)


def further() -> Iterator[object]:
    for block in (Path(__file__).parent / "safer.sql").read_text().split("---\n"):
        earlier, _, lines = block.partition("##\n")
        yield from (pytest.param(earlier, line, id=line) for line in lines.splitlines())


@pytest.mark.parametrize(("earlier", "line"), [*further()])
def test_safer_sql_keeps_schemas_quotes_and_options(
    laboratory: Laboratory, server: Server, tmp_path: Path, earlier: str, line: str
) -> None:
    if not has_syntax(server.version, line):
        return
    (tmp_path / "V1.0.0-001__earlier.up.sql").write_text(earlier)
    file = tmp_path / "V1.0.0-002__example.up.sql"
    file.write_text(line)
    findings = lint([str(file)], [str(tmp_path)], Options("all", postgres=server.version))
    ways = [finding for finding in findings if finding.safer.script]
    assert ways
    for finding in ways:
        assert accepted(tmp_path / "safer", finding.rule, Example(line, earlier), finding)
        holds(laboratory, Prepared(earlier), line, finding)


IN_FILES = (
    'alter table "T" alter a set not null;',
    'alter table "T" add primary key (id), add check (a > 0);',
    'alter table "K" add column token uuid not null default gen_random_uuid();',
    "create index on p (a);",
)


@pytest.mark.parametrize("sql", IN_FILES)
def test_sqlmigrate_runs_the_files_of_safer_sql(project: Project, sql: str) -> None:
    earlier = (
        'create table "T" (id int, a int); insert into "T" values (1, 1); create table "K" (id int primary key);'
        'insert into "K" values (1), (2); create table p (a int) partition by list (a);'
        "create table p1 partition of p for values in (1);"
    )
    project.add(1, earlier)
    path = project.add(2, sql)
    finding = next(finding for finding in lint([str(path)]) if finding.safer.script)
    for number, text in enumerate(replaced(path.name, sql, finding), 2):
        project.add(number, text)
    assert project.migrator().migrate()
    assert all(successful for _, successful in project.versions())
    assert not [name for name in lint([str(path)]) if name.rule == finding.rule]


DOWN = (
    'alter table "T" alter a set not null;',
    'alter table "T" add check (a > 0), add column b int;',
    'alter table "T" add foreign key (a) references r;',
    'alter table "T" add constraint k unique (a);',
)


@pytest.mark.parametrize("sql", DOWN)
def test_safer_sql_of_a_down_file_is_in_one_file(laboratory: Laboratory, tmp_path: Path, sql: str) -> None:
    earlier = 'create table "T" (id int, a int); create table r (id int primary key);'
    (tmp_path / "V1.0.0-001__earlier.up.sql").write_text(earlier)
    (tmp_path / "V1.0.0-002__example.up.sql").write_text('alter table "T" drop column id;')
    file = tmp_path / "V1.0.0-002__example.down.sql"
    file.write_text(sql)
    ways = [finding for finding in lint([str(file)]) if finding.safer]
    assert [finding.safer.later for finding in ways if finding.safer.script]
    for finding in ways:
        assert not finding.safer.later
        holds(laboratory, Prepared(earlier), sql, finding)
        file.write_text(finding.safer.sql)
        assert finding.rule not in {name.rule for name in lint([str(file)])}


def test_statement_of_a_down_file_does_not_move_to_a_later_file(tmp_path: Path) -> None:
    for sql in ("begin; create index i on t (a); commit;", "do $$ begin alter table t alter a set not null; end $$;"):
        file = tmp_path / "V1.0.0-002__example.down.sql"
        file.write_text(sql)
        ways = [finding.safer for finding in lint([str(file)])]
        assert ways
        assert not any(safer.script for safer in ways)


@pytest.mark.parametrize("sql", ["update t set n = n + 1;", "update t set id = n;", "update t set n = (select 1);"])
def test_update_that_cannot_run_twice_in_part_gets_advice(tmp_path: Path, sql: str) -> None:
    example = Example(sql, "create table t (id int primary key, n int);")
    ways = {finding.safer.script for finding in found(tmp_path, "whole-table-change", example, 18)}
    assert ways == {""}


PROVED = ("set-not-null-scans", "primary-key-using-nullable", "attach-partition-scans", "default-partition-scans")


@pytest.mark.parametrize(("earlier", "line"), [*further()])
def test_server_scans_no_table_in_the_last_file(
    laboratory: Laboratory, tmp_path: Path, earlier: str, line: str
) -> None:
    (tmp_path / "V1.0.0-001__earlier.up.sql").write_text(earlier)
    file = tmp_path / "V1.0.0-002__example.up.sql"
    file.write_text(line)
    findings = lint([str(file)], [str(tmp_path)])
    ways = [finding for finding in findings if finding.rule in PROVED and len(finding.safer.later) == 2]
    for finding in ways:
        *before, last = replaced(file.name, line, finding)
        assert laboratory.proofs([earlier, *before], last)


def accepted(directory: Path, rule: str, example: Example, finding: Finding) -> bool:
    """Returns whether the rule reports less in the files of the safer way."""
    directory.mkdir(exist_ok=True)
    (directory / "V1.0.0-001__earlier.up.sql").write_text(example.earlier)
    paths = []
    for number, text in enumerate(replaced(example.name, example.sql, finding), 2):
        paths.append(directory / f"V1.0.0-00{number}__safer.up.sql")
        paths[-1].write_text(text)
    options = Options("all", {}, 18, dict(example.naming), complete=example.complete)
    after = [name for name in lint(map(str, paths), [str(directory)], options) if name.rule == rule]
    for path in paths:
        path.unlink()
    before = found_again(directory, example, options, rule)
    return len(after) < len(before) or rule in REPEATED


def found_again(directory: Path, example: Example, options: Options, rule: str) -> list[Finding]:
    path = directory / "V1.0.0-002__example.up.sql"
    path.write_text(example.sql)
    return [finding for finding in lint([str(path)], [str(directory)], options) if finding.rule == rule]


def holds(laboratory: Laboratory, prepared: Prepared, file: str, finding: Finding) -> None:
    files = replaced("V1.0.0-002__example.up.sql", file, finding)
    before, original = laboratory.prepared(prepared, file)
    if original.error and finding.rule in FAILING:
        before, safer = laboratory.prepared(prepared, "\n".join(files))
    else:
        assert not original.error, (original.error, before)
        safer = laboratory.run(before, files)
    assert not safer.error, (safer.error, before, files)
    if finding.rule in RANDOM:
        safer, original = safer.without_rows(), original.without_rows()
    if not (finding.safer.adds or original.error):
        assert safer == original, (sorted(map(str, safer.schema ^ original.schema)), files)


def test_no_safer_way_has_a_gap_or_sql_as_advice(tmp_path: Path) -> None:
    for rule in RULES:
        for number, example in enumerate(rule.examples):
            directory = tmp_path / f"{rule.name}-{number}"
            directory.mkdir()
            for finding in found(directory, rule.name, example, 18) if example.bad else ():
                assert "…" not in str(finding.safer)
                assert "--" not in finding.safer.advice.replace("-- sqlmigrate:", "")
                with pytest.raises(SyntaxFault):
                    parse(finding.safer.advice or "none")
