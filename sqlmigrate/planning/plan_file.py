"""The file that `plan --out` writes: what a plan depends on, and whether it still holds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.files import source
from sqlmigrate.files.naming import parse_version
from sqlmigrate.model import Action, Location, PlanRequest, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlmigrate.model import Applied, Plan, Step
    from sqlmigrate.server.connection import Connection

# A database of the same name, on another server or made anew, is another one. A standby that takes over is the same.
_IDENTITY = """
select system_identifier || '/' || (select oid from pg_catalog.pg_database
                                   where datname = pg_catalog.current_database())
from pg_catalog.pg_control_system()
"""
VERSION = 1
_PLAN = "`sqlmigrate plan --out FILE` writes one"
# What to do where a plan does not hold.
PLAN_AGAIN = "make it again, as it was made: `sqlmigrate plan --out FILE`, with --rollback for the way back"


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan file as read, unchanged since it was written: its digest is that of its content.

    `shown` is the SQL that whoever reads it sees: see `shown_in`.
    """

    path: str
    digest: str
    asked: PlanRequest
    essence: dict[str, Any]
    shown: list[Any]


def read(path: str) -> PlanFile:
    """A plan file. Its findings are no part of what is run, and its digest is not over them.

    Raises:
        ConfigurationError: it is none, or somebody edited it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        digest = content.pop("digest")
        content.pop("findings", None)
        found = PlanFile(path, digest, _asked(content["asked"]), _essence(content["plan"]), shown_in(content))
        unchanged = digest == digest_of(content)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", hint=_PLAN) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no plan file", hint=_PLAN) from error
    if not unchanged:
        raise ConfigurationError(f"{path} was edited: its digest is not that of its content", hint=PLAN_AGAIN)
    return found


def shown_in(content: Mapping[str, Any]) -> list[Any]:
    """The SQL of each step and hook, by transactions and lines; it does not depend on where the files lie."""
    return [
        [
            one["version"],
            one["action"],
            [
                [unit["begin"], [[each["line"], each["sql"]] for each in unit["statements"]]]
                for unit in one["transactions"]
            ],
        ]
        for one in (*content["steps"], *content["hooks"])
    ]


def outdated(file: PlanFile, now: dict[str, Any]) -> list[Problem]:
    """What has changed since the plan was made; nothing, where it still holds."""
    then = file.essence
    reasons = [
        f"it was made for {name.replace('_', ' ')} {then[name]}, and this is {now[name]}"
        for name in ("database", "server", "history_table")
        if then[name] != now[name]
    ]
    if then["history"] != now["history"]:
        reasons.append(f"the history has changed since: {_rows(then)} then, {_rows(now)} now")
    reasons += _changed_files({_named(one): one for one in then["files"]}, {_named(one): one for one in now["files"]})
    reasons += _changed_files(then["hooks"], now["hooks"])
    if not reasons and then != now:
        reasons.append("the order of the files has changed since")
    return [
        Problem("plan-outdated", f"the plan does not hold any more: {one}", Location(file.path), PLAN_AGAIN)
        for one in reasons
    ]


def _rows(facts: dict[str, Any]) -> str:
    return f"{facts['history']['rows']} rows"


def _named(file: dict[str, str]) -> str:
    return f"{file['version']} ({file['action']})"


def _changed_files(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    gone = [f"{name} is not to be run any more" for name in then if name not in now]
    new = [f"{name} would be run, and is not in the plan" for name in now if name not in then]
    changed = [f"the file of {name} was changed" for name in then if name in now and then[name] != now[name]]
    return [*gone, *new, *changed]


def identity(connection: Connection) -> dict[str, str]:
    """Which database it is: `database` is its name, `server` tells it from others of that name."""
    return {"database": connection.database, "server": connection.rows(_IDENTITY)[0][0]}


def essence(plan: Plan, where: Mapping[str, str], history_table: str, rows: Iterable[Applied]) -> dict[str, Any]:
    """What a plan depends on, as plain data."""
    seen = sorted(rows, key=lambda row: row.id)
    hooks = (plan.hooks.before_each, plan.hooks.after_each, plan.hooks.after_error)  # the others are steps
    return {
        **where,
        "history_table": history_table,
        "history": {"rows": len(seen), "digest": digest_of([_plain(row) for row in seen])},
        "files": [
            {"version": step.migration.id, "action": step.action.value, "checksum": checksum_of(step)}
            for step in plan.steps
        ],
        "hooks": {hook.id: hook.checksum for hook in hooks if hook},
    }


def asked_as_data(asked: PlanRequest) -> dict[str, Any]:
    """What was asked for, as it stands in the file."""
    return {
        "action": asked.action.value,
        "version": str(asked.version) if asked.version else None,
        "steps": asked.steps,
        "out_of_order": asked.out_of_order,
    }


def _asked(data: dict[str, Any]) -> PlanRequest:
    version, steps = parse_version(data["version"]) if data["version"] else None, data["steps"]
    if not (steps is None or isinstance(steps, int)):
        raise ValueError("steps are counted")
    return PlanRequest(Action(data["action"]), version, steps, bool(data["out_of_order"]))


def _essence(data: Any) -> dict[str, Any]:
    match data:
        case {
            "database": str(),
            "server": str(),
            "history_table": str(),
            "history": {"rows": int(), "digest": str()},
            "files": list(files),
            "hooks": dict(),
        } if all(map(_is_file, files)):
            return dict(data)
    raise ValueError("not what a plan depends on")


def _is_file(data: Any) -> bool:
    match data:
        case {"version": str(), "action": str(), "checksum": str()}:
            return True
    return False


def checksum_of(step: Step) -> str:
    """That of the file that the step runs; a migration carries only its up file's."""
    return step.migration.checksum if step.path == step.migration.up else source.checksum(step.path)[0]


def _plain(row: Applied) -> list[str]:
    return [str(value) for value in astuple(replace(row, executed_at=row.executed_at.astimezone(UTC)))]


def digest_of(content: object) -> str:
    """SHA-256, in hex, of plain data as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
