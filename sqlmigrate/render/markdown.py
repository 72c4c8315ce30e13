"""Reviews and findings as Markdown for a pull request on GitHub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlmigrate.render import summary, waves
from sqlmigrate.render.escape import code, escaped
from sqlmigrate.render.phrases import DOING, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.finding import Safer
    from sqlmigrate.lint.rule import Rule
    from sqlmigrate.model import Problem, Wave
    from sqlmigrate.planning.review import Review, ReviewedStep
    from sqlmigrate.render.summary import BlockedTable, Excerpt, TransactionExcerpt

# How many lines of a statement, and of a step, are shown.
_LINES = 80
_LINES_OF_STEP = 400
# GitHub rejects a comment of more than 65,536 characters.
_LENGTH = 65_000


def review(made: Review) -> str:
    """Returns the review, without the SQL if that would exceed the length of a comment."""
    page = _page(made, [line for step in summary.all_steps(made) for line in _sql(step)])
    note = "The SQL is too long for a comment. Read it in the files."
    return page if len(page) <= _LENGTH else _page(made, [note, ""])


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """Returns the findings as a table, and the safer SQL for each rule."""
    if not found:
        return f"No findings in {count(paths, 'file')}."
    head = ["| location | level | rule | message |", "| --- | --- | --- | --- |"]
    ways = dict.fromkeys((finding.rule, finding.safer) for finding in found if finding.safer)
    blocks = [block for rule, safer in ways for block in _way(rule, safer)]
    return "\n".join([*head, *map(_finding, found), "", *blocks]).rstrip()


def _way(rule: str, safer: Safer) -> Iterator[str]:
    """Yields complete SQL as code, and advice as text."""
    if safer.script:
        head = f"Add for `{rule}`:" if safer.adds else f"Safer than `{rule}`:"
        yield f"{head}\n\n{_fenced(safer.script)}\n"
    if safer.advice:
        yield f"Advice for `{rule}`: {escaped(safer.advice)}\n"


def _finding(finding: Finding) -> str:
    return f"| {code(str(finding.location))} | {finding.level.value} | `{finding.rule}` | {escaped(finding.message)} |"


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """Returns the page of the documentation with all rules."""
    from sqlmigrate.render import rule_docs  # only the documentation needs it

    return rule_docs.rules(families)


def rule(rule: Rule) -> str:
    """Returns a rule, as in the documentation."""
    from sqlmigrate.render import rule_docs

    return rule_docs.rule(rule)


def _page(made: Review, sql: list[str]) -> str:
    lines = [
        f"## {escaped(summary.title(made.request).capitalize())} of {code(made.inputs['database'])}",
        "",
        f"{escaped(summary.sentence(made))}.",
        "",
        *_table(made),
        *_section("Problems", map(_problem, made.plan.problems)),
        *_section("Waves", map(_wave, made.plan.waves)),
        *_section("Blocked tables", map(_blocked, summary.blocked(made))),
        *_section("Irreversible steps", map(_irreversible, summary.irreversible(made))),
        *_section("Statements that may take further locks", _hidden(made)),
        *_linted(made.findings),
        *sql,
        f"Digest: `{made.digest}`",
    ]
    return "\n".join(lines)


def _wave(wave: Wave) -> str:
    return f"{escaped(waves.members(wave))}{f' ({escaped(wave.reason)})' if wave.reason else ''}"


def _table(made: Review) -> list[str]:
    rows = [_row(step) for step in summary.all_steps(made)]
    head = ["| version | name | action | blocks | can be undone |", "| --- | --- | --- | --- | --- |"]
    return [*head, *rows, ""] if rows else []


def _row(step: ReviewedStep) -> str:
    migration = step.step.migration
    mode = summary.strongest(step)
    blocks = mode.effect.removeprefix("blocks ") if mode and mode.blocks_writes else "nobody"
    undone = summary.undone(step).replace("no", "**no**")
    action = DOING[step.step.action]
    return f"| {code(migration.id)} | {code(migration.name)} | {action} | {blocks} | {undone} |"


def _section(title: str, items: Iterator[str]) -> list[str]:
    lines = [f"- {item}" for item in items]
    return [f"### {title}", "", *lines, ""] if lines else []


def _blocked(table: BlockedTable) -> str:
    locations = "; ".join(
        f"{code(step.migration.id)} line {', '.join(map(str, lines))}" for step, lines in table.lines.items()
    )
    return f"{code(table.relation)}: {table.mode.value} **{table.mode.effect}** ({locations})"


def _irreversible(step: ReviewedStep) -> str:
    return f"{code(step.step.migration.id)}: {'; '.join(map(escaped, step.irreversible))}"


def _hidden(made: Review) -> Iterator[str]:
    for step in summary.all_steps(made):
        for statement in summary.statements(step):
            if statement.hidden:
                yield f"{code(step.step.migration.id)} line {statement.line}: {escaped(statement.hidden)}"


def _linted(found: Sequence[Finding]) -> list[str]:
    return ["### Lint findings", "", findings(found, ()), ""] if found else []


def _problem(problem: Problem) -> str:
    location = f"{code(str(problem.location))}: " if problem.location else ""
    hint = f" → {escaped(problem.hint)}" if problem.hint else ""
    return f"**{problem.level.value}**: {location}{escaped(problem.message)}{hint}"


def _sql(step: ReviewedStep) -> Iterator[str]:
    transactions = summary.excerpts(step, _LINES, _LINES_OF_STEP)
    size = count(summary.statements(step), "statement")
    yield f"<details><summary>{code(step.step.migration.id)} {code(step.step.path)}: {size}</summary>"
    yield ""
    for transaction in transactions:
        yield from _transaction(transaction)
    yield "</details>"
    yield ""


def _transaction(transaction: TransactionExcerpt) -> Iterator[str]:
    sql = "\n".join(line for excerpt in transaction.excerpts for line in _statement(excerpt))
    yield "In one transaction:" if transaction.begin else "Outside a transaction:"
    yield ""
    yield from (_fenced(sql), "")
    if transaction.more:
        yield from (transaction.more, "")


def _statement(excerpt: Excerpt) -> Iterator[str]:
    yield excerpt.sql
    if excerpt.more:
        yield f"-- {excerpt.more}"


def _fenced(sql: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall("`+", sql)), default=2) + 1)
    return "\n".join([fence.rjust(3, "`") + "sql", sql, fence.rjust(3, "`")])
