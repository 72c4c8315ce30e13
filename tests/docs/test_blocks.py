"""Tests each code block of the documentation: runs its commands and compares their output, or at least parses it."""

from __future__ import annotations

import ast
import contextlib
import importlib
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
from tests.docs.pages import PAGES, Block, blocks, commands
from tests.servers import ROOT, Server, execute

pytestmark = pytest.mark.anywhere

BLOCKS = [block for page in PAGES for block in blocks(page)]
# The number of blocks that need another program or a network. Think twice before you add one.
NOT_RUN = 4

VARIABLE = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z|[+-]\d\d:\d\d)?", "TIME"),
    (r"\d{8}T\d{6}\.\d{3}Z", "TIME"),
    (r"\b[\d.]+ (ms|s|min)\b(  slow)?", "DURATION"),
    (r"(?<=duration_ms[=:])\d+|(?<=duration_ms\": )\d+", "NUMBER"),
    (r"\b[0-9a-f]{12,64}\b", "ID"),
    (r"(?<=pid[ =])\d+", "NUMBER"),
    (r"[\d,]+ bytes", "SIZE"),
    (r"\S+ \(\S+@\S+\)", "WHO"),
    (r"[ \t]+", " "),
)


class Shell:
    """A bash process that runs all commands of a page."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.directory = directory
        # Other tests measure coverage; here the measurement would take longer than the commands.
        removed = ("SQLMIGRATE_", "PG", "DB_", "COVERAGE_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
        variables = {
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
            env=inherited | variables,
        )

    def run(self, command: str) -> tuple[int, str]:
        """Returns the exit code and the output of a command."""
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
        """Returns the text with absolute paths moved into the page's directory."""
        return re.sub(r"(?<![\w.~/$-])/(?=(?:var|run)/)", f"{self.directory}/", text)

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(text))

    def close(self) -> None:
        self._bash.communicate("")


@pytest.fixture
def shell(server: Server) -> Iterator[Shell]:
    """Starts a shell in an empty directory, with an empty database `app`."""
    directory = Path(tempfile.mkdtemp(prefix="sqlmigrate-docs-"))
    execute(server.conninfo, "drop database if exists app with (force)", "create database app")
    started = Shell(directory, server)
    yield started
    started.close()
    with contextlib.suppress(OSError):  # an embedded server may still be stopping
        shutil.rmtree(directory)
    execute(server.conninfo, "drop database app with (force)")


def is_run(block: Block) -> bool:
    return block.language in ("console", "begin") and not block.note.startswith(("not run, ", "run by "))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(is_run, blocks(page)))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_commands_of_a_page_print_the_quoted_output(page: Path, shell: Shell) -> None:
    for block in blocks(page):
        if block.title:
            shell.write(block.title, block.text)
        elif block.language == "begin":
            code, output = shell.run(block.text)
            assert code == 0, f"{block}: {output}"
        elif is_run(block):
            run(shell, block)


def run(shell: Shell, block: Block) -> None:
    sequence = list(commands(block))
    assert sequence, f"{block}: no command"
    expected = int(block.note.removeprefix("exit ") or 0)
    for command in sequence:
        code, output = shell.run(command.text)
        assert code == (expected if command is sequence[-1] else 0), f"{block}: $ {command.text}\n{output}"
        message = f"{block}: $ {command.text}\nprints\n{output}\n\ninstead of\n{command.output}"
        assert matches(command.output, output), message


def matches(expected: str, output: str) -> bool:
    if not expected:
        return True
    lines = [".*(?:\n.*)*" if line == "…" else re.escape(normalized(line)) for line in expected.splitlines()]
    # Whether a migration runs so long that a line says so depends on the machine.
    printed = [normalized(line) for line in output.splitlines() if not line.startswith("  … ")]
    return re.fullmatch("\n".join(lines), "\n".join(printed)) is not None


def normalized(line: str) -> str:
    for pattern, placeholder in VARIABLE:
        line = re.sub(pattern, placeholder, line)
    return line.rstrip()


def test_few_blocks_do_not_run_and_each_states_the_reason() -> None:
    notes = [block.note.removeprefix("not run, ") for block in BLOCKS if block.note.startswith("not run, ")]

    assert all(len(reason) > 10 for reason in notes)
    assert len(notes) == NOT_RUN


def test_a_block_names_the_test_that_runs_it() -> None:
    tests = [block.note.removeprefix("run by ") for block in BLOCKS if block.note.startswith("run by ")]

    assert all((ROOT / name).is_file() for name in tests)


def test_each_note_has_a_valid_form() -> None:
    assert [block for block in BLOCKS if not re.fullmatch(r"|exit \d+|run by \S+|not run, .+", block.note)] == []


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language not in ("console", "begin", "text")], ids=str
)
def test_other_blocks_can_be_parsed(block: Block, tmp_path: Path) -> None:
    READERS[block.language](block.text, tmp_path)


def read_sql(text: str, _: Path) -> None:
    parser.parse(text)


def read_toml(text: str, directory: Path) -> None:
    """Loads settings of sqlmigrate, which must be valid; only parses files of other programs."""
    content = tomllib.loads(text)
    in_pyproject = "sqlmigrate" in content.get("tool", {})
    if in_pyproject or "tool" not in content:
        file = directory / ("pyproject.toml" if in_pyproject else "sqlmigrate.toml")
        file.write_text(text)
        load_settings({"database_url": "service=app"}, {}, str(file))
        lint_settings.load({}, {}, str(file))


def read_python(text: str, _: Path) -> None:
    """Compiles the block, and imports the names that it imports from sqlmigrate."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlmigrate"):
            module = importlib.import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def read_json(text: str, _: Path) -> None:
    json.loads(text)


def read_yaml(text: str, _: Path) -> None:
    assert yaml.safe_load(text)


def read_jinja(text: str, _: Path) -> None:
    Environment(autoescape=False).parse(text)  # noqa: S701  # the template produces SQL, not HTML


READERS = {
    "sql": read_sql,
    "toml": read_toml,
    "python": read_python,
    "json": read_json,
    "yaml": read_yaml,
    "jinja": read_jinja,
}
