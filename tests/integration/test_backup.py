"""A backup before the first step: made, read back, restored by the command that is shown; or nothing is migrated."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sqlmigrate.errors import BackupFailed, MigrationFailed
from sqlmigrate.events import BackedUp, BackingUp
from sqlmigrate.execution import backup
from sqlmigrate.server.connection import connect
from tests.faults.waiting import ended, running, until
from tests.project import Project
from tests.servers import Server, execute


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The directory for backups, which is not there."""
    return tmp_path / "backups"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that is the only place where programs of PostgreSQL's are looked for."""
    directory = tmp_path / "tools"
    directory.mkdir()
    monkeypatch.setattr(backup, "_PLACES", ())
    monkeypatch.setenv("PATH", str(directory))
    return directory


def stand_in(server: Server, directory: Path, text: str, version: int | None = None) -> Path:
    """A pg_dump of some version that does what it is told, beside the real pg_restore."""
    path = directory / "pg_dump"
    said = f"pg_dump (PostgreSQL) {version or server.version}.1"
    path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{said}"; exit; fi\n{text}\n')
    path.chmod(0o700)
    for program in ("pg_restore", "dropdb", "psql"):
        (directory / program).symlink_to(server.bin / program)
    return path


def real(server: Server) -> str:
    return f'exec {server.bin}/pg_dump "$@"'


def nothing_is_migrated(project: Project) -> bool:
    return bool(project.value("select to_regclass('a') is null and to_regclass('migrations') is null"))


def restore(command: str) -> None:
    subprocess.run(["/bin/sh", "-c", command], check=True, env={**os.environ, "PATH": os.defpath})


def test_the_restore_command_restores_schema_and_data(project: Project, kept: Path) -> None:
    project.add(1, "create table a (id int primary key, note text); insert into a values (1, 'é'), (2, null);")
    project.cli("migrate")
    before, rows = project.schema(), project.query("select * from migrations")
    project.add(2, "drop table a; create table b (id int);")

    run = project.cli("migrate", "--backup", str(kept))

    assert run.returncode == 0, run.stderr
    [file] = kept.iterdir()
    database = conninfo_to_dict(project.database)["dbname"]
    assert re.fullmatch(rf"{database}-\d{{8}}T\d{{6}}\.\d{{3}}Z-v1\.0\.0-002\.dump", file.name)
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept.stat().st_mode & 0o777 == 0o700
    assert f"  ✓ backup  {file}  {file.stat().st_size:,} bytes\n    restore: " in run.stderr
    backup_line, restore_line = run.stdout.splitlines()[1:]
    assert backup_line == f"  backup: {file}"

    restore(restore_line.removeprefix("  restore: "))

    assert project.schema() == before
    assert project.query("select * from migrations") == rows


def test_a_failed_migration_shows_the_backup_and_the_restore_command(project: Project, kept: Path) -> None:
    project.add(1, "create table a (id int);")
    project.add(2, "drop table a; select 1 / 0;")
    with pytest.raises(MigrationFailed) as caught:
        project.migrator(backup=str(kept)).migrate()

    [file] = kept.iterdir()
    *_, where, how = caught.value.hint.splitlines()
    assert where == f"backup: {file}"
    restore(how.removeprefix("restore: "))
    assert nothing_is_migrated(project)


def test_a_backup_is_reported_while_it_runs(project: Project, kept: Path) -> None:
    project.add(1, "create table a (id int);")

    run = project.migrator(backup=str(kept)).migrate()

    assert run.backup is not None
    told = [event for event in project.events if isinstance(event, BackingUp | BackedUp)]
    assert told == [BackingUp(str(kept)), BackedUp(*run.backup, Path(run.backup.path).stat().st_size)]


def test_a_rollback_makes_a_backup_first(project: Project, kept: Path) -> None:
    project.add(1, "create table a (id int);", "drop table a;")
    project.cli("migrate")

    run = project.cli("rollback", "--steps", "1", "--yes", "--format", "json", SQLMIGRATE_BACKUP=str(kept))

    assert run.returncode == 0, run.stderr
    assert f'"path": "{next(kept.iterdir())}"' in run.stdout


def test_a_run_with_nothing_to_do_makes_no_backup(project: Project, kept: Path) -> None:
    project.add(1, "create table a (id int);")
    project.cli("migrate")

    assert project.migrator(backup=str(kept)).migrate().backup is None
    assert not kept.exists()


def test_a_number_of_backups_without_a_directory_is_refused(project: Project, kept: Path) -> None:
    project.add(1, "create table a (id int);")
    refused = project.cli("migrate", "--backup-keep", "3")

    assert refused.returncode == 2
    assert "error: --backup-keep requires --backup\n" in refused.stderr
    assert nothing_is_migrated(project)
    assert project.cli("migrate", "--backup-keep", "3", SQLMIGRATE_BACKUP=str(kept)).returncode == 0


def test_old_backups_of_the_same_database_are_deleted(project: Project, kept: Path) -> None:
    kept.mkdir()
    database = conninfo_to_dict(project.database)["dbname"]
    others = {f"{database}-notes.dump", f"{database}x-20200101T000000.000Z-v1.dump", "x.part"}
    for name in (*others, f"{database}-20200101T000000.000Z-v1.dump"):
        (kept / name).touch()
    made = []
    for number in range(1, 4):
        project.add(number, f"create table t{number} (id int);")
        run = project.migrator(backup=str(kept), backup_keep="2").migrate()
        assert run.backup is not None
        made.append(Path(run.backup.path).name)

    assert {file.name for file in kept.iterdir()} == others | set(made[1:])


def test_a_failed_backup_deletes_no_older_backup(project: Project, kept: Path, tools: Path) -> None:
    project.add(1, "create table a (id int);")
    kept.mkdir()
    old = kept / f"{conninfo_to_dict(project.database)['dbname']}-20200101T000000.000Z-v1.dump"
    old.touch()
    stand_in(project.server, tools, "echo 'pg_dump: error: no more' >&2; echo 'pg_dump: hint: none' >&2; exit 1")

    with pytest.raises(BackupFailed, match=f"could not make the backup in {kept}: pg_dump: error: no more") as caught:
        project.migrator(backup=str(kept), backup_keep="1").migrate()

    assert caught.value.hint == "pg_dump: hint: none\nnothing was run"
    assert list(kept.iterdir()) == [old]
    assert nothing_is_migrated(project)


def test_without_pg_dump_nothing_is_migrated(project: Project, kept: Path, tools: Path) -> None:
    project.add(1, "create table a (id int);")

    with pytest.raises(BackupFailed, match="pg_dump not found") as caught:
        project.migrator(backup=str(kept)).migrate()

    assert f"postgresql-client-{project.server.version}" in caught.value.hint
    assert caught.value.hint.endswith("\nnothing was run")
    assert caught.value.exit_code == 1
    assert nothing_is_migrated(project)


def test_with_an_old_pg_dump_nothing_is_migrated(project: Project, kept: Path, tools: Path) -> None:
    project.add(1, "create table a (id int);")
    path = stand_in(project.server, tools, real(project.server), version=9)

    with pytest.raises(
        BackupFailed, match=f"pg_dump 9 \\({path}\\) is too old for PostgreSQL {project.server.version}"
    ):
        project.migrator(backup=str(kept)).migrate()

    assert nothing_is_migrated(project)


def test_pg_dump_of_the_servers_version_is_preferred_to_a_newer_one(
    project: Project, kept: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add(1, "create table a (id int);")
    stand_in(project.server, tools, "exit 1", version=99)
    same = tools.parent / "same"
    same.mkdir()
    stand_in(project.server, same, real(project.server))
    monkeypatch.setattr(backup, "_PLACES", ((str(tools.parent), "same"),))

    made = project.migrator(backup=str(kept)).migrate().backup

    assert made is not None
    assert made.restore.startswith(f"{same}/pg_restore --clean --if-exists --create --exit-on-error ")


def test_a_newer_pg_dump_is_accepted(project: Project, kept: Path, tools: Path) -> None:
    project.add(1, "create table a (id int);")
    stand_in(project.server, tools, real(project.server), version=99)

    made = project.migrator(backup=str(kept)).migrate().backup

    assert made is not None
    assert f"{tools}/dropdb --if-exists " in made.restore
    with contextlib.suppress(subprocess.CalledProcessError):  # it reports settings that only a newer server has
        restore(made.restore)
    assert nothing_is_migrated(project)


@pytest.mark.parametrize("newer", [0, 1])
def test_nothing_is_restored_into_a_database_that_is_in_use(
    project: Project, kept: Path, tools: Path, newer: int
) -> None:
    project.query("create table there as select 1")
    project.add(1, "create table a (id int);")
    stand_in(project.server, tools, real(project.server), version=project.server.version + newer)
    made = project.migrator(backup=str(kept)).migrate().backup

    assert made is not None
    with psycopg.connect(project.database), pytest.raises(subprocess.CalledProcessError):
        restore(made.restore)
    assert project.value("select count(*) from there") == 1


def test_a_file_that_pg_restore_cannot_read_is_not_a_backup(project: Project, kept: Path, tools: Path) -> None:
    project.add(1, "create table a (id int);")
    stand_in(project.server, tools, 'for file; do :; done; echo rubbish > "${3#--file=}"')

    with pytest.raises(BackupFailed, match=r"could not make the backup in .*/backups: pg_restore: error: .*archive"):
        project.migrator(backup=str(kept)).migrate()

    assert list(kept.iterdir()) == []
    assert nothing_is_migrated(project)


def test_without_pg_restore_the_backup_fails(project: Project, kept: Path, tools: Path) -> None:
    project.add(1, "create table a (id int);")
    stand_in(project.server, tools, real(project.server))
    (tools / "pg_restore").unlink()

    with pytest.raises(BackupFailed, match=f"{tools}/pg_restore: No such file or directory"):
        project.migrator(backup=str(kept)).migrate()

    assert list(kept.iterdir()) == []


def test_a_directory_that_cannot_be_created_is_an_error(project: Project, kept: Path) -> None:
    project.add(1, "create table a (id int);")
    kept.touch()

    run = project.cli("migrate", "--backup", str(kept))

    assert run.returncode == 1
    assert f"could not make the backup: {kept}: File exists\n  → nothing was run\n" in run.stderr
    assert nothing_is_migrated(project)


def test_a_running_backup_shows_no_password(
    project: Project, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add(1, "create table a (id int);")
    secret = "o'n\"e \\ #=two é"  # noqa: S105  # of nothing
    seen, tools = tmp_path / "seen", tmp_path / "tools"
    tools.mkdir()
    look = f"cat /proc/[0-9]*/cmdline /proc/$$/environ > {seen} 2>/dev/null"
    file = f"cp -p $PGSERVICEFILE {tmp_path}/service; export PGPASSWORD=none"
    stand_in(project.server, tools, f"{look}\n{file}\n{real(project.server)}")
    url = make_conninfo(project.database, password=secret)
    path = f"{tools}:{os.environ['PATH']}"

    run = project.cli("migrate", "--backup", str(kept), DATABASE_URL=url, PGPASSWORD=secret, PATH=path)

    assert run.returncode == 0, run.stderr
    assert b"--file=" in seen.read_bytes()
    assert secret.encode() not in seen.read_bytes()
    assert secret not in run.stdout + run.stderr
    service = tmp_path / "service"
    assert f"password={secret}\n" in service.read_text()
    assert service.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGALRM, 1)])  # the second is of --timeout
def test_an_interrupted_backup_leaves_no_file(
    project: Project, kept: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    project.add(1, "create table a (id int);")
    tools, private, pid = tmp_path / "tools", tmp_path / "private", tmp_path / "pid"
    tools.mkdir()
    private.mkdir()
    stand_in(project.server, tools, f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 3600")
    path = f"{tools}:{os.environ['PATH']}"
    with running(
        project, "migrate", "--backup", str(kept), "--timeout", "1h", PATH=path, TMPDIR=str(private)
    ) as process:
        until(pid.exists)
        assert [file.suffix for file in kept.iterdir()] == [".part"]
        assert len(list(private.iterdir())) == 1
        process.send_signal(number)
        ended(process)

    assert process.returncode == code
    assert list(kept.iterdir()) == list(private.iterdir()) == []
    until(lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())
    assert nothing_is_migrated(project)


def test_a_backup_is_made_under_the_lock(project: Project, kept: Path, tmp_path: Path) -> None:
    project.add(1, "create table a (id int);")
    tools, pid = tmp_path / "tools", tmp_path / "pid"
    tools.mkdir()
    stand_in(project.server, tools, f"echo $$ > {pid}; exec sleep 60")
    path = f"{tools}:{os.environ['PATH']}"
    with running(project, "migrate", "--backup", str(kept), PATH=path) as process:
        until(pid.exists)
        holder = project.migrator().lock_holder()
        process.terminate()
        process.wait()

    assert holder is not None
    assert holder.application == "sqlmigrate"


def test_the_blocker_of_a_backup_is_named(project: Project, kept: Path) -> None:
    project.query("create table busy (a int)")
    project.add(1, "create table a (id int);")
    with psycopg.connect(project.database, application_name="the writer") as writer:
        writer.execute("lock table busy")
        with running(project, "migrate", "--backup", str(kept)) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            writer.rollback()
            _, rest = process.communicate(timeout=30)

    assert "sqlmigrate backup is blocked by pid" in line
    assert "the writer" in line
    assert "waits for" not in rest
    assert project.versions() == [("v1.0.0-001", True)]


def test_a_backup_connects_by_a_service_file(project: Project, kept: Path, tmp_path: Path) -> None:
    project.add(1, "create table a (id int);")
    lines = [f"{key}={value}" for key, value in conninfo_to_dict(project.database).items()]
    (tmp_path / "service.conf").write_text("\n".join(["[app]", *lines, ""]))

    run = project.cli(
        "migrate",
        "--backup",
        str(kept),
        DATABASE_URL="service=app",
        PGSERVICEFILE=str(tmp_path / "service.conf"),
        PGDATABASE="nowhere",
    )

    assert run.returncode == 0, run.stderr
    assert len(list(kept.iterdir())) == 1


def test_a_database_of_any_name_and_encoding_is_backed_up(project: Project, kept: Path) -> None:
    name = f"{conninfo_to_dict(project.database)['dbname']} o'n\"e/two"
    quoted = '"' + name.replace('"', '""') + '"'
    execute(project.server.conninfo, f"create database {quoted} template template0 encoding 'LATIN1' locale 'C'")
    whole = Project(project.server, project.server.database(name), project.root)
    try:
        whole.add(1, "create table a (note text); insert into a values ('é');")
        whole.migrator().migrate()
        whole.add(2, "drop table a;")
        made = whole.migrator(backup=str(kept)).migrate().backup
        assert made is not None
        restore(made.restore)
        assert whole.value("select note from a") == "é"
    finally:
        execute(project.server.conninfo, f"drop database {quoted} with (force)")


@pytest.mark.parametrize(
    ("attribute", "owner", "user"),
    [
        ("createdb", "{role}", "{role}"),
        ("nocreatedb", "{role}", "SUPERUSER"),
        ("createdb", "current_user", "SUPERUSER"),
        ("superuser", "current_user", "{role}"),
    ],
)
def test_the_restore_command_drops_no_database_that_its_role_could_not_create(
    project: Project, kept: Path, attribute: str, owner: str, user: str
) -> None:
    database = conninfo_to_dict(project.database)["dbname"]
    role = f"restorer_{project.value('select pg_backend_pid()')}"
    execute(
        project.server.conninfo,
        f"create role {role} login {attribute}",
        f"grant pg_read_all_data to {role}",
        f'alter database "{database}" owner to {owner.format(role=role)}',
    )
    try:
        connection = connect(make_conninfo(project.database, user=role), "test")
        try:
            made = backup.back_up(connection, str(kept), 0, "v1")
        finally:
            connection.close()
        assert f"user={user.format(role=role)}" in made.restore
        if user == "SUPERUSER":
            with pytest.raises(subprocess.CalledProcessError):
                restore(made.restore)
            assert project.value("select 1") == 1
    finally:
        execute(project.server.conninfo, f'alter database "{database}" owner to current_user', f"drop role {role}")


def test_the_database_postgres_is_restored_from_template1(server: Server, kept: Path) -> None:
    connection = connect(make_conninfo(server.conninfo, dbname="postgres"), "test")
    try:
        made = backup.back_up(connection, str(kept), 0, "v1")
    finally:
        connection.close()

    assert "dbname=template1" in made.restore


@pytest.mark.parametrize(
    ("refuses", "mends"),
    [
        ("revoke all on kept from public", "grant pg_read_all_data to {}"),
        ("alter table kept enable row level security", "alter role {} bypassrls"),
    ],
)
def test_a_role_that_may_not_read_every_table_is_sent_to_the_privileges(
    project: Project, kept: Path, refuses: str, mends: str
) -> None:
    role = f"migrator_{os.getpid()}"
    project.add(1, "create table app.a (a int);")
    project.query(
        "create table kept (id int)",
        f"create role {role} login",
        f"create schema app authorization {role}",
        refuses,
        *([f"grant pg_read_all_data to {role}"] if "level" in refuses else []),
    )
    options = ("--backup", str(kept), "--history-table", "app.migrations", "--db-user", role)
    try:
        refused = project.cli("migrate", *options)
        project.query(*mends.replace("{}", role).split("; "))
        done = project.cli("migrate", *options)
    finally:
        project.query(f"drop owned by {role} cascade", f"drop role {role}")

    assert refused.returncode == 1
    assert "  → docs/backup.md lists the privileges that pg_dump needs\n" in refused.stderr
    assert "  → nothing was run\n" in refused.stderr
    assert done.returncode == 0, done
