"""What the documentation lists is all there is, and nothing else: settings, messages, codes, kinds."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sqlmigrate import Settings, errors
from sqlmigrate.config.options import OPTIONS
from sqlmigrate.duration import milliseconds
from sqlmigrate.lint.settings import LintSettings
from sqlmigrate.lint.settings import load as load_lint
from tests.docs.pages import PAGES
from tests.servers import ROOT

PACKAGE = ROOT / "sqlmigrate"
SETTINGS = (ROOT / "docs" / "configuration.md").read_text()
MESSAGES = (ROOT / "docs" / "troubleshooting.md").read_text()
KINDS = {
    name: one for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.SqlMigrateError)
}
DURATIONS = ("lock_wait", "lock_timeout", "statement_timeout", "timeout")


def rows(text: str) -> dict[str, list[str]]:
    """The tables' rows by their first cell, where that is one word of code."""
    found = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip().strip("`") for cell in rest.split("|")] for name, rest in found}


OURS, LINTERS = (rows(part) for part in SETTINGS.split("## The linter"))


def test_every_setting_is_listed() -> None:
    assert set(OURS) == {option.name for option in OPTIONS}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_its_variable_and_default_are_as_listed(option: Any) -> None:
    variable, default, text = OURS[option.name]
    defaults = {one.name: one.default for one in fields(Settings)}

    assert variable == option.env
    assert ("in the file only" in text) == (not option.metavar and option.name not in ("format", "log_level"))
    if default not in ("", "libpq's"):
        assert written(option.name, default) == defaults[option.name]


def written(name: str, default: str) -> object:
    if name in DURATIONS:
        return milliseconds(default)
    if name == "dir":
        return (default,)
    return {"false": False, "true": True}.get(default, int(default) if default.isdecimal() else default)


def test_the_linters_settings_are_listed_with_their_variables() -> None:
    assert set(LINTERS) == {one.name for one in fields(LintSettings)} - {"root"}
    values = {"preset": "all", "fail_on": "error", "postgres_version": "15", "since": "v1.0.0-001"}
    for name, (variable, *_) in LINTERS.items():
        found = load_lint({}, {variable or f"SQLMIGRATE_LINT_{name.upper()}": values.get(name, "x")})
        assert (found != load_lint({}, {})) == bool(variable), name


def test_every_kind_of_error_is_listed_with_its_exit_code() -> None:
    listed = rows(MESSAGES.partition("## By kind")[2])

    assert set(KINDS) <= set(listed)
    for name, one in KINDS.items():
        codes = [int(code) for code in listed[name][0].split(", ")]
        assert one is errors.Interrupted or codes == [one.exit_code]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield (node.func.id if isinstance(node.func, ast.Name) else node.func.attr), node


def pattern(node: ast.AST) -> str:
    """A string of the source, with `…` for what is put in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(pattern(part) for part in parts)
        case ast.BinOp(left=left, right=right):
            return pattern(left) + pattern(right)
    return "…"


def short(text: str) -> str:
    """As the page writes it: without quotes around a name, and two `…` in a row are one."""
    return re.sub(r"…+", "…", re.sub(r"['`]…['`]", "…", text)).strip()


@functools.cache
def sources() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py")) if is_told(path)]


def is_told(path: Path) -> bool:
    """The linter's findings are in docs/rules.md, and its settings' errors say it all."""
    return "lint" not in path.relative_to(PACKAGE).parts


def codes() -> set[str]:
    """The codes of all problems; what is put together from a name is one of two."""
    first = {
        pattern(call.args[0]) for tree in sources() for name, call in calls(tree) if name == "Problem" and call.args
    }
    first |= {
        pattern(call.args[0])
        for tree in sources()
        for name, call in calls(tree)
        if name == "_refuse" and len(call.args) == 4
    }
    return {code for code in first if "…" not in code} | {"unknown-target", "unknown-version"}


def test_every_code_of_a_problem_has_its_heading() -> None:
    headings = set(re.findall(r"^### (\S+)$", MESSAGES, re.MULTILINE))

    assert headings == codes()


def raised() -> set[str]:
    """The messages of all errors and problems."""
    found = set()
    for tree in sources():
        for name, call in calls(tree):
            at = 1 if name in ("Problem", "_refuse") else 0 if name in KINDS else None
            if at is not None and len(call.args) > at:
                found.add(short(pattern(call.args[at])))
    return {message for message in found if len(re.sub(r"[…\W]", "", message)) > 3}


def texts() -> set[str]:
    return {short(pattern(node)) for tree in sources() for node in ast.walk(tree) if isinstance(node, ast.expr)}


def said() -> set[str]:
    """The messages on the page: what stands in backquotes and has more than a name in it."""
    return {short(text) for text in re.findall(r"`([^`\n]+)`", MESSAGES)}


def test_every_message_is_on_the_page() -> None:
    missing = sorted(raised() - said())
    assert not missing, "\n".join(["docs/troubleshooting.md does not have", *missing])


def test_no_message_on_the_page_is_of_the_past() -> None:
    cells = re.findall(r"^\| (?:`\w+` \| [\d, ]+ \||\| \|)? ?(`[^|]+`) \|", MESSAGES, re.MULTILINE)
    told = {short(text) for cell in cells for text in re.findall(r"`([^`]+)`", cell) if " " in text}
    told |= {text for text in said() if text.count(" ") > 2 and not text.startswith(("sqlmigrate ", "git "))}
    known = texts()

    assert len(told) > 50
    assert sorted(text for text in told if not any(text in one for one in known)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:tests|scripts|benchmarks|deploy)/[\w./-]+)`", page.read_text())

    assert [name for name in named if not (ROOT / name).exists()] == []
