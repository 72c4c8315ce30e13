"""What a program reads: plain data for JSON. `docs/json.md` describes it; `VERSION` changes when a field goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmigrate.errors import MigrationFailed, PlanRefused, SqlMigrateError, StatementFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client import Metric

    from sqlmigrate.authoring.generator import Generated
    from sqlmigrate.authoring.renumber import Move, Renumbering
    from sqlmigrate.authoring.scaffold import Entry
    from sqlmigrate.authoring.template import Template
    from sqlmigrate.history.log import LogEntry, Pruned
    from sqlmigrate.lint import Finding
    from sqlmigrate.lint.fix import Fix
    from sqlmigrate.lint.rule import Example, Rule
    from sqlmigrate.migrator import Detail, Health
    from sqlmigrate.model import Holder, Location, MigrationStatus, Plan, Problem, Run, Step
    from sqlmigrate.planning.plan_file import PlanFile
    from sqlmigrate.planning.repair import Repair
    from sqlmigrate.planning.review import Review

VERSION = 1


def run(result: Run) -> dict[str, Any]:
    """`steps` were run, in this order; `backup` is there where one was made."""
    backup = {"backup": result.backup._asdict()} if result.backup else {}
    steps = [_step(step) for step in result.steps]
    return {"steps": steps, "problems": [problem(one) for one in result.warnings], **backup}


baseline = rehearsal = run


def plan(result: Plan, texts: Iterable[str] = (), found: Sequence[Finding] | None = None) -> dict[str, Any]:
    """`steps` would be run; `sql` is each step's, in the same order; `findings` is there where they were linted."""
    linted = {} if found is None else findings(found)
    return {
        "steps": [_step(step) for step in result.steps],
        "sql": list(texts),
        "problems": [problem(one) for one in result.problems],
        **linted,
    }


def review(made: Review) -> dict[str, Any]:
    """A plan file: its own `version`, its `digest`, and what that is over; `findings` is besides."""
    from sqlmigrate.planning.review import document  # it loads the scanner, which no other result needs

    return {"digest": made.digest, **document(made), **findings(made.findings)}


def approved(file: PlanFile) -> dict[str, Any]:
    """`approved`: the digest of the plan."""
    return {"approved": file.digest}


def findings(found: Sequence[Finding], _: Sequence[str] = ()) -> dict[str, Any]:
    """`findings`, those of a file together."""
    return {"findings": [_finding(one) for one in found]}


def _finding(one: Finding) -> dict[str, Any]:
    place = one.location
    return {
        "file": place.path,
        "line": place.line or 1,
        "column": place.column or 1,
        "rule": one.rule,
        "level": one.level.value,
        "message": one.message,
        "decided_by": one.decided_by.value,
        "safer": one.safer,
    }


def rules(families: Mapping[str, Sequence[Rule]]) -> dict[str, Any]:
    """`rules`, family by family."""
    return {"rules": [{"family": family, **_rule(one)} for family, own in families.items() for one in own]}


def rule(one: Rule) -> dict[str, Any]:
    """`rule`, with its examples."""
    return {"rule": _rule(one)}


def _rule(one: Rule) -> dict[str, Any]:
    examples = [{"sql": each.sql, "earlier": each.earlier, "finding": _outcome(each)} for each in one.examples]
    return {
        "name": one.name,
        "level": one.level.value,
        "stake": one.stake,
        "safe": one.safe,
        "since": one.since or None,
        "until": one.until if one.until < 99 else None,
        "examples": examples,
    }


def _outcome(example: Example) -> str:
    return "cannot tell" if example.unsure else "yes" if example.bad else "no"


def fixes(made: Sequence[Fix]) -> dict[str, Any]:
    """`fixes`: the files that are changed or new, with what they then say."""
    return {"fixes": [{"file": one.path, "new": one.before is None, "text": one.after} for one in made]}


def _step(step: Step) -> dict[str, Any]:
    return {"version": step.migration.id, "name": step.migration.name, "action": step.action.value, "path": step.path}


def generated(result: Generated) -> dict[str, Any]:
    """`files` that are new, in the order of their versions, up before down."""
    return {"files": [{"version": str(one.version), "path": one.path} for one in result.files]}


def draft(result: Generated) -> dict[str, Any]:
    """`files` that would be new, with what would stand in them."""
    return {"files": [{"version": str(one.version), "path": one.path, "text": one.text} for one in result.files]}


def templates(result: Sequence[Template]) -> dict[str, Any]:
    """`templates`; what each takes has its default, null where it has to be given."""
    return {"templates": [{"name": one.name, "about": one.about, "takes": {**one.takes}} for one in result]}


def status(result: Sequence[MigrationStatus]) -> dict[str, Any]:
    """`migrations`, in order."""
    return {"migrations": [_standing(one) for one in result]}


def _standing(one: MigrationStatus) -> dict[str, Any]:
    row = one.applied
    return {
        "version": one.id,
        "name": one.name,
        "state": one.state.value,
        "executed_at": row.executed_at.isoformat() if row else None,
        "duration_ms": row.duration_ms if row else None,
    }


def info(result: Sequence[Detail]) -> dict[str, Any]:
    """`migrations`, each with everything known of it."""
    return {"migrations": [_detail(one) for one in result]}


def _detail(detail: Detail) -> dict[str, Any]:
    one, row = detail.standing, detail.standing.applied
    return _standing(one) | {
        "up": one.migration.up if one.migration else None,
        "down": one.migration.down if one.migration else None,
        "checksum_on_disk": one.migration.checksum if one.migration else None,
        "checksum_applied": row.checksum if row else None,
        "executed_by": row.executed_by if row else None,
        "error": row.error_msg if row else None,
        "statements_done": row.statements_done if row else None,
        "statements": detail.statements,
        "parts": detail.segments,
        "log": [_entry(entry) for entry in detail.log],
    }


def health(result: Health) -> dict[str, Any]:
    """`up_to_date`, and if not, why."""
    return {
        "up_to_date": result.up_to_date,
        "pending": [one.id for one in result.pending],
        "problems": [problem(one) for one in result.problems],
    }


def problems(result: Sequence[Problem]) -> dict[str, Any]:
    """`problems`, in the order found."""
    return {"problems": [problem(one) for one in result]}


def problem(one: Problem) -> dict[str, Any]:
    """A problem; `location` is null where it is in no file."""
    return {
        "code": one.code,
        "level": one.level.value,
        "message": one.message,
        "hint": one.hint,
        "location": _location(one.location),
    }


def mends(result: Sequence[Repair]) -> dict[str, Any]:
    """`repairs`, in order."""
    return {"repairs": [{"version": one.migration.id, "what": one.what} for one in result]}


def project(_: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """`files` of the new project, each with what became of it."""
    return {"files": [{"path": one.path, "outcome": one.outcome.value, "note": one.note} for one in entries]}


def renumbering(result: Renumbering) -> dict[str, Any]:
    """`moves`, in the order of the new versions, and warnings."""
    return {"moves": [_move(one) for one in result.moves], "problems": [problem(one) for one in result.problems]}


def _move(one: Move) -> dict[str, Any]:
    files = [{"from": old, "to": new} for old, new in one.files]
    return {"from": str(one.before), "to": str(one.after), "files": files}


def holder(result: Holder | None) -> dict[str, Any]:
    """`holder`, or null."""
    if result is None:
        return {"holder": None}
    names = ("pid", "user", "application", "host", "state", "query")
    return {"holder": {name: getattr(result, name) for name in names} | {"since": result.since.isoformat()}}


def history(result: Sequence[LogEntry]) -> dict[str, Any]:
    """`history`, the newest last."""
    return {"history": [_entry(one) for one in result]}


def _entry(one: LogEntry) -> dict[str, Any]:
    return one._asdict() | {"logged_at": one.logged_at.isoformat()}


def pruned(result: Pruned) -> dict[str, Any]:
    """`pruned`: how many rows of which table."""
    return {"pruned": result._asdict()}


prunable = pruned


def metrics(result: Sequence[Metric]) -> dict[str, Any]:
    """`metrics`, a sample each."""
    samples = [sample for family in result for sample in family.samples]
    return {"metrics": [{"name": one.name, "labels": dict(one.labels), "value": one.value} for one in samples]}


def serving(url: str) -> dict[str, Any]:
    """`serving`: the URL that was answered."""
    return {"serving": url}


# The JSON keeps the first name of a class that was renamed or split.
_KINDS = {"LockNotAvailable": "LockNotHad", "NoDatabaseConfigured": "ConfigurationError"}


def error(failure: SqlMigrateError) -> dict[str, Any]:
    """`error`, with the server's report where there is one and what was done before."""
    cause = failure.__cause__ if isinstance(failure.__cause__, StatementFailed) else failure
    report = cause.report if isinstance(cause, StatementFailed) else None
    shape: dict[str, Any] = {
        "kind": _KINDS.get(type(failure).__name__, type(failure).__name__),
        "message": failure.message,
        "hint": failure.hint,
        "location": _location(failure.location),
    }
    if report is not None:
        names = ("message", "sqlstate", "detail", "hint", "context", "internal_query")
        shape["server"] = {name: getattr(report, name) for name in names}
    if isinstance(failure, PlanRefused):
        shape["problems"] = [problem(one) for one in failure.problems]
    if isinstance(failure, MigrationFailed):
        shape["step"] = _step(failure.step)
        shape["done"] = [_step(step) for step in failure.done]
    return {"error": shape}


def _location(place: Location | None) -> dict[str, Any] | None:
    return {"path": place.path, "line": place.line, "column": place.column} if place else None
