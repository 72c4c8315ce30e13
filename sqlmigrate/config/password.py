"""The password of the database role, read from its source when a connection is opened."""

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
    """Returns the password for libpq, or None if the URL contains one or libpq finds one itself.

    Raises:
        ConfigurationError: the password file or command does not provide a password. The message omits its content.
    """
    for name, value in settings.passwords:
        match name:
            case "db_password":
                return value
            case "db_password_file":
                # A mounted file may be replaced, so it is read each time; a pipe can be read only once.
                return _from_file(value) if os.path.isfile(value) else _from_pipe(value)
            case _ if in_url:
                return None
    if in_url or not settings.password_command or any(os.environ.get(name) for name in _LIBPQ):
        return None
    return _from_command(settings.password_command)


def _from_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return _password(file.read(), f'password file "{path}"')
    except OSError as error:
        raise ConfigurationError(f'could not read password file "{path}": {error.strerror}') from None


_from_pipe = functools.cache(_from_file)


@functools.cache
def _from_command(arguments: tuple[str, ...]) -> str:
    import subprocess  # most projects configure no password command

    command = f'password command "{arguments[0]}"'  # its arguments may contain a secret
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_TIMEOUT)  # noqa: S603  # no shell runs it
    except OSError as error:
        raise ConfigurationError(f"could not run {command}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{command} took longer than {_TIMEOUT} s") from None
    if done.returncode:
        raise ConfigurationError(f"{command} failed with exit code {done.returncode}", hint=_shown(done.stderr))
    return _password(done.stdout, f"output of {command}")


def _password(raw: bytes, what: str) -> str:
    try:
        password = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} is not UTF-8") from None
    if not password or "\0" in password:
        raise ConfigurationError(f"{what} is {'empty' if not password else 'not text'}")
    return password


def _shown(stderr: bytes) -> str:
    text = "".join(character if character.isprintable() else " " for character in stderr.decode(errors="replace"))
    return f"its error output: {' '.join(text.split())}" if text.strip() else ""
