"""What helps a shell."""

from __future__ import annotations

import click

from sqlmigrate.cli.console import Console


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands and options: eval "$(sqlmigrate completion bash)"."""
    from click.shell_completion import get_completion_class  # for this command alone

    made = get_completion_class(shell)
    if made is not None:
        Console().text(made(context.find_root().command, {}, "sqlmigrate", "_SQLMIGRATE_COMPLETE").source())


COMMANDS = (completion,)
