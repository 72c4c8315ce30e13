"""Queries git. Never changes the repository."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from sqlmigrate.config.options import without_settings
from sqlmigrate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BASES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


def ask(*arguments: str, what: str, hint: str = "") -> str:
    """Runs git and returns its output.

    Raises:
        ConfigurationError: git is not installed, or failed; `what` describes the query in the message.
    """
    try:
        done = subprocess.run(  # noqa: S603  # no shell is involved
            ["git", *arguments],  # noqa: S607  # git is found on PATH
            check=False,
            capture_output=True,
            env=without_settings(os.environ),
        )
    except OSError as error:
        raise ConfigurationError(f"could not run git: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConfigurationError(f"git could not report {what}: {lines[0]}", hint=hint)
    return os.fsdecode(done.stdout)


def top(directory: str) -> str:
    """Returns the top directory of the repository that contains a directory, or an empty string."""
    try:
        return ask("-C", directory, "rev-parse", "--show-toplevel", what="the top directory").rstrip("\n")
    except ConfigurationError:
        return ""


def base_branch(directory: str) -> str | None:
    """Returns the branch that other branches start from, or None if git knows no such branch."""
    for name in _BASES:
        try:
            return ask("-C", directory, "rev-parse", "--verify", "--quiet", name, what="the branch") and name
        except ConfigurationError:
            continue
    return None


def arrivals(directories: Sequence[str], base: str) -> dict[str, int]:
    """Returns when each file below the directories was added to a branch, as increasing numbers.

    Raises:
        ConfigurationError: git failed.
    """
    added: dict[str, int] = {}
    hint = "set --base to a branch or a commit"
    for directory in directories:
        run = ("-C", directory, "-c", "core.quotePath=off")
        listing = ask(
            *run,
            "ls-tree",
            "-r",
            "--name-only",
            "--end-of-options",
            base,
            ".",
            what="the files of the base branch",
            hint=hint,
        )
        names = set(listing.splitlines())
        shown = ("log", "-m", "--first-parent", "--no-renames", "--diff-filter=A", "--format=%x00", "--name-only")
        log = ask(
            *run,
            *shown,
            "--relative",
            "--end-of-options",
            base,
            "--",
            ".",
            what="the history of the base branch",
            hint=hint,
        )
        for ago, commit in enumerate(log.split("\0")):
            for name in names.intersection(commit.splitlines()):
                added.setdefault(os.path.join(directory, name), -ago)
    return added
