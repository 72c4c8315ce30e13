"""What the linter says, and its rules, for a person who reads them on a terminal."""

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
    """Each finding with its line, why, and the safer way; and how many."""
    files = count(paths, "file")
    if not found:
        return style(f"clean: {files}", fg="green")
    stakes = {rule.name: rule.stake for rule in RULES}
    return "\n\n".join([*("\n".join(_lines(one, stakes)) for one in found), f"{totals(found)} in {files}"])


def _lines(one: Finding, stakes: Mapping[str, str]) -> Iterator[str]:
    level = style(one.level.value, fg=COLOURS[one.level])
    yield f"{level}: {in_line(str(one.location))}: {in_line(one.message)} [{one.rule}]"
    yield from marked(one.location)
    if one.decided_by is not Decider.FILE:
        source = "earlier files say so" if one.decided_by is Decider.EARLIER else "the server said so"
        yield style(f"  ({source})", dim=True)
    if stakes.get(one.rule) and one.level is not Level.INFO:
        yield f"  why: {stakes[one.rule]}"
    if one.safer:
        yield style("  safer:", fg="cyan")
        yield from (style(f"    {line}", fg="cyan") for line in visible(one.safer).splitlines())


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """A line a rule."""
    width = max(len(rule.name) for own in families.values() for rule in own)
    blocks = []
    for family, own in families.items():
        lines = [f"  {rule.name:<{width}}  {rule.level.value:<7}  {_short(rule)}" for rule in own]
        blocks.append("\n".join([style(family, bold=True), *lines]))
    return "\n\n".join([*blocks, "sqlmigrate rules NAME says more of one."])


def _short(rule: Rule) -> str:
    return textwrap.shorten(rule.stake, _WIDTH, placeholder=" …")


def rule(one: Rule) -> str:
    """What is to be known of a rule."""
    title = f"{style(one.name, bold=True)}  {style(one.level.value, fg=COLOURS[one.level])}{versions(one)}"
    parts = [f"{title}\n{one.stake}", _indented("instead:", one.safe)]
    for head, kept in examples(one):
        parts.append("\n".join([f"{head}:", *("\n".join(_example(each)) for each in kept)]))
    return "\n\n".join(parts)


def versions(rule: Rule) -> str:
    """The versions of PostgreSQL that a rule holds for, or nothing if for all."""
    since = f"from {rule.since} on" if rule.since else ""
    until = f"up to {rule.until}" if rule.until < 99 else ""
    return f", PostgreSQL {' '.join(filter(None, (since, until)))}" if since or until else ""


def examples(rule: Rule) -> Iterator[tuple[str, list[Example]]]:
    """A rule's examples, by what comes of them."""
    yield "finds", [one for one in rule.examples if one.bad]
    yield "is content with", [one for one in rule.examples if not one.bad and not one.unsure]
    if unsure := [one for one in rule.examples if one.unsure]:
        yield "cannot tell", unsure


def _example(one: Example) -> Iterator[str]:
    if one.earlier:
        yield style(textwrap.indent(f"earlier: {one.earlier.strip()}", "    "), dim=True)
    yield textwrap.indent(one.sql.strip(), "  - ", lambda _: True).replace("\n  - ", "\n    ")


def _indented(head: str, sql: str) -> str:
    return "\n".join([head, textwrap.indent(sql, "    ")])


def fixes(made: Sequence[Fix]) -> str:
    """What is changed, as a diff."""
    return "\n".join(line for one in made for line in _diff(one)) or "nothing to fix"


def _diff(one: Fix) -> Iterator[str]:
    before = "/dev/null" if one.before is None else one.path
    old, new = ([visible(line.rstrip("\r")) for line in (text or "").split("\n")] for text in (one.before, one.after))
    for line in difflib.unified_diff(old, new, before, one.path, lineterm=""):
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        yield style(line, fg=colour)
