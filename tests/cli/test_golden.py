"""What each command shows, word for word: tests/cli/golden.

`SQLMIGRATE_GOLDEN=write pytest tests/cli` writes it anew.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from sqlmigrate import Version
from sqlmigrate.errors import SqlMigrateError
from sqlmigrate.server.lock import key_of
from tests.project import Project

GOLDEN = Path(__file__).parent / "golden"

NORMALISED = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d\d:\d\d| \S+)?", "<when>"),
    (r"^  … .*\n", ""),  # how long it takes depends on the machine
    (r"(\b\d+ ms\b|\b\d+\.\d s\b)(  slow)?", "<took>"),
    (r'("duration_ms": )\d+', r"\1<ms>"),
    (r"\b[0-9a-f]{64}\b", "<checksum>"),
    (r'("run_id": )"[0-9a-f]+"', r'\1"<run>"'),
    (r'(pid"?:?\s+)\d+', r"\1<pid>"),
    (r" +$", ""),
)


class Scene(NamedTuple):
    """What is there before, the arguments, and how it exits."""

    before: Callable[[Project], object]
    arguments: str
    code: int = 0


def nothing(project: Project) -> None:
    pass


def pending(project: Project) -> None:
    project.add(
        1,
        "-- Users, and who they are.\ncreate table users (id int primary key, name text);",
        "drop table users;",
        name="create_users",
    )
    project.add(2, "insert into users values (1, 'é; %');\nvacuum users;\n", "delete from users;", name="fill_users")
    project.write("R__names.sql", "create or replace view names as select name from users;\n")


def applied(project: Project) -> None:
    pending(project)
    project.migrator().migrate()


def failing(project: Project) -> None:
    pending(project)
    project.add(2, "select 1;\n  insert into users values (1), (1);", name="fill_users")


def failed(project: Project) -> None:
    failing(project)
    with contextlib.suppress(SqlMigrateError):
        project.migrator().migrate()


def mixed(project: Project) -> None:
    """One of each state."""
    failed(project)
    project.add(1, "create table users (id int primary key); -- changed", name="create_users")
    project.query("insert into migrations (version, name, checksum, success) values ('v1.0.0-000', 'gone', '', true)")
    project.write("V0.9.0-001__late.up.sql", "select 1;")
    project.add(3, "select 1;\nvacuum;\nselect 1;", "select 1;", name="parts")
    project.query(
        "insert into migrations (version, name, checksum, success, statements, statements_done, statements_begun)"
        " values ('v1.0.0-003', 'parts', '', false, 3, 1, 2)"
    )


def invalid(project: Project) -> None:
    pending(project)
    project.write("users.sql", "select 1;")
    project.write("sub/V1.0.0-001__again.up.sql", "select 1;")
    project.write("V3.0.0-001__lonely.down.sql", "select 1;")
    project.add(4, "create table x ();\n\\i other.sql\n  commit;\n", name="wrong")


def unsafe(project: Project) -> None:
    applied(project)
    project.add(3, "alter table users add column age int;\ncreate index users_name_idx on users (name);", name="index")


def changed(project: Project) -> None:
    applied(project)
    project.add(1, "create table users (id int primary key); -- changed", "drop table users;", name="create_users")


def rolled_back(project: Project) -> None:
    applied(project)
    project.migrator().rollback(steps=1)


def baselined(project: Project) -> None:
    pending(project)
    project.migrator().baseline(Version(1, 0, 0, 1))


def divided(project: Project) -> None:
    """Waves, and each kind of reason against one."""
    project.add(
        1,
        "create table users (id int primary key, name text);"
        " create table orders (id int primary key, user_id int references users, at date);"
        " create table events (id int, at date) partition by range (at);"
        " create table events_1 partition of events for values from ('2026-01-01') to ('2027-01-01');"
        " create table notes (id int primary key, at date);"
        " create materialized view late_notes as select * from notes",
        "drop table users;",
        name="create_tables",
    )
    project.migrator().migrate()
    project.add(2, "create index users_name_idx on users (name);", name="index_users")
    project.add(3, "create index events_at_idx on events (at);", name="index_events")
    project.add(4, "create index concurrently notes_at_idx on notes (at);", name="index_notes")
    project.add(5, "create index orders_at_idx on orders (at);", name="index_orders")
    project.add(6, "analyze users;", name="analyze_users")
    project.add(7, "vacuum events_1;", name="vacuum_events")
    project.add(8, "reindex index events_at_idx; analyze new_table;", name="reindex_events")
    project.add(9, "refresh materialized view late_notes;", name="refresh_notes")
    project.add(10, "analyze notes;", name="analyze_notes")
    project.add(11, "create table new_table ();", name="create_table")
    project.add(
        12,
        "-- sqlmigrate: transaction=off\n"
        "create index concurrently users_id_idx on users (id);\ncreate index concurrently notes_id_idx on notes (id);",
        name="index_both",
    )
    project.add(13, "create index on new_table ((1));", name="index_new_table")
    project.add(14, "drop index concurrently users_name_idx;", name="drop_index")


SCENES = {
    "migrate_dry_run_parallel": Scene(divided, "migrate --dry-run --parallel 2"),
    "migrate": Scene(pending, "migrate"),
    "migrate_nothing": Scene(applied, "migrate"),
    "migrate_no_files": Scene(nothing, "migrate"),
    "migrate_target": Scene(pending, "migrate --target 1.0.0-1"),
    "migrate_unknown_target": Scene(pending, "migrate --target v9.0.0-001", 1),
    "migrate_dry_run": Scene(pending, "migrate --dry-run"),
    "migrate_dry_run_invalid": Scene(invalid, "migrate --dry-run", 1),
    "migrate_failing": Scene(failing, "migrate", 1),
    "migrate_invalid": Scene(invalid, "migrate", 1),
    "migrate_quiet": Scene(pending, "migrate --log-level error"),
    "migrate_lint": Scene(unsafe, "migrate --lint warning", 1),
    "migrate_lint_passes": Scene(unsafe, "migrate --lint error"),
    "migrate_dry_run_lint": Scene(unsafe, "migrate --dry-run --lint warning", 1),
    "status": Scene(applied, "status"),
    "status_pending": Scene(pending, "status"),
    "status_mixed": Scene(mixed, "status"),
    "status_no_files": Scene(nothing, "status"),
    "info": Scene(rolled_back, "info"),
    "info_failed": Scene(failed, "info v1.0.0-002"),
    "info_unknown": Scene(pending, "info 9.9.9-9", 1),
    "check": Scene(applied, "check"),
    "check_pending": Scene(pending, "check", 3),
    "check_changed": Scene(changed, "check", 3),
    "check_failed": Scene(failed, "check", 3),
    "check_mixed": Scene(mixed, "check", 3),
    "validate": Scene(applied, "validate"),
    "validate_invalid": Scene(invalid, "validate", 1),
    "validate_mixed": Scene(mixed, "validate", 1),
    "validate_dry_run": Scene(pending, "validate --dry-run"),
    "validate_dry_run_failing": Scene(failing, "validate --dry-run", 1),
    "rollback": Scene(applied, "rollback --steps 1 --yes"),
    "rollback_version": Scene(applied, "rollback --version v1.0.0-001 --yes"),
    "rollback_dry_run": Scene(applied, "rollback --steps 2 --dry-run"),
    "rollback_unasked": Scene(applied, "rollback --steps 1", 2),
    "rollback_both": Scene(applied, "rollback --steps 1 --version v1.0.0-001", 2),
    "rollback_nothing": Scene(pending, "rollback --steps 1 --yes"),
    "baseline": Scene(pending, "baseline --version v1.0.0-001"),
    "baseline_then_status": Scene(baselined, "status"),
    "repair": Scene(mixed, "repair --yes"),
    "repair_unasked": Scene(changed, "repair", 2),
    "repair_nothing": Scene(applied, "repair"),
    "lock_status_nobody": Scene(applied, "lock-status"),
    "force_unlock_nobody": Scene(applied, "force-unlock"),
}


def normalised(project: Project, text: str) -> str:
    text = text.replace(str(project.directory), "<dir>").replace(str(project.root), "<root>")
    text = text.replace(f"{getpass.getuser()}@{socket.gethostname()}", "<user>@<host>")
    text = text.replace(f'"{getpass.getuser()}"', '"<user>"').replace(f'"{socket.gethostname()}"', '"<host>"')
    for pattern, replacement in NORMALISED:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def compared(name: str, shown: str) -> None:
    path = GOLDEN / name
    if os.environ.get("SQLMIGRATE_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


@pytest.mark.parametrize("name", SCENES)
def test_text_equals_the_golden_file(project: Project, name: str) -> None:
    scene = SCENES[name]
    scene.before(project)
    assert project.has_free_lock()

    done = project.cli(*scene.arguments.split())

    shown = f"$ sqlmigrate {scene.arguments}\n{done.stdout}--- stderr\n{done.stderr}--- exit code {done.returncode}\n"
    assert "\x1b" not in shown
    compared(f"{name}.txt", normalised(project, shown))
    assert done.returncode == scene.code


@pytest.mark.parametrize("name", SCENES)
def test_json_equals_the_golden_file(project: Project, name: str) -> None:
    scene = SCENES[name]
    scene.before(project)
    assert project.has_free_lock()

    done = project.cli(*scene.arguments.split(), "--format", "json", "--log-level", "error")

    assert json.loads(done.stdout)["version"] == 1
    compared(f"{name}.json", normalised(project, done.stdout))
    assert done.returncode == scene.code


@contextlib.contextmanager
def lock_held(project: Project) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(project.database, autocommit=True, application_name="the other") as other:
        other.execute(f"select pg_advisory_lock({key_of('public.migrations')})".encode())
        yield other


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("lock_status", "lock-status", 0),
        ("force_unlock_unasked", "force-unlock", 2),
        ("migrate_locked", "migrate --lock-wait 300ms", 4),
    ],
)
def test_the_holder_of_the_lock_is_shown(project: Project, name: str, arguments: str, code: int) -> None:
    pending(project)
    with lock_held(project):
        text = project.cli(*arguments.split())
        data = project.cli(*arguments.split(), "--format", "json")

    shown = f"$ sqlmigrate {arguments}\n{text.stdout}--- stderr\n{text.stderr}--- exit code {text.returncode}\n"
    key = str(key_of("public.migrations"))
    compared(f"{name}.txt", normalised(project, shown).replace(key, "<key>"))
    compared(f"{name}.json", normalised(project, data.stdout).replace(key, "<key>"))
    assert (text.returncode, data.returncode) == (code, code)


def test_force_unlock_terminates_only_the_holder_and_logs_it(project: Project) -> None:
    applied(project)
    with psycopg.connect(project.database) as bystander, lock_held(project) as other:
        pid = other.info.backend_pid
        done = project.cli("force-unlock", "--yes")
        with pytest.raises(psycopg.OperationalError):
            other.execute("select 1")
        bystander.execute("select 1")

    assert done.returncode == 0
    assert done.stdout.endswith(f"\nterminated the backend with pid {pid}\n")
    assert "nobody holds" in project.cli("lock-status").stdout
    assert project.query("select action, outcome from migrations_log order by id desc limit 1") == [
        ("unlock", "success")
    ]
