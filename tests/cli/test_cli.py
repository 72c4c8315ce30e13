"""The command line as a whole: exit codes, dry runs, questions, colours, settings, secrets."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys

import psycopg
import pytest

from sqlmigrate import Version
from sqlmigrate.cli import main
from sqlmigrate.server.lock import key_of
from sqlmigrate.version import __version__
from tests.project import Project
from tests.servers import ROOT

ESCAPE = "\x1b["


def add_series(project: Project, count: int = 2) -> None:
    for number in range(1, count + 1):
        project.add(number, f"create table t{number} (a int);", f"drop table t{number};")


def on_terminal(project: Project, *arguments: str, answer: str = "", **environment: str) -> tuple[int, str]:
    """Runs the command line on a terminal of its own, types the answer, and returns exit code and screen."""
    leader, follower = pty.openpty()
    command, own = project.command(*arguments), project.environment(**environment)
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, cwd=project.root, env=own)
    os.close(follower)
    os.write(leader, answer.encode())
    screen = b""
    with contextlib.suppress(OSError):  # so Linux says that the other side is closed
        while block := os.read(leader, 4096):
            screen += block
    os.close(leader)
    return process.wait(), screen.decode()


def contents(project: Project) -> list[tuple[object, ...]]:
    """Every relation with its file, and how much was ever written."""
    return project.query(
        "select relname::text, relfilenode, reltuples from pg_class"
        " where relnamespace = 'public'::regnamespace order by 1"
    )


def test_success_exits_with_0(project: Project) -> None:
    add_series(project)

    assert [project.cli(command).returncode for command in ("migrate", "status", "info", "check", "validate")] == [
        0
    ] * 5


def test_failure_exits_with_1(project: Project) -> None:
    project.add(1, "select 1 / 0;")

    assert project.cli("migrate").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("migrate", "--nonsense"), "no such option"),
        (("migrat",), "no such command"),
        (("migrate", "--target", "seven"), "is not a version"),
        (("migrate", "--lock-wait", "5"), "lock-wait: '5' is not a duration"),
        (("migrate", "--lock-retries", "many"), "'many' is not a number"),
        (("migrate", "--dir", "nowhere"), 'directory "nowhere" does not exist'),
        (("migrate", "--history-table", "x."), "is not a table name"),
        (("migrate", "--config", "nowhere.toml"), 'could not read file "nowhere.toml"'),
        (("migrate", "--env", "production"), "requires a configuration file"),
        (("migrate", "--format", "xml"), "'xml' is not one of"),
        (("rollback",), "exactly one of --version and --steps is required"),
        (("rollback", "--steps", "0"), "0 is not in the range"),
        (("baseline",), "missing option '--version'"),
    ],
)
def test_a_usage_error_exits_with_2(project: Project, arguments: tuple[str, ...], message: str) -> None:
    done = project.cli(*arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_pending_migrations_exit_with_3(project: Project) -> None:
    add_series(project)

    assert project.cli("check").returncode == 3


def test_an_unavailable_lock_exits_with_4(project: Project) -> None:
    add_series(project)
    with psycopg.connect(project.database) as other:
        other.execute(f"select pg_advisory_lock({key_of('public.migrations')})".encode())

        assert project.cli("migrate", "--lock-wait", "100ms").returncode == 4


def test_a_run_beyond_its_timeout_is_stopped(project: Project) -> None:
    project.add(1, "create table t (a int);\nselect pg_sleep(120);")

    done = project.cli("migrate", "--timeout", "1s")

    assert done.returncode == 1
    assert "the run took longer than 1 s" in done.stderr
    assert project.value("select to_regclass('t') is null")


@pytest.mark.parametrize("arguments", ["migrate --dry-run", "migrate --dry-run --format json"])
def test_a_dry_run_sends_nothing_and_prints_the_sql(project: Project, arguments: str) -> None:
    add_series(project)
    project.migrator().migrate(Version(1, 0, 0, 1))
    project.add(
        3,
        "create table t3 (a int);\ncopy t3 from stdin;\n1\n2\n\\.\n"
        "create index concurrently on t3 (a);\nselect 3 -- end",
    )
    before = contents(project)

    done = project.cli(*arguments.split())

    assert done.returncode == 0
    assert contents(project) == before
    assert project.versions() == [("v1.0.0-001", True)]
    shown = "\n".join(json.loads(done.stdout)["sql"]) if "json" in arguments else done.stdout
    assert "create table t1" not in shown
    assert "create table t2 (a int);" in shown
    assert "create table t3 (a int);\ncopy t3 from stdin;\n1\n2\n\\.\n" in shown
    assert "create index concurrently on t3 (a);" in shown
    assert "select 3 -- end\n;" in shown


def test_psql_runs_the_sql_of_a_dry_run(project: Project) -> None:
    project.add(
        1,
        "begin isolation level serializable;\ncreate table t (a int);\ncommit;\n"
        "copy t from stdin;\n1\n\\.\nvacuum t;\nselect 3 -- end",
    )
    sql = json.loads(project.cli("migrate", "--dry-run", "--format", "json").stdout)["sql"]

    done = project.server.psql(project.database, stdin="".join(sql))

    assert (done.returncode, done.stderr) == (0, "")
    assert project.query("select a from t") == [(1,)]


def test_a_dry_run_creates_no_tables(project: Project) -> None:
    add_series(project)

    project.cli("migrate", "--dry-run")

    assert contents(project) == []


def test_a_rehearsal_leaves_nothing(project: Project) -> None:
    add_series(project)
    project.migrator().migrate(Version(1, 0, 0, 1))
    before = contents(project)

    assert project.cli("validate", "--dry-run").returncode == 0

    assert contents(project) == before


def test_a_rehearsal_creates_no_history_table(project: Project) -> None:
    add_series(project)

    assert project.cli("validate", "--dry-run").returncode == 0

    assert project.value("select count(*) from pg_class where relname like 'migrations%'") == 0


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 1), ("n\n", 2, 2), ("\n", 2, 2)])
def test_rollback_prompts_on_a_terminal(project: Project, answer: str, code: int, left: int) -> None:
    add_series(project)
    project.migrator().migrate()

    exit_code, screen = on_terminal(project, "rollback", "--steps", "1", answer=answer)

    assert "Roll back?" in screen
    assert "v1.0.0-002" in screen
    assert exit_code == code
    assert len(project.versions()) == left


def test_rollback_without_a_terminal_needs_yes(project: Project) -> None:
    add_series(project)
    project.migrator().migrate()

    unasked = project.cli("rollback", "--steps", "1", stdin="y\n")

    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    assert len(project.versions()) == 2
    assert project.cli("rollback", "--steps", "1", "--yes").returncode == 0
    assert len(project.versions()) == 1


def test_repair_prompts_on_a_terminal(project: Project) -> None:
    add_series(project)
    project.migrator().migrate()
    project.add(1, "create table t1 (b int);")

    assert on_terminal(project, "repair", answer="n\n")[0] == 2
    assert project.cli("check").returncode == 3
    assert on_terminal(project, "repair", answer="y\n")[0] == 0
    assert project.cli("check").returncode == 0


def test_a_terminal_is_coloured(project: Project) -> None:
    add_series(project)

    code, screen = on_terminal(project, "migrate")

    assert code == 0
    assert ESCAPE in screen
    assert "✓" in screen


def test_text_from_the_server_cannot_control_the_terminal(project: Project) -> None:
    project.add(1, r"do $$ begin raise notice E'\x1b[2Jhi'; raise exception E'\x1b]0;gone\x07 \u202e'; end $$;")
    told = on_terminal(project, "migrate")[1]
    told += "".join(on_terminal(project, command)[1] for command in ("history", "validate", "info"))
    told += project.cli("history", "--format", "json").stdout
    assert r"\u001b[2Jhi" in told
    assert told.count(r"\u001b]0;gone\u0007 \u202e") >= 5
    assert not any(sequence in told for sequence in ("\x1b[2J", "\x1b]", "\x07", "\u202e"))


def test_the_configuration_may_set_the_output_format(project: Project) -> None:
    add_series(project)
    (project.root / "sqlmigrate.toml").write_text('format = "json"\nlog_level = "error"')
    ran = project.cli("migrate")
    assert (len(json.loads(ran.stdout)["steps"]), ran.stderr) == (2, "")
    assert project.cli("status", "--format", "text").stdout.startswith("VERSION")
    assert project.cli("status", SQLMIGRATE_FORMAT="text").stdout.startswith("VERSION")


@pytest.mark.parametrize("command", ["migrate", "status"])
def test_no_color_disables_colours(project: Project, command: str) -> None:
    add_series(project)

    _, screen = on_terminal(project, command, NO_COLOR="1")

    assert f"{ESCAPE}3" not in screen
    assert f"{ESCAPE}1m" not in screen


def test_a_long_migration_is_shown_while_it_runs(project: Project) -> None:
    project.add(1, "select pg_sleep(0.3);", name="slow")

    _, screen = on_terminal(project, "migrate")

    assert "… v1.0.0-001  slow" in screen
    assert "… v1.0.0-001  slow" not in project.cli("migrate").stderr


def test_a_pipe_gets_plain_text(project: Project) -> None:
    add_series(project)
    project.add(3, "select 1 / 0;")

    done = project.cli("migrate")

    assert ESCAPE not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ("migrate", "MigrationFailed"),
        ("migrate --target v9.0.0-001", "PlanRefused"),
        ("migrate --database-url host=/nowhere", "ConnectionFailed"),
        ("migrate --lock-wait 5", "ConfigurationError"),
        ("rollback --steps 1 --version 1.0.0-1", "ConfigurationError"),
    ],
)
def test_a_failure_is_shown_as_json(project: Project, arguments: str, kind: str) -> None:
    project.add(1, "select 1 / 0;")

    done = project.cli(*arguments.split(), "--format", "json")

    content = json.loads(done.stdout)
    assert content["version"] == 1
    assert content["error"]["kind"] == kind
    assert content["error"]["message"]
    assert done.returncode == (2 if kind == "ConfigurationError" else 1)


def test_stdout_contains_only_the_json(project: Project) -> None:
    add_series(project)

    done = project.cli("migrate", "--format", "json")

    assert [step["version"] for step in json.loads(done.stdout)["steps"]] == ["v1.0.0-001", "v1.0.0-002"]
    assert "✓ v1.0.0-001" in done.stderr


def test_notices_of_the_server_are_shown(project: Project) -> None:
    project.add(1, "do $$ begin raise notice 'hello'; raise warning 'careful'; end $$;")

    done = project.cli("migrate")

    assert "NOTICE: hello" in done.stderr
    assert "WARNING: careful" in done.stderr


CONFIG = """
dir = "sql"
history-table = "ops.done"
[environments.production]
history_table = "prod.done"
"""


@pytest.mark.parametrize(
    ("arguments", "environment", "schema"),
    [
        ((), {}, "ops"),
        (("--env", "production"), {}, "prod"),
        ((), {"SQLMIGRATE_ENV": "production"}, "prod"),
        (("--env", "production"), {"SQLMIGRATE_HISTORY_TABLE": "env.done"}, "env"),
        (("--history-table", "own.done"), {"SQLMIGRATE_HISTORY_TABLE": "env.done"}, "own"),
    ],
)
@pytest.mark.parametrize("name", ["sqlmigrate.toml", "pyproject.toml", "other.toml"])
def test_the_setting_with_the_highest_priority_wins(
    project: Project, name: str, arguments: tuple[str, ...], environment: dict[str, str], schema: str
) -> None:
    (project.root / "sql").mkdir()
    (project.root / "sql" / "V1.0.0-001__t.up.sql").write_text("create table t (a int);")
    text = CONFIG.replace("[environ", "[tool.sqlmigrate.environ") if name == "pyproject.toml" else CONFIG
    (project.root / name).write_text(f"[tool.sqlmigrate]\n{text}" if name == "pyproject.toml" else text)
    named = ("--config", name) if name == "other.toml" else ()

    done = project.cli("migrate", *named, *arguments, SQLMIGRATE_DIR="", **environment)

    assert done.returncode == 0, done.stderr
    assert project.value(f"select to_regclass('{schema}.done') is not null")


def test_an_unknown_key_is_an_error_with_a_suggestion(project: Project) -> None:
    (project.root / "sqlmigrate.toml").write_text('lock-timeuot = "5s"\n')

    done = project.cli("migrate")

    assert done.returncode == 2
    assert "sqlmigrate.toml: unknown setting 'lock-timeuot'" in done.stderr
    assert "did you mean lock_timeout?" in done.stderr.replace("lock-timeout", "lock_timeout")


def test_an_unknown_environment_is_an_error_that_lists_the_valid_names(project: Project) -> None:
    (project.root / "sqlmigrate.toml").write_text(CONFIG)

    done = project.cli("migrate", "--env", "prodction")

    assert done.returncode == 2
    assert "production" in done.stderr


def test_without_a_connection_setting_the_error_names_the_settings(project: Project) -> None:
    done = project.cli("migrate", DATABASE_URL="")

    assert done.returncode == 2
    for word in ("DATABASE_URL", "DB_HOST", "--database-url", "embedded:PATH"):
        assert word in done.stderr


def test_the_parts_of_a_connection_are_sufficient(project: Project) -> None:
    add_series(project)
    given = psycopg.conninfo.conninfo_to_dict(project.database)
    parts = {"DB_HOST": str(given["host"]), "DB_NAME": str(given["dbname"]), "DB_USER": str(given["user"])}

    assert project.cli("migrate", DATABASE_URL="", **parts).returncode == 0
    assert len(project.versions()) == 2


SECRET = "s3cr3t-of-mine"  # noqa: S105  # of nobody
UNREACHABLE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--database-url", f"postgresql://me:{SECRET}@{UNREACHABLE}/x"), {}),
        (("--database-url", f"postgresql://me:{SECRET}@[bad/x"), {}),
        (("--database-url", f"postgresql://me:{SECRET}@{UNREACHABLE}/x?nonsense=1"), {}),
        (("--database-url", f"host=127.0.0.1 port=1 password={SECRET} nonsense"), {}),
        (("--database-url", f"host=127.0.0.1 port=1 password='{SECRET}"), {}),
        (("--database-url", f"{SECRET}://"), {}),
        (("--db-host", "127.0.0.1", "--db-port", "1", "--db-password", SECRET), {"DATABASE_URL": ""}),
        (("--db-host", "127.0.0.1", "--db-port", "one"), {"DATABASE_URL": "", "DB_PASSWORD": SECRET}),
        ((), {"DATABASE_URL": f"postgresql://me:{SECRET}@{UNREACHABLE}/x"}),
        ((), {"DATABASE_URL": f"postgres://me:{SECRET}@{UNREACHABLE}:2:3/x"}),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "status --format json --log-level debug"])
def test_a_password_is_never_shown(
    project: Project, arguments: tuple[str, ...], environment: dict[str, str], command: str
) -> None:
    done = project.cli(*command.split(), *arguments, **environment)

    assert done.returncode in (1, 2)
    assert SECRET not in done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_correct_password_is_not_shown(project: Project) -> None:
    add_series(project, 1)
    project.add(2, "select 1 / 0;")

    done = project.cli("migrate", "--log-level", "debug", DB_PASSWORD=SECRET)

    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    assert project.value(f"select count(*) from migrations_log l where l::text like '%{SECRET}%'") == 0


@pytest.mark.parametrize("arguments", [("--version",), ("-V",)])
def test_version_is_printed(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sqlmigrate", *arguments], check=True, capture_output=True, text=True, cwd=ROOT
    )

    assert done.stdout == f"sqlmigrate {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "migrate",
        "status",
        "info",
        "check",
        "validate",
        "rollback",
        "baseline",
        "repair",
        "lock-status",
        "force-unlock",
    ],
)
def test_every_command_has_help(command: str) -> None:
    arguments = [*command.split(), "--help"]
    done = subprocess.run(
        [sys.executable, "-m", "sqlmigrate", *arguments], check=True, capture_output=True, text=True, cwd=ROOT
    )

    assert "Usage:" in done.stdout
    assert "Exit codes:" in done.stdout or "--database-url" in done.stdout


def sections(command: str) -> dict[str, set[str]]:
    """The options that a command's help has under each heading."""
    done = subprocess.run(
        [sys.executable, "-m", "sqlmigrate", command, "--help"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    found: dict[str, set[str]] = {}
    heading = ""
    for line in done.stdout.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            heading = line
            found[heading] = set()
        elif option := re.match(r"  (?:-\w, )?(--[\w-]+)", line):
            found[heading].add(option[1])
    return found


def test_commands_are_listed_under_headings_with_full_sentences() -> None:
    command = [sys.executable, "-m", "sqlmigrate", "--help"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    listed = said[said.index("Writing:") : said.index("Exit codes:")]
    assert re.findall(r"^(\w+):$", listed, re.MULTILINE) == ["Writing", "Running", "Inspecting", "Repairing", "Other"]
    assert sorted(re.findall(r"^  ([a-z-]+)  ", listed, re.MULTILINE)) == sorted(main.commands)
    assert "..." not in listed


def test_options_are_listed_under_headings() -> None:
    found = sections("rollback")

    assert [*found] == ["Options:", "Connection:", "Project:", "Run:", "Output:"]
    assert found["Options:"] == {"--version", "--steps", "--dry-run", "--plan", "--yes", "--help"}
    assert {"--database-url", "--history-table"} <= found["Connection:"]
    assert found["Project:"] == {"--dir", "--config", "--env", "--env-file"}
    assert {"--lock-wait", "--lock-retries", "--statement-timeout", "--backup", "--push"} <= found["Run:"]
    assert found["Output:"] == {"--format", "--log-level", "--log-format", "--log-file", "--quiet", "--verbose"}
    assert "--preset" in sections("validate")["Linting files:"]


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ("status", {"--timeout"}),
        ("approve", {"--lock-wait", "--timeout"}),
        ("cleanup", {"--lock-wait", "--timeout"}),
        ("validate", {"--lock-wait", "--lock-timeout", "--statement-timeout", "--timeout"}),
    ],
)
def test_a_command_has_only_options_that_affect_it(command: str, run: set[str]) -> None:
    assert sections(command)["Run:"] == run


def test_a_variable_may_set_an_option_that_the_command_lacks(project: Project) -> None:
    assert project.cli("status", "--lock-retries", "3").returncode == 2
    assert project.cli("status", SQLMIGRATE_LOCK_RETRIES="3").returncode == 0
    assert "'x' is not a number" in project.cli("status", SQLMIGRATE_LOCK_RETRIES="x").stderr
