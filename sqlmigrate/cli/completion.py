"""The values that a shell completes. An error completes nothing: a shell has no place to show it."""

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
    values: Callable[[click.Context], Iterable[str]],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Returns a `shell_complete` function, which offers the values that start with the incomplete word."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        with contextlib.suppress(SqlMigrateError):
            return [value for value in values(context) if value.startswith(incomplete)]
        return []

    return complete


def words(*values: str) -> Callable[[click.Context], Iterable[str]]:
    """Returns a function that returns these values in every context."""
    return lambda _: values


def versions(context: click.Context) -> Iterable[str]:
    """Returns the versions of the migration files, with and without `v`."""
    from sqlmigrate.files import source

    names = [migration.id for migration in source.find(_directories(context)).migrations if migration.version]
    return [*names, *(name.removeprefix("v") for name in names)]


def environments(context: click.Context) -> Iterable[str]:
    """Returns the environments of the configuration file."""
    from sqlmigrate.config import settings

    return settings.environments(context.params.get("config"), os.environ)


def templates(context: click.Context) -> Iterable[str]:
    """Returns the templates of `generate`, including those of the project."""
    from sqlmigrate.authoring import generator

    return [template.name for template in generator.templates(_directories(context))]


def rules(_: click.Context) -> Iterable[str]:
    """Returns the rules of the linter."""
    from sqlmigrate.lint.rules import RULES

    return [rule.name for rule in RULES]


def _directories(context: click.Context) -> Sequence[str]:
    from sqlmigrate.config import settings

    options = {option.name: context.params.get(option.name) for option in OPTIONS}
    file, environment = context.params.get("config"), context.params.get("env")
    return settings.load_for_files(options, os.environ, file, environment).dir
