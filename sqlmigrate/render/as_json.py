"""Results and errors as data for JSON.

`docs/json.md` describes the data. `VERSION` changes if a field is removed or gets another meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.errors import MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed
from sqlmigrate.planning import stats_file
from sqlmigrate.render import differences, roundtrip
from sqlmigrate.render.pages import page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client import Metric

    from sqlmigrate.authoring.generator import Generated
    from sqlmigrate.authoring.renumber import Move, Renumbering
    from sqlmigrate.authoring.scaffold import Entry
    from sqlmigrate.authoring.template import Template
    from sqlmigrate.execution.runner import Approvable
    from sqlmigrate.history.log import LogEntry, Pruned
    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.fix import Fix
    from sqlmigrate.lint.rule import Example, Rule
    from sqlmigrate.model import Health, Holder, Location, MigrationStatus, Plan, Problem, Run, Step
    from sqlmigrate.planning.activity import Activity
    from sqlmigrate.planning.detail import Detail
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.rehearsed import Rehearsal
    from sqlmigrate.planning.repair import Repair
    from sqlmigrate.planning.review import Review
    from sqlmigrate.scratch.drift import Drift
    from sqlmigrate.server.embedded import EmbeddedServer

VERSION = 1

Json = dict[str, object]


def run(result: Run, _: Sequence[str] = ()) -> Json:
    """Returns `steps` in the order in which they ran, `problems`, `backup` if there is one, and `summary`."""
    backup: Json = {"backup": result.backup._asdict()} if result.backup else {}
    if result.summary:
        version = str(result.summary.version) if result.summary.version else None
        backup["summary"] = result.summary._asdict() | {"version": version}
    steps = [_step(step) for step in result.steps]
    return {"steps": steps, "problems": [problem(warning) for warning in result.warnings], **backup}


baseline = redone = run


def dry_run(result: Rehearsal) -> Json:
    """Returns `steps` and `problems`: `validate --dry-run`."""
    return {"steps": [_step(step.step) for step in result.steps], "problems": [*map(problem, result.warnings)]}


def rehearsal(result: Rehearsal) -> Json:
    """Returns `rehearsal`, with each statement, and `problems`."""
    from sqlmigrate.render.rehearsal import data

    return {**data.rehearsal(result), "problems": [*map(problem, result.warnings)]}


def drift(result: Drift) -> Json:
    """Returns `differences`, `problems` and the versions of both servers."""
    return {**differences.as_json(result), "problems": [*map(problem, result.problems)]}


drift_sql = drift
round_trip = roundtrip.as_json
stats = stats_file.document


def plan(
    result: Plan, texts: Iterable[str] = (), found: Sequence[Finding] | None = None, _: Sequence[str] = ()
) -> Json:
    """Returns `steps`, the `sql` of each step in the same order, `problems`, and `findings` if the SQL was linted."""
    linted = {} if found is None else findings(found)
    return {
        "steps": [_step(step) for step in result.steps],
        "sql": list(texts),
        "problems": [*map(problem, result.problems)],
        **_waves(result),
        **linted,
    }


def review(made: Review) -> Json:
    """Returns the content of a plan file, which has a `version` of its own, with `digest` and `findings`."""
    from sqlmigrate.planning.plan_file import origin_as_json
    from sqlmigrate.planning.review import document  # loads the scanner, which no other result needs

    origin = {"made": origin_as_json(made.origin)} if made.origin else {}
    divided = _waves(made.plan)
    return {"digest": made.digest, **origin, **document(made), **divided, **findings(made.findings)}


def _waves(plan: Plan) -> Json:
    """Returns `connections` and `waves`; nothing for a serial plan."""
    if plan.connections < 2:
        return {}
    waves = [
        {
            "steps": [step.migration.id for step in wave.steps],
            "reason": wave.reason,
            "statements": [list(pair) for pair in wave.statements],
        }
        for wave in plan.waves
    ]
    return {"connections": plan.connections, "waves": waves}


def approvable(result: Approvable) -> Json:
    """Returns `steps` and `problems` of the plan, what is `irreversible`, and `notes` on earlier runs and approvals."""
    review, plan = result.review, result.plan
    lost = [(step.step.migration.id, [*step.irreversible]) for step in review.steps] if review else []
    irreversible = lost if review else [*result.file.irreversible.items()]
    return {
        "steps": [_step(step) for step in plan.steps],
        "problems": [*map(problem, plan.problems)],
        "irreversible": [{"version": version, "reasons": reasons} for version, reasons in irreversible if reasons],
        "notes": list(result.notes),
    }


def approved(file: PlanFile) -> Json:
    """Returns `approved`, the digest of the plan."""
    return {"approved": file.digest}


def findings(found: Sequence[Finding], _: Sequence[str] = ()) -> Json:
    """Returns `findings`, grouped by file."""
    return {"findings": [*map(_finding, found)]}


def _finding(finding: Finding) -> Json:
    location = finding.location
    return {
        "file": location.path,
        "line": location.line or 1,
        "column": location.column or 1,
        "rule": finding.rule,
        "level": finding.level.value,
        "message": finding.message,
        "decided_by": finding.decided_by.value,
        "safer": finding.safer.sql,
        "adds": finding.safer.adds,
        "later": [*finding.safer.later],
        "advice": finding.safer.advice,
        "page": page(finding.rule),
    }


def rules(families: Mapping[str, Sequence[Rule]]) -> Json:
    """Returns `rules`, grouped by family."""
    return {"rules": [{"family": family, **_rule(rule)} for family, rules in families.items() for rule in rules]}


def rule(rule: Rule) -> Json:
    """Returns `rule`, with its examples."""
    return {"rule": _rule(rule)}


def _rule(rule: Rule) -> Json:
    examples = [
        {"sql": example.sql, "earlier": example.earlier, "finding": _outcome(example)} for example in rule.examples
    ]
    return {
        "name": rule.name,
        "level": rule.level.value,
        "stake": rule.stake,
        "safe": rule.safe,
        "advice": rule.advice,
        "since": rule.since or None,
        "until": rule.until if rule.until < 99 else None,
        "examples": examples,
        "page": page(rule.name),
    }


def _outcome(example: Example) -> str:
    return "cannot tell" if example.unsure else "yes" if example.bad else "no"


def fixes(fixes: Sequence[Fix]) -> Json:
    """Returns `fixes`: the changed and the new files, with their new text."""
    return {"fixes": [{"file": fix.path, "new": fix.before is None, "text": fix.after} for fix in fixes]}


def _step(step: Step) -> Json:
    return {"version": step.migration.id, "name": step.migration.name, "action": step.action.value, "path": step.path}


def generated(result: Generated) -> Json:
    """Returns the new `files` in the order of their versions, the up file before the down file."""
    return {"files": [{"version": str(file.version), "path": file.path} for file in result.files]}


def draft(result: Generated) -> Json:
    """Returns the `files` that `generate` would write, with their text."""
    return {"files": [{"version": str(file.version), "path": file.path, "text": file.text} for file in result.files]}


def templates(result: Sequence[Template]) -> Json:
    """Returns `templates`, each with its variables and their defaults; the default of a required variable is null."""
    templates = [{"name": template.name, "about": template.about, "takes": {**template.takes}} for template in result]
    return {"templates": templates}


def status(result: Sequence[MigrationStatus], _: Sequence[str] = ()) -> Json:
    """Returns `migrations` in order."""
    return {"migrations": [*map(_status, result)]}


def _status(status: MigrationStatus) -> Json:
    row = status.applied
    return {
        "version": status.id,
        "name": status.name,
        "state": status.state.value,
        "executed_at": row.executed_at.isoformat() if row else None,
        "duration_ms": row.duration_ms if row else None,
    }


def info(result: Sequence[Detail], _: Sequence[str] = ()) -> Json:
    """Returns `migrations`, each with the details of its file, its row and its log entries."""
    return {"migrations": [*map(_detail, result)]}


def _detail(detail: Detail) -> Json:
    status, row = detail.standing, detail.standing.applied
    return _status(status) | {
        "up": status.migration.up if status.migration else None,
        "down": status.migration.down if status.migration else None,
        "checksum_on_disk": status.migration.checksum if status.migration else None,
        "checksum_applied": row.checksum if row else None,
        "executed_by": row.executed_by if row else None,
        "error": row.error_msg if row else None,
        "statements_done": row.statements_done if row else None,
        "statements": detail.statements,
        "parts": detail.segments,
        "log": [_entry(entry) for entry in detail.log],
    }


def health(result: Health) -> Json:
    """Returns `up_to_date`, the `pending` versions, those that have `failed` before, and the `problems`."""
    return {
        "up_to_date": result.up_to_date,
        "pending": [migration.id for migration in result.pending],
        "failed": [
            {"version": status.id, "at": row.executed_at.isoformat(), "error": row.error_msg}
            for status in result.pending
            if (row := status.applied) and not row.success
        ],
        "problems": [*map(problem, result.problems)],
    }


def problems(result: Sequence[Problem], _: str = "") -> Json:
    """Returns `problems`."""
    return {"problems": [*map(problem, result)]}


def problem(problem: Problem) -> Json:
    """Returns a problem; `location` is null if the problem is not in a file."""
    return {
        "code": problem.code,
        "level": problem.level.value,
        "message": problem.message,
        "hint": problem.hint,
        "location": _location(problem.location),
    }


def repairs(result: Sequence[Repair]) -> Json:
    """Returns `repairs`."""
    return {"repairs": [{"version": repair.migration.id, "what": repair.what} for repair in result]}


def project(_: str, entries: Sequence[Entry]) -> Json:
    """Returns the `files` of the new project: whether each was created, extended or kept."""
    files = [{"path": entry.path, "outcome": entry.outcome.value, "note": entry.note} for entry in entries]
    return {"files": files}


def renumbering(result: Renumbering) -> Json:
    """Returns `moves` in the order of the new versions, and `problems`."""
    return {"moves": [*map(_move, result.moves)], "problems": [*map(problem, result.problems)]}


def _move(move: Move) -> Json:
    files = [{"from": old, "to": new} for old, new in move.files]
    return {"from": str(move.before), "to": str(move.after), "files": files}


def _holder(result: Holder | None) -> Json:
    """Returns `holder`, which is null if nobody holds the lock."""
    if result is None:
        return {"holder": None}
    names = ("pid", "user", "application", "host", "state", "query")
    since = result.since.isoformat() if result.since else None
    return {"holder": {name: getattr(result, name) for name in names} | {"since": since}}


def activity(result: Activity | None) -> Json:
    """Returns `holder` and `running`: the step and the statement, what it waits for, and who started the run."""
    content = _holder(result.holder if result else None)
    if result is None or result.run is None:
        return content | {"running": None}
    run, position = result.run, result.position
    running = run._asdict() | {"began_at": run.began_at.isoformat()}
    running["name"] = result.step.migration.name if result.step else None
    running["since"] = result.since.isoformat() if result.since else None
    running["waits_for"] = result.waits_for
    running["blockers"] = [*map(str, result.blockers)]
    running["beside"] = [{"pid": pid, "application": program} for pid, program in result.beside]
    running["statement"] = position._asdict() if position else None
    return content | {"running": running}


def terminated(result: Holder) -> Json:
    """Returns `terminated`, the pid of the backend."""
    return {"terminated": result.pid}


def embedded(result: EmbeddedServer) -> Json:
    """Returns `embedded`: the server's directory, its PID or null, its URL, and whether it keeps running."""
    return {"embedded": result._asdict() | {"pid": result.pid or None, "url": result.url or None}}


def embedded_stopped(result: EmbeddedServer) -> Json:
    """Returns `stopped`: whether the server was running."""
    return {"stopped": bool(result.pid)}


def history(result: Sequence[LogEntry]) -> Json:
    """Returns `history`, the newest entry last."""
    return {"history": [*map(_entry, result)]}


def _entry(entry: LogEntry) -> Json:
    return entry._asdict() | {"logged_at": entry.logged_at.isoformat()}


def pruned(result: Pruned) -> Json:
    """Returns `pruned`: how many rows of each table were deleted."""
    return {"pruned": result._asdict()}


prunable = pruned


def metrics(result: Sequence[Metric]) -> Json:
    """Returns `metrics`, one object per sample."""
    samples = [sample for family in result for sample in family.samples]
    return {
        "metrics": [{"name": sample.name, "labels": dict(sample.labels), "value": sample.value} for sample in samples]
    }


def serving(url: str) -> Json:
    """Returns `serving`, the URL of the metrics."""
    return {"serving": url}


# The JSON keeps the first name of a class that was renamed or split.
_KINDS = {"LockNotAvailable": "LockNotHad", "NoDatabaseConfigured": "ConfigurationError"}


def error(failure: SqlMigrateError) -> dict[str, Json]:
    """Returns `error`, with the server's report and the completed steps if they exist."""
    cause = failure.__cause__ if isinstance(failure.__cause__, StatementFailed) else failure
    report = cause.report if isinstance(cause, StatementFailed) else None
    content: Json = {
        "kind": _KINDS.get(type(failure).__name__, type(failure).__name__),
        "message": failure.message,
        "hint": failure.hint,
        "location": _location(failure.location),
    }
    if report is not None:
        names = ("message", "sqlstate", "detail", "hint", "context", "internal_query")
        content["server"] = {name: getattr(report, name) for name in names}
    if isinstance(failure, PlanRefused):
        content["problems"] = [*map(problem, failure.problems)]
    if isinstance(failure, MigrationFailed):
        content["step"] = _step(failure.step)
        content["done"] = [_step(step) for step in failure.done]
    return {"error": content}


def _location(location: Location | None) -> Json | None:
    return {"path": location.path, "line": location.line, "column": location.column} if location else None
