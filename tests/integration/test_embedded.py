"""The embedded server: kept running, stopped, used by several commands, killed, and another user's."""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.polling import until
from tests.servers import quick

pytestmark = pytest.mark.slow


class Place:
    """A directory with migrations, whose database is an embedded server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        (root / "migrations").mkdir()
        (root / "migrations" / "V1.0.0-001__t.up.sql").write_text("create table t (a int);")

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SQLMIGRATE_", "PG", "DB_"))}
        return kept | {"DATABASE_URL": f"embedded:{self.data}"}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sqlmigrate", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env=self.environment | more,
        )

    def run(self, *arguments: str, stdin: str = "", code: int = 0, **more: str) -> str:
        process = self.start(*arguments, **more)
        stdout, stderr = process.communicate(stdin, timeout=120)
        assert process.returncode == code, stdout + stderr
        assert "Traceback" not in stderr
        return stdout + stderr

    def pid(self) -> int:
        """The PID of the server, 0 if it does not run."""
        state = json.loads(self.run("embedded", "status", "--format", "json"))["embedded"]
        return int(state["pid"] or 0)


@pytest.fixture
def place() -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="sqlmigrate-embedded-", dir=quick()))
    root.chmod(0o755)
    found = Place(root)
    yield found
    found.start("embedded", "stop").communicate(timeout=60)
    shutil.rmtree(root)


def test_a_started_server_keeps_running_after_each_command_until_it_is_stopped(place: Place) -> None:
    started = place.run("embedded", "start")
    assert "until `sqlmigrate embedded stop`" in started
    pid = place.pid()
    assert pid

    assert "1 migration applied" in place.run("migrate")
    assert "1 applied" in place.run("status")
    assert place.pid() == pid
    assert place.run("embedded", "start").splitlines()[0] == started.splitlines()[0]

    assert "was stopped" in place.run("embedded", "stop")
    assert not lives(pid)
    assert "is not running" in place.run("embedded", "status")
    assert "was not running" in place.run("embedded", "stop")

    place.run("status")
    assert place.pid() == 0


def test_a_server_keeps_running_by_the_setting(place: Place) -> None:
    (place.root / "sqlmigrate.toml").write_text("keep_running = true\n")
    place.run("migrate")
    pid = place.pid()
    assert pid
    place.run("status")
    assert place.pid() == pid
    assert "was stopped" in place.run("embedded", "stop")


@pytest.mark.parametrize(("options", "variable"), [(["--keep-running"], ""), ([], "true")])
def test_a_server_keeps_running_by_the_option(place: Place, options: list[str], variable: str) -> None:
    place.run("migrate", *options, SQLMIGRATE_KEEP_RUNNING=variable)
    pid = place.pid()
    assert pid
    place.run("status")
    assert place.pid() == pid
    assert "was stopped" in place.run("embedded", "stop")


def test_the_option_is_stronger_than_the_file(place: Place) -> None:
    (place.root / "sqlmigrate.toml").write_text("keep_running = false\n")
    place.run("status", "--keep-running")
    assert place.pid()
    assert "was stopped" in place.run("embedded", "stop")


def test_the_status_starts_nothing_and_creates_nothing(place: Place) -> None:
    assert "is not running" in place.run("embedded", "status")
    assert not place.data.exists()


def test_a_server_can_be_connected_to_by_the_url_that_is_shown(place: Place) -> None:
    place.run("embedded", "start")
    url = json.loads(place.run("embedded", "status", "--format", "json"))["embedded"]["url"]
    with psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_psql_gets_its_arguments_and_its_exit_code_is_returned(place: Place) -> None:
    assert place.run("embedded", "psql", "-XAtc", "select 40 + 2") == "42\n"
    assert place.run("embedded", "psql", "--", "-XAtc", "select 40 + 2") == "42\n"
    assert place.run("embedded", "psql", "-XAt", stdin="select 'from stdin';") == "from stdin\n"
    assert "psql is the PostgreSQL interactive terminal" in place.run("embedded", "psql", "--help")
    assert 'relation "nothing" does not exist' in place.run(
        "embedded", "psql", "-v", "ON_ERROR_STOP=1", "-Xc", "select * from nothing", code=1
    )
    assert place.pid() == 0


def test_psql_leaves_a_kept_server_running(place: Place) -> None:
    place.run("embedded", "start")
    pid = place.pid()
    place.run("embedded", "psql", "-Xc", "select 1")
    assert place.pid() == pid


@pytest.mark.parametrize("arguments", [("stop", "now"), ("status", "x")])
def test_other_actions_take_no_arguments(place: Place, arguments: tuple[str, ...]) -> None:
    assert "takes no arguments" in place.run("embedded", *arguments, code=2)


@pytest.mark.parametrize("url", ["", "postgresql://localhost/x", "embedded:"])
def test_another_database_is_refused(place: Place, url: str) -> None:
    assert "no embedded server is configured" in place.run("embedded", "start", code=2, DATABASE_URL=url)


def test_commands_at_once_share_the_server_and_the_last_one_stops_it(place: Place) -> None:
    processes = [place.start("migrate") for _ in range(3)]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    assert sum("1 migration applied" in stdout for stdout, _ in ended) == 1
    assert place.pid() == 0


def test_starts_at_once_start_one_server(place: Place) -> None:
    processes = [place.start("embedded", "start", "--format", "json") for _ in range(3)]
    ended = [process.communicate(timeout=120)[0] for process in processes]
    assert len({json.loads(stdout)["embedded"]["pid"] for stdout in ended}) == 1


def test_a_server_that_is_kept_while_a_command_runs_outlives_that_command(place: Place) -> None:
    (place.root / "migrations" / "V1.0.0-002__slow.up.sql").write_text("select pg_sleep(30);")
    slow = place.start("migrate")
    until(lambda: place.pid() != 0)
    place.run("embedded", "start")
    pid = place.pid()
    slow.send_signal(signal.SIGINT)
    slow.communicate(timeout=60)
    assert place.pid() == pid


@pytest.fixture
def reaper() -> Iterator[None]:
    """Makes this process the parent of the processes whose own parent ends."""
    libc, set_child_subreaper = ctypes.CDLL(None), 36
    libc.prctl(set_child_subreaper, 1)
    yield
    libc.prctl(set_child_subreaper, 0)


@pytest.mark.usefixtures("reaper")
def test_a_killed_server_is_started_again(place: Place) -> None:
    place.run("embedded", "start")
    place.run("migrate")
    pid = place.pid()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)  # PostgreSQL takes a process that nobody has waited for as a running one

    assert "is not running" in place.run("embedded", "status")
    assert "1 applied" in place.run("status")
    assert place.pid() not in (0, pid)


@pytest.mark.usefixtures("reaper")
def test_a_killed_server_that_nobody_waits_for_is_started_again(place: Place) -> None:
    place.run("embedded", "start")
    pid = place.pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not lives(pid))

    place.run("embedded", "start")
    assert place.pid() not in (0, pid)
    os.waitpid(pid, 0)


def test_a_killed_command_does_not_keep_the_server_running(place: Place) -> None:
    (place.root / "migrations" / "V1.0.0-002__slow.up.sql").write_text("select pg_sleep(30);")
    slow = place.start("migrate")
    until(lambda: place.pid() != 0)
    slow.kill()
    slow.communicate(timeout=60)

    place.run("lock-status")

    assert place.pid() == 0


def test_a_pid_file_with_the_number_of_another_program_is_removed(place: Place) -> None:
    place.run("migrate")
    other = subprocess.Popen(["sleep", "600"])
    try:
        lines = [str(other.pid), str(place.data), "1700000000", "5432", str(place.data), "", "1 2", "ready   "]
        (place.data / "postmaster.pid").write_text("\n".join(lines) + "\n")
        assert "is not running" in place.run("embedded", "status")
        assert "was not running" in place.run("embedded", "stop")
        assert "1 applied" in place.run("status")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("text", ["", "999999999\n", "999999999\n/x\n1\n5432\n/x\n\n1 2\nready\n"])
def test_an_incomplete_or_stale_pid_file_is_replaced(place: Place, text: str) -> None:
    place.run("migrate")
    (place.data / "postmaster.pid").write_text(text)
    assert "is not running" in place.run("embedded", "status")
    assert "1 applied" in place.run("status")


@pytest.mark.parametrize("action", ["start", "stop", "status", "psql"])
def test_another_users_directory_is_refused_and_left_as_it_is(place: Place, action: str) -> None:
    place.data.mkdir()
    (place.data / "PG_VERSION").write_text("18\n")
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(place.data, nobody, -1)
    assert "belongs to another user" in place.run("embedded", action, code=2)
    assert place.data.stat().st_uid == nobody
    shutil.rmtree(place.data)


def lives(pid: int) -> bool:
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    return bool(status) and not status.startswith("Z")


@pytest.mark.parametrize("name", ["My Project", "it's (new)", "50% & more #1", "数据 库", "a\tb;c"])
def test_the_directory_may_have_any_name(place: Place, name: str) -> None:
    place.data = place.root / name / "data"

    assert "1 migration applied" in place.run("migrate")
    assert "is running" not in place.run("embedded", "status")
    place.run("embedded", "start")
    assert place.run("embedded", "psql", "-Atc", "select count(*) from t").strip() == "0"
    assert "was stopped" in place.run("embedded", "stop")


@pytest.mark.parametrize("name", ["$HOME", "`id`", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_pg_ctl_would_misread_is_refused(place: Place, name: str) -> None:
    place.data = place.root / name

    assert "cannot contain" in place.run("status", code=2)
    assert not place.data.exists()


def test_the_home_directory_may_be_written_as_a_tilde(place: Place) -> None:
    place.data = Path("~/data")

    assert "1 migration applied" in place.run("migrate", HOME=str(place.root))
    place.run("embedded", "start", HOME=str(place.root))
    assert f"host={place.root}/data" in place.run("embedded", "status", HOME=str(place.root))
    place.run("embedded", "stop", HOME=str(place.root))
    assert not (place.root / "~").exists()


def test_a_directory_with_other_files_is_named(place: Place) -> None:
    place.data = place.root / "migrations"

    shown = place.run("status", code=1)

    assert f'could not start the embedded PostgreSQL server in "{place.data}"' in shown
    assert "the directory is not empty" in shown
    assert "Command '" not in shown


def test_the_message_of_a_server_that_does_not_start_is_shown(place: Place) -> None:
    place.run("status")
    with open(place.data / "postgresql.conf", "a") as file:
        file.write("no_such_setting = 1\n")

    shown = place.run("status", code=1)

    assert 'postgresql.conf" contains errors' in shown
    assert str(place.data / "log") in shown
    assert "Failed postgres command" not in shown
