"""What a shell is offered where a value is to come. Where it can't be told, nothing: there is no place for an error."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from sqlmigrate.config.options import OPTIONS
from sqlmigrate.errors import SqlMigrateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import click


def offer(
    known: Callable[[click.Context], Iterable[str]],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What an option completes with: those of the known words that go on as it was begun."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        with contextlib.suppress(SqlMigrateError):
            return [word for word in known(context) if word.startswith(begun)]
        return []

    return complete


def words(*known: str) -> Callable[[click.Context], Iterable[str]]:
    """These, always."""
    return lambda _: known


def versions(context: click.Context) -> Iterable[str]:
    """Those of the files, with `v` and without."""
    from sqlmigrate.files import source

    found = [one.id for one in source.find(_directories(context)).migrations if one.version]
    return [*found, *(version.removeprefix("v") for version in found)]


def environments(context: click.Context) -> Iterable[str]:
    """Those of the configuration file."""
    from sqlmigrate.config import settings

    return settings.environments(context.params.get("config"), os.environ)


def templates(context: click.Context) -> Iterable[str]:
    """Those of `generate`, one's own among them."""
    from sqlmigrate.authoring import generator

    return [one.name for one in generator.templates(_directories(context))]


def rules(_: click.Context) -> Iterable[str]:
    """Those of the linter."""
    from sqlmigrate.lint.rules import RULES

    return [rule.name for rule in RULES]


def _directories(context: click.Context) -> Sequence[str]:
    from sqlmigrate.config import settings

    given = {option.name: context.params.get(option.name) for option in OPTIONS}
    return settings.load_for_files(given, os.environ, context.params.get("config"), context.params.get("env")).dir
