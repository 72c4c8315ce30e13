"""A password is shown nowhere: every command, failing and not, with every way to give it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from urllib.parse import quote, urlencode

import click
import pytest
from psycopg.conninfo import conninfo_to_dict

from sqlmigrate import Migrator, load_settings
from sqlmigrate.cli import main
from sqlmigrate.config.options import RUNS
from tests.polling import LIMIT
from tests.project import Project
from tests.servers import OwnServer, Server, execute, local

# Whatever is done to what stands between them, pieces that are shown are found.

pytestmark = [pytest.mark.anywhere, pytest.mark.slow]

PIECES = tuple(secrets.token_hex(6) for _ in range(3))
SECRET = f"{PIECES[0]}@:/'%41{PIECES[1]}\" é\\#?{PIECES[2]}"

# In an order in which each has something to do.
COMMANDS = {
    "plan": "plan --out plan.json --html plan.html",
    "approve": "approve plan.json --yes",
    "rehearse": "rehearse --on target --yes",
    "stats": "stats --out stats.json",
    "migrate": "migrate --plan plan.json --backup backups",
    "status": "status",
    "info": "info",
    "check": "check",
    "drift": "drift",
    "validate": "validate --dry-run",
    "history": "history",
    "metrics": "metrics --textfile metrics.prom",
    "lock-status": "lock-status",
    "force-unlock": "force-unlock --yes",
    "redo": "redo --yes --backup backups",
    "rollback": "rollback --steps 1 --yes --backup backups",
    "baseline": "baseline --version v1.0.0-002",
    "repair": "repair --yes",
    "renumber": "renumber --yes",
    "cleanup": "cleanup --keep-days 1",
}

# These know no database, but its password may stand in the environment; how they work, and how they fail.
OFFLINE = {
    "init": ("init elsewhere", "init /proc/nowhere"),
    "generate": ("generate add_orders", "generate"),
    "rules": ("rules", "rules nothing"),
    "embedded": ("embedded --database-url embedded:data status", "embedded status"),
    "completion": ("completion bash", "completion tcsh"),
}


def test_every_command_has_a_row() -> None:
    assert isinstance(main, click.Group)
    assert set(COMMANDS) | set(OFFLINE) == set(main.commands)


@pytest.fixture(scope="module")
def guarded(server: Server) -> Iterator[OwnServer]:
    """A server that asks the role `app` for its password."""
    with local(server.bin) as own:
        doubled = SECRET.replace("'", "''")
        execute(own.conninfo, f"create role app login createdb password '{doubled}'", "create role other login")
        rules = "local all postgres trust\nlocal all all scram-sha-256\n"
        (own.directory / "data" / "pg_hba.conf").write_text(rules)
        execute(own.conninfo, "select pg_reload_conf()")
        yield own


@dataclass
class Watched:
    """A project whose database wants the password, and what was seen of its processes."""

    project: Project
    way: str
    seen: list[str] = field(default_factory=list)

    def run(self, command: str, **environment: str) -> int:
        """Runs a command with the password, and looks for it in all that comes of it."""
        arguments, given = self.given(**environment)
        turn = len(self.seen) + WAYS.index(self.way)
        arguments += ["--log-file", f"{turn}.log", "--log-level", "debug", "--log-format", ("text", "json")[turn % 2]]
        words = command.split()
        words += arguments if words[0] in COMMANDS else []
        given = {"SQLMIGRATE_FORMAT": ("json", "text")[turn % 2], **given}
        code, output = self._watched(words, given) if self._has_processes(words[0]) else self._output(words, given)
        self.seen.append(f"{command}: {output}")
        assert "Traceback" not in output
        return code

    def _has_processes(self, command: str) -> bool:
        """Whether the password is in the list of processes, or the command starts programs."""
        return self.way in ("option", "command") or command in RUNS

    def _watched(self, words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        process = self.project.start(*words, **environment)
        with watching(process, self):
            stdout, stderr = process.communicate(timeout=LIMIT)
        return process.returncode, stdout + stderr

    def _output(self, words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        done = self.project.cli(*words, **environment)
        return done.returncode, done.stdout + done.stderr

    def given(self, user: str = "app", **elsewhere: str) -> tuple[list[str], dict[str, str]]:
        """The arguments and the environment that give the password in this way."""
        place = {**conninfo_to_dict(self.project.database), **elsewhere}
        place.pop("user")
        at = f"/{place.pop('dbname')}?{urlencode(place)}"
        outside = str(self.project.root.parent / f"{self.project.root.name}-secret")
        plain = {"DATABASE_URL": f"postgresql://{user}@{at}", "HOME": str(self.project.root)}
        match self.way:
            case "url":
                return [], plain | {"DATABASE_URL": f"postgresql://{user}:{quote(SECRET, safe='')}@{at}"}
            case "environment":
                return [], plain | {"DB_PASSWORD": SECRET}
            case "option":
                return ["--db-password", SECRET], plain
            case "file":
                Path(outside).write_text(f"{SECRET}\n")
                return [], plain | {"DB_PASSWORD_FILE": outside}
            case "pgpass":
                escaped = SECRET.replace("\\", "\\\\").replace(":", "\\:")
                Path(outside).write_text(f"*:*:*:*:{escaped}\n")
                Path(outside).chmod(0o600)
                return [], plain | {"PGPASSFILE": outside}
            case _:
                Path(outside).write_text(f"{SECRET}\n")
                self.configure(f'password_command = ["cat", "{outside}"]')
                return [], plain

    def configure(self, text: str = "") -> None:
        recorder = "env >> notified; cat >> notified"
        notify = f"notify_command = {json.dumps(['sh', '-c', recorder])}\n"
        (self.project.root / "sqlmigrate.toml").write_text(f"{notify}{text}\n")

    def leaks(self) -> list[str]:
        """Where a piece of the password was seen."""
        files = [path for path in self.project.root.rglob("*") if path.is_file()]
        log = ["".join(map(str, row)) for row in self.project.query("select l::text from migrations_log l")]
        texts = [*self.seen, *log, *(f"{path}: {path.read_bytes().decode(errors='replace')}" for path in files)]
        return [text for text in texts if any(piece in text for piece in PIECES)]


class watching:  # noqa: N801  # read as a word of a sentence
    """Reads the list of processes, and the environment of those that the command starts, for as long as it runs."""

    def __init__(self, process: subprocess.Popen[str], watched: Watched) -> None:
        self._process, self._watched = process, watched
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            for directory in Path("/proc").glob("[0-9]*"):
                self._look_at(directory)

    def _look_at(self, directory: Path) -> None:
        try:
            arguments = (directory / "cmdline").read_bytes().decode(errors="replace")
            parent = (directory / "stat").read_text().rpartition(")")[2].split()[1]
            itself = (
                arguments.split("\0")[:-1] == self._process.args
            )  # or what it forked, before that is another program
            started = parent == str(self._process.pid) and not itself
            environment = (directory / "environ").read_bytes().decode(errors="replace") if started else ""
        except OSError:  # it has ended
            return
        shown = environment if itself and self._watched.way == "option" else arguments + environment
        if any(piece in shown for piece in PIECES):
            self._watched.seen.append(f"process {shown}")


WAYS = ("url", "environment", "option", "file", "pgpass", "command")


@pytest.fixture(params=WAYS)
def watched(request: pytest.FixtureRequest, guarded: OwnServer, tmp_path: Path) -> Iterator[Watched]:
    root = tmp_path / "project"
    (root / "migrations").mkdir(parents=True)
    name = f"app_{request.param}"
    execute(guarded.conninfo, f"create database {name} owner app")
    project = Project(guarded, guarded.database(name), root)
    project.add(1, "create table t1 (a int);", "drop table t1;")
    project.add(2, "create table t2 (a int);", "drop table t2;")
    watched = Watched(project, request.param)
    watched.configure()
    yield watched
    execute(guarded.conninfo, f"drop database {name} with (force)")


@pytest.fixture
def recorded(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts in pg_dump's place what writes its environment and its arguments down, and then is pg_dump."""
    programs = watched.project.root / "programs"
    programs.mkdir()
    for name in ("pg_dump", "pg_restore"):
        real = shlex.quote(str(watched.project.server.bin / name))
        children = shlex.quote(str(watched.project.root / "children"))
        (programs / name).write_text(f'#!/bin/sh\n(env; echo "$@") >> {children}\nexec {real} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


def test_no_successful_command_shows_the_password(watched: Watched, recorded: None) -> None:
    for command in COMMANDS.values():
        if command.startswith("repair"):
            watched.project.add(1, "-- changed\ncreate table t1 (a int);")
        assert watched.run(command) in (0, 3), watched.seen[-1]
    for command, _ in OFFLINE.values():
        assert watched.run(command) == 0, watched.seen[-1]

    assert watched.leaks() == []
    root = watched.project.root
    assert {path.name for path in root.iterdir()} >= {"backups", "children", "notified", "plan.html", "metrics.prom"}
    assert "PATH=" in (root / "children").read_text()
    assert "PATH=" in (root / "notified").read_text()


INVALID = {"port": "one"}
NO_CONNECTION = ({"user": "other"}, {"dbname": "nowhere"}, {"host": "127.0.0.1", "port": "1"}, INVALID)


def test_no_failed_command_shows_the_password(watched: Watched) -> None:
    project, failures = watched.project, cycle(NO_CONNECTION)
    assert watched.run("plan --out plan.json") == 0
    for command in list(COMMANDS.values())[WAYS.index(watched.way) % 3 :: 3]:
        failure = next(failures)
        assert watched.run(command, **failure) == (2 if failure == INVALID else 1), watched.seen[-1]
    for _, command in OFFLINE.values():
        assert watched.run(command) in (1, 2), watched.seen[-1]
    for text in ("select 1 / 0;", "select pg_terminate_backend(pg_backend_pid());", b"\xff"):
        project.add(3, text)
        assert watched.run("migrate") == 1, watched.seen[-1]

    assert watched.leaks() == []


@pytest.mark.parametrize("watched", ["environment"], indirect=True)
def test_the_search_for_the_password_finds_it(watched: Watched) -> None:
    (watched.project.root / "leak").write_text(quote(SECRET))
    assert watched.run("migrate") == 0
    assert len(watched.leaks()) == 1


def test_a_run_continues_after_the_password_file_was_removed(project: Project, tmp_path: Path) -> None:
    """The connection that looks who blocks us is opened later than the one that works."""
    path = tmp_path / "password"
    path.write_text("of nobody")
    project.add(1, "select pg_sleep(1);")
    given = {"database_url": project.database, "dir": (str(project.directory),), "db_password_file": str(path)}
    Migrator(load_settings(given, {}), lambda _: path.unlink(missing_ok=True)).migrate()
    assert not path.exists()
    assert len(project.versions()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('db_password_file = "none"', 'could not read password file "none": No such file or directory'),
        ('password_command = ["sh", "-c", "echo of-nobody; echo locked >&2; exit 3"]', '"sh" failed with exit code 3'),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "status --format json"])
def test_an_unavailable_password_exits_with_2(project: Project, command: str, settings: str, message: str) -> None:
    (project.root / "sqlmigrate.toml").write_text(settings)
    done = project.cli(*command.split())
    assert done.returncode == 2
    assert message in done.stderr
    assert "of-nobody" not in done.stdout + done.stderr
    assert ("its error output: locked" in done.stderr) == ("locked" in settings)


@pytest.mark.parametrize("name", ["DATABASE_URL", "DB_PASSWORD", "DB_NAME"])
def test_an_error_does_not_show_a_setting_that_is_not_utf_8(project: Project, name: str) -> None:
    done = project.cli("status", **{name: os.fsdecode(b"of-nobody\xe9")})
    assert done.returncode == 2
    assert "not valid UTF-8" in done.stderr
    assert "of-nobody" not in done.stdout + done.stderr
