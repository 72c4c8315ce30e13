"""A review for a pull request: GitHub's Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.render import summary
from sqlmigrate.render.phrases import DOING, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.rule import Rule
    from sqlmigrate.model import Problem
    from sqlmigrate.planning.review import Review, ReviewedStep
    from sqlmigrate.render.summary import Blocked, Excerpt, Part

# Of a statement and of a step, so many lines are shown.
_LINES = 80
_LINES_OF_STEP = 400
# GitHub refuses a text of more than 65,536 characters.
_LENGTH = 65_000
# What Markdown or HTML could take for its own; an underscore only where a word ends or starts with it.
_SPECIAL = re.compile(r"[\\`*\[\]<>#|~&@:!$]|\b_|_\b")


def review(made: Review) -> str:
    """The whole; without the SQL, where a comment would be too long for it."""
    whole = _page(made, [line for one in summary.all_steps(made) for line in _sql(one)])
    note = "The SQL is too long for a comment; the files have it."
    return whole if len(whole) <= _LENGTH else _page(made, [note, ""])


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """The linter's findings as a table, and what to write instead."""
    if not found:
        return f"Clean: {count(paths, 'file')}."
    head = ["| where | level | rule | what |", "| --- | --- | --- | --- |"]
    safer = dict.fromkeys((one.rule, one.safer) for one in found if one.safer)
    blocks = [f"Safer than `{rule}`:\n\n{_fenced(sql)}\n" for rule, sql in safer]
    return "\n".join([*head, *map(_finding, found), "", *blocks]).rstrip()


def _finding(one: Finding) -> str:
    return f"| {_code(str(one.location))} | {one.level.value} | `{one.rule}` | {_escaped(one.message)} |"


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """Every rule, as the documentation has it."""
    from sqlmigrate.render import rulebook  # only the documentation's

    return rulebook.rules(families)


def rule(one: Rule) -> str:
    """One rule."""
    from sqlmigrate.render import rulebook

    return rulebook.rule(one)


def _page(made: Review, sql: list[str]) -> str:
    lines = [
        f"## {_escaped(summary.title(made).capitalize())} of {_code(made.inputs['database'])}",
        "",
        f"{_escaped(summary.sentence(made))}.",
        "",
        *_table(made),
        *_section("Problems", map(_problem, made.plan.problems)),
        *_section("What others wait for", map(_blocked, summary.blocked(made))),
        *_section("What can't be undone", map(_irreversible, summary.irreversible(made))),
        *_section("What may lock more than can be told", _hidden(made)),
        *_linted(made.findings),
        *sql,
        f"Digest: `{made.digest}`",
    ]
    return "\n".join(lines)


def _table(made: Review) -> list[str]:
    rows = [_row(one) for one in summary.all_steps(made)]
    head = ["| version | name | | blocks | can be undone |", "| --- | --- | --- | --- | --- |"]
    return [*head, *rows, ""] if rows else []


def _row(one: ReviewedStep) -> str:
    migration = one.step.migration
    mode = summary.strongest(one)
    blocks = summary.effect(mode).removeprefix("blocks ") if mode and mode.blocks_writes else "nobody"
    undone = summary.undone(one).replace("no", "**no**")
    action = DOING[one.step.action]
    return f"| {_code(migration.id)} | {_code(migration.name)} | {action} | {blocks} | {undone} |"


def _section(title: str, items: Iterator[str]) -> list[str]:
    lines = [f"- {item}" for item in items]
    return [f"### {title}", "", *lines, ""] if lines else []


def _blocked(table: Blocked) -> str:
    places = "; ".join(
        f"{_code(step.migration.id)} line {', '.join(map(str, lines))}" for step, lines in table.places.items()
    )
    return f"{_code(table.relation)}: {table.mode.value} **{summary.effect(table.mode)}** ({places})"


def _irreversible(one: ReviewedStep) -> str:
    return f"{_code(one.step.migration.id)}: {'; '.join(map(_escaped, one.irreversible))}"


def _hidden(made: Review) -> Iterator[str]:
    for one in summary.all_steps(made):
        for statement in summary.statements(one):
            if statement.hidden:
                yield f"{_code(one.step.migration.id)} line {statement.line}: {_escaped(statement.hidden)}"


def _linted(found: Sequence[Finding]) -> list[str]:
    return ["### What the linter says", "", findings(found, ()), ""] if found else []


def _problem(one: Problem) -> str:
    place = f"{_code(str(one.location))}: " if one.location else ""
    hint = f" → {_escaped(one.hint)}" if one.hint else ""
    return f"**{one.level.value}**: {place}{_escaped(one.message)}{hint}"


def _sql(one: ReviewedStep) -> Iterator[str]:
    shown = list(summary.parts(one, _LINES, _LINES_OF_STEP))
    said = count(summary.statements(one), "statement")
    yield f"<details><summary>{_code(one.step.migration.id)} {_code(one.step.path)}: {said}</summary>"
    yield ""
    for part in shown:
        yield from _part(part)
    yield "</details>"
    yield ""


def _part(part: Part) -> Iterator[str]:
    sql = "\n".join(line for excerpt in part.excerpts for line in _statement(excerpt))
    yield "In one transaction:" if part.begin else "Outside a transaction:"
    yield ""
    yield from (_fenced(sql), "")
    if part.more:
        yield from (part.more, "")


def _statement(excerpt: Excerpt) -> Iterator[str]:
    yield excerpt.sql
    if excerpt.more:
        yield f"-- {excerpt.more}"


def _fenced(sql: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall("`+", sql)), default=2) + 1)
    return "\n".join([fence.rjust(3, "`") + "sql", sql, fence.rjust(3, "`")])


def _code(text: str) -> str:
    """Code that may hold anything: a code span of backticks has no way to write a pipe or a backtick in a table."""
    return f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    """Text that is only text; `@name` in it calls nobody."""
    escaped = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", summary.in_line(text))
    return escaped.replace("&#64;", "&#64;<!-- -->")
