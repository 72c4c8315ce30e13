"""Templates of migrations: what there is, what each takes, and what it makes of that."""

from __future__ import annotations

import os
import re
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

from sqlmigrate.errors import ConfigurationError
from sqlmigrate.model import Location
from sqlmigrate.sql.identifier import identifier, identifiers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jinja2 import BaseLoader, Environment

DIRECTORY = "templates"  # a project's own, in its directory of migrations
_FILE = re.compile(r"([a-z0-9][a-z0-9-]*)(?:\.(\d+)(?:-([a-z0-9-]+))?)?\.(up|down)\.sql\.j2")
_ABOUT = re.compile(r"\{#-?\s*(.*?)\s*-?#\}", re.DOTALL)
_GIVEN = ("name", "title")  # by us, to every template


class Rendered(NamedTuple):
    """What a template makes of one migration; `part` tells several apart, and `down` may be missing."""

    part: str
    up: str
    down: str | None


@dataclass(frozen=True, slots=True)
class Template:
    """The files that make one migration, or several that follow each other.

    `takes` are its variables with their defaults: None where the variable has to be given, empty where it may be left
    out. `own` is true of a project's.
    """

    name: str
    about: str
    takes: Mapping[str, str | None]
    own: bool

    @property
    def wants(self) -> str:
        """What it takes, in words."""
        takes = ", ".join(_shown(name, default) for name, default in self.takes.items())
        return f"takes {takes}" if takes else "takes nothing"


class Templates:
    """Those of the package, and those in `templates/` of the directories, which go before them, each as a whole."""

    def __init__(self, directories: Sequence[str]) -> None:
        package = PackageLoader("sqlmigrate.authoring", DIRECTORY)
        own = [FileSystemLoader(os.path.join(directory, DIRECTORY)) for directory in directories]
        self._files: dict[str, _Files] = {}
        for loader in (package, *reversed(own)):
            environment = _environment(ChoiceLoader([loader, package]))
            found: dict[str, list[str]] = {}
            for file in loader.list_templates():
                if match := _FILE.fullmatch(file):
                    found.setdefault(match[1], []).append(file)
            self._files |= {name: _Files(environment, files, loader is not package) for name, files in found.items()}

    def all(self) -> list[Template]:
        """Every template, by name.

        Raises:
            ConfigurationError: one can't be read.
        """
        return [self.named(name) for name in sorted(self._files)]

    def named(self, name: str) -> Template:
        """A template.

        Raises:
            ConfigurationError: there is none of that name, or it can't be read.
        """
        files = self._files.get(name)
        if files is None:
            known = ", ".join(sorted(self._files))
            raise ConfigurationError(f"there is no template {name!r}", hint=f"there are {known}")
        about = next(filter(None, map(_ABOUT.match, map(files.source, files.names))), None)
        return Template(name, about[1] if about else "", files.takes(), files.own)

    def rendered(self, template: Template, values: Mapping[str, str], name: str, title: str) -> list[Rendered]:
        """What a template makes of values, migration by migration; `name` and `title` every template has.

        Raises:
            ConfigurationError: a value is missing, not taken or not understood, or the template fails.
        """
        _check(template, values)
        files = self._files[template.name]
        parts: dict[tuple[int, str], dict[str, str]] = {}
        for match in filter(None, map(_FILE.fullmatch, files.names)):
            key = (int(match[2] or 0), match[3] or "")
            parts.setdefault(key, {})[match[4]] = files.rendered(match[0], {**values, "name": name, "title": title})
        if any("up" not in made for made in parts.values()):
            raise ConfigurationError(f"template {template.name} has a down file without its up file")
        return [Rendered(part, made["up"], made.get("down")) for (_, part), made in sorted(parts.items())]


def project_file(name: str, values: Mapping[str, str]) -> str:
    """A file of a new project."""
    environment = _environment(ChoiceLoader([PackageLoader("sqlmigrate.authoring", f"{DIRECTORY}/project")]))
    return environment.get_template(name).render(values) + "\n"


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one template, all from one place."""

    environment: Environment
    names: Sequence[str]
    own: bool

    def source(self, name: str) -> str:
        loader: BaseLoader | None = self.environment.loader
        return loader.get_source(self.environment, name)[0] if loader else ""

    def takes(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for tree in self._trees():
            asked = find_undeclared_variables(tree) - {*_GIVEN}
            optional = dict(_optional(tree))
            for node in tree.find_all(nodes.Name):
                if node.name in asked and found.get(node.name) is None:
                    found[node.name] = optional.get(node.name)
        return found

    def _trees(self) -> Iterator[nodes.Template]:
        """The files, and those that they include or extend."""
        waiting, seen = [*reversed(self.names)], set[str]()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                tree = self._parsed(name)
                waiting += filter(None, find_referenced_templates(tree))
                yield tree

    def _parsed(self, name: str) -> nodes.Template:
        try:
            return self.environment.parse(self.source(name), name)
        except TemplateNotFound as error:
            raise ConfigurationError(f"there is no {error.name}, which a template asks for") from error
        except TemplateSyntaxError as error:
            raise ConfigurationError(error.message or "no template", Location(name, error.lineno)) from error

    def rendered(self, name: str, values: Mapping[str, str]) -> str:
        try:
            return self.environment.get_template(name).render(values).strip() + "\n"
        except ConfigurationError:
            raise
        except TemplateError as error:
            raise ConfigurationError(f"{name}: {error.message}") from error
        except Exception as error:  # a template may do whatever Python can't
            raise ConfigurationError(f"{name}: {type(error).__name__}: {error}") from error


def _environment(loader: ChoiceLoader) -> Environment:
    """Sandboxed, since a project's templates come with its branches; what it makes is SQL, where nothing is escaped."""
    environment = ImmutableSandboxedEnvironment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters |= {
        "identifier": lambda text: identifier(str(text)),
        "identifiers": lambda text: identifiers(str(text)),
        "literal": _literal,
        "literals": lambda text: [_literal(one.strip().strip("'")) for one in str(text).split(",")],
    }
    return environment


def _literal(text: object) -> str:
    """A text as SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def _optional(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    """The variables that need not be given, with what they are then."""
    for test in tree.find_all(nodes.Test):
        if test.name == "defined" and isinstance(test.node, nodes.Name):
            yield test.node.name, ""
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name in ("default", "d") and isinstance(filtered.node, nodes.Name):
            default: nodes.Node | None = filtered.args[0] if filtered.args else None
            while isinstance(default, nodes.Filter):
                default = default.node
            said = default.value if isinstance(default, nodes.Const) else ""
            yield filtered.node.name, default.name if isinstance(default, nodes.Name) else str(said)


def _check(template: Template, values: Mapping[str, str]) -> None:
    """Every name that is wrong or missing, at once.

    Raises:
        ConfigurationError
    """
    wrong = [name for name in values if name not in template.takes]
    if wrong:
        raise ConfigurationError(
            f"template {template.name} takes no {' and no '.join(wrong)}", hint=f"it {template.wants}"
        )
    missing = [name for name, default in template.takes.items() if default is None and name not in values]
    if missing:
        given = " ".join(f"--set {name}=…" for name in missing)
        raise ConfigurationError(f"template {template.name} needs {given}", hint=f"it {template.wants}")


def _shown(name: str, default: str | None) -> str:
    if default is None:
        return name
    return f"{name} ({default})" if default else f"{name} (or none)"
