"""The conventions of the code that no linter has a rule for."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sqlmigrate"
MODULES = sorted(PACKAGE.rglob("*.py"))
PYTHON_FILES = [
    path
    for folder in ("sqlmigrate", "tests", "benchmarks", "scripts", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


# The modules of the tests that may read the clock or sleep.
CLOCKS = {
    "polling.py": "ends a wait that would never end",
    "inprocess.py": "reads the time zone anew",
    "unit/test_duration.py": "sets the time zone",
    "integration/test_took.py": "measures what the column TOOK measures",
    "proxy.py": "stands for a slow network",
    "webhook.py": "stands for a slow server",
    "prometheus.py": "reads metrics now and then",
    "faults/mix.py": "strikes at random moments",
    "faults/test_parallel.py": "kills at random moments",
    "faults/test_metrics_kill.py": "kills at random moments",
    "faults/test_dead_network.py": "logs when the network's death was noticed",
    "containers/test_compose.py": "logs how long containers take",
    "containers/test_image.py": "waits for a container",
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def test_the_package_shows_at_most_25_names_at_its_root() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert len(names) <= 25, sorted(names)


def test_no_class_name_stands_twice() -> None:
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(place(path, node))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def loop_targets(path: Path) -> Iterator[ast.Name]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.For | ast.comprehension):
            yield from (name for name in ast.walk(node.target) if isinstance(name, ast.Name))
        elif isinstance(node, ast.Lambda):
            yield from (ast.copy_location(ast.Name(argument.arg), argument) for argument in node.args.args)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_loop_variable_says_what_it_holds(path: Path) -> None:
    assert [place(path, name) for name in loop_targets(path) if name.id == "one"] == []


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_noqa_gives_its_reason(path: Path) -> None:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT and "noqa" in token.string]
    bare = [token.start[0] for token in comments if not re.search(r"noqa: [A-Z0-9, ]+  # \S", token.string)]
    assert bare == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]
    assert [place(path, node) for node in functions if (node.end_lineno or 0) - node.lineno + 1 > 40] == []


def imported(path: Path) -> set[str]:
    imports = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = [node.module or "" for node in imports if isinstance(node, ast.ImportFrom)]
    return {*modules, *(alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names)}


def test_tests_wait_for_states_and_read_no_clock() -> None:
    """A test that measures time or sleeps fails on a busy machine; tests.polling.until() waits for a state."""
    tests = ROOT / "tests"
    assert {str(path.relative_to(tests)) for path in tests.rglob("*.py") if "time" in imported(path)} == set(CLOCKS)
