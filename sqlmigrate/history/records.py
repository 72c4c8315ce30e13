"""The history table and the log: every statement that reads or writes them."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlmigrate.errors import ConfigurationError, HistoryError, StatementFailed
from sqlmigrate.history.tables import COMMENT, COMMENT_TEXT, FORMATS, format_in
from sqlmigrate.model import Action, Applied, Migration, Progress
from sqlmigrate.server.connection import quoted
from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmigrate.model import Step
    from sqlmigrate.server.connection import Connection

# Of an error so many characters are kept: `status` and every scrape read them again.
_LONGEST_ERROR = 8192
_COLUMNS = ("version", *(field.name for field in fields(Applied)[1:]))
_SURVEY = """
select pg_catalog.pg_backend_pid(),
       pg_catalog.to_regnamespace({schema_name}) is not null,
       pg_catalog.to_regclass({history_name}) is not null,
       (select pg_catalog.array_agg(a.attname::text) from pg_catalog.pg_attribute a
        where a.attrelid = pg_catalog.to_regclass({history_name}) and a.attnum > 0 and not a.attisdropped),
       pg_catalog.obj_description(pg_catalog.to_regclass({history_name}), 'pg_class'),
       pg_catalog.num_nulls(pg_catalog.to_regclass({log_name}), pg_catalog.to_regclass({runs_name}),
                 pg_catalog.to_regclass({totals_name})) > 0;
"""
_ROWS = f"select {', '.join(_COLUMNS)} from {{history}}"
# A message's now() is the time it came, so a migration began when its message came or when the one before it in the
# message ended, whichever is later; the log's last entry says when that was.
_ELAPSED = """greatest(0, extract(epoch from pg_catalog.clock_timestamp() - greatest(pg_catalog.transaction_timestamp(),
    (select logged_at from {log} order by id desc limit 1))) * 1000)::bigint"""
# The client hears of all that a message commits at its end: what failed began when what is logged last had ended.
_SINCE_LAST = """least({duration}, (select (extract(epoch from pg_catalog.clock_timestamp() - logged_at) * 1000)::bigint
    from {log} order by id desc limit 1))"""

_RECORD_ROW = """
insert into {history} as m (version, name, description, checksum, duration_ms, success, error_msg, action,
                            statements, statements_done, statements_begun, done_checksum)
values ({version}, {name}, {description}, {checksum}, {elapsed}, {success}, {error_msg}, {action},
        {statements}, {statements_done}, {statements_begun}, {done_checksum})
"""
_OR_UPDATE = """
on conflict (version) do update set
    name = excluded.name, description = excluded.description, checksum = excluded.checksum,
    executed_at = pg_catalog.clock_timestamp(), executed_by = session_user,
    duration_ms = excluded.duration_ms + case when m.success or m.statements_begun = 0 then 0 else m.duration_ms end,
    success = excluded.success, error_msg = excluded.error_msg, action = excluded.action,
    statements = excluded.statements, statements_done = excluded.statements_done,
    statements_begun = excluded.statements_begun, done_checksum = excluded.done_checksum
"""
_LOG_ROW = """
insert into {log} (run_id, action, version, name, checksum, outcome, duration_ms, error_msg,
                   os_user, host, tool_version)
values ({run_id}, {action}, {version}, {name}, {checksum}, {outcome}, {duration}, {error_msg},
        {os_user}, {host}, {tool}) returning duration_ms;
"""
_TOTAL = "(select duration_ms from {history} where version = {version})"
_OUTCOME = "case when {guard} then 'success' end"
_FAILED_APPLY = """
insert into {history} as m (version, name, description, checksum, duration_ms, success, error_msg, action)
values ({version}, {name}, {description}, {checksum}, {duration}, false, {error_msg}, 'apply')
on conflict (version) do update set
    executed_at = pg_catalog.clock_timestamp(), executed_by = session_user, success = false,
    error_msg = excluded.error_msg,
    name = excluded.name, description = excluded.description, checksum = excluded.checksum,
    duration_ms = excluded.duration_ms,
    action = case when m.success then 'apply' else m.action end,
    statements_done = case when m.success then 0 else m.statements_done end,
    statements_begun = case when m.success then 0 else m.statements_begun end;
"""
_FAILED_ROLLBACK = """
update {history} set error_msg = {error_msg}, executed_at = pg_catalog.clock_timestamp()
where version = {version} and not success;
"""
_FINISHED = "select version, duration_ms from {log} where run_id = {run_id} and outcome = 'success'"
# The first version of the run `r` that it did not get done.
UNDONE = """coalesce((select v.id from pg_catalog.unnest(r.versions) with ordinality v(id, n)
                 where not exists (select from {log} l
                                   where l.run_id = r.run_id and l.version = v.id and l.outcome = 'success')
                 order by v.n limit 1), '')"""
_BEGUN = f"""
begin;
set local synchronous_commit = off;
insert into {{log}} (run_id, action, version, name, checksum, outcome, error_msg,
                   db_user, os_user, host, client_addr, backend_pid, tool_version)
select r.run_id, r.action, {UNDONE}, '', '', 'failure', {{broken_off}},
       r.db_user, r.os_user, r.host, r.client_addr, r.backend_pid, r.tool_version
from {{runs}} r where r.ended_at is null;
update {{runs}} set ended_at = pg_catalog.clock_timestamp() where ended_at is null;
insert into {{runs}} (run_id, action, versions, os_user, host, backend_pid, tool_version)
values ({{run_id}}, {{action}}, array[{{versions}}]::text[], {{os_user}}, {{host}}, {{lock_pid}}, {{tool}});
commit;
"""
BROKEN_OFF = "broken off: the run ended without a word"
_ENDED = "update {runs} set ended_at = pg_catalog.clock_timestamp() where run_id = {run_id};\n"
_FORGET = "delete from {history} where version = {version};"
_CHECKSUM = "update {history} set checksum = {checksum} where version = {version};"
_LET_GO = "update {history} set action = {action} where version = {version};"


class TableName(NamedTuple):
    """A table's schema and name, unquoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def parse_table_name(text: str) -> TableName:
    """`schema.name`, or a name in `public`.

    Raises:
        ConfigurationError
    """
    schema, dot, name = text.rpartition(".")
    # A per cent sign would be a placeholder's where a statement has parameters.
    usable = text.isprintable() and "%" not in text and len(f"{name}_totals".encode()) <= 63
    if not name or (dot and not schema) or not usable:
        raise ConfigurationError(f"{text!r} is not a table name", hint="write --history-table schema.name")
    return TableName(schema or "public", name)


class History:
    """The history table and its log on one connection. The constructor sends nothing; `survey` looks."""

    def __init__(self, connection: Connection, table: TableName, tool_version: str) -> None:
        self._connection = connection
        self._table = table
        self._name = quoted(table.schema, table.name)
        self.names = {
            "schema": quoted(table.schema),
            "history": self._name,
            "log": quoted(table.schema, f"{table.name}_log"),
            "runs": quoted(table.schema, f"{table.name}_runs"),
            "totals": quoted(table.schema, f"{table.name}_totals"),
        }
        self.names["elapsed"] = _ELAPSED.format(**self.names)
        self._tool_version = tool_version
        self._has_schema = False
        self.format = 0
        self.pooled = False

    def survey(self) -> None:
        """Looks whether the table is there, and ours; and whether a pooler stands between.

        Raises:
            HistoryError: it is somebody else's, or of a format that this program does not know.
        """
        self._take_survey(self._connection.answers(self._survey)[0])

    @property
    def look(self) -> str:
        """The SQL that `seen` wants the answers of; it travels with the one that takes the lock."""
        return self._survey + (_ROWS.format(**self.names) if self.format else "")

    def seen(self, answers: list[list[tuple[Any, ...]]]) -> list[Applied]:
        """The rows that the answers to `look` tell.

        Raises:
            HistoryError: see `survey`.
        """
        known = self.format
        self._take_survey(answers[0])
        return [Applied(*row) for row in answers[1]] if known else self.rows()

    def rows(self) -> list[Applied]:
        """Every row of the history, in no order."""
        if not self.format:
            return []
        return [Applied(*row) for row in self._connection.rows(_ROWS.format(**self.names))]

    @property
    def _survey(self) -> str:
        keys = ("schema", "history", "log", "runs", "totals")
        names = {f"{key}_name": self._connection.literal(self.names[key]) for key in keys}
        return _SURVEY.format(**names)

    def _take_survey(self, answer: list[tuple[Any, ...]]) -> None:
        pid, self._has_schema, there, columns, comment, incomplete = answer[0]
        self.pooled = pid != self._connection.backend_pid
        if not there:
            return
        if missing := set(_COLUMNS) - set(columns or ()):
            raise HistoryError(
                f"the table {self._table} is not sqlmigrate's: it has no column {', '.join(sorted(missing))}",
                hint="name another with --history-table schema.name",
            )
        said = format_in(comment)
        self.format = min(said, 1) if incomplete else said
        if said > len(FORMATS):
            raise HistoryError(
                f"the table {self._table} has format {said}, this sqlmigrate knows {len(FORMATS)}",
                hint="use a newer sqlmigrate",
            )

    @property
    def outdated(self) -> bool:
        """Whether the tables are there in an older format."""
        return 0 < self.format < len(FORMATS)

    def create(self) -> None:
        """Creates the tables, or brings them to the newest format; under the lock.

        Raises:
            HistoryError: this role may not.
        """
        if self.format == len(FORMATS):
            return
        text = self._connection.literal(COMMENT_TEXT.format(format=len(FORMATS)))
        # CREATE SCHEMA IF NOT EXISTS wants the right to create schemas even where there is nothing to create.
        schema = [] if self._has_schema else [f"create schema {self.names['schema']};"]
        steps = [step.format(**self.names) for step in FORMATS[self.format :]]
        try:
            self._connection.run(
                "\n".join(["begin;", *schema, *steps, COMMENT.format(text=text, **self.names), "commit;"])
            )
        except StatementFailed as error:
            self._connection.run("rollback")
            raise HistoryError(
                f"the history table {self._table} can't be created: {error.message}",
                hint=error.hint or "grant CREATE on its schema, or name another with --history-table schema.name",
            ) from error
        self.format = len(FORMATS)

    def begun(self, steps: Sequence[Step], lock_pid: int) -> str:
        """The message that says that a run begins; one that ended without a word is logged as failed.

        By the process that holds its lock others see whether it still runs.
        """
        ids = ", ".join(self._connection.literal(step.migration.id) for step in steps)
        back = any(step.action is Action.ROLL_BACK for step in steps)
        action = Action.ROLL_BACK if back else Action.APPLY
        values = {"versions": ids, "action": f"'{action.value}'", "lock_pid": str(lock_pid)}
        broken_off = self._connection.literal(BROKEN_OFF)
        return _BEGUN.format(**self.names, **self._who, **values, broken_off=broken_off)

    @property
    def ended(self) -> Sql:
        """The SQL that says that the run is at its end; it goes with the record of the last step."""
        return Sql(_ENDED.format(**self.names, **self._who), 1)

    def finished(
        self,
        step: Step,
        description: str,
        statements: int,
        guard: str,
        elapsed_ms: int | None = None,
        *,
        new: bool = False,
    ) -> Sql:
        """The SQL that records the end of a step, to be sent with the step's last statements.

        The last of them returns the duration in milliseconds. `elapsed_ms` is for a statement that could not be sent
        together with its record; `new` where there is no row.
        """
        values = self._row(step, description, Progress(statements, statements, statements, ""), "true", elapsed_ms)
        values["outcome"] = _OUTCOME.format(guard=guard)
        if step.action is Action.HOOK:
            return Sql(_LOG_ROW.format(duration=values["elapsed"], **values), 1)
        if step.action is Action.ROLL_BACK:
            return Sql((_FORGET + _LOG_ROW).format(duration=values["elapsed"], **values), 2)
        # Most rows are new, and an upsert takes the server nearly twice as long as an insert.
        record = _RECORD_ROW if new else _RECORD_ROW + _OR_UPDATE
        return Sql((record + ";" + _LOG_ROW).format(duration=_TOTAL.format(**values), **values), 2)

    def progressed(
        self, step: Step, description: str, progress: Progress, guard: str, elapsed_ms: int | None = None
    ) -> Sql:
        """The SQL that records how far a step is, to be sent with what brought it there."""
        if step.action is Action.HOOK:
            return Sql(f"select {guard};\n", 1)
        values = self._row(step, description, progress, "false", elapsed_ms)
        return Sql(f"{(_RECORD_ROW + _OR_UPDATE).format(**values)} returning {guard};\n", 1)

    def failed(self, step: Step, description: str, message: str, duration_ms: int, guard: str) -> str:
        """The SQL that records, in a transaction of its own, that a step failed and was rolled back.

        `duration_ms` may count what was done before it, too.
        """
        values = self._values(step.migration, step.action.value) | {
            "description": self._connection.literal(description),
            "error_msg": self._connection.literal(message[:_LONGEST_ERROR]),
            "duration": _SINCE_LAST.format(duration=duration_ms, **self.names),
            "outcome": "'failure'",
        }
        row = {Action.APPLY: _FAILED_APPLY, Action.ROLL_BACK: _FAILED_ROLLBACK, Action.HOOK: ""}[step.action]
        return f"begin;select {guard};{(row + _LOG_ROW).format(**values)}{self.ended.text}commit;"

    @property
    def finished_so_far(self) -> str:
        """The SQL for version and duration of what this run has finished, from whatever connection."""
        return _FINISHED.format(**self.names, **self._who)

    def logged(self, migration: Migration, action: str, message: str = "") -> str:
        """The SQL that appends to the log, for an action that runs no script."""
        return _LOG_ROW.format(
            outcome="'success'",
            duration="0",
            error_msg=self._connection.literal(message),
            **self._values(migration, action),
        )

    def marked(self, migration: Migration) -> str:
        """The SQL that says that a migration is applied although nothing was run: `baseline`."""
        values = self._values(migration, "baseline") | self._row_values("", Progress(0, 0, 0, ""), "true")
        row = (_RECORD_ROW + _OR_UPDATE).format(**(values | {"elapsed": "0"}))
        return f"{row};{self.logged(migration, 'baseline')}"

    def forgotten(self, migration: Migration) -> str:
        """The SQL that removes the row of a failed run: `repair`."""
        return _FORGET.format(**self._values(migration, "")) + self.logged(
            migration, "repair", "row of a failed run removed"
        )

    def rechecked(self, migration: Migration) -> str:
        """The SQL that takes the checksum from disk: `repair`."""
        message = "checksum taken from disk"
        return _CHECKSUM.format(**self._values(migration, "")) + self.logged(migration, "repair", message)

    def let_go(self, migration: Migration, action: str) -> str:
        """The SQL that says that a file is meant to be gone: `repair`."""
        values = self._values(migration, action)
        return _LET_GO.format(**values) + self.logged(migration, "repair", "file marked as gone")

    def unlocked(self, message: str) -> str:
        """The SQL that appends to the log that the lock's holder was ended."""
        return self.logged(Migration("", None, "", "", ""), "unlock", message)

    @cached_property
    def run_id(self) -> str:
        """What the log calls the run that this connection is for."""
        return os.urandom(8).hex()

    @cached_property
    def _who(self) -> dict[str, str]:
        return {
            "run_id": self._connection.literal(self.run_id),
            "os_user": self._connection.literal(_os_user()),
            "host": self._connection.literal(socket.gethostname()),
            "tool": self._connection.literal(self._tool_version),
        }

    def _row(
        self, step: Step, description: str, progress: Progress, success: str, elapsed_ms: int | None
    ) -> dict[str, str]:
        values = self._values(step.migration, step.action.value) | self._row_values(description, progress, success)
        if elapsed_ms is not None:
            values["elapsed"] = str(elapsed_ms)
        return values

    def _row_values(self, description: str, progress: Progress, success: str) -> dict[str, str]:
        return {
            "description": self._connection.literal(description),
            "success": success,
            "error_msg": "''",
            "statements": str(progress.statements),
            "statements_done": str(progress.done),
            "statements_begun": str(progress.begun),
            "done_checksum": self._connection.literal(progress.done_checksum),
        }

    def _values(self, migration: Migration, action: str) -> dict[str, str]:
        literal = self._connection.literal
        return {
            **self.names,
            **self._who,
            "action": literal(action),
            "version": literal(migration.id),
            "name": literal(migration.name),
            "checksum": literal(migration.checksum),
        }


def _os_user() -> str:
    import getpass  # only where something is recorded

    with suppress(OSError, KeyError):
        return getpass.getuser()
    return str(os.getuid())
