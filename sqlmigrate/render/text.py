"""Results and errors as text for a terminal; `as_json` has a function of the same name for each result."""

from __future__ import annotations

from collections import Counter
from textwrap import indent
from typing import TYPE_CHECKING

from click import style

from sqlmigrate.errors import MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.model import Action, Health, ProblemLevel, State
from sqlmigrate.render import differences, phrases, roundtrip, waves
from sqlmigrate.render.phrases import DOING, count, failure, hint_lines, listed, marked, named, prefix, took, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client import Metric

    from sqlmigrate.authoring.generator import Generated
    from sqlmigrate.authoring.renumber import Renumbering
    from sqlmigrate.authoring.scaffold import Entry
    from sqlmigrate.authoring.template import Template
    from sqlmigrate.execution.runner import Approvable
    from sqlmigrate.history.log import LogEntry, Pruned
    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.fix import Fix
    from sqlmigrate.lint.rule import Rule
    from sqlmigrate.model import Holder, MigrationStatus, Plan, Problem, Run
    from sqlmigrate.planning.activity import Activity
    from sqlmigrate.planning.detail import Detail
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.rehearsed import Rehearsal
    from sqlmigrate.planning.repair import Repair
    from sqlmigrate.planning.review import Review
    from sqlmigrate.server.embedded import EmbeddedServer
    from sqlmigrate.server.sizes import Sizes

_COLOURS = {
    State.APPLIED: "green",
    State.PENDING: "cyan",
    State.FAILED: "red",
    State.PARTIAL: "red",
    State.CHANGED: "yellow",
    State.MISSING: "yellow",
    State.OUT_OF_ORDER: "yellow",
    State.SUPERSEDED: "yellow",
    State.RUNNING: "cyan",
}
_DONE = {Action.APPLY: "applied", Action.ROLL_BACK: "rolled back", Action.HOOK: "applied"}


def run(result: Run, empty: Sequence[str] = ()) -> str:
    """Returns the warnings, how many migrations ran, where the database is now, and the backup.

    Args:
        result: The result.
        empty: The migrations directories, if they contain no migration.
    """
    return _run(result, _DONE[result.steps[0].action] if result.steps else "", empty)


def _run(result: Run, what: str, empty: Sequence[str] = ()) -> str:
    warnings = listed(result.warnings)
    if not result.steps:
        return "\n".join([*warnings, _no_migrations(empty) if empty else "nothing to do"])
    done = style(f"{count(result.steps, 'migration')} {what}", fg="green")
    backup = [f"  backup: {result.backup.path}", f"  restore: {result.backup.restore}"] if result.backup else []
    return "\n".join([*warnings, f"{done}{phrases.reached(result.summary)}", *backup])


def redone(result: Run) -> str:
    """Returns the same for `redo`."""
    return _run(result, "rolled back and applied again")


def baseline(result: Run) -> str:
    """Returns how many migrations were marked as applied."""
    return style(f"{count(result.steps, 'migration')} marked as applied", fg="green")


def dry_run(result: Rehearsal) -> str:
    """Returns how many migrations were rehearsed: `validate --dry-run`."""
    return style(f"{count(result.steps, 'pending migration')} rehearsed and rolled back", fg="green")


def rehearsal(result: Rehearsal) -> str:
    """Returns each rehearsed statement with its locks and its work."""
    from sqlmigrate.render.rehearsal import text

    return text.rehearsal(result)


def stats(result: Sizes) -> str:
    """Returns the largest tables first."""
    from sqlmigrate.render.rehearsal import text

    return text.stats(result)


drift = differences.text
drift_sql = differences.sql
round_trip = roundtrip.text


def _no_migrations(directories: Sequence[str]) -> str:
    names = ", ".join(f'"{directory}"' for directory in directories)
    return f"no migrations in {names}" if names else "no migrations"


def plan(
    result: Plan, texts: Iterable[str] = (), found: Sequence[Finding] | None = (), empty: Sequence[str] = ()
) -> str:
    """Returns the steps, the problems, the SQL and the lint findings; `found` is None if no linter is installed."""
    lines = [f"  {DOING[step.action]:<9}  {named(step)}" for step in result.steps]
    nothing = [] if result.errors else [_no_migrations(empty) if empty else "nothing to do"]
    divided = waves.lines(result)
    problems = listed(result.problems)
    return "\n".join([*(lines or nothing), *divided, *problems, "", *texts, *_linted(result, found)]).rstrip()


def _linted(result: Plan, found: Sequence[Finding] | None) -> list[str]:
    if found is None:
        return [style("not linted: pip install 'sqlmigrate[lint]'", dim=True)]
    above = {(each.code, each.location.path) for each in result.problems if each.location}
    others = [finding for finding in found if (finding.rule, finding.location.path) not in above]
    return [findings(others, [step.path for step in result.steps])] if others else []


def approved(file: PlanFile) -> str:
    """Returns the digest of the approved plan, and the command that runs it."""
    command = "migrate" if file.request.action is Action.APPLY else "rollback"
    return f"approved: {file.digest}\nrun it: sqlmigrate {command} --plan {file.path}"


def approvable(result: Approvable) -> str:
    """Returns a plan for its approver: first what cannot be undone, then everything that `plan` shows."""
    from sqlmigrate.render import review

    return review.approvable(result)


def review(made: Review) -> str:
    """Returns each step with its statements and locks, the irreversible steps, the problems and the digest."""
    from sqlmigrate.render import review  # only one command needs it

    return review.review(made)


def findings(found: Sequence[Finding], paths: Sequence[str]) -> str:
    """Returns each finding with its line, the reason and the safer SQL; then the totals."""
    from sqlmigrate.render import findings  # only the linter needs it

    return findings.findings(found, paths)


def rules(families: Mapping[str, Sequence[Rule]]) -> str:
    """Returns the rules by family, one line each."""
    from sqlmigrate.render import findings

    return findings.rules(families)


def rule(rule: Rule) -> str:
    """Returns the description of a rule, with its examples."""
    from sqlmigrate.render import findings

    return findings.rule(rule)


def fixes(fixes: Sequence[Fix]) -> str:
    """Returns the changes as a diff."""
    from sqlmigrate.render import findings

    return findings.fixes(fixes)


def generated(result: Generated) -> str:
    """Returns the paths alone, so that an editor can open them."""
    return "\n".join(file.path for file in result.files)


def draft(result: Generated) -> str:
    """Returns the content of the files that `generate` would write."""
    return "\n".join(f"{style(file.path, bold=True)}\n{indent(file.text, '  ')}" for file in result.files).rstrip()


def templates(result: Sequence[Template]) -> str:
    """Returns each template with its variables."""
    return "\n".join(f"{template.name:<12} {template.about}\n{'':<12} {template.wants}" for template in result)


def status(result: Sequence[MigrationStatus], directories: Sequence[str] = ()) -> str:
    """Returns a table of the migrations, and how many have each state."""
    if not result:
        return _no_migrations(directories)
    header = ("VERSION", "NAME", "STATE", "WHEN", "TOOK")
    columns = [*zip(header, *map(_status_row, result), strict=True)]
    widths = [max(map(len, column)) for column in columns]
    counts = Counter(columns[2])
    coloured = {
        state.value: style(state.value, fg=colour) + " " * (widths[2] - len(state.value))
        for state, colour in _COLOURS.items()
    }
    columns[2] = tuple(coloured.get(state, state) for state in columns[2])
    lines = _aligned(zip(*columns, strict=True), widths)
    summary = ", ".join(f"{counts[state.value]} {state.value}" for state in State if state.value in counts)
    return "\n".join([*lines, "", summary])


def _status_row(status: MigrationStatus) -> tuple[str, ...]:
    row = status.applied
    identity = status.id if status.version else "repeatable"
    if row is None:
        return identity, status.name, status.state.value, "", ""
    return identity, status.name, status.state.value, when(row.executed_at), took(row.took)


def _aligned(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> list[str]:
    line = "  ".join(f"{{:<{width}}}" for width in widths)
    return [line.format(*row) for row in rows]


def info(result: Sequence[Detail], directories: Sequence[str] = ()) -> str:
    """Returns the details of each migration: its file, its row in the history table, and its log entries."""
    return "\n\n".join("\n".join(_detail_lines(detail)) for detail in result) or _no_migrations(directories)


def _detail_lines(detail: Detail) -> list[str]:
    status = detail.standing
    pairs = [("state", style(status.state.value, fg=_COLOURS[status.state]))]
    if status.migration:
        pairs += [("file", status.migration.up), ("down file", status.migration.down or "none")]
        pairs += [("checksum on disk", status.migration.checksum), ("plan", _size(detail))]
    if row := status.applied:
        pairs += [("checksum applied", row.checksum), ("description", row.description)]
        time = "" if row.took is None else f" in {took(row.took)}"
        pairs += [("executed", f"{when(row.executed_at)} by {row.executed_by}{time}")]
        pairs += [("statements done", f"{row.statements_done} of {row.statements}")] if row.statements else []
        pairs += [("error", row.error_msg)] if row.error_msg else []
    for entry in detail.log:
        time = "" if entry.took is None else f" {took(entry.took)}"
        summary = f"{when(entry.logged_at)} {entry.action} {entry.outcome}{time}"
        pairs.append(("log", f"{summary} by {entry.db_user} ({entry.os_user}@{entry.host}) {entry.error_msg}".rstrip()))
    return [style(f"{status.id} {status.name}", bold=True), *(f"  {key:<17} {value}" for key, value in pairs)]


def _size(detail: Detail) -> str:
    statements = count(range(detail.statements), "statement")
    return f"{statements} in {count(range(detail.segments), 'segment')}" if detail.segments > 1 else statements


def health(result: Health) -> str:
    """Returns whether the database is up to date, and which pending migrations have failed before."""
    errors = [problem for problem in result.problems if problem.level is ProblemLevel.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        state, command = ("not up to date", "lock-status") if errors[0].code == "running" else ("invalid", "validate")
        first = style(f"{state}: {errors[0].message}{more}; see `sqlmigrate {command}`", fg="red")
        return "\n".join([first, *_failures(result)])
    if result.pending:
        names = ", ".join(migration.id for migration in result.pending[:5])
        more = " …" if len(result.pending) > 5 else ""
        return "\n".join([style(f"{len(result.pending)} pending: {names}{more}", fg="yellow"), *_failures(result)])
    return style("up to date", fg="green")


def _failures(result: Health) -> list[str]:
    return [
        style(f"  {status.id} {failure(row)}", fg="red")
        for status in result.pending
        if (row := status.applied) and not row.success
    ]


def problems(result: Sequence[Problem], scope: str = "") -> str:
    """Returns every problem, errors first, and the totals; `scope` is written before them."""
    ordered = sorted(result, key=lambda problem: problem.level is not ProblemLevel.ERROR)
    errors = sum(problem.level is ProblemLevel.ERROR for problem in result)
    end = f"{scope}{count(range(errors), 'error')}, {count(range(len(result) - errors), 'warning')}"
    return "\n".join([*listed(ordered), end]) if result else style(f"{scope}valid", fg="green")


def repairs(result: Sequence[Repair]) -> str:
    """Returns what `repair` changes, one line per migration."""
    return "\n".join(f"  {repair.migration.id}: {repair.what}" for repair in result) or "nothing to repair"


def project(directory: str, entries: Sequence[Entry]) -> str:
    """Returns one line per file, and the next commands."""
    from sqlmigrate.render import project  # only `init` needs it

    return project.project(directory, entries)


def renumbering(result: Renumbering) -> str:
    """Returns each renamed file with its new path, and the problems."""
    moves = [f"  {old} → {new}" for move in result.moves for old, new in move.files]
    return "\n".join([*(moves or ["nothing to renumber"]), *listed(result.problems)])


def embedded(result: EmbeddedServer) -> str:
    """Returns whether the embedded server runs, and its connection string."""
    if not result.pid:
        return f"the embedded server in {result.path} is not running"
    until = "until `sqlmigrate embedded stop`" if result.keeps_running else "until the command that uses it ends"
    return f"the embedded server in {result.path} runs with pid {result.pid}, {until}\n{result.url}"


def embedded_stopped(result: EmbeddedServer) -> str:
    """Returns whether the embedded server was running before it was stopped."""
    return f"the embedded server in {result.path} {'was stopped' if result.pid else 'was not running'}"


def activity(result: Activity | None) -> str:
    """Returns the run that holds the migration lock, its statement and what that waits for."""
    if result is None:
        return "nobody holds the migration lock"
    from sqlmigrate.render import activity

    return activity.activity(result)


def terminated(result: Holder) -> str:
    """Returns what `force-unlock` did."""
    return style(f"terminated the backend with pid {result.pid}", fg="green")


def history(result: Sequence[LogEntry]) -> str:
    """Returns one line per log entry, the newest last; below it the error, or the digest of the approved plan."""
    rows = [("WHEN", "ACTION", "MIGRATION", "OUTCOME", "TOOK", "WHO"), *map(_entry, result)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [line.rstrip() for line in _aligned(rows, widths)]
    for number, entry in enumerate(result, 1):
        if entry.outcome != "success":
            lines[number] = style(lines[number], fg="red")
        lines[number] += f"\n    {entry.error_msg}" if entry.error_msg else ""
        lines[number] += f"\n    plan {entry.checksum}" if entry.action == "approve" else ""
    return "\n".join(lines) if result else "no entries"


def _entry(entry: LogEntry) -> tuple[str, ...]:
    who = f"{entry.db_user} ({entry.os_user}@{entry.host})"
    migration = f"{entry.version} {entry.name}".strip() if entry.version != entry.name else entry.version
    return when(entry.logged_at), entry.action, migration, entry.outcome, took(entry.took), who


def prunable(result: Pruned) -> str:
    """Returns how many rows `cleanup` would delete."""
    return f"would delete {_rows(result)}"


def pruned(result: Pruned) -> str:
    """Returns how many rows `cleanup` deleted."""
    return f"deleted {_rows(result)}"


def _rows(result: Pruned) -> str:
    entries = f"{result.entries} log {'entry' if result.entries == 1 else 'entries'}"
    return f"{entries} and {count(range(result.runs), 'run')}"


def metrics(result: Sequence[Metric]) -> str:
    """Returns the metrics in the text format of Prometheus."""
    from sqlmigrate.metrics.families import exposition  # loads psycopg, which `validate PATHS` does not need

    return exposition(result).rstrip("\n")


def serving(url: str) -> str:
    """Returns the URL of the metrics."""
    return f"serving on {url}"


def error(failure: SqlMigrateError) -> str:
    """Returns the error with its location, the server's report, the completed steps, and the hints."""
    if isinstance(failure, PlanRefused):
        summary = [style(failure.message, fg="red")] if failure.prevents_run else []
        return "\n".join([*listed(failure.problems), *summary, *hint_lines(failure.hint)])
    lines = [f"{style('error', fg='red')}: {prefix(failure.location)}{failure.message}", *marked(failure.location)]
    cause = failure.__cause__
    report = cause.report if isinstance(cause, StatementFailed) else getattr(failure, "report", None)
    if report is not None:
        fields = (
            ("DETAIL", report.detail),
            ("HINT", report.hint),
            ("QUERY", report.internal_query),
            ("CONTEXT", report.context),
        )
        lines += [f"  {name}: {text}" for name, text in fields if text]
        lines += [f"  SQLSTATE: {report.sqlstate}"]
    if isinstance(failure, MigrationFailed):
        done = ", ".join(step.migration.id for step in failure.done) or "none"
        lines.append(f"  {_DONE[failure.step.action]} before the failure: {done}")
    hints = [line for line in failure.hint.splitlines() if report is None or line != report.hint]
    return "\n".join([*lines, *hint_lines("\n".join(hints))])
