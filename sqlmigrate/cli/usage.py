"""Click's errors of usage in the form of ours, and the errors of its output."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import click

from sqlmigrate.cli.console import Console
from sqlmigrate.errors import ConfigurationError, SqlMigrateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HINTS = re.compile(r"; |\.? (?=Did you mean|Choose from:|\(Possible options:)")


@contextlib.contextmanager
def errors_reported(program: str) -> Iterator[None]:
    """Shows an error of usage, or that the help could not be written, and exits.

    Args:
        program: the words that start the command.
    """
    try:
        yield
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # since click 8.2; its message is the help
            raise
        Console().error(as_error(error, program))
        raise click.exceptions.Exit(error.exit_code) from None
    except OSError as error:
        console = Console()
        console.requires_result = True
        console.lose_result(error)
        raise click.exceptions.Exit(SqlMigrateError.exit_code if console.has_lost_result else 0) from None


def as_error(error: click.UsageError, program: str) -> ConfigurationError:
    """Returns an error with click's message, what click proposes, and the command that shows the help."""
    message, *hints = _HINTS.split(" ".join(error.format_message().split()))
    proposals = [_lower(hint).replace("choose from:", "choose from").replace("'", "") for hint in hints]
    return ConfigurationError(
        _lower(message).removesuffix("."), hint="\n".join([*proposals, f"run `{program} --help`"])
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
