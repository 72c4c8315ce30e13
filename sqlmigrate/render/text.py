"""What a person reads. A function for each thing that there is to show; the name is that of its `shape`."""

from __future__ import annotations

from collections import Counter
from textwrap import indent
from typing import TYPE_CHECKING

from click import style

from sqlmigrate import duration
from sqlmigrate.errors import MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.model import Action, ProblemLevel, State
from sqlmigrate.render.phrases import DOING, count, hint_lines, marked, named, prefix, problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from prometheus_client import Metric

    from sqlmigrate.authoring.generator import Generated
    from sqlmigrate.authoring.renumber import Renumbering
    from sqlmigrate.authoring.scaffold import Entry
    from sqlmigrate.authoring.template import Template
    from sqlmigrate.history.log import LogEntry, Pruned
    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.fix import Fix
    from sqlmigrate.lint.rule import Rule
    from sqlmigrate.migrator import Detail, Health
    from sqlmigrate.model import Holder, MigrationStatus, Plan, Problem, Run
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.repair import Repair
    from sqlmigrate.planning.review import Review

_COLOURS = {
    State.APPLIED: "green",
    State.PENDING: "cyan",
    State.FAILED: "red",
    State.PARTIAL: "red",
    State.CHANGED: "yellow",
    State.MISSING: "yellow",
    State.OUT_OF_ORDER: "yellow",
}
_DONE = {Action.APPLY: "applied", Action.ROLL_BACK: "rolled back", Action.HOOK: "applied"}


def run(result: Run) -> str:
    """One line: what was done; warnings, and the backup."""
    warnings = [problem(one) for one in result.warnings]
    if not result.steps:
        return "\n".join([*warnings, "nothing to do"])
    done = style(f"{count(result.steps, 'migration')} {_DONE[result.steps[0].action]}", fg="green")
    backup = [f"  backup: {result.backup.path}", f"  restore: {result.backup.restore}"] if result.backup else []
    return "\n".join([*warnings, done, *backup])


def baseline(result: Run) -> str:
    """What was marked."""
    return style(f"{count(result.steps, 'migration')} marked as applied", fg="green")


def rehearsal(result: Run) -> str:
    """What would have been applied."""
    return style(f"{count(result.steps, 'pending migration')} rehearsed and rolled back", fg="green")


def plan(result: Plan, texts: Iterable[str] = (), found: Sequence[Finding] | None = ()) -> str:
    """Steps and problems, the SQL, and what the linter says of it; None where it is not installed."""
    lines = [f"  {DOING[step.action]:<9}  {named(step)}" for step in result.steps]
    problems = [problem(one) for one in result.problems]
    return "\n".join([*(lines or ["nothing to do"]), *problems, "", *texts, *_linted(result, found)]).rstrip()


def _linted(result: Plan, found: Sequence[Finding] | None) -> list[str]:
    if found is None:
        return [style("not linted: pip install 'sqlmigrate[lint]'", dim=True)]
    return [findings(found, [step.path for step in result.steps])] if found else []


def approved(file: PlanFile) -> str:
    """What was approved, and how to go on."""
    command = "migrate" if file.request.action is Action.APPLY else "rollback"
    return f"approved: {file.digest}\nrun it: sqlmigrate {command} --plan {file.path}"


def review(made: Review) -> str:
    """Each step with its statements and their locks; what can't be undone, problems, the digest."""
    from sqlmigrate.render import review  # long, and only one command's

    return review.review(made)


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """Each finding with its line, why, and the safer way; and how many."""
    from sqlmigrate.render import findings  # only the linter's

    return findings.findings(found, paths)


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """A line a rule."""
    from sqlmigrate.render import findings

    return findings.rules(families)


def rule(one: Rule) -> str:
    """What is to be known of a rule."""
    from sqlmigrate.render import findings

    return findings.rule(one)


def fixes(made: Sequence[Fix]) -> str:
    """What is changed, as a diff."""
    from sqlmigrate.render import findings

    return findings.fixes(made)


def generated(result: Generated) -> str:
    """The paths alone, for an editor to open."""
    return "\n".join(one.path for one in result.files)


def draft(result: Generated) -> str:
    """What would be written."""
    return "\n".join(f"{style(one.path, bold=True)}\n{indent(one.text, '  ')}" for one in result.files).rstrip()


def templates(result: Sequence[Template]) -> str:
    """Each with what it takes."""
    return "\n".join(line for one in result for line in (f"{one.name:<12} {one.about}", f"{'':<12} {one.wants}"))


def status(result: Sequence[MigrationStatus]) -> str:
    """A line a migration, and a summary."""
    rows = [("VERSION", "NAME", "STATE", "WHEN", "TOOK"), *(_status_row(one) for one in result)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [_aligned(row, widths) for row in rows]
    for number, one in enumerate(result, 1):
        lines[number] = lines[number].replace(
            f" {one.state.value} ", f" {style(one.state.value, fg=_COLOURS[one.state])} "
        )
    counts = Counter(one.state for one in result)
    summary = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    return "\n".join([*lines, "", summary]) if result else "no migrations"


def _status_row(one: MigrationStatus) -> tuple[str, ...]:
    row = one.applied
    identity = one.id if one.version else "repeatable"
    if row is None:
        return identity, one.name, one.state.value, "", ""
    return identity, one.name, one.state.value, _when(row.executed_at), duration.shown(row.duration_ms)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def info(result: Sequence[Detail]) -> str:
    """Everything known of each migration."""
    return "\n\n".join("\n".join(_detail_lines(one)) for one in result)


def _detail_lines(detail: Detail) -> list[str]:
    one = detail.standing
    pairs = [("state", style(one.state.value, fg=_COLOURS[one.state]))]
    if one.migration:
        pairs += [("file", one.migration.up), ("down file", one.migration.down or "none")]
        pairs += [("checksum on disk", one.migration.checksum), ("plan", _parts(detail))]
    if row := one.applied:
        pairs += [("checksum applied", row.checksum), ("description", row.description)]
        pairs += [("executed", f"{_when(row.executed_at)} by {row.executed_by} in {duration.shown(row.duration_ms)}")]
        pairs += [("statements done", f"{row.statements_done} of {row.statements}")] if row.statements else []
        pairs += [("error", row.error_msg)] if row.error_msg else []
    for entry in detail.log:
        said = f"{_when(entry.logged_at)} {entry.action} {entry.outcome} {duration.shown(entry.duration_ms)}"
        pairs.append(("log", f"{said} by {entry.db_user} ({entry.os_user}@{entry.host}) {entry.error_msg}".rstrip()))
    return [style(f"{one.id} {one.name}", bold=True), *(f"  {key:<17} {value}" for key, value in pairs)]


def _parts(detail: Detail) -> str:
    statements = count(range(detail.statements), "statement")
    return f"{statements} in {count(range(detail.segments), 'part')}" if detail.segments > 1 else statements


def health(result: Health) -> str:
    """One line."""
    errors = [one for one in result.problems if one.level is ProblemLevel.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return style(f"invalid: {errors[0].message}{more}; see `sqlmigrate validate`", fg="red")
    if result.pending:
        names = ", ".join(one.id for one in result.pending[:5])
        return style(f"{len(result.pending)} pending: {names}{' …' if len(result.pending) > 5 else ''}", fg="yellow")
    return style("up to date", fg="green")


def problems(result: Sequence[Problem]) -> str:
    """Every problem, errors first."""
    ordered = sorted(result, key=lambda one: one.level is not ProblemLevel.ERROR)
    errors = sum(one.level is ProblemLevel.ERROR for one in result)
    end = f"{count(range(errors), 'error')}, {count(range(len(result) - errors), 'warning')}"
    return "\n".join([*map(problem, ordered), end]) if result else style("valid", fg="green")


def mends(result: Sequence[Repair]) -> str:
    """What `repair` does."""
    return "\n".join(f"  {one.migration.id}: {one.what}" for one in result) or "nothing to repair"


def project(directory: str, entries: Sequence[Entry]) -> str:
    """A line a file, and how to go on."""
    from sqlmigrate.render import project  # only `init` shows it

    return project.project(directory, entries)


def renumbering(result: Renumbering) -> str:
    """Each file with its new path."""
    moves = [f"  {old} → {new}" for move in result.moves for old, new in move.files]
    return "\n".join([*(moves or ["nothing to renumber"]), *map(problem, result.problems)])


def holder(result: Holder | None) -> str:
    """Who has the lock."""
    if result is None:
        return "nobody holds the migration lock"
    fields = ("pid", "user", "application", "host", "state", "since", "query")
    return "\n".join(f"{name:<12} {getattr(result, name)}" for name in fields)


def history(result: Sequence[LogEntry]) -> str:
    """A line an entry, the newest last, and below it what went wrong, or the digest of what was approved."""
    rows = [("WHEN", "ACTION", "MIGRATION", "OUTCOME", "TOOK", "WHO"), *map(_entry, result)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = [_aligned(row, widths).rstrip() for row in rows]
    for number, one in enumerate(result, 1):
        if one.outcome != "success":
            lines[number] = style(lines[number], fg="red")
        lines[number] += f"\n    {one.error_msg}" if one.error_msg else ""
        lines[number] += f"\n    plan {one.checksum}" if one.action == "approve" else ""
    return "\n".join(lines) if result else "no entries"


def _entry(one: LogEntry) -> tuple[str, ...]:
    who = f"{one.db_user} ({one.os_user}@{one.host})"
    migration = f"{one.version} {one.name}".strip() if one.version != one.name else one.version
    return _when(one.logged_at), one.action, migration, one.outcome, duration.shown(one.duration_ms), who


def prunable(result: Pruned) -> str:
    """How many rows would go."""
    return f"would be removed: {_rows(result)}"


def pruned(result: Pruned) -> str:
    """How many rows went."""
    return f"removed: {_rows(result)}"


def _rows(result: Pruned) -> str:
    return f"{result.entries} of the log's rows and {result.runs} of the runs'"


def metrics(result: Sequence[Metric]) -> str:
    """The text that Prometheus reads."""
    from sqlmigrate.metrics.families import exposition  # loads psycopg, which `validate` of files can do without

    return exposition(result).rstrip("\n")


def serving(url: str) -> str:
    """Where Prometheus is answered."""
    return f"serving on {url}"


def error(failure: SqlMigrateError) -> str:
    """What went wrong, where, what the server said, what was done, and what to do next."""
    if isinstance(failure, PlanRefused):
        return "\n".join([*map(problem, failure.problems), style(failure.message, fg="red"), *hint_lines(failure.hint)])
    lines = [f"{style('error', fg='red')}: {prefix(failure.location)}{failure.message}", *marked(failure.location)]
    cause = failure.__cause__
    report = cause.report if isinstance(cause, StatementFailed) else getattr(failure, "report", None)
    if report is not None:
        said = (
            ("DETAIL", report.detail),
            ("HINT", report.hint),
            ("QUERY", report.internal_query),
            ("CONTEXT", report.context),
        )
        lines += [f"  {name}: {text}" for name, text in said if text]
        lines += [f"  SQLSTATE: {report.sqlstate}"]
    if isinstance(failure, MigrationFailed):
        done = ", ".join(step.migration.id for step in failure.done) or "none"
        lines.append(f"  {_DONE[failure.step.action]} before it: {done}")
    hints = [line for line in failure.hint.splitlines() if report is None or line != report.hint]
    return "\n".join([*lines, *hint_lines("\n".join(hints))])
