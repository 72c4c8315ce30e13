"""SIGTERM, SIGINT and the time limit: the run is cancelled, rolled back, unlocked and recorded."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from sqlmigrate.cli import main
from tests.faults.mix import MIGRATE, Ordeal
from tests.faults.waiting import backends, ended, running, until_asleep
from tests.project import Project
from tests.servers import ROOT

both = pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])


def failures(project: Project) -> list[tuple[str, str]]:
    return project.query("select version, error_msg from migrations_log where outcome = 'failure'")


def assert_nothing_is_left(project: Project) -> None:
    assert backends(project) == []
    assert project.migrator().lock_holder() is None
    assert project.value("select to_regclass('b') is null")


@both
def test_a_signal_ends_a_long_statement(project: Project, number: signal.Signals, code: int) -> None:
    project.add(1, "create table a (id int)")
    project.add(2, "create table b (id int); select pg_sleep(3600)")
    with running(project, "migrate") as process:
        until_asleep(project)
        process.send_signal(number)
        stderr = ended(process)

    assert process.returncode == code
    assert "v1.0.0-002 failed: interrupted by SIG" in stderr
    assert "applied before the failure: v1.0.0-001" in stderr
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", False)]
    assert failures(project) == [("v1.0.0-002", f"interrupted by {number.name}")]
    assert_nothing_is_left(project)


@both
def test_a_signal_ends_a_statement_outside_a_transaction(project: Project, number: signal.Signals, code: int) -> None:
    project.add(
        1,
        "create table a (id int);"
        "create procedure nap() language plpgsql as $$ begin commit; perform pg_sleep(3600); end $$",
    )
    project.add(2, "insert into a values (1); call nap(); create table b (id int)")
    with running(project, "migrate") as process:
        until_asleep(project)
        process.send_signal(number)
        stderr = ended(process)

    assert process.returncode == code
    assert "1 of 3 statements are committed, the next statement may be; a rerun checks the catalog" in stderr
    assert failures(project) == [("v1.0.0-002", f"interrupted by {number.name}")]
    assert_nothing_is_left(project)


def test_the_timeout_ends_the_run_and_reports_what_was_applied(project: Project) -> None:
    project.add(1, "create table a (id int)")
    project.add(2, "create table b (id int); select pg_sleep(3600)")

    with running(project, "migrate", "--timeout", "1h") as process:
        until_asleep(project)
        process.send_signal(signal.SIGALRM)  # as its timer does after the hour
        stderr = ended(process)

    assert process.returncode == 1
    assert "the run took longer than 3600 s" in stderr
    assert "applied before the failure: v1.0.0-001" in stderr
    assert project.versions() == [("v1.0.0-001", True), ("v1.0.0-002", False)]
    assert failures(project) == [("v1.0.0-002", "the run took longer than 3600 s")]
    assert_nothing_is_left(project)


def test_a_run_that_waits_for_the_lock_obeys_a_signal(project: Project) -> None:
    project.add(1, "select pg_sleep(3600)")
    with running(project, "migrate"):
        until_asleep(project)
        with running(project, "migrate") as waiter:
            assert waiter.stderr is not None
            assert "waiting for the migration lock" in waiter.stderr.readline()
            waiter.terminate()
            ended(waiter)

    assert waiter.returncode == 143


# Python up to 3.11 wraps an exception that is raised during a class statement, and modules are imported during a run.
IN_A_CLASS = """
import functools, os, signal
set_name = functools.cached_property.__set_name__
def kill_in_class(self, owner, name):
    set_name(self, owner, name)
    if owner.__name__ == "History":
        os.kill(os.getpid(), signal.SIGTERM)
functools.cached_property.__set_name__ = kill_in_class
"""
# psycopg tries one implementation after the other, and ignores every exception of the first ones.
IN_AN_IMPORT = """
import os, signal, sys
class Killer:
    def find_spec(self, name, path=None, target=None):
        if name == "psycopg_binary":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Killer())
"""


@pytest.mark.parametrize("program", [IN_A_CLASS, IN_AN_IMPORT])
def test_a_signal_during_an_import_is_not_an_internal_error(project: Project, program: str) -> None:
    (project.root / "sitecustomize.py").write_text(program)
    project.add(1, "create table a (id int)")

    run = project.cli("migrate", PYTHONPATH=f"{project.root}:{ROOT}")

    assert (run.returncode, run.stderr.splitlines()[-1]) == (143, "error: interrupted by SIGTERM")
    assert_nothing_is_left(project)


# A signal at the import of the module that `STRIKE` names.
AT_AN_IMPORT = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` ignores it
class Killer:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["STRIKE"]:
            os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
sys.meta_path.insert(0, Killer())
"""
COMMANDS = {
    "migrate": ("migrate",),
    "rollback": ("rollback", "--steps", "1", "--yes"),
    "redo": ("redo", "--yes"),
    "embedded": ("embedded", "status"),
    "plan": ("plan",),
    "rehearse": ("rehearse", "--on", "target", "--yes"),
    "stats": ("stats",),
    "drift": ("drift",),
    "approve": ("approve", "plan.json", "--yes"),
    "status": ("status",),
    "info": ("info", "v1.0.0-001"),
    "check": ("check",),
    "validate": ("validate",),
    "history": ("history",),
    "lock-status": ("lock-status",),
    "metrics": ("metrics",),
    "baseline": ("baseline", "--version", "v1.0.0-001"),
    "repair": ("repair", "--yes"),
    "cleanup": ("cleanup", "--keep-days", "30"),
    "force-unlock": ("force-unlock", "--yes"),
    "renumber": ("renumber", "--yes"),
    "init": ("init", "new"),
    "generate": ("generate", "step"),
    "rules": ("rules",),
    "completion": ("completion", "bash"),
}
IMPORTS = {
    **dict.fromkeys(COMMANDS, ("sqlmigrate.config.settings", "psycopg_binary")),
    "init": ("sqlmigrate.config.settings", "sqlmigrate.authoring.scaffold"),
    "generate": ("sqlmigrate.config.settings", "sqlmigrate.authoring.generator", "jinja2"),
    "rules": ("sqlmigrate.lint.rules", "sqlmigrate.render.text"),
    "completion": ("click.shell_completion",),
    "embedded": ("sqlmigrate.config.settings", "sqlmigrate.server.embedded"),
}


def test_every_command_is_interrupted_by_a_test() -> None:
    assert set(COMMANDS) == set(main.commands)


MOMENTS = [(name, module, "SIGTERM", 143) for name, modules in IMPORTS.items() for module in modules]


@pytest.mark.parametrize(
    ("name", "module", "number", "code"),
    [*MOMENTS, ("migrate", "psycopg", "SIGINT", 130), ("rules", "sqlmigrate.lint.rules", "SIGHUP", 129)],
)
def test_a_signal_during_an_import_ends_every_command_in_the_same_way(
    project: Project, name: str, module: str, number: str, code: int
) -> None:
    project.add(1, "create table a (id int)", "drop table a")
    if name == "approve":
        project.cli("plan", "--out", "plan.json")
    (project.root / "sitecustomize.py").write_text(AT_AN_IMPORT)
    strike = {"STRIKE": module, "SIGNAL": number, "PYTHONPATH": f"{project.root}:{ROOT}"}

    run = project.cli(*COMMANDS[name], **strike)

    assert (run.returncode, run.stderr.splitlines()) == (code, [f"error: interrupted by {number}"])


def test_a_signal_during_an_import_before_the_run_is_the_result_in_json(project: Project) -> None:
    (project.root / "sitecustomize.py").write_text(AT_AN_IMPORT)

    run = project.cli(
        "status", "--format", "json", STRIKE="psycopg", SIGNAL="SIGTERM", PYTHONPATH=f"{project.root}:{ROOT}"
    )

    assert json.loads(run.stdout)["error"]["message"] == "interrupted by SIGTERM"


# psycopg logs every exception of a notice's callback, and libpq's own callback ignores even a BaseException.
IN_A_NOTICE = """
import os, signal, sys
def kill_in_notice(frame, event, argument):
    if frame.f_code.co_qualname == "Connection._notice_handler" and b"hear" in frame.f_locals["notice"].error_message:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGTERM)
sys.setprofile(kill_in_notice)
"""
# Many libraries catch Exception.
IN_A_TEMPLATE = """
import os, signal, sys
def kill_in_template(frame, event, argument):
    if frame.f_code.co_filename.endswith("lonely.up.sql.j2"):
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGTERM)
sys.setprofile(kill_in_template)
"""


def test_a_signal_in_the_callback_of_a_notice_ends_the_run(project: Project) -> None:
    (project.root / "sitecustomize.py").write_text(IN_A_NOTICE)
    project.add(1, "do $$ begin raise notice 'hear'; end $$; select pg_sleep(120)")

    run = project.cli("migrate", PYTHONPATH=f"{project.root}:{ROOT}")

    assert run.returncode == 143
    assert "v1.0.0-001 failed: interrupted by SIGTERM" in run.stderr


def test_a_signal_in_a_template_is_not_an_error_of_the_template(project: Project) -> None:
    (project.root / "sitecustomize.py").write_text(IN_A_TEMPLATE)
    project.write("templates/lonely.up.sql.j2", "select {{ range(3) | list }};")

    run = project.cli("generate", "step", "--template", "lonely", PYTHONPATH=f"{project.root}:{ROOT}")

    assert (run.returncode, run.stderr) == (143, "error: interrupted by SIGTERM\n")


def terminate(_: Project, process: subprocess.Popen[str]) -> None:
    process.terminate()


@pytest.mark.parametrize("times", [3, pytest.param(50, marks=pytest.mark.long)])
def test_migrate_survives_sigterm_at_random_moments(mixed: Project, times: int) -> None:
    Ordeal(mixed, MIGRATE, terminate, [143, -signal.SIGTERM]).endure(times, seed=3)


def test_a_signal_ends_a_copy_that_the_server_takes_slowly(project: Project) -> None:
    project.query(
        "create table a (id int, note text)",
        "create function nap() returns trigger language plpgsql as $$ begin perform pg_sleep(3600); return new; end $$",
        "create trigger nap before insert on a for each row execute function nap()",
    )
    rows = "".join(f"{n}\t{'x' * 1000}\n" for n in range(10_000))
    project.add(1, f"create table b ();\ncopy a from stdin;\n{rows}\\.\n")
    with running(project, "migrate") as process:
        until_asleep(project)
        process.terminate()
        stderr = ended(process)

    assert process.returncode == 143
    assert "v1.0.0-001 failed: interrupted by SIGTERM" in stderr
    assert failures(project) == [("v1.0.0-001", "interrupted by SIGTERM")]
    assert_nothing_is_left(project)
