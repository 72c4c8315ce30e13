"""Compares the lists of the documentation with the source: settings, messages, problem codes, error classes."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from sqlmigrate import Settings, errors
from sqlmigrate.config.duration import milliseconds
from sqlmigrate.config.options import OPTIONS, Option
from sqlmigrate.lint.settings import LintSettings
from sqlmigrate.lint.settings import load as load_lint
from tests.docs.pages import PAGES
from tests.servers import ROOT

PACKAGE = ROOT / "sqlmigrate"
SETTINGS = (ROOT / "docs" / "configuration.md").read_text()
MESSAGES = (ROOT / "docs" / "troubleshooting.md").read_text()
KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.SqlMigrateError)
}
DURATIONS = ("lock_wait", "lock_timeout", "statement_timeout", "timeout")


def rows(text: str) -> dict[str, list[str]]:
    """Returns the table rows by their first cell, if that is a single word in backquotes."""
    lines = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip().strip("`") for cell in rest.split("|")] for name, rest in lines}


GENERAL, LINTER = (rows(part) for part in SETTINGS.split("## The linter"))


def test_each_setting_is_listed() -> None:
    assert set(GENERAL) == {option.name for option in OPTIONS}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_variable_and_the_default_of_a_setting_are_correct(option: Option) -> None:
    variable, default, text = GENERAL[option.name]
    defaults = {field.name: field.default for field in fields(Settings)}

    assert variable == option.env
    assert ("in the file only" in text) == (
        not option.metavar and option.name not in ("format", "log_level", "keep_running")
    )
    if default not in ("", "libpq's"):
        assert parsed(option.name, default) == defaults[option.name]


def parsed(name: str, default: str) -> object:
    if name in DURATIONS:
        return milliseconds(default)
    if name == "dir":
        return (default,)
    return {"false": False, "true": True}.get(default, int(default) if default.isdecimal() else default)


def test_each_linter_setting_is_listed_with_its_variable() -> None:
    assert set(LINTER) == {field.name for field in fields(LintSettings)} - {"root"}
    values = {
        "preset": "all",
        "fail_on": "error",
        "postgres_version": "15",
        "since": "v1.0.0-001",
        "history": "complete",
    }
    for name, (variable, *_) in LINTER.items():
        settings = load_lint({}, {variable or f"SQLMIGRATE_LINT_{name.upper()}": values.get(name, "x")})
        assert (settings != load_lint({}, {})) == bool(variable), name


def test_each_error_class_is_listed_with_its_exit_code() -> None:
    listed = rows(MESSAGES.partition("## By kind")[2])

    assert set(KINDS) <= set(listed)
    for name, kind in KINDS.items():
        codes = [int(code) for code in listed[name][0].split(", ")]
        assert kind is errors.Interrupted or codes == [kind.exit_code]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield (node.func.id if isinstance(node.func, ast.Name) else node.func.attr), node


def pattern(node: ast.AST) -> str:
    """Returns a string of the source, with `…` for inserted values."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(pattern(part) for part in parts)
        case ast.BinOp(left=left, right=right):
            return pattern(left) + pattern(right)
    return "…"


def short(text: str) -> str:
    """Returns the text in the form of the page: without quotes around a name, and with adjacent `…` joined."""
    return re.sub(r"…+", "…", re.sub(r"['`]…['`]", "…", text)).strip()


@functools.cache
def sources() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py")) if is_documented(path)]


def is_documented(path: Path) -> bool:
    """Excludes the linter: docs/rules.md lists its findings, and the errors of its settings need no explanation."""
    return "lint" not in path.relative_to(PACKAGE).parts


def codes() -> set[str]:
    """Returns the codes of all problems, including the two that the source builds from a name."""
    literal = {
        pattern(call.args[0]) for tree in sources() for name, call in calls(tree) if name == "Problem" and call.args
    }
    literal |= {
        pattern(call.args[0])
        for tree in sources()
        for name, call in calls(tree)
        if name == "_refuse" and len(call.args) == 4
    }
    return {code for code in literal if "…" not in code} | {"unknown-target", "unknown-version"}


def test_each_problem_code_has_a_heading() -> None:
    headings = set(re.findall(r"^### (\S+)$", MESSAGES, re.MULTILINE))

    assert headings == codes()


def raised() -> set[str]:
    """Returns the messages of all errors and problems in the source."""
    messages = set()
    for tree in sources():
        for name, call in calls(tree):
            position = 1 if name in ("Problem", "_refuse") else 0 if name in KINDS else None
            if position is not None and len(call.args) > position:
                messages.add(short(pattern(call.args[position])))
    return {message for message in messages if len(re.sub(r"[…\W]", "", message)) > 3}


def texts() -> set[str]:
    return {short(pattern(node)) for tree in sources() for node in ast.walk(tree) if isinstance(node, ast.expr)}


def quoted() -> set[str]:
    """Returns the messages on the page: all texts in backquotes."""
    return {short(text) for text in re.findall(r"`([^`\n]+)`", MESSAGES)}


def test_each_message_is_on_the_page() -> None:
    missing = sorted(raised() - quoted())
    assert not missing, "\n".join(["docs/troubleshooting.md does not contain", *missing])


def documented() -> set[str]:
    """Returns the messages on the page, without the commands: the column of messages, and longer texts."""
    cells = re.findall(r"^\| (?:`\w+` \| [\d, ]+ \||\| \|)? ?(`[^|]+`) \|", MESSAGES, re.MULTILINE)
    in_cells = {short(text) for cell in cells for text in re.findall(r"`([^`]+)`", cell) if " " in text}
    return in_cells | {
        text for text in quoted() if text.count(" ") > 2 and not text.startswith(("sqlmigrate ", "git "))
    }


def test_each_message_on_the_page_exists_in_the_source() -> None:
    source = texts()

    assert len(documented()) > 50
    assert sorted(text for text in documented() if not any(text in string for string in source)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_a_page_names_exists(page: Path) -> None:
    names = re.findall(r"`((?:sqlmigrate|tests|scripts|benchmarks|deploy)/[\w./-]+)`", page.read_text())

    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_row_of_a_table_has_as_many_cells_as_its_header(page: Path) -> None:
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        header, *rows = (len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines())
        assert set(rows) == {header}, table


ADDS_EXTRAS = ("README.md", "README.zh-CN.md", "troubleshooting.md")  # to a sqlmigrate that is installed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_installs_the_program_that_has_our_name_on_pypi(page: Path) -> None:
    installs = re.findall(r"pip install[^`\n]*", page.read_text())
    ours = r"\ssqlmigrate\b" if page.name in ADDS_EXTRAS else r"['\" ]sqlmigrate(\[\w+\])?(['\"]|$)"

    assert [line for line in installs if re.search(ours, line)] == []
