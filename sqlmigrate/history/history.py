"""The history tables on one connection: reads their rows, creates them and upgrades them."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING

from sqlmigrate.errors import HistoryError, StatementFailed
from sqlmigrate.history.tables import COMMENT, COMMENT_TEXT, FORMATS, format_in, tables_of
from sqlmigrate.model import Applied

if TYPE_CHECKING:
    from sqlmigrate.history.records import Records
    from sqlmigrate.history.tables import TableName
    from sqlmigrate.server.connection import Connection, Row

_COLUMNS = ("version", *(field.name for field in fields(Applied)[1:-1]))
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
_CREATE = "grant CREATE on its schema, or choose another table with --history-table schema.name"
# Tables of formats 1 and 2 have no column begun_state, and only unfinished migrations have a value in it.
_BEGUN_STATE = "case when success then '' else coalesce(pg_catalog.to_jsonb(m) ->> 'begun_state', '') end"
_ROWS = f"select {', '.join(_COLUMNS)}, {_BEGUN_STATE} from {{history}} m"


class History:
    """The history table and its log on one connection. The constructor sends nothing.

    After `survey`, `format` is the tables' format, 0 where they do not exist, and `pooled` is true where a transaction
    pooler is between client and server.
    """

    def __init__(self, connection: Connection, table: TableName, tool_version: str) -> None:
        self._connection = connection
        self._table = table
        self._tool_version = tool_version
        self._has_schema = False
        self.tables = tables_of(table)
        self.format = 0
        self.pooled = False

    @cached_property
    def records(self) -> Records:
        """The SQL that writes to the tables."""
        from sqlmigrate.history.records import Records  # most runs have nothing to record

        return Records(self._connection.literal, self.tables, self._tool_version)

    def survey(self) -> None:
        """Queries the catalog for the tables and their format, and detects a transaction pooler.

        Raises:
            HistoryError: the table belongs to another program, or this version does not know its format.
        """
        self._take_survey(self._connection.answers(self._survey)[0])

    @property
    def query(self) -> str:
        """The SQL whose results `rows_in` reads; it travels in one message with the SQL that acquires the lock."""
        return self._survey + (self.tables.fill(_ROWS) if self.format else "")

    def rows_in(self, results: list[list[Row]]) -> list[Applied]:
        """Reads the results of `query`: the survey, and the rows.

        Raises:
            HistoryError: see `survey`.
        """
        was_known = bool(self.format)
        self._take_survey(results[0])
        return [Applied(*row) for row in results[1]] if was_known else self.rows()

    def rows(self) -> list[Applied]:
        """Returns every row of the history table, in no particular order."""
        if not self.format:
            return []
        return [Applied(*row) for row in self._connection.rows(self.tables.fill(_ROWS))]

    @property
    def _survey(self) -> str:
        names = {f"{key}_name": self._connection.literal(name) for key, name in self.tables._asdict().items()}
        return _SURVEY.format(**names)

    def _take_survey(self, rows: list[Row]) -> None:
        pid, self._has_schema, exists, columns, comment, is_incomplete = rows[0]
        self.pooled = pid != self._connection.backend_pid
        if not exists:
            return
        if missing := set(_COLUMNS) - set(columns or ()):
            raise HistoryError(
                f'table "{self._table}" is not a history table of sqlmigrate:'
                f" missing {', '.join(f'column {name}' for name in sorted(missing))}",
                hint="choose another table with --history-table schema.name",
            )
        number = format_in(comment)
        self.format = min(number, 1) if is_incomplete else number
        if number > len(FORMATS):
            raise HistoryError(
                f'table "{self._table}" has format {number}, this version of sqlmigrate supports up to {len(FORMATS)}',
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
        if self.format == len(FORMATS):
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
                f'could not create history table "{self._table}": {error.message}',
                hint=error.hint
                or ("let the owner of the tables run `sqlmigrate migrate` once" if self.format else _CREATE),
            ) from error
        self.format = len(FORMATS)
