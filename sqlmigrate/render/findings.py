"""Lint findings, rules and fixes as text for a terminal."""

from __future__ import annotations

import difflib
import textwrap
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.lint.finding import Decider, Level
from sqlmigrate.lint.rules import RULES
from sqlmigrate.render.escape import in_line, visible
from sqlmigrate.render.levels import COLOURS, totals
from sqlmigrate.render.phrases import count, marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.fix import Fix
    from sqlmigrate.lint.rule import Example, Rule

_WIDTH = 110


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """Returns each finding with its line, the reason and the safer SQL; then the totals."""
    files = count(paths, "file")
    if not found:
        return style(f"no findings in {files}", fg="green")
    stakes = {rule.name: rule.stake for rule in RULES}
    return "\n\n".join([*("\n".join(_lines(finding, stakes)) for finding in found), f"{totals(found)} in {files}"])


def _lines(finding: Finding, stakes: Mapping[str, str]) -> Iterator[str]:
    level = style(finding.level.value, fg=COLOURS[finding.level])
    yield f"{level}: {in_line(str(finding.location))}: {in_line(finding.message)} [{finding.rule}]"
    yield from marked(finding.location)
    if finding.decided_by is not Decider.FILE:
        source = "from earlier migrations" if finding.decided_by is Decider.EARLIER else "reported by the server"
        yield style(f"  ({source})", dim=True)
    if stakes.get(finding.rule) and finding.level is not Level.INFO:
        yield f"  why: {stakes[finding.rule]}"
    if finding.safer.script:
        yield style(f"  {finding.safer.label}:", fg="cyan")
        yield from (style(f"    {line}", fg="cyan") for line in visible(finding.safer.script).splitlines())
    if finding.safer.advice:
        yield f"  advice: {in_line(finding.safer.advice)}"


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """Returns the rules by family, one line each."""
    width = max(len(rule.name) for members in families.values() for rule in members)
    blocks = []
    for family, members in families.items():
        lines = [f"  {rule.name:<{width}}  {rule.level.value:<7}  {_short(rule)}" for rule in members]
        blocks.append("\n".join([style(family, bold=True), *lines]))
    return "\n\n".join([*blocks, "run `sqlmigrate rules NAME` for the details of a rule"])


def _short(rule: Rule) -> str:
    return textwrap.shorten(rule.stake, _WIDTH, placeholder=" …")


def rule(rule: Rule) -> str:
    """Returns the description of a rule, with its examples."""
    title = f"{style(rule.name, bold=True)}  {style(rule.level.value, fg=COLOURS[rule.level])}{versions(rule)}"
    blocks = [f"{title}\n{rule.stake}", _indented("instead:", rule.safe or rule.advice)]
    for head, group in examples(rule):
        blocks.append("\n".join([f"{head}:", *("\n".join(_example(example)) for example in group)]))
    return "\n\n".join(blocks)


def versions(rule: Rule) -> str:
    """Returns the versions of PostgreSQL to which a rule applies; empty if it applies to all."""
    if rule.since and rule.until < 99:
        return f", PostgreSQL {rule.since} to {rule.until}"
    if rule.since:
        return f", PostgreSQL {rule.since} and later"
    return f", PostgreSQL {rule.until} and earlier" if rule.until < 99 else ""


def examples(rule: Rule) -> Iterator[tuple[str, list[Example]]]:
    """Yields the examples of a rule, grouped by their result."""
    yield "reports", [example for example in rule.examples if example.bad]
    yield "accepts", [example for example in rule.examples if not example.bad and not example.unsure]
    if unsure := [example for example in rule.examples if example.unsure]:
        yield "cannot tell", unsure


def _example(example: Example) -> Iterator[str]:
    if example.earlier:
        yield style(textwrap.indent(f"earlier: {example.earlier.strip()}", "    "), dim=True)
    yield textwrap.indent(example.sql.strip(), "  - ", lambda _: True).replace("\n  - ", "\n    ")


def _indented(head: str, sql: str) -> str:
    return "\n".join([head, textwrap.indent(sql, "    ")])


def fixes(fixes: Sequence[Fix]) -> str:
    """Returns the changes as a diff."""
    return "\n".join(line for fix in fixes for line in _diff(fix)) or "nothing to fix"


def _diff(fix: Fix) -> Iterator[str]:
    before = "/dev/null" if fix.before is None else fix.path
    old, new = ([visible(line.rstrip("\r")) for line in (text or "").split("\n")] for text in (fix.before, fix.after))
    for line in difflib.unified_diff(old, new, before, fix.path, lineterm=""):
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        yield style(line, fg=colour)
