"""Plain SQL migrations for PostgreSQL. `Migrator` is the Python interface, `sqlmigrate` the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmigrate.version import __version__ as __version__

if TYPE_CHECKING:
    from sqlmigrate.config.settings import Settings
    from sqlmigrate.config.settings import load as load_settings
    from sqlmigrate.errors import SqlMigrateError
    from sqlmigrate.migrator import Migrator
    from sqlmigrate.model import Version


__all__ = ["Migrator", "Settings", "SqlMigrateError", "Version", "load_settings"]

_HOMES = {
    "Migrator": ("sqlmigrate.migrator", "Migrator"),
    "Settings": ("sqlmigrate.config.settings", "Settings"),
    "SqlMigrateError": ("sqlmigrate.errors", "SqlMigrateError"),
    "Version": ("sqlmigrate.model", "Version"),
    "load_settings": ("sqlmigrate.config.settings", "load"),
}


def __dir__() -> list[str]:
    """Returns also the public names that are not imported yet; interactive shells complete them."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Imports a public name on first use, so that `sqlmigrate --help` does not load psycopg."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sqlmigrate' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
