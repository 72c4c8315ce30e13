"""hardened.conf: every setting that an administrator may give to a role or a database, one by one, at another value.

What each command shows and how it exits is what it shows and how it exits without the setting.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from sqlmigrate.cli import main
from tests.project import Project
from tests.servers import Server, execute

CHUNKS = 8
SEED = 10
SAMPLE = 6

# Values where the next legal one would say nothing, or where a script would not run in psql either.
CHOSEN = {
    "datestyle": "'German'",
    "search_path": "public, pg_catalog",
    "timezone": "'Asia/Kathmandu'",
    "timezone_abbreviations": "'India'",
    "lc_messages": "'C.UTF-8'",
    "lc_monetary": "'C.UTF-8'",
    "lc_numeric": "'C.UTF-8'",
    "lc_time": "'C.UTF-8'",
    "statement_timeout": "'2s'",
    "lock_timeout": "'2s'",
    "transaction_timeout": "'250ms'",
    "idle_in_transaction_session_timeout": "'1ms'",
    "idle_session_timeout": "'100ms'",
    "max_stack_depth": "'1MB'",
    "temp_tablespaces": "'pg_default'",
    "default_tablespace": "'pg_default'",
    "default_text_search_config": "'pg_catalog.german'",
    "createrole_self_grant": "'set'",
    "vacuum_buffer_usage_limit": "'512kB'",
    "tcp_user_timeout": "'20s'",
    "client_connection_check_interval": "'5s'",
    "debug_discard_caches": None,  # needs a server with assertions
    "default_transaction_read_only": None,  # psql fails as well; tests/integration/test_read_only.py
    "client_encoding": None,  # the client's own, which no database overrides
    "application_name": None,  # the client's own
    "session_preload_libraries": None,  # needs a library
    "local_preload_libraries": None,
    "dynamic_library_path": None,
    "extension_control_path": None,
    "backtrace_functions": "'nothing'",
    "restrict_nonsystem_relation_kind": "'foreign-table'",
    "wal_consistency_checking": "'heap'",
    "default_table_access_method": None,  # heap is the only one
    "exit_on_error": "on",
    "event_triggers": "off",
    "synchronous_commit": "'off'",
    "event_source": None,
    "log_min_messages": "'debug1'",
    "huge_pages": None,
}
# Notices are shown as psql shows them.
MORE_NOTICES = {
    "client_min_messages",
    "log_statement_stats",
    "log_parser_stats",
    "log_planner_stats",
    "log_executor_stats",
}

SETTINGS = """
select name, vartype, boot_val, reset_val, min_val, max_val, enumvals from pg_settings
where context in ('user', 'superuser') and name not like 'transaction\\_%' or name = 'transaction_timeout' order by name
"""
PASSING_TEXT = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+\S+)?", "<when>"),
    (r"(?m)^  … .*\n", ""),  # how long it takes depends on the machine
    (r"\d+\.?\d* (ms|s)\b(  slow)?", "<took>"),
    (r"(duration_ms\"?:? *)\d+", r"\1<took>"),
    (r"\b[0-9a-f]{16}\b", "<run>"),
    (r"\b[0-9a-f]{64}\b", "<digest>"),
    (r"(pid \(?)\d+", r"\1<pid>"),
    (r"hardened_\d+_\d+", "<database>"),
    (r"(?m)^(migration_(last_success|duration).*) \S+$", r"\1 <value>"),
    (r" +", " "),
    (r"(?m) $", ""),
)


def other_value(row: tuple[str, ...]) -> str | None:
    """Another legal value of a setting; None if there is none that would say something."""
    name, kind, _, value, low, high, choices = row
    if name.lower() in CHOSEN:
        return CHOSEN[name.lower()]
    if kind == "bool":
        return "off" if value == "on" else "on"
    if kind == "enum":
        return next((f"'{choice}'" for choice in choices if choice != value), None)
    if kind in ("integer", "real"):
        number = int if kind == "integer" else float
        doubled = number(value) * 2 or 1
        legal = [doubled, number(value) + 1, number(value) / 2, number(low), number(high)]
        return next((str(number(n)) for n in legal if number(low) <= n <= number(high) and n != number(value)), None)
    return None


def settings_of(server: Server) -> list[tuple[str, str]]:
    rows = execute(server.conninfo, SETTINGS)
    values = [(str(row[0]), other_value(row)) for row in rows]  # type: ignore[arg-type]
    return [(name, value) for name, value in values if value is not None]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrations of each kind: one segment, several, COPY data, a repeatable one, one that fails."""
    root = tmp_path_factory.mktemp("hardened")
    (root / "migrations").mkdir()
    project = Project(Server("", Path()), "", root)
    project.add(1, "-- The first table.\ncreate table t (a int, b text, at timestamptz default now())", "drop table t")
    project.add(2, "copy t (a, b) from stdin;\n1\tone\n2\t\\N\n\\.\nselect pg_sleep(0.3);", "truncate t")
    project.add(3, "insert into t values (3, 'x'); create index concurrently t_a on t (a); vacuum t;", "drop index t_a")
    project.add(4, "do $$ begin raise notice 'done'; end $$; create view v as select a from t", "drop view v")
    project.add(5, "create type mood as enum ('sad'); alter type mood add value 'ok'", "drop type mood")
    project.write("R__names.sql", "create or replace function names() returns text language sql as 'select ''x'''")
    return root


class Hardened:
    """The commands on a database of its own; what they show is without what differs from run to run."""

    _numbers = itertools.count()

    def __init__(self, server: Server, root: Path) -> None:
        self._server = server
        self._root = root

    def shown(self, setting: str = "", value: str = "") -> Iterator[tuple[str, int, str, str]]:
        """Yields command, exit code, stdout and stderr of each command of a deployment.

        Raises:
            psycopg.Error: ALTER DATABASE refuses the setting or its value.
        """
        name = f"hardened_{os.getpid()}_{next(self._numbers):03}"
        execute(self._server.conninfo, f"drop database if exists {name}", f"create database {name}")
        try:
            if setting:
                execute(self._server.conninfo, f"alter database {name} set {setting} = {value}")
            with psycopg.connect(self._server.database(name)):
                pass  # the value is checked once more at the start of a session
            yield from self._deployment(self._server.database(name))
        finally:
            execute(self._server.conninfo, f"drop database {name} with (force)")

    def _deployment(self, conninfo: str) -> Iterator[tuple[str, int, str, str]]:
        failing = self._root / "migrations" / "V1.0.0-006__fails.up.sql"
        for command in ("status", "check", "plan", "migrate", "status --format json", "check", "info"):
            yield self._run(command, conninfo)
        for command in ("rollback --steps 2 --yes", "migrate"):
            yield self._run(command, conninfo)
        failing.write_text("create table f ();\n\n  select 1/0;")
        try:
            for command in (
                "migrate",
                "history",
                "status",
                "metrics",
                "cleanup --keep-days 1 --dry-run",
                "lock-status",
            ):
                yield self._run(command, conninfo)
        finally:
            failing.unlink()

    def _run(self, command: str, conninfo: str) -> tuple[str, int, str, str]:
        environment = {"DATABASE_URL": conninfo, "SQLMIGRATE_DIR": str(self._root / "migrations"), "TZ": "UTC"}
        result = CliRunner().invoke(main, command.split(), env=environment, prog_name="sqlmigrate")
        assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exception)
        return command, result.exit_code, _plain(result.stdout), _plain(result.stderr)


def _plain(text: str) -> str:
    for pattern, replacement in PASSING_TEXT:
        text = re.sub(pattern, replacement, text)
    return text


@pytest.fixture(scope="module")
def hardened(server: Server, directory: Path) -> Hardened:
    return Hardened(server, directory)


@pytest.fixture(scope="module")
def undisturbed(hardened: Hardened) -> list[tuple[str, int, str, str]]:
    return list(hardened.shown())


def differences(
    hardened: Hardened, undisturbed: list[tuple[str, int, str, str]], settings: list[tuple[str, str]]
) -> tuple[int, list[str]]:
    """How many of the settings the server accepts, and what differs with each."""
    accepted, different = 0, []
    for setting, value in settings:
        try:
            shown = list(hardened.shown(setting, value))
        except psycopg.Error:
            continue  # a value that this build or this machine lacks
        accepted += 1
        for (command, *expected), (_, *seen) in zip(undisturbed, shown, strict=True):
            if expected[:2] != seen[:2] or (setting not in MORE_NOTICES and expected[2] != seen[2]):
                different.append(f"{setting} = {value}: {command}: {seen} instead of {expected}")
    return accepted, different


def test_nothing_differs_between_two_undisturbed_runs(
    hardened: Hardened, undisturbed: list[tuple[str, int, str, str]]
) -> None:
    assert [code for _, code, *_ in undisturbed] == [0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert list(hardened.shown()) == undisturbed


def test_at_least_60_settings_are_listed(server: Server) -> None:
    assert len(settings_of(server)) >= 60


def test_a_sample_of_the_settings_changes_nothing(
    server: Server, hardened: Hardened, undisturbed: list[tuple[str, int, str, str]]
) -> None:
    sample = random.Random(SEED).sample(settings_of(server), SAMPLE)
    sample.append(("standard_conforming_strings", "off"))  # all SQL of sqlmigrate depends on it

    _, different = differences(hardened, undisturbed, sample)

    assert different == []


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_setting_changes_anything(
    server: Server, hardened: Hardened, undisturbed: list[tuple[str, int, str, str]], chunk: int
) -> None:
    settings = settings_of(server)[chunk::CHUNKS]

    accepted, different = differences(hardened, undisturbed, settings)

    assert different == []
    assert accepted >= 60 / CHUNKS
