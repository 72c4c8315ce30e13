"""A throw-away PostgreSQL server, and databases on it that are empty or hold the schema of some files."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlmigrate.server import embedded
from sqlmigrate.server.connection import connect
from sqlmigrate.server.conninfo import make_conninfo, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlmigrate.server.connection import Connection

# A schema takes a database of about 8 MB. Keep at most this many; drop the oldest.
_KEPT = 6
_NAME = "sqlmigrate scratch"
# What is kept does not depend on this database, so that a database of any other name can be made.
_OWN_DATABASE = "template1"
_EXCLUSIVE = "select pg_advisory_lock(hashtext('sqlmigrate scratch'))"
_CACHE_NEED_NOT_SURVIVE = ("fsync = off", "full_page_writes = off", "lc_messages = 'C'")
_KNOWN = "select datname from pg_database where pg_catalog.starts_with(datname, 'sqlmigrate_files_') order by oid"
_OTHERS = "select datname from pg_database where datname not in ('template0', 'template1') and {} order by oid"
_NOT_KEPT = "not pg_catalog.starts_with(datname, 'sqlmigrate_files_')"
_ROLES = "select rolname from pg_roles where oid >= 16384 order by oid"
_PRESENT = "select from pg_stat_activity where datname = %(name)s"
# CREATE DATABASE copies neither the settings of a database nor its privileges and its comment.
_COPY_REST = """
begin; set local allow_system_table_mods = on;
insert into pg_db_role_setting select n.oid, c.setrole, c.setconfig
from pg_db_role_setting c join pg_database o on o.oid = c.setdatabase, pg_database n
where o.datname = {old} and n.datname = {new};
update pg_database n set datacl = o.datacl from pg_database o where o.datname = {old} and n.datname = {new};
insert into pg_shdescription select n.oid, d.classoid, d.description
from pg_shdescription d join pg_database o on o.oid = d.objoid, pg_database n
where d.classoid = 'pg_database'::regclass and o.datname = {old} and n.datname = {new};
commit
"""


def nearest(major: int) -> int:
    """Returns the major version of the scratch server for a target: the same, else the next newer, else the newest.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    known = list(embedded.programs())
    return next((version for version in known if version >= major), known[-1])


class ScratchServer:
    """An embedded server of a major version in the user's cache directory; while it is open, no other process uses it.

    Raises:
        ConfigurationError: the extra is not installed.
        ConnectionFailed: the server did not start.
    """

    def __init__(self, major: int) -> None:
        self.major = nearest(major)
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        url = embedded.start(os.path.join(home, "sqlmigrate", f"scratch-{self.major}"), self.major)
        self._conninfo = make_conninfo(url, dbname=_OWN_DATABASE)
        self._server = connect(self._conninfo, _NAME)
        self._server.run(_EXCLUSIVE)
        if self._server.rows("show fsync") == [("on",)]:
            for setting in _CACHE_NEED_NOT_SURVIVE:
                self._server.run(f"alter system set {setting}")
            self._server.run("select pg_reload_conf()")
        for (name,) in self._server.rows(_OTHERS.format(_NOT_KEPT)):
            self.drop(name)
        self._known = [name for (name,) in self._server.rows(_KNOWN)]

    def longest(self, keys: Sequence[str]) -> int:
        """Returns how many of the files the largest kept schema contains; `keys` has the key after each file."""
        return next(
            (number for number in range(len(keys), 0, -1) if f"sqlmigrate_files_{keys[number - 1]}" in self._known), 0
        )

    def create(self, name: str, key: str = "", role: str = "postgres") -> str:
        """Creates a database, empty or with a kept schema, and returns the connection string of a superuser."""
        if not self._server.rows("select from pg_roles where rolname = %(role)s", {"role": role}):
            self._server.run(f"create role {quoted(role)} superuser login")
        if key:
            self._copy(f"sqlmigrate_files_{key}", name, role)
        else:
            self._server.run(f"create database {quoted(name)} template template0 owner {quoted(role)}{self._strategy}")
        return make_conninfo(self._conninfo, dbname=name, user=role)

    def create_role(self, name: str) -> None:
        """Creates a role without login that files expect."""
        self._server.run(f"create role {quoted(name)}")

    def keep(self, name: str, key: str) -> None:
        """Keeps a copy of a database, which nobody is connected to, as the schema of a key."""
        if f"sqlmigrate_files_{key}" in self._known:
            return
        self._wait_until_left(name)
        self._copy(name, f"sqlmigrate_files_{key}")
        self._known.append(f"sqlmigrate_files_{key}")
        while len(self._known) > _KEPT:
            self.drop(self._known.pop(0))

    def drop(self, name: str) -> None:
        """Drops a database."""
        self._server.run(f"drop database if exists {quoted(name)} with (force)")

    def wipe(self) -> bool:
        """Drops all databases, and all roles that files have created; returns False if there were none."""
        names = [name for (name,) in self._server.rows(_OTHERS.format("true"))]
        roles = [role for (role,) in self._server.rows(_ROLES)]
        for name in names:
            self.drop(name)
        for role in roles:
            self._server.run(f"drop owned by {quoted(role)}; drop role {quoted(role)}")
        self._known = []
        return bool(names or roles)

    def close(self) -> None:
        """Lets other processes use the server, which stops when this process ends."""
        self._server.close()

    @property
    def _strategy(self) -> str:
        return " strategy file_copy" if self.major >= 15 else ""

    def _copy(self, old: str, new: str, role: str = "postgres") -> None:
        self._server.run(f"create database {quoted(new)} template {quoted(old)} owner {quoted(role)}{self._strategy}")
        self._server.run(_COPY_REST.format(old=self._server.literal(old), new=self._server.literal(new)))

    def _wait_until_left(self, name: str) -> None:
        """Waits for the backends to exit: a used database cannot be copied; the server itself rechecks after 0.1 s."""
        deadline = time.monotonic() + 1
        while self._server.rows(_PRESENT, {"name": name}) and time.monotonic() < deadline:
            time.sleep(0.002)


@contextmanager
def scratch_server(major: int) -> Iterator[ScratchServer]:
    """Opens the scratch server for a target of a major version.

    Raises:
        ConfigurationError: the extra is not installed.
        ConnectionFailed: the server did not start.
    """
    server = ScratchServer(major)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def opened(conninfo: str) -> Iterator[Connection]:
    """Opens a connection to a scratch database."""
    connection = connect(conninfo, _NAME)
    try:
        yield connection
    finally:
        connection.close()
