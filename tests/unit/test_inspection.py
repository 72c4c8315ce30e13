"""What the linter says of a plan, and what a run refuses for it."""

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
from sqlmigrate.planning.lint_gate import heed, inspect, refuse
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
    """The plan where the first file is applied."""
    found = source.find(settings.dir)
    rows = [row(1, checksum=found.migrations[0].checksum)]
    return planner.plan(PlanRequest(Action.APPLY), planner.statuses(found.migrations, rows), found.hooks)


def inspected(settings: Settings, **changed: str) -> list[Finding]:
    found = inspect(pending(settings), given(settings, **changed))
    assert found is not None
    return found


def given(settings: Settings, **changed: str) -> Settings:
    return load({"database_url": settings.database, "dir": settings.dir, **changed}, {})


def reviewed(settings: Settings, found: list[Finding]) -> Review:
    plan = pending(settings)
    facts = plan_file.essence(plan, {"database": "shop", "server": "7/5"}, "public.migrations", [])
    return review(plan, PlanRequest(Action.APPLY), facts, found)


def test_it_says_what_validate_says_of_what_is_pending(settings: Settings) -> None:
    assert inspected(settings) == lint(["./V1.0.0-002__unsafe.up.sql"], settings.dir)


def test_the_linters_own_settings_hold(settings: Settings) -> None:
    Path("sqlmigrate.toml").write_text(
        '[lint]\nrules = {unused-ignore = "off"}\nexclude = ["*unsafe*"]\nchanged_since = "nowhere"\n'
    )
    assert inspected(settings) == []


def test_a_setting_of_the_linter_that_is_none_is_said(settings: Settings) -> None:
    Path("sqlmigrate.toml").write_text('[lint]\nrule = {unused-ignore = "off"}\n')
    with pytest.raises(ConfigurationError, match="unknown lint setting 'rule'"):
        inspected(settings)


def test_hooks_are_linted_too(settings: Settings) -> None:
    Path("before_migrate.sql").write_text("drop table t;")
    Path("after_each.sql").write_text("selec 1;")
    paths = {one.location.path for one in inspected(settings)}
    assert {Path(one).name for one in paths} == {"before_migrate.sql", "after_each.sql", "V1.0.0-002__unsafe.up.sql"}


def test_what_the_plan_makes_itself_is_in_nobodys_use(settings: Settings) -> None:
    found = source.find(settings.dir)
    first = planner.plan(PlanRequest(Action.APPLY), planner.statuses(found.migrations, []), found.hooks)
    assert [one.rule for one in inspect(first, settings) or ()] == ["unused-ignore", "unused-ignore"]


@pytest.mark.parametrize(("level", "rules"), [("off", 0), ("error", 0), ("warning", 3), ("notice", 3), ("info", 4)])
def test_findings_from_the_level_on_refuse_the_run(settings: Settings, level: str, rules: int) -> None:
    Path("V1.0.0-003__c.up.sql").write_text("alter table elsewhere alter a type varchar(60);")
    chosen = given(settings, lint_level=level)
    worst = [one for one in inspected(settings) if one.level.value == "warning"]
    unsure = [one for one in inspected(settings) if one.level.value == "info"]
    assert (len(worst) >= 2, len(unsure)) == (True, 1)
    if not rules:
        refuse(pending(settings), chosen)
        heed(inspected(settings), level)
        return
    with pytest.raises(PlanRefused) as refused:
        refuse(pending(settings), chosen)
    expected = worst + (unsure if level == "info" else [])
    assert [one.code for one in refused.value.problems] == [one.rule for one in sorted_like(settings, expected)]
    assert refused.value.problems[0].location is not None
    said = unstyle(text.error(refused.value))
    assert "-- sqlmigrate: ignore=RULE (reason)" in said
    assert "--lint off" in said
    assert "create index concurrently t_a_idx" in said
    with pytest.raises(PlanRefused) as refused:
        heed(inspected(settings), level)
    assert [one.code for one in refused.value.problems] == ["lint"]
    assert f"of level {level} or worse" in refused.value.problems[0].message


def sorted_like(settings: Settings, expected: list[Finding]) -> list[Finding]:
    return [one for one in inspected(settings) if one in expected]


def test_without_the_grammar_only_who_wants_it_hears_of_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        return None

    parser._library.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", missing)
    plan = pending(settings)
    assert inspect(plan, settings) is None
    refuse(plan, settings)
    assert unstyle(text.plan(plan, ["select 1;"], None)).endswith("not linted: pip install 'sqlmigrate[lint]'")
    assert "findings" not in as_json.plan(plan, ["select 1;"], None)
    with pytest.raises(ConfigurationError) as refused:
        refuse(plan, given(settings, lint_level="error"))
    assert "sqlmigrate[lint]" in refused.value.hint


def test_nothing_to_run_needs_no_grammar(settings: Settings) -> None:
    assert inspect(Plan(()), given(settings, lint_level="error")) == []


def test_each_stands_beside_its_statement(settings: Settings) -> None:
    made = reviewed(settings, inspected(settings))
    (step,) = made.steps
    beside = [[one.rule for one in statement.findings] for unit in step.units for statement in unit.statements]
    assert [bool(rules) for rules in beside] == [True, True, False, True]
    assert beside[0][0] == "unused-ignore"
    assert "index-not-concurrent" in beside[1]
    assert [(one.rule, one.location.line) for one in step.findings] == [("unused-ignore", 6)]
    assert list(made.findings) == inspected(settings)


def test_what_is_done_already_is_no_finding(settings: Settings) -> None:
    script = Path("V1.0.0-002__unsafe.up.sql")
    script.write_text("vacuum;\ncreate index t_a_idx on t (a);\nvacuum;\ncreate index t_b_idx on t (b);\n")
    found = source.find(settings.dir)
    done = [row(1, checksum=found.migrations[0].checksum)]
    partly = row(
        2, success=False, statements=4, statements_done=3, action="apply", checksum=found.migrations[1].checksum
    )
    plan = planner.plan(PlanRequest(Action.APPLY), planner.statuses(found.migrations, [*done, partly]), found.hooks)
    facts = plan_file.essence(plan, {"database": "shop", "server": "7/5"}, "public.migrations", [])
    linted = inspect(plan, settings) or []
    assert 2 in {one.location.line for one in linted}
    made = review(plan, PlanRequest(Action.APPLY), facts, linted)
    assert {one.location.line for one in made.findings} == {4}


def test_the_digest_is_not_over_them(settings: Settings, tmp_path: Path) -> None:
    """Another version of the linter finds other things in a plan that somebody has approved."""
    with_them, without = reviewed(settings, inspected(settings)), reviewed(settings, [])
    assert with_them.digest == without.digest
    assert document(with_them) == document(without)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"version": 1, **as_json.review(with_them)}))
    assert plan_file.read(str(path)).digest == with_them.digest


def test_they_are_in_every_form(settings: Settings) -> None:
    made = reviewed(settings, inspected(settings))
    terminal = unstyle(text.review(made))
    statement = terminal.index("create index t_a_idx on t (a);")
    assert statement < terminal.index("[index-not-concurrent]") < terminal.index("comment on table t")
    assert "create index concurrently t_a_idx" in terminal
    assert f"the linter has {len(made.findings)} warnings" in " ".join(terminal.split())
    page = html.review(made)
    assert page.count('<li><b class="warning">Warning</b>') == len(made.findings)
    assert "create index concurrently t_a_idx" in page
    comment = markdown.review(made)
    assert "### What the linter says" in comment
    assert "`index-not-concurrent`" in comment
    data = as_json.review(made)
    assert data["findings"] == as_json.findings(made.findings)["findings"]
    assert {one["line"] for one in data["findings"]} == {1, 3, 5, 6}


def test_a_plan_without_findings_says_nothing_of_the_linter(settings: Settings) -> None:
    made = reviewed(settings, [])
    for shown in (text.review(made), html.review(made), markdown.review(made)):
        assert "linter" not in shown
