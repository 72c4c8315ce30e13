"""The file that `plan --out` writes, and the check whether its plan is still up to date."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import source
from sqlmigrate.files.naming import parse_version
from sqlmigrate.history.records import os_user
from sqlmigrate.model import Action, Location, PlanRequest, Problem
from sqlmigrate.server.conninfo import server_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeGuard

    from sqlmigrate.model import Applied, Plan, Step
    from sqlmigrate.server.connection import Connection

# The system identifier tells servers apart, and a standby keeps its primary's. The OID tells a database from another
# one that was created later under the same name.
_IDENTITY = """
select system_identifier || '/' || (select oid from pg_catalog.pg_database
                                   where datname = pg_catalog.current_database())
from pg_catalog.pg_control_system()
"""
_MAKER = "select session_user::text, pg_catalog.clock_timestamp()"
VERSION = 1
_WRITE_PLAN = "write a plan file with `sqlmigrate plan --out FILE`"
PLAN_AGAIN = "create the plan again with the same options: `sqlmigrate plan --out FILE`, with --rollback for a rollback"


class DatabaseIdentity(TypedDict):
    """The name of a database, and an identifier that no other database has, even on another server."""

    database: str
    server: str


class HistoryState(TypedDict):
    """The number of rows in the history table, and the digest of their content."""

    rows: int
    digest: str


class Origin(NamedTuple):
    """The server that a plan is for, as HOST:PORT, who made the plan, and when, by the server's clock."""

    host: str
    made_by: str
    made_at: datetime


class PlannedFile(TypedDict):
    """A file that a plan runs, and its checksum."""

    version: str
    action: str
    checksum: str


class PlanInputs(DatabaseIdentity):
    """Everything that a plan depends on. The plan is out of date when any of it has changed."""

    history_table: str
    history: HistoryState
    files: list[PlannedFile]
    hooks: dict[str, str]


class ShownTransaction(NamedTuple):
    """The statements of a transaction as a plan file shows them: line and SQL."""

    begin: str
    statements: list[tuple[int, str]]


class ShownStep(NamedTuple):
    """The SQL of a step or hook as a plan file shows it. It does not depend on the path of the file."""

    version: str
    action: str
    transactions: list[ShownTransaction]


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan file whose digest matches its content. The digest does not cover `origin`, which older files lack.

    `shown` is the SQL that its reader sees, `irreversible` why its steps cannot be undone, by version.
    """

    path: str
    digest: str
    request: PlanRequest
    inputs: PlanInputs
    shown: list[ShownStep]
    irreversible: Mapping[str, list[str]] = field(default_factory=dict)
    origin: Origin | None = None


def read(path: str) -> PlanFile:
    """Reads a plan file. The digest covers neither the findings nor the origin: they do not change what is run.

    Raises:
        ConfigurationError: the file is not a plan file, or was edited.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        digest = content.pop("digest")
        for key in ("findings", "connections", "waves"):
            content.pop(key, None)
        origin = _origin(content.pop("made", None))
        request, inputs, shown = _request(content["asked"]), _inputs(content["plan"]), _shown_in(content)
        plan = PlanFile(path, digest, request, inputs, shown, _irreversible(content), origin)
        is_unchanged = digest == digest_of(content)
    except OSError as error:
        raise ConfigurationError(f'could not read plan file "{path}": {error.strerror}', hint=_WRITE_PLAN) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f'"{path}" is not a plan file', hint=_WRITE_PLAN) from error
    if not is_unchanged:
        raise ConfigurationError(
            f'plan file "{path}" was edited: its digest does not match its content', hint=PLAN_AGAIN
        )
    return plan


def _shown_in(content: Mapping[str, Any]) -> list[ShownStep]:
    return [
        ShownStep(
            step["version"],
            step["action"],
            [
                ShownTransaction(
                    transaction["begin"],
                    [(statement["line"], statement["sql"]) for statement in transaction["statements"]],
                )
                for transaction in step["transactions"]
            ],
        )
        for step in (*content["steps"], *content["hooks"])
    ]


def _irreversible(content: Mapping[str, Any]) -> dict[str, list[str]]:
    steps = (*content["steps"], *content["hooks"])
    return {step["version"]: [*map(str, step["irreversible"])] for step in steps if step["irreversible"]}


def _origin(data: object) -> Origin | None:
    match data:
        case None:
            return None
        case {"host": str(host), "by": str(name), "at": str(moment)}:
            return Origin(host, name, datetime.fromisoformat(moment).astimezone())
    raise ValueError("not the origin of a plan")


def changes(file: PlanFile, now: PlanInputs) -> list[Problem]:
    """Returns a problem for each change since the plan was made; none where the plan is up to date."""
    then = file.inputs
    databases: list[tuple[str, str, str]] = [
        ("database", then["database"], now["database"]),
        ("server", then["server"], now["server"]),
        ("history table", then["history_table"], now["history_table"]),
    ]
    reasons = [f"it was made for {name} {old}, but this is {new}" for name, old, new in databases if old != new]
    if then["history"] != now["history"]:
        old_count, new_count = then["history"]["rows"], now["history"]["rows"]
        reasons.append(f"the history table had {old_count} rows and now has {new_count}")
    reasons += _changed_files(
        {_name_of(file): file["checksum"] for file in then["files"]},
        {_name_of(file): file["checksum"] for file in now["files"]},
    )
    reasons += _changed_files(then["hooks"], now["hooks"])
    if not reasons and then != now:
        reasons.append("the order of the files has changed")
    return [
        Problem("plan-outdated", f"the plan is out of date: {reason}", Location(file.path), PLAN_AGAIN)
        for reason in reasons
    ]


def _name_of(file: PlannedFile) -> str:
    return f"{file['version']} ({file['action']})"


def _changed_files(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    removed = [f"{name} would no longer be run" for name in then if name not in now]
    added = [f"{name} would be run, but is not in the plan" for name in now if name not in then]
    changed = [f"the file of {name} was changed" for name in then if name in now and then[name] != now[name]]
    return [*removed, *added, *changed]


def identity(connection: Connection) -> DatabaseIdentity:
    """Returns what identifies the database of a connection."""
    return {"database": connection.database, "server": connection.rows(_IDENTITY)[0][0]}


def origin(connection: Connection) -> Origin:
    """Returns who makes a plan now, and for which server."""
    role, now = connection.rows(_MAKER)[0]
    return Origin(server_of(connection.parameters), f"{role} ({os_user()}@{socket.gethostname()})", now)


def origin_as_json(made: Origin) -> dict[str, str]:
    """Returns an origin as a plan file has it, under the key `made`."""
    return {"host": made.host, "by": made.made_by, "at": made.made_at.isoformat()}


def inputs_of(plan: Plan, database: DatabaseIdentity, history_table: str, rows: Iterable[Applied]) -> PlanInputs:
    """Returns what a plan depends on."""
    history = sorted(rows, key=lambda row: row.id)
    return {
        **database,
        "history_table": history_table,
        "history": {"rows": len(history), "digest": digest_of([_as_texts(row) for row in history])},
        "files": [
            {"version": step.migration.id, "action": step.action.value, "checksum": checksum_of(step)}
            for step in plan.steps
        ],
        "hooks": {hook.id: hook.checksum for hook in plan.hooks.around},
    }


def request_as_json(request: PlanRequest) -> dict[str, str | int | None]:
    """Returns a request as a plan file has it, under the key `asked`."""
    return {
        "action": request.action.value,
        "version": str(request.version) if request.version else None,
        "steps": request.steps,
        "out_of_order": request.out_of_order,
    }


def _request(data: Mapping[str, Any]) -> PlanRequest:
    version, steps = parse_version(data["version"]) if data["version"] else None, data["steps"]
    if not (steps is None or isinstance(steps, int)):
        raise ValueError("steps is not a number")
    return PlanRequest(Action(data["action"]), version, steps, bool(data["out_of_order"]))


def _inputs(data: object) -> PlanInputs:
    if not _is_inputs(data):
        raise ValueError("not the inputs of a plan")
    return data


def _is_inputs(data: object) -> TypeGuard[PlanInputs]:
    match data:
        case {
            "database": str(),
            "server": str(),
            "history_table": str(),
            "history": {"rows": int(), "digest": str()},
            "files": list(files),
            "hooks": dict(),
        }:
            return all(map(_is_file, files))
    return False


def _is_file(data: object) -> bool:
    match data:
        case {"version": str(), "action": str(), "checksum": str()}:
            return True
    return False


def checksum_of(step: Step) -> str:
    """Returns the checksum of the file that a step runs; a migration carries only the checksum of its up file."""
    return step.migration.checksum if step.path == step.migration.up else source.checksum(step.path)


def _as_texts(row: Applied) -> list[str]:
    return [str(value) for value in row._replace(executed_at=row.executed_at.astimezone(UTC))]


def digest_of(content: object) -> str:
    """Returns the SHA-256, in hex, of plain data as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
