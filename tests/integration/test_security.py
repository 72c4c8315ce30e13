"""Roles with the privileges of docs/security.md, TLS, and SQL injection by names."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.project import Project
from tests.servers import LOCAL_BIN, ROOT, OwnServer, execute, local

pytestmark = pytest.mark.anywhere

SECTIONS = (ROOT / "docs" / "security.md").read_text().split("\n## ")[1].split("\n### ")
GRANT = re.compile(r"grant ([\w, ]+) on public\.(\w+) to (\w+);")
ROW = re.compile(r"\| (\w+) on (\w+) \| `([^`]+)` \| ([^|]+) \|")
ROLES = ("migrator", "reader", "approver", "cleaner")
# All databases of a server share its roles, and so do tests that run at the same time.
OWN = re.compile(rf"\b({'|'.join(ROLES)})\b")
APPLICATION = "create schema app authorization migrator;"

WORKS = {
    "migrator": ["migrate", "rollback --steps 1 --yes", "repair --yes", "baseline --version v1.0.0-003"],
    "reader": [
        "status",
        "check",
        "validate",
        "plan",
        "info",
        "history",
        "metrics",
        "lock-status",
        "migrate --dry-run",
        "rollback --steps 1 --dry-run",
        "cleanup --keep-days 1 --dry-run",
    ],
    "approver": ["approve plan.json --yes", "history", "lock-status"],
    "cleaner": ["cleanup --keep-days 1"],
}


def own(text: str) -> str:
    return OWN.sub(rf"\g<1>_{os.getpid()}", text)


def section(title: str) -> str:
    return next(text for text in SECTIONS if title in text.partition("\n")[0])


def sql(title: str) -> list[str]:
    """Returns the SQL of a section, with other role names."""
    return [own(block) for block in re.findall(r"```sql\n(.*?)```", section(title), re.DOTALL)]


def privileges(role: str) -> list[tuple[str, str]]:
    """Returns each privilege and table that the section of a role grants."""
    grants = GRANT.findall(section(f"{role[:-2]}ing role"))
    assert {grantee for _, _, grantee in grants} == {role}
    return [(right.strip().upper(), table) for rights, table, _ in grants for right in rights.split(",")]


def failures(role: str) -> list[tuple[str, str, str, str]]:
    """Returns the rows of the section's table: privilege, table, command, message."""
    return ROW.findall(section(f"{role[:-2]}ing role"))


@pytest.fixture
def granted(project: Project) -> Iterator[Project]:
    """A database with all roles of the page; the administrator has applied the first migration."""
    project.query(*sql("Roles and grants"))
    project.add(1, own(APPLICATION), "drop schema app;")
    assert project.cli("migrate", "--target", "v1.0.0-001").returncode == 0
    project.query(*[block for role in ROLES for block in sql(f"{role[:-2]}ing role")])
    project.add(2, "create table app.t2 (a int);", "drop table app.t2;")
    project.add(3, "create table app.t3 (a int);", "drop table app.t3;")
    yield project
    for role in ROLES:
        project.query(own(f"drop owned by {role} cascade"))
    execute(project.server.conninfo, *[own(f"drop role {role}") for role in ROLES])


def as_role(project: Project, role: str, command: str) -> subprocess.CompletedProcess[str]:
    return project.cli(*command.split(), DB_USER=own(role))


def state(project: Project) -> list[object]:
    """Returns everything that a command could have changed partially."""
    tables = [f"select t::text from migrations{kind} t order by 1" for kind in ("", "_log", "_runs", "_totals")]
    made = "select relname::text from pg_class where relnamespace = 'app'::regnamespace order by 1"
    return [project.query(query) for query in [*tables, made]]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_run_its_commands_with_its_privileges(granted: Project, role: str) -> None:
    if role == "approver":
        assert as_role(granted, "approver", "plan --out plan.json").returncode == 0
    for command in WORKS[role]:
        done = as_role(granted, role, command)
        assert (done.returncode, done.stderr if "error" in done.stderr else "") in ((0, ""), (3, "")), command


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_privilege_is_reported_and_nothing_is_changed(granted: Project, role: str) -> None:
    rows = failures(role)
    assert [(right, table) for right, table, *_ in rows] == privileges(role)
    assert as_role(granted, "reader", "plan --out plan.json").returncode == 0
    if role == "migrator":
        assert as_role(granted, role, "migrate --target v1.0.0-002").returncode == 0
    for right, table, command, message in rows:
        granted.query(own(f"revoke {right} on {table} from {role}"))
        granted.add(1, "-- changed\n" * command.startswith("repair") + own(APPLICATION))
        before = state(granted)
        done = as_role(granted, role, command)
        assert done.returncode == 1, (right, table, done.stderr)
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        hints = re.findall(rf"run GRANT ([A-Z, ]+) ON public\.(\w+) TO {own(role)},", done.stderr)
        assert {table} == {name for _, name in hints}, done.stderr
        assert any(right in rights.split(", ") for rights, _ in hints), done.stderr
        assert "docs/security.md" in done.stderr
        assert "the script took privileges" not in done.stderr
        if right == "SELECT" or table != "migrations" or command.startswith("repair"):
            assert state(granted) == before
        assert state(granted)[-1] == before[-1]
        granted.query(own(f"grant {right} on {table} to {role}"))


def test_no_role_can_run_the_commands_of_another_role(granted: Project) -> None:
    as_role(granted, "reader", "plan --out plan.json")
    foreign = [
        ("reader", ["migrate", "approve plan.json --yes", "cleanup --keep-days 1"]),
        ("approver", ["migrate", "cleanup --keep-days 1"]),
        ("cleaner", ["migrate"]),
        ("migrator", ["cleanup --keep-days 1"]),
    ]
    before = state(granted)
    for role, commands in foreign:
        for command in commands:
            done = as_role(granted, role, command)
            assert done.returncode == 1, (role, command)
            assert "permission denied" in done.stderr
            assert state(granted) == before


def test_a_migration_can_neither_change_the_log_nor_approve(granted: Project) -> None:
    columns = "run_id, action, version, name, checksum, outcome, os_user, host, tool_version, db_user"
    forged = f"insert into migrations_log ({columns}) values ('', 'approve', '', '', '', 'success', '', '', '', 'x')"
    for text in ("delete from migrations_log", "truncate migrations_log", "drop table migrations_log", forged):
        granted.add(2, f"{text};")
        done = as_role(granted, "migrator", "migrate")
        assert done.returncode == 1
        assert re.search(r"permission denied|must be owner|row-level security", done.stderr), text


def test_approvals_work_under_the_policies(granted: Project) -> None:
    (granted.root / "sqlmigrate.toml").write_text("require_approval = true\n")
    assert as_role(granted, "migrator", "plan --out plan.json").returncode == 0
    refused = as_role(granted, "migrator", "migrate --plan plan.json")
    assert (refused.returncode, "not-approved" in refused.stderr or "approved" in refused.stderr) == (1, True)
    assert as_role(granted, "approver", "approve plan.json --yes").returncode == 0
    assert as_role(granted, "migrator", "migrate --plan plan.json").returncode == 0
    assert granted.value("select count(*) from migrations where success") == 3


def test_a_missing_privilege_on_the_schema_names_the_grant(project: Project) -> None:
    role = own("reader")
    project.add(1, "select 1;")
    assert project.cli("migrate", "--history-table", "Ops.migrations").returncode == 0
    project.query(f"create role {role} login")
    try:
        done = project.cli("status", "--history-table", "Ops.migrations", DB_USER=role)
        assert f'run GRANT USAGE ON SCHEMA "Ops" TO {role}, as the owner of the schema' in done.stderr, done
        project.query(f'grant usage on schema "Ops" to {role}')
        done = project.cli("status", "--history-table", "Ops.migrations", DB_USER=role)
        assert f'run GRANT SELECT ON "Ops".migrations TO {role}, as the owner of the table\n' in done.stderr, done
    finally:
        project.query(f"drop owned by {role}", f"drop role {role}")


@pytest.mark.parametrize(("table", "object_"), [("public.m", "SCHEMA public"), ("ops.m", "DATABASE")])
def test_a_role_that_cannot_create_the_tables_gets_the_grant(project: Project, table: str, object_: str) -> None:
    role = own("reader")
    project.add(1, "select 1;")
    project.query(f"create role {role} login", "revoke create on schema public from public")
    try:
        done = project.cli("migrate", "--history-table", table, DB_USER=role)
        assert re.search(rf"run GRANT CREATE ON {object_}.* TO {role}, or choose another table", done.stderr), done
        assert (
            "→ or let an administrator run the first `sqlmigrate migrate`, as docs/security.md describes\n"
            in done.stderr
        )
    finally:
        project.query(f"drop role {role}")


def test_a_statement_of_a_migration_on_another_table_gets_no_grant_on_ours(project: Project) -> None:
    role = own("reader")
    project.add(1, "create table kept (a int);")
    assert project.cli("migrate").returncode == 0
    project.query(f"create role {role} login", f"grant all on all tables in schema public to {role}")
    project.query(f"revoke select on kept from {role}", f"revoke insert on migrations from {role}")
    project.add(2, "select * from kept;")
    try:
        done = project.cli("migrate", DB_USER=role)
        assert "permission denied for table kept" in done.stderr
        assert "GRANT" not in done.stderr, done.stderr
    finally:
        project.query(f"drop owned by {role}", f"drop role {role}")


HOSTILE = ["pub\"lic.mi\"gra''tions; drop table kept; --", "s'); {history}/*.a{0}$1$$\\'", "ä b.select"]
WRITES = [
    "migrate",
    "info",
    "check",
    "validate --dry-run",
    "metrics",
    "plan --rollback --steps 1 --out plan.json",
    "approve plan.json --yes",
    "rollback --plan plan.json --yes",
    "baseline --version v1.0.0-003",
    "repair --yes",
    "cleanup --keep-days 1",
    "history",
    "force-unlock --yes",
]


@pytest.mark.parametrize("table", HOSTILE)
def test_the_history_table_name_is_quoted(project: Project, table: str) -> None:
    project.query("create table kept (a int)")
    project.add(1, "create table t1 (a int);")
    project.add(2, "create table t2 (a int);", "drop table t2;")
    project.add(3, "create index concurrently i on t1 (a);", "drop index concurrently i;")
    for command in WRITES:
        if command.startswith("repair"):
            project.add(1, "-- changed\ncreate table t1 (a int);")
        done = project.cli(*command.split(), SQLMIGRATE_HISTORY_TABLE=table)
        assert done.returncode == 0, (command, done.stderr)

    project.add(4, "select 1 / 0;")
    assert project.cli("migrate", SQLMIGRATE_HISTORY_TABLE=table).returncode == 1
    schema, _, name = table.rpartition(".")
    tables = project.query(
        "select nspname::text, relname::text from pg_class c join pg_namespace n on n.oid = relnamespace"
        " where relkind = 'r' and nspname !~ '^pg_(catalog|toast)$|^information_schema$'"
    )
    kinds = ("", "_log", "_runs", "_totals")
    assert set(tables) == {("public", "kept"), ("public", "t1"), ("public", "t2")} | {
        (schema, f"{name}{kind}") for kind in kinds
    }


@pytest.mark.parametrize("table", ["public.50%", "%s.m", "public.a\nb", "public.\x1b[31m", b"public.\xe9"])
def test_an_invalid_history_table_name_is_refused(project: Project, table: str | bytes) -> None:
    done = project.cli("migrate", "--history-table", os.fsdecode(table))
    assert done.returncode == 2
    assert "is not a table name" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("name", ["a'b\"c; drop table kept", "x'); drop table kept; --", "$1 %s {0} \\'"])
def test_a_file_name_cannot_inject_sql(project: Project, name: str) -> None:
    project.query("create table kept (a int)")
    project.add(1, "create table t1 (a int);", "drop table t1;", name=name)
    project.write(f"R__{name}.sql", "select 1;")
    for command in ("migrate", "status", "info", "history", "plan --rollback --steps 1 --out plan.json"):
        assert project.cli(*command.split()).returncode == 0, command
    assert project.cli("rollback", "--steps", "1", "--yes").returncode == 0
    project.add(1, "select 1 / 0;", name=name)
    failed = project.cli("migrate")
    assert failed.returncode == 1
    assert "division by zero" in failed.stderr
    assert project.cli("repair", "--yes").returncode == 0
    assert project.value("select count(*) from kept") == 0


@pytest.mark.parametrize("name", ["a'b\"c; drop table kept", "x'); drop table kept; --", "%s {0} \\'"])
def test_the_application_name_cannot_inject_sql(project: Project, name: str) -> None:
    project.query("create table kept (a int)")
    project.add(1, "create table t1 (a int);")
    given = {**conninfo_to_dict(project.database), "application_name": name}
    url = f"postgresql:///{given.pop('dbname')}?{urlencode(given, quote_via=quote)}"
    assert project.cli("migrate", DATABASE_URL=url, PGAPPNAME=name).returncode == 0
    assert project.cli("lock-status", PGAPPNAME=name).returncode == 0
    assert project.value("select count(*) from kept") == 0


def listening(server: OwnServer, options: str = "") -> str:
    """Restarts the server so that it listens on a port; returns a URL without parameters."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {server.directory} {options}"
    server.run("pg_ctl", "-w", "-l", str(server.directory / "log"), "-o", options, "restart")
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def test_a_server_without_tls_is_refused_if_tls_is_required(project: Project) -> None:
    with local(project.server.bin) as server:
        url = listening(server)
        refusals = [
            project.cli("migrate", DATABASE_URL=f"{url}?sslmode=require"),
            project.cli("migrate", DATABASE_URL=url, PGSSLMODE="verify-full", PGSSLROOTCERT="system"),
        ]
        plain = project.cli("status", DATABASE_URL=url)

    for refused in refusals:
        assert refused.returncode == 1
        assert "server does not support SSL, but SSL was required" in refused.stderr
    assert plain.returncode == 0


def certificate(directory: Path, name: str) -> Path:
    """Creates a self-signed certificate and its key in the same directory."""
    path = directory / f"{name}.crt"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", path.with_suffix(".key"), "-out", path], check=True, capture_output=True
    )
    return path


@pytest.mark.debian
def test_the_server_certificate_is_verified_as_sslmode_requires(project: Project, tmp_path: Path) -> None:
    """Needs Debian's server, since the server of the wheel does not support TLS."""
    ours, other = certificate(tmp_path, "ours"), certificate(tmp_path, "other")
    with local(LOCAL_BIN) as server:
        for suffix in (".crt", ".key"):
            held = shutil.copy(ours.with_suffix(suffix), server.directory)
            if os.geteuid() == 0:
                shutil.chown(held, server.user, server.user)
            Path(held).chmod(0o600)
        held = server.directory / "ours"
        url = listening(server, f"-c ssl=on -c ssl_cert_file={held}.crt -c ssl_key_file={held}.key")
        verified = [
            project.cli("migrate", DATABASE_URL=f"{url}?sslmode=verify-ca&sslrootcert={ours}"),
            project.cli("status", DATABASE_URL=url, PGSSLMODE="verify-full", PGSSLROOTCERT=str(ours)),
        ]
        refused = project.cli("migrate", DATABASE_URL=f"{url}?sslmode=verify-ca&sslrootcert={other}")
        missing = project.cli("migrate", DATABASE_URL=f"{url}?sslmode=verify-ca&sslrootcert={tmp_path / 'none'}")

    assert [done.returncode for done in verified] == [0, 0], verified[0].stderr
    assert refused.returncode == missing.returncode == 1
    assert "certificate verify failed" in refused.stderr
    assert f'root certificate file "{tmp_path / "none"}" does not exist' in missing.stderr


def test_a_reader_who_approves_gets_the_grant_for_it(granted: Project) -> None:
    assert as_role(granted, "reader", "plan --out plan.json").returncode == 0
    done = as_role(granted, "reader", "approve plan.json --yes")
    role = own("reader")
    assert (
        f"run GRANT INSERT ON public.migrations_log TO {role}, as the owner of the table, to migrate or to approve\n"
        in (done.stderr)
    )
