"""The linter reports what the examples of each rule document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrate.lint import Level, Options, lint
from sqlmigrate.lint.rule import Example, Rule
from sqlmigrate.lint.rules import RULES
from sqlmigrate.lint.rules.correctness import server_only
from sqlmigrate.sql.parser import parse


def examples() -> Iterator[object]:
    for rule in RULES:
        for number, example in enumerate(rule.examples, 1):
            yield pytest.param(rule, example, id=f"{rule.name}-{number}")


@pytest.mark.parametrize(("rule", "example"), [*examples()])
def test_example_has_the_documented_finding(rule: Rule, example: Example, tmp_path: Path) -> None:
    if example.earlier:
        (tmp_path / "V1.0.0-001__earlier.up.sql").write_text(example.earlier)
    if example.up:
        (tmp_path / example.name.replace(".down.", ".up.")).write_text(example.up)
    file = tmp_path / example.name
    file.write_text(example.sql)
    replay = rule in server_only.RULES
    options = Options("all", {}, example.postgres, dict(example.naming), replay=replay, complete=example.complete)
    findings = lint([str(file)], [str(tmp_path)], options)
    levels = {finding.level for finding in findings if finding.rule == rule.name}
    expected = {rule.level} if example.bad else {Level.INFO} if example.unsure else set()
    assert levels == expected, [finding.message for finding in findings]
    assert rule.name == "syntax" or "syntax" not in {finding.rule for finding in findings}


def test_rule_names_are_unique() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_is_documented(rule: Rule) -> None:
    assert any(example.bad for example in rule.examples)
    assert any(not example.bad and not example.unsure for example in rule.examples)
    assert rule.stake.endswith(".")
    assert bool(rule.safe) != bool(rule.advice)
    assert not rule.safe or parse(rule.safe)
    assert "…" not in rule.safe + rule.advice
