"""Linting of a plan, and the findings that make a run refuse it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click import unstyle

from sqlmigrate.config.settings import Settings, load
from sqlmigrate.errors import ConfigurationError, PlanRefused
from sqlmigrate.files import source
from sqlmigrate.lint import Finding, lint
from sqlmigrate.model import Action, Plan, PlanRequest
from sqlmigrate.planning import plan_file, planner
from sqlmigrate.planning.lint_gate import enforce_lint_level, lint_and_enforce, lint_plan
from sqlmigrate.planning.review import Review, document, review
from sqlmigrate.render import as_json, html, markdown, text
from sqlmigrate.sql import parser
from tests.unit.samples import row

EARLIER = "create table t (a int not null, b text);\n"
UNSAFE = """-- sqlmigrate: ignore=syntax

alter table t add column c int; create index t_a_idx on t (a);
comment on table t is 'quiet';
alter table t alter b type varchar(10);
-- sqlmigrate: ignore=syntax
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "V1.0.0-001__t.up.sql").write_text(EARLIER)
    (tmp_path / "V1.0.0-002__unsafe.up.sql").write_text(UNSAFE)
    return load({"database_url": "postgresql://x", "dir": (".",)}, {})


def pending(settings: Settings) -> Plan:
    """The plan when the first file is applied."""
    found = source.find(settings.dir)
    rows = [row(1, checksum=found.migrations[0].checksum)]
    return planner.plan(PlanRequest(Action.APPLY), planner.statuses(found.migrations, rows), found.hooks)


def linted(settings: Settings, **changed: str) -> list[Finding]:
    findings = lint_plan(pending(settings), with_settings(settings, **changed))
    assert findings is not None
    return findings


def with_settings(settings: Settings, **changed: str) -> Settings:
    return load({"database_url": settings.database, "dir": settings.dir, **changed}, {})


def reviewed(settings: Settings, findings: list[Finding]) -> Review:
    plan = pending(settings)
    inputs = plan_file.inputs_of(plan, {"database": "shop", "server": "7/5"}, "public.migrations", [])
    return review(plan, PlanRequest(Action.APPLY), inputs, findings)


def test_a_plan_has_the_findings_of_validate_in_its_pending_files(settings: Settings) -> None:
    assert linted(settings) == lint(["./V1.0.0-002__unsafe.up.sql"], settings.dir)


def test_the_lint_settings_apply(settings: Settings) -> None:
    Path("sqlmigrate.toml").write_text(
        '[lint]\nrules = {unused-ignore = "off"}\nexclude = ["*unsafe*"]\nchanged_since = "nowhere"\n'
    )
    assert linted(settings) == []


def test_an_unknown_lint_setting_is_an_error(settings: Settings) -> None:
    Path("sqlmigrate.toml").write_text('[lint]\nrule = {unused-ignore = "off"}\n')
    with pytest.raises(ConfigurationError, match="unknown lint setting 'rule'"):
        linted(settings)


def test_hooks_are_linted(settings: Settings) -> None:
    Path("before_migrate.sql").write_text("drop table t;")
    Path("after_each.sql").write_text("selec 1;")
    paths = {finding.location.path for finding in linted(settings)}
    assert {Path(path).name for path in paths} == {"before_migrate.sql", "after_each.sql", "V1.0.0-002__unsafe.up.sql"}


def test_a_table_that_the_plan_creates_is_not_in_use(settings: Settings) -> None:
    found = source.find(settings.dir)
    first = planner.plan(PlanRequest(Action.APPLY), planner.statuses(found.migrations, []), found.hooks)
    assert [finding.rule for finding in lint_plan(first, settings) or ()] == ["unused-ignore", "unused-ignore"]


@pytest.mark.parametrize(("level", "rules"), [("off", 0), ("error", 0), ("warning", 3), ("notice", 3), ("info", 4)])
def test_findings_of_the_level_or_above_refuse_the_run(settings: Settings, level: str, rules: int) -> None:
    Path("V1.0.0-003__c.up.sql").write_text("alter table elsewhere alter a type varchar(60);")
    strict = with_settings(settings, lint_level=level)
    warnings = [finding for finding in linted(settings) if finding.level.value == "warning"]
    infos = [finding for finding in linted(settings) if finding.level.value == "info"]
    assert (len(warnings) >= 2, len(infos)) == (True, 1)
    if not rules:
        lint_and_enforce(pending(settings), strict)
        enforce_lint_level(linted(settings), level)
        return
    with pytest.raises(PlanRefused) as refused:
        lint_and_enforce(pending(settings), strict)
    expected = warnings + (infos if level == "info" else [])
    assert [problem.code for problem in refused.value.problems] == [
        finding.rule for finding in linted(settings) if finding in expected
    ]
    assert refused.value.problems[0].location is not None
    shown = unstyle(text.error(refused.value))
    assert "-- sqlmigrate: ignore=RULE (reason)" in shown
    assert "--lint off" in shown
    assert "create index concurrently t_a_idx" in shown
    with pytest.raises(PlanRefused) as refused:
        enforce_lint_level(linted(settings), level)
    assert [problem.code for problem in refused.value.problems] == ["lint"]
    assert f"of level {level} or above" in refused.value.problems[0].message


def test_a_missing_parser_is_an_error_only_if_findings_refuse_the_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        return None

    parser._library.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", missing)
    plan = pending(settings)
    assert lint_plan(plan, settings) is None
    lint_and_enforce(plan, settings)
    assert unstyle(text.plan(plan, ["select 1;"], None)).endswith("not linted: pip install 'sqlmigrate[lint]'")
    assert "findings" not in as_json.plan(plan, ["select 1;"], None)
    with pytest.raises(ConfigurationError) as refused:
        lint_and_enforce(plan, with_settings(settings, lint_level="error"))
    assert "sqlmigrate[lint]" in refused.value.hint


def test_an_empty_plan_does_not_need_the_parser(settings: Settings) -> None:
    assert lint_plan(Plan(()), with_settings(settings, lint_level="error")) == []


def test_each_finding_is_shown_at_its_statement(settings: Settings) -> None:
    made = reviewed(settings, linted(settings))
    (step,) = made.steps
    rules_of = [
        [finding.rule for finding in statement.findings]
        for transaction in step.transactions
        for statement in transaction.statements
    ]
    assert [bool(rules) for rules in rules_of] == [True, True, False, True]
    assert rules_of[0][0] == "unused-ignore"
    assert "index-not-concurrent" in rules_of[1]
    assert [(finding.rule, finding.location.line) for finding in step.findings] == [("unused-ignore", 6)]
    assert list(made.findings) == linted(settings)


def test_statements_that_already_ran_have_no_findings(settings: Settings) -> None:
    script = Path("V1.0.0-002__unsafe.up.sql")
    script.write_text("vacuum;\ncreate index t_a_idx on t (a);\nvacuum;\ncreate index t_b_idx on t (b);\n")
    found = source.find(settings.dir)
    done = [row(1, checksum=found.migrations[0].checksum)]
    partial = row(
        2, success=False, statements=4, statements_done=3, action="apply", checksum=found.migrations[1].checksum
    )
    plan = planner.plan(PlanRequest(Action.APPLY), planner.statuses(found.migrations, [*done, partial]), found.hooks)
    inputs = plan_file.inputs_of(plan, {"database": "shop", "server": "7/5"}, "public.migrations", [])
    findings = lint_plan(plan, settings) or []
    assert 2 in {finding.location.line for finding in findings}
    made = review(plan, PlanRequest(Action.APPLY), inputs, findings)
    assert {finding.location.line for finding in made.findings} == {4}


def test_the_digest_does_not_cover_findings(settings: Settings, tmp_path: Path) -> None:
    """Another version of the linter may have other findings in an approved plan."""
    with_them, without = reviewed(settings, linted(settings)), reviewed(settings, [])
    assert with_them.digest == without.digest
    assert document(with_them) == document(without)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"version": 1, **as_json.review(with_them)}))
    assert plan_file.read(str(path)).digest == with_them.digest


def test_every_format_shows_the_findings(settings: Settings) -> None:
    made = reviewed(settings, linted(settings))
    terminal = unstyle(text.review(made))
    statement = terminal.index("create index t_a_idx on t (a);")
    assert statement < terminal.index("[index-not-concurrent]") < terminal.index("comment on table t")
    assert "create index concurrently t_a_idx" in terminal
    assert f"lint: {len(made.findings)} warnings" in " ".join(terminal.split())
    page = html.review(made)
    assert page.count('<li><b class="warning">Warning</b>') == len(made.findings)
    assert "create index concurrently t_a_idx" in page
    comment = markdown.review(made)
    assert "### Lint findings" in comment
    assert "`index-not-concurrent`" in comment
    data = json.loads(json.dumps(as_json.review(made)))
    assert data["findings"] == as_json.findings(made.findings)["findings"]
    assert {finding["line"] for finding in data["findings"]} == {1, 3, 5, 6}


def test_a_plan_without_findings_does_not_mention_the_linter(settings: Settings) -> None:
    made = reviewed(settings, [])
    for shown in (text.review(made), html.review(made), markdown.review(made)):
        assert "linter" not in shown
