"""Templates of migrations: their variables, and how they are rendered."""

from __future__ import annotations

import os
import re
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.meta import find_referenced_templates, find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sqlmigrate.config.suggestion import did_you_mean, suggestion
from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import Location
from sqlmigrate.sql.identifier import identifier, identifiers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jinja2 import BaseLoader, Environment

DIRECTORY = "templates"  # in the package, and for custom templates in a directory of migrations
_FILE = re.compile(r"([a-z0-9][a-z0-9-]*)(?:\.(\d+)(?:-([a-z0-9-]+))?)?\.(up|down)\.sql\.j2")
_ABOUT = re.compile(r"\{#-?\s*(.*?)\s*-?#\}", re.DOTALL)
_SECONDS = 10
_BUILT_IN = ("name", "title")  # sqlmigrate sets these variables for every template


class Rendered(NamedTuple):
    """The SQL of one migration. `part` distinguishes the migrations of a template; `down` can be missing."""

    part: str
    up: str
    down: str | None


@dataclass(frozen=True, slots=True)
class Template:
    """A template for one migration, or for several consecutive migrations.

    `takes` maps its variables to their defaults: None if the variable is required, empty if it is optional and has no
    default. `is_custom` is true for a template of the project.
    """

    name: str
    about: str
    takes: Mapping[str, str | None]
    is_custom: bool

    @property
    def wants(self) -> str:
        """The variables, as text."""
        variables = ", ".join(_shown(name, default) for name, default in self.takes.items())
        return f"variables: {variables}" if variables else "no variables"


class Templates:
    """The templates of the package and the custom templates in `templates/` of the directories.

    A custom template replaces a template of the package that has the same name, with all of its files.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        package = PackageLoader("sqlmigrate.authoring", DIRECTORY)
        custom = [FileSystemLoader(os.path.join(directory, DIRECTORY)) for directory in directories]
        self._files: dict[str, _Files] = {}
        for loader in (package, *reversed(custom)):
            environment = _environment(ChoiceLoader([loader, package]))
            names: dict[str, list[str]] = {}
            for file in loader.list_templates():
                if match := _FILE.fullmatch(file):
                    names.setdefault(match[1], []).append(file)
            self._files |= {name: _Files(environment, files, loader is not package) for name, files in names.items()}

    def all(self) -> list[Template]:
        """Returns every template, sorted by name.

        Raises:
            ConfigurationError: a template cannot be read.
        """
        return [self.named(name) for name in sorted(self._files)]

    def named(self, name: str) -> Template:
        """Returns a template.

        Raises:
            ConfigurationError: the template does not exist or cannot be read.
        """
        files = self._files.get(name)
        if files is None:
            raise ConfigurationError(f'template "{name}" does not exist', hint=suggestion(name, sorted(self._files)))
        about = next(filter(None, map(_ABOUT.match, map(files.source, files.names))), None)
        return Template(name, about[1] if about else "", files.takes(), files.is_custom)

    def rendered(self, template: Template, values: Mapping[str, str], name: str, title: str) -> list[Rendered]:
        """Renders a template and returns its migrations; every template can use `name` and `title`.

        Raises:
            ConfigurationError: a value is missing, unknown or invalid, or the template fails.
        """
        _check(template, values)
        files = self._files[template.name]
        parts: dict[tuple[int, str], dict[str, str]] = {}
        for match in filter(None, map(_FILE.fullmatch, files.names)):
            key = (int(match[2] or 0), match[3] or "")
            parts.setdefault(key, {})[match[4]] = files.rendered(match[0], {**values, "name": name, "title": title})
        if any("up" not in texts for texts in parts.values()):
            raise ConfigurationError(f"template {template.name} has a down file without an up file")
        return [Rendered(part, texts["up"], texts.get("down")) for (_, part), texts in sorted(parts.items())]


def project_file(name: str, values: Mapping[str, str]) -> str:
    """Renders a file of a new project."""
    environment = _environment(ChoiceLoader([PackageLoader("sqlmigrate.authoring", f"{DIRECTORY}/project")]))
    return environment.get_template(name).render(values) + "\n"


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one template."""

    environment: Environment
    names: Sequence[str]
    is_custom: bool

    def source(self, name: str) -> str:
        loader: BaseLoader | None = self.environment.loader
        return loader.get_source(self.environment, name)[0] if loader else ""

    def takes(self) -> dict[str, str | None]:
        variables: dict[str, str | None] = {}
        for tree in self._trees():
            undeclared = find_undeclared_variables(tree) - {*_BUILT_IN}
            optional = dict(_optional(tree))
            for node in tree.find_all(nodes.Name):
                if node.name in undeclared and variables.get(node.name) is None:
                    variables[node.name] = optional.get(node.name)
        return variables

    def _trees(self) -> Iterator[nodes.Template]:
        """Yields the syntax trees of the files, and of the files that they include or extend."""
        waiting, visited = [*reversed(self.names)], set[str]()
        while waiting:
            name = waiting.pop()
            if name not in visited:
                visited.add(name)
                tree = self._parsed(name)
                waiting += filter(None, find_referenced_templates(tree))
                yield tree

    def _parsed(self, name: str) -> nodes.Template:
        try:
            return self.environment.parse(self.source(name), name)
        except TemplateNotFound as error:
            raise ConfigurationError(f'template file "{error.name}" does not exist') from error
        except TemplateSyntaxError as error:
            raise ConfigurationError(error.message or "invalid template", Location(name, error.lineno)) from error

    def rendered(self, name: str, values: Mapping[str, str]) -> str:
        try:
            with _time_limit(name):
                return self.environment.get_template(name).render(values).strip() + "\n"
        except ConfigurationError:
            raise
        except TemplateError as error:
            raise ConfigurationError(f"{name}: {error.message}") from error
        except Exception as error:  # a template can raise any error
            raise ConfigurationError(f"{name}: {type(error).__name__}: {error}") from error


@contextmanager
def _time_limit(name: str) -> Iterator[None]:
    """Ends a template that runs for more than `_SECONDS`; the sandbox limits no nested loops.

    Only the main thread receives signals, so that other threads have no limit.
    """

    def stop(*_: object) -> None:
        raise ConfigurationError(f"{name}: the template did not end within {_SECONDS} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, stop)
    remaining, _ = signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, remaining)
        signal.signal(signal.SIGALRM, handler)


def _environment(loader: ChoiceLoader) -> Environment:
    """Returns a sandboxed environment, since any branch of a project may change its templates.

    The result is SQL, so HTML escapes are off.
    """
    environment = ImmutableSandboxedEnvironment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters |= {
        "identifier": lambda text: identifier(str(text)),
        "identifiers": lambda text: identifiers(str(text)),
        "literal": _literal,
        "literals": lambda text: [_literal(item.strip().strip("'")) for item in str(text).split(",")],
    }
    return environment


def _literal(text: object) -> str:
    """Returns a text as a string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def _optional(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    """Yields the optional variables with their defaults."""
    for test in tree.find_all(nodes.Test):
        if test.name == "defined" and isinstance(test.node, nodes.Name):
            yield test.node.name, ""
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name in ("default", "d") and isinstance(filtered.node, nodes.Name):
            default: nodes.Node | None = filtered.args[0] if filtered.args else None
            while isinstance(default, nodes.Filter):
                default = default.node
            value = default.value if isinstance(default, nodes.Const) else ""
            yield filtered.node.name, default.name if isinstance(default, nodes.Name) else str(value)


def _check(template: Template, values: Mapping[str, str]) -> None:
    """Checks the names of the values.

    Raises:
        ConfigurationError: a name is unknown, or a required variable has no value; the message lists all of them.
    """
    unknown = [name for name in values if name not in template.takes]
    if unknown:
        hints = (did_you_mean(unknown[0], template.takes), template.wants)
        message = f"template {template.name} has no variable {', '.join(unknown)}"
        raise ConfigurationError(message, hint="\n".join(filter(None, hints)))
    missing = [name for name, default in template.takes.items() if default is None and name not in values]
    if missing:
        options = " ".join(f"--set {name}=…" for name in missing)
        raise ConfigurationError(f"template {template.name} requires {options}", hint=template.wants)


def _shown(name: str, default: str | None) -> str:
    if default is None:
        return name
    return f"{name} (default: {default})" if default else f"{name} (optional)"
