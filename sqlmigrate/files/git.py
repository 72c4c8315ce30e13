"""What git knows. It is only asked, and never told anything."""

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
    """What git prints.

    Raises:
        ConfigurationError: it is not there, or can't tell `what` was asked.
    """
    try:
        done = subprocess.run(  # noqa: S603  # the arguments are our own, and no shell reads them
            ["git", *arguments],  # noqa: S607
            check=False,
            capture_output=True,
            env=without_settings(os.environ),
        )
    except OSError as error:
        raise ConfigurationError(f"git can't be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConfigurationError(f"git can't tell {what}: {said[0]}", hint=hint)
    return os.fsdecode(done.stdout)


def top(directory: str) -> str:
    """Where the repository that a directory belongs to begins, or an empty text."""
    try:
        return ask("-C", directory, "rev-parse", "--show-toplevel", what="where it begins").rstrip("\n")
    except ConfigurationError:
        return ""


def base_branch(directory: str) -> str | None:
    """The branch that others take theirs from, as far as git knows here; None where it knows none."""
    for name in _BASES:
        try:
            return ask("-C", directory, "rev-parse", "--verify", "--quiet", name, what="the branch") and name
        except ConfigurationError:
            continue
    return None


def arrivals(directories: Sequence[str], base: str) -> dict[str, int]:
    """When each file below the directories came to a branch, as numbers that grow; what is not there is left out.

    Raises:
        ConfigurationError: git can't tell.
    """
    found: dict[str, int] = {}
    hint = "--base takes a branch or a commit"
    for directory in directories:
        run = ("-C", directory, "-c", "core.quotePath=off")
        there = ask(
            *run, "ls-tree", "-r", "--name-only", "--end-of-options", base, ".", what="what is there", hint=hint
        )
        names = set(there.splitlines())
        shown = ("log", "-m", "--first-parent", "--no-renames", "--diff-filter=A", "--format=%x00", "--name-only")
        log = ask(*run, *shown, "--relative", "--end-of-options", base, "--", ".", what="what came when", hint=hint)
        for ago, commit in enumerate(log.split("\0")):
            for name in names.intersection(commit.splitlines()):
                found.setdefault(os.path.join(directory, name), -ago)
    return found
