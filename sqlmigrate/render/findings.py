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
    return "\n\n".join([*_blocks(found), f"{totals(found)} in {files}"])


def parts(found: Sequence[Finding], paths: Sequence[str], size: int) -> Iterator[str]:
    """Yields the lines of `findings` in texts of at most `size` findings: one text takes much memory."""
    first = max(len(found) - 1, 0) // size * size
    for at in range(0, first, size):
        yield "\n\n".join(_blocks(found[at : at + size])) + "\n"
    yield "\n\n".join([*_blocks(found[first:]), f"{totals(found)} in {count(paths, 'file')}"])


def _blocks(found: Sequence[Finding]) -> list[str]:
    lines = _Lines()
    return ["\n".join(lines.of(finding)) for finding in found]


class _Lines:
    """The lines of findings; what all findings of a rule or level share is styled once."""

    def __init__(self) -> None:
        self._whys = {rule.name: f"  why: {rule.stake}" for rule in RULES if rule.stake}
        self._levels = {level: style(level.value, fg=colour) for level, colour in COLOURS.items()}
        sources = {Decider.EARLIER: "from earlier migrations", Decider.SERVER: "reported by the server"}
        self._sources = {decider: style(f"  ({text})", dim=True) for decider, text in sources.items()}
        self._sql, _, self._end = style("\0", fg="cyan").partition("\0")

    def of(self, finding: Finding) -> list[str]:
        """Returns the lines of a finding."""
        location, safer = in_line(str(finding.location)), finding.safer
        lines = [f"{self._levels[finding.level]}: {location}: {in_line(finding.message)} [{finding.rule}]"]
        lines += marked(finding.location)
        if finding.decided_by is not Decider.FILE:
            lines.append(self._sources[finding.decided_by])
        if finding.level is not Level.INFO and finding.rule in self._whys:
            lines.append(self._whys[finding.rule])
        if script := safer.script:
            lines.append(f"{self._sql}  {safer.label}:{self._end}")
            lines += [f"{self._sql}    {line}{self._end}" for line in visible(script).splitlines()]
        if safer.advice:
            lines.append(f"  advice: {in_line(safer.advice)}")
        return lines


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
