"""The command that sets up completion in a shell."""

from __future__ import annotations

import click

from sqlmigrate.cli.app import result_required, verbosity_options
from sqlmigrate.cli.console import Console
from sqlmigrate.cli.headings import Choice, Command


@click.command("completion", cls=Command)
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, shell: str, **_: bool) -> None:
    """Print the completion script for SHELL; to load it: eval "$(sqlmigrate completion bash)"."""
    from click.shell_completion import get_completion_class  # only this command needs it

    completion_class = get_completion_class(shell)
    if completion_class is not None:
        root = context.find_root().command
        console = Console()
        with result_required(console, is_required=True):
            console.text(completion_class(root, {}, "sqlmigrate", "_SQLMIGRATE_COMPLETE").source())


completion.params += verbosity_options()
COMMANDS = (completion,)
