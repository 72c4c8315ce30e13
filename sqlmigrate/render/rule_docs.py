"""The linter's rules as documentation: `docs/rules.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.render.findings import examples, versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.lint.rule import Example, Rule

_HEAD = """# The linter's rules

Written by `make docs-rules` from the rules themselves; the examples are run as tests. [lint.md](lint.md) says how the
linter is used. What earlier files did, where an example needs it, stands before it behind `-- earlier:`."""


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """The page."""
    blocks = [_HEAD, *map(_contents, families.items())]
    for family, own in families.items():
        blocks += [f"## {family}", *map(rule, own)]
    return "\n\n".join(blocks)


def _contents(family: tuple[str, Sequence[Rule]]) -> str:
    title, own = family
    rows = [f"| [{rule.name}](#{rule.name}) | {rule.level.value} | {_cell(rule.stake)} |" for rule in own]
    return "\n".join([f"**{title}**", "", "| rule | level | at stake |", "| --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def rule(one: Rule) -> str:
    """A rule with its examples."""
    blocks = [
        f"### {one.name}",
        f"{one.level.value.capitalize()}{versions(one)}. {one.stake}",
        "Instead:",
        _sql(one.safe),
    ]
    for head, kept in examples(one):
        blocks += [f"{head.capitalize()}:", _sql("\n\n".join("\n".join(_example(each)) for each in kept))]
    return "\n\n".join(blocks)


def _sql(text: str) -> str:
    return f"```sql\n{text}\n```"


def _example(one: Example) -> Iterator[str]:
    if one.earlier:
        yield "\n".join(f"-- earlier: {line}" for line in one.earlier.strip().splitlines())
    if not one.name.endswith("example.up.sql"):
        yield f"-- {one.name}:"
    if one.postgres < 18:
        yield f"-- on PostgreSQL {one.postgres}:"
    yield one.sql.strip()
