"""The state of the session: the SQL that starts a transaction, and the SQL that resets the session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlmigrate.server import network
from sqlmigrate.sql.psql import ClientState
from sqlmigrate.sql.text import Sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlmigrate.errors import StatementFailed
    from sqlmigrate.server.connection import Connection

# The server notices within a second that the client has died, instead of at the end of the statement. A server on
# Windows rejects the setting.
_CHECK_INTERVAL = ("client_connection_check_interval", "1s")
# The settings that end a session, with the first version that has them: a role's or a database's would end a run during
# a backup, before a retry, in a long statement or at the first error. 0 switches each off.
_ENDING = {
    "idle_session_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    "transaction_timeout": 170000,
    "exit_on_error": 0,
}

# SET CONSTRAINTS runs deferred triggers while the script's role and search_path are still set, so that their errors are
# reported for the script. Never DISCARD ALL: it would release the migration lock.
_WIPE = (
    "set constraints all immediate;",
    "close all;",
    "unlisten *;",
    "deallocate all;",
    "discard temp;",
    "reset session authorization;",
    "reset role;",
    "reset all;",
)
# Between the segments of a script its settings remain; only the record is written with the session's own role.
# DEFAULT is the role at the start of the session, which ALTER ROLE … SET role may have changed; NONE is the login role.
_RESET_ROLE = (
    "set constraints all immediate;",
    "set local session authorization default;",
    "set local role to default;",
)
# The limits of each segment are set again, so that a rerun can have others.
_OWN_SETTINGS = ("application_name", "lock_timeout", "statement_timeout")
_STATE_NAME = "sqlmigrate.session"
_OBJECTS = """
    select case c.relkind when 'v' then 'temporary view' when 'S' then 'temporary sequence' else 'temporary table' end,
           c.relname::text
    from pg_catalog.pg_class c
    where c.relnamespace = pg_catalog.pg_my_temp_schema() and c.relkind in ('r', 'v', 'S', 'p')
    union all select 'prepared statement', p.name from pg_catalog.pg_prepared_statements p where p.from_sql
    union all select 'cursor', c.name from pg_catalog.pg_cursors c where c.is_holdable"""
# The settings that decide what a statement means. ALTER DATABASE and ALTER ROLE change them for later sessions only; a
# rerun restores them, but neither limits nor costs, which a person may have raised for it.
# pg_settings does not show custom settings, which no extension defines.
_DECIDING = """
    select s.name, s.setting, s.boot_val
    from pg_catalog.pg_settings s
    where s.source not in ('client', 'override', 'session') and s.context in ('user', 'superuser')
      and s.name not like '%timeout%'
      and (s.category in ('Client Connection Defaults / Statement Behavior',
                          'Client Connection Defaults / Locale and Formatting')
           or s.category like 'Version and Platform Compatibility /%')
    union
    select c.name, pg_catalog.current_setting(c.name, true), ''
    from pg_catalog.pg_db_role_setting r
    cross join lateral (select pg_catalog.split_part(t, '=', 1) from pg_catalog.unnest(r.setconfig) t) c(name)
    where r.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
      and r.setrole in (0, (select oid from pg_catalog.pg_roles where rolname = session_user))
      and c.name like '%.%' and c.name not like 'sqlmigrate.%'"""
# The state is read before SET ROLE, and written after it.
_KEEP_STATE = f"""select pg_catalog.set_config('{_STATE_NAME}', pg_catalog.json_build_object(
    'settings', (select pg_catalog.json_object_agg(s.name, s.setting) from pg_catalog.pg_settings s
                 where s.source = 'session' and s.name not like 'sqlmigrate.%' and s.name not in {_OWN_SETTINGS}),
    'start', (select pg_catalog.json_object_agg(d.name, d.value) from ({_DECIDING}) d(name, value, usual)
              where d.value is distinct from d.usual),
    'session_authorization', session_user::text, 'role', pg_catalog.current_setting('role'),
    'objects', (select pg_catalog.json_agg(pg_catalog.json_build_array(o.kind, o.name))
                from ({_OBJECTS}) o(kind, name)))::text, true);"""
_HAS_EVENT_TRIGGER = "exists (select from pg_catalog.pg_event_trigger where evtenabled <> 'D')"
_MAY_HAVE_CHANGED = "sqlmigrate.an_event_trigger_may_have_changed_the_session"
# A search_path that begins with pg_temp makes every object temporary.
# Without a backslash, whose meaning depends on standard_conforming_strings.
_HIDES_CODE = (
    f"select {_HAS_EVENT_TRIGGER} or pg_catalog.strpos(pg_catalog.current_setting('search_path'), 'pg_temp') > 0;"
)
STATE = f"pg_catalog.current_setting('{_STATE_NAME}')"


class Session:
    """The SQL that sets up one session (`start`), resets it (`wipe`), or writes as its own role (`reset_role`).

    `pooled` is true behind a transaction pooler, where no setting may outlive a transaction. `checks_client` is false
    for a server that rejects the setting with which it notices that the client has died.
    """

    def __init__(self, connection: Connection, *, pooled: bool, checks_client: bool = True) -> None:
        self._connection = connection
        self.is_pooled = pooled
        self._checks_client = checks_client
        version = connection.server_version
        endless = {name: "0" for name, since in _ENDING.items() if version >= since}
        checks = {_CHECK_INTERVAL[0]: _CHECK_INTERVAL[1]} if checks_client else {}
        start = [] if pooled else [_assignment(endless | checks | network.SERVER)]
        # Behind a pooler no setting outlives a transaction.
        self._limits = {name: 0 for name in endless if name != "idle_session_timeout"} if pooled else {}
        self.start = _lines(start)
        self.wipe = _lines([*_WIPE, *start])
        self.hides_code = _HIDES_CODE
        self.reset_role = _lines(_RESET_ROLE)
        self.keep_state = _lines([_KEEP_STATE])

    def beside(self, connection: Connection) -> Session:
        """Starts the session of another connection in the same way."""
        other = Session(connection, pooled=self.is_pooled, checks_client=self._checks_client)
        connection.run(other.start.text)
        return other

    def opening(self, begin: str, settings: Mapping[str, str | int]) -> Sql:
        """Returns the SQL that starts a transaction with settings."""
        assigned = {**self._limits, **settings}
        assignments = [f"set local {key} = {self._connection.literal(value)};" for key, value in assigned.items()]
        return _lines([f"{begin or 'begin'};", *assignments])

    @staticmethod
    def is_kept() -> str:
        """Returns SQL that is true after plain statements, and an error if an event trigger may have run code."""
        error = f"pg_catalog.current_setting('{_MAY_HAVE_CHANGED}')::bool"
        return f"case when {_HAS_EVENT_TRIGGER} then {error} else true end"

    @staticmethod
    def may_have_changed(error: StatementFailed) -> bool:
        """Whether `is_kept` caused the error."""
        return _MAY_HAVE_CHANGED in error.report.message

    def restored(self, settings: Mapping[str, str]) -> str:
        """Returns the SQL that gives settings their values for the rest of the session."""
        pairs = (map(self._connection.literal, pair) for pair in settings.items())
        return "".join(f"select pg_catalog.set_config({name}, {value}, false);" for name, value in pairs)

    def restart(self, start: Mapping[str, str]) -> dict[str, str]:
        """Gives the settings that no statement has changed their values at the start of an earlier session.

        Args:
            start: The values that were not PostgreSQL's own defaults.

        Returns:
            The settings that had another value.
        """
        earlier = self._connection.literal(json.dumps(start))
        # The message fixes no output settings, as `Connection.rows` does: it would read and set these.
        query = f"""
            select pg_catalog.json_object_agg(
                d.name, pg_catalog.set_config(d.name, coalesce(e.value, d.usual, ''), false))
            from ({_DECIDING}) d(name, value, usual) left join pg_catalog.json_each_text({earlier}) e on e.key = d.name
            where coalesce(d.value, '') <> coalesce(e.value, d.usual, '')"""
        (result,) = self._connection.transmit(query)
        restored: dict[str, str] = json.loads(result.value or b"{}")
        return restored

    def prepared(self, settings: Mapping[str, str | int]) -> str:
        """Returns the SQL of the settings for statements that run outside a transaction."""
        if self.is_pooled:
            return ""
        return "".join(f"set {key} = {self._connection.literal(value)};" for key, value in settings.items())

    def clean(self) -> None:
        """Rolls back an open transaction and resets the session."""
        if self._connection.in_transaction:
            self._connection.run("rollback")
        self._connection.run(f"begin;\n{self.wipe.text}commit;")


def _assignment(settings: Mapping[str, str]) -> str:
    """Returns one statement that changes settings for the session."""
    calls = [f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in settings.items()]
    return f"select {', '.join(calls)};"


def client_state(connection: Connection) -> ClientState:
    """Returns what psql would know of the session now, without a round trip."""
    parameters = connection.parameters
    names = {"DBNAME": "dbname", "USER": "user", "HOST": "host", "PORT": "port"}
    variables = {name: parameters.get(keyword, "") for name, keyword in names.items()}
    variables["ENCODING"] = connection.reported("client_encoding")
    variables["SERVER_VERSION_NAME"] = connection.reported("server_version")
    variables["SERVER_VERSION_NUM"] = str(connection.server_version)
    return ClientState(has_escapes(connection), variables, connection.reported("server_encoding"))


def has_escapes(connection: Connection) -> bool:
    """Whether a backslash escapes in an ordinary string now: standard_conforming_strings is off."""
    return connection.reported("standard_conforming_strings") == "off"


def _lines(statements: Sequence[str]) -> Sql:
    return Sql("".join(f"{statement}\n" for statement in statements), len(statements))
