"""The history tables on one connection: reads their rows, creates them and upgrades them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sqlmigrate.errors import HistoryError, StatementFailed
from sqlmigrate.history.tables import ADDED_COLUMNS, COMMENT, COMMENT_TEXT, FORMATS, format_in, tables_of
from sqlmigrate.model import Applied
from sqlmigrate.sql.sqlstate import NOT_PERMITTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmigrate.history.records import Records
    from sqlmigrate.history.tables import TableName
    from sqlmigrate.server.connection import Connection, Row

_COLUMNS = ("version", *Applied._fields[1:])
_SURVEY = """
select pg_catalog.pg_backend_pid(),
       pg_catalog.to_regnamespace({schema_name}) is not null,
       pg_catalog.to_regclass({history_name}) is not null,
       (select pg_catalog.array_agg(a.attname::text) from pg_catalog.pg_attribute a
        where a.attrelid = pg_catalog.to_regclass({history_name}) and a.attnum > 0 and not a.attisdropped),
       pg_catalog.obj_description(pg_catalog.to_regclass({history_name}), 'pg_class'),
       pg_catalog.num_nulls(pg_catalog.to_regclass({log_name}), pg_catalog.to_regclass({runs_name}),
                 pg_catalog.to_regclass({totals_name})) > 0,
       exists (select from pg_catalog.pg_db_role_setting s
               left join pg_catalog.pg_database d on d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) c
               where s.setrole = 0 and (s.setdatabase = 0 or d.datname = pg_catalog.current_database())
                 and c like 'sqlmigrate.require\\_approval=%'
                 and lower(pg_catalog.split_part(c, '=', 2)) not in ('off', 'of', 'false', 'f', 'no', 'n', '0'));
"""
# The newest id in the log, and the id after which its sequence had to be restarted, if any: -1 if only the owner can. A
# sequence that was never called has no last value, although RESTART WITH may have set its next one.
_NEWEST_ENTRY = """
select coalesce(n.id, 0), case
    when n.id is null or not pg_catalog.has_sequence_privilege(s.id, 'select, usage') then 0
    when pg_catalog.pg_sequence_last_value(s.id) >= n.id then 0
    when not pg_catalog.has_sequence_privilege(s.id, 'update') then -1
    when pg_catalog.pg_sequence_last_value(s.id) is null and pg_catalog.nextval(s.id) > n.id then 0
    else pg_catalog.setval(s.id, n.id) end
from (select pg_catalog.max(id) as id from {log}) n,
     (select pg_catalog.pg_get_serial_sequence({log_name}, 'id')::regclass as id) s
"""
_OTHER = "choose another table with --history-table schema.name"
_BY_AN_ADMINISTRATOR = "or let an administrator run the first `sqlmigrate migrate`, as docs/security.md describes"
_ROWS = "select {columns} from {history}"


class History:
    """The history table and its log on one connection. The constructor sends nothing.

    After `survey`, `format` is the tables' format, 0 where they do not exist, and `pooled` is true where a transaction
    pooler is between client and server: `keeps_session` tells it from a session pooler.
    `requires_approval` is true if an administrator has set `sqlmigrate.require_approval` for the database; it is read
    from the catalog, because a session can change its own settings.
    """

    def __init__(
        self,
        connection: Connection,
        table: TableName,
        tool_version: str,
        keeps_session: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connection = connection
        self.table = table
        self._tool_version = tool_version
        self._keeps_session = keeps_session
        self._has_schema = False
        self.tables = tables_of(table)
        self.format = 0
        self.requires_approval = False
        self._has_foreign_pid = False

    @cached_property
    def records(self) -> Records:
        """The SQL that writes to the tables."""
        from sqlmigrate.history.records import Records  # most runs have nothing to record

        return Records(self._connection.literal, self.tables, self._tool_version)

    @cached_property
    def pooled(self) -> bool:
        """Whether consecutive transactions may run in different sessions."""
        return self._has_foreign_pid and not self._keeps_session()

    def survey(self) -> None:
        """Queries the catalog for the tables and their format, and detects a transaction pooler.

        Raises:
            HistoryError: the table belongs to another program, or this version does not know its format.
        """
        self._take_survey(self._connection.answers(self._survey)[0])

    @property
    def query(self) -> str:
        """The SQL whose results `rows_in` reads; it travels in one message with the SQL that acquires the lock."""
        return self._survey + (self._row_query if self.format else "")

    @property
    def query_under_lock(self) -> str:
        """The same, and what `check_log` reads; the caller holds the lock."""
        return self.query + (f";{self._newest}" if self._is_current else "")

    def rows_in(self, results: list[list[Row]]) -> list[Applied]:
        """Reads the results of `query`: the survey, and the rows.

        Raises:
            HistoryError: see `survey`.
        """
        was_known = bool(self.format)
        self._take_survey(results[0])
        return [Applied(*row) for row in results[1]] if was_known else self.rows()

    def check_log(self, results: list[list[Row]]) -> int:
        """Reads the newest entry of the log, and restarts its identity column if that is behind its rows.

        Logical replication copies the rows of a table, but not the state of a sequence.

        Args:
            results: the results of `query_under_lock`.

        Returns:
            The id after which the column was restarted, or 0.

        Raises:
            HistoryError: this role cannot restart the column.
        """
        if not self._is_current:
            return 0
        rows = results[2] if len(results) > 2 else self._connection.rows(self._newest)
        newest, restarted_at = rows[0]
        if restarted_at is None:  # the column has no sequence of its own
            restarted_at = 0
        if restarted_at < 0:
            raise HistoryError(
                f"the identity column of {self.tables.log} is behind its rows",
                hint=f"as its owner, run ALTER TABLE {self.tables.log} ALTER COLUMN id RESTART WITH {newest + 1}",
            )
        self.records.newest_entry = newest
        return int(restarted_at)

    def beside(self, connection: Connection) -> History:
        """Returns the history on another connection, which records steps of the same run at the same time."""
        other = History(connection, self.table, self._tool_version)
        other.format = self.format
        other.records.run_id = self.records.run_id
        other.records.newest_entry = self.records.newest_entry
        other.records.is_shared = True
        return other

    def start_new_run(self) -> list[Applied]:
        """Gives the next run on this connection an identifier of its own, and returns the rows that it starts with."""
        self.__dict__.pop("records", None)  # it may not be in use yet
        self.check_log([])
        return self.rows()

    def rows(self) -> list[Applied]:
        """Returns every row of the history table, in no particular order."""
        if not self.format:
            return []
        return [Applied(*row) for row in self._connection.rows(self._row_query)]

    @property
    def _is_current(self) -> bool:
        return self.format == len(FORMATS)

    @property
    def _row_query(self) -> str:
        """A query for the rows; a column that the format of the tables does not have is empty."""
        columns = (column if ADDED_COLUMNS.get(column, 0) <= self.format else "''" for column in _COLUMNS)
        return self.tables.fill(_ROWS, columns=", ".join(columns))

    @property
    def _newest(self) -> str:
        return self.tables.fill(_NEWEST_ENTRY, log_name=self._connection.literal(self.tables.log))

    @property
    def _survey(self) -> str:
        names = {f"{key}_name": self._connection.literal(name) for key, name in self.tables._asdict().items()}
        return _SURVEY.format(**names)

    def _take_survey(self, rows: list[Row]) -> None:
        pid, self._has_schema, exists, columns, comment, is_incomplete, self.requires_approval = rows[0]
        self._has_foreign_pid = pid != self._connection.backend_pid
        if not exists:
            return
        if missing := set(_COLUMNS) - ADDED_COLUMNS.keys() - set(columns or ()):
            raise HistoryError(
                f'table "{self.table}" is not a history table of sqlmigrate:'
                f" missing {', '.join(f'column {name}' for name in sorted(missing))}",
                hint="choose another table with --history-table schema.name",
            )
        number = format_in(comment)
        self.format = min(number, 1) if is_incomplete else number
        if number > len(FORMATS):
            raise HistoryError(
                f'table "{self.table}" has format {number}, this version of sqlmigrate supports up to {len(FORMATS)}',
                hint="use a newer version of sqlmigrate",
            )

    @property
    def outdated(self) -> bool:
        """Whether the tables exist in an older format."""
        return 0 < self.format < len(FORMATS)

    def create(self) -> None:
        """Creates the tables, or upgrades them to the newest format; the caller holds the lock.

        Raises:
            HistoryError: this role lacks the privileges.
        """
        if self._is_current:
            return
        text = self._connection.literal(COMMENT_TEXT.format(format=len(FORMATS)))
        # CREATE SCHEMA IF NOT EXISTS requires the CREATE privilege on the database even if the schema exists.
        schema = [] if self._has_schema else [f"create schema {self.tables.schema};"]
        steps = [self.tables.fill(step) for step in FORMATS[self.format :]]
        comment = self.tables.fill(COMMENT, text=text)
        try:
            self._connection.run("\n".join(["begin;", *schema, *steps, comment, "commit;"]))
        except StatementFailed as error:
            self._connection.run("rollback")
            raise HistoryError(
                f'could not create history table "{self.table}": {error.message}',
                hint=error.hint or self._creation_hint(error),
            ) from error
        self.format = len(FORMATS)

    def _creation_hint(self, error: StatementFailed) -> str:
        if error.report.sqlstate not in (NOT_PERMITTED, "3F000"):
            return ""
        if self.format:
            return "let the owner of the tables run `sqlmigrate migrate` once"
        from sqlmigrate.history.grants import to_create  # only a failure needs it

        grant = to_create(self._connection, self.table)
        return f"run {grant}, or {_OTHER}\n{_BY_AN_ADMINISTRATOR}" if grant else _OTHER
