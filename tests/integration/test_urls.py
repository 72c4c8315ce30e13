"""Connection strings of other programs, and passwords with characters that a URL cannot contain."""

from __future__ import annotations

import os

import pytest

from sqlmigrate.errors import ConfigurationError, SqlMigrateError
from sqlmigrate.server.connection import connect
from sqlmigrate.server.conninfo import make_conninfo
from tests.project import Project

pytestmark = pytest.mark.anywhere

OTHERS = {
    "mysql://": "MySQL",
    "mysql+pymysql://": "MySQL",
    "mariadb://": "MariaDB",
    "mongodb://": "MongoDB",
    "mongodb+srv://": "MongoDB",
    "sqlserver://": "SQL Server",
    "mssql+pyodbc://": "SQL Server",
    "oracle://": "Oracle",
    "clickhouse://": "ClickHouse",
    "jdbc:mysql://": "MySQL",
    "jdbc:sqlserver://": "SQL Server",
}


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("postgresql://u@h/d?schema=public", 'parameter "schema" is one of Prisma, not', "options=-csearch_path%3D"),
        ("postgres://u@h/d?sslmode=require&pgbouncer=true", 'parameter "pgbouncer"', "remove it"),
        ("postgres://u@h/d?connection_limit=1&pool_timeout=2", 'parameter "connection_limit"', "no connection pool"),
        ("postgresql://u@h/d?currentSchema=app", 'parameter "currentSchema" is one of JDBC', "search_path"),
        ("postgresql://u@h/d?statement_timeout=5s", 'parameter "statement_timeout"', "options=-cstatement_timeout%3D"),
        ("postgresql://u@h/d?search_path=app", 'parameter "search_path"', "options=-csearch_path%3D"),
        ("postgresql://u@h/d?x-migrations-table=m", 'parameter "x-migrations-table"', "--history-table"),
        ("postgresql://u@h/d?colour=red", 'parameter "colour" is not one of libpq', "remove it"),
        ("postgresql+psycopg2://u:secret@h/d", 'scheme "postgresql+psycopg2"', "remove +psycopg2: write postgresql://"),
        ("postgresql+asyncpg://u:secret@h/d", 'scheme "postgresql+asyncpg"', "remove +asyncpg"),
        ("postgres+psycopg://u:secret@h/d", 'scheme "postgres+psycopg"', "remove +psycopg"),
        ("jdbc:postgresql://h/d?user=u&password=secret", 'scheme "jdbc:" is JDBC', "remove it: write postgresql://"),
        ("jdbc:postgresql:d", 'scheme "jdbc:" is JDBC', "remove it: write postgresql://"),
        ("mysql://u:secret@h/d", 'scheme "mysql" is that of MySQL', "write postgresql://"),
        ("sqlite:///secret", 'scheme "sqlite" is that of SQLite', "write postgresql://"),
        *(
            (
                f"{scheme}u:secret@h/d",
                f"is that of {program}: sqlmigrate supports only PostgreSQL",
                "write postgresql://",
            )
            for scheme, program in OTHERS.items()
        ),
        ("sqlite:secret.db", 'scheme "sqlite" is that of SQLite: ', "write postgresql://"),
        ("mysql:host=h;password=secret", 'scheme "mysql" is that of MySQL: ', "write postgresql://"),
        (
            "unknown://u:secret@h/d",
            "its scheme is not that of PostgreSQL: sqlmigrate supports only",
            "write postgresql:",
        ),
        ("postgres:se@cret@host", "the scheme is missing", "write %40 for @"),
        (
            "postgres:se@cret@host:5432/d",
            "the scheme is missing",
            "write postgresql://USER@HOST:PORT/DATABASE; in user",
        ),
        ("u:secret@h/d", "the scheme is missing", "write postgresql://USER@HOST:PORT/DATABASE"),
        ("postgres://postgres:se@cret@host", "a character that must be escaped", "write %40 for @"),
        ("postgresql://postgres:se@cret@host:5432/d", "a character that must be escaped", "write %40 for @"),
        ("POSTGRESQL://u:secret@h/d", 'scheme "POSTGRESQL" is not in lower case', "write postgresql://"),
        ("'postgresql://u:secret@h/d'", "it is enclosed in quotation marks", "remove them"),
        ('"postgresql://u:secret@h/d"', "it is enclosed in quotation marks", "remove them"),
        ("'mysql://u:secret@h/d'", "it is enclosed in quotation marks", "remove them"),
        ("postgresql://u:secret@h/d\r", "it starts or ends with white space", "remove the white space"),
        (" postgresql://u:secret@h/d", "it starts or ends with white space", "remove the white space"),
        ("postgresql://u:secret@h/d\n", "it starts or ends with white space", "remove the white space"),
        ("redis://:secret@h", 'scheme "redis" is that of Redis', "write postgresql://"),
        ("secret", "it is neither a URL nor a list of parameters", "host=HOST dbname=DATABASE, or embedded:PATH"),
        ("embeded:.postgres", "it is neither a URL nor a list of parameters", "or embedded:PATH"),
        (
            "h:5432/d",
            "it is neither a URL nor a list of parameters",
            "write postgresql://USER@HOST:PORT/DATABASE, host=HOST",
        ),
    ],
)
def test_a_url_of_another_program_is_explained(url: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        make_conninfo(url)

    assert failed.value.message.startswith("invalid connection string: ")
    assert message in failed.value.message
    assert hint in failed.value.hint
    assert "secret" not in failed.value.message + failed.value.hint
    assert "cret" not in failed.value.message + failed.value.hint


@pytest.mark.parametrize("separator", ["#", "/", "?", "@", "?a=", "&x=", "/#", "@/", "@#", "?@", "@?w=", ":", "%", "["])
@pytest.mark.parametrize("host", ["nohost.invalid", "127.0.0.1:1"])
def test_no_part_of_a_password_is_printed(project: Project, separator: str, host: str) -> None:
    url = f"postgresql://user:first{separator}second@{host}/database"

    run = project.cli("status", DATABASE_URL=url)

    assert run.returncode in (1, 2), run
    assert "first" not in run.stdout + run.stderr
    assert "second" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u@h/d", 'scheme "mysql" is that of MySQL'),
        ("secret", "it is neither a URL nor a list of parameters"),
        ("postgresql://127.0.0.1:port/d", "the port is not a number from 1 to 65535"),
        ("postgresql://127.0.0.1:99999/d", "the port is not a number from 1 to 65535"),
        ("postgresql://first:1,127.0.0.1:0/d", "the port is not a number from 1 to 65535"),
        ("postgresql://127.0.0.1:1/d?unknown=1", 'parameter "unknown" is not one of libpq'),
        ("postgresql://127.0.0.1:1/d?keepalives=on", 'parameter "keepalives" is not a number'),
        ("postgresql://127.0.0.1:1/d?connect_timeout=5s", 'parameter "connect_timeout" is not a number'),
        ("postgresql://127.0.0.1:1/d?sslmode=on", 'invalid sslmode value: "on"'),
        ("postgresql://127.0.0.1:1/d?target_session_attrs=rw", 'invalid target_session_attrs value: "rw"'),
        ("host=127.0.0.1,localhost port=1,1,1", "could not match 3 port numbers to 2 hosts"),
        ("service=nowhere", 'definition of service "nowhere" not found'),
        ("postgresql://user:first/?sslmode=second@127.0.0.1/d", "the port is not a number"),
        ("postgresql://127.0.0.1:1/d?sslmode=secret@host", 'invalid sslmode value: "…"'),
    ],
)
def test_an_invalid_connection_string_is_an_error_of_the_configuration(
    project: Project, url: str, message: str
) -> None:
    for arguments in (("status",), ("check",), ("migrate", "--connect-wait", "60s")):
        run = project.cli(*arguments, DATABASE_URL=url)

        assert (run.returncode, run.stdout) == (2, ""), run.stderr
        assert run.stderr.startswith(f"error: invalid connection string: {message}")
        assert "  → " in run.stderr


@pytest.mark.parametrize("variables", [{"DB_PORT": "port"}, {"DB_PORT": "0"}])
def test_an_invalid_part_is_an_error_of_the_configuration(project: Project, variables: dict[str, str]) -> None:
    run = project.cli("status", DATABASE_URL="", DB_HOST="127.0.0.1", DB_NAME="d", **variables)

    assert (run.returncode, "the port is not a number from 1 to 65535" in run.stderr) == (2, True), run.stderr


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:1/d", "postgresql://nohost.invalid/d", "host=/nowhere", "host=a.invalid,b.invalid"]
)
def test_a_server_that_cannot_be_reached_is_no_error_of_the_configuration(project: Project, url: str) -> None:
    assert project.cli("status", DATABASE_URL=url).returncode == 1


@pytest.mark.parametrize("separator", ["#", "?", "&x=", "=", "$"])
def test_a_password_that_libpq_understands_is_not_refused(separator: str) -> None:
    assert f"first{separator}second" in make_conninfo(f"postgresql://user:first{separator}second@host/database")


@pytest.mark.parametrize("query", ["application_name=a@b", "user=a@b", "host=/tmp", "sslmode=require", ""])
def test_a_url_of_libpq_is_not_refused(query: str) -> None:
    assert make_conninfo(f"postgresql://h/d?{query}")


@pytest.mark.parametrize("separator", ["/", "?", "#", "@", "/x/", ":", "%zz"])
def test_no_part_of_a_gateways_password_or_path_is_printed(project: Project, separator: str) -> None:
    url = f"http://user:first{separator}second@127.0.0.1:1/metrics/token"
    exporter = project.migrator().exporter()

    with pytest.raises(SqlMigrateError) as failed:
        exporter.push(url)
    exporter.close()

    said = failed.value.message + failed.value.hint
    assert not [part for part in ("first", "second", "token") if part in said], said


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/token", "127.0.0.1:1/token", "http://127.0.0.1:1/tok en?token#token"]
)
def test_a_gateways_path_is_not_printed(project: Project, url: str) -> None:
    exporter = project.migrator().exporter()

    with pytest.raises(SqlMigrateError, match=r"could not push the metrics to http://127\.0\.0\.1:1") as failed:
        exporter.push(url)
    exporter.close()

    assert "tok" not in failed.value.message
    assert "<" not in failed.value.message


@pytest.mark.parametrize("named", ["service=slow", "PGSERVICE"])
def test_a_service_file_and_the_environment_take_precedence(
    project: Project, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    services = project.root / "services"
    services.write_text("[slow]\ntcp_user_timeout=1234\nkeepalives_idle=77\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "7")
    more = {}
    if named == "PGSERVICE":
        monkeypatch.setenv("PGSERVICE", "slow")
    else:
        more = {"service": "slow"}

    connection = connect(make_conninfo(project.database, **more, keepalives_count="9"), "test")
    parameters = connection.parameters
    connection.close()

    given = {"tcp_user_timeout": "1234", "keepalives_idle": "77", "connect_timeout": "7", "keepalives_count": "9"}
    assert parameters.items() >= given.items()
    assert parameters["keepalives_interval"] == "5"
    assert os.environ.get("PGSERVICE", "") == ("slow" if named == "PGSERVICE" else "")
