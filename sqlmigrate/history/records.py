"""The SQL that writes to the history table and to its log. Sends nothing."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from sqlmigrate.history.tables import INTERRUPTED, UNDONE_VERSION
from sqlmigrate.model import Action, Progress
from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlmigrate.history.tables import Tables
    from sqlmigrate.model import Migration, Step

# Characters of an error message that are stored: `status` and every scrape of the metrics read them again.
_LONGEST_ERROR = 8192
# Within a message, now() is the time at which the server received it. A migration started at that time, or when the
# migration before it in the message ended, which the newest log entry shows; whichever is later.
_ELAPSED = """greatest(0, extract(epoch from pg_catalog.clock_timestamp() - greatest(pg_catalog.transaction_timestamp(),
    (select logged_at from {log} order by id desc limit 1))) * 1000)::bigint"""
_ELAPSED_BESIDE = """(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp())
    * 1000)::bigint"""
# The client learns of a message's commits only at the end of the message. The migration that failed therefore started
# when the newest log entry was written, which may be later than the client's own start time.
_SINCE_LAST = """least({duration}, (select (extract(epoch from pg_catalog.clock_timestamp() - logged_at) * 1000)::bigint
    from {log} order by id desc limit 1))"""

_INSERT_ROW = """
insert into {history} as m (version, name, description, checksum, duration_ms, success, error_msg, action,
                            statements, statements_done, statements_begun, done_checksum, begun_state)
values ({version}, {name}, {description}, {checksum}, {elapsed}, {success}, {error_msg}, {action},
        {statements}, {statements_done}, {statements_begun}, {done_checksum}, {begun_state})
"""
_OR_UPDATE = """
on conflict (version) do update set
    name = excluded.name, description = excluded.description, checksum = excluded.checksum,
    executed_at = pg_catalog.clock_timestamp(), executed_by = session_user,
    duration_ms = excluded.duration_ms + case when m.success or m.statements_begun = 0 then 0 else m.duration_ms end,
    success = excluded.success, error_msg = excluded.error_msg, action = excluded.action,
    statements = excluded.statements, statements_done = excluded.statements_done,
    statements_begun = excluded.statements_begun, done_checksum = excluded.done_checksum,
    session = case when excluded.statements_begun > excluded.statements_done then m.session else '' end,
    begun_state = excluded.begun_state
"""
# Errors of the server whose message contains one of these names.
HISTORY_LOST = "sqlmigrate.history_rows_were_changed"
RECORD_LOST = "sqlmigrate.the_record_was_not_written"
_LOG_ROW = f"""
with entry as (insert into {{log}} (run_id, action, version, name, checksum, outcome, duration_ms, error_msg,
                                  os_user, host, tool_version)
    values ({{run_id}}, {{action}}, {{version}}, {{name}}, {{checksum}}, {{outcome}}, {{duration}}, {{error_msg}},
            {{os_user}}, {{host}}, {{tool}}) returning duration_ms)
select coalesce((select duration_ms from entry), pg_catalog.current_setting('{RECORD_LOST}')::bigint);
"""
# A trigger or a rule of a script can suppress or change what is written.
_IS_WRITTEN = f"""case when {{condition}} then true else pg_catalog.current_setting('{RECORD_LOST}')::bool end"""
_IS_APPLIED = "exists (select from {history} where version = {version} and success and checksum = {checksum})"
_IS_ROLLED_BACK = "not exists (select from {history} where version = {version})"
_IS_PARTIAL = """exists (select from {history} where version = {version} and not success
    and statements_done = {statements_done} and statements_begun = {statements_begun})"""
_ROW_DURATION = "(select duration_ms from {history} where version = {version})"
# Three searches by primary key: after TRUNCATE or DELETE, a row that must be there is missing.
_IS_INTACT = f"""case when exists (select from {{runs}} where run_id = {{run_id}}){{row}}{{entry}}
    then true else pg_catalog.current_setting('{HISTORY_LOST}')::bool end"""
_HAS_ROW = " and ({version} = '' or exists (select from {history} where version = {version} and success))"
_HAS_OLD_ENTRY = " and exists (select from {log} where id = {newest})"
_HAS_NEW_ENTRY = " and exists (select from {log} where id > {newest} and run_id = {run_id})"
# The records of many steps differ in their values only, and PostgreSQL plans them once. Each has all parameters.
_PARAMETERS = {
    "version": "$1",
    "name": "$2",
    "checksum": "$3",
    "description": "$4",
    **dict.fromkeys(("statements", "statements_done", "statements_begun"), "$5"),
}
_EARLIER_ROW = "$6"
_PREPARED = ("sqlmigrate_row", "sqlmigrate_entry")
_PREPARE = "prepare {name} (text, text, text, text, int, text) as {statement}\n"
_OUTCOME = "case when {guard} then 'success' end"
_APPLY_FAILED = """
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
_ROLLBACK_FAILED = """
update {history} set error_msg = {error_msg}, executed_at = pg_catalog.clock_timestamp()
where version = {version} and not success;
"""
_COMMITTED_STEPS = """select version, duration_ms, extract(epoch from pg_catalog.clock_timestamp() - logged_at)::float8
from {log} where run_id = {run_id} and outcome = 'success'"""
_RUN_START = f"""
begin;
set local synchronous_commit = off;
insert into {{log}} (run_id, action, version, name, checksum, outcome, error_msg,
                   db_user, os_user, host, client_addr, backend_pid, tool_version)
select r.run_id, r.action, {UNDONE_VERSION}, '', '', 'failure', {{interrupted}},
       r.db_user, r.os_user, r.host, r.client_addr, r.backend_pid, r.tool_version
from {{runs}} r where r.ended_at is null and {UNDONE_VERSION} <> '';
update {{runs}} set ended_at = pg_catalog.clock_timestamp() where ended_at is null;
insert into {{runs}} (run_id, action, versions, os_user, host, backend_pid, tool_version)
values ({{run_id}}, {{action}}, array[{{versions}}]::text[], {{os_user}}, {{host}}, {{lock_pid}}, {{tool}});
commit;
"""
_RUN_END = "update {runs} set ended_at = pg_catalog.clock_timestamp() where run_id = {run_id};\n"
_SET_SESSION = "update {history} set session = {state} where version = {version} and not success;\n"
_DELETE_ROW = "delete from {history} where version = {version};"
_SET_CHECKSUM = "update {history} set checksum = {checksum} where version = {version};"
_SET_ACTION = "update {history} set action = {action} where version = {version};"


class Records:
    """SQL texts that record the progress of one run, and what `baseline`, `repair` and other commands do.

    `guard` is SQL that is true while the migration lock is held, and an error otherwise. `newest_entry` is the largest
    id in the log when the lock was acquired, or 0. `is_shared` is true while other connections record steps of the same
    run: the newest log entry may then be that of another step.
    """

    newest_entry = 0
    is_shared = False

    def __init__(self, literal: Callable[[str], str], tables: Tables, tool_version: str) -> None:
        self._literal = literal
        self._tables = tables
        self._tool_version = tool_version

    def run_start(self, steps: Sequence[Step], lock_pid: int) -> str:
        """A message that records the start of a run, and logs a failure for each run that was interrupted.

        `lock_pid` is the backend that holds the lock: it shows other sessions whether the run is still running.
        """
        ids = ", ".join(self._literal(step.migration.id) for step in steps)
        rolls_back = any(step.action is Action.ROLL_BACK for step in steps)
        action = Action.ROLL_BACK if rolls_back else Action.APPLY
        values = {"versions": ids, "action": f"'{action.value}'", "lock_pid": str(lock_pid)}
        return self._tables.fill(_RUN_START, **self._run, **values, interrupted=self._literal(INTERRUPTED))

    def is_intact(self, row: str | None = None, *, is_first: bool = False) -> str:
        """SQL that is true if no script has emptied the history tables, and an error otherwise.

        Args:
            row: the migration of a row that must exist, or empty if none is known; None for a parameter of
                `prepared_ends`.
            is_first: this run has not yet added an entry to the log.
        """
        version = _EARLIER_ROW if row is None else self._literal(row)
        values = self._run | {"version": version, "newest": str(self.newest_entry)}
        has_entry = _HAS_NEW_ENTRY if not is_first else _HAS_OLD_ENTRY if self.newest_entry else ""
        fragments = {"row": "" if row == "" else _HAS_ROW, "entry": has_entry}
        filled = {name: self._tables.fill(fragment, **values) for name, fragment in fragments.items()}
        return self._tables.fill(_IS_INTACT, **values, **filled)

    @property
    def run_end(self) -> Sql:
        """Records the end of the run; it is sent together with the record of the last step."""
        return Sql(self._tables.fill(_RUN_END, **self._run), 1)

    def step_end(
        self,
        step: Step,
        description: str,
        statements: int,
        guard: str,
        elapsed_ms: int | None = None,
        *,
        is_new: bool = False,
    ) -> Sql:
        """Records the end of a step, together with the step's last statements.

        The last result is the duration in milliseconds.

        Args:
            step: the step that ended.
            description: from the step's script.
            statements: the number of statements of the script.
            guard: see the class.
            elapsed_ms: the duration of a statement that could not be sent together with its record.
            is_new: the history table has no row for the migration.
        """
        values = self._row(step, description, Progress(statements, statements, statements, ""), "true", elapsed_ms)
        if step.action is Action.HOOK:
            outcome = _OUTCOME.format(guard=guard)
            return Sql(self._tables.fill(_LOG_ROW, duration=values["elapsed"], outcome=outcome, **values), 1)
        ends = self._ends(step.action, values, guard, is_new=is_new)
        return Sql("".join(ends), len(ends))

    def prepared_ends(self, action: Action, guard: str) -> Sql:
        """Prepares the statements that `executed_end` executes; `guard` contains `is_intact()`."""
        values = self._row_values("", Progress(0, 0, 0, ""), "true") | self._run | _PARAMETERS
        values |= {"action": f"'{action.value}'", "elapsed": self._tables.fill(_ELAPSED)}
        ends = zip(_PREPARED, self._ends(action, values, guard, is_new=True), strict=True)
        return Sql("".join(_PREPARE.format(name=name, statement=end) for name, end in ends), len(_PREPARED))

    def executed_end(self, step: Step, description: str, statements: int, earlier_row: str) -> Sql:
        """Records the end of a step for which the history table has no row, or which is rolled back."""
        migration = step.migration
        texts = map(self._literal, (migration.id, migration.name, migration.checksum, description))
        values = f"{', '.join(texts)}, {statements}, {self._literal(earlier_row)}"
        return Sql("".join(f"execute {name} ({values});\n" for name in _PREPARED), len(_PREPARED))

    @property
    def deallocated_ends(self) -> Sql:
        """Drops what `prepared_ends` prepared."""
        return Sql("".join(f"deallocate {name};\n" for name in _PREPARED), len(_PREPARED))

    def _ends(self, action: Action, values: Mapping[str, str], guard: str, *, is_new: bool) -> list[str]:
        """Returns the statement that writes or deletes the row, and that which writes the entry of the log."""
        condition = _IS_ROLLED_BACK if action is Action.ROLL_BACK else _IS_APPLIED
        outcome = _OUTCOME.format(guard=f"{guard} and {self._is_written(condition, values)}")
        if action is Action.ROLL_BACK:
            statements, duration = (_DELETE_ROW, _LOG_ROW), values["elapsed"]
        else:
            # Most rows are new, and an upsert takes the server nearly twice as long as an insert.
            record = _INSERT_ROW if is_new else _INSERT_ROW + _OR_UPDATE
            statements, duration = (f"{record};", _LOG_ROW), self._tables.fill(_ROW_DURATION, **values)
        return [self._tables.fill(text, duration=duration, outcome=outcome, **values) for text in statements]

    def step_progress(
        self,
        step: Step,
        description: str,
        progress: Progress,
        guard: str,
        elapsed_ms: int | None = None,
        begun_state: str = "''",
    ) -> Sql:
        """Records how far a script has run, together with the statements that brought it there.

        `begun_state` is SQL for the column of that name; its value is the result.
        """
        if step.action is Action.HOOK:
            return Sql(f"select case when {guard} then {begun_state} end;\n", 1)
        values = self._row(step, description, progress, "false", elapsed_ms) | {"begun_state": begun_state}
        record = self._tables.fill(_INSERT_ROW + _OR_UPDATE, **values)
        condition = f"{guard} and {self._is_written(_IS_PARTIAL, values)}"
        state = self._tables.fill("(select begun_state from {history} where version = {version})", **values)
        return Sql(f"{record};\nselect case when {condition} then {state} end;\n", 2)

    def _is_written(self, condition: str, values: Mapping[str, str]) -> str:
        return _IS_WRITTEN.format(condition=self._tables.fill(condition, **values))

    def session_state(self, step: Step, state: str) -> Sql:
        """Records the state of the session after a segment; `state` is SQL."""
        return Sql(self._tables.fill(_SET_SESSION, version=self._literal(step.migration.id), state=state), 1)

    def step_failure(self, step: Step, description: str, message: str, duration_ms: int, guard: str) -> str:
        """A transaction that records that a step failed and was rolled back, and the end of the run.

        `duration_ms` may include the duration of the steps before it.
        """
        values = self._values(step.action.value, step.migration) | {
            "description": self._literal(description),
            "error_msg": self._literal(message[:_LONGEST_ERROR]),
            "duration": str(duration_ms) if self.is_shared else self._tables.fill(_SINCE_LAST, duration=duration_ms),
            "outcome": "'failure'",
        }
        row = {Action.APPLY: _APPLY_FAILED, Action.ROLL_BACK: _ROLLBACK_FAILED, Action.HOOK: ""}[step.action]
        records = self._tables.fill(row + _LOG_ROW, **values)
        return f"begin;select {guard};{records}{self.run_end.text}commit;"

    @property
    def committed_steps(self) -> str:
        """A query for version, duration and age in seconds of each step that this run has committed.

        Any connection may send it.
        """
        return self._tables.fill(_COMMITTED_STEPS, **self._run)

    def log_entry(self, action: str, version: str = "", name: str = "", checksum: str = "", message: str = "") -> str:
        """Appends an entry to the log, for an action that runs no script."""
        entry = self._entry(action, version, name, checksum)
        outcome = {"outcome": "'success'", "duration": "0", "error_msg": self._literal(message)}
        return self._tables.fill(_LOG_ROW, **entry, **outcome)

    def baseline(self, migration: Migration) -> str:
        """Marks a migration as applied without running it: `baseline`."""
        values = self._values("baseline", migration) | self._row_values("", Progress(0, 0, 0, ""), "true")
        row = self._tables.fill(_INSERT_ROW + _OR_UPDATE, **(values | {"elapsed": "0"}))
        return f"{row};{self.log_entry('baseline', migration.id, migration.name, migration.checksum)}"

    def row_removal(self, migration: Migration) -> str:
        """Deletes the row of a migration that failed: `repair`."""
        return self._repair(_DELETE_ROW, migration, "row of a failed run removed")

    def checksum_update(self, migration: Migration) -> str:
        """Stores the checksum of the file on disk: `repair`."""
        return self._repair(_SET_CHECKSUM, migration, "checksum of the file adopted")

    def missing_file(self, migration: Migration, action: str) -> str:
        """Marks a migration whose file was removed on purpose: `repair`."""
        return self._repair(_SET_ACTION, migration, "file marked as missing", action)

    def _repair(self, statement: str, migration: Migration, message: str, action: str = "") -> str:
        update = self._tables.fill(statement, **self._values(action, migration))
        return update + self.log_entry("repair", migration.id, migration.name, migration.checksum, message)

    @cached_property
    def run_id(self) -> str:
        """The identifier of this run in the log."""
        return os.urandom(8).hex()

    @cached_property
    def _run(self) -> dict[str, str]:
        return {
            "run_id": self._literal(self.run_id),
            "os_user": self._literal(os_user()),
            "host": self._literal(socket.gethostname()),
            "tool": self._literal(self._tool_version),
        }

    def _row(
        self, step: Step, description: str, progress: Progress, success: str, elapsed_ms: int | None
    ) -> dict[str, str]:
        values = self._values(step.action.value, step.migration) | self._row_values(description, progress, success)
        elapsed = _ELAPSED_BESIDE if self.is_shared else self._tables.fill(_ELAPSED)
        return values | {"elapsed": elapsed if elapsed_ms is None else str(elapsed_ms)}

    def _row_values(self, description: str, progress: Progress, success: str) -> dict[str, str]:
        return {
            "description": self._literal(description),
            "success": success,
            "error_msg": "''",
            "statements": str(progress.statements),
            "statements_done": str(progress.done),
            "statements_begun": str(progress.begun),
            "done_checksum": self._literal(progress.done_checksum),
            "begun_state": "''",
        }

    def _values(self, action: str, migration: Migration) -> dict[str, str]:
        return self._entry(action, migration.id, migration.name, migration.checksum)

    def _entry(self, action: str, version: str, name: str, checksum: str) -> dict[str, str]:
        values = {"action": action, "version": version, "name": name, "checksum": checksum}
        return self._run | {key: self._literal(value) for key, value in values.items()}


def os_user() -> str:
    """Returns the name of the user of the operating system."""
    import getpass  # only where something is recorded

    with suppress(OSError, KeyError):
        return getpass.getuser()
    return str(os.getuid())
