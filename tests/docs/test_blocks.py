"""Every code block of the documentation: commands are run, and print what stands there; the rest is at least read."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

from sqlmigrate import load_settings
from sqlmigrate.lint import settings as lint_settings
from sqlmigrate.sql import parser
from tests.docs.pages import PAGES, Block, Command, blocks, commands
from tests.servers import ROOT, Server, execute

pytestmark = pytest.mark.anywhere

BLOCKS = [block for page in PAGES for block in blocks(page)]
# What other programs or a network are needed for; each says which. One more is to be thought about.
NOT_RUN = 2

VARIABLE = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z|[+-]\d\d:\d\d)?", "TIME"),
    (r"\d{8}T\d{6}\.\d{3}Z", "TIME"),
    (r"\b[\d.]+ (ms|s|min)\b", "DURATION"),
    (r"(?<=duration_ms[=:])\d+|(?<=duration_ms\": )\d+", "NUMBER"),
    (r"\b[0-9a-f]{12,64}\b", "ID"),
    (r"(?<=pid[ =])\d+", "NUMBER"),
    (r"[\d,]+ bytes", "SIZE"),
    (r"\S+ \(\S+@\S+\)", "WHO"),
    (r"[ \t]+", " "),
)


class Shell:
    """One bash for all commands of a page."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.directory = directory
        # Coverage is measured elsewhere; in each of these commands it would take longer than the command.
        left_out = ("SQLMIGRATE_", "PG", "DB_", "COVERAGE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        own = {
            "DATABASE_URL": server.database("app"),
            "HOME": str(directory),
            "PATH": f"{Path(sys.executable).parent}:{server.bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "REPOSITORY": str(ROOT),
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=kept | own,
        )

    def run(self, command: str) -> tuple[int, str]:
        """A command's exit code, and all that it prints."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{{ {self.here(command)}\n}} </dev/null\nprintf '\\n@@ %s\\n' $?\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        while not (end := re.fullmatch(r"@@ (\d+)\n", line := self._bash.stdout.readline())):
            assert line, f"bash ended in: {command}"
            lines.append(line)
        return int(end[1]), "".join(lines).replace(str(self.directory), "").rstrip("\n")

    def here(self, text: str) -> str:
        """The text with paths of the host turned into paths of the page's directory."""
        return re.sub(r"(?<![\w.~/$-])/(?=(?:var|run)/)", f"{self.directory}/", text)

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(text))

    def close(self) -> None:
        self._bash.communicate("")


@pytest.fixture
def shell(server: Server) -> Iterator[Shell]:
    """A shell in an empty directory, with an empty database called `app`."""
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-docs-"))
    execute(server.conninfo, "drop database if exists app with (force)", "create database app")
    opened = Shell(directory, server)
    yield opened
    opened.close()
    with contextlib.suppress(OSError):  # an embedded server that stops just now
        shutil.rmtree(directory)
    execute(server.conninfo, "drop database app with (force)")


def is_run(block: Block) -> bool:
    return block.language in ("console", "begin") and not block.note.startswith(("not run, ", "run by "))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(is_run, blocks(page)))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_page_does_what_it_says(page: Path, shell: Shell) -> None:
    for block in blocks(page):
        if block.title:
            shell.write(block.title, block.text)
        elif block.language == "begin":
            code, said = shell.run(block.text)
            assert code == 0, f"{block}: {said}"
        elif is_run(block):
            run(shell, block)


def run(shell: Shell, block: Block) -> None:
    found = list(commands(block))
    assert found, f"{block}: no command"
    expected = int(block.note.removeprefix("exit ") or 0)
    for command in found:
        code, said = shell.run(command.text)
        assert code == (expected if command is found[-1] else 0), f"{block}: $ {command.text}\n{said}"
        assert prints(command, said), f"{block}: $ {command.text}\nprints\n{said}\n\nand not\n{command.output}"


def prints(command: Command, said: str) -> bool:
    if not command.output:
        return True
    lines = [".*(?:\n.*)*" if line == "…" else re.escape(alike(line)) for line in command.output.splitlines()]
    return re.fullmatch("\n".join(lines), "\n".join(map(alike, said.splitlines()))) is not None


def alike(line: str) -> str:
    for pattern, word in VARIABLE:
        line = re.sub(pattern, word, line)
    return line.rstrip()


def test_what_is_not_run_says_why_and_is_little() -> None:
    notes = [block.note.removeprefix("not run, ") for block in BLOCKS if block.note.startswith("not run, ")]

    assert all(len(reason) > 10 for reason in notes)
    assert len(notes) == NOT_RUN


def test_what_another_test_runs_names_it() -> None:
    named = [block.note.removeprefix("run by ") for block in BLOCKS if block.note.startswith("run by ")]

    assert all((ROOT / name).is_file() for name in named)


def test_every_note_is_known() -> None:
    assert [block for block in BLOCKS if not re.fullmatch(r"|exit \d+|run by \S+|not run, .+", block.note)] == []


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language not in ("console", "begin", "text")], ids=str
)
def test_what_is_not_a_command_can_be_read(block: Block, tmp_path: Path) -> None:
    READERS[block.language](block.text, tmp_path)


def read_sql(text: str, _: Path) -> None:
    parser.parse(text)


def read_toml(text: str, directory: Path) -> None:
    """As settings of ours, which have to be known, unless it is another program's."""
    content = tomllib.loads(text)
    ours = "sqlmigrate" in content.get("tool", {})
    if ours or "tool" not in content:
        file = directory / ("pyproject.toml" if ours else "sqlmigrate.toml")
        file.write_text(text)
        load_settings({"database_url": "service=app"}, {}, str(file))
        lint_settings.load({}, {}, str(file))


def read_python(text: str, _: Path) -> None:
    compile(text, "block", "exec")


def read_json(text: str, _: Path) -> None:
    json.loads(text)


def read_yaml(text: str, _: Path) -> None:
    assert yaml.safe_load(text)


def read_jinja(text: str, _: Path) -> None:
    Environment(autoescape=False).parse(text)  # noqa: S701  # it makes SQL


READERS = {
    "sql": read_sql,
    "toml": read_toml,
    "python": read_python,
    "json": read_json,
    "yaml": read_yaml,
    "jinja": read_jinja,
}
