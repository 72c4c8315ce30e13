"""The password, from where the settings say that it is; looked for when a connection is made."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlmigrate.config.settings import Settings

_TIMEOUT = 10  # seconds
_LIBPQ = ("PGPASSWORD", "PGPASSFILE")


def password_for(settings: Settings, *, in_url: bool) -> str | None:
    """The password to give to libpq; None where the URL has one, or libpq looks for one by itself.

    Raises:
        ConfigurationError: the file or the command that it is to come from gives none. What they gave is not shown.
    """
    for name, value in settings.passwords:
        match name:
            case "db_password":
                return value
            case "db_password_file":
                # One that was mounted may be replaced; a pipe can be read only once.
                return _of_file(value) if os.path.isfile(value) else _of_pipe(value)
            case _ if in_url:
                return None
    if in_url or not settings.password_command or any(os.environ.get(name) for name in _LIBPQ):
        return None
    return _of_command(settings.password_command)


def _of_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return _password(file.read(), f"the password file {path}")
    except OSError as error:
        raise ConfigurationError(f"the password file {path} cannot be read: {error.strerror}") from None


_of_pipe = functools.cache(_of_file)


@functools.cache
def _of_command(words: tuple[str, ...]) -> str:
    import subprocess  # only where there is a command

    command = f"the password command {words[0]}"  # a secret may stand in its arguments
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_TIMEOUT)  # noqa: S603  # no shell
    except OSError as error:
        raise ConfigurationError(f"{command} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{command} took longer than {_TIMEOUT} s") from None
    if done.returncode:
        raise ConfigurationError(f"{command} failed with exit code {done.returncode}", hint=_shown(done.stderr))
    return _password(done.stdout, f"what {command} printed")


def _password(raw: bytes, what: str) -> str:
    try:
        password = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} is not UTF-8") from None
    if not password or "\0" in password:
        raise ConfigurationError(f"{what} is {'empty' if not password else 'not text'}")
    return password


def _shown(stderr: bytes) -> str:
    text = "".join(one if one.isprintable() else " " for one in stderr.decode(errors="replace"))
    return f"it said: {' '.join(text.split())}" if text.strip() else ""
