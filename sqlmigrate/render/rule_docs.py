"""The linter's rules as a page of the documentation: `docs/rules.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.render.findings import examples, versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.lint.rule import Example, Rule

_HEAD = """# The linter's rules

`make docs-rules` generates this page from the rules, and the tests run the examples. [lint.md](lint.md) describes how
to use the linter. In an example, the lines that start with `-- earlier:` are the SQL of earlier migrations."""


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """Returns the page with all rules."""
    blocks = [_HEAD, *map(_contents, families.items())]
    for family, members in families.items():
        blocks += [f"## {family}", *map(rule, members)]
    return "\n\n".join(blocks)


def _contents(family: tuple[str, Sequence[Rule]]) -> str:
    title, members = family
    rows = [f"| [{rule.name}](#{rule.name}) | {rule.level.value} | {_cell(rule.stake)} |" for rule in members]
    return "\n".join([f"**{title}**", "", "| rule | level | risk |", "| --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def rule(rule: Rule) -> str:
    """Returns a rule with its examples."""
    blocks = [
        f"### {rule.name}",
        f"{rule.level.value.capitalize()}{versions(rule)}. {rule.stake}",
        *_instead(rule),
    ]
    for head, group in examples(rule):
        blocks += [f"{head.capitalize()}:", _sql("\n\n".join("\n".join(_example(example)) for example in group))]
    return "\n\n".join(blocks)


def _instead(rule: Rule) -> list[str]:
    return ["Instead:", _sql(rule.safe)] if rule.safe else [f"Instead: {rule.advice}."]


def _sql(text: str) -> str:
    return f"```sql\n{text}\n```"


def _example(example: Example) -> Iterator[str]:
    if example.earlier:
        yield "\n".join(f"-- earlier: {line}" for line in example.earlier.strip().splitlines())
    if not example.name.endswith("example.up.sql"):
        yield f"-- {example.name}:"
    if example.complete:
        yield '-- with history = "complete":'
    if example.postgres < 18:
        yield f"-- on PostgreSQL {example.postgres}:"
    yield example.sql.strip()
